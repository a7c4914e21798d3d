/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The demo's judge must be able to say no: each way in which a takeover can be wrong is seen and counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/witness.h"

#define SECTIONS 5U
#define SECTION_BYTES 200U

static char directory[64];
static char witness_path[96], copy_path[96];
static witness_t *witness;
static FILE *copy;

/* Five sections, each acknowledged with number 10; then a copy is begun. */
static int set_up(void **state) {
  (void)state;
  (void)strcpy(directory, "/dev/shm/witness-test-XXXXXX");
  assert_non_null(mkdtemp(directory));
  (void)snprintf(witness_path, sizeof witness_path, "%s/witness", directory);
  (void)snprintf(copy_path, sizeof copy_path, "%s/copy", directory);
  witness = witness_create(witness_path, "some", SECTIONS, SECTION_BYTES, true);
  for (uint32_t i = 0; i < SECTIONS; i++) {
    witness->notes[i].submitted = 10;
    witness->notes[i].acknowledged = 10;
  }
  copy = fopen(copy_path, "we");
  assert_non_null(copy);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  witness_close(witness);
  (void)remove(witness_path);
  (void)remove(copy_path);
  return rmdir(directory);
}

static void copy_value(uint32_t section, uint64_t number) {
  uint8_t value[SECTION_BYTES];
  char id[WITNESS_ID_BYTES_MAX];
  witness_value(witness, section, number, value);
  witness_copy_write(copy, id, witness_id(section, id), value, sizeof value);
}

static void copy_good(uint32_t first, uint32_t end) {
  for (uint32_t i = first; i < end; i++) {
    copy_value(i, 10);
  }
}

static witness_verdict_t judge(void) {
  assert_int_equal(fclose(copy), 0);
  return witness_judge(witness, copy_path);
}

static void all_acknowledged_values_are_right(void **state) {
  (void)state;
  copy_good(0, SECTIONS);
  witness_verdict_t verdict = judge();
  assert_int_equal(verdict.checked, SECTIONS);
  assert_int_equal(witness_lost(&verdict), 0);
}

static void a_call_cut_off_may_have_had_its_effect_or_not(void **state) {
  (void)state;
  witness->notes[0].submitted = 11;
  witness->notes[1].submitted = 12;
  copy_value(0, 11);
  copy_good(1, SECTIONS);
  witness_verdict_t verdict = judge();
  assert_int_equal(witness_lost(&verdict), 0);
  assert_int_equal(verdict.checked, SECTIONS);
  assert_int_equal(verdict.cut_kept, 1);
  assert_int_equal(verdict.cut_dropped, 1);
}

static void a_write_found_dropped_must_not_turn_up_later(void **state) {
  (void)state;
  witness->notes[0].submitted = 11;
  copy_good(0, SECTIONS);
  witness_verdict_t verdict = judge();
  assert_int_equal(verdict.cut_dropped, 1);
  copy = fopen(copy_path, "we");
  assert_non_null(copy);
  copy_value(0, 11);
  copy_good(1, SECTIONS);
  verdict = judge();
  assert_int_equal(verdict.foreign, 1);
}

static void a_missing_section_is_lost(void **state) {
  (void)state;
  copy_good(1, SECTIONS);
  witness_verdict_t verdict = judge();
  assert_int_equal(verdict.missing, 1);
  assert_int_equal(witness_lost(&verdict), 1);
}

static void a_value_older_than_acknowledged_is_lost(void **state) {
  (void)state;
  copy_value(0, 9);
  copy_good(1, SECTIONS);
  witness_verdict_t verdict = judge();
  assert_int_equal(verdict.older, 1);
  assert_int_equal(witness_lost(&verdict), 1);
}

static void a_value_that_nobody_submitted_is_foreign(void **state) {
  (void)state;
  copy_value(0, 11);
  copy_good(1, SECTIONS);
  witness_verdict_t verdict = judge();
  assert_int_equal(verdict.foreign, 1);
  assert_int_equal(witness_lost(&verdict), 1);
}

static void one_damaged_byte_is_foreign(void **state) {
  (void)state;
  uint8_t value[SECTION_BYTES];
  char id[WITNESS_ID_BYTES_MAX];
  witness_value(witness, 0, 10, value);
  value[SECTION_BYTES - 1] ^= 1;
  witness_copy_write(copy, id, witness_id(0, id), value, sizeof value);
  copy_good(1, SECTIONS);
  witness_verdict_t verdict = judge();
  assert_int_equal(verdict.foreign, 1);
}

static void another_sections_value_is_foreign(void **state) {
  (void)state;
  uint8_t value[SECTION_BYTES];
  char id[WITNESS_ID_BYTES_MAX];
  witness_value(witness, 1, 10, value);
  witness_copy_write(copy, id, witness_id(0, id), value, sizeof value);
  copy_good(1, SECTIONS);
  witness_verdict_t verdict = judge();
  assert_int_equal(verdict.foreign, 1);
}

static void another_length_is_counted(void **state) {
  (void)state;
  uint8_t value[SECTION_BYTES];
  char id[WITNESS_ID_BYTES_MAX];
  witness_value(witness, 0, 10, value);
  witness_copy_write(copy, id, witness_id(0, id), value, SECTION_BYTES - 1);
  copy_good(1, SECTIONS);
  witness_verdict_t verdict = judge();
  assert_int_equal(verdict.size, 1);
  assert_int_equal(witness_lost(&verdict), 1);
}

static void an_id_twice_and_an_id_of_nobody_are_extra(void **state) {
  (void)state;
  copy_good(0, SECTIONS);
  copy_value(0, 10);
  copy_value(SECTIONS, 10);
  witness_copy_write(copy, "section-01", 10, "", 0);
  witness_verdict_t verdict = judge();
  assert_int_equal(verdict.extra, 3);
  assert_int_equal(witness_lost(&verdict), 3);
}

static void a_section_never_submitted_must_not_be_there(void **state) {
  (void)state;
  witness->notes[4].submitted = 0;
  witness->notes[4].acknowledged = 0;
  copy_good(0, SECTIONS);
  witness_verdict_t verdict = judge();
  assert_int_equal(verdict.extra, 1);
  assert_int_equal(verdict.checked, SECTIONS - 1);
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      RULE(all_acknowledged_values_are_right),
      RULE(a_call_cut_off_may_have_had_its_effect_or_not),
      RULE(a_write_found_dropped_must_not_turn_up_later),
      RULE(a_missing_section_is_lost),
      RULE(a_value_older_than_acknowledged_is_lost),
      RULE(a_value_that_nobody_submitted_is_foreign),
      RULE(one_damaged_byte_is_foreign),
      RULE(another_sections_value_is_foreign),
      RULE(another_length_is_counted),
      RULE(an_id_twice_and_an_id_of_nobody_are_extra),
      RULE(a_section_never_submitted_must_not_be_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
