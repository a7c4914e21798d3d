/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The order's inside, shared by its files:
 *
 *   order.c          life, events, time; proposals
 *   order_deliver.c  operations and acknowledgements delivered: what is stable; beats and leases
 *   order_sync.c     a view from its beginning to its activation: who takes part, from whom the state is taken
 *   order_fetch.c    the state on its way from the source to who lacks it
 *   order_history.c  the operations that are kept
 *   order_rows.c     what is written to the journal and read from it
 */
#ifndef VESTA_CORE_ORDER_STATE_H
#define VESTA_CORE_ORDER_STATE_H

#include "core/order.h"
#include "core/planted.h"

#define ORDER_PROPOSERS_MAX 256U /* nodes whose last proposal is remembered: node ids of a cluster's whole life */
#define ORDER_BEATS_KEPT 16U     /* own beats whose time of sending is known */

/* ---- order_history.c: operations first .. last, each with the digest of the history up to it ---- */

#define ORDER_HISTORY_SLOTS 16384U

typedef struct order_op {
  wire_message_t *message; /* owned */
  size_t bytes;
  uint64_t digest;
} order_op_t;

typedef struct order_history {
  order_op_t slots[ORDER_HISTORY_SLOTS]; /* by index */
  uint64_t first, last;                  /* last == first - 1: none */
  uint64_t base_digest;                  /* up to first - 1 */
  size_t bytes;
} order_history_t;

static_assert(ORDER_HISTORY_SLOTS >= VESTA_ORDER_HISTORY_MAX + 2 * VESTA_UNSTABLE_MAX,
              "what is kept for others and what is not applied yet have room");
static_assert((ORDER_HISTORY_SLOTS & (ORDER_HISTORY_SLOTS - 1)) == 0, "an index finds its slot by a mask");

/* Empty, from the index after `index` on. */
void order_history_begin(order_history_t *history, uint64_t index, uint64_t digest);
void order_history_clear(order_history_t *history); /* what `begin` made; zeroed memory is fine too */
bool order_history_full(const order_history_t *history);
/* Append a copy; its order_index is set. @return false: no memory */
bool order_history_append(order_history_t *history, const wire_message_t *op);
/* Append an operation of another history, which has it no more. */
void order_history_move(order_history_t *history, order_op_t *from);
/* The one at an index that is kept. */
const order_op_t *order_history_at(const order_history_t *history, uint64_t index);
/* The digest up to an index. @return false: not known any more, or not yet */
bool order_history_digest(const order_history_t *history, uint64_t index, uint64_t *digest);
uint64_t order_history_digest_last(const order_history_t *history);
/* Drop the oldest of those up to `applied` until the rest is within its limits. */
void order_history_trim(order_history_t *history, uint64_t applied);
/* Drop the oldest of those up to `applied` until no more than so many are left. */
void order_history_trim_to(order_history_t *history, uint64_t applied, uint64_t count);

/* ---- who has proposed what last ---- */

typedef struct order_proposer {
  uint32_t node;
  uint64_t incarnation;
  uint64_t proposal; /* the last one that was taken in */
} order_proposer_t;

typedef struct order_proposers {
  order_proposer_t rows[ORDER_PROPOSERS_MAX]; /* in the order in which they came */
  uint32_t count;
} order_proposers_t;

order_proposer_t *order_proposer(order_proposers_t *proposers, uint32_t node);
/* The same, made if it is not there. NULL: there is no room. */
order_proposer_t *order_proposer_add(order_proposers_t *proposers, uint32_t node);

/* ---- a view ---- */

typedef struct order_member {
  uint32_t node;
  /* its STATE */
  bool told;
  uint32_t flags; /* WIRE_STATE_... */
  uint64_t incarnation, cluster, term, promised, index, digest, stable;
  uint32_t expected, version_min, version_max;
  /* agreed on */
  bool participant;
  bool synced;
  /* in the activated view */
  uint64_t acked; /* 0: nothing yet */
  uint64_t beat;  /* its last one that was delivered here */
  uint64_t named; /* the last one of this node that it has named */
} order_member_t;

typedef struct order_view {
  order_ring_t ring; /* seq 0: there is none */
  order_member_t members[VESTA_NODES_MAX];
  uint32_t count;
  uint64_t hash; /* of the members */
  bool too_many; /* more than there is room for: never usable */
  bool told;     /* this node's STATE was sent */
  bool closed;   /* who is silent is gone on without */
  bool agreed;   /* what follows is known */
  bool activated;
  uint64_t term, cluster;
  uint32_t source; /* node */
  uint32_t expected, needed;
  uint32_t version;
  uint64_t stable; /* known to be so when it is activated */
  uint32_t waiting;
  int64_t close_ns; /* when to close what is waited for */
} order_view_t;

/* What is fetched from a source. */
typedef enum order_fetch_mode { FETCH_NONE, FETCH_ASKING, FETCH_WHOLE, FETCH_TAIL, FETCH_DONE } order_fetch_mode_t;

typedef struct order_fetch {
  order_fetch_mode_t mode;
  bool whole; /* DONE: of WHOLE */
  bool apart; /* the source was not in the view that was activated last here, which was of just half of the nodes */
  uint32_t source;
  uint64_t cluster, term, index, digest; /* what the source had told */
  uint64_t stamp;                        /* WHOLE: of the source's written state */
  uint64_t cursor;
  int64_t ask_ns;           /* INT64_MAX: not asked for now */
  bool adopting;            /* the owner's shadow is begun */
  bool based;               /* WHOLE: the OP_VIEW has come */
  order_history_t *history; /* NULL: not begun */
  order_proposers_t proposers;
} order_fetch_t;

/* The state written out for others. */
typedef struct order_written {
  uint64_t cluster, term, index; /* as of when */
  uint64_t stamp;                /* another one each time; 0: there is none */
  int64_t until_ns;              /* kept so long */
  uint8_t *bytes;
  size_t size, capacity;
  size_t *ends; /* of chunks */
  size_t chunks, chunks_capacity;
  bool failed;
} order_written_t;

typedef struct order_pending {
  struct order_pending *next;
  wire_message_t *op; /* owned */
  size_t bytes;
  uint64_t number;
} order_pending_t;

typedef struct order_heard {
  uint32_t node;
  int64_t until_ns; /* its lease, at most */
} order_heard_t;

struct order {
  order_config_t config;
  uint64_t incarnation;
  bool started;
  bool restored; /* a row was */
  bool has_directory;
  bool live; /* has activated a view */
  order_state_t state;
  int64_t now_ns;
  wire_decoder_t *decoder;

  /* kept, also in the journal */
  uint64_t cluster, term, promised;
  order_ring_t ring; /* of the view activated last */
  uint32_t participants[VESTA_NODES_MAX];
  uint32_t participant_count;
  order_proposers_t proposers;
  order_history_t *history;
  uint64_t stable;  /* known to be */
  uint64_t applied; /* of these, taken by the owner */
  uint32_t version;

  order_view_t view;
  bool quorate;
  order_ring_t quorum_ring;
  uint32_t expected;
  uint32_t dead[VESTA_NODES_MAX];
  uint32_t dead_count;
  bool usable_told; /* the owner was told that it is usable */

  order_fetch_t fetch;
  order_written_t written;
  uint64_t written_count;

  order_pending_t *pending, **pending_end;
  uint32_t pending_count;
  size_t pending_bytes;
  uint64_t next_number; /* of the next proposal */
  bool resend;          /* own proposals were put off */

  uint64_t absorbed; /* own proposals up to this number came with the directory that was fetched */
  bool ack_due;
  int64_t retry_ns; /* when to go on applying; INT64_MAX: nothing waits */
  int64_t beat_ns;  /* when the next beat is due */
  uint64_t beat;    /* the last one */
  int64_t beat_sent_ns[ORDER_BEATS_KEPT];
  int64_t lease_ns;
  order_heard_t heard[2 * VESTA_NODES_MAX];
  uint32_t heard_count;
  int64_t heard_other_ns; /* of nodes not in the list, and at least of all */

  bool refused;
  bool must_rejoin;  /* a view alone does not bring it in again */
  int64_t rejoin_ns; /* OUT: when */
  int64_t rejoin_pause_ns;
  uint64_t counters[ORDER_COUNTER_COUNT];
};

static inline void order_count(order_t *order, order_counter_t counter) { order->counters[counter]++; }
static inline uint32_t order_majority(uint32_t expected) { return expected / 2 + 1; }
order_member_t *order_member(order_t *order, uint32_t node);
/* This node's row of the view. */
static inline order_member_t *order_self(order_t *order) { return order_member(order, order->config.node_id); }
static inline bool order_quorum_holds(const order_t *order) {
  return order->quorate &&
         (order_ring_equal(order->quorum_ring, order->view.ring) || PLANTED(ORDER_QUORUM_OF_ANOTHER_RING));
}
/* A message of this node to the group: kind, node and ring are set. */
wire_message_t order_message(const order_t *order, enum wire_kind kind);
/* State OUT. */
void order_out(order_t *order);
/* Tell the owner when it is usable, and when not any more. */
void order_tell_usable(order_t *order);
/* Multicast the own proposals that are not in the history. */
void order_resend(order_t *order);
/* Drop own proposals up to this number, of this life. */
void order_pending_done(order_t *order, uint64_t number, bool absorbed);
/* The number of the first own proposal that is not applied yet, or of the next one. */
uint64_t order_pending_first(const order_t *order);
/* They become the first ones of a new incarnation, higher than this and the present one. None may be in the history. */
void order_pending_renumber(order_t *order, uint64_t above);

/* ---- order_deliver.c ---- */
void order_deliver_op(order_t *order, order_member_t *member, const wire_message_t *message);
void order_deliver_ack(order_t *order, order_member_t *member, const wire_message_t *message);
void order_deliver_beat(order_t *order, order_member_t *member, const wire_message_t *message);
/* Hand what is stable to the owner. @return false: it had no memory; tried again later */
bool order_apply(order_t *order);
void order_beat(order_t *order);
void order_heard_until(order_t *order, uint32_t node, int64_t until_ns);

/* ---- order_sync.c ---- */
/* Begin to take part in the view, if it is usable and that was not done. */
void order_sync_init(order_t *order);
void order_sync_state(order_t *order, order_member_t *member, const wire_message_t *message);
void order_sync_close(order_t *order, const wire_message_t *message);
void order_sync_synced(order_t *order, order_member_t *member, const wire_message_t *message);
/* A wait of the view was too long. */
void order_sync_late(order_t *order);
/* This node has what was agreed on. */
void order_sync_ready(order_t *order);

/* ---- order_fetch.c ---- */
void order_fetch_begin(order_t *order, const order_member_t *source);
void order_fetch_ask(order_t *order);
void order_fetch_get(order_t *order, uint32_t from, const wire_message_t *message);
void order_fetch_part(order_t *order, uint32_t from, const wire_message_t *message, vesta_bytes_t payload);
/* What was fetched takes its place: of the directory, or behind the own history. Term, ring and participants are set
 * before. */
void order_fetch_take(order_t *order);
/* Ask no more; what has come is kept, the next view may have the same source in the same state. */
void order_fetch_pause(order_t *order);
void order_fetch_abort(order_t *order);
/* OUT now: if everything had come, take it. */
void order_fetch_late(order_t *order);
/* Tell the owner of own proposals whose effects came with what was fetched. */
void order_fetch_absorbed(order_t *order);
void order_written_drop(order_t *order);

/* ---- order_rows.c ---- */
/* OP_VIEW of what is kept, as of an index. */
bool order_row_view(const order_t *order, uint64_t index, bool (*emit)(void *to, const wire_message_t *row), void *to);
/* To the journal. */
void order_journal_view(order_t *order);
void order_row_op(const order_t *order, wire_message_t *op);
/* Read the table of an OP_VIEW. @return false: too long */
bool order_row_proposers(order_proposers_t *proposers, const wire_message_t *row);

#endif
