/* SPDX-License-Identifier: BSD-2-Clause
 *
 * doc/LIMITS.md says what core/limits.h says: every limit is there, in the order of the header, with its value; the
 * counters it names are in doc/OPERATIONS.md; the tests it names exist. Who adds a limit adds it to LIMITS here and a
 * row there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/limits.h"

#define TEXT_BYTES_MAX (1U << 20)
#define LINE_BYTES 1024
#define PATH_BYTES 4096

/* clang-format off */
#define LIMITS(X) \
  X(VESTA_NAME_BYTES_MAX) \
  X(VESTA_SECTION_ID_BYTES_MAX) \
  X(VESTA_SECTION_BYTES_MAX) \
  X(VESTA_SECTIONS_MAX) \
  X(VESTA_CHECKPOINTS_MAX) \
  X(VESTA_VECTOR_ELEMENTS_MAX) \
  X(VESTA_OPERATION_BYTES_MAX) \
  X(VESTA_NODES_MAX) \
  X(VESTA_PROPOSALS_MAX) \
  X(VESTA_PROPOSALS_BYTES_MAX) \
  X(VESTA_UNSTABLE_MAX) \
  X(VESTA_ORDER_HISTORY_MAX) \
  X(VESTA_ORDER_HISTORY_BYTES_MAX) \
  X(VESTA_DIRECTORY_BYTES_MAX) \
  X(VESTA_REPLICAS_MAX) \
  X(VESTA_GROUP_MEMBERS_MAX) \
  X(VESTA_MEMBER_NAME_BYTES_MAX) \
  X(VESTA_PROGRAM_BYTES_MAX) \
  X(VESTA_WRITER_BYTES_MAX) \
  X(VESTA_LOG_BYTES_MIN) \
  X(VESTA_LOG_BYTES_HISTORY) \
  X(VESTA_TOMBSTONES_MAX) \
  X(VESTA_EPOCHS_MAX) \
  X(VESTA_SESSION_WINDOW) \
  X(VESTA_REPLICA_SESSIONS_MAX) \
  X(VESTA_REGION_BYTES_MAX) \
  X(VESTA_CLIENTS_MAX) \
  X(VESTA_HANDLES_PER_SESSION_MAX) \
  X(VESTA_HANDLES_MAX) \
  X(VESTA_FRAME_HEAD_BYTES_MAX) \
  X(VESTA_FRAME_BYTES_MAX) \
  X(VESTA_LINK_QUEUE_BYTES_MAX) \
  X(VESTA_LINKS_BYTES_MAX) \
  X(VESTA_STAGE_BYTES) \
  X(VESTA_STAGES_BYTES_MAX) \
  X(VESTA_ITERATE_SECTIONS_MAX) \
  X(VESTA_STREAMS_MAX) \
  X(VESTA_APPLIED_WAITS_MAX) \
  X(VESTA_KEPT_REQUESTS_MAX) \
  X(VESTA_KEPT_BYTES_MAX) \
  X(VESTA_DEFERRED_MAX) \
  X(VESTA_DEFERRED_BYTES_MAX) \
  X(VESTA_PEER_TIMEOUT_MS) \
  X(VESTA_SESSION_GRACE_MS) \
  X(VESTA_CLAIM_LIMIT_MS) \
  X(VESTA_REPLICAS_DEFAULT) \
  X(VESTA_GROUP_PART_BYTES) \
  X(VESTA_GROUP_QUEUE_BYTES_MAX) \
  X(VESTA_PEER_QUEUE_BYTES_MAX) \
  X(VESTA_PEER_DOOR_LINKS_MAX) \
  X(VESTA_PEER_ENTRANCE_MAX) \
  X(VESTA_ELEMENT_ID_BYTES_MAX) \
  X(VESTA_PROCESS_HANDLES_MAX) \
  X(VESTA_MAPPED_CHECKPOINTS_MAX) \
  X(VESTA_ASYNC_CALLS_MAX) \
  X(VESTA_CALL_LIMIT_MS) \
  X(VESTA_FINALIZE_LIMIT_MS) \
  X(VESTA_RECONNECT_MS_MAX) \
  X(VESTA_SPAWN_LIMIT_MS) \
  X(VESTA_STREAM_QUEUE_BYTES_MAX) \
  X(VESTA_STREAM_QUEUE_MESSAGES_MAX) \
  X(VESTA_STREAM_CHUNK_BYTES) \
  X(VESTA_STREAM_CHUNK_BYTES_MAX) \
  X(VESTA_STREAM_CHUNK_SLOTS_MAX) \
  X(VESTA_STREAM_PREFIXES_MAX) \
  X(VESTA_STREAM_REQUEST_BYTES_MAX) \
  X(VESTA_STREAM_BATCH_BYTES) \
  X(VESTA_STREAM_ANSWER_BYTES_MAX) \
  X(VESTA_STREAM_WALKS_MAX) \
  X(VESTA_STREAM_WAITING_MAX) \
  X(VESTA_STREAM_TURN_BYTES) \
  X(VESTA_STREAM_PLACE_MS) \
  X(VESTA_STREAM_WAIT_MS) \
  X(VESTA_GUESTS_MAX) \
  X(VESTA_GUEST_LINKS_MAX) \
  X(VESTA_GUEST_QUEUE_BYTES_MAX) \
  X(VESTA_GUEST_SUBSCRIPTIONS_MAX) \
  X(VESTA_GUEST_LEASE_MS) \
  X(VESTA_GUEST_KEYS_MAX) \
  X(VESTA_STREAM_SERVERS_MAX) \
  X(VESTA_STRANGERS_MAX) \
  X(VESTA_SUBSCRIBER_BUFFER_BYTES) \
  X(VESTA_HASHED_CHECKPOINTS_MAX) \
  X(VESTA_HASHES_BYTES_MAX) \
  X(VESTA_HASH_PIECE_BYTES) \
  X(VESTA_HASH_PIECE_BYTES_MAX) \
  X(VESTA_BEACON_PERIOD_MS) \
  X(VESTA_SILENCE_PERIODS) \
  X(VESTA_PROMOTE_TIMEOUT_MS) \
  X(VESTA_HEARTBEAT_MS_MIN)
/* clang-format on */

static const struct {
  const char *name;
  uint64_t value;
} limits[] = {
#define LIMIT_ROW(name) {#name, name},
    LIMITS(LIMIT_ROW)
#undef LIMIT_ROW
};

#define LIMIT_COUNT (sizeof limits / sizeof limits[0])

typedef struct row {
  char cells[5][LINE_BYTES]; /* limit, value, one past it, counter, test */
} row_t;

static row_t rows[LIMIT_COUNT + 1];
static size_t row_count;

/* A file of the source tree; the caller frees it. */
static char *file_read(const char *path) {
  const char *tree = getenv("VESTA_TEST_SOURCE_DIR");
  char whole[PATH_BYTES];
  (void)snprintf(whole, sizeof whole, "%s/%s", tree != NULL ? tree : ".", path);
  FILE *file = fopen(whole, "re");
  char *text = malloc(TEXT_BYTES_MAX);
  if (file == NULL || text == NULL) {
    fail_msg("cannot read %s", whole);
  }
  size_t size = fread(text, 1, TEXT_BYTES_MAX - 1, file);
  text[size] = '\0';
  (void)fclose(file);
  return text;
}

static void row_read(char *line) {
  char *cell = strstr(line, "| ");
  for (size_t i = 0; i < 5; i++) {
    char *end = cell == NULL ? NULL : strstr(cell + 2, " |");
    if (end == NULL || row_count > LIMIT_COUNT) {
      fail_msg("doc/LIMITS.md: no row of five cells: %s", line);
    }
    (void)snprintf(rows[row_count].cells[i], LINE_BYTES, "%.*s", (int)(end - cell - 2), cell + 2);
    cell = end + 1;
  }
  row_count++;
}

static int rows_read(void **state) {
  (void)state;
  char *text = file_read("doc/LIMITS.md");
  row_count = 0;
  for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    if (strncmp(line, "| VESTA_", 8) == 0) {
      row_read(line);
    }
  }
  free(text);
  return 0;
}

/* 1234567 as 1,234,567. */
static void number_print(char *to, size_t size, uint64_t value) {
  char digits[32];
  size_t count = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
  size_t at = 0;
  for (size_t i = 0; i < count && at + 2 < size; i++) {
    if (i > 0 && (count - i) % 3 == 0) {
      to[at++] = ',';
    }
    to[at++] = digits[i];
  }
  to[at] = '\0';
}

static void value_print(char *to, size_t size, const char *name, uint64_t value) {
  static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  char number[48];
  size_t unit = 0;
  if (strstr(name, "_BYTES") == NULL) {
    number_print(number, sizeof number, value);
    (void)snprintf(to, size, "%s%s", number, strstr(name, "_MS") != NULL ? " ms" : "");
    return;
  }
  for (; value >= 1024 && value % 1024 == 0 && unit < 4; unit++) {
    value /= 1024;
  }
  number_print(number, sizeof number, value);
  (void)snprintf(to, size, "%s %s", number, units[unit]);
}

/* ---- tests ---- */

static void every_limit_of_the_header_is_known_here(void **state) {
  (void)state;
  char *text = file_read("core/limits.h");
  size_t found = 0;
  for (char *at = text; (at = strstr(at, "#define VESTA_")) != NULL; at++) {
    char name[LINE_BYTES];
    char after = 0;
    if (sscanf(at, "#define %100[A-Z0-9_]%c", name, &after) != 2 || after != ' ') {
      continue; /* the include guard */
    }
    if (found == LIMIT_COUNT || strcmp(name, limits[found].name) != 0) {
      fail_msg("%s of core/limits.h: add it to LIMITS of limits_doc_test.c and to doc/LIMITS.md, in its place", name);
    }
    found++;
  }
  assert_int_equal(found, LIMIT_COUNT);
  free(text);
}

static void the_page_has_every_limit_with_its_value(void **state) {
  (void)state;
  for (size_t i = 0; i < LIMIT_COUNT; i++) {
    char value[64];
    assert_string_equal(rows[i].cells[0], limits[i].name);
    value_print(value, sizeof value, limits[i].name, limits[i].value);
    assert_string_equal(rows[i].cells[1], value);
  }
  assert_int_equal(row_count, LIMIT_COUNT);
}

static void the_counters_of_the_page_are_those_of_the_daemon(void **state) {
  (void)state;
  char *text = file_read("doc/OPERATIONS.md");
  const char *counters = strstr(text, "## Counters");
  assert_non_null(counters);
  for (size_t i = 0; i < row_count; i++) {
    for (char *name = strtok(rows[i].cells[3], ", "); name != NULL; name = strtok(NULL, ", ")) {
      if (strcmp(name, "-") != 0 && strstr(counters, name) == NULL) {
        fail_msg("%s: there is no counter %s in doc/OPERATIONS.md", rows[i].cells[0], name);
      }
    }
  }
  free(text);
}

/* "folder/file.c: name_of_the_test", or "none: why". */
static void the_tests_of_the_page_exist(void **state) {
  (void)state;
  for (size_t i = 0; i < row_count; i++) {
    char file[LINE_BYTES];
    char name[LINE_BYTES];
    char path[PATH_BYTES];
    char definition[PATH_BYTES];
    if (strncmp(rows[i].cells[4], "none: ", 6) == 0) {
      continue;
    }
    if (sscanf(rows[i].cells[4], "%500[a-z_/.]: %500[a-z_0-9]", file, name) != 2) {
      fail_msg("%s: no test: %s", rows[i].cells[0], rows[i].cells[4]);
    }
    (void)snprintf(path, sizeof path, "test/%s", file);
    (void)snprintf(definition, sizeof definition, "static void %s(", name);
    char *text = file_read(path);
    if (strstr(text, definition) == NULL) {
      fail_msg("%s: %s has no test %s", rows[i].cells[0], path, name);
    }
    free(text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_limit_of_the_header_is_known_here),
      cmocka_unit_test_setup(the_page_has_every_limit_with_its_value, rows_read),
      cmocka_unit_test_setup(the_counters_of_the_page_are_those_of_the_daemon, rows_read),
      cmocka_unit_test_setup(the_tests_of_the_page_exist, rows_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
