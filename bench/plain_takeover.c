/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Catching up the plain way, timed. See plain_takeover.h.
 */
#include "bench/plain_takeover.h"

#include <saCkpt.h>
#include <stdlib.h>
#include <string.h>

#include "bench/opener.h"
#include "bench/scene.h"
#include "bench/witness.h"

#define LIMIT (60 * SCENE_SECOND)

typedef struct plain_section {
  uint16_t id_size;
  uint8_t id[WITNESS_ID_BYTES_MAX];
  uint64_t size;
  void *data;
} plain_section_t;

int64_t plain_takeover_time(const char *witness_path, const char *copy_path) {
  const char *arguments[] = {witness_path, copy_path, NULL};
  scene_await(scene_spawn(PLAIN_TAKEOVER_ROLE, arguments), LIMIT, "the plain takeover");
  witness_t *witness = witness_open(witness_path);
  int64_t duration_ns = witness->plain_ns;
  witness_close(witness);
  return duration_ns;
}

/* The iteration lends the id until its next step; the read makes the buffer. */
static plain_section_t plain_section_read(SaCkptCheckpointHandleT checkpoint,
                                          const SaCkptSectionDescriptorT *descriptor) {
  plain_section_t section = {.id_size = descriptor->sectionId.idLen};
  if (section.id_size > sizeof section.id) {
    scene_fail("an id of %u bytes", section.id_size);
  }
  memcpy(section.id, descriptor->sectionId.id, section.id_size);
  SaCkptIOVectorElementT element = {.sectionId = descriptor->sectionId};
  scene_require(saCkptCheckpointRead(checkpoint, &element, 1, NULL), "saCkptCheckpointRead");
  section.size = element.readSize;
  section.data = element.dataBuffer;
  return section;
}

static uint32_t plain_read_all(SaCkptCheckpointHandleT checkpoint, plain_section_t *sections, uint32_t sections_max) {
  SaCkptSectionIterationHandleT iteration;
  uint32_t count = 0;
  scene_require(saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, &iteration),
                "saCkptSectionIterationInitialize");
  for (;;) {
    SaCkptSectionDescriptorT descriptor;
    SaAisErrorT error = saCkptSectionIterationNext(iteration, &descriptor);
    if (error == SA_AIS_ERR_NO_SECTIONS) {
      break;
    }
    scene_require(error, "saCkptSectionIterationNext");
    if (count == sections_max) {
      scene_fail("more sections than there can be");
    }
    sections[count++] = plain_section_read(checkpoint, &descriptor);
  }
  scene_require(saCkptSectionIterationFinalize(iteration), "saCkptSectionIterationFinalize");
  return count;
}

static void plain_copy(const char *path, const plain_section_t *sections, uint32_t count) {
  FILE *copy = fopen(path, "we");
  if (copy == NULL) {
    scene_fail("cannot make %s", path);
  }
  for (uint32_t i = 0; i < count; i++) {
    witness_copy_write(copy, sections[i].id, sections[i].id_size, sections[i].data, sections[i].size);
  }
  if (fclose(copy) != 0) {
    scene_fail("cannot write %s", path);
  }
}

int plain_takeover_run(char **arguments) {
  witness_t *witness = witness_open(arguments[0]);
  plain_section_t *sections = calloc(witness->sections + 1, sizeof *sections);
  if (sections == NULL) {
    scene_fail("out of memory");
  }
  SaCkptHandleT library = opener_library();
  int64_t start_ns = scene_now_ns();
  opener_t opener = opener_read(library, witness->checkpoint);
  uint32_t count = plain_read_all(opener.checkpoint, sections, witness->sections + 1);
  witness->plain_ns = scene_now_ns() - start_ns;
  if (count != witness->created) {
    scene_fail("%u sections read, %llu were created", count, (unsigned long long)witness->created);
  }
  if (arguments[1] != NULL) {
    plain_copy(arguments[1], sections, count);
  }
  for (uint32_t i = 0; i < count; i++) {
    free(sections[i].data);
  }
  free(sections);
  opener_close(&opener);
  return 0;
}
