/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A view from its beginning to its activation.
 *
 *   init      a member for which the view is usable multicasts its STATE.
 *   process   when the STATE of every member was delivered, or a CLOSE, all who got so far compute the same (sync_agree):
 *             which version is spoken, who takes part, from whom the state is taken, and the term.
 *   abort     a new view.
 *   activate  at the SYNCED of the last participant, or a CLOSE when enough are.
 *
 * When do those heard have all that is stable? Let n be the nodes expected, P those heard, C those of them with a state
 * (a node that lost its files has none, and may have acknowledged anything before).
 *
 *   - C is a majority of n: it meets every majority that acknowledged.
 *   - P is all n: nobody else can know more.
 *   - P is just half of n, each of them with its state, and all others are known to be dead. What was stable before was
 *     acknowledged by n/2 + 1 nodes, or by all of another such half, so one of P has it, unless P is the half that was
 *     taken for dead then. That is not so when one of P has activated a view in this life (who was known dead has died
 *     since); nor when P holds everybody who took part in the last view that any of P has heard of (the sole survivor
 *     that only restarted: whoever goes on without it must have had its promise first).
 *   - the policy is trust, everywhere, and one of P has its state: a node that has lost its files begins no cluster of
 *     its own beside the one that there is.
 *   - nobody heard has a state nor promised a term, and they are a majority: a new cluster begins.
 *
 * Otherwise the view waits for a bigger one; status says how many nodes are waited for.
 */
#include "core/order_state.h"

/* What follows from the STATEs that were delivered. */
typedef struct sync_agreed {
  uint32_t heard;    /* members whose STATE came, that speak the version */
  uint32_t stateful; /* of these, with a state of the cluster */
  uint32_t expected;
  uint32_t version;
  uint64_t cluster; /* 0: nobody has a state */
  uint64_t promised;
  uint64_t stable;
  uint32_t all_flags, any_flags; /* WIRE_STATE_... that all, or some, of those heard have */
  const order_member_t *source;
} sync_agreed_t;

static bool sync_speaks(const order_member_t *member, uint32_t version) {
  return member->told && member->version_min <= version && version <= member->version_max;
}

static uint32_t sync_speakers(const order_view_t *view, uint32_t version) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < view->count; i++) {
    count += sync_speaks(&view->members[i], version) ? 1 : 0;
  }
  return count;
}

/* The version that most of those heard can speak; of several the highest. So one old node does not drive a newer group
 * out, nor one new node an older one. */
static uint32_t sync_version(const order_view_t *view) {
  uint32_t best = 0, best_count = 0;
  for (uint32_t i = 0; i < view->count; i++) {
    const order_member_t *member = &view->members[i];
    uint32_t count = member->told ? sync_speakers(view, member->version_max) : 0;
    if (count > best_count || (count == best_count && count > 0 && member->version_max > best)) {
      best = member->version_max;
      best_count = count;
    }
  }
  return best;
}

/* The cluster that most of those with a state are of: two only meet when one was set up anew while a node was away. */
static uint64_t sync_cluster(const order_view_t *view, uint32_t version, uint32_t *stateful) {
  uint64_t best = 0, best_term = 0;
  uint32_t best_count = 0;
  for (uint32_t i = 0; i < view->count; i++) {
    const order_member_t *candidate = &view->members[i];
    if (!sync_speaks(candidate, version) || (candidate->flags & WIRE_STATE_KNOWN) == 0) {
      continue;
    }
    uint32_t count = 0;
    for (uint32_t j = 0; j < view->count; j++) {
      const order_member_t *member = &view->members[j];
      count += sync_speaks(member, version) && (member->flags & WIRE_STATE_KNOWN) != 0 &&
                       member->cluster == candidate->cluster
                   ? 1
                   : 0;
    }
    if (count > best_count || (count == best_count && candidate->term > best_term)) {
      best = candidate->cluster;
      best_term = candidate->term;
      best_count = count;
    }
  }
  *stateful = best_count;
  return best;
}

static bool sync_is_better_source(const order_member_t *a, const order_member_t *b) {
  if (b == NULL) {
    return true;
  }
  if (PLANTED(ORDER_SHORTEST_SOURCE)) {
    return a->node < b->node;
  }
  if (a->term != b->term) {
    return a->term > b->term;
  }
  if (a->index != b->index) {
    return a->index > b->index;
  }
  uint32_t a_has = a->flags & WIRE_STATE_DIRECTORY, b_has = b->flags & WIRE_STATE_DIRECTORY;
  return a_has != b_has ? a_has != 0 : a->node < b->node;
}

static sync_agreed_t sync_agreed(const order_view_t *view) {
  sync_agreed_t agreed = {.version = sync_version(view), .all_flags = UINT32_MAX};
  agreed.cluster = sync_cluster(view, agreed.version, &agreed.stateful);
  for (uint32_t i = 0; i < view->count; i++) {
    const order_member_t *member = &view->members[i];
    if (!sync_speaks(member, agreed.version)) {
      continue;
    }
    bool is_candidate =
        agreed.stateful == 0 || ((member->flags & WIRE_STATE_KNOWN) != 0 && member->cluster == agreed.cluster);
    agreed.heard++;
    agreed.all_flags &= member->flags;
    agreed.any_flags |= member->flags;
    agreed.expected = member->expected > agreed.expected ? member->expected : agreed.expected;
    uint64_t promised = PLANTED(ORDER_NO_PROMISE) || member->term > member->promised ? member->term : member->promised;
    agreed.promised = promised > agreed.promised ? promised : agreed.promised;
    if (is_candidate) {
      agreed.stable = member->stable > agreed.stable ? member->stable : agreed.stable;
      agreed.source = sync_is_better_source(member, agreed.source) ? member : agreed.source;
    }
  }
  return agreed;
}

/* Just half of the nodes, all that there are in the view. */
static bool sync_is_half(const order_view_t *view, const sync_agreed_t *agreed) {
  return 2 * agreed->heard == agreed->expected && agreed->heard == view->count &&
         (agreed->all_flags & (WIRE_STATE_ALONE | WIRE_STATE_TRUST)) != 0;
}

/* May those heard go on, and do they have all that is stable? */
static bool sync_suffices(const order_view_t *view, const sync_agreed_t *agreed) {
  uint32_t majority = order_majority(agreed->expected);
  uint32_t heard = PLANTED(ORDER_GHOST_COUNTED) ? view->count : agreed->heard;
  bool is_half = sync_is_half(view, agreed);
  if (heard < majority && !is_half) {
    return false;
  }
  bool trusts = (agreed->all_flags & WIRE_STATE_TRUST) != 0 && agreed->stateful > 0;
  if (agreed->stateful >= majority || heard >= agreed->expected || trusts) {
    return true;
  }
  if (agreed->stateful == 0) {
    return heard >= majority && agreed->promised == 0;
  }
  bool is_whole = (agreed->source->flags & WIRE_STATE_WHOLE) != 0 && agreed->promised == agreed->source->term;
  return PLANTED(ORDER_GHOST_COUNTED) ||
         (is_half && agreed->stateful == agreed->heard && ((agreed->any_flags & WIRE_STATE_LIVE) != 0 || is_whole));
}

/* ---- init ---- */

static uint32_t sync_flags(const order_t *order) {
  const order_view_t *view = &order->view;
  uint32_t flags = order->term != 0 ? WIRE_STATE_KNOWN : order->has_directory ? WIRE_STATE_DIRECTORY : 0;
  flags |= order->live ? WIRE_STATE_LIVE : 0;
  flags |= order->config.policy == ORDER_TRUST ? WIRE_STATE_TRUST : 0;
  flags |= view->count + order->dead_count >= order->expected ? WIRE_STATE_ALONE : 0;
  bool is_whole = true;
  for (uint32_t i = 0; i < order->participant_count; i++) {
    bool is_here = false;
    for (uint32_t j = 0; j < view->count; j++) {
      is_here = is_here || view->members[j].node == order->participants[i];
    }
    is_whole = is_whole && is_here;
  }
  return is_whole ? flags | WIRE_STATE_WHOLE : flags;
}

/* As far as this node knows. Whether enough of the members speak is another question. */
static bool sync_is_usable(const order_t *order) {
  const order_view_t *view = &order->view;
  if (view->ring.seq == 0 || view->too_many || !order_quorum_holds(order)) {
    return false;
  }
  bool is_half = 2 * view->count == order->expected && (sync_flags(order) & (WIRE_STATE_ALONE | WIRE_STATE_TRUST)) != 0;
  return view->count >= order_majority(order->expected) || is_half;
}

void order_sync_init(order_t *order) {
  order_view_t *view = &order->view;
  if (order->state != ORDER_IDLE || !sync_is_usable(order)) {
    return;
  }
  wire_element_t leases[2 * VESTA_NODES_MAX + 1];
  uint32_t count = 0;
  for (uint32_t i = 0; i < order->heard_count; i++) {
    if (order->heard[i].until_ns > order->now_ns) {
      leases[count++] =
          (wire_element_t){.member = order->heard[i].node, .expiry_ns = order->heard[i].until_ns - order->now_ns};
    }
  }
  if (order->heard_other_ns > order->now_ns) {
    leases[count++] = (wire_element_t){.expiry_ns = order->heard_other_ns - order->now_ns};
  }
  wire_message_t message = order_message(order, WIRE_GROUP_STATE);
  message.flags = sync_flags(order);
  message.size = view->hash;
  message.incarnation = order->incarnation;
  message.lineage = order->term != 0 ? order->cluster : order->config.random;
  message.epoch = order->term;
  message.from_epoch = order->promised;
  message.seq = order->history->last;
  message.offset = order_history_digest_last(order->history);
  message.acked = order->stable < order->history->last ? order->stable : order->history->last;
  message.count = order->expected;
  message.version_min = order->config.version_min;
  message.version_max = order->config.version_max;
  message.elements = leases;
  message.element_count = count;
  view->told = true;
  view->close_ns = order->now_ns + ORDER_SILENT_NS;
  order->state = ORDER_INIT;
  order->config.sink.multicast(order->config.sink.context, &message);
}

/* ---- process ---- */

/* This node has its part to do. */
static void sync_begin(order_t *order) {
  order_view_t *view = &order->view;
  const order_member_t *self = order_self(order);
  if (!self->participant) {
    order->refused = self->told && !sync_speaks(self, view->version);
    order_out(order);
    return;
  }
  order->refused = false;
  order->state = ORDER_SYNC;
  view->close_ns = order->now_ns + ORDER_SYNC_NS;
  const order_member_t *source = order_member(order, view->source);
  if (self->index == source->index && (self->digest == source->digest || PLANTED(ORDER_LENGTH_ONLY))) {
    order_fetch_abort(order);
    order_sync_ready(order);
  } else {
    order_fetch_begin(order, source);
  }
}

/* Compute what all compute, if those heard suffice. */
static void sync_agree(order_t *order) {
  order_view_t *view = &order->view;
  bool all_told = true;
  for (uint32_t i = 0; i < view->count; i++) {
    all_told = all_told && view->members[i].told;
  }
  if (view->agreed || (!all_told && !view->closed)) {
    return;
  }
  sync_agreed_t agreed = sync_agreed(view);
  if (agreed.source == NULL || !sync_suffices(view, &agreed)) {
    view->waiting = agreed.expected > agreed.heard ? agreed.expected - agreed.heard : 1;
    return;
  }
  view->agreed = true;
  view->waiting = 0;
  view->term = agreed.promised + 1;
  view->cluster = agreed.source->cluster;
  view->source = agreed.source->node;
  view->expected = agreed.expected;
  view->version = agreed.version;
  view->stable = agreed.stable < agreed.source->index ? agreed.stable : agreed.source->index;
  for (uint32_t i = 0; i < view->count; i++) {
    view->members[i].participant = sync_speaks(&view->members[i], agreed.version);
  }
  if (order->state == ORDER_INIT) {
    sync_begin(order);
  } else if (order->state == ORDER_IDLE) {
    order_out(order); /* quorum news came too late here */
  }
}

void order_sync_state(order_t *order, order_member_t *member, const wire_message_t *message) {
  if (message->size != order->view.hash) {
    order_count(order, ORDER_COUNTER_FOREIGN);
    return;
  }
  if (order->view.agreed) {
    return;
  }
  for (uint32_t i = 0; i < message->element_count && !PLANTED(ORDER_LEASE_NOT_TOLD); i++) {
    const wire_element_t *lease = &message->elements[i];
    order_heard_until(order, (uint32_t)lease->member, order->now_ns + lease->expiry_ns);
  }
  member->told = true;
  member->flags = (uint32_t)message->flags;
  member->incarnation = message->incarnation;
  member->cluster = message->lineage;
  member->term = message->epoch;
  member->promised = message->from_epoch;
  member->index = message->seq;
  member->digest = message->offset;
  member->stable = message->acked;
  member->expected = (uint32_t)message->count;
  member->version_min = (uint32_t)message->version_min;
  member->version_max = (uint32_t)message->version_max;
  sync_agree(order);
}

/* ---- activate ---- */

void order_sync_ready(order_t *order) {
  order->promised = order->view.term;
  order_journal_view(order);
  wire_message_t message = order_message(order, WIRE_GROUP_SYNCED);
  message.epoch = order->view.term;
  order->config.sink.multicast(order->config.sink.context, &message);
}

static void sync_participants(order_t *order) {
  const order_view_t *view = &order->view;
  order->participant_count = 0;
  for (uint32_t i = 0; i < view->count; i++) {
    if (view->members[i].synced) {
      order->participants[order->participant_count++] = view->members[i].node;
    }
  }
}

/* The history that was agreed on may know this node by a later life than it thinks it has: it lost its files, and its
 * clock went back. Or it lacks own proposals that were applied here and are dropped: others went on without this node, as
 * they may with trust, or after files were lost. Nobody would take in what comes behind such a gap. In both cases the
 * node goes on as another life of itself. */
static void sync_incarnation(order_t *order) {
  const order_proposer_t *row = order_proposer(&order->proposers, order->config.node_id);
  bool is_mine = row != NULL && row->incarnation == order->incarnation && order->live;
  uint64_t known = is_mine ? row->proposal : 0;
  bool is_later = row != NULL && !is_mine && row->incarnation >= order->incarnation;
  if (is_later || order_pending_first(order) > known + 1) {
    order_pending_renumber(order, row != NULL ? row->incarnation : 0);
  }
}

static void sync_activate(order_t *order, uint32_t synced) {
  order_view_t *view = &order->view;
  uint32_t majority = order_majority(view->expected);
  view->activated = true;
  view->needed = synced < majority ? synced : majority;
  if (order->state != ORDER_SYNC || !order_self(order)->synced) {
    if (order->state == ORDER_SYNC) {
      order_out(order);
    }
    return;
  }
  order->cluster = view->cluster;
  order->term = view->term;
  order->promised = view->term;
  order->ring = view->ring;
  order->version = view->version;
  sync_participants(order);
  order->state = ORDER_ACTIVE;
  if (order->fetch.mode == FETCH_DONE) {
    order_fetch_take(order);
  }
  if (view->stable > order->stable) {
    order->stable = view->stable;
  }
  sync_incarnation(order);
  order->live = true;
  order_journal_view(order);
  order_count(order, ORDER_COUNTER_ACTIVATED);
  order->rejoin_pause_ns = ORDER_REJOIN_NS;
  order->ack_due = true;
  order->beat_ns = order->now_ns;
  order->usable_told = true;
  if (order_usable(order)) {
    order_resend(order); /* before the owner proposes more */
  }
  order->config.sink.activated(order->config.sink.context);
  order_fetch_absorbed(order);
  order_tell_usable(order); /* it is not, when quorum was lost meanwhile */
  (void)order_apply(order);
}

/* Are those that are synced enough to go on without the others? */
static bool sync_enough(const order_view_t *view, uint32_t synced, uint32_t participants) {
  return synced == participants || synced >= order_majority(view->expected);
}

static void sync_check(order_t *order, bool all) {
  order_view_t *view = &order->view;
  uint32_t synced = 0, participants = 0;
  for (uint32_t i = 0; i < view->count; i++) {
    synced += view->members[i].synced ? 1 : 0;
    participants += view->members[i].participant ? 1 : 0;
  }
  if (all ? synced == participants : sync_enough(view, synced, participants)) {
    sync_activate(order, synced);
  }
}

void order_sync_synced(order_t *order, order_member_t *member, const wire_message_t *message) {
  const order_view_t *view = &order->view;
  if (!view->agreed || view->activated || !member->participant || message->epoch != view->term) {
    return;
  }
  member->synced = true;
  sync_check(order, true);
}

/* ---- waiting is over ---- */

void order_sync_close(order_t *order, const wire_message_t *message) {
  order_view_t *view = &order->view;
  if (message->state == WIRE_CLOSE_HEARD && !view->agreed) {
    order_count(order, ORDER_COUNTER_CLOSED);
    view->closed = true;
    sync_agree(order);
  } else if (message->state == WIRE_CLOSE_SYNCED && view->agreed && !view->activated) {
    order_count(order, ORDER_COUNTER_CLOSED);
    sync_check(order, false);
  }
}

void order_sync_late(order_t *order) {
  order_view_t *view = &order->view;
  wire_message_t message = order_message(order, WIRE_GROUP_CLOSE);
  message.state = view->agreed ? WIRE_CLOSE_SYNCED : WIRE_CLOSE_HEARD;
  view->close_ns = order->now_ns + (view->agreed ? ORDER_SYNC_NS : ORDER_SILENT_NS);
  order->config.sink.multicast(order->config.sink.context, &message);
}
