/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The node's side of the order (order.h): what it asks for becomes actions, what is stable goes to node_ordered(), and
 * when this node's directory is not the one that was agreed on it is exchanged for that.
 */
#include <stdlib.h>

#include "core/node_cluster.h"

#define ARENA_BYTES (256U << 10)
#define ARENA_BYTES_MAX (64U << 20) /* past this, what there is to do goes on in the next step */
#define ORDERS_FIRST 64U
#define DEFERRED_NS (10 * ORDER_BEAT_NS) /* longer than this nobody who is in the view is behind */
#define STILL_NS (10 * ORDER_BEAT_NS)    /* a node that takes part and does nothing for so long was stopped */

/* ---- memory of a step ---- */

void *node_arena(node_t *node, uint64_t bytes) {
  node_cluster_t *cluster = node->cluster;
  bytes = (bytes + 15U) & ~UINT64_C(15);
  node_arena_t *arena = cluster->arena;
  if (arena == NULL || arena->capacity - arena->used < bytes) {
    uint64_t capacity = bytes > ARENA_BYTES ? bytes : ARENA_BYTES;
    node_arena_t *more = malloc(sizeof *more + capacity);
    if (more == NULL) {
      return NULL;
    }
    more->next = arena;
    more->capacity = capacity;
    more->used = 0;
    cluster->arena = arena = more;
  }
  cluster->arena_bytes += bytes;
  void *memory = arena->bytes + arena->used;
  arena->used += bytes;
  return memory;
}

static void arena_clear(node_cluster_t *cluster) {
  node_arena_t *kept = NULL; /* one of the usual size stays */
  while (cluster->arena != NULL) {
    node_arena_t *arena = cluster->arena;
    cluster->arena = arena->next;
    if (kept == NULL && arena->capacity == ARENA_BYTES) {
      kept = arena;
      kept->next = NULL;
      kept->used = 0;
    } else {
      free(arena);
    }
  }
  cluster->arena = kept;
  cluster->arena_bytes = 0;
}

/* ---- copies of messages ---- */

bool node_keep_message(node_t *node, const wire_message_t *from, vesta_bytes_t payload, wire_message_t *to,
                       vesta_bytes_t *payload_to) {
  void *memory = node_arena(node, wire_copy_bytes(from, payload));
  if (memory != NULL) {
    wire_copy_into(memory, from, payload, to, payload_to);
  }
  return memory != NULL;
}

void node_keep_answers(node_t *node, uint32_t first, bool changed) {
  for (uint32_t i = first; i < node->action_count; i++) {
    node_action_t *action = &node->actions[i];
    wire_message_t *message = &node->messages[i];
    bool answer = action->kind == NODE_ACTION_SEND || action->kind == NODE_ACTION_PEER;
    bool points = action->payload.size > 0 || message->element_count > 0 || message->id.size > 0;
    if (!answer || !points) {
      continue;
    }
    wire_message_t copy;
    vesta_bytes_t payload;
    if (node_keep_message(node, message, action->payload, &copy, &payload)) {
      *message = copy;
      action->payload = payload;
      continue;
    }
    action->payload = vesta_bytes(NULL, 0);
    if (!changed) {
      *message = (wire_message_t){.kind = message->kind,
                                  .number = message->number,
                                  .token_hi = message->token_hi,
                                  .token_lo = message->token_lo,
                                  .error = VESTA_ERR_NO_MEMORY};
    } else { /* it was done: no error is true. Who asks again is told */
      *message = (wire_message_t){.kind = WIRE_REPLY};
      action->kind = action->kind == NODE_ACTION_SEND ? NODE_ACTION_CLOSE_LINK : action->kind;
    }
  }
}

/* An action with a message of its own. NULL: no memory, and no action. */
static node_action_t *act_with(node_t *node, node_action_kind_t kind, const wire_message_t *message,
                               vesta_bytes_t payload) {
  wire_message_t copy;
  vesta_bytes_t payload_copy;
  if (!node_keep_message(node, message, payload, &copy, &payload_copy)) {
    return NULL;
  }
  node_action_t *action = node_act(node, kind);
  node->messages[node->action_count - 1] = copy;
  action->payload = payload_copy;
  return action;
}

/* NULL: no memory; it is lost, as with its link. */
static node_action_t *act_peer(node_t *node, uint32_t to, const wire_message_t *message, vesta_bytes_t payload) {
  node_action_t *action = act_with(node, NODE_ACTION_PEER, message, payload);
  if (action != NULL) {
    action->node = to;
    action->awaited = true;
  }
  return action;
}

node_action_t *node_peer_send(node_t *node, uint32_t to, const wire_message_t *message, vesta_bytes_t payload) {
  wire_message_t stamped = *message;
  stamped.order_index = order_stable(node->cluster->order);
  return act_peer(node, to, &stamped, payload);
}

/* A participant that beats. One that is stopped stays in the view and says nothing. */
#define COORDINATOR_SILENCE_NS (10 * ORDER_BEAT_NS)

bool node_is_silent(const node_t *node, uint32_t other, int64_t for_ns) {
  int64_t heard_ns = order_heard_ns(node->cluster->order, other);
  heard_ns = heard_ns > node->cluster->activated_ns ? heard_ns : node->cluster->activated_ns;
  heard_ns = heard_ns > node->cluster->awake_ns ? heard_ns : node->cluster->awake_ns; /* it may wait in our sockets */
  return other != node->config.node_id && node->steady_ns - heard_ns >= for_ns;
}

bool node_is_coordinator(const node_t *node) {
  uint32_t count = 0;
  const uint32_t *nodes = order_participants(node->cluster->order, &count);
  for (uint32_t i = 0; i < count && nodes[i] < node->config.node_id; i++) {
    if (!node_is_silent(node, nodes[i], COORDINATOR_SILENCE_NS)) {
      return false;
    }
  }
  return order_coordinator(node->cluster->order) != 0;
}

/* ---- what the order asks for ---- */

static void sink_multicast(void *context, const wire_message_t *message) {
  node_t *node = context;
  if (act_with(node, NODE_ACTION_MULTICAST, message, vesta_bytes(NULL, 0)) == NULL) {
    node->cluster->fall_out = true;
  }
}

static void sink_peer(void *context, uint32_t to, const wire_message_t *message, vesta_bytes_t payload) {
  (void)act_peer(context, to, message, payload);
}

static void sink_journal(void *context, const wire_message_t *row) {
  node_t *node = context;
  if (act_with(node, NODE_ACTION_JOURNAL, row, vesta_bytes(NULL, 0)) == NULL) {
    node->cluster->fall_out = true;
  }
}

static bool sink_stable(void *context, const wire_message_t *op, uint64_t index) {
  node_t *node = context;
  (void)index;
  if (directory_reserve(node->directory) != VESTA_OK) {
    return false;
  }
  if (node->cluster->restoring) {
    return node_restore_op(node, op) == VESTA_OK;
  }
  if (!node_has_room(node)) {
    return false;
  }
  /* What the operation points to may be gone before the actions are carried out. */
  wire_message_t kept;
  vesta_bytes_t none;
  if (!node_keep_message(node, op, vesta_bytes(NULL, 0), &kept, &none)) {
    return false;
  }
  node_ordered(node, &kept);
  return true;
}

static bool sink_snapshot(void *context, bool (*emit)(void *to, const wire_message_t *row), void *to) {
  const node_t *node = context;
  return directory_snapshot(node->directory, emit, to);
}

static bool sink_adopt_begin(void *context) {
  node_t *node = context;
  return directory_new(&node->cluster->shadow) == VESTA_OK;
}

static vesta_err_t sink_adopt_row(void *context, const wire_message_t *row) {
  node_t *node = context;
  return directory_restore(node->cluster->shadow, row);
}

static void sink_adopt_abort(void *context) {
  node_t *node = context;
  directory_destroy(&node->cluster->shadow);
}

/* ---- another directory ---- */

static void adopt_session(node_t *node, directory_session_t *to, const directory_session_t *from) {
  if (from == NULL) { /* of an earlier life: does its process still live? */
    if (to->node == node->config.node_id) {
      to->watched = true;
      node_act(node, NODE_ACTION_WATCH)->session = to->token;
    }
    return;
  }
  to->link = from->link;
  to->callback_link = from->callback_link;
  to->watched = from->watched;
  to->over = from->over;
  to->resumed = from->resumed;
  to->track = from->track;
}

static void adopt_group(roles_group_t *to, const roles_group_t *from) {
  for (roles_member_t *member = to->members; member != NULL; member = member->next) {
    const roles_member_t *before = roles_member(from, member->id);
    if (before != NULL) {
      member->synced = before->synced;
      member->applied = before->applied;
      member->behind = before->behind;
      member->told_ns = before->told_ns;
    }
  }
  if (to->epoch == from->epoch) {
    to->barrier = from->barrier;
    to->confirmed = from->confirmed;
  }
}

/* Each half has given numbers to handles: does one that was told here mean something else in the directory that comes? */
static bool handles_differ(const directory_t *to, const directory_session_t *from) {
  bool differ = false;
  for (const directory_handle_t *handle = from->handles; handle != NULL && !differ; handle = handle->next) {
    const directory_handle_t *there = directory_handle(to, handle->id);
    differ = there != NULL && vesta_token_equal(there->session->token, from->token) &&
             (there->checkpoint->lineage != handle->checkpoint->lineage || there->flags != handle->flags);
  }
  return differ;
}

/* Who would go on with such a handle would write into another checkpoint: it begins anew. */
static void end_confused(node_t *node, directory_t *from, directory_t *to) {
  size_t bucket = 0;
  for (const directory_session_t *s = NULL; (s = directory_each_session(from, &bucket, s)) != NULL;) {
    if (s->node == node->config.node_id && handles_differ(to, s)) {
      node_session_over(node, s->token);
    }
  }
}

/* A checkpoint that is in both goes on; one that is only in the old one is no more, or was never but in a half of the
 * nodes that was given up. */
static void adopt_checkpoint(node_t *node, directory_checkpoint_t *from, directory_checkpoint_t *to, bool apart) {
  if (from->local != NULL) {
    node_trackers_off(from);
  }
  if (to != NULL && to->lineage == from->lineage) {
    to->local = from->local;
    to->shared = from->shared;
    if (to->local != NULL) {
      to->local->checkpoint = to;
    }
    if (to->shared != NULL) {
      to->shared->checkpoint = to;
    }
    adopt_group(&to->group, &from->group);
  } else {
    node_checkpoint_end(node, from, apart);
  }
  from->local = NULL;
  from->shared = NULL;
}

static void sink_adopt_end(void *context, bool apart) {
  node_t *node = context;
  directory_t *from = node->directory, *to = node->cluster->shadow;
  node->cluster->shadow = NULL;
  size_t bucket = 0;
  for (directory_checkpoint_t *c = NULL; (c = directory_each(from, &bucket, c)) != NULL;) {
    adopt_checkpoint(node, c, directory_checkpoint(to, c->id), apart);
  }
  bucket = 0;
  for (directory_session_t *s = NULL; (s = directory_each_session(to, &bucket, s)) != NULL;) {
    adopt_session(node, s, directory_session(from, s->token));
  }
  bucket = 0;
  for (const directory_session_t *s = NULL; (s = directory_each_session(from, &bucket, s)) != NULL;) {
    if (s->node == node->config.node_id && directory_session(to, s->token) == NULL) {
      node_act(node, NODE_ACTION_UNWATCH)->session = s->token;
    }
  }
  bucket = 0;
  for (directory_session_t *s = NULL; (s = directory_each_session(to, &bucket, s)) != NULL;) {
    for (directory_handle_t *handle = s->handles; handle != NULL; handle = handle->next) {
      directory_handle_t *before = directory_handle(from, handle->id);
      if (before != NULL && vesta_token_equal(before->session->token, s->token)) {
        directory_handle_adopt(to, handle, from, before);
      }
    }
  }
  node->directory = to;
  if (apart) {
    end_confused(node, from, to);
  }
  directory_destroy(&from);
  node_links_sweep(node);
  bucket = 0;
  for (directory_session_t *s = NULL; (s = directory_each_session(to, &bucket, s)) != NULL;) {
    for (directory_handle_t *handle = s->handles; handle != NULL; handle = handle->next) {
      node_track_opened(node, handle->id);
    }
  }
  node->cluster->look_at_all = true;
  node_act(node, NODE_ACTION_REWRITE);
}

/* An own proposal whose effect came with the directory that was adopted. */
static void sink_absorbed(void *context, const wire_message_t *op) {
  node_t *node = context;
  directory_session_t *session = directory_session(node->directory, wire_token(op));
  if (op->kind == WIRE_OP_SESSION_BEGIN) {
    node_hello_ordered(node, op, session == NULL ? VESTA_ERR_TRY_AGAIN : VESTA_OK);
    return;
  }
  const directory_answer_t *answer = session == NULL ? NULL : directory_answer(session, op->number);
  directory_checkpoint_t *made = answer == NULL ? NULL : directory_checkpoint(node->directory, answer->checkpoint);
  if (op->kind == WIRE_OP_OPEN && made != NULL && made->lineage == op->lineage && made->local == NULL) {
    (void)node_shared_make(node, made); /* by this very operation; where it fails it is removed again */
  }
  if (op->kind == WIRE_OP_ACTIVE) {
    node_handed_over(node, op);
  }
  node_kept_t *kept = op->number == 0 ? NULL : node_kept_find(node, wire_token(op), op->number);
  if (kept != NULL && answer != NULL) {
    node_kept_end(node, kept);
  }
  if (answer != NULL && session->link != 0) {
    node_answer_ordered(node, session, session->link, (uint32_t)op->flags, answer);
  }
}

static void sink_look(void *context) {
  node_t *node = context;
  node->cluster->activated_ns = node->steady_ns;
  node->cluster->look_at_all = true;
}

static void sink_activated(void *context) {
  node_t *node = context;
  node_cluster_t *cluster = node->cluster;
  cluster->look_at_all = true;
  cluster->caught_up_index = order_index(cluster->order);
}

static void sink_rejoin(void *context) {
  node_t *node = context;
  node_act(node, NODE_ACTION_REJOIN);
}

/* ---- life ---- */

vesta_err_t node_cluster_new(node_t *node) {
  const node_config_t *config = &node->config;
  node_cluster_t *cluster = calloc(1, sizeof *cluster);
  if (cluster == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  node->cluster = cluster;
  cluster->attend_last = &cluster->attend;
  cluster->deferred_last = &cluster->deferred;
  cluster->restoring = true;
  cluster->sent = (uint32_t)config->random;
  order_config_t order = {.node_id = config->node_id,
                          .incarnation = config->incarnation,
                          .random = config->random,
                          .policy = config->policy,
                          .version_min = config->version_min,
                          .version_max = config->version_max,
                          .sink = {.context = node,
                                   .multicast = sink_multicast,
                                   .peer = sink_peer,
                                   .journal = sink_journal,
                                   .stable = sink_stable,
                                   .snapshot = sink_snapshot,
                                   .adopt_begin = sink_adopt_begin,
                                   .adopt_row = sink_adopt_row,
                                   .adopt_end = sink_adopt_end,
                                   .adopt_abort = sink_adopt_abort,
                                   .absorbed = sink_absorbed,
                                   .activated = sink_activated,
                                   .suspended = sink_look,
                                   .resumed = sink_look,
                                   .rejoin = sink_rejoin}};
  cluster->scratch = replicator_scratch_new();
  cluster->order_max = ORDERS_FIRST;
  cluster->orders = calloc(cluster->order_max, sizeof *cluster->orders);
  if (cluster->scratch == NULL || cluster->orders == NULL || !table_init(&cluster->kept) ||
      !table_init(&cluster->pending) || !deadlines_init(&cluster->wakes, VESTA_CHECKPOINTS_MAX)) {
    return VESTA_ERR_NO_MEMORY;
  }
  return order_new(&order, &cluster->order);
}

static void step_clear(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  while (cluster->kept_done != NULL) {
    node_kept_t *kept = cluster->kept_done;
    cluster->kept_done = kept->next;
    free(kept);
  }
  while (cluster->pending_done != NULL) {
    node_pending_t *pending = cluster->pending_done;
    cluster->pending_done = pending->next;
    free(pending);
  }
  arena_clear(cluster);
}

void node_cluster_destroy(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  if (cluster == NULL) {
    return;
  }
  step_clear(node);
  while (cluster->deferred != NULL) {
    node_deferred_t *deferred = cluster->deferred;
    cluster->deferred = deferred->next;
    free(deferred);
  }
  directory_destroy(&cluster->shadow);
  order_destroy(&cluster->order);
  replicator_scratch_destroy(&cluster->scratch);
  table_fini(&cluster->kept);
  table_fini(&cluster->pending);
  deadlines_fini(&cluster->wakes);
  free(cluster->arena);
  free(cluster->orders);
  free(cluster);
  node->cluster = NULL;
}

void node_cluster_start(node_t *node, bool has_directory) {
  node->cluster->restoring = false;
  node->cluster->start_ns = node->steady_ns;
  order_start(node->cluster->order, has_directory, node->steady_ns);
  node->cluster->look_at_all = true;
}

void node_cluster_begin(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  step_clear(node);
  cluster->answering = (vesta_token_t){0};
  if (node->steady_ns - cluster->step_ns > STILL_NS) {
    cluster->awake_ns = node->steady_ns;
  }
  cluster->step_ns = node->steady_ns;
}

static void propose(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  for (uint32_t i = 0; i < cluster->order_count; i++) {
    vesta_err_t err = order_propose(cluster->order, &cluster->orders[i], node->steady_ns);
    if (err != VESTA_OK) {
      node_order_refused(node, &cluster->orders[i], err);
    }
  }
  cluster->order_count = 0;
}

wire_message_t *node_cluster_order(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  if (cluster->order_count == cluster->order_max) {
    wire_message_t *more = realloc(cluster->orders, 2U * cluster->order_max * sizeof *more);
    if (more != NULL) {
      cluster->orders = more;
      cluster->order_max *= 2;
    } else {
      propose(node); /* those before are filled in: they don't have to wait for the end of the step */
    }
  }
  return &cluster->orders[cluster->order_count++];
}

/* ---- nodes that are gone ---- */

static bool has_orphans(const node_t *node, uint32_t of) {
  size_t bucket = 0;
  for (directory_session_t *s = NULL; (s = directory_each_session(node->directory, &bucket, s)) != NULL;) {
    if (s->node == of && s->orphan) {
      return true;
    }
  }
  return false;
}

static void order_node(node_t *node, enum wire_kind kind, uint32_t which) { node_order(node, kind)->node = which; }

/* The coordinator says which nodes' sessions are orphans now, and which are not any more. */
static void look_at_nodes(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  size_t bucket = 0;
  uint32_t told[VESTA_NODES_MAX];
  uint32_t told_count = 0;
  for (directory_session_t *s = NULL; (s = directory_each_session(node->directory, &bucket, s)) != NULL;) {
    bool here = order_participates(cluster->order, s->node);
    bool known = s->orphan != here;
    for (uint32_t i = 0; i < told_count && !known; i++) {
      known = told[i] == s->node;
    }
    if (!known && told_count < VESTA_NODES_MAX) {
      told[told_count++] = s->node;
      order_node(node, here ? WIRE_OP_NODE_BACK : WIRE_OP_NODE_GONE, s->node);
    }
  }
}

/* When the orphans of a node are to end is counted by each node, and said by the coordinator. */
static void count_orphans(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  int64_t grace_ns =
      node->config.session_grace_ns != 0 ? node->config.session_grace_ns : VESTA_SESSION_GRACE_MS * INT64_C(1000000);
  for (uint32_t i = 0; i < cluster->gone_count;) {
    if (order_participates(cluster->order, cluster->gone[i].node)) {
      cluster->gone[i] = cluster->gone[--cluster->gone_count];
    } else {
      i++;
    }
  }
  size_t bucket = 0;
  for (directory_session_t *s = NULL; (s = directory_each_session(node->directory, &bucket, s)) != NULL;) {
    bool known = !s->orphan;
    for (uint32_t i = 0; i < cluster->gone_count && !known; i++) {
      known = cluster->gone[i].node == s->node;
    }
    if (!known && cluster->gone_count < VESTA_NODES_MAX) {
      cluster->gone[cluster->gone_count].node = s->node;
      cluster->gone[cluster->gone_count++].end_ns = node->steady_ns + grace_ns;
    }
  }
}

static void end_orphans(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  if (!order_usable(cluster->order) || !node_is_coordinator(node)) {
    return;
  }
  for (uint32_t i = 0; i < cluster->gone_count; i++) {
    if (cluster->gone[i].end_ns <= node->steady_ns) {
      if (has_orphans(node, cluster->gone[i].node)) {
        order_node(node, WIRE_OP_NODE_END, cluster->gone[i].node);
      }
      cluster->gone[i].end_ns = node->steady_ns + INT64_C(1000000000); /* in case it was not ordered */
    }
  }
}

/* ---- messages of nodes that are ahead ---- */

static bool must_wait(const node_t *node, uint32_t from, const wire_message_t *message) {
  if (message->order_index > order_stable(node->cluster->order)) {
    return true;
  }
  for (const node_deferred_t *d = node->cluster->deferred; d != NULL; d = d->next) {
    if (d->from == from) {
      return true; /* in its order */
    }
  }
  return false;
}

static void defer(node_t *node, const node_event_t *event) {
  node_cluster_t *cluster = node->cluster;
  uint64_t bytes = sizeof(node_deferred_t) + wire_copy_bytes(event->message, event->payload);
  node_deferred_t *deferred =
      cluster->deferred_count >= VESTA_DEFERRED_MAX || cluster->deferred_bytes + bytes > VESTA_DEFERRED_BYTES_MAX
          ? NULL
          : malloc(bytes);
  if (deferred == NULL) {
    node_count(node, NODE_COUNTER_DEFERRED_LOST); /* lost, as with its link: it is said again */
    return;
  }
  *deferred = (node_deferred_t){.from = event->node, .bytes = bytes, .since_ns = node->steady_ns};
  wire_copy_into(deferred + 1, event->message, event->payload, &deferred->message, &deferred->payload);
  *cluster->deferred_last = deferred;
  cluster->deferred_last = &deferred->next;
  cluster->deferred_count++;
  cluster->deferred_bytes += bytes;
}

/* Is that node in the other half of two that trust, where sessions and handles are other ones by now? What is asked is
 * asked again, of whoever is primary then. */
static bool is_apart(const node_t *node, uint32_t other) {
  return node->config.policy == ORDER_TRUST && !order_participates(node->cluster->order, other);
}

static void take_peer(node_t *node, const node_event_t *event) {
  switch ((enum wire_kind)event->message->kind) {
    case WIRE_PEER_JOIN: node_place_asked(node, event->node, event->message); return;
    case WIRE_PEER_POSITION:
    case WIRE_PEER_LOG:
    case WIRE_PEER_CUT:
    case WIRE_PEER_ACK:
    case WIRE_PEER_NACK:
    case WIRE_PEER_FETCH:
    case WIRE_PEER_CHUNK: node_shared_peer(node, event->node, event->message, event->payload); return;
    default: break;
  }
  if (is_apart(node, event->node)) {
    return;
  }
  switch ((enum wire_kind)event->message->kind) {
    case WIRE_REPLY: node_remote_reply(node, event); return;
    case WIRE_RECOVER: node_recover_here(node, event); return;
    default: node_remote_request(node, event); return;
  }
}

static bool deferred_can(const node_cluster_t *cluster) {
  return cluster->deferred != NULL && cluster->deferred->message.order_index <= order_stable(cluster->order);
}

static node_deferred_t *deferred_first(node_cluster_t *cluster) {
  node_deferred_t *deferred = cluster->deferred;
  cluster->deferred = deferred->next;
  if (cluster->deferred == NULL) {
    cluster->deferred_last = &cluster->deferred;
  }
  cluster->deferred_count--;
  cluster->deferred_bytes -= deferred->bytes;
  return deferred;
}

/* From a half that was given up, what it had ordered may never come: then they are lost, as with their link. */
static void drop_deferred(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  while (node->config.policy == ORDER_TRUST && cluster->deferred != NULL &&
         node->steady_ns - cluster->deferred->since_ns > DEFERRED_NS) {
    node_count(node, NODE_COUNTER_DEFERRED_LOST);
    free(deferred_first(cluster));
  }
}

static void take_deferred(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  while (deferred_can(cluster) && node_has_room(node)) {
    node_deferred_t *deferred = deferred_first(cluster);
    node_event_t event = {.kind = NODE_EVENT_PEER,
                          .wall_ns = node->wall_ns,
                          .steady_ns = node->steady_ns,
                          .node = deferred->from,
                          .payload = deferred->payload};
    wire_message_t message;
    vesta_bytes_t payload;
    if (node_keep_message(node, &deferred->message, deferred->payload, &message, &payload)) {
      event.message = &message;
      event.payload = payload;
      take_peer(node, &event);
    }
    free(deferred);
  }
  drop_deferred(node);
}

/* ---- events ---- */

void node_cluster_event(node_t *node, const node_event_t *event) {
  order_t *order = node->cluster->order;
  int64_t now_ns = node->steady_ns;
  switch (event->kind) {
    case NODE_EVENT_VIEW: order_view(order, event->ring, event->members, event->member_count, now_ns); return;
    case NODE_EVENT_QUORUM: order_quorum(order, event->ring, event->quorate, event->expected, now_ns); return;
    case NODE_EVENT_FENCED: order_fenced(order, event->node, now_ns); return;
    case NODE_EVENT_GROUP: order_deliver(order, event->node, event->message, now_ns); return;
    case NODE_EVENT_FALL_OUT: order_fall_out(order, now_ns); return;
    case NODE_EVENT_ENDING: node->cluster->ending = true; return;
    case NODE_EVENT_PEER_UP: node_shared_peer_up(node, event->node); return;
    case NODE_EVENT_PEER:
      if (event->message->kind == WIRE_PEER_DIRECTORY || event->message->kind == WIRE_PEER_DIRECTORY_GET) {
        order_peer(order, event->node, event->message, event->payload, now_ns);
      } else if (must_wait(node, event->node,
                           event->message)) { /* an answer too: not before the commit that it tells of */
        defer(node, event);
      } else {
        take_peer(node, event);
      }
      return;
    case NODE_EVENT_REQUEST:
    case NODE_EVENT_LINK_GONE:
    case NODE_EVENT_PROCESS_GONE:
    case NODE_EVENT_ORDERED:
    case NODE_EVENT_REFUSED:
    case NODE_EVENT_TIME: return;
  }
}

void node_cluster_time(node_t *node) {
  order_time(node->cluster->order, node->steady_ns);
  end_orphans(node);
  node_place_silent(node);
  if (node->cluster->look_ns != 0 && node->cluster->look_ns <= node->steady_ns) {
    node->cluster->look_at_all = true;
  }
  deadline_t *first = NULL;
  while ((first = deadlines_first(&node->cluster->wakes)) != NULL && first->at_ns <= node->steady_ns) {
    deadlines_set(&node->cluster->wakes, first, DEADLINE_NONE);
    node_mark(node, TABLE_ENTRY(first, node_shared_t, wake)->checkpoint);
  }
}

int64_t node_cluster_wake_ns(const node_t *node) {
  const node_cluster_t *cluster = node->cluster;
  int64_t wake_ns = order_wake_ns(cluster->order);
  const deadline_t *first = deadlines_first(&cluster->wakes);
  wake_ns = first != NULL && first->at_ns < wake_ns ? first->at_ns : wake_ns;
  wake_ns = cluster->look_ns != 0 && cluster->look_ns < wake_ns ? cluster->look_ns : wake_ns;
  wake_ns = cluster->has_quorum && cluster->lease_ns < wake_ns ? cluster->lease_ns : wake_ns;
  bool ends_orphans = order_usable(cluster->order) && node_is_coordinator(node);
  for (uint32_t i = 0; i < cluster->gone_count && ends_orphans; i++) {
    wake_ns = cluster->gone[i].end_ns < wake_ns ? cluster->gone[i].end_ns : wake_ns;
  }
  return cluster->attend != NULL || deferred_can(cluster) ? 0 : wake_ns;
}

bool node_is_current(const node_t *node) {
  const node_cluster_t *cluster = node->cluster;
  return cluster->caught_up && order_stable(cluster->order) >= cluster->caught_up_index;
}

const order_t *node_cluster_state(const node_t *node) { return node->cluster == NULL ? NULL : node->cluster->order; }

/* Those who follow a checkpoint here, or are active, learn at the end of the lease that they may be on their own. */
static void tell_quorum(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  bool has_quorum = cluster->lease_ns > node->steady_ns;
  if (has_quorum != cluster->has_quorum) {
    cluster->has_quorum = has_quorum;
    node_act(node, NODE_ACTION_QUORUM)->quorum = has_quorum;
  }
}

bool node_has_room(const node_t *node) {
  return node->action_count < node->action_max / 2 && node->cluster->arena_bytes < ARENA_BYTES_MAX;
}

void node_cluster_end(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  uint64_t stable = 0;
  do {
    stable = order_stable(cluster->order);
    take_deferred(node);
    if (cluster->look_at_all) {
      cluster->look_at_all = false;
      count_orphans(node);
      if (order_usable(cluster->order) && node_is_coordinator(node)) {
        look_at_nodes(node);
      }
      node_place_all(node);
    }
    while (cluster->attend != NULL && node_has_room(node)) {
      node_shared_t *shared = cluster->attend;
      cluster->attend = shared->attend_next;
      if (cluster->attend == NULL) {
        cluster->attend_last = &cluster->attend;
      }
      shared->attend = false;
      node_shared_attend(node, shared);
    }
    node_place_claims(node);
    propose(node);
    order_flush(cluster->order, node->steady_ns);
    if (cluster->fall_out) {
      cluster->fall_out = false;
      order_fall_out(cluster->order, node->steady_ns);
    }
    if (!cluster->caught_up && order_usable(cluster->order) &&
        order_stable(cluster->order) >= cluster->caught_up_index) {
      cluster->caught_up = true;
      cluster->look_at_all = true;
    }
  } while (order_stable(cluster->order) != stable || cluster->look_at_all);
  node_lease(node);
  tell_quorum(node);
}
