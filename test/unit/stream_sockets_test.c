/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The stream's sockets in a loop, with the node played here: when the next turn must begin, and who asks over TCP.
 */
#include "daemon/stream_sockets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/deadline.h"
#include "test/support/tcp_guest.h"

#define HELD_BYTES_MAX (1U << 20)
#define GUESTS 3U

static loop_t *loop;
static stream_sockets_t *sockets;
static char directory[64], path[80];
static tcp_place_t place;
static stream_door_config_t door;
static int guests[GUESTS];
static uint32_t users[GUESTS]; /* of the guests, by what they ask */
static uint32_t came;

/* ---- the node ---- */

static bool node_subscribed(void *context, vesta_bytes_t message) {
  (void)context;
  (void)message;
  return true;
}

static bool node_judged(void *context, vesta_bytes_t request, answer_request_t *judgement) {
  (void)context;
  (void)request;
  (void)judgement;
  return false;
}

static bool node_answers(void *context, vesta_bytes_t request, stream_answer_t *answer) {
  (void)context;
  (void)request;
  (void)answer;
  return false;
}

/* A guest's request is its number. */
static stream_came_t node_came(void *context, const stream_guest_t *guest, vesta_bytes_t request) {
  (void)context;
  assert_int_equal(request.size, 1);
  assert_in_range(request.data[0], 0, GUESTS - 1);
  users[request.data[0]] = guest->user;
  came++;
  return STREAM_CAME_DONE;
}

static const stream_sockets_config_t node = {.group = PRIVATE_DIR_NO_GROUP,
                                             .held_bytes_max = HELD_BYTES_MAX,
                                             .rest = 1,
                                             .subscribed = node_subscribed,
                                             .judged = node_judged,
                                             .asked = node_answers,
                                             .refused = node_answers};

static void sockets_open(const stream_sockets_config_t *config) {
  char why[256] = "";
  loop = loop_new();
  assert_non_null(loop);
  vesta_err_t err = stream_sockets_open(config, loop, &sockets, why, sizeof why);
  if (err != VESTA_OK) {
    fail_msg("%s", why);
  }
}

static int local_set_up(void **state) {
  stream_sockets_config_t config = node;
  (void)state;
  (void)snprintf(directory, sizeof directory, "/tmp/vesta-test-XXXXXX");
  assert_non_null(mkdtemp(directory));
  (void)snprintf(path, sizeof path, "%s/s", directory);
  config.socket = path;
  sockets_open(&config);
  return 0;
}

static int local_tear_down(void **state) {
  (void)state;
  stream_sockets_close(&sockets);
  loop_destroy(&loop);
  return rmdir(directory); /* their names are removed */
}

static int keyless_set_up(void **state) {
  stream_sockets_config_t config = node;
  (void)state;
  tcp_place_make(&place);
  door = (stream_door_config_t){.listen = place.endpoint};
  config.door = &door;
  config.came = node_came;
  came = 0;
  sockets_open(&config);
  return 0;
}

static int keyless_tear_down(void **state) {
  (void)state;
  for (size_t i = 0; i < GUESTS; i++) {
    (void)close(guests[i]);
  }
  stream_sockets_close(&sockets);
  loop_destroy(&loop);
  tcp_place_remove(&place);
  return 0;
}

/* ---- when the next turn must begin ---- */

/* What was there at first is dealt with; nothing comes by itself. */
static void turns_until_nothing_is_left(void) {
  int64_t until_ns = loop_steady_ns() + TEST_DEADLINE_NS;
  do {
    stream_sockets_turn(sockets, false);
    assert_true(loop_steady_ns() < until_ns);
  } while (stream_sockets_wake_ns(sockets) == 0);
  assert_true(stream_sockets_wake_ns(sockets) == INT64_MAX);
}

static void sockets_that_were_just_opened_are_looked_at_once(void **state) {
  (void)state;
  assert_true(stream_sockets_wake_ns(sockets) == 0);
  turns_until_nothing_is_left();
}

static void what_is_published_between_two_turns_makes_the_next_one_begin_at_once(void **state) {
  const uint8_t topic[NOTIFY_TOPIC_BYTES] = {NOTIFY_CLASS_DATA};
  (void)state;
  publisher_output_t output = stream_sockets_output(sockets);
  turns_until_nothing_is_left();
  output.emit(output.context, topic, vesta_bytes("head", 4), vesta_bytes(NULL, 0));
  assert_true(stream_sockets_wake_ns(sockets) == 0);
  turns_until_nothing_is_left();
}

static void what_is_said_between_two_turns_makes_the_next_one_begin_at_once(void **state) {
  (void)state;
  turns_until_nothing_is_left();
  stream_sockets_say(sockets, vesta_bytes("nobody", 6), vesta_bytes("head", 4));
  assert_true(stream_sockets_wake_ns(sockets) == 0);
  turns_until_nothing_is_left();
}

/* ---- who asks ---- */

static void turn_end(void *context) {
  stream_sockets_turn(sockets, false);
  if (came == GUESTS || loop_steady_ns() >= *(const int64_t *)context) {
    loop_stop(loop);
  }
}

static int64_t turn_wake_ns(void *context) {
  int64_t until_ns = *(const int64_t *)context;
  int64_t wake_ns = stream_sockets_wake_ns(sockets);
  return wake_ns < until_ns ? wake_ns : until_ns;
}

static void without_keys_a_guest_is_its_address_whatever_user_it_says_it_is(void **state) {
  static const char *const says[GUESTS] = {NULL, "one", "another"};
  int64_t until_ns = loop_steady_ns() + TEST_DEADLINE_NS;
  loop_turn_t turn = {.context = &until_ns, .end = turn_end, .wake_ns = turn_wake_ns};
  (void)state;
  for (uint8_t i = 0; i < GUESTS; i++) {
    guests[i] = tcp_place_greet(&place, TCP_GUEST_PORT, "DEALER", says[i]);
    assert_true(guests[i] >= 0);
    assert_true(tcp_frame_send(guests[i], &i, sizeof i));
  }
  assert_true(loop_run(loop, &turn));
  assert_int_equal(came, GUESTS);
  assert_int_not_equal(users[0], 0);
  assert_int_equal(users[1], users[0]);
  assert_int_equal(users[2], users[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define LOCAL_TEST(name) cmocka_unit_test_setup_teardown(name, local_set_up, local_tear_down)
      LOCAL_TEST(sockets_that_were_just_opened_are_looked_at_once),
      LOCAL_TEST(what_is_published_between_two_turns_makes_the_next_one_begin_at_once),
      LOCAL_TEST(what_is_said_between_two_turns_makes_the_next_one_begin_at_once),
      cmocka_unit_test_setup_teardown(without_keys_a_guest_is_its_address_whatever_user_it_says_it_is, keyless_set_up,
                                      keyless_tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
