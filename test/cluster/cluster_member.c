/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A member of a checkpoint's group. While it is active it writes, numbers that begin with the epoch of its role: so
 * they rise over all members, and who has written one is known.
 *
 *   role MEMBER STANDBY|PROMOTING|ACTIVE|FENCED EPOCH
 *   has EPOCH SECTION NUMBER     its mirror when it became active, before it writes
 *   ready EPOCH                  that was all of it
 *   mirror MEMBER REASON COUNT   as a standby: its mirror's vesta_not_promotable_t, and sections; when the former changes
 *   and of its writes what cluster_client.h says. A write that was answered TRY_AGAIN until the role was gone is `failed`.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "test/cluster/cluster_client.h"

#define MEMBER_EPOCH_NUMBERS UINT64_C(10000000) /* of one epoch */
#define MEMBER_WAIT (SA_TIME_ONE_MILLISECOND / 2)

typedef struct member {
  const char *name;
  vesta_pair_t *pair;
  vesta_role_t role;
  uint64_t applied_by; /* members on other nodes have to have applied what it writes */
  uint64_t epoch;
  uint64_t written;                /* in this epoch */
  vesta_not_promotable_t standing; /* what was said last of its mirror */
} member_t;

static SaBoolT member_tell(void *context, const vesta_section_t *section) {
  const member_t *member = context;
  char text[32] = {0};
  if (section->size != 0) {
    memcpy(text, section->data, section->size < sizeof text - 1 ? section->size : sizeof text - 1);
  }
  (void)printf("has %" PRIu64 " %.*s %llu\n", member->epoch, section->id.idLen, (const char *)section->id.id,
               strtoull(text, NULL, 10));
  return SA_TRUE;
}

static void member_role(member_t *member, const vesta_event_t *event) {
  static const char *const roles[] = {"", "STANDBY", "PROMOTING", "ACTIVE", "FENCED"};
  member->role = event->role;
  if (event->role == VESTA_ROLE_ACTIVE) {
    member->epoch = event->role_epoch;
    member->written = 0;
    client_must(vesta_mirror_each(vesta_pair_mirror(member->pair), member_tell, member), "vesta_mirror_each");
    (void)printf("ready %" PRIu64 "\n", member->epoch);
  }
  (void)printf("role %s %s %" PRIu64 "\n", member->name, roles[event->role], member->epoch);
  (void)fflush(stdout);
}

/* As a standby: why its mirror could not take over, as a number, and how many sections it has. When that is another. */
static void member_standing(member_t *member) {
  vesta_mirror_t *mirror = vesta_pair_mirror(member->pair);
  vesta_status_t status;
  if (member->role == VESTA_ROLE_STANDBY && vesta_mirror_status(mirror, &status) == SA_AIS_OK &&
      status.reason != member->standing) {
    member->standing = status.reason;
    (void)printf("mirror %s %d %llu\n", member->name, (int)status.reason, vesta_mirror_count(mirror));
    (void)fflush(stdout);
  }
}

static void member_follow(member_t *member, SaTimeT timeout) {
  vesta_event_t event;
  SaAisErrorT error;
  while ((error = vesta_pair_next(member->pair, timeout, &event)) == SA_AIS_OK) {
    if (event.kind == VESTA_EVENT_ROLE) {
      member_role(member, &event);
    }
    timeout = 0;
  }
  if (error != SA_AIS_ERR_TIMEOUT && error != SA_AIS_ERR_NO_RESOURCES) {
    client_fail("vesta_pair_next: error %d", (int)error);
  }
  member_standing(member);
}

/* As client_write(), acknowledged when members on other nodes have applied it. The sections are there already. */
static client_outcome_t member_write_applied(const member_t *member, SaCkptCheckpointHandleT checkpoint,
                                             uint64_t sections, uint64_t number) {
  const vesta_write_options_t options = {.applied_by = (SaUint32T)member->applied_by,
                                         .timeout = 5 * SA_TIME_ONE_SECOND};
  char section[CLIENT_ID_BYTES];
  char data[32];
  vesta_txn_t *txn = NULL;
  (void)snprintf(section, sizeof section, "s%" PRIu64, number % sections);
  (void)snprintf(data, sizeof data, "%" PRIu64 " ", number);
  const SaCkptSectionIdT id = {.idLen = (SaUint16T)strlen(section), .id = (SaUint8T *)section};
  client_must(vesta_txn_begin(checkpoint, &txn), "vesta_txn_begin");
  client_must(vesta_txn_overwrite(txn, &id, data, strlen(data)), "vesta_txn_overwrite");
  SaAisErrorT error = vesta_txn_commit(&txn, &options, NULL);
  (void)vesta_txn_abort(&txn);
  return client_told(error, section, number);
}

static client_outcome_t member_write_once(const member_t *member, SaCkptCheckpointHandleT checkpoint, uint64_t sections,
                                          uint64_t number) {
  return member->applied_by == 0 ? client_write(checkpoint, sections, number, 0)
                                 : member_write_applied(member, checkpoint, sections, number);
}

/* While it is active: that a write is refused with TRY_AGAIN says nothing of the role. */
static void member_write(member_t *member, SaCkptCheckpointHandleT checkpoint, uint64_t sections) {
  uint64_t number = member->epoch * MEMBER_EPOCH_NUMBERS + ++member->written;
  uint64_t epoch = member->epoch;
  while (member_write_once(member, checkpoint, sections, number) == CLIENT_NOT_YET) {
    member_follow(member, SA_TIME_ONE_MILLISECOND);
    if (member->role != VESTA_ROLE_ACTIVE || member->epoch != epoch || client_ended()) {
      (void)printf("failed s%" PRIu64 " %" PRIu64 " %d\n", number % sections, number, (int)SA_AIS_ERR_TRY_AGAIN);
      (void)fflush(stdout);
      return;
    }
  }
}

void member_run(SaCkptCheckpointHandleT checkpoint, const char *name, uint64_t sections, uint64_t heartbeat_ms,
                uint64_t applied_by) {
  const vesta_pair_options_t options = {.name = name, .heartbeat = (SaTimeT)heartbeat_ms * SA_TIME_ONE_MILLISECOND};
  member_t member = {.name = name, .applied_by = applied_by, .standing = VESTA_NOT_SYNCED};
  SaAisErrorT error;
  client_patience_begin();
  do {
    error = vesta_pair_join(checkpoint, &options, &member.pair);
  } while (client_again(error));
  client_must(error, "vesta_pair_join");
  while (!client_ended()) {
    bool writes = member.role == VESTA_ROLE_ACTIVE && sections != 0;
    member_follow(&member, writes ? MEMBER_WAIT : 100 * SA_TIME_ONE_MILLISECOND);
    if (member.role == VESTA_ROLE_ACTIVE && sections != 0) { /* of none: it only has the role */
      member_write(&member, checkpoint, sections);
    }
  }
  (void)vesta_pair_leave(&member.pair);
}
