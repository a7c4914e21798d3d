/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Node directors in a cluster, through a network that does nothing wrong by itself: the main lines.
 */
#include "test/unit/cluster_world.h"

static void a_section_written_on_one_node_is_read_on_every_other(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  for (uint32_t i = 0; i < 3; i++) {
    cluster_hello(&world, i);
  }
  uint64_t handles[3];
  for (uint32_t i = 0; i < 3; i++) {
    handles[i] = cluster_open(&world, i, "a", VESTA_CREATE_ALL_REPLICAS);
  }
  assert_int_equal(cluster_change(&world, 0, handles[0], VESTA_KIND_CREATED, "s", "hello"), VESTA_OK);
  assert_int_equal(cluster_change(&world, 2, handles[2], VESTA_KIND_OVERWRITTEN, "s", "hello again"), VESTA_OK);
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(cluster_read(&world, i, handles[i], "s"), 11);
    assert_memory_equal(world.members[i].answer.payload, "hello again", 11);
  }
  cluster_end(&world);
}

static void what_was_acknowledged_survives_the_loss_of_the_primary(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t first = cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  uint64_t second = cluster_enter(&world, 1, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass(&world, 2 * CLUSTER_SECOND); /* the second replica is there */
  assert_int_equal(cluster_change(&world, 0, first, VESTA_KIND_CREATED, "s", "kept"), VESTA_OK);
  cluster_stop(&world, 0, true);
  cluster_view(&world, 0);
  assert_int_equal(cluster_read(&world, 1, second, "s"), 4);
  assert_int_equal(cluster_change(&world, 1, second, VESTA_KIND_OVERWRITTEN, "s", "after"), VESTA_OK);
  cluster_start(&world, 0);
  cluster_view(&world, 0);
  cluster_pass(&world, 3 * CLUSTER_SECOND);
  cluster_stop(&world, 1, true); /* whoever had it then: the one that came back or the third has it now */
  cluster_view(&world, 0);
  uint64_t third = cluster_enter(&world, 2, VESTA_CREATE_ALL_REPLICAS);
  assert_int_equal(cluster_read(&world, 2, third, "s"), 5);
  cluster_end(&world);
}

static void who_takes_over_serves_first_and_gives_another_node_a_replica_after_that(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  (void)cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  uint64_t second = cluster_enter(&world, 1, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2));
  cluster_stop(&world, 0, true);
  cluster_view(&world, 0);
  cluster_pass_until(&world, cluster_checkpoint(&world, 1)->primary == 2);
  int64_t begin_ns = world.now_ns;
  assert_int_equal(cluster_change(&world, 1, second, VESTA_KIND_CREATED, "s", "served"), VESTA_OK);
  cluster_pass_until(&world, cluster_in_sync(&world, 1, 3));
  assert_in_range(world.now_ns - begin_ns, 90 * CLUSTER_MS, 300 * CLUSTER_MS);
  cluster_end(&world);
}

static void a_side_without_quorum_writes_nothing_and_catches_up_when_the_cut_heals(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t first = cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  uint64_t second = cluster_enter(&world, 1, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass(&world, 2 * CLUSTER_SECOND);
  assert_int_equal(cluster_change(&world, 0, first, VESTA_KIND_CREATED, "s", "both"), VESTA_OK);
  world.members[0].side = 1;
  cluster_view(&world, 1);
  cluster_view(&world, 0);
  assert_int_not_equal(cluster_change(&world, 0, first, VESTA_KIND_OVERWRITTEN, "s", "alone"), VESTA_OK);
  assert_int_equal(cluster_change(&world, 1, second, VESTA_KIND_OVERWRITTEN, "s", "majority"), VESTA_OK);
  world.members[0].side = 0;
  cluster_view(&world, 0);
  cluster_pass(&world, 5 * CLUSTER_SECOND);
  assert_int_equal(cluster_read(&world, 0, first, "s"), 8);
  cluster_end(&world);
}

static void a_replica_that_cannot_take_a_write_makes_it_fail_everywhere(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 2);
  uint64_t first = cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass(&world, 2 * CLUSTER_SECOND);
  assert_int_equal(cluster_change(&world, 0, first, VESTA_KIND_CREATED, "s", "one"), VESTA_OK);
  world.members[1].full = true;
  static char large[1025];
  memset(large, 'x', 1024);
  vesta_err_t err = VESTA_OK;
  for (char id[] = "a"; id[0] < 'n' && err == VESTA_OK; id[0]++) {
    err = cluster_change(&world, 0, first, VESTA_KIND_CREATED, id, large);
    if (err != VESTA_OK) {
      assert_int_equal(cluster_read(&world, 0, first, id), -VESTA_ERR_NOT_EXIST);
    }
  }
  assert_int_equal(err, VESTA_ERR_NO_SPACE);
  cluster_end(&world);
}

/* There is nothing here to be given a descriptor of; it is read through another node. */
static void a_node_without_a_replica_has_none_to_map(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handles[3];
  cluster_open_all(&world, 3, VESTA_CREATE_ALL_REPLICAS, handles);
  cluster_pass(&world, 2 * CLUSTER_SECOND);
  uint32_t mapped = 0;
  for (uint32_t i = 0; i < 3; i++) {
    wire_message_t map = {.kind = WIRE_MAP, .handle = handles[i]};
    uint64_t error = cluster_call(&world, i, &map, NULL, 0)->error;
    bool has = node_replica(world.members[i].node, 1) != NULL;
    assert_int_equal(error, has ? VESTA_OK : VESTA_ERR_TRY_AGAIN);
    mapped += has ? 1 : 0;
  }
  assert_int_equal(mapped, 2);
  cluster_end(&world);
}

/* ---- people ---- */

static uint64_t replica_row(cluster_world_t *world, uint32_t index, uint32_t node, wire_message_t *row) {
  wire_message_t users = {.kind = WIRE_USERS, .checkpoint = 1, .state = WIRE_USERS_REPLICAS, .cursor = node - 1};
  *row = *cluster_call(world, index, &users, NULL, 0);
  assert_int_equal(row->error, VESTA_OK);
  return (row->state & WIRE_USER_NONE) != 0 || row->node != node ? 0 : row->state;
}

static uint64_t standing(cluster_world_t *world, uint32_t index) {
  wire_message_t told = {.kind = WIRE_CLUSTER, .state = WIRE_CLUSTER_CHECKPOINTS};
  const wire_message_t *reply = cluster_call(world, index, &told, NULL, 0);
  assert_int_equal(reply->error, VESTA_OK);
  assert_int_equal(reply->element_count, 1);
  return reply->elements[0].kind;
}

static vesta_err_t recover(cluster_world_t *world, uint32_t index, const char *name, uint32_t from, uint64_t flags) {
  wire_message_t message = {
      .kind = WIRE_RECOVER, .name = vesta_bytes(name, strlen(name)), .node = from, .flags = flags};
  return (vesta_err_t)cluster_call(world, index, &message, NULL, 0)->error;
}

/* A checkpoint whose only replica in sync was on node 1, which is gone; nodes 2 and 3 have what they had when they were
 * taken out, or nothing. @return the handle that node 2 has it open through */
static uint64_t waiting_world(cluster_world_t *world) {
  cluster_new(world, 3);
  uint64_t first = cluster_enter(world, 0, VESTA_CREATE_ALL_REPLICAS);
  uint64_t second = cluster_enter(world, 1, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass(world, 2 * CLUSTER_SECOND);
  assert_int_equal(cluster_change(world, 0, first, VESTA_KIND_CREATED, "s", "old"), VESTA_OK);
  world->members[1].deaf = true;
  world->members[2].deaf = true;
  assert_int_equal(cluster_change(world, 0, first, VESTA_KIND_OVERWRITTEN, "s", "newer"), VESTA_OK);
  cluster_pass(world, 7 * CLUSTER_SECOND);
  cluster_stop(world, 0, true);
  cluster_view(world, 0);
  world->members[1].deaf = false;
  world->members[2].deaf = false;
  cluster_pass(world, 3 * CLUSTER_SECOND);
  return second;
}

static void a_checkpoint_waits_for_the_node_that_has_everything_and_says_so(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t second = waiting_world(&world);
  wire_message_t row;
  assert_int_equal(standing(&world, 1), WIRE_STANDING_WAITING);
  uint64_t first = replica_row(&world, 1, 1, &row);
  assert_true((first & WIRE_USER_IN_SYNC) != 0 && (first & WIRE_USER_AWAY) != 0);
  assert_int_equal(replica_row(&world, 1, 2, &row) & (WIRE_USER_IN_SYNC | WIRE_USER_LISTED), 0);
  assert_int_equal(cluster_read(&world, 1, second, "s"), -VESTA_ERR_TRY_AGAIN);
  cluster_start(&world, 0);
  cluster_view(&world, 0);
  cluster_pass(&world, 5 * CLUSTER_SECOND);
  assert_int_equal(cluster_read(&world, 1, second, "s"), 5); /* nothing was lost */
  assert_int_equal(standing(&world, 1), WIRE_STANDING_WHOLE);
  assert_int_equal(world.diverged, 0);
  cluster_end(&world);
}

static void an_operator_may_go_on_with_an_older_replica_and_the_newer_one_is_kept_as_diverged(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t second = waiting_world(&world);
  assert_int_equal(recover(&world, 1, "a", 2, WIRE_RECOVER_ACCEPT_LOSS), VESTA_OK);
  assert_int_equal(cluster_read(&world, 1, second, "s"), 3);
  assert_int_equal(cluster_change(&world, 1, second, VESTA_KIND_OVERWRITTEN, "s", "went on"), VESTA_OK);
  cluster_start(&world, 0);
  cluster_view(&world, 0);
  cluster_pass(&world, 10 * CLUSTER_SECOND);
  assert_int_equal(world.diverged, 1);
  assert_non_null(cluster_region(&world.members[0], 1 | NODE_REGION_DIVERGED));
  assert_int_equal(standing(&world, 1), WIRE_STANDING_WHOLE);
  wire_message_t told = {.kind = WIRE_CLUSTER, .state = WIRE_CLUSTER_CHECKPOINTS};
  assert_int_equal(cluster_call(&world, 0, &told, NULL, 0)->elements[0].offset, WIRE_USER_DIVERGED);
  assert_int_equal(cluster_read(&world, 1, second, "s"), 7);
  cluster_end(&world);
}

static vesta_err_t discard(cluster_world_t *world, uint32_t index, const char *name) {
  wire_message_t message = {.kind = WIRE_DISCARD, .name = vesta_bytes(name, strlen(name))};
  return (vesta_err_t)cluster_call(world, index, &message, NULL, 0)->error;
}

static bool says_diverged(cluster_world_t *world, uint32_t index) {
  wire_message_t ask = {.kind = WIRE_CLUSTER, .state = WIRE_CLUSTER_CHECKPOINTS};
  const wire_message_t *reply = cluster_call(world, index, &ask, NULL, 0);
  assert_int_equal(reply->element_count, 1);
  return (reply->elements[0].offset & WIRE_USER_DIVERGED) != 0;
}

static void what_diverged_is_known_in_another_life_too_until_the_operator_discards_it(void **state) {
  (void)state;
  static cluster_world_t world;
  (void)waiting_world(&world);
  assert_int_equal(recover(&world, 1, "a", 2, WIRE_RECOVER_ACCEPT_LOSS), VESTA_OK);
  cluster_start(&world, 0);
  cluster_view(&world, 0);
  cluster_pass(&world, 10 * CLUSTER_SECOND);
  assert_true(says_diverged(&world, 0));
  assert_false(says_diverged(&world, 1));
  cluster_stop(&world, 0, true);
  cluster_start(&world, 0);
  assert_true(says_diverged(&world, 0)); /* who looks, and who clears up, needs no quorum */
  world.uid = 77;
  assert_int_equal(discard(&world, 0, "a"), VESTA_ERR_DENIED);
  world.uid = 0;
  assert_int_equal(discard(&world, 0, "b"), VESTA_ERR_NOT_EXIST);
  assert_int_equal(discard(&world, 0, "a"), VESTA_OK);
  assert_false(says_diverged(&world, 0));
  assert_int_equal(discard(&world, 0, "a"), VESTA_ERR_BAD_OPERATION);
  for (uint32_t i = 0; i < CLUSTER_REGIONS_MAX; i++) {
    const cluster_region_t *region = &world.members[0].regions[i];
    assert_true(region->memory == NULL || (region->id & NODE_REGION_DIVERGED) == 0);
  }
  cluster_end(&world);
}

static void recover_goes_to_the_node_that_is_named_whichever_was_asked(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t second = waiting_world(&world);
  cluster_hello(&world, 2);
  assert_int_equal(recover(&world, 2, "a", 2, WIRE_RECOVER_ACCEPT_LOSS), VESTA_OK);
  assert_int_equal(cluster_read(&world, 1, second, "s"), 3);
  cluster_end(&world);
}

static void recover_is_refused_unless_everything_says_that_it_is_meant(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t second = waiting_world(&world);
  assert_int_equal(recover(&world, 1, "a", 2, 0), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(recover(&world, 1, "b", 2, WIRE_RECOVER_ACCEPT_LOSS), VESTA_ERR_NOT_EXIST);
  assert_int_equal(recover(&world, 1, "a", 3, WIRE_RECOVER_ACCEPT_LOSS), VESTA_ERR_NOT_SUPPORTED); /* it has none */
  assert_int_equal(recover(&world, 1, "a", 1, WIRE_RECOVER_ACCEPT_LOSS), VESTA_ERR_TRY_AGAIN);     /* it is away */
  cluster_hello(&world, 2);
  assert_int_equal(recover(&world, 1, "a", 2, WIRE_RECOVER_ACCEPT_LOSS), VESTA_OK);
  assert_int_equal(recover(&world, 1, "a", 2, WIRE_RECOVER_ACCEPT_LOSS),
                   VESTA_ERR_BAD_OPERATION); /* it waits no more */
  assert_int_equal(cluster_read(&world, 1, second, "s"), 3);
  cluster_end(&world);
}

static void only_the_services_user_and_root_may_recover(void **state) {
  (void)state;
  static cluster_world_t world;
  (void)waiting_world(&world);
  cluster_hang_up(&world, 1);
  world.uid = 2;
  cluster_hello(&world, 2);
  assert_int_equal(recover(&world, 2, "a", 2, WIRE_RECOVER_ACCEPT_LOSS), VESTA_ERR_DENIED);
  cluster_end(&world);
}

static void who_looks_needs_no_quorum(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  wire_message_t told = {.kind = WIRE_CLUSTER};
  const wire_message_t *reply = cluster_call(&world, 1, &told, NULL, 0);
  assert_int_equal(reply->state, WIRE_CLUSTER_QUORATE | WIRE_CLUSTER_USABLE);
  assert_int_equal(reply->element_count, 3);
  assert_int_equal(reply->elements[0].slot, WIRE_NODE_PARTICIPANT | WIRE_NODE_COORDINATOR);
  assert_int_equal(reply->count, 3);
  cluster_stop(&world, 0, true);
  cluster_stop(&world, 2, true);
  cluster_view(&world, 0);
  reply = cluster_call(&world, 1, &told, NULL, 0);
  assert_int_equal(reply->error, VESTA_OK);
  assert_int_equal(reply->state, 0);
  assert_int_equal(reply->ring_seq, world.ring);
  wire_message_t list = {.kind = WIRE_LIST};
  assert_int_equal(cluster_call(&world, 1, &list, NULL, 0)->error, VESTA_OK);
  cluster_end(&world);
}

static void the_primary_tells_how_far_its_copies_are(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t first = cluster_enter(&world, 0, VESTA_CREATE_ACTIVE_REPLICA);
  cluster_pass(&world, 2 * CLUSTER_SECOND);
  wire_message_t row;
  uint32_t other = (replica_row(&world, 0, 2, &row) & WIRE_USER_IN_SYNC) != 0 ? 2 : 3;
  assert_int_equal(replica_row(&world, 0, 1, &row),
                   WIRE_USER_LISTED | WIRE_USER_IN_SYNC | WIRE_USER_PRIMARY | WIRE_USER_ACTIVE | WIRE_USER_TOLD);
  assert_int_equal(replica_row(&world, 0, other, &row), WIRE_USER_LISTED | WIRE_USER_IN_SYNC | WIRE_USER_TOLD);
  assert_int_equal(row.offset, 0);
  world.members[other - 1].deaf = true;
  assert_int_equal(cluster_change(&world, 0, first, VESTA_KIND_CREATED, "s", "1"), VESTA_OK);
  (void)replica_row(&world, 0, other, &row);
  assert_int_equal(row.offset, 1);
  cluster_end(&world);
}

static void data_is_counted_on_each_node_that_commits_it(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handles[3];
  for (uint32_t i = 0; i < 3; i++) {
    handles[i] = cluster_enter(&world, i, VESTA_CREATE_ALL_REPLICAS);
  }
  cluster_pass(&world, 2 * CLUSTER_SECOND);
  assert_int_equal(cluster_change(&world, 0, handles[0], VESTA_KIND_CREATED, "s", "12345"), VESTA_OK);
  assert_int_equal(cluster_change(&world, 1, handles[1], VESTA_KIND_OVERWRITTEN, "s", "123"), VESTA_OK);
  cluster_pass(&world, CLUSTER_SECOND);
  uint32_t replicas = 0;
  for (uint32_t i = 0; i < 3; i++) {
    uint64_t bytes = node_counter(world.members[i].node, NODE_COUNTER_COMMITTED_BYTES);
    replicas += bytes != 0;
    assert_true(bytes == 0 || bytes == 8);
  }
  assert_in_range(replicas, 2, 3);
  assert_int_equal(node_counter(world.members[0].node, NODE_COUNTER_COMMITTED_BYTES), 8);
  cluster_end(&world);
}

static void a_change_is_answered_before_it_is_published(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t first = cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass(&world, 2 * CLUSTER_SECOND);
  assert_int_equal(cluster_change(&world, 0, first, VESTA_KIND_CREATED, "s", "1"), VESTA_OK);
  assert_true(world.members[0].answered_first);
  cluster_end(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_section_written_on_one_node_is_read_on_every_other),
      cmocka_unit_test(what_was_acknowledged_survives_the_loss_of_the_primary),
      cmocka_unit_test(who_takes_over_serves_first_and_gives_another_node_a_replica_after_that),
      cmocka_unit_test(a_side_without_quorum_writes_nothing_and_catches_up_when_the_cut_heals),
      cmocka_unit_test(a_replica_that_cannot_take_a_write_makes_it_fail_everywhere),
      cmocka_unit_test(a_node_without_a_replica_has_none_to_map),
      cmocka_unit_test(a_checkpoint_waits_for_the_node_that_has_everything_and_says_so),
      cmocka_unit_test(an_operator_may_go_on_with_an_older_replica_and_the_newer_one_is_kept_as_diverged),
      cmocka_unit_test(what_diverged_is_known_in_another_life_too_until_the_operator_discards_it),
      cmocka_unit_test(recover_goes_to_the_node_that_is_named_whichever_was_asked),
      cmocka_unit_test(recover_is_refused_unless_everything_says_that_it_is_meant),
      cmocka_unit_test(only_the_services_user_and_root_may_recover),
      cmocka_unit_test(who_looks_needs_no_quorum),
      cmocka_unit_test(the_primary_tells_how_far_its_copies_are),
      cmocka_unit_test(data_is_counted_on_each_node_that_commits_it),
      cmocka_unit_test(a_change_is_answered_before_it_is_published),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
