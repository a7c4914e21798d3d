/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The pair's side of the demo. See member.h.
 */
#include "bench/member.h"

#include <stdio.h>
#include <stdlib.h>
#include <vesta.h>

#include "bench/opener.h"
#include "bench/scene.h"
#include "bench/witness.h"

#define LOOK_INTERVAL (50 * SA_TIME_ONE_MILLISECOND) /* how old what the observer is told may be */
#define EPOCH_SHIFT 40                               /* of numbers, see witness.h */

typedef struct member_run {
  witness_t *witness;
  witness_member_t *self;
  const char *witness_path;
  int notes_fd;
  uint32_t index;
  opener_t opener;
  vesta_pair_t *pair;
  uint64_t epoch; /* of its grant */
  uint64_t number_last;
  uint64_t random;
} member_run_t;

void member_copy_path(const char *witness_path, uint32_t index, char *path, size_t capacity) {
  (void)snprintf(path, capacity, "%s.copy-%u", witness_path, index);
}

member_t member_spawn(const char *witness_path, uint32_t index) {
  char text[16];
  (void)snprintf(text, sizeof text, "%u", index);
  const char *arguments[] = {witness_path, text, NULL};
  return (member_t){.process = scene_spawn(MEMBER_ROLE, arguments), .index = index};
}

/* ---- standing by ---- */

static void member_tell(member_run_t *run) {
  vesta_status_t status;
  scene_require(vesta_mirror_status(vesta_pair_mirror(run->pair), &status), "vesta_mirror_status");
  run->self->lag_operations = status.lag_operations;
  if (run->self->step == WITNESS_STANDBY && status.promotable) {
    run->self->step = WITNESS_SYNCED;
  }
}

/* Follow until this member is active. */
static void member_stand_by(member_run_t *run) {
  int64_t look_ns = 0;
  for (;;) {
    vesta_event_t event;
    SaAisErrorT error = vesta_pair_next(run->pair, LOOK_INTERVAL, &event);
    if (error == SA_AIS_OK && event.kind == VESTA_EVENT_ROLE && event.role == VESTA_ROLE_ACTIVE) {
      run->self->active_ns = scene_now_ns();
      run->epoch = event.role_epoch;
      return;
    }
    if (error != SA_AIS_ERR_TIMEOUT) {
      scene_require(error, "vesta_pair_next");
      if (event.kind == VESTA_EVENT_ROLE && event.role == VESTA_ROLE_STANDBY) {
        run->self->step = WITNESS_STANDBY;
      } else if (event.kind == VESTA_EVENT_CHANGE) {
        run->self->changes += event.change.kind < VESTA_CHANGE_SYNCED;
        run->self->resyncs += event.change.kind == VESTA_CHANGE_LOST;
      }
    }
    int64_t now_ns = scene_now_ns();
    if (now_ns >= look_ns) {
      member_tell(run);
      look_ns = now_ns + LOOK_INTERVAL;
    }
  }
}

/* ---- taking over ---- */

static SaBoolT member_copy_section(void *context, const vesta_section_t *section) {
  witness_copy_write(context, section->id.id, section->id.idLen, section->data, section->size);
  return SA_TRUE;
}

static void member_copy(member_run_t *run) {
  char path[256];
  member_copy_path(run->witness_path, run->index, path, sizeof path);
  FILE *copy = fopen(path, "we");
  if (copy == NULL) {
    scene_fail("cannot make %s", path);
  }
  scene_require(vesta_mirror_each(vesta_pair_mirror(run->pair), member_copy_section, copy), "vesta_mirror_each");
  if (fclose(copy) != 0) {
    scene_fail("cannot write %s", path);
  }
}

/* ---- being active ---- */

/* Still active, as far as it was told. */
static void member_require_active(member_run_t *run) {
  vesta_event_t event;
  SaAisErrorT error = vesta_pair_next(run->pair, 0, &event);
  if (error == SA_AIS_OK && event.kind == VESTA_EVENT_ROLE) {
    scene_fail("member %u was told role %d while it was active", run->index, (int)event.role);
  }
  if (error != SA_AIS_ERR_TIMEOUT) {
    scene_require(error, "vesta_pair_next");
  }
}

/* One write, noted before and after. TRY_AGAIN says that nothing was done. */
static void member_write(member_run_t *run, uint32_t section, bool create) {
  uint64_t number = run->epoch << EPOCH_SHIFT | ++run->number_last;
  uint8_t value[WITNESS_SECTION_BYTES_MAX];
  char text[WITNESS_ID_BYTES_MAX];
  SaCkptSectionIdT id = {.idLen = witness_id(section, text), .id = (SaUint8T *)text};
  SaCkptSectionCreationAttributesT attributes = {.sectionId = &id, .expirationTime = SA_TIME_END};
  SaAisErrorT error;
  witness_value(run->witness, section, number, value);
  witness_note_submitted(run->notes_fd, section, number);
  do {
    error = create ? saCkptSectionCreate(run->opener.checkpoint, &attributes, value, run->witness->section_bytes)
                   : saCkptSectionOverwrite(run->opener.checkpoint, &id, value, run->witness->section_bytes);
  } while (error == SA_AIS_ERR_TRY_AGAIN);
  scene_require(error, create ? "saCkptSectionCreate" : "saCkptSectionOverwrite");
  witness_note_acknowledged(run->notes_fd, section, number);
  run->witness->acknowledged++;
}

static void member_wait_for_turn(member_run_t *run) {
  while (run->witness->writer != run->index) {
    member_require_active(run);
    scene_pause(SCENE_MS / 2);
  }
}

static uint32_t member_random_section(member_run_t *run) {
  run->random ^= run->random << 13;
  run->random ^= run->random >> 7;
  run->random ^= run->random << 17;
  return (uint32_t)(run->random % run->witness->sections);
}

static _Noreturn void member_be_active(member_run_t *run) {
  for (;;) {
    member_wait_for_turn(run);
    for (uint64_t section = run->witness->created; section < run->witness->sections; section++) {
      member_write(run, (uint32_t)section, true);
      run->witness->created = section + 1;
    }
    run->self->step = WITNESS_WRITING;
    for (uint32_t i = 0; run->witness->writer == run->index; i++) {
      if (i % 1000 == 0) {
        member_require_active(run);
      }
      member_write(run, member_random_section(run), false);
    }
    run->self->step = WITNESS_ACTIVE;
  }
}

int member_run(char **arguments) {
  member_run_t run = {.witness_path = arguments[0],
                      .witness = witness_open(arguments[0]),
                      .notes_fd = witness_notes_open(arguments[0])};
  run.index = (uint32_t)strtoul(arguments[1], NULL, 10);
  run.self = &run.witness->members[run.index % WITNESS_MEMBERS_MAX];
  run.random = (uint64_t)scene_now_ns() | 1;
  run.opener =
      opener_create(run.witness->checkpoint, run.witness->sections, run.witness->section_bytes, WITNESS_ID_BYTES_MAX);
  char name[WITNESS_NAME_BYTES];
  (void)snprintf(name, sizeof name, "member-%u", run.index);
  const vesta_pair_options_t options = {.name = name, .priority = WITNESS_MEMBERS_MAX - run.index};
  scene_require(vesta_pair_join(run.opener.checkpoint, &options, &run.pair), "vesta_pair_join");
  member_stand_by(&run);
  if (run.witness->copies) {
    member_copy(&run);
  }
  run.self->step = WITNESS_ACTIVE;
  member_be_active(&run);
}
