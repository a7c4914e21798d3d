/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The mirror's table: each kind of change, resyncs seen from a reader, and a long random run against a model that is too
 * simple to be wrong.
 */
#include "ext_api/mirror_table.h"

#include "core/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static vesta_bytes_t text(const char *string) { return vesta_bytes(string, strlen(string)); }

static notify_change_t change(vesta_kind_t kind, const char *id, const char *data) {
  return (notify_change_t){
      .kind = kind, .id = text(id), .data = text(data), .expiry_ns = VESTA_TIME_END, .count = 1, .time_ns = 7};
}

static void apply(mirror_table_t *table, vesta_kind_t kind, const char *id, const char *data) {
  notify_change_t it = change(kind, id, data);
  assert_int_equal(mirror_table_apply(table, &it), VESTA_OK);
}

static void write_at(mirror_table_t *table, const char *id, uint64_t offset, const char *data, vesta_err_t expected) {
  notify_change_t it = change(VESTA_KIND_WRITTEN, id, data);
  it.offset = offset;
  assert_int_equal(mirror_table_apply(table, &it), expected);
}

static void assert_section(const mirror_table_t *table, const char *id, const char *data) {
  mirror_entry_t entry;
  assert_true(mirror_table_get(table, text(id), &entry));
  assert_true(vesta_bytes_equal(entry.id, text(id)));
  assert_true(vesta_bytes_equal(entry.data, text(data)));
}

static void assert_no_section(const mirror_table_t *table, const char *id) {
  mirror_entry_t entry;
  assert_false(mirror_table_get(table, text(id), &entry));
}

static int set_up(void **state) {
  *state = mirror_table_new();
  return *state == NULL ? -1 : 0;
}

static int tear_down(void **state) {
  mirror_table_destroy((mirror_table_t **)state);
  return 0;
}

static void each_kind_of_change_is_seen_at_once(void **state) {
  mirror_table_t *table = *state;
  apply(table, VESTA_KIND_CREATED, "a", "one");
  assert_section(table, "a", "one");
  apply(table, VESTA_KIND_OVERWRITTEN, "a", "longer than before");
  assert_section(table, "a", "longer than before");
  write_at(table, "a", 7, "THAN", VESTA_OK);
  assert_section(table, "a", "longer THAN before");
  write_at(table, "a", 12, "before, too", VESTA_OK);
  assert_section(table, "a", "longer THAN before, too");
  apply(table, VESTA_KIND_OVERWRITTEN, "a", "");
  assert_section(table, "a", "");
  assert_int_equal(mirror_table_count(table), 1);
  apply(table, VESTA_KIND_DELETED, "a", "");
  assert_no_section(table, "a");
  apply(table, VESTA_KIND_CREATED, "b", "x");
  apply(table, VESTA_KIND_EXPIRED, "b", "");
  assert_int_equal(mirror_table_count(table), 0);
}

static void expiry_and_time_follow_the_changes(void **state) {
  mirror_table_t *table = *state;
  mirror_entry_t entry;
  notify_change_t it = change(VESTA_KIND_CREATED, "a", "one");
  it.expiry_ns = 100;
  assert_int_equal(mirror_table_apply(table, &it), VESTA_OK);
  it = change(VESTA_KIND_OVERWRITTEN, "a", "two");
  it.expiry_ns = 0;
  it.time_ns = 8;
  assert_int_equal(mirror_table_apply(table, &it), VESTA_OK);
  assert_true(mirror_table_get(table, text("a"), &entry));
  assert_int_equal(entry.expiry_ns, 100);
  assert_int_equal(entry.time_ns, 8);
  it = change(VESTA_KIND_EXPIRY_SET, "a", "");
  it.expiry_ns = 200;
  assert_int_equal(mirror_table_apply(table, &it), VESTA_OK);
  assert_true(mirror_table_get(table, text("a"), &entry));
  assert_int_equal(entry.expiry_ns, 200);
  assert_section(table, "a", "two");
}

static void a_write_past_the_end_fills_with_zeros(void **state) {
  mirror_table_t *table = *state;
  mirror_entry_t entry;
  apply(table, VESTA_KIND_CREATED, "a", "ab");
  write_at(table, "a", 5, "z", VESTA_OK);
  assert_true(mirror_table_get(table, text("a"), &entry));
  assert_int_equal(entry.data.size, 6);
  assert_memory_equal(entry.data.data, "ab\0\0\0z", 6);
}

static void a_write_of_nothing_does_not_grow_a_section(void **state) {
  mirror_table_t *table = *state;
  apply(table, VESTA_KIND_CREATED, "a", "one");
  write_at(table, "a", 10, "", VESTA_OK);
  assert_section(table, "a", "one");
}

static void a_write_that_cannot_follow_is_refused_and_changes_nothing(void **state) {
  mirror_table_t *table = *state;
  write_at(table, "nobody", 0, "x", VESTA_ERR_MALFORMED);
  apply(table, VESTA_KIND_CREATED, "a", "ab");
  write_at(table, "a", VESTA_SECTION_BYTES_MAX, "x", VESTA_ERR_MALFORMED);
  write_at(table, "a", UINT64_MAX, "x", VESTA_ERR_MALFORMED);
  assert_section(table, "a", "ab");
  assert_int_equal(mirror_table_count(table), 1);
}

static void the_default_section_comes_with_its_first_write(void **state) {
  mirror_table_t *table = *state;
  write_at(table, "", 0, "state", VESTA_OK);
  assert_section(table, "", "state");
}

static void changes_of_the_whole_checkpoint_leave_the_sections_alone(void **state) {
  mirror_table_t *table = *state;
  apply(table, VESTA_KIND_CREATED, "a", "one");
  apply(table, VESTA_KIND_EPOCH, "", "");
  apply(table, VESTA_KIND_UNLINKED, "", "");
  notify_change_t synced = {.kind = NOTIFY_SYNCED};
  assert_int_equal(mirror_table_apply(table, &synced), VESTA_OK);
  assert_section(table, "a", "one");
  assert_int_equal(mirror_table_count(table), 1);
}

static void a_full_resync_appears_at_its_end_and_what_it_did_not_name_is_gone(void **state) {
  mirror_table_t *table = *state;
  apply(table, VESTA_KIND_CREATED, "kept", "old");
  apply(table, VESTA_KIND_CREATED, "unnamed", "old");
  assert_int_equal(mirror_table_resync_begin(table, true), VESTA_OK);
  apply(table, VESTA_KIND_CREATED, "kept", "new");
  apply(table, VESTA_KIND_CREATED, "more", "new");
  write_at(table, "more", 3, "er", VESTA_OK);
  assert_section(table, "kept", "old");
  assert_no_section(table, "more");
  assert_int_equal(mirror_table_count(table), 2);
  mirror_table_resync_end(table);
  assert_section(table, "kept", "new");
  assert_section(table, "more", "newer");
  assert_no_section(table, "unnamed");
  assert_int_equal(mirror_table_count(table), 2);
}

static void a_resync_of_changes_appears_at_its_end_and_leaves_the_rest(void **state) {
  mirror_table_t *table = *state;
  apply(table, VESTA_KIND_CREATED, "rest", "old");
  apply(table, VESTA_KIND_CREATED, "changed", "old");
  apply(table, VESTA_KIND_CREATED, "written", "old");
  apply(table, VESTA_KIND_CREATED, "deleted", "old");
  assert_int_equal(mirror_table_resync_begin(table, false), VESTA_OK);
  apply(table, VESTA_KIND_CREATED, "changed", "new");
  apply(table, VESTA_KIND_DELETED, "deleted", "");
  apply(table, VESTA_KIND_DELETED, "never there", "");
  apply(table, VESTA_KIND_CREATED, "brief", "new");
  apply(table, VESTA_KIND_DELETED, "brief", "");
  apply(table, VESTA_KIND_DELETED, "reborn", "");
  apply(table, VESTA_KIND_CREATED, "reborn", "new");
  write_at(table, "written", 0, "O", VESTA_OK); /* a live change, before the end */
  write_at(table, "deleted", 0, "x", VESTA_ERR_MALFORMED);
  assert_section(table, "changed", "old");
  assert_section(table, "written", "old");
  assert_section(table, "deleted", "old");
  mirror_table_resync_end(table);
  assert_section(table, "rest", "old");
  assert_section(table, "changed", "new");
  assert_section(table, "written", "Old");
  assert_section(table, "reborn", "new");
  assert_no_section(table, "deleted");
  assert_no_section(table, "brief");
  assert_int_equal(mirror_table_count(table), 4);
}

static void a_resync_that_begins_again_or_is_given_up_leaves_no_trace(void **state) {
  mirror_table_t *table = *state;
  apply(table, VESTA_KIND_CREATED, "a", "old");
  assert_int_equal(mirror_table_resync_begin(table, true), VESTA_OK);
  apply(table, VESTA_KIND_CREATED, "half", "x");
  assert_int_equal(mirror_table_resync_begin(table, false), VESTA_OK);
  apply(table, VESTA_KIND_CREATED, "other half", "x");
  mirror_table_resync_abort(table);
  assert_section(table, "a", "old");
  assert_int_equal(mirror_table_count(table), 1);
  apply(table, VESTA_KIND_CREATED, "b", "live");
  assert_int_equal(mirror_table_count(table), 2);
}

static bool count_and_stop(void *context, const mirror_entry_t *entry) {
  (void)entry;
  uint32_t *left = context;
  return --*left > 0;
}

static void a_visit_sees_each_section_once_and_stops_when_told(void **state) {
  mirror_table_t *table = *state;
  for (char c = 'a'; c <= 'z'; c++) {
    char id[2] = {c, 0};
    apply(table, VESTA_KIND_CREATED, id, "x");
  }
  uint32_t left = UINT32_MAX;
  mirror_table_each(table, count_and_stop, &left);
  assert_int_equal(UINT32_MAX - left, 26);
  left = 5;
  mirror_table_each(table, count_and_stop, &left);
  assert_int_equal(left, 0);
}

/* ---- the hash ---- */

static bool hash_one(void *context, const mirror_entry_t *entry) {
  content_hash_t *hash = context;
  *hash = content_hash_add(*hash, content_hash_section(entry->id, entry->data, entry->expiry_ns));
  return true;
}

static content_hash_t hash_in_pieces(mirror_table_t *table) {
  content_hash_t hash;
  vesta_err_t err;
  while ((err = mirror_table_hash(table, 1000, &hash)) == VESTA_ERR_TRY_AGAIN) {
  }
  assert_int_equal(err, VESTA_OK);
  return hash;
}

static void assert_hash(mirror_table_t *table) {
  content_hash_t hash = {0};
  mirror_table_each(table, hash_one, &hash);
  assert_true(content_hash_equal(hash_in_pieces(table), hash));
}

static void a_piece_of_the_hash_keeps_to_its_budget(void **state) {
  mirror_table_t *table = *state;
  content_hash_t hash;
  assert_int_equal(mirror_table_hash(table, 0, &hash), VESTA_OK); /* there is nothing */
  assert_true(content_hash_equal(hash, (content_hash_t){0}));
  apply(table, VESTA_KIND_CREATED, "a", "one");
  apply(table, VESTA_KIND_CREATED, "b", "two");
  assert_int_equal(mirror_table_hash(table, 1, &hash), VESTA_ERR_TRY_AGAIN);
  assert_int_equal(mirror_table_hash(table, 1, &hash), VESTA_OK);
  apply(table, VESTA_KIND_OVERWRITTEN, "a", "three");
  apply(table, VESTA_KIND_DELETED, "a", "");
  assert_int_equal(mirror_table_hash(table, 0, &hash), VESTA_OK); /* what is gone need not be hashed */
  assert_hash(table);
}

static void a_byte_that_changed_by_itself_is_found_when_all_parts_were_scrubbed(void **state) {
  mirror_table_t *table = *state;
  for (int c = 0; c < 200; c++) {
    char id[8];
    (void)snprintf(id, sizeof id, "%d", c);
    apply(table, VESTA_KIND_CREATED, id, "some data");
  }
  content_hash_t before = hash_in_pieces(table);
  mirror_entry_t entry;
  assert_true(mirror_table_get(table, text("77"), &entry));
  ((uint8_t *)entry.data.data)[3] ^= 4;
  assert_true(content_hash_equal(hash_in_pieces(table), before)); /* it was remembered */
  for (uint32_t part = 0; part < 9; part++) {                     /* the last one may begin before the end */
    mirror_table_scrub(table, 8);
    (void)hash_in_pieces(table);
  }
  assert_false(content_hash_equal(hash_in_pieces(table), before));
  assert_hash(table);
}

/* ---- against a model ---- */

#define MODEL_IDS 64U
#define MODEL_BYTES 700U

typedef struct model_section {
  bool there;
  size_t size;
  uint8_t data[MODEL_BYTES];
} model_section_t;

static void model_apply(model_section_t *section, const notify_change_t *it) {
  if (it->kind == VESTA_KIND_DELETED) {
    *section = (model_section_t){0};
    return;
  }
  if (it->kind != VESTA_KIND_WRITTEN) {
    *section = (model_section_t){.there = true};
  }
  memcpy(section->data + it->offset, it->data.data, it->data.size);
  size_t end = (size_t)it->offset + it->data.size;
  section->size = it->data.size > 0 && end > section->size ? end : section->size;
}

static void assert_model(const mirror_table_t *table, const model_section_t *model) {
  size_t count = 0;
  for (uint32_t id = 0; id < MODEL_IDS; id++) {
    mirror_entry_t entry;
    bool there = mirror_table_get(table, vesta_bytes(&id, sizeof id), &entry);
    assert_int_equal(there, model[id].there);
    assert_true(!there || vesta_bytes_equal(entry.data, vesta_bytes(model[id].data, model[id].size)));
    count += there;
  }
  assert_int_equal(mirror_table_count(table), count);
}

static void random_change(mirror_table_t *table, model_section_t *model, unsigned *seed) {
  static uint8_t data[MODEL_BYTES];
  uint32_t id = (uint32_t)rand_r(seed) % MODEL_IDS;
  notify_change_t it = {.id = vesta_bytes(&id, sizeof id), .expiry_ns = VESTA_TIME_END};
  static const vesta_kind_t kinds[] = {VESTA_KIND_CREATED, VESTA_KIND_OVERWRITTEN, VESTA_KIND_WRITTEN,
                                       VESTA_KIND_WRITTEN, VESTA_KIND_DELETED};
  it.kind = kinds[(unsigned)rand_r(seed) % 5];
  if (it.kind == VESTA_KIND_WRITTEN && !model[id].there) {
    it.kind = VESTA_KIND_CREATED;
  }
  if (it.kind != VESTA_KIND_DELETED) {
    it.offset = it.kind == VESTA_KIND_WRITTEN ? (unsigned)rand_r(seed) % (MODEL_BYTES / 2) : 0;
    it.data = vesta_bytes(data, (unsigned)rand_r(seed) % (MODEL_BYTES / 2));
    memset(data, rand_r(seed), sizeof data);
  }
  model_apply(&model[id], &it);
  assert_int_equal(mirror_table_apply(table, &it), VESTA_OK);
}

static void a_long_random_run_equals_the_model_between_and_after_resyncs(void **state) {
  static model_section_t model[MODEL_IDS], before[MODEL_IDS];
  mirror_table_t *table = *state;
  for (unsigned round = 0; round < 300; round++) {
    unsigned seed = round;
    for (int i = 0; i < 40; i++) {
      random_change(table, model, &seed);
    }
    assert_model(table, model);
    assert_hash(table);
    bool full = round % 2 == 0;
    memcpy(before, model, sizeof model);
    assert_int_equal(mirror_table_resync_begin(table, full), VESTA_OK);
    if (full) {
      memset(model, 0, sizeof model);
    }
    for (int i = 0; i < 40; i++) {
      random_change(table, model, &seed);
    }
    assert_model(table, before);
    assert_hash(table);
    mirror_table_scrub(table, 3);
    if (round % 5 == 0) {
      mirror_table_resync_abort(table);
      memcpy(model, before, sizeof model);
    } else {
      mirror_table_resync_end(table);
    }
    assert_model(table, model);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(each_kind_of_change_is_seen_at_once),
      TEST(expiry_and_time_follow_the_changes),
      TEST(a_write_past_the_end_fills_with_zeros),
      TEST(a_write_of_nothing_does_not_grow_a_section),
      TEST(a_write_that_cannot_follow_is_refused_and_changes_nothing),
      TEST(the_default_section_comes_with_its_first_write),
      TEST(changes_of_the_whole_checkpoint_leave_the_sections_alone),
      TEST(a_full_resync_appears_at_its_end_and_what_it_did_not_name_is_gone),
      TEST(a_resync_of_changes_appears_at_its_end_and_leaves_the_rest),
      TEST(a_resync_that_begins_again_or_is_given_up_leaves_no_trace),
      TEST(a_visit_sees_each_section_once_and_stops_when_told),
      TEST(a_piece_of_the_hash_keeps_to_its_budget),
      TEST(a_byte_that_changed_by_itself_is_found_when_all_parts_were_scrubbed),
      TEST(a_long_random_run_equals_the_model_between_and_after_resyncs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
