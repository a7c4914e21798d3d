/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The order: one history of operations that all nodes of a cluster agree on.
 *
 *     propose --> multicast --> delivered, kept, journalled, acknowledged --> stable --> the owner applies it
 *
 * Group communication delivers to the members of a view the same messages in the same order, but says nothing of who
 * else has got them: a node may be the only one left that saw a message. So an operation counts only when it is
 * *stable*: when so many members of the activated view have said that they keep it that no later view can be activated
 * without one of them. Nothing outside learns of it before that.
 *
 * The order does not know what the operations mean. It is a pure state machine; its owner (the node director) hands it
 * events and carries out what it asks for through a sink of callbacks.
 *
 * ---- words ----
 *
 *   ring      the number of a configuration of the group's engine. Several views may have one ring: processes join and
 *             leave within it.
 *   view      a ring and the members that are in the group.
 *   usable    a view for whose ring quorum was said, by this node's own quorum service, and which has a majority of the
 *             nodes that are expected; or just half of them while all others are known dead (or the policy is trust).
 *   term      the number of an activated view. Terms rise for ever; they don't depend on ring numbers, which the engine
 *             may lose and begin again.
 *   index     the place of an operation in the history, from 1, dense, for ever.
 *   digest    of the history up to an index: two nodes with the same index and digest have the same history.
 *
 * ---- what a node goes through in a view ----
 *
 *   state   | entered                                | does                                 | left when
 *   --------+----------------------------------------+--------------------------------------+--------------------------
 *   IDLE    | at start; a view comes                 | hears the others' STATE              | the view is usable: INIT
 *   INIT    | multicasts STATE: what it has          | waits for the STATE of every member, | participants are agreed
 *           |                                        | or CLOSE 1 when some are silent; and | on: SYNC; not among them:
 *           |                                        | until those heard have all there may | OUT
 *           |                                        | be (`waiting`)                       |
 *   SYNC    | all know participants, source and term | gets what it lacks from the source,  | all are synced, or
 *           |                                        | into a shadow; promises the term     | CLOSE 2: ACTIVE, or OUT
 *           |                                        | (journal); multicasts SYNCED         |
 *   ACTIVE  | the shadow is swapped in; the term and | proposes, acknowledges, beats        |
 *           | the participants are journalled        |                                      |
 *   OUT     | it was too late, or fell out           | goes on fetching what it lacks, then | a view comes
 *           |                                        | asks to leave and join again         |
 *   any     | a view comes                           | the shadow is thrown away            | IDLE
 *
 * The four steps of a synchronisation: init (STATE), process (what order_sync.c computes from the STATEs), abort (a view
 * comes before activation), activate.
 *
 * All decisions are made at the delivery of a message, from what was delivered before: so all members that get so far
 * make the same. Where a decision rests on what one node alone knows (quorum, who is dead) that node's STATE says so.
 *
 * ---- why nothing stable is lost ----
 *
 *   1. An operation is stable in term t when `needed` participants have acknowledged its index within that view. An
 *      acknowledgement is delivered in the view it was sent in, or dropped; and who has moved on to another view, told
 *      by its STATE there, acknowledges nothing in the old one.
 *   2. A view is activated only with as many synced participants as meet every such set: a majority of the expected
 *      nodes, each with its state; or just half of them, when no majority can exist without them (see order_sync.c).
 *   3. Its source is the participant with the highest (term, index). The term of an activated view is higher than any
 *      that a majority has promised before, and a promise is journalled before SYNCED is said. So by (1) and (2) one
 *      participant has the operation, its term is t or higher, and whoever is of a higher term has it by induction.
 *   4. Within one term histories are prefixes of each other, but for a tail that nobody else acknowledged: when a ring
 *      breaks, the engine delivers what it has past a hole. Two such tails have different digests, and who has another
 *      one than the source takes the source's.
 *
 * Each proposal has (proposer, incarnation, number); they are taken in without a gap and once. What was delivered last of
 * each node is part of the history's state, so that a proposal which is sent again after a view change is not taken twice.
 *
 * ---- leases ----
 *
 * A participant multicasts a beat every ORDER_BEAT_NS, naming the beats it has seen. When `needed` participants have
 * named one of mine I may serve reads until ORDER_LEASE_NS after I sent it. Whoever delivered a beat knows until when its
 * sender may at most; the STATEs of a view exchange that, and any activated view has one of those who named the beat.
 * Within a view a participant may renew its lease until it applies what ends it: what was delivered stable here at time
 * T is applied there, or its lease has run out, at T + ORDER_LEASE_NS.
 *
 * ---- memory ----
 *
 * What a delivered operation takes is allocated when it is delivered. When there is none the node falls out of the group
 * (OUT) with the history it has, and joins again later. Whatever else finds no memory is tried again.
 */
#ifndef VESTA_CORE_ORDER_H
#define VESTA_CORE_ORDER_H

#include "core/error.h"
#include "core/limits.h"
#include "core/types.h"
#include "core/wire.h"

#define ORDER_BEAT_NS INT64_C(100000000)         /* a participant says that it lives this often */
#define ORDER_LEASE_NS INT64_C(500000000)        /* reads are served so long after a beat that was heard */
#define ORDER_SILENT_NS INT64_C(2000000000)      /* who said nothing of its state by then is gone on without */
#define ORDER_SYNC_NS INT64_C(5000000000)        /* the same for who has not got the state */
#define ORDER_ASK_NS INT64_C(250000000)          /* a part of the state that did not come is asked for again */
#define ORDER_RETRY_NS INT64_C(100000000)        /* what found no memory is tried again */
#define ORDER_REJOIN_NS INT64_C(1000000000)      /* who is out waits so long before it joins again; doubled each time */
#define ORDER_REJOIN_NS_MAX INT64_C(32000000000) /* up to this */
#define ORDER_CHUNK_BYTES (256U << 10)           /* about so much of the state in one message */

/* A ring of the group's engine. */
typedef struct order_ring {
  uint64_t seq; /* 0: none */
  uint32_t node;
} order_ring_t;

static inline bool order_ring_equal(order_ring_t a, order_ring_t b) { return a.seq == b.seq && a.node == b.node; }

typedef enum order_state {
  ORDER_IDLE = 0,
  ORDER_INIT = 1,
  ORDER_SYNC = 2,
  ORDER_ACTIVE = 3,
  ORDER_OUT = 4,
} order_state_t;

/**
 * What the order asks its owner to do. All are called from within the functions below, in the order in which they are to
 * take effect: what is journalled before a multicast must be in the journal before the multicast leaves. They may call the
 * getters, order_snapshot() and order_propose(), nothing else. Messages and payloads live until the callback returns.
 */
typedef struct order_sink {
  void *context;
  /* Send to the group, own delivery included; in the order of the calls. Tried again by the owner while the engine is
   * busy; may be dropped only when a view comes. */
  void (*multicast)(void *context, const wire_message_t *message);
  /* Send to one node over the link between the two. May be lost. */
  void (*peer)(void *context, uint32_t to, const wire_message_t *message, vesta_bytes_t payload);
  /* Append to the journal: an operation (order_index is set) or an OP_VIEW. Where that fails order_fall_out() is due, and
   * nothing that was to be multicast or journalled after it may be. */
  void (*journal)(void *context, const wire_message_t *row);
  /* Apply an operation, for good. Its `proposer`, `incarnation` and `proposal` say whose it is. @return false: no memory,
   * nothing was done; it is called again later, with the same one */
  bool (*stable)(void *context, const wire_message_t *op, uint64_t index);
  /* Write the directory down, as of the last operation that stable() took. @return what emit returned last */
  bool (*snapshot)(void *context, bool (*emit)(void *to, const wire_message_t *row), void *to);
  /* Another directory comes, row by row: into a shadow, empty at first. @return false: no memory, tried again later */
  bool (*adopt_begin)(void *context);
  /* @return OK; NO_MEMORY: tried again from the beginning; MALFORMED: the same, counted */
  vesta_err_t (*adopt_row)(void *context, const wire_message_t *row);
  /* It is complete and takes the place of the directory. The journal is to be written anew: the directory's rows, then
   * those of order_snapshot(). `apart`: both halves of the nodes went on (ORDER_TRUST), and what this one has ordered
   * meanwhile is no part of it. */
  void (*adopt_end)(void *context, bool apart);
  /* Throw the shadow away. Only after adopt_begin(). */
  void (*adopt_abort)(void *context);
  /* An own proposal that has its effect in the directory that was adopted: stable() is never called for it. */
  void (*absorbed)(void *context, const wire_message_t *op);
  /* A view is activated: term, participants and so on are in the getters. */
  void (*activated)(void *context);
  /* It is no more, or quorum is lost: nothing becomes stable until activated() or (in the same view) resumed(). */
  void (*suspended)(void *context);
  void (*resumed)(void *context);
  /* Leave the group and join it again: this node can't take part in the view. When a journal row could not be written the
   * journal is to be written anew in between (rows as after adopt_end), or the node must not join. */
  void (*rejoin)(void *context);
} order_sink_t;

typedef enum order_policy {
  ORDER_STOP,  /* half of the nodes go on only when the others are known to be dead */
  ORDER_TRUST, /* they go on: whoever set this says that a cut can't happen, or does not matter */
} order_policy_t;

typedef struct order_config {
  uint32_t node_id;     /* not 0 */
  uint64_t incarnation; /* of this life: higher than that of any earlier one (the wall clock at start, say); not 0 */
  uint64_t random;      /* fresh random bits, not 0: the id of a cluster that begins here */
  order_policy_t policy;
  uint32_t version_min, version_max; /* minor numbers of the protocol this program can speak */
  order_sink_t sink;                 /* copied; its context outlives the order */
} order_config_t;

typedef struct order order_t;

/** @return OK; NO_MEMORY */
vesta_err_t order_new(const order_config_t *config, order_t **out);
void order_destroy(order_t **order);

/**
 * At start, before order_start(): one row of the journal, in its order: an OP_VIEW, or an operation with `order_index`.
 * Operations that are known to be stable go to sink.stable(), others are kept.
 * @return OK; MALFORMED when it makes no sense after those before it; NO_MEMORY
 */
vesta_err_t order_restore(order_t *order, const wire_message_t *row);

/**
 * The journal is read, life begins.
 * @param has_directory   the directory is not empty although no OP_VIEW was restored: the node was alone until now. A
 *                        cluster that begins with this node begins with what it has.
 */
void order_start(order_t *order, bool has_directory, int64_t now_ns);

/* ---- events. `now_ns`: steady (CLOCK_BOOTTIME), never goes back. None of them fails. ---- */

/** The group has these members now (node ids, each once, this node among them), in this ring. More than
 *  VESTA_NODES_MAX: the view is never usable. */
void order_view(order_t *order, order_ring_t ring, const uint32_t *members, uint32_t count, int64_t now_ns);
/** The quorum service says so of a ring. `expected`: nodes configured, at least 1. */
void order_quorum(order_t *order, order_ring_t ring, bool quorate, uint32_t expected, int64_t now_ns);
/**
 * This node is known to be dead: whatever ran there when it was last seen does no more. Forgotten when it is in a view
 * again. A qdevice's vote is not that: it lets a half go on that may not have the latest state.
 */
void order_fenced(order_t *order, uint32_t node, int64_t now_ns);
/** A message of the group, from `from`. Others than GROUP_... and proposals are left alone. */
void order_deliver(order_t *order, uint32_t from, const wire_message_t *message, int64_t now_ns);
/** A PEER_DIRECTORY_GET or PEER_DIRECTORY from a node. Others are left alone. */
void order_peer(order_t *order, uint32_t from, const wire_message_t *message, vesta_bytes_t payload, int64_t now_ns);
/** The time of order_wake_ns() has come, or later. */
void order_time(order_t *order, int64_t now_ns);
/** The end of a step: say what was delivered. */
void order_flush(order_t *order, int64_t now_ns);
/** A delivered message could not be decoded, or a row not be journalled: take part in no view until sink.rejoin() was
 *  asked for and done. */
void order_fall_out(order_t *order, int64_t now_ns);

/** When order_time() is due, steady; INT64_MAX: not at all. */
int64_t order_wake_ns(const order_t *order);

/**
 * Have an operation ordered. It is copied, multicast in this view or a later one, and handed to sink.stable() once; or to
 * sink.absorbed(); or forgotten when this order is destroyed.
 * @return OK; TRY_AGAIN when VESTA_PROPOSALS_MAX of them, or VESTA_PROPOSALS_BYTES_MAX, wait; NO_MEMORY
 */
vesta_err_t order_propose(order_t *order, const wire_message_t *op, int64_t now_ns);

/** Is an operation of that session's request among the own proposals that are not stable yet? */
bool order_proposes(const order_t *order, vesta_token_t session, uint64_t number);

/** The rows that order_restore() takes, as of now, to stand after the directory's rows: for a journal written anew.
 *  @return what emit returned last */
bool order_snapshot(const order_t *order, bool (*emit)(void *to, const wire_message_t *row), void *to);

/* ---- how it is ---- */

order_state_t order_state(const order_t *order);
/** ACTIVE, and quorum holds. */
bool order_usable(const order_t *order);
/** The quorum service says so of the view that is there. */
bool order_quorate(const order_t *order);
/** The view, activated or not. */
order_ring_t order_view_ring(const order_t *order);
uint64_t order_term(const order_t *order);    /* of the last activated view; 0: never */
uint64_t order_cluster(const order_t *order); /* id of the history; 0: none yet */
/** Of this life: what an own operation says that was proposed in it. */
uint64_t order_incarnation(const order_t *order);
uint64_t order_index(const order_t *order);  /* delivered */
uint64_t order_stable(const order_t *order); /* applied here */
/** Of the activated view, ascending. Valid until the next event. */
const uint32_t *order_participants(const order_t *order, uint32_t *count);
bool order_participates(const order_t *order, uint32_t node);
/** The lowest participant: it orders what must be ordered by one. 0: there is no usable view. */
uint32_t order_coordinator(const order_t *order);
/** Expected nodes that the order waits for although the view has quorum, because they may know more: 0 for none. */
uint32_t order_waiting(const order_t *order);
uint32_t order_expected(const order_t *order);
/** The minor version that the group speaks; version_max before the first activation. */
uint32_t order_version(const order_t *order);
/** This program is too old or too new for the group: it stays out of it. */
bool order_refused(const order_t *order);

/** Until when this node may serve reads, steady; 0: not. */
int64_t order_lease_ns(const order_t *order);
/** Until when that one may at most: it surely does not after that, unless it becomes a participant again. For a
 *  participant of the activated view now_ns + ORDER_LEASE_NS (see above: leases). */
int64_t order_node_lease_ns(const order_t *order, uint32_t node, int64_t now_ns);

/** When the last beat of a node was delivered here, steady; 0: none was, or not for long. */
int64_t order_heard_ns(const order_t *order, uint32_t node);

/* Counters. name, text */
/* clang-format off */
#define ORDER_COUNTERS(X)                                                     \
  X(VIEWS, "views of the group")                                              \
  X(ACTIVATED, "of these, activated")                                         \
  X(ABORTED, "synchronisations given up because of a new view")               \
  X(CLOSED, "waits for silent members that were closed")                      \
  X(DELIVERED, "operations delivered")                                        \
  X(STABLE, "operations stable")                                              \
  X(REPEATED, "proposals that were known already, or came out of turn")       \
  X(FOREIGN, "messages of another view, dropped")                             \
  X(PROPOSALS_REFUSED, "proposals refused, limit of those that wait")         \
  X(UNSTABLE_FULL, "proposals put off, limit of unstable operations")         \
  X(FETCHED, "times that the whole directory was fetched")                    \
  X(FETCHED_TAIL, "times that the last operations were enough")               \
  X(DIVERGED, "times that own unstable operations were replaced")             \
  X(CHUNKS_AGAIN, "parts of a state that were asked for again")               \
  X(SNAPSHOTS_REFUSED, "states not written out for others, no memory or limit") \
  X(NO_MEMORY, "times that memory was short")                                 \
  X(FALLEN_OUT, "times that this node fell out of a view")                    \
  X(REJOINED, "times that it left and joined again")                          \
  X(MALFORMED, "messages or rows that made no sense")                         \
  X(NODES_REFUSED, "views or nodes refused, limit of nodes")
/* clang-format on */

typedef enum order_counter {
#define ORDER_COUNTER_ENUM(name, text) ORDER_COUNTER_##name,
  ORDER_COUNTERS(ORDER_COUNTER_ENUM)
#undef ORDER_COUNTER_ENUM
      ORDER_COUNTER_COUNT
} order_counter_t;
uint64_t order_counter(const order_t *order, order_counter_t counter);

#endif
