/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A process may be killed between any two stores, and the replica is then in the state before or after.
 *
 * Random kills would miss most of the windows, so every one is tried: before each single store of an action the region
 * is copied as a killed process would leave it. The copy is recovered, checked, compared with the state before, and
 * remembered; when the action is over all states that were not the one before must be the one after, and once the one
 * after has been seen the one before must not come back. A copy with an operation still prepared is either aborted or
 * committed first, turn about. The recovery itself is killed at every store too, for some of the copies.
 */
#include "test/unit/replica_fixture.h"

#include "core/replica_private.h" /* replica_recover_hooked() */

typedef void (*action_t)(fixture_t *f);

/* What to do with an operation that is found prepared in a copy. */
typedef enum in_flight { SETTLE, LEAVE } in_flight_t;

typedef struct observer {
  fixture_t *live;
  fixture_t copy;
  fixture_t again; /* a copy of the copy, whose recovery is killed */
  in_flight_t in_flight;
  dump_t before;
  uint64_t stores;
  uint64_t later;       /* copies that were not as before */
  char *later_text;     /* what they were; all of them the same */
  uint64_t history_max; /* highest history_first seen */
  uint64_t recovery_stores;
  bool kills_recovery;
} observer_t;

static void copy_open(fixture_t *copy, const fixture_t *live) {
  memset(copy, 0, sizeof *copy);
  pages_open(&copy->pages, live->pages.size, true);
  copy->storage = (replica_storage_t){.context = &copy->pages, .reserve = pages_reserve, .release = pages_release};
  copy->attributes = live->attributes;
}

/* The text of a record that both histories have must be the same in both. */
static void histories_agree(const replica_t *a, const replica_t *b) {
  replica_status_t status_a;
  replica_status_t status_b;
  replica_status(a, &status_a);
  replica_status(b, &status_b);
  uint64_t end = status_a.committed.seq < status_b.committed.seq ? status_a.committed.seq : status_b.committed.seq;
  uint64_t seq = status_a.history_first > status_b.history_first ? status_a.history_first : status_b.history_first;
  if (end > 4 && seq < end - 4) {
    seq = end - 4; /* the rest is compared by records_are_kept() */
  }
  for (; seq <= end; seq++) {
    replica_record_t record_a;
    replica_record_t record_b;
    assert_int_equal(replica_record(a, seq, &record_a), VESTA_OK);
    assert_int_equal(replica_record(b, seq, &record_b), VESTA_OK);
    assert_int_equal(record_a.time_ns, record_b.time_ns);
    assert_int_equal(record_a.element_count, record_b.element_count);
    replica_change_t change_a;
    replica_change_t change_b;
    while (replica_record_next(&record_a, &change_a)) {
      assert_true(replica_record_next(&record_b, &change_b));
      assert_int_equal(change_a.element.kind, change_b.element.kind);
      assert_true(vesta_bytes_equal(change_a.element.id, change_b.element.id));
      assert_true(vesta_bytes_equal(change_a.element.data, change_b.element.data));
    }
  }
}

/* The recovered replica goes on: it takes another operation. */
static void goes_on(fixture_t *f) {
  replica_result_t result;
  replica_element_t element = f->attributes.sections_max == 1 ? overwrite("", "on") : create("on", "on");
  vesta_err_t err = apply(f, &element, 1, &result);
  assert_true(err == VESTA_OK || err == VESTA_ERR_NO_SPACE || err == VESTA_ERR_TRY_AGAIN || err == VESTA_ERR_EXIST);
  assert_true(replica_check(f->replica));
}

static void judge_copy(observer_t *o) {
  fixture_t *copy = &o->copy;
  replica_status_t status;
  assert_true(replica_check(copy->replica));
  replica_status(copy->replica, &status);
  if (o->in_flight == SETTLE && status.prepared_seq > status.committed.seq) {
    if (o->stores % 2 == 0) {
      replica_abort(copy->replica, status.committed.seq + 1);
    } else {
      replica_commit(copy->replica, status.prepared_seq);
      o->later++;
    }
    assert_true(replica_check(copy->replica));
  }
  dump_t dump = fixture_dump(copy->replica);
  assert_true(dump.history_first >= o->before.history_first);
  if (dump.history_first > o->history_max) {
    o->history_max = dump.history_first;
  }
  if (strcmp(dump.text, o->before.text) == 0) {
    /* An odd copy may show what commit gives while the even one next to it shows what abort gives. */
    assert_true(o->later == 0 || o->in_flight == SETTLE);
  } else if (o->later_text == NULL) {
    o->later++;
    o->later_text = strdup(dump.text);
  } else {
    o->later++;
    assert_string_equal(dump.text, o->later_text);
  }
  dump_free(&dump);
  if (o->in_flight == SETTLE) {
    goes_on(copy);
  }
}

static void recovery_store(void *context) {
  observer_t *o = context;
  o->recovery_stores++;
  pages_copy(&o->copy.pages, &o->again.pages);
  replica_t *replica = NULL;
  assert_int_equal(replica_recover(o->again.pages.region, o->again.pages.size, &o->again.storage, &replica), VESTA_OK);
  assert_true(replica_check(replica));
  dump_t dump = fixture_dump(replica);
  replica_status_t status;
  replica_status(replica, &status);
  bool is_known = strcmp(dump.text, o->before.text) == 0 || o->later_text == NULL ||
                  strcmp(dump.text, o->later_text) == 0 || status.prepared_seq > status.committed.seq;
  assert_true(is_known);
  dump_free(&dump);
  replica_destroy(&replica);
}

static void live_store(void *context) {
  observer_t *o = context;
  o->stores++;
  pages_copy(&o->live->pages, &o->copy.pages);
  replica_store_hook_t hook = o->kills_recovery ? recovery_store : NULL;
  assert_int_equal(
      replica_recover_hooked(o->copy.pages.region, o->copy.pages.size, &o->copy.storage, hook, o, &o->copy.replica),
      VESTA_OK);
  replica_store_hook(o->copy.replica, NULL, NULL);
  judge_copy(o);
  if (o->in_flight == LEAVE) {
    histories_agree(o->copy.replica, o->live->replica);
  }
  replica_destroy(&o->copy.replica);
}

static void stopped_everywhere(fixture_t *f, in_flight_t in_flight, bool kills_recovery, action_t action) {
  observer_t o = {.live = f, .in_flight = in_flight, .kills_recovery = kills_recovery};
  copy_open(&o.copy, f);
  copy_open(&o.again, f);
  o.before = fixture_dump(f->replica);
  replica_store_hook(f->replica, live_store, &o);
  action(f);
  replica_store_hook(f->replica, NULL, NULL);
  assert_true(replica_check(f->replica));
  dump_t after = fixture_dump(f->replica);
  assert_true(o.stores > 0);
  assert_true(!kills_recovery || o.recovery_stores > 0);
  if (o.later_text != NULL) {
    assert_string_equal(o.later_text, after.text);
  }
  assert_true(o.history_max <= after.history_first);
  dump_free(&o.before);
  dump_free(&after);
  free(o.later_text);
  pages_close(&o.copy.pages);
  pages_close(&o.again.pages);
}

/* ---- what is done ---- */

static vesta_token_t session_of(uint64_t number) { return (vesta_token_t){.hi = 9, .lo = number}; }

static void as_session(fixture_t *f, uint64_t session, uint64_t request, const replica_element_t *elements,
                       size_t count) {
  replica_op_t op = op_of(elements, count);
  op.session = session_of(session);
  op.request = request;
  op.time_ns = NOW + (int64_t)request;
  replica_result_t result;
  assert_int_equal(replica_apply(f->replica, &op, &result), VESTA_OK);
}

static void prepare(fixture_t *f, uint64_t session, uint64_t request, const replica_element_t *elements, size_t count) {
  replica_op_t op = op_of(elements, count);
  op.session = session_of(session);
  op.request = request;
  replica_result_t result;
  assert_int_equal(replica_prepare(f->replica, &op, &result), VESTA_OK);
}

static const char BLOCK[] = "0123456789abcdefghijklmnopqrstuvwxyz";

static void create_one(fixture_t *f) { as_session(f, 1, 1, ELEMENTS(create("one", "first data"))); }
static void create_generated(fixture_t *f) {
  replica_element_t element = create("", "generated");
  as_session(f, 1, 2, &element, 1);
}
static void create_expiring(fixture_t *f) { must_apply(f, ELEMENTS(create_until("exp", BLOCK, NOW + 5000))); }
static void write_hole(fixture_t *f) { must_apply(f, ELEMENTS(write_at("one", 20, "after a hole"))); }
static void write_nothing(fixture_t *f) { must_apply(f, ELEMENTS(write_at("one", 50, ""))); }
static void overwrite_smaller(fixture_t *f) { must_apply(f, ELEMENTS(overwrite("one", "less"))); }
static void overwrite_larger(fixture_t *f) { must_apply(f, ELEMENTS(overwrite("one", BLOCK))); }
static void vector(fixture_t *f) {
  as_session(f, 2, 7,
             ELEMENTS(write_at("one", 3, "three"), write_at("exp", 40, "forty"), write_at("one", 50, "fifty"),
                      overwrite("exp", "over"), write_at("exp", 6, "six")));
}
static void create_and_write(fixture_t *f) {
  must_apply(f, ELEMENTS(create("two", "2"), write_at("two", 5, "five"), create("three", "3"), delete_of("two"),
                         create("four", "4")));
}
static void replace(fixture_t *f) { must_apply(f, ELEMENTS(delete_of("one"), create("one", "new one"))); }
static void swap_slots(fixture_t *f) {
  must_apply(f, ELEMENTS(delete_of("one"), delete_of("three"), create("five", "5"), create("six", "6"),
                         write_at("five", 4, "five"), delete_of("five"), create("seven", BLOCK)));
}
static void set_expiry(fixture_t *f) { must_apply(f, ELEMENTS(expiry_set("exp", NOW + 77))); }
static void expire_it(fixture_t *f) { must_apply(f, ELEMENTS(expired("exp"))); }
static void delete_some(fixture_t *f) {
  as_session(f, 1, 9, ELEMENTS(delete_of("seven"), create("eight", "8"), delete_of("eight"), delete_of("six")));
}
static void new_epoch(fixture_t *f) {
  replica_status_t status;
  replica_status(f->replica, &status);
  must_apply(f, ELEMENTS(epoch_to(status.committed.epoch + 3, 5)));
}
static void set_retention(fixture_t *f) { must_apply(f, ELEMENTS(of_kind(VESTA_KIND_RETENTION_SET, 123))); }
static void unlink_it(fixture_t *f) { must_apply(f, ELEMENTS(of_kind(VESTA_KIND_UNLINKED, 0))); }
static void forget(fixture_t *f) { replica_session_forget(f->replica, session_of(1)); }

/* Every kind of operation on one geometry. */
static void life_of_sections(uint64_t section_bytes_max) {
  static const action_t actions[] = {
      create_one, create_generated, create_expiring, write_hole,       write_nothing, overwrite_smaller,
      vector,     overwrite_larger, forget,          create_and_write, replace,       swap_slots,
      set_expiry, new_epoch,        expire_it,       delete_some,      set_retention, unlink_it,
  };
  fixture_t f;
  fixture_open(&f, 6, section_bytes_max, 8);
  for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
    stopped_everywhere(&f, SETTLE, i % 3 == 0, actions[i]);
    fixture_restart(&f);
  }
  fixture_close(&f);
}

static void stopped_at_any_store_packed_sections_are_as_before_or_after(void **state) {
  (void)state;
  life_of_sections(64);
}

static void stopped_at_any_store_paged_sections_are_as_before_or_after(void **state) {
  (void)state;
  life_of_sections(3 * PAGE_BYTES - 100);
}

static void create_in_given_slots(fixture_t *f) {
  replica_element_t elements[] = {create("five", BLOCK), create("two", BLOCK)};
  elements[0].slot_given = 5;
  elements[1].slot_given = 2;
  as_session(f, 1, 1, elements, 2);
}

static void stopped_at_any_store_sections_are_in_the_slots_they_were_given_or_nowhere(void **state) {
  (void)state;
  for (uint64_t section_bytes_max = 64; section_bytes_max <= 3 * PAGE_BYTES; section_bytes_max += 3 * PAGE_BYTES - 64) {
    fixture_t f;
    fixture_open(&f, 6, section_bytes_max, 8);
    stopped_everywhere(&f, SETTLE, true, create_in_given_slots);
    fixture_restart(&f);
    fixture_close(&f);
  }
}

static void write_default(fixture_t *f) { as_session(f, 1, 1, ELEMENTS(write_at("", 7, "seven"))); }
static void overwrite_default(fixture_t *f) { as_session(f, 1, 2, ELEMENTS(overwrite("", "all"))); }

static void stopped_at_any_store_the_default_section_is_as_before_or_after(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 1, 100, 0);
  stopped_everywhere(&f, SETTLE, true, write_default);
  stopped_everywhere(&f, SETTLE, true, overwrite_default);
  fixture_close(&f);
}

static void write_in_session(fixture_t *f) {
  as_session(f, 1, 2 * VESTA_SESSION_WINDOW, ELEMENTS(overwrite("a", "x")));
}

static void stopped_at_any_store_a_full_session_window_moves_by_one_or_not(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 64, 8);
  as_session(&f, 1, 1, ELEMENTS(create("a", "a")));
  for (uint64_t request = 2; request <= VESTA_SESSION_WINDOW + 5; request++) {
    as_session(&f, 1, request, ELEMENTS(write_at("a", 0, "y")));
  }
  stopped_everywhere(&f, SETTLE, true, write_in_session);
  fixture_close(&f);
}

/* ---- prepared, committed, aborted ---- */

static void prepare_three(fixture_t *f) {
  prepare(f, 3, 1, ELEMENTS(create("n1", BLOCK), write_at("n1", 60, "tail")));
  prepare(f, 3, 2, ELEMENTS(delete_of("a"), create("n2", "2")));
  prepare(f, 4, 1, ELEMENTS(write_at("b", 30, "thirty")));
}
static void prepare_one_more(fixture_t *f) { prepare(f, 5, 1, ELEMENTS(create("n3", "3"))); }
static void commit_all(fixture_t *f) {
  replica_status_t status;
  replica_status(f->replica, &status);
  replica_commit(f->replica, status.prepared_seq);
}
static void commit_first(fixture_t *f) {
  replica_status_t status;
  replica_status(f->replica, &status);
  replica_commit(f->replica, status.committed.seq + 1);
}
static void abort_second(fixture_t *f) {
  replica_status_t status;
  replica_status(f->replica, &status);
  replica_abort(f->replica, status.committed.seq + 2);
}
static void forget_in_flight(fixture_t *f) { replica_session_forget(f->replica, session_of(3)); }

static void open_with_two(fixture_t *f, uint64_t section_bytes_max) {
  fixture_open(f, 5, section_bytes_max, 8);
  must_apply(f, ELEMENTS(create("a", "aaa"), create("b", "bbb")));
}

static void stopped_at_any_store_what_is_in_flight_is_kept_whole(uint64_t section_bytes_max) {
  fixture_t f;
  open_with_two(&f, section_bytes_max);
  prepare_three(&f);
  stopped_everywhere(&f, LEAVE, true, prepare_one_more);
  stopped_everywhere(&f, LEAVE, false, forget_in_flight);
  fixture_restart(&f);
  stopped_everywhere(&f, LEAVE, true, commit_first);
  fixture_restart(&f);
  stopped_everywhere(&f, LEAVE, true, abort_second);
  fixture_restart(&f);
  stopped_everywhere(&f, LEAVE, true, commit_all);
  must_not_find(&f, "a");
  must_read(&f, "b", "bbb");
  must_read(&f, "n2", "2");
  replica_result_t result;
  assert_int_equal(replica_request_find(f.replica, session_of(3), 1, &result), VESTA_ERR_NOT_EXIST); /* forgotten */
  fixture_close(&f);
}

static void stopped_at_any_store_operations_in_flight_are_kept_committed_or_aborted(void **state) {
  (void)state;
  stopped_at_any_store_what_is_in_flight_is_kept_whole(70);
  stopped_at_any_store_what_is_in_flight_is_kept_whole(2 * PAGE_BYTES);
}

/* Several operations commit together: then each of them is applied, though the process is killed within the second. */
static void stopped_at_any_store_a_commit_of_several_is_all_of_them(void **state) {
  (void)state;
  fixture_t f;
  open_with_two(&f, 70);
  prepare_three(&f);
  stopped_everywhere(&f, LEAVE, true, commit_all);
  replica_section_t section;
  assert_true(replica_find(f.replica, text("b"), NOW, &section));
  assert_int_equal(section.size, 36);
  assert_memory_equal(section.data, "bbb\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0thirty", 36);
  fixture_close(&f);
}

/* ---- the rings ---- */

static uint8_t large[600 * 1024];

static void write_large(fixture_t *f) { must_apply(f, ELEMENTS(overwrite_bytes("a", large, 20000))); }
static void write_largest(fixture_t *f) {
  must_apply(f, ELEMENTS(overwrite_bytes("a", large, sizeof large), overwrite_bytes("b", large, sizeof large)));
}
static void write_small(fixture_t *f) { must_apply(f, ELEMENTS(overwrite("b", "small"))); }

static uint64_t history_first(const fixture_t *f) {
  replica_status_t status;
  replica_status(f->replica, &status);
  return status.history_first;
}

static void stopped_at_any_store_the_log_goes_round_or_not(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 2, 30000, 8);
  must_apply(&f, ELEMENTS(create("a", "aaa"), create("b", "bbb")));
  while (history_first(&f) < 4) {
    write_large(&f);
  }
  for (int i = 0; i < 4; i++) {
    uint64_t first = history_first(&f);
    stopped_everywhere(&f, SETTLE, false, write_large);
    assert_true(history_first(&f) > first);
  }
  while (history_first(&f) % 97 != 0) { /* on to the next time round */
    write_large(&f);
  }
  stopped_everywhere(&f, SETTLE, false, write_small);
  fixture_close(&f);
}

static void stopped_at_any_store_a_record_beyond_the_soft_size_is_there_or_not(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 2, sizeof large, 8);
  must_apply(&f, ELEMENTS(create("a", "aaa"), create("b", "bbb")));
  replica_layout_t layout;
  assert_int_equal(replica_layout_make(&f.attributes, &layout), VESTA_OK);
  while (f.replica->log_end + 2 * sizeof large < layout.log_soft_bytes) {
    write_largest(&f);
  }
  stopped_everywhere(&f, SETTLE, false, write_largest); /* begins below, ends beyond */
  assert_true(f.replica->header->reserved.log > layout.log_soft_bytes);
  stopped_everywhere(&f, SETTLE, false, write_small); /* goes to 0 */
  stopped_everywhere(&f, SETTLE, false, write_small);
  while (f.replica->header->reserved.log > layout.log_soft_bytes) {
    write_largest(&f);
  }
  assert_true(replica_check(f.replica));
  fixture_close(&f);
}

/* ---- data that stays in the log ---- */

#define STAY_BYTES 100000U

/* Large data, other than last time. */
static vesta_bytes_t large_data(void) {
  static uint8_t value;
  memset(large, ++value, STAY_BYTES);
  large[STAY_BYTES / 2] = 0;
  return vesta_bytes(large, STAY_BYTES);
}

static bool stays(const fixture_t *f, const char *id) {
  uint32_t slot = replica_slot_find(f->replica, replica_hash(f->replica, text(id)), text(id));
  return slot != REPLICA_NO_SLOT && replica_descriptor(f->replica, slot)->data_at != 0;
}

static void create_staying(fixture_t *f) {
  replica_element_t element = create("a", "");
  element.data = large_data();
  must_apply(f, &element, 1);
}
static void overwrite_staying(fixture_t *f) {
  vesta_bytes_t data = large_data();
  must_apply(f, ELEMENTS(overwrite_bytes("a", data.data, data.size)));
}
static void overwrite_other(fixture_t *f) {
  vesta_bytes_t data = large_data();
  must_apply(f, ELEMENTS(overwrite_bytes("b", data.data, data.size), write_at("c", 3, "c")));
}
static void write_all_of_it(fixture_t *f) {
  replica_element_t element = write_at("a", 0, "");
  element.data = large_data();
  must_apply(f, &element, 1);
}
static void write_into_it(fixture_t *f) { must_apply(f, ELEMENTS(write_at("a", 12345, "in the midst"))); }
static void write_behind_it(fixture_t *f) { must_apply(f, ELEMENTS(write_at("a", STAY_BYTES + 50, "behind"))); }
static void overwrite_it_small(fixture_t *f) { must_apply(f, ELEMENTS(overwrite("a", "small"))); }
static void touch_it_twice(fixture_t *f) {
  vesta_bytes_t data = large_data();
  must_apply(f, ELEMENTS(write_at("a", 7, "first"), overwrite_bytes("a", data.data, data.size), write_at("a", 9, "x")));
}
static void replace_it(fixture_t *f) {
  replica_element_t elements[] = {delete_of("a"), create("d", "")};
  elements[1].data = large_data();
  must_apply(f, elements, 2);
}
static void delete_it(fixture_t *f) { must_apply(f, ELEMENTS(delete_of("d"))); }

static void stopped_at_any_store_data_that_stays_in_the_log_is_as_before_or_after(void **state) {
  (void)state;
  static const struct {
    action_t action;
    bool stays; /* section a after it */
  } steps[] = {
      {create_staying, true},    {overwrite_staying, true}, {write_all_of_it, true},   {write_into_it, false},
      {overwrite_staying, true}, {write_behind_it, false},  {overwrite_staying, true}, {overwrite_it_small, false},
      {overwrite_staying, true}, {touch_it_twice, false},   {overwrite_staying, true}, {replace_it, false},
      {delete_it, false},
  };
  fixture_t f;
  fixture_open(&f, 3, 2 * STAY_BYTES, 8);
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    stopped_everywhere(&f, SETTLE, i % 3 == 0, steps[i].action);
    assert_int_equal(stays(&f, "a"), steps[i].stays);
    fixture_restart(&f);
    assert_int_equal(stays(&f, "a"), steps[i].stays);
  }
  assert_int_equal(f.replica->staying_count, 0);
  fixture_close(&f);
}

static void stopped_at_any_store_data_goes_to_its_slot_before_its_record_goes(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 3, STAY_BYTES, 8);
  must_apply(&f, ELEMENTS(create("b", "b"), create("c", "c")));
  create_staying(&f);
  replica_section_t section;
  assert_true(replica_find(f.replica, text("a"), NOW, &section));
  uint64_t before = digest(section.data, section.size);
  uint64_t first_seq = f.replica->header->first_seq;
  while (f.replica->header->first_seq == first_seq) { /* the records before it are in the way first */
    overwrite_other(&f);
  }
  while (stays(&f, "a")) {
    stopped_everywhere(&f, SETTLE, true, overwrite_other);
  }
  assert_true(stays(&f, "b"));
  assert_true(replica_find(f.replica, text("a"), NOW, &section));
  assert_int_equal(digest(section.data, section.size), before);
  fixture_restart(&f);
  assert_true(replica_find(f.replica, text("a"), NOW, &section));
  assert_int_equal(digest(section.data, section.size), before);
  fixture_close(&f);
}

static void data_said_to_be_in_the_log_must_be_that_of_a_record(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 3, STAY_BYTES, 8);
  create_staying(&f);
  overwrite_staying(&f);
  replica_descriptor_t *d = replica_descriptor(f.replica, 0);
  const uint32_t data_at = d->data_at;
  replica_destroy(&f.replica);
  const uint32_t wrong[] = {data_at + 1, data_at - 1, 1, UINT32_MAX, UINT32_MAX / 2};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    d->data_at = wrong[i];
    assert_int_equal(replica_recover(f.pages.region, f.pages.size, &f.storage, &f.replica), VESTA_ERR_MALFORMED);
  }
  fixture_close(&f);
}

static void delete_and_create(fixture_t *f) { must_apply(f, ELEMENTS(delete_of("a"), create("a", "again"))); }

static void stopped_at_any_store_the_tombstone_ring_goes_round_or_not(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 64, 8);
  must_apply(&f, ELEMENTS(create("a", "a")));
  for (uint32_t i = 0; i < VESTA_TOMBSTONES_MAX - 1; i++) {
    delete_and_create(&f);
  }
  for (int i = 0; i < 3; i++) {
    stopped_everywhere(&f, SETTLE, false, delete_and_create);
  }
  replica_status_t status;
  replica_status(f.replica, &status);
  assert_int_equal(status.tombstones_from, 3); /* of seq 2 and 3 the tombstones are gone, that of 4 is the oldest */
  fixture_close(&f);
}

static void stopped_at_any_store_the_epoch_table_goes_round_or_not(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 64, 8);
  for (uint32_t i = 0; i < VESTA_EPOCHS_MAX - 1; i++) {
    new_epoch(&f);
  }
  stopped_everywhere(&f, SETTLE, true, new_epoch);
  stopped_everywhere(&f, SETTLE, true, new_epoch);
  fixture_close(&f);
}

/* ---- formatting ---- */

static void a_region_that_was_never_finished_is_not_taken_up(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 64, 8);
  replica_destroy(&f.replica);
  ((replica_header_t *)(void *)f.pages.region)->magic = 0;
  assert_int_equal(replica_recover(f.pages.region, f.pages.size, &f.storage, &f.replica), VESTA_ERR_MALFORMED);
  assert_null(f.replica);
  fixture_close(&f);
}

static void damaged_chains_are_made_anew(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 6, 64, 8);
  must_apply(&f, ELEMENTS(create("a", "aaa"), create("b", "bbb"), create("c", "ccc")));
  replica_descriptor(f.replica, 0)->next = 1; /* round and round */
  replica_descriptor(f.replica, 1)->next = UINT32_MAX;
  memset(f.pages.region + f.replica->layout.buckets_at, 1, 8);
  fixture_restart(&f);
  must_read(&f, "a", "aaa");
  must_read(&f, "b", "bbb");
  must_read(&f, "c", "ccc");
  fixture_close(&f);
}

/* Whatever bit is flipped: recovery refuses, or takes up a replica that can be used. It does not crash. */
static void a_damaged_region_is_refused_or_taken_up_without_harm(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 6, 64, 8);
  must_apply(&f, ELEMENTS(create("a", "aaa"), create_until("b", "bbb", NOW + 9)));
  must_apply(&f, ELEMENTS(write_at("b", 9, "b"), delete_of("a")));
  as_session(&f, 1, 1, ELEMENTS(create("c", "c")));
  prepare(&f, 2, 1, ELEMENTS(create("d", "d")));
  fixture_t copy;
  copy_open(&copy, &f);
  replica_layout_t layout;
  assert_int_equal(replica_layout_make(&f.attributes, &layout), VESTA_OK);
  struct {
    uint64_t at, size;
  } parts[] = {{0, 600},
               {layout.buckets_at, layout.index_bytes - layout.buckets_at},
               {layout.sessions_at, 64},
               {layout.log_index_at, 32},
               {layout.log_at, 1000}};
  uint32_t refused = 0;
  for (size_t part = 0; part < sizeof parts / sizeof parts[0]; part++) {
    for (uint64_t at = parts[part].at; at < parts[part].at + parts[part].size; at++) {
      pages_copy(&f.pages, &copy.pages);
      copy.pages.region[at] ^= (uint8_t)(1U << at % 8);
      replica_t *replica = NULL;
      vesta_err_t err = replica_recover(copy.pages.region, copy.pages.size, &copy.storage, &replica);
      refused += err != VESTA_OK ? 1 : 0;
      assert_true(err == VESTA_OK || err == VESTA_ERR_MALFORMED);
      if (err == VESTA_OK) {
        replica_status_t status;
        replica_status(replica, &status);
        replica_commit(replica, status.prepared_seq);
        dump_t dump = fixture_dump(replica);
        dump_free(&dump);
      }
      replica_destroy(&replica);
    }
  }
  assert_true(refused > 100);
  pages_close(&copy.pages);
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stopped_at_any_store_packed_sections_are_as_before_or_after),
      cmocka_unit_test(stopped_at_any_store_paged_sections_are_as_before_or_after),
      cmocka_unit_test(stopped_at_any_store_sections_are_in_the_slots_they_were_given_or_nowhere),
      cmocka_unit_test(stopped_at_any_store_the_default_section_is_as_before_or_after),
      cmocka_unit_test(stopped_at_any_store_a_full_session_window_moves_by_one_or_not),
      cmocka_unit_test(stopped_at_any_store_operations_in_flight_are_kept_committed_or_aborted),
      cmocka_unit_test(stopped_at_any_store_a_commit_of_several_is_all_of_them),
      cmocka_unit_test(stopped_at_any_store_the_log_goes_round_or_not),
      cmocka_unit_test(stopped_at_any_store_a_record_beyond_the_soft_size_is_there_or_not),
      cmocka_unit_test(stopped_at_any_store_data_that_stays_in_the_log_is_as_before_or_after),
      cmocka_unit_test(stopped_at_any_store_data_goes_to_its_slot_before_its_record_goes),
      cmocka_unit_test(data_said_to_be_in_the_log_must_be_that_of_a_record),
      cmocka_unit_test(stopped_at_any_store_the_tombstone_ring_goes_round_or_not),
      cmocka_unit_test(stopped_at_any_store_the_epoch_table_goes_round_or_not),
      cmocka_unit_test(a_region_that_was_never_finished_is_not_taken_up),
      cmocka_unit_test(damaged_chains_are_made_anew),
      cmocka_unit_test(a_damaged_region_is_refused_or_taken_up_without_harm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
