/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Checkpoints whose replicas are on several nodes: a change goes through the replicator here when its primary is here;
 * what a replica here has committed is published and told here, whoever was primary.
 *
 *   CHANGE --judged, prepared--> pending --committed--> answered (or waits to be applied by members)
 *                  |                  \--refused by a copy--> answered with its error
 *                  `--in the way of another: held (node_route.c)
 */
#include <stdlib.h>

#include "core/node_cluster.h"
#include "core/planted.h"

#define SOON_NS INT64_C(1000000)

/* ---- what the replicator asks for ---- */

static bool waits_for_all(const directory_checkpoint_t *checkpoint) {
  return (checkpoint->attributes.creation_flags & VESTA_CREATE_ALL_REPLICAS) != 0;
}

static void sink_send(void *context, uint32_t to, const wire_message_t *message, vesta_bytes_t payload) {
  const node_shared_t *shared = context;
  node_action_t *action = node_peer_send(shared->node, to, message, payload);
  if (action != NULL && message->kind == WIRE_PEER_LOG) { /* mostly nobody waits for how far it is committed */
    action->awaited = shared->commit_awaited || (message->element_count > 0 && waits_for_all(shared->checkpoint));
  }
}

static node_pending_t *pending_find(const node_t *node, vesta_token_t session, uint64_t number) {
  table_link_t *link = number == 0 ? NULL : table_find(&node->cluster->pending, node_request_hash(session, number));
  for (; link != NULL; link = table_find_next(link)) {
    node_pending_t *pending = TABLE_ENTRY(link, node_pending_t, by_request);
    if (pending->number == number && vesta_token_equal(pending->session, session)) {
      return pending;
    }
  }
  return NULL;
}

static void pending_enlist(node_shared_t *shared, node_pending_t *pending) {
  pending->until_ns = shared->node->steady_ns + VESTA_CALL_LIMIT_MS * INT64_C(1000000);
  pending->next = NULL;
  pending->place = shared->pending_last;
  *shared->pending_last = pending;
  shared->pending_last = &pending->next;
}

static void pending_delist(node_pending_t *pending) {
  *pending->place = pending->next;
  *(pending->next == NULL ? &pending->shared->pending_last : &pending->next->place) = pending->place;
}

/* @return NULL: no memory */
static node_pending_t *pending_add(node_t *node, node_shared_t *shared, const node_request_t *request,
                                   node_wait_t *wait) {
  node_pending_t *pending = malloc(sizeof *pending);
  if (pending == NULL) {
    return NULL;
  }
  *pending = (node_pending_t){.shared = shared,
                              .session = request->session->token,
                              .number = request->message->number,
                              .handle = request->handle->id,
                              .link = request->event->link,
                              .wait = wait,
                              .result = {.element = REPLICA_NO_ELEMENT}};
  table_insert(&node->cluster->pending, &pending->by_request, node_request_hash(pending->session, pending->number));
  pending_enlist(shared, pending);
  return pending;
}

/* It is answered: it lives until the next step, the answer points into it. */
static void pending_take(node_t *node, node_pending_t *pending) {
  pending_delist(pending);
  table_remove(&node->cluster->pending, &pending->by_request);
  pending->next = node->cluster->pending_done;
  node->cluster->pending_done = pending;
}

static void answer_pending(node_t *node, node_pending_t *pending, vesta_err_t err) {
  directory_checkpoint_t *checkpoint = pending->shared->checkpoint;
  if (err == VESTA_OK && pending->wait != NULL) {
    node_wait_begin(node, checkpoint, &pending->wait, &pending->result);
    return;
  }
  node_wait_discard(&pending->wait);
  if (pending->link != 0) {
    node->cluster->answering = pending->session;
    node_change_answer(node, checkpoint, pending->link, pending->number, err, &pending->result);
  }
}

/* Answer those that the replica here knows the result of. */
static void pending_done(node_t *node, node_shared_t *shared) {
  for (node_pending_t *pending = shared->pending, *next = NULL; pending != NULL; pending = next) {
    next = pending->next;
    if (replica_request_find(shared->checkpoint->local->replica, pending->session, pending->number, &pending->result) ==
        VESTA_OK) {
      pending_take(node, pending);
      answer_pending(node, pending, VESTA_OK);
    }
  }
}

/* This node's log is what counts from now on. What is not in it has had no effect, and never will. */
static void pending_dropped(node_t *node, node_shared_t *shared) {
  pending_done(node, shared);
  for (node_pending_t *pending = shared->pending, *next = NULL; pending != NULL; pending = next) {
    next = pending->next;
    if (!replicator_in_flight(shared->replicator, pending->session, pending->number)) {
      pending_take(node, pending);
      answer_pending(node, pending, VESTA_ERR_TRY_AGAIN);
    }
  }
}

static uint64_t record_bytes(replica_record_t record) {
  uint64_t bytes = 0;
  for (replica_change_t change; replica_record_next(&record, &change);) {
    bytes += change.element.data.size;
  }
  return bytes;
}

/* Counted, answered and told. @return it is waited for to be applied by members */
static bool committed_one(node_t *node, node_shared_t *shared, uint64_t seq) {
  directory_checkpoint_t *checkpoint = shared->checkpoint;
  replica_record_t record;
  if (replica_record(checkpoint->local->replica, seq, &record) != VESTA_OK) {
    return false; /* skipped: its streams here see that they lack it */
  }
  node_count_committed(node, checkpoint, record_bytes(record));
  node_pending_t *pending = pending_find(node, record.session, record.request);
  const node_kept_t *kept = pending != NULL ? NULL : node_kept_find(node, record.session, record.request);
  uint64_t handle = pending != NULL ? pending->handle : kept != NULL ? kept->handle : 0;
  bool awaited = pending != NULL && pending->wait != NULL;
  if (pending != NULL) {
    pending->result.epoch = record.epoch;
    pending->result.seq = seq;
    (void)replica_request_find(checkpoint->local->replica, record.session, record.request, &pending->result);
    pending_take(node, pending);
    answer_pending(node, pending, VESTA_OK);
  }
  node_track_record(node, checkpoint, &record, handle);
  return awaited;
}

static void sink_committed(void *context, uint64_t first_seq, uint64_t last_seq) {
  node_shared_t *shared = context;
  bool awaited = false;
  for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
    awaited = committed_one(shared->node, shared, seq) || awaited;
  }
  shared->commit_awaited = shared->commit_awaited || awaited;
  node_publish(shared->node, shared->checkpoint, first_seq, last_seq, awaited);
  node_kept_unblock(shared);
  node_mark(shared->node, shared->checkpoint);
}

static void sink_refused(void *context, vesta_token_t session, uint64_t request, vesta_err_t err, uint32_t element) {
  node_shared_t *shared = context;
  node_pending_t *pending = pending_find(shared->node, session, request);
  if (pending != NULL) {
    pending->result.element = element;
    pending_take(shared->node, pending);
    answer_pending(shared->node, pending, err);
  }
  node_kept_unblock(shared);
  node_mark(shared->node, shared->checkpoint);
}

static void sink_caught_up(void *context, uint32_t copy) {
  node_shared_t *shared = context;
  node_place_caught_up(shared->node, shared, copy);
}

static void sink_failed(void *context, uint32_t copy) {
  node_shared_t *shared = context;
  node_place_failed(shared->node, shared, copy);
}

static vesta_err_t region_make(node_t *node, const directory_checkpoint_t *checkpoint, uint64_t id, replica_t **out) {
  uint64_t size = 0;
  vesta_err_t err = replica_region_size(&checkpoint->attributes, &size);
  if (err != VESTA_OK) {
    return err;
  }
  node_storage_t *storage = &node->config.storage;
  replica_identity_t identity = {.checkpoint_id = checkpoint->id,
                                 .lineage = checkpoint->lineage,
                                 .name = vesta_bytes(checkpoint->name, checkpoint->name_size),
                                 .attributes = checkpoint->attributes};
  void *region = NULL;
  replica_storage_t pages;
  err = storage->create(storage->context, id, size, &region, &pages);
  if (err != VESTA_OK) {
    return err;
  }
  err = replica_format(region, size, &identity, &pages, node->wall_ns, out);
  if (err != VESTA_OK) {
    storage->remove(storage->context, id);
  }
  return err;
}

static vesta_err_t sink_shadow_new(void *context, replica_t **out) {
  node_shared_t *shared = context;
  return region_make(shared->node, shared->checkpoint, shared->checkpoint->id | NODE_REGION_SHADOW, out);
}

static void sink_shadow_drop(void *context, replica_t *shadow) {
  node_shared_t *shared = context;
  node_storage_t *storage = &shared->node->config.storage;
  replica_destroy(&shadow);
  storage->remove(storage->context, shared->checkpoint->id | NODE_REGION_SHADOW);
}

static void sink_judged(void *context, bool diverged) {
  node_shared_t *shared = context;
  shared->leave = diverged ? NODE_LEAVE_DIVERGED : NODE_LEAVE_KNOWN;
  node_mark(shared->node, shared->checkpoint);
}

static void keep_diverged(node_t *node, node_shared_t *shared) {
  node_keep_diverged(node, shared->checkpoint->id);
  shared->diverged = true;
}

static void sink_shadow_swap(void *context, replica_t *shadow, bool diverged) {
  node_shared_t *shared = context;
  node_t *node = shared->node;
  directory_checkpoint_t *checkpoint = shared->checkpoint;
  node_storage_t *storage = &node->config.storage;
  uint64_t id = checkpoint->id;
  if (checkpoint->local != NULL) {
    replica_readable_until(checkpoint->local->replica, 0);
    replica_destroy(&checkpoint->local->replica);
    if (diverged) {
      keep_diverged(node, shared);
    }
    checkpoint->local->replica = shadow;
  } else {
    checkpoint->local = shared->local_spare;
    shared->local_spare = NULL;
    checkpoint->local->replica = shadow;
    checkpoint->local->checkpoint = checkpoint;
  }
  storage->rename(storage->context, id | NODE_REGION_SHADOW, id);
  (void)node_forget_strangers(node, shadow); /* sessions that ended while it was filled */
  shared->readable_ns = 0;
  shared->gone = false;
  shared->refilled = true;
  node_count(node, NODE_COUNTER_TRANSFERS);
  node_trackers_again(node, checkpoint);
  uint64_t committed = replica_committed(shadow).seq;
  node_publish(node, checkpoint, committed, committed, false);
  pending_done(node, shared);
  node_mark(node, checkpoint);
}

/* ---- life ---- */

node_shared_t *node_shared(node_t *node, directory_checkpoint_t *checkpoint) {
  if (checkpoint->shared == NULL) {
    node_shared_t *shared = malloc(sizeof *shared);
    if (shared == NULL) {
      return NULL;
    }
    *shared = (node_shared_t){
        .node = node,
        .checkpoint = checkpoint,
        .wake = {.at_ns = DEADLINE_NONE},
        .refilled = true, /* by an earlier life, perhaps */
        .diverged = node->config.storage.has(node->config.storage.context, checkpoint->id | NODE_REGION_DIVERGED),
        .held_until_ns = node->cluster->start_ns + ORDER_LEASE_NS}; /* of an earlier life */
    shared->kept_last = &shared->kept;
    shared->kept_due_ns = INT64_MAX;
    shared->pending_last = &shared->pending;
    shared->stirred = 1;
    checkpoint->shared = shared;
  }
  return checkpoint->shared;
}

static bool has_replicator(node_t *node, node_shared_t *shared) {
  if (shared->replicator != NULL) {
    return true;
  }
  replicator_sink_t sink = {.context = shared,
                            .send = sink_send,
                            .committed = sink_committed,
                            .refused = sink_refused,
                            .caught_up = sink_caught_up,
                            .failed = sink_failed,
                            .judged = sink_judged,
                            .shadow_new = sink_shadow_new,
                            .shadow_swap = sink_shadow_swap,
                            .shadow_drop = sink_shadow_drop};
  node_local_t *local = shared->checkpoint->local;
  if (local == NULL && shared->local_spare == NULL) { /* for when it has a replica */
    shared->local_spare = node_local_new(NULL);
  }
  bool ok = (local != NULL || shared->local_spare != NULL) &&
            replicator_new(&sink, node->cluster->scratch, node->config.node_id, shared->checkpoint->id,
                           local == NULL ? NULL : local->replica, &shared->replicator) == VESTA_OK;
  if (ok) {
    if (local != NULL) {
      replica_readable_until(local->replica, 0); /* whatever was said in another life */
    }
    shared->readable_ns = 0;
    shared->epoch_seen = 0;
    shared->config_seen = 0;
  }
  return ok;
}

void node_shared_end(node_t *node, node_shared_t **out) {
  node_shared_t *shared = *out;
  if (shared == NULL) {
    return;
  }
  *out = NULL;
  while (shared->kept != NULL) {
    node_kept_t *kept = shared->kept;
    node->cluster->answering = kept->session;
    if (kept->message.kind != WIRE_PROGRESS) {
      (void)node_answer(node, kept->link, kept->message.number, VESTA_ERR_BAD_HANDLE, NULL);
    }
    node_kept_end(node, kept);
  }
  while (shared->pending != NULL) {
    node_pending_t *pending = shared->pending;
    pending_take(node, pending);
    answer_pending(node, pending, VESTA_ERR_TIMEOUT);
  }
  deadlines_set(&node->cluster->wakes, &shared->wake, DEADLINE_NONE);
  replicator_destroy(&shared->replicator);
  node_local_destroy(node, &shared->local_spare);
  for (node_shared_t **at = &node->cluster->attend; *at != NULL; at = &(*at)->attend_next) {
    if (*at == shared) {
      *at = shared->attend_next;
      break;
    }
  }
  node->cluster->attend_last = &node->cluster->attend;
  while (*node->cluster->attend_last != NULL) {
    node->cluster->attend_last = &(*node->cluster->attend_last)->attend_next;
  }
  free(shared);
}

void node_mark(node_t *node, directory_checkpoint_t *checkpoint) {
  node_shared_t *shared = node_shared(node, checkpoint);
  if (shared == NULL) {
    node_place_look(node, node->steady_ns + NODE_RETRY_NS); /* no memory: later, at all of them */
  } else if (!shared->attend) {
    shared->attend = true;
    shared->attend_next = NULL;
    *node->cluster->attend_last = shared;
    node->cluster->attend_last = &shared->attend_next;
  }
}

void node_shared_later(node_shared_t *shared, int64_t at_ns) {
  int64_t soonest_ns = shared->node->steady_ns + SOON_NS; /* what can't be done now is not tried at once again */
  at_ns = at_ns < soonest_ns ? soonest_ns : at_ns;
  if (at_ns < shared->wake.at_ns) {
    deadlines_set(&shared->node->cluster->wakes, &shared->wake, at_ns);
  }
}

vesta_err_t node_shared_make(node_t *node, directory_checkpoint_t *checkpoint) {
  replica_t *replica = NULL;
  vesta_err_t err = node_take_up(node, checkpoint);
  if (err != VESTA_ERR_NOT_EXIST && err != VESTA_ERR_MALFORMED) {
    node_mark(node, checkpoint);
    return VESTA_OK; /* an earlier life has made it already; if it can't be taken up now, it is later */
  }
  err = region_make(node, checkpoint, checkpoint->id, &replica);
  if (err != VESTA_OK) {
    return err;
  }
  checkpoint->local = node_local_new(replica);
  if (checkpoint->local == NULL) {
    replica_destroy(&replica);
    node->config.storage.remove(node->config.storage.context, checkpoint->id);
    return VESTA_ERR_NO_MEMORY;
  }
  checkpoint->local->checkpoint = checkpoint;
  node_mark(node, checkpoint);
  return VESTA_OK;
}

void node_shared_begin(node_t *node, node_shared_t *shared) {
  if (has_replicator(node, shared)) {
    shared->epoch_seen = 0; /* so it is told of everything, and says where it is */
    node_shared_configure(node, shared);
  }
}

void node_shared_leave(node_t *node, node_shared_t *shared, bool diverged) {
  directory_checkpoint_t *checkpoint = shared->checkpoint;
  replicator_destroy(&shared->replicator);
  shared->joining = WIRE_REPLICA_NONE;
  if (checkpoint->local != NULL) {
    replica_readable_until(checkpoint->local->replica, 0);
    node_applied_end(node, checkpoint->local, checkpoint);
    node_trackers_off(checkpoint);
    node_local_destroy(node, &checkpoint->local);
    if (diverged) {
      keep_diverged(node, shared);
    } else {
      node->config.storage.remove(node->config.storage.context, checkpoint->id);
    }
    node_act(node, NODE_ACTION_REMOVED)->checkpoint = checkpoint->id; /* its streams here end */
  }
}

/* ---- how it stands ---- */

bool node_leads(const node_t *node, const directory_checkpoint_t *checkpoint) {
  if (node->cluster == NULL) {
    return true;
  }
  return checkpoint->primary == node->config.node_id && checkpoint->local != NULL && checkpoint->shared != NULL &&
         checkpoint->shared->replicator != NULL && order_usable(node->cluster->order) && node->cluster->caught_up;
}

static bool lacks(const directory_checkpoint_t *checkpoint) {
  return checkpoint->shared->refilled && replica_committed(checkpoint->local->replica).epoch != checkpoint->epoch;
}

bool node_drained(const node_t *node) {
  size_t bucket = 0;
  const directory_checkpoint_t *c = NULL;
  while (node->cluster != NULL && (c = directory_each(node->directory, &bucket, c)) != NULL) {
    replica_status_t status;
    if (!node_leads(node, c)) {
      continue;
    }
    replica_status(c->local->replica, &status);
    if (status.committed.seq != status.prepared_seq ||
        !replicator_everywhere(c->shared->replicator, status.prepared_seq)) {
      return false;
    }
  }
  return true;
}

bool node_readable(const node_t *node, const directory_checkpoint_t *checkpoint) {
  if (node->cluster == NULL) {
    return true;
  }
  const directory_replica_t *replica = directory_replica(checkpoint, node->config.node_id);
  bool all = (checkpoint->attributes.creation_flags & VESTA_CREATE_ALL_REPLICAS) != 0;
  bool in_sync = replica != NULL && replica->state == WIRE_REPLICA_IN_SYNC && checkpoint->local != NULL &&
                 checkpoint->shared != NULL && checkpoint->shared->replicator != NULL;
  if (PLANTED(READ_AFTER_LEASE)) {
    return in_sync && (all || checkpoint->primary == node->config.node_id);
  }
  if (!in_sync || node->steady_ns >= order_lease_ns(node->cluster->order)) {
    return false;
  }
  bool primary = checkpoint->primary == node->config.node_id;
  const replicator_t *replicator = checkpoint->shared->replicator;
  return primary ? replicator_serves(replicator) : all && replicator_follows(replicator) && !lacks(checkpoint);
}

/* Readers that map the replica see by themselves how long they may. */
void node_lease(node_t *node) {
  node_cluster_t *cluster = node->cluster;
  int64_t lease_ns = order_lease_ns(cluster->order);
  if (lease_ns == cluster->lease_ns) {
    return;
  }
  bool anew = cluster->lease_ns <= node->steady_ns; /* else whoever may be read is known */
  cluster->lease_ns = lease_ns;
  if (!anew && lease_ns > cluster->leased_ns && cluster->leased_ns - node->steady_ns > ORDER_LEASE_NS / 2) {
    return; /* what they see is good for some time yet: with many replicas this is work */
  }
  cluster->leased_ns = lease_ns;
  size_t bucket = 0;
  for (directory_checkpoint_t *c = NULL; (c = directory_each(node->directory, &bucket, c)) != NULL;) {
    if (c->local != NULL && c->shared != NULL && (anew ? node_readable(node, c) : c->shared->readable_ns != 0)) {
      bool waits = c->shared->kept != NULL && c->shared->readable_ns <= node->steady_ns;
      c->shared->readable_ns = lease_ns;
      replica_readable_until(c->local->replica, lease_ns);
      if (waits && lease_ns > node->steady_ns) {
        node_mark(node, c); /* what was kept because there was no lease can be answered now */
      }
    }
  }
}

static void lease_one(node_t *node, node_shared_t *shared) {
  directory_checkpoint_t *checkpoint = shared->checkpoint;
  if (checkpoint->local != NULL) {
    shared->refilled = lacks(checkpoint);
  }
  int64_t until_ns = node_readable(node, checkpoint) ? node->cluster->lease_ns : 0;
  if (checkpoint->local != NULL && shared->readable_ns != until_ns) {
    shared->readable_ns = until_ns;
    replica_readable_until(checkpoint->local->replica, until_ns);
  }
}

/* ---- what the directory says goes to the replicator ---- */

static bool is_required(const node_t *node, const directory_replica_t *replica) {
  bool early = PLANTED(SHRUNK_EARLY) && !order_participates(node->cluster->order, replica->node);
  return replica->state == WIRE_REPLICA_IN_SYNC && !early;
}

/* Who was in sync and is not any more may be read until it learns that, or its lease runs out. Every node counts that: it
 * may become the primary meanwhile. */
static void count_removed(node_t *node, node_shared_t *shared) {
  const directory_checkpoint_t *checkpoint = shared->checkpoint;
  for (uint32_t i = 0; i < shared->in_sync_count; i++) {
    uint32_t other = shared->in_sync[i];
    const directory_replica_t *replica = directory_replica(checkpoint, other);
    bool removed = replica == NULL || replica->state != WIRE_REPLICA_IN_SYNC;
    if (removed && other != node->config.node_id) {
      int64_t until_ns = order_node_lease_ns(node->cluster->order, other, node->steady_ns);
      shared->held_until_ns = until_ns > shared->held_until_ns ? until_ns : shared->held_until_ns;
    }
  }
  shared->in_sync_count = 0;
  for (uint32_t i = 0; i < checkpoint->replica_count; i++) {
    if (checkpoint->replicas[i].state == WIRE_REPLICA_IN_SYNC) {
      shared->in_sync[shared->in_sync_count++] = checkpoint->replicas[i].node;
    }
  }
}

void node_shared_configure(node_t *node, node_shared_t *shared) {
  directory_checkpoint_t *checkpoint = shared->checkpoint;
  if (shared->config_seen != checkpoint->config) {
    count_removed(node, shared);
  }
  bool held = shared->held_until_ns > node->steady_ns;
  /* What was known before a restart may be long since wrong: nobody leads until all is known that was ordered. */
  uint32_t primary = node->cluster->caught_up ? checkpoint->primary : 0;
  bool same = shared->epoch_seen == checkpoint->epoch && shared->config_seen == checkpoint->config &&
              shared->primary_seen == primary && shared->held_seen == held;
  if (held) {
    node_shared_later(shared, shared->held_until_ns);
  }
  if (shared->replicator == NULL || same) {
    return;
  }
  bool begins = primary == node->config.node_id && checkpoint->local != NULL &&
                (shared->primary_seen != primary || shared->epoch_seen == 0);
  shared->held_seen = held;
  shared->epoch_seen = checkpoint->epoch;
  shared->config_seen = checkpoint->config;
  shared->primary_seen = primary;
  shared->leave = NODE_LEAVE_ASKS; /* another primary may know more */
  node_kept_unblock(shared);
  replicator_config_t config = {.epoch = checkpoint->epoch, .primary = primary, .held = held};
  config.synchronous = waits_for_all(checkpoint);
  for (uint32_t i = 0; i < checkpoint->replica_count; i++) {
    config.members[config.member_count++] = (replicator_member_t){
        .node = checkpoint->replicas[i].node, .required = is_required(node, &checkpoint->replicas[i])};
  }
  replicator_configure(shared->replicator, &config, node->steady_ns);
  if (begins) {
    shared->lead_epoch = checkpoint->epoch;
    shared->inherited_seq = replica_prepared_seq(checkpoint->local->replica);
    if (replica_committed(checkpoint->local->replica).epoch != checkpoint->epoch) {
      node_place_calm(node, shared);
    }
    pending_dropped(node, shared);
  }
}

void node_shared_peer(node_t *node, uint32_t from, const wire_message_t *message, vesta_bytes_t payload) {
  directory_checkpoint_t *checkpoint = directory_checkpoint(node->directory, message->checkpoint);
  node_shared_t *shared = checkpoint == NULL ? NULL : checkpoint->shared;
  if (shared == NULL || shared->replicator == NULL) {
    return;
  }
  node_shared_configure(node, shared);
  replicator_receive(shared->replicator, from, message, payload, node->steady_ns);
  node_kept_unblock(shared);
  node_mark(node, checkpoint);
}

void node_shared_peer_up(node_t *node, uint32_t peer) {
  size_t bucket = 0;
  for (directory_checkpoint_t *c = NULL; (c = directory_each(node->directory, &bucket, c)) != NULL;) {
    if (c->shared == NULL) {
      continue;
    }
    if (c->shared->replicator != NULL) {
      replicator_peer_up(c->shared->replicator, peer, node->steady_ns);
    }
    for (node_kept_t *kept = c->primary == peer ? c->shared->kept : NULL; kept != NULL; kept = kept->next) {
      kept->again_ns = 0;
      c->shared->kept_due_ns = 0;
    }
    node_mark(node, c);
  }
}

/* ---- changes ---- */

bool node_shared_under_way(node_t *node, const node_request_t *request) {
  node_shared_t *shared = request->checkpoint->shared;
  node_pending_t *pending = pending_find(node, request->session->token, request->message->number);
  if (pending != NULL) {
    pending->link = request->event->link;
    return true;
  }
  if (replica_committed(request->checkpoint->local->replica).seq >= shared->inherited_seq ||
      !replicator_in_flight(shared->replicator, request->session->token, request->message->number)) {
    return false;
  }
  if (pending_add(node, shared, request, NULL) == NULL) { /* it was begun by a primary before this one */
    node_refuse(node, request, VESTA_ERR_TIMEOUT);
  }
  return true;
}

void node_shared_change(node_t *node, const node_request_t *request) {
  node_shared_t *shared = request->checkpoint->shared;
  const wire_message_t *message = request->message;
  node_wait_t *wait = NULL;
  replica_op_t op;
  replica_result_t result = {.element = REPLICA_NO_ELEMENT};
  vesta_err_t err = node_change_judge(node, request, &op, &wait);
  bool in_the_way = false;
  node_pending_t *pending = err == VESTA_OK ? pending_add(node, shared, request, wait) : NULL;
  if (err == VESTA_OK && pending == NULL) {
    err = VESTA_ERR_NO_MEMORY;
  }
  if (err == VESTA_OK) {
    err = replicator_propose(shared->replicator, &op, &result);
    wait = NULL;           /* the pending one's now */
    if (err == VESTA_OK) { /* the replica forgets it when the session closes its last handle */
      memcpy(pending->result.generated_id, result.generated_id, result.generated_id_size);
      pending->result.generated_id_size = result.generated_id_size;
    }
    in_the_way = err == VESTA_ERR_TRY_AGAIN;
    if (err != VESTA_OK) { /* else it may be answered already */
      pending_take(node, pending);
      node_wait_discard(&pending->wait);
    }
  }
  if (in_the_way) {
    node_hold(node, request); /* another one is not committed yet */
  } else if (err != VESTA_OK) {
    node_wait_discard(&wait);
    node_change_answer(node, request->checkpoint, request->event->link, message->number, err, &result);
  } else {
    node_shared_later(shared, node->steady_ns + VESTA_CALL_LIMIT_MS * INT64_C(1000000));
  }
  node_mark(node, request->checkpoint);
}

/* Nobody can say that they were not done: TIMEOUT. One that is still under way is known if it is asked for again. */
static void pending_late(node_t *node, node_shared_t *shared) {
  while (shared->pending != NULL && shared->pending->until_ns <= node->steady_ns && node_has_room(node)) {
    node_pending_t *pending = shared->pending;
    answer_pending(node, pending, VESTA_ERR_TIMEOUT);
    pending->link = 0;
    bool flies =
        shared->replicator != NULL && replicator_in_flight(shared->replicator, pending->session, pending->number);
    if (flies) {
      pending_delist(pending);
      pending_enlist(shared, pending);
    } else {
      pending_take(node, pending);
    }
  }
  if (shared->pending != NULL) {
    node_shared_later(shared, shared->pending->until_ns);
  }
}

/* ---- all that a checkpoint needs now ---- */

static bool wants_replica(const node_t *node, const node_shared_t *shared) {
  return shared->checkpoint->local != NULL || shared->joining ||
         directory_replica(shared->checkpoint, node->config.node_id) != NULL;
}

/* A replica that is said to be here may be what an earlier life left. False: that can't be said now. */
static bool take_up(node_t *node, node_shared_t *shared) {
  directory_checkpoint_t *checkpoint = shared->checkpoint;
  bool unknown = checkpoint->local == NULL && shared->replicator == NULL && !shared->gone &&
                 directory_replica(checkpoint, node->config.node_id) != NULL;
  if (!unknown) {
    return true;
  }
  vesta_err_t err = node_take_up(node, checkpoint);
  shared->gone = err == VESTA_ERR_NOT_EXIST || err == VESTA_ERR_MALFORMED;
  if (err == VESTA_OK) {
    (void)node_forget_strangers(node, checkpoint->local->replica);
    node_trackers_again(node, checkpoint);
  }
  return err == VESTA_OK || shared->gone;
}

void node_shared_attend(node_t *node, node_shared_t *shared) {
  directory_checkpoint_t *checkpoint = shared->checkpoint;
  if (wants_replica(node, shared) && !(take_up(node, shared) && has_replicator(node, shared))) {
    node_shared_later(shared, node->steady_ns + NODE_RETRY_NS);
  }
  node_shared_configure(node, shared);
  if (shared->replicator != NULL) {
    replicator_time(shared->replicator, node->steady_ns);
  }
  if (checkpoint->local != NULL) {
    node_barrier(checkpoint);
  }
  if (node_leads(node, checkpoint)) {
    node_reconcile(node, checkpoint);
    if (replicator_serves(shared->replicator)) {
      node_roles(node, checkpoint);
      node_schedule(node, checkpoint);
    }
  }
  pending_late(node, shared);
  node_kept_attend(node, shared);
  node_place(node, shared);
  if (shared->replicator != NULL) {
    replicator_flush(shared->replicator, node->steady_ns);
    shared->commit_awaited = false;
    node_shared_later(shared, replicator_wake_ns(shared->replicator));
    node_place_watch(node, shared);
  }
  lease_one(node, shared);
  if (node_kept_waits(node, shared)) { /* what came after it has changed something */
    node_mark(node, checkpoint);
  }
}
