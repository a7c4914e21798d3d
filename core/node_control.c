/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Requests that concern the directory. Each is judged as far as it can be now; what is left becomes an ordered operation
 * that carries the session and the number of the request, by which node_ordered.c answers it and by which a resent
 * one is known again.
 */
#include <stdlib.h>

#include "core/node_cluster.h"

/* The ordered operation for a request. */
static wire_message_t *node_order_for(node_t *node, const node_request_t *request, enum wire_kind kind) {
  wire_message_t *op = node_order(node, kind);
  op->number = request->message->number;
  op->token_hi = request->session->token.hi;
  op->token_lo = request->session->token.lo;
  return op;
}

void node_answer_stored(node_t *node, const node_request_t *request, const directory_answer_t *stored) {
  node_answer_ordered(node, request->session, request->event->link, (uint32_t)request->message->flags, stored);
}

/* ---- sessions ---- */

static bool node_link_add(node_t *node, uint64_t number, vesta_token_t session, bool callbacks) {
  node_link_t *link = calloc(1, sizeof *link);
  if (link == NULL) {
    return false;
  }
  *link = (node_link_t){.number = number, .session = session, .callbacks = callbacks};
  table_insert(&node->links, &link->by_number, table_hash_number(number));
  return true;
}

/* A session whose process came back on a new link: only that very process may. */
static void node_resume(node_t *node, const node_event_t *event) {
  directory_session_t *session = directory_session(node->directory, wire_token(event->message));
  bool same = session != NULL && !session->over && session->uid == event->uid && session->pid == event->pid &&
              session->start == event->start;
  vesta_err_t err = same ? VESTA_OK : VESTA_ERR_BAD_HANDLE;
  if (node->cluster != NULL && !node->cluster->caught_up) {
    same = false;
    err = VESTA_ERR_TRY_AGAIN; /* the session, and what it has open, may be newer than what is known here */
  }
  if (same && event->link < session->link) {
    err = VESTA_ERR_BAD_OPERATION; /* given up before it was heard: the process speaks on a later link already */
  } else if (same && !node_link_add(node, event->link, session->token, false)) {
    err = VESTA_ERR_NO_MEMORY;
  }
  wire_message_t *reply = node_answer(node, event->link, event->message->number, err, NULL);
  if (err != VESTA_OK) {
    return;
  }
  reply->token_hi = session->token.hi;
  reply->token_lo = session->token.lo;
  session->link = event->link;
  session->resumed = true;
  session->watched = event->watched;
  if (event->watched) {
    node_action_t *watch = node_act(node, NODE_ACTION_WATCH);
    watch->link = event->link;
    watch->session = session->token;
  }
}

void node_hello(node_t *node, const node_event_t *event) {
  if (node_link(node, event->link) != NULL) {
    (void)node_answer(node, event->link, event->message->number, VESTA_ERR_BAD_OPERATION, NULL);
    return;
  }
  if (!vesta_token_is_none(wire_token(event->message))) {
    node_resume(node, event);
    return;
  }
  node_hello_t *hello = calloc(1, sizeof *hello);
  if (hello == NULL || directory_reserve(node->directory) != VESTA_OK) {
    free(hello);
    (void)node_answer(node, event->link, event->message->number, VESTA_ERR_NO_MEMORY, NULL);
    return;
  }
  *hello = (node_hello_t){.next = node->hellos, .token = event->random, .link = event->link, .watched = event->watched};
  node->hellos = hello;
  wire_message_t *op = node_order(node, WIRE_OP_SESSION_BEGIN);
  op->number = event->message->number;
  op->token_hi = event->random.hi;
  op->token_lo = event->random.lo;
  op->node = node->config.node_id;
  op->uid = event->uid;
  op->pid = event->pid;
  op->start = event->start;
  op->text = event->program;
}

void node_hello_forget(node_t *node, uint64_t link) {
  for (node_hello_t **at = &node->hellos; *at != NULL; at = &(*at)->next) {
    if ((*at)->link == link) {
      node_hello_t *gone = *at;
      *at = gone->next;
      free(gone);
      return;
    }
  }
}

static node_hello_t *node_hello_of(const node_t *node, vesta_token_t token) {
  node_hello_t *hello = node->hellos;
  while (hello != NULL && !vesta_token_equal(hello->token, token)) {
    hello = hello->next;
  }
  return hello;
}

/* The session was ordered: its link speaks for it from now on. */
void node_hello_ordered(node_t *node, const wire_message_t *op, vesta_err_t err) {
  node_hello_t *hello = node_hello_of(node, wire_token(op));
  directory_session_t *session = directory_session(node->directory, wire_token(op));
  if (err != VESTA_OK) {
    node_count(node, NODE_COUNTER_SESSIONS_REFUSED);
  }
  bool earlier = node->cluster != NULL && op->incarnation != order_incarnation(node->cluster->order);
  if (hello == NULL && earlier && session != NULL) { /* an earlier life may have answered it: does its process live? */
    session->watched = true;
    node_act(node, NODE_ACTION_WATCH)->session = session->token;
    return;
  }
  if (hello == NULL) { /* the link went away meanwhile */
    if (err == VESTA_OK) {
      node_session_over(node, wire_token(op));
    }
    return;
  }
  uint64_t link = hello->link;
  bool watched = hello->watched;
  node_hello_forget(node, link);
  if (err == VESTA_OK && !node_link_add(node, link, session->token, false)) {
    err = VESTA_ERR_NO_MEMORY;
    node_session_over(node, session->token);
  }
  wire_message_t *reply = node_answer(node, link, op->number, err, NULL);
  if (err != VESTA_OK) {
    return;
  }
  reply->token_hi = session->token.hi;
  reply->token_lo = session->token.lo;
  session->link = link;
  session->watched = watched;
  if (watched) {
    node_action_t *watch = node_act(node, NODE_ACTION_WATCH);
    watch->link = link;
    watch->session = session->token;
  }
}

void node_hello_callbacks(node_t *node, const node_event_t *event) {
  directory_session_t *session = directory_session(node->directory, wire_token(event->message));
  bool same = session != NULL && session->uid == event->uid && session->pid == event->pid;
  vesta_err_t err = same ? VESTA_OK : VESTA_ERR_BAD_HANDLE;
  if (node_link(node, event->link) != NULL || (same && event->link < session->callback_link)) {
    err = VESTA_ERR_BAD_OPERATION;
  } else if (same && !node_link_add(node, event->link, session->token, true)) {
    err = VESTA_ERR_NO_MEMORY;
  }
  if (err == VESTA_OK) {
    session->callback_link = event->link;
  }
  (void)node_answer(node, event->link, event->message->number, err, NULL);
}

void node_finalize(node_t *node, const node_request_t *request) {
  (void)node_order_for(node, request, WIRE_OP_SESSION_END);
}

void node_session_over(node_t *node, vesta_token_t token) {
  directory_session_t *session = directory_session(node->directory, token);
  if (session != NULL) {
    session->over = true; /* from now on it is not resumed, whenever that is ordered */
    wire_message_t *op = node_order(node, WIRE_OP_SESSION_END);
    op->token_hi = token.hi;
    op->token_lo = token.lo;
  }
}

/* ---- checkpoints ---- */

/* Make the region before the name is ordered: what can't be made is not created. */
static vesta_err_t node_make(node_t *node, const node_request_t *request, uint64_t lineage) {
  vesta_attributes_t attributes = wire_attributes(request->message);
  uint64_t size = 0;
  vesta_err_t err = replica_region_size(&attributes, &size);
  if (err != VESTA_OK) {
    return err;
  }
  if (directory_checkpoint_count(node->directory) >= VESTA_CHECKPOINTS_MAX) {
    return VESTA_ERR_NO_RESOURCES;
  }
  replica_identity_t identity = {.checkpoint_id = directory_next_checkpoint(node->directory),
                                 .lineage = lineage,
                                 .name = request->message->name,
                                 .attributes = attributes};
  void *region = NULL;
  replica_storage_t pages;
  node_storage_t *storage = &node->config.storage;
  err = storage->create(storage->context, identity.checkpoint_id, size, &region, &pages);
  if (err != VESTA_OK) {
    return err;
  }
  node_made_t made = {.checkpoint = identity.checkpoint_id};
  err = replica_format(region, size, &identity, &pages, node->wall_ns, &made.replica);
  if (err == VESTA_OK) {
    made.local = node_local_new(made.replica);
    err = made.local == NULL ? VESTA_ERR_NO_MEMORY : VESTA_OK;
  }
  if (err != VESTA_OK) {
    replica_destroy(&made.replica);
    storage->remove(storage->context, identity.checkpoint_id);
    return err;
  }
  node->made = made;
  return VESTA_OK;
}

void node_made_discard(node_t *node) {
  if (node->made.checkpoint != 0) {
    node_local_destroy(node, &node->made.local);
    node->config.storage.remove(node->config.storage.context, node->made.checkpoint);
    node->made = (node_made_t){0};
  }
}

void node_open(node_t *node, const node_request_t *request) {
  const wire_message_t *message = request->message;
  bool create = (message->flags & VESTA_OPEN_CREATE) != 0;
  directory_checkpoint_t *checkpoint = directory_name(node->directory, message->name, node->wall_ns);
  vesta_err_t err = directory_reserve(node->directory);
  if (err == VESTA_OK && checkpoint != NULL) {
    err = directory_open_check(checkpoint, message);
  } else if (err == VESTA_OK && !create) {
    err = VESTA_ERR_NOT_EXIST;
  } else if (err == VESTA_OK && node->cluster == NULL) {
    err = node_make(node, request, request->event->random.lo);
    if (err == VESTA_ERR_NO_RESOURCES) {
      node_count(node, NODE_COUNTER_CHECKPOINTS_REFUSED);
    }
  }
  if (err != VESTA_OK) {
    directory_answer_t answer = {.number = message->number, .err = err};
    node_answer_ordered(node, request->session, request->event->link, (uint32_t)message->flags, &answer);
    return;
  }
  wire_message_t *op = node_order_for(node, request, WIRE_OP_OPEN);
  op->name = message->name;
  op->flags = message->flags;
  vesta_attributes_t attributes = wire_attributes(message);
  wire_attributes_set(op, &attributes);
  if (node->made.checkpoint != 0 || node->cluster != NULL) { /* in a cluster it is made when it has its id */
    bool has_active = (attributes.creation_flags & VESTA_CREATE_ALL_REPLICAS) == 0;
    bool collocated = (attributes.creation_flags & VESTA_CREATE_COLLOCATED) != 0;
    op->checkpoint = node->made.checkpoint;
    op->lineage = request->event->random.lo;
    op->epoch = 1;
    op->node = has_active && collocated ? 0 : node->config.node_id; /* collocated: the application sets it */
  }
}

void node_close(node_t *node, const node_request_t *request) {
  node_order_for(node, request, WIRE_OP_CLOSE)->handle = request->message->handle;
}

void node_unlink(node_t *node, const node_request_t *request) {
  if (directory_name(node->directory, request->message->name, node->wall_ns) == NULL) {
    node_refuse(node, request, VESTA_ERR_NOT_EXIST);
    return;
  }
  node_order_for(node, request, WIRE_OP_UNLINK)->name = request->message->name;
}

void node_retention_set(node_t *node, const node_request_t *request) {
  vesta_err_t err = VESTA_OK;
  if (request->message->retention_ns < 0) {
    err = VESTA_ERR_INVALID_PARAM;
  } else if (request->checkpoint->unlinked) {
    err = VESTA_ERR_BAD_OPERATION;
  }
  if (err != VESTA_OK) {
    node_refuse(node, request, err);
    return;
  }
  wire_message_t *op = node_order_for(node, request, WIRE_OP_RETENTION);
  op->checkpoint = request->checkpoint->id;
  op->retention_ns = request->message->retention_ns;
}

void node_active_set(node_t *node, const node_request_t *request) {
  uint32_t flags = request->checkpoint->attributes.creation_flags;
  uint32_t where = request->session->node;
  vesta_err_t err = VESTA_OK;
  if ((request->handle->flags & VESTA_OPEN_WRITE) == 0) {
    err = VESTA_ERR_ACCESS;
  } else if ((flags & VESTA_CREATE_COLLOCATED) == 0 || (flags & VESTA_CREATE_ALL_REPLICAS) != 0) {
    err = VESTA_ERR_BAD_OPERATION;
  }
  if (err != VESTA_OK) {
    node_refuse(node, request, err);
    return;
  }
  if (node->cluster != NULL && where != node->config.node_id) {
    node_hand_over(node, request);
    return;
  }
  wire_message_t *op = node_order_for(node, request, WIRE_OP_ACTIVE);
  op->checkpoint = request->checkpoint->id;
  op->node = where;
}

/* ---- streams and groups ---- */

void node_stream(node_t *node, const node_request_t *request) {
  if ((request->handle->flags & VESTA_OPEN_READ) == 0) {
    node_refuse(node, request, VESTA_ERR_ACCESS);
    return;
  }
  uint64_t number = node_stream_opened(node, request);
  wire_message_t *reply = node_answer(node, request->event->link, request->message->number, VESTA_OK, NULL);
  reply->token_hi = request->session->token.hi; /* names the session, whose open handle is the right to read */
  reply->token_lo = request->session->token.lo;
  reply->checkpoint = request->checkpoint->id;
  reply->text = node->config.stream_endpoints;
  reply->member = number;
  wire_pos_set(reply, replica_committed(request->checkpoint->local->replica));
}

void node_join_answer(node_t *node, uint64_t link, uint64_t number, const directory_checkpoint_t *checkpoint,
                      uint64_t member) {
  const roles_group_t *group = &checkpoint->group;
  wire_message_t *reply = node_answer(node, link, number, VESTA_OK, NULL);
  reply->member = member;
  reply->lineage = checkpoint->lineage;
  reply->epoch = group->epoch;
  reply->seq = group->barrier;
  reply->state = group->granted != member || member == 0 ? 0 : group->state == ROLES_PROMOTING ? 1 : 2;
}

static bool node_heartbeat_valid(int64_t heartbeat_ns) {
  return heartbeat_ns == 0 || heartbeat_ns >= VESTA_HEARTBEAT_MS_MIN * INT64_C(1000000);
}

void node_join(node_t *node, const node_request_t *request) {
  const wire_message_t *message = request->message;
  roles_member_t *member = roles_member_of(&request->checkpoint->group, request->session->token);
  if (member != NULL) {
    node_join_answer(node, request->event->link, message->number, request->checkpoint, member->id);
    return;
  }
  vesta_err_t err = directory_reserve(node->directory);
  if ((request->handle->flags & VESTA_OPEN_READ) == 0) {
    err = VESTA_ERR_ACCESS;
  } else if (message->text.size == 0 || message->text.size > VESTA_MEMBER_NAME_BYTES_MAX || message->timeout_ns < 0 ||
             !node_heartbeat_valid(message->expiry_ns)) {
    err = VESTA_ERR_INVALID_PARAM;
  }
  if (err != VESTA_OK) {
    node_refuse(node, request, err);
    return;
  }
  wire_message_t *op = node_order_for(node, request, WIRE_OP_JOIN);
  op->handle = message->handle;
  op->text = message->text;
  op->priority = message->priority;
  op->flags = message->flags;
  op->expiry_ns = message->expiry_ns;
  op->timeout_ns = message->timeout_ns != 0 ? message->timeout_ns : VESTA_PROMOTE_TIMEOUT_MS * INT64_C(1000000);
}

void node_leave(node_t *node, const node_request_t *request) {
  const roles_member_t *member = roles_member_of(&request->checkpoint->group, request->session->token);
  if (member == NULL) {
    node_refuse(node, request, VESTA_ERR_NOT_EXIST);
    return;
  }
  wire_message_t *op = node_order_for(node, request, WIRE_OP_LEAVE);
  op->checkpoint = request->checkpoint->id;
  op->member = member->id;
}

void node_resign(node_t *node, const node_request_t *request) {
  const roles_group_t *group = &request->checkpoint->group;
  const roles_member_t *member = roles_member_of(group, request->session->token);
  if (member == NULL || group->granted != member->id) {
    node_refuse(node, request, VESTA_ERR_BAD_OPERATION);
    return;
  }
  const roles_member_t *next = roles_choose(group, member->id);
  if (next == NULL && (member->flags & WIRE_JOIN_MANUAL) == 0) {
    node_refuse(node, request, VESTA_ERR_TRY_AGAIN); /* nobody to hand over to; the role stays */
    return;
  }
  node_grant(node, request->checkpoint, next == NULL ? 0 : next->id,
             node_order_for(node, request, WIRE_OP_PROMOTE)); /* 0: whoever asked it to knows who comes next */
}

void node_promote(node_t *node, const node_request_t *request) {
  const roles_group_t *group = &request->checkpoint->group;
  const roles_member_t *member = roles_member_of(group, request->session->token);
  const wire_message_t *message = request->message;
  if (member == NULL) {
    node_refuse(node, request, VESTA_ERR_BAD_OPERATION);
  } else if (message->time_ns != 0 && message->time_ns < node->steady_ns) {
    node_refuse(node, request, VESTA_ERR_TRY_AGAIN); /* who asked has given up, and was told that nothing was done */
  } else if (message->epoch != 0 && (group->granted != member->id || group->epoch != message->epoch)) {
    node_join_answer(node, request->event->link, message->number, request->checkpoint, member->id);
  } else if (message->epoch == 0 && group->granted == member->id) {
    node_join_answer(node, request->event->link, message->number, request->checkpoint, member->id);
  } else if (message->epoch == 0 && (member->flags & WIRE_JOIN_REQUIRE_SYNCED) != 0 && !member->synced) {
    node_refuse(node, request, VESTA_ERR_TRY_AGAIN);
  } else { /* with an epoch it has stopped being active, and is to have all it wrote before it is so again */
    node_grant(node, request->checkpoint, member->id, node_order_for(node, request, WIRE_OP_PROMOTE));
  }
}

/* How far a member says to be. Only a position of this history says anything. */
static void node_member_applied(node_t *node, directory_checkpoint_t *checkpoint, roles_member_t *member,
                                vesta_pos_t applied) {
  bool ours = replica_position_check(checkpoint->local->replica, applied) == VESTA_OK;
  member->applied = ours ? applied : (vesta_pos_t){0};
  member->behind = ours ? node_behind(checkpoint, applied) : 0;
  member->told_ns = node->steady_ns;
  node_applied(node, checkpoint);
}

/* Has the member everything up to its barrier, or does it do without? */
static bool node_met_barrier(node_t *node, const node_request_t *request, const roles_member_t *member) {
  const roles_group_t *group = &request->checkpoint->group;
  if (group->barrier == 0 || request->message->seq >= group->barrier) {
    return group->barrier != 0;
  }
  bool dirty = (request->message->flags & WIRE_CONFIRM_DIRTY) != 0 && (member->flags & WIRE_JOIN_REQUIRE_SYNCED) == 0;
  if (dirty) {
    node_count(node, NODE_COUNTER_PROMOTIONS_DIRTY);
  }
  return dirty;
}

void node_confirm(node_t *node, const node_request_t *request) {
  const roles_group_t *group = &request->checkpoint->group;
  roles_member_t *member = roles_member_of(group, request->session->token);
  const wire_message_t *message = request->message;
  if (member == NULL || group->granted != member->id || group->epoch != message->epoch) {
    node_refuse(node, request, VESTA_ERR_FENCED);
  } else if (group->state == ROLES_ACTIVE) {
    node_join_answer(node, request->event->link, message->number, request->checkpoint, member->id);
  } else if (!node_met_barrier(node, request, member)) {
    node_refuse(node, request, VESTA_ERR_TRY_AGAIN);
  } else {
    wire_message_t *op = node_order_for(node, request, WIRE_OP_ACTIVATE);
    op->checkpoint = request->checkpoint->id;
    op->member = member->id;
    op->epoch = group->epoch;
    if (message->seq >= group->barrier) {
      node_member_applied(
          node, request->checkpoint, member,
          (vesta_pos_t){.lineage = request->checkpoint->lineage, .epoch = message->epoch, .seq = message->seq});
    }
  }
}

void node_progress(node_t *node, const node_request_t *request) {
  if (node_progress_is_of_stream(request->message)) {
    node_stream_progress(node, request);
    return;
  }
  roles_member_t *member = roles_member_of(&request->checkpoint->group, request->session->token);
  if (member == NULL || request->message->state == WIRE_PROGRESS_ALIVE) {
    return; /* it left meanwhile; nobody waits for an answer */
  }
  member->synced = request->message->state == WIRE_PROGRESS_SYNCED;
  node_member_applied(node, request->checkpoint, member, wire_pos(request->message));
  node_roles(node, request->checkpoint); /* a vacant role may have somebody to go to now */
}
