/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where sections live: the same slot in every replica of a checkpoint, because one chooses and says it and the others do as
 * they are told.
 */
#include "test/unit/replica_copies.h"

static uint32_t slot_of(const fixture_t *f, const char *id) {
  replica_section_t s;
  return replica_find(f->replica, text(id), INT64_MIN, &s) ? s.slot : REPLICA_NO_SLOT;
}

static replica_element_t create_in(const char *id, uint32_t slot) {
  replica_element_t element = create(id, "x");
  element.slot_given = slot + 1;
  return element;
}

static void a_section_goes_to_the_slot_that_another_replica_gave_it(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, SECTIONS_MAX, 9000, ID_BYTES_MAX);
  must_apply(&f, ELEMENTS(create_in("seven", 7), create_in("three", 3)));
  must_apply(&f, ELEMENTS(create_in("last", SECTIONS_MAX - 1)));
  for (uint32_t again = 0; again < 2; again++) {
    assert_int_equal(slot_of(&f, "seven"), 7);
    assert_int_equal(slot_of(&f, "three"), 3);
    assert_int_equal(slot_of(&f, "last"), SECTIONS_MAX - 1);
    fixture_restart(&f);
  }
  must_apply(&f, ELEMENTS(delete_of("seven")));
  must_apply(&f, ELEMENTS(create_in("other", 7)));
  must_apply(&f, ELEMENTS(delete_of("other"), create_in("third", 7), create_in("four", 4)));
  assert_int_equal(slot_of(&f, "third"), 7);
  assert_true(replica_check(f.replica));
  char id[8];
  for (uint32_t i = 4; i < SECTIONS_MAX; i++) { /* those between are free, each once */
    snprintf(id, sizeof id, "%u", i);
    must_apply(&f, ELEMENTS(create(id, "")));
  }
  must_refuse(&f, VESTA_ERR_NO_SPACE, 0, ELEMENTS(create("more", "")));
  fixture_close(&f);
}

static void a_slot_that_is_not_free_is_given_in_vain(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, SECTIONS_MAX, 9000, ID_BYTES_MAX);
  must_apply(&f, ELEMENTS(create_in("a", 5)));
  must_refuse(&f, VESTA_ERR_DIVERGED, 0, ELEMENTS(create_in("b", 5)));
  must_refuse(&f, VESTA_ERR_DIVERGED, 0, ELEMENTS(create_in("b", SECTIONS_MAX)));
  must_refuse(&f, VESTA_ERR_DIVERGED, 0, ELEMENTS(create_in("b", UINT32_MAX - 1)));
  must_refuse(&f, VESTA_ERR_DIVERGED, 1, ELEMENTS(create_in("b", 6), create_in("c", 6)));
  must_refuse(&f, VESTA_ERR_DIVERGED, 1, ELEMENTS(delete_of("a"), create_in("b", 6)));
  replica_element_t element = create_in("b", 6);
  replica_op_t op = op_of(&element, 1);
  replica_result_t result;
  assert_int_equal(replica_prepare(f.replica, &op, &result), VESTA_OK);
  element.id = text("c");
  assert_int_equal(replica_prepare(f.replica, &op, &result), VESTA_ERR_DIVERGED);
  replica_abort(f.replica, 2);
  must_apply(&f, ELEMENTS(create_in("c", 6)));
  assert_true(replica_check(f.replica));
  fixture_close(&f);
}

static void what_could_not_be_reserved_leaves_its_slot_free(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, SECTIONS_MAX, 9000, ID_BYTES_MAX);
  must_apply(&f, ELEMENTS(create("a", "x")));
  for (uint64_t fail_at = 1; fail_at <= 2; fail_at++) {
    f.pages.reserve_calls = 0;
    f.pages.fail_at = fail_at;
    must_refuse(&f, VESTA_ERR_NO_SPACE, REPLICA_NO_ELEMENT, ELEMENTS(create_in("b", 40), create_in("c", 20)));
  }
  f.pages.fail_at = 0;
  must_apply(&f, ELEMENTS(create_in("b", 40), create_in("c", 20)));
  assert_int_equal(slot_of(&f, "b"), 40);
  fixture_restart(&f);
  fixture_close(&f);
}

/* Of a walk that takes its time: what it names later is the newer. */
static void a_section_that_is_loaded_replaces_what_was_in_its_slot_and_under_its_id(void **state) {
  (void)state;
  fixture_t a, b;
  fixture_open(&a, SECTIONS_MAX, 9000, ID_BYTES_MAX);
  same_kind_open(&b, &a);
  must_apply(&a, ELEMENTS(create("a", "old"), create_until("b", "old", NOW + 5), create("c", "stays")));
  assert_int_equal(replica_load_begin(b.replica), VESTA_OK);
  changed_load(a.replica, 0, b.replica);
  must_apply(&a, ELEMENTS(delete_of("a")));
  must_apply(&a, ELEMENTS(delete_of("b")));
  must_apply(&a, ELEMENTS(create("a", "in the slot of b"))); /* the last that became free is taken first */
  must_apply(&a, ELEMENTS(create("d", "in the slot of a")));
  assert_int_equal(slot_of(&a, "a"), 1);
  changed_load(a.replica, 1, b.replica);
  deletes_load(a.replica, 1, b.replica);
  assert_int_equal(end_load(a.replica, 1, b.replica), VESTA_OK);
  are_equal(a.replica, b.replica);
  fixture_restart(&b);
  fixture_close(&a);
  fixture_close(&b);
}

/* An operation of the epoch behind it may have the number of one that was lost with the primary of the epoch before. */
static void what_two_histories_share_ends_where_the_next_epoch_of_one_begins(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, SECTIONS_MAX, 100, ID_BYTES_MAX);
  must_apply(&f, ELEMENTS(create("a", "")));
  must_apply(&f, ELEMENTS(create("b", "")));
  assert_int_equal(replica_shared_seq(f.replica, 1, 2), 2);
  assert_int_equal(replica_shared_seq(f.replica, 1, 9), 9); /* nothing says otherwise */
  must_apply(&f, ELEMENTS(epoch_to(4, 0)));
  must_apply(&f, ELEMENTS(create("c", "")));
  must_apply(&f, ELEMENTS(epoch_to(6, 0)));
  assert_int_equal(replica_shared_seq(f.replica, 1, 1), 1);
  assert_int_equal(replica_shared_seq(f.replica, 1, 2), 2);
  assert_int_equal(replica_shared_seq(f.replica, 1, 3), 2);
  assert_int_equal(replica_shared_seq(f.replica, 1, 9), 2);
  assert_int_equal(replica_shared_seq(f.replica, 3, 9), 2); /* of an epoch that was lost altogether */
  assert_int_equal(replica_shared_seq(f.replica, 4, 9), 4);
  assert_int_equal(replica_shared_seq(f.replica, 6, 9), 9);
  fixture_restart(&f);
  assert_int_equal(replica_shared_seq(f.replica, 4, 9), 4);
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_section_goes_to_the_slot_that_another_replica_gave_it),
      cmocka_unit_test(a_slot_that_is_not_free_is_given_in_vain),
      cmocka_unit_test(what_could_not_be_reserved_leaves_its_slot_free),
      cmocka_unit_test(a_section_that_is_loaded_replaces_what_was_in_its_slot_and_under_its_id),
      cmocka_unit_test(what_two_histories_share_ends_where_the_next_epoch_of_one_begins),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
