/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See users_report.h.
 */
#include "cli/users_report.h"

#include <stdio.h>
#include <string.h>

#include "cli/report.h"

static const char *const lists[] = {[WIRE_USERS_HANDLES] = "openers",
                                    [WIRE_USERS_MEMBERS] = "members",
                                    [WIRE_USERS_STREAMS] = "streams",
                                    [WIRE_USERS_REPLICAS] = "replicas"};

json_t *users_report_new(void) {
  return json_pack("{s:[], s:[], s:[], s:[]}", lists[WIRE_USERS_REPLICAS], lists[WIRE_USERS_HANDLES],
                   lists[WIRE_USERS_MEMBERS], lists[WIRE_USERS_STREAMS]);
}

/* ---- rows ---- */

/* How far it is, and when it said so; all null when it has not. */
static void row_set_standing(json_t *object, const wire_message_t *row) {
  bool told = (row->state & (WIRE_USER_TOLD | WIRE_USER_ACTIVE)) == WIRE_USER_TOLD; /* the active follows nobody */
  (void)json_object_set_new(object, "position", json_null());
  if (told) {
    report_set_position(object, "position", wire_pos(row));
  }
  (void)json_object_set_new(object, "lag", told ? json_integer((json_int_t)row->size) : json_null());
  (void)json_object_set_new(object, "told_ms", told ? json_integer(row->time_ns / 1000000) : json_null());
}

static const char *row_replica_state(uint64_t state) {
  if ((state & WIRE_USER_PRIMARY) != 0) {
    return "primary";
  }
  if ((state & WIRE_USER_IN_SYNC) != 0) {
    return "in-sync";
  }
  return (state & WIRE_USER_LISTED) != 0 ? "follower" : "leaving";
}

static json_t *row_replica(const wire_message_t *row) {
  bool told = (row->state & WIRE_USER_TOLD) != 0;
  /* Else only that node knows what is in it. */
  bool here = (row->checkpoint_bytes != 0 || row->sections_max != 0) && row->epoch != 0;
  json_t *object = json_pack("{s:I, s:b, s:s, s:b, s:b}", "node", (json_int_t)row->node, "active",
                             (row->state & WIRE_USER_ACTIVE) != 0, "state", row_replica_state(row->state), "away",
                             (row->state & WIRE_USER_AWAY) != 0, "diverged", (row->state & WIRE_USER_DIVERGED) != 0);
  (void)json_object_set_new(object, "position", json_null());
  if (row->epoch != 0) {
    report_set_position(object, "position", wire_pos(row));
  }
  (void)json_object_set_new(object, "lag", told ? json_integer((json_int_t)row->offset) : json_null());
  (void)json_object_set_new(object, "sections", here ? json_integer((json_int_t)row->count) : json_null());
  (void)json_object_set_new(object, "bytes", here ? json_integer((json_int_t)row->size) : json_null());
  return object;
}

static json_t *row_opener(const wire_message_t *row) {
  json_t *object = json_pack("{s:I, s:I, s:I, s:I}", "handle", (json_int_t)row->handle, "node", (json_int_t)row->node,
                             "pid", (json_int_t)row->pid, "uid", (json_int_t)row->uid);
  report_set_id(object, "program", row->text.data, row->text.size);
  json_t *more = json_pack("{s:b, s:b, s:b}", "read", (row->flags & VESTA_OPEN_READ) != 0, "write",
                           (row->flags & VESTA_OPEN_WRITE) != 0, "connected", (row->state & WIRE_USER_CONNECTED) != 0);
  (void)json_object_update(object, more);
  json_decref(more);
  return object;
}

static const char *row_role(uint64_t state) {
  if ((state & WIRE_USER_ACTIVE) != 0) {
    return "active";
  }
  return (state & WIRE_USER_PROMOTING) != 0 ? "promoting" : "standby";
}

static json_t *row_member(const wire_message_t *row) {
  bool active = (row->state & WIRE_USER_ACTIVE) != 0;
  json_t *object = json_pack("{s:I}", "member", (json_int_t)row->member);
  report_set_id(object, "name", row->text.data, row->text.size);
  json_t *more = json_pack("{s:I, s:s, s:I, s:b, s:b, s:b, s:I, s:b}", "handle", (json_int_t)row->handle, "role",
                           row_role(row->state), "priority", (json_int_t)row->priority, "fence",
                           (row->flags & WIRE_JOIN_FENCE) != 0, "manual", (row->flags & WIRE_JOIN_MANUAL) != 0,
                           "require_synced", (row->flags & WIRE_JOIN_REQUIRE_SYNCED) != 0, "promote_timeout_ms",
                           (json_int_t)(row->timeout_ns / 1000000), "synced",
                           active ? json_null() : json_boolean((row->state & WIRE_USER_SYNCED) != 0));
  (void)json_object_update(object, more);
  json_decref(more);
  row_set_standing(object, row);
  return object;
}

static json_t *row_stream(const wire_message_t *row) {
  json_t *object = json_pack("{s:I, s:I}", "stream", (json_int_t)row->member, "handle", (json_int_t)row->handle);
  row_set_standing(object, row);
  return object;
}

void users_report_add(json_t *users, uint64_t which, const wire_message_t *row) {
  static json_t *(*const makers[])(const wire_message_t *) = {[WIRE_USERS_HANDLES] = row_opener,
                                                              [WIRE_USERS_MEMBERS] = row_member,
                                                              [WIRE_USERS_STREAMS] = row_stream,
                                                              [WIRE_USERS_REPLICAS] = row_replica};
  (void)json_array_append_new(json_object_get(users, lists[which]), makers[which](row));
}

/* ---- joining ---- */

/* Openers are in the order of their handles. */
static const json_t *opener_find(const json_t *openers, json_int_t handle) {
  size_t begin = 0;
  size_t end = json_array_size(openers);
  while (begin < end) {
    size_t middle = begin + (end - begin) / 2;
    if (report_number(json_array_get(openers, middle), "handle") < handle) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  const json_t *found = json_array_get(openers, begin);
  return found != NULL && report_number(found, "handle") == handle ? found : NULL;
}

void users_report_join(json_t *users) {
  static const char *const copied[] = {"node", "pid", "program", "connected"};
  const json_t *openers = json_object_get(users, lists[WIRE_USERS_HANDLES]);
  for (uint64_t which = WIRE_USERS_MEMBERS; which <= WIRE_USERS_STREAMS; which++) {
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(users, lists[which]), index, row) {
      const json_t *opener = opener_find(openers, report_number(row, "handle")); /* NULL: it came later than the list */
      for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
        json_t *value = opener == NULL ? NULL : json_object_get(opener, copied[i]);
        (void)json_object_set(row, copied[i], value == NULL ? json_null() : value);
      }
    }
  }
}

/* ---- tables ---- */

/* A value of a row as a word; `none` stands for null. */
static const char *word(const json_t *row, const char *key, const char *none, char text[32]) {
  const json_t *value = json_object_get(row, key);
  if (json_is_string(value)) {
    return json_string_value(value);
  }
  if (json_is_boolean(value)) {
    return json_is_true(value) ? "yes" : "no";
  }
  if (!json_is_integer(value)) {
    return none;
  }
  (void)snprintf(text, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
  return text;
}

typedef struct column {
  const char *key;
  const char *head;
  int width; /* negative: to the left; 0: the last one */
} column_t;

static void table_print(const json_t *users, uint64_t which, const column_t *columns, size_t count) {
  const json_t *rows = json_object_get(users, lists[which]);
  if (json_array_size(rows) == 0) {
    return;
  }
  (void)printf("\n%s\n", lists[which]);
  for (size_t c = 0; c < count; c++) {
    (void)printf("%*s%s", columns[c].width, columns[c].head, c + 1 < count ? "  " : "\n");
  }
  for (size_t i = 0; i < json_array_size(rows); i++) {
    char text[32];
    for (size_t c = 0; c < count; c++) {
      const char *value = word(json_array_get(rows, i), columns[c].key, "-", text);
      (void)printf("%*s%s", columns[c].width, value, c + 1 < count ? "  " : "\n");
    }
  }
}

void users_report_print(const json_t *users) {
  static const column_t replicas[] = {{"node", "NODE", 5},    {"active", "ACTIVE", 6},    {"state", "STATE", -8},
                                      {"away", "AWAY", 4},    {"lag", "LAG", 10},         {"sections", "SECTIONS", 8},
                                      {"bytes", "BYTES", 12}, {"position", "POSITION", 0}};
  static const column_t openers[] = {{"handle", "HANDLE", 6},
                                     {"node", "NODE", 5},
                                     {"pid", "PID", 8},
                                     {"uid", "UID", 6},
                                     {"read", "READ", 4},
                                     {"write", "WRITE", 5},
                                     {"connected", "CONNECTED", 9},
                                     {"program", "PROGRAM", 0}};
  static const column_t members[] = {{"member", "MEMBER", 6},     {"role", "ROLE", -9}, {"priority", "PRIORITY", 8},
                                     {"synced", "SYNCED", 6},     {"lag", "LAG", 10},   {"told_ms", "TOLD_MS", 8},
                                     {"node", "NODE", 5},         {"pid", "PID", 8},    {"connected", "CONNECTED", 9},
                                     {"program", "PROGRAM", -16}, {"name", "NAME", 0}};
  static const column_t streams[] = {
      {"node", "NODE", 5},           {"pid", "PID", 8},        {"lag", "LAG", 10}, {"told_ms", "TOLD_MS", 8},
      {"position", "POSITION", -32}, {"program", "PROGRAM", 0}};
#define TABLE(which, columns) table_print(users, which, columns, sizeof(columns) / sizeof(columns)[0])
  TABLE(WIRE_USERS_REPLICAS, replicas);
  TABLE(WIRE_USERS_HANDLES, openers);
  TABLE(WIRE_USERS_MEMBERS, members);
  TABLE(WIRE_USERS_STREAMS, streams);
#undef TABLE
}
