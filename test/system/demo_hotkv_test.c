/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The demo of samples/hotkv, in small and without redis-tools: what it says at the end, and that it leaves nothing
 * behind, however it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/demo_process.h"

#define DEMO "vesta_demo_hotkv"

static void two_actives_are_killed_under_load_and_nothing_acknowledged_is_lost(void **state) {
  (void)state;
  unsigned long acknowledged;
  double outage_ms;
  int end = 0;
  demo_process_t demo = demo_process_start(DEMO, "--plain --keys 800 --seconds 0.3 --outage-limit-ms 10000");
  int status = demo_process_end(&demo);
  int fields =
      sscanf(demo.last_line, "hotkv: ok acknowledged=%lu lost=0 outage_ms=%lf\n%n", &acknowledged, &outage_ms, &end);
  if (fields != 2 || status != 0) {
    fail_msg("status %d: %s", status, demo.last_line);
  }
  assert_int_equal(end, strlen(demo.last_line));
  assert_true(acknowledged > 800);
  assert_true(outage_ms > 0);
  demo_process_assert_nothing_left(&demo);
}

static void an_outage_beyond_the_limit_is_a_failure(void **state) {
  (void)state;
  demo_process_t demo = demo_process_start(DEMO, "--plain --keys 80 --seconds 0.1 --outage-limit-ms 0");
  assert_int_equal(demo_process_end(&demo), 1);
  assert_non_null(strstr(demo.last_line, "hotkv: FAILED acknowledged="));
  demo_process_assert_nothing_left(&demo);
}

static void interrupted_it_fails_and_leaves_nothing_behind(void **state) {
  (void)state;
  demo_process_t demo = demo_process_start(DEMO, "--plain --keys 800 --seconds 30");
  demo_process_interrupt(&demo, "no service");
}

static void a_mistake_in_the_options_is_exit_code_2(void **state) {
  (void)state;
  const char *const mistakes[] = {"--keys 3", "--keys 80001", "--keys many", "--seconds 0", "--bogus", "more"};
  demo_process_assert_mistakes(DEMO, mistakes, sizeof mistakes / sizeof mistakes[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_actives_are_killed_under_load_and_nothing_acknowledged_is_lost),
      cmocka_unit_test(an_outage_beyond_the_limit_is_a_failure),
      cmocka_unit_test(interrupted_it_fails_and_leaves_nothing_behind),
      cmocka_unit_test(a_mistake_in_the_options_is_exit_code_2),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
