/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Guests between a node that is played here and a clock that is a number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/stream_guests.h"

#define MS INT64_C(1000000)
#define NAME "safCkpt=one"

typedef struct said {
  uint64_t number, member, handle;
  vesta_err_t error;
  char identity[16];
} said_t;

/* The node, and what guests were told. */
typedef struct world {
  stream_guests_t *guests;
  int64_t now_ns;
  uint64_t links_left; /* how many links were ended */
  uint64_t link;       /* of the last request */
  uint64_t asked[256]; /* by kind */
  wire_message_t last; /* of the requests that are answered */
  bool answers;        /* at once */
  vesta_err_t error;   /* of OPEN and STREAM */
  vesta_err_t close_error;
  uint64_t handles, open;
  uint64_t token;
  vesta_err_t check; /* of who follows */
  uint64_t listeners;
  said_t said;
  uint32_t said_count;
} world_t;

static world_t world;

static void node_answer(const wire_message_t *request) {
  wire_message_t reply = {.kind = WIRE_REPLY, .number = request->number};
  switch (request->kind) {
    case WIRE_HELLO:
      reply.token_hi = ++world.token;
      reply.token_lo = 7;
      break;
    case WIRE_OPEN:
      reply.error = (uint64_t)world.error;
      reply.handle = world.error == VESTA_OK ? ++world.handles : 0;
      world.open += world.error == VESTA_OK ? 1 : 0;
      break;
    case WIRE_STREAM:
      reply.error = (uint64_t)world.error;
      reply.checkpoint = 5;
      reply.member = request->member != 0 ? request->member : 100 + request->handle;
      break;
    case WIRE_CLOSE:
      reply.error = (uint64_t)world.close_error;
      world.open -= world.close_error == VESTA_OK ? 1 : 0;
      break;
    default: return; /* PROGRESS has no answer */
  }
  stream_guests_answered(world.guests, world.link, &reply);
}

static void world_ask(void *context, uint64_t link, const wire_message_t *request) {
  (void)context;
  world.link = link;
  world.asked[request->kind]++;
  world.last = *request;
  if (request->kind == WIRE_OPEN) {
    assert_int_equal(request->flags, VESTA_OPEN_READ);
    assert_memory_equal(request->name.data, "safCkpt=", 8);
  }
  if (world.answers) {
    node_answer(request);
  }
}

static void world_leave(void *context, uint64_t link) {
  (void)context;
  assert_true((link & STREAM_GUESTS_LINK) != 0);
  world.links_left++;
}

static vesta_err_t world_check(void *context, vesta_token_t token, uint64_t checkpoint_id) {
  (void)context;
  assert_int_equal(token.hi, world.token);
  assert_int_equal(checkpoint_id, 5);
  return world.check;
}

static uint64_t world_listeners(void *context, uint64_t checkpoint_id) {
  (void)context;
  return checkpoint_id == 5 ? world.listeners : 0;
}

static void world_say(void *context, vesta_bytes_t identity, const wire_message_t *message) {
  (void)context;
  assert_int_equal(message->kind, WIRE_FOLLOW_REPLY);
  world.said = (said_t){.number = message->number,
                        .member = message->member,
                        .handle = message->handle,
                        .error = (vesta_err_t)message->error};
  memcpy(world.said.identity, identity.data, identity.size);
  world.said_count++;
}

static int world_set_up(void **state) {
  (void)state;
  world = (world_t){.answers = true, .now_ns = 1000 * MS};
  stream_guests_config_t config = {.guests_max = VESTA_GUESTS_MAX,
                                   .ask = world_ask,
                                   .leave = world_leave,
                                   .check = world_check,
                                   .listeners = world_listeners,
                                   .say = world_say};
  world.guests = stream_guests_new(&config);
  return world.guests == NULL ? -1 : 0;
}

static int world_tear_down(void **state) {
  (void)state;
  stream_guests_destroy(&world.guests);
  return 0;
}

static stream_guest_t guest(const char *identity) {
  return (stream_guest_t){.identity = vesta_bytes(identity, strlen(identity)), .user = 1};
}

static void says(const char *identity, const wire_message_t *message) {
  stream_guest_t who = guest(identity);
  assert_true(stream_guests_came(world.guests, &who, message, world.now_ns));
}

static void wishes(const char *identity, uint64_t number, uint64_t member) {
  says(identity,
       &(wire_message_t){
           .kind = WIRE_FOLLOW_GET, .number = number, .member = member, .name = vesta_bytes(NAME, strlen(NAME))});
}

static void alive(const char *identity, uint64_t handle) {
  says(identity, &(wire_message_t){.kind = WIRE_PROGRESS, .state = WIRE_PROGRESS_ALIVE, .handle = handle});
}

/* Turns until nothing is due before that time. */
static void until(int64_t ns) {
  for (;;) {
    stream_guests_turn(world.guests, world.now_ns);
    int64_t wake_ns = stream_guests_wake_ns(world.guests);
    if (wake_ns > ns) {
      break;
    }
    world.now_ns = wake_ns > world.now_ns ? wake_ns : world.now_ns;
  }
  world.now_ns = ns;
}

static void for_ms(int64_t ms) { until(world.now_ns + ms * MS); }

static uint64_t counter(stream_guests_counter_t which) { return stream_guests_counter(world.guests, which); }

#define COUNTED(name) counter(STREAM_GUESTS_COUNTER_##name)

/* ---- tests ---- */

static void a_guest_gets_a_handle_and_a_stream_and_gives_them_back(void **state) {
  (void)state;
  wishes("a", 1, 0);
  for_ms(1);
  assert_int_equal(world.said.error, VESTA_OK);
  assert_int_equal(world.said.number, 1);
  assert_int_equal(world.said.handle, 1);
  assert_int_equal(world.said.member, 101);
  assert_string_equal(world.said.identity, "a");
  wishes("b", 1, 0);
  for_ms(1);
  assert_int_equal(world.said.handle, 2);
  assert_int_equal(world.asked[WIRE_HELLO], 1); /* one session for all */
  assert_int_equal(COUNTED(GUESTS), 2);
  wire_message_t end = {.kind = WIRE_PROGRESS, .state = WIRE_PROGRESS_STREAM_END, .handle = 1};
  says("a", &end);
  for_ms(1);
  assert_int_equal(COUNTED(GUESTS), 1);
  assert_int_equal(world.open, 1);
}

static void a_wish_that_is_repeated_is_answered_again_and_asked_for_once(void **state) {
  (void)state;
  wishes("a", 1, 0);
  wishes("a", 1, 0);
  for_ms(1);
  wishes("a", 1, 0);
  for_ms(1);
  assert_int_equal(world.said_count, 2);
  assert_int_equal(world.asked[WIRE_OPEN], 1);
  assert_int_equal(COUNTED(GUESTS), 1);
}

static void a_stream_that_comes_back_on_another_connection_goes_on(void **state) {
  (void)state;
  wishes("a", 1, 0);
  for_ms(1);
  wishes("z", 9, 101);
  for_ms(1);
  assert_int_equal(world.said.number, 9);
  assert_int_equal(world.said.handle, 1);
  assert_string_equal(world.said.identity, "z");
  assert_int_equal(world.asked[WIRE_OPEN], 1);
  wishes("q", 2, 999); /* of another life of the daemon: a new one */
  for_ms(1);
  assert_int_equal(world.said.handle, 2);
}

static void nobody_gets_the_stream_of_another_key(void **state) {
  (void)state;
  wishes("a", 1, 0);
  for_ms(1);
  stream_guest_t other = {.identity = vesta_bytes("x", 1), .user = 2};
  wire_message_t end = {.kind = WIRE_PROGRESS, .state = WIRE_PROGRESS_STREAM_END, .handle = 1};
  assert_true(stream_guests_came(world.guests, &other, &end, world.now_ns));
  for_ms(1);
  assert_int_equal(world.said.error, VESTA_ERR_ACCESS);
  assert_int_equal(COUNTED(GUESTS), 1);
}

static void what_the_node_refuses_the_guest_is_told(void **state) {
  (void)state;
  world.error = VESTA_ERR_NOT_EXIST;
  wishes("a", 1, 0);
  for_ms(1);
  assert_int_equal(world.said.error, VESTA_ERR_NOT_EXIST);
  assert_int_equal(COUNTED(GUESTS), 0);
}

static void what_can_not_be_had_now_is_asked_for_while_the_guest_asks(void **state) {
  (void)state;
  world.error = VESTA_ERR_TRY_AGAIN;
  for (int i = 0; i < 8; i++) {
    wishes("a", 1, 0);
    for_ms(1000);
  }
  assert_int_equal(world.said_count, 0);
  assert_true(world.asked[WIRE_OPEN] > 10);
  world.error = VESTA_OK;
  for_ms(200);
  assert_int_equal(world.said_count, 1);
  world.error = VESTA_ERR_TRY_AGAIN;
  wishes("b", 1, 0);
  for_ms(20000); /* and not again */
  assert_int_equal(COUNTED(GUESTS), 1);
  assert_int_equal(world.open, 1);
}

static void who_goes_while_it_is_let_in_leaves_nothing_open(void **state) {
  (void)state;
  wishes("a", 1, 0);
  for_ms(1);
  world.answers = false;
  wishes("b", 1, 0);
  for_ms(20000);
  assert_int_equal(world.last.kind, WIRE_OPEN);
  world.answers = true;
  node_answer(&world.last); /* at last */
  for_ms(1);
  assert_int_equal(world.asked[WIRE_CLOSE], 1);
  assert_int_equal(COUNTED(GUESTS), 1);
  assert_int_equal(world.open, 1);
}

static void what_can_not_be_closed_now_is_closed_later(void **state) {
  (void)state;
  wishes("a", 1, 0);
  for_ms(1);
  world.close_error = VESTA_ERR_TRY_AGAIN;
  says("a", &(wire_message_t){.kind = WIRE_PROGRESS, .state = WIRE_PROGRESS_STREAM_END, .handle = 1});
  for_ms(500);
  assert_int_equal(world.open, 1);
  world.close_error = VESTA_OK;
  for_ms(200);
  assert_int_equal(world.open, 0);
  assert_int_equal(COUNTED(GUESTS), 0);
}

static void guests_at_the_limit_are_served_and_one_more_is_refused(void **state) {
  (void)state;
  char identity[16];
  for (uint32_t i = 0; i < VESTA_GUESTS_MAX; i++) {
    (void)snprintf(identity, sizeof identity, "%u", i);
    wishes(identity, 1, 0);
  }
  for_ms(1);
  assert_int_equal(COUNTED(GUESTS_FOLLOWED), VESTA_GUESTS_MAX);
  assert_int_equal(COUNTED(GUESTS_REFUSED), 0);
  wishes("more", 1, 0);
  for_ms(1);
  assert_int_equal(world.said.error, VESTA_ERR_NO_RESOURCES);
  assert_int_equal(COUNTED(GUESTS_REFUSED), 1);
  says("0", &(wire_message_t){.kind = WIRE_PROGRESS, .state = WIRE_PROGRESS_STREAM_END, .handle = world.handles});
  for_ms(1);
  wishes("more", 2, 0);
  for_ms(1);
  assert_int_equal(world.said.error, VESTA_OK);
}

static void who_is_silent_for_the_lease_is_given_up_and_not_before(void **state) {
  (void)state;
  wishes("a", 1, 0);
  for_ms(1);
  int64_t heard_ns = world.now_ns;
  alive("a", 1);
  until(heard_ns + (int64_t)VESTA_GUEST_LEASE_MS * MS);
  assert_int_equal(COUNTED(GUESTS), 1);
  for_ms(1001);
  assert_int_equal(COUNTED(GUESTS), 0);
  assert_int_equal(COUNTED(GUESTS_EXPIRED), 1);
  assert_int_equal(world.open, 0);
}

static void who_is_silent_but_subscribed_stays(void **state) {
  (void)state;
  wishes("a", 1, 0);
  wishes("b", 1, 0);
  world.listeners = 2;
  for_ms(10 * (int64_t)VESTA_GUEST_LEASE_MS);
  assert_int_equal(COUNTED(GUESTS), 2);
  world.listeners = 1; /* one of them is gone: who was heard is not */
  alive("b", 2);
  for_ms(2000);
  assert_int_equal(COUNTED(GUESTS), 1);
  alive("b", 2);
  assert_int_not_equal(world.said.error, VESTA_ERR_ACCESS);
}

static void when_the_session_is_lost_there_is_another_and_guests_ask_anew(void **state) {
  (void)state;
  wishes("a", 1, 0);
  for_ms(1);
  world.error = VESTA_ERR_BAD_HANDLE; /* the node closed it, far from its cluster */
  wishes("b", 1, 0);
  stream_guests_turn(world.guests, world.now_ns);
  world.error = VESTA_OK;
  for_ms(200);
  assert_int_equal(world.asked[WIRE_HELLO], 2);
  assert_int_equal(world.links_left, 1);
  assert_string_equal(world.said.identity, "b");
  assert_int_equal(world.said.error, VESTA_OK);
  alive("a", 1);
  assert_string_equal(world.said.identity, "a");
  assert_int_equal(world.said.error, VESTA_ERR_ACCESS); /* it is not known here any more */
  wishes("a", 2, 101);
  for_ms(1);
  assert_int_equal(world.said.error, VESTA_OK);
  assert_int_equal(COUNTED(GUESTS), 2);
}

static void a_stream_whose_session_has_it_open_no_more_is_not_handed_out(void **state) {
  (void)state;
  wishes("a", 1, 0);
  for_ms(1);
  world.check = VESTA_ERR_ACCESS;
  wishes("a", 2, 101);
  world.check = VESTA_OK;
  for_ms(200);
  assert_int_equal(world.asked[WIRE_HELLO], 2);
  assert_int_equal(world.said.error, VESTA_OK);
  assert_int_equal(world.said.number, 2);
}

static void when_the_node_closes_the_link_another_is_made(void **state) {
  (void)state;
  wishes("a", 1, 0);
  for_ms(1);
  stream_guests_link_closed(world.guests, world.link);
  wishes("b", 1, 0);
  for_ms(200);
  assert_int_equal(world.asked[WIRE_HELLO], 2);
  assert_int_equal(COUNTED(GUESTS), 1);
}

static void a_handle_that_is_closed_before_its_stream_is_there_is_opened_again(void **state) {
  (void)state;
  wishes("a", 1, 0);
  world.answers = false;
  stream_guests_turn(world.guests, world.now_ns);
  node_answer(&world.last); /* HELLO */
  stream_guests_turn(world.guests, world.now_ns);
  node_answer(&world.last); /* OPEN */
  stream_guests_turn(world.guests, world.now_ns);
  assert_int_equal(world.last.kind, WIRE_STREAM);
  world.error = VESTA_ERR_BAD_HANDLE;
  node_answer(&world.last);
  assert_int_equal(world.said_count, 0); /* what would a guest do with a handle? */
  world.error = VESTA_OK;
  world.answers = true;
  for_ms(200);
  assert_int_equal(world.asked[WIRE_OPEN], 2);
  assert_int_equal(world.said.error, VESTA_OK);
  assert_int_equal(world.said.handle, 2);
}

static void a_crowd_asks_for_no_more_at_a_time_than_the_node_remembers_answers_of(void **state) {
  (void)state;
  char identity[16];
  wishes("first", 1, 0);
  for_ms(1);
  world.answers = false;
  for (uint32_t i = 0; i < VESTA_SESSION_WINDOW + 10; i++) {
    (void)snprintf(identity, sizeof identity, "%u", i);
    wishes(identity, 1, 0);
  }
  for_ms(500);
  assert_int_equal(world.asked[WIRE_OPEN], 1 + VESTA_SESSION_WINDOW);
  assert_true(stream_guests_wake_ns(world.guests) > world.now_ns);
  world.answers = true;
  node_answer(&world.last); /* one answer, one thing more */
  for_ms(1);
  assert_int_equal(world.asked[WIRE_OPEN], 1 + VESTA_SESSION_WINDOW + 10);
  assert_int_equal(COUNTED(GUESTS_FOLLOWED), 1 + 1 + 10);
}

static void who_asks_again_where_there_is_no_replica_now_is_answered_when_there_is_one(void **state) {
  (void)state;
  wishes("a", 1, 0);
  for_ms(1);
  world.check = VESTA_ERR_TRY_AGAIN;
  world.error = VESTA_ERR_TRY_AGAIN;
  wishes("a", 2, 101);
  for_ms(1000);
  assert_int_equal(world.said_count, 1);
  assert_true(world.asked[WIRE_STREAM] > 2); /* which makes the node get one */
  world.check = VESTA_OK;
  world.error = VESTA_OK;
  for_ms(200);
  assert_int_equal(world.said_count, 2);
  assert_int_equal(world.said.number, 2);
  assert_int_equal(world.said.member, 101); /* and it keeps its place */
  assert_int_equal(world.asked[WIRE_HELLO], 1);
  assert_int_equal(world.asked[WIRE_OPEN], 1);
  assert_int_equal(COUNTED(GUESTS_FOLLOWED), 1);
}

static void a_handle_of_an_earlier_life_is_not_that_of_another_guest(void **state) {
  (void)state;
  wishes("a", 1, 0);
  for_ms(1);
  wire_message_t end = {.kind = WIRE_PROGRESS, .state = WIRE_PROGRESS_STREAM_END, .handle = 1, .member = 77};
  says("b", &end);
  for_ms(1);
  assert_int_equal(world.said.error, VESTA_ERR_ACCESS);
  assert_string_equal(world.said.identity, "b");
  assert_int_equal(COUNTED(GUESTS), 1);
  end.member = 101;
  says("a", &end);
  for_ms(1);
  assert_int_equal(COUNTED(GUESTS), 0);
}

static void other_messages_are_left_to_others(void **state) {
  (void)state;
  stream_guest_t who = guest("a");
  for (uint64_t kind = 1; kind < 256; kind++) {
    wire_message_t message = {.kind = kind, .handle = 1, .name = vesta_bytes("n", 1)};
    bool ours = kind == WIRE_FOLLOW_GET || kind == WIRE_PROGRESS;
    assert_int_equal(stream_guests_came(world.guests, &who, &message, world.now_ns), ours);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define GUESTS_TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
      GUESTS_TEST(a_guest_gets_a_handle_and_a_stream_and_gives_them_back),
      GUESTS_TEST(a_wish_that_is_repeated_is_answered_again_and_asked_for_once),
      GUESTS_TEST(a_stream_that_comes_back_on_another_connection_goes_on),
      GUESTS_TEST(nobody_gets_the_stream_of_another_key),
      GUESTS_TEST(what_the_node_refuses_the_guest_is_told),
      GUESTS_TEST(what_can_not_be_had_now_is_asked_for_while_the_guest_asks),
      GUESTS_TEST(who_goes_while_it_is_let_in_leaves_nothing_open),
      GUESTS_TEST(what_can_not_be_closed_now_is_closed_later),
      GUESTS_TEST(guests_at_the_limit_are_served_and_one_more_is_refused),
      GUESTS_TEST(who_is_silent_for_the_lease_is_given_up_and_not_before),
      GUESTS_TEST(who_is_silent_but_subscribed_stays),
      GUESTS_TEST(when_the_session_is_lost_there_is_another_and_guests_ask_anew),
      GUESTS_TEST(a_stream_whose_session_has_it_open_no_more_is_not_handed_out),
      GUESTS_TEST(when_the_node_closes_the_link_another_is_made),
      GUESTS_TEST(a_handle_that_is_closed_before_its_stream_is_there_is_opened_again),
      GUESTS_TEST(a_crowd_asks_for_no_more_at_a_time_than_the_node_remembers_answers_of),
      GUESTS_TEST(who_asks_again_where_there_is_no_replica_now_is_answered_when_there_is_one),
      GUESTS_TEST(a_handle_of_an_earlier_life_is_not_that_of_another_guest),
      GUESTS_TEST(other_messages_are_left_to_others),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
