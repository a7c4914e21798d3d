/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The hash server's rules, one a test.
 */
#include "notify/hash_server.h"

#include "test/unit/stream_fixture.h"

static void turn(hash_server_t *server, rig_t *rig) { hash_server_turn(server, rig->publisher, rig_replica, rig); }

/* Turns until nothing is wanted. Returns how many. */
static uint32_t turn_until_done(hash_server_t *server, rig_t *rig) {
  uint32_t turns = 0;
  for (; hash_server_busy(server); turns++) {
    turn(server, rig);
  }
  return turns;
}

static void listen(rig_t *rig, uint8_t class_byte) {
  rig_subscription(rig, true, class_byte, CHECKPOINT);
  rig_lose(rig); /* its beacon */
}

/* The next message is the content's hash, as the replica is now. */
static void next_is_hash(rig_t *rig) {
  frames_t *frames;
  wire_message_t message = rig_take(rig, &frames);
  content_hash_t hash;
  content_hash_t expected = {0};
  uint64_t count = 0;
  replica_section_t section;
  for (uint32_t slot = 0; replica_slot_next(rig->service.replica, slot, UINT32_MAX, &section);
       slot = section.slot + 1) {
    vesta_bytes_t data = vesta_bytes(section.data, section.size);
    expected = content_hash_add(expected, content_hash_section(section.id, data, section.expiry_ns));
    count++;
  }
  assert_int_equal(message.kind, WIRE_BEACON);
  assert_int_equal(frames->topic[0], NOTIFY_CLASS_DATA);
  assert_true(vesta_pos_equal(wire_pos(&message), rig_committed(rig)));
  assert_true(content_hash_read(message.hash, &hash));
  assert_true(content_hash_equal(hash, expected));
  assert_int_equal(message.count, count);
  free(frames);
}

static void a_hash_goes_out_behind_what_it_is_of_and_before_anything_later(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  listen(&rig, NOTIFY_CLASS_DATA);
  hash_server_t *server = hash_server_new(VESTA_HASHES_BYTES_MAX);
  rig_commit(&rig, ELEMENTS(create("a", "one"))); /* not flushed yet */
  assert_int_equal(hash_server_want(server, CHECKPOINT), VESTA_OK);
  assert_int_equal(turn_until_done(server, &rig), 1);
  frames_t *frames;
  wire_message_t message = rig_take(&rig, &frames);
  assert_int_equal(message.kind, WIRE_CHANGES);
  free(frames);
  next_is_hash(&rig);
  assert_int_equal(rig.published.count, 0);
  hash_server_destroy(&server);
  rig_close(&rig);
}

static void all_who_want_it_at_one_time_get_the_same_hash(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  listen(&rig, NOTIFY_CLASS_DATA);
  listen(&rig, NOTIFY_CLASS_KEYS); /* who has no data has nothing to compare */
  hash_server_t *server = hash_server_new(VESTA_HASHES_BYTES_MAX);
  for (uint32_t i = 0; i < 100; i++) {
    assert_int_equal(hash_server_want(server, CHECKPOINT), VESTA_OK);
  }
  (void)turn_until_done(server, &rig);
  next_is_hash(&rig);
  assert_int_equal(rig.published.count, 0);
  assert_int_equal(hash_server_counter(server, HASH_COUNTER_HASHES_WANTED), 100);
  assert_int_equal(hash_server_counter(server, HASH_COUNTER_HASHES_MADE), 1);
  turn(server, &rig); /* for nothing */
  assert_int_equal(rig.published.count, 0);
  hash_server_destroy(&server);
  rig_close(&rig);
}

static void a_turn_hashes_a_piece_and_no_more(void **state) {
  (void)state;
  rig_t rig;
  rig_open_of(&rig, 4, 1U << 20, 8);
  must_apply(&rig.service, ELEMENTS(create("a", ""), create("b", "")));
  must_apply(&rig.service, ELEMENTS(write_at("a", (1U << 20) - 1, "x"), write_at("b", (1U << 20) - 1, "x")));
  listen(&rig, NOTIFY_CLASS_DATA);
  hash_server_t *server = hash_server_new(VESTA_HASHES_BYTES_MAX);
  assert_int_equal(hash_server_want(server, CHECKPOINT), VESTA_OK);
  assert_in_range(turn_until_done(server, &rig), (2U << 20) / (2 * VESTA_HASH_PIECE_BYTES),
                  (2U << 20) / VESTA_HASH_PIECE_BYTES + 1);
  next_is_hash(&rig);
  hash_server_destroy(&server);
  rig_close(&rig);
}

/* Each turn more is written than a piece of the usual size hashes. */
static void pieces_grow_until_the_hash_has_caught_up_with_the_writers(void **state) {
  (void)state;
  static uint8_t data[1U << 20];
  rig_t rig;
  rig_open_of(&rig, 4, sizeof data, 8);
  must_apply(&rig.service, ELEMENTS(create("a", ""), create("b", "")));
  listen(&rig, NOTIFY_CLASS_DATA);
  hash_server_t *server = hash_server_new(VESTA_HASHES_BYTES_MAX);
  assert_int_equal(hash_server_want(server, CHECKPOINT), VESTA_OK);
  uint32_t turns = 0;
  while (hash_server_busy(server)) {
    for (uint64_t at = 0; at < sizeof data; at += VESTA_HASH_PIECE_BYTES) {
      data[at]++;
      must_apply(&rig.service,
                 &(replica_element_t){.kind = VESTA_KIND_WRITTEN,
                                      .id = text(turns % 2 == 0 ? "a" : "b"),
                                      .offset = at,
                                      .data = vesta_bytes(data + at, VESTA_HASH_PIECE_BYTES)},
                 1);
    }
    turn(server, &rig);
    assert_true(++turns < 200);
  }
  next_is_hash(&rig);
  hash_server_destroy(&server);
  rig_close(&rig);
}

static void so_many_checkpoints_are_remembered_and_one_more_waits_for_a_place(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  hash_server_t *server = hash_server_new(VESTA_HASHES_BYTES_MAX);
  for (uint64_t id = 1; id <= VESTA_HASHED_CHECKPOINTS_MAX; id++) {
    assert_int_equal(hash_server_want(server, 1000 + id), VESTA_OK);
  }
  assert_int_equal(hash_server_want(server, CHECKPOINT), VESTA_ERR_NO_RESOURCES);
  assert_int_equal(hash_server_counter(server, HASH_COUNTER_HASHES_REFUSED), 1);
  hash_server_forget(server, 1001);
  assert_int_equal(hash_server_want(server, CHECKPOINT), VESTA_OK);
  assert_int_equal(turn_until_done(server, &rig), VESTA_HASHED_CHECKPOINTS_MAX); /* of those there are none */
  assert_int_equal(hash_server_counter(server, HASH_COUNTER_HASHES_MADE), 1);
  hash_server_destroy(&server);
  rig_close(&rig);
}

static const replica_t *any_replica(void *context, uint64_t checkpoint_id) {
  (void)checkpoint_id;
  return ((rig_t *)context)->service.replica;
}

static void memory_is_bounded_who_was_wanted_least_recently_goes_first_and_the_last_is_told(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  must_apply(&rig.service, ELEMENTS(create("a", "one")));
  hash_server_t *server = hash_server_new(UINT64_MAX);
  assert_int_equal(hash_server_want(server, 1), VESTA_OK);
  hash_server_turn(server, rig.publisher, any_replica, &rig);
  uint64_t one_bytes = hash_server_counter(server, HASH_COUNTER_HASHES_HELD_BYTES);
  hash_server_destroy(&server);

  server = hash_server_new(2 * one_bytes); /* at the limit: two */
  for (uint64_t id = 1; id <= 3; id++) {
    assert_int_equal(hash_server_want(server, id), VESTA_OK);
    while (hash_server_busy(server)) {
      hash_server_turn(server, rig.publisher, any_replica, &rig);
    }
  }
  assert_int_equal(hash_server_counter(server, HASH_COUNTER_HASHES_MADE), 3);
  assert_int_equal(hash_server_counter(server, HASH_COUNTER_HASHES_REFUSED), 0);
  assert_int_equal(hash_server_counter(server, HASH_COUNTER_HASHES_HELD_BYTES), 2 * one_bytes);
  hash_server_destroy(&server);

  server = hash_server_new(one_bytes - 1);
  assert_int_equal(hash_server_want(server, 1), VESTA_OK);
  hash_server_turn(server, rig.publisher, any_replica, &rig);
  assert_false(hash_server_busy(server));
  assert_int_equal(hash_server_counter(server, HASH_COUNTER_HASHES_REFUSED), 1);
  assert_int_equal(hash_server_want(server, 1), VESTA_ERR_NO_RESOURCES);
  assert_int_equal(hash_server_want(server, 1), VESTA_OK); /* it may be another time now */
  hash_server_destroy(&server);
  rig_close(&rig);
}

static void a_hash_that_nobody_listens_for_is_made_and_not_published(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  hash_server_t *server = hash_server_new(VESTA_HASHES_BYTES_MAX);
  assert_int_equal(hash_server_want(server, CHECKPOINT), VESTA_OK);
  (void)turn_until_done(server, &rig);
  assert_int_equal(rig.published.count, 0);
  hash_server_destroy(&server);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_hash_goes_out_behind_what_it_is_of_and_before_anything_later),
      cmocka_unit_test(all_who_want_it_at_one_time_get_the_same_hash),
      cmocka_unit_test(a_turn_hashes_a_piece_and_no_more),
      cmocka_unit_test(pieces_grow_until_the_hash_has_caught_up_with_the_writers),
      cmocka_unit_test(so_many_checkpoints_are_remembered_and_one_more_waits_for_a_place),
      cmocka_unit_test(memory_is_bounded_who_was_wanted_least_recently_goes_first_and_the_last_is_told),
      cmocka_unit_test(a_hash_that_nobody_listens_for_is_made_and_not_published),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
