/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The role of one member of a group, as it learns of it. Pure: what was heard goes in, role events come out.
 *
 * It hears of grants in two ways: as EPOCH operations in the stream, in order with the changes, and as the service's
 * answer to JOIN, which settles what the stream could not tell (a grant that was part of a snapshot, a message lost).
 * Each grant has an epoch, higher than all before; what tells of an older one is ignored.
 *
 *   role        | heard                             | next role, events
 *   ------------+-----------------------------------+-----------------------------------------------------
 *   STANDBY     | granted to me                     | PROMOTING
 *   PROMOTING   | confirmed by the service          | ACTIVE
 *               | granted to me anew                | PROMOTING, with the new epoch
 *               | granted to another, or refused    | STANDBY (revoked)
 *   ACTIVE      | granted to another                | FENCED, STANDBY (again); after resigning STANDBY (resigned)
 *               | granted to me anew                | FENCED, STANDBY (again), PROMOTING
 *               | my node has no quorum             | FENCED (no quorum), STANDBY (again)
 *   any         | I am another member now           | as granted to another
 *   ACTIVE      | resigned                          | STANDBY (resigned)
 *
 * FENCED is an event and not a state: STANDBY follows at once.
 */
#ifndef VESTA_EXT_API_MEMBER_ROLE_H
#define VESTA_EXT_API_MEMBER_ROLE_H

#include "core/types.h"
#include "ext_api/vesta.h"

#define MEMBER_ROLE_EVENTS_MAX 8U

typedef struct member_role_event {
  vesta_role_t role;
  vesta_role_reason_t reason; /* STANDBY, FENCED */
  uint64_t epoch;             /* PROMOTING, ACTIVE */
} member_role_event_t;

typedef struct member_role {
  uint64_t member;
  vesta_role_t role;    /* STANDBY, PROMOTING or ACTIVE */
  uint64_t epoch;       /* of my grant */
  uint64_t barrier;     /* its seq in the history; UINT64_MAX: not known yet */
  uint64_t known_epoch; /* of the last grant heard of, whosever */
  bool resigning;       /* asked for, not answered */
  member_role_event_t events[MEMBER_ROLE_EVENTS_MAX];
  uint32_t event_count;
} member_role_t;

/* Of a JOIN's answer (field `state`). */
typedef enum member_role_standing {
  MEMBER_NOT_GRANTED = 0,
  MEMBER_GRANTED = 1,
  MEMBER_ACTIVE = 2,
} member_role_standing_t;

/** Joined: STANDBY is the first event. */
void member_role_init(member_role_t *role, uint64_t member);

/** An EPOCH operation was handed out. */
void member_role_operation(member_role_t *role, uint64_t epoch, uint64_t member, uint64_t seq);
/** The service answered a JOIN. `barrier` 0: not known there yet. */
void member_role_answer(member_role_t *role, uint64_t member, uint64_t epoch, uint64_t barrier, uint64_t standing);

/** May the promotion be confirmed, all up to `applied` having been applied, and all events told? */
bool member_role_ready(const member_role_t *role, uint64_t applied_seq);
/** Is the barrier known, and have all events been told? */
bool member_role_known(const member_role_t *role);
/** Is there room for the events of one more answer? */
bool member_role_has_room(const member_role_t *role);
/** The service confirmed it. */
void member_role_confirmed(member_role_t *role);
/** It refused: the grant is over. */
void member_role_refused(member_role_t *role);
/** The service took the role back as asked for. */
void member_role_resigned(member_role_t *role);

/** This node is cut off. Who is active may not be it any more; the service says when it is back. */
void member_role_cut_off(member_role_t *role);

/** The next event to tell. */
bool member_role_next(member_role_t *role, member_role_event_t *event);

#endif
