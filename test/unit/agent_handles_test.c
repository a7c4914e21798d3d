/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The handle table: what a number stands for, for how long, and for whom.
 */
#include "saf_api/agent_handles.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct thing {
  agent_object_t object;
  _Atomic int destroyed;
} thing_t;

static void thing_destroy(agent_object_t *object) { atomic_fetch_add(&((thing_t *)object)->destroyed, 1); }

static void thing_make(thing_t *thing) {
  *thing = (thing_t){.object = {.kind = AGENT_CHECKPOINT, .destroy = thing_destroy}};
  assert_int_equal(agent_handle_new(&thing->object), VESTA_OK);
}

static void thing_publish(thing_t *thing) {
  agent_handle_publish(&thing->object);
  agent_handle_release(&thing->object); /* the maker's reference */
}

static void thing_close(thing_t *thing) {
  agent_object_t *object = agent_handle_acquire(thing->object.handle, AGENT_CHECKPOINT);
  assert_ptr_equal(object, thing);
  assert_true(agent_handle_close(object));
  agent_handle_release(object);
}

static void a_handle_is_found_from_publish_to_close(void **state) {
  (void)state;
  thing_t thing;
  thing_make(&thing);
  uint64_t handle = thing.object.handle;
  assert_null(agent_handle_acquire(handle, AGENT_CHECKPOINT));
  thing_publish(&thing);
  agent_object_t *object = agent_handle_acquire(handle, AGENT_CHECKPOINT);
  assert_ptr_equal(object, &thing);
  assert_true(agent_handle_close(object));
  assert_false(agent_handle_close(object));
  assert_null(agent_handle_acquire(handle, AGENT_CHECKPOINT));
  assert_int_equal(thing.destroyed, 0); /* in use */
  agent_handle_release(object);
  assert_int_equal(thing.destroyed, 1);
  assert_null(agent_handle_acquire(handle, AGENT_CHECKPOINT));
}

static void an_object_that_was_never_published_goes_with_its_maker(void **state) {
  (void)state;
  thing_t thing;
  thing_make(&thing);
  agent_handle_release(&thing.object);
  assert_int_equal(thing.destroyed, 1);
}

static void a_close_can_be_taken_back(void **state) {
  (void)state;
  thing_t thing;
  thing_make(&thing);
  thing_publish(&thing);
  agent_object_t *object = agent_handle_acquire(thing.object.handle, AGENT_CHECKPOINT);
  assert_true(agent_handle_close(object));
  assert_true(agent_handle_is_closed(object));
  agent_handle_publish(object);
  agent_handle_release(object);
  assert_int_equal(thing.destroyed, 0);
  thing_close(&thing);
  assert_int_equal(thing.destroyed, 1);
}

static void a_handle_of_another_kind_is_not_found(void **state) {
  (void)state;
  thing_t thing;
  thing_make(&thing);
  thing_publish(&thing);
  assert_null(agent_handle_acquire(thing.object.handle, AGENT_LIBRARY));
  assert_null(agent_handle_acquire(thing.object.handle, AGENT_ITERATION));
  thing_close(&thing);
}

static void a_place_used_again_has_another_handle(void **state) {
  (void)state;
  enum { ROUNDS = 5000 };
  static uint64_t handles[ROUNDS];
  thing_t thing;
  for (int i = 0; i < ROUNDS; i++) {
    thing_make(&thing);
    thing_publish(&thing);
    handles[i] = thing.object.handle;
    assert_true(handles[i] != 0 && handles[i] != UINT64_MAX);
    assert_null(i == 0 ? NULL : agent_handle_acquire(handles[i - 1], AGENT_CHECKPOINT));
    thing_close(&thing);
  }
  for (int i = 0; i < ROUNDS; i++) {
    assert_null(agent_handle_acquire(handles[i], AGENT_CHECKPOINT));
  }
}

static void numbers_near_a_handle_are_none(void **state) {
  (void)state;
  thing_t thing;
  thing_make(&thing);
  thing_publish(&thing);
  for (unsigned bit = 0; bit < 64; bit++) {
    assert_null(agent_handle_acquire(thing.object.handle ^ 1ULL << bit, AGENT_CHECKPOINT));
  }
  thing_close(&thing);
}

static void thousands_of_handles_live_at_once(void **state) {
  (void)state;
  enum { COUNT = 10000 };
  thing_t *things = calloc(COUNT, sizeof *things);
  assert_non_null(things);
  for (int i = 0; i < COUNT; i++) {
    thing_make(&things[i]);
    thing_publish(&things[i]);
  }
  for (int i = 0; i < COUNT; i++) {
    thing_close(&things[i]);
    assert_int_equal(things[i].destroyed, 1);
  }
  free(things);
}

static void *use_until_closed(void *argument) {
  uint64_t handle = *(uint64_t *)argument;
  agent_object_t *object;
  while ((object = agent_handle_acquire(handle, AGENT_CHECKPOINT)) != NULL) {
    if (atomic_load(&((thing_t *)object)->destroyed) != 0) {
      return NULL; /* gone under its user */
    }
    agent_handle_release(object);
  }
  return argument;
}

static void an_object_is_destroyed_once_and_never_under_a_user(void **state) {
  (void)state;
  for (int round = 0; round < 50; round++) {
    thing_t thing;
    pthread_t threads[4];
    thing_make(&thing);
    uint64_t handle = thing.object.handle;
    thing_publish(&thing);
    for (int i = 0; i < 4; i++) {
      assert_int_equal(pthread_create(&threads[i], NULL, use_until_closed, &handle), 0);
    }
    thing_close(&thing);
    for (int i = 0; i < 4; i++) {
      void *result = NULL;
      assert_int_equal(pthread_join(threads[i], &result), 0);
      assert_ptr_equal(result, &handle);
    }
    assert_int_equal(thing.destroyed, 1);
  }
}

static void a_forked_child_starts_with_an_empty_table(void **state) {
  (void)state;
  thing_t thing;
  thing_make(&thing);
  thing_publish(&thing);
  agent_object_t *held = agent_handle_acquire(thing.object.handle, AGENT_CHECKPOINT);
  pid_t child = fork();
  if (child == 0) {
    bool ok = agent_handle_acquire(thing.object.handle, AGENT_CHECKPOINT) == NULL;
    (void)agent_handle_close(held);
    agent_handle_release(held); /* its parent's: left alone */
    ok = ok && thing.destroyed == 0;
    thing_t own = {.object = {.kind = AGENT_CHECKPOINT, .destroy = thing_destroy}};
    ok = ok && agent_handle_new(&own.object) == VESTA_OK && own.object.handle != thing.object.handle;
    agent_handle_release(&own.object);
    _exit(ok && own.destroyed == 1 ? 0 : 1);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  agent_handle_release(held);
  thing_close(&thing);
}

static void a_quota_is_met_at_its_limit(void **state) {
  (void)state;
  assert_true(agent_quota_take(2));
  assert_true(agent_quota_take(2));
  assert_false(agent_quota_take(2));
  agent_quota_return();
  assert_true(agent_quota_take(2));
  agent_quota_return();
  agent_quota_return();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_handle_is_found_from_publish_to_close),
      cmocka_unit_test(an_object_that_was_never_published_goes_with_its_maker),
      cmocka_unit_test(a_close_can_be_taken_back),
      cmocka_unit_test(a_handle_of_another_kind_is_not_found),
      cmocka_unit_test(a_place_used_again_has_another_handle),
      cmocka_unit_test(numbers_near_a_handle_are_none),
      cmocka_unit_test(thousands_of_handles_live_at_once),
      cmocka_unit_test(an_object_is_destroyed_once_and_never_under_a_user),
      cmocka_unit_test(a_forked_child_starts_with_an_empty_table),
      cmocka_unit_test(a_quota_is_met_at_its_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
