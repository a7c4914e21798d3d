/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Positions as text: whatever is printed is read back, and nothing else is read at all.
 */
#include <vesta.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_position_is_read_back_as_it_was_printed(void **state) {
  (void)state;
  const vesta_position_t positions[] = {
      {0, 0, 0}, {1, 2, 3}, {0x5f0c33a190de7721, 3, 10405}, {UINT64_MAX, UINT64_MAX, UINT64_MAX}};
  for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
    char text[VESTA_POSITION_TEXT_BYTES];
    vesta_position_t read;
    assert_int_equal(vesta_position_format(&positions[i], text), SA_AIS_OK);
    assert_true(strlen(text) < sizeof text);
    assert_int_equal(vesta_position_parse(text, &read), SA_AIS_OK);
    assert_memory_equal(&read, &positions[i], sizeof read);
  }
}

static void it_looks_as_the_header_says(void **state) {
  (void)state;
  char text[VESTA_POSITION_TEXT_BYTES];
  const vesta_position_t position = {0x5f0c33a190de7721, 3, 10405};
  assert_int_equal(vesta_position_format(&position, text), SA_AIS_OK);
  assert_string_equal(text, "5f0c33a190de7721-3-10405");
}

static void any_other_text_is_refused_and_changes_nothing(void **state) {
  (void)state;
  static const char *const texts[] = {"",
                                      "-",
                                      "1-2-3",
                                      "0000000000000001-2-",
                                      "0000000000000001-2-3 ",
                                      " 0000000000000001-2-3",
                                      "0000000000000001--2-3",
                                      "0000000000000001-2--3",
                                      "0000000000000001-+2-3",
                                      "0000000000000001-02-3",
                                      "0000000000000001-2-3-4",
                                      "00000000000000012-2-3",
                                      "0000000000000001-2-18446744073709551616",
                                      "0x00000000000001-2-3",
                                      "000000000000000G-2-3",
                                      "5F0C33A190DE7721-3-10405"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    vesta_position_t position = {9, 9, 9};
    assert_int_equal(vesta_position_parse(texts[i], &position), SA_AIS_ERR_INVALID_PARAM);
    assert_int_equal(position.seq, 9);
  }
}

static void null_is_an_invalid_parameter(void **state) {
  (void)state;
  char text[VESTA_POSITION_TEXT_BYTES];
  vesta_position_t position = {0};
  assert_int_equal(vesta_position_format(NULL, text), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_position_format(&position, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_position_parse(NULL, &position), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_position_parse("0000000000000001-2-3", NULL), SA_AIS_ERR_INVALID_PARAM);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_position_is_read_back_as_it_was_printed),
      cmocka_unit_test(it_looks_as_the_header_says),
      cmocka_unit_test(any_other_text_is_refused_and_changes_nothing),
      cmocka_unit_test(null_is_an_invalid_parameter),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
