/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The commands that ask the service and need no library of ours:
 *
 *   status   INFO
 *   ls       HELLO, LIST ..., FINALIZE
 *   show     HELLO, LIST ..., OPEN, STATUS, FINALIZE
 *   rm       HELLO, UNLINK, FINALIZE
 */
#include <stdlib.h>

#include <vesta.h>

#include "cli/command.h"
#include "cli/service_session.h"

int command_status(const command_line_t *line) {
  service_link_t link;
  wire_message_t info = {.kind = WIRE_INFO};
  wire_message_t reply;
  vesta_err_t err = service_link_open(&link, line->socket);
  if (err == VESTA_OK) {
    err = service_link_call(&link, &info, &reply);
    if (err == VESTA_OK) {
      json_t *values = report_info(reply.text);
      report_object(values, line->json);
      json_decref(values);
    }
    service_link_close(&link);
  }
  return command_result(line, err);
}

int command_ls(const command_line_t *line) {
  service_link_t link;
  report_list_t *list = NULL;
  vesta_err_t err = service_session_begin(&link, line->socket);
  if (err == VESTA_OK) {
    err = service_session_list(&link, &list);
    service_session_end(&link);
  }
  if (err == VESTA_OK) {
    report_list_print(list, line->json);
  }
  report_list_destroy(&list);
  return command_result(line, err);
}

static void show_status(json_t *row, const wire_message_t *status) {
  char text[VESTA_POSITION_TEXT_BYTES];
  const vesta_position_t position = {.lineage = status->lineage, .epoch = status->epoch, .seq = status->seq};
  (void)vesta_position_format(&position, text);
  (void)json_object_del(row, "epoch");
  (void)json_object_del(row, "seq");
  (void)json_object_del(row, "unlinked"); /* it was found by its name */
  json_t *more =
      json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "position", text, "sections", (json_int_t)status->count, "bytes",
                (json_int_t)status->size, "checkpoint_bytes", (json_int_t)status->checkpoint_bytes, "sections_max",
                (json_int_t)status->sections_max, "section_bytes_max", (json_int_t)status->section_bytes_max,
                "section_id_bytes_max", (json_int_t)status->section_id_bytes_max);
  (void)json_object_update(row, more);
  json_decref(more);
}

/* Who had it open is asked before we open it ourselves. */
static vesta_err_t show_one(service_link_t *link, const command_line_t *line, report_list_t **list) {
  vesta_bytes_t name = vesta_bytes(line->name, line->name_bytes);
  wire_message_t open = {.kind = WIRE_OPEN, .name = name, .flags = VESTA_OPEN_READ};
  wire_message_t reply;
  vesta_err_t err = service_session_list(link, list);
  json_t *row = err == VESTA_OK ? report_list_find(*list, name) : NULL;
  if (err == VESTA_OK) {
    err = row == NULL ? VESTA_ERR_NOT_EXIST : service_link_call(link, &open, &reply);
  }
  if (err == VESTA_OK) {
    wire_message_t status = {.kind = WIRE_STATUS, .handle = reply.handle};
    err = service_link_call(link, &status, &reply);
  }
  if (err == VESTA_OK) {
    show_status(row, &reply);
    report_object(row, line->json);
  }
  return err;
}

int command_show(const command_line_t *line) {
  service_link_t link;
  report_list_t *list = NULL;
  vesta_err_t err = service_session_begin(&link, line->socket);
  if (err == VESTA_OK) {
    err = show_one(&link, line, &list);
    service_session_end(&link);
  }
  report_list_destroy(&list);
  return command_result(line, err);
}

int command_rm(const command_line_t *line) {
  service_link_t link;
  wire_message_t unlink = {.kind = WIRE_UNLINK, .name = vesta_bytes(line->name, line->name_bytes)};
  wire_message_t reply;
  vesta_err_t err = service_session_begin(&link, line->socket);
  if (err == VESTA_OK) {
    err = service_link_call(&link, &unlink, &reply);
    service_session_end(&link);
  }
  return command_result(line, err);
}
