/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a node holds for others is bounded: at the limits of core/limits.h that only a cluster meets, and one past them.
 */
#include "test/unit/cluster_world.h"

static uint64_t counter(cluster_world_t *world, uint32_t index, node_counter_t which) {
  return node_counter(world->members[index].node, which);
}

/* ---- requests that are kept ---- */

/* Node 1 has a checkpoint open, and is alone, without quorum: whatever it is asked for is kept. */
static uint64_t cut_off_world(cluster_world_t *world) {
  cluster_new(world, 3);
  uint64_t handle = cluster_enter(world, 0, VESTA_CREATE_ALL_REPLICAS);
  cluster_stop(world, 1, true);
  cluster_stop(world, 2, true);
  cluster_view(world, 0);
  cluster_pass(world, CLUSTER_SECOND);
  return handle;
}

/* One request; it is answered in the same step or it is kept. */
static bool is_kept(cluster_world_t *world, wire_message_t *message, vesta_bytes_t payload) {
  cluster_member_t *member = &world->members[0];
  message->number = ++world->request;
  member->answer.come = false;
  node_event_t event = {.kind = NODE_EVENT_REQUEST, .link = 1, .message = message, .payload = payload};
  cluster_step(member, &event);
  if (member->answer.come) {
    assert_int_equal(member->answer.message.error, VESTA_ERR_TRY_AGAIN);
  }
  return !member->answer.come;
}

static void so_many_requests_are_kept_and_one_more_is_told_to_try_again(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t handle = cut_off_world(&world);
  wire_message_t status = {.kind = WIRE_STATUS, .handle = handle};
  for (uint32_t i = 0; i < VESTA_KEPT_REQUESTS_MAX; i++) {
    assert_true(is_kept(&world, &status, vesta_bytes(NULL, 0)));
  }
  assert_int_equal(counter(&world, 0, NODE_COUNTER_KEPT_REFUSED), 0);
  assert_false(is_kept(&world, &status, vesta_bytes(NULL, 0)));
  assert_int_equal(counter(&world, 0, NODE_COUNTER_KEPT_REFUSED), 1);
  cluster_end(&world);
}

static void so_many_bytes_of_requests_are_kept_and_one_more_is_refused(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t handle = cut_off_world(&world);
  wire_element_t element = {
      .kind = VESTA_KIND_OVERWRITTEN, .id = vesta_bytes("s", 1), .expiry_ns = VESTA_TIME_END, .size = 1};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1};
  uint64_t extra = sizeof(node_kept_t) + wire_copy_bytes(&change, vesta_bytes(NULL, 0));
  const uint64_t parts = 4;
  element.size = VESTA_KEPT_BYTES_MAX / parts - extra;
  uint8_t *data = calloc(1, element.size);
  assert_non_null(data);
  for (uint32_t i = 0; i < parts - 1; i++) {
    assert_true(is_kept(&world, &change, vesta_bytes(data, element.size)));
  }
  assert_false(is_kept(&world, &change, vesta_bytes(data, element.size + 1)));
  assert_int_equal(counter(&world, 0, NODE_COUNTER_KEPT_REFUSED), 1);
  assert_true(is_kept(&world, &change, vesta_bytes(data, element.size)));
  assert_int_equal(counter(&world, 0, NODE_COUNTER_KEPT_REFUSED), 1);
  free(data);
  cluster_end(&world);
}

/* ---- messages of nodes that are ahead ---- */

static void tell_ahead(cluster_world_t *world, const wire_message_t *message, vesta_bytes_t payload) {
  node_event_t event = {.kind = NODE_EVENT_PEER, .node = 2, .message = message, .payload = payload};
  cluster_step(&world->members[0], &event);
}

static void so_many_messages_of_nodes_that_are_ahead_wait_and_one_more_is_lost(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  wire_message_t ack = {.kind = WIRE_PEER_ACK, .checkpoint = 1, .epoch = 1, .order_index = UINT64_MAX};
  for (uint32_t i = 0; i < VESTA_DEFERRED_MAX; i++) {
    tell_ahead(&world, &ack, vesta_bytes(NULL, 0));
  }
  assert_int_equal(counter(&world, 0, NODE_COUNTER_DEFERRED_LOST), 0);
  tell_ahead(&world, &ack, vesta_bytes(NULL, 0));
  assert_int_equal(counter(&world, 0, NODE_COUNTER_DEFERRED_LOST), 1);
  cluster_end(&world);
}

static void so_many_bytes_of_nodes_that_are_ahead_wait_and_one_more_is_lost(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  wire_message_t log = {.kind = WIRE_PEER_LOG, .checkpoint = 1, .epoch = 1, .order_index = UINT64_MAX};
  const uint64_t parts = 4;
  uint64_t size = VESTA_DEFERRED_BYTES_MAX / parts - sizeof(node_deferred_t);
  uint8_t *data = calloc(1, size + 1);
  assert_non_null(data);
  for (uint32_t i = 0; i < parts - 1; i++) {
    tell_ahead(&world, &log, vesta_bytes(data, size));
  }
  tell_ahead(&world, &log, vesta_bytes(data, size + 1));
  assert_int_equal(counter(&world, 0, NODE_COUNTER_DEFERRED_LOST), 1);
  tell_ahead(&world, &log, vesta_bytes(data, size));
  assert_int_equal(counter(&world, 0, NODE_COUNTER_DEFERRED_LOST), 1);
  free(data);
  cluster_end(&world);
}

/* ---- replicas ---- */

static uint32_t replicas_at(cluster_world_t *world, uint32_t index) {
  size_t bucket = 0;
  const directory_checkpoint_t *checkpoint = directory_each(world->members[index].node->directory, &bucket, NULL);
  return directory_replica_count(checkpoint, WIRE_REPLICA_IN_SYNC);
}

static void so_many_nodes_have_a_replica_and_one_more_gets_none(void **state) {
  (void)state;
  directory_t *directory = NULL;
  assert_int_equal(directory_new(&directory), VESTA_OK);
  wire_message_t begin = {.kind = WIRE_OP_SESSION_BEGIN, .token_hi = 1, .token_lo = 2, .node = 1};
  wire_message_t open = {.kind = WIRE_OP_OPEN,
                         .number = 1,
                         .token_hi = 1,
                         .token_lo = 2,
                         .name = vesta_bytes("a", 1),
                         .flags = VESTA_OPEN_CREATE | VESTA_OPEN_READ,
                         .creation_flags = VESTA_CREATE_ALL_REPLICAS,
                         .node = 1,
                         .epoch = 1,
                         .lineage = 1};
  directory_outcome_t outcome;
  assert_int_equal(directory_reserve(directory), VESTA_OK);
  directory_apply(directory, &begin, &outcome);
  assert_int_equal(directory_reserve(directory), VESTA_OK);
  directory_apply(directory, &open, &outcome);
  assert_int_equal(outcome.answer.err, VESTA_OK);
  directory_checkpoint_t *checkpoint = directory_checkpoint(directory, outcome.answer.checkpoint);
  for (uint32_t other = 2; other <= VESTA_REPLICAS_MAX + 1; other++) {
    wire_message_t replica = {.kind = WIRE_OP_REPLICA,
                              .checkpoint = checkpoint->id,
                              .config = checkpoint->config,
                              .node = other,
                              .state = WIRE_REPLICA_FOLLOWER};
    directory_apply(directory, &replica, &outcome);
    assert_int_equal(outcome.answer.err, other <= VESTA_REPLICAS_MAX ? VESTA_OK : VESTA_ERR_NO_RESOURCES);
  }
  assert_int_equal(checkpoint->replica_count, VESTA_REPLICAS_MAX);
  directory_destroy(&directory);
}

static void a_checkpoint_gets_as_many_replicas_as_are_wished_for(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  (void)cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass(&world, 5 * CLUSTER_SECOND);
  assert_int_equal(replicas_at(&world, 0), VESTA_REPLICAS_DEFAULT);
  cluster_end(&world);
}

/* ---- times ---- */

static void a_replica_that_owes_an_acknowledgement_is_taken_out_after_the_time_and_not_before(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handle = cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass(&world, 2 * CLUSTER_SECOND);
  assert_int_equal(replicas_at(&world, 0), 2);
  world.members[1].deaf = true;
  world.members[2].deaf = true;
  wire_element_t element = {.kind = VESTA_KIND_CREATED, .id = vesta_bytes("s", 1), .expiry_ns = VESTA_TIME_END};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1};
  (void)cluster_ask(&world, 0, &change, NULL, 0);
  cluster_pass(&world, VESTA_PEER_TIMEOUT_MS * CLUSTER_MS - CLUSTER_MS);
  assert_int_equal(replicas_at(&world, 0), 2);
  assert_false(world.members[0].answer.come);
  cluster_pass(&world, CLUSTER_MS);
  assert_int_equal(replicas_at(&world, 0), 1);
  cluster_pass(&world, ORDER_LEASE_NS + CLUSTER_MS); /* until then it may be read there */
  assert_true(world.members[0].answer.come);
  assert_int_equal(world.members[0].answer.message.error, VESTA_OK);
  cluster_end(&world);
}

static void sessions_of_a_node_that_left_end_after_the_time_and_not_before(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  (void)cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  uint64_t term = order_term(world.members[1].node->cluster->order);
  cluster_stop(&world, 0, true);
  cluster_view(&world, 0);
  int64_t left_ns = world.now_ns;
  while (order_term(world.members[1].node->cluster->order) == term) { /* it counts from when the view is activated */
    assert_true(world.now_ns < left_ns + CLUSTER_SECOND);
    cluster_pass(&world, CLUSTER_MS);
  }
  cluster_pass(&world, VESTA_SESSION_GRACE_MS * CLUSTER_MS - 10 * CLUSTER_MS);
  assert_int_equal(counter(&world, 1, NODE_COUNTER_SESSIONS), 1);
  cluster_pass(&world, 20 * CLUSTER_MS);
  assert_int_equal(counter(&world, 1, NODE_COUNTER_SESSIONS), 0);
  assert_int_equal(counter(&world, 1, NODE_COUNTER_HANDLES), 0);
  cluster_end(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(so_many_requests_are_kept_and_one_more_is_told_to_try_again),
      cmocka_unit_test(so_many_bytes_of_requests_are_kept_and_one_more_is_refused),
      cmocka_unit_test(so_many_messages_of_nodes_that_are_ahead_wait_and_one_more_is_lost),
      cmocka_unit_test(so_many_bytes_of_nodes_that_are_ahead_wait_and_one_more_is_lost),
      cmocka_unit_test(so_many_nodes_have_a_replica_and_one_more_gets_none),
      cmocka_unit_test(a_checkpoint_gets_as_many_replicas_as_are_wished_for),
      cmocka_unit_test(a_replica_that_owes_an_acknowledgement_is_taken_out_after_the_time_and_not_before),
      cmocka_unit_test(sessions_of_a_node_that_left_end_after_the_time_and_not_before),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
