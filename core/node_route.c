/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Requests that this node can't answer by itself, or not yet: kept, sent to the node of the primary, sent again when that
 * changes, and answered when the answer comes. The primary knows a request again by its session and number, if it had an
 * effect. If it had none it is judged anew, so of its errors only the answer to what was sent last is believed, and what
 * was meant for another epoch's primary is not judged at all.
 *
 *   asked here --primary here, may serve--> judged
 *        |
 *        |--primary elsewhere--> sent --REPLY--> answered
 *        |                         \--the primary changes, its link is new, a second passes--> sent again
 *        `--no primary, no quorum, in the way of another--> held --until that changes--> from the beginning
 *                                                                 --until_ns--> TRY_AGAIN: it had no effect here
 *
 * A request that was sent and not answered in time may have had its effect: TIMEOUT.
 */
#include <stdlib.h>

#include "core/node_cluster.h"

#define AGAIN_NS INT64_C(1000000000)
#define TICK_NS INT64_C(20000000) /* times are rounded up to this: not all is looked at for each one's own */

typedef enum route_kind {
  ROUTE_HERE,    /* any node answers it */
  ROUTE_PRIMARY, /* the primary's does */
  ROUTE_READ,    /* one whose replica may be read does */
  ROUTE_REPLICA, /* one that has a replica of any kind: this one gets it */
} route_kind_t;

static route_kind_t route_of(const wire_message_t *message) {
  switch ((enum wire_kind)message->kind) {
    case WIRE_CHANGE:
    case WIRE_SYNCHRONIZE:
    case WIRE_RESIGN:
    case WIRE_CONFIRM:
    case WIRE_PROMOTE:
    case WIRE_ACTIVE_SET: return ROUTE_PRIMARY;
    case WIRE_PROGRESS: return node_progress_is_of_stream(message) ? ROUTE_REPLICA : ROUTE_PRIMARY;
    case WIRE_READ:
    case WIRE_ITERATE:
    case WIRE_STATUS: return ROUTE_READ;
    case WIRE_STREAM:
    case WIRE_TRACK:
    case WIRE_JOIN: return ROUTE_REPLICA;
    default: return ROUTE_HERE;
  }
}

uint64_t node_session_link(const node_t *node, const directory_session_t *session) {
  return node->cluster == NULL || session->node == node->config.node_id ? session->link
                                                                        : NODE_LINK_REMOTE | session->node;
}

/* ---- kept ---- */

uint64_t node_request_hash(vesta_token_t session, uint64_t number) { return session.lo ^ table_hash_number(number); }

node_kept_t *node_kept_find(const node_t *node, vesta_token_t session, uint64_t number) {
  table_link_t *link = table_find(&node->cluster->kept, node_request_hash(session, number));
  for (; link != NULL; link = table_find_next(link)) {
    node_kept_t *kept = TABLE_ENTRY(link, node_kept_t, by_request);
    if (kept->message.number == number && vesta_token_equal(kept->session, session)) {
      return kept;
    }
  }
  return NULL;
}

/* Those of CHANGEs are found without being counted: they come first. */
static void kept_hold(node_kept_t *kept, bool held) {
  if (kept->held != held && kept->message.kind != WIRE_CHANGE) {
    kept->shared->kept_loose += held ? 1U : UINT32_MAX;
  }
  kept->held = held;
}

static void kept_later(node_shared_t *shared, int64_t at_ns) {
  if (at_ns < shared->kept_due_ns) {
    shared->kept_due_ns = (at_ns + TICK_NS - 1) / TICK_NS * TICK_NS;
    node_shared_later(shared, shared->kept_due_ns);
  }
}

/* Its memory lives until the next step: answers may point into it. */
void node_kept_end(node_t *node, node_kept_t *kept) {
  node_shared_t *shared = kept->shared;
  *kept->place = kept->next;
  *(kept->next == NULL ? &shared->kept_last : &kept->next->place) = kept->place;
  table_remove(&node->cluster->kept, &kept->by_request);
  kept_hold(kept, false);
  shared->kept_loose -= kept->message.kind == WIRE_ITERATE;
  if (kept->message.kind == WIRE_CHANGE) {
    shared->kept_changes--;
    node_kept_unblock(shared); /* others came after it */
  }
  node->cluster->kept_count--;
  node->cluster->kept_bytes -= kept->bytes;
  kept->next = node->cluster->kept_done;
  node->cluster->kept_done = kept;
}

static node_kept_t *keep(node_t *node, const node_request_t *request) {
  node_cluster_t *cluster = node->cluster;
  node_shared_t *shared = node_shared(node, request->checkpoint);
  const wire_message_t *message = request->message;
  node_kept_t *kept = node_kept_find(node, request->session->token, message->number);
  if (kept != NULL && message->number != 0) { /* it is being judged, and will be again */
    kept->message.seq = message->seq;
    return kept;
  }
  uint64_t bytes = sizeof *kept + wire_copy_bytes(message, request->event->payload);
  bool fits = shared != NULL && cluster->kept_count < VESTA_KEPT_REQUESTS_MAX &&
              cluster->kept_bytes + bytes <= VESTA_KEPT_BYTES_MAX;
  kept = fits ? malloc(bytes) : NULL;
  if (kept == NULL) {
    node_count(node, NODE_COUNTER_KEPT_REFUSED);
    return NULL;
  }
  *kept = (node_kept_t){.shared = shared,
                        .session = request->session->token,
                        .handle = request->handle == NULL ? 0 : request->handle->id,
                        .link = request->event->link,
                        .until_ns = node->steady_ns + VESTA_CALL_LIMIT_MS * INT64_C(1000000),
                        .bytes = bytes};
  wire_copy_into(kept + 1, message, request->event->payload, &kept->message, &kept->payload);
  kept->place = shared->kept_last;
  *shared->kept_last = kept;
  shared->kept_last = &kept->next;
  table_insert(&cluster->kept, &kept->by_request, node_request_hash(kept->session, message->number));
  shared->kept_changes += message->kind == WIRE_CHANGE;
  shared->kept_loose += message->kind == WIRE_ITERATE;
  cluster->kept_count++;
  cluster->kept_bytes += bytes;
  kept_later(shared, kept->until_ns);
  return kept;
}

void node_hold(node_t *node, const node_request_t *request) {
  if (request->message->kind == WIRE_PROGRESS) {
    return; /* it is said again */
  }
  node_kept_t *kept = keep(node, request);
  if (kept == NULL) {
    node_refuse(node, request, VESTA_ERR_TRY_AGAIN);
  } else {
    kept_hold(kept, true);
    kept->blocked_at = kept->shared->stirred;
  }
}

void node_kept_unblock(node_shared_t *shared) { shared->stirred++; }

/* ---- where to ---- */

/* It goes on with an iteration, of whose beginning some is not here yet. The primary has it, or it is lost. */
static bool is_behind(const node_t *node, const directory_checkpoint_t *checkpoint, const wire_message_t *message) {
  if (message->kind != WIRE_ITERATE || message->cursor == 0 || checkpoint->primary == node->config.node_id) {
    return false;
  }
  return replica_committed(checkpoint->local->replica).seq < message->seq;
}

/* May it be judged here and now? */
static bool can_judge(const node_t *node, const directory_checkpoint_t *checkpoint, const wire_message_t *message) {
  switch (route_of(message)) {
    case ROUTE_HERE: return true;
    case ROUTE_PRIMARY:
      return node_leads(node, checkpoint) && replicator_serves(checkpoint->shared->replicator) &&
             !node->cluster->ending && !node_hands_over(node, checkpoint) &&
             node->steady_ns < order_lease_ns(node->cluster->order) &&
             !(message->kind == WIRE_CHANGE && checkpoint->shared->drains);
    case ROUTE_READ: return node_readable(node, checkpoint) && !is_behind(node, checkpoint, message);
    case ROUTE_REPLICA: return checkpoint->local != NULL;
  }
  return false;
}

/* PROMOTE says by the clock of its machine until when; between nodes, how much of that is left: negative, it is late. */
static int64_t time_left_ns(const node_t *node, int64_t time_ns) {
  return time_ns > node->steady_ns ? time_ns - node->steady_ns : -1;
}

static int64_t time_of_ns(const node_t *node, int64_t left_ns) {
  return left_ns < INT64_MAX - node->steady_ns ? node->steady_ns + left_ns : INT64_MAX;
}

static void send(node_t *node, node_kept_t *kept) {
  node_cluster_t *cluster = node->cluster;
  directory_checkpoint_t *checkpoint = kept->shared->checkpoint;
  wire_message_t message = kept->message;
  message.token_hi = kept->session.hi;
  message.token_lo = kept->session.lo;
  message.node = node->config.node_id;
  message.config = checkpoint->epoch;
  if (message.kind == WIRE_PROMOTE && message.time_ns != 0) {
    message.time_ns = time_left_ns(node, message.time_ns);
  }
  cluster->sent = cluster->sent % INT32_MAX + 1;
  kept->generation = cluster->sent;
  kept->attempts++;
  message.generation = kept->generation;
  kept->sent_epoch = checkpoint->epoch;
  kept->again_ns = node->steady_ns + (AGAIN_NS << (kept->attempts < 4 ? kept->attempts - 1 : 3));
  kept_later(kept->shared, kept->again_ns);
  node_peer_send(node, checkpoint->primary, &message, kept->payload);
}

static bool goes_elsewhere(const node_t *node, const directory_checkpoint_t *checkpoint) {
  return checkpoint->primary != 0 && checkpoint->primary != node->config.node_id && order_usable(node->cluster->order);
}

/* It was not even tried; but was it asked before, of somebody who did it and whose answer was lost? Or is it about to be
 * ordered, and asked for once more because its answer might have gone to a callback link? */
static vesta_err_t not_done(const node_t *node, const wire_message_t *message, const directory_session_t *session) {
  bool lasts = message->kind == WIRE_CHANGE || message->kind == WIRE_OPEN || message->kind == WIRE_UNLINK;
  bool unknown = lasts && session != NULL &&
                 (session->resumed || order_proposes(node->cluster->order, session->token, message->number));
  return unknown ? VESTA_ERR_TIMEOUT : VESTA_ERR_TRY_AGAIN;
}

bool node_route(node_t *node, const node_request_t *request) {
  bool names = request->message->kind == WIRE_OPEN || request->message->kind == WIRE_UNLINK ||
               request->message->kind == WIRE_RECOVER;
  if (names &&
      !(order_usable(node->cluster->order) && node_is_current(node))) { /* what is known may be long since wrong */
    node_refuse(node, request, not_done(node, request->message, request->session));
    return true;
  }
  node_kept_t *waits =
      request->message->number == 0 ? NULL : node_kept_find(node, request->session->token, request->message->number);
  if (waits != NULL) {
    waits->link = request->event->link; /* asked again: it is judged once, when its turn comes */
    waits->message.config = request->message->config;
    return true;
  }
  bool behind = request->message->kind == WIRE_CHANGE && request->checkpoint->shared != NULL &&
                request->checkpoint->shared->kept_changes > 0; /* a session's changes keep their order */
  if (request->checkpoint == NULL || (!behind && can_judge(node, request->checkpoint, request->message))) {
    return false;
  }
  bool remote = (request->event->link & NODE_LINK_REMOTE) != 0;
  bool elsewhere = goes_elsewhere(node, request->checkpoint);
  route_kind_t kind = route_of(request->message);
  if (remote && elsewhere) {
    return true; /* who sent it learns who is primary now, and sends it there */
  }
  if (request->message->kind == WIRE_PROGRESS) {
    if (elsewhere && kind == ROUTE_PRIMARY) {
      wire_message_t message = *request->message;
      message.token_hi = request->session->token.hi;
      message.token_lo = request->session->token.lo;
      message.node = node->config.node_id;
      node_peer_send(node, request->checkpoint->primary, &message, vesta_bytes(NULL, 0));
    }
    return true;
  }
  node_kept_t *kept = keep(node, request);
  if (kept == NULL) {
    if (!remote) { /* a node sends it again */
      node_refuse(node, request, not_done(node, request->message, request->session));
    }
    return true;
  }
  if (kind == ROUTE_REPLICA) {
    bool pair = request->message->kind == WIRE_JOIN;
    node_place_wanted(node, kept->shared, pair ? WIRE_REPLICA_IN_SYNC : WIRE_REPLICA_FOLLOWER);
    kept->shared->kept_new = true;
  } else if (elsewhere) {
    send(node, kept);
  } else if (!behind) { /* else when that which is before it is */
    kept->shared->kept_new = true;
  }
  return true;
}

/* ---- again ---- */

/* @return false: it is held still */
static bool judge_kept(node_t *node, node_kept_t *kept) {
  node_event_t event = {.kind = NODE_EVENT_REQUEST,
                        .wall_ns = node->wall_ns,
                        .steady_ns = node->steady_ns,
                        .link = kept->link,
                        .message = &kept->message,
                        .payload = kept->payload};
  node_request_t request = {.event = &event,
                            .message = &kept->message,
                            .session = directory_session(node->directory, kept->session),
                            .handle = directory_handle(node->directory, kept->handle)};
  node->cluster->answering = kept->session;
  kept_hold(kept, false);
  bool sound = request.session != NULL && (request.handle == NULL || request.handle->session == request.session);
  if (!sound || (kept->handle != 0 && request.handle == NULL)) {
    node_refuse(node, &request, VESTA_ERR_BAD_HANDLE);
  } else {
    request.checkpoint = request.handle == NULL ? NULL : request.handle->checkpoint;
    node_dispatch(node, &request);
  }
  if (!kept->held) {
    node_kept_end(node, kept);
  }
  return !kept->held;
}

/* Another node asked, and it is not for us any more: that node sends it to whom it concerns now. What it is told of this
 * one it would not believe, so it must have no effect either. */
static bool kept_is_stale(const node_kept_t *kept, bool elsewhere) {
  bool other = kept->message.config != 0 && kept->message.config != kept->shared->checkpoint->epoch;
  return (kept->link & NODE_LINK_REMOTE) != 0 && (elsewhere || other);
}

/* What may have been done on the primary's node can't be said to have had no effect. */
static vesta_err_t kept_late(const node_t *node, const node_kept_t *kept) {
  bool reads =
      kept->message.kind == WIRE_READ || kept->message.kind == WIRE_ITERATE || kept->message.kind == WIRE_STATUS;
  return kept->sent_epoch != 0 && !reads
             ? VESTA_ERR_TIMEOUT
             : not_done(node, &kept->message, directory_session(node->directory, kept->session));
}

static bool can_judge_kind(const node_t *node, const node_shared_t *shared, enum wire_kind kind) {
  wire_message_t message = {.kind = kind};
  return can_judge(node, shared->checkpoint, &message);
}

static node_kept_seen_t kept_see(const node_t *node, const node_shared_t *shared) {
  return (node_kept_seen_t){.epoch = shared->checkpoint->epoch,
                            .stirred = shared->stirred,
                            .elsewhere = goes_elsewhere(node, shared->checkpoint),
                            .changes = can_judge_kind(node, shared, WIRE_CHANGE),
                            .others = can_judge_kind(node, shared, WIRE_SYNCHRONIZE),
                            .reads = can_judge_kind(node, shared, WIRE_READ),
                            .replica = can_judge_kind(node, shared, WIRE_STREAM)};
}

static bool kept_is_sent(const node_kept_t *kept) {
  enum wire_kind kind = (enum wire_kind)kept->message.kind;
  return kind != WIRE_STREAM && kind != WIRE_TRACK && kind != WIRE_JOIN && kind != WIRE_RECOVER;
}

static bool kept_seen_same(const node_kept_seen_t *a, const node_kept_seen_t *b) {
  return a->epoch == b->epoch && a->elsewhere == b->elsewhere && a->changes == b->changes && a->others == b->others &&
         a->reads == b->reads && a->replica == b->replica;
}

/* One of them. @return false: it is not kept any more */
static bool kept_look(node_t *node, node_kept_t *kept, bool elsewhere, bool changes_wait) {
  node_shared_t *shared = kept->shared;
  bool blocked = kept->blocked_at == shared->stirred || (kept->message.kind == WIRE_CHANGE && changes_wait);
  if (kept_is_stale(kept, elsewhere)) {
    node_kept_end(node, kept);
    return false;
  }
  if (!blocked && can_judge(node, shared->checkpoint, &kept->message) && judge_kept(node, kept)) {
    return false;
  }
  if (kept->until_ns <= node->steady_ns) {
    node->cluster->answering = kept->session;
    (void)node_answer(node, kept->link, kept->message.number, kept_late(node, kept), NULL);
    node_kept_end(node, kept);
    return false;
  }
  bool sends = elsewhere && kept_is_sent(kept);
  if (sends && (kept->sent_epoch != shared->checkpoint->epoch || kept->again_ns <= node->steady_ns)) {
    send(node, kept);
  }
  kept_later(shared, sends && kept->again_ns < kept->until_ns ? kept->again_ns : kept->until_ns);
  return true;
}

/* Has anything changed that all of it waits for, or has one's time come? */
static bool kept_concerns_all(const node_t *node, const node_shared_t *shared, const node_kept_seen_t *seen) {
  bool stirred = seen->stirred != shared->kept_seen.stirred;
  return shared->kept_new || shared->kept_due_ns <= node->steady_ns || (stirred && shared->kept_loose > 0) ||
         !kept_seen_same(seen, &shared->kept_seen);
}

/* Only the CHANGEs: something under way has come further. */
static bool kept_concerns_changes(const node_shared_t *shared, const node_kept_seen_t *seen) {
  return seen->stirred != shared->kept_seen.stirred && seen->changes && shared->kept_changes > 0;
}

bool node_kept_waits(const node_t *node, const node_shared_t *shared) {
  if (shared->kept == NULL) {
    return false;
  }
  node_kept_seen_t seen = kept_see(node, shared);
  return kept_concerns_changes(shared, &seen) || kept_concerns_all(node, shared, &seen);
}

/* When only something under way has come further, CHANGEs are looked at, in their order, up to the first that waits. */
void node_kept_attend(node_t *node, node_shared_t *shared) {
  if (shared->kept == NULL) {
    return;
  }
  node_kept_seen_t seen = kept_see(node, shared);
  bool all = kept_concerns_all(node, shared, &seen);
  if (!all && !kept_concerns_changes(shared, &seen)) {
    node_shared_later(shared, shared->kept_due_ns);
    return;
  }
  if (all) {
    shared->kept_seen = seen;
    shared->kept_new = false;
    shared->kept_due_ns = INT64_MAX;
  }
  shared->kept_seen.stirred = seen.stirred;
  bool changes_wait = false; /* one of them: those after it wait for it */
  for (node_kept_t *kept = shared->kept, *next = NULL; kept != NULL && (all || !changes_wait); kept = next) {
    if (!node_has_room(node)) {
      shared->kept_new = true; /* the rest in the next step */
      node_mark(node, shared->checkpoint);
      return;
    }
    next = kept->next;
    bool change = kept->message.kind == WIRE_CHANGE;
    bool stays = kept_look(node, kept, seen.elsewhere, changes_wait);
    changes_wait = changes_wait || (change && stays);
  }
  node_shared_later(shared, shared->kept_due_ns);
}

/* ---- between nodes ---- */

void node_remote_request(node_t *node, const node_event_t *event) {
  node_event_t local = *event;
  wire_message_t promote;
  if (event->message->kind == WIRE_PROMOTE && event->message->time_ns != 0) {
    promote = *event->message;
    promote.time_ns = time_of_ns(node, promote.time_ns);
    local.message = &promote;
  }
  local.link = NODE_LINK_REMOTE | (event->message->generation & INT32_MAX) << 32 | event->node;
  vesta_token_t token = wire_token(event->message);
  node_request_t request = {.event = &local,
                            .message = local.message,
                            .session = directory_session(node->directory, token),
                            .handle = directory_handle(node->directory, event->message->handle)};
  node->cluster->answering = token;
  if (request.session == NULL || request.session->node != event->node || request.handle == NULL ||
      request.handle->session != request.session) {
    if (event->message->kind != WIRE_PROGRESS) {
      node_refuse(node, &request, VESTA_ERR_BAD_HANDLE);
    }
    return;
  }
  request.checkpoint = request.handle->checkpoint;
  if (event->message->config != 0 && event->message->config != request.checkpoint->epoch) {
    return; /* meant for the primary of another epoch: it is sent again when that node knows of this one */
  }
  route_kind_t kind = route_of(event->message);
  if (kind == ROUTE_HERE || kind == ROUTE_REPLICA) {
    return; /* not for us to answer */
  }
  if (node_leads(node, request.checkpoint)) {
    node_heard(node, &request);
  }
  if (!node_route(node, &request)) {
    node_dispatch(node, &request);
    node_mark(node, request.checkpoint);
  }
}

void node_remote_reply(node_t *node, const node_event_t *event) {
  wire_message_t reply = *event->message;
  node_kept_t *kept = node_kept_find(node, wire_token(&reply), reply.number);
  if (kept == NULL || (kept->link & NODE_LINK_REMOTE) != 0) {
    return;
  }
  if (reply.error != VESTA_OK && reply.generation != 0 && reply.generation != kept->generation) {
    return; /* it was sent again, perhaps by another life, and may have its effect yet: that answer counts */
  }
  const node_shared_t *shared = kept->shared;
  bool changed = kept->message.kind == WIRE_CHANGE && reply.error == VESTA_OK;
  const directory_session_t *session = directory_session(node->directory, kept->session);
  uint64_t link = kept->link;
  wire_message_t copy;
  vesta_bytes_t payload;
  if (!node_keep_message(node, &reply, event->payload, &copy, &payload)) {
    return; /* it is asked again */
  }
  bool callback = (kept->message.kind == WIRE_SYNCHRONIZE && (kept->message.flags & WIRE_FLAG_CALLBACK) != 0) &&
                  session != NULL && session->callback_link != 0;
  node_kept_end(node, kept);
  if (changed && shared->replicator != NULL) { /* who made it reads it here, too, from now on */
    replicator_told(shared->replicator, reply.epoch, reply.seq);
  }
  if (session == NULL || session->link != link) {
    return; /* it asks again on the link that it has now */
  }
  if (callback) {
    link = session->callback_link;
    copy.kind = WIRE_CALLBACK;
  }
  copy.token_hi = 0;
  copy.token_lo = 0;
  copy.order_index = 0;
  copy.generation = 0;
  node_action_t *action = node_act(node, NODE_ACTION_SEND);
  node->messages[node->action_count - 1] = copy;
  action->link = link;
  action->payload = payload;
}
