/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The node director: life, time, the list of actions, and which request goes where. See node.h and node_state.h.
 */
#include "core/node.h"

#include <stdlib.h>

#include "core/node_cluster.h"

/* The most actions one event can lead to: every checkpoint of a session that ends is removed or re-granted; a change
 * and the expirations that it meets are told to every handle there is; everything that waited is answered. */
#define NODE_ACTIONS_MAX (2U * VESTA_CHECKPOINTS_MAX + 2U * VESTA_HANDLES_MAX + VESTA_APPLIED_WAITS_MAX + 64U)

#define NODE_PRIMARY_SILENCE_NS (10 * ORDER_BEAT_NS) /* who says nothing for so long may have been succeeded */

vesta_err_t node_new(const node_config_t *config, node_t **out) {
  node_t *node = calloc(1, sizeof *node);
  if (node == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  node->config = *config;
  node->retry_ns = DEADLINE_NONE;
  node->action_max = NODE_ACTIONS_MAX;
  node->actions = calloc(node->action_max, sizeof *node->actions); /* touched only as far as used */
  node->messages = calloc(node->action_max, sizeof *node->messages);
  node->elements = calloc(VESTA_ITERATE_SECTIONS_MAX, sizeof *node->elements);
  node->replica_elements = calloc(VESTA_VECTOR_ELEMENTS_MAX, sizeof *node->replica_elements);
  node->tracked = calloc(VESTA_VECTOR_ELEMENTS_MAX, sizeof *node->tracked);
  node->expired = calloc(NODE_EXPIRED_MAX, sizeof *node->expired);
  node->expired_ids = calloc(NODE_EXPIRED_MAX, VESTA_SECTION_ID_BYTES_MAX);
  bool ok =
      node->actions != NULL && node->messages != NULL && node->elements != NULL && node->replica_elements != NULL &&
      node->tracked != NULL && node->expired != NULL && node->expired_ids != NULL && table_init(&node->links) &&
      deadlines_init(&node->wall, VESTA_CHECKPOINTS_MAX) && deadlines_init(&node->steady, VESTA_CHECKPOINTS_MAX) &&
      directory_new(&node->directory) == VESTA_OK && (!config->clustered || node_cluster_new(node) == VESTA_OK);
  if (!ok) {
    node_destroy(&node);
    return VESTA_ERR_NO_MEMORY;
  }
  *out = node;
  return VESTA_OK;
}

void node_destroy(node_t **node_pointer) {
  node_t *node = *node_pointer;
  if (node == NULL) {
    return;
  }
  if (node->directory != NULL) {
    size_t bucket = 0;
    for (directory_checkpoint_t *c = NULL; (c = directory_each(node->directory, &bucket, c)) != NULL;) {
      node_shared_end(node, &c->shared);
      node_local_destroy(node, &c->local);
    }
  }
  node_cluster_destroy(node);
  node_local_destroy(node, &node->made.local);
  node_waits_bury(node);
  while (node->hellos != NULL) {
    node_hello_forget(node, node->hellos->link);
  }
  size_t bucket = 0;
  for (table_link_t *link = NULL, *next = node->links.buckets == NULL ? NULL : table_each(&node->links, &bucket, NULL);
       (link = next) != NULL;) {
    next = table_each(&node->links, &bucket, link);
    free(TABLE_ENTRY(link, node_link_t, by_number));
  }
  table_fini(&node->links);
  deadlines_fini(&node->wall);
  deadlines_fini(&node->steady);
  directory_destroy(&node->directory);
  free(node->actions);
  free(node->messages);
  free(node->elements);
  free(node->replica_elements);
  free(node->tracked);
  free(node->expired);
  free(node->expired_ids);
  free(node);
  *node_pointer = NULL;
}

/* ---- actions ---- */

node_action_t *node_act(node_t *node, node_action_kind_t kind) {
  VESTA_ASSERT(node->action_count < node->action_max);
  node_action_t *action = &node->actions[node->action_count];
  *action = (node_action_t){.kind = kind, .message = &node->messages[node->action_count]};
  node->action_count++;
  return action;
}

wire_message_t *node_answer(node_t *node, uint64_t link, uint64_t number, vesta_err_t err, node_action_t **action) {
  node_action_t *send = node_act(node, NODE_ACTION_SEND);
  send->link = link;
  wire_message_t *message = &node->messages[node->action_count - 1];
  *message = (wire_message_t){.kind = WIRE_REPLY, .number = number, .error = (uint64_t)err};
  if ((link & NODE_LINK_REMOTE) != 0) { /* it comes from another node, which knows whose it is */
    send->kind = NODE_ACTION_PEER;
    send->awaited = true;
    send->node = (uint32_t)link;
    message->token_hi = node->cluster->answering.hi;
    message->token_lo = node->cluster->answering.lo;
    message->generation = (link & ~NODE_LINK_REMOTE) >> 32;
  }
  if (err != VESTA_OK) {
    node_count(node, NODE_COUNTER_ERRORS);
  }
  if (action != NULL) {
    *action = send;
  }
  return message;
}

wire_message_t *node_order(node_t *node, enum wire_kind kind) {
  if (node->cluster != NULL) {
    wire_message_t *op = node_cluster_order(node);
    *op = (wire_message_t){.kind = kind, .time_ns = node->wall_ns};
    return op;
  }
  (void)node_act(node, NODE_ACTION_ORDER);
  wire_message_t *message = &node->messages[node->action_count - 1];
  *message = (wire_message_t){.kind = kind, .time_ns = node->wall_ns};
  return message;
}

void node_refuse(node_t *node, const node_request_t *request, vesta_err_t err) {
  (void)node_answer(node, request->event->link, request->message->number, err, NULL);
}

void node_count(node_t *node, node_counter_t counter) { node->counters[counter]++; }

node_link_t *node_link(const node_t *node, uint64_t number) {
  for (table_link_t *link = table_find(&node->links, table_hash_number(number)); link != NULL;
       link = table_find_next(link)) {
    node_link_t *found = TABLE_ENTRY(link, node_link_t, by_number);
    if (found->number == number) {
      return found;
    }
  }
  return NULL;
}

/* ---- requests ---- */

static void dispatch(node_t *node, const node_request_t *request) {
  switch ((enum wire_kind)request->message->kind) {
    case WIRE_FINALIZE: node_finalize(node, request); return;
    case WIRE_OPEN: node_open(node, request); return;
    case WIRE_CLOSE: node_close(node, request); return;
    case WIRE_UNLINK: node_unlink(node, request); return;
    case WIRE_RETENTION_SET: node_retention_set(node, request); return;
    case WIRE_ACTIVE_SET: node_active_set(node, request); return;
    case WIRE_STATUS: node_status(node, request); return;
    case WIRE_MAP: node_map(node, request); return;
    case WIRE_CHANGE: node_change(node, request); return;
    case WIRE_READ: node_read(node, request); return;
    case WIRE_ITERATE: node_iterate(node, request); return;
    case WIRE_SYNCHRONIZE: node_synchronize(node, request); return;
    case WIRE_STREAM: node_stream(node, request); return;
    case WIRE_JOIN: node_join(node, request); return;
    case WIRE_LEAVE: node_leave(node, request); return;
    case WIRE_RESIGN: node_resign(node, request); return;
    case WIRE_PROMOTE: node_promote(node, request); return;
    case WIRE_CONFIRM: node_confirm(node, request); return;
    case WIRE_PROGRESS: node_progress(node, request); return;
    case WIRE_LIST: node_list(node, request); return;
    case WIRE_TRACK: node_track(node, request); return;
    case WIRE_USERS: node_users(node, request); return;
    case WIRE_LOAD: node_load(node, request); return;
    case WIRE_CLUSTER: node_cluster_told(node, request); return;
    case WIRE_RECOVER: node_recover(node, request); return;
    case WIRE_DISCARD: node_discard(node, request); return;
    default: node_refuse(node, request, VESTA_ERR_MALFORMED); return; /* not a request, or not for the node */
  }
}

void node_dispatch(node_t *node, const node_request_t *request) {
  uint32_t first = node->action_count;
  dispatch(node, request);
  if (node->cluster != NULL) {
    node_keep_answers(node, first, request->message->kind == WIRE_CHANGE);
  }
}

static bool node_request_has_handle(const wire_message_t *message) {
  switch (message->kind) {
    case WIRE_FINALIZE:
    case WIRE_OPEN:
    case WIRE_UNLINK:
    case WIRE_RECOVER: return false;
    case WIRE_TRACK: return message->handle != 0; /* else it is about the session */
    default: return true;
  }
}

/* Who only looks, or clears up here, needs no session: to begin one takes an order, and people look when there is none. */
static bool node_request_looks(const wire_message_t *message) {
  return message->kind == WIRE_LIST || message->kind == WIRE_USERS || message->kind == WIRE_LOAD ||
         message->kind == WIRE_CLUSTER || message->kind == WIRE_DISCARD;
}

static void node_request(node_t *node, const node_event_t *event) {
  node_request_t request = {.event = event, .message = event->message};
  node_count(node, NODE_COUNTER_REQUESTS);
  if (event->message->kind == WIRE_HELLO) {
    node_hello(node, event);
    return;
  }
  if (event->message->kind == WIRE_HELLO_CALLBACKS) {
    node_hello_callbacks(node, event);
    return;
  }
  if (node_request_looks(event->message)) {
    node_dispatch(node, &request);
    return;
  }
  node_link_t *link = node_link(node, event->link);
  request.session = link == NULL ? NULL : directory_session(node->directory, link->session);
  /* A link that the session has left is not listened to: what still comes there was sent again on the new one. */
  if (request.session == NULL || link->callbacks || request.session->link != event->link) {
    node_refuse(node, &request, VESTA_ERR_BAD_HANDLE);
    return;
  }
  const directory_answer_t *stored = directory_answer(request.session, event->message->number);
  if (stored != NULL) {
    node_count(node, NODE_COUNTER_RESENT);
    node_answer_stored(node, &request, stored);
    return;
  }
  if (node_request_has_handle(event->message)) {
    request.handle = directory_handle(node->directory, event->message->handle);
    if (request.handle == NULL || request.handle->session != request.session) {
      node_refuse(node, &request, VESTA_ERR_BAD_HANDLE);
      return;
    }
    request.checkpoint = request.handle->checkpoint;
    if (node->cluster == NULL || node_leads(node, request.checkpoint)) {
      node_heard(node, &request);
    } else {
      node_pass_on(node, &request);
    }
  }
  if (node->cluster != NULL && node_route(node, &request)) {
    return;
  }
  node_dispatch(node, &request);
}

void node_links_sweep(node_t *node) {
  size_t bucket = 0;
  for (table_link_t *at = table_each(&node->links, &bucket, NULL), *next = NULL; at != NULL; at = next) {
    node_link_t *link = TABLE_ENTRY(at, node_link_t, by_number);
    next = table_each(&node->links, &bucket, at);
    const directory_session_t *session = directory_session(node->directory, link->session);
    if (session == NULL || session->over) {
      node_act(node, NODE_ACTION_CLOSE_LINK)->link = link->number;
      table_remove(&node->links, at);
      free(link);
    }
  }
}

static void node_link_gone(node_t *node, uint64_t number) {
  node_hello_forget(node, number);
  node_link_t *link = node_link(node, number);
  if (link == NULL) {
    return;
  }
  directory_session_t *session = directory_session(node->directory, link->session);
  if (session != NULL && session->callback_link == number) {
    session->callback_link = 0;
  }
  if (session != NULL && session->link == number) {
    session->link = 0;
    if (!session->watched) {
      node_session_over(node, session->token); /* nobody will tell us of its death otherwise */
    }
  }
  table_remove(&node->links, &link->by_number);
  free(link);
}

/* ---- time ---- */

static void node_time(node_t *node) {
  if (node->retry_ns <= node->steady_ns) {
    node_sessions_again(node);
  }
  uint32_t due_max = node->action_max / 2; /* each leads to two actions at most; the rest waits for the next turn */
  for (uint32_t done = 0; done < due_max; done++) {
    deadline_t *first = deadlines_first(&node->wall);
    bool full = node->action_count >= due_max || node->expired_count == NODE_EXPIRED_MAX;
    if (first == NULL || first->at_ns > node->wall_ns || full) {
      break;
    }
    node_local_t *local = TABLE_ENTRY(first, node_local_t, wall);
    directory_checkpoint_t *checkpoint = local->checkpoint;
    if (!node_leads(node, checkpoint)) {
      deadlines_set(&node->wall, first, DEADLINE_NONE); /* it is another node's to judge now */
      continue;
    }
    if (checkpoint->open_count == 0 && checkpoint->retained_until_ns <= node->wall_ns) {
      node_order(node, WIRE_OP_REMOVE)->checkpoint = checkpoint->id;
      deadlines_set(&node->wall, first, node->wall_ns + NODE_RETRY_NS); /* in case it can't be ordered now */
      continue;
    }
    node_expire(node, checkpoint, NODE_EXPIRED_MAX - node->expired_count); /* others are not kept waiting */
  }
  for (uint32_t done = 0; done < due_max; done++) {
    deadline_t *first = deadlines_first(&node->steady);
    if (first == NULL || first->at_ns > node->steady_ns || node->action_count >= due_max) {
      break;
    }
    node_local_t *local = TABLE_ENTRY(first, node_local_t, steady);
    deadlines_set(&node->steady, first, DEADLINE_NONE);
    if (node_leads(node, local->checkpoint)) {
      node_reconcile(node, local->checkpoint);
      node_silence(node, local->checkpoint);
      node_promotion_late(node, local->checkpoint);
    }
    node_applied_late(node, local->checkpoint);
  }
  if (node->cluster != NULL) {
    node_cluster_time(node);
  }
}

int64_t node_wake_ns(const node_t *node) {
  int64_t wake_ns = node->retry_ns;
  const deadline_t *steady = deadlines_first(&node->steady);
  const deadline_t *wall = deadlines_first(&node->wall);
  if (steady != NULL && steady->at_ns < wake_ns) {
    wake_ns = steady->at_ns;
  }
  if (wall != NULL) {
    int64_t left_ns = wall->at_ns > node->wall_ns ? wall->at_ns - node->wall_ns : 0;
    int64_t at_ns = left_ns > INT64_MAX - node->steady_ns ? INT64_MAX : node->steady_ns + left_ns;
    wake_ns = at_ns < wake_ns ? at_ns : wake_ns;
  }
  int64_t cluster_ns = node->cluster == NULL ? INT64_MAX : node_cluster_wake_ns(node);
  return cluster_ns < wake_ns ? cluster_ns : wake_ns;
}

static void node_begin(node_t *node, int64_t wall_ns, int64_t steady_ns) {
  node->wall_ns = wall_ns;
  node->steady_ns = steady_ns;
  node->action_count = 0;
  node->expired_count = 0;
  node_waits_bury(node);
  if (node->cluster != NULL) {
    node_cluster_begin(node);
  }
}

void node_step(node_t *node, const node_event_t *event, node_actions_t *actions) {
  node_begin(node, event->wall_ns, event->steady_ns);
  switch (event->kind) {
    case NODE_EVENT_REQUEST: node_request(node, event); break;
    case NODE_EVENT_LINK_GONE: node_link_gone(node, event->link); break;
    case NODE_EVENT_PROCESS_GONE: node_session_over(node, event->session); break;
    case NODE_EVENT_ORDERED: node_ordered(node, event->message); break;
    case NODE_EVENT_REFUSED: node_order_refused(node, event->message, event->error); break;
    case NODE_EVENT_TIME: node_time(node); break;
    case NODE_EVENT_VIEW:
    case NODE_EVENT_QUORUM:
    case NODE_EVENT_FENCED:
    case NODE_EVENT_GROUP:
    case NODE_EVENT_FALL_OUT:
    case NODE_EVENT_PEER:
    case NODE_EVENT_ENDING:
    case NODE_EVENT_PEER_UP:
      VESTA_ASSERT(node->cluster != NULL);
      node_cluster_event(node, event);
      break;
  }
  if (node->cluster != NULL) {
    node_cluster_end(node);
  }
  *actions = (node_actions_t){.items = node->actions, .count = node->action_count};
}

/* ---- start ---- */

vesta_err_t node_restore(node_t *node, const wire_message_t *op) {
  bool of_cluster = op->kind == WIRE_OP_VIEW || op->order_index != 0;
  if (op->kind == WIRE_OP_SNAPSHOT) {
    return directory_restore(node->directory, op);
  }
  if (node->cluster != NULL && of_cluster) {
    return order_restore(node->cluster->order, op);
  }
  return op->kind == WIRE_OP_VIEW ? VESTA_OK : node_restore_op(node, op);
}

vesta_err_t node_restore_op(node_t *node, const wire_message_t *op) {
  vesta_err_t err = directory_reserve(node->directory);
  if (err != VESTA_OK) {
    return err;
  }
  directory_outcome_t outcome;
  directory_apply(node->directory, op, &outcome);
  while (outcome.removed != NULL) {
    directory_checkpoint_t *removed = outcome.removed;
    outcome.removed = removed->next;
    directory_bury(node->directory, removed);
  }
  for (directory_checkpoint_t *c = outcome.touched; c != NULL; c = c->next) {
    c->touched = false;
  }
  return VESTA_OK;
}

static vesta_err_t region_take_up(node_t *node, const directory_checkpoint_t *checkpoint, uint64_t id,
                                  replica_t **out) {
  void *region = NULL;
  uint64_t size = 0;
  replica_storage_t pages;
  node_storage_t *storage = &node->config.storage;
  vesta_err_t err = storage->open(storage->context, id, &region, &size, &pages);
  if (err == VESTA_OK) {
    err = replica_recover(region, size, &pages, out);
  }
  if (err != VESTA_OK) {
    return err;
  }
  replica_identity_t identity;
  replica_identity(*out, &identity);
  if (identity.checkpoint_id != checkpoint->id || identity.lineage != checkpoint->lineage) {
    replica_destroy(out);
    return VESTA_ERR_MALFORMED;
  }
  return VESTA_OK;
}

/* An earlier life may have been killed when it had put aside what had diverged, and not yet put what it had fetched in
 * its place: all of it, since only then it does that. What it was still fetching is of no use. */
static vesta_err_t shadow_take_up(node_t *node, const directory_checkpoint_t *checkpoint, replica_t **out) {
  node_storage_t *storage = &node->config.storage;
  uint64_t shadow = checkpoint->id | NODE_REGION_SHADOW;
  vesta_err_t err = region_take_up(node, checkpoint, shadow, out);
  if (err == VESTA_OK) {
    storage->rename(storage->context, shadow, checkpoint->id);
  } else if (err == VESTA_ERR_MALFORMED) {
    storage->remove(storage->context, shadow);
    err = VESTA_ERR_NOT_EXIST;
  }
  return err;
}

vesta_err_t node_take_up(node_t *node, directory_checkpoint_t *checkpoint) {
  replica_t *replica = NULL;
  node_storage_t *storage = &node->config.storage;
  vesta_err_t err = region_take_up(node, checkpoint, checkpoint->id, &replica);
  if (err == VESTA_ERR_NOT_EXIST && node->cluster != NULL) {
    err = shadow_take_up(node, checkpoint, &replica);
  }
  if (err == VESTA_ERR_MALFORMED && node->cluster != NULL) { /* out of the way of what others have */
    storage->rename(storage->context, checkpoint->id, checkpoint->id | NODE_REGION_DIVERGED);
  }
  if (err != VESTA_OK) {
    return err;
  }
  if (node->cluster == NULL) {
    replica_commit(replica, replica_prepared_seq(replica)); /* alone, what was prepared is forward */
  }
  checkpoint->local = node_local_new(replica);
  if (checkpoint->local == NULL) {
    replica_destroy(&replica);
    return VESTA_ERR_NO_MEMORY;
  }
  checkpoint->local->checkpoint = checkpoint;
  return VESTA_OK;
}

/* Results of sessions that ended while the directory went on: the crash came between the two. */
vesta_err_t node_forget_strangers(const node_t *node, replica_t *replica) {
  vesta_token_t *tokens = malloc(VESTA_REPLICA_SESSIONS_MAX * sizeof *tokens);
  if (tokens == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  uint32_t count = replica_sessions(replica, tokens, VESTA_REPLICA_SESSIONS_MAX);
  for (uint32_t i = 0; i < count; i++) {
    if (directory_session(node->directory, tokens[i]) == NULL) {
      replica_session_forget(replica, tokens[i]);
    }
  }
  free(tokens);
  return VESTA_OK;
}

vesta_err_t node_start(node_t *node, int64_t wall_ns, int64_t steady_ns, node_actions_t *actions) {
  node_begin(node, wall_ns, steady_ns);
  size_t bucket = 0;
  for (directory_checkpoint_t *c = NULL; (c = directory_each(node->directory, &bucket, c)) != NULL;) {
    vesta_err_t err = node_take_up(node, c);
    bool lost = err == VESTA_ERR_NOT_EXIST || err == VESTA_ERR_MALFORMED;
    if (err != VESTA_OK && !lost) {
      return err; /* it is there: better not to start than to forget it */
    }
    if (lost && node->cluster != NULL) {
      continue; /* others may have it */
    }
    if (lost) {
      node_count(node, NODE_COUNTER_REPLICAS_LOST);
      wire_message_t *op = node_order(node, WIRE_OP_REMOVE);
      op->checkpoint = c->id;
      op->state = WIRE_REMOVE_LOST;
      continue;
    }
    err = node_forget_strangers(node, c->local->replica);
    if (err != VESTA_OK) {
      return err;
    }
    if (node->cluster == NULL) {
      node_reconcile(node, c);
      node_roles(node, c);
      node_schedule(node, c);
    }
  }
  bucket = 0;
  for (directory_session_t *s = NULL; (s = directory_each_session(node->directory, &bucket, s)) != NULL;) {
    if (s->node == node->config.node_id || node->cluster == NULL) {
      s->watched = true; /* the daemon says PROCESS_GONE at once for those that are */
      node_act(node, NODE_ACTION_WATCH)->session = s->token;
    }
  }
  if (node->cluster != NULL) {
    node_cluster_start(node,
                       directory_session_count(node->directory) + directory_checkpoint_count(node->directory) > 0);
    node_cluster_end(node);
  }
  *actions = (node_actions_t){.items = node->actions, .count = node->action_count};
  return VESTA_OK;
}

/* ---- looking ---- */

bool node_session_process(const node_t *node, vesta_token_t session, uint32_t *uid, uint32_t *pid, uint64_t *start) {
  const directory_session_t *found = directory_session(node->directory, session);
  if (found == NULL) {
    return false;
  }
  *uid = found->uid;
  *pid = found->pid;
  *start = found->start;
  return true;
}

const replica_t *node_replica(const node_t *node, uint64_t checkpoint_id) {
  const directory_checkpoint_t *checkpoint = directory_checkpoint(node->directory, checkpoint_id);
  return checkpoint == NULL || checkpoint->local == NULL ? NULL : checkpoint->local->replica;
}

bool node_knows(const node_t *node, uint64_t checkpoint_id) {
  return directory_checkpoint(node->directory, checkpoint_id) != NULL;
}

bool node_is_gone(const node_t *node, uint64_t checkpoint_id) {
  const node_cluster_t *cluster = node->cluster;
  bool current = cluster == NULL || (node_is_current(node) && cluster->has_quorum);
  return current && !node_knows(node, checkpoint_id);
}

static bool stream_is_open(const node_t *node, vesta_token_t token, uint64_t checkpoint_id) {
  const directory_session_t *session = directory_session(node->directory, token);
  const directory_handle_t *handle = session == NULL ? NULL : session->handles;
  while (handle != NULL && (handle->checkpoint->id != checkpoint_id || (handle->flags & VESTA_OPEN_READ) == 0)) {
    handle = handle->next;
  }
  return handle != NULL;
}

vesta_err_t node_stream_check(const node_t *node, vesta_token_t token, uint64_t checkpoint_id) {
  if (stream_is_open(node, token, checkpoint_id)) {
    return node_replica(node, checkpoint_id) != NULL ? VESTA_OK : VESTA_ERR_TRY_AGAIN;
  }
  return node->cluster == NULL || node->cluster->caught_up ? VESTA_ERR_ACCESS : VESTA_ERR_TRY_AGAIN;
}

/* Does this node know that nobody has committed what leads to a position ahead of its replica? The primary does. A copy
 * knows it while the primary is heard (else it may be elsewhere): of a later epoch, and of the one it follows it in when
 * nothing has come for a while, for what is committed there may be on its way. */
static bool replica_is_level(const node_t *node, const directory_checkpoint_t *checkpoint, vesta_pos_t committed,
                             vesta_pos_t position) {
  const replicator_t *replicator = checkpoint->shared == NULL ? NULL : checkpoint->shared->replicator;
  if (replicator == NULL || !node->cluster->has_quorum) {
    return false;
  }
  int64_t still_ns = node->steady_ns - NODE_PRIMARY_SILENCE_NS;
  return checkpoint->primary == node->config.node_id
             ? replicator_serves(replicator)
             : replicator_is_still(replicator, position.epoch > committed.epoch ? INT64_MAX : still_ns) &&
                   committed.epoch == checkpoint->epoch &&
                   !node_is_silent(node, checkpoint->primary, NODE_PRIMARY_SILENCE_NS);
}

bool node_may_be_behind(const node_t *node, uint64_t checkpoint_id, vesta_pos_t position) {
  const directory_checkpoint_t *checkpoint = directory_checkpoint(node->directory, checkpoint_id);
  if (node->cluster == NULL || checkpoint == NULL || checkpoint->local == NULL) {
    return false;
  }
  vesta_pos_t here = replica_committed(checkpoint->local->replica);
  bool ahead = position.lineage == here.lineage &&
               (position.epoch > here.epoch || (position.epoch == here.epoch && position.seq > here.seq));
  return ahead && !replica_is_level(node, checkpoint, here, position);
}

bool node_caught_up(const node_t *node) { /* and has looked for the regions of all that there is */
  return node->cluster == NULL || (node->cluster->caught_up && node->cluster->attend == NULL);
}

bool node_has_quorum(const node_t *node) { return node->cluster == NULL || node->cluster->has_quorum; }

bool node_idle(const node_t *node) {
  return directory_session_count(node->directory) == 0 && directory_checkpoint_count(node->directory) == 0;
}

bool node_snapshot(const node_t *node, bool (*emit)(void *context, const wire_message_t *op), void *context) {
  return directory_snapshot(node->directory, emit, context) &&
         (node->cluster == NULL || order_snapshot(node->cluster->order, emit, context));
}

uint64_t node_counter(const node_t *node, node_counter_t counter) {
  switch (counter) {
    case NODE_COUNTER_SESSIONS: return directory_session_count(node->directory);
    case NODE_COUNTER_HANDLES: return directory_handle_count(node->directory);
    case NODE_COUNTER_CHECKPOINTS: return directory_checkpoint_count(node->directory);
    case NODE_COUNTER_STREAMS: return directory_stream_count(node->directory);
    default: return node->counters[counter];
  }
}
