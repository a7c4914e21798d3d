/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program that was linked against OpenSAF's libSaCkpt.so.1 runs on ours: the same binary, by LD_LIBRARY_PATH alone.
 * The program is test/dropin/dropin.c; what it was linked against is the stub beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "test/support/daemon_fixture.h"

#define COMMAND_BYTES 4096

/* The exit status of the program with libraries looked for in this directory. */
static int dropin_run(const char *library_dir) {
  char command[COMMAND_BYTES];
  (void)snprintf(command, sizeof command, "LD_LIBRARY_PATH=%s exec %s/dropin", library_dir,
                 getenv("VESTA_TEST_DROPIN_DIR"));
  int status = system(command);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void the_program_does_not_know_our_library(void **state) {
  (void)state;
  char command[COMMAND_BYTES];
  char line[256];
  unsigned calls = 0;
  (void)snprintf(command, sizeof command, "nm -D --undefined-only %s/dropin", getenv("VESTA_TEST_DROPIN_DIR"));
  FILE *symbols = popen(command, "re");
  assert_non_null(symbols);
  while (fgets(line, sizeof line, symbols) != NULL) {
    bool of_service = strstr(line, " saCkpt") != NULL || strstr(line, " saAis") != NULL || strstr(line, " ncs") != NULL;
    assert_true(!of_service || strchr(line, '@') == NULL); /* without a version */
    calls += of_service;
  }
  assert_int_equal(pclose(symbols), 0);
  assert_int_equal(calls, 24 + 6 + 3); /* all there are */
  assert_int_equal(dropin_run(getenv("VESTA_TEST_DROPIN_DIR")), 2);
}

static void a_binary_linked_against_another_libSaCkpt_runs_on_ours(void **state) {
  (void)state;
  assert_int_equal(dropin_run(getenv("VESTA_TEST_LIB_DIR")), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_program_does_not_know_our_library),
      cmocka_unit_test(a_binary_linked_against_another_libSaCkpt_runs_on_ours),
  };
  return cmocka_run_group_tests(tests, daemon_of_test_open, daemon_of_test_close);
}
