/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rows are kept as JSON, and the table is printed from that.
 */
#include "cli/report.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vesta.h>

#include "cli/id_text.h"

struct report_list {
  json_t *rows;
};

void report_line(const json_t *value) {
  (void)json_dumpf(value, stdout, JSON_COMPACT);
  (void)putchar('\n');
}

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

json_t *report_info(vesta_bytes_t info) {
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
  return values;
}

void report_object(const json_t *object, bool json) {
  if (json) {
    report_json(object);
    return;
  }
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)object, key, value) { /* it is not changed */
    if (json_is_array(value)) {
      continue; /* a table of its own */
    }
    if (json_is_integer(value)) {
      (void)printf("%-26s %" JSON_INTEGER_FORMAT "\n", key, json_integer_value(value));
    } else if (json_is_real(value)) {
      (void)printf("%-26s %.3f\n", key, json_real_value(value));
    } else if (json_is_boolean(value)) {
      (void)printf("%-26s %s\n", key, json_is_true(value) ? "yes" : "no");
    } else {
      (void)printf("%-26s %s\n", key,
                   json_is_null(value) ? (strcmp(key, "retention_s") == 0 ? "ever" : "-") : json_string_value(value));
    }
  }
}

void report_set_id(json_t *object, const char *key, const void *id, size_t size) {
  char text[ID_TEXT_BYTES(VESTA_ELEMENT_ID_BYTES_MAX)];
  id_text_format(vesta_bytes(id, size), text);
  (void)json_object_set_new(object, key, json_string(text));
}

bool report_set_data(json_t *object, const char *key, const void *data, size_t size) {
  json_t *value = json_stringn(size == 0 ? "" : data, size);
  if (value != NULL) {
    return json_object_set_new(object, key, value) == 0;
  }
  char hex_key[64];
  char *hex = malloc(2 * size + 1);
  if (hex == NULL) {
    return false;
  }
  for (size_t i = 0; i < size; i++) {
    hex[2 * i] = "0123456789abcdef"[((const uint8_t *)data)[i] >> 4];
    hex[2 * i + 1] = "0123456789abcdef"[((const uint8_t *)data)[i] & 15];
  }
  (void)snprintf(hex_key, sizeof hex_key, "%s_hex", key);
  value = json_stringn_nocheck(hex, 2 * size);
  free(hex);
  return json_object_set_new(object, hex_key, value) == 0;
}

void report_set_position(json_t *object, const char *key, vesta_pos_t position) {
  char text[VESTA_POSITION_TEXT_BYTES];
  const vesta_position_t public = {.lineage = position.lineage, .epoch = position.epoch, .seq = position.seq};
  (void)vesta_position_format(&public, text);
  (void)json_object_set_new(object, key, json_string(text));
}

json_int_t report_number(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}

json_t *report_time(int64_t time_ns) { return time_ns == VESTA_TIME_END ? json_null() : json_integer(time_ns); }

void report_time_text(int64_t time_ns, char text[REPORT_TIME_BYTES]) {
  struct tm parts;
  time_t seconds = time_ns / 1000000000;
  char day[24];
  if (time_ns == VESTA_TIME_END || gmtime_r(&seconds, &parts) == NULL ||
      strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
    (void)strcpy(text, "never");
  } else {
    (void)snprintf(text, REPORT_TIME_BYTES, "%s.%03dZ", day, (int)(time_ns % 1000000000 / 1000000));
  }
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

json_t *report_number_if(bool known, uint64_t number) { return known ? json_integer((json_int_t)number) : json_null(); }

const char *report_number_text(const json_t *object, const char *key, char text[REPORT_NUMBER_BYTES]) {
  const json_t *value = json_object_get(object, key);
  (void)snprintf(text, REPORT_NUMBER_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
  return json_is_integer(value) ? text : "-";
}

const char *report_mode(uint64_t creation_flags) {
  if ((creation_flags & VESTA_CREATE_ALL_REPLICAS) != 0) {
    return "all";
  }
  return (creation_flags & VESTA_CREATE_ACTIVE_REPLICA_WEAK) != 0 ? "weak" : "active";
}

void report_list_add(report_list_t *list, const wire_message_t *page) {
  for (uint32_t i = 0; i < page->element_count; i++) {
    const wire_element_t *row = &page->elements[i];
    char name[ID_TEXT_BYTES(VESTA_ELEMENT_ID_BYTES_MAX)];
    id_text_format(row->id, name);
    json_t *retention = row->expiry_ns == VESTA_TIME_END ? json_null() : json_real((double)row->expiry_ns / 1e9);
    bool here = row->epoch != 0; /* else its replicas are on other nodes, which alone know what is in it */
    json_t *object = json_pack("{s:I, s:s, s:o, s:o, s:I, s:o, s:o, s:s, s:b, s:b, s:o}", "id", (json_int_t)row->member,
                               "name", name, "sections", report_number_if(here, row->count), "bytes",
                               report_number_if(here, row->offset), "opened", (json_int_t)row->index, "epoch",
                               report_number_if(here, row->epoch), "seq", report_number_if(here, row->seq), "mode",
                               report_mode(row->slot), "collocated", (row->slot & VESTA_CREATE_COLLOCATED) != 0,
                               "unlinked", row->kind == VESTA_KIND_UNLINKED, "retention_s", retention);
    (void)json_array_append_new(list->rows, object);
  }
}

void report_list_add_load(report_list_t *list, size_t *at, const wire_message_t *page) {
  for (uint32_t i = 0; i < page->element_count; i++) {
    const wire_element_t *load = &page->elements[i];
    while (*at < json_array_size(list->rows) &&
           report_number(json_array_get(list->rows, *at), "id") < (json_int_t)load->member) {
      (*at)++;
    }
    json_t *row = json_array_get(list->rows, *at);
    if (row != NULL && report_number(row, "id") == (json_int_t)load->member) { /* else it is newer than the list */
      (void)json_object_set_new(row, "written_bytes", json_integer((json_int_t)load->offset));
      (void)json_object_set_new(row, "members", json_integer((json_int_t)load->index));
      (void)json_object_set_new(row, "streams", json_integer((json_int_t)load->count));
      (void)json_object_set_new(row, "lag", json_integer((json_int_t)load->slot));
    }
  }
}

json_t *report_list_rows(const report_list_t *list) { return list->rows; }

json_t *report_list_find(const report_list_t *list, vesta_bytes_t name) {
  char text[ID_TEXT_BYTES(VESTA_NAME_BYTES_MAX)];
  size_t index;
  json_t *row;
  id_text_format(name, text);
  json_array_foreach(list->rows, index, row) {
    if (!json_is_true(json_object_get(row, "unlinked")) &&
        strcmp(json_string_value(json_object_get(row, "name")), text) == 0) {
      return row;
    }
  }
  return NULL;
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
    char position[48] = "-";
    char retention[48] = "ever";
    const json_t *seconds = json_object_get(row, "retention_s");
    char sections[REPORT_NUMBER_BYTES], bytes[REPORT_NUMBER_BYTES];
    if (json_is_integer(json_object_get(row, "epoch"))) {
      (void)snprintf(position, sizeof position, "%" JSON_INTEGER_FORMAT ".%" JSON_INTEGER_FORMAT,
                     report_number(row, "epoch"), report_number(row, "seq"));
    }
    if (json_is_real(seconds)) {
      (void)snprintf(retention, sizeof retention, "%.3f", json_real_value(seconds));
    }
    (void)printf("%5" JSON_INTEGER_FORMAT " %9s %12s %6" JSON_INTEGER_FORMAT " %12s %12s  %-6s  %s%s\n",
                 report_number(row, "id"), report_number_text(row, "sections", sections),
                 report_number_text(row, "bytes", bytes), report_number(row, "opened"), position, retention,
                 json_string_value(json_object_get(row, "mode")), json_string_value(json_object_get(row, "name")),
                 json_is_true(json_object_get(row, "unlinked")) ? " (unlinked)" : "");
  }
}
