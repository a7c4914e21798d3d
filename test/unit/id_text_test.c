/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How the command writes ids and reads them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/id_text.h"

static uint8_t bytes[1024];
static size_t size;

static bool parses_to(const char *text, const char *expected, size_t expected_size) {
  return id_text_parse(text, bytes, sizeof bytes, &size) && size == expected_size && memcmp(bytes, expected, size) == 0;
}

static bool is_refused(const char *text) { return !id_text_parse(text, bytes, sizeof bytes, &size); }

static void every_id_of_one_or_two_bytes_comes_back_and_looks_like_no_other(void **state) {
  (void)state;
  static char seen[256][5];
  for (unsigned i = 0; i < 65536; i++) {
    const uint8_t id[2] = {(uint8_t)(i >> 8), (uint8_t)i};
    char text[ID_TEXT_BYTES(2)];
    char quoted[ID_TEXT_BYTES(2) + 2];
    id_text_format(vesta_bytes(id, 2), text);
    assert_true(parses_to(text, (const char *)id, 2));
    (void)strcpy(quoted, "\"");
    (void)strcat(quoted, text);
    (void)strcat(quoted, "\"");
    assert_true(parses_to(quoted, (const char *)id, 2));
    if (id[0] == 0) {
      id_text_format(vesta_bytes(id + 1, 1), seen[i]);
    }
  }
  for (unsigned i = 0; i < 256; i++) {
    for (unsigned k = 0; k < i; k++) {
      assert_string_not_equal(seen[i], seen[k]);
    }
  }
}

static void what_is_printable_is_printed_and_the_rest_is_hexadecimal(void **state) {
  (void)state;
  char text[ID_TEXT_BYTES(16)];
  id_text_format(vesta_bytes("a b~", 4), text);
  assert_string_equal(text, "a b~");
  id_text_format(vesta_bytes("\"\\\0\n\x7f\xff", 6), text);
  assert_string_equal(text, "\\x22\\x5c\\x00\\x0a\\x7f\\xff");
  id_text_format(vesta_bytes("", 0), text);
  assert_string_equal(text, "");
}

static void what_people_type_is_understood(void **state) {
  (void)state;
  assert_true(parses_to("", "", 0));
  assert_true(parses_to("\"\"", "", 0));
  assert_true(parses_to("caf\xc3\xa9", "caf\xc3\xa9", 5));
  assert_true(parses_to("\\\\\\\"\\xAb", "\\\"\xab", 3));
  assert_true(parses_to("it's \"so\"", "it's \"so\"", 9));
}

static void what_says_no_id_is_refused(void **state) {
  (void)state;
  assert_true(is_refused("\\"));
  assert_true(is_refused("\\x"));
  assert_true(is_refused("\\x4"));
  assert_true(is_refused("\\xg0"));
  assert_true(is_refused("\\n"));
  assert_true(is_refused("\""));
  assert_true(is_refused("\"a"));
  assert_true(is_refused("\"a\"b"));
  assert_true(is_refused("\"a\\\""));
}

static void an_id_at_the_limit_is_taken_and_one_byte_more_is_not(void **state) {
  (void)state;
  assert_true(id_text_parse("\\x00bcd", bytes, 4, &size));
  assert_int_equal(size, 4);
  assert_false(id_text_parse("\\x00bcde", bytes, 4, &size));
  assert_int_equal(size, 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_id_of_one_or_two_bytes_comes_back_and_looks_like_no_other),
      cmocka_unit_test(what_is_printable_is_printed_and_the_rest_is_hexadecimal),
      cmocka_unit_test(what_people_type_is_understood),
      cmocka_unit_test(what_says_no_id_is_refused),
      cmocka_unit_test(an_id_at_the_limit_is_taken_and_one_byte_more_is_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
