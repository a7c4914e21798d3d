/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The subscriber's rules, one a test. (Those of a part of the changes are in
 * subscriber_part_test.c; what holds over many random runs is in stream_model_test.c.)
 */
#include "test/unit/subscriber_rig.h"

/* ---- beginning ---- */

static void nothing_is_asked_or_handed_out_before_the_beacon(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_subscribe(&rig, &from_snapshot);
  rig_write(&rig, ELEMENTS(create("a", "1")));
  rig_lose(&rig); /* the beacon */
  (void)rig_hear(&rig);
  rig_no_request(&rig);
  rig_next_is_none(&rig);
  assert_false(rig_status(&rig).synced);
  rig_close(&rig);
}

static void from_snapshot_everything_comes_in_brackets_and_then_what_is_new(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_write(&rig, ELEMENTS(create("a", "1"), create("b", "2")));
  rig_subscribe(&rig, &from_snapshot);
  assert_int_equal(rig_settle(&rig), 1);
  rig_write(&rig, ELEMENTS(overwrite("a", "3")));
  rig_hear_all(&rig);
  notify_change_t change = rig_next(&rig, NOTIFY_RESYNC_BEGIN);
  assert_true(change.full && change.from.epoch == 0);
  change = rig_next(&rig, VESTA_KIND_CREATED);
  assert_true(change.resync && vesta_bytes_equal(change.data, text("1")) && change.position.seq == 1);
  assert_false(rig_status(&rig).synced);
  assert_int_equal(rig_status(&rig).handed_out.epoch, 0);
  rig_next_is(&rig, VESTA_KIND_CREATED, "b", "2");
  change = rig_next(&rig, NOTIFY_RESYNC_END);
  assert_int_equal(change.position.seq, 1);
  assert_int_equal(rig_next(&rig, NOTIFY_SYNCED).position.seq, 1);
  assert_true(rig_status(&rig).synced);
  change = rig_next(&rig, VESTA_KIND_OVERWRITTEN);
  assert_false(change.resync);
  assert_int_equal(rig_status(&rig).handed_out.seq, 2);
  rig_next_is_none(&rig);
  rig_close(&rig);
}

static void from_now_is_synced_at_once_and_asks_for_nothing(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_write(&rig, ELEMENTS(create("a", "1")));
  rig_subscribe(&rig, &from_now);
  assert_int_equal(rig_settle(&rig), 0);
  assert_int_equal(rig_next(&rig, NOTIFY_SYNCED).position.seq, 1);
  assert_true(vesta_pos_equal(rig_status(&rig).handed_out, rig_committed(&rig)));
  rig_write(&rig, ELEMENTS(delete_of("a")));
  rig_hear_all(&rig);
  rig_next_is(&rig, VESTA_KIND_DELETED, "a", "");
  rig_close(&rig);
}

static void from_a_position_the_history_comes_first_and_no_resync(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_write(&rig, ELEMENTS(create("a", "1")));
  rig_write(&rig, ELEMENTS(overwrite("a", "2")));
  rig_write(&rig, ELEMENTS(overwrite("a", "3")));
  subscriber_config_t config = from_position(1, 1);
  rig_subscribe(&rig, &config);
  assert_int_equal(rig_status(&rig).handed_out.seq, 1);
  assert_int_equal(rig_settle(&rig), 1);
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "2");
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "3");
  assert_false(rig_status(&rig).synced);
  assert_int_equal(rig_next(&rig, NOTIFY_SYNCED).position.seq, 3);
  assert_true(rig_status(&rig).synced);
  rig_next_is_none(&rig);
  rig_close(&rig);
}

static void from_a_position_that_history_does_not_reach_a_delta_comes(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_write(&rig, ELEMENTS(create("a", "1"), create("b", "2"), create("c", "3")));
  rig_write(&rig, ELEMENTS(overwrite("a", "4")));
  rig_write(&rig, ELEMENTS(delete_of("b")));
  subscriber_config_t config = from_position(1, 1);
  rig_subscribe(&rig, &config);
  rig_hear_all(&rig);
  wire_message_t request = rig_request(&rig, WIRE_HISTORY_GET);
  assert_int_equal(request.cursor, 2);
  rig_answer_error(&rig, &request, VESTA_ERR_LOST);
  (void)rig_settle(&rig);
  notify_change_t change = rig_next(&rig, NOTIFY_LOST);
  assert_true(change.from.seq == 1 && change.position.seq == 3 && change.reason == VESTA_ERR_LOST);
  change = rig_next(&rig, NOTIFY_RESYNC_BEGIN);
  assert_true(!change.full && change.from.seq == 1);
  rig_next_is(&rig, VESTA_KIND_DELETED, "b", "");
  rig_next_is(&rig, VESTA_KIND_CREATED, "a", "4");
  (void)rig_next(&rig, NOTIFY_RESYNC_END);
  (void)rig_next(&rig, NOTIFY_SYNCED);
  rig_next_is_none(&rig);
  rig_close(&rig);
}

static void from_a_position_of_another_history_everything_comes(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_write(&rig, ELEMENTS(create("a", "1")));
  subscriber_config_t config = from_position(1, 7); /* the service never got there */
  rig_subscribe(&rig, &config);
  (void)rig_settle(&rig);
  assert_int_equal(rig_next(&rig, NOTIFY_LOST).reason, VESTA_ERR_DIVERGED);
  assert_true(rig_next(&rig, NOTIFY_RESYNC_BEGIN).full);
  rig_next_is(&rig, VESTA_KIND_CREATED, "a", "1");
  (void)rig_next(&rig, NOTIFY_RESYNC_END);
  (void)rig_next(&rig, NOTIFY_SYNCED);
  rig_close(&rig);
}

/* ---- holes ---- */

static void a_lost_message_is_fetched_and_handed_out_in_its_place(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig, &from_now);
  rig_write(&rig, ELEMENTS(overwrite("a", "lost")));
  rig_lose(&rig);
  rig_write(&rig, ELEMENTS(overwrite("a", "after")));
  rig_hear_all(&rig);
  rig_next_is_none(&rig);
  assert_false(rig_status(&rig).synced);
  wire_message_t request = rig_request(&rig, WIRE_HISTORY_GET);
  assert_true(request.cursor == 2 && request.cursor_end == 3);
  rig_answer(&rig, &request);
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "lost");
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "after");
  assert_true(rig_status(&rig).synced);
  assert_true(rig_status(&rig).holes == 1 && rig_status(&rig).repairs == 1);
  rig_close(&rig);
}

static void a_lost_tail_is_seen_by_the_next_beacon(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig, &from_now);
  rig_write(&rig, ELEMENTS(overwrite("a", "tail")));
  rig_lose(&rig);
  rig_no_request(&rig);
  rig_beacon(&rig);
  assert_int_equal(rig_settle(&rig), 1);
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "tail");
  rig_close(&rig);
}

static void an_operation_of_several_elements_is_handed_out_whole(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig, &from_now);
  rig_write(&rig, ELEMENTS(overwrite("a", "x"), overwrite("b", "y"), create("c", "z")));
  rig_lose(&rig);
  rig_beacon(&rig);
  (void)rig_settle(&rig);
  static const char *const ids[] = {"a", "b", "c"};
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(rig_status(&rig).handed_out.seq, 1);
    notify_change_t change = {0};
    assert_true(subscriber_next(rig.subscriber, &change));
    assert_true(change.index == i && change.count == 3 && change.position.seq == 2);
    assert_true(vesta_bytes_equal(change.id, text(ids[i])));
  }
  assert_int_equal(rig_status(&rig).handed_out.seq, 2);
  rig_close(&rig);
}

static void the_last_change_of_a_message_that_is_awaited_says_so(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig, &from_now);
  rig_write(&rig, ELEMENTS(overwrite("a", "2")));
  publisher_awaited(rig.publisher, CHECKPOINT, 4);
  rig_commit(&rig, ELEMENTS(overwrite("a", "3")));
  rig_write(&rig, ELEMENTS(overwrite("a", "4"), overwrite("b", "4")));
  rig_hear_all(&rig);
  const bool expected[] = {false, false, false, true};
  for (size_t i = 0; i < 4; i++) {
    notify_change_t change = rig_next(&rig, VESTA_KIND_OVERWRITTEN);
    assert_true(change.awaited == expected[i]);
  }
  rig_close(&rig);
}

static void what_comes_twice_is_dropped_and_counted(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig, &from_now);
  rig_write(&rig, ELEMENTS(overwrite("a", "once")));
  frames_t *again = channel_put(&rig.published, rig.published.first->head, rig.published.first->payload);
  assert_non_null(again);
  (void)rig_settle(&rig);
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "once");
  rig_next_is_none(&rig);
  assert_int_equal(rig_status(&rig).duplicates, 1);
  assert_true(rig_status(&rig).synced);
  rig_close(&rig);
}

static void an_unanswered_request_is_repeated_after_a_second_and_answered_once(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig, &from_now);
  rig_write(&rig, ELEMENTS(overwrite("a", "x")));
  rig_lose(&rig);
  rig_write(&rig, ELEMENTS(overwrite("a", "y")));
  rig_hear_all(&rig);
  wire_message_t request = rig_request(&rig, WIRE_HISTORY_GET);
  rig.now_ns += (1000 * MS) - 1;
  rig_no_request(&rig);
  assert_int_equal(subscriber_wake_ns(rig.subscriber), rig.now_ns + 1);
  rig.now_ns++;
  wire_message_t repeated = rig_request(&rig, WIRE_HISTORY_GET);
  assert_int_equal(repeated.number, request.number);
  rig_answer(&rig, &request);
  rig_answer(&rig, &repeated);
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "x");
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "y");
  rig_next_is_none(&rig);
  rig_no_request(&rig);
  rig_close(&rig);
}

static void a_refused_request_is_tried_again_after_a_second(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_subscribe(&rig, &from_snapshot);
  rig_hear_all(&rig);
  wire_message_t request = rig_request(&rig, WIRE_SNAPSHOT_GET);
  rig_answer_error(&rig, &request, VESTA_ERR_NO_RESOURCES);
  rig_no_request(&rig);
  rig.now_ns += (1000 * MS);
  request = rig_request(&rig, WIRE_SNAPSHOT_GET);
  rig_answer(&rig, &request);
  (void)rig_next(&rig, NOTIFY_RESYNC_BEGIN);
  rig_close(&rig);
}

/* ---- other histories ---- */

static void another_lineage_is_a_declared_loss_and_everything_anew(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig, &from_now);
  rig_t other;
  rig_open(&other);
  fixture_close(&other.service);
  fixture_t *fixture = &other.service;
  memset(fixture, 0, sizeof *fixture); /* the same checkpoint, made anew */
  fixture->attributes = attributes_of(100, 4096, 32);
  uint64_t size = 0;
  assert_int_equal(replica_region_size(&fixture->attributes, &size), VESTA_OK);
  pages_open(&fixture->pages, size, true);
  fixture->storage =
      (replica_storage_t){.context = &fixture->pages, .reserve = pages_reserve, .release = pages_release};
  replica_identity_t identity = {
      .checkpoint_id = CHECKPOINT, .lineage = LINEAGE + 1, .name = text("n"), .attributes = fixture->attributes};
  assert_int_equal(replica_format(fixture->pages.region, size, &identity, &fixture->storage, NOW, &fixture->replica),
                   VESTA_OK);
  other.subscriber = rig.subscriber;
  rig.subscriber = NULL;
  rig_subscription(&other, true, NOTIFY_CLASS_DATA, CHECKPOINT);
  rig_write(&other, ELEMENTS(create("new", "n")));
  (void)rig_settle(&other);
  notify_change_t change = rig_next(&other, NOTIFY_LOST);
  assert_true(change.reason == VESTA_ERR_DIVERGED && change.from.lineage == LINEAGE);
  assert_true(rig_next(&other, NOTIFY_RESYNC_BEGIN).full);
  rig_next_is(&other, VESTA_KIND_CREATED, "new", "n");
  (void)rig_next(&other, NOTIFY_RESYNC_END);
  assert_int_equal(rig_next(&other, NOTIFY_SYNCED).position.lineage, LINEAGE + 1);
  rig_close(&rig);
  rig_close(&other);
}

/* The old active reached (1,3); the new one went on from (1,2) and began epoch 2 at seq 3 and epoch 3 at seq 4. That
 * (3,4) comes right behind 3 does not make it ours. */
static void an_epoch_that_goes_on_from_another_one_is_not_taken_for_the_next_operation(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  fixture_t backup = {.attributes = rig.service.attributes};
  pages_open(&backup.pages, rig.service.pages.size, true);
  rig_write(&rig, ELEMENTS(create("a", "1")));
  rig_write(&rig, ELEMENTS(overwrite("a", "2")));
  pages_copy(&rig.service.pages, &backup.pages);
  rig_write(&rig, ELEMENTS(overwrite("a", "accepted by the old active alone")));
  rig_subscribe(&rig, &from_now);
  (void)rig_settle(&rig);
  assert_int_equal(rig_next(&rig, NOTIFY_SYNCED).position.seq, 3);
  replica_destroy(&rig.service.replica);
  pages_copy(&backup.pages, &rig.service.pages);
  assert_int_equal(
      replica_recover(rig.service.pages.region, rig.service.pages.size, &rig.service.storage, &rig.service.replica),
      VESTA_OK);
  must_apply(&rig.service, ELEMENTS(epoch_to(2, 7)));
  rig_write(&rig, ELEMENTS(epoch_to(3, 7)));
  (void)rig_settle(&rig);
  assert_int_equal(rig_next(&rig, NOTIFY_LOST).reason, VESTA_ERR_DIVERGED);
  assert_true(rig_next(&rig, NOTIFY_RESYNC_BEGIN).full);
  rig_next_is(&rig, VESTA_KIND_CREATED, "a", "2");
  rig_close(&rig);
  pages_close(&backup.pages);
}

static void a_beacon_that_goes_back_makes_it_ask_and_a_good_answer_settles_it(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig, &from_now);
  rig_beacon(&rig);
  frames_t *old = channel_take(&rig.published);
  rig_write(&rig, ELEMENTS(overwrite("a", "x")));
  (void)rig_settle(&rig);
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "x");
  assert_int_equal(subscriber_published(rig.subscriber, old->head, old->payload, rig.now_ns), VESTA_OK);
  free(old);
  assert_false(rig_status(&rig).synced);
  assert_int_equal(rig_settle(&rig), 1);
  rig_next_is_none(&rig);
  assert_true(rig_status(&rig).synced);
  rig_close(&rig);
}

/* ---- silence and the end ---- */

static void silence_for_three_periods_is_told_once_and_the_stream_goes_on_where_it_was(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig, &from_now);
  int64_t limit_ns = rig.now_ns + VESTA_SILENCE_PERIODS * VESTA_BEACON_PERIOD_MS * MS;
  assert_int_equal(subscriber_wake_ns(rig.subscriber), limit_ns);
  rig.now_ns = limit_ns - 1;
  assert_false(subscriber_silent(rig.subscriber, rig.now_ns));
  rig.now_ns++;
  assert_true(subscriber_silent(rig.subscriber, rig.now_ns));
  assert_false(subscriber_silent(rig.subscriber, rig.now_ns));
  rig_write(&rig, ELEMENTS(overwrite("a", "missed")));
  channel_clear(&rig.published);
  subscriber_resubscribed(rig.subscriber, (vesta_token_t){.hi = 3, .lo = 4}, rig.now_ns);
  rig_no_request(&rig);
  rig_subscription(&rig, true, NOTIFY_CLASS_DATA, CHECKPOINT);
  rig_hear_all(&rig);
  wire_message_t request = rig_request(&rig, WIRE_HISTORY_GET);
  assert_true(request.token_hi == 3 && request.token_lo == 4 && request.cursor == 2);
  rig_answer(&rig, &request);
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "missed");
  assert_true(rig_status(&rig).synced);
  assert_int_equal(rig_status(&rig).rebuilt, 1);
  rig_close(&rig);
}

static void a_checkpoint_that_is_gone_ends_the_stream_after_what_it_brought(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig, &from_now);
  replica_element_t unlinked = of_kind(VESTA_KIND_UNLINKED, 0);
  rig_write(&rig, &unlinked, 1);
  publisher_removed(rig.publisher, CHECKPOINT);
  rig_hear_all(&rig);
  (void)rig_next(&rig, VESTA_KIND_UNLINKED);
  (void)rig_next(&rig, NOTIFY_GONE);
  rig_next_is_none(&rig);
  rig_no_request(&rig);
  assert_int_equal(subscriber_wake_ns(rig.subscriber), INT64_MAX);
  assert_false(rig_status(&rig).synced);
  rig_close(&rig);
}

static void an_answer_that_it_does_not_exist_ends_the_stream(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_subscribe(&rig, &from_snapshot);
  rig_hear_all(&rig);
  wire_message_t request = rig_request(&rig, WIRE_SNAPSHOT_GET);
  rig_answer_error(&rig, &request, VESTA_ERR_NOT_EXIST);
  (void)rig_next(&rig, NOTIFY_GONE);
  rig_close(&rig);
}

static void a_refused_token_is_renewed_however_often_it_is_refused(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_subscribe(&rig, &from_snapshot);
  for (uint64_t again = 1; again < 4; again++) { /* a service that restarts before it has answered */
    rig_hear_all(&rig);
    wire_message_t request = rig_request(&rig, WIRE_SNAPSHOT_GET);
    rig_answer_error(&rig, &request, VESTA_ERR_ACCESS);
    rig_next_is_none(&rig);
    assert_int_equal(subscriber_wake_ns(rig.subscriber), INT64_MIN);
    assert_true(subscriber_silent(rig.subscriber, rig.now_ns));
    subscriber_resubscribed(rig.subscriber, (vesta_token_t){.hi = 3, .lo = again}, rig.now_ns);
    rig_subscription(&rig, true, NOTIFY_CLASS_DATA, CHECKPOINT);
  }
  (void)rig_settle(&rig);
  (void)rig_next(&rig, NOTIFY_RESYNC_BEGIN);
  rig_close(&rig);
}

/* ---- bounds ---- */

static void who_takes_nothing_holds_no_more_than_its_buffer_and_is_told_what_it_lost(void **state) {
  (void)state;
  rig_t rig;
  subscriber_config_t config = {.start = SUBSCRIBER_FROM_NOW, .buffer_bytes = 16384};
  rig_open_live(&rig, &config);
  static char data[1024];
  memset(data, 'w', sizeof data - 1);
  for (uint32_t i = 0; i < 3000; i++) { /* more than the log holds */
    rig_write(&rig, ELEMENTS(overwrite("a", data)));
    (void)rig_settle(&rig);
    assert_true(rig_status(&rig).held_bytes <= config.buffer_bytes);
  }
  assert_true(rig_status(&rig).overflows > 1000);
  notify_change_t change;
  uint64_t seq = 1;
  while (subscriber_next(rig.subscriber, &change) && change.kind == VESTA_KIND_OVERWRITTEN) {
    assert_int_equal(change.position.seq, ++seq);
  }
  (void)rig_settle(&rig);
  change = rig_next(&rig, NOTIFY_LOST);
  assert_true(change.reason == VESTA_ERR_TOO_LARGE && change.from.seq == seq);
  assert_false(rig_next(&rig, NOTIFY_RESYNC_BEGIN).full);
  rig_next_is(&rig, VESTA_KIND_CREATED, "a", data);
  (void)rig_next(&rig, NOTIFY_RESYNC_END);
  (void)rig_next(&rig, NOTIFY_SYNCED);
  assert_true(rig_status(&rig).synced);
  rig_close(&rig);
}

static void an_operation_larger_than_the_buffer_is_fetched(void **state) {
  (void)state;
  rig_t rig;
  rig_open_of(&rig, 10, 1U << 20, 32);
  subscriber_config_t config = {.start = SUBSCRIBER_FROM_NOW, .buffer_bytes = 4096};
  rig_subscribe(&rig, &config);
  (void)rig_settle(&rig);
  (void)rig_next(&rig, NOTIFY_SYNCED);
  static uint8_t large[1U << 20];
  memset(large, 5, sizeof large);
  rig_write(&rig, ELEMENTS(create("a", "")));
  rig_write(&rig, ELEMENTS(overwrite_bytes("a", large, sizeof large)));
  rig_hear_all(&rig);
  (void)rig_next(&rig, VESTA_KIND_CREATED);
  rig_next_is_none(&rig);
  (void)rig_settle(&rig);
  notify_change_t change = rig_next(&rig, VESTA_KIND_OVERWRITTEN);
  assert_true(vesta_bytes_equal(change.data, vesta_bytes(large, sizeof large)));
  assert_int_equal(rig_status(&rig).lost, 0);
  rig_close(&rig);
}

/* ---- under load ---- */

/* A section's content says at which write it was made. */
static void write_some(rig_t *rig, uint32_t sections, uint32_t writes, uint32_t *last) {
  static char data[400];
  static uint32_t random = 1;
  for (uint32_t i = 0; i < writes; i++) {
    random = random * 1103515245U + 12345U;
    uint32_t section = (random >> 8) % sections;
    char id[16];
    (void)snprintf(id, sizeof id, "%u", section);
    memset(data, ' ', sizeof data - 1);
    (void)snprintf(data, sizeof data, "%u", ++last[sections]);
    data[strlen(data)] = ' ';
    last[section] = last[sections];
    rig_commit(rig, ELEMENTS(overwrite(id, data)));
  }
  rig_flush(rig);
}

static uint32_t number_of(vesta_bytes_t digits) {
  uint32_t number = 0;
  for (size_t i = 0; i < digits.size && digits.data[i] >= '0' && digits.data[i] <= '9'; i++) {
    number = number * 10 + (uint32_t)(digits.data[i] - '0');
  }
  return number;
}

/* Walk `sections` sections while `writes` operations are committed between each request and its answer, and as many
 * between the answer and what they publish. Returns how many requests it took to be synced. */
static uint32_t walk_under_load(uint32_t sections, uint32_t writes, uint64_t buffer_bytes, bool history_reaches) {
  rig_t rig;
  rig_open_of(&rig, sections, 400, 16);
  uint32_t *last = calloc(sections + 1, sizeof *last);
  uint32_t *seen = calloc(sections, sizeof *seen);
  assert_true(last != NULL && seen != NULL);
  for (uint32_t i = 0; i < sections; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "%u", i);
    must_apply(&rig.service, ELEMENTS(create(id, "0")));
  }
  write_some(&rig, sections, sections, last);
  subscriber_config_t config = {.start = SUBSCRIBER_FROM_SNAPSHOT, .buffer_bytes = buffer_bytes};
  rig_subscribe(&rig, &config);
  uint32_t requests = 0;
  bool synced = false;
  while (!synced) {
    wire_message_t request;
    write_some(&rig, sections, writes, last);
    rig_hear_all(&rig);
    if (subscriber_request(rig.subscriber, rig.now_ns, &request)) {
      requests++;
      assert_true(requests < 200);
      write_some(&rig, sections, writes, last);
      if (request.kind == WIRE_HISTORY_GET && !history_reaches) {
        rig_answer_error(&rig, &request, VESTA_ERR_LOST);
      } else {
        rig_answer(&rig, &request);
      }
    } else {
      rig.now_ns += 10 * MS;
    }
    assert_true(rig_status(&rig).held_bytes <= buffer_bytes + 2 * VESTA_STREAM_CHUNK_BYTES_MAX);
    notify_change_t change;
    while (!synced && subscriber_next(rig.subscriber, &change)) {
      if (change.id.size != 0) {
        seen[number_of(change.id)] = number_of(change.data);
      }
      synced = change.kind == NOTIFY_SYNCED;
    }
  }
  /* What was written after that position. */
  replica_record_t record;
  for (uint64_t seq = rig_status(&rig).handed_out.seq + 1; seq <= rig_committed(&rig).seq; seq++) {
    assert_int_equal(replica_record(rig.service.replica, seq, &record), VESTA_OK);
    replica_change_t change;
    assert_true(replica_record_next(&record, &change));
    seen[number_of(change.element.id)] = number_of(change.element.data);
  }
  assert_memory_equal(seen, last, sections * sizeof *seen);
  free(last);
  free(seen);
  rig_close(&rig);
  return requests;
}

static void a_walk_under_full_load_ends_with_a_buffer_of_a_few_kilobytes(void **state) {
  (void)state;
  assert_true(walk_under_load(6000, 1000, 4096, true) < 40);
}

static void a_walk_under_full_load_ends_by_smaller_and_smaller_deltas_when_there_is_no_history(void **state) {
  (void)state;
  assert_true(walk_under_load(6000, 1000, 4096, false) < 40);
}

static void a_walk_under_load_needs_no_history_when_the_buffer_holds_what_one_chunk_takes(void **state) {
  (void)state;
  uint32_t chunks = 6000U * 400U / VESTA_STREAM_CHUNK_BYTES + 1;
  assert_true(walk_under_load(6000, 100, 1U << 20, false) <= chunks + 1);
}

/* ---- bad input ---- */

static void changed_bytes_are_dropped_or_understood_and_never_more_than_that(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig, &from_now);
  uint32_t random = 7;
  for (uint32_t round = 0; round < 3000; round++) {
    random = random * 1103515245U + 12345U;
    rig_write(&rig, ELEMENTS(overwrite("a", "some data"), overwrite("b", "more")));
    frames_t *frames = rig.published.first;
    frames->bytes[(random >> 8) % (frames->head.size + frames->payload.size)] ^= (uint8_t)(1U << (random >> 29));
    frames->head.size -= round % 5 == 0;
    frames->payload.size -= round % 7 == 0;
    (void)rig_settle(&rig);
    notify_change_t change;
    while (subscriber_next(rig.subscriber, &change)) {
    }
  }
  assert_true(rig_status(&rig).malformed > 100);
  for (uint32_t round = 0; round < 3000; round++) {
    wire_message_t request;
    rig_write(&rig, ELEMENTS(overwrite("a", "some data"), overwrite("b", "more")));
    rig_lose(&rig);
    rig.now_ns += (1000 * MS);
    rig_beacon(&rig);
    rig_hear_all(&rig);
    if (!subscriber_request(rig.subscriber, rig.now_ns, &request)) {
      continue;
    }
    vesta_bytes_t head;
    vesta_bytes_t payload;
    stream_server_answer(rig.server, rig.service.replica, &request, &head, &payload);
    uint8_t bytes[1024];
    assert_true(head.size <= sizeof bytes);
    memcpy(bytes, head.data, head.size);
    random = random * 1103515245U + 12345U;
    bytes[(random >> 8) % head.size] ^= (uint8_t)(1U << (random >> 29));
    assert_int_equal(subscriber_answered(rig.subscriber, vesta_bytes(bytes, head.size), payload, rig.now_ns), VESTA_OK);
    notify_change_t change;
    while (subscriber_next(rig.subscriber, &change)) {
    }
  }
  rig_close(&rig);
}

static void messages_of_others_are_dropped_and_counted(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig, &from_now);
  wire_message_t messages[] = {
      {.kind = WIRE_BEACON, .checkpoint = CHECKPOINT + 1, .lineage = LINEAGE, .epoch = 1, .seq = 1},
      {.kind = WIRE_BEACON, .checkpoint = CHECKPOINT},  /* nowhere */
      {.kind = WIRE_CHANGES, .checkpoint = CHECKPOINT}, /* nothing */
      {.kind = WIRE_LIST, .checkpoint = CHECKPOINT},
  };
  for (uint32_t i = 0; i < 4; i++) {
    uint8_t head[256];
    size_t size = 0;
    assert_int_equal(wire_encode(&messages[i], head, sizeof head, &size), VESTA_OK);
    assert_int_equal(subscriber_published(rig.subscriber, vesta_bytes(head, size), vesta_bytes(NULL, 0), rig.now_ns),
                     VESTA_OK);
  }
  assert_int_equal(rig_status(&rig).malformed, 4);
  assert_true(rig_status(&rig).synced);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_asked_or_handed_out_before_the_beacon),
      cmocka_unit_test(from_snapshot_everything_comes_in_brackets_and_then_what_is_new),
      cmocka_unit_test(from_now_is_synced_at_once_and_asks_for_nothing),
      cmocka_unit_test(from_a_position_the_history_comes_first_and_no_resync),
      cmocka_unit_test(from_a_position_that_history_does_not_reach_a_delta_comes),
      cmocka_unit_test(from_a_position_of_another_history_everything_comes),
      cmocka_unit_test(a_lost_message_is_fetched_and_handed_out_in_its_place),
      cmocka_unit_test(a_lost_tail_is_seen_by_the_next_beacon),
      cmocka_unit_test(an_operation_of_several_elements_is_handed_out_whole),
      cmocka_unit_test(the_last_change_of_a_message_that_is_awaited_says_so),
      cmocka_unit_test(what_comes_twice_is_dropped_and_counted),
      cmocka_unit_test(an_unanswered_request_is_repeated_after_a_second_and_answered_once),
      cmocka_unit_test(a_refused_request_is_tried_again_after_a_second),
      cmocka_unit_test(another_lineage_is_a_declared_loss_and_everything_anew),
      cmocka_unit_test(an_epoch_that_goes_on_from_another_one_is_not_taken_for_the_next_operation),
      cmocka_unit_test(a_beacon_that_goes_back_makes_it_ask_and_a_good_answer_settles_it),
      cmocka_unit_test(silence_for_three_periods_is_told_once_and_the_stream_goes_on_where_it_was),
      cmocka_unit_test(a_checkpoint_that_is_gone_ends_the_stream_after_what_it_brought),
      cmocka_unit_test(an_answer_that_it_does_not_exist_ends_the_stream),
      cmocka_unit_test(a_refused_token_is_renewed_however_often_it_is_refused),
      cmocka_unit_test(who_takes_nothing_holds_no_more_than_its_buffer_and_is_told_what_it_lost),
      cmocka_unit_test(an_operation_larger_than_the_buffer_is_fetched),
      cmocka_unit_test(a_walk_under_full_load_ends_with_a_buffer_of_a_few_kilobytes),
      cmocka_unit_test(a_walk_under_full_load_ends_by_smaller_and_smaller_deltas_when_there_is_no_history),
      cmocka_unit_test(a_walk_under_load_needs_no_history_when_the_buffer_holds_what_one_chunk_takes),
      cmocka_unit_test(changed_bytes_are_dropped_or_understood_and_never_more_than_that),
      cmocka_unit_test(messages_of_others_are_dropped_and_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
