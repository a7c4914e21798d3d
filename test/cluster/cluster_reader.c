/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reads a checkpoint as an application does that knows the standard only: an iteration, and a read of each section. Of one
 * that is corrupted it says so: it must be told that by the iteration, and by the read, which gives nothing.
 */
#include <stdlib.h>

#include "test/cluster/cluster_client.h"

static void read_section(SaCkptCheckpointHandleT checkpoint, const SaCkptSectionDescriptorT *section) {
  char data[CLIENT_SECTION_BYTES + 1];
  SaCkptIOVectorElementT vector = {
      .sectionId = section->sectionId, .dataBuffer = data, .dataSize = CLIENT_SECTION_BYTES};
  SaUint32T index;
  SaAisErrorT error;
  do {
    error = saCkptCheckpointRead(checkpoint, &vector, 1, &index);
  } while (client_again(error));
  (void)printf("%.*s ", section->sectionId.idLen, (const char *)section->sectionId.id);
  if (error == SA_AIS_ERR_FAILED_OPERATION && section->sectionState == SA_CKPT_SECTION_CORRUPTED) {
    (void)printf("corrupted\n");
    return;
  }
  client_must(error, "saCkptCheckpointRead");
  data[vector.readSize] = '\0';
  (void)printf("%llu\n", strtoull(data, NULL, 10));
}

void reader_run(SaCkptCheckpointHandleT checkpoint) {
  SaCkptSectionIterationHandleT walk;
  SaCkptSectionDescriptorT descriptor;
  SaAisErrorT error;
  client_patience_begin();
  do {
    error = saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, &walk);
  } while (client_again(error));
  client_must(error, "saCkptSectionIterationInitialize");
  for (;;) {
    do {
      error = saCkptSectionIterationNext(walk, &descriptor);
    } while (client_again(error));
    if (error == SA_AIS_ERR_NO_SECTIONS) {
      return;
    }
    client_must(error, "saCkptSectionIterationNext");
    read_section(checkpoint, &descriptor);
  }
}
