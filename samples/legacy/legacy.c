/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program of the standard alone: SAF AIS Checkpoint Service B.02.02, nothing of Vesta's. It is compiled and run as it
 * is, `cc legacy.c -lSaCkpt`; if no daemon runs, the library starts one for this user.
 *
 * It keeps a table of sessions in a checkpoint: creates some, changes one in the middle, deletes one, sees what the
 * table looks like, and reads one back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <saCkpt.h>

static void check(SaAisErrorT error, const char *what) {
  if (error != SA_AIS_OK) {
    fprintf(stderr, "legacy: %s: error %d\n", what, (int)error);
    exit(1);
  }
}

static SaCkptSectionIdT section_id(const char *text) {
  SaCkptSectionIdT id = {.idLen = (SaUint16T)strlen(text), .id = (SaUint8T *)text};
  return id;
}

static void create(SaCkptCheckpointHandleT checkpoint, const char *session, const char *state) {
  SaCkptSectionIdT id = section_id(session);
  SaCkptSectionCreationAttributesT attributes = {.sectionId = &id, .expirationTime = SA_TIME_END};
  check(saCkptSectionCreate(checkpoint, &attributes, state, strlen(state)), "create section");
}

static void write_at(SaCkptCheckpointHandleT checkpoint, const char *session, SaOffsetT offset, const char *data) {
  SaCkptIOVectorElementT element = {
      .sectionId = section_id(session), .dataBuffer = (void *)data, .dataSize = strlen(data), .dataOffset = offset};
  SaUint32T erroneous;
  check(saCkptCheckpointWrite(checkpoint, &element, 1, &erroneous), "write");
}

static void list(SaCkptCheckpointHandleT checkpoint) {
  SaCkptSectionIterationHandleT iteration;
  check(saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, &iteration), "begin iteration");
  SaCkptSectionDescriptorT section;
  SaAisErrorT error;
  while ((error = saCkptSectionIterationNext(iteration, &section)) == SA_AIS_OK) {
    printf("section %.*s size=%llu\n", (int)section.sectionId.idLen, (char *)section.sectionId.id, section.sectionSize);
  }
  if (error != SA_AIS_ERR_NO_SECTIONS) {
    check(error, "iterate");
  }
  check(saCkptSectionIterationFinalize(iteration), "end iteration");
}

static void show(SaCkptCheckpointHandleT checkpoint, const char *session) {
  SaCkptIOVectorElementT element = {.sectionId = section_id(session)}; /* no buffer: the library makes one */
  SaUint32T erroneous;
  check(saCkptCheckpointRead(checkpoint, &element, 1, &erroneous), "read");
  printf("%s: %.*s\n", session, (int)element.readSize, (char *)element.dataBuffer);
  check(saCkptIOVectorElementDataFree(checkpoint, element.dataBuffer), "free");
}

int main(void) {
  SaCkptHandleT library;
  SaVersionT version = {'B', 2, 2};
  check(saCkptInitialize(&library, NULL, &version), "initialize");

  SaNameT name = {0};
  name.length = (SaUint16T)snprintf((char *)name.value, sizeof name.value, "safCkpt=sessions");
  SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = SA_CKPT_WR_ALL_REPLICAS,
                                                    .checkpointSize = 100 * 64,
                                                    .retentionDuration = SA_TIME_ONE_SECOND,
                                                    .maxSections = 100,
                                                    .maxSectionSize = 64,
                                                    .maxSectionIdSize = 32};
  SaCkptCheckpointHandleT checkpoint;
  check(saCkptCheckpointOpen(library, &name, &attributes,
                             SA_CKPT_CHECKPOINT_CREATE | SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE,
                             10 * SA_TIME_ONE_SECOND, &checkpoint),
        "open checkpoint");

  create(checkpoint, "alice", "state=ringing");
  create(checkpoint, "bob", "state=talking");
  create(checkpoint, "carol", "state=idle   ");
  write_at(checkpoint, "alice", strlen("state="), "talking");
  SaCkptSectionIdT bob = section_id("bob");
  check(saCkptSectionDelete(checkpoint, &bob), "delete section");
  list(checkpoint);
  show(checkpoint, "alice");

  check(saCkptCheckpointUnlink(library, &name), "unlink");
  check(saCkptCheckpointClose(checkpoint), "close");
  check(saCkptFinalize(library), "finalize");
  return 0;
}
