/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Active members that are stopped and not dead: nobody tells of them, so they tell of themselves.
 *
 *   heard --heartbeat_ns without a word--> silent --somebody is eligible--> that one is promoted (OP_PROMOTE)
 *     ^ '---- the node itself came late: counted anew           |
 *     '---------------- a request of its session ---------------'
 *
 * A member that joined with a heartbeat is watched while it is active. Every request of its session for this checkpoint
 * is a sign of life: libvesta has no thread of its own, so whatever is heard, the application's own thread has sent.
 * PROGRESS (ALIVE) is there for when it has nothing else to say.
 *
 * Silence is measured by this node's clock from what this node heard, and is its own: what is ordered is an ordinary
 * grant to another. In a cluster it is the node of the checkpoint's primary that listens; where the member speaks to
 * another one, that passes a sign of life on, a few within a heartbeat. A node that came late to the deadline stood still itself and knows nothing of who was silent
 * meanwhile; what was said to it may be waiting in its sockets.
 */
#include "core/node_cluster.h"

#define SIGNS_PER_HEARTBEAT 4

/* Its active member, if that is to give signs of life; NULL: there is none. */
static const roles_member_t *node_beating(const directory_checkpoint_t *checkpoint) {
  const roles_group_t *group = &checkpoint->group;
  const roles_member_t *active = group->state == ROLES_ACTIVE ? roles_member(group, group->granted) : NULL;
  return active == NULL || active->heartbeat_ns == 0 ? NULL : active;
}

static int64_t node_silent_at_ns(const node_local_t *local, const roles_member_t *active) {
  bool ever = active->heartbeat_ns < INT64_MAX - local->heard_ns;
  return ever ? local->heard_ns + active->heartbeat_ns : DEADLINE_NONE;
}

void node_heard(node_t *node, const node_request_t *request) {
  const roles_member_t *active = node_beating(request->checkpoint);
  if (active != NULL && vesta_token_equal(active->session, request->session->token)) {
    node_local_t *local = request->checkpoint->local;
    local->heard_ns = node->steady_ns;
    if (local->silent) {
      local->silent = false;
      node_later(node, request->checkpoint, node_silent_at_ns(local, active));
    }
  }
}

void node_pass_on(node_t *node, const node_request_t *request) {
  const directory_checkpoint_t *checkpoint = request->checkpoint;
  const roles_member_t *active = node_beating(checkpoint);
  node_shared_t *shared = checkpoint->shared;
  bool concerns = active != NULL && shared != NULL && vesta_token_equal(active->session, request->session->token) &&
                  checkpoint->primary != 0 && checkpoint->primary != node->config.node_id;
  if (!concerns || node->steady_ns - shared->passed_on_ns < active->heartbeat_ns / SIGNS_PER_HEARTBEAT) {
    return;
  }
  shared->passed_on_ns = node->steady_ns;
  wire_message_t alive = {.kind = WIRE_PROGRESS,
                          .token_hi = request->session->token.hi,
                          .token_lo = request->session->token.lo,
                          .handle = request->handle->id,
                          .node = node->config.node_id,
                          .state = WIRE_PROGRESS_ALIVE};
  node_peer_send(node, checkpoint->primary, &alive, vesta_bytes(NULL, 0));
}

void node_listen(node_t *node, directory_checkpoint_t *checkpoint) {
  const roles_member_t *active = node_beating(checkpoint);
  node_local_t *local = checkpoint->local;
  if (active == NULL) {
    return;
  }
  if (local->heard_epoch != checkpoint->group.epoch) {
    local->heard_epoch = checkpoint->group.epoch;
    local->heard_ns = node->steady_ns;
    local->silent = false;
  }
  if (!local->silent) {
    node_later(node, checkpoint, node_silent_at_ns(local, active));
    return;
  }
  const roles_member_t *next = roles_choose(&checkpoint->group, active->id);
  if (next != NULL) { /* else it stays: it may wake up before anybody else is there */
    node_count(node, NODE_COUNTER_SILENT);
    node_grant(node, checkpoint, next->id, node_order(node, WIRE_OP_PROMOTE));
    node_later(node, checkpoint, node->steady_ns + NODE_RETRY_NS); /* in case it can't be ordered now */
  }
}

void node_silence(node_t *node, directory_checkpoint_t *checkpoint) {
  const roles_member_t *active = node_beating(checkpoint);
  node_local_t *local = checkpoint->local;
  if (active == NULL || local->silent || local->heard_epoch != checkpoint->group.epoch) {
    return;
  }
  int64_t silent_at_ns = node_silent_at_ns(local, active);
  if (node->steady_ns < silent_at_ns) {
    return;
  }
  if (node->steady_ns - silent_at_ns > active->heartbeat_ns / 2) {
    local->heard_ns = node->steady_ns;
  } else {
    local->silent = true;
  }
}
