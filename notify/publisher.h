/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The change stream's sender: what was committed goes out, in order, once for all subscribers; idle topics say where
 * they stand (beacons).
 *
 * A topic is one class byte and the checkpoint id: 'D' changes with their data, 'K' without, 'R' changes of role
 * only (EPOCH operations). Nothing is encoded for a topic that nobody subscribed to. Each subscribe is answered with a
 * beacon through the same queue, which proves to the subscriber that its subscription stands and says from where.
 *
 * When ZeroMQ holds too many bytes for slow subscribers, beacons go out in place of the changes: who is slow sees that
 * it lacks them and fetches them from the history at its own pace; writers never wait.
 *
 * It has one or two *doors*, each a socket: what waits for slow ones behind one is no matter of the other's.
 *
 * Pure: messages go to `emit`, which owns the socket.
 */
#ifndef VESTA_NOTIFY_PUBLISHER_H
#define VESTA_NOTIFY_PUBLISHER_H

#include "core/content_sum.h"
#include "core/replica.h"
#include "core/wire.h"

#define NOTIFY_TOPIC_BYTES 9U
enum { NOTIFY_CLASS_DATA = 'D', NOTIFY_CLASS_KEYS = 'K', NOTIFY_CLASS_ROLES = 'R' };

void notify_topic(uint8_t topic[NOTIFY_TOPIC_BYTES], uint8_t class_byte, uint64_t checkpoint_id);

typedef struct publisher publisher_t;

#define PUBLISHER_DOORS_MAX 2U

/* A door. */
typedef struct publisher_output {
  void *context;
  /* Take over one message for a topic. `head` and `payload` are copied before it returns. */
  void (*emit)(void *context, const uint8_t topic[NOTIFY_TOPIC_BYTES], vesta_bytes_t head, vesta_bytes_t payload);
  /* Bytes that the socket holds for slow subscribers now. */
  uint64_t (*held_bytes)(void *context);
  uint64_t held_bytes_max; /* beyond, beacons go out there in place of changes */
} publisher_output_t;

/** @param outputs   copied; `doors` of them, 1 to PUBLISHER_DOORS_MAX   @return OK; NO_MEMORY */
vesta_err_t publisher_new(const publisher_output_t *outputs, uint32_t doors, publisher_t **out);
void publisher_destroy(publisher_t **publisher);

/** Finds the replica of a checkpoint. NULL: there is none here, and *gone tells whether the checkpoint is surely no more:
 *  then its beacon says position 0 and WIRE_BEACON_GONE. Else there is no beacon: whoever hears nothing asks again, and
 *  is led to where there is one. */
typedef const replica_t *publisher_find_t(void *context, uint64_t checkpoint_id, bool *gone);

/**
 * A message arrived at the XPUB of a door: a subscription (byte 1, topic) or its end (byte 0, topic). Anything else is
 * dropped and counted.
 * @return false: it was dropped
 */
bool publisher_subscription(publisher_t *publisher, uint32_t door, vesta_bytes_t message, publisher_find_t *find,
                            void *context, int64_t steady_ns);

/** Does anybody listen to this checkpoint? */
bool publisher_wanted(const publisher_t *publisher, uint64_t checkpoint_id);

/** Somebody waits for the operations up to `seq`, which are about to be told as committed, to be applied: they go out
 *  marked so. */
void publisher_awaited(publisher_t *publisher, uint64_t checkpoint_id, uint64_t seq);
/** Operations first_seq to last_seq of this checkpoint were committed: they go out with the next flush, or at once when
 *  they fill a message. To be called before the next prepare, which may trim the log; what was trimmed is not sent. */
void publisher_committed(publisher_t *publisher, uint64_t checkpoint_id, const replica_t *replica, uint64_t first_seq,
                         uint64_t last_seq);
/** The end of a turn: send what was committed. */
void publisher_flush(publisher_t *publisher, int64_t steady_ns);
/** What the checkpoint holds at `position`, up to which everything was told as committed: a beacon says it, behind all
 *  that and before anything later, so that who follows can compare at the very position. */
void publisher_content(publisher_t *publisher, uint64_t checkpoint_id, const content_t *content);
/** The checkpoint is gone: a last beacon with state 1 says so. */
void publisher_removed(publisher_t *publisher, uint64_t checkpoint_id);

/** Beacons that are due. */
void publisher_time(publisher_t *publisher, int64_t steady_ns, publisher_find_t *find, void *context);
/**
 * This node is cut off from the other nodes of its cluster, or is so no more: everybody who listens is told at once, and
 * every beacon says it from now on (WIRE_BEACON_NO_QUORUM).
 */
void publisher_quorum(publisher_t *publisher, bool has_quorum, publisher_find_t *find, void *context);
/** When publisher_time() is due; INT64_MAX: never. */
int64_t publisher_wake_ns(const publisher_t *publisher);

typedef struct publisher_counters {
  uint64_t messages, operations, bytes, beacons, dropped_input,
      withheld;                   /* withheld: beacons sent in place of changes */
  uint64_t topics, subscriptions; /* now */
} publisher_counters_t;
void publisher_counters(const publisher_t *publisher, publisher_counters_t *counters);
/** Subscriptions at one door, now; and those of one checkpoint. */
uint64_t publisher_subscriptions(const publisher_t *publisher, uint32_t door);
uint64_t publisher_listeners(const publisher_t *publisher, uint32_t door, uint64_t checkpoint_id);

/* ---- answers to SNAPSHOT_GET and HISTORY_GET (notify/stream_server.c) ---- */

/* Buffers for one answer; reused. */
typedef struct stream_server stream_server_t;
stream_server_t *stream_server_new(void);
void stream_server_destroy(stream_server_t **server);

/**
 * Answer one request of a subscriber, in bounded work (VESTA_STREAM_CHUNK_...). The server keeps nothing between
 * requests: the cursor is in the request, so that a dead subscriber costs nothing and writers never wait for a walk.
 * @param[out] head, payload   the answer's frames; valid until the next call and the replica's next change
 */
void stream_server_answer(stream_server_t *server, const replica_t *replica, const wire_message_t *request,
                          vesta_bytes_t *head, vesta_bytes_t *payload);

/** Was the last answer a snapshot's chunk that is to be asked on for? */
bool stream_server_walk_goes_on(const stream_server_t *server);

#endif
