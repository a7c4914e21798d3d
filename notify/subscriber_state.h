/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Inside the subscriber: what subscriber.c (requests, time, handing out), subscriber_receive.c (messages in) and
 * subscriber_walk.c (snapshots and deltas) share.
 *
 *   mode       a SUB message (in order)       an answer                                becomes
 *   STARTING   beacon: see config.start       (none is asked for)                      LIVE or WALKING
 *   LIVE       handed on; after a hole held   history OK: handed on, then what's held   LIVE
 *                                             history LOST: word LOST                  WALKING from `received`
 *                                             (coalescing: no word, see below)         WALKING from `received`
 *                                             history DIVERGED: word LOST              WALKING from nothing
 *   WALKING    held                           chunk: see subscriber_walk.c             LIVE after the last one
 *   GONE       ignored                        ignored
 *
 *   any        beacon with WIRE_BEACON_GONE, answer NOT_EXIST: word GONE                      GONE
 *
 * ACCESS ends nothing, however often it comes: a service that restarts twice refuses twice. Whoever gives out tokens
 * knows whether there will be another.
 *
 * Only answers tell of divergence: they are fresh, while a published message may have waited. A published message that
 * does not fit (another lineage, backwards) is dropped and raises a `doubt`, which a HISTORY_GET with our position
 * settles.
 *
 * Coalescing (config.coalesce): a walk that is begun because this consumer was slow is not announced by LOST; its
 * sections are handed out as COALESCED instead. Should it turn out to be one of everything, LOST is said after all.
 */
#ifndef VESTA_NOTIFY_SUBSCRIBER_STATE_H
#define VESTA_NOTIFY_SUBSCRIBER_STATE_H

#include "notify/change_block.h"
#include "notify/subscriber.h"

#define SUBSCRIBER_REPEAT_NS 1000000000LL /* an unanswered request is repeated, a refused one tried again, after that */
#define SUBSCRIBER_IN_FLIGHT_NS 10000000LL /* what a chunk includes is waited for so long before it is asked for */
#define SUBSCRIBER_SILENCE_NS ((int64_t)VESTA_BEACON_PERIOD_MS * VESTA_SILENCE_PERIODS * 1000000)
#define SUBSCRIBER_WORDS 16U     /* words waiting to be handed out */
#define SUBSCRIBER_WORDS_BUSY 8U /* with more than that nothing is asked for that could lead to words */

typedef enum subscriber_mode {
  SUBSCRIBER_STARTING,
  SUBSCRIBER_LIVE,
  SUBSCRIBER_WALKING,
  SUBSCRIBER_GONE,
} subscriber_mode_t;

/* See subscriber_walk.c. */
typedef struct subscriber_walk {
  vesta_pos_t from;       /* what the consumer had when it began; epoch 0: nothing */
  bool full;              /* everything is named */
  uint32_t again;         /* so many blind walks went before it */
  bool begun;             /* its first chunk has come */
  bool blind;             /* operations between two chunks are lost: another walk follows */
  uint64_t cursor;        /* slots below are walked */
  change_block_t *parked; /* a chunk that waits for the operations before it */
  int64_t parked_ns;
} subscriber_walk_t;

/* See subscriber_hash.c. */
typedef struct subscriber_hash {
  bool wanted;
  int64_t ask_ns;  /* (again) */
  uint64_t number; /* of the last request */
  vesta_err_t refusal;
  uint8_t bytes[VESTA_CONTENT_HASH_BYTES]; /* of the one that is to be handed out */
} subscriber_hash_t;

struct subscriber {
  subscriber_config_t config;
  wire_decoder_t *decoder;
  subscriber_mode_t mode;

  /* the subscription */
  bool subscribed;   /* its beacon came: what is published arrives here */
  vesta_pos_t heard; /* the last position heard on it; epoch 0: none */
  int64_t heard_ns;
  bool no_quorum;  /* said the last beacon */
  bool renew;      /* the token was refused: sockets and token are to be made anew */
  bool renew_told; /* that, or silence, was told: nothing to do until it is done */

  /* the stream */
  vesta_pos_t received; /* everything up to here is in `ready` or handed out */
  vesta_pos_t published;
  change_queue_t ready;    /* to be handed out, in order */
  change_queue_t held;     /* operations after `received` that wait: for a hole to be filled, or for the walk */
  uint64_t doubt;          /* an answer to a request of this number or a later one settles it; 0: no doubt */
  bool hole;               /* there was one when last looked */
  vesta_err_t hole_reason; /* what to say should it prove to be lost */
  bool catching_up;        /* SYNCED is to be said when `received` has reached `heard` */
  subscriber_walk_t walk;
  bool bracket; /* a RESYNC_BEGIN waits for its RESYNC_END */
  bool slow;    /* the buffer overflowed, and nothing but coalescing shall close the hole that this made */
  vesta_pos_t coalesced_from; /* of a walk that coalesces: where it set out from; epoch 0: none does */

  /* requests */
  wire_message_t request; /* the last one */
  bool outstanding;
  int64_t sent_ns;
  int64_t retry_ns; /* nothing is asked before */

  subscriber_hash_t hash;

  /* handing out */
  change_block_t words[SUBSCRIBER_WORDS];
  change_block_t *words_free;
  uint32_t words_used;
  vesta_pos_t handed_out;
  bool consistent;             /* as far as handed out */
  wire_element_t *prefixes;    /* config.prefixes, owned, their bytes behind them */
  uint32_t op_index, op_count; /* of the operation that is being handed out, without what is left out */

  subscriber_status_t counters; /* its counters only */
};

/* subscriber.c */

/** Queue a word. `word->kind` is set. */
void subscriber_word(subscriber_t *subscriber, const notify_change_t *word);
/** All memory in use. */
size_t subscriber_held_bytes(const subscriber_t *subscriber);

/* subscriber_receive.c */

/** Something does not fit: ask the service. */
void subscriber_doubt(subscriber_t *subscriber);
/** Are operations missing that were published? Only while they matter (live, or before a parked chunk). */
bool subscriber_has_hole(const subscriber_t *subscriber);
/** Hand on whatever has become contiguous. */
void subscriber_advance(subscriber_t *subscriber);
void subscriber_drop_held(subscriber_t *subscriber);

/* subscriber_walk.c */

/** Begin a walk: a delta from a position, or (epoch 0) of everything. */
void subscriber_walk_begin(subscriber_t *subscriber, vesta_pos_t from);
/** A chunk that answers the request; takes over the block. @return false: it makes no sense */
bool subscriber_walk_chunk(subscriber_t *subscriber, change_block_t *block, int64_t steady_ns);
/** What changed after `received` is to come as one change for each section. */
void subscriber_walk_coalesce(subscriber_t *subscriber);
/** Operations after `received` are no longer in the history. */
void subscriber_walk_lost(subscriber_t *subscriber, vesta_pos_t now);
/** Our position is not of the service's history. */
void subscriber_walk_diverged(subscriber_t *subscriber, vesta_pos_t now);
/** The parked chunk's turn, if `received` has reached it. */
void subscriber_walk_resume(subscriber_t *subscriber);
/** The parked chunk is of a history that the service has left: it is thrown away, and asked for again. */
void subscriber_walk_unpark(subscriber_t *subscriber);

/* subscriber_hash.c */

/** When to ask for it; INT64_MAX: not at all. */
int64_t subscriber_hash_due_ns(const subscriber_t *subscriber);
void subscriber_hash_request(subscriber_t *subscriber, int64_t steady_ns, wire_message_t *request);
/** A HASH_REPLY. @return false: the token is not known (any more) */
bool subscriber_hash_answered(subscriber_t *subscriber, const wire_message_t *message);
/** A beacon with a hash, perhaps: it was dealt with as a beacon. */
void subscriber_hash_heard(subscriber_t *subscriber, const wire_message_t *message);

#endif
