/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The agents' door by itself: links that say nothing, links that are closed while they speak, and a socket that hides.
 */
#include "daemon/agent_server.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];
static char path[96];
static loop_t *loop;
static agent_server_t *server;
static int requests;
static int gone;
static bool close_at_once;
static bool answer_all;

static void on_request(void *context, const agent_request_t *request) {
  (void)context;
  wire_message_t reply = {.kind = WIRE_REPLY, .number = request->message->number};
  requests++;
  if (answer_all) {
    agent_server_send(server, request->link, &reply, vesta_bytes(NULL, 0), -1);
  }
  if (close_at_once) {
    agent_server_send(server, request->link, &reply, vesta_bytes(NULL, 0), -1);
    agent_server_close_link(server, request->link);
  }
}

static void on_gone(void *context, uint64_t link) {
  (void)context;
  (void)link;
  gone++;
}

static vesta_err_t server_open(agent_server_t **out) {
  char why[256];
  const agent_server_config_t config = {.socket = path,
                                        .group = PRIVATE_DIR_NO_GROUP,
                                        .clients_max = 4,
                                        .files_max = 100000,
                                        .request = on_request,
                                        .gone = on_gone};
  return agent_server_open(&config, loop, out, why, sizeof why);
}

static int server_set_up(void **state) {
  (void)state;
  (void)strcpy(directory, "/tmp/vesta-door-XXXXXX");
  if (mkdtemp(directory) == NULL) {
    return -1;
  }
  (void)snprintf(path, sizeof path, "%s/socket", directory);
  requests = 0;
  gone = 0;
  close_at_once = false;
  answer_all = false;
  loop = loop_new();
  return loop != NULL && server_open(&server) == VESTA_OK ? 0 : -1;
}

static int server_tear_down(void **state) {
  (void)state;
  agent_server_close(&server);
  loop_destroy(&loop);
  return rmdir(directory); /* nothing was left in it */
}

static int connect_client(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
    (void)close(fd);
    return -1;
  }
  return fd;
}

static bool client_ended(int fd) {
  char byte;
  struct pollfd readable = {.fd = fd, .events = POLLIN};
  while (poll(&readable, 1, 0) == 1) {
    if (recv(fd, &byte, 1, MSG_DONTWAIT) <= 0) {
      return true;
    }
  }
  return false;
}

static void turn_end(void *context) {
  (void)context;
  while (agent_server_reap(server)) {
  }
  loop_stop(loop);
}

static int64_t turn_wake_ns(void *context) {
  (void)context;
  return 0;
}

/* One turn of the loop, without waiting. */
static void turn(void) {
  const loop_turn_t once = {.end = turn_end, .wake_ns = turn_wake_ns};
  assert_true(loop_run(loop, &once));
}

static size_t hello_frame(uint8_t *to) {
  size_t size = 0;
  wire_message_t hello = {.kind = WIRE_HELLO, .number = 1};
  assert_int_equal(wire_encode(&hello, to + WIRE_PREFIX_BYTES, 64, &size), VESTA_OK);
  wire_prefix_encode(to, (uint32_t)size, 0);
  return WIRE_PREFIX_BYTES + size;
}

static void a_link_that_says_nothing_is_closed_after_its_time_and_not_before(void **state) {
  (void)state;
  int client = connect_client();
  assert_true(client >= 0);
  assert_true(agent_server_wake_ns(server) == INT64_MAX);
  turn();
  int64_t at_ns = agent_server_wake_ns(server);
  assert_true(at_ns > loop_steady_ns() && at_ns <= loop_steady_ns() + AGENT_GREETING_NS);
  agent_server_time(server, at_ns - 1);
  assert_false(agent_server_reap(server));
  agent_server_time(server, at_ns);
  assert_true(agent_server_reap(server));
  assert_int_equal(gone, 1);
  assert_int_equal(agent_server_counter(server, AGENT_COUNTER_LINKS_MUTE), 1);
  assert_int_equal(agent_server_counter(server, AGENT_COUNTER_LINKS), 0);
  assert_true(client_ended(client));
  assert_true(agent_server_wake_ns(server) == INT64_MAX);
  (void)close(client);
}

static void a_link_that_greeted_may_be_silent_for_ever(void **state) {
  (void)state;
  uint8_t frame[128];
  int client = connect_client();
  size_t size = hello_frame(frame);
  assert_int_equal(send(client, frame, size, 0), (ssize_t)size);
  (void)agent_server_is_called(server); /* takes it in; what it said comes with the turn */
  turn();
  assert_int_equal(requests, 1);
  assert_true(agent_server_wake_ns(server) == INT64_MAX);
  (void)close(client);
}

static void nothing_is_read_from_a_link_that_is_being_closed(void **state) {
  (void)state;
  uint8_t frames[256];
  size_t size = hello_frame(frames);
  memcpy(frames + size, frames, size);
  int client = connect_client();
  assert_int_equal(send(client, frames, 2 * size, 0), (ssize_t)(2 * size));
  (void)agent_server_is_called(server);
  close_at_once = true;
  turn();
  assert_int_equal(requests, 1);
  assert_int_equal(gone, 1);
  uint8_t answer[128];
  assert_true(recv(client, answer, sizeof answer, 0) > (ssize_t)WIRE_PREFIX_BYTES); /* its answer was sent before */
  assert_true(client_ended(client));
  (void)close(client);
}

/* ---- many at once ---- */

static uint8_t sent_bytes[1 << 18];
static uint8_t answered_bytes[1 << 18];

/* A greeting and then requests, numbered on from it, so many that they are sent and received at once. @return bytes */
static size_t many_frames(uint32_t count) {
  size_t end = hello_frame(sent_bytes);
  for (uint32_t number = 2; number <= count; number++) {
    size_t size = 0;
    wire_message_t request = {.kind = WIRE_INFO, .number = number};
    assert_int_equal(wire_encode(&request, sent_bytes + end + WIRE_PREFIX_BYTES, 64, &size), VESTA_OK);
    wire_prefix_encode(sent_bytes + end, (uint32_t)size, 0);
    end += WIRE_PREFIX_BYTES + size;
  }
  return end;
}

/* What came are the answers 1 to `count`, in order and whole. */
static void assert_answers(int client, uint32_t count) {
  wire_decoder_t *decoder = wire_decoder_new();
  ssize_t got = recv(client, answered_bytes, sizeof answered_bytes, MSG_DONTWAIT);
  assert_true(got > 0);
  size_t at = 0;
  for (uint32_t number = 1; number <= count; number++) {
    uint32_t head_bytes;
    uint32_t payload_bytes;
    wire_message_t reply;
    assert_true(at + WIRE_PREFIX_BYTES <= (size_t)got);
    assert_int_equal(wire_prefix_decode(answered_bytes + at, &head_bytes, &payload_bytes), VESTA_OK);
    assert_int_equal(wire_decode(decoder, answered_bytes + at + WIRE_PREFIX_BYTES, head_bytes, &reply), VESTA_OK);
    assert_int_equal(reply.number, number);
    at += WIRE_PREFIX_BYTES + head_bytes;
  }
  assert_int_equal(at, got);
  wire_decoder_destroy(&decoder);
}

static void requests_that_come_together_are_all_answered_in_order(void **state) {
  (void)state;
  const uint32_t count = 6000; /* more answers than wait to be sent together */
  size_t size = many_frames(count);
  answer_all = true;
  int client = connect_client();
  turn();
  assert_int_equal(send(client, sent_bytes, size, 0), size);
  turn();
  assert_int_equal(requests, count);
  assert_answers(client, count);
  (void)close(client);
  turn();
}

static void what_was_answered_before_a_fault_of_the_client_is_sent(void **state) {
  (void)state;
  size_t size = many_frames(10);
  answer_all = true;
  int client = connect_client();
  turn();
  memset(sent_bytes + size, 0xff, WIRE_PREFIX_BYTES); /* no prefix at all */
  assert_int_equal(send(client, sent_bytes, size + WIRE_PREFIX_BYTES, 0), size + WIRE_PREFIX_BYTES);
  turn();
  assert_int_equal(agent_server_counter(server, AGENT_COUNTER_LINKS_MALFORMED), 1);
  assert_answers(client, 10);
  (void)close(client);
}

static void a_hidden_socket_has_who_came_before_and_nobody_after(void **state) {
  (void)state;
  assert_true(agent_server_hide(server));
  assert_int_equal(connect_client(), -1);
  assert_false(agent_server_is_called(server));
  agent_server_show(server);
  int client = connect_client();
  assert_true(client >= 0);
  assert_true(agent_server_hide(server));
  assert_true(agent_server_is_called(server));
  agent_server_show(server);
  int second = connect_client();
  assert_true(second >= 0);
  (void)close(client);
  (void)close(second);
}

static void a_hidden_socket_leaves_nothing_behind(void **state) {
  (void)state;
  assert_true(agent_server_hide(server)); /* the tear-down removes the directory, which must be empty */
}

static void a_socket_that_is_served_is_not_taken(void **state) {
  (void)state;
  agent_server_t *second = NULL;
  assert_int_equal(server_open(&second), VESTA_ERR_BUSY);
  int client = connect_client();
  assert_true(client >= 0);
  (void)close(client);
}

#define server_case(test) cmocka_unit_test_setup_teardown(test, server_set_up, server_tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      server_case(a_link_that_says_nothing_is_closed_after_its_time_and_not_before),
      server_case(a_link_that_greeted_may_be_silent_for_ever),
      server_case(nothing_is_read_from_a_link_that_is_being_closed),
      server_case(requests_that_come_together_are_all_answered_in_order),
      server_case(what_was_answered_before_a_fault_of_the_client_is_sent),
      server_case(a_hidden_socket_has_who_came_before_and_nobody_after),
      server_case(a_hidden_socket_leaves_nothing_behind),
      server_case(a_socket_that_is_served_is_not_taken),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
