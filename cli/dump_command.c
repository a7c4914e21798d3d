/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dump and load: a checkpoint as lines of JSON.
 *
 *   {"vesta_dump":1, "name":..., "position":..., "attributes":{...}}      first; 1 is the format's version
 *   {"id":..., "expiry_ns":number|null, "data":... or "data_hex":...}     a section each, in no particular order
 *   {"end":true, "sections":number}                                       last: a file without it was cut off
 *
 * Ids and names are text as id_text.h says, data a string when it is UTF-8. The dump is one state of the checkpoint,
 * that of `position`, whoever writes meanwhile: it is taken from a mirror.
 *
 * load makes the checkpoint if it is not there, makes or overwrites each section, and leaves others alone. Sections
 * whose time has come are left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <vesta.h>

#include "cli/checkpoint_access.h"
#include "cli/dump_report.h"
#include "cli/id_text.h"

#define DUMP_SILENCE (30 * SA_TIME_ONE_SECOND) /* nothing came for so long: it won't */

/* ---- dump ---- */

SaAisErrorT dump_synced(vesta_mirror_t *mirror) {
  vesta_change_t change = {0};
  SaAisErrorT error = SA_AIS_OK;
  while (error == SA_AIS_OK && change.kind != VESTA_CHANGE_SYNCED) {
    error = vesta_mirror_next(mirror, DUMP_SILENCE, &change);
    if (error == SA_AIS_OK && change.kind == VESTA_CHANGE_GONE) {
      error = SA_AIS_ERR_NOT_EXIST;
    }
  }
  return error;
}

json_t *dump_report_head(vesta_bytes_t name, vesta_pos_t position, const vesta_attributes_t *attributes) {
  json_t *head = json_pack("{s:i}", "vesta_dump", DUMP_VERSION);
  report_set_position(head, "position", position);
  json_t *told = json_pack("{s:s, s:b, s:I, s:o, s:I, s:I, s:I}", "mode", report_mode(attributes->creation_flags),
                           "collocated", (attributes->creation_flags & VESTA_CREATE_COLLOCATED) != 0,
                           "checkpoint_bytes", (json_int_t)attributes->checkpoint_bytes, "retention_ns",
                           report_time(attributes->retention_ns), "sections_max", (json_int_t)attributes->sections_max,
                           "section_bytes_max", (json_int_t)attributes->section_bytes_max, "section_id_bytes_max",
                           (json_int_t)attributes->section_id_bytes_max);
  (void)json_object_set_new(head, "attributes", told);
  report_set_id(head, "name", name.data, name.size);
  return head;
}

json_t *dump_report_section(vesta_bytes_t id, int64_t expiry_ns, const void *data, size_t size) {
  json_t *row = json_object();
  report_set_id(row, "id", id.data, id.size);
  (void)json_object_set_new(row, "expiry_ns", report_time(expiry_ns));
  if (!report_set_data(row, "data", data, size)) {
    json_decref(row);
    return NULL;
  }
  return row;
}

static void dump_head(const command_line_t *line, const vesta_position_t *position,
                      const SaCkptCheckpointCreationAttributesT *attributes) {
  const vesta_pos_t at = {.lineage = position->lineage, .epoch = position->epoch, .seq = position->seq};
  const vesta_attributes_t told = {.creation_flags = (uint32_t)attributes->creationFlags,
                                   .checkpoint_bytes = attributes->checkpointSize,
                                   .retention_ns = attributes->retentionDuration,
                                   .sections_max = attributes->maxSections,
                                   .section_bytes_max = attributes->maxSectionSize,
                                   .section_id_bytes_max = (uint32_t)attributes->maxSectionIdSize};
  json_t *head = dump_report_head(vesta_bytes(line->name, line->name_bytes), at, &told);
  report_line(head);
  json_decref(head);
}

typedef struct dump_count {
  json_int_t sections;
  bool failed;
} dump_count_t;

static SaBoolT dump_section(void *context, const vesta_section_t *section) {
  dump_count_t *count = context;
  json_t *row = dump_report_section(vesta_bytes(section->id.id, section->id.idLen), section->expiry, section->data,
                                    section->size);
  if (row == NULL) {
    count->failed = true;
    return SA_FALSE;
  }
  report_line(row);
  json_decref(row);
  count->sections++;
  return ferror(stdout) ? SA_FALSE : SA_TRUE;
}

static SaAisErrorT dump_print(const command_line_t *line, SaCkptCheckpointHandleT checkpoint, vesta_mirror_t *mirror) {
  vesta_position_t position = {0};
  SaCkptCheckpointDescriptorT status;
  dump_count_t count = {0};
  SaAisErrorT error = dump_synced(mirror);
  if (error == SA_AIS_OK) {
    error = vesta_mirror_position(mirror, &position);
  }
  if (error == SA_AIS_OK) {
    error = saCkptCheckpointStatusGet(checkpoint, &status);
  }
  if (error == SA_AIS_OK) {
    dump_head(line, &position, &status.checkpointCreationAttributes);
    error = vesta_mirror_each(mirror, dump_section, &count);
  }
  if (error == SA_AIS_OK && count.failed) {
    error = SA_AIS_ERR_NO_MEMORY;
  }
  if (error == SA_AIS_OK) {
    (void)printf("{\"end\":true,\"sections\":%" JSON_INTEGER_FORMAT "}\n", count.sections);
  }
  return error;
}

int command_dump(const command_line_t *line) {
  checkpoint_access_t access;
  vesta_mirror_t *mirror = NULL;
  if (line->diverged || line->file != NULL) {
    return dump_region(line);
  }
  if (checkpoint_access_open(&access, line, SA_CKPT_CHECKPOINT_READ, NULL) != EXIT_SUCCESS) {
    return EXIT_FAILURE;
  }
  SaAisErrorT error = vesta_mirror_open(access.checkpoint, NULL, &mirror);
  if (error == SA_AIS_OK) {
    error = dump_print(line, access.checkpoint, mirror);
    (void)vesta_mirror_close(&mirror);
  }
  checkpoint_access_close(&access);
  return checkpoint_access_result(line, "dump", error);
}

/* ---- load ---- */

typedef struct load {
  const command_line_t *line;
  SaCkptCheckpointHandleT checkpoint;
  unsigned lines; /* read */
  json_int_t sections;
  json_int_t expired;
} load_t;

static int load_malformed(const load_t *load, const char *what) {
  (void)fprintf(stderr, "vesta: load %s: line %u: %s; %" JSON_INTEGER_FORMAT " sections were loaded before it\n",
                load->line->arguments[0], load->lines, what, load->sections);
  return EXIT_FAILURE;
}

/* The next line. NULL at the end of the file too: a whole dump says itself that it is one. */
static json_t *load_line(load_t *load, json_error_t *error) {
  load->lines++;
  return json_loadf(stdin, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, error);
}

static bool load_mode(const char *mode, SaCkptCheckpointCreationFlagsT *flags) {
  static const SaCkptCheckpointCreationFlagsT all[] = {SA_CKPT_WR_ALL_REPLICAS, SA_CKPT_WR_ACTIVE_REPLICA,
                                                       SA_CKPT_WR_ACTIVE_REPLICA_WEAK};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    if (strcmp(mode, report_mode(all[i])) == 0) {
      *flags = all[i];
      return true;
    }
  }
  return false;
}

/* null, or a number. */
static bool load_time(json_t *value, SaTimeT *time) {
  *time = json_is_integer(value) ? json_integer_value(value) : SA_TIME_END;
  return json_is_integer(value) || json_is_null(value);
}

static bool load_head(json_t *head, SaCkptCheckpointCreationAttributesT *attributes) {
  int version = 0;
  int collocated = 0;
  const char *mode = NULL;
  json_t *retention = NULL;
  json_int_t size = 0;
  json_int_t sections_max = 0;
  json_int_t section_bytes_max = 0;
  json_int_t id_bytes_max = 0;
  if (json_unpack(head, "{s:i, s:{s:s, s:b, s:I, s:o, s:I, s:I, s:I}}", "vesta_dump", &version, "attributes", "mode",
                  &mode, "collocated", &collocated, "checkpoint_bytes", &size, "retention_ns", &retention,
                  "sections_max", &sections_max, "section_bytes_max", &section_bytes_max, "section_id_bytes_max",
                  &id_bytes_max) != 0 ||
      version != DUMP_VERSION || sections_max < 0 || sections_max > UINT32_MAX ||
      !load_mode(mode, &attributes->creationFlags) || !load_time(retention, &attributes->retentionDuration)) {
    return false;
  }
  attributes->creationFlags |= collocated != 0 ? SA_CKPT_CHECKPOINT_COLLOCATED : 0U;
  attributes->checkpointSize = (SaSizeT)size;
  attributes->maxSections = (SaUint32T)sections_max;
  attributes->maxSectionSize = (SaSizeT)section_bytes_max;
  attributes->maxSectionIdSize = (SaSizeT)id_bytes_max;
  return true;
}

/* The bytes of `data` or `data_hex`. @param[out] made   to be freed, NULL when they are the row's */
static bool load_data(const json_t *row, vesta_bytes_t *data, uint8_t **made) {
  const json_t *plain = json_object_get(row, "data");
  const json_t *hex = json_object_get(row, "data_hex");
  *made = NULL;
  if (json_is_string(plain)) {
    *data = vesta_bytes(json_string_value(plain), json_string_length(plain));
    return true;
  }
  size_t size = json_string_length(hex) / 2;
  if (!json_is_string(hex) || json_string_length(hex) % 2 != 0 || (*made = malloc(size + 1)) == NULL) {
    return false;
  }
  for (size_t i = 0; i < size; i++) {
    int byte = id_text_hex(json_string_value(hex) + 2 * i);
    if (byte < 0) {
      free(*made);
      return false;
    }
    (*made)[i] = (uint8_t)byte;
  }
  *data = vesta_bytes(*made, size);
  return true;
}

static SaAisErrorT load_put(load_t *load, SaCkptSectionIdT *id, SaTimeT expiry, vesta_bytes_t data) {
  struct timespec now;
  SaCkptSectionCreationAttributesT attributes = {.sectionId = id, .expirationTime = expiry};
  SaAisErrorT error = SA_AIS_ERR_EXIST; /* the default section always does */
  (void)clock_gettime(CLOCK_REALTIME, &now);
  if (expiry <= (SaTimeT)now.tv_sec * SA_TIME_ONE_SECOND + now.tv_nsec) {
    load->expired++;
    return SA_AIS_OK;
  }
  if (id->idLen > 0) {
    error = saCkptSectionCreate(load->checkpoint, &attributes, data.data, data.size);
  }
  if (error == SA_AIS_ERR_EXIST) {
    error = saCkptSectionOverwrite(load->checkpoint, id, data.data, data.size);
    if (error == SA_AIS_OK && id->idLen > 0) {
      error = saCkptSectionExpirationTimeSet(load->checkpoint, id, expiry);
    }
  }
  load->sections += error == SA_AIS_OK ? 1 : 0;
  return error;
}

static int load_section(load_t *load, const json_t *row) {
  uint8_t id[VESTA_SECTION_ID_BYTES_MAX];
  size_t id_bytes = 0;
  const char *text = json_string_value(json_object_get(row, "id"));
  vesta_bytes_t data;
  uint8_t *made = NULL;
  SaTimeT expiry;
  if (text == NULL || !id_text_parse(text, id, sizeof id, &id_bytes) ||
      !load_time(json_object_get(row, "expiry_ns"), &expiry) || !load_data(row, &data, &made)) {
    return load_malformed(load, "no section");
  }
  SaCkptSectionIdT section = {.idLen = (SaUint16T)id_bytes, .id = id_bytes == 0 ? NULL : id};
  SaAisErrorT error = load_put(load, &section, expiry, data);
  free(made);
  return checkpoint_access_result(load->line, "section", error);
}

/* A collocated checkpoint that was just made has no active replica until somebody says which. */
static SaAisErrorT load_activate(SaCkptCheckpointHandleT checkpoint) {
  SaCkptCheckpointDescriptorT status;
  SaAisErrorT error = saCkptCheckpointStatusGet(checkpoint, &status);
  return error == SA_AIS_ERR_NOT_EXIST ? saCkptActiveReplicaSet(checkpoint) : error;
}

static int load_sections(load_t *load) {
  json_error_t wrong;
  int result = checkpoint_access_result(load->line, "activate", load_activate(load->checkpoint));
  bool ended = false;
  while (result == EXIT_SUCCESS && !ended) {
    json_t *row = load_line(load, &wrong);
    ended = json_is_true(json_object_get(row, "end"));
    if (row == NULL) {
      result = load_malformed(load, feof(stdin) ? "the dump was cut off here" : wrong.text);
    } else if (!ended) {
      result = load_section(load, row);
    } else if (json_integer_value(json_object_get(row, "sections")) != load->sections + load->expired) {
      result = load_malformed(load, "the dump had another number of sections");
    }
    json_decref(row);
  }
  if (load->expired > 0) {
    (void)fprintf(stderr, "vesta: load %s: %" JSON_INTEGER_FORMAT " sections had expired and were left out\n",
                  load->line->arguments[0], load->expired);
  }
  return result;
}

int command_load(const command_line_t *line) {
  const SaCkptCheckpointOpenFlagsT flags =
      SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE | SA_CKPT_CHECKPOINT_CREATE;
  checkpoint_access_t access;
  load_t load = {.line = line};
  json_error_t wrong;
  SaCkptCheckpointCreationAttributesT attributes = {0};
  json_t *head = load_line(&load, &wrong);
  bool sound = load_head(head, &attributes);
  json_decref(head);
  if (!sound) {
    return load_malformed(&load, "standard input is no dump of version 1");
  }
  if (checkpoint_access_open(&access, line, flags, &attributes) != EXIT_SUCCESS) {
    return EXIT_FAILURE;
  }
  load.checkpoint = access.checkpoint;
  int result = load_sections(&load);
  checkpoint_access_close(&access);
  return result;
}
