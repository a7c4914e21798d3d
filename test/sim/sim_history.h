/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The oracle's own idea of a checkpoint: every operation that was ever committed, and the sections they lead to.
 *
 * It is told by the log records alone and applies them by itself, so the replica's sections, its recovery and what
 * subscribers were handed can be held against it. For each operation it keeps what each change was (a digest) and what
 * the whole state was after it (a sum), so any position can be asked for later.
 */
#ifndef VESTA_TEST_SIM_HISTORY_H
#define VESTA_TEST_SIM_HISTORY_H

#include "core/replica.h"
#include "test/sim/sim_table.h"

#define SIM_COPIES_MAX 5U /* nodes */
#define SIM_ACKED_MAX 10U /* processes */

typedef struct sim_record {
  uint64_t epoch, epoch_before; /* of the record before it */
  vesta_token_t session;        /* none: not a client's */
  uint64_t request;
  int64_t time_ns;
  vesta_kind_t kind; /* of its first change */
  uint64_t member;   /* EPOCH */
  uint32_t count;
  uint64_t *digests;     /* of its changes */
  sim_change_t *changes; /* copies */
  uint64_t sum;          /* of the state after it */
  bool sum_unknown;
} sim_record_t;

/* What a primary that answered for itself alone had committed, and the cluster went another way. */
typedef struct sim_tail {
  struct sim_tail *next;
  uint64_t first_seq, count, capacity;
  sim_record_t *records;
  int64_t lost_ns;     /* when it was left; nobody may be told of it who asks later */
  uint32_t half;       /* the node that went on with it by itself (sim_side.h); 0: none */
  uint64_t shared_seq; /* what is not behind this was there before it did: it has to come back */
} sim_tail_t;

/* Which node orders an epoch's operations. */
typedef struct sim_primary {
  uint64_t epoch;
  uint32_t node;
} sim_primary_t;

/* A replica of it, as it was seen last. */
typedef struct sim_copy {
  const void *replica;
  vesta_pos_t at;
  bool astray; /* not in the history, but in a tail */
  uint64_t prepared;
  bool leads; /* its node was its primary, as far as it knew */
} sim_copy_t;

typedef struct sim_history {
  uint64_t id, lineage;
  vesta_attributes_t attributes;
  sim_table_t table;
  sim_record_t *records; /* of seq n: records[n - 1] */
  uint64_t count, capacity;
  uint64_t first_sum;   /* of the state before the first one */
  uint64_t first_epoch; /* of the default section */
  int64_t first_time_ns;
  uint64_t epoch, granted;
  bool unlinked;
  int64_t retention_ns;
  bool removed;
  bool removed_apart; /* in a half that was given up */
  uint32_t half;      /* the node that had made it while it was by itself, and it was given up; 0: none */
  /* what the directory said last */
  bool open, dir_unlinked;
  int64_t retained_until_ns, dir_retention_ns;
  uint64_t promoting_epoch;     /* a candidate that has not confirmed */
  int64_t alternative_since_ns; /* since when there is another who could be promoted */
  /* in a cluster */
  bool synchronous;
  uint64_t granted_epoch;    /* of the last grant in it */
  uint64_t confirmed_epoch;  /* the last grant that its member was ordered to be active by */
  uint64_t synchronized_seq; /* up to here a Synchronize was answered OK */
  uint64_t vacant_epoch;     /* the last epoch whose primary is no more, */
  int64_t vacant_ns;         /* and since when; 0: the primary was changed without there being none */
  uint64_t waiting_epoch;    /* of a candidate that its primary waits for although there is another, */
  int64_t waited_ns;         /* so long, as far as the primary could act, */
  int64_t waits_seen_ns;     /* as of then */
  int64_t fenced_since_ns;   /* its group has a fence since then, as its primary knows; INT64_MAX: it has none */
  sim_tail_t *tails;
  uint32_t cuts;                     /* how often something that was committed was lost */
  sim_copy_t copies[SIM_COPIES_MAX]; /* by node */
  sim_primary_t *primaries;
  uint64_t primary_count;
  uint64_t resumed_epoch; /* up to this one it is of a half that was given up, and gone on with after all */
  uint64_t
      shared_seq; /* two halves: what was committed before this one was alone; for an asynchronous one, synchronized */
  uint64_t acked[SIM_ACKED_MAX]; /* by process: the last of its operations that it was told of */
} sim_history_t;

typedef struct sim_histories {
  sim_history_t **items;
  uint32_t count, capacity;
} sim_histories_t;

sim_history_t *sim_histories_find(const sim_histories_t *histories, uint64_t id);
/** The same, of that lineage: two halves may give different checkpoints the same id. */
sim_history_t *sim_histories_of(const sim_histories_t *histories, uint64_t id, uint64_t lineage);
/** Take a history over, one that is not found by its id alone any more. */
void sim_histories_keep(sim_histories_t *histories, sim_history_t *history);
void sim_histories_copy(sim_histories_t *histories, const sim_histories_t *from);
/** The history of a checkpoint that is new, nothing of it taken up yet. */
sim_history_t *sim_histories_add(sim_histories_t *histories, const replica_t *replica);
void sim_histories_fini(sim_histories_t *histories);

/** Take up the record of the next seq. @return NULL, or what is wrong with it */
const char *sim_history_take(sim_history_t *history, const replica_t *replica);
/** Hold the replica against it, section by section. @return NULL, or what differs */
const char *sim_history_compare(const sim_history_t *history, const replica_t *replica);

vesta_pos_t sim_history_position(const sim_history_t *history);
/** Is that a position of it? */
bool sim_history_has(const sim_history_t *history, vesta_pos_t position);
/** The operation of that epoch and seq, in a tail maybe; NULL: there is none. */
const sim_record_t *sim_history_record(const sim_history_t *history, uint64_t epoch, uint64_t seq);
/** Does the history itself have it, not a tail? */
bool sim_history_has_still(const sim_history_t *history, vesta_pos_t position);
/** The sum of the state at a position of it. */
uint64_t sim_history_sum(const sim_history_t *history, vesta_pos_t position);
/** The sum of what a replica holds. */
uint64_t sim_history_sum_of(const replica_t *replica);
/** What is behind that seq is taken out of it, and becomes a tail. */
void sim_history_cut(sim_history_t *history, uint64_t seq, int64_t now_ns);
/** Put an operation into a tail: it is none of the history. */
void sim_history_stray(sim_history_t *history, const replica_record_t *from, uint64_t epoch_before, int64_t now_ns);
/** A copy of its own. */
sim_history_t *sim_history_copy(const sim_history_t *history);
/** The node of that epoch, 0: not known; or make it known. */
uint32_t sim_history_primary(const sim_history_t *history, uint64_t epoch);
void sim_history_primary_set(sim_history_t *history, uint64_t epoch, uint32_t node);
/** All that another half's history has and this one has not becomes tails of this one.
 *  @return NULL, or what is wrong with it */
const char *sim_history_join(sim_history_t *history, const sim_history_t *other, uint32_t half, int64_t now_ns);
/** How many of the first operations two histories have in common. */
uint64_t sim_history_common(const sim_history_t *history, const sim_history_t *other);
/** Whose half had gone on up to there, and was given up; 0: nobody's. */
uint32_t sim_history_half(const sim_history_t *history, vesta_pos_t position);
/** May it be gone on with that tail yet? */
bool sim_history_may_resume(const sim_history_t *history, const sim_tail_t *tail);
/** It goes on with the next one of a tail after all. False: no tail has one that comes next under that epoch and seq. */
bool sim_history_resume(sim_history_t *history, uint64_t epoch, uint64_t seq);
/** All operations that lead to this one, the first one first, `seq` of them, some of them in tails maybe; to be freed.
 *  NULL: not all are known. */
const sim_record_t **sim_history_way(const sim_history_t *history, uint64_t epoch, uint64_t seq);
/** Is it the operation that is known under its epoch and seq? */
bool sim_history_same(const sim_record_t *record, const replica_record_t *from);
/** Sections that are there and not expired by then. */
uint32_t sim_history_alive(const sim_history_t *history, int64_t wall_ns);
/** The section as a reader has to find it; NULL: it must not be found. */
const sim_section_t *sim_history_section(const sim_history_t *history, vesta_bytes_t id, int64_t wall_ns);

#endif
