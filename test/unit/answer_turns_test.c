/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whose turn it is, rule by rule; and a crowd of users drawn from a seed in which nobody starves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notify/answer_turns.h"

#define MS INT64_C(1000000)

typedef struct scene {
  answer_turns_t *turns;
  uint64_t held[ANSWER_SHARES];
  int64_t now_ns;
} scene_t;

static uint64_t held(void *context, uint32_t share) { return ((scene_t *)context)->held[share]; }

static uint64_t held_all(void *context) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < ANSWER_SHARES; i++) {
    sum += ((scene_t *)context)->held[i];
  }
  return sum;
}

static void scene_open(scene_t *scene) {
  *scene = (scene_t){.now_ns = 1000 * MS};
  scene->turns = answer_turns_new(&(answer_bytes_t){.context = scene, .held = held, .held_all = held_all});
  assert_non_null(scene->turns);
}

static void scene_close(scene_t *scene) { answer_turns_destroy(&scene->turns); }

static vesta_bytes_t bytes_of(const char *text) { return vesta_bytes(text, strlen(text)); }

static vesta_err_t ask(scene_t *scene, uint32_t user, const char *who, const char *what, bool walk) {
  answer_request_t request = {
      .identity = bytes_of(who), .request = bytes_of(what), .user = user, .sort = walk ? 1 : 2, .walk = walk};
  return answer_turns_ask(scene->turns, &request, scene->now_ns);
}

/* Numbered subscribers. */
static vesta_err_t ask_number(scene_t *scene, uint32_t user, uint32_t number, bool walk) {
  char who[16];
  (void)snprintf(who, sizeof who, "%u", number);
  return ask(scene, user, who, "x", walk);
}

static bool next(scene_t *scene, answer_request_t *request) {
  return answer_turns_next(scene->turns, scene->now_ns, request);
}

static void assert_next(scene_t *scene, const char *who, const char *what, bool goes_on) {
  answer_request_t request;
  assert_true(next(scene, &request));
  assert_true(vesta_bytes_equal(request.identity, bytes_of(who)));
  assert_true(vesta_bytes_equal(request.request, bytes_of(what)));
  answer_turns_done(scene->turns, &request, goes_on, scene->now_ns);
}

static void assert_none(scene_t *scene) {
  answer_request_t request;
  assert_false(next(scene, &request));
}

static answer_turns_counters_t counters(const scene_t *scene) {
  answer_turns_counters_t now;
  answer_turns_counters(scene->turns, &now);
  return now;
}

static void who_asked_first_is_answered_first(void **state) {
  (void)state;
  scene_t scene;
  scene_open(&scene);
  assert_none(&scene);
  assert_int_equal(ask(&scene, 1, "a", "one", false), VESTA_OK);
  assert_int_equal(ask(&scene, 1, "b", "two", false), VESTA_OK);
  assert_int_equal(answer_turns_waiting(scene.turns), 2);
  assert_next(&scene, "a", "one", false);
  assert_next(&scene, "b", "two", false);
  assert_none(&scene);
  scene_close(&scene);
}

static void a_repeated_request_replaces_the_one_that_waits_and_keeps_its_place(void **state) {
  (void)state;
  scene_t scene;
  scene_open(&scene);
  assert_int_equal(ask(&scene, 1, "a", "one", false), VESTA_OK);
  assert_int_equal(ask(&scene, 1, "b", "two", false), VESTA_OK);
  assert_int_equal(ask(&scene, 1, "a", "three", false), VESTA_OK);
  assert_int_equal(answer_turns_waiting(scene.turns), 2);
  assert_next(&scene, "a", "three", false);
  assert_int_equal(ask(&scene, 1, "b", "a snapshot", true), VESTA_OK); /* one of another sort is another one */
  assert_next(&scene, "b", "a snapshot", false);
  assert_next(&scene, "b", "two", false);
  assert_none(&scene);
  scene_close(&scene);
}

static void users_have_turns_however_many_subscribers_they_have(void **state) {
  (void)state;
  scene_t scene;
  scene_open(&scene);
  for (uint32_t i = 0; i < 100; i++) {
    assert_int_equal(ask_number(&scene, 1, i, false), VESTA_OK);
  }
  assert_int_equal(ask(&scene, 2, "alone", "x", false), VESTA_OK);
  answer_request_t request;
  uint32_t turn = 0;
  do {
    assert_true(next(&scene, &request));
    turn++;
  } while (request.user != 2);
  assert_true(turn <= 2);
  scene_close(&scene);
}

static void walks_have_places_and_others_need_none(void **state) {
  (void)state;
  enum { MINE = VESTA_STREAM_WALKS_MAX / 2 }; /* one user's half */
  scene_t scene;
  scene_open(&scene);
  answer_request_t request;
  for (uint32_t i = 0; i < MINE + 2; i++) {
    assert_int_equal(ask_number(&scene, 1, i, true), VESTA_OK);
  }
  for (uint32_t i = 0; i < MINE; i++) {
    assert_true(next(&scene, &request));
    answer_turns_done(scene.turns, &request, true, scene.now_ns);
  }
  assert_none(&scene);
  assert_int_equal(counters(&scene).walks, MINE);
  assert_int_equal(ask(&scene, 1, "h", "history", false), VESTA_OK);
  assert_next(&scene, "h", "history", false);
  assert_int_equal(ask_number(&scene, 2, 1000, true), VESTA_OK); /* another user finds a place */
  assert_next(&scene, "1000", "x", true);
  assert_int_equal(ask_number(&scene, 1, 0, true), VESTA_OK); /* who has one goes on */
  assert_next(&scene, "0", "x", false);                       /* to its end, */
  assert_next(&scene, "4", "x", false);                       /* and the next one begins */
  assert_int_equal(counters(&scene).walks, MINE);
  assert_int_equal(counters(&scene).walks_max, MINE + 1);
  scene_close(&scene);
}

static void one_chunk_walks_pass_through_one_place(void **state) {
  (void)state;
  scene_t scene;
  scene_open(&scene);
  answer_request_t request;
  for (uint32_t i = 0; i < 100; i++) {
    assert_int_equal(ask_number(&scene, 1, i, true), VESTA_OK);
  }
  for (uint32_t i = 0; i < 100; i++) {
    assert_true(next(&scene, &request));
    answer_turns_done(scene.turns, &request, false, scene.now_ns);
  }
  assert_int_equal(counters(&scene).walks_max, 0);
  scene_close(&scene);
}

static void who_does_not_ask_on_loses_the_place_to_who_waits(void **state) {
  (void)state;
  enum { MINE = VESTA_STREAM_WALKS_MAX / 2 };
  scene_t scene;
  scene_open(&scene);
  answer_request_t request;
  for (uint32_t i = 0; i < MINE + 1; i++) {
    assert_int_equal(ask_number(&scene, 1, i, true), VESTA_OK);
  }
  for (uint32_t i = 0; i < MINE; i++) {
    assert_true(next(&scene, &request));
    answer_turns_done(scene.turns, &request, true, scene.now_ns);
  }
  scene.now_ns += VESTA_STREAM_PLACE_MS * MS - 1;
  assert_int_equal(ask_number(&scene, 1, 1, true), VESTA_OK); /* asks on, and does not get its turn yet */
  answer_request_t second;
  assert_true(next(&scene, &second));
  answer_turns_done(scene.turns, &second, true, scene.now_ns);
  assert_none(&scene);
  scene.now_ns += 1;
  assert_next(&scene, "4", "x", true);
  assert_int_equal(counters(&scene).evicted, MINE - 1);
  assert_int_equal(ask_number(&scene, 1, 0, true), VESTA_OK); /* comes back and gets another one */
  assert_next(&scene, "0", "x", true);
  scene_close(&scene);
}

static void as_many_as_the_limit_wait_and_one_more_is_told_to_come_again(void **state) {
  (void)state;
  scene_t scene;
  scene_open(&scene);
  for (uint32_t i = 0; i < VESTA_STREAM_WAITING_MAX / 2; i++) { /* one user may have half */
    assert_int_equal(ask_number(&scene, 1, i, false), VESTA_OK);
  }
  assert_int_equal(ask_number(&scene, 1, 5000, false), VESTA_ERR_NO_RESOURCES);
  assert_int_equal(ask_number(&scene, 1, 7, false), VESTA_OK); /* a repetition is none more */
  uint32_t waiting = VESTA_STREAM_WAITING_MAX / 2;
  for (uint32_t user = 2; user < 12; user++) { /* each what is left free: half, and half, ... */
    uint32_t got = 0;
    while (ask_number(&scene, user, user * 10000 + got, false) == VESTA_OK) {
      got++;
    }
    assert_true(user > 9 || got > 0);
    waiting += got;
  }
  assert_int_equal(answer_turns_waiting(scene.turns), waiting);
  assert_true(waiting >= VESTA_STREAM_WAITING_MAX - 1 && waiting <= VESTA_STREAM_WAITING_MAX);
  assert_int_equal(counters(&scene).refused, 11);
  scene_close(&scene);
}

static void a_user_whose_answers_fill_what_is_free_waits_and_others_do_not(void **state) {
  (void)state;
  scene_t scene;
  scene_open(&scene);
  answer_request_t request;
  assert_int_equal(ask(&scene, 1, "a", "x", false), VESTA_OK);
  assert_true(next(&scene, &request));
  answer_turns_done(scene.turns, &request, false, scene.now_ns);
  uint32_t share = request.share;
  assert_int_equal(ask(&scene, 1, "a", "x", false), VESTA_OK);
  assert_int_equal(ask(&scene, 2, "b", "y", false), VESTA_OK);
  scene.held[share] = VESTA_STREAM_ANSWER_BYTES_MAX / 2;
  assert_next(&scene, "b", "y", false);
  assert_none(&scene);
  scene.held[share] = VESTA_STREAM_ANSWER_BYTES_MAX / 2 - 1;
  assert_next(&scene, "a", "x", false);
  scene.held[share] = 2 * VESTA_STREAM_ANSWER_BYTES_MAX; /* one enormous section */
  assert_int_equal(ask(&scene, 1, "a", "x", false), VESTA_OK);
  assert_int_equal(ask(&scene, 2, "b", "y", false), VESTA_OK);
  assert_next(&scene, "b", "y", false);
  assert_none(&scene);
  scene_close(&scene);
}

static void who_does_not_repeat_its_request_is_gone(void **state) {
  (void)state;
  scene_t scene;
  scene_open(&scene);
  assert_int_equal(ask(&scene, 1, "a", "x", false), VESTA_OK);
  assert_int_equal(ask(&scene, 1, "b", "y", false), VESTA_OK);
  scene.now_ns += 1;
  assert_int_equal(ask(&scene, 1, "b", "y", false), VESTA_OK);
  scene.now_ns += VESTA_STREAM_WAIT_MS * MS - 1;
  assert_next(&scene, "b", "y", false);
  assert_none(&scene);
  assert_int_equal(answer_turns_waiting(scene.turns), 0);
  assert_int_equal(counters(&scene).stale, 1);
  scene_close(&scene);
}

/* More users than shares, each subscriber walks a few chunks, some ask no more in the middle: all others end, and never
 * are there more walks at a time than places. */
static void in_a_crowd_of_any_users_nobody_starves(void **state) {
  (void)state;
  enum { USERS = 150, EACH = 6, ALL = USERS * EACH, CHUNKS = 5 };
  for (unsigned seed = 1; seed <= 20; seed++) {
    scene_t scene;
    unsigned random = seed;
    uint32_t left[ALL];
    bool asks[ALL] = {false};
    uint32_t unfinished = ALL;
    scene_open(&scene);
    for (uint32_t i = 0; i < ALL; i++) {
      left[i] = 1 + (uint32_t)rand_r(&random) % CHUNKS;
    }
    for (uint32_t step = 0; unfinished != 0; step++) {
      assert_true(step < 100000);
      scene.now_ns += MS;
      uint32_t i = (uint32_t)rand_r(&random) % ALL;
      for (uint32_t k = 0; k < 40; k++, i = (i + 7) % ALL) {
        if (left[i] != 0) {
          asks[i] = ask_number(&scene, i / EACH, i, true) == VESTA_OK || asks[i];
        }
      }
      answer_request_t request;
      if (next(&scene, &request)) {
        char text[16] = "";
        memcpy(text, request.identity.data, request.identity.size);
        uint32_t number = (uint32_t)strtoul(text, NULL, 10);
        assert_true(asks[number]);
        assert_int_equal(request.user, number / EACH);
        left[number] -= left[number] != 0;
        bool gives_up = left[number] != 0 && rand_r(&random) % 10 == 0;
        answer_turns_done(scene.turns, &request, left[number] != 0, scene.now_ns);
        left[number] = gives_up ? 0 : left[number];
        unfinished -= left[number] == 0;
        asks[number] = false;
      }
      assert_true(counters(&scene).walks <= VESTA_STREAM_WALKS_MAX);
    }
    scene_close(&scene);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_asked_first_is_answered_first),
      cmocka_unit_test(a_repeated_request_replaces_the_one_that_waits_and_keeps_its_place),
      cmocka_unit_test(users_have_turns_however_many_subscribers_they_have),
      cmocka_unit_test(walks_have_places_and_others_need_none),
      cmocka_unit_test(one_chunk_walks_pass_through_one_place),
      cmocka_unit_test(who_does_not_ask_on_loses_the_place_to_who_waits),
      cmocka_unit_test(as_many_as_the_limit_wait_and_one_more_is_told_to_come_again),
      cmocka_unit_test(a_user_whose_answers_fill_what_is_free_waits_and_others_do_not),
      cmocka_unit_test(who_does_not_repeat_its_request_is_gone),
      cmocka_unit_test(in_a_crowd_of_any_users_nobody_starves),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
