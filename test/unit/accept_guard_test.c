/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Doors: who came through one is named by its descriptor, and counted at that door alone.
 */
#include "daemon/accept_guard.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct gate {
  int fd; /* it listens */
  uint16_t port;
} gate_t;

/* A listener at a free port, which becomes a door. */
static gate_t gate_make(uint32_t links_max) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  gate_t gate = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  assert_int_equal(bind(gate.fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(gate.fd, 8), 0);
  assert_int_equal(getsockname(gate.fd, (struct sockaddr *)&address, &size), 0);
  gate.port = ntohs(address.sin_port);
  accept_guard_door(gate.port, links_max);
  return gate;
}

static void gate_remove(gate_t gate) {
  accept_guard_door_end(gate.port);
  (void)close(gate.fd);
}

/* From one of the addresses 127.0.0.x. */
static int gate_knock(gate_t gate, uint32_t from) {
  struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(0x7F000000U + from)}};
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  address.sin_port = htons(gate.port);
  assert_int_equal(bind(fd, (struct sockaddr *)&source, sizeof source), 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

/* Who knocked is let in; -1: is not. */
static int gate_open(gate_t gate) { return accept4(gate.fd, NULL, NULL, SOCK_CLOEXEC); }

static void a_descriptor_is_named_by_who_came_with_it_last_through_whichever_door(void **state) {
  (void)state;
  char address[ACCEPT_GUARD_ADDRESS_BYTES];
  int ends[2];
  gate_t first = gate_make(4);
  gate_t second = gate_make(4);
  ends[0] = gate_knock(second, 2);
  int old = gate_open(second);
  ends[1] = gate_knock(first, 3);
  assert_true(old >= 0 && accept_guard_address(old, address));
  assert_string_equal(address, "127.0.0.2");
  (void)close(old);
  int link = gate_open(first);
  assert_int_equal(link, old); /* the lowest that is free */
  assert_true(accept_guard_address(link, address));
  assert_string_equal(address, "127.0.0.3");
  (void)close(link);
  (void)close(ends[0]);
  (void)close(ends[1]);
  gate_remove(first);
  gate_remove(second);
}

static void so_many_are_let_in_and_one_more_is_refused_at_that_door_alone(void **state) {
  (void)state;
  int ends[4];
  gate_t gates[ACCEPT_GUARD_DOORS_MAX];
  for (uint32_t i = 0; i < ACCEPT_GUARD_DOORS_MAX; i++) {
    gates[i] = gate_make(1);
  }
  gate_t last = gates[ACCEPT_GUARD_DOORS_MAX - 1];
  ends[0] = gate_knock(last, 1);
  int in = gate_open(last);
  assert_true(in >= 0);
  ends[1] = gate_knock(last, 1);
  assert_int_equal(gate_open(last), -1);
  assert_int_equal(accept_guard_door_refused(last.port), 1);
  assert_int_equal(accept_guard_door_refused(gates[0].port), 0);
  ends[2] = gate_knock(gates[0], 1);
  int other = gate_open(gates[0]);
  assert_true(other >= 0);
  (void)close(in);
  ends[3] = gate_knock(last, 1);
  in = gate_open(last); /* there is room again */
  assert_true(in >= 0);
  (void)close(in);
  (void)close(other);
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    (void)close(ends[i]);
  }
  for (uint32_t i = 0; i < ACCEPT_GUARD_DOORS_MAX; i++) {
    gate_remove(gates[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_descriptor_is_named_by_who_came_with_it_last_through_whichever_door),
      cmocka_unit_test(so_many_are_let_in_and_one_more_is_refused_at_that_door_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
