/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The protocol of samples/hotkv: requests as clients send them, in any pieces, and bytes that nobody should send.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "samples/hotkv/resp.h"

static resp_request_t request;
static size_t used;
static const char *why;

static resp_verdict_t parse(const char *bytes, size_t size) {
  why = NULL;
  return resp_parse(bytes, size, &request, &used, &why);
}

static resp_verdict_t parse_text(const char *text) { return parse(text, strlen(text)); }

static void assert_argument(size_t index, const char *expected) {
  assert_int_equal(request.arguments[index].size, strlen(expected));
  assert_memory_equal(request.arguments[index].bytes, expected, strlen(expected));
}

/* ---- requests ---- */

static void an_array_of_bulk_strings_is_a_request(void **state) {
  (void)state;
  const char *text = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n\r\n\r\n\r\nrest";
  assert_int_equal(parse_text(text), RESP_WHOLE);
  assert_int_equal(used, strlen(text) - strlen("rest"));
  assert_int_equal(request.argument_count, 3);
  assert_argument(0, "SET");
  assert_argument(1, "k");
  assert_argument(2, "\r\n\r\n"); /* any bytes */
}

static void a_line_of_words_is_a_request(void **state) {
  (void)state;
  const char *text = "  set\tk  v \r\nGET k\n";
  assert_int_equal(parse_text(text), RESP_WHOLE);
  assert_int_equal(request.argument_count, 3);
  assert_argument(0, "set");
  assert_argument(1, "k");
  assert_argument(2, "v");
  assert_int_equal(parse_text(text + used), RESP_WHOLE);
  assert_int_equal(request.argument_count, 2);
  assert_argument(1, "k");
}

static void empty_lines_and_arrays_are_passed_over(void **state) {
  (void)state;
  const char *const empty[] = {"\r\n", "\n", "  \r\n", "*0\r\n", "*-1\r\n"};
  for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
    assert_int_equal(parse_text(empty[i]), RESP_WHOLE);
    assert_int_equal(request.argument_count, 0);
    assert_int_equal(used, strlen(empty[i]));
  }
}

static void each_beginning_of_a_request_asks_for_more(void **state) {
  (void)state;
  const char *const texts[] = {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", "GET key\r\n"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    for (size_t size = 0; size < strlen(texts[i]); size++) {
      assert_int_equal(parse(texts[i], size), RESP_MORE);
    }
    assert_int_equal(parse_text(texts[i]), RESP_WHOLE);
  }
}

static void what_can_not_become_a_request_is_broken(void **state) {
  (void)state;
  const char *const broken[] = {
      "*x\r\n",
      "*\r\n",
      "*1 \r\n",
      "*1\n",
      "*1\r\nGET\r\n",
      "*1\r\n$x\r\n",
      "*1\r\n$-1\r\n",
      "*1\r\n$3\r\nGETxx",
      "*65\r\n",
      "*1\r\n$65537\r\n",
      "*1\r\n:1\r\n",
      "*99999999999999999999\r\n",
      "*1\r\n$00000000000000000000000000000000001\r\n",
  };
  for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
    assert_int_equal(parse_text(broken[i]), RESP_BROKEN);
    assert_non_null(why);
  }
}

/* ---- limits ---- */

static void limits_are_met_exactly(void **state) {
  (void)state;
  static char bytes[RESP_REQUEST_BYTES_MAX + 1];
  /* words in a line */
  size_t size = 0;
  for (int i = 0; i < RESP_ARGUMENTS_MAX; i++) {
    size += (size_t)sprintf(bytes + size, "w ");
  }
  (void)sprintf(bytes + size, "\r\n");
  assert_int_equal(parse_text(bytes), RESP_WHOLE);
  assert_int_equal(request.argument_count, RESP_ARGUMENTS_MAX);
  (void)sprintf(bytes + size, "w\r\n");
  assert_int_equal(parse_text(bytes), RESP_BROKEN);
  /* bytes in a line */
  memset(bytes, 'w', sizeof bytes);
  assert_int_equal(parse(bytes, RESP_INLINE_BYTES_MAX - 1), RESP_MORE);
  assert_int_equal(parse(bytes, RESP_INLINE_BYTES_MAX), RESP_BROKEN);
  bytes[RESP_INLINE_BYTES_MAX - 1] = '\n';
  assert_int_equal(parse(bytes, sizeof bytes), RESP_WHOLE);
  assert_int_equal(used, RESP_INLINE_BYTES_MAX);
  /* bytes in an argument */
  int head = sprintf(bytes, "*1\r\n$%d\r\n", RESP_BULK_BYTES_MAX);
  bytes[head] = 'w';
  memcpy(bytes + head + RESP_BULK_BYTES_MAX, "\r\n", 2);
  assert_int_equal(parse(bytes, sizeof bytes), RESP_WHOLE);
  assert_int_equal(request.arguments[0].size, RESP_BULK_BYTES_MAX);
}

static void who_holds_a_request_of_the_greatest_size_never_hears_more(void **state) {
  (void)state;
  static char bytes[RESP_REQUEST_BYTES_MAX];
  memset(bytes, 'w', sizeof bytes);
  size_t size = (size_t)sprintf(bytes, "*3\r\n");
  for (int i = 0; i < 2; i++) {
    size += (size_t)sprintf(bytes + size, "$%d\r\n", RESP_BULK_BYTES_MAX - 16);
    size += RESP_BULK_BYTES_MAX - 16;
    memcpy(bytes + size, "\r\n", 2);
    size += 2;
  }
  assert_true(size < sizeof bytes);
  assert_int_equal(parse(bytes, size), RESP_MORE); /* the third is to come, and does not fit */
  (void)sprintf(bytes + size, "$9");
  assert_int_equal(parse(bytes, sizeof bytes), RESP_BROKEN);
  bytes[size] = '$';
  bytes[sizeof bytes - 1] = '1';
  assert_int_equal(parse(bytes, sizeof bytes), RESP_BROKEN);
}

/* ---- any bytes ---- */

static uint32_t random_next(uint32_t *seed) { return *seed = *seed * 1664525U + 1013904223U; }

/* Whatever comes: what is used was there, slices lie within it, what was whole stays whole when more follows. */
static void random_bytes_are_judged_and_never_overrun(void **state) {
  (void)state;
  static const char alphabet[] = "**$$\r\n\r\n\r\n0123456789-  GETk\0\xff";
  uint32_t seed = 20241122;
  unsigned verdicts[3] = {0};
  for (int round = 0; round < 300000; round++) {
    size_t size = 1 + random_next(&seed) / 4 % 40;
    char *bytes = malloc(size); /* of just that size: a sanitizer sees each byte beyond it */
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
      bytes[i] = alphabet[(random_next(&seed) >> 16) % (sizeof alphabet - 1)];
    }
    if (round % 2 == 0 && size > 4) {
      memcpy(bytes, "*2\r\n", 4);
    }
    resp_verdict_t verdict = parse(bytes, size);
    verdicts[verdict]++;
    if (verdict == RESP_WHOLE) {
      assert_true(used > 0 && used <= size);
      assert_true(request.argument_count <= RESP_ARGUMENTS_MAX);
      for (size_t i = 0; i < request.argument_count; i++) {
        assert_true(request.arguments[i].bytes >= bytes);
        assert_true(request.arguments[i].bytes + request.arguments[i].size <= bytes + used);
      }
      size_t whole = used;
      assert_int_equal(parse(bytes, whole), RESP_WHOLE);
      assert_int_equal(used, whole);
    } else {
      assert_true((verdict == RESP_BROKEN) == (why != NULL));
    }
    free(bytes);
  }
  assert_true(verdicts[RESP_WHOLE] > 1000 && verdicts[RESP_MORE] > 1000 && verdicts[RESP_BROKEN] > 1000);
}

/* ---- numbers, words, replies ---- */

static void a_number_is_read_whole_and_within_its_range(void **state) {
  (void)state;
  const struct {
    const char *text;
    bool good;
    int64_t number;
  } cases[] = {{"0", true, 0},
               {"-17", true, -17},
               {"9223372036854775807", true, INT64_MAX},
               {"9223372036854775808", false, 0},
               {"-9223372036854775808", true, INT64_MIN},
               {"-9223372036854775809", false, 0},
               {"99999999999999999999999", false, 0},
               {"", false, 0},
               {"-", false, 0},
               {"1 ", false, 0},
               {"+1", false, 0},
               {"1e3", false, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int64_t number = 0;
    assert_int_equal(resp_number((slice_t){cases[i].text, strlen(cases[i].text)}, &number), cases[i].good);
    assert_true(number == cases[i].number);
  }
}

static void words_are_the_same_in_letters_of_either_case(void **state) {
  (void)state;
  assert_true(resp_is((slice_t){"GeT", 3}, "get"));
  assert_false(resp_is((slice_t){"GETX", 4}, "get"));
  assert_false(resp_is((slice_t){"GE", 2}, "get"));
}

static void replies_are_written_as_the_protocol_wants(void **state) {
  (void)state;
  static char bytes[2 * RESP_REPLY_BYTES_MAX];
  resp_replies_t replies = {.bytes = bytes, .capacity = sizeof bytes};
  resp_ok(&replies, "OK");
  resp_integer(&replies, -2);
  resp_bulk(&replies, (slice_t){"a\r\nb", 4});
  resp_bulk(&replies, (slice_t){"", 0});
  resp_nothing(&replies);
  resp_array(&replies, 0);
  resp_error(&replies, "ERR unknown command '%s'", "a\r\n+OK\xff");
  const char *expected = "+OK\r\n:-2\r\n$4\r\na\r\nb\r\n$0\r\n\r\n$-1\r\n*0\r\n-ERR unknown command 'a??+OK?'\r\n";
  assert_int_equal(replies.size, strlen(expected));
  assert_memory_equal(bytes, expected, replies.size);
}

static void an_error_is_cut_to_its_limit(void **state) {
  (void)state;
  static char bytes[RESP_REPLY_BYTES_MAX];
  resp_replies_t replies = {.bytes = bytes, .capacity = sizeof bytes};
  resp_error(&replies, "ERR %0500d", 1);
  assert_true(replies.size <= RESP_ERROR_BYTES_MAX);
  assert_memory_equal(bytes + replies.size - 2, "\r\n", 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_array_of_bulk_strings_is_a_request),
      cmocka_unit_test(a_line_of_words_is_a_request),
      cmocka_unit_test(empty_lines_and_arrays_are_passed_over),
      cmocka_unit_test(each_beginning_of_a_request_asks_for_more),
      cmocka_unit_test(what_can_not_become_a_request_is_broken),
      cmocka_unit_test(limits_are_met_exactly),
      cmocka_unit_test(who_holds_a_request_of_the_greatest_size_never_hears_more),
      cmocka_unit_test(random_bytes_are_judged_and_never_overrun),
      cmocka_unit_test(a_number_is_read_whole_and_within_its_range),
      cmocka_unit_test(words_are_the_same_in_letters_of_either_case),
      cmocka_unit_test(replies_are_written_as_the_protocol_wants),
      cmocka_unit_test(an_error_is_cut_to_its_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
