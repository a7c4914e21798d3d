/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See member_role.h for the table.
 */
#include "ext_api/member_role.h"

#include "core/error.h"

#define MEMBER_BARRIER_UNKNOWN UINT64_MAX
#define MEMBER_ROLE_EVENTS_OF_ONE 3U /* granted anew while active: FENCED, STANDBY, PROMOTING */

static void role_tell(member_role_t *role, vesta_role_t told, vesta_role_reason_t reason) {
  VESTA_ASSERT(role->event_count < MEMBER_ROLE_EVENTS_MAX);
  role->events[role->event_count++] = (member_role_event_t){.role = told, .reason = reason, .epoch = role->epoch};
}

/* Whatever it was, it is standby now. */
static void role_lost(member_role_t *role) {
  bool active = role->role == VESTA_ROLE_ACTIVE;
  bool promoting = role->role == VESTA_ROLE_PROMOTING;
  role->role = VESTA_ROLE_STANDBY;
  if (active && role->resigning) {
    role_tell(role, VESTA_ROLE_STANDBY, VESTA_ROLE_RESIGNED);
  } else if (active) {
    role_tell(role, VESTA_ROLE_FENCED, 0);
    role_tell(role, VESTA_ROLE_STANDBY, VESTA_ROLE_AGAIN);
  } else if (promoting) {
    role_tell(role, VESTA_ROLE_STANDBY, VESTA_ROLE_REVOKED);
  }
  role->resigning = false;
}

static void role_granted(member_role_t *role, uint64_t epoch, uint64_t barrier) {
  if (role->role == VESTA_ROLE_ACTIVE) {
    role_lost(role);
  }
  role->role = VESTA_ROLE_PROMOTING;
  role->epoch = epoch;
  role->barrier = barrier;
  role_tell(role, VESTA_ROLE_PROMOTING, 0);
}

void member_role_init(member_role_t *role, uint64_t member) {
  *role = (member_role_t){.member = member, .role = VESTA_ROLE_STANDBY};
  role_tell(role, VESTA_ROLE_STANDBY, VESTA_ROLE_JOINED);
}

void member_role_operation(member_role_t *role, uint64_t epoch, uint64_t member, uint64_t seq) {
  bool mine = member == role->member;
  if (epoch == role->known_epoch && mine && role->role == VESTA_ROLE_PROMOTING) {
    role->barrier = seq;
  }
  if (epoch <= role->known_epoch) {
    return;
  }
  role->known_epoch = epoch;
  if (mine) {
    role_granted(role, epoch, seq);
  } else {
    role_lost(role);
  }
}

void member_role_answer(member_role_t *role, uint64_t member, uint64_t epoch, uint64_t barrier, uint64_t standing) {
  if (member != role->member) {
    role_lost(role);
    role->member = member;
    role->known_epoch = 0;
  }
  if (epoch < role->known_epoch) {
    return;
  }
  bool known = epoch == role->known_epoch && role->epoch == epoch && role->role != VESTA_ROLE_STANDBY;
  role->known_epoch = epoch;
  barrier = barrier == 0 ? MEMBER_BARRIER_UNKNOWN : barrier;
  if (standing == MEMBER_NOT_GRANTED) {
    role_lost(role);
  } else if (!known) {
    role_granted(role, epoch, barrier); /* also when the service has us as active already: it will confirm that */
  } else if (role->barrier == MEMBER_BARRIER_UNKNOWN) {
    role->barrier = barrier;
  }
}

bool member_role_ready(const member_role_t *role, uint64_t applied_seq) {
  return role->role == VESTA_ROLE_PROMOTING && role->event_count == 0 && applied_seq >= role->barrier;
}

bool member_role_known(const member_role_t *role) {
  return role->event_count == 0 && role->barrier != MEMBER_BARRIER_UNKNOWN;
}

bool member_role_has_room(const member_role_t *role) {
  return role->event_count + MEMBER_ROLE_EVENTS_OF_ONE <= MEMBER_ROLE_EVENTS_MAX;
}

void member_role_confirmed(member_role_t *role) {
  VESTA_ASSERT(role->role == VESTA_ROLE_PROMOTING);
  role->role = VESTA_ROLE_ACTIVE;
  role_tell(role, VESTA_ROLE_ACTIVE, 0);
}

void member_role_refused(member_role_t *role) { role_lost(role); }

void member_role_resigned(member_role_t *role) {
  role->resigning = true;
  role_lost(role);
}

void member_role_cut_off(member_role_t *role) {
  if (role->role == VESTA_ROLE_ACTIVE) {
    role->role = VESTA_ROLE_STANDBY;
    role->resigning = false;
    role_tell(role, VESTA_ROLE_FENCED, VESTA_ROLE_NO_QUORUM);
    role_tell(role, VESTA_ROLE_STANDBY, VESTA_ROLE_AGAIN);
  }
}

bool member_role_next(member_role_t *role, member_role_event_t *event) {
  if (role->event_count == 0) {
    return false;
  }
  *event = role->events[0];
  role->event_count--;
  memmove(&role->events[0], &role->events[1], role->event_count * sizeof role->events[0]);
  return true;
}
