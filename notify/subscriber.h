/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The change stream's receiver, pure: whatever the network does, the changes handed out are the committed order without
 * a gap, or LOST says where they are not and a resync brings the state up to date.
 *
 *   SUBSCRIBING --beacon--> SNAPSHOT --last chunk--> LIVE --hole--> REPAIR --history--> LIVE
 *        ^                     ^                      |                |
 *        |                     +---- LOST + resync ---+----------------+
 *        +---- silence for three beacon periods: rebuild the sockets ----
 *
 * It is fed with what the sockets bring and asked for what to send, and for changes to hand out. It owns copies of what
 * it holds; its memory is bounded by `buffer_bytes` and one answer.
 *
 * How a snapshot and live changes are put together: a chunk is the exact state of a range of slots as of a position
 * C. Changes are held back from one chunk to the next; those up to the next chunk's C go first, of the slots walked so
 * far, then the chunk. So the state handed out never runs backwards, and nothing is remembered per section. When too
 * many would have to be held back they are dropped and fetched from the history; when that no longer reaches, the walk
 * goes on to its end, and what changed since (a delta, smaller) is walked next. See subscriber_walk.c.
 *
 * What is left out (`prefixes`, `kinds`) is left out when changes are handed out, and no earlier: every operation is
 * received and counted all the same, so that a hole is seen whatever would have been in it, and the position goes on
 * over what was left out. Words of the stream, UNLINKED and EPOCH are never left out, nor by their kind changes of a
 * resync, which are not news but the state.
 */
#ifndef VESTA_NOTIFY_SUBSCRIBER_H
#define VESTA_NOTIFY_SUBSCRIBER_H

#include "core/wire.h"
#include "notify/change.h"

typedef struct subscriber subscriber_t;

typedef enum subscriber_start {
  SUBSCRIBER_FROM_SNAPSHOT, /* everything there is, then live */
  SUBSCRIBER_FROM_NOW,      /* live changes only */
  SUBSCRIBER_FROM_POSITION, /* what changed after `position`, from history if it reaches, else a resync */
} subscriber_start_t;

typedef struct subscriber_config {
  uint64_t checkpoint_id;
  vesta_token_t token; /* shown with every request */
  subscriber_start_t start;
  vesta_pos_t position;
  uint64_t buffer_bytes; /* 0: VESTA_SUBSCRIBER_BUFFER_BYTES */
  bool keys_only;        /* subscribed to the topic without data: changes tell its size only */
  bool coalesce;         /* who is slow gets what changed since (COALESCED) as soon as the buffer was full, instead of
                            every change from the history for as long as that has them, then LOST */
  uint32_t kinds;        /* bit 1 << kind: changes of these kinds; 0: of all */
  const wire_element_t *prefixes; /* only sections whose ids begin with one of these; copied; see id_prefixes_valid() */
  uint32_t prefix_count;          /* 0: all sections */
} subscriber_config_t;

/** @return OK; NO_MEMORY */
vesta_err_t subscriber_new(const subscriber_config_t *config, int64_t steady_ns, subscriber_t **out);
void subscriber_destroy(subscriber_t **subscriber);

/** Frames of one message from the SUB socket (CHANGES, BEACON), copied. Malformed ones are dropped and counted.
 *  @return OK; NO_MEMORY: treated as a hole, repaired later */
vesta_err_t subscriber_published(subscriber_t *subscriber, vesta_bytes_t head, vesta_bytes_t payload,
                                 int64_t steady_ns);
/** Frames of one answer from the DEALER socket. */
vesta_err_t subscriber_answered(subscriber_t *subscriber, vesta_bytes_t head, vesta_bytes_t payload, int64_t steady_ns);
/** The subscription was made anew (sockets rebuilt, token renewed): begin with waiting for its beacon. */
void subscriber_resubscribed(subscriber_t *subscriber, vesta_token_t token, int64_t steady_ns);

/** Another topic of the same service has a beacon with this state. */
void subscriber_beacon_state(subscriber_t *subscriber, uint64_t state);

/** The request to send on the DEALER now; false: none. At most one is outstanding; it is repeated after a second. */
bool subscriber_request(subscriber_t *subscriber, int64_t steady_ns, wire_message_t *request);
/** True once when the subscription has been silent for too long, or its token was refused: rebuild the sockets with
 *  a new token, then subscriber_resubscribed(). */
bool subscriber_silent(subscriber_t *subscriber, int64_t steady_ns);
/** When to ask again for time's sake; INT64_MAX never. */
int64_t subscriber_wake_ns(const subscriber_t *subscriber);

/** The next change to hand out; false: none now. Its pointers live until the next call of this function. */
bool subscriber_next(subscriber_t *subscriber, notify_change_t *change);

/** Of what kind the next change is (vesta_kind_t or notify_word_t), or one before it that will be left out.
 *  False: there is none now. */
bool subscriber_peek(const subscriber_t *subscriber, uint32_t *kind);

/** Ask the service for the hash of its content, each second until a NOTIFY_HASH is handed out: once for each call. */
void subscriber_want_hash(subscriber_t *subscriber, int64_t steady_ns);
/** Why it will not come: VESTA_OK, or what the service said to the last wish, which is given up then. */
vesta_err_t subscriber_hash_refusal(const subscriber_t *subscriber);

/** The checkpoint is no more, as is known from elsewhere: NOTIFY_GONE. */
void subscriber_gone(subscriber_t *subscriber);

/** What was handed out has turned out to be wrong: NOTIFY_LOST with reason MALFORMED, and everything anew. */
void subscriber_resync(subscriber_t *subscriber);

typedef struct subscriber_status {
  vesta_pos_t handed_out; /* of the last whole operation that subscriber_next() has handed out */
  vesta_pos_t received;   /* the last one received without a gap */
  vesta_pos_t published;  /* the last one that the service said it has */
  bool synced;            /* handed out a consistent state: not before or inside a snapshot, resync or repair */
  bool no_quorum;         /* the service's node is cut off from the others; what is here stays as it is */
  uint64_t held_bytes;
  uint64_t holes, repairs, resyncs, lost, malformed, duplicates, overflows, rebuilt; /* counters */
  uint64_t coalesced; /* resyncs that were begun because the consumer was slow and wanted it so */
  uint64_t withheld;  /* published without data although it was wanted: fetched from the history */
} subscriber_status_t;
void subscriber_status(const subscriber_t *subscriber, subscriber_status_t *status);

#endif
