/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a replica promises, rule by rule. replica_history_test.c has the rules about results, operations in
 * flight and the log; replica_random_test.c runs it against a model, replica_recovery_test.c kills it,
 * replica_reader_test.c reads it from outside.
 */
#include "test/unit/replica_fixture.h"

#include "core/replica_layout.h"

/* ---- geometry ---- */

static vesta_err_t size_of(vesta_attributes_t attributes, uint64_t *size) {
  return replica_region_size(&attributes, size);
}

static void attributes_that_contradict_themselves_are_invalid(void **state) {
  (void)state;
  uint64_t size = 7;
  static const uint32_t bad_flags[] = {0, 3, 5, 6, 7, 8, 8 | 3, 16, 17, 1U << 31};
  for (size_t i = 0; i < sizeof bad_flags / sizeof bad_flags[0]; i++) {
    vesta_attributes_t a = attributes_of(4, 10, 8);
    a.creation_flags = bad_flags[i];
    assert_int_equal(size_of(a, &size), VESTA_ERR_INVALID_PARAM);
  }
  static const uint32_t good_flags[] = {1, 2, 4, 9, 10, 12};
  for (size_t i = 0; i < sizeof good_flags / sizeof good_flags[0]; i++) {
    vesta_attributes_t a = attributes_of(4, 10, 8);
    uint64_t good = 0;
    a.creation_flags = good_flags[i];
    assert_int_equal(size_of(a, &good), VESTA_OK);
  }
  vesta_attributes_t a = attributes_of(4, 10, 8);
  a.checkpoint_bytes = 41;
  assert_int_equal(size_of(a, &size), VESTA_ERR_INVALID_PARAM);
  a.checkpoint_bytes = UINT64_MAX;
  assert_int_equal(size_of(a, &size), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(size_of(attributes_of(0, 10, 8), &size), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(size, 7);
}

static void geometry_at_each_limit_is_accepted_and_one_more_is_not(void **state) {
  (void)state;
  uint64_t size = 0;
  assert_int_equal(size_of(attributes_of(VESTA_SECTIONS_MAX, 8, 8), &size), VESTA_OK);
  assert_int_equal(size_of(attributes_of(VESTA_SECTIONS_MAX + 1, 8, 8), &size), VESTA_ERR_NO_RESOURCES);
  assert_int_equal(size_of(attributes_of(2, VESTA_SECTION_BYTES_MAX, 8), &size), VESTA_OK);
  assert_int_equal(size_of(attributes_of(2, VESTA_SECTION_BYTES_MAX + 1, 8), &size), VESTA_ERR_NO_RESOURCES);
  assert_int_equal(size_of(attributes_of(2, 8, VESTA_SECTION_ID_BYTES_MAX), &size), VESTA_OK);
  assert_int_equal(size_of(attributes_of(2, 8, VESTA_SECTION_ID_BYTES_MAX + 1), &size), VESTA_ERR_NO_RESOURCES);
}

static void the_largest_geometry_formats_and_works(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, VESTA_SECTIONS_MAX, VESTA_SECTION_BYTES_MAX, 32);
  assert_true(f.pages.size > UINT64_C(60) << 40);
  must_apply(&f, ELEMENTS(create("a", "aaa"), create("b", "bbb"), write_at("b", 1 << 20, "far")));
  must_read(&f, "a", "aaa");
  replica_section_t section;
  assert_true(replica_find(f.replica, text("b"), NOW, &section));
  assert_int_equal(section.size, (1 << 20) + 3);
  assert_memory_equal(section.data + (1 << 20) - 1, "\0far", 4);
  replica_destroy(&f.replica);
  assert_int_equal(replica_recover(f.pages.region, f.pages.size, &f.storage, &f.replica), VESTA_OK);
  must_read(&f, "a", "aaa");
  fixture_close(&f);
}

static void a_new_replica_is_empty_and_knows_who_it_is(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  replica_status_t status;
  replica_status(f.replica, &status);
  assert_true(vesta_pos_equal(status.committed, (vesta_pos_t){.lineage = 4711, .epoch = 1, .seq = 0}));
  assert_int_equal(status.prepared_seq, 0);
  assert_int_equal(status.history_first, 1);
  assert_int_equal(status.section_count, 0);
  assert_int_equal(status.retention_ns, 77);
  assert_false(status.unlinked);
  fixture_restart(&f);
  replica_identity_t identity;
  replica_identity(f.replica, &identity);
  assert_int_equal(identity.checkpoint_id, 42);
  assert_int_equal(identity.lineage, 4711);
  assert_true(vesta_bytes_equal(identity.name, text("a checkpoint")));
  assert_int_equal(identity.attributes.creation_flags, f.attributes.creation_flags);
  assert_int_equal(identity.attributes.checkpoint_bytes, f.attributes.checkpoint_bytes);
  assert_int_equal(identity.attributes.retention_ns, f.attributes.retention_ns);
  assert_int_equal(identity.attributes.sections_max, f.attributes.sections_max);
  assert_int_equal(identity.attributes.section_bytes_max, f.attributes.section_bytes_max);
  assert_int_equal(identity.attributes.section_id_bytes_max, f.attributes.section_id_bytes_max);
  fixture_close(&f);
}

/* ---- sections ---- */

static void a_section_is_created_found_and_deleted(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  must_apply(&f, ELEMENTS(create("a", "data")));
  must_apply(&f, ELEMENTS(create("\x01\xff", "")));
  replica_section_t section;
  assert_true(replica_find(f.replica, text("a"), NOW, &section));
  assert_int_equal(section.seq, 1);
  assert_int_equal(section.created_seq, 1);
  assert_int_equal(section.last_update_ns, NOW);
  assert_true(section.expiry_ns == VESTA_TIME_END);
  must_read(&f, "\x01\xff", "");
  must_refuse(&f, VESTA_ERR_EXIST, 0, ELEMENTS(create("a", "other")));
  must_apply(&f, ELEMENTS(delete_of("a")));
  must_not_find(&f, "a");
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 0, ELEMENTS(delete_of("a")));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 0, ELEMENTS(write_at("a", 0, "x")));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 0, ELEMENTS(overwrite("a", "x")));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 0, ELEMENTS(expiry_set("a", NOW + 1)));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 0, ELEMENTS(expired("a")));
  fixture_close(&f);
}

static void ids_and_data_at_the_limit_are_accepted_and_one_more_is_not(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  must_apply(&f, ELEMENTS(create("12345678", "1234567890")));
  must_read(&f, "12345678", "1234567890");
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, 0, ELEMENTS(create("123456789", "")));
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, 0, ELEMENTS(write_at("123456789", 0, "")));
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, 0, ELEMENTS(create("b", "12345678901")));
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, 0, ELEMENTS(overwrite("12345678", "12345678901")));
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, 0, ELEMENTS(write_at("12345678", 0, "12345678901")));
  must_apply(&f, ELEMENTS(write_at("12345678", 8, "xy")));
  must_refuse(&f, VESTA_ERR_NO_RESOURCES, 0, ELEMENTS(write_at("12345678", 9, "xy")));
  must_refuse(&f, VESTA_ERR_NO_RESOURCES, 0, ELEMENTS(write_at("12345678", UINT64_MAX, "xy")));
  must_refuse(&f, VESTA_ERR_NO_RESOURCES, 0, ELEMENTS(write_at("12345678", 11, "")));
  fixture_close(&f);
}

static void a_full_replica_takes_no_more_sections(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 3, 10, 8);
  must_apply(&f, ELEMENTS(create("a", ""), create("b", ""), create("c", "")));
  must_refuse(&f, VESTA_ERR_NO_SPACE, 0, ELEMENTS(create("d", "")));
  must_refuse(&f, VESTA_ERR_NO_SPACE, 2, ELEMENTS(delete_of("a"), create("d", ""), create("e", "")));
  must_apply(&f, ELEMENTS(delete_of("a"), create("d", "its slot")));
  fixture_close(&f);
}

static void a_write_grows_and_never_shrinks_and_a_hole_reads_as_zeros(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 2, 40, 8);
  must_apply(&f, ELEMENTS(create("a", "0123456789abcdefghij")));
  must_apply(&f, ELEMENTS(overwrite("a", "xy")));
  must_read(&f, "a", "xy");
  must_apply(&f, ELEMENTS(write_at("a", 30, "")));
  must_read(&f, "a", "xy");
  must_apply(&f, ELEMENTS(write_at("a", 5, "ab")));
  replica_section_t section;
  assert_true(replica_find(f.replica, text("a"), NOW, &section));
  assert_int_equal(section.size, 7);
  assert_memory_equal(section.data, "xy\0\0\0ab", 7);
  must_apply(&f, ELEMENTS(write_at("a", 1, "12")));
  assert_true(replica_find(f.replica, text("a"), NOW, &section));
  assert_int_equal(section.size, 7);
  assert_memory_equal(section.data, "x12\0\0ab", 7);
  must_apply(&f, ELEMENTS(overwrite("a", "")));
  must_read(&f, "a", "");
  fixture_close(&f);
}

static void elements_see_what_the_ones_before_them_did(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 40, 8);
  must_apply(&f, ELEMENTS(create("a", "aaa"), write_at("a", 3, "bbb"), create("b", "b"), delete_of("b")));
  must_read(&f, "a", "aaabbb");
  must_not_find(&f, "b");
  must_refuse(&f, VESTA_ERR_EXIST, 1, ELEMENTS(create("c", ""), create("c", "")));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 1, ELEMENTS(delete_of("a"), write_at("a", 0, "x")));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 2, ELEMENTS(create("c", ""), delete_of("c"), delete_of("c")));
  must_apply(&f, ELEMENTS(delete_of("a"), create("a", "new"), write_at("a", 3, "er")));
  must_read(&f, "a", "newer");
  /* a hole of one element is judged on the size that the one before it left */
  must_apply(&f, ELEMENTS(overwrite("a", "abcdefghijkl"), overwrite("a", "z"), write_at("a", 4, "y")));
  replica_section_t section;
  assert_true(replica_find(f.replica, text("a"), NOW, &section));
  assert_int_equal(section.size, 5);
  assert_memory_equal(section.data, "z\0\0\0y", 5);
  fixture_close(&f);
}

static void one_bad_element_and_nothing_is_written(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  must_apply(&f, ELEMENTS(create("a", "a"), create("b", "b")));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 2, ELEMENTS(overwrite("a", "x"), create("c", ""), overwrite("d", "x")));
  must_refuse(&f, VESTA_ERR_NO_RESOURCES, 1, ELEMENTS(overwrite("a", "x"), write_at("b", 9, "12"), delete_of("z")));
  fixture_close(&f);
}

static void an_operation_has_one_to_a_thousand_elements(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 2, 10, 8);
  must_apply(&f, ELEMENTS(create("a", "")));
  static replica_element_t elements[VESTA_VECTOR_ELEMENTS_MAX + 1];
  for (size_t i = 0; i <= VESTA_VECTOR_ELEMENTS_MAX; i++) {
    elements[i] = write_at("a", i % 10, "x");
  }
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, REPLICA_NO_ELEMENT, elements, 0);
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, REPLICA_NO_ELEMENT, elements, VESTA_VECTOR_ELEMENTS_MAX + 1);
  must_apply(&f, elements, VESTA_VECTOR_ELEMENTS_MAX);
  must_read(&f, "a", "xxxxxxxxxx");
  fixture_close(&f);
}

static void an_operation_larger_than_the_limit_is_refused(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 2, VESTA_SECTION_BYTES_MAX, 8);
  must_apply(&f, ELEMENTS(create("a", "")));
  /* One page of memory, mapped again and again, is enough to be read as data. */
  void *data = mmap(NULL, VESTA_SECTION_BYTES_MAX, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  assert_true(data != MAP_FAILED);
  replica_element_t elements[5];
  for (size_t i = 0; i < 5; i++) {
    elements[i] = overwrite_bytes("a", data, VESTA_SECTION_BYTES_MAX);
  }
  elements[4].data.size = 1;
  must_refuse(&f, VESTA_ERR_NO_RESOURCES, REPLICA_NO_ELEMENT, elements, 5);
  munmap(data, VESTA_SECTION_BYTES_MAX);
  fixture_close(&f);
}

static void the_default_section_is_always_there(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 1, 10, 8);
  must_read(&f, "", "");
  replica_status_t status;
  replica_status(f.replica, &status);
  assert_int_equal(status.section_count, 1);
  assert_int_equal(status.data_bytes, 0);
  must_apply(&f, ELEMENTS(write_at("", 2, "x")));
  must_apply(&f, ELEMENTS(overwrite("", "all")));
  fixture_restart(&f);
  must_read(&f, "", "all");
  must_refuse(&f, VESTA_ERR_EXIST, 0, ELEMENTS(create("", "")));
  must_refuse(&f, VESTA_ERR_EXIST, 0, ELEMENTS(create("a", "")));
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, 0, ELEMENTS(delete_of("")));
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, 0, ELEMENTS(expired("")));
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, 0, ELEMENTS(expiry_set("", NOW + 1)));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 0, ELEMENTS(delete_of("a")));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 0, ELEMENTS(write_at("a", 0, "")));
  fixture_close(&f);
}

static void with_several_sections_there_is_no_default_one(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 2, 10, 8);
  must_not_find(&f, "");
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 0, ELEMENTS(write_at("", 0, "x")));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 0, ELEMENTS(delete_of("")));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 0, ELEMENTS(expiry_set("", NOW + 1)));
  fixture_close(&f);
}

/* ---- generated ids ---- */

static uint32_t generate_until_refused(fixture_t *f, vesta_err_t code) {
  replica_result_t result;
  uint32_t count = 0;
  for (;;) {
    replica_element_t element = create("", "x");
    vesta_err_t err = apply(f, &element, 1, &result);
    if (err != VESTA_OK) {
      assert_int_equal(err, code);
      return count;
    }
    replica_section_t section;
    assert_true(result.generated_id_size > 0 && result.generated_id_size <= f->attributes.section_id_bytes_max);
    assert_true(replica_find(f->replica, vesta_bytes(result.generated_id, result.generated_id_size), NOW, &section));
    assert_int_equal(section.seq, result.seq);
    count++;
  }
}

static void generated_ids_are_short_readable_and_unique(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 200, 10, 3);
  replica_result_t result;
  must_apply(&f, ELEMENTS(create("1", "in the way")));
  static const char *const expected[] = {"0", "2", "3"};
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(apply(&f, ELEMENTS(create("", "")), &result), VESTA_OK);
    assert_true(vesta_bytes_equal(vesta_bytes(result.generated_id, result.generated_id_size), text(expected[i])));
  }
  assert_int_equal(generate_until_refused(&f, VESTA_ERR_NO_SPACE), 196);
  assert_true(replica_check(f.replica));
  fixture_close(&f);
}

static void generated_ids_use_every_value_of_a_byte_before_they_run_out(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 300, 10, 1);
  must_apply(&f, ELEMENTS(create("A", "in the way")));
  assert_int_equal(generate_until_refused(&f, VESTA_ERR_NO_RESOURCES), 255);
  must_apply(&f, ELEMENTS(delete_of("Q")));
  assert_int_equal(generate_until_refused(&f, VESTA_ERR_NO_RESOURCES), 1);
  fixture_close(&f);
}

static void one_operation_generates_one_id(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, 2, ELEMENTS(create("", ""), create("a", ""), create("", "")));
  must_apply(&f, ELEMENTS(create("0", ""), create("", "1"), create("2", "")));
  must_read(&f, "1", "1");
  fixture_close(&f);
}

/* ---- expiry ---- */

static void an_expired_section_is_not_there(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  must_apply(&f, ELEMENTS(create_until("now", "", NOW), create_until("next", "", NOW + 1), create("never", "")));
  replica_section_t section;
  must_not_find(&f, "now");
  must_read(&f, "next", "");
  assert_false(replica_find(f.replica, text("next"), NOW + 1, &section));
  assert_true(replica_find(f.replica, text("never"), INT64_MAX - 1, &section));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 0, ELEMENTS(write_at("now", 0, "x")));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 0, ELEMENTS(overwrite("now", "x")));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 0, ELEMENTS(delete_of("now")));
  must_refuse(&f, VESTA_ERR_NOT_EXIST, 0, ELEMENTS(expiry_set("now", VESTA_TIME_END)));
  must_refuse(&f, VESTA_ERR_TRY_AGAIN, 0, ELEMENTS(create("now", "")));
  must_apply(&f, ELEMENTS(expired("now")));
  must_apply(&f, ELEMENTS(create("now", "again")));
  must_read(&f, "now", "again");
  fixture_close(&f);
}

static void sections_expire_in_the_order_of_their_times(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 100, 10, 8);
  for (int i = 0; i < 100; i++) {
    char id[16];
    snprintf(id, sizeof id, "s%d", i);
    replica_element_t element = create_until(id, "", i % 10 == 0 ? VESTA_TIME_END : NOW + (i * 37) % 101);
    must_apply(&f, &element, 1);
  }
  must_apply(&f, ELEMENTS(expiry_set("s5", VESTA_TIME_END), expiry_set("s10", NOW + 50), expiry_set("s7", NOW + 1000)));
  fixture_restart(&f);
  int64_t last = 0;
  uint32_t count = 0;
  replica_section_t section;
  for (;;) {
    int64_t next = replica_expiry_next(f.replica, &section);
    if (next == VESTA_TIME_END) {
      break;
    }
    assert_true(next >= last && next == section.expiry_ns);
    last = next;
    count++;
    replica_element_t element = {.kind = VESTA_KIND_EXPIRED, .id = section.id};
    must_apply(&f, &element, 1);
  }
  assert_int_equal(count, 90);
  assert_true(last == NOW + 1000);
  assert_true(replica_check(f.replica));
  fixture_close(&f);
}

/* ---- the whole checkpoint ---- */

static void epochs_rise_and_say_where_they_begin(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  must_apply(&f, ELEMENTS(create("a", "")));
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, 0, ELEMENTS(epoch_to(1, 5)));
  must_apply(&f, ELEMENTS(epoch_to(3, 5)));
  must_apply(&f, ELEMENTS(overwrite("a", "x")));
  replica_status_t status;
  replica_status(f.replica, &status);
  assert_true(vesta_pos_equal(status.committed, (vesta_pos_t){4711, 3, 3}));
  assert_int_equal(status.granted_member, 5);
  vesta_epoch_row_t rows[4];
  assert_int_equal(replica_epochs(f.replica, rows, 4), 2);
  assert_int_equal(rows[0].epoch, 1);
  assert_int_equal(rows[0].first_seq, 1);
  assert_int_equal(rows[1].epoch, 3);
  assert_int_equal(rows[1].first_seq, 2);
  assert_int_equal(replica_position_check(f.replica, (vesta_pos_t){4711, 1, 0}), VESTA_OK);
  assert_int_equal(replica_position_check(f.replica, (vesta_pos_t){4711, 1, 1}), VESTA_OK);
  assert_int_equal(replica_position_check(f.replica, (vesta_pos_t){4711, 1, 2}), VESTA_ERR_DIVERGED);
  assert_int_equal(replica_position_check(f.replica, (vesta_pos_t){4711, 2, 1}), VESTA_ERR_DIVERGED);
  assert_int_equal(replica_position_check(f.replica, (vesta_pos_t){4711, 3, 3}), VESTA_OK);
  assert_int_equal(replica_position_check(f.replica, (vesta_pos_t){4711, 3, 4}), VESTA_ERR_DIVERGED);
  assert_int_equal(replica_position_check(f.replica, (vesta_pos_t){4711, 3, 1}), VESTA_ERR_DIVERGED); /* before it */
  assert_int_equal(replica_position_check(f.replica, (vesta_pos_t){4711, 4, 3}), VESTA_ERR_DIVERGED);
  assert_int_equal(replica_position_check(f.replica, (vesta_pos_t){4712, 3, 3}), VESTA_ERR_DIVERGED);
  fixture_close(&f);
}

static void old_epochs_are_forgotten_one_past_the_limit(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  for (uint64_t epoch = 2; epoch <= VESTA_EPOCHS_MAX; epoch++) {
    must_apply(&f, ELEMENTS(epoch_to(epoch, 0)));
  }
  assert_int_equal(replica_position_check(f.replica, (vesta_pos_t){4711, 1, 0}), VESTA_OK);
  must_apply(&f, ELEMENTS(epoch_to(VESTA_EPOCHS_MAX + 1, 0)));
  assert_int_equal(replica_position_check(f.replica, (vesta_pos_t){4711, 1, 0}), VESTA_ERR_DIVERGED);
  assert_int_equal(replica_position_check(f.replica, (vesta_pos_t){4711, 2, 1}), VESTA_OK);
  vesta_epoch_row_t rows[VESTA_EPOCHS_MAX + 1];
  assert_int_equal(replica_epochs(f.replica, rows, VESTA_EPOCHS_MAX + 1), VESTA_EPOCHS_MAX);
  assert_int_equal(rows[0].epoch, 2);
  fixture_close(&f);
}

static void operations_of_the_whole_checkpoint_stand_alone(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, 1, ELEMENTS(create("a", ""), of_kind(VESTA_KIND_UNLINKED, 0)));
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, 0, ELEMENTS(epoch_to(2, 0), create("a", "")));
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, 0, ELEMENTS(of_kind((vesta_kind_t)10, 0)));
  must_refuse(&f, VESTA_ERR_INVALID_PARAM, 0, ELEMENTS(of_kind((vesta_kind_t)0, 0)));
  must_apply(&f, ELEMENTS(of_kind(VESTA_KIND_RETENTION_SET, 99)));
  must_apply(&f, ELEMENTS(of_kind(VESTA_KIND_UNLINKED, 0)));
  fixture_restart(&f);
  replica_status_t status;
  replica_status(f.replica, &status);
  assert_int_equal(status.retention_ns, 99);
  assert_true(status.unlinked);
  replica_identity_t identity;
  replica_identity(f.replica, &identity);
  assert_int_equal(identity.attributes.retention_ns, 77); /* what it was made with */
  fixture_close(&f);
}

/* ---- storage ---- */

static void space_of_a_deleted_section_is_given_back(void **state) {
  (void)state;
  fixture_t f;
  static uint8_t data[10 * PAGE_BYTES];
  fixture_open(&f, 4, sizeof data, 8);
  must_apply(&f, ELEMENTS(create("a", ""), create("b", "")));
  replica_status_t before;
  replica_status_t status;
  replica_status(f.replica, &before);
  must_apply(&f, ELEMENTS(overwrite_bytes("a", data, sizeof data), create("c", "")));
  replica_status(f.replica, &status);
  assert_int_equal(status.slots_bytes, before.slots_bytes + sizeof data);
  must_apply(&f, ELEMENTS(delete_of("a")));
  replica_status(f.replica, &status);
  assert_int_equal(status.slots_bytes, before.slots_bytes);
  uint64_t bytes = status.index_bytes + status.log_bytes + status.slots_bytes;
  assert_int_equal(bytes, f.pages.reserved_count * PAGE_BYTES);
  fixture_close(&f);
}

/* Every reserve call of these operations is refused once; each refusal leaves everything as it was. */
static void storage_that_is_full_changes_nothing(uint64_t section_bytes_max) {
  fixture_t f;
  fixture_open(&f, 40, section_bytes_max, 8);
  char big[3000];
  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = 0;
  uint32_t refusals = 0;
  for (uint64_t i = 0; i < 40; i++) {
    char id[16];
    snprintf(id, sizeof id, "s%u", (unsigned)i);
    replica_element_t elements[] = {create(id, "a"), write_at(id, i * 20, big), create("t", big), delete_of("t")};
    replica_op_t op = op_of(elements, 4);
    op.session = (vesta_token_t){.hi = 1, .lo = i + 1};
    op.request = i;
    vesta_err_t err = VESTA_ERR_NO_SPACE;
    for (uint64_t fail = 1; err == VESTA_ERR_NO_SPACE && i < 39; fail++) {
      dump_t before = fixture_dump(f.replica);
      replica_status_t status_before;
      replica_status(f.replica, &status_before);
      replica_result_t result;
      f.pages.fail_at = f.pages.reserve_calls + fail;
      err = replica_apply(f.replica, &op, &result);
      f.pages.fail_at = 0;
      assert_true(replica_check(f.replica));
      if (err != VESTA_OK) {
        assert_int_equal(err, VESTA_ERR_NO_SPACE);
        assert_int_equal(result.element, REPLICA_NO_ELEMENT);
        dump_t after = fixture_dump(f.replica);
        replica_status_t status;
        replica_status(f.replica, &status);
        assert_string_equal(after.text, before.text);
        assert_int_equal(status.history_first, status_before.history_first);
        assert_true(section_bytes_max < PAGE_BYTES || status.slots_bytes == status_before.slots_bytes);
        dump_free(&after);
        refusals++;
      }
      dump_free(&before);
    }
  }
  assert_true(refusals > 40);
  fixture_close(&f);
}

static void a_full_storage_changes_nothing(void **state) {
  (void)state;
  storage_that_is_full_changes_nothing(5000);
  storage_that_is_full_changes_nothing(4000);
}

static void format_without_space_fails_and_leaves_nothing(void **state) {
  (void)state;
  pages_t pages;
  vesta_attributes_t attributes = attributes_of(4, 10, 8);
  uint64_t size = 0;
  assert_int_equal(replica_region_size(&attributes, &size), VESTA_OK);
  pages_open(&pages, size, true);
  pages.fail_at = 1;
  replica_storage_t storage = {.context = &pages, .reserve = pages_reserve, .release = pages_release};
  replica_identity_t identity = {.name = text("n"), .attributes = attributes};
  replica_t *replica = NULL;
  assert_int_equal(replica_format(pages.region, size, &identity, &storage, NOW, &replica), VESTA_ERR_NO_SPACE);
  assert_null(replica);
  assert_int_equal(pages.reserved_count, 0);
  pages_close(&pages);
}

#ifndef __SANITIZE_ADDRESS__
/* glibc's own, so that this one can stand before it. Sanitizers bring theirs: the test is for builds without. */
extern void *__libc_calloc(size_t count, size_t size);
static bool memory_is_out;
void *calloc(size_t count, size_t size);
void *calloc(size_t count, size_t size) { return memory_is_out ? NULL : __libc_calloc(count, size); }

static void without_memory_format_and_recover_fail_and_change_nothing(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  must_apply(&f, ELEMENTS(create("a", "aaa")));
  replica_destroy(&f.replica);
  memory_is_out = true;
  replica_identity_t identity = {.name = text("n"), .attributes = f.attributes};
  vesta_err_t format = replica_format(f.pages.region, f.pages.size, &identity, &f.storage, NOW, &f.replica);
  vesta_err_t recover = replica_recover(f.pages.region, f.pages.size, &f.storage, &f.replica);
  memory_is_out = false;
  assert_int_equal(format, VESTA_ERR_NO_MEMORY);
  assert_int_equal(recover, VESTA_ERR_NO_MEMORY);
  assert_null(f.replica);
  fixture_restart(&f);
  must_read(&f, "a", "aaa");
  fixture_close(&f);
}
#endif

static void recovery_refuses_what_is_no_region_of_ours(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  replica_destroy(&f.replica);
  replica_header_t *header = (replica_header_t *)(void *)f.pages.region;
  assert_int_equal(replica_recover(f.pages.region, f.pages.size - PAGE_BYTES, &f.storage, &f.replica),
                   VESTA_ERR_MALFORMED);
  assert_int_equal(replica_recover(f.pages.region, 100, &f.storage, &f.replica), VESTA_ERR_MALFORMED);
  header->layout_version++;
  assert_int_equal(replica_recover(f.pages.region, f.pages.size, &f.storage, &f.replica), VESTA_ERR_MALFORMED);
  header->layout_version--;
  header->sections_max += 100;
  assert_int_equal(replica_recover(f.pages.region, f.pages.size, &f.storage, &f.replica), VESTA_ERR_MALFORMED);
  header->sections_max -= 100;
  fixture_restart(&f);
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(attributes_that_contradict_themselves_are_invalid),
      cmocka_unit_test(geometry_at_each_limit_is_accepted_and_one_more_is_not),
      cmocka_unit_test(the_largest_geometry_formats_and_works),
      cmocka_unit_test(a_new_replica_is_empty_and_knows_who_it_is),
      cmocka_unit_test(a_section_is_created_found_and_deleted),
      cmocka_unit_test(ids_and_data_at_the_limit_are_accepted_and_one_more_is_not),
      cmocka_unit_test(a_full_replica_takes_no_more_sections),
      cmocka_unit_test(a_write_grows_and_never_shrinks_and_a_hole_reads_as_zeros),
      cmocka_unit_test(elements_see_what_the_ones_before_them_did),
      cmocka_unit_test(one_bad_element_and_nothing_is_written),
      cmocka_unit_test(an_operation_has_one_to_a_thousand_elements),
      cmocka_unit_test(an_operation_larger_than_the_limit_is_refused),
      cmocka_unit_test(the_default_section_is_always_there),
      cmocka_unit_test(with_several_sections_there_is_no_default_one),
      cmocka_unit_test(generated_ids_are_short_readable_and_unique),
      cmocka_unit_test(generated_ids_use_every_value_of_a_byte_before_they_run_out),
      cmocka_unit_test(one_operation_generates_one_id),
      cmocka_unit_test(an_expired_section_is_not_there),
      cmocka_unit_test(sections_expire_in_the_order_of_their_times),
      cmocka_unit_test(epochs_rise_and_say_where_they_begin),
      cmocka_unit_test(old_epochs_are_forgotten_one_past_the_limit),
      cmocka_unit_test(operations_of_the_whole_checkpoint_stand_alone),
      cmocka_unit_test(space_of_a_deleted_section_is_given_back),
      cmocka_unit_test(a_full_storage_changes_nothing),
      cmocka_unit_test(format_without_space_fails_and_leaves_nothing),
#ifndef __SANITIZE_ADDRESS__
      cmocka_unit_test(without_memory_format_and_recover_fail_and_change_nothing),
#endif
      cmocka_unit_test(recovery_refuses_what_is_no_region_of_ours),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
