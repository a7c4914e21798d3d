/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See roles.h for the state table.
 */
#include "core/roles.h"

#include "core/error.h"
#include "core/wire.h"

roles_member_t *roles_member(const roles_group_t *group, uint64_t id) {
  roles_member_t *member = group->members;
  while (member != NULL && member->id != id) {
    member = member->next;
  }
  return member;
}

roles_member_t *roles_member_of(const roles_group_t *group, vesta_token_t session) {
  roles_member_t *member = group->members;
  while (member != NULL && !vesta_token_equal(member->session, session)) {
    member = member->next;
  }
  return member;
}

void roles_add(roles_group_t *group, roles_member_t *member) {
  roles_member_t **at = &group->members;
  while (*at != NULL) {
    at = &(*at)->next;
  }
  member->next = NULL;
  *at = member;
  group->member_count++;
}

static void roles_round_ends(roles_group_t *group) {
  for (roles_member_t *member = group->members; member != NULL; member = member->next) {
    member->passed_over = false;
  }
}

void roles_remove(roles_group_t *group, roles_member_t *member) {
  roles_member_t **at = &group->members;
  while (*at != member) {
    VESTA_ASSERT(*at != NULL);
    at = &(*at)->next;
  }
  *at = member->next;
  member->next = NULL;
  group->member_count--;
  if (group->granted == member->id) {
    group->granted = 0;
    group->state = ROLES_VACANT;
    roles_round_ends(group); /* whoever was passed over may be all there is now */
  }
}

static bool roles_eligible(const roles_member_t *member) {
  return (member->flags & WIRE_JOIN_MANUAL) == 0 && !member->passed_over && !member->absent &&
         (member->synced || (member->flags & WIRE_JOIN_REQUIRE_SYNCED) == 0);
}

/* How far it has come of what was confirmed. */
static uint64_t roles_reached(const roles_group_t *group, const roles_member_t *member) {
  return member->applied.seq < group->confirmed ? member->applied.seq : group->confirmed;
}

static bool roles_better(const roles_group_t *group, const roles_member_t *a, const roles_member_t *b) {
  uint64_t reached_a = roles_reached(group, a), reached_b = roles_reached(group, b);
  if (a->synced != b->synced) {
    return a->synced;
  }
  if (reached_a != reached_b) {
    return reached_a > reached_b;
  }
  if (a->priority != b->priority) {
    return a->priority > b->priority;
  }
  return a->id < b->id;
}

roles_member_t *roles_choose(const roles_group_t *group, uint64_t except) {
  roles_member_t *best = NULL;
  for (roles_member_t *member = group->members; member != NULL; member = member->next) {
    if (member->id != except && roles_eligible(member) && (best == NULL || roles_better(group, member, best))) {
      best = member;
    }
  }
  return best;
}

void roles_promote(roles_group_t *group, uint64_t member, uint64_t epoch) {
  roles_member_t *before = roles_member(group, group->granted);
  if (before != NULL && member != before->id) {
    before->passed_over = true; /* it had its turn: it resigned, was silent, or missed the barrier */
    before->synced = false;     /* as active it stood still: it says so again when it has caught up */
  }
  group->granted = member;
  group->state = member == 0 ? ROLES_VACANT : ROLES_PROMOTING;
  group->epoch = epoch;
  group->barrier = 0;
}

void roles_activate(roles_group_t *group) {
  VESTA_ASSERT(group->state == ROLES_PROMOTING);
  group->state = ROLES_ACTIVE;
  roles_round_ends(group);
}

void roles_absent(roles_group_t *group, roles_member_t *member, bool absent) {
  member->absent = absent;
  member->synced = false; /* until it says so again */
  if (absent && group->granted == member->id) {
    group->granted = 0;
    group->state = ROLES_VACANT;
    roles_round_ends(group);
  }
}

bool roles_may_write(const roles_group_t *group, vesta_token_t session) {
  bool fenced = false;
  for (const roles_member_t *member = group->members; member != NULL; member = member->next) {
    fenced = fenced || (member->flags & WIRE_JOIN_FENCE) != 0;
  }
  if (!fenced) {
    return true;
  }
  const roles_member_t *active = group->state == ROLES_ACTIVE ? roles_member(group, group->granted) : NULL;
  return active != NULL && vesta_token_equal(active->session, session);
}
