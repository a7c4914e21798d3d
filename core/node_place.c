/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who is primary, and where replicas are. Everything here ends in an ordered operation that says on what it was decided,
 * so two nodes that decide at once do no harm.
 *
 *   the primary's node is no participant   its lease has run out: OP_PRIMARY_LOST           (the coordinator)
 *   or says nothing for peer_timeout       (stopped; its lease is long over)
 *   there is no primary                    OP_CLAIM: how far the replica here has come      (each node in sync)
 *                                          all have claimed, or some and the others are silent:
 *                                          OP_PRIMARY for the one that has most             (the coordinator)
 *                                          nobody in sync is a participant: WAITING         (until one is, or recover)
 *   a replica's node is no participant,    OP_REPLICA, none. What it might still read by its lease keeps it required
 *   or owes an acknowledgement for long    until that has run out (node_shared_configure())  (the primary)
 *   there are too few                      a participant is invited, and when it has all: OP_REPLICA, in sync. Not in
 *                                          the first CALM_NS of a primary or an active: to fill a replica takes what
 *                                          processors and network have, and who takes over is waited for
 *   somebody elsewhere needs one           PEER_JOIN asks the primary, who invites
 *   nobody on its node has a collocated    OP_REPLICA, none; if it is open elsewhere, else all is retained as it stands
 *   checkpoint open any more                                                         (the primary)
 *   a collocated checkpoint's active is    what the other has is waited for, nothing new is taken meanwhile: OP_ACTIVE
 *   to be on another node
 */
#include <stdlib.h>

#include "core/node_cluster.h"
#include "core/planted.h"
#include "core/table.h"

#define AGAIN_NS INT64_C(1000000000)    /* what has had no effect is tried again */
#define INVITE_NS INT64_C(30000000000)  /* an invitation is given up after so long without an answer */
#define HANDOVER_NS INT64_C(5000000000) /* a primary is not moved if it takes longer */
#define CALM_NS INT64_C(100000000)      /* to take over, on this node and on others, takes a tenth of that */
#define LOST_MAX 1000U                  /* checkpoints in one OP_PRIMARY_LOST or OP_CLAIM */

static bool participates(const node_t *node, uint32_t other) { return order_participates(node->cluster->order, other); }

static int64_t peer_timeout_ns(const node_t *node) {
  return node->config.peer_timeout_ns != 0 ? node->config.peer_timeout_ns : VESTA_PEER_TIMEOUT_MS * INT64_C(1000000);
}

static bool is_collocated(const directory_checkpoint_t *checkpoint) {
  return (checkpoint->attributes.creation_flags & VESTA_CREATE_COLLOCATED) != 0;
}

static bool opened_on(const directory_checkpoint_t *checkpoint, uint32_t which) {
  const directory_handle_t *handle = checkpoint->oldest;
  while (handle != NULL && handle->session->node != which) {
    handle = handle->newer;
  }
  return handle != NULL;
}

void node_place_look(node_t *node, int64_t at_ns) {
  node_cluster_t *cluster = node->cluster;
  cluster->look_ns = cluster->look_ns == 0 || at_ns < cluster->look_ns ? at_ns : cluster->look_ns;
}

/* ---- primaries that are gone ---- */

/* The checkpoints whose primary was on that node, in as many operations as it takes. */
static void order_lost(node_t *node, uint32_t gone) {
  wire_element_t *elements = NULL;
  uint32_t count = 0;
  size_t bucket = 0;
  directory_checkpoint_t *checkpoint = directory_each(node->directory, &bucket, NULL);
  while (checkpoint != NULL) {
    if (checkpoint->primary == gone) {
      elements = elements == NULL ? node_arena(node, LOST_MAX * sizeof *elements) : elements;
      if (elements == NULL) {
        node_place_look(node, node->steady_ns + AGAIN_NS);
        return;
      }
      elements[count++] = (wire_element_t){.member = checkpoint->id, .epoch = checkpoint->epoch};
    }
    checkpoint = directory_each(node->directory, &bucket, checkpoint);
    if (count > 0 && (count == LOST_MAX || checkpoint == NULL)) {
      wire_message_t *op = node_order(node, WIRE_OP_PRIMARY_LOST);
      op->node = gone;
      op->elements = elements;
      op->element_count = count;
      elements = NULL;
      count = 0;
    }
  }
}

static void look_at_primaries(node_t *node) {
  uint32_t seen[VESTA_NODES_MAX];
  uint32_t seen_count = 0;
  size_t bucket = 0;
  for (const directory_checkpoint_t *c = NULL; (c = directory_each(node->directory, &bucket, c)) != NULL;) {
    bool stopped =
        c->primary != 0 && participates(node, c->primary) && node_is_silent(node, c->primary, peer_timeout_ns(node));
    bool known = c->primary == 0 || (participates(node, c->primary) && !stopped);
    for (uint32_t i = 0; i < seen_count && !known; i++) {
      known = seen[i] == c->primary;
    }
    if (known || seen_count == VESTA_NODES_MAX) {
      continue;
    }
    seen[seen_count++] = c->primary;
    int64_t until_ns = order_node_lease_ns(node->cluster->order, c->primary, node->steady_ns);
    if (!stopped && until_ns > node->steady_ns) { /* who is stopped is not elected before its claim was waited for */
      node_place_look(node, until_ns);
    } else {
      order_lost(node, c->primary);
      node_place_look(node, node->steady_ns + AGAIN_NS);
    }
  }
}

static_assert(VESTA_CLAIM_LIMIT_MS * INT64_C(1000000) > ORDER_LEASE_NS, "a stopped primary's lease is over by then");

void node_place_silent(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  uint32_t count = 0;
  const uint32_t *nodes = order_participants(cluster->order, &count);
  for (uint32_t i = 0; i < count && order_usable(cluster->order) && cluster->silent_again_ns <= node->steady_ns; i++) {
    if (node_is_silent(node, nodes[i], peer_timeout_ns(node))) {
      cluster->silent_again_ns = node->steady_ns + AGAIN_NS;
      cluster->look_at_all = true;
    }
  }
}

void node_place_all(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  cluster->look_ns = 0;
  if (order_usable(cluster->order) && node_is_coordinator(node)) {
    look_at_primaries(node);
  }
  uint32_t count = 0;
  const uint32_t *nodes = order_participants(cluster->order, &count);
  memset(cluster->load, 0, sizeof cluster->load);
  size_t bucket = 0;
  for (directory_checkpoint_t *c = NULL; (c = directory_each(node->directory, &bucket, c)) != NULL;) {
    for (uint32_t i = 0; i < count; i++) {
      cluster->load[i] += directory_replica(c, nodes[i]) != NULL;
    }
    node_mark(node, c);
    if (c->shared != NULL) {
      c->shared->openers_changed = true;
    }
  }
}

/* ---- epochs ---- */

#define EPOCH_APART (UINT64_C(1) << 32)

/* Two halves that go on without each other may both make another node the primary. The epochs they do that in must not be
 * the same, or a place in the one history would look like one in the other: so each takes one that is far away, anywhere. */
uint64_t node_epoch_next(const node_t *node, const directory_checkpoint_t *checkpoint, uint64_t seen) {
  uint64_t epoch = checkpoint->epoch > seen ? checkpoint->epoch : seen;
  uint64_t any = table_hash_number(node->config.random ^ epoch) % EPOCH_APART;
  return epoch + 1 + (node->config.policy == ORDER_TRUST && !PLANTED(EPOCHS_ALIKE) ? any : 0);
}

static uint64_t epoch_here(const directory_checkpoint_t *checkpoint) {
  return replica_epoch_of(checkpoint->local->replica, replica_prepared_seq(checkpoint->local->replica));
}

/* The replica here knows more than the directory: it is of a half that was given up. Somebody has heard of its epoch, was
 * active in it maybe: what comes now has to be later. And where its history is gone on with, an unlink in that stands. */
static void tell_directory(node_t *node, node_shared_t *shared) {
  const directory_checkpoint_t *checkpoint = shared->checkpoint;
  if (checkpoint->local == NULL) {
    return;
  }
  replica_status_t status;
  replica_status(checkpoint->local->replica, &status);
  uint64_t seen = epoch_here(checkpoint);
  bool unlinks = status.unlinked && !checkpoint->unlinked && node_leads(node, checkpoint);
  if (seen <= checkpoint->epoch && !unlinks) {
    return;
  }
  if (shared->tell_again_ns <= node->steady_ns) {
    shared->tell_again_ns = node->steady_ns + AGAIN_NS;
    if (seen > checkpoint->epoch) {
      wire_message_t *op = node_order(node, WIRE_OP_PROMOTE);
      node_grant(node, checkpoint, checkpoint->group.granted, op);
      op->epoch = node_epoch_next(node, checkpoint, seen);
    } else {
      wire_message_t *op = node_order(node, WIRE_OP_UNLINK);
      op->name = vesta_bytes(checkpoint->name, checkpoint->name_size);
      op->checkpoint = checkpoint->id;
    }
  }
  node_shared_later(shared, shared->tell_again_ns);
}

/* ---- no primary ---- */

static void claim(node_t *node, node_shared_t *shared) {
  node_cluster_t *cluster = node->cluster;
  directory_checkpoint_t *checkpoint = shared->checkpoint;
  const directory_replica_t *mine = directory_replica(checkpoint, node->config.node_id);
  bool in_sync = mine != NULL && (mine->state == WIRE_REPLICA_IN_SYNC || PLANTED(ELECTED_OUT_OF_SYNC));
  bool can = in_sync && !mine->claimed && checkpoint->local != NULL;
  if (!can) {
    return;
  }
  if (shared->claim_again_ns > node->steady_ns) {
    node_shared_later(shared, shared->claim_again_ns);
    return;
  }
  if (cluster->claims == NULL) {
    cluster->claims = node_arena(node, LOST_MAX * sizeof *cluster->claims);
    cluster->claim_count = 0;
  }
  shared->claim_again_ns = node->steady_ns + AGAIN_NS;
  node_shared_later(shared, shared->claim_again_ns);
  if (cluster->claims == NULL) {
    return;
  }
  uint64_t prepared = replica_prepared_seq(checkpoint->local->replica);
  cluster->claims[cluster->claim_count++] =
      (wire_element_t){.member = checkpoint->id,
                       .offset = checkpoint->epoch,
                       .epoch = replica_epoch_of(checkpoint->local->replica, prepared),
                       .seq = prepared};
  if (cluster->claim_count == LOST_MAX) {
    node_place_claims(node);
  }
}

void node_place_claims(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  if (cluster->claims != NULL && cluster->claim_count > 0) {
    wire_message_t *op = node_order(node, WIRE_OP_CLAIM);
    op->node = node->config.node_id;
    op->elements = cluster->claims;
    op->element_count = cluster->claim_count;
  }
  cluster->claims = NULL;
  cluster->claim_count = 0;
}

static bool better(const directory_replica_t *a, const directory_replica_t *b) {
  if (a->claim_epoch != b->claim_epoch) {
    return a->claim_epoch > b->claim_epoch;
  }
  return a->claim_seq != b->claim_seq ? a->claim_seq > b->claim_seq : a->node < b->node;
}

static void elect(node_t *node, node_shared_t *shared) {
  const directory_checkpoint_t *checkpoint = shared->checkpoint;
  const directory_replica_t *best = NULL;
  bool missing = false;
  for (uint32_t i = 0; i < checkpoint->replica_count; i++) {
    const directory_replica_t *replica = &checkpoint->replicas[i];
    bool in_sync = replica->state == WIRE_REPLICA_IN_SYNC || PLANTED(ELECTED_OUT_OF_SYNC);
    if (!in_sync || !participates(node, replica->node)) {
      continue;
    }
    missing = missing || !replica->claimed;
    best = replica->claimed && (best == NULL || better(replica, best)) ? replica : best;
  }
  if (shared->claim_until_ns == 0) {
    shared->claim_until_ns = node->steady_ns + VESTA_CLAIM_LIMIT_MS * INT64_C(1000000);
  }
  if (missing && node->steady_ns < shared->claim_until_ns) {
    node_shared_later(shared, shared->claim_until_ns);
    return;
  }
  if (best == NULL) {
    return; /* it waits for a node that is away */
  }
  if (shared->elect_again_ns <= node->steady_ns) {
    shared->elect_again_ns = node->steady_ns + AGAIN_NS;
    wire_message_t *op = node_order(node, WIRE_OP_PRIMARY);
    op->checkpoint = checkpoint->id;
    op->node = best->node;
    op->from_epoch = checkpoint->epoch;
    op->epoch = node_epoch_next(node, checkpoint, best->claim_epoch);
  }
  node_shared_later(shared, shared->elect_again_ns);
}

/* ---- the primary is here ---- */

static void order_replica(node_t *node, node_shared_t *shared, uint32_t which, uint32_t state) {
  directory_checkpoint_t *checkpoint = shared->checkpoint;
  if (shared->placed_config == checkpoint->config && shared->place_again_ns > node->steady_ns) {
    node_shared_later(shared, shared->place_again_ns);
    return;
  }
  shared->placed_config = checkpoint->config;
  shared->place_again_ns = node->steady_ns + AGAIN_NS;
  node_shared_later(shared, shared->place_again_ns);
  wire_message_t *op = node_order(node, WIRE_OP_REPLICA);
  op->checkpoint = checkpoint->id;
  op->config = checkpoint->config;
  op->epoch = checkpoint->epoch;
  op->node = which;
  op->state = state;
}

/* When a node's replica is to be taken out, as it is now; INT64_MAX: not at all. */
static int64_t out_at_ns(const node_t *node, const node_shared_t *shared, uint32_t other) {
  int64_t owed_ns = peer_timeout_ns(node);
  replicator_copy_status_t status;
  if (other == node->config.node_id) {
    return INT64_MAX;
  }
  if (!participates(node, other)) {
    return order_node_lease_ns(node->cluster->order, other, node->steady_ns);
  }
  bool owes = replicator_copy(shared->replicator, other, &status) && status.waiting_since_ns != 0;
  int64_t awake_ns = node->cluster->awake_ns; /* what was said while this node was stopped may wait in its sockets */
  return !owes ? INT64_MAX : owed_ns + (status.waiting_since_ns > awake_ns ? status.waiting_since_ns : awake_ns);
}

void node_place_watch(node_t *node, node_shared_t *shared) {
  bool leads = node_leads(node, shared->checkpoint);
  for (uint32_t i = 0; i < shared->checkpoint->replica_count && leads; i++) {
    int64_t when_ns = out_at_ns(node, shared, shared->checkpoint->replicas[i].node);
    if (when_ns > node->steady_ns && when_ns != INT64_MAX) {
      node_shared_later(shared, when_ns);
    }
  }
}

/* Somebody who has to go. @return false: nobody */
static bool take_out(node_t *node, node_shared_t *shared) {
  const directory_checkpoint_t *checkpoint = shared->checkpoint;
  for (uint32_t i = 0; i < checkpoint->replica_count; i++) {
    uint32_t other = checkpoint->replicas[i].node;
    int64_t when_ns = out_at_ns(node, shared, other);
    if (when_ns <= node->steady_ns) {
      order_replica(node, shared, other, WIRE_REPLICA_NONE);
      return true;
    }
    if (when_ns != INT64_MAX) {
      node_shared_later(shared, when_ns);
    }
  }
  return false;
}

static void ask_to_join(node_t *node, const node_shared_t *shared, uint32_t to, uint32_t as) {
  wire_message_t join = {.kind = WIRE_PEER_JOIN,
                         .checkpoint = shared->checkpoint->id,
                         .node = node->config.node_id,
                         .epoch = shared->checkpoint->epoch,
                         .state = as};
  node_peer_send(node, to, &join, vesta_bytes(NULL, 0));
}

static void invite(node_t *node, node_shared_t *shared, uint32_t whom, uint32_t as) {
  if (shared->invite_rest_ns > node->steady_ns) {
    node_shared_later(shared, shared->invite_rest_ns);
    return;
  }
  if (replicator_invite(shared->replicator, whom, as == WIRE_REPLICA_IN_SYNC) == VESTA_OK) {
    shared->inviting = whom;
    shared->inviting_as = as;
    shared->caught_up = false;
    shared->invite_config = 0;
    shared->invite_again_ns = 0;
    shared->invite_until_ns = node->steady_ns + INVITE_NS;
  }
}

void node_place_calm(const node_t *node, node_shared_t *shared) {
  int64_t until_ns = node->steady_ns + CALM_NS;
  shared->invite_rest_ns = until_ns > shared->invite_rest_ns ? until_ns : shared->invite_rest_ns;
}

/* A participant without a replica in sync: the one with the fewest, as far as is known. */
static uint32_t candidate(const node_t *node, const node_shared_t *shared) {
  const directory_checkpoint_t *checkpoint = shared->checkpoint;
  uint32_t count = 0, best = 0, best_load = 0;
  const uint32_t *nodes = order_participants(node->cluster->order, &count);
  for (uint32_t i = 0; i < count; i++) {
    const directory_replica_t *replica = directory_replica(checkpoint, nodes[i]);
    if (nodes[i] == node->config.node_id || (replica != NULL && replica->state == WIRE_REPLICA_IN_SYNC)) {
      continue;
    }
    uint32_t load = nodes[i] == shared->refused ? UINT32_MAX : node->cluster->load[i];
    if (best == 0 || load < best_load) {
      best = nodes[i];
      best_load = load;
    }
  }
  return best;
}

static void go_on_inviting(node_t *node, node_shared_t *shared) {
  const directory_replica_t *replica = directory_replica(shared->checkpoint, shared->inviting);
  bool done = replica != NULL && replica->state >= shared->inviting_as;
  replicator_copy_status_t status;
  bool follows = replicator_copy(shared->replicator, shared->inviting, &status) && status.following;
  int64_t silent_ns = follows ? out_at_ns(node, shared, shared->inviting) : INT64_MAX;
  bool late = shared->invite_until_ns <= node->steady_ns || silent_ns <= node->steady_ns;
  if (done || !participates(node, shared->inviting) || late) {
    if (!done && shared->invite_config == shared->checkpoint->config) { /* it may be about to become one */
      order_replica(node, shared, shared->inviting, WIRE_REPLICA_NONE);
      return;
    }
    if (!done) {
      replicator_uninvite(shared->replicator, shared->inviting);
    }
    shared->inviting = 0;
    return;
  }
  if (silent_ns != INT64_MAX) {
    node_shared_later(shared, silent_ns);
  }
  if (!follows && shared->invite_again_ns <= node->steady_ns) {
    ask_to_join(node, shared, shared->inviting, shared->inviting_as);
    shared->invite_again_ns = node->steady_ns + AGAIN_NS;
  }
  if (follows && shared->caught_up) {
    order_replica(node, shared, shared->inviting, shared->inviting_as);
    shared->invite_config = shared->checkpoint->config;
  }
  node_shared_later(shared, shared->invite_until_ns);
  if (!follows) {
    node_shared_later(shared, shared->invite_again_ns);
  }
}

static void hand_over_answer(node_t *node, node_shared_t *shared, vesta_err_t err) {
  const directory_session_t *session = directory_session(node->directory, shared->handover_session);
  uint64_t link = session == NULL || shared->handover_number == 0 ? 0 : node_session_link(node, session);
  if (link != 0) {
    node->cluster->answering = session->token;
    (void)node_answer(node, link, shared->handover_number, err, NULL);
  }
}

/* Asked for by that session's request; none and 0: by nobody. */
static void hand_over_begin(const node_t *node, node_shared_t *shared, uint32_t to, vesta_token_t session,
                            uint64_t number) {
  shared->handover = to;
  shared->handover_until_ns = node->steady_ns + HANDOVER_NS;
  shared->handover_ordered = false;
  shared->handover_session = session;
  shared->handover_number = number;
}

static void hand_over_end(node_shared_t *shared) {
  shared->handover = 0;
  shared->handover_ordered = false;
  node_kept_unblock(shared);
}

void node_handed_over(node_t *node, const wire_message_t *op) {
  directory_checkpoint_t *checkpoint = directory_checkpoint(node->directory, op->checkpoint);
  if (checkpoint != NULL && checkpoint->shared != NULL && checkpoint->shared->handover == op->node) {
    hand_over_end(checkpoint->shared);
    node_mark(node, checkpoint);
  }
}

static void go_on_handing_over(node_t *node, node_shared_t *shared) {
  directory_checkpoint_t *checkpoint = shared->checkpoint;
  const directory_replica_t *replica = directory_replica(checkpoint, shared->handover);
  bool can = replica != NULL && replica->state == WIRE_REPLICA_IN_SYNC && participates(node, shared->handover);
  if (shared->handover_ordered) {
    return; /* it will be applied sooner or later, and what is taken before that would be lost by it */
  }
  if (!can || shared->handover_until_ns <= node->steady_ns) {
    hand_over_answer(node, shared, VESTA_ERR_TRY_AGAIN);
    hand_over_end(shared);
    return;
  }
  node_shared_later(shared, shared->handover_until_ns);
  uint64_t prepared = replica_prepared_seq(checkpoint->local->replica);
  bool all = replica_committed(checkpoint->local->replica).seq == prepared &&
             replicator_everywhere(shared->replicator, prepared);
  if (all) {
    shared->handover_ordered = true;
    wire_message_t *op = node_order(node, WIRE_OP_ACTIVE);
    op->checkpoint = checkpoint->id;
    op->epoch = checkpoint->epoch;
    op->node = shared->handover;
    op->number = shared->handover_number;
    op->token_hi = shared->handover_session.hi;
    op->token_lo = shared->handover_session.lo;
  }
}

bool node_hands_over(const node_t *node, const directory_checkpoint_t *checkpoint) {
  return node->cluster != NULL && checkpoint->shared != NULL && checkpoint->shared->handover != 0;
}

void node_hand_over(node_t *node, const node_request_t *request) {
  node_shared_t *shared = request->checkpoint->shared;
  const directory_replica_t *replica = directory_replica(request->checkpoint, request->session->node);
  if (shared->handover != 0 || replica == NULL || replica->state != WIRE_REPLICA_IN_SYNC) {
    node_hold(node, request);
    return;
  }
  hand_over_begin(node, shared, request->session->node, request->session->token, request->message->number);
  node_mark(node, request->checkpoint);
}

/* The active member of a collocated checkpoint has its replica beside it. */
static void follow_active_member(node_t *node, node_shared_t *shared) {
  const directory_checkpoint_t *checkpoint = shared->checkpoint;
  const roles_group_t *group = &checkpoint->group;
  bool has_active = (checkpoint->attributes.creation_flags & VESTA_CREATE_ALL_REPLICAS) == 0;
  const roles_member_t *active = group->state == ROLES_ACTIVE ? roles_member(group, group->granted) : NULL;
  const directory_session_t *home = active == NULL ? NULL : directory_session(node->directory, active->session);
  const directory_replica_t *there = home == NULL ? NULL : directory_replica(checkpoint, home->node);
  bool moves = is_collocated(checkpoint) && has_active && there != NULL && there->state == WIRE_REPLICA_IN_SYNC &&
               home->node != node->config.node_id && participates(node, home->node);
  if (moves && shared->handover == 0) {
    hand_over_begin(node, shared, home->node, (vesta_token_t){0}, 0);
  }
}

uint32_t node_place_wished(const node_t *node, const directory_checkpoint_t *checkpoint) {
  uint32_t wished = node->config.replicas != 0 ? node->config.replicas : VESTA_REPLICAS_DEFAULT;
  return is_collocated(checkpoint) ? 1 : wished < VESTA_REPLICAS_MAX ? wished : VESTA_REPLICAS_MAX;
}

/* Replicas of a collocated checkpoint are where it is open; but two stay wherever they are, for a standby that ends may be
 * about to start again. @return false: none is too many */
static bool take_out_surplus(node_t *node, node_shared_t *shared) {
  const directory_checkpoint_t *checkpoint = shared->checkpoint;
  bool few = directory_replica_count(checkpoint, WIRE_REPLICA_IN_SYNC) <= VESTA_REPLICAS_DEFAULT;
  if (few || !shared->openers_changed || shared->inviting != 0) {
    return false; /* with many handles this is work */
  }
  bool concerns = is_collocated(checkpoint) && checkpoint->oldest != NULL;
  for (uint32_t i = 0; i < checkpoint->replica_count && concerns; i++) {
    uint32_t other = checkpoint->replicas[i].node;
    if (other != node->config.node_id && !opened_on(checkpoint, other)) {
      order_replica(node, shared, other, WIRE_REPLICA_NONE);
      return true;
    }
  }
  shared->openers_changed = false;
  return false;
}

static void place_as_primary(node_t *node, node_shared_t *shared) {
  const directory_checkpoint_t *checkpoint = shared->checkpoint;
  if (shared->inviting != 0) {
    go_on_inviting(node, shared);
  }
  if (shared->handover != 0) {
    go_on_handing_over(node, shared);
    return;
  }
  if (take_out(node, shared) || !replicator_serves(shared->replicator) || take_out_surplus(node, shared)) {
    return;
  }
  follow_active_member(node, shared);
  uint32_t wished = node_place_wished(node, checkpoint);
  if (shared->inviting == 0 && directory_replica_count(checkpoint, WIRE_REPLICA_IN_SYNC) < wished) {
    uint32_t whom = candidate(node, shared);
    if (whom != 0) {
      invite(node, shared, whom, WIRE_REPLICA_IN_SYNC);
      go_on_inviting(node, shared);
    }
  }
}

void node_place_caught_up(node_t *node, node_shared_t *shared, uint32_t copy) {
  if (copy == shared->inviting) {
    shared->caught_up = true;
    node_mark(node, shared->checkpoint);
  }
}

void node_place_failed(node_t *node, node_shared_t *shared, uint32_t copy) {
  if (directory_replica(shared->checkpoint, copy) != NULL) {
    order_replica(node, shared, copy, WIRE_REPLICA_NONE);
  } else if (copy == shared->inviting) {
    shared->invite_until_ns = node->steady_ns; /* given up */
    shared->invite_rest_ns = node->steady_ns + AGAIN_NS;
    shared->refused = copy;
    node_mark(node, shared->checkpoint);
  }
}

/* ---- a replica here, the primary elsewhere ---- */

void node_place_wanted(node_t *node, node_shared_t *shared, uint32_t as) {
  if (shared->joining < as) {
    shared->joining = as;
    shared->join_again_ns = 0;
    node_mark(node, shared->checkpoint);
  }
}

/* Nobody needs the replica here. Its primary says whether it has all that is in it: what went another way is kept. */
static void leave(node_t *node, node_shared_t *shared) {
  if (shared->checkpoint->local == NULL || shared->replicator == NULL || shared->leave != NODE_LEAVE_ASKS) {
    node_shared_leave(node, shared, shared->leave == NODE_LEAVE_DIVERGED);
    shared->leave = NODE_LEAVE_ASKS;
  } else {
    replicator_leave(shared->replicator, true, node->steady_ns);
  }
}

static void place_elsewhere(node_t *node, node_shared_t *shared) {
  const directory_checkpoint_t *checkpoint = shared->checkpoint;
  const directory_replica_t *mine = directory_replica(checkpoint, node->config.node_id);
  shared->asked_until_ns = mine == NULL ? shared->asked_until_ns : 0; /* it is one now */
  if (mine == NULL && opened_on(checkpoint, node->config.node_id)) {
    if (is_collocated(checkpoint)) {
      node_place_wanted(node, shared, WIRE_REPLICA_IN_SYNC);
    } else if (checkpoint->local != NULL) {
      node_place_wanted(node, shared, WIRE_REPLICA_FOLLOWER); /* who follows it here goes on */
    }
  } else if (mine == NULL && shared->asked_until_ns <= node->steady_ns) {
    shared->joining = WIRE_REPLICA_NONE;
    leave(node, shared);
    return;
  }
  if (shared->replicator != NULL) {
    shared->leave = NODE_LEAVE_ASKS;
    replicator_leave(shared->replicator, false, node->steady_ns);
  }
  if (mine != NULL && mine->state >= shared->joining) {
    shared->joining = WIRE_REPLICA_NONE;
  }
  if (shared->joining != WIRE_REPLICA_NONE && checkpoint->primary != 0 && participates(node, checkpoint->primary)) {
    if (shared->join_again_ns <= node->steady_ns) {
      shared->join_again_ns = node->steady_ns + AGAIN_NS;
      ask_to_join(node, shared, checkpoint->primary, shared->joining);
    }
    node_shared_later(shared, shared->join_again_ns);
  }
  if (shared->asked_until_ns > node->steady_ns) {
    node_shared_later(shared, shared->asked_until_ns);
  }
}

void node_place_asked(node_t *node, uint32_t from, const wire_message_t *message) {
  directory_checkpoint_t *checkpoint = directory_checkpoint(node->directory, message->checkpoint);
  node_shared_t *shared =
      checkpoint == NULL || message->epoch != checkpoint->epoch ? NULL : node_shared(node, checkpoint);
  if (shared == NULL || message->state == WIRE_REPLICA_NONE || message->state > WIRE_REPLICA_IN_SYNC) {
    return;
  }
  if (checkpoint->primary == node->config.node_id) {
    const directory_replica_t *replica = directory_replica(checkpoint, from);
    bool has = replica != NULL && replica->state >= message->state;
    if (shared->replicator != NULL && shared->inviting == 0 && !has) {
      invite(node, shared, from, (uint32_t)message->state);
    }
  } else if (checkpoint->primary == from) { /* it wants us to */
    shared->asked_until_ns = node->steady_ns + INVITE_NS;
    node_shared_begin(node, shared);
    if (shared->replicator != NULL) {
      replicator_peer_up(shared->replicator, from,
                         node->steady_ns); /* it does not know where we are, or not any more */
    }
  }
  node_mark(node, checkpoint);
}

/* A replica that is listed here is not here any more. Where it was the only one in sync, what it held is lost; where it was
 * the primary, another one is to be that. */
static void find_lost(node_t *node, node_shared_t *shared) {
  const directory_checkpoint_t *checkpoint = shared->checkpoint;
  const directory_replica_t *mine = directory_replica(checkpoint, node->config.node_id);
  bool lost = mine != NULL && mine->state == WIRE_REPLICA_IN_SYNC && checkpoint->local == NULL && shared->gone;
  bool only = directory_replica_count(checkpoint, WIRE_REPLICA_IN_SYNC) == 1;
  if (!lost || (!only && checkpoint->primary != node->config.node_id)) {
    return;
  }
  if (shared->place_again_ns > node->steady_ns) {
    node_shared_later(shared, shared->place_again_ns);
    return;
  }
  wire_element_t *element = only ? NULL : node_arena(node, sizeof *element);
  shared->place_again_ns = node->steady_ns + AGAIN_NS;
  node_shared_later(shared, shared->place_again_ns);
  if (only) {
    node_count(node, NODE_COUNTER_REPLICAS_LOST);
    wire_message_t *op = node_order(node, WIRE_OP_REMOVE);
    op->checkpoint = checkpoint->id;
    op->state = WIRE_REMOVE_LOST;
  } else if (element != NULL) {
    *element = (wire_element_t){.member = checkpoint->id, .epoch = checkpoint->epoch};
    wire_message_t *op = node_order(node, WIRE_OP_PRIMARY_LOST);
    op->node = node->config.node_id;
    op->elements = element;
    op->element_count = 1;
  }
}

void node_place(node_t *node, node_shared_t *shared) {
  const directory_checkpoint_t *checkpoint = shared->checkpoint;
  if (!order_usable(node->cluster->order) || !node->cluster->caught_up) {
    return; /* what is known may be long since wrong: a region that is missed here may have been removed */
  }
  if (checkpoint->primary != node->config.node_id) {
    shared->inviting = 0;
    shared->handover = 0;
  }
  find_lost(node, shared);
  tell_directory(node, shared);
  if (checkpoint->primary == 0) {
    claim(node, shared);
    if (node_is_coordinator(node)) {
      elect(node, shared);
    }
    return;
  }
  shared->claim_again_ns = 0;
  shared->claim_until_ns = 0;
  shared->elect_again_ns = 0;
  if (node_leads(node, checkpoint)) {
    place_as_primary(node, shared);
  } else if (checkpoint->primary != node->config.node_id) {
    place_elsewhere(node, shared);
  }
}
