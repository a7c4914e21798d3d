/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a stream is to the mirror and the pair that are built on it: changes in the core's form, and waiting apart
 * from taking, so that each can do its own work whenever the stream wakes up.
 */
#ifndef VESTA_EXT_API_STREAM_H
#define VESTA_EXT_API_STREAM_H

#include "core/wire.h"
#include "ext_api/vesta.h"
#include "notify/subscriber.h"

/**
 * The next change, if there is one now.
 * @return SA_AIS_OK; SA_AIS_ERR_TIMEOUT: nothing now, so wait; otherwise as vesta_stream_next()
 */
SaAisErrorT stream_try(vesta_stream_t *stream, notify_change_t *change);

/**
 * As stream_try(), but a NOTIFY_HASH only, which comes of itself with stream_try() as well.
 * @return as stream_try(); SA_AIS_ERR_TRY_AGAIN: something else comes before it
 */
SaAisErrorT stream_try_hash(vesta_stream_t *stream, notify_change_t *change);

/** Ask for the hash of the service's content: a NOTIFY_HASH will come, once. */
void stream_want_hash(vesta_stream_t *stream);
/** SA_AIS_OK, or why the one that was asked for last will not come. */
SaAisErrorT stream_hash_refusal(const vesta_stream_t *stream);

/** Are changes not taken at all, stream_follow_roles()? */
bool stream_follows_roles(const vesta_stream_t *stream);

/** What was taken has turned out to be wrong: NOTIFY_LOST (MALFORMED), and everything anew. */
void stream_resync(vesta_stream_t *stream);

/** After SA_AIS_ERR_TIMEOUT of stream_try(): wait for it to be worth trying again. False: the deadline has passed. */
bool stream_wait(vesta_stream_t *stream, int64_t deadline_ns);

/** The deadline of a timeout of the API: INT64_MAX for SA_TIME_END, 0 (passed) for 0. */
int64_t stream_deadline_ns(SaTimeT timeout);

/** A position, and a change, in the API's form. */
vesta_position_t stream_public_position(vesta_pos_t from);
void stream_change(const notify_change_t *from, vesta_change_t *to);

/**
 * Say how far this application is, without waiting. A link to the service that turns out to be broken is made anew,
 * since a session without a link ends after some time. False: it was not said, the link is busy or broken.
 */
bool stream_tell(vesta_stream_t *stream, const wire_message_t *progress);

/** Make the stream wake up at that time (steady): stream_wait() returns and the descriptor is readable then. */
void stream_wake_at(vesta_stream_t *stream, int64_t steady_ns);

/** Make the descriptor readable: there is more to hand out than the stream knows of. */
void stream_more(vesta_stream_t *stream);

/** Hear of roles only, or of changes again, from where it stopped. */
void stream_follow_roles(vesta_stream_t *stream, bool roles_only);

typedef struct stream_standing {
  subscriber_status_t subscriber;
  int64_t heard_ns;   /* when the service was last heard, steady */
  int64_t drained_ns; /* when there was last nothing left to take, steady */
} stream_standing_t;
/** How it stands; `take_in`: after taking in what has arrived. */
void stream_standing(vesta_stream_t *stream, bool take_in, stream_standing_t *standing);

/** False in a forked child. */
bool stream_mine(const vesta_stream_t *stream);

/** Are all members of a reserved array zero? */
bool reserved_is_zero(const SaUint64T *reserved, size_t count);
#define RESERVED_IS_ZERO(options) \
  reserved_is_zero((options)->reserved, sizeof(options)->reserved / sizeof(options)->reserved[0])

#endif
