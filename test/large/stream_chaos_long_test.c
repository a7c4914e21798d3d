/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The sequence proof of test/system/stream_chaos_test.c, over more seeds and for longer.
 * VESTA_TEST_SEED runs one seed of one's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test/support/stream_chaos.h"

enum { SEEDS = 12, ACTIONS = 250, PAUSE_MS = 100 };

static void for_minutes_a_subscriber_sees_the_committed_order_or_is_told_where_it_does_not(void **state) {
  (void)state;
  const char *own = getenv("VESTA_TEST_SEED");
  unsigned first = own != NULL ? (unsigned)strtoul(own, NULL, 10) : 1000;
  for (unsigned seed = first; seed < first + (own != NULL ? 1 : SEEDS); seed++) {
    stream_chaos_run(&(stream_chaos_plan_t){.seed = seed, .actions = ACTIONS, .pause_ms = PAUSE_MS});
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(for_minutes_a_subscriber_sees_the_committed_order_or_is_told_where_it_does_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
