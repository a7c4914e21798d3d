/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The sequence proof of test/system/stream_chaos_test.c, and that of guest_chaos_test.c, over more seeds and for longer.
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

static void chaos_run(stream_chaos_way_t way, unsigned seeds) {
  const char *own = getenv("VESTA_TEST_SEED");
  unsigned first = own != NULL ? (unsigned)strtoul(own, NULL, 10) : 1000;
  for (unsigned seed = first; seed < first + (own != NULL ? 1 : seeds); seed++) {
    stream_chaos_run(&(stream_chaos_plan_t){.seed = seed, .way = way, .actions = ACTIONS, .pause_ms = PAUSE_MS});
  }
}

static void for_minutes_a_subscriber_sees_the_committed_order_or_is_told_where_it_does_not(void **state) {
  (void)state;
  chaos_run(STREAM_CHAOS_LOCAL, SEEDS);
}

static void so_does_a_guest(void **state) {
  (void)state;
  chaos_run(STREAM_CHAOS_TCP_KEYS, SEEDS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(for_minutes_a_subscriber_sees_the_committed_order_or_is_told_where_it_does_not),
      cmocka_unit_test(so_does_a_guest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
