/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Streams and mirrors of a part of a checkpoint, against a real vestad: sections by prefix, changes by kind, keys
 * without data, and the latest of each section for who is slow. Nothing may be missing but what was to be left out.
 */
#include <vesta.h>

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/daemon_fixture.h"

#define ID_BYTES_MAX 1024U

static application_t application;

static int set_up(void **state) {
  (void)state;
  daemon_fixture_open(&daemon_of_test);
  application_open(&application, "options", APPLICATION_ALL);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  application_close(&application);
  daemon_fixture_close(&daemon_of_test);
  return 0;
}

static void create(const char *id, const char *data) {
  assert_int_equal(application_create(&application, id, data, strlen(data)), SA_AIS_OK);
}

static void overwrite(const char *id, const char *data) {
  assert_int_equal(application_overwrite(&application, id, data, strlen(data)), SA_AIS_OK);
}

static vesta_stream_t *stream_of(const vesta_stream_options_t *options) {
  vesta_stream_t *stream = NULL;
  assert_int_equal(vesta_stream_open(application.checkpoint, options, &stream), SA_AIS_OK);
  return stream;
}

static vesta_change_t take_kind(vesta_stream_t *stream, vesta_change_kind_t kind) {
  vesta_change_t change = stream_take(stream);
  assert_int_equal(change.kind, kind);
  return change;
}

static bool id_is(const vesta_change_t *change, const char *id) {
  return change->id.idLen == strlen(id) && memcmp(change->id.id, id, change->id.idLen) == 0;
}

static void take_section(vesta_stream_t *stream, vesta_change_kind_t kind, const char *id, const char *data) {
  vesta_change_t change = take_kind(stream, kind);
  assert_true(id_is(&change, id));
  assert_int_equal(change.size, strlen(data));
  assert_true(change.size == 0 || memcmp(change.data, data, change.size) == 0);
}

/* Nothing is to come up to that operation, and the stream gets there. */
static void pass_until(vesta_stream_t *stream, uint64_t seq) {
  vesta_change_t change;
  vesta_position_t position;
  do {
    assert_int_equal(vesta_stream_next(stream, SA_TIME_ONE_MILLISECOND, &change), SA_AIS_ERR_TIMEOUT);
    assert_int_equal(vesta_stream_position(stream, &position), SA_AIS_OK);
  } while (position.seq < seq);
  assert_int_equal(position.seq, seq);
}

static void a_stream_of_some_prefixes_has_these_sections_and_misses_none_of_them(void **state) {
  (void)state;
  SaCkptSectionIdT prefixes[] = {section_id("job."), section_id("user.7")};
  vesta_stream_options_t options = {.prefixes = prefixes, .prefix_count = 2};
  create("job.1", "one");
  create("user.1", "two");
  create("user.77", "three");
  vesta_stream_t *stream = stream_of(&options);
  prefixes[0] = section_id("other"); /* copied */
  (void)take_kind(stream, VESTA_CHANGE_RESYNC_BEGIN);
  take_section(stream, VESTA_CHANGE_CREATED, "job.1", "one");
  take_section(stream, VESTA_CHANGE_CREATED, "user.77", "three");
  (void)take_kind(stream, VESTA_CHANGE_RESYNC_END);
  (void)take_kind(stream, VESTA_CHANGE_SYNCED);
  overwrite("user.1", "four");
  create("job.", "five");
  overwrite("user.1", "six");
  take_section(stream, VESTA_CHANGE_CREATED, "job.", "five");
  assert_int_equal(application_delete(&application, "user.1"), SA_AIS_OK);
  pass_until(stream, 7);
  daemon_fixture_kill(&daemon_of_test);
  daemon_fixture_start(&daemon_of_test);
  create("user.1", "seven");
  create("user.70", "eight");
  vesta_change_t change = stream_take(stream);
  while (change.kind != VESTA_CHANGE_CREATED) { /* it may have been heard too late to do without a resync */
    assert_true(change.kind > VESTA_CHANGE_EPOCH);
    change = stream_take(stream);
  }
  assert_true(id_is(&change, "user.70"));
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

static void an_operation_on_sections_of_both_sorts_is_counted_by_what_is_handed_out(void **state) {
  (void)state;
  SaCkptSectionIdT prefix = section_id("a");
  vesta_stream_options_t options = {.from = VESTA_FROM_NOW, .prefixes = &prefix, .prefix_count = 1};
  vesta_stream_t *stream = stream_of(&options);
  vesta_txn_t *txn = NULL;
  (void)take_kind(stream, VESTA_CHANGE_SYNCED);
  assert_int_equal(vesta_txn_begin(application.checkpoint, &txn), SA_AIS_OK);
  static const char *const ids[] = {"b1", "a1", "b2", "a2", "b3"};
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    SaCkptSectionIdT id = section_id(ids[i]);
    assert_int_equal(vesta_txn_create(txn, &id, "x", 1, SA_TIME_END), SA_AIS_OK);
  }
  assert_int_equal(vesta_txn_commit(&txn, NULL, NULL), SA_AIS_OK);
  vesta_change_t change = take_kind(stream, VESTA_CHANGE_CREATED);
  assert_true(id_is(&change, "a1") && change.index == 0 && change.count == 2);
  change = take_kind(stream, VESTA_CHANGE_CREATED);
  assert_true(id_is(&change, "a2") && change.index == 1 && change.count == 2);
  vesta_position_t position;
  assert_int_equal(vesta_stream_position(stream, &position), SA_AIS_OK);
  assert_int_equal(position.seq, 1);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

static void a_stream_of_some_kinds_has_these_and_what_concerns_everybody(void **state) {
  (void)state;
  vesta_stream_options_t options = {
      .from = VESTA_FROM_NOW, .kinds = VESTA_KIND_BIT(VESTA_CHANGE_DELETED) | VESTA_KIND_BIT(VESTA_CHANGE_WRITTEN)};
  vesta_stream_t *stream = stream_of(&options);
  (void)take_kind(stream, VESTA_CHANGE_SYNCED);
  create("a", "one");
  overwrite("a", "two");
  assert_int_equal(application_delete(&application, "a"), SA_AIS_OK);
  assert_int_equal(saCkptCheckpointRetentionDurationSet(application.checkpoint, SA_TIME_ONE_HOUR), SA_AIS_OK);
  assert_int_equal(saCkptCheckpointUnlink(application.library, &application.name), SA_AIS_OK);
  take_section(stream, VESTA_CHANGE_DELETED, "a", "");
  (void)take_kind(stream, VESTA_CHANGE_UNLINKED);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

static void take_key(vesta_stream_t *stream, vesta_change_kind_t kind, const char *id, SaSizeT size) {
  vesta_change_t change = take_kind(stream, kind);
  assert_true(id_is(&change, id));
  assert_int_equal(change.size, size);
  assert_null(change.data);
}

static void keys_only_tells_sizes_and_fetches_no_data(void **state) {
  (void)state;
  vesta_stream_options_t options = {.keys_only = SA_TRUE};
  create("a", "one");
  vesta_stream_t *stream = stream_of(&options);
  (void)take_kind(stream, VESTA_CHANGE_RESYNC_BEGIN);
  take_key(stream, VESTA_CHANGE_CREATED, "a", 3);
  (void)take_kind(stream, VESTA_CHANGE_RESYNC_END);
  vesta_position_t begin = take_kind(stream, VESTA_CHANGE_SYNCED).position;
  overwrite("a", "seven");
  create("b", "");
  take_key(stream, VESTA_CHANGE_OVERWRITTEN, "a", 5);
  take_key(stream, VESTA_CHANGE_CREATED, "b", 0);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  options.from = VESTA_FROM_POSITION;
  options.position = begin;
  stream = stream_of(&options); /* the same from the history */
  take_key(stream, VESTA_CHANGE_OVERWRITTEN, "a", 5);
  take_key(stream, VESTA_CHANGE_CREATED, "b", 0);
  (void)take_kind(stream, VESTA_CHANGE_SYNCED);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

static void who_is_slow_and_coalesces_gets_the_latest_of_each_section_and_no_loss(void **state) {
  (void)state;
  enum { SECTIONS = 8, WRITES = 4000, SIZE = 8000 }; /* 32 MB, four times what the history holds */
  static char data[SIZE];
  char id[SECTIONS][8];
  uint32_t values[SECTIONS] = {0};
  uint32_t coalesced = 0;
  vesta_stream_options_t options = {
      .from = VESTA_FROM_NOW, .when_slow = VESTA_WHEN_SLOW_COALESCE, .buffer_bytes = 64U << 10};
  vesta_stream_t *stream = stream_of(&options);
  (void)take_kind(stream, VESTA_CHANGE_SYNCED);
  for (uint32_t i = 0; i < SECTIONS; i++) {
    (void)snprintf(id[i], sizeof id[i], "%u", i);
    assert_int_equal(application_create(&application, id[i], data, sizeof data), SA_AIS_OK);
  }
  for (uint32_t i = 0; i < WRITES; i++) {
    memcpy(data, &i, sizeof i);
    assert_int_equal(application_overwrite(&application, id[i % SECTIONS], data, sizeof data), SA_AIS_OK);
  }
  vesta_position_t position = {0};
  uint64_t before = 0;
  bool synced = false;
  while (!synced || position.seq < SECTIONS + WRITES) {
    vesta_change_t change = stream_take(stream);
    assert_int_not_equal(change.kind, VESTA_CHANGE_LOST);
    synced = change.kind == VESTA_CHANGE_SYNCED || (synced && !change.resync);
    assert_true(change.resync || change.kind > VESTA_CHANGE_EPOCH || change.position.seq == before + 1);
    if (change.kind == VESTA_CHANGE_COALESCED) {
      assert_true(change.resync && change.from.seq < change.position.seq && change.from.seq >= before);
      coalesced++;
    }
    if (change.size == SIZE) {
      memcpy(&values[change.id.id[0] - '0'], change.data, sizeof values[0]);
    }
    assert_int_equal(vesta_stream_position(stream, &position), SA_AIS_OK);
    before = position.seq;
    synced = synced || coalesced == 0;
  }
  for (uint32_t i = 0; i < SECTIONS; i++) {
    assert_int_equal(values[i], WRITES - SECTIONS + i);
  }
  assert_true(coalesced >= SECTIONS);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

static void what_is_left_out_does_not_hold_up_who_does_not_wait(void **state) {
  (void)state;
  enum { WRITES = 3000 };
  SaCkptSectionIdT prefix = section_id("never");
  vesta_stream_options_t options = {.from = VESTA_FROM_NOW, .prefixes = &prefix, .prefix_count = 1};
  vesta_stream_t *stream = stream_of(&options);
  SaSelectionObjectT fd;
  vesta_change_t change;
  vesta_position_t position;
  uint32_t calls = 0;
  assert_int_equal(vesta_stream_fd(stream, &fd), SA_AIS_OK);
  (void)take_kind(stream, VESTA_CHANGE_SYNCED);
  create("a", "one");
  for (uint32_t i = 1; i < WRITES; i++) {
    overwrite("a", "two");
  }
  do { /* each call looks at a part; the descriptor tells while there is more */
    struct pollfd ready = {.fd = (int)fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, TEST_DEADLINE_MS), 1);
    assert_int_equal(vesta_stream_next(stream, 0, &change), SA_AIS_ERR_TIMEOUT);
    assert_int_equal(vesta_stream_position(stream, &position), SA_AIS_OK);
    calls++;
  } while (position.seq < WRITES);
  assert_true(calls > WRITES / 1000);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

static void assert_mirrored(vesta_mirror_t *mirror, const char *text, const char *expected) {
  SaCkptSectionIdT id = section_id(text);
  const void *data = NULL;
  SaSizeT size = 0;
  assert_int_equal(vesta_mirror_get(mirror, &id, &data, &size), SA_AIS_OK);
  assert_int_equal(size, strlen(expected));
  assert_memory_equal(data, expected, size);
}

static void a_mirror_of_some_prefixes_is_a_table_of_these_and_promotable(void **state) {
  (void)state;
  SaCkptSectionIdT prefix = section_id("a");
  vesta_mirror_options_t options = {
      .prefixes = &prefix, .prefix_count = 1, .when_slow = VESTA_WHEN_SLOW_COALESCE, .buffer_bytes = 64U << 10};
  vesta_mirror_t *mirror = NULL;
  vesta_change_t change;
  vesta_status_t status;
  static char large[40000];
  memset(large, 'l', sizeof large - 1);
  create("a1", "one");
  create("b1", "two");
  assert_int_equal(vesta_mirror_open(application.checkpoint, &options, &mirror), SA_AIS_OK);
  do {
    assert_int_equal(vesta_mirror_next(mirror, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  } while (change.kind != VESTA_CHANGE_SYNCED);
  assert_int_equal(vesta_mirror_count(mirror), 1);
  assert_mirrored(mirror, "a1", "one");
  create("a2", "three");
  for (uint32_t i = 0; i < 600; i++) { /* 24 MB: it is too slow for that */
    overwrite("a2", large);
    overwrite("b1", large);
  }
  overwrite("a2", "last");
  do {
    SaAisErrorT error = vesta_mirror_next(mirror, SA_TIME_ONE_MILLISECOND, &change);
    assert_true(error == SA_AIS_OK || error == SA_AIS_ERR_TIMEOUT);
    assert_int_equal(vesta_mirror_status(mirror, &status), SA_AIS_OK);
  } while (status.applied.seq < 1204 || !status.promotable);
  assert_int_equal(status.applied.seq, 1204);
  assert_int_equal(status.lag_operations, 0);
  assert_int_equal(vesta_mirror_count(mirror), 2);
  assert_mirrored(mirror, "a1", "one");
  assert_mirrored(mirror, "a2", "last");
  assert_int_equal(vesta_mirror_close(&mirror), SA_AIS_OK);
}

static void refused(const vesta_stream_options_t *options) {
  vesta_stream_t *stream = NULL;
  assert_int_equal(vesta_stream_open(application.checkpoint, options, &stream), SA_AIS_ERR_INVALID_PARAM);
  assert_null(stream);
}

static void options_out_of_their_range_are_refused_and_at_its_end_are_not(void **state) {
  (void)state;
  static SaUint8T longest[ID_BYTES_MAX + 1];
  SaCkptSectionIdT prefixes[VESTA_PREFIXES_MAX + 1];
  for (uint32_t i = 0; i <= VESTA_PREFIXES_MAX; i++) {
    prefixes[i] = (SaCkptSectionIdT){.idLen = ID_BYTES_MAX, .id = longest};
  }
  vesta_stream_options_t options = {.prefixes = prefixes, .prefix_count = VESTA_PREFIXES_MAX, .kinds = 0x3fe};
  vesta_stream_t *stream = stream_of(&options);
  (void)take_kind(stream, VESTA_CHANGE_RESYNC_BEGIN); /* the service takes them as well */
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  options.prefix_count++;
  refused(&options);
  options = (vesta_stream_options_t){.prefix_count = 1};
  refused(&options);
  options = (vesta_stream_options_t){.prefixes = prefixes, .prefix_count = 1};
  prefixes[0].idLen = ID_BYTES_MAX + 1;
  refused(&options);
  prefixes[0].idLen = 0;
  refused(&options);
  prefixes[0] = (SaCkptSectionIdT){.idLen = 1, .id = NULL};
  refused(&options);
  vesta_mirror_options_t of_mirror = {.prefixes = prefixes, .prefix_count = 1};
  vesta_mirror_t *mirror = NULL;
  assert_int_equal(vesta_mirror_open(application.checkpoint, &of_mirror, &mirror), SA_AIS_ERR_INVALID_PARAM);
  options = (vesta_stream_options_t){.kinds = 1};
  refused(&options);
  options = (vesta_stream_options_t){.kinds = VESTA_KIND_BIT(VESTA_CHANGE_EPOCH + 1)};
  refused(&options);
  options = (vesta_stream_options_t){.keys_only = (SaBoolT)2};
  refused(&options);
  options = (vesta_stream_options_t){.when_slow = (vesta_when_slow_t)2};
  refused(&options);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_stream_of_some_prefixes_has_these_sections_and_misses_none_of_them),
      TEST(an_operation_on_sections_of_both_sorts_is_counted_by_what_is_handed_out),
      TEST(a_stream_of_some_kinds_has_these_and_what_concerns_everybody),
      TEST(keys_only_tells_sizes_and_fetches_no_data),
      TEST(who_is_slow_and_coalesces_gets_the_latest_of_each_section_and_no_loss),
      TEST(what_is_left_out_does_not_hold_up_who_does_not_wait),
      TEST(a_mirror_of_some_prefixes_is_a_table_of_these_and_promotable),
      TEST(options_out_of_their_range_are_refused_and_at_its_end_are_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
