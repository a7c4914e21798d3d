/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sections whose content a node does not know, as its applications see them: a copy of an asynchronous checkpoint had no
 * memory for a change, and became the primary before it could get the content. (How they come to be and how they heal by
 * themselves: replica_transfer_test, replicator_test.)
 */
#include "test/unit/cluster_world.h"

#define ANY 5U       /* SA_CKPT_SECTIONS_ANY */
#define CORRUPTED 4U /* SA_CKPT_SECTIONS_CORRUPTED */
#define FOREVER 1U   /* SA_CKPT_SECTIONS_FOREVER */

static uint32_t corrupted_at(cluster_world_t *world, uint32_t index) {
  replica_status_t status;
  replica_status(cluster_checkpoint(world, index)->local->replica, &status);
  return status.corrupted_count;
}

static const char *large(void) {
  static char data[1001];
  memset(data, 'x', sizeof data - 1);
  return data;
}

/* Node 1 is primary; node 2 has a copy, and had no memory for the content of "b", "c", "d" and "e".
 * @return the handle that node 3 has it open through */
static uint64_t world_with_corrupted(cluster_world_t *world) {
  cluster_new(world, 3);
  uint64_t first = cluster_enter(world, 0, VESTA_CREATE_ACTIVE_REPLICA);
  uint64_t third = cluster_enter(world, 2, VESTA_CREATE_ACTIVE_REPLICA);
  assert_int_equal(cluster_change(world, 0, first, VESTA_KIND_CREATED, "a", large()), VESTA_OK);
  cluster_pass_until(world, directory_replica_count(cluster_checkpoint(world, 0), WIRE_REPLICA_IN_SYNC) == 2);
  assert_non_null(directory_replica(cluster_checkpoint(world, 0), 2));
  const char *ids[] = {"fill1", "fill2", "fill3"}; /* its page of data is full then */
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(cluster_change(world, 0, first, VESTA_KIND_CREATED, ids[i], large()), VESTA_OK);
  }
  cluster_pass_until(world, corrupted_at(world, 1) == 0);
  world->members[1].full = true;
  const char *more[] = {"b", "c", "d", "e"};
  for (uint32_t i = 0; i < 4; i++) {
    assert_int_equal(cluster_change(world, 0, first, VESTA_KIND_CREATED, more[i], large()), VESTA_OK);
  }
  cluster_pass_until(world, corrupted_at(world, 1) == 4);
  return third;
}

static void the_primary_is_lost(cluster_world_t *world) {
  cluster_stop(world, 0, false);
  cluster_view(world, 0);
  cluster_pass_until(world, cluster_checkpoint(world, 1)->primary == 2);
  world->members[1].full = false;
}

/* The ids that an iteration tells, and of which it says that they are corrupted. */
static void iterate(cluster_world_t *world, uint64_t handle, uint32_t chosen, const char *ids, const char *corrupted) {
  wire_message_t iterate = {.kind = WIRE_ITERATE, .handle = handle, .flags = chosen};
  const wire_message_t *reply = cluster_call(world, 2, &iterate, NULL, 0);
  assert_int_equal(reply->error, VESTA_OK);
  assert_int_equal(reply->state, 1);
  char told[64] = "", marked[64] = "";
  for (uint32_t i = 0; i < reply->element_count; i++) {
    const wire_element_t *element = &reply->elements[i];
    if (element->id.size == 1) { /* those that fill are of no interest */
      (void)strncat(told, (const char *)element->id.data, 1);
      (void)strncat(marked, (const char *)element->id.data, element->index == 1 ? 1 : 0);
      assert_int_equal(element->offset, element->index == 1 ? 0 : 1000); /* its size */
    }
  }
  assert_string_equal(told, ids);
  assert_string_equal(marked, corrupted);
}

static void a_corrupted_section_is_told_as_that_and_not_read(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t handle = world_with_corrupted(&world);
  assert_int_equal(cluster_read(&world, 2, handle, "b"), 1000); /* the primary has it */
  iterate(&world, handle, CORRUPTED, "", "");
  the_primary_is_lost(&world);
  assert_int_equal(cluster_read(&world, 2, handle, "a"), 1000);
  assert_int_equal(cluster_read(&world, 2, handle, "b"), -VESTA_ERR_CORRUPTED);
  assert_int_equal(cluster_read(&world, 2, handle, "none"), -VESTA_ERR_NOT_EXIST);
  iterate(&world, handle, ANY, "abcde", "bcde");
  iterate(&world, handle, CORRUPTED, "bcde", "bcde");
  iterate(&world, handle, FOREVER, "abcde", "bcde");
  cluster_end(&world);
}

static void what_does_not_say_all_of_a_corrupted_section_is_refused_and_what_does_heals_it(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t handle = world_with_corrupted(&world);
  the_primary_is_lost(&world);
  assert_int_equal(cluster_change(&world, 2, handle, VESTA_KIND_WRITTEN, "b", "x"), VESTA_ERR_CORRUPTED);
  assert_int_equal(cluster_change(&world, 2, handle, VESTA_KIND_EXPIRY_SET, "b", ""), VESTA_ERR_CORRUPTED);
  assert_int_equal(cluster_change(&world, 2, handle, VESTA_KIND_CREATED, "b", "x"), VESTA_ERR_EXIST);
  assert_int_equal(cluster_change(&world, 2, handle, VESTA_KIND_OVERWRITTEN, "b", large()), VESTA_OK);
  assert_int_equal(cluster_change(&world, 2, handle, VESTA_KIND_DELETED, "c", ""), VESTA_OK);
  iterate(&world, handle, CORRUPTED, "de", "de");
  assert_int_equal(cluster_change(&world, 2, handle, VESTA_KIND_CREATED, "c", large()), VESTA_OK);
  assert_int_equal(cluster_read(&world, 2, handle, "b"), 1000);
  assert_int_equal(cluster_read(&world, 2, handle, "c"), 1000);
  assert_int_equal(cluster_change(&world, 2, handle, VESTA_KIND_WRITTEN, "b", "x"), VESTA_OK);
  iterate(&world, handle, ANY, "abcde", "de");
  cluster_end(&world);
}

static void a_section_that_healed_while_its_primary_was_there_is_one_like_all(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t handle = world_with_corrupted(&world);
  world.members[1].full = false;
  cluster_pass_until(&world, corrupted_at(&world, 1) == 0);
  the_primary_is_lost(&world);
  assert_int_equal(cluster_read(&world, 2, handle, "b"), 1000);
  iterate(&world, handle, CORRUPTED, "", "");
  iterate(&world, handle, ANY, "abcde", "");
  cluster_end(&world);
}

/* What a copy gets from one that does not know some content is marked there, too. */
static void a_copy_of_a_primary_with_corrupted_sections_knows_no_more_than_it(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t handle = world_with_corrupted(&world);
  the_primary_is_lost(&world);
  cluster_pass_until(&world, directory_replica_count(cluster_checkpoint(&world, 1), WIRE_REPLICA_IN_SYNC) == 2);
  assert_int_equal(corrupted_at(&world, 2), 4);
  assert_int_equal(cluster_change(&world, 2, handle, VESTA_KIND_OVERWRITTEN, "d", large()), VESTA_OK);
  cluster_pass(&world, 2 * CLUSTER_SECOND);
  assert_int_equal(corrupted_at(&world, 2), 3);
  cluster_start(&world, 0); /* without anything */
  cluster_view(&world, 0);
  cluster_pass(&world, 3 * CLUSTER_SECOND);
  cluster_stop(&world, 1, false);
  cluster_view(&world, 0);
  cluster_pass_until(&world, cluster_checkpoint(&world, 2)->primary == 3);
  assert_int_equal(cluster_read(&world, 2, handle, "b"), -VESTA_ERR_CORRUPTED);
  assert_int_equal(cluster_read(&world, 2, handle, "d"), 1000);
  iterate(&world, handle, ANY, "abcde", "bce");
  cluster_end(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_corrupted_section_is_told_as_that_and_not_read),
      cmocka_unit_test(what_does_not_say_all_of_a_corrupted_section_is_refused_and_what_does_heals_it),
      cmocka_unit_test(a_section_that_healed_while_its_primary_was_there_is_one_like_all),
      cmocka_unit_test(a_copy_of_a_primary_with_corrupted_sections_knows_no_more_than_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
