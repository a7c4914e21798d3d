/* SPDX-License-Identifier: BSD-2-Clause
 *
 * doc/OPERATIONS.md and the man pages name everything that the programs have: options, log lines, counters.
 */
#include <ctype.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/log.h"
#include "test/support/raw_link.h"
#include "test/support/vestad_process.h"

#define DOCUMENT_BYTES (1U << 17)

static char operations[DOCUMENT_BYTES];
static char manual[DOCUMENT_BYTES];

static void file_read(const char *name, char *to) {
  char path[1024];
  const char *top = getenv("VESTA_TEST_SOURCE_DIR");
  assert_non_null(top);
  (void)snprintf(path, sizeof path, "%s/%s", top, name);
  FILE *file = fopen(path, "re");
  assert_non_null(file);
  to[fread(to, 1, DOCUMENT_BYTES - 1, file)] = '\0';
  (void)fclose(file);
}

static int documents_read(void **state) {
  (void)state;
  file_read("doc/OPERATIONS.md", operations);
  file_read("doc/man/vestad.8", manual);
  for (char *at = manual; (at = strstr(at, "\\-")) != NULL;) { /* roff's way to write a minus */
    memmove(at, at + 1, strlen(at));
  }
  return 0;
}

/* Is `word` there, and not just as a part of a longer one? */
static bool document_names(const char *document, const char *word) {
  size_t size = strlen(word);
  for (const char *at = document; (at = strstr(at, word)) != NULL; at++) {
    bool begins = at == document || (!isalnum((unsigned char)at[-1]) && at[-1] != '_');
    bool ends = !isalnum((unsigned char)at[size]) && at[size] != '_' && at[size] != '-';
    if (begins && ends) {
      return true;
    }
  }
  return false;
}

static void every_log_line_is_documented(void **state) {
  (void)state;
  static const char *const ids[] = {
#define LOG_EVENT_NAME(name, level, id) id,
      LOG_EVENTS(LOG_EVENT_NAME)
#undef LOG_EVENT_NAME
  };
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    if (!document_names(operations, ids[i])) {
      fail_msg("%s is not in doc/OPERATIONS.md", ids[i]);
    }
  }
}

static void every_counter_is_documented(void **state) {
  (void)state;
  vestad_place_t place;
  raw_link_t link;
  char text[RAW_INFO_BYTES];
  vestad_place_make(&place);
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(&link, place.socket));
  assert_true(raw_link_info(&link, text));
  raw_link_close(&link);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
  vestad_place_remove(&place);
  size_t count = 0;
  for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    *strchr(line, '=') = '\0';
    count++;
    if (!document_names(operations, line)) {
      fail_msg("%s is not in doc/OPERATIONS.md", line);
    }
  }
  assert_true(count > 40);
}

static void every_option_is_documented(void **state) {
  (void)state;
  char command[1024];
  char line[256];
  size_t count = 0;
  (void)snprintf(command, sizeof command, "%s --help", getenv("VESTA_VESTAD"));
  FILE *help = popen(command, "re");
  assert_non_null(help);
  while (fgets(line, sizeof line, help) != NULL) {
    char option[64];
    char variable[64];
    if (sscanf(line, " %63[a-z-]", option) == 1 && strncmp(option, "--", 2) == 0) {
      count++;
      if (!document_names(operations, option) || !document_names(manual, option)) {
        fail_msg("%s is not in doc/OPERATIONS.md and doc/man/vestad.8", option);
      }
    }
    const char *environment = strstr(line, " $VESTA_");
    if (environment != NULL && sscanf(environment, " $%63[A-Z_]", variable) == 1 &&
        (!document_names(operations, variable) || !document_names(manual, variable))) {
      fail_msg("%s is not in doc/OPERATIONS.md and doc/man/vestad.8", variable);
    }
  }
  assert_int_equal(pclose(help), 0);
  assert_true(count > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_log_line_is_documented),
      cmocka_unit_test(every_counter_is_documented),
      cmocka_unit_test(every_option_is_documented),
  };
  return cmocka_run_group_tests(tests, documents_read, NULL);
}
