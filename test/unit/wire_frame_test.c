/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What stands around a message's head: the prefix on byte streams, the payload, and the pieces that many messages
 * share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/wire.h"

static void a_prefix_within_the_limits_is_accepted_and_one_byte_more_is_not(void **state) {
  (void)state;
  const uint32_t head_max = VESTA_FRAME_HEAD_BYTES_MAX;
  const uint32_t payload_max = VESTA_OPERATION_BYTES_MAX;
  static const uint8_t expected[WIRE_PREFIX_BYTES] = {0x04, 0x03, 0x02, 0x00, 0x08, 0x07, 0x06, 0x05};
  uint8_t prefix[WIRE_PREFIX_BYTES];
  wire_prefix_encode(prefix, 0x00020304, 0x05060708);
  assert_memory_equal(prefix, expected, sizeof prefix);
  const struct {
    uint32_t head, payload;
    vesta_err_t err;
  } cases[] = {
      {1, 0, VESTA_OK},
      {head_max, payload_max, VESTA_OK},
      {0, 0, VESTA_ERR_MALFORMED},
      {0, UINT32_MAX, VESTA_ERR_MALFORMED},
      {head_max + 1, 0, VESTA_ERR_TOO_LARGE},
      {1, payload_max + 1, VESTA_ERR_TOO_LARGE},
      {UINT32_MAX, UINT32_MAX, VESTA_ERR_TOO_LARGE},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint32_t head = 12345;
    uint32_t payload = 12345;
    wire_prefix_encode(prefix, cases[i].head, cases[i].payload);
    assert_int_equal(wire_prefix_decode(prefix, &head, &payload), cases[i].err);
    assert_int_equal(head, cases[i].err == VESTA_OK ? cases[i].head : 12345);
    assert_int_equal(payload, cases[i].err == VESTA_OK ? cases[i].payload : 12345);
  }
}

static void a_payload_is_exactly_the_data_of_the_elements(void **state) {
  (void)state;
  wire_element_t elements[] = {{.size = 100}, {.size = 0}, {.size = 23}};
  wire_message_t message = {.elements = elements, .element_count = 3};
  assert_int_equal(wire_payload_check(&message, 123), VESTA_OK);
  assert_int_equal(wire_payload_check(&message, 122), VESTA_ERR_MALFORMED);
  assert_int_equal(wire_payload_check(&message, 124), VESTA_ERR_MALFORMED);
  elements[0].size = UINT64_MAX; /* sizes whose sum would wrap */
  elements[1].size = 101;
  assert_int_equal(wire_payload_check(&message, 123), VESTA_ERR_MALFORMED);
  message.element_count = 0;
  assert_int_equal(wire_payload_check(&message, 0), VESTA_OK);
  assert_int_equal(wire_payload_check(&message, 1), VESTA_ERR_MALFORMED);
}

static void attributes_token_and_position_pass_through_a_message(void **state) {
  (void)state;
  const vesta_attributes_t attributes = {.creation_flags = 10,
                                         .checkpoint_bytes = UINT64_MAX,
                                         .retention_ns = -5,
                                         .sections_max = 3,
                                         .section_bytes_max = 1ULL << 40,
                                         .section_id_bytes_max = UINT32_MAX};
  wire_message_t message = {.token_hi = 1, .token_lo = 2};
  wire_attributes_set(&message, &attributes);
  const vesta_attributes_t back = wire_attributes(&message);
  assert_int_equal(back.creation_flags, attributes.creation_flags);
  assert_true(back.checkpoint_bytes == attributes.checkpoint_bytes);
  assert_int_equal(back.retention_ns, attributes.retention_ns);
  assert_int_equal(back.sections_max, attributes.sections_max);
  assert_int_equal(back.section_bytes_max, attributes.section_bytes_max);
  assert_int_equal(back.section_id_bytes_max, attributes.section_id_bytes_max);
  const vesta_pos_t pos = {.lineage = 4, .epoch = 5, .seq = 6};
  wire_pos_set(&message, pos);
  assert_true(vesta_pos_equal(wire_pos(&message), pos));
  assert_true(vesta_token_equal(wire_token(&message), (vesta_token_t){.hi = 1, .lo = 2}));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_prefix_within_the_limits_is_accepted_and_one_byte_more_is_not),
      cmocka_unit_test(a_payload_is_exactly_the_data_of_the_elements),
      cmocka_unit_test(attributes_token_and_position_pass_through_a_message),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
