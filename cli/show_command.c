/* SPDX-License-Identifier: BSD-2-Clause
 *
 * show: one checkpoint. It is not opened for that, so nothing changes by looking.
 *
 *   LIST ..., USERS ...
 */
#include <stdlib.h>

#include "cli/command.h"
#include "cli/service_session.h"
#include "cli/users_report.h"

/* What a list does not have. */
static void show_complete(json_t *row, const wire_message_t *local) {
  (void)json_object_del(row, "epoch");
  (void)json_object_del(row, "seq");
  (void)json_object_del(row, "unlinked"); /* it was found by its name */
  bool here = local->epoch != 0;          /* else it has replicas on other nodes only */
  (void)json_object_set_new(row, "position", json_null());
  if (here) {
    report_set_position(row, "position", wire_pos(local));
  }
  json_t *more =
      json_pack("{s:o, s:o, s:I, s:I, s:I, s:I}", "sections", report_number_if(here, local->count), "bytes",
                report_number_if(here, local->size), "checkpoint_bytes", (json_int_t)local->checkpoint_bytes,
                "sections_max", (json_int_t)local->sections_max, "section_bytes_max",
                (json_int_t)local->section_bytes_max, "section_id_bytes_max", (json_int_t)local->section_id_bytes_max);
  (void)json_object_update(row, more);
  json_decref(more);
}

static vesta_err_t show_one(service_link_t *link, const command_line_t *line, report_list_t **list) {
  vesta_bytes_t name = vesta_bytes(line->name, line->name_bytes);
  json_t *users = NULL;
  wire_message_t local = {0};
  vesta_err_t err = service_session_list(link, list);
  json_t *row = err == VESTA_OK ? report_list_find(*list, name) : NULL;
  if (err == VESTA_OK) {
    uint64_t id = (uint64_t)json_integer_value(json_object_get(row, "id"));
    err = row == NULL ? VESTA_ERR_NOT_EXIST : service_session_users(link, id, &users, &local);
  }
  if (err != VESTA_OK) {
    return err;
  }
  show_complete(row, &local);
  if (line->json) {
    (void)json_object_update(row, users);
  }
  report_object(row, line->json);
  if (!line->json) {
    users_report_print(users);
  }
  json_decref(users);
  return VESTA_OK;
}

int command_show(const command_line_t *line) {
  service_link_t link;
  report_list_t *list = NULL;
  vesta_err_t err = service_link_open(&link, line->socket);
  if (err == VESTA_OK) {
    err = show_one(&link, line, &list);
    service_link_close(&link);
  }
  report_list_destroy(&list);
  return command_result(line, err);
}
