/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See order.h. Here: life, events, time, own proposals.
 *
 *   event          | what it may set off
 *   ---------------+------------------------------------------------------------------------------------
 *   view           | suspended; IDLE, or INIT when quorum news came before
 *   quorum, fenced | INIT; suspended or resumed within an activated view
 *   STATE, CLOSE 1 | participants agreed on: SYNC or OUT
 *   SYNCED, CLOSE 2| ACTIVE or OUT
 *   op, ack, beat  | only in ACTIVE, from synced participants: see order_deliver.c
 */
#include "core/order.h"

#include <stdlib.h>

#include "core/order_state.h"
#include "core/table.h"

#ifdef VESTA_PLANTED
unsigned vesta_planted;
#endif

/* ---- life ---- */

vesta_err_t order_new(const order_config_t *config, order_t **out) {
  VESTA_ASSERT(config->node_id != 0 && config->incarnation != 0 && config->random != 0);
  VESTA_ASSERT(config->version_min <= config->version_max);
  order_t *order = calloc(1, sizeof *order);
  if (order == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  order->config = *config;
  order->incarnation = config->incarnation;
  order->version = config->version_max;
  order->next_number = 1;
  order->pending_end = &order->pending;
  order->retry_ns = INT64_MAX;
  order->rejoin_pause_ns = ORDER_REJOIN_NS;
  order->fetch.ask_ns = INT64_MAX;
  order->decoder = wire_decoder_new();
  order->history = calloc(1, sizeof *order->history);
  if (order->decoder == NULL || order->history == NULL) {
    order_destroy(&order);
    return VESTA_ERR_NO_MEMORY;
  }
  order_history_begin(order->history, 0, 0);
  *out = order;
  return VESTA_OK;
}

void order_destroy(order_t **out) {
  order_t *order = *out;
  if (order == NULL) {
    return;
  }
  while (order->pending != NULL) {
    order_pending_t *pending = order->pending;
    order->pending = pending->next;
    free(pending->op);
    free(pending);
  }
  if (order->history != NULL) {
    order_history_clear(order->history);
    free(order->history);
  }
  order_fetch_abort(order);
  order_written_drop(order);
  wire_decoder_destroy(&order->decoder);
  free(order);
  *out = NULL;
}

void order_start(order_t *order, bool has_directory, int64_t now_ns) {
  VESTA_ASSERT(!order->started);
  const order_proposer_t *row = order_proposer(&order->proposers, order->config.node_id);
  if (row != NULL && row->incarnation >= order->incarnation) {
    order->incarnation = row->incarnation + 1;
  }
  if (order->term == 0 && has_directory && order->history->last == 0) {
    order->has_directory = true;
    order_history_begin(order->history, 0, order->config.random); /* like nobody else's */
  }
  order->started = true;
  order->now_ns = now_ns;
  order->heard_other_ns = now_ns + ORDER_LEASE_NS; /* beats that were heard in an earlier life */
}

/* ---- small things ---- */

order_member_t *order_member(order_t *order, uint32_t node) {
  for (uint32_t i = 0; i < order->view.count; i++) {
    if (order->view.members[i].node == node) {
      return &order->view.members[i];
    }
  }
  return NULL;
}

wire_message_t order_message(const order_t *order, enum wire_kind kind) {
  return (wire_message_t){.kind = kind,
                          .node = order->config.node_id,
                          .ring_seq = order->view.ring.seq,
                          .ring_node = order->view.ring.node};
}

static void order_send(order_t *order, const wire_message_t *message) {
  order->config.sink.multicast(order->config.sink.context, message);
}

void order_tell_usable(order_t *order) {
  bool is_usable = order_usable(order);
  if (is_usable == order->usable_told) {
    return;
  }
  order->usable_told = is_usable;
  if (!is_usable) {
    order->config.sink.suspended(order->config.sink.context);
    return;
  }
  order->beat_ns = order->now_ns;
  order_resend(order);
  order->config.sink.resumed(order->config.sink.context);
  (void)order_apply(order);
}

static void order_rejoin_later(order_t *order) {
  order->rejoin_ns = order->now_ns + order->rejoin_pause_ns;
  order->rejoin_pause_ns *= 2;
  if (order->rejoin_pause_ns > ORDER_REJOIN_NS_MAX) {
    order->rejoin_pause_ns = ORDER_REJOIN_NS_MAX;
  }
}

void order_out(order_t *order) {
  if (order->state == ORDER_OUT) {
    return;
  }
  order->state = ORDER_OUT;
  order_count(order, ORDER_COUNTER_FALLEN_OUT);
  order_rejoin_later(order);
  order_tell_usable(order);
  order_fetch_late(order);
}

void order_fall_out(order_t *order, int64_t now_ns) {
  order->now_ns = now_ns;
  order->must_rejoin = true;
  order_out(order);
}

/* ---- own proposals ---- */

/* The number of the last own proposal that is in the history. */
static uint64_t pending_known(order_t *order) {
  const order_proposer_t *row = order_proposer(&order->proposers, order->config.node_id);
  return row != NULL && row->incarnation == order->incarnation ? row->proposal : 0;
}

static void pending_send(order_t *order, const order_pending_t *pending) {
  wire_message_t op = *pending->op;
  op.ring_seq = order->view.ring.seq;
  op.ring_node = order->view.ring.node;
  op.incarnation = order->incarnation;
  op.proposal = pending->number;
  op.acked = order->history->last;
  order_send(order, &op);
}

void order_resend(order_t *order) {
  uint64_t known = pending_known(order);
  order->resend = false;
  for (const order_pending_t *pending = order->pending; pending != NULL; pending = pending->next) {
    if (pending->number > known) {
      pending_send(order, pending);
    }
  }
}

vesta_err_t order_propose(order_t *order, const wire_message_t *op, int64_t now_ns) {
  order->now_ns = now_ns > order->now_ns ? now_ns : order->now_ns;
  if (order->pending_count >= VESTA_PROPOSALS_MAX || order->pending_bytes >= VESTA_PROPOSALS_BYTES_MAX) {
    order_count(order, ORDER_COUNTER_PROPOSALS_REFUSED);
    return VESTA_ERR_TRY_AGAIN;
  }
  order_pending_t *pending = calloc(1, sizeof *pending);
  wire_message_t *copy = pending != NULL ? wire_copy(op, &pending->bytes) : NULL;
  if (copy == NULL) {
    free(pending);
    order_count(order, ORDER_COUNTER_NO_MEMORY);
    return VESTA_ERR_NO_MEMORY;
  }
  pending->op = copy;
  pending->number = order->next_number++;
  *order->pending_end = pending;
  order->pending_end = &pending->next;
  order->pending_count++;
  order->pending_bytes += pending->bytes;
  if (order_usable(order)) {
    pending_send(order, pending);
  }
  return VESTA_OK;
}

bool order_proposes(const order_t *order, vesta_token_t session, uint64_t number) {
  const order_pending_t *pending = order->pending;
  while (pending != NULL && !(pending->op->number == number && vesta_token_equal(wire_token(pending->op), session))) {
    pending = pending->next;
  }
  return pending != NULL;
}

void order_pending_done(order_t *order, uint64_t number, bool absorbed) {
  while (order->pending != NULL && order->pending->number <= number) {
    order_pending_t *pending = order->pending;
    order->pending = pending->next;
    if (order->pending == NULL) {
      order->pending_end = &order->pending;
    }
    order->pending_count--;
    order->pending_bytes -= pending->bytes;
    if (absorbed) {
      order->config.sink.absorbed(order->config.sink.context, pending->op);
    }
    free(pending->op);
    free(pending);
  }
}

uint64_t order_pending_first(const order_t *order) {
  return order->pending != NULL ? order->pending->number : order->next_number;
}

void order_pending_renumber(order_t *order, uint64_t above) {
  order->incarnation = (above > order->incarnation ? above : order->incarnation) + 1;
  order->next_number = 1;
  order->absorbed = 0;
  for (order_pending_t *pending = order->pending; pending != NULL; pending = pending->next) {
    pending->number = order->next_number++;
  }
}

/* ---- events ---- */

static int order_by_node(const void *a, const void *b) {
  uint32_t node_a = ((const order_member_t *)a)->node, node_b = ((const order_member_t *)b)->node;
  return (node_a > node_b) - (node_a < node_b);
}

static void order_members(order_view_t *view, const uint32_t *members, uint32_t count) {
  view->count = count;
  for (uint32_t i = 0; i < count; i++) {
    view->members[i].node = members[i];
  }
  qsort(view->members, count, sizeof *view->members, order_by_node);
  view->hash = count;
  for (uint32_t i = 0; i < count; i++) {
    view->hash = view->hash * UINT64_C(0x9e3779b97f4a7c15) + view->members[i].node;
  }
}

static void order_dead_forget(order_t *order) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < order->dead_count; i++) {
    if (order_member(order, order->dead[i]) == NULL) {
      order->dead[kept++] = order->dead[i];
    }
  }
  order->dead_count = kept;
}

void order_view(order_t *order, order_ring_t ring, const uint32_t *members, uint32_t count, int64_t now_ns) {
  order->now_ns = now_ns;
  order_count(order, ORDER_COUNTER_VIEWS);
  if (order->view.agreed && !order->view.activated) {
    order_count(order, ORDER_COUNTER_ABORTED);
  }
  order->view = (order_view_t){.ring = ring, .too_many = count > VESTA_NODES_MAX};
  if (order->view.too_many) {
    order_count(order, ORDER_COUNTER_NODES_REFUSED);
  } else {
    order_members(&order->view, members, count);
    order_dead_forget(order);
  }
  order_fetch_pause(order);
  order->state = order->must_rejoin ? ORDER_OUT : ORDER_IDLE;
  order->ack_due = false;
  order->retry_ns = INT64_MAX;
  order_tell_usable(order);
  order_sync_init(order);
}

void order_quorum(order_t *order, order_ring_t ring, bool quorate, uint32_t expected, int64_t now_ns) {
  order->now_ns = now_ns;
  order->quorum_ring = ring;
  order->quorate = quorate;
  order->expected = expected;
  order_tell_usable(order);
  order_sync_init(order);
}

void order_fenced(order_t *order, uint32_t node, int64_t now_ns) {
  order->now_ns = now_ns;
  for (uint32_t i = 0; i < order->dead_count; i++) {
    if (order->dead[i] == node) {
      return;
    }
  }
  if (order->dead_count == VESTA_NODES_MAX) {
    order_count(order, ORDER_COUNTER_NODES_REFUSED);
    return;
  }
  order->dead[order->dead_count++] = node;
  order_sync_init(order);
}

/* Those that count in an activated view. */
static void order_deliver_active(order_t *order, order_member_t *member, const wire_message_t *message) {
  if (order->state != ORDER_ACTIVE || !member->synced) {
    order_count(order, ORDER_COUNTER_FOREIGN);
  } else if (message->kind == WIRE_GROUP_ACK) {
    order_deliver_ack(order, member, message);
  } else if (message->kind == WIRE_GROUP_BEAT) {
    order_deliver_beat(order, member, message);
  } else if (message->proposal != 0) {
    order_deliver_ack(order, member, message);
    order_deliver_op(order, member, message);
  }
}

void order_deliver(order_t *order, uint32_t from, const wire_message_t *message, int64_t now_ns) {
  order->now_ns = now_ns;
  order_member_t *member = order_member(order, from);
  bool is_foreign = message->ring_seq != order->view.ring.seq || message->ring_node != order->view.ring.node;
  if (PLANTED(ORDER_OLD_VIEW) && is_foreign && member != NULL && message->proposal != 0 && order->state != ORDER_OUT) {
    order_deliver_op(order, member, message);
    return;
  }
  if (order->state == ORDER_OUT || member == NULL || is_foreign) {
    order_count(order, ORDER_COUNTER_FOREIGN);
    return;
  }
  if (message->kind == WIRE_GROUP_STATE) {
    order_sync_state(order, member, message);
  } else if (!member->told) {
    order_count(order, ORDER_COUNTER_FOREIGN); /* sent before it saw this view */
  } else if (message->kind == WIRE_GROUP_SYNCED) {
    order_sync_synced(order, member, message);
  } else if (message->kind == WIRE_GROUP_CLOSE) {
    order_sync_close(order, message);
  } else {
    order_deliver_active(order, member, message);
  }
}

void order_peer(order_t *order, uint32_t from, const wire_message_t *message, vesta_bytes_t payload, int64_t now_ns) {
  order->now_ns = now_ns;
  if (message->kind == WIRE_PEER_DIRECTORY_GET) {
    order_fetch_get(order, from, message);
  } else if (message->kind == WIRE_PEER_DIRECTORY) {
    order_fetch_part(order, from, message, payload);
  }
}

void order_flush(order_t *order, int64_t now_ns) {
  order->now_ns = now_ns;
  if (!order->ack_due || !order_usable(order)) {
    return;
  }
  wire_message_t message = order_message(order, WIRE_GROUP_ACK);
  message.acked = order->history->last;
  order->ack_due = false;
  order_send(order, &message);
}

/* ---- time ---- */

static bool order_waits_for_members(const order_t *order) {
  return (order->state == ORDER_INIT || order->state == ORDER_SYNC) && !order->view.activated;
}

int64_t order_wake_ns(const order_t *order) {
  int64_t at_ns = order->retry_ns;
  at_ns = order->fetch.ask_ns < at_ns ? order->fetch.ask_ns : at_ns;
  if (order_waits_for_members(order) && order->view.close_ns < at_ns) {
    at_ns = order->view.close_ns;
  }
  if (order_usable(order) && order->beat_ns < at_ns) {
    at_ns = order->beat_ns;
  }
  if (order->state == ORDER_OUT && order->rejoin_ns < at_ns) {
    at_ns = order->rejoin_ns;
  }
  if (order->written.stamp != 0 && order->written.until_ns < at_ns) {
    at_ns = order->written.until_ns;
  }
  return at_ns;
}

void order_time(order_t *order, int64_t now_ns) {
  order->now_ns = now_ns;
  if (order->retry_ns <= now_ns) {
    (void)order_apply(order);
  }
  if (order->fetch.ask_ns <= now_ns) {
    order_count(order, ORDER_COUNTER_CHUNKS_AGAIN);
    order_fetch_ask(order);
  }
  if (order_waits_for_members(order) && order->view.close_ns <= now_ns) {
    order_sync_late(order);
  }
  if (order_usable(order) && order->beat_ns <= now_ns) {
    order_beat(order);
  }
  if (order->written.stamp != 0 && order->written.until_ns <= now_ns) {
    order_written_drop(order);
  }
  if (order->state == ORDER_OUT && order->rejoin_ns <= now_ns) {
    order_count(order, ORDER_COUNTER_REJOINED);
    order_rejoin_later(order);
    order->must_rejoin = false;
    order->config.sink.rejoin(order->config.sink.context);
  }
}

/* ---- how it is ---- */

order_state_t order_state(const order_t *order) { return order->state; }
bool order_usable(const order_t *order) { return order->state == ORDER_ACTIVE && order_quorum_holds(order); }
bool order_quorate(const order_t *order) { return order_quorum_holds(order); }
order_ring_t order_view_ring(const order_t *order) { return order->view.ring; }
uint64_t order_term(const order_t *order) { return order->term; }
uint64_t order_cluster(const order_t *order) { return order->term != 0 ? order->cluster : 0; }
uint64_t order_incarnation(const order_t *order) { return order->incarnation; }
uint64_t order_index(const order_t *order) { return order->history->last; }
uint64_t order_stable(const order_t *order) { return order->applied; }

const uint32_t *order_participants(const order_t *order, uint32_t *count) {
  *count = order->state == ORDER_ACTIVE ? order->participant_count : 0;
  return order->participants;
}

bool order_participates(const order_t *order, uint32_t node) {
  for (uint32_t i = 0; order->state == ORDER_ACTIVE && i < order->participant_count; i++) {
    if (order->participants[i] == node) {
      return true;
    }
  }
  return false;
}

uint32_t order_coordinator(const order_t *order) { return order_usable(order) ? order->participants[0] : 0; }
uint32_t order_waiting(const order_t *order) { return order->state == ORDER_INIT ? order->view.waiting : 0; }
uint32_t order_expected(const order_t *order) { return order->expected; }
uint32_t order_version(const order_t *order) { return order->version; }
bool order_refused(const order_t *order) { return order->refused; }
uint64_t order_counter(const order_t *order, order_counter_t counter) { return order->counters[counter]; }
