/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Streams of large checkpoints under load; test/large/stream_scale_large_test.c does the same at the limits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/support/stream_scale.h"

static void a_snapshot_under_full_load_ends_and_stops_no_writer(void **state) {
  (void)state;
  stream_scale_snapshot(20000);
}

static void forty_subscribers_that_come_back_at_once_do_not_stop_the_writers(void **state) {
  (void)state;
  stream_scale_crowd(40, 4000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_snapshot_under_full_load_ends_and_stops_no_writer),
      cmocka_unit_test(forty_subscribers_that_come_back_at_once_do_not_stop_the_writers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
