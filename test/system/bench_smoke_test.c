/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bench runs and says all that it is to say. What it measures is not looked at: time is never a test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LAST_WORDS_BYTES 800U /* cmocka prints about so much: what went wrong is said at the end */

static char output[1 << 16];

static int bench(const char *arguments) {
  char command[512];
  (void)snprintf(command, sizeof command, "%s/vesta_bench %s 2>&1", getenv("VESTA_TEST_BIN_DIR"), arguments);
  FILE *stream = popen(command, "re");
  assert_non_null(stream);
  output[fread(output, 1, sizeof output - 1, stream)] = '\0';
  int status = pclose(stream);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* "target NAME value=X limit=Y ok|short", a whole line. */
static void assert_target(const char *name) {
  char start[128];
  char verdict[16];
  double value = 0;
  double limit = 0;
  (void)snprintf(start, sizeof start, "\ntarget %s ", name);
  const char *line = strstr(output, start);
  if (line == NULL || sscanf(line + strlen(start), "value=%lf limit=%lf %15s\n", &value, &limit, verdict) != 3) {
    fail_msg("no target %s in:\n%s", name, output);
  }
  assert_true(strcmp(verdict, "ok") == 0 || strcmp(verdict, "short") == 0);
}

static void it_says_each_target_and_writes_its_results(void **state) {
  (void)state;
  static const char *const targets[] = {"overwrite_100B_p50_over_echo",
                                        "read_1KB_p50_us",
                                        "change_100B_p50_over_floor",
                                        "async_100B_over_publish",
                                        "async_64KB_over_publish",
                                        "resync_of_1000_changed_100000_over_1000_sections",
                                        "failover_p50_ms",
                                        "failover_100000_over_100_sections",
                                        "memory_over_payload",
                                        "overwrite_p50_9999_idle_over_none"};
  char directory[] = "/tmp/vesta-bench-test-XXXXXX";
  char command[128];
  assert_non_null(mkdtemp(directory));
  (void)snprintf(command, sizeof command, "--quick --output %s", directory);
  if (bench(command) != 0) {
    size_t size = strlen(output);
    fail_msg("%s", output + (size > LAST_WORDS_BYTES ? size - LAST_WORDS_BYTES : 0));
  }
  for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
    assert_target(targets[i]);
  }
  (void)snprintf(command, sizeof command, "%s/bench.json", directory);
  assert_int_equal(access(command, R_OK), 0);
  (void)snprintf(command, sizeof command, "rm -r %s", directory);
  assert_int_equal(system(command), 0); // NOLINT: a path of our own
}

static void a_mistake_in_the_options_is_exit_code_2(void **state) {
  (void)state;
  assert_int_equal(bench("--bogus"), 2);
  assert_int_equal(bench("--only bogus"), 2);
  assert_int_equal(bench("more"), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_says_each_target_and_writes_its_results),
      cmocka_unit_test(a_mistake_in_the_options_is_exit_code_2),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
