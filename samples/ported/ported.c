/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A hot standby as it is written for OpenSAF: with the arrival callback, and nothing of Vesta's.
 *
 * The service counts. Every process keeps all counters in memory; whoever has the work writes each change into the
 * checkpoint, and the others hear of it by the callback and read what is new. So each can go on at once. Who has the
 * work is said from outside, as an AMF would: a number on standard input, "count so many". Start it twice,
 *
 *   ./ported one     100 + Return            ./ported two       "two total=100" appears by itself
 *   kill -9          (of the first)                             50 + Return, "two total=150"
 *
 * Build it with: cc ported.c $(pkg-config --cflags --libs saCkpt) -o ported
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpsv_papi.h>
#include <saCkpt.h>

enum { COUNTERS = 8 };
static SaUint64T counters[COUNTERS];

static void check(SaAisErrorT error, const char *what) {
  if (error != SA_AIS_OK) {
    fprintf(stderr, "ported: %s: %s\n", what, saAisStrError(error));
    exit(1);
  }
}

static SaCkptSectionIdT section_id(int number, char text[16]) {
  SaCkptSectionIdT id = {.id = (SaUint8T *)text};
  id.idLen = (SaUint16T)snprintf(text, 16, "counter-%d", number);
  return id;
}

static void show(const char *name) {
  SaUint64T total = 0;
  for (int i = 0; i < COUNTERS; i++) {
    total += counters[i];
  }
  printf("%s total=%llu\n", name, total);
  fflush(stdout);
}

/* The vector says what was written, and is ready to be read with: the library makes the buffers. */
static void data_arrived(const SaCkptCheckpointHandleT checkpoint, SaCkptIOVectorElementT *vector, SaUint32T count) {
  SaUint32T erroneous;
  check(saCkptCheckpointRead(checkpoint, vector, count, &erroneous), "read what arrived");
  for (SaUint32T i = 0; i < count; i++) {
    int number = vector[i].sectionId.id[strlen("counter-")] - '0';
    memcpy(&counters[number], vector[i].dataBuffer, sizeof counters[number]);
    check(saCkptIOVectorElementDataFree(checkpoint, vector[i].dataBuffer), "free");
  }
}

/* What was there before we listened. A section that is not there is made. */
static void read_all(SaCkptCheckpointHandleT checkpoint) {
  for (int i = 0; i < COUNTERS; i++) {
    char text[16];
    SaCkptSectionIdT id = section_id(i, text);
    SaCkptSectionCreationAttributesT attributes = {.sectionId = &id, .expirationTime = SA_TIME_END};
    SaAisErrorT error = saCkptSectionCreate(checkpoint, &attributes, &counters[i], sizeof counters[i]);
    if (error == SA_AIS_ERR_EXIST) {
      SaCkptIOVectorElementT element = {.sectionId = id, .dataBuffer = &counters[i], .dataSize = sizeof counters[i]};
      SaUint32T erroneous;
      error = saCkptCheckpointRead(checkpoint, &element, 1, &erroneous);
    }
    check(error, "read all");
  }
}

static void count_on(SaCkptCheckpointHandleT checkpoint, int times) {
  for (int i = 0; i < times; i++) {
    char text[16];
    int number = rand() % COUNTERS;
    SaCkptSectionIdT id = section_id(number, text);
    counters[number]++;
    check(saCkptSectionOverwrite(checkpoint, &id, &counters[number], sizeof counters[number]), "overwrite");
  }
}

int main(int argc, char **argv) {
  const char *member = argc > 1 ? argv[1] : "ported";
  SaCkptHandleT library;
  SaVersionT version = {'B', 2, 2};
  check(saCkptInitialize(&library, NULL, &version), "initialize");
  check(ncsCkptRegisterCkptArrivalCallback(library, data_arrived), "register the arrival callback");
  SaSelectionObjectT selection;
  check(saCkptSelectionObjectGet(library, &selection), "selection object");

  SaNameT name = {0};
  name.length = (SaUint16T)snprintf((char *)name.value, sizeof name.value, "safCkpt=ported");
  SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = SA_CKPT_WR_ALL_REPLICAS,
                                                    .checkpointSize = sizeof counters,
                                                    .retentionDuration = SA_TIME_ONE_SECOND,
                                                    .maxSections = COUNTERS,
                                                    .maxSectionSize = sizeof counters[0],
                                                    .maxSectionIdSize = 16};
  SaCkptCheckpointHandleT checkpoint;
  check(saCkptCheckpointOpen(library, &name, &attributes,
                             SA_CKPT_CHECKPOINT_CREATE | SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE,
                             10 * SA_TIME_ONE_SECOND, &checkpoint),
        "open checkpoint");
  read_all(checkpoint);
  show(member);

  (void)setvbuf(stdin, NULL, _IONBF, 0); /* a line that was read ahead would not wake the poll */
  struct pollfd waiting[] = {{.fd = (int)selection, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  char line[32];
  while (poll(waiting, 2, -1) > 0) {
    if (waiting[0].revents != 0) {
      check(saCkptDispatch(library, SA_DISPATCH_ALL), "dispatch");
    }
    if (waiting[1].revents != 0) {
      if (fgets(line, sizeof line, stdin) == NULL) {
        break;
      }
      count_on(checkpoint, atoi(line));
    }
    show(member);
  }
  check(saCkptFinalize(library), "finalize");
  return 0;
}
