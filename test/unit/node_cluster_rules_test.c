/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Node directors in a cluster, rule by rule, where it gets narrow: a node that restarts or falls behind between two
 * steps, one that is taken out and may still be read, a message that comes late or twice.
 */
#include "test/unit/cluster_world.h"

#define ALL_COLLOCATED (VESTA_CREATE_ALL_REPLICAS | VESTA_CREATE_COLLOCATED)

/* ---- regions ---- */

static void what_was_written_survives_when_all_nodes_restart_before_its_making_is_known_to_be_stable(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handle = cluster_enter(&world, 0, ALL_COLLOCATED);
  assert_int_equal(cluster_change(&world, 0, handle, VESTA_KIND_CREATED, "s", "kept"), VESTA_OK);
  for (uint32_t i = 0; i < 3; i++) {
    cluster_stop(&world, i, true);
  }
  for (uint32_t i = 0; i < 3; i++) {
    cluster_start(&world, i);
  }
  cluster_view(&world, 0);
  cluster_pass(&world, 5 * CLUSTER_SECOND);
  handle = cluster_enter(&world, 0, ALL_COLLOCATED);
  assert_int_equal(cluster_read(&world, 0, handle, "s"), 4);
  cluster_end(&world);
}

static void a_node_whose_journal_is_gone_takes_up_the_regions_it_still_has(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handle = cluster_enter(&world, 0, ALL_COLLOCATED);
  assert_int_equal(cluster_change(&world, 0, handle, VESTA_KIND_CREATED, "s", "kept"), VESTA_OK);
  cluster_stop(&world, 0, true);
  cluster_clear(&world.members[0].journal, &world.members[0].journal_last);
  cluster_start(&world, 0);
  cluster_view(&world, 0);
  cluster_pass(&world, 5 * CLUSTER_SECOND);
  handle = cluster_enter(&world, 0, ALL_COLLOCATED);
  assert_int_equal(cluster_read(&world, 0, handle, "s"), 4);
  cluster_end(&world);
}

static void the_last_replica_in_sync_whose_files_are_gone_takes_its_checkpoint_with_it(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handle = cluster_enter(&world, 0, ALL_COLLOCATED);
  assert_int_equal(cluster_change(&world, 0, handle, VESTA_KIND_CREATED, "s", "lost"), VESTA_OK);
  cluster_restart(&world, 0, false);
  cluster_pass(&world, 5 * CLUSTER_SECOND);
  cluster_hello(&world, 0);
  assert_null(cluster_checkpoint(&world, 0));
  handle = cluster_open(&world, 0, "a", ALL_COLLOCATED);
  assert_int_equal(cluster_read(&world, 0, handle, "s"), -VESTA_ERR_NOT_EXIST);
  cluster_end(&world);
}

static void a_primary_that_comes_back_at_once_without_its_files_gives_way_to_the_other(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handle = cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  uint64_t third = cluster_enter(&world, 2, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass_until(&world, directory_replica_count(cluster_checkpoint(&world, 0), WIRE_REPLICA_IN_SYNC) == 2);
  assert_int_equal(cluster_change(&world, 0, handle, VESTA_KIND_CREATED, "s", "kept"), VESTA_OK);
  cluster_restart(&world, 0, false);
  assert_int_equal(cluster_read(&world, 2, third, "s"), 4);
  assert_int_equal(cluster_change(&world, 2, third, VESTA_KIND_OVERWRITTEN, "s", "again"), VESTA_OK);
  cluster_end(&world);
}

/* ---- what may be read ---- */

/* Until when a process on that node may read the replica there by itself. */
static int64_t readable_until_ns(cluster_world_t *world, uint32_t index) {
  const directory_checkpoint_t *checkpoint = cluster_checkpoint(world, index);
  return checkpoint->shared->readable_ns;
}

static void a_replica_that_was_taken_out_is_waited_for_until_it_surely_is_not_read_any_more(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handle = cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2));
  assert_int_equal(cluster_change(&world, 0, handle, VESTA_KIND_CREATED, "s", "old"), VESTA_OK);
  world.members[1].mute = true; /* it beats, and acknowledges nothing */
  wire_element_t element = {
      .kind = VESTA_KIND_OVERWRITTEN, .id = vesta_bytes("s", 1), .size = 3, .expiry_ns = VESTA_TIME_END};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1};
  (void)cluster_ask(&world, 0, &change, "new", 3);
  cluster_pass(&world, 4900 * CLUSTER_MS);
  assert_true(cluster_in_sync(&world, 0, 2));
  assert_false(world.members[0].answer.come);
  int64_t end_ns = world.now_ns + CLUSTER_SECOND;
  while (cluster_in_sync(&world, 0, 2) && world.now_ns < end_ns) {
    /* What takes it out does not reach it: it is stopped before, with the lease it has. */
    cluster_pass(&world, 5 * CLUSTER_MS);
    world.members[1].stopped = world.now_ns > end_ns - 950 * CLUSTER_MS;
  }
  assert_false(cluster_in_sync(&world, 0, 2));
  int64_t until_ns = readable_until_ns(&world, 1);
  assert_true(until_ns > world.now_ns);
  assert_false(world.members[0].answer.come);
  while (!world.members[0].answer.come && world.now_ns < until_ns + CLUSTER_SECOND) {
    cluster_pass(&world, 5 * CLUSTER_MS);
  }
  assert_true(world.members[0].answer.come);
  assert_int_equal(world.members[0].answer.message.error, VESTA_OK);
  assert_true(world.now_ns >= until_ns);
  world.members[1].stopped = false;
  cluster_end(&world);
}

static void a_replica_in_sync_that_comes_back_is_not_read_before_it_follows(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handle = cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2));
  assert_int_equal(cluster_change(&world, 0, handle, VESTA_KIND_CREATED, "s", "old"), VESTA_OK);
  cluster_pass_until(&world, readable_until_ns(&world, 1) > world.now_ns);
  cluster_stop(&world, 1, true);
  cluster_start(&world, 1);
  world.members[1].mute = true; /* so its primary does not tell it what is committed */
  cluster_view(&world, 0);
  cluster_pass(&world, CLUSTER_SECOND);
  assert_true(cluster_in_sync(&world, 1, 2));
  assert_int_equal(readable_until_ns(&world, 1), 0);
  world.members[1].mute = false;
  cluster_pass_until(&world, readable_until_ns(&world, 1) > world.now_ns);
  cluster_end(&world);
}

/* ---- one after the other ---- */

static uint64_t ask_change(cluster_world_t *world, uint32_t index, uint64_t handle, vesta_kind_t kind, const char *id) {
  wire_element_t element = {.kind = kind, .id = vesta_bytes(id, strlen(id)), .size = 1, .expiry_ns = VESTA_TIME_END};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1};
  return cluster_ask(world, index, &change, "x", 1);
}

static uint64_t in_flight(cluster_world_t *world, uint32_t index) {
  replica_status_t status;
  replica_status(cluster_checkpoint(world, index)->local->replica, &status);
  return status.prepared_seq - status.committed.seq;
}

static void what_concerns_a_whole_checkpoint_is_not_starved_by_changes(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handle = cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2));
  world.members[1].mute = true;
  (void)ask_change(&world, 0, handle, VESTA_KIND_CREATED, "s");
  assert_int_equal(in_flight(&world, 0), 1);
  wire_message_t set = {.kind = WIRE_RETENTION_SET, .handle = handle, .retention_ns = 7 * CLUSTER_SECOND};
  assert_int_equal(cluster_call(&world, 0, &set, NULL, 0)->error, VESTA_OK);
  (void)ask_change(&world, 0, handle, VESTA_KIND_CREATED, "t");
  uint64_t last = ask_change(&world, 0, handle, VESTA_KIND_OVERWRITTEN, "t");
  assert_int_equal(in_flight(&world, 0), 1); /* the retention comes first */
  world.members[1].mute = false;
  cluster_view(&world, 0);
  cluster_pass_until(&world, world.members[0].answer.come && world.members[0].answer.message.number == last);
  assert_int_equal(world.members[0].answer.message.error, VESTA_OK); /* and these in their order */
  replica_status_t status;
  replica_status(cluster_checkpoint(&world, 1)->local->replica, &status);
  assert_int_equal(status.retention_ns, 7 * CLUSTER_SECOND);
  cluster_end(&world);
}

static void a_request_that_its_primary_has_refused_and_another_one_took_is_answered_as_the_other_says(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  for (uint32_t i = 0; i < 3; i++) {
    cluster_hello(&world, i);
  }
  uint64_t handle = cluster_open(&world, 0, "a", VESTA_CREATE_ALL_REPLICAS);
  uint64_t third = cluster_open(&world, 2, "a", VESTA_CREATE_ALL_REPLICAS);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2));
  assert_int_equal(cluster_change(&world, 0, handle, VESTA_KIND_CREATED, "s", "x"), VESTA_OK);
  world.members[0].mute = true; /* it refuses, and is not heard */
  uint64_t number = ask_change(&world, 2, third, VESTA_KIND_CREATED, "s");
  cluster_pass(&world, 100 * CLUSTER_MS);
  assert_false(world.members[2].answer.come);
  world.members[0].mute = false;
  cluster_pass(&world, 2 * CLUSTER_SECOND); /* it is asked again */
  assert_true(world.members[2].answer.come);
  assert_int_equal(world.members[2].answer.message.error, VESTA_ERR_EXIST);
  assert_int_equal(world.members[2].answer.message.generation, 0);
  /* A late word of the first time is not believed any more: nobody waits for it. And a new request is not mistaken. */
  const directory_checkpoint_t *checkpoint = cluster_checkpoint(&world, 2);
  world.members[1].mute = true; /* nothing is committed: the next one stays in flight */
  number = ask_change(&world, 2, third, VESTA_KIND_CREATED, "t");
  const node_kept_t *kept = checkpoint->shared->kept;
  assert_non_null(kept);
  cluster_pass(&world, 1200 * CLUSTER_MS);
  assert_int_equal(kept->attempts, 2);
  wire_message_t late = {.kind = WIRE_REPLY,
                         .token_hi = kept->session.hi,
                         .token_lo = kept->session.lo,
                         .number = number,
                         .error = VESTA_ERR_NO_SPACE,
                         .generation = kept->generation - 1};
  node_event_t event = {.kind = NODE_EVENT_PEER, .node = 1, .message = &late};
  cluster_step(&world.members[2], &event);
  assert_false(world.members[2].answer.come);
  late.generation++;
  cluster_step(&world.members[2], &event);
  assert_true(world.members[2].answer.come);
  assert_int_equal(world.members[2].answer.message.error, VESTA_ERR_NO_SPACE);
  cluster_end(&world);
}

/* ---- ending ---- */

static void a_primary_that_ends_in_good_order_leaves_nothing_behind_that_others_lack(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handle = cluster_enter(&world, 0, VESTA_CREATE_ACTIVE_REPLICA);
  cluster_pass_until(&world, directory_replica_count(cluster_checkpoint(&world, 0), WIRE_REPLICA_IN_SYNC) == 2);
  assert_int_equal(cluster_change(&world, 0, handle, VESTA_KIND_CREATED, "s", "1"), VESTA_OK);
  assert_true(node_drained(world.members[0].node));
  world.members[0].mute = true;
  assert_int_equal(cluster_change(&world, 0, handle, VESTA_KIND_OVERWRITTEN, "s", "2"), VESTA_OK);
  assert_false(node_drained(world.members[0].node));
  node_event_t ending = {.kind = NODE_EVENT_ENDING};
  cluster_step(&world.members[0], &ending);
  uint64_t number = ask_change(&world, 0, handle, VESTA_KIND_CREATED, "t");
  assert_false(world.members[0].answer.come);
  world.members[0].mute = false;
  uint32_t other = cluster_checkpoint(&world, 0)->replicas[1].node;
  node_event_t up = {.kind = NODE_EVENT_PEER_UP, .node = other};
  cluster_step(&world.members[0], &up);
  up.node = 1;
  cluster_step(&world.members[other - 1], &up);
  cluster_pass_until(&world, node_drained(world.members[0].node));
  assert_false(world.members[0].answer.come); /* it asks again, of whoever is there then */
  (void)number;
  cluster_stop(&world, 0, true);
  cluster_view(&world, 0);
  uint64_t second = cluster_enter(&world, 1, VESTA_CREATE_ACTIVE_REPLICA);
  assert_int_equal(cluster_read(&world, 1, second, "s"), 1);
  assert_int_equal(world.members[1].answer.payload[0], '2');
  cluster_end(&world);
}

static wire_message_t open_of_a(void) {
  return (wire_message_t){.kind = WIRE_OPEN,
                          .name = vesta_bytes("a", 1),
                          .flags = VESTA_OPEN_CREATE | VESTA_OPEN_READ,
                          .creation_flags = VESTA_CREATE_ALL_REPLICAS,
                          .checkpoint_bytes = 1024,
                          .sections_max = 1,
                          .section_bytes_max = 1024};
}

/* What was proposed is ordered in the next view that is usable, whoever asks for it again before that. */
static void what_may_have_been_ordered_is_not_said_to_be_undone_for_want_of_quorum(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  cluster_hello(&world, 0);
  wire_message_t hello = {.kind = WIRE_HELLO, .pid = 10};
  hello.token_hi = world.members[0].answer.message.token_hi;
  hello.token_lo = world.members[0].answer.message.token_lo;
  wire_message_t open = open_of_a();
  world.members[0].side = 1; /* nobody hears it any more */
  uint64_t number = cluster_ask(&world, 0, &open, NULL, 0);
  assert_false(world.members[0].answer.come);
  cluster_view(&world, 1); /* it is alone, and has no quorum */
  cluster_hang_up(&world, 0);
  assert_int_equal(cluster_call(&world, 0, &hello, NULL, 0)->error, VESTA_OK);
  open.number = number;
  assert_int_equal(cluster_call(&world, 0, &open, NULL, 0)->error, VESTA_ERR_TIMEOUT);
  open.number = 0;
  cluster_end(&world);
}

/* The same on the link that there is: a client asks again when it has lost the link that callbacks come on. */
static void what_is_being_ordered_is_not_said_to_be_undone_when_it_is_asked_for_again(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  cluster_hello(&world, 0);
  wire_message_t open = open_of_a();
  world.members[0].side = 1; /* nobody hears it any more */
  uint64_t number = cluster_ask(&world, 0, &open, NULL, 0);
  cluster_view(&world, 1);
  open.number = number;
  assert_int_equal(cluster_call(&world, 0, &open, NULL, 0)->error, VESTA_ERR_TIMEOUT);
  open.number = 0;
  assert_int_equal(cluster_call(&world, 0, &open, NULL, 0)->error, VESTA_ERR_TRY_AGAIN);
  cluster_end(&world);
}

/* The primary still has what the earlier life sent, and refuses it: that must not be believed of what this one sent. */
static void what_two_lives_of_a_node_send_to_a_primary_is_told_apart(void **state) {
  (void)state;
  static cluster_world_t world;
  uint32_t generations[2];
  cluster_new(&world, 3);
  (void)cluster_enter(&world, 0, VESTA_CREATE_ALL_REPLICAS);
  for (uint32_t life = 0; life < 2; life++) {
    uint64_t handle = cluster_enter(&world, 2, VESTA_CREATE_ALL_REPLICAS);
    world.members[0].mute = true;
    (void)ask_change(&world, 2, handle, VESTA_KIND_CREATED, "s");
    assert_non_null(cluster_checkpoint(&world, 2)->shared->kept);
    generations[life] = cluster_checkpoint(&world, 2)->shared->kept->generation;
    world.members[0].mute = false;
    cluster_stop(&world, 2, true);
    cluster_view(&world, 0);
    cluster_pass(&world, CLUSTER_SECOND);
    cluster_start(&world, 2);
    cluster_view(&world, 0);
    cluster_pass(&world, CLUSTER_SECOND);
  }
  assert_int_not_equal(generations[0], generations[1]);
  cluster_end(&world);
}

/* ---- collocated ---- */

static void close_at(cluster_world_t *world, uint32_t index, uint64_t handle) {
  wire_message_t message = {.kind = WIRE_CLOSE, .handle = handle};
  assert_int_equal(cluster_call(world, index, &message, NULL, 0)->error, VESTA_OK);
}

static void a_collocated_replica_goes_with_the_last_who_has_it_open_on_its_node(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handles[3];
  cluster_open_all(&world, 3, ALL_COLLOCATED, handles);
  uint64_t again = cluster_open(&world, 2, "a", ALL_COLLOCATED);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2) && cluster_in_sync(&world, 0, 3));
  assert_int_equal(cluster_change(&world, 0, handles[0], VESTA_KIND_CREATED, "s", "1"), VESTA_OK);
  close_at(&world, 2, handles[2]);
  cluster_pass(&world, 3 * CLUSTER_SECOND);
  assert_true(cluster_in_sync(&world, 0, 3)); /* it is open there once more */
  close_at(&world, 2, again);
  cluster_pass_until(&world, directory_replica(cluster_checkpoint(&world, 0), 3) == NULL);
  cluster_pass_until(&world, cluster_checkpoint(&world, 2)->local == NULL);
  assert_true(cluster_in_sync(&world, 0, 2));
  handles[2] = cluster_open(&world, 2, "a", ALL_COLLOCATED);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 3));
  assert_int_equal(cluster_read(&world, 2, handles[2], "s"), 1);
  cluster_end(&world);
}

static void of_a_collocated_checkpoint_two_replicas_stay_when_only_one_node_has_it_open(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handles[2];
  cluster_open_all(&world, 2, ALL_COLLOCATED, handles);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2));
  assert_int_equal(cluster_change(&world, 0, handles[0], VESTA_KIND_CREATED, "s", "1"), VESTA_OK);
  close_at(&world, 1, handles[1]);
  cluster_pass(&world, 3 * CLUSTER_SECOND);
  assert_true(cluster_in_sync(&world, 0, 2));
  cluster_stop(&world, 0, false);
  cluster_pass_until(&world, cluster_checkpoint(&world, 1)->primary == 2);
  handles[1] = cluster_open(&world, 1, "a", ALL_COLLOCATED);
  assert_int_equal(cluster_read(&world, 1, handles[1], "s"), 1);
  cluster_end(&world);
}

static void replicas_of_a_collocated_checkpoint_that_nobody_has_open_are_retained_where_they_are(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handles[2];
  cluster_open_all(&world, 2, ALL_COLLOCATED, handles);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2));
  close_at(&world, 0, handles[0]); /* the primary stays where it is */
  cluster_pass(&world, 3 * CLUSTER_SECOND);
  assert_true(cluster_in_sync(&world, 0, 1));
  close_at(&world, 1, handles[1]);
  cluster_pass(&world, 3 * CLUSTER_SECOND);
  assert_true(cluster_in_sync(&world, 0, 1) && cluster_in_sync(&world, 0, 2));
  cluster_end(&world);
}

/* ---- groups ---- */

static const roles_group_t *group_at(cluster_world_t *world, uint32_t index) {
  return &cluster_checkpoint(world, index)->group;
}

static uint64_t join(cluster_world_t *world, uint32_t index, uint64_t handle, int64_t heartbeat_ns) {
  wire_message_t message = {
      .kind = WIRE_JOIN, .handle = handle, .text = vesta_bytes("m", 1), .expiry_ns = heartbeat_ns};
  const wire_message_t *reply = cluster_call(world, index, &message, NULL, 0);
  assert_int_equal(reply->error, VESTA_OK);
  return reply->member;
}

static void confirm(cluster_world_t *world, uint32_t index, uint64_t handle, uint64_t member) {
  cluster_pass_until(world, group_at(world, index)->granted == member);
  cluster_pass(world, CLUSTER_SECOND);
  wire_message_t message = {
      .kind = WIRE_CONFIRM, .handle = handle, .epoch = group_at(world, index)->epoch, .seq = UINT32_MAX};
  assert_int_equal(cluster_call(world, index, &message, NULL, 0)->error, VESTA_OK);
  assert_int_equal(group_at(world, index)->state, ROLES_ACTIVE);
}

static void an_active_member_is_succeeded_when_its_node_goes_or_it_is_silent_wherever_it_is(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handles[3], members[3];
  cluster_open_all(&world, 3, VESTA_CREATE_ALL_REPLICAS, handles);
  members[1] = join(&world, 1, handles[1], 0);
  confirm(&world, 1, handles[1], members[1]);
  members[2] = join(&world, 2, handles[2], CLUSTER_SECOND);
  cluster_stop(&world, 1, true);
  cluster_view(&world, 0);
  confirm(&world, 2, handles[2], members[2]);
  members[0] = join(&world, 0, handles[0], 0);
  uint64_t number = 0;
  for (uint32_t i = 0; i < 20; i++) { /* it reads where it is, and that is enough */
    wire_message_t progress = {
        .kind = WIRE_PROGRESS, .handle = handles[2], .number = ++number + 1000, .state = WIRE_PROGRESS_ALIVE};
    (void)cluster_ask(&world, 2, &progress, NULL, 0);
    cluster_pass(&world, 250 * CLUSTER_MS);
    assert_int_equal(group_at(&world, 0)->granted, members[2]);
  }
  cluster_pass(&world, 2 * CLUSTER_SECOND);
  assert_int_equal(group_at(&world, 0)->granted, members[0]);
  cluster_end(&world);
}

static void nobody_is_given_a_replica_while_a_member_is_promoted(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handles[2], members[2];
  cluster_open_all(&world, 2, VESTA_CREATE_ALL_REPLICAS, handles);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2));
  members[1] = join(&world, 1, handles[1], 0);
  confirm(&world, 1, handles[1], members[1]);
  members[0] = join(&world, 0, handles[0], 0);
  cluster_stop(&world, 1, true);
  cluster_pass(&world, CLUSTER_SECOND); /* its lease is over when it is missed */
  cluster_view(&world, 0);
  cluster_pass_until(&world, group_at(&world, 0)->granted == members[0]);
  int64_t begin_ns = world.now_ns;
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 3));
  assert_in_range(world.now_ns - begin_ns, 90 * CLUSTER_MS, 300 * CLUSTER_MS);
  cluster_end(&world);
}

static void the_role_is_asked_for_of_a_primary_whose_clock_is_another(void **state) {
  (void)state;
  static cluster_world_t world;
  for (uint32_t ahead = 0; ahead < 2; ahead++) { /* who asks was started later than the primary's machine, or earlier */
    cluster_new(&world, 3);
    world.members[ahead].clock_ns = 3600 * CLUSTER_SECOND;
    cluster_restart(&world, ahead, false);
    cluster_pass(&world, 2 * CLUSTER_SECOND);
    uint64_t handles[2];
    cluster_open_all(&world, 2, VESTA_CREATE_ALL_REPLICAS, handles);
    confirm(&world, 0, handles[0], join(&world, 0, handles[0], 0));
    uint64_t member = join(&world, 1, handles[1], 0);
    assert_int_equal(cluster_checkpoint(&world, 0)->primary, 1);
    wire_message_t promote = {
        .kind = WIRE_PROMOTE, .handle = handles[1], .time_ns = world.members[1].clock_ns + world.now_ns - 1};
    assert_int_equal(cluster_call(&world, 1, &promote, NULL, 0)->error, VESTA_ERR_TRY_AGAIN); /* it is late */
    assert_int_not_equal(group_at(&world, 1)->granted, member);
    promote.number = 0;
    promote.time_ns = world.members[1].clock_ns + world.now_ns + 10 * CLUSTER_SECOND;
    assert_int_equal(cluster_call(&world, 1, &promote, NULL, 0)->error, VESTA_OK);
    assert_int_equal(group_at(&world, 1)->granted, member);
    cluster_end(&world);
  }
}

static void a_change_can_wait_for_members_on_other_nodes_alone(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handles[3];
  cluster_open_all(&world, 2, VESTA_CREATE_ALL_REPLICAS, handles);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2));
  wire_element_t element = {.kind = VESTA_KIND_CREATED, .id = vesta_bytes("s", 1), .expiry_ns = VESTA_TIME_END};
  wire_message_t change = {.kind = WIRE_CHANGE,
                           .handle = handles[0],
                           .elements = &element,
                           .element_count = 1,
                           .count = 1,
                           .timeout_ns = 5 * CLUSTER_SECOND};
  assert_int_equal(cluster_call(&world, 0, &change, NULL, 0)->error, VESTA_ERR_TRY_AGAIN); /* there is nobody */
  uint64_t member = join(&world, 1, handles[1], 0);
  confirm(&world, 1, handles[1], member);
  wire_message_t second = {.kind = WIRE_JOIN, .handle = handles[0], .text = vesta_bytes("n", 1)};
  assert_int_equal(cluster_call(&world, 0, &second, NULL, 0)->error, VESTA_OK);
  change.number = 0; /* the active one applies nothing */
  assert_int_equal(cluster_call(&world, 0, &change, NULL, 0)->error, VESTA_ERR_TRY_AGAIN);
  cluster_end(&world);
}

/* An overwrite that is to be answered when `count` members have applied it; it is not yet. @return its position */
static vesta_pos_t ask_applied(cluster_world_t *world, uint32_t index, uint64_t handle, uint32_t count,
                               uint32_t flags) {
  wire_element_t element = {
      .kind = VESTA_KIND_OVERWRITTEN, .id = vesta_bytes("s", 1), .size = 1, .expiry_ns = VESTA_TIME_END};
  wire_message_t change = {.kind = WIRE_CHANGE,
                           .handle = handle,
                           .elements = &element,
                           .element_count = 1,
                           .count = count,
                           .flags = flags,
                           .timeout_ns = 20 * CLUSTER_SECOND};
  (void)cluster_ask(world, index, &change, "x", 1);
  cluster_pass(world, CLUSTER_SECOND);
  assert_false(world->members[index].answer.come);
  replica_status_t status;
  replica_status(cluster_checkpoint(world, index)->local->replica, &status);
  return status.committed;
}

/* Said by the member whose session is on that node's link. */
static void say_applied(cluster_world_t *world, uint32_t index, uint64_t handle, vesta_pos_t position) {
  cluster_answer_t kept = world->members[index].answer;
  wire_message_t progress = {.kind = WIRE_PROGRESS, .handle = handle, .state = WIRE_PROGRESS_SYNCED};
  wire_pos_set(&progress, position);
  (void)cluster_ask(world, index, &progress, NULL, 0);
  world->members[index].answer = kept;
}

/* One member on each node, that on node 1 is active and has made the section. */
static void three_members(cluster_world_t *world, uint32_t primary, uint64_t handles[3]) {
  cluster_new(world, 3);
  for (uint32_t i = 0; i < 3; i++) {
    cluster_hello(world, i);
  }
  handles[primary] = cluster_open(world, primary, "a", VESTA_CREATE_ALL_REPLICAS);
  for (uint32_t i = 0; i < 3; i++) {
    handles[i] = i == primary ? handles[i] : cluster_open(world, i, "a", VESTA_CREATE_ALL_REPLICAS);
  }
  uint64_t member = join(world, 0, handles[0], 0);
  confirm(world, 0, handles[0], member);
  (void)join(world, 1, handles[1], 0);
  (void)join(world, 2, handles[2], 0);
  assert_int_equal(cluster_change(world, 0, handles[0], VESTA_KIND_CREATED, "s", "0"), VESTA_OK);
}

static void what_members_on_other_nodes_applied_is_answered_wherever_its_primary_is(void **state) {
  (void)state;
  for (uint32_t primary = 0; primary < 3; primary++) {
    static cluster_world_t world;
    uint64_t handles[3];
    three_members(&world, primary, handles);
    vesta_pos_t written = ask_applied(&world, 0, handles[0], 2, 0);
    vesta_pos_t before = {.lineage = written.lineage, .epoch = written.epoch, .seq = written.seq - 1};
    say_applied(&world, 1, handles[1], written);
    say_applied(&world, 2, handles[2], before);
    cluster_pass(&world, CLUSTER_SECOND);
    assert_false(world.members[0].answer.come); /* by one only */
    say_applied(&world, 2, handles[2], written);
    cluster_run(&world);
    assert_true(world.members[0].answer.come);
    assert_int_equal(world.members[0].answer.message.error, VESTA_OK);
    assert_int_equal(world.members[0].answer.message.seq, written.seq);
    cluster_end(&world);
  }
}

static void who_waits_to_be_applied_is_answered_although_the_primary_is_lost_meanwhile(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t handles[3];
  three_members(&world, 2, handles);
  vesta_pos_t written = ask_applied(&world, 0, handles[0], 1, 0);
  cluster_stop(&world, 2, true);
  cluster_view(&world, 0);
  cluster_pass_until(&world,
                     cluster_checkpoint(&world, 0)->primary != 3 && cluster_checkpoint(&world, 0)->primary != 0);
  cluster_pass(&world, 2 * CLUSTER_SECOND);
  assert_false(world.members[0].answer.come);
  say_applied(&world, 1, handles[1], written);
  cluster_pass(&world, CLUSTER_SECOND);
  assert_true(world.members[0].answer.come);
  assert_int_equal(world.members[0].answer.message.error, VESTA_OK);
  cluster_end(&world);
}

static void a_member_whose_node_is_away_is_not_waited_for(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t handles[3];
  three_members(&world, 0, handles);
  cluster_stop(&world, 2, true);
  cluster_view(&world, 0);
  cluster_pass(&world, 2 * CLUSTER_SECOND);
  wire_element_t element = {
      .kind = VESTA_KIND_OVERWRITTEN, .id = vesta_bytes("s", 1), .size = 1, .expiry_ns = VESTA_TIME_END};
  wire_message_t change = {.kind = WIRE_CHANGE,
                           .handle = handles[0],
                           .elements = &element,
                           .element_count = 1,
                           .count = 2,
                           .timeout_ns = CLUSTER_SECOND};
  assert_int_equal(cluster_call(&world, 0, &change, "x", 1)->error, VESTA_ERR_TRY_AGAIN);
  vesta_pos_t written = ask_applied(&world, 0, handles[0], 1, 0);
  say_applied(&world, 1, handles[1], written);
  cluster_run(&world);
  assert_int_equal(world.members[0].answer.message.error, VESTA_OK);
  cluster_end(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_written_survives_when_all_nodes_restart_before_its_making_is_known_to_be_stable),
      cmocka_unit_test(a_node_whose_journal_is_gone_takes_up_the_regions_it_still_has),
      cmocka_unit_test(the_last_replica_in_sync_whose_files_are_gone_takes_its_checkpoint_with_it),
      cmocka_unit_test(a_primary_that_comes_back_at_once_without_its_files_gives_way_to_the_other),
      cmocka_unit_test(a_replica_that_was_taken_out_is_waited_for_until_it_surely_is_not_read_any_more),
      cmocka_unit_test(a_replica_in_sync_that_comes_back_is_not_read_before_it_follows),
      cmocka_unit_test(what_concerns_a_whole_checkpoint_is_not_starved_by_changes),
      cmocka_unit_test(a_primary_that_ends_in_good_order_leaves_nothing_behind_that_others_lack),
      cmocka_unit_test(a_collocated_replica_goes_with_the_last_who_has_it_open_on_its_node),
      cmocka_unit_test(of_a_collocated_checkpoint_two_replicas_stay_when_only_one_node_has_it_open),
      cmocka_unit_test(replicas_of_a_collocated_checkpoint_that_nobody_has_open_are_retained_where_they_are),
      cmocka_unit_test(an_active_member_is_succeeded_when_its_node_goes_or_it_is_silent_wherever_it_is),
      cmocka_unit_test(nobody_is_given_a_replica_while_a_member_is_promoted),
      cmocka_unit_test(the_role_is_asked_for_of_a_primary_whose_clock_is_another),
      cmocka_unit_test(a_change_can_wait_for_members_on_other_nodes_alone),
      cmocka_unit_test(what_members_on_other_nodes_applied_is_answered_wherever_its_primary_is),
      cmocka_unit_test(who_waits_to_be_applied_is_answered_although_the_primary_is_lost_meanwhile),
      cmocka_unit_test(a_member_whose_node_is_away_is_not_waited_for),
      cmocka_unit_test(what_may_have_been_ordered_is_not_said_to_be_undone_for_want_of_quorum),
      cmocka_unit_test(what_is_being_ordered_is_not_said_to_be_undone_when_it_is_asked_for_again),
      cmocka_unit_test(what_two_lives_of_a_node_send_to_a_primary_is_told_apart),
      cmocka_unit_test(a_request_that_its_primary_has_refused_and_another_one_took_is_answered_as_the_other_says),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
