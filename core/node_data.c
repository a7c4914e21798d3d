/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Requests on sections: judged, put into the replica's log, committed, answered, published, in this order and in one
 * step. Nothing here touches the directory.
 */
#include "core/node_cluster.h"
#include "core/planted.h"

vesta_err_t node_usable(const directory_checkpoint_t *checkpoint) {
  bool all_replicas = (checkpoint->attributes.creation_flags & VESTA_CREATE_ALL_REPLICAS) != 0;
  return all_replicas || checkpoint->active_node != 0 ? VESTA_OK : VESTA_ERR_NOT_EXIST;
}

void node_publish(node_t *node, const directory_checkpoint_t *checkpoint, uint64_t first_seq, uint64_t last_seq,
                  bool awaited) {
  node_action_t *last = node->action_count == 0 ? NULL : &node->actions[node->action_count - 1];
  if (last != NULL && last->kind == NODE_ACTION_PUBLISH && last->checkpoint == checkpoint->id) {
    last->last_seq = last_seq;
    last->awaited = last->awaited || awaited;
    return;
  }
  node_action_t *publish = node_act(node, NODE_ACTION_PUBLISH);
  publish->checkpoint = checkpoint->id;
  publish->replica = checkpoint->local->replica;
  publish->first_seq = first_seq;
  publish->last_seq = last_seq;
  publish->awaited = awaited;
}

void node_count_committed(node_t *node, const directory_checkpoint_t *checkpoint, uint64_t data_bytes) {
  node_count(node, NODE_COUNTER_COMMITTED);
  node->counters[NODE_COUNTER_COMMITTED_BYTES] += data_bytes;
  checkpoint->local->written_bytes += data_bytes;
}

vesta_err_t node_commit(node_t *node, directory_checkpoint_t *checkpoint, const replica_op_t *op,
                        replica_result_t *result) {
  if (node->cluster != NULL) { /* it is published and counted when it is committed */
    vesta_err_t err = replicator_propose(checkpoint->shared->replicator, op, result);
    if (err == VESTA_OK) {
      node_mark(node, checkpoint); /* so it goes out */
    }
    return err;
  }
  vesta_err_t err = replica_apply(checkpoint->local->replica, op, result);
  if (err == VESTA_OK) {
    node_count_committed(node, checkpoint, 0);
    node_publish(node, checkpoint, result->seq, result->seq, false);
  }
  return err;
}

void node_expire(node_t *node, directory_checkpoint_t *checkpoint, uint32_t sections_max) {
  replica_t *replica = checkpoint->local->replica;
  uint32_t first = node->expired_count;
  replica_section_t section;
  vesta_err_t err = VESTA_OK;
  for (uint32_t i = 0; i < sections_max && err == VESTA_OK; i++) {
    if (replica_expiry_next(replica, &section) > node->wall_ns) {
      break;
    }
    replica_element_t element = {.kind = VESTA_KIND_EXPIRED, .id = section.id};
    replica_op_t op = {.time_ns = node->wall_ns, .elements = &element, .element_count = 1};
    replica_result_t result;
    node_track_expiring(node, checkpoint, section.id);
    err = node_commit(node, checkpoint, &op, &result);
    if (err == VESTA_OK) {
      node_count(node, NODE_COUNTER_EXPIRED);
      node_track_expired(node, checkpoint);
    }
  }
  node_track_expired_all(node, checkpoint, first);
  node_schedule(node, checkpoint);
  if (err != VESTA_OK) { /* no memory for its log record: it counts as gone all the same, and is removed later */
    deadlines_set(&node->wall, &checkpoint->local->wall, node->wall_ns + NODE_RETRY_NS);
  }
}

/* What every request on sections needs; answers the request itself when it can't be. */
static bool node_ready(node_t *node, const node_request_t *request, uint32_t mode) {
  vesta_err_t err = VESTA_OK;
  if (mode != 0 && (request->handle->flags & mode) == 0) {
    err = VESTA_ERR_ACCESS;
  } else {
    err = node_usable(request->checkpoint);
  }
  if (err != VESTA_OK) {
    node_refuse(node, request, err);
  }
  return err == VESTA_OK;
}

static vesta_err_t node_change_elements(node_t *node, const node_request_t *request) {
  const wire_message_t *message = request->message;
  const uint8_t *data = request->event->payload.data;
  if (message->element_count > VESTA_VECTOR_ELEMENTS_MAX) {
    return VESTA_ERR_NO_RESOURCES;
  }
  if (wire_payload_check(message, request->event->payload.size) != VESTA_OK) {
    return VESTA_ERR_MALFORMED;
  }
  for (uint32_t i = 0; i < message->element_count; i++) {
    const wire_element_t *from = &message->elements[i];
    switch (from->kind) {
      case VESTA_KIND_CREATED:
      case VESTA_KIND_WRITTEN:
      case VESTA_KIND_OVERWRITTEN:
      case VESTA_KIND_DELETED:
      case VESTA_KIND_EXPIRY_SET: break;
      default: return VESTA_ERR_MALFORMED; /* not for clients */
    }
    node->replica_elements[i] = (replica_element_t){.kind = (vesta_kind_t)from->kind,
                                                    .id = from->id,
                                                    .offset = from->offset,
                                                    .data = vesta_bytes(data, from->size),
                                                    .expiry_ns = from->expiry_ns};
    data = from->size == 0 ? data : data + from->size;
  }
  return VESTA_OK;
}

void node_change_answer(node_t *node, const directory_checkpoint_t *checkpoint, uint64_t link, uint64_t number,
                        vesta_err_t err, const replica_result_t *result) {
  wire_message_t *reply = node_answer(node, link, number, err, NULL);
  if (err != VESTA_OK) {
    reply->element = result->element;
    return;
  }
  wire_pos_set(reply, (vesta_pos_t){.lineage = checkpoint->lineage, .epoch = result->epoch, .seq = result->seq});
  reply->id = vesta_bytes(result->generated_id, result->generated_id_size);
}

vesta_err_t node_change_judge(node_t *node, const node_request_t *request, replica_op_t *op, node_wait_t **wait) {
  const wire_message_t *message = request->message;
  vesta_err_t err = node_change_elements(node, request);
  if (err == VESTA_OK) {
    err = node_wait_new(node, request, wait);
  }
  if (err == VESTA_OK && *wait != NULL && !node_wait_possible(request)) {
    node_wait_discard(wait);
    err = VESTA_ERR_TRY_AGAIN;
  }
  *op = (replica_op_t){
      .session = request->session->token,
      .request = message->number,
      .time_ns = node->wall_ns,
      .elements = node->replica_elements,
      .element_count = message->element_count,
      .unchanged_since = {.lineage = message->from_lineage, .epoch = message->from_epoch, .seq = message->from_seq}};
  return err;
}

/* Judge a change and make it, to be answered at once or, with *wait, when it is applied. */
static vesta_err_t node_change_make(node_t *node, const node_request_t *request, node_wait_t **wait) {
  replica_op_t op;
  vesta_err_t err = node_change_judge(node, request, &op, wait);
  if (err == VESTA_OK) {
    err = replica_apply(request->checkpoint->local->replica, &op, &node->change_result);
    if (err != VESTA_OK) {
      node_wait_discard(wait);
    }
  }
  return err;
}

static uint64_t node_change_bytes(const wire_message_t *change) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < change->element_count; i++) {
    bytes += change->elements[i].size;
  }
  return bytes;
}

void node_change(node_t *node, const node_request_t *request) {
  directory_checkpoint_t *checkpoint = request->checkpoint;
  uint64_t link = request->event->link, number = request->message->number;
  replica_result_t *result = &node->change_result;
  *result = (replica_result_t){.element = REPLICA_NO_ELEMENT};
  if (!node_ready(node, request, VESTA_OPEN_WRITE)) {
    return;
  }
  bool done = replica_request_find(checkpoint->local->replica, request->session->token, number, result) == VESTA_OK;
  if (done && !PLANTED(DONE_TWICE)) {
    node_count(node, NODE_COUNTER_RESENT);
    if (request->message->count > 0) {
      node_wait_again(node, request, result);
    } else {
      node_change_answer(node, checkpoint, link, number, VESTA_OK, result);
    }
    return;
  }
  if (node->cluster != NULL && node_shared_under_way(node, request)) {
    return;
  }
  if (!roles_may_write(&checkpoint->group, request->session->token)) {
    node_count(node, NODE_COUNTER_FENCED);
    node_refuse(node, request, VESTA_ERR_FENCED);
    return;
  }
  if (checkpoint->local->wall.at_ns <= node->wall_ns) {
    node_expire(node, checkpoint, UINT32_MAX); /* their slots and ids are free for this request */
  }
  if (node->cluster != NULL) {
    node_shared_change(node, request);
    return;
  }
  node_wait_t *wait = NULL;
  vesta_err_t err = node_change_make(node, request, &wait);
  if (wait == NULL) {
    node_change_answer(node, checkpoint, link, number, err, result);
  }
  if (err == VESTA_OK) {
    node_count_committed(node, checkpoint, node_change_bytes(request->message));
    node_track_changed(node, request, result);
    node_publish(node, checkpoint, result->seq, result->seq, wait != NULL);
    node_schedule(node, checkpoint);
  }
  if (wait != NULL) {
    node_wait_begin(node, checkpoint, &wait, result);
  }
}

void node_read(node_t *node, const node_request_t *request) {
  const wire_message_t *message = request->message;
  if (!node_ready(node, request, VESTA_OPEN_READ)) {
    return;
  }
  replica_section_t section;
  vesta_err_t err = VESTA_OK;
  if (!replica_find(request->checkpoint->local->replica, message->id, node->wall_ns, &section)) {
    err = VESTA_ERR_NOT_EXIST;
  } else if (section.corrupted) {
    err = VESTA_ERR_CORRUPTED;
  } else if (message->offset > section.size) {
    err = VESTA_ERR_INVALID_PARAM;
  }
  if (err != VESTA_OK) {
    node_refuse(node, request, err);
    return;
  }
  uint64_t there = section.size - message->offset;
  uint64_t size = message->size < there ? message->size : there;
  node_action_t *action;
  wire_message_t *reply = node_answer(node, request->event->link, message->number, VESTA_OK, &action);
  reply->size = size;
  action->payload = vesta_bytes(size == 0 ? NULL : section.data + message->offset, size);
}

void node_status(node_t *node, const node_request_t *request) {
  directory_checkpoint_t *checkpoint = request->checkpoint;
  if (!node_ready(node, request, 0)) {
    return;
  }
  if (node_leads(node, checkpoint)) {
    node_expire(node, checkpoint, UINT32_MAX);
  }
  replica_status_t status;
  replica_status(checkpoint->local->replica, &status);
  wire_message_t *reply = node_answer(node, request->event->link, request->message->number, VESTA_OK, NULL);
  wire_attributes_set(reply, &checkpoint->attributes);
  reply->checkpoint = checkpoint->id;
  reply->count = status.section_count;
  reply->size = status.data_bytes;
  wire_pos_set(reply, status.committed);
}

void node_map(node_t *node, const node_request_t *request) {
  if (!node_ready(node, request, VESTA_OPEN_READ)) {
    return;
  }
  if (request->checkpoint->local == NULL) {
    node_refuse(node, request, VESTA_ERR_TRY_AGAIN); /* it is read through the primary's node */
    return;
  }
  uint64_t size = 0;
  (void)replica_region_size(&request->checkpoint->attributes, &size);
  node_action_t *action;
  wire_message_t *reply = node_answer(node, request->event->link, request->message->number, VESTA_OK, &action);
  action->attach = request->checkpoint->id;
  reply->checkpoint = request->checkpoint->id;
  reply->size = size;
  wire_attributes_set(reply, &request->checkpoint->attributes);
}

/* ---- iteration ---- */

enum { /* SaCkptSectionsChosenT */
       NODE_SECTIONS_FOREVER = 1,
       NODE_SECTIONS_LEQ = 2,
       NODE_SECTIONS_GEQ = 3,
       NODE_SECTIONS_CORRUPTED = 4,
       NODE_SECTIONS_ANY = 5,
};

static bool node_chosen(const replica_section_t *section, uint64_t chosen, int64_t expiry_ns) {
  switch (chosen) {
    case NODE_SECTIONS_FOREVER: return section->expiry_ns == VESTA_TIME_END;
    case NODE_SECTIONS_LEQ: return section->expiry_ns <= expiry_ns;
    case NODE_SECTIONS_GEQ: return section->expiry_ns >= expiry_ns;
    case NODE_SECTIONS_CORRUPTED: return section->corrupted;
    default: return true;
  }
}

#define NODE_ITERATE_SLOTS_MAX 65536U /* slots looked at for one answer */

void node_iterate(node_t *node, const node_request_t *request) {
  const wire_message_t *message = request->message;
  if (message->flags < NODE_SECTIONS_FOREVER || message->flags > NODE_SECTIONS_ANY) {
    node_refuse(node, request, VESTA_ERR_INVALID_PARAM);
    return;
  }
  if (!node_ready(node, request, 0)) {
    return;
  }
  const replica_t *replica = request->checkpoint->local->replica;
  /* Slots are walked once and a section keeps its slot, here and on every node that may go on with it, so each is met at
   * most once; `as_of` leaves out later ones. What followed an operation that was lost with its primary is later, too. */
  vesta_pos_t as_of = message->cursor == 0 ? replica_committed(replica) : wire_pos(message);
  as_of.seq = as_of.epoch == 0 ? as_of.seq : replica_shared_seq(replica, as_of.epoch, as_of.seq);
  uint32_t end = replica_slot_end(replica);
  uint32_t slot = message->cursor > end ? end : (uint32_t)message->cursor;
  uint32_t stop = end - slot > NODE_ITERATE_SLOTS_MAX ? slot + NODE_ITERATE_SLOTS_MAX : end;
  uint32_t count = 0;
  replica_section_t section;
  while (count < VESTA_ITERATE_SECTIONS_MAX && replica_slot_next(replica, slot, stop, &section)) {
    slot = section.slot + 1;
    bool shown = section.created_seq <= as_of.seq && section.expiry_ns > node->wall_ns &&
                 node_chosen(&section, message->flags, message->expiry_ns);
    if (shown) {
      node->elements[count++] = (wire_element_t){.kind = VESTA_KIND_CREATED,
                                                 .id = section.id,
                                                 .offset = section.size,
                                                 .expiry_ns = section.expiry_ns,
                                                 .time_ns = section.last_update_ns,
                                                 .seq = section.seq,
                                                 .epoch = section.epoch,
                                                 .slot = section.slot,
                                                 .index = section.corrupted ? 1 : 0};
    }
  }
  if (count < VESTA_ITERATE_SECTIONS_MAX) {
    slot = stop;
  }
  wire_message_t *reply = node_answer(node, request->event->link, message->number, VESTA_OK, NULL);
  reply->elements = node->elements;
  reply->element_count = count;
  reply->cursor = slot;
  reply->state = slot >= end ? 1 : 0;
  reply->epoch = as_of.epoch;
  reply->seq = as_of.seq;
}

/* Is all that was committed when it was asked for at every replica? Else it is held. */
static bool node_synchronized(node_t *node, const node_request_t *request) {
  wire_message_t message = *request->message;
  message.seq = message.seq != 0 ? message.seq : replica_committed(request->checkpoint->local->replica).seq;
  if (node->cluster == NULL || replicator_everywhere(request->checkpoint->shared->replicator, message.seq)) {
    return true;
  }
  node_request_t held = *request;
  held.message = &message;
  node_hold(node, &held);
  return false;
}

void node_synchronize(node_t *node, const node_request_t *request) {
  vesta_err_t err = VESTA_OK;
  if ((request->handle->flags & VESTA_OPEN_WRITE) == 0) {
    err = VESTA_ERR_ACCESS;
  } else if ((request->checkpoint->attributes.creation_flags & VESTA_CREATE_ALL_REPLICAS) != 0) {
    err = VESTA_ERR_BAD_OPERATION;
  } else {
    err = node_usable(request->checkpoint);
  }
  if (err == VESTA_OK && !node_synchronized(node, request)) {
    return;
  }
  directory_answer_t answer = {.number = request->message->number, .err = err};
  node_answer_ordered(node, request->session, request->event->link, (uint32_t)request->message->flags, &answer);
}
