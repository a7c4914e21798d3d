/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For the people who run a cluster: how it and its checkpoints stand, and the one thing that only they can decide.
 *
 *   CLUSTER, nodes         the view, the order, who takes part
 *   CLUSTER, checkpoints   one element each: primary, replicas, what is the matter
 *   USERS, replicas        one row for each node that has one
 *   DISCARD                what this node kept as DIVERGED is deleted
 *   RECOVER                a checkpoint WAITS when every node whose replica is in sync is away: nobody else is sure to have
 *                          all that was acknowledged. When they won't come back, the operator names a node to go on with.
 *
 * Whether that node has a replica only it knows, so the request goes there, and that node has it ordered. Its caller is
 * answered when that is done (node_ordered()); what the nodes that were given up have is found to have diverged when they
 * come back, and is kept there.
 *
 * Looking needs no session, and so no quorum. It tells what this node knows: how far copies are is the primary's to know.
 */
#include "core/node_cluster.h"

/* ---- the nodes ---- */

static wire_element_t *told_of(node_t *node, uint32_t *count, uint32_t which) {
  for (uint32_t i = 0; i < *count; i++) {
    if (node->elements[i].member == which) {
      return &node->elements[i];
    }
  }
  if (*count == VESTA_ITERATE_SECTIONS_MAX) {
    return NULL;
  }
  wire_element_t *element = &node->elements[(*count)++];
  *element = (wire_element_t){.member = which};
  return element;
}

/* Those that take part, and those that have replicas: how many, and of how many they are the primary. */
static uint32_t tell_nodes(node_t *node) {
  const order_t *order = node->cluster->order;
  uint32_t count = 0, participants = 0;
  const uint32_t *ids = order_participants(order, &participants);
  for (uint32_t i = 0; i < participants; i++) {
    wire_element_t *element = told_of(node, &count, ids[i]);
    element->slot = WIRE_NODE_PARTICIPANT | (ids[i] == order_coordinator(order) ? WIRE_NODE_COORDINATOR : 0U);
  }
  (void)told_of(node, &count, node->config.node_id);
  size_t bucket = 0;
  for (const directory_checkpoint_t *c = NULL; (c = directory_each(node->directory, &bucket, c)) != NULL;) {
    for (uint32_t i = 0; i < c->replica_count; i++) {
      wire_element_t *element = told_of(node, &count, c->replicas[i].node);
      if (element != NULL) {
        element->count++;
        element->index += c->primary == c->replicas[i].node;
      }
    }
  }
  return count;
}

static void tell_cluster(node_t *node, wire_message_t *reply) {
  const order_t *order = node->cluster->order;
  order_ring_t ring = order_view_ring(order);
  reply->node = node->config.node_id;
  reply->ring_seq = ring.seq;
  reply->ring_node = ring.node;
  reply->lineage = order_cluster(order);
  reply->epoch = order_term(order);
  reply->seq = order_index(order);
  reply->acked = order_stable(order);
  reply->count = order_expected(order);
  reply->size = order_waiting(order);
  reply->version_max = order_version(order);
  reply->state = (order_quorate(order) ? WIRE_CLUSTER_QUORATE : 0U) | (order_usable(order) ? WIRE_CLUSTER_USABLE : 0U) |
                 (order_state(order) == ORDER_OUT ? WIRE_CLUSTER_OUT : 0U) |
                 (order_refused(order) ? WIRE_CLUSTER_REFUSED : 0U) |
                 (node_has_quorum(node) ? 0U : WIRE_CLUSTER_CUT_OFF) |
                 (node->config.policy == ORDER_TRUST ? WIRE_CLUSTER_TRUST : 0U);
  reply->element_count = tell_nodes(node);
}

/* ---- checkpoints ---- */

static bool may_be_primary(const node_t *node, const directory_checkpoint_t *checkpoint) {
  for (uint32_t i = 0; i < checkpoint->replica_count; i++) {
    if (checkpoint->replicas[i].state == WIRE_REPLICA_IN_SYNC &&
        order_participates(node->cluster->order, checkpoint->replicas[i].node)) {
      return true;
    }
  }
  return false;
}

static uint32_t standing(const node_t *node, const directory_checkpoint_t *checkpoint) {
  const order_t *order = node->cluster->order;
  if (!order_usable(order)) {
    return WIRE_STANDING_UNKNOWN;
  }
  if (!may_be_primary(node, checkpoint)) {
    return WIRE_STANDING_WAITING;
  }
  if (checkpoint->primary == 0 || !order_participates(order, checkpoint->primary)) {
    return WIRE_STANDING_ELECTING;
  }
  bool few = directory_replica_count(checkpoint, WIRE_REPLICA_IN_SYNC) < node_place_wished(node, checkpoint);
  return few ? WIRE_STANDING_FEW : WIRE_STANDING_WHOLE;
}

static void tell_checkpoints(node_t *node, uint64_t cursor, wire_message_t *reply) {
  uint32_t count = 0;
  uint64_t end = directory_next_checkpoint(node->directory);
  for (; cursor < end && count < VESTA_ITERATE_SECTIONS_MAX; cursor++) {
    const directory_checkpoint_t *checkpoint = directory_checkpoint(node->directory, cursor);
    if (checkpoint == NULL) {
      continue;
    }
    bool diverged = checkpoint->shared != NULL && checkpoint->shared->diverged;
    node->elements[count++] = (wire_element_t){.kind = standing(node, checkpoint),
                                               .id = vesta_bytes(checkpoint->name, checkpoint->name_size),
                                               .member = checkpoint->id,
                                               .epoch = checkpoint->epoch,
                                               .seq = checkpoint->config,
                                               .slot = checkpoint->primary,
                                               .count = checkpoint->replica_count,
                                               .index = directory_replica_count(checkpoint, WIRE_REPLICA_IN_SYNC),
                                               .offset = diverged ? WIRE_USER_DIVERGED : 0};
  }
  reply->element_count = count;
  reply->cursor = cursor;
  reply->state = cursor >= end ? 1 : 0;
}

void node_cluster_told(node_t *node, const node_request_t *request) {
  const wire_message_t *message = request->message;
  bool known = message->state == WIRE_CLUSTER_NODES || message->state == WIRE_CLUSTER_CHECKPOINTS;
  if (node->cluster == NULL || !known) {
    node_refuse(node, request, known ? VESTA_ERR_NOT_SUPPORTED : VESTA_ERR_INVALID_PARAM);
    return;
  }
  wire_message_t *reply = node_answer(node, request->event->link, message->number, VESTA_OK, NULL);
  reply->elements = node->elements;
  if (message->state == WIRE_CLUSTER_NODES) {
    tell_cluster(node, reply);
  } else {
    tell_checkpoints(node, message->cursor, reply);
  }
}

/* ---- the replicas of one ---- */

/* The lowest node above `after` that has one: the directory says so, or it is here still. */
static uint32_t replica_after(const node_t *node, const directory_checkpoint_t *checkpoint, uint64_t after) {
  uint32_t next = checkpoint->local != NULL && node->config.node_id > after ? node->config.node_id : 0;
  for (uint32_t i = 0; i < checkpoint->replica_count; i++) {
    uint32_t other = checkpoint->replicas[i].node;
    next = other > after && (next == 0 || other < next) ? other : next;
  }
  return next;
}

/* What its primary, which is here, knows of a copy. */
static void tell_copy(const node_t *node, const directory_checkpoint_t *checkpoint, wire_message_t *row) {
  replicator_copy_status_t copy;
  bool known = node_leads(node, checkpoint) &&
               replicator_copy(checkpoint->shared->replicator, (uint32_t)row->node, &copy) && copy.following;
  if (known) {
    const replica_t *replica = checkpoint->local->replica;
    row->state |= WIRE_USER_TOLD;
    row->lineage = replica_committed(replica).lineage;
    row->epoch = replica_epoch_of(replica, copy.has);
    row->seq = copy.has;
    row->offset = replica_committed(replica).seq - copy.has;
  }
}

void node_users_replica(const node_t *node, const directory_checkpoint_t *checkpoint, uint64_t after,
                        wire_message_t *row) {
  uint32_t which = replica_after(node, checkpoint, after);
  if (which == 0) {
    return;
  }
  const directory_replica_t *replica = directory_replica(checkpoint, which);
  bool here = which == node->config.node_id;
  row->cursor = which;
  row->node = which;
  row->state = (replica != NULL ? WIRE_USER_LISTED : 0U) |
               (replica != NULL && replica->state == WIRE_REPLICA_IN_SYNC ? WIRE_USER_IN_SYNC : 0U) |
               (checkpoint->primary == which ? WIRE_USER_PRIMARY : 0U) |
               (checkpoint->active_node == which ? WIRE_USER_ACTIVE : 0U) |
               (order_participates(node->cluster->order, which) ? 0U : WIRE_USER_AWAY) |
               (here && checkpoint->shared != NULL && checkpoint->shared->diverged ? WIRE_USER_DIVERGED : 0U);
  if (here || (checkpoint->local == NULL && after == 0)) {
    wire_attributes_set(row, &checkpoint->attributes);
  }
  if (here && checkpoint->local != NULL) {
    replica_status_t status;
    replica_status(checkpoint->local->replica, &status);
    row->state |= checkpoint->primary == which ? WIRE_USER_TOLD : 0U;
    row->count = status.section_count;
    row->size = status.data_bytes;
    wire_pos_set(row, status.committed);
  } else {
    tell_copy(node, checkpoint, row);
  }
}

/* ---- recover ---- */

/* Nothing but the operator's word is missing. */
static vesta_err_t recover_check(const node_t *node, const directory_checkpoint_t *checkpoint, uint64_t from) {
  if (checkpoint == NULL) {
    return VESTA_ERR_NOT_EXIST;
  }
  if (may_be_primary(node, checkpoint)) {
    return VESTA_ERR_BAD_OPERATION; /* it waits for nobody: there is a primary, or there will be one */
  }
  if (checkpoint->primary != 0) {
    return VESTA_ERR_TRY_AGAIN; /* it might still be read where that is */
  }
  return order_participates(node->cluster->order, (uint32_t)from) ? VESTA_OK : VESTA_ERR_TRY_AGAIN;
}

static void recover_order(node_t *node, const node_request_t *request, const directory_checkpoint_t *checkpoint) {
  wire_message_t *op = node_order(node, WIRE_OP_RECOVER);
  op->checkpoint = checkpoint->id;
  op->node = node->config.node_id;
  op->epoch = node_epoch_next(node, checkpoint, replica_committed(checkpoint->local->replica).epoch);
  op->number = request->message->number;
  op->token_hi = request->session->token.hi;
  op->token_lo = request->session->token.lo;
}

/* By now it may have been done, and another node's directory told so. */
static bool recover_known(node_t *node, const node_request_t *request) {
  const directory_answer_t *stored = directory_answer(request->session, request->message->number);
  if (stored != NULL) {
    node_answer_stored(node, request, stored);
  }
  return stored != NULL;
}

void node_recover(node_t *node, const node_request_t *request) {
  const wire_message_t *message = request->message;
  vesta_err_t err = VESTA_OK;
  if (recover_known(node, request)) {
    return;
  }
  directory_checkpoint_t *checkpoint = directory_name(node->directory, message->name, node->wall_ns);
  if (request->session->uid != 0 && request->session->uid != node->config.owner_uid) {
    err = VESTA_ERR_DENIED;
  } else if (node->cluster == NULL) {
    err = VESTA_ERR_NOT_SUPPORTED;
  } else if (message->flags != WIRE_RECOVER_ACCEPT_LOSS) {
    err = VESTA_ERR_INVALID_PARAM;
  } else if (!order_usable(node->cluster->order)) {
    err = VESTA_ERR_TRY_AGAIN;
  } else {
    err = recover_check(node, checkpoint, message->node);
  }
  bool here = message->node == node->config.node_id;
  if (err == VESTA_OK && here && checkpoint->local == NULL) {
    err = VESTA_ERR_NOT_SUPPORTED; /* with nothing? */
  }
  if (err != VESTA_OK) {
    node_refuse(node, request, err);
  } else if (here) {
    recover_order(node, request, checkpoint);
  } else {
    wire_message_t forward = *message;
    forward.token_hi = request->session->token.hi;
    forward.token_lo = request->session->token.lo;
    node_request_t held = *request;
    held.checkpoint = checkpoint;
    node_hold(node, &held); /* until it was ordered, or refused there; judged again when something changes */
    node_peer_send(node, (uint32_t)message->node, &forward, vesta_bytes(NULL, 0));
  }
}

void node_recover_here(node_t *node, const node_event_t *event) {
  node_event_t local = *event;
  local.link = NODE_LINK_REMOTE | event->node;
  vesta_token_t token = wire_token(event->message);
  node_request_t request = {
      .event = &local, .message = event->message, .session = directory_session(node->directory, token)};
  if (request.session == NULL || request.session->node != event->node || !order_usable(node->cluster->order)) {
    return; /* it waits there, and is given up when its time is over */
  }
  node->cluster->answering = token;
  if (recover_known(node, &request)) {
    return;
  }
  directory_checkpoint_t *checkpoint = directory_name(node->directory, event->message->name, node->wall_ns);
  vesta_err_t err = recover_check(node, checkpoint, node->config.node_id);
  if (err == VESTA_OK && checkpoint->local == NULL) {
    err = VESTA_ERR_NOT_SUPPORTED;
  }
  if (err != VESTA_OK) {
    node_refuse(node, &request, err);
  } else {
    recover_order(node, &request, checkpoint);
  }
}

/* ---- discard ---- */

void node_discard(node_t *node, const node_request_t *request) {
  directory_checkpoint_t *checkpoint = directory_name(node->directory, request->message->name, node->wall_ns);
  vesta_err_t err = VESTA_OK;
  if (request->event->uid != 0 && request->event->uid != node->config.owner_uid) {
    err = VESTA_ERR_DENIED;
  } else if (node->cluster == NULL) {
    err = VESTA_ERR_NOT_SUPPORTED;
  } else if (checkpoint == NULL) {
    err = VESTA_ERR_NOT_EXIST;
  } else if (checkpoint->shared == NULL || !checkpoint->shared->diverged) {
    err = VESTA_ERR_BAD_OPERATION;
  }
  if (err == VESTA_OK) {
    checkpoint->shared->diverged = false;
    node->config.storage.remove(node->config.storage.context, checkpoint->id | NODE_REGION_DIVERGED);
  }
  node_refuse(node, request, err);
}
