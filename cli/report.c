/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rows are kept as JSON, and the table is printed from that.
 */
#include "cli/report.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

struct report_list {
  json_t *rows;
};

static void report_json(const json_t *value) {
  (void)json_dumpf(value, stdout, JSON_INDENT(2));
  (void)putchar('\n');
}

/* A number as a number, anything else as text. */
static json_t *report_value(const char *text, size_t size) {
  char copy[32];
  char *end = copy;
  if (size > 0 && size < sizeof copy) {
    memcpy(copy, text, size);
    copy[size] = '\0';
    long long number = strtoll(copy, &end, 10);
    if (isdigit((unsigned char)copy[0]) && *end == '\0') {
      return json_integer(number);
    }
  }
  return json_stringn(text, size);
}

void report_status(vesta_bytes_t info, bool json) {
  json_t *values = json_object();
  const char *at = (const char *)info.data;
  const char *end = at + info.size;
  while (at < end) {
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    line_end = line_end == NULL ? end : line_end;
    const char *equals = memchr(at, '=', (size_t)(line_end - at));
    if (equals != NULL) {
      char key[64];
      (void)snprintf(key, sizeof key, "%.*s", (int)(equals - at), at);
      (void)json_object_set_new(values, key, report_value(equals + 1, (size_t)(line_end - equals - 1)));
    }
    at = line_end + 1;
  }
  if (json) {
    report_json(values);
  } else {
    const char *key;
    json_t *value;
    json_object_foreach(values, key, value) {
      if (json_is_integer(value)) {
        (void)printf("%-26s %" JSON_INTEGER_FORMAT "\n", key, json_integer_value(value));
      } else {
        (void)printf("%-26s %s\n", key, json_string_value(value));
      }
    }
  }
  json_decref(values);
}

report_list_t *report_list_new(void) {
  report_list_t *list = calloc(1, sizeof *list);
  if (list != NULL) {
    list->rows = json_array();
  }
  return list;
}

void report_list_destroy(report_list_t **list) {
  if (*list != NULL) {
    json_decref((*list)->rows);
    free(*list);
    *list = NULL;
  }
}

/* A name is any bytes: what can't be printed, and the backslash, is written as \xNN. */
static void report_name(vesta_bytes_t name, char *to) {
  for (size_t i = 0; i < name.size; i++) {
    bool plain = name.data[i] > ' ' && name.data[i] < 0x7f && name.data[i] != '\\';
    to += sprintf(to, plain || name.data[i] == ' ' ? "%c" : "\\x%02x", name.data[i]);
  }
  *to = '\0';
}

static const char *report_mode(uint64_t creation_flags) {
  if ((creation_flags & VESTA_CREATE_ALL_REPLICAS) != 0) {
    return "all";
  }
  return (creation_flags & VESTA_CREATE_ACTIVE_REPLICA_WEAK) != 0 ? "weak" : "active";
}

void report_list_add(report_list_t *list, const wire_message_t *page) {
  for (uint32_t i = 0; i < page->element_count; i++) {
    const wire_element_t *row = &page->elements[i];
    char name[4 * VESTA_SECTION_ID_BYTES_MAX + 1];
    report_name(row->id, name);
    json_t *retention = row->expiry_ns == VESTA_TIME_END ? json_null() : json_real((double)row->expiry_ns / 1e9);
    json_t *object =
        json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:b, s:b, s:o}", "id", (json_int_t)row->member, "name",
                  name, "sections", (json_int_t)row->count, "bytes", (json_int_t)row->offset, "opened",
                  (json_int_t)row->index, "epoch", (json_int_t)row->epoch, "seq", (json_int_t)row->seq, "mode",
                  report_mode(row->slot), "collocated", (row->slot & VESTA_CREATE_COLLOCATED) != 0, "unlinked",
                  row->kind == VESTA_KIND_UNLINKED, "retention_s", retention);
    (void)json_array_append_new(list->rows, object);
  }
}

static json_int_t report_number(const json_t *row, const char *key) {
  return json_integer_value(json_object_get(row, key));
}

void report_list_print(const report_list_t *list, bool json) {
  if (json) {
    report_json(list->rows);
    return;
  }
  size_t index;
  json_t *row;
  (void)printf("%5s %9s %12s %6s %12s %12s  %-6s  %s\n", "ID", "SECTIONS", "BYTES", "OPENED", "EPOCH.SEQ",
               "RETENTION_S", "MODE", "NAME");
  json_array_foreach(list->rows, index, row) {
    char position[48];
    char retention[48] = "ever";
    const json_t *seconds = json_object_get(row, "retention_s");
    (void)snprintf(position, sizeof position, "%" JSON_INTEGER_FORMAT ".%" JSON_INTEGER_FORMAT,
                   report_number(row, "epoch"), report_number(row, "seq"));
    if (json_is_real(seconds)) {
      (void)snprintf(retention, sizeof retention, "%.3f", json_real_value(seconds));
    }
    (void)printf("%5" JSON_INTEGER_FORMAT " %9" JSON_INTEGER_FORMAT " %12" JSON_INTEGER_FORMAT " %6" JSON_INTEGER_FORMAT
                 " %12s %12s  %-6s  %s%s\n",
                 report_number(row, "id"), report_number(row, "sections"), report_number(row, "bytes"),
                 report_number(row, "opened"), position, retention, json_string_value(json_object_get(row, "mode")),
                 json_string_value(json_object_get(row, "name")),
                 json_is_true(json_object_get(row, "unlinked")) ? " (unlinked)" : "");
  }
}
