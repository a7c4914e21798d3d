/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Changes that are answered when members of the group have applied them (`count` of a CHANGE).
 *
 *   CHANGE, count k --> judged, committed, published "awaited" --> waits --k members' PROGRESS or CONFIRM reached it--> OK
 *                   \                                                \--until_ns, or the checkpoint goes---> TIMEOUT
 *                    `--fewer than k other members: TRY_AGAIN, nothing was done
 *
 * What is waited for stands in a list at the checkpoint, in the order of seq, so a member's report looks no further than
 * it reaches. Who writes does not count. A report counts only if it names a position of this history (node_progress()).
 *
 * Waits are this node's own and die with it, as do the members' reports. Nothing is lost by that: the change is in the
 * log with its number, so the agent that asks again begins to wait anew, and the members report anew.
 */
#include <stdlib.h>

#include "core/node_cluster.h"

struct node_wait {
  node_wait_t *next;
  vesta_token_t session; /* who waits */
  uint64_t number;       /* with this request */
  uint32_t except_node;  /* members there don't count; 0: all do */
  uint32_t wanted;       /* so many members */
  int64_t until_ns;      /* steady */
  replica_result_t result;
};

/* The node whose members don't count for this request; 0: those of all do. */
static uint32_t node_excepted(const node_request_t *request) {
  return (request->message->flags & WIRE_CHANGE_ANY_NODE) != 0 ? 0 : request->session->node;
}

/* Members who have applied it, other than the writer. */
static uint32_t node_have_applied(const roles_group_t *group, const node_wait_t *wait) {
  uint32_t count = 0;
  for (const roles_member_t *member = group->members; member != NULL; member = member->next) {
    bool counts = !vesta_token_equal(member->session, wait->session) && member->node != wait->except_node;
    count += counts && member->applied.seq >= wait->result.seq;
  }
  return count;
}

/* Members who may yet apply what is written now: not the active, whose mirror stands still, nor who is away. */
static uint32_t node_may_apply(const node_request_t *request) {
  const roles_group_t *group = &request->checkpoint->group;
  uint32_t count = 0;
  for (const roles_member_t *member = group->members; member != NULL; member = member->next) {
    bool active = group->state == ROLES_ACTIVE && group->granted == member->id;
    bool counts =
        !vesta_token_equal(member->session, request->session->token) && member->node != node_excepted(request);
    count += counts && !active && !member->absent;
  }
  return count;
}

static node_wait_t *node_wait_find(const directory_checkpoint_t *checkpoint, vesta_token_t session, uint64_t number) {
  node_wait_t *wait = checkpoint->local->waits;
  while (wait != NULL && (wait->number != number || !vesta_token_equal(wait->session, session))) {
    wait = wait->next;
  }
  return wait;
}

vesta_err_t node_wait_new(node_t *node, const node_request_t *request, node_wait_t **out) {
  const wire_message_t *message = request->message;
  *out = NULL;
  if (message->count == 0) {
    return VESTA_OK;
  }
  if (message->count >= VESTA_GROUP_MEMBERS_MAX || message->timeout_ns <= 0) {
    return VESTA_ERR_INVALID_PARAM;
  }
  if (node->cluster == NULL && node_excepted(request) != 0) {
    return VESTA_ERR_NOT_SUPPORTED; /* there are no members on other nodes */
  }
  if (node->wait_count >= VESTA_APPLIED_WAITS_MAX) {
    node_count(node, NODE_COUNTER_APPLIED_REFUSED);
    return VESTA_ERR_NO_RESOURCES;
  }
  node_wait_t *wait = malloc(sizeof *wait);
  if (wait == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  *wait = (node_wait_t){.session = request->session->token,
                        .number = message->number,
                        .except_node = node_excepted(request),
                        .wanted = (uint32_t)message->count,
                        .until_ns = message->timeout_ns < INT64_MAX - node->steady_ns
                                        ? node->steady_ns + message->timeout_ns
                                        : INT64_MAX};
  *out = wait;
  return VESTA_OK;
}

bool node_wait_possible(const node_request_t *request) { return node_may_apply(request) >= request->message->count; }

void node_wait_discard(node_wait_t **wait) {
  free(*wait);
  *wait = NULL;
}

/* Take it out of the list and answer. It lives until the next step: the answer points into it. */
static void node_wait_end(node_t *node, node_wait_t **at, const directory_checkpoint_t *checkpoint, vesta_err_t err) {
  node_wait_t *wait = *at;
  *at = wait->next;
  node->wait_count--;
  wait->next = node->waits_done;
  node->waits_done = wait;
  const directory_session_t *session = directory_session(node->directory, wait->session);
  uint64_t link = session == NULL ? 0 : node_session_link(node, session);
  if (link != 0) { /* else it asks again when it is back */
    if (node->cluster != NULL) {
      node->cluster->answering = wait->session;
    }
    node_change_answer(node, checkpoint, link, wait->number, err, &wait->result);
  }
}

void node_waits_drop(node_t *node, node_local_t *local) {
  while (local->waits != NULL) {
    node_wait_t *wait = local->waits;
    local->waits = wait->next;
    node->wait_count--;
    free(wait);
  }
}

void node_waits_bury(node_t *node) {
  while (node->waits_done != NULL) {
    node_wait_t *wait = node->waits_done;
    node->waits_done = wait->next;
    free(wait);
  }
}

void node_wait_begin(node_t *node, directory_checkpoint_t *checkpoint, node_wait_t **wait,
                     const replica_result_t *result) {
  node_wait_t *begun = *wait;
  *wait = NULL;
  begun->result = *result;
  begun->result.element = REPLICA_NO_ELEMENT;
  node_wait_t **at = &checkpoint->local->waits;
  node_wait_t *last = checkpoint->local->waits_last;
  if (last != NULL && last->result.seq <= result->seq) { /* as nearly always: one that asks again may be an older one */
    at = &last->next;
  }
  while (*at != NULL && (*at)->result.seq <= result->seq) {
    at = &(*at)->next;
  }
  begun->next = *at;
  *at = begun;
  if (begun->next == NULL) {
    checkpoint->local->waits_last = begun;
  }
  node->wait_count++;
  node_count(node, NODE_COUNTER_APPLIED_WAITS);
  node_later(node, checkpoint, begun->until_ns);
  node_applied(node, checkpoint); /* one that asks again may have been applied long since */
}

void node_wait_again(node_t *node, const node_request_t *request, const replica_result_t *result) {
  if (node_wait_find(request->checkpoint, request->session->token, request->message->number) != NULL) {
    return;
  }
  node_wait_t *wait = NULL;
  if (node_wait_new(node, request, &wait) != VESTA_OK) { /* it is written; that it was applied can't be told */
    replica_result_t none = {.element = REPLICA_NO_ELEMENT};
    node_change_answer(node, request->checkpoint, request->event->link, request->message->number, VESTA_ERR_TIMEOUT,
                       &none);
    return;
  }
  node_wait_begin(node, request->checkpoint, &wait, result);
}

/* The end of the list may have been taken out. */
static void node_waits_tail(directory_checkpoint_t *checkpoint) {
  node_local_t *local = checkpoint->local;
  local->waits_last = NULL;
  for (node_wait_t *wait = local->waits; wait != NULL; wait = wait->next) {
    local->waits_last = wait;
  }
}

void node_applied(node_t *node, directory_checkpoint_t *checkpoint) {
  roles_group_t *group = &checkpoint->group;
  uint64_t furthest = 0;
  for (const roles_member_t *member = group->members; member != NULL; member = member->next) {
    furthest = member->applied.seq > furthest ? member->applied.seq : furthest;
  }
  bool any = false;
  for (node_wait_t **at = &checkpoint->local->waits; *at != NULL && (*at)->result.seq <= furthest;) {
    uint64_t seq = (*at)->result.seq;
    if (node_have_applied(group, *at) < (*at)->wanted) {
      at = &(*at)->next;
      continue;
    }
    group->confirmed = seq > group->confirmed ? seq : group->confirmed;
    node_wait_end(node, at, checkpoint, VESTA_OK);
    any = true;
  }
  if (any) {
    node_waits_tail(checkpoint);
  }
}

void node_applied_late(node_t *node, directory_checkpoint_t *checkpoint) {
  int64_t next_ns = DEADLINE_NONE;
  for (node_wait_t **at = &checkpoint->local->waits; *at != NULL;) {
    if ((*at)->until_ns <= node->steady_ns) {
      node_count(node, NODE_COUNTER_APPLIED_LATE);
      node_wait_end(node, at, checkpoint, VESTA_ERR_TIMEOUT);
    } else {
      next_ns = (*at)->until_ns < next_ns ? (*at)->until_ns : next_ns;
      at = &(*at)->next;
    }
  }
  node_waits_tail(checkpoint);
  if (next_ns != DEADLINE_NONE) {
    node_later(node, checkpoint, next_ns);
  }
}

void node_applied_forget(node_t *node, directory_checkpoint_t *checkpoint, vesta_token_t session) {
  for (node_wait_t **at = &checkpoint->local->waits; *at != NULL;) {
    if (vesta_token_equal((*at)->session, session)) {
      node_wait_t *gone = *at;
      *at = gone->next;
      node->wait_count--;
      free(gone);
    } else {
      at = &(*at)->next;
    }
  }
  node_waits_tail(checkpoint);
}

void node_applied_end(node_t *node, node_local_t *local, const directory_checkpoint_t *checkpoint) {
  while (local->waits != NULL) {
    node_wait_end(node, &local->waits, checkpoint, VESTA_ERR_TIMEOUT);
  }
  local->waits_last = NULL;
}
