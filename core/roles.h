/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Active/standby groups: who is a member, who is active, who comes next.
 *
 *   state      | event                          | next state, what happens
 *   -----------+--------------------------------+-----------------------------------------------------------------
 *   VACANT     | join, or a change of standing   | PROMOTING when somebody is eligible
 *   PROMOTING  | confirm at or past the barrier | ACTIVE; nobody counts as passed over any longer
 *              | candidate gone                 | PROMOTING the next one, or VACANT
 *              | deadline, another is eligible  | PROMOTING that one; the candidate is passed over (REVOKED)
 *              | deadline, nobody else is       | PROMOTING still, deadline moved
 *   ACTIVE     | active gone                    | PROMOTING the next one, or VACANT
 *              | active resigns                 | PROMOTING the next one; there is none: VACANT if it is MANUAL,
 *              |                                | refused otherwise
 *              | active silent, another eligible| PROMOTING that one
 *   any        | a member asks for the role     | PROMOTING that one, MANUAL or not; refused if it must be synced first
 *
 * Each promotion is a grant with an epoch of its own, higher than all before: the old active is fenced from that moment
 * on, and nobody may write until the candidate has confirmed. The grant is an operation in the checkpoint's history (EPOCH);
 * its seq is the barrier that the candidate must have applied.
 *
 * Members, state, grant and barrier are part of the directory: they change by ordered operations only. How far a member
 * has come (`synced`, `applied`) is what it last said; it guides the choice and is not replicated. Nor is when it was
 * last heard, the node's affair (node_life.c): that it was silent for too long becomes an ordinary grant to another.
 *
 * Who is promoted must have what was said to be applied. `confirmed` is the highest seq whose writer was told that
 * members had applied it; a member counts by how far it has come up to there, and only members that are level then
 * count by priority. What they have applied beyond it does not count: reports of it are some time old and differ by
 * chance, so that would take the meaning from priorities and keep nothing that was promised to anybody.
 *
 * A group is a value inside its checkpoint's entry: no allocation but the members, whom the directory owns.
 */
#ifndef VESTA_CORE_ROLES_H
#define VESTA_CORE_ROLES_H

#include "core/deadlines.h"
#include "core/limits.h"
#include "core/types.h"

typedef struct roles_member {
  struct roles_member *next; /* in the order of joining */
  uint64_t id;               /* rises in the order of joining; never 0 */
  vesta_token_t session;
  uint64_t handle; /* through which it joined */
  uint32_t node;   /* its session's */
  uint8_t name[VESTA_MEMBER_NAME_BYTES_MAX];
  size_t name_size;
  uint32_t priority; /* higher goes first */
  uint32_t flags;    /* WIRE_JOIN_... */
  int64_t promote_timeout_ns;
  int64_t heartbeat_ns; /* as active, silent for so long it is taken for stopped; 0: never */
  bool passed_over;     /* in this round of promotion */
  bool absent;          /* its node is away */
  /* said by itself, not replicated */
  bool synced;
  vesta_pos_t applied;
  uint64_t behind; /* so many operations after `applied` were committed when it said so. For people, as is the next */
  int64_t told_ns; /* when that was, steady */
} roles_member_t;

typedef enum roles_state {
  ROLES_VACANT = 0,
  ROLES_PROMOTING = 1,
  ROLES_ACTIVE = 2,
} roles_state_t;

typedef struct roles_group {
  roles_member_t *members;
  uint32_t member_count;
  roles_state_t state;
  uint64_t granted;   /* member: the candidate or the active; 0 when VACANT */
  uint64_t epoch;     /* of the grant */
  uint64_t barrier;   /* seq of the grant in the checkpoint's history; 0: not in it yet */
  uint64_t confirmed; /* said to its writer to be applied by members. Not replicated */
} roles_group_t;

roles_member_t *roles_member(const roles_group_t *group, uint64_t id);
roles_member_t *roles_member_of(const roles_group_t *group, vesta_token_t session);

void roles_add(roles_group_t *group, roles_member_t *member);
/** Takes the member out; a role that it had is vacant then. */
void roles_remove(roles_group_t *group, roles_member_t *member);

/**
 * Who is to be promoted now, other than `except`: of those that are not MANUAL and not passed over, the synced ones first,
 * then by position (see `confirmed` above), then by priority, then by joining. One that asked for REQUIRE_SYNCED and isn't is not eligible.
 * NULL: nobody.
 */
roles_member_t *roles_choose(const roles_group_t *group, uint64_t except);

/** The grant: member 0 leaves the role vacant. */
void roles_promote(roles_group_t *group, uint64_t member, uint64_t epoch);
void roles_activate(roles_group_t *group);
/** Its node is away, or back: who is away has no role and gets none. */
void roles_absent(roles_group_t *group, roles_member_t *member, bool absent);

/** May this session write the checkpoint? Yes unless a member asked for a fence and the active is another. */
bool roles_may_write(const roles_group_t *group, vesta_token_t session);

#endif
