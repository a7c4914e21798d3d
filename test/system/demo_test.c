/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The demo, in small: what it says at the end, and that it leaves nothing behind, however it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/demo_process.h"

#define DEMO "vesta_demo"

static void two_actives_are_killed_and_nothing_is_lost(void **state) {
  (void)state;
  unsigned long acknowledged;
  double failover_ms;
  double iterated_ms;
  int end = 0;
  demo_process_t demo = demo_process_start(DEMO, "--sections 2000 --seconds 0.5");
  int status = demo_process_end(&demo);
  int fields = sscanf(demo.last_line,
                      "demo: ok sections=2000 takeovers=2 acknowledged=%lu lost=0 failover_ms=%lf "
                      "catchup_iterated_ms=%lf\n%n",
                      &acknowledged, &failover_ms, &iterated_ms, &end);
  if (fields != 3 || status != 0) {
    fail_msg("status %d: %s", status, demo.last_line);
  }
  assert_int_equal(end, strlen(demo.last_line));
  assert_true(acknowledged > 2000);
  demo_process_assert_nothing_left(&demo);
}

static void interrupted_it_fails_and_leaves_nothing_behind(void **state) {
  (void)state;
  demo_process_t demo = demo_process_start(DEMO, "--sections 2000 --seconds 30");
  demo_process_interrupt(&demo, "active 1 writes");
}

static void a_mistake_in_the_options_is_exit_code_2(void **state) {
  (void)state;
  const char *const mistakes[] = {"--sections 1", "--sections 1000001", "--sections many", "--seconds 0",
                                  "--size 7",     "--size 4097",        "--bogus",         "more"};
  demo_process_assert_mistakes(DEMO, mistakes, sizeof mistakes / sizeof mistakes[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_actives_are_killed_and_nothing_is_lost),
      cmocka_unit_test(interrupted_it_fails_and_leaves_nothing_behind),
      cmocka_unit_test(a_mistake_in_the_options_is_exit_code_2),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
