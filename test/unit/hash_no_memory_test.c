/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Hashes of contents when memory runs out: each allocation fails once, nothing is lost but what was remembered, and the
 * hash that comes in the end is the right one.
 */
#include "core/content_sum.h"
#include "ext_api/mirror_table.h"

#include "test/support/allocation.h"
#include "test/unit/replica_fixture.h"

#define ALLOCATIONS_MAX 100U

static content_hash_t hash_of_replica(const replica_t *replica) {
  content_hash_t hash = {0};
  replica_section_t section;
  for (uint32_t slot = 0; replica_slot_next(replica, slot, UINT32_MAX, &section); slot = section.slot + 1) {
    vesta_bytes_t data = vesta_bytes(section.data, section.size);
    hash = content_hash_add(hash, content_hash_section(section.id, data, section.expiry_ns));
  }
  return hash;
}

static void the_service_forgets_what_it_has_no_memory_for_and_begins_again(void **state) {
  (void)state;
  static uint8_t data[40000];
  fixture_t f;
  fixture_open(&f, 10, sizeof data, 8);
  must_apply(&f, ELEMENTS(create("a", "one"), create("b", ""), create("c", "")));
  must_apply(&f, ELEMENTS(overwrite_bytes("b", data, sizeof data), overwrite_bytes("c", data, 9000)));
  content_hash_t expected = hash_of_replica(f.replica);
  bool failed = true;
  for (unsigned number = 1; failed; number++) {
    assert_true(number < ALLOCATIONS_MAX);
    long memory = allocation_live();
    content_t content;
    allocation_fail_at(number);
    content_sum_t *sum = content_sum_new();
    vesta_err_t err =
        sum == NULL ? VESTA_ERR_NO_MEMORY : content_sum_step(sum, f.replica, UINT32_MAX, UINT32_MAX, &content);
    failed = allocation_failed();
    assert_int_equal(err, failed ? VESTA_ERR_NO_MEMORY : VESTA_OK);
    sum = sum == NULL ? content_sum_new() : sum;
    assert_true(!failed || content_sum_bytes(sum) == 0);
    assert_int_equal(content_sum_step(sum, f.replica, UINT32_MAX, UINT32_MAX, &content), VESTA_OK);
    assert_true(content_hash_equal(content.hash, expected));
    content_sum_destroy(&sum);
    assert_int_equal(allocation_live(), memory);
  }
  fixture_close(&f);
}

static bool hash_one(void *context, const mirror_entry_t *entry) {
  content_hash_t *hash = context;
  *hash = content_hash_add(*hash, content_hash_section(entry->id, entry->data, entry->expiry_ns));
  return true;
}

static void assert_hash(mirror_table_t *table) {
  content_hash_t expected = {0};
  content_hash_t hash;
  mirror_table_each(table, hash_one, &expected);
  assert_int_equal(mirror_table_hash(table, UINT64_MAX, &hash), VESTA_OK);
  assert_true(content_hash_equal(hash, expected));
}

/* Changes go on being applied whatever becomes of the hashes. */
static void a_mirror_hashes_everything_again_when_it_had_no_memory_to_note_what_changed(void **state) {
  (void)state;
  unsigned failures = 0;
  for (unsigned number = 1; number < ALLOCATIONS_MAX; number++) {
    mirror_table_t *table = mirror_table_new();
    assert_non_null(table);
    content_hash_t hash;
    allocation_fail_at(number);
    vesta_err_t err = mirror_table_hash(table, UINT64_MAX, &hash);
    assert_true(err == VESTA_OK || (err == VESTA_ERR_NO_MEMORY && number == 1));
    for (uint32_t i = 0; i < 300; i++) {
      uint32_t id = i % 250;
      notify_change_t change = {.kind = VESTA_KIND_OVERWRITTEN,
                                .id = vesta_bytes(&id, sizeof id),
                                .data = vesta_bytes(&i, sizeof i),
                                .expiry_ns = VESTA_TIME_END,
                                .count = 1};
      err = mirror_table_apply(table, &change);
      if (err == VESTA_ERR_NO_MEMORY) { /* of the section itself: it comes again */
        assert_int_equal(mirror_table_apply(table, &change), VESTA_OK);
      }
    }
    failures += allocation_failed() ? 1 : 0;
    assert_int_equal(mirror_table_count(table), 250);
    assert_hash(table);
    mirror_table_destroy(&table);
  }
  assert_true(failures > 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_service_forgets_what_it_has_no_memory_for_and_begins_again),
      cmocka_unit_test(a_mirror_hashes_everything_again_when_it_had_no_memory_to_note_what_changed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
