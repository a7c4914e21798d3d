/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ordered operations, delivered: the directory changes, then replicas and roles follow it, then the answer goes out.
 *
 * The directory is the truth and the replica follows: an epoch, an unlink, a retention that the directory knows and the replica's
 * history does not yet becomes an operation there (node_reconcile()), now or, when a crash or a lack of memory came
 * between, later.
 */
#include <stdlib.h>

#include "core/node_cluster.h"
#include "core/planted.h"

node_local_t *node_local_new(replica_t *replica) {
  node_local_t *local = calloc(1, sizeof *local);
  if (local != NULL) {
    local->replica = replica;
    local->wall.at_ns = DEADLINE_NONE;
    local->steady.at_ns = DEADLINE_NONE;
  }
  return local;
}

void node_local_destroy(node_t *node, node_local_t **local) {
  if (*local != NULL) {
    deadlines_set(&node->wall, &(*local)->wall, DEADLINE_NONE);
    deadlines_set(&node->steady, &(*local)->steady, DEADLINE_NONE);
    node_waits_drop(node, *local);
    replica_destroy(&(*local)->replica);
    free(*local);
    *local = NULL;
  }
}

void node_schedule(node_t *node, directory_checkpoint_t *checkpoint) {
  replica_section_t section;
  int64_t at_ns = replica_expiry_next(checkpoint->local->replica, &section);
  if (checkpoint->open_count == 0 && checkpoint->retained_until_ns < at_ns) {
    at_ns = checkpoint->retained_until_ns;
  }
  if (checkpoint->local->wall.at_ns != at_ns) {
    deadlines_set(&node->wall, &checkpoint->local->wall, at_ns);
  }
}

void node_later(node_t *node, directory_checkpoint_t *checkpoint, int64_t at_ns) {
  if (at_ns < checkpoint->local->steady.at_ns) {
    deadlines_set(&node->steady, &checkpoint->local->steady, at_ns);
  }
}

/* ---- the replica follows the directory ---- */

static bool node_follow(node_t *node, directory_checkpoint_t *checkpoint, replica_element_t element) {
  replica_op_t op = {.time_ns = node->wall_ns, .elements = &element, .element_count = 1};
  replica_result_t result;
  vesta_err_t err = node_commit(node, checkpoint, &op, &result);
  if (node->cluster != NULL) { /* these wait until nothing is in flight: so nothing new begins before they did */
    checkpoint->shared->drains = err == VESTA_ERR_TRY_AGAIN;
  }
  return err == VESTA_OK;
}

/* Where the grant stands in the history: the barrier. */
void node_barrier(directory_checkpoint_t *checkpoint) {
  if (checkpoint->group.granted == 0 || checkpoint->group.barrier != 0) {
    return;
  }
  vesta_epoch_row_t rows[VESTA_EPOCHS_MAX];
  uint32_t count = replica_epochs(checkpoint->local->replica, rows, VESTA_EPOCHS_MAX);
  for (uint32_t i = 0; i < count; i++) {
    if (rows[i].epoch == checkpoint->group.epoch) {
      checkpoint->group.barrier = rows[i].first_seq;
    }
  }
}

/* Was the role granted in an epoch of another primary? That may have put the grant into its history, where nobody else
 * has seen it; under the same epoch nothing else may ever stand there. */
static bool grant_is_anothers(const node_t *node, const directory_checkpoint_t *checkpoint) {
  return node->cluster != NULL && checkpoint->group.epoch < checkpoint->shared->lead_epoch;
}

void node_reconcile(node_t *node, directory_checkpoint_t *checkpoint) {
  replica_status_t status;
  replica_status(checkpoint->local->replica, &status);
  bool ok = true;
  if (node->cluster != NULL) {
    checkpoint->shared->drains = false;
  }
  if (status.committed.epoch < checkpoint->group.epoch && !grant_is_anothers(node, checkpoint)) {
    ok = node_follow(node, checkpoint,
                     (replica_element_t){.kind = VESTA_KIND_EPOCH,
                                         .epoch = checkpoint->group.epoch,
                                         .member = checkpoint->group.granted});
  }
  if (ok && status.committed.epoch < checkpoint->epoch && checkpoint->group.epoch < checkpoint->epoch) {
    ok = node_follow(
        node, checkpoint,
        (replica_element_t){.kind = VESTA_KIND_EPOCH, .epoch = checkpoint->epoch, .member = VESTA_MEMBER_SAME});
  }
  if (ok && checkpoint->unlinked && !status.unlinked) {
    ok = node_follow(node, checkpoint, (replica_element_t){.kind = VESTA_KIND_UNLINKED});
  }
  if (ok && checkpoint->attributes.retention_ns != status.retention_ns) {
    ok = node_follow(
        node, checkpoint,
        (replica_element_t){.kind = VESTA_KIND_RETENTION_SET, .expiry_ns = checkpoint->attributes.retention_ns});
  }
  if (!ok) {
    node_later(node, checkpoint, node->steady_ns + NODE_RETRY_NS);
  }
  node_barrier(checkpoint);
}

/* ---- roles ---- */

void node_grant(const node_t *node, const directory_checkpoint_t *checkpoint, uint64_t member, wire_message_t *op) {
  op->checkpoint = checkpoint->id;
  op->member = member;
  op->epoch = checkpoint->epoch + 1;
  op->node = node->config.node_id;
  if (checkpoint->shared != NULL) {
    node_place_calm(node, checkpoint->shared);
  }
}

/* The history here knows nothing of the grant: it is made anew. */
static bool grant_again(node_t *node, const directory_checkpoint_t *checkpoint) {
  const roles_group_t *group = &checkpoint->group;
  replica_status_t status;
  replica_status(checkpoint->local->replica, &status);
  bool unknown = status.granted_member != group->granted || (group->state == ROLES_PROMOTING && group->barrier == 0);
  bool again = group->granted != 0 && unknown && grant_is_anothers(node, checkpoint);
  if (again) {
    node_grant(node, checkpoint, group->granted, node_order(node, WIRE_OP_PROMOTE));
  }
  return again;
}

void node_roles(node_t *node, directory_checkpoint_t *checkpoint) {
  if (grant_again(node, checkpoint)) {
    return;
  }
  if (checkpoint->group.state == ROLES_PROMOTING) {
    const roles_member_t *candidate = roles_member(&checkpoint->group, checkpoint->group.granted);
    if (checkpoint->local->promotion_epoch != checkpoint->group.epoch) {
      checkpoint->local->promotion_epoch = checkpoint->group.epoch;
      checkpoint->local->promotion_until_ns = node->steady_ns + candidate->promote_timeout_ns;
    }
    node_later(node, checkpoint, checkpoint->local->promotion_until_ns);
    return;
  }
  if (checkpoint->group.state == ROLES_ACTIVE) {
    node_listen(node, checkpoint);
    return;
  }
  const roles_member_t *next = roles_choose(&checkpoint->group, 0);
  if (next != NULL) {
    node_grant(node, checkpoint, next->id, node_order(node, WIRE_OP_PROMOTE));
  }
}

void node_promotion_late(node_t *node, directory_checkpoint_t *checkpoint) {
  roles_group_t *group = &checkpoint->group;
  bool late = group->state == ROLES_PROMOTING && node->steady_ns >= checkpoint->local->promotion_until_ns;
  const roles_member_t *other = late && !PLANTED(CANDIDATE_AWAITED) ? roles_choose(group, group->granted) : NULL;
  if (other != NULL) {
    node_count(node, NODE_COUNTER_REVOKED);
    node_grant(node, checkpoint, other->id, node_order(node, WIRE_OP_PROMOTE));
    node_later(node, checkpoint, node->steady_ns + NODE_RETRY_NS); /* in case it can't be ordered now */
    return;
  }
  if (late) { /* nobody else could: it may take longer */
    checkpoint->local->promotion_until_ns = node->steady_ns + roles_member(group, group->granted)->promote_timeout_ns;
  }
  node_roles(node, checkpoint);
}

/* ---- answers ---- */

void node_answer_ordered(node_t *node, const directory_session_t *session, uint64_t link, uint32_t flags,
                         const directory_answer_t *answer) {
  const directory_checkpoint_t *checkpoint = directory_checkpoint(node->directory, answer->checkpoint);
  bool callback = (flags & WIRE_FLAG_CALLBACK) != 0;
  if (answer->err == VESTA_OK && answer->member != 0 && checkpoint != NULL) {
    node_join_answer(node, link, answer->number, checkpoint, answer->member);
    return;
  }
  if (callback && session->callback_link == 0) {
    callback = false; /* it broke: the agent asks again on its calls link and is told there */
  }
  bool gone = answer->err == VESTA_OK && answer->handle != 0 && checkpoint == NULL; /* lost with the node it was on */
  wire_message_t *reply = node_answer(node, callback ? session->callback_link : link, answer->number,
                                      gone ? VESTA_ERR_TRY_AGAIN : answer->err, NULL);
  reply->kind = callback ? WIRE_CALLBACK : WIRE_REPLY;
  if (answer->err == VESTA_OK && answer->handle != 0 && checkpoint != NULL) {
    reply->handle = answer->handle;
    reply->checkpoint = checkpoint->id;
    wire_attributes_set(reply, &checkpoint->attributes);
  }
}

/* ---- delivered ---- */

static bool node_session_has(const directory_session_t *session, const directory_checkpoint_t *checkpoint) {
  const directory_handle_t *handle = session == NULL ? NULL : session->handles;
  while (handle != NULL && handle->checkpoint != checkpoint) {
    handle = handle->next;
  }
  return handle != NULL;
}

void node_keep_diverged(node_t *node, uint64_t checkpoint) {
  node->config.storage.rename(node->config.storage.context, checkpoint, checkpoint | NODE_REGION_DIVERGED);
  node_count(node, NODE_COUNTER_DIVERGED);
  node_act(node, NODE_ACTION_DIVERGED)->checkpoint = checkpoint;
}

void node_checkpoint_end(node_t *node, directory_checkpoint_t *checkpoint, bool diverged) {
  node_shared_end(node, &checkpoint->shared);
  if (checkpoint->local != NULL) {
    node_applied_end(node, checkpoint->local, checkpoint);
    node_local_destroy(node, &checkpoint->local);
    if (diverged) {
      node_keep_diverged(node, checkpoint->id);
    } else {
      node->config.storage.remove(node->config.storage.context, checkpoint->id);
    }
  }
  node_act(node, NODE_ACTION_REMOVED)->checkpoint = checkpoint->id;
}

static void node_follow_outcome(node_t *node, const wire_message_t *op, directory_outcome_t *outcome) {
  while (outcome->removed != NULL) {
    directory_checkpoint_t *removed = outcome->removed;
    outcome->removed = removed->next;
    if (op->kind == WIRE_OP_REMOVE) {
      node_count(node, NODE_COUNTER_RETIRED);
    }
    node_checkpoint_end(node, removed, false);
    directory_bury(node->directory, removed);
  }
  bool closes = op->kind == WIRE_OP_CLOSE || op->kind == WIRE_OP_SESSION_END;
  const directory_session_t *session = directory_session(node->directory, wire_token(op));
  while (outcome->touched != NULL) {
    directory_checkpoint_t *touched = outcome->touched;
    outcome->touched = touched->next;
    touched->touched = false;
    if (node->cluster != NULL) {
      node_mark(node, touched);
      if (touched->shared != NULL) {
        touched->shared->openers_changed = true;
      }
    }
    if (touched->local == NULL) {
      continue;
    }
    if (op->kind == WIRE_OP_SESSION_END) {
      node_applied_forget(node, touched, wire_token(op));
    }
    if (closes && !node_session_has(session, touched)) {
      replica_session_forget(touched->local->replica, wire_token(op));
    }
    if (node->cluster == NULL) { /* else when it is attended to, where its primary is */
      node_reconcile(node, touched);
      node_roles(node, touched);
      node_schedule(node, touched);
    }
  }
}

void node_ordered(node_t *node, const wire_message_t *op) {
  directory_session_t *session = directory_session(node->directory, wire_token(op));
  uint64_t link = session == NULL ? 0 : session->link;
  bool ends = op->kind == WIRE_OP_SESSION_END && session != NULL;
  directory_outcome_t outcome;
  directory_apply(node->directory, op, &outcome);
  if (op->kind == WIRE_OP_OPEN) {
    if (outcome.created && outcome.checkpoint->id == node->made.checkpoint) {
      outcome.checkpoint->local = node->made.local;
      node->made.local->checkpoint = outcome.checkpoint;
      node->made = (node_made_t){0};
    }
    node_made_discard(node);
    bool here = outcome.created && node->cluster != NULL && session->node == node->config.node_id;
    if (here && op->incarnation == order_incarnation(node->cluster->order)) { /* else an earlier life has made it */
      outcome.answer.err = node_shared_make(node, outcome.checkpoint);        /* where it fails it is removed again */
    }
    if (outcome.answer.err == VESTA_ERR_NO_RESOURCES) {
      node_count(node, NODE_COUNTER_HANDLES_REFUSED);
    }
    node_track_opened(node, outcome.answer.handle);
  }
  if (op->kind == WIRE_OP_PROMOTE && outcome.answer.err == VESTA_OK && op->member != 0) {
    node_count(node, NODE_COUNTER_PROMOTIONS);
  }
  node_follow_outcome(node, op, &outcome);
  if (op->kind == WIRE_OP_ACTIVE && node->cluster != NULL) {
    node_handed_over(node, op);
  }
  if (op->kind == WIRE_OP_NODE_END || (ends && op->number == 0 && node->cluster != NULL && link != 0)) {
    node_links_sweep(node);
  }
  if (op->kind == WIRE_OP_NODE_GONE && node->cluster != NULL) {
    node->cluster->look_at_all = true; /* the time of its sessions begins */
  }
  if (op->kind == WIRE_OP_SESSION_BEGIN) {
    if (node->cluster == NULL || op->node == node->config.node_id) {
      node_hello_ordered(node, op, outcome.answer.err);
    }
    return;
  }
  if (node->cluster != NULL && op->number != 0) { /* where another node was asked to order it */
    node_kept_t *kept = node_kept_find(node, wire_token(op), op->number);
    if (kept != NULL) {
      node_kept_end(node, kept);
    }
  }
  if (op->number != 0 && link != 0) {
    session = directory_session(node->directory, wire_token(op));
    node_answer_ordered(node, session, link, session == NULL ? 0 : (uint32_t)op->flags, &outcome.answer);
  }
  if (ends) {
    node_act(node, NODE_ACTION_UNWATCH)->session = wire_token(op);
  }
}

void node_order_refused(node_t *node, const wire_message_t *op, vesta_err_t err) {
  node_count(node, NODE_COUNTER_ORDER_REFUSED);
  if (op->kind == WIRE_OP_OPEN) {
    node_made_discard(node);
  }
  if (op->kind == WIRE_OP_SESSION_BEGIN) {
    node_hello_ordered(node, op, err);
    return;
  }
  directory_session_t *session = directory_session(node->directory, wire_token(op));
  if (op->number != 0 && session != NULL && session->link != 0) {
    directory_answer_t answer = {.number = op->number, .err = err};
    node_answer_ordered(node, session, session->link, (uint32_t)op->flags, &answer);
    return;
  }
  if (op->kind == WIRE_OP_SESSION_END && session != NULL) {
    session->over = true;
    node->retry_ns = node->steady_ns + NODE_RETRY_NS;
  }
  if (op->kind == WIRE_OP_ACTIVE && node->cluster != NULL) {
    node_handed_over(node, op);
  }
  directory_checkpoint_t *checkpoint = directory_checkpoint(node->directory, op->checkpoint);
  if (checkpoint != NULL && checkpoint->local != NULL) {
    node_later(node, checkpoint, node->steady_ns + NODE_RETRY_NS);
  }
}

/* Sessions whose end could not be ordered. */
void node_sessions_again(node_t *node) {
  node->retry_ns = DEADLINE_NONE;
  size_t bucket = 0;
  directory_session_t *session = NULL;
  while ((session = directory_each_session(node->directory, &bucket, session)) != NULL) {
    if (session->over) {
      node_session_over(node, session->token);
    }
  }
}
