/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is delivered in an activated view: operations, acknowledgements, beats.
 *
 * All of it depends on nothing but what was delivered before, in this order, since the view was activated: so the
 * participants agree on which operations are taken in and at which index, and at which message each becomes stable. What
 * is a node's own affair: when its owner has memory to apply what is stable, and whether its quorum service lets it.
 */
#include "core/order_state.h"

/* ---- operations ---- */

/* Is it the next one of its proposer? Others are repeated, or came after one that was put off. */
static bool deliver_is_next(const order_proposer_t *row, const wire_message_t *op) {
  if (op->incarnation == row->incarnation) {
    return op->proposal == row->proposal + 1;
  }
  return op->incarnation > row->incarnation && op->proposal == 1;
}

void order_deliver_op(order_t *order, order_member_t *member, const wire_message_t *message) {
  order_history_t *history = order->history;
  bool is_mine = member->node == order->config.node_id && message->incarnation == order->incarnation;
  order_proposer_t *row = order_proposer_add(&order->proposers, member->node);
  if (row == NULL) {
    order_count(order, ORDER_COUNTER_NODES_REFUSED);
    return;
  }
  if (!deliver_is_next(row, message) && !PLANTED(ORDER_PROPOSALS_TWICE)) {
    order_count(order, ORDER_COUNTER_REPEATED);
    order->resend |= is_mine && message->proposal > row->proposal;
    return;
  }
  if (history->last - order->stable >= VESTA_UNSTABLE_MAX) {
    order_count(order, ORDER_COUNTER_UNSTABLE_FULL);
    order->resend |= is_mine;
    return;
  }
  wire_message_t op = *message;
  op.ring_seq = 0;
  op.ring_node = 0;
  op.acked = 0;
  op.proposer = member->node;
  op.order_index = history->last + 1;
  if (order_history_full(history) || !order_history_append(history, &op)) {
    order_count(order, ORDER_COUNTER_NO_MEMORY);
    order_out(order);
    return;
  }
  row->incarnation = message->incarnation;
  row->proposal = message->proposal;
  order_count(order, ORDER_COUNTER_DELIVERED);
  order_row_op(order, &op);
  order->config.sink.journal(order->config.sink.context, &op);
  order->ack_due = true;
}

bool order_apply(order_t *order) {
  bool may = !order->started || (order->state == ORDER_ACTIVE && order_quorum_holds(order));
  order->retry_ns = INT64_MAX;
  while (may && order->applied < order->stable && order->applied < order->history->last) {
    const wire_message_t *op = order_history_at(order->history, order->applied + 1)->message;
    if (!order->config.sink.stable(order->config.sink.context, op, order->applied + 1)) {
      order_count(order, ORDER_COUNTER_NO_MEMORY);
      order->retry_ns = order->now_ns + ORDER_RETRY_NS;
      return false;
    }
    order->applied++;
    order_count(order, ORDER_COUNTER_STABLE);
    if (op->proposer == order->config.node_id && op->incarnation == order->incarnation) {
      order_pending_done(order, op->proposal, false);
    }
  }
  order_history_trim(order->history, order->applied);
  return true;
}

/* ---- what is stable ---- */

typedef uint64_t (*order_figure_t)(const order_member_t *member);

static uint64_t figure_acked(const order_member_t *member) { return member->acked; }
static uint64_t figure_named(const order_member_t *member) { return member->named; }

/* The highest value that `needed` of those synced have reached. */
static uint64_t deliver_reached(const order_t *order, order_figure_t figure, uint32_t needed) {
  uint64_t best = 0;
  for (uint32_t i = 0; i < order->view.count; i++) {
    const order_member_t *candidate = &order->view.members[i];
    uint32_t as_far = 0;
    for (uint32_t j = 0; candidate->synced && j < order->view.count; j++) {
      const order_member_t *member = &order->view.members[j];
      as_far += member->synced && figure(member) >= figure(candidate) ? 1 : 0;
    }
    if (as_far >= needed && figure(candidate) > best) {
      best = figure(candidate);
    }
  }
  return best;
}

void order_deliver_ack(order_t *order, order_member_t *member, const wire_message_t *message) {
  if (message->acked <= member->acked) {
    return;
  }
  member->acked = message->acked;
  uint64_t stable = deliver_reached(order, figure_acked, PLANTED(ORDER_NEEDED_ONE) ? 1 : order->view.needed);
  if (stable > order->history->last) {
    stable = order->history->last;
  }
  if (stable > order->stable) {
    order->stable = stable;
    (void)order_apply(order);
  }
  if (order->resend && order->history->last - order->stable <= VESTA_UNSTABLE_MAX / 2) {
    order_resend(order);
  }
}

/* ---- beats and leases ---- */

void order_beat(order_t *order) {
  wire_element_t seen[VESTA_NODES_MAX];
  uint32_t count = 0;
  for (uint32_t i = 0; i < order->view.count; i++) {
    const order_member_t *member = &order->view.members[i];
    if (member->beat != 0) {
      seen[count++] = (wire_element_t){.member = member->node, .seq = member->beat};
    }
  }
  wire_message_t message = order_message(order, WIRE_GROUP_BEAT);
  message.number = ++order->beat;
  message.acked = order->history->last;
  message.elements = seen;
  message.element_count = count;
  order->beat_sent_ns[order->beat % ORDER_BEATS_KEPT] = order->now_ns;
  order->beat_ns = order->now_ns + ORDER_BEAT_NS;
  order->ack_due = false;
  order->config.sink.multicast(order->config.sink.context, &message);
}

void order_heard_until(order_t *order, uint32_t node, int64_t until_ns) {
  uint32_t at = 0;
  while (at < order->heard_count && order->heard[at].node != node) {
    at++;
  }
  if (at == 2 * VESTA_NODES_MAX || node == 0) { /* no room: take it for all of them */
    order->heard_other_ns = until_ns > order->heard_other_ns ? until_ns : order->heard_other_ns;
    return;
  }
  if (at == order->heard_count) {
    order->heard[order->heard_count++] = (order_heard_t){.node = node};
  }
  if (until_ns > order->heard[at].until_ns) {
    order->heard[at].until_ns = until_ns;
  }
}

int64_t order_heard_ns(const order_t *order, uint32_t node) {
  for (uint32_t i = 0; i < order->heard_count; i++) {
    if (order->heard[i].node == node) {
      return order->heard[i].until_ns - ORDER_LEASE_NS;
    }
  }
  return 0;
}

void order_deliver_beat(order_t *order, order_member_t *member, const wire_message_t *message) {
  if (member->beat == 0 && member->node != order->config.node_id) {
    order->beat_ns = order->now_ns; /* named at once: it may have no lease, and not serve before */
  }
  member->beat = message->number;
  order_heard_until(order, member->node, order->now_ns + ORDER_LEASE_NS);
  if (member->node == order->config.node_id) {
    member->named = message->number;
  }
  for (uint32_t i = 0; i < message->element_count; i++) {
    if (message->elements[i].member == order->config.node_id && message->elements[i].seq > member->named) {
      member->named = message->elements[i].seq;
    }
  }
  order_deliver_ack(order, member, message);
  uint64_t beat = deliver_reached(order, figure_named, PLANTED(ORDER_LEASE_OF_ONE) ? 1 : order->view.needed);
  if (beat == 0 || beat > order->beat || order->beat - beat >= ORDER_BEATS_KEPT || !order_usable(order) ||
      order->applied != order->stable) {
    return;
  }
  int64_t until_ns = order->beat_sent_ns[beat % ORDER_BEATS_KEPT] + ORDER_LEASE_NS;
  if (until_ns > order->lease_ns) {
    order->lease_ns = until_ns;
  }
}

int64_t order_lease_ns(const order_t *order) { return order->lease_ns; }

int64_t order_node_lease_ns(const order_t *order, uint32_t node, int64_t now_ns) {
  if (order->state != ORDER_ACTIVE || order_participates(order, node)) {
    return now_ns + ORDER_LEASE_NS;
  }
  int64_t until_ns = order->heard_other_ns;
  for (uint32_t i = 0; i < order->heard_count; i++) {
    if (order->heard[i].node == node && order->heard[i].until_ns > until_ns) {
      until_ns = order->heard[i].until_ns;
    }
  }
  return until_ns;
}
