/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Roles that are asked for, and roles that are taken from who is silent, in the world of node_world.h.
 */
#include "test/unit/node_world.h"

#define HEARTBEAT_NS (SECOND_NS / 2)

typedef struct joined {
  client_t client;
  uint64_t handle;
} joined_t;

static const wire_message_t *ask_join(joined_t *member, uint32_t flags, int64_t heartbeat_ns) {
  return client_ask(&member->client,
                    (wire_message_t){.kind = WIRE_JOIN,
                                     .handle = member->handle,
                                     .text = vesta_bytes("m", 1),
                                     .flags = flags | WIRE_JOIN_FENCE,
                                     .timeout_ns = SECOND_NS,
                                     .expiry_ns = heartbeat_ns},
                    NULL);
}

static joined_t join(world_t *world, uint32_t flags, int64_t heartbeat_ns) {
  joined_t member = {.client = client_new(world)};
  member.handle = client_open(&member.client, "x");
  assert_int_equal(ask_join(&member, flags, heartbeat_ns)->error, VESTA_OK);
  return member;
}

/* 0: standby, 1: granted, 2: active */
static uint64_t standing(joined_t *member) { return ask_join(member, 0, 0)->state; }

static const wire_message_t *promote(joined_t *member, int64_t until_ns) {
  return client_ask(&member->client,
                    (wire_message_t){.kind = WIRE_PROMOTE, .handle = member->handle, .time_ns = until_ns}, NULL);
}

static void confirm(joined_t *member) {
  wire_message_t grant = *ask_join(member, 0, 0);
  assert_int_equal(grant.state, 1);
  assert_int_equal(client_confirm(&member->client, member->handle, grant.epoch, grant.seq), VESTA_OK);
}

static vesta_err_t confirm_dirty(joined_t *member) {
  wire_message_t grant = *ask_join(member, 0, 0);
  return (vesta_err_t)client_ask(&member->client,
                                 (wire_message_t){.kind = WIRE_CONFIRM,
                                                  .handle = member->handle,
                                                  .epoch = grant.epoch,
                                                  .seq = grant.seq - 1,
                                                  .flags = WIRE_CONFIRM_DIRTY},
                                 NULL)
      ->error;
}

static void synced(joined_t *member) { client_synced(&member->client, member->handle); }

static const wire_message_t *promote_anew(joined_t *member, uint64_t epoch) {
  return client_ask(&member->client, (wire_message_t){.kind = WIRE_PROMOTE, .handle = member->handle, .epoch = epoch},
                    NULL);
}

static vesta_err_t write_as(joined_t *member) {
  vesta_err_t err = client_change(&member->client, member->handle, VESTA_KIND_CREATED, "s", "a");
  return err == VESTA_ERR_EXIST ? VESTA_OK : err;
}

static void alive(joined_t *member) {
  wire_message_t progress = {.kind = WIRE_PROGRESS, .handle = member->handle, .state = WIRE_PROGRESS_ALIVE};
  (void)client_ask(&member->client, progress, NULL);
}

/* ---- asked for ---- */

static void a_manual_member_is_promoted_only_when_it_asks(void **state) {
  joined_t a = join(*state, WIRE_JOIN_MANUAL, 0);
  synced(&a);
  world_time(*state, 10 * SECOND_NS);
  assert_int_equal(standing(&a), 0);
  assert_int_equal(write_as(&a), VESTA_ERR_FENCED); /* nobody is active */
  const wire_message_t *grant = promote(&a, 0);
  assert_int_equal(grant->error, VESTA_OK);
  assert_int_equal(grant->state, 1);
  assert_int_equal(grant->seq, ((world_t *)*state)->published_seq);
  assert_int_not_equal(grant->lineage, 0);
  confirm(&a);
  assert_int_equal(write_as(&a), VESTA_OK);
}

static void promoting_over_a_living_active_fences_it_first(void **state) {
  joined_t a = join(*state, 0, 0), b = join(*state, WIRE_JOIN_MANUAL, 0);
  confirm(&a);
  assert_int_equal(write_as(&a), VESTA_OK);
  synced(&b);
  assert_int_equal(promote(&b, 0)->state, 1);
  assert_int_equal(write_as(&a), VESTA_ERR_FENCED);
  assert_int_equal(write_as(&b), VESTA_ERR_FENCED); /* not before its barrier */
  confirm(&b);
  assert_int_equal(write_as(&b), VESTA_OK);
  assert_int_equal(standing(&a), 0);
}

static void a_promotion_is_granted_once_however_often_it_is_asked_for(void **state) {
  joined_t a = join(*state, WIRE_JOIN_MANUAL, 0);
  wire_message_t ask = {.kind = WIRE_PROMOTE, .handle = a.handle, .number = 77};
  uint64_t epoch = client_ask(&a.client, ask, NULL)->epoch;
  const wire_message_t *again = client_ask(&a.client, ask, NULL);
  assert_int_equal(again->epoch, epoch);
  assert_int_equal(again->state, 1);
  assert_int_equal(promote(&a, 0)->epoch, epoch);
  confirm(&a);
  again = promote(&a, 0);
  assert_int_equal(again->epoch, epoch);
  assert_int_equal(again->state, 2);
}

static void a_promotion_that_comes_after_its_time_changes_nothing(void **state) {
  world_t *world = *state;
  joined_t a = join(world, 0, 0), b = join(world, WIRE_JOIN_MANUAL, 0);
  confirm(&a);
  assert_int_equal(promote(&b, world->now_ns - 1)->error, VESTA_ERR_TRY_AGAIN);
  assert_int_equal(standing(&a), 2);
  assert_int_equal(write_as(&a), VESTA_OK);
  assert_int_equal(promote(&b, world->now_ns)->state, 1);
}

static void who_must_be_synced_is_not_promoted_before(void **state) {
  joined_t a = join(*state, WIRE_JOIN_MANUAL | WIRE_JOIN_REQUIRE_SYNCED, 0);
  assert_int_equal(promote(&a, 0)->error, VESTA_ERR_TRY_AGAIN);
  assert_int_equal(standing(&a), 0);
  synced(&a);
  assert_int_equal(promote(&a, 0)->state, 1);
}

static void who_is_no_member_cannot_be_promoted(void **state) {
  joined_t stranger = {.client = client_new(*state)};
  stranger.handle = client_open(&stranger.client, "x");
  assert_int_equal(promote(&stranger, 0)->error, VESTA_ERR_BAD_OPERATION);
}

static void a_member_that_does_without_the_rest_becomes_active_dirty(void **state) {
  world_t *world = *state;
  joined_t a = join(world, WIRE_JOIN_MANUAL, 0);
  wire_message_t grant = *promote(&a, 0);
  assert_int_equal(client_confirm(&a.client, a.handle, grant.epoch, grant.seq - 1), VESTA_ERR_TRY_AGAIN);
  assert_int_equal(node_counter(world->node, NODE_COUNTER_PROMOTIONS_DIRTY), 0);
  assert_int_equal(confirm_dirty(&a), VESTA_OK);
  assert_int_equal(node_counter(world->node, NODE_COUNTER_PROMOTIONS_DIRTY), 1);
  assert_int_equal(standing(&a), 2);
  assert_int_equal(write_as(&a), VESTA_OK);
}

static void who_must_be_synced_does_not_become_active_dirty(void **state) {
  joined_t a = join(*state, WIRE_JOIN_REQUIRE_SYNCED, 0);
  synced(&a);
  assert_int_equal(standing(&a), 1);
  assert_int_equal(confirm_dirty(&a), VESTA_ERR_TRY_AGAIN);
  confirm(&a);
}

static void a_manual_member_that_resigns_leaves_the_role_to_nobody(void **state) {
  joined_t a = join(*state, WIRE_JOIN_MANUAL, 0), b = join(*state, WIRE_JOIN_MANUAL, 0);
  synced(&b);
  (void)promote(&a, 0);
  confirm(&a);
  assert_int_equal(write_as(&a), VESTA_OK);
  assert_int_equal(client_simple(&a.client, WIRE_RESIGN, a.handle), VESTA_OK);
  assert_int_equal(write_as(&a), VESTA_ERR_FENCED);
  assert_int_equal(standing(&a), 0);
  assert_int_equal(standing(&b), 0);
  assert_int_equal(promote(&b, 0)->state, 1);
  confirm(&b);
  assert_int_equal(promote(&a, 0)->state, 1); /* and back */
}

static void a_manual_candidate_that_is_late_makes_room_for_an_automatic_one(void **state) {
  joined_t a = join(*state, 0, 0), b = join(*state, WIRE_JOIN_MANUAL, 0), c = join(*state, 0, 0);
  confirm(&a);
  synced(&b);
  synced(&c);
  assert_int_equal(promote(&b, 0)->state, 1);
  world_time(*state, SECOND_NS);
  assert_int_equal(standing(&b), 0);
  assert_int_equal(standing(&c), 1);
}

static void who_was_active_counts_as_synced_only_when_it_says_so(void **state) {
  world_t *world = *state;
  joined_t a = join(world, 0, 0), b = join(world, 0, 0), c = join(world, 0, 0);
  confirm(&a);
  synced(&a);
  synced(&b);
  synced(&c);
  assert_int_equal(client_simple(&a.client, WIRE_RESIGN, a.handle), VESTA_OK);
  confirm(&b);
  world_event(world, (node_event_t){.kind = NODE_EVENT_PROCESS_GONE, .session = b.client.token});
  assert_int_equal(standing(&a), 0);
  assert_int_equal(standing(&c), 1);
}

/* ---- silent ---- */

static void an_active_that_is_silent_for_its_heartbeat_is_succeeded_and_not_before(void **state) {
  world_t *world = *state;
  joined_t a = join(world, 0, HEARTBEAT_NS), b = join(world, 0, 0);
  confirm(&a);
  synced(&b);
  alive(&a);
  world_time(world, HEARTBEAT_NS - 1);
  assert_int_equal(standing(&b), 0);
  world_time(world, 1);
  assert_int_equal(standing(&b), 1);
  assert_int_equal(write_as(&a), VESTA_ERR_FENCED); /* it wakes up */
  assert_int_equal(standing(&a), 0);
  assert_int_equal(node_counter(world->node, NODE_COUNTER_SILENT), 1);
}

static void silence_means_nothing_of_a_member_without_heartbeat(void **state) {
  joined_t a = join(*state, 0, 0), b = join(*state, 0, HEARTBEAT_NS);
  confirm(&a);
  synced(&b);
  world_time(*state, 1000 * SECOND_NS);
  assert_int_equal(standing(&b), 0);
  assert_int_equal(write_as(&a), VESTA_OK);
}

static void every_request_is_a_sign_of_life(void **state) {
  joined_t a = join(*state, 0, HEARTBEAT_NS), b = join(*state, 0, 0);
  confirm(&a);
  synced(&b);
  for (int i = 0; i < 4; i++) {
    world_time(*state, HEARTBEAT_NS - 1);
    assert_int_equal(write_as(&a), VESTA_OK);
    world_time(*state, HEARTBEAT_NS - 1);
    alive(&a);
    world_time(*state, HEARTBEAT_NS - 1);
    assert_int_equal(standing(&a), 2);
    assert_int_equal(standing(&b), 0); /* what another says is none of it */
  }
  world_time(*state, HEARTBEAT_NS);
  assert_int_equal(standing(&b), 1);
}

static void a_silent_active_stays_until_there_is_a_successor(void **state) {
  joined_t a = join(*state, 0, HEARTBEAT_NS), b = join(*state, WIRE_JOIN_REQUIRE_SYNCED, 0);
  confirm(&a);
  world_time(*state, HEARTBEAT_NS);
  world_time(*state, 1000 * SECOND_NS);
  assert_int_equal(standing(&b), 0);
  synced(&b);
  assert_int_equal(standing(&b), 1);
}

static void an_active_that_wakes_up_before_there_is_a_successor_stays(void **state) {
  joined_t a = join(*state, 0, HEARTBEAT_NS), b = join(*state, WIRE_JOIN_REQUIRE_SYNCED, 0);
  confirm(&a);
  world_time(*state, HEARTBEAT_NS);
  world_time(*state, 1000 * SECOND_NS);
  assert_int_equal(write_as(&a), VESTA_OK);
  synced(&b);
  assert_int_equal(standing(&b), 0);
  world_time(*state, HEARTBEAT_NS); /* and is watched again */
  assert_int_equal(standing(&b), 1);
}

static void a_node_that_stood_still_itself_gives_the_active_another_heartbeat(void **state) {
  joined_t a = join(*state, 0, HEARTBEAT_NS), b = join(*state, 0, 0);
  confirm(&a);
  synced(&b);
  world_time(*state, HEARTBEAT_NS + HEARTBEAT_NS / 2 + 1);
  assert_int_equal(standing(&b), 0);
  world_time(*state, HEARTBEAT_NS - 1);
  assert_int_equal(standing(&b), 0);
  world_time(*state, 1);
  assert_int_equal(standing(&b), 1);
}

static bool emit(void *context, const wire_message_t *row) {
  world_t *world = context;
  uint8_t *bytes = malloc(wire_encoded_size_max(row));
  size_t size = 0;
  assert_int_equal(wire_encode(row, bytes, wire_encoded_size_max(row), &size), VESTA_OK);
  world->journal[world->journal_count] = bytes;
  world->journal_sizes[world->journal_count++] = size;
  return true;
}

static void a_heartbeat_is_known_after_a_restart_and_counts_from_there(void **state) {
  world_t *world = *state;
  joined_t a = join(world, 0, HEARTBEAT_NS), b = join(world, 0, 0);
  confirm(&a);
  for (int rewritten = 0; rewritten < 2; rewritten++) {
    world->now_ns += 10 * SECOND_NS;
    world_restart(world);
    client_resume(&a.client);
    client_resume(&b.client);
    synced(&b);
    world_time(world, HEARTBEAT_NS - 1);
    assert_int_equal(standing(&b), 0);
    while (world->journal_count > 0) {
      free(world->journal[--world->journal_count]);
    }
    assert_true(node_snapshot(world->node, emit, world));
  }
  world_time(world, 1);
  assert_int_equal(standing(&b), 1);
}

static void the_shortest_heartbeat_is_accepted_and_a_shorter_one_is_not(void **state) {
  int64_t shortest_ns = VESTA_HEARTBEAT_MS_MIN * INT64_C(1000000);
  joined_t a = join(*state, 0, shortest_ns);
  assert_int_equal(standing(&a), 1);
  joined_t b = {.client = client_new(*state)};
  b.handle = client_open(&b.client, "x");
  assert_int_equal(ask_join(&b, 0, shortest_ns - 1)->error, VESTA_ERR_INVALID_PARAM);
  assert_int_equal(ask_join(&b, 0, -1)->error, VESTA_ERR_INVALID_PARAM);
  assert_int_equal(ask_join(&b, 0, INT64_MAX)->error, VESTA_OK);
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

/* It has stopped being active by itself, since its node was cut off. What it wrote until then is before its new barrier. */
static void an_active_that_gave_up_by_itself_is_granted_the_role_anew(void **state) {
  world_t *world = *state;
  joined_t one = join(world, 0, 0);
  confirm(&one);
  assert_int_equal(write_as(&one), VESTA_OK);
  wire_message_t before = *ask_join(&one, 0, 0);
  assert_int_equal(before.state, 2);
  wire_message_t anew = *promote_anew(&one, before.epoch);
  assert_int_equal(anew.error, VESTA_OK);
  assert_int_equal(anew.state, 1);
  assert_true(anew.epoch > before.epoch && anew.seq > before.seq + 1);
  assert_int_equal(write_as(&one), VESTA_ERR_FENCED);
  confirm(&one);
  assert_int_equal(write_as(&one), VESTA_OK);
}

static void a_grant_that_has_gone_to_another_is_not_taken_back_by_who_gave_it_up(void **state) {
  world_t *world = *state;
  joined_t one = join(world, 0, 0);
  joined_t two = join(world, 0, 0);
  confirm(&one);
  uint64_t old = ask_join(&one, 0, 0)->epoch;
  assert_int_equal(promote(&two, 0)->error, VESTA_OK);
  confirm(&two);
  wire_message_t told = *promote_anew(&one, old);
  assert_int_equal(told.error, VESTA_OK);
  assert_int_equal(told.state, 0);
  assert_int_equal(standing(&two), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      RULE(a_manual_member_is_promoted_only_when_it_asks),
      RULE(promoting_over_a_living_active_fences_it_first),
      RULE(a_promotion_is_granted_once_however_often_it_is_asked_for),
      RULE(a_promotion_that_comes_after_its_time_changes_nothing),
      RULE(who_must_be_synced_is_not_promoted_before),
      RULE(who_is_no_member_cannot_be_promoted),
      RULE(a_member_that_does_without_the_rest_becomes_active_dirty),
      RULE(who_must_be_synced_does_not_become_active_dirty),
      RULE(a_manual_member_that_resigns_leaves_the_role_to_nobody),
      RULE(a_manual_candidate_that_is_late_makes_room_for_an_automatic_one),
      RULE(who_was_active_counts_as_synced_only_when_it_says_so),
      RULE(an_active_that_is_silent_for_its_heartbeat_is_succeeded_and_not_before),
      RULE(silence_means_nothing_of_a_member_without_heartbeat),
      RULE(every_request_is_a_sign_of_life),
      RULE(a_silent_active_stays_until_there_is_a_successor),
      RULE(an_active_that_wakes_up_before_there_is_a_successor_stays),
      RULE(a_node_that_stood_still_itself_gives_the_active_another_heartbeat),
      RULE(a_heartbeat_is_known_after_a_restart_and_counts_from_there),
      RULE(the_shortest_heartbeat_is_accepted_and_a_shorter_one_is_not),
      RULE(an_active_that_gave_up_by_itself_is_granted_the_role_anew),
      RULE(a_grant_that_has_gone_to_another_is_not_taken_back_by_who_gave_it_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
