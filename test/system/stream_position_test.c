/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Positions that are none of a checkpoint's history: each is told to have diverged, and followed by everything. And
 * their neighbours, which are part of it.
 */
#include <vesta.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/daemon_fixture.h"

enum { SECTIONS = 10 };

typedef struct scene {
  daemon_fixture_t daemon;
  application_t application;
  vesta_pair_t *pair;
  vesta_position_t first, last; /* the end of the first epoch; of all */
} scene_t;

static scene_t scene;

static vesta_position_t position_now(void) {
  vesta_stream_t *stream = NULL;
  vesta_change_t change;
  const vesta_stream_options_t now = {.from = VESTA_FROM_NOW};
  assert_int_equal(vesta_stream_open(scene.application.checkpoint, &now, &stream), SA_AIS_OK);
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_SYNCED);
  vesta_position_t position = change.position;
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  return position;
}

/* Ten sections in the first epoch; a role that is granted begins another; ten changes in that. */
static int set_up(void **state) {
  (void)state;
  char id[16];
  scene = (scene_t){0};
  daemon_fixture_open(&scene.daemon);
  application_open(&scene.application, "positions", APPLICATION_ALL);
  for (unsigned i = 0; i < SECTIONS; i++) {
    (void)snprintf(id, sizeof id, "v%u", i);
    assert_int_equal(application_create(&scene.application, id, id, sizeof id), SA_AIS_OK);
  }
  scene.first = position_now();
  vesta_event_t event;
  assert_int_equal(vesta_pair_join(scene.application.checkpoint, NULL, &scene.pair), SA_AIS_OK);
  do {
    assert_int_equal(vesta_pair_next(scene.pair, APPLICATION_DEADLINE, &event), SA_AIS_OK);
  } while (event.kind != VESTA_EVENT_ROLE || event.role != VESTA_ROLE_ACTIVE);
  for (unsigned i = 0; i < SECTIONS; i++) {
    (void)snprintf(id, sizeof id, "v%u", i);
    assert_int_equal(application_overwrite(&scene.application, id, id, sizeof id), SA_AIS_OK);
  }
  scene.last = position_now();
  assert_int_equal(scene.last.epoch, scene.first.epoch + 1);
  assert_int_equal(scene.last.seq, scene.first.seq + 1 + SECTIONS);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  assert_int_equal(vesta_pair_leave(&scene.pair), SA_AIS_OK);
  application_close(&scene.application);
  daemon_fixture_close(&scene.daemon);
  return 0;
}

static vesta_stream_t *stream_from(vesta_position_t position) {
  vesta_stream_t *stream = NULL;
  const vesta_stream_options_t options = {.from = VESTA_FROM_POSITION, .position = position};
  assert_int_equal(vesta_stream_open(scene.application.checkpoint, &options, &stream), SA_AIS_OK);
  return stream;
}

static void assert_diverged(vesta_position_t position) {
  vesta_stream_t *stream = stream_from(position);
  vesta_change_t change;
  unsigned sections = 0;
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_LOST);
  assert_int_equal(change.reason, VESTA_LOST_DIVERGED);
  assert_memory_equal(&change.from, &position, sizeof position);
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_RESYNC_BEGIN);
  assert_int_equal(change.full, SA_TRUE);
  do {
    assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
    sections += change.kind == VESTA_CHANGE_CREATED;
  } while (change.kind != VESTA_CHANGE_SYNCED);
  assert_int_equal(sections, SECTIONS);
  assert_memory_equal(&change.position, &scene.last, sizeof scene.last);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

static void assert_goes_on(vesta_position_t position) {
  vesta_stream_t *stream = stream_from(position);
  vesta_change_t change;
  uint64_t seq = position.seq;
  for (;;) {
    assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
    if (change.kind == VESTA_CHANGE_SYNCED) {
      break;
    }
    assert_true(change.kind <= VESTA_CHANGE_EPOCH && change.resync == SA_FALSE);
    assert_int_equal(change.position.seq, ++seq);
  }
  assert_int_equal(seq, scene.last.seq);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

static void a_position_of_another_lineage_has_diverged(void **state) {
  (void)state;
  vesta_position_t other = scene.last;
  other.lineage++;
  assert_diverged(other);
}

static void a_position_from_the_future_has_diverged_and_the_last_one_has_not(void **state) {
  (void)state;
  vesta_position_t future = scene.last;
  assert_goes_on(future);
  future.seq++;
  assert_diverged(future);
  future.seq = UINT64_MAX;
  assert_diverged(future);
}

static void a_position_beyond_the_end_of_its_epoch_has_diverged_and_the_end_has_not(void **state) {
  (void)state;
  vesta_position_t beyond = scene.first;
  assert_goes_on(beyond);
  beyond.seq++; /* looks like the past, and is what an active that failed had alone */
  assert_diverged(beyond);
  beyond.seq = scene.last.seq;
  assert_diverged(beyond);
}

static void a_position_of_an_epoch_that_is_still_to_come_has_diverged(void **state) {
  (void)state;
  vesta_position_t later = scene.last;
  later.epoch++;
  assert_diverged(later);
  later.seq = 1;
  assert_diverged(later);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_position_of_another_lineage_has_diverged),
      TEST(a_position_from_the_future_has_diverged_and_the_last_one_has_not),
      TEST(a_position_beyond_the_end_of_its_epoch_has_diverged_and_the_end_has_not),
      TEST(a_position_of_an_epoch_that_is_still_to_come_has_diverged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
