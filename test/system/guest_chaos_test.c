/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The sequence proof of stream_chaos_test.c for subscribers over TCP, with the network between them and the service at
 * fault as well. VESTA_TEST_SEED runs one seed of one's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test/support/stream_chaos.h"

enum { SEEDS = 2, ACTIONS = 40, PAUSE_MS = 100 };

static void chaos_run(stream_chaos_way_t way) {
  const char *own = getenv("VESTA_TEST_SEED");
  unsigned first = own != NULL ? (unsigned)strtoul(own, NULL, 10) : 1;
  for (unsigned seed = first; seed < first + (own != NULL ? 1 : SEEDS); seed++) {
    stream_chaos_run(&(stream_chaos_plan_t){.seed = seed, .way = way, .actions = ACTIONS, .pause_ms = PAUSE_MS});
  }
}

static void whatever_happens_a_guest_sees_the_committed_order_or_is_told_where_it_does_not(void **state) {
  (void)state;
  chaos_run(STREAM_CHAOS_TCP);
}

static void so_does_a_guest_with_keys(void **state) {
  (void)state;
  chaos_run(STREAM_CHAOS_TCP_KEYS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whatever_happens_a_guest_sees_the_committed_order_or_is_told_where_it_does_not),
      cmocka_unit_test(so_does_a_guest_with_keys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
