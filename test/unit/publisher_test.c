/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The publisher's rules, one a test.
 */
#include "test/unit/stream_fixture.h"

static const int64_t period_ns = VESTA_BEACON_PERIOD_MS * MS;

static publisher_counters_t counters_of(const rig_t *rig) {
  publisher_counters_t counters;
  publisher_counters(rig->publisher, &counters);
  return counters;
}

/* The next message is a beacon of that class, and says this. */
static void next_is_beacon(rig_t *rig, uint8_t class_byte, vesta_pos_t position, uint64_t state) {
  frames_t *frames;
  wire_message_t message = rig_take(rig, &frames);
  uint8_t topic[NOTIFY_TOPIC_BYTES];
  notify_topic(topic, class_byte, message.checkpoint);
  assert_memory_equal(frames->topic, topic, sizeof topic);
  assert_int_equal(message.kind, WIRE_BEACON);
  assert_true(vesta_pos_equal(wire_pos(&message), position));
  assert_int_equal(message.state, state);
  assert_int_equal(frames->payload.size, 0);
  free(frames);
}

static void listen(rig_t *rig, uint8_t class_byte) {
  rig_subscription(rig, true, class_byte, CHECKPOINT);
  rig_lose(rig); /* its beacon */
}

static void a_commit_that_nobody_listens_to_is_not_encoded(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_write(&rig, ELEMENTS(create("a", "1")));
  assert_int_equal(rig.published.count, 0);
  assert_int_equal(counters_of(&rig).operations, 0);
  assert_false(publisher_wanted(rig.publisher, CHECKPOINT));
  assert_int_equal(publisher_wake_ns(rig.publisher), INT64_MAX);
  rig_close(&rig);
}

static void each_subscribe_is_answered_with_a_beacon_on_its_topic(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_write(&rig, ELEMENTS(create("a", "1")));
  rig_subscription(&rig, true, NOTIFY_CLASS_DATA, CHECKPOINT);
  rig_subscription(&rig, true, NOTIFY_CLASS_KEYS, CHECKPOINT);
  rig_subscription(&rig, true, NOTIFY_CLASS_ROLES, CHECKPOINT);
  rig_subscription(&rig, true, NOTIFY_CLASS_DATA, CHECKPOINT);
  vesta_pos_t here = {.lineage = LINEAGE, .epoch = 1, .seq = 1};
  next_is_beacon(&rig, NOTIFY_CLASS_DATA, here, 0);
  next_is_beacon(&rig, NOTIFY_CLASS_KEYS, here, 0);
  next_is_beacon(&rig, NOTIFY_CLASS_ROLES, here, 0);
  next_is_beacon(&rig, NOTIFY_CLASS_DATA, here, 0);
  assert_int_equal(counters_of(&rig).topics, 3);
  assert_int_equal(counters_of(&rig).subscriptions, 4);
  rig_close(&rig);
}

static void the_beacon_of_a_subscription_comes_after_what_was_committed_before_it(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  listen(&rig, NOTIFY_CLASS_DATA);
  rig_commit(&rig, ELEMENTS(create("a", "1")));
  rig_subscription(&rig, true, NOTIFY_CLASS_DATA, CHECKPOINT);
  frames_t *frames;
  wire_message_t message = rig_take(&rig, &frames);
  assert_int_equal(message.kind, WIRE_CHANGES);
  free(frames);
  next_is_beacon(&rig, NOTIFY_CLASS_DATA, rig_committed(&rig), 0);
  rig_close(&rig);
}

static void a_checkpoint_that_is_not_there_is_said_to_be_gone(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_subscription(&rig, true, NOTIFY_CLASS_DATA, 77);
  next_is_beacon(&rig, NOTIFY_CLASS_DATA, (vesta_pos_t){0}, WIRE_BEACON_GONE);
  listen(&rig, NOTIFY_CLASS_DATA);
  publisher_removed(rig.publisher, CHECKPOINT);
  next_is_beacon(&rig, NOTIFY_CLASS_DATA, (vesta_pos_t){0}, WIRE_BEACON_GONE);
  rig_close(&rig);
}

static void anything_but_a_subscription_is_dropped_and_counted(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  static const uint8_t inputs[][12] = {
      {1, 'D', 0, 0, 0, 0, 0, 0, 0, 42, 1}, /* too long */
      {2, 'D', 0, 0, 0, 0, 0, 0, 0, 42},    /* neither begin nor end */
      {1, 'X', 0, 0, 0, 0, 0, 0, 0, 42},    /* no such class */
      {1, 'D', 0, 0, 0, 0, 0, 0, 0, 0},     /* no checkpoint has that id */
      {1},                                  /* everything: prefix of all topics */
  };
  static const size_t sizes[] = {11, 10, 10, 10, 1};
  for (size_t i = 0; i < 5; i++) {
    (void)publisher_subscription(rig.publisher, 0, vesta_bytes(inputs[i], sizes[i]), rig_find, &rig, rig.now_ns);
  }
  (void)publisher_subscription(rig.publisher, 0, vesta_bytes(NULL, 0), rig_find, &rig, rig.now_ns);
  assert_int_equal(counters_of(&rig).dropped_input, 6);
  assert_int_equal(rig.published.count, 0);
  rig_close(&rig);
}

static void a_topic_lives_until_its_last_subscription_ends(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  listen(&rig, NOTIFY_CLASS_DATA);
  listen(&rig, NOTIFY_CLASS_DATA);
  rig_subscription(&rig, false, NOTIFY_CLASS_DATA, CHECKPOINT);
  assert_true(publisher_wanted(rig.publisher, CHECKPOINT));
  rig_subscription(&rig, false, NOTIFY_CLASS_DATA, CHECKPOINT);
  assert_false(publisher_wanted(rig.publisher, CHECKPOINT));
  rig_subscription(&rig, false, NOTIFY_CLASS_DATA, CHECKPOINT); /* one too many does no harm */
  assert_int_equal(counters_of(&rig).topics, 0);
  assert_int_equal(counters_of(&rig).subscriptions, 0);
  assert_int_equal(publisher_wake_ns(rig.publisher), INT64_MAX);
  rig_close(&rig);
}

static void topics_at_the_limit_are_served_and_one_more_is_not(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  for (uint64_t id = 1; id <= 3 * VESTA_CHECKPOINTS_MAX; id++) {
    rig_subscription(&rig, true, NOTIFY_CLASS_DATA, id);
    rig_lose(&rig);
  }
  assert_int_equal(counters_of(&rig).dropped_input, 0);
  rig_subscription(&rig, true, NOTIFY_CLASS_DATA, 3 * VESTA_CHECKPOINTS_MAX + 1);
  assert_int_equal(rig.published.count, 0);
  assert_int_equal(counters_of(&rig).dropped_input, 1);
  assert_int_equal(counters_of(&rig).topics, 3 * VESTA_CHECKPOINTS_MAX);
  rig_close(&rig);
}

static void what_one_turn_committed_goes_out_in_one_message(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  listen(&rig, NOTIFY_CLASS_DATA);
  rig_commit(&rig, ELEMENTS(create("a", "one"), create("b", "")));
  rig_commit(&rig, ELEMENTS(write_at("a", 1, "xy")));
  rig_commit(&rig, ELEMENTS(delete_of("b")));
  assert_int_equal(rig.published.count, 0);
  rig_flush(&rig);
  assert_int_equal(rig.published.count, 1);
  frames_t *frames;
  wire_message_t message = rig_take(&rig, &frames);
  assert_int_equal(message.kind, WIRE_CHANGES);
  assert_int_equal(message.lineage, LINEAGE);
  assert_int_equal(message.element_count, 4);
  static const struct {
    uint64_t kind, seq, index, count, offset, size;
    const char *id;
  } expected[] = {
      {VESTA_KIND_CREATED, 1, 0, 2, 0, 3, "a"},
      {VESTA_KIND_CREATED, 1, 1, 2, 0, 0, "b"},
      {VESTA_KIND_WRITTEN, 2, 0, 1, 1, 2, "a"},
      {VESTA_KIND_DELETED, 3, 0, 1, 0, 0, "b"},
  };
  for (uint32_t i = 0; i < 4; i++) {
    const wire_element_t *e = &message.elements[i];
    assert_int_equal(e->kind, expected[i].kind);
    assert_int_equal(e->seq, expected[i].seq);
    assert_int_equal(e->epoch, 1);
    assert_int_equal(e->time_ns, NOW);
    assert_int_equal(e->index, expected[i].index);
    assert_int_equal(e->count, expected[i].count);
    assert_int_equal(e->offset, expected[i].offset);
    assert_int_equal(e->size, expected[i].size);
    assert_true(vesta_bytes_equal(e->id, text(expected[i].id)));
  }
  assert_true(vesta_bytes_equal(frames->payload, text("onexy")));
  free(frames);
  rig_close(&rig);
}

static void a_keys_topic_tells_sizes_and_carries_no_data(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  listen(&rig, NOTIFY_CLASS_KEYS);
  rig_write(&rig, ELEMENTS(create("a", "four")));
  frames_t *frames;
  wire_message_t message = rig_take(&rig, &frames);
  assert_int_equal(frames->topic[0], NOTIFY_CLASS_KEYS);
  assert_int_equal(message.kind, WIRE_CHANGES);
  assert_int_equal(message.state, WIRE_CHANGES_KEYS);
  assert_int_equal(message.elements[0].size, 4);
  assert_int_equal(frames->payload.size, 0);
  free(frames);
  rig_close(&rig);
}

static void what_somebody_waits_for_goes_out_marked_and_nothing_else_does(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  listen(&rig, NOTIFY_CLASS_DATA);
  publisher_awaited(rig.publisher, CHECKPOINT + 1, 1); /* nobody listens to that one */
  rig_write(&rig, ELEMENTS(create("a", "1")));
  publisher_awaited(rig.publisher, CHECKPOINT, 3);
  rig_commit(&rig, ELEMENTS(overwrite("a", "2"))); /* seq 2, in the same message as 3 */
  rig_write(&rig, ELEMENTS(overwrite("a", "3")));
  rig_write(&rig, ELEMENTS(overwrite("a", "4")));
  const uint64_t expected[] = {0, WIRE_CHANGES_AWAITED, 0};
  for (size_t i = 0; i < 3; i++) {
    frames_t *frames;
    wire_message_t message = rig_take(&rig, &frames);
    assert_int_equal(message.kind, WIRE_CHANGES);
    assert_int_equal(message.state, expected[i]);
    free(frames);
  }
  rig_close(&rig);
}

static void a_roles_topic_carries_epochs_only_and_each_is_followed_by_beacons(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  listen(&rig, NOTIFY_CLASS_ROLES);
  rig_write(&rig, ELEMENTS(create("a", "1")));
  assert_int_equal(rig.published.count, 0);
  listen(&rig, NOTIFY_CLASS_DATA);
  rig_commit(&rig, ELEMENTS(overwrite("a", "2")));
  rig_commit(&rig, ELEMENTS(epoch_to(5, 9)));
  rig_flush(&rig);
  frames_t *frames;
  wire_message_t message = rig_take(&rig, &frames);
  assert_int_equal(frames->topic[0], NOTIFY_CLASS_DATA);
  assert_int_equal(message.element_count, 2);
  free(frames);
  message = rig_take(&rig, &frames);
  assert_int_equal(frames->topic[0], NOTIFY_CLASS_ROLES);
  assert_int_equal(message.element_count, 1);
  assert_int_equal(message.elements[0].kind, VESTA_KIND_EPOCH);
  assert_int_equal(message.elements[0].epoch, 5);
  assert_int_equal(message.elements[0].offset, 1); /* the epoch before */
  assert_int_equal(message.elements[0].seq, 3);
  assert_int_equal(message.elements[0].member, 9);
  free(frames);
  vesta_pos_t here = {.lineage = LINEAGE, .epoch = 5, .seq = 3};
  next_is_beacon(&rig, NOTIFY_CLASS_DATA, here, 0);
  next_is_beacon(&rig, NOTIFY_CLASS_ROLES, here, 0);
  rig_close(&rig);
}

static void messages_keep_to_the_batch_limit_and_to_whole_operations(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  listen(&rig, NOTIFY_CLASS_DATA);
  static char data[4096];
  memset(data, 'x', sizeof data - 1);
  rig_commit(&rig, ELEMENTS(create("a", data), create("b", data)));
  for (uint32_t i = 1; i < 100; i++) {
    rig_commit(&rig, ELEMENTS(overwrite("a", data), overwrite("b", data)));
  }
  rig_flush(&rig);
  assert_int_equal(rig.published.count, 4); /* 100 x 8190 bytes, 256 KiB at a time */
  uint64_t seq = 0;
  while (rig.published.first != NULL) {
    frames_t *frames;
    wire_message_t message = rig_take(&rig, &frames);
    assert_true(frames->payload.size <= VESTA_STREAM_BATCH_BYTES);
    assert_int_equal(message.elements[0].index, 0);
    assert_int_equal(message.elements[0].seq, seq + 1);
    assert_int_equal(message.elements[message.element_count - 1].index, 1);
    seq = message.elements[message.element_count - 1].seq;
    free(frames);
  }
  assert_int_equal(seq, 100);
  rig_close(&rig);
}

static void the_longest_vector_of_the_longest_ids_is_one_message(void **state) {
  (void)state;
  rig_t rig;
  rig_open_of(&rig, VESTA_VECTOR_ELEMENTS_MAX, 1024, VESTA_SECTION_ID_BYTES_MAX);
  listen(&rig, NOTIFY_CLASS_DATA);
  static uint8_t ids[VESTA_VECTOR_ELEMENTS_MAX][VESTA_SECTION_ID_BYTES_MAX];
  static replica_element_t elements[VESTA_VECTOR_ELEMENTS_MAX];
  for (uint32_t i = 0; i < VESTA_VECTOR_ELEMENTS_MAX; i++) {
    memcpy(ids[i], &i, sizeof i);
    elements[i] = create("", "some data");
    elements[i].id = vesta_bytes(ids[i], sizeof ids[i]);
  }
  rig_write(&rig, elements, VESTA_VECTOR_ELEMENTS_MAX);
  assert_int_equal(rig.published.count, 1);
  frames_t *frames;
  wire_message_t message = rig_take(&rig, &frames);
  assert_int_equal(message.element_count, VESTA_VECTOR_ELEMENTS_MAX);
  assert_int_equal(wire_payload_check(&message, frames->payload.size), VESTA_OK);
  free(frames);
  rig_close(&rig);
}

static void large_data_goes_out_whole_with_what_was_before_and_after_it_in_order(void **state) {
  (void)state;
  rig_t rig;
  rig_open_of(&rig, 10, 2U << 20, 32);
  listen(&rig, NOTIFY_CLASS_DATA);
  char *large = malloc((1U << 20) + 1);
  assert_non_null(large);
  memset(large, 'y', 1U << 20);
  large[1U << 20] = '\0';
  rig_commit(&rig, ELEMENTS(create("a", "before")));
  rig_commit(&rig, ELEMENTS(create("b", large)));
  rig_commit(&rig, ELEMENTS(create("c", large), create("d", large)));
  rig_commit(&rig, ELEMENTS(create("e", "after")));
  rig_flush(&rig);
  static const size_t sizes[] = {6, 1U << 20, 2U << 20, 5};
  for (uint64_t i = 0; i < 4; i++) {
    frames_t *frames;
    wire_message_t message = rig_take(&rig, &frames);
    assert_int_equal(message.elements[0].seq, i + 1);
    assert_int_equal(frames->payload.size, sizes[i]);
    assert_true(i == 0 || i == 3 || memcmp(frames->payload.data + sizes[i] - (1U << 20), large, 1U << 20) == 0);
    free(frames);
  }
  free(large);
  rig_close(&rig);
}

static void the_changes_of_two_checkpoints_keep_apart(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  listen(&rig, NOTIFY_CLASS_DATA);
  rig_subscription(&rig, true, NOTIFY_CLASS_DATA, 43);
  rig_lose(&rig);
  rig_commit(&rig, ELEMENTS(create("a", "1")));
  publisher_committed(rig.publisher, 43, rig.service.replica, 1, 1);
  rig_commit(&rig, ELEMENTS(create("b", "2")));
  rig_flush(&rig);
  static const uint64_t checkpoints[] = {CHECKPOINT, 43, CHECKPOINT};
  for (uint32_t i = 0; i < 3; i++) {
    frames_t *frames;
    wire_message_t message = rig_take(&rig, &frames);
    assert_int_equal(message.checkpoint, checkpoints[i]);
    assert_int_equal(message.element_count, 1);
    free(frames);
  }
  rig_close(&rig);
}

static void when_too_much_is_held_a_beacon_goes_out_in_place_of_changes(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  listen(&rig, NOTIFY_CLASS_DATA);
  rig.held_bytes = VESTA_STREAM_QUEUE_BYTES_MAX;
  rig_write(&rig, ELEMENTS(create("a", "at the limit")));
  frames_t *frames;
  wire_message_t message = rig_take(&rig, &frames);
  assert_int_equal(message.kind, WIRE_CHANGES);
  free(frames);
  rig.held_bytes++;
  rig_write(&rig, ELEMENTS(overwrite("a", "one past it")));
  next_is_beacon(&rig, NOTIFY_CLASS_DATA, (vesta_pos_t){.lineage = LINEAGE, .epoch = 1, .seq = 2}, 0);
  assert_int_equal(counters_of(&rig).withheld, 1);
  rig_close(&rig);
}

/* A second door, which counts. */
typedef struct door {
  uint64_t held_bytes, messages, beacons;
  wire_decoder_t *decoder;
} door_t;

static void door_emit(void *context, const uint8_t topic[NOTIFY_TOPIC_BYTES], vesta_bytes_t head,
                      vesta_bytes_t payload) {
  door_t *door = context;
  wire_message_t message;
  (void)topic;
  (void)payload;
  assert_int_equal(wire_decode(door->decoder, head.data, head.size, &message), VESTA_OK);
  door->messages += message.kind == WIRE_CHANGES ? 1 : 0;
  door->beacons += message.kind == WIRE_BEACON ? 1 : 0;
}

static uint64_t door_held_bytes(void *context) { return ((door_t *)context)->held_bytes; }

static void what_waits_at_one_door_withholds_nothing_at_the_other(void **state) {
  (void)state;
  rig_t rig;
  door_t door = {.decoder = wire_decoder_new()};
  rig_open(&rig);
  publisher_destroy(&rig.publisher);
  const publisher_output_t outputs[] = {
      {.context = &rig, .emit = rig_emit, .held_bytes = rig_held_bytes, .held_bytes_max = 1000},
      {.context = &door, .emit = door_emit, .held_bytes = door_held_bytes, .held_bytes_max = 10}};
  assert_int_equal(publisher_new(outputs, 2, &rig.publisher), VESTA_OK);
  uint8_t message[1 + NOTIFY_TOPIC_BYTES] = {1};
  notify_topic(message + 1, NOTIFY_CLASS_DATA, CHECKPOINT);
  assert_true(
      publisher_subscription(rig.publisher, 1, vesta_bytes(message, sizeof message), rig_find, &rig, rig.now_ns));
  assert_int_equal(door.beacons, 1); /* on the door that it came to, and no other */
  assert_int_equal(rig.published.count, 0);
  rig_write(&rig, ELEMENTS(create("a", "1")));
  assert_int_equal(door.messages, 1);
  assert_int_equal(rig.published.count, 0);
  listen(&rig, NOTIFY_CLASS_DATA);
  assert_int_equal(door.beacons, 1);
  assert_int_equal(publisher_subscriptions(rig.publisher, 0), 1);
  assert_int_equal(publisher_subscriptions(rig.publisher, 1), 1);
  assert_int_equal(publisher_listeners(rig.publisher, 1, CHECKPOINT), 1);
  assert_int_equal(counters_of(&rig).topics, 1);
  door.held_bytes = 10;
  rig_write(&rig, ELEMENTS(overwrite("a", "at its limit")));
  assert_int_equal(door.messages, 2);
  rig_lose(&rig);
  door.held_bytes = 11;
  rig_write(&rig, ELEMENTS(overwrite("a", "one past it")));
  assert_int_equal(door.messages, 2);
  assert_int_equal(door.beacons, 2);
  assert_int_equal(rig.published.count, 1); /* the change itself */
  assert_int_equal(counters_of(&rig).withheld, 1);
  message[0] = 0;
  assert_true(
      publisher_subscription(rig.publisher, 1, vesta_bytes(message, sizeof message), rig_find, &rig, rig.now_ns));
  assert_true(publisher_wanted(rig.publisher, CHECKPOINT));
  rig_write(&rig, ELEMENTS(overwrite("a", "for one")));
  assert_int_equal(door.beacons, 2);
  wire_decoder_destroy(&door.decoder);
  rig_close(&rig);
}

static void operations_that_the_log_has_lost_before_they_were_told_are_named_by_a_beacon(void **state) {
  (void)state;
  rig_t rig;
  rig_open_of(&rig, 10, 65536, 32);
  listen(&rig, NOTIFY_CLASS_DATA);
  static char data[65536];
  memset(data, 'z', sizeof data - 1);
  must_apply(&rig.service, ELEMENTS(create("a", data)));
  for (uint32_t i = 0; i < 50; i++) {
    must_apply(&rig.service, ELEMENTS(overwrite("a", data)));
  }
  publisher_committed(rig.publisher, CHECKPOINT, rig.service.replica, 1, 51);
  rig_flush(&rig);
  assert_int_equal(rig.published.count, 1);
  next_is_beacon(&rig, NOTIFY_CLASS_DATA, rig_committed(&rig), 0);
  assert_int_equal(counters_of(&rig).withheld, 1);
  rig_close(&rig);
}

static void an_idle_topic_says_its_position_each_period_and_a_busy_one_need_not(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  listen(&rig, NOTIFY_CLASS_DATA);
  int64_t begin_ns = rig.now_ns;
  assert_int_equal(publisher_wake_ns(rig.publisher), begin_ns + period_ns);
  publisher_time(rig.publisher, begin_ns + period_ns - 1, rig_find, &rig);
  assert_int_equal(rig.published.count, 0);
  publisher_time(rig.publisher, begin_ns + period_ns, rig_find, &rig);
  next_is_beacon(&rig, NOTIFY_CLASS_DATA, (vesta_pos_t){.lineage = LINEAGE, .epoch = 1}, 0);
  rig.now_ns = begin_ns + period_ns + period_ns / 2;
  rig_write(&rig, ELEMENTS(create("a", "1")));
  rig_lose(&rig);
  assert_int_equal(publisher_wake_ns(rig.publisher), rig.now_ns + period_ns);
  rig_close(&rig);
}

static void changes_do_not_silence_the_beacons_of_a_roles_topic(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  listen(&rig, NOTIFY_CLASS_DATA);
  listen(&rig, NOTIFY_CLASS_ROLES);
  int64_t due_ns = publisher_wake_ns(rig.publisher);
  rig.now_ns = due_ns - 1;
  rig_write(&rig, ELEMENTS(create("a", "1")));
  rig_lose(&rig);
  assert_int_equal(publisher_wake_ns(rig.publisher), due_ns);
  publisher_time(rig.publisher, due_ns, rig_find, &rig);
  next_is_beacon(&rig, NOTIFY_CLASS_DATA, rig_committed(&rig), 0);
  next_is_beacon(&rig, NOTIFY_CLASS_ROLES, rig_committed(&rig), 0);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_commit_that_nobody_listens_to_is_not_encoded),
      cmocka_unit_test(each_subscribe_is_answered_with_a_beacon_on_its_topic),
      cmocka_unit_test(the_beacon_of_a_subscription_comes_after_what_was_committed_before_it),
      cmocka_unit_test(a_checkpoint_that_is_not_there_is_said_to_be_gone),
      cmocka_unit_test(anything_but_a_subscription_is_dropped_and_counted),
      cmocka_unit_test(a_topic_lives_until_its_last_subscription_ends),
      cmocka_unit_test(topics_at_the_limit_are_served_and_one_more_is_not),
      cmocka_unit_test(what_one_turn_committed_goes_out_in_one_message),
      cmocka_unit_test(a_keys_topic_tells_sizes_and_carries_no_data),
      cmocka_unit_test(what_somebody_waits_for_goes_out_marked_and_nothing_else_does),
      cmocka_unit_test(a_roles_topic_carries_epochs_only_and_each_is_followed_by_beacons),
      cmocka_unit_test(messages_keep_to_the_batch_limit_and_to_whole_operations),
      cmocka_unit_test(the_longest_vector_of_the_longest_ids_is_one_message),
      cmocka_unit_test(large_data_goes_out_whole_with_what_was_before_and_after_it_in_order),
      cmocka_unit_test(the_changes_of_two_checkpoints_keep_apart),
      cmocka_unit_test(when_too_much_is_held_a_beacon_goes_out_in_place_of_changes),
      cmocka_unit_test(what_waits_at_one_door_withholds_nothing_at_the_other),
      cmocka_unit_test(operations_that_the_log_has_lost_before_they_were_told_are_named_by_a_beacon),
      cmocka_unit_test(an_idle_topic_says_its_position_each_period_and_a_busy_one_need_not),
      cmocka_unit_test(changes_do_not_silence_the_beacons_of_a_roles_topic),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
