/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The commands that read sections with the standard API.
 *
 *   sections   every section's id, size, expiry and last change, as the walk meets them
 *   get        one section's bytes as they are
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/checkpoint_access.h"
#include "cli/id_text.h"
#include "cli/report.h"

static void section_print(const SaCkptSectionDescriptorT *section, bool json, bool first) {
  char id[ID_TEXT_BYTES(VESTA_SECTION_ID_BYTES_MAX)];
  char expiry[REPORT_TIME_BYTES];
  char changed[REPORT_TIME_BYTES];
  char size[24];
  bool corrupted = section->sectionState == SA_CKPT_SECTION_CORRUPTED;
  if (json) {
    json_t *row = json_object();
    report_set_id(row, "id", section->sectionId.id, section->sectionId.idLen);
    (void)json_object_set_new(row, "bytes", json_integer((json_int_t)section->sectionSize));
    (void)json_object_set_new(row, "expiry_ns", report_time(section->expirationTime));
    (void)json_object_set_new(row, "last_update_ns", json_integer(section->lastUpdate));
    if (corrupted) {
      (void)json_object_set_new(row, "corrupted", json_true());
    }
    (void)fputs(first ? "\n  " : ",\n  ", stdout);
    (void)json_dumpf(row, stdout, JSON_COMPACT);
    json_decref(row);
    return;
  }
  id_text_format(vesta_bytes(section->sectionId.id, section->sectionId.idLen), id);
  report_time_text(section->expirationTime, expiry);
  report_time_text(section->lastUpdate, changed);
  (void)snprintf(size, sizeof size, "%llu", (unsigned long long)section->sectionSize);
  (void)printf("%10s  %-24s  %-24s  \"%s\"\n", corrupted ? "CORRUPTED" : size, expiry, changed, id);
}

static SaAisErrorT sections_print(SaCkptCheckpointHandleT checkpoint, bool json) {
  SaCkptSectionIterationHandleT walk;
  SaCkptSectionDescriptorT section;
  SaAisErrorT error = saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, &walk);
  if (error != SA_AIS_OK) {
    return error;
  }
  if (json) {
    (void)putchar('[');
  } else {
    (void)printf("%10s  %-24s  %-24s  %s\n", "BYTES", "EXPIRY", "LAST_UPDATE", "ID");
  }
  bool first = true;
  while ((error = saCkptSectionIterationNext(walk, &section)) == SA_AIS_OK && !ferror(stdout)) {
    section_print(&section, json, first);
    first = false;
  }
  if (json) {
    (void)fputs(first ? "]\n" : "\n]\n", stdout);
  }
  (void)saCkptSectionIterationFinalize(walk);
  return error == SA_AIS_ERR_NO_SECTIONS ? SA_AIS_OK : error;
}

int command_sections(const command_line_t *line) {
  checkpoint_access_t access;
  if (checkpoint_access_open(&access, line, SA_CKPT_CHECKPOINT_READ, NULL) != EXIT_SUCCESS) {
    return EXIT_FAILURE;
  }
  SaAisErrorT error = sections_print(access.checkpoint, line->json);
  checkpoint_access_close(&access);
  return checkpoint_access_result(line, "sections", error);
}

static bool section_bytes_print(const SaCkptIOVectorElementT *read, bool json) {
  if (!json) {
    return fwrite(read->dataBuffer, 1, read->readSize, stdout) == read->readSize;
  }
  json_t *row = json_object();
  report_set_id(row, "id", read->sectionId.id, read->sectionId.idLen);
  (void)json_object_set_new(row, "bytes", json_integer((json_int_t)read->readSize));
  bool whole = report_set_data(row, "data", read->dataBuffer, read->readSize);
  if (whole) {
    report_line(row);
  }
  json_decref(row);
  return whole;
}

int command_get(const command_line_t *line) {
  checkpoint_access_t access;
  uint8_t id[VESTA_SECTION_ID_BYTES_MAX];
  size_t id_bytes;
  if (!id_text_parse(line->arguments[1], id, sizeof id, &id_bytes)) {
    return command_usage("no section id: ", line->arguments[1]);
  }
  if (checkpoint_access_open(&access, line, SA_CKPT_CHECKPOINT_READ, NULL) != EXIT_SUCCESS) {
    return EXIT_FAILURE;
  }
  SaCkptIOVectorElementT read = {.sectionId = {.idLen = (SaUint16T)id_bytes, .id = id_bytes == 0 ? NULL : id}};
  SaAisErrorT error = saCkptCheckpointRead(access.checkpoint, &read, 1, NULL);
  if (error == SA_AIS_OK && !section_bytes_print(&read, line->json) && !ferror(stdout)) {
    error = SA_AIS_ERR_NO_MEMORY;
  }
  free(read.dataBuffer);
  checkpoint_access_close(&access);
  return checkpoint_access_result(line, "section", error);
}
