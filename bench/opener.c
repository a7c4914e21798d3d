/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The standard API with the errors taken care of. See opener.h.
 */
#include "bench/opener.h"

#include <string.h>

#include "bench/scene.h"

#define RETENTION (10 * SA_TIME_ONE_SECOND)

SaCkptHandleT opener_library(void) {
  SaCkptHandleT library;
  SaVersionT version = {.releaseCode = 'B', .majorVersion = 2, .minorVersion = 2};
  scene_require(saCkptInitialize(&library, NULL, &version), "saCkptInitialize");
  return library;
}

static opener_t opener_open(SaCkptHandleT library, const char *name,
                            const SaCkptCheckpointCreationAttributesT *attributes, SaCkptCheckpointOpenFlagsT flags) {
  opener_t opener = {.library = library};
  SaNameT text = {.length = (SaUint16T)strlen(name)};
  memcpy(text.value, name, text.length);
  scene_require(
      saCkptCheckpointOpen(opener.library, &text, attributes, flags, 10 * SA_TIME_ONE_SECOND, &opener.checkpoint),
      "saCkptCheckpointOpen");
  return opener;
}

opener_t opener_create(const char *name, uint32_t sections_max, uint64_t section_bytes_max, uint32_t id_bytes_max) {
  return opener_create_as(name, SA_CKPT_WR_ALL_REPLICAS, sections_max, section_bytes_max, id_bytes_max);
}

opener_t opener_create_as(const char *name, SaCkptCheckpointCreationFlagsT flags, uint32_t sections_max,
                          uint64_t section_bytes_max, uint32_t id_bytes_max) {
  const SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = flags,
                                                          .checkpointSize = sections_max * section_bytes_max,
                                                          .retentionDuration = RETENTION,
                                                          .maxSections = sections_max,
                                                          .maxSectionSize = section_bytes_max,
                                                          .maxSectionIdSize = id_bytes_max};
  return opener_open(opener_library(), name, &attributes,
                     SA_CKPT_CHECKPOINT_CREATE | SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE);
}

opener_t opener_read(SaCkptHandleT library, const char *name) {
  return opener_open(library, name, NULL, SA_CKPT_CHECKPOINT_READ);
}

void opener_close(opener_t *opener) {
  (void)saCkptCheckpointClose(opener->checkpoint);
  (void)saCkptFinalize(opener->library);
  *opener = (opener_t){0};
}

void opener_section_create(const opener_t *opener, const void *id, uint16_t id_size, const void *data, uint64_t size) {
  SaCkptSectionIdT section = {.idLen = id_size, .id = (SaUint8T *)id};
  SaCkptSectionCreationAttributesT attributes = {.sectionId = &section, .expirationTime = SA_TIME_END};
  scene_require(saCkptSectionCreate(opener->checkpoint, &attributes, data, size), "saCkptSectionCreate");
}
