/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A node that is cut off from the others says so, at the end of its lease, and whoever follows a checkpoint there learns
 * of it at once.
 */
#include "test/unit/cluster_world.h"
#include "test/unit/subscriber_rig.h"

/* ---- the node ---- */

static void a_node_has_quorum_once_it_has_been_heard(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
    assert_true(node_has_quorum(world.members[i].node));
    assert_true(world.members[i].has_quorum);
  }
  cluster_stop(&world, 2, false);
  world.members[2].side = 1;
  cluster_start(&world, 2);
  world.members[2].has_quorum = false;
  cluster_view(&world, 1);
  cluster_pass(&world, 5 * CLUSTER_SECOND);
  assert_false(node_has_quorum(world.members[2].node));
  assert_false(world.members[2].has_quorum); /* which it never had */
  cluster_end(&world);
}

static void a_node_that_is_cut_off_says_so_at_the_end_of_its_lease_before_the_engine_notices(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  int64_t cut_ns = world.now_ns;
  world.members[0].side = 1;
  cluster_pass(&world, CLUSTER_SECOND);
  assert_false(world.members[0].has_quorum);
  assert_false(node_has_quorum(world.members[0].node));
  assert_in_range(world.members[0].quorum_ns, cut_ns + 1, cut_ns + ORDER_LEASE_NS);
  assert_true(world.members[1].has_quorum); /* they hear each other */
  assert_true(world.members[2].has_quorum);
  cluster_view(&world, 1);
  cluster_view(&world, 0);
  cluster_pass(&world, CLUSTER_SECOND);
  assert_false(world.members[0].has_quorum);
  world.members[0].side = 0;
  cluster_view(&world, 0);
  cluster_pass(&world, CLUSTER_SECOND);
  assert_true(world.members[0].has_quorum);
  cluster_end(&world);
}

static void a_change_of_the_view_in_good_time_is_no_loss_of_quorum(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  int64_t since_ns = world.members[0].quorum_ns;
  cluster_stop(&world, 2, true);
  cluster_view(&world, 0);
  cluster_pass(&world, CLUSTER_SECOND);
  assert_true(world.members[0].has_quorum);
  assert_int_equal(world.members[0].quorum_ns, since_ns);
  cluster_end(&world);
}

static bool is_behind(const cluster_world_t *world, uint32_t index, uint64_t id, vesta_pos_t position) {
  return node_may_be_behind(world->members[index].node, id, position);
}

static void what_a_node_has_not_got_to_is_of_another_history_only_where_it_can_know_that(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t handles[CLUSTER_NODES];
  cluster_new(&world, 3);
  cluster_open_all(&world, 3, VESTA_CREATE_ALL_REPLICAS | VESTA_CREATE_COLLOCATED, handles);
  assert_int_equal(cluster_change(&world, 0, handles[0], VESTA_KIND_CREATED, "s", "1"), VESTA_OK);
  cluster_pass(&world, 5 * CLUSTER_SECOND);
  uint64_t id = cluster_checkpoint(&world, 0)->id;
  uint32_t primary = cluster_checkpoint(&world, 0)->primary - 1, copy = (primary + 1) % 3;
  replica_status_t status;
  replica_status(node_replica(world.members[copy].node, id), &status);
  vesta_pos_t ahead = status.committed;
  ahead.seq++;
  vesta_pos_t later = ahead;
  later.epoch++;
  for (uint32_t i = 0; i < CLUSTER_NODES; i++) { /* all are level */
    assert_false(is_behind(&world, i, id, status.committed));
    assert_false(is_behind(&world, i, id, ahead)); /* and a copy to which nothing new has come for a while */
    assert_false(is_behind(&world, i, id, later));
  }
  cluster_stop(&world, primary, true); /* what has it committed that nobody else was told of? */
  cluster_pass(&world, 2 * CLUSTER_SECOND);
  assert_false(is_behind(&world, copy, id, status.committed));
  assert_true(is_behind(&world, copy, id, ahead));
  assert_true(is_behind(&world, copy, id, later));
  ahead.lineage++;
  assert_false(is_behind(&world, copy, id, ahead));
  ahead.lineage--;
  cluster_view(&world, 0);
  cluster_pass(&world, 5 * CLUSTER_SECOND); /* there is another, and another epoch: there was no such operation */
  assert_false(is_behind(&world, copy, id, ahead));
  assert_int_equal(replica_position_check(node_replica(world.members[copy].node, id), ahead), VESTA_ERR_DIVERGED);
  cluster_end(&world);
}

/* It follows, it is heard, and what the primary has committed is on its way to it. */
static void what_only_the_primary_has_committed_yet_is_of_no_other_history_at_a_copy(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t handles[CLUSTER_NODES];
  cluster_new(&world, 3);
  cluster_open_all(&world, 3, VESTA_CREATE_ACTIVE_REPLICA_WEAK | VESTA_CREATE_COLLOCATED, handles);
  wire_message_t set = {.kind = WIRE_ACTIVE_SET, .handle = handles[0]};
  assert_int_equal(cluster_call(&world, 0, &set, NULL, 0)->error, VESTA_OK);
  cluster_pass(&world, 5 * CLUSTER_SECOND);
  uint64_t id = cluster_checkpoint(&world, 0)->id;
  assert_int_equal(cluster_change(&world, 0, handles[0], VESTA_KIND_CREATED, "s", "1"), VESTA_OK);
  for (uint32_t i = 1; i < CLUSTER_NODES; i++) {
    world.members[i].stopped = true;
  }
  assert_int_equal(cluster_change(&world, 0, handles[0], VESTA_KIND_OVERWRITTEN, "s", "2"), VESTA_OK);
  vesta_pos_t there = replica_committed(node_replica(world.members[0].node, id));
  for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
    const replica_t *replica = node_replica(world.members[i].node, id);
    bool has_it = replica == NULL || replica_position_check(replica, there) == VESTA_OK;
    assert_true(i == 0 ? has_it : has_it != is_behind(&world, i, id, there));
    world.members[i].stopped = false;
  }
  there.seq++;
  assert_false(is_behind(&world, 0, id, there)); /* the primary knows what it has not committed */
  cluster_run(&world);
  cluster_end(&world);
}

/* ---- the stream ---- */

static void quorum(rig_t *rig, bool has_quorum) { publisher_quorum(rig->publisher, has_quorum, rig_find, rig); }

static void beacon_says(rig_t *rig, uint64_t beacon_state) {
  frames_t *frames;
  wire_message_t message = rig_take(rig, &frames);
  assert_int_equal(message.kind, WIRE_BEACON);
  assert_int_equal(message.state, beacon_state);
  assert_true(vesta_pos_equal(wire_pos(&message), rig_committed(rig)));
  free(frames);
}

static void everybody_who_listens_is_told_at_once_and_every_beacon_says_it(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_subscription(&rig, true, NOTIFY_CLASS_DATA, CHECKPOINT);
  rig_subscription(&rig, true, NOTIFY_CLASS_ROLES, CHECKPOINT);
  beacon_says(&rig, 0);
  beacon_says(&rig, 0);
  quorum(&rig, false);
  beacon_says(&rig, WIRE_BEACON_NO_QUORUM);
  beacon_says(&rig, WIRE_BEACON_NO_QUORUM);
  rig_beacon(&rig);
  beacon_says(&rig, WIRE_BEACON_NO_QUORUM);
  beacon_says(&rig, WIRE_BEACON_NO_QUORUM);
  quorum(&rig, true);
  beacon_says(&rig, 0);
  beacon_says(&rig, 0);
  rig_close(&rig);
}

static void what_was_committed_before_is_published_before_it(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  rig_subscription(&rig, true, NOTIFY_CLASS_DATA, CHECKPOINT);
  rig_lose(&rig);
  rig_commit(&rig, ELEMENTS(create("a", "1")));
  quorum(&rig, false);
  frames_t *frames;
  assert_int_equal(rig_take(&rig, &frames).kind, WIRE_CHANGES);
  free(frames);
  beacon_says(&rig, WIRE_BEACON_NO_QUORUM);
  rig_close(&rig);
}

static void a_subscriber_knows_it_from_the_beacon_and_keeps_what_it_has(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig, &from_snapshot);
  assert_false(rig_status(&rig).no_quorum);
  quorum(&rig, false);
  rig_hear_all(&rig);
  assert_true(rig_status(&rig).no_quorum);
  assert_true(rig_status(&rig).synced);
  quorum(&rig, true);
  rig_hear_all(&rig);
  assert_false(rig_status(&rig).no_quorum);
  rig_close(&rig);
}

/* A node that has just started, or has no replica of it. */
static void what_is_not_found_is_said_to_be_gone_by_who_knows_and_by_nobody_else(void **state) {
  (void)state;
  rig_t rig;
  frames_t *frames;
  rig_open(&rig);
  rig.young = true;
  rig_subscription(&rig, true, NOTIFY_CLASS_DATA, CHECKPOINT + 1);
  rig_beacon(&rig);
  quorum(&rig, true);
  assert_null(channel_take(&rig.published));
  rig.young = false;
  rig_beacon(&rig);
  assert_int_equal(rig_take(&rig, &frames).state, WIRE_BEACON_GONE);
  free(frames);
  rig_close(&rig);
}

/* Its SUB sockets have found it again before it has the directory, or its replica. */
static void a_node_that_comes_back_empty_takes_no_checkpoint_for_gone(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  (void)cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  uint64_t id = cluster_checkpoint(&world, 0)->id;
  cluster_stop(&world, 2, false);
  cluster_start(&world, 2);
  assert_false(node_is_gone(world.members[2].node, id));
  cluster_view(&world, 0);
  for (uint32_t i = 0; i < 20; i++) {
    assert_false(node_is_gone(world.members[2].node, id));
    cluster_pass(&world, CLUSTER_SECOND / 10);
  }
  assert_true(node_knows(world.members[2].node, id));
  assert_true(node_is_gone(world.members[2].node, id + 1));
  world.members[2].side = 1;
  cluster_pass(&world, CLUSTER_SECOND);
  assert_false(node_is_gone(world.members[2].node, id + 1)); /* by now others may have one of that number */
  cluster_end(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_node_has_quorum_once_it_has_been_heard),
      cmocka_unit_test(a_node_that_is_cut_off_says_so_at_the_end_of_its_lease_before_the_engine_notices),
      cmocka_unit_test(a_change_of_the_view_in_good_time_is_no_loss_of_quorum),
      cmocka_unit_test(what_a_node_has_not_got_to_is_of_another_history_only_where_it_can_know_that),
      cmocka_unit_test(what_only_the_primary_has_committed_yet_is_of_no_other_history_at_a_copy),
      cmocka_unit_test(everybody_who_listens_is_told_at_once_and_every_beacon_says_it),
      cmocka_unit_test(what_was_committed_before_is_published_before_it),
      cmocka_unit_test(a_subscriber_knows_it_from_the_beacon_and_keeps_what_it_has),
      cmocka_unit_test(what_is_not_found_is_said_to_be_gone_by_who_knows_and_by_nobody_else),
      cmocka_unit_test(a_node_that_comes_back_empty_takes_no_checkpoint_for_gone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
