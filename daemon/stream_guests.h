/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Guests: streams over TCP, whose subscribers have no agent link.
 *
 *     guest                        here                          the node
 *     FOLLOW_GET name  ------->  [row]  HELLO, once  ---------->
 *                                       OPEN, to read --------->  a handle for each guest
 *                                       STREAM ---------------->
 *     FOLLOW_REPLY     <-------  [row]
 *     PROGRESS         ------->  heard  PROGRESS  ------------->  vesta show lists it
 *     (nothing)                  given up: CLOSE  ------------->
 *
 *   row:  WANTED --OPEN--> OPENING --STREAM--> ASKING --> FOLLOWS --end, silence--> LEAVING --CLOSE--> (none)
 *         an error of the node's: told to the guest; TRY_AGAIN: asked again while the guest asks; a handle that is no
 *         more: back to WANTED; a guest that follows asks again and there is no replica here now: back to ASKING
 *
 * To the node all guests are one session, vestad's own: so what an agent may expect a guest may expect too (a checkpoint
 * that is open stays, a stream gets a replica on this node), and the core knows nothing of them. The right to read is the
 * key that the connection was made with.
 *
 * Who says nothing for VESTA_GUEST_LEASE_MS is given up, unless its subscription still stands: an application may stop
 * for as long as it likes.
 *
 * Pure: requests, answers and time come in; requests and answers go out, the former never from within an answer.
 */
#ifndef VESTA_DAEMON_STREAM_GUESTS_H
#define VESTA_DAEMON_STREAM_GUESTS_H

#include "core/limits.h"
#include "core/wire.h"
#include "daemon/stream_sockets.h"

/* Links of the guests' session have this bit; agents' and nodes' have not. */
#define STREAM_GUESTS_LINK (1ULL << 62)

typedef struct stream_guests stream_guests_t;

typedef struct stream_guests_config {
  uint32_t guests_max; /* VESTA_GUESTS_MAX at most */
  void *context;       /* of all of these */
  /* A request on a link of the guests' session; its answer comes later, or from within. */
  void (*ask)(void *context, uint64_t link, const wire_message_t *request);
  /* That link is over. */
  void (*leave)(void *context, uint64_t link);
  /* May streams of that checkpoint be read with this token? OK; ACCESS; TRY_AGAIN: there is no replica here now */
  vesta_err_t (*check)(void *context, vesta_token_t token, uint64_t checkpoint_id);
  /* How many guests are subscribed to it? */
  uint64_t (*listeners)(void *context, uint64_t checkpoint_id);
  /* To a guest. */
  void (*say)(void *context, vesta_bytes_t identity, const wire_message_t *message);
} stream_guests_config_t;

/** @return NULL when out of memory */
stream_guests_t *stream_guests_new(const stream_guests_config_t *config);
void stream_guests_destroy(stream_guests_t **guests);

/** A guest said this. @return false: it is no matter of streams that begin or end */
bool stream_guests_came(stream_guests_t *guests, const stream_guest_t *guest, const wire_message_t *message,
                        int64_t now_ns);
/** The node answered on a link of the session; an answer on an earlier one is dropped. */
void stream_guests_answered(stream_guests_t *guests, uint64_t link, const wire_message_t *reply);
/** It closed that link. */
void stream_guests_link_closed(stream_guests_t *guests, uint64_t link);

/** The end of a turn: ask the node for what is wanted. */
void stream_guests_turn(stream_guests_t *guests, int64_t now_ns);
/** When the next one must be; INT64_MAX: when something has come. */
int64_t stream_guests_wake_ns(const stream_guests_t *guests);

/* Counters. name, text */
#define STREAM_GUESTS_COUNTERS(X)                                                          \
  X(GUESTS, "streams over TCP now")                                                        \
  X(GUESTS_FOLLOWED, "streams over TCP that began")                                        \
  X(GUESTS_REFUSED, "of those wanted: refused, there are as many as may be, or no memory") \
  X(GUESTS_EXPIRED, "given up because nothing was heard of their subscribers")

typedef enum stream_guests_counter {
#define STREAM_GUESTS_COUNTER_ENUM(name, text) STREAM_GUESTS_COUNTER_##name,
  STREAM_GUESTS_COUNTERS(STREAM_GUESTS_COUNTER_ENUM)
#undef STREAM_GUESTS_COUNTER_ENUM
      STREAM_GUESTS_COUNTER_COUNT
} stream_guests_counter_t;
/** @param guests   NULL: there are none */
uint64_t stream_guests_counter(const stream_guests_t *guests, stream_guests_counter_t counter);

#endif
