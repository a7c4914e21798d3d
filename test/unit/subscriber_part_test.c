/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The subscriber's rules for who wants a part of the changes, one a test: by prefix, by kind, keys only, and the latest
 * of each section for who is slow.
 */
#include "test/unit/subscriber_rig.h"

static wire_element_t prefix(const char *of) { return (wire_element_t){.id = text(of)}; }

static void with_prefixes_only_those_sections_are_asked_for_and_handed_out(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_write(&rig, ELEMENTS(create("ab1", "1"), create("b", "2"), create("cd", "3")));
  wire_element_t prefixes[] = {prefix("ab"), prefix("cd")};
  subscriber_config_t config = {.start = SUBSCRIBER_FROM_SNAPSHOT, .prefixes = prefixes, .prefix_count = 2};
  rig_subscribe(&rig, &config);
  prefixes[0] = prefix("xx"); /* it has its own copy */
  rig_hear_all(&rig);
  wire_message_t request = rig_request(&rig, WIRE_SNAPSHOT_GET);
  assert_int_equal(request.element_count, 2);
  assert_true(vesta_bytes_equal(request.elements[0].id, text("ab")));
  rig_answer(&rig, &request);
  (void)rig_next(&rig, NOTIFY_RESYNC_BEGIN);
  rig_next_is(&rig, VESTA_KIND_CREATED, "ab1", "1");
  rig_next_is(&rig, VESTA_KIND_CREATED, "cd", "3");
  (void)rig_next(&rig, NOTIFY_RESYNC_END);
  (void)rig_next(&rig, NOTIFY_SYNCED);
  rig_write(&rig, ELEMENTS(overwrite("b", "4")));
  rig_write(&rig, ELEMENTS(create("ab", "5"), delete_of("b")));
  rig_hear_all(&rig);
  rig_next_is(&rig, VESTA_KIND_CREATED, "ab", "5");
  rig_next_is_none(&rig);
  rig_close(&rig);
}

static void the_position_goes_on_over_what_is_left_out(void **state) {
  (void)state;
  rig_t rig;
  wire_element_t prefixes[] = {prefix("a")};
  subscriber_config_t config = {.start = SUBSCRIBER_FROM_NOW, .prefixes = prefixes, .prefix_count = 1};
  rig_open_live(&rig, &config);
  rig_write(&rig, ELEMENTS(overwrite("b", "3")));
  rig_write(&rig, ELEMENTS(overwrite("b", "4")));
  rig_hear_all(&rig);
  rig_next_is_none(&rig);
  assert_true(vesta_pos_equal(rig_status(&rig).handed_out, rig_committed(&rig)));
  assert_true(rig_status(&rig).synced);
  rig_close(&rig);
}

static void a_hole_among_changes_that_are_left_out_is_seen(void **state) {
  (void)state;
  rig_t rig;
  wire_element_t prefixes[] = {prefix("a")};
  subscriber_config_t config = {.start = SUBSCRIBER_FROM_NOW, .prefixes = prefixes, .prefix_count = 1};
  rig_open_live(&rig, &config);
  rig_write(&rig, ELEMENTS(overwrite("a", "3")));
  rig_lose(&rig);
  rig_write(&rig, ELEMENTS(overwrite("b", "4")));
  rig_hear_all(&rig);
  rig_next_is_none(&rig);
  assert_int_equal(rig_settle(&rig), 1);
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "3");
  rig_next_is_none(&rig);
  assert_true(vesta_pos_equal(rig_status(&rig).handed_out, rig_committed(&rig)));
  rig_close(&rig);
}

static void an_operation_is_counted_by_what_is_handed_out_of_it(void **state) {
  (void)state;
  rig_t rig;
  wire_element_t prefixes[] = {prefix("a")};
  subscriber_config_t config = {.start = SUBSCRIBER_FROM_NOW, .prefixes = prefixes, .prefix_count = 1};
  rig_open_live(&rig, &config);
  rig_write(&rig, ELEMENTS(overwrite("b", "x"), overwrite("a", "3"), create("a2", "4"), delete_of("b")));
  rig_hear_all(&rig);
  notify_change_t change = rig_next(&rig, VESTA_KIND_OVERWRITTEN);
  assert_true(change.index == 0 && change.count == 2 && vesta_bytes_equal(change.data, text("3")));
  assert_int_equal(rig_status(&rig).handed_out.seq, 1);
  change = rig_next(&rig, VESTA_KIND_CREATED);
  assert_true(change.index == 1 && change.count == 2 && vesta_bytes_equal(change.data, text("4")));
  assert_int_equal(rig_status(&rig).handed_out.seq, 2); /* all of it that there is to take was taken */
  rig_next_is_none(&rig);
  rig_close(&rig);
}

static void kinds_choose_news_and_never_what_a_resync_brings(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_write(&rig, ELEMENTS(create("a", "1")));
  subscriber_config_t config = {.start = SUBSCRIBER_FROM_SNAPSHOT, .kinds = 1U << VESTA_KIND_DELETED};
  rig_subscribe(&rig, &config);
  (void)rig_settle(&rig);
  (void)rig_next(&rig, NOTIFY_RESYNC_BEGIN);
  rig_next_is(&rig, VESTA_KIND_CREATED, "a", "1");
  (void)rig_next(&rig, NOTIFY_RESYNC_END);
  (void)rig_next(&rig, NOTIFY_SYNCED);
  rig_write(&rig, ELEMENTS(overwrite("a", "2")));
  rig_write(&rig, ELEMENTS(epoch_to(2, 7)));
  rig_write(&rig, ELEMENTS(delete_of("a")));
  rig_hear_all(&rig);
  (void)rig_next(&rig, VESTA_KIND_EPOCH); /* who is active concerns everybody */
  rig_next_is(&rig, VESTA_KIND_DELETED, "a", "");
  rig_next_is_none(&rig);
  rig_close(&rig);
}

static void who_wants_keys_only_gets_sizes_and_no_data_from_every_source(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_write(&rig, ELEMENTS(create("a", "one")));
  subscriber_config_t config = {.start = SUBSCRIBER_FROM_SNAPSHOT, .keys_only = true};
  rig_subscribe(&rig, &config);
  rig_hear_all(&rig);
  wire_message_t request = rig_request(&rig, WIRE_SNAPSHOT_GET);
  assert_int_equal(request.flags, WIRE_GET_KEYS);
  rig_answer(&rig, &request);
  (void)rig_next(&rig, NOTIFY_RESYNC_BEGIN);
  notify_change_t change = rig_next(&rig, VESTA_KIND_CREATED); /* the snapshot */
  assert_true(change.data.data == NULL && change.data.size == 3 && vesta_bytes_equal(change.id, text("a")));
  (void)rig_next(&rig, NOTIFY_RESYNC_END);
  (void)rig_next(&rig, NOTIFY_SYNCED);
  rig_write(&rig, ELEMENTS(overwrite("a", "fours")));
  rig_hear_all(&rig);
  change = rig_next(&rig, VESTA_KIND_OVERWRITTEN); /* published */
  assert_true(change.data.data == NULL && change.data.size == 5);
  rig_write(&rig, ELEMENTS(overwrite("a", "lost"), create("b", "x")));
  rig_lose(&rig);
  rig_beacon(&rig);
  rig_hear_all(&rig);
  request = rig_request(&rig, WIRE_HISTORY_GET);
  assert_int_equal(request.flags, WIRE_GET_KEYS);
  rig_answer(&rig, &request);
  change = rig_next(&rig, VESTA_KIND_OVERWRITTEN); /* the history */
  assert_true(change.data.data == NULL && change.data.size == 4 && change.count == 2);
  change = rig_next(&rig, VESTA_KIND_CREATED);
  assert_true(change.data.data == NULL && change.data.size == 1 && vesta_bytes_equal(change.id, text("b")));
  assert_int_equal(rig_status(&rig).malformed, 0);
  rig_close(&rig);
}

static void changes_published_without_their_data_are_fetched(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig, &from_now);
  rig_subscription(&rig, true, NOTIFY_CLASS_KEYS, CHECKPOINT);
  channel_clear(&rig.published);
  rig_write(&rig, ELEMENTS(overwrite("a", "three")));
  rig_lose(&rig); /* the one with data; the one without it is left */
  rig_hear_all(&rig);
  assert_int_equal(rig_status(&rig).withheld, 1);
  rig_next_is_none(&rig);
  assert_int_equal(rig_settle(&rig), 1);
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "three");
  assert_int_equal(rig_status(&rig).malformed, 0);
  rig_close(&rig);
}

/* A live subscriber with a small buffer that took nothing while `writes` changes of two sections were made. */
static void rig_open_slow(rig_t *rig, uint32_t writes) {
  static const subscriber_config_t config = {.start = SUBSCRIBER_FROM_NOW, .coalesce = true, .buffer_bytes = 4096};
  rig_open_live(rig, &config);
  for (uint32_t i = 0; i < writes; i++) {
    char data[32];
    (void)snprintf(data, sizeof data, "a%u", i);
    rig_write(rig, ELEMENTS(overwrite("a", data)));
    (void)snprintf(data, sizeof data, "b%u", i);
    rig_write(rig, ELEMENTS(overwrite("b", data)));
    (void)rig_settle(rig);
  }
}

static void who_is_slow_and_wants_it_so_gets_the_latest_of_each_section_and_is_told(void **state) {
  (void)state;
  rig_t rig;
  rig_open_slow(&rig, 200);
  notify_change_t change;
  uint64_t seq = 1;
  while (subscriber_next(rig.subscriber, &change)) { /* what the buffer had room for comes as it was made */
    assert_int_equal(change.position.seq, ++seq);
  }
  assert_in_range(seq, 3, 100);
  assert_int_equal(rig_settle(&rig), 1);
  change = rig_next(&rig, NOTIFY_RESYNC_BEGIN);
  assert_true(!change.full && change.from.seq == seq && change.position.seq == 401);
  change = rig_next(&rig, NOTIFY_COALESCED);
  assert_true(vesta_bytes_equal(change.id, text("a")) && vesta_bytes_equal(change.data, text("a199")));
  assert_true(change.resync && change.from.seq == seq && change.position.seq == 400);
  change = rig_next(&rig, NOTIFY_COALESCED);
  assert_true(vesta_bytes_equal(change.id, text("b")) && vesta_bytes_equal(change.data, text("b199")));
  assert_true(change.resync && change.from.seq == seq && change.position.seq == 401);
  (void)rig_next(&rig, NOTIFY_RESYNC_END);
  (void)rig_next(&rig, NOTIFY_SYNCED);
  rig_next_is_none(&rig);
  subscriber_status_t status = rig_status(&rig);
  assert_true(status.coalesced == 1 && status.lost == 0 && status.synced);
  rig_write(&rig, ELEMENTS(overwrite("a", "as ever")));
  rig_hear_all(&rig);
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "as ever");
  rig_close(&rig);
}

static void coalescing_what_was_deleted_is_named_as_such(void **state) {
  (void)state;
  rig_t rig;
  rig_open_slow(&rig, 200);
  rig_write(&rig, ELEMENTS(delete_of("a")));
  rig_hear_all(&rig);
  notify_change_t change;
  while (subscriber_next(rig.subscriber, &change)) {
  }
  (void)rig_settle(&rig);
  (void)rig_next(&rig, NOTIFY_RESYNC_BEGIN);
  rig_next_is(&rig, VESTA_KIND_DELETED, "a", "");
  rig_next_is(&rig, NOTIFY_COALESCED, "b", "b199");
  (void)rig_next(&rig, NOTIFY_RESYNC_END);
  rig_close(&rig);
}

static void coalescing_that_ends_in_everything_being_sent_says_lost(void **state) {
  (void)state;
  rig_t rig;
  rig_open_slow(&rig, 200);
  notify_change_t change;
  while (subscriber_next(rig.subscriber, &change)) {
  }
  wire_message_t request = rig_request(&rig, WIRE_SNAPSHOT_GET);
  request.from_lineage++; /* the service can't tell what changed since */
  rig_answer(&rig, &request);
  change = rig_next(&rig, NOTIFY_LOST);
  assert_true(change.reason == VESTA_ERR_LOST && change.from.seq == rig_status(&rig).handed_out.seq);
  assert_true(rig_next(&rig, NOTIFY_RESYNC_BEGIN).full);
  rig_next_is(&rig, VESTA_KIND_CREATED, "a", "a199");
  rig_next_is(&rig, VESTA_KIND_CREATED, "b", "b199");
  (void)rig_next(&rig, NOTIFY_RESYNC_END);
  rig_close(&rig);
}

static void where_history_does_not_reach_coalescing_takes_the_place_of_lost(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_write(&rig, ELEMENTS(create("a", "1"), create("b", "2")));
  rig_write(&rig, ELEMENTS(overwrite("a", "3")));
  subscriber_config_t config = from_position(1, 1);
  config.coalesce = true;
  rig_subscribe(&rig, &config);
  rig_hear_all(&rig);
  wire_message_t request = rig_request(&rig, WIRE_HISTORY_GET);
  rig_answer_error(&rig, &request, VESTA_ERR_LOST);
  (void)rig_settle(&rig);
  assert_int_equal(rig_next(&rig, NOTIFY_RESYNC_BEGIN).from.seq, 1);
  rig_next_is(&rig, NOTIFY_COALESCED, "a", "3");
  (void)rig_next(&rig, NOTIFY_RESYNC_END);
  (void)rig_next(&rig, NOTIFY_SYNCED);
  rig_close(&rig);
}

static void an_operation_larger_than_the_buffer_is_not_coalesced(void **state) {
  (void)state;
  rig_t rig;
  subscriber_config_t config = {.start = SUBSCRIBER_FROM_NOW, .coalesce = true, .buffer_bytes = 1024};
  rig_open_live(&rig, &config);
  static uint8_t large[4096];
  rig_write(&rig, ELEMENTS(overwrite_bytes("a", large, sizeof large)));
  (void)rig_settle(&rig);
  (void)rig_next(&rig, VESTA_KIND_OVERWRITTEN);
  assert_int_equal(rig_status(&rig).coalesced, 0);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(with_prefixes_only_those_sections_are_asked_for_and_handed_out),
      cmocka_unit_test(the_position_goes_on_over_what_is_left_out),
      cmocka_unit_test(a_hole_among_changes_that_are_left_out_is_seen),
      cmocka_unit_test(an_operation_is_counted_by_what_is_handed_out_of_it),
      cmocka_unit_test(kinds_choose_news_and_never_what_a_resync_brings),
      cmocka_unit_test(who_wants_keys_only_gets_sizes_and_no_data_from_every_source),
      cmocka_unit_test(changes_published_without_their_data_are_fetched),
      cmocka_unit_test(who_is_slow_and_wants_it_so_gets_the_latest_of_each_section_and_is_told),
      cmocka_unit_test(coalescing_what_was_deleted_is_named_as_such),
      cmocka_unit_test(coalescing_that_ends_in_everything_being_sent_says_lost),
      cmocka_unit_test(where_history_does_not_reach_coalescing_takes_the_place_of_lost),
      cmocka_unit_test(an_operation_larger_than_the_buffer_is_not_coalesced),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
