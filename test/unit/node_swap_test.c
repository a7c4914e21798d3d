/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A replica that has diverged is put aside, and what was fetched from the primary is put in its place: two renames, and a
 * process that is killed between them. And what may be read of a replica that was swapped.
 */
#include "test/unit/cluster_world.h"

#define ALL_COLLOCATED (VESTA_CREATE_ALL_REPLICAS | VESTA_CREATE_COLLOCATED)

/* ---- a process that is killed with its files so ---- */

static cluster_region_t image[CLUSTER_REGIONS_MAX]; /* its files, as they were then */

static void image_clear(void) {
  for (uint32_t i = 0; i < CLUSTER_REGIONS_MAX; i++) {
    free(image[i].memory);
    image[i] = (cluster_region_t){0};
  }
}

/* Nothing that it does from now on is seen by anybody. */
static void dies(cluster_member_t *member) {
  for (uint32_t i = 0; i < CLUSTER_REGIONS_MAX; i++) {
    if (member->regions[i].memory != NULL) {
      image[i] = member->regions[i];
      assert_int_equal(posix_memalign(&image[i].memory, 4096, image[i].size), 0);
      memcpy(image[i].memory, member->regions[i].memory, image[i].size);
    }
  }
  member->filed = NULL;
  member->stopped = true;
  member->mute = true;
  member->side = 9;
}

static void dies_between_renames(cluster_member_t *member) {
  if (cluster_region(member, 1) == NULL && cluster_region(member, 1 | NODE_REGION_DIVERGED) != NULL) {
    dies(member);
  }
}

static void dies_when_it_begins_to_fetch(cluster_member_t *member) {
  if (cluster_region(member, 1 | NODE_REGION_SHADOW) != NULL) {
    dies(member);
  }
}

static void starts_again(cluster_world_t *world, uint32_t index) {
  cluster_member_t *member = &world->members[index];
  cluster_stop(world, index, true);
  for (uint32_t i = 0; i < CLUSTER_REGIONS_MAX; i++) {
    free(member->regions[i].memory);
    member->regions[i] = image[i];
    image[i] = (cluster_region_t){0};
  }
  member->stopped = false;
  member->mute = false;
  member->side = 0;
  cluster_start(world, index);
  cluster_view(world, 0);
}

/* Node 1 has what nobody else has, when the operator lets node 2 go on with less. @return node 2's handle */
static uint64_t diverging_world(cluster_world_t *world) {
  cluster_new(world, 3);
  uint64_t first = cluster_enter(world, 0, ALL_COLLOCATED);
  uint64_t second = cluster_enter(world, 1, ALL_COLLOCATED);
  cluster_pass_until(world, cluster_in_sync(world, 0, 2));
  assert_int_equal(cluster_change(world, 0, first, VESTA_KIND_CREATED, "s", "old"), VESTA_OK);
  world->members[1].deaf = true;
  world->members[2].deaf = true;
  assert_int_equal(cluster_change(world, 0, first, VESTA_KIND_OVERWRITTEN, "s", "newer"), VESTA_OK);
  assert_int_equal(cluster_change(world, 0, first, VESTA_KIND_CREATED, "lost", "lost"), VESTA_OK);
  cluster_pass(world, 7 * CLUSTER_SECOND);
  cluster_stop(world, 0, true);
  cluster_view(world, 0);
  world->members[1].deaf = false;
  world->members[2].deaf = false;
  cluster_pass(world, 3 * CLUSTER_SECOND);
  wire_message_t recover = {
      .kind = WIRE_RECOVER, .name = vesta_bytes("a", 1), .node = 2, .flags = WIRE_RECOVER_ACCEPT_LOSS};
  assert_int_equal(cluster_call(world, 1, &recover, NULL, 0)->error, VESTA_OK);
  assert_int_equal(cluster_change(world, 1, second, VESTA_KIND_OVERWRITTEN, "s", "went on"), VESTA_OK);
  return second;
}

/* The same, and node 1 has come back and died between the renames of its swap. */
static uint64_t swapping_world(cluster_world_t *world) {
  uint64_t second = diverging_world(world);
  cluster_start(world, 0);
  world->members[0].filed = dies_between_renames;
  cluster_view(world, 0);
  cluster_pass_until(world, world->members[0].stopped);
  return second;
}

static void a_process_killed_between_the_renames_of_a_swap_finishes_it_when_it_starts_again(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t second = swapping_world(&world);
  starts_again(&world, 0);
  assert_null(cluster_region(&world.members[0], 1 | NODE_REGION_SHADOW));
  assert_non_null(cluster_region(&world.members[0], 1 | NODE_REGION_DIVERGED));
  cluster_pass_until(&world, cluster_in_sync(&world, 1, 1));
  assert_int_equal(world.members[0].node->counters[NODE_COUNTER_TRANSFERS], 0); /* all of it was there */
  assert_int_equal(cluster_read(&world, 1, second, "s"), 7);
  uint64_t first = cluster_enter(&world, 0, ALL_COLLOCATED);
  assert_int_equal(cluster_read(&world, 0, first, "s"), 7);
  assert_int_equal(cluster_read(&world, 0, first, "lost"), -VESTA_ERR_NOT_EXIST);
  cluster_stop(&world, 1, false); /* and what is there now is as good as any */
  cluster_view(&world, 0);
  assert_int_equal(cluster_change(&world, 0, first, VESTA_KIND_CREATED, "t", "t"), VESTA_OK);
  assert_int_equal(cluster_read(&world, 0, first, "s"), 7);
  image_clear();
  cluster_end(&world);
}

/* The journal went with the machine, say, and the node learns of the checkpoint from the others only. */
static void a_swap_is_finished_by_a_node_that_learns_of_the_checkpoint_later(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t second = swapping_world(&world);
  cluster_clear(&world.members[0].journal, &world.members[0].journal_last);
  starts_again(&world, 0);
  cluster_pass_until(&world, cluster_in_sync(&world, 1, 1));
  assert_null(cluster_region(&world.members[0], 1 | NODE_REGION_SHADOW));
  assert_int_equal(cluster_read(&world, 1, second, "s"), 7);
  assert_int_equal(cluster_change(&world, 1, second, VESTA_KIND_OVERWRITTEN, "s", "both"), VESTA_OK);
  image_clear();
  cluster_end(&world);
}

static void what_was_still_being_fetched_is_of_no_use_to_the_next_life(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handle = cluster_enter(&world, 0, ALL_COLLOCATED);
  assert_int_equal(cluster_change(&world, 0, handle, VESTA_KIND_CREATED, "s", "kept"), VESTA_OK);
  cluster_hello(&world, 1);
  world.members[1].filed = dies_when_it_begins_to_fetch;
  wire_message_t open = {.kind = WIRE_OPEN, .name = vesta_bytes("a", 1), .flags = VESTA_OPEN_READ};
  (void)cluster_ask(&world, 1, &open, NULL, 0);
  cluster_pass_until(&world, world.members[1].stopped);
  starts_again(&world, 1);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2));
  assert_null(cluster_region(&world.members[1], 1 | NODE_REGION_SHADOW));
  assert_int_equal(world.members[1].node->counters[NODE_COUNTER_TRANSFERS], 1);
  assert_int_equal(cluster_read(&world, 0, handle, "s"), 4);
  image_clear();
  cluster_end(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_process_killed_between_the_renames_of_a_swap_finishes_it_when_it_starts_again),
      cmocka_unit_test(a_swap_is_finished_by_a_node_that_learns_of_the_checkpoint_later),
      cmocka_unit_test(what_was_still_being_fetched_is_of_no_use_to_the_next_life),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
