/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An active and its standbys: a service that counts, and goes on counting where it was when its active is killed.
 *
 *   ./pair one &  ./pair two &  ./pair three &        the first becomes active, the others stand by
 *   kill -9 %1                                        "two ACTIVE total=..." - nothing that was counted is missing
 *
 * State lives in three places: in the active's own memory, in the checkpoint (the active writes each change there
 * before it counts as done), and in every standby's mirror, where the changes arrive by themselves. Build it with
 *
 *   cc pair.c $(pkg-config --cflags --libs vesta) -o pair
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <saCkpt.h>
#include <vesta.h>

enum { COUNTERS = 8 };
static SaUint64T counters[COUNTERS]; /* the service's state, as this process knows it */

static void check(SaAisErrorT error, const char *what) {
  if (error != SA_AIS_OK) {
    fprintf(stderr, "%s: %s\n", what, saAisStrError(error));
    exit(1);
  }
}

static SaCkptSectionIdT section_id(int number, char text[16]) {
  SaCkptSectionIdT id = {.id = (SaUint8T *)text};
  id.idLen = (SaUint16T)snprintf(text, 16, "counter-%d", number);
  return id;
}

/* Everything that was ever acknowledged is in the mirror when this is called: no read, no iteration. */
static void take_over(vesta_mirror_t *mirror, SaCkptCheckpointHandleT checkpoint) {
  for (int i = 0; i < COUNTERS; i++) {
    char text[16];
    SaCkptSectionIdT id = section_id(i, text);
    const void *data;
    SaSizeT size;
    if (vesta_mirror_get(mirror, &id, &data, &size) == SA_AIS_OK && size == sizeof counters[i]) {
      memcpy(&counters[i], data, sizeof counters[i]);
    } else {
      SaCkptSectionCreationAttributesT attributes = {.sectionId = &id, .expirationTime = SA_TIME_END};
      check(saCkptSectionCreate(checkpoint, &attributes, &counters[i], sizeof counters[i]), "create section");
    }
  }
}

static SaUint64T total(void) {
  SaUint64T sum = 0;
  for (int i = 0; i < COUNTERS; i++) {
    sum += counters[i];
  }
  return sum;
}

/* What an active does all day: one change of its state. It is done when the checkpoint has it. */
static void serve(SaCkptCheckpointHandleT checkpoint) {
  int i = rand() % COUNTERS;
  char text[16];
  SaCkptSectionIdT id = section_id(i, text);
  SaUint64T next = counters[i] + 1;
  SaAisErrorT error = saCkptSectionOverwrite(checkpoint, &id, &next, sizeof next);
  if (error == SA_AIS_OK) {
    counters[i] = next;
  } else if (error != SA_AIS_ERR_TRY_AGAIN && error != SA_AIS_ERR_BAD_OPERATION) {
    check(error, "overwrite"); /* BAD_OPERATION: somebody else is active, the next event says so */
  }
}

static void run(vesta_pair_t *pair, SaCkptCheckpointHandleT checkpoint, const char *name) {
  static const char *const roles[] = {"", "STANDBY", "PROMOTING", "ACTIVE", "FENCED"};
  bool active = false;
  for (;;) {
    vesta_event_t event;
    SaAisErrorT error = vesta_pair_next(pair, active ? SA_TIME_ONE_MILLISECOND : SA_TIME_END, &event);
    if (error == SA_AIS_ERR_TIMEOUT) { /* no news, and we are active: work */
      serve(checkpoint);
      continue;
    }
    check(error, "next event");
    if (event.kind == VESTA_EVENT_ROLE) { /* changes need no code: the mirror has them */
      active = event.role == VESTA_ROLE_ACTIVE;
      if (active) {
        take_over(vesta_pair_mirror(pair), checkpoint);
      }
      printf("%s %s total=%llu\n", name, roles[event.role], total());
      fflush(stdout);
    }
  }
}

int main(int argc, char **argv) {
  const char *member = argc > 1 ? argv[1] : "member";
  SaCkptHandleT library;
  SaVersionT version = {'B', 2, 2};
  check(saCkptInitialize(&library, NULL, &version), "initialize");

  SaNameT name = {0};
  name.length =
      (SaUint16T)snprintf((char *)name.value, sizeof name.value, "safCkpt=%s", argc > 2 ? argv[2] : "counters");
  SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = SA_CKPT_WR_ALL_REPLICAS,
                                                    .checkpointSize = sizeof counters,
                                                    .retentionDuration = SA_TIME_ONE_MINUTE,
                                                    .maxSections = COUNTERS,
                                                    .maxSectionSize = sizeof counters[0],
                                                    .maxSectionIdSize = 16};
  SaCkptCheckpointHandleT checkpoint;
  check(saCkptCheckpointOpen(library, &name, &attributes,
                             SA_CKPT_CHECKPOINT_CREATE | SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE,
                             10 * SA_TIME_ONE_SECOND, &checkpoint),
        "open checkpoint");

  vesta_pair_t *pair;
  vesta_pair_options_t options = {.name = member};
  check(vesta_pair_join(checkpoint, &options, &pair), "join");
  run(pair, checkpoint, member);
}
