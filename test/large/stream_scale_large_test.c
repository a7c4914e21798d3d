/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Streams of large checkpoints under load, at the limits: a million sections, a hundred subscribers at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/limits.h"
#include "test/support/stream_scale.h"

static void a_snapshot_of_a_million_sections_ends_under_full_load(void **state) {
  (void)state;
  stream_scale_snapshot(VESTA_SECTIONS_MAX);
}

static void a_hundred_subscribers_that_come_back_at_once_do_not_stop_the_writers(void **state) {
  (void)state;
  stream_scale_crowd(100, 20000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_snapshot_of_a_million_sections_ends_under_full_load),
      cmocka_unit_test(a_hundred_subscribers_that_come_back_at_once_do_not_stop_the_writers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
