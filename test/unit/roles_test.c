/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who is promoted: the order of core/roles.h, one rule a test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/roles.h"
#include "core/wire.h"

#define MEMBERS 3U

typedef struct world {
  roles_group_t group;
  roles_member_t members[MEMBERS]; /* ids 1, 2, 3 */
} world_t;

static void world_open(world_t *world) {
  *world = (world_t){0};
  for (uint32_t i = 0; i < MEMBERS; i++) {
    world->members[i] = (roles_member_t){.id = i + 1, .session = {.hi = 1, .lo = i + 1}, .synced = true};
    roles_add(&world->group, &world->members[i]);
  }
}

static uint64_t chosen(const world_t *world, uint64_t except) {
  const roles_member_t *member = roles_choose(&world->group, except);
  return member == NULL ? 0 : member->id;
}

static void equals_go_by_priority_and_then_by_joining(void **state) {
  (void)state;
  world_t world;
  world_open(&world);
  assert_int_equal(chosen(&world, 0), 1);
  assert_int_equal(chosen(&world, 1), 2);
  world.members[2].priority = 1;
  assert_int_equal(chosen(&world, 0), 3);
}

static void who_is_synced_goes_before_who_is_further(void **state) {
  (void)state;
  world_t world;
  world_open(&world);
  world.members[0].synced = false;
  world.members[0].applied.seq = 10;
  world.group.confirmed = 10;
  assert_int_equal(chosen(&world, 0), 2);
}

static void who_has_what_was_confirmed_goes_before_priority(void **state) {
  (void)state;
  world_t world;
  world_open(&world);
  world.members[0].priority = 9;
  world.members[0].applied.seq = 6;
  world.members[1].applied.seq = 7;
  world.members[2].applied.seq = 5;
  world.group.confirmed = 7;
  assert_int_equal(chosen(&world, 0), 2);
  assert_int_equal(chosen(&world, 2), 1); /* without it, who is nearest */
}

static void what_was_not_confirmed_leaves_it_to_priority(void **state) {
  (void)state;
  world_t world;
  world_open(&world);
  world.members[0].applied.seq = 100; /* its report is newer than the others' */
  world.members[1].applied.seq = 90;
  world.members[1].priority = 1;
  world.group.confirmed = 90;
  assert_int_equal(chosen(&world, 0), 2);
  world.group.confirmed = 91;
  assert_int_equal(chosen(&world, 0), 1);
}

static void manual_members_and_those_passed_over_are_not_chosen_whatever_they_have(void **state) {
  (void)state;
  world_t world;
  world_open(&world);
  world.group.confirmed = 7;
  world.members[0].applied.seq = 7;
  world.members[0].flags = WIRE_JOIN_MANUAL;
  world.members[1].applied.seq = 7;
  world.members[1].passed_over = true;
  assert_int_equal(chosen(&world, 0), 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equals_go_by_priority_and_then_by_joining),
      cmocka_unit_test(who_is_synced_goes_before_who_is_further),
      cmocka_unit_test(who_has_what_was_confirmed_goes_before_priority),
      cmocka_unit_test(what_was_not_confirmed_leaves_it_to_priority),
      cmocka_unit_test(manual_members_and_those_passed_over_are_not_chosen_whatever_they_have),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
