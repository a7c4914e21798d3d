/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whoever waits in a cluster is answered, or learns that there will be no answer: what the simulator found by waiting
 * for ever.
 */
#include "core/directory_state.h"
#include "test/unit/cluster_world.h"

static uint64_t ask_change(cluster_world_t *world, uint32_t index, uint64_t handle, vesta_kind_t kind, const char *id) {
  wire_element_t element = {.kind = kind, .id = vesta_bytes(id, strlen(id)), .size = 1, .expiry_ns = VESTA_TIME_END};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1};
  return cluster_ask(world, index, &change, "x", 1);
}

/* ---- sessions ---- */

static void the_link_of_a_session_that_ended_while_its_node_was_away_is_closed(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  (void)cluster_enter(&world, 2, VESTA_CREATE_ALL_REPLICAS);
  world.members[2].side = 1;
  cluster_view(&world, 0);
  cluster_view(&world, 1);
  cluster_pass(&world, 2 * VESTA_SESSION_GRACE_MS * CLUSTER_MS);
  assert_int_equal(directory_session_count(world.members[0].node->directory), 0);
  assert_int_equal(world.members[2].closed, 0);
  world.members[2].side = 0;
  cluster_view(&world, 0);
  cluster_pass(&world, CLUSTER_SECOND);
  assert_int_equal(directory_session_count(world.members[2].node->directory), 0);
  assert_int_equal(world.members[2].closed, 1);
  cluster_hello(&world, 2); /* it is forgotten here, too */
  cluster_end(&world);
}

/* ---- changes ---- */

static void a_generated_id_is_told_although_the_session_has_closed_the_checkpoint_meanwhile(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handle = cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2));
  world.members[1].mute = true; /* it does not acknowledge */
  uint64_t number = ask_change(&world, 0, handle, VESTA_KIND_CREATED, "");
  wire_message_t close = {.kind = WIRE_CLOSE, .handle = handle};
  assert_int_equal(cluster_call(&world, 0, &close, NULL, 0)->error, VESTA_OK);
  world.members[1].mute = false;
  world.members[0].answer = (cluster_answer_t){0};
  cluster_view(&world, 0);
  cluster_pass(&world, CLUSTER_SECOND);
  const wire_message_t *reply = &world.members[0].answer.message;
  assert_int_equal(reply->number, number);
  assert_int_equal(reply->error, VESTA_OK);
  assert_int_not_equal(reply->id.size, 0);
  cluster_end(&world);
}

static const node_kept_t *kept_at(cluster_world_t *world, uint32_t index) {
  assert_non_null(cluster_checkpoint(world, index)->shared->kept);
  return cluster_checkpoint(world, index)->shared->kept;
}

static void an_error_that_was_meant_for_an_earlier_life_of_the_node_is_not_believed(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  (void)cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  uint64_t handle = cluster_enter(&world, 2, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2));
  world.members[1].mute = true; /* nothing is committed */
  uint64_t number = ask_change(&world, 2, handle, VESTA_KIND_CREATED, "s");
  wire_message_t late = {.kind = WIRE_REPLY,
                         .token_hi = kept_at(&world, 2)->session.hi,
                         .token_lo = kept_at(&world, 2)->session.lo,
                         .number = number,
                         .error = VESTA_ERR_NO_SPACE,
                         .generation = kept_at(&world, 2)->generation};
  cluster_restart(&world, 2, true);
  cluster_pass(&world, CLUSTER_SECOND);
  wire_message_t hello = {.kind = WIRE_HELLO, .token_hi = late.token_hi, .token_lo = late.token_lo};
  assert_int_equal(cluster_call(&world, 2, &hello, NULL, 0)->error, VESTA_OK);
  world.request = number - 1;
  assert_int_equal(ask_change(&world, 2, handle, VESTA_KIND_CREATED, "s"), number);
  node_event_t event = {.kind = NODE_EVENT_PEER, .node = 1, .message = &late};
  cluster_step(&world.members[2], &event);
  assert_false(world.members[2].answer.come);
  world.members[1].mute = false;
  cluster_view(&world, 0);
  cluster_pass(&world, CLUSTER_SECOND);
  assert_int_equal(world.members[2].answer.message.number, number);
  assert_int_equal(world.members[2].answer.message.error, VESTA_OK);
  cluster_end(&world);
}

static void many_that_wait_for_a_primary_are_answered_in_their_order_when_there_is_one(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  (void)cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  uint64_t handle = cluster_enter(&world, 2, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2));
  cluster_stop(&world, 0, true);
  cluster_view(&world, 0);
  cluster_run(&world);
  (void)ask_change(&world, 2, handle, VESTA_KIND_CREATED, "s");
  uint64_t last = 0;
  for (uint32_t i = 0; i < 50; i++) {
    last = ask_change(&world, 2, handle, VESTA_KIND_OVERWRITTEN, "s");
    assert_false(world.members[2].answer.come);
  }
  for (uint32_t i = 0; i < 50 && world.members[2].answer.message.number != last; i++) {
    cluster_pass(&world, 100 * CLUSTER_MS);
  }
  assert_int_equal(world.members[2].answer.message.number, last);
  assert_int_equal(world.members[2].answer.message.error, VESTA_OK);
  assert_int_equal(world.members[2].node->cluster->kept_count, 0);
  cluster_end(&world);
}

/* ---- primaries ---- */

static void a_primary_is_moved_only_in_the_epoch_in_which_it_was_drained(void **state) {
  (void)state;
  directory_t *directory = NULL;
  directory_outcome_t outcome;
  assert_int_equal(directory_new(&directory), VESTA_OK);
  wire_message_t begin = {.kind = WIRE_OP_SESSION_BEGIN, .token_hi = 1, .token_lo = 2, .node = 1, .pid = 7};
  wire_message_t open = {.kind = WIRE_OP_OPEN,
                         .number = 1,
                         .token_hi = 1,
                         .token_lo = 2,
                         .name = vesta_bytes("a", 1),
                         .flags = VESTA_OPEN_CREATE | VESTA_OPEN_WRITE,
                         .creation_flags = VESTA_CREATE_ACTIVE_REPLICA | VESTA_CREATE_COLLOCATED,
                         .checkpoint_bytes = 1024,
                         .sections_max = 1,
                         .section_bytes_max = 1024,
                         .section_id_bytes_max = 16,
                         .lineage = 3,
                         .node = 1};
  const wire_message_t *ops[] = {&begin, &open};
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(directory_reserve(directory), VESTA_OK);
    directory_apply(directory, ops[i], &outcome);
    assert_int_equal(outcome.answer.err, VESTA_OK);
  }
  size_t bucket = 0;
  directory_checkpoint_t *checkpoint = directory_each(directory, &bucket, NULL);
  assert_int_equal(checkpoint->primary, 1);
  wire_message_t replica = {.kind = WIRE_OP_REPLICA,
                            .checkpoint = checkpoint->id,
                            .config = checkpoint->config,
                            .epoch = checkpoint->epoch,
                            .node = 2,
                            .state = WIRE_REPLICA_IN_SYNC};
  directory_apply(directory, &replica, &outcome);
  assert_int_equal(outcome.answer.err, VESTA_OK);
  wire_message_t active = {
      .kind = WIRE_OP_ACTIVE, .checkpoint = checkpoint->id, .epoch = checkpoint->epoch - 1, .node = 2};
  directory_apply(directory, &active, &outcome);
  assert_int_equal(outcome.answer.err, VESTA_ERR_TRY_AGAIN);
  assert_int_equal(checkpoint->primary, 1);
  active.epoch = checkpoint->epoch;
  directory_apply(directory, &active, &outcome);
  assert_int_equal(outcome.answer.err, VESTA_OK);
  assert_int_equal(checkpoint->primary, 2);
  directory_destroy(&directory);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_link_of_a_session_that_ended_while_its_node_was_away_is_closed),
      cmocka_unit_test(a_generated_id_is_told_although_the_session_has_closed_the_checkpoint_meanwhile),
      cmocka_unit_test(an_error_that_was_meant_for_an_earlier_life_of_the_node_is_not_believed),
      cmocka_unit_test(many_that_wait_for_a_primary_are_answered_in_their_order_when_there_is_one),
      cmocka_unit_test(a_primary_is_moved_only_in_the_epoch_in_which_it_was_drained),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
