/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The replicator's inside, shared by its files:
 *
 *   replicator.c           life, configuration, which message goes where, time
 *   replicator_primary.c   as the primary: the log goes out, acknowledgements come in, cuts
 *   replicator_copy.c      as a copy: says where it stands, follows the log
 *   replicator_records.c   operations as elements of a message, both ways
 *   replicator_transfer.c  state, where the log does not reach: both sides
 *   replicator_restore.c   content of single sections that a copy does not know: both sides
 */
#ifndef VESTA_CORE_REPLICATOR_PRIVATE_H
#define VESTA_CORE_REPLICATOR_PRIVATE_H

#include "core/replica_transfer.h"
#include "core/replicator.h"

#define REPLICATOR_ELEMENT_BYTES 64U              /* what an element costs besides its data, in the window */
#define REPLICATOR_IN_FLIGHT_MAX 1024U            /* operations prepared and not committed */
#define REPLICATOR_ELEMENTS_MAX 4096U             /* elements of one message */
#define REPLICATOR_CHUNK_ELEMENTS_MAX 1024U       /* the same, of a chunk of state */
#define REPLICATOR_SILENCE_NS INT64_C(1000000000) /* state that was asked for and does not come is asked for again */
#define REPLICATOR_FLIGHT_PASSES 7U /* the last part of a state may be larger each time, up to so many doublings */

#define REPLICATOR_TOKENS_MAX 512U /* records, or stored results, of one message */

/* Kind of the element that stands before a record's own: its id is the session, its offset the request. */
#define REPLICATOR_HEAD 255U

/* Another node's replica, as its primary sees it. */
typedef struct replicator_peer {
  uint32_t node;
  bool member;   /* the directory says so */
  bool invited;  /* it is to become one, */
  bool wanted;   /* and a required one */
  bool required; /* an operation needs its acknowledgement */
  bool following;
  bool told;           /* caught_up was said */
  uint64_t catch_seq;  /* it is to be said when this is acknowledged: what was committed when the copy began to count */
  bool failed;         /* failed was said */
  uint64_t stint;      /* the number of the POSITION from which it follows, or was told why it can't */
  uint64_t generation; /* of cuts, acknowledged; 0: nothing was, since its POSITION: it may have been an old one */
  uint64_t sent, acked;
  uint64_t commit_sent;
  uint64_t bytes_sent, bytes_acked; /* since it follows */
  uint64_t proposed_bytes;          /* the replicator's, when the log was last sent */
  int64_t waiting_since_ns;
} replicator_peer_t;

/* An operation that is to be proposed again. */
typedef struct replicator_again {
  struct replicator_again *next;
  replica_op_t op;
  replica_element_t elements[]; /* and behind them the bytes they point to */
} replicator_again_t;

/* Primary: something prepared is being dropped everywhere. */
typedef struct replicator_cut {
  bool under_way;
  vesta_token_t session; /* whose operation it was */
  uint64_t request;
  vesta_err_t err;
  uint32_t element;
  replicator_again_t *again, **again_last;
} replicator_cut_t;

/* What a message is put together in, and read into. */
struct replicator_scratch {
  uint8_t *payload;
  uint64_t payload_capacity;
  wire_element_t elements[REPLICATOR_ELEMENTS_MAX + 1];
  const uint8_t *sources[REPLICATOR_CHUNK_ELEMENTS_MAX]; /* of a chunk: where its elements' data is */
  vesta_token_t tokens[REPLICATOR_TOKENS_MAX];           /* that elements point to */
  uint8_t ids[REPLICATOR_TOKENS_MAX][sizeof(vesta_token_t) + REPLICA_GENERATED_ID_BYTES_MAX];
  replica_element_t read[VESTA_VECTOR_ELEMENTS_MAX];
};

/* Copy: state is being fetched. */
typedef struct replicator_fetch {
  replica_t *shadow; /* NULL: none is under way */
  bool wanted;
  bool diverged;       /* the replica that is there is no part of the primary's history */
  bool anew;           /* or it is, but to take it over did not go */
  bool from_old;       /* what is there is taken over first, piece by piece */
  uint64_t old_cursor; /* how far that is */
  vesta_pos_t base;    /* what comes is what changed since; epoch 0: everything */
  vesta_pos_t first;   /* where the primary was when this pass began */
  uint64_t cursor, pass;
  uint64_t asked;      /* the cursor that was asked for last: it may be ahead of what has come */
  uint64_t newest_seq; /* where the primary was when it sent what was taken last: nothing older is */
  uint64_t tombstones_from;
  bool full; /* ids that are not named in this pass go */
  int64_t heard_ns, retry_ns;
  vesta_epoch_row_t epochs[VESTA_EPOCHS_MAX];
  uint32_t epoch_count;
} replicator_fetch_t;

/* The content of corrupted sections is asked for. */
typedef struct replicator_restore {
  uint32_t whom;    /* primary: the copy that is asked in this round */
  int64_t again_ns; /* when to look for more; INT64_MAX: there are none */
  uint32_t slot;    /* how far this round is */
  bool found;       /* some in this round */
} replicator_restore_t;

struct replicator {
  replicator_sink_t sink;
  uint32_t node;
  uint64_t checkpoint;
  replica_t *replica;
  replicator_config_t config;
  /* primary */
  replicator_peer_t peers[VESTA_REPLICAS_MAX];
  uint32_t peer_count;
  uint64_t generation;
  replicator_cut_t cut;
  uint64_t proposed_bytes; /* about, in all */
  replicator_scratch_t *scratch;
  /* copy */
  bool leaving;                   /* it only asks whether what it has is known */
  bool following, ack_due, stuck; /* stuck: something could not be prepared; until a CUT */
  int64_t moved_ns;               /* when operations came last */
  uint64_t copy_generation;
  uint64_t log_bytes;  /* as the primary counts them */
  uint64_t stint;      /* of the POSITION said last: what answers another one is not for us */
  uint64_t ticket;     /* of the pass that is being fetched */
  int64_t position_ns; /* when to say it again */
  replicator_fetch_t fetch;
  replicator_restore_t restore;
};

static inline bool replicator_is_primary(const replicator_t *r) {
  return r->config.primary == r->node && r->replica != NULL;
}

/** A message about this checkpoint in this epoch. */
wire_message_t replicator_message(const replicator_t *replicator, enum wire_kind kind);
/** Commit up to there, and say so. */
void replicator_commit(replicator_t *replicator, uint64_t seq);

/* ---- replicator_records.c ---- */

/** Room for what a message is put together in. @return false: no memory */
bool replicator_room(replicator_t *replicator, uint64_t payload_bytes);
/**
 * Records from `seq` on as elements and payload, as many as fit, at least one.
 * @param[out] count   records  @param[out] bytes  of their data, and what they cost besides
 * @return false: no memory, or the log does not have it
 */
bool replicator_records_write(replicator_t *replicator, uint64_t seq, uint64_t last, wire_message_t *message,
                              vesta_bytes_t *payload, uint32_t *count, uint64_t *bytes);

/* Reading them back, one operation at a time. */
typedef struct replicator_records {
  const wire_message_t *message;
  vesta_bytes_t payload;
  uint32_t element;
  uint64_t offset;             /* in the payload */
  uint64_t epoch, seq;         /* of the operation read last */
  replica_element_t *elements; /* its; the caller's array of VESTA_VECTOR_ELEMENTS_MAX */
} replicator_records_t;
/** @return OK; NOT_EXIST after the last; MALFORMED */
vesta_err_t replicator_records_next(replicator_records_t *records, replica_op_t *op);

/** A copy of a record of the own log. @return NULL: no memory */
replicator_again_t *replicator_again_new(const replica_t *replica, uint64_t seq);

/* ---- replicator_primary.c ---- */
replicator_peer_t *replicator_peer(replicator_t *replicator, uint32_t node);
void replicator_primary_configure(replicator_t *replicator, int64_t now_ns);
void replicator_primary_end(replicator_t *replicator);
/** It is primary in a new epoch: everybody says where it is. */
void replicator_primary_again(replicator_t *replicator);
/** Send a copy what it may have of the log now. */
void replicator_peer_flush(replicator_t *replicator, replicator_peer_t *peer, int64_t now_ns);
void replicator_position(replicator_t *replicator, uint32_t from, const wire_message_t *message, int64_t now_ns);
void replicator_ack(replicator_t *replicator, uint32_t from, const wire_message_t *message, int64_t now_ns);
void replicator_nack(replicator_t *replicator, uint32_t from, const wire_message_t *message, int64_t now_ns);
void replicator_primary_flush(replicator_t *replicator, int64_t now_ns);

/* ---- replicator_copy.c ---- */
void replicator_log(replicator_t *replicator, const wire_message_t *message, vesta_bytes_t payload, int64_t now_ns);
void replicator_cut(replicator_t *replicator, const wire_message_t *message, int64_t now_ns);
void replicator_copy_flush(replicator_t *replicator);
void replicator_say_position(replicator_t *replicator, int64_t now_ns);

/* ---- replicator_transfer.c ---- */
void replicator_fetch_begin(replicator_t *replicator, bool diverged, int64_t now_ns);
void replicator_fetch_end(replicator_t *replicator);
/** There is a new link to the primary: what it was asked for does not come any more. */
void replicator_fetch_up(replicator_t *replicator, int64_t now_ns);
void replicator_fetch_time(replicator_t *replicator, int64_t now_ns);
void replicator_fetch_asked(replicator_t *replicator, uint32_t from, const wire_message_t *message, int64_t now_ns);
void replicator_chunk(replicator_t *replicator, const wire_message_t *message, vesta_bytes_t payload, int64_t now_ns);

/* ---- replicator_restore.c ---- */
/** There may be corrupted sections. */
void replicator_restore_begin(replicator_t *replicator);
void replicator_restore_time(replicator_t *replicator, int64_t now_ns);
void replicator_restore_asked(replicator_t *replicator, uint32_t from, const wire_message_t *message);
void replicator_restored(replicator_t *replicator, const wire_message_t *chunk, vesta_bytes_t payload, int64_t now_ns);

#endif
