/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The error codes have names and words, and a fault of ours ends the process.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/error.h"

static void every_error_has_a_name_and_words(void **state) {
  (void)state;
#define ERROR_NAMED(name, number, text)                              \
  assert_string_equal(vesta_err_name((vesta_err_t)(number)), #name); \
  assert_string_equal(vesta_err_text((vesta_err_t)(number)), text);
  VESTA_ERRORS(ERROR_NAMED)
  assert_string_equal(vesta_err_name((vesta_err_t)255), "UNKNOWN");
  assert_string_equal(vesta_err_text((vesta_err_t)255), "unknown error");
}

static void a_fault_of_ours_ends_the_process(void **state) {
  (void)state;
  VESTA_ASSERT(state != NULL || state == NULL);
  pid_t child = fork();
  if (child == 0) {
    (void)signal(SIGABRT, SIG_DFL); /* cmocka takes it for itself */
    (void)close(STDERR_FILENO);
    VESTA_ASSERT(child != 0);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_error_has_a_name_and_words),
      cmocka_unit_test(a_fault_of_ours_ends_the_process),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
