/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Long messages of the group: cut, and put together again.
 */
#include "daemon/group_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t part[VESTA_GROUP_PART_BYTES];
static uint8_t message[VESTA_FRAME_HEAD_BYTES_MAX];

static int begin(void **state) {
  for (size_t i = 0; i < sizeof message; i++) {
    message[i] = (uint8_t)(i * 7 + i / 251);
  }
  *state = group_parts_new();
  return *state == NULL;
}

static int end(void **state) {
  group_parts_t *parts = *state;
  group_parts_destroy(&parts);
  return 0;
}

/* One part of `message`, as its sender would cut it. */
static vesta_err_t take(group_parts_t *parts, uint32_t node, uint32_t size, uint32_t offset, vesta_bytes_t *out) {
  uint32_t count = size - offset < GROUP_PART_BYTES_MAX ? size - offset : GROUP_PART_BYTES_MAX;
  group_part_head(part, size, offset);
  memcpy(part + GROUP_PART_HEAD_BYTES, message + offset, count);
  return group_parts_take(parts, node, 1, vesta_bytes(part, GROUP_PART_HEAD_BYTES + count), out);
}

static void a_message_of_one_part_is_taken_whole_and_one_byte_more_makes_two(void **state) {
  vesta_bytes_t got;
  assert_int_equal(take(*state, 1, GROUP_PART_BYTES_MAX, 0, &got), VESTA_OK);
  assert_int_equal(got.size, GROUP_PART_BYTES_MAX);
  assert_memory_equal(got.data, message, got.size);
  assert_int_equal(take(*state, 1, GROUP_PART_BYTES_MAX + 1, 0, &got), VESTA_OK);
  assert_int_equal(got.size, 0);
  assert_int_equal(take(*state, 1, GROUP_PART_BYTES_MAX + 1, GROUP_PART_BYTES_MAX, &got), VESTA_OK);
  assert_int_equal(got.size, GROUP_PART_BYTES_MAX + 1);
  assert_memory_equal(got.data, message, got.size);
}

static void the_longest_messages_of_two_senders_may_come_between_each_other(void **state) {
  vesta_bytes_t got;
  for (uint32_t offset = 0; offset < sizeof message; offset += GROUP_PART_BYTES_MAX) {
    bool last = sizeof message - offset <= GROUP_PART_BYTES_MAX;
    for (uint32_t node = 1; node <= 2; node++) {
      assert_int_equal(take(*state, node, sizeof message, offset, &got), VESTA_OK);
      assert_int_equal(got.size, last ? sizeof message : 0);
    }
  }
  assert_memory_equal(got.data, message, sizeof message);
}

static void parts_whose_beginning_was_not_seen_are_ignored(void **state) {
  vesta_bytes_t got;
  assert_int_equal(take(*state, 1, 200000, GROUP_PART_BYTES_MAX, &got), VESTA_OK);
  assert_int_equal(got.size, 0);
  assert_int_equal(take(*state, 1, 100, 0, &got), VESTA_OK);
  assert_int_equal(got.size, 100);
}

static void what_a_view_left_unfinished_stays_so(void **state) {
  vesta_bytes_t got;
  assert_int_equal(take(*state, 1, 100000, 0, &got), VESTA_OK);
  group_parts_clear(*state);
  assert_int_equal(take(*state, 1, 100000, GROUP_PART_BYTES_MAX, &got), VESTA_OK);
  assert_int_equal(got.size, 0);
}

static void a_message_that_begins_anew_takes_the_place_of_the_unfinished_one(void **state) {
  vesta_bytes_t got;
  assert_int_equal(take(*state, 1, 100000, 0, &got), VESTA_OK);
  assert_int_equal(take(*state, 1, 100001, 0, &got), VESTA_OK);
  assert_int_equal(take(*state, 1, 100001, GROUP_PART_BYTES_MAX, &got), VESTA_OK);
  assert_int_equal(got.size, 100001);
}

static void what_is_no_part_is_malformed(void **state) {
  vesta_bytes_t got;
  group_part_head(part, 10, 0);
  assert_int_equal(group_parts_take(*state, 1, 1, vesta_bytes(part, GROUP_PART_HEAD_BYTES), &got), VESTA_ERR_MALFORMED);
  assert_int_equal(group_parts_take(*state, 1, 1, vesta_bytes(part, 3), &got), VESTA_ERR_MALFORMED);
  assert_int_equal(group_parts_take(*state, 1, 1, vesta_bytes(part, GROUP_PART_HEAD_BYTES + 11), &got),
                   VESTA_ERR_MALFORMED);
  group_part_head(part, 10, 10);
  assert_int_equal(group_parts_take(*state, 1, 1, vesta_bytes(part, GROUP_PART_HEAD_BYTES + 1), &got),
                   VESTA_ERR_MALFORMED);
  group_part_head(part, VESTA_FRAME_HEAD_BYTES_MAX + 1, 0);
  assert_int_equal(group_parts_take(*state, 1, 1, vesta_bytes(part, 100), &got), VESTA_ERR_MALFORMED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_message_of_one_part_is_taken_whole_and_one_byte_more_makes_two, begin, end),
      cmocka_unit_test_setup_teardown(the_longest_messages_of_two_senders_may_come_between_each_other, begin, end),
      cmocka_unit_test_setup_teardown(parts_whose_beginning_was_not_seen_are_ignored, begin, end),
      cmocka_unit_test_setup_teardown(what_a_view_left_unfinished_stays_so, begin, end),
      cmocka_unit_test_setup_teardown(a_message_that_begins_anew_takes_the_place_of_the_unfinished_one, begin, end),
      cmocka_unit_test_setup_teardown(what_is_no_part_is_malformed, begin, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
