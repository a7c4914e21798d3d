/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a node kept because the cluster went another way.
 *
 *   dump --diverged NAME   its lines, and what the checkpoint has instead
 *   dump --file PATH       the same of any replica's file, without asking a daemon, so without comparison
 *   discard NAME           it is not needed any more:  DISCARD
 *
 * Lines are those of any dump, so that it can be loaded, under another name say; with more in them:
 *
 *   head      "diverged":true, "uncommitted": operations that were in its log and nobody was told of, "epochs":[...]
 *   section   "changed_at":"EPOCH-SEQ", and compared: "in_checkpoint": same | other | missing
 *   end       compared: "same", "other", "missing": how many of each; "only_in_checkpoint": ids that it has not;
 *             "corrupted": ids whose content it did not know, which have no line
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/checkpoint_access.h"
#include "cli/dump_report.h"
#include "cli/region_file.h"
#include "cli/service_session.h"

#define REGION_PATH_BYTES 1300U
#define REGION_DIVERGED (UINT64_C(1) << 62) /* in its file's name */

typedef struct comparison {
  checkpoint_access_t access;
  vesta_mirror_t *mirror; /* NULL: nothing to compare with */
  const replica_t *replica;
  json_int_t same, other, missing;
  json_t *only_in_checkpoint, *corrupted;
} comparison_t;

/* ---- where it is ---- */

/* @return NOT_EXIST: no such checkpoint */
static vesta_err_t diverged_path(service_link_t *link, const command_line_t *line, char path[REGION_PATH_BYTES]) {
  wire_message_t info = {.kind = WIRE_INFO};
  wire_message_t reply;
  report_list_t *list = NULL;
  vesta_err_t err = service_link_call(link, &info, &reply);
  json_t *values = err == VESTA_OK ? report_info(reply.text) : NULL;
  if (err == VESTA_OK) {
    err = service_session_list(link, &list);
  }
  if (err == VESTA_OK) {
    const json_t *row = report_list_find(list, vesta_bytes(line->name, line->name_bytes));
    const char *directory = json_string_value(json_object_get(values, "replica_dir"));
    err = row == NULL || directory == NULL ? VESTA_ERR_NOT_EXIST : VESTA_OK;
    if (err == VESTA_OK) {
      (void)snprintf(path, REGION_PATH_BYTES, "%s/replica-%016" PRIx64, directory,
                     (uint64_t)report_number(row, "id") | REGION_DIVERGED);
    }
  }
  report_list_destroy(&list);
  json_decref(values);
  return err;
}

static int region_refused(const command_line_t *line, const char *path, vesta_err_t err) {
  const char *why = vesta_err_text(err);
  if (err == VESTA_ERR_NOT_EXIST && line->diverged) {
    why = "nothing of it has diverged on this node; `vesta status` on the others tells";
  } else if (err == VESTA_ERR_NOT_EXIST) {
    why = "there is no such file";
  } else if (err == VESTA_ERR_DENIED) {
    why = "only root and the user who runs vestad may read it";
  } else if (err == VESTA_ERR_MALFORMED) {
    why = "it is no replica, or one of another version";
  }
  (void)fprintf(stderr, "vesta: dump: %s: %s\n", path, why);
  return EXIT_FAILURE;
}

/* ---- compared with what the checkpoint has ---- */

static void comparison_begin(comparison_t *comparison, const command_line_t *line) {
  SaAisErrorT error = SA_AIS_ERR_UNAVAILABLE;
  if (checkpoint_access_open(&comparison->access, line, SA_CKPT_CHECKPOINT_READ, NULL) == EXIT_SUCCESS) {
    error = vesta_mirror_open(comparison->access.checkpoint, NULL, &comparison->mirror);
  }
  if (error == SA_AIS_OK) {
    error = dump_synced(comparison->mirror);
  }
  if (error != SA_AIS_OK) {
    (void)fprintf(stderr, "vesta: dump %s: it is not compared with the checkpoint, which can't be read now\n",
                  line->arguments[0]);
    (void)vesta_mirror_close(&comparison->mirror);
    checkpoint_access_close(&comparison->access);
  }
}

static const char *compare(comparison_t *comparison, const replica_section_t *section) {
  const SaCkptSectionIdT id = {.idLen = (SaUint16T)section->id.size,
                               .id = section->id.size == 0 ? NULL : (SaUint8T *)(uintptr_t)section->id.data};
  const void *data = NULL;
  SaSizeT size = 0;
  if (vesta_mirror_get(comparison->mirror, &id, &data, &size) != SA_AIS_OK) {
    comparison->missing++;
    return "missing";
  }
  bool equal = vesta_bytes_equal(vesta_bytes(section->data, section->size), vesta_bytes(data, size));
  *(equal ? &comparison->same : &comparison->other) += 1;
  return equal ? "same" : "other";
}

static void ids_add(json_t *ids, vesta_bytes_t id) {
  json_t *holder = json_object();
  report_set_id(holder, "id", id.data, id.size);
  (void)json_array_append(ids, json_object_get(holder, "id"));
  json_decref(holder);
}

static SaBoolT find_missing(void *context, const vesta_section_t *section) {
  comparison_t *comparison = context;
  vesta_bytes_t id = vesta_bytes(section->id.id, section->id.idLen);
  replica_section_t found;
  if (!replica_find(comparison->replica, id, INT64_MIN, &found)) {
    ids_add(comparison->only_in_checkpoint, id);
  }
  return SA_TRUE;
}

/* ---- lines ---- */

static void region_head(const replica_t *replica, bool diverged) {
  replica_identity_t identity;
  replica_status_t status;
  vesta_epoch_row_t epochs[VESTA_EPOCHS_MAX];
  uint32_t count = replica_epochs(replica, epochs, VESTA_EPOCHS_MAX);
  replica_identity(replica, &identity);
  replica_status(replica, &status);
  json_t *head = dump_report_head(identity.name, status.committed, &identity.attributes);
  json_t *rows = json_array();
  for (uint32_t i = 0; i < count; i++) {
    (void)json_array_append_new(rows, json_pack("{s:I, s:I}", "epoch", (json_int_t)epochs[i].epoch, "first_seq",
                                                (json_int_t)epochs[i].first_seq));
  }
  json_t *more = json_pack("{s:b, s:I, s:o}", "diverged", diverged, "uncommitted",
                           (json_int_t)(status.prepared_seq - status.committed.seq), "epochs", rows);
  (void)json_object_update(head, more);
  report_line(head);
  json_decref(more);
  json_decref(head);
}

/* @return the lines, or -1: no memory */
static json_int_t region_sections(comparison_t *comparison) {
  uint32_t end = replica_slot_end(comparison->replica);
  replica_section_t section;
  json_int_t lines = 0;
  for (uint32_t slot = 0; replica_slot_next(comparison->replica, slot, end, &section); slot = section.slot + 1) {
    if (section.corrupted) {
      ids_add(comparison->corrupted, section.id);
      continue;
    }
    char position[48];
    json_t *row = dump_report_section(section.id, section.expiry_ns, section.data, section.size);
    if (row == NULL) {
      return -1;
    }
    (void)snprintf(position, sizeof position, "%" PRIu64 "-%" PRIu64, section.epoch, section.seq);
    (void)json_object_set_new(row, "changed_at", json_string(position));
    if (comparison->mirror != NULL) {
      (void)json_object_set_new(row, "in_checkpoint", json_string(compare(comparison, &section)));
    }
    report_line(row);
    json_decref(row);
    lines++;
  }
  return lines;
}

static void region_end(comparison_t *comparison, json_int_t lines) {
  json_t *end = json_pack("{s:b, s:I, s:O}", "end", true, "sections", lines, "corrupted", comparison->corrupted);
  if (comparison->mirror != NULL) {
    (void)vesta_mirror_each(comparison->mirror, find_missing, comparison);
    json_t *more = json_pack("{s:I, s:I, s:I, s:O}", "same", comparison->same, "other", comparison->other, "missing",
                             comparison->missing, "only_in_checkpoint", comparison->only_in_checkpoint);
    (void)json_object_update(end, more);
    json_decref(more);
  }
  report_line(end);
  json_decref(end);
}

static int region_print(const command_line_t *line, const region_file_t *file) {
  comparison_t comparison = {.replica = file->replica, .only_in_checkpoint = json_array(), .corrupted = json_array()};
  if (line->diverged) {
    comparison_begin(&comparison, line);
  }
  region_head(file->replica, line->diverged);
  json_int_t lines = region_sections(&comparison);
  if (lines >= 0) {
    region_end(&comparison, lines);
  }
  if (comparison.mirror != NULL) {
    (void)vesta_mirror_close(&comparison.mirror);
    checkpoint_access_close(&comparison.access);
  }
  json_decref(comparison.only_in_checkpoint);
  json_decref(comparison.corrupted);
  return lines >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int dump_region(const command_line_t *line) {
  char path[REGION_PATH_BYTES];
  region_file_t file = {0};
  if (line->diverged) {
    service_link_t link;
    vesta_err_t err = service_link_open(&link, line->socket);
    if (err == VESTA_OK) {
      err = diverged_path(&link, line, path);
      service_link_close(&link);
    }
    if (err != VESTA_OK) {
      return command_result(line, err);
    }
  } else {
    (void)snprintf(path, sizeof path, "%s", line->file);
  }
  vesta_err_t err = region_file_open(path, &file);
  if (err != VESTA_OK) {
    return region_refused(line, path, err);
  }
  int result = region_print(line, &file);
  region_file_close(&file);
  return result;
}

/* ---- discard ---- */

int command_discard(const command_line_t *line) {
  service_link_t link;
  wire_message_t discard = {.kind = WIRE_DISCARD, .name = vesta_bytes(line->name, line->name_bytes)};
  wire_message_t reply;
  vesta_err_t err = service_link_open(&link, line->socket);
  if (err == VESTA_OK) {
    err = service_link_call(&link, &discard, &reply);
    service_link_close(&link);
  }
  const char *why = err == VESTA_ERR_BAD_OPERATION   ? "nothing of it is kept on this node as diverged"
                    : err == VESTA_ERR_NOT_SUPPORTED ? "this vestad is in no cluster, nothing diverges there"
                    : err == VESTA_ERR_DENIED        ? "only root and the user who runs vestad may do that"
                                                     : NULL;
  if (why == NULL) {
    return command_result(line, err);
  }
  (void)fprintf(stderr, "vesta: discard %s: %s\n", line->arguments[0], why);
  return EXIT_FAILURE;
}
