/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Answers HASH_GET: a checkpoint's content hash, published as of the position at which it was made.
 *
 *   HASH_GET ----> wanted ---- a piece in each turn of the loop ----> level: publisher_content() ----> not wanted
 *
 * All who want the same checkpoint's hash at one time get the same one. Pieces are small (VESTA_HASH_PIECE_BYTES), so
 * that a write waits for no more than one of them; when writers keep ahead they grow, up to VESTA_HASH_PIECE_BYTES_MAX,
 * until the hash is level with the checkpoint. Checkpoints have their turns in a circle.
 *
 * The sections' hashes of the checkpoints that were asked for last are remembered (core/content_sum.h), so that the
 * next time what changed is hashed and a thirty-second of the rest; in bounded number and memory: who was wanted least
 * recently is forgotten first.
 *
 * Pure: no clock, no sockets.
 */
#ifndef VESTA_NOTIFY_HASH_SERVER_H
#define VESTA_NOTIFY_HASH_SERVER_H

#include "notify/publisher.h"

typedef struct hash_server hash_server_t;

/** @param bytes_max   memory for hashes, VESTA_HASHES_BYTES_MAX
 *  @return NULL when out of memory */
hash_server_t *hash_server_new(uint64_t bytes_max);
void hash_server_destroy(hash_server_t **server);

/**
 * A subscriber asks.
 * @return OK: it will be published; NO_RESOURCES: VESTA_HASHED_CHECKPOINTS_MAX others are being hashed, or the last
 *         time this one was the memory did not suffice; NO_MEMORY
 */
vesta_err_t hash_server_want(hash_server_t *server, uint64_t checkpoint_id);

/** Is anything wanted? Then the next turn should begin at once. */
bool hash_server_busy(const hash_server_t *server);

/** One piece. To be called when the publisher was told of everything that was committed. `replica` as for
 *  publisher_time(). */
void hash_server_turn(hash_server_t *server, publisher_t *publisher,
                      const replica_t *(*replica)(void *context, uint64_t checkpoint_id), void *context);

/** The checkpoint is gone, or its replica was replaced by another one. */
void hash_server_forget(hash_server_t *server, uint64_t checkpoint_id);

/* Counters, for INFO and for tests. name, text */
#define HASH_COUNTERS(X)                                                                      \
  X(HASHES_WANTED, "requests of subscribers for the hash of a checkpoint's content")          \
  X(HASHES_MADE, "hashes of contents published")                                              \
  X(HASHES_REFUSED, "of those wanted: refused, or given up, for want of memory or of places") \
  X(HASHED_BYTES, "bytes of data hashed for them")                                            \
  X(HASHES_HELD_BYTES, "memory of the sections' hashes that are remembered now")

typedef enum hash_counter {
#define HASH_COUNTER_ENUM(name, text) HASH_COUNTER_##name,
  HASH_COUNTERS(HASH_COUNTER_ENUM)
#undef HASH_COUNTER_ENUM
      HASH_COUNTER_COUNT
} hash_counter_t;
uint64_t hash_server_counter(const hash_server_t *server, hash_counter_t counter);

#endif
