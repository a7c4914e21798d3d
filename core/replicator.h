/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Keeps the replica of one checkpoint here in step with those on other nodes.
 *
 * One of them, the *primary*, gives every operation its number; its log is what the others follow. Which one that is,
 * in which epoch, and who has to follow, is said from outside (replicator_configure()) by whoever reads the directory.
 *
 *     primary                                          another replica ("copy")
 *                       <--- POSITION -----------      what it has: committed, and what is prepared beyond
 *     knows it again    ---- CUT ---------------->     drops what the primary does not have
 *     its log           ---- LOG, commit --------->    prepares, commits as far as it is told
 *                       <--- ACK -----------------     how far it has come
 *     can't be taken    <--- NACK ----------------
 *     drops it itself   ---- CUT ---------------->     and everybody drops it, before the caller hears of it
 *                       <--- FETCH ---------------     what it has is no part of the log any more
 *     its state         ---- CHUNK -------------->     into a replica of its own, which then takes the old one's place
 *                       <--- FETCH, ids ----------     sections that are corrupted: it went on without an operation
 *     their content     ---- CHUNK -------------->     for those that it has not been told anything newer of
 *
 * Synchronous (ALL_REPLICAS): an operation is committed when every required copy has prepared it. Otherwise the primary
 * commits at once. A primary that is new commits nothing, in either mode, before the required copies have what it has:
 * the old one has stopped then.
 *
 *   copy      | event                                       | next
 *   ----------+---------------------------------------------+----------------------------------------------------
 *   UNKNOWN   | POSITION that the log continues             | FOLLOWING: CUT, then LOG
 *             | POSITION that it does not                   | UNKNOWN: CUT says LOST or DIVERGED, and it FETCHes
 *   FOLLOWING | POSITION (its link broke, it was restarted) | judged anew
 *             | the link goes, the epoch changes            | UNKNOWN
 *
 * Messages may be lost with their link and come late; each names its epoch and generation (of cuts), and what does not
 * fit is answered with a POSITION, from which everything begins again. Nothing else is ever repeated.
 *
 * Pure: what is to be done goes to the sink, at once and in order.
 */
#ifndef VESTA_CORE_REPLICATOR_H
#define VESTA_CORE_REPLICATOR_H

#include "core/replica.h"
#include "core/wire.h"

typedef struct replicator replicator_t;

#define REPLICATOR_WINDOW_BYTES (8ULL << 20)  /* sent to a copy and not acknowledged, past one operation */
#define REPLICATOR_MESSAGE_BYTES (256U << 10) /* about so much data in one message, past one operation */
#define REPLICATOR_HELD_BYTES (64U << 10) /* asynchronous operations that wait until what went before is acknowledged */
#define REPLICATOR_TRAIN_BYTES (2U << 20) /* state that goes out in one step; a copy has two such under way */
#define REPLICATOR_POSITION_NS INT64_C(1000000000) /* a copy that does not follow says so again after this time */

typedef struct replicator_sink {
  void *context;
  /* To a node. What it points to is used before the sink returns. Lost when there is no link: replicator_peer_up(). */
  void (*send)(void *context, uint32_t node, const wire_message_t *message, vesta_bytes_t payload);
  /* These operations of the replica here were committed, whoever is primary. */
  void (*committed)(void *context, uint64_t first_seq, uint64_t last_seq);
  /* Primary: this client's operation, which was prepared, is dropped everywhere. */
  void (*refused)(void *context, vesta_token_t session, uint64_t request, vesta_err_t err, uint32_t element);
  /* Primary: a copy has all that was committed when it began to follow, or was invited while it did; since then it
   * counts as required, if it is wanted so. Once for each replicator_invite(), while the epoch lasts. */
  void (*caught_up)(void *context, uint32_t node);
  /* Primary: a copy can't go on: it could not even note that it can't apply something, or it can't take an operation
   * that is no client's. */
  void (*failed)(void *context, uint32_t node);
  /* Copy: make an empty replica of this checkpoint beside the one that is there. OK; NO_SPACE, NO_MEMORY,
   * NO_RESOURCES */
  vesta_err_t (*shadow_new)(void *context, replica_t **out);
  /* Copy: it takes the place of the old one (if there is one), which is kept aside when it has diverged. */
  void (*shadow_swap)(void *context, replica_t *shadow, bool diverged);
  /* Copy: that which replicator_leave() asked about is part of the primary's history, or has diverged. */
  void (*judged)(void *context, bool diverged);
  /* Copy: it is not needed. */
  void (*shadow_drop)(void *context, replica_t *shadow);
} replicator_sink_t;

/* A node that holds, or is to hold, a replica. */
typedef struct replicator_member {
  uint32_t node;
  bool required; /* in sync: nothing synchronous is committed without it */
} replicator_member_t;

typedef struct replicator_config {
  uint64_t epoch;
  uint32_t primary; /* 0: none now */
  bool synchronous;
  bool held; /* synchronous: nothing is committed for now; somebody who is required no more may still be read */
  replicator_member_t members[VESTA_REPLICAS_MAX];
  uint32_t member_count;
} replicator_config_t;

/* Memory that all replicators of a node put their messages together in. */
typedef struct replicator_scratch replicator_scratch_t;
/** @return NULL: no memory */
replicator_scratch_t *replicator_scratch_new(void);
void replicator_scratch_destroy(replicator_scratch_t **scratch);

/** @param replica  NULL: none yet, it will be fetched. Stays the caller's. @return OK; NO_MEMORY */
vesta_err_t replicator_new(const replicator_sink_t *sink, replicator_scratch_t *scratch, uint32_t node,
                           uint64_t checkpoint, replica_t *replica, replicator_t **out);
void replicator_destroy(replicator_t **replicator);

/** What the directory says now. Operations that were under way stay under way. */
void replicator_configure(replicator_t *replicator, const replicator_config_t *config, int64_t now_ns);
/** There is a link to that node, a new one. */
void replicator_peer_up(replicator_t *replicator, uint32_t node, int64_t now_ns);
/** Primary: that node, which holds no replica or is no required one, is to become one. It counts as required, if
 *  `required`, from when it follows and was heard: before that it has nothing that could be lost.
 *  @return OK; NO_RESOURCES: not the primary, or there are as many copies as can be */
vesta_err_t replicator_invite(replicator_t *replicator, uint32_t node, bool required);
/** Primary: never mind. */
void replicator_uninvite(replicator_t *replicator, uint32_t node);

/** Copy: nobody needs the replica here any more; ask the primary, until sink.judged(), if it has what is in it. Or
 *  after all it is needed. */
void replicator_leave(replicator_t *replicator, bool leaves, int64_t now_ns);

/** Is this replica the primary, and is the operation that begins its epoch committed? Only then may it serve. */
bool replicator_serves(const replicator_t *replicator);
/** Copy: does it follow its primary, as far as it knows, so that it is told what is committed? */
bool replicator_follows(const replicator_t *replicator);
/** Copy: does it follow, and have no operations come since then? Then it has all there are, as far as it can know. */
bool replicator_is_still(const replicator_t *replicator, int64_t since_ns);

/**
 * Primary: a new operation. It may be committed when this returns (sink.committed came), or later, or be refused later.
 * @return OK; BAD_OPERATION: not the primary; what replica_prepare() says: TRY_AGAIN also while a cut is under way
 */
vesta_err_t replicator_propose(replicator_t *replicator, const replica_op_t *op, replica_result_t *result);
/** Copy: the primary has answered a client that the operation of this epoch and seq is committed. */
void replicator_told(replicator_t *replicator, uint64_t epoch, uint64_t seq);
/** Has every required copy prepared what is `seq` or before? */
bool replicator_everywhere(const replicator_t *replicator, uint64_t seq);
/** Is a client's operation prepared and not committed? */
bool replicator_in_flight(const replicator_t *replicator, vesta_token_t session, uint64_t request);

/** A message from another node about this checkpoint. What does not fit, or is nonsense, is ignored or answered with a
 *  POSITION. */
void replicator_receive(replicator_t *replicator, uint32_t from, const wire_message_t *message, vesta_bytes_t payload,
                        int64_t now_ns);
/** At the end of a step: send what has gathered. */
void replicator_flush(replicator_t *replicator, int64_t now_ns);
/** Time has passed. */
void replicator_time(replicator_t *replicator, int64_t now_ns);
int64_t replicator_wake_ns(const replicator_t *replicator);

/* For people: how far a copy has come. */
typedef struct replicator_copy_status {
  bool following, required;
  uint64_t acked;
  uint64_t has;             /* of what is committed */
  int64_t waiting_since_ns; /* it has been owing an acknowledgement since; 0: it does not */
} replicator_copy_status_t;
/** False: no such copy, or not the primary. */
bool replicator_copy(const replicator_t *replicator, uint32_t node, replicator_copy_status_t *status);

#endif
