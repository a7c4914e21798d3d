/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a node tells people of who uses a checkpoint: core/node_users.c and core/directory_users.c.
 */
#include "test/unit/node_world.h"

/* The row after `cursor`; its texts live as long as what they are of. */
static wire_message_t row_after(client_t *client, uint64_t checkpoint, uint64_t list, uint64_t cursor) {
  wire_message_t ask = {.kind = WIRE_USERS, .checkpoint = checkpoint, .state = list, .cursor = cursor};
  const wire_message_t *reply = client_ask(client, ask, NULL);
  assert_non_null(reply);
  assert_int_equal(reply->error, VESTA_OK);
  return *reply;
}

static uint32_t rows_count(client_t *client, uint64_t list) {
  uint32_t count = 0;
  wire_message_t row = {0};
  while (((row = row_after(client, 1, list, row.cursor)).state & WIRE_USER_NONE) == 0) {
    count++;
  }
  return count;
}

static uint64_t stream_open(client_t *client, uint64_t handle, uint64_t number) {
  const wire_message_t *reply =
      client_ask(client, (wire_message_t){.kind = WIRE_STREAM, .handle = handle, .member = number}, NULL);
  assert_int_equal(reply->error, VESTA_OK);
  return reply->member;
}

static void stream_says(client_t *client, uint64_t handle, uint64_t number, vesta_pos_t position, uint64_t state) {
  wire_message_t progress = {.kind = WIRE_PROGRESS, .handle = handle, .member = number, .state = state};
  wire_pos_set(&progress, position);
  assert_null(client_ask(client, progress, NULL));
}

static vesta_pos_t committed(client_t *client) {
  wire_message_t row = row_after(client, 1, WIRE_USERS_REPLICAS, 0);
  return wire_pos(&row);
}

static void writes(client_t *client, uint64_t handle, int count) {
  for (int i = 0; i < count; i++) {
    assert_int_equal(client_change(client, handle, VESTA_KIND_OVERWRITTEN, "s", "12345"), VESTA_OK);
  }
}

/* ---- openers ---- */

static void who_has_it_open_is_told_in_the_order_of_handles(void **state) {
  client_t a = client_new(*state);
  client_t b = client_new(*state);
  uint64_t ha = client_open(&a, "x");
  uint64_t hb = client_open(&b, "x");
  (void)client_open(&a, "other");
  wire_message_t first = row_after(&b, 1, WIRE_USERS_HANDLES, 0);
  assert_int_equal(first.handle, ha);
  assert_int_equal(first.cursor, ha);
  assert_int_equal(first.pid, 100);
  assert_int_equal(first.uid, 1);
  assert_int_equal(first.start, 5);
  assert_int_equal(first.node, 1);
  assert_int_equal(first.flags, VESTA_OPEN_READ | VESTA_OPEN_WRITE);
  assert_int_equal(first.state, WIRE_USER_CONNECTED);
  assert_int_equal(first.text.size, 3);
  assert_memory_equal(first.text.data, "app", 3);
  assert_int_equal(row_after(&b, 1, WIRE_USERS_HANDLES, ha).handle, hb);
  assert_int_equal(row_after(&b, 1, WIRE_USERS_HANDLES, hb).state, WIRE_USER_NONE);
  assert_int_equal(client_simple(&a, WIRE_CLOSE, ha), VESTA_OK);
  assert_int_equal(row_after(&b, 1, WIRE_USERS_HANDLES, ha).handle, hb); /* the cursor's row went meanwhile */
  assert_int_equal(rows_count(&b, WIRE_USERS_HANDLES), 1);
}

static void who_is_away_is_told_as_not_connected(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  client_t b = client_new(world);
  uint64_t ha = client_open(&a, "x");
  world_event(world, (node_event_t){.kind = NODE_EVENT_LINK_GONE, .link = a.link});
  assert_int_equal(row_after(&b, 1, WIRE_USERS_HANDLES, 0).state, 0);
  client_resume(&a);
  assert_int_equal(row_after(&b, 1, WIRE_USERS_HANDLES, 0).state, WIRE_USER_CONNECTED);
  assert_int_equal(row_after(&b, 1, WIRE_USERS_HANDLES, 0).handle, ha);
}

static bool emit_restored(void *context, const wire_message_t *row) { return node_restore(context, row) == VESTA_OK; }

static void after_a_restart_openers_are_told_as_before(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  client_t b = client_new(world);
  uint64_t handles[3] = {client_open(&a, "x"), client_open(&b, "x"), client_open(&a, "x")};
  for (int round = 0; round < 2; round++) {
    if (round == 0) {
      world_restart(world);
    } else { /* from a journal that was written shorter */
      node_t *old = world->node;
      world_new_node(world);
      assert_true(node_snapshot(old, emit_restored, world->node));
      node_destroy(&old);
      node_actions_t actions;
      assert_int_equal(node_start(world->node, world->now_ns, world->now_ns, &actions), VESTA_OK);
    }
    client_resume(&b);
    uint64_t cursor = 0;
    for (int i = 0; i < 3; i++) {
      wire_message_t row = row_after(&b, 1, WIRE_USERS_HANDLES, cursor);
      assert_int_equal(row.handle, handles[i]);
      assert_int_equal(row.text.size, 3);
      cursor = row.cursor;
    }
    assert_int_equal(row_after(&b, 1, WIRE_USERS_HANDLES, cursor).state, WIRE_USER_NONE);
  }
}

static void a_programs_name_may_be_as_long_as_the_limit_and_no_longer(void **state) {
  world_t *world = *state;
  char name[VESTA_PROGRAM_BYTES_MAX + 1];
  memset(name, 'p', sizeof name);
  wire_message_t row = {.kind = WIRE_OP_SNAPSHOT, .state = 2, .token_hi = 1, .token_lo = 2};
  row.text = vesta_bytes(name, sizeof name);
  assert_int_equal(node_restore(world->node, &row), VESTA_ERR_MALFORMED);
  row.text.size = VESTA_PROGRAM_BYTES_MAX;
  assert_int_equal(node_restore(world->node, &row), VESTA_OK);
}

/* ---- members ---- */

static void members_are_told_with_role_and_how_far_they_are(void **state) {
  world_t *world = *state;
  client_t a, b;
  uint64_t ha, hb;
  pair_new(world, &a, &ha, &b, &hb);
  assert_int_equal(client_change(&a, ha, VESTA_KIND_CREATED, "s", "1"), VESTA_OK);
  vesta_pos_t there = committed(&a);
  writes(&a, ha, 3);
  wire_message_t active = row_after(&a, 1, WIRE_USERS_MEMBERS, 0);
  assert_int_equal(active.handle, ha);
  assert_true((active.state & WIRE_USER_ACTIVE) != 0);
  wire_message_t standby = row_after(&a, 1, WIRE_USERS_MEMBERS, active.cursor);
  assert_int_equal(standby.handle, hb);
  assert_memory_equal(standby.text.data, "m", 1);
  assert_int_equal(standby.flags, WIRE_JOIN_FENCE);
  assert_int_equal(standby.state, WIRE_USER_SYNCED); /* of no position yet */
  stream_says(&b, hb, 0, there, WIRE_PROGRESS_SYNCED);
  world->now_ns += SECOND_NS;
  standby = row_after(&a, 1, WIRE_USERS_MEMBERS, active.cursor);
  assert_int_equal(standby.state, WIRE_USER_SYNCED | WIRE_USER_TOLD);
  assert_int_equal(standby.size, 3);
  assert_int_equal(standby.time_ns, SECOND_NS);
  assert_int_equal(row_after(&a, 1, WIRE_USERS_MEMBERS, standby.cursor).state, WIRE_USER_NONE);
}

/* ---- streams ---- */

static void a_stream_is_told_from_its_opening_to_its_end(void **state) {
  client_t a = client_new(*state);
  uint64_t ha = client_open(&a, "x");
  uint64_t number = stream_open(&a, ha, 0);
  assert_int_not_equal(number, 0);
  wire_message_t row = row_after(&a, 1, WIRE_USERS_STREAMS, 0);
  assert_int_equal(row.member, number);
  assert_int_equal(row.handle, ha);
  assert_int_equal(row.state, 0);
  assert_int_equal(stream_open(&a, ha, number), number); /* the same, with a new subscription */
  uint64_t second = stream_open(&a, ha, 0);
  assert_true(second > number);
  assert_int_equal(rows_count(&a, WIRE_USERS_STREAMS), 2);
  stream_says(&a, ha, number, (vesta_pos_t){0}, WIRE_PROGRESS_STREAM_END);
  assert_int_equal(row_after(&a, 1, WIRE_USERS_STREAMS, 0).member, second);
  assert_int_equal(node_counter(a.world->node, NODE_COUNTER_STREAMS), 1);
  (void)client_open(&a, "x");
  assert_int_equal(client_simple(&a, WIRE_CLOSE, ha), VESTA_OK); /* takes its streams along */
  assert_int_equal(rows_count(&a, WIRE_USERS_STREAMS), 0);
  assert_int_equal(node_counter(a.world->node, NODE_COUNTER_STREAMS), 0);
}

static void a_stream_asked_for_twice_with_one_number_is_one(void **state) {
  client_t a = client_new(*state);
  uint64_t ha = client_open(&a, "x");
  wire_message_t ask = {.kind = WIRE_STREAM, .handle = ha, .number = 77};
  uint64_t number = client_ask(&a, ask, NULL)->member;
  assert_int_equal(client_ask(&a, ask, NULL)->member, number); /* the answer was lost, so it was sent again */
  assert_int_equal(rows_count(&a, WIRE_USERS_STREAMS), 1);
}

static void a_stream_is_behind_by_what_was_committed_when_it_spoke(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  uint64_t ha = client_open(&a, "x");
  assert_int_equal(client_change(&a, ha, VESTA_KIND_CREATED, "s", "1"), VESTA_OK);
  uint64_t number = stream_open(&a, ha, 0);
  vesta_pos_t there = committed(&a);
  writes(&a, ha, 2);
  stream_says(&a, ha, number, there, WIRE_PROGRESS_STREAM);
  writes(&a, ha, 5);
  wire_message_t row = row_after(&a, 1, WIRE_USERS_STREAMS, 0);
  assert_int_equal(row.state, WIRE_USER_TOLD);
  assert_int_equal(row.seq, there.seq);
  assert_int_equal(row.size, 2); /* the five may have reached it by now */
  world->now_ns += SECOND_NS * VESTA_SILENCE_PERIODS * VESTA_BEACON_PERIOD_MS / 1000;
  assert_int_equal(row_after(&a, 1, WIRE_USERS_STREAMS, 0).size, 2);
  world->now_ns++;
  assert_int_equal(row_after(&a, 1, WIRE_USERS_STREAMS, 0).size, 7); /* it would have said so */
}

static void a_position_of_another_history_tells_nothing(void **state) {
  client_t a = client_new(*state);
  uint64_t ha = client_open(&a, "x");
  uint64_t number = stream_open(&a, ha, 0);
  vesta_pos_t wrong = committed(&a);
  wrong.seq += 5;
  stream_says(&a, ha, number, committed(&a), WIRE_PROGRESS_STREAM);
  assert_int_equal(row_after(&a, 1, WIRE_USERS_STREAMS, 0).state, WIRE_USER_TOLD);
  stream_says(&a, ha, number, wrong, WIRE_PROGRESS_STREAM);
  assert_int_equal(row_after(&a, 1, WIRE_USERS_STREAMS, 0).state, 0);
  stream_says(&a, ha, number + 1, committed(&a), WIRE_PROGRESS_STREAM); /* of none that there is: nothing happens */
  assert_int_equal(row_after(&a, 1, WIRE_USERS_STREAMS, 0).state, 0);
}

/* Two streams of one handle come back after a restart, the second one first: neither is taken for the other. */
static void after_a_restart_streams_get_numbers_that_were_nobodys(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  uint64_t ha = client_open(&a, "x");
  uint64_t first = stream_open(&a, ha, 0);
  uint64_t second = stream_open(&a, ha, 0);
  world->now_ns += SECOND_NS;
  world_restart(world);
  client_resume(&a);
  assert_int_equal(rows_count(&a, WIRE_USERS_STREAMS), 0);
  assert_true(stream_open(&a, ha, second) > second);
  assert_true(stream_open(&a, ha, first) > second);
  assert_int_equal(rows_count(&a, WIRE_USERS_STREAMS), 2);
}

static void streams_are_listed_up_to_the_limit_and_work_beyond(void **state) {
  client_t a = client_new(*state);
  uint64_t ha = client_open(&a, "x");
  uint64_t last = 0;
  for (uint32_t i = 0; i < VESTA_STREAMS_MAX; i++) {
    last = stream_open(&a, ha, 0);
    assert_int_not_equal(last, 0);
  }
  assert_int_equal(node_counter(a.world->node, NODE_COUNTER_STREAMS_UNLISTED), 0);
  assert_int_equal(stream_open(&a, ha, 0), 0);
  assert_int_equal(node_counter(a.world->node, NODE_COUNTER_STREAMS_UNLISTED), 1);
  stream_says(&a, ha, last, (vesta_pos_t){0}, WIRE_PROGRESS_STREAM_END);
  assert_int_not_equal(stream_open(&a, ha, 0), 0);
}

/* ---- replicas, load ---- */

static void a_replica_is_told_with_what_status_tells(void **state) {
  client_t a = client_new(*state);
  uint64_t ha = client_open(&a, "x");
  assert_int_equal(client_change(&a, ha, VESTA_KIND_CREATED, "s", "12345"), VESTA_OK);
  wire_message_t row = row_after(&a, 1, WIRE_USERS_REPLICAS, 0);
  assert_int_equal(row.node, 1);
  assert_int_equal(row.state & WIRE_USER_NONE, 0);
  assert_int_equal(row.count, 1);
  assert_int_equal(row.size, 5);
  assert_int_equal(row.sections_max, 8);
  assert_int_equal(rows_count(&a, WIRE_USERS_REPLICAS), 1);
}

static void load_counts_what_was_written_and_who_follows(void **state) {
  client_t a = client_new(*state);
  uint64_t ha = client_open(&a, "x");
  assert_int_equal(client_change(&a, ha, VESTA_KIND_CREATED, "s", "12345"), VESTA_OK);
  uint64_t number = stream_open(&a, ha, 0);
  vesta_pos_t there = committed(&a);
  writes(&a, ha, 4);
  stream_says(&a, ha, number, there, WIRE_PROGRESS_STREAM);
  const wire_message_t *reply = client_ask(&a, (wire_message_t){.kind = WIRE_LOAD}, NULL);
  assert_int_equal(reply->element_count, 1);
  assert_int_equal(reply->state, 1);
  assert_int_equal(reply->elements[0].member, 1);
  assert_int_equal(reply->elements[0].offset, 25);
  assert_int_equal(reply->elements[0].count, 1);
  assert_int_equal(reply->elements[0].index, 0);
  assert_int_equal(reply->elements[0].slot, 4);
  assert_int_equal(node_counter(a.world->node, NODE_COUNTER_COMMITTED_BYTES), 25);
}

static void what_is_not_there_is_not_told(void **state) {
  client_t a = client_new(*state);
  wire_message_t ask = {.kind = WIRE_USERS, .checkpoint = 1};
  assert_int_equal(client_ask(&a, ask, NULL)->error, VESTA_ERR_NOT_EXIST);
  (void)client_open(&a, "x");
  assert_int_equal(client_ask(&a, ask, NULL)->error, VESTA_OK);
  ask.state = WIRE_USERS_REPLICAS + 1;
  assert_int_equal(client_ask(&a, ask, NULL)->error, VESTA_ERR_INVALID_PARAM);
}

#define users_case(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      users_case(who_has_it_open_is_told_in_the_order_of_handles),
      users_case(who_is_away_is_told_as_not_connected),
      users_case(after_a_restart_openers_are_told_as_before),
      users_case(a_programs_name_may_be_as_long_as_the_limit_and_no_longer),
      users_case(members_are_told_with_role_and_how_far_they_are),
      users_case(a_stream_is_told_from_its_opening_to_its_end),
      users_case(a_stream_asked_for_twice_with_one_number_is_one),
      users_case(a_stream_is_behind_by_what_was_committed_when_it_spoke),
      users_case(a_position_of_another_history_tells_nothing),
      users_case(after_a_restart_streams_get_numbers_that_were_nobodys),
      users_case(streams_are_listed_up_to_the_limit_and_work_beyond),
      users_case(a_replica_is_told_with_what_status_tells),
      users_case(load_counts_what_was_written_and_who_follows),
      users_case(what_is_not_there_is_not_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
