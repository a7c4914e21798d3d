/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The change stream's receiver with its sockets: the pure subscriber (notify/subscriber.h) between a SUB that hears
 * what is published and a DEALER that asks for snapshots and history.
 *
 *      vestad                      this process
 *      XPUB   ---- changes ---->   SUB    --+
 *                                           +--> subscriber --> stream_subscriber_next()
 *      ROUTER <--- requests ----   DEALER --+
 *
 * Nothing runs in the background but ZeroMQ's own threads: sockets are read inside the calls below.
 *
 * ZMQ_FD is edge-triggered and tells of commands, not of messages. People expect a descriptor to stay readable for as
 * long as there is something to take, so the one given out is an epoll descriptor over both sockets' ZMQ_FD, an eventfd
 * that is raised whenever a call leaves something behind, and a timerfd for what time makes due.
 *
 * Memory: what the subscriber holds is bounded by its buffer_bytes; before it, ZeroMQ holds STREAM_MESSAGES_MAX
 * messages; what is beyond waits in the kernel and in the daemon, which bounds it by bytes and tells by beacons what
 * it withheld.
 *
 * A member of a group that is active needs roles only: it follows the roles' topic meanwhile, and what it had taken
 * from the changes' topic stands still until it follows that again.
 */
#ifndef VESTA_NOTIFY_ZMQ_STREAM_SUBSCRIBER_H
#define VESTA_NOTIFY_ZMQ_STREAM_SUBSCRIBER_H

#include "notify/subscriber.h"
#include "notify/zmq/stream_remote.h"

typedef struct stream_subscriber stream_subscriber_t;

/**
 * @param config      copied
 * @param endpoints   "XPUB-ENDPOINT ROUTER-ENDPOINT", as the daemon said; copied
 * @param curve       NULL: nothing is encrypted
 * @return OK; MALFORMED when the endpoints are none; NO_RESOURCES; NO_MEMORY
 */
vesta_err_t stream_subscriber_open(const subscriber_config_t *config, vesta_bytes_t endpoints,
                                   const stream_curve_t *curve, stream_subscriber_t **out);
/** NULL is allowed. In a forked child ZeroMQ's part is left alone. */
void stream_subscriber_close(stream_subscriber_t **stream);

/** False in a forked child: nothing else but close may be called then. */
bool stream_subscriber_mine(const stream_subscriber_t *stream);

/**
 * The next change to hand out.
 *
 * While only roles are followed: EPOCH operations as they come; NOTIFY_LOST when a beacon tells of a later epoch than
 * they did (roles may have changed, ask the service); NOTIFY_GONE.
 *
 * @param[out] change   its pointers live until the next call
 * @return OK; TRY_AGAIN: nothing now; BUSY: nothing to hand out among much that has come, and there is more: call
 *         again; ACCESS: the service was silent or did not know the token: get a new one and call
 *         stream_subscriber_renew(), until then there is nothing to come; NO_MEMORY: call again
 */
vesta_err_t stream_subscriber_next(stream_subscriber_t *stream, notify_change_t *change);

/** As stream_subscriber_next(), but a NOTIFY_HASH only, and only when it is next. @return CHANGED: something else is */
vesta_err_t stream_subscriber_next_hash(stream_subscriber_t *stream, notify_change_t *change);

/** As subscriber_want_hash(), subscriber_hash_refusal(), subscriber_resync(). */
void stream_subscriber_want_hash(stream_subscriber_t *stream);
vesta_err_t stream_subscriber_hash_refusal(const stream_subscriber_t *stream);
void stream_subscriber_resync(stream_subscriber_t *stream);

/** Wait until stream_subscriber_next() may have something, until_ns (steady) at most; not at all after BUSY. After it
 * returned TRY_AGAIN or BUSY only. */
void stream_subscriber_wait(stream_subscriber_t *stream, int64_t until_ns);

/** Make the sockets anew and go on where the subscriber stood. @return OK; MALFORMED; NO_RESOURCES; NO_MEMORY */
vesta_err_t stream_subscriber_renew(stream_subscriber_t *stream, vesta_token_t token, vesta_bytes_t endpoints,
                                    const stream_curve_t *curve);

/** After ACCESS: was it because nothing was heard? Else the service is there and wants to be asked again. */
bool stream_subscriber_silent(const stream_subscriber_t *stream);

/** Say something to the service that has no answer; over TCP, where there is no agent link for it. @return false: not
 *  now */
bool stream_subscriber_post(stream_subscriber_t *stream, const wire_message_t *message);

/** The checkpoint is no more: NOTIFY_GONE comes. */
void stream_subscriber_gone(stream_subscriber_t *stream);

/** Follow the roles' topic instead of the changes' topic, or the changes again. */
void stream_subscriber_follow_roles(stream_subscriber_t *stream, bool roles_only);

/** The owner has something to do at that time (steady): the descriptor becomes readable then. INT64_MAX: nothing. */
void stream_subscriber_wake_at(stream_subscriber_t *stream, int64_t steady_ns);

/** The owner has something to hand out: the descriptor is readable until stream_subscriber_next() finds nothing. */
void stream_subscriber_more(stream_subscriber_t *stream);

/** The descriptor for poll(): level-triggered, the same until close. */
int stream_subscriber_fd(stream_subscriber_t *stream);

/** How things stand; `take_in`: after taking in what has arrived, up to half of the buffer.
 *  @param[out] heard_ns   when the service was last heard, steady */
void stream_subscriber_status(stream_subscriber_t *stream, bool take_in, subscriber_status_t *status,
                              int64_t *heard_ns);

/** The clock that all steady times here are of. */
int64_t stream_steady_ns(void);

#endif
