/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ZeroMQ between two nodes. See bench_between.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "bench/bench_between.h"
#include "bench/scene.h"

#define REQUEST_BYTES 156U /* as that of an overwrite of 100 B, with its head */
#define REPLY_BYTES 32U
#define ECHO_PORT 7499
#define ECHO_LIMIT_MS 10000

struct bench_zmq_echo {
  void *context, *socket;
  pid_t process;
};

static void zmq_require(bool good, const char *what) {
  if (!good) {
    scene_fail("ZeroMQ: %s: %s", what, zmq_strerror(zmq_errno()));
  }
}

bench_zmq_echo_t *bench_zmq_echo_new(const bench_nodes_t *nodes, uint32_t here, uint32_t there) {
  bench_zmq_echo_t *echo = calloc(1, sizeof *echo);
  const int limit_ms = ECHO_LIMIT_MS;
  const int none = 0;
  char address[16];
  char endpoint[64];
  bench_nodes_address(2, address);
  (void)snprintf(endpoint, sizeof endpoint, "tcp://%s:%d", address, ECHO_PORT);
  const char *arguments[] = {endpoint, NULL};
  scene_place_at(there);
  bench_nodes_enter(nodes, 2);
  echo->process = scene_spawn(BENCH_ZMQ_ECHO_ROLE, arguments);
  scene_place_at(here);
  bench_nodes_enter(nodes, 1);
  echo->context = zmq_ctx_new();
  echo->socket = zmq_socket(echo->context, ZMQ_DEALER); /* its thread begins in this network and stays in it */
  bench_nodes_leave();
  zmq_require(echo->socket != NULL, "socket");
  (void)zmq_setsockopt(echo->socket, ZMQ_LINGER, &none, sizeof none);
  (void)zmq_setsockopt(echo->socket, ZMQ_RCVTIMEO, &limit_ms, sizeof limit_ms);
  zmq_require(zmq_connect(echo->socket, endpoint) == 0, "connect");
  return echo;
}

void bench_zmq_echo_destroy(bench_zmq_echo_t **echo) {
  (void)zmq_close((*echo)->socket);
  (void)zmq_ctx_term((*echo)->context);
  scene_kill((*echo)->process);
  free(*echo);
  *echo = NULL;
}

void bench_zmq_echo_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  bench_zmq_echo_t *echo = context;
  uint8_t bytes[REQUEST_BYTES] = {0};
  int64_t start_ns = scene_now_ns();
  int64_t now_ns = start_ns;
  while (now_ns < start_ns + duration_ns) {
    int64_t before_ns = now_ns;
    zmq_require(zmq_send(echo->socket, bytes, sizeof bytes, 0) >= 0, "send");
    zmq_require(zmq_recv(echo->socket, bytes, sizeof bytes, 0) == REPLY_BYTES, "receive");
    now_ns = scene_now_ns();
    bench_samples_add(samples, (double)(now_ns - before_ns));
  }
}

int bench_zmq_echo_run(char **arguments) {
  void *context = zmq_ctx_new();
  void *socket = zmq_socket(context, ZMQ_ROUTER);
  uint8_t identity[256];
  uint8_t bytes[REQUEST_BYTES] = {0};
  zmq_require(zmq_bind(socket, arguments[0]) == 0, "bind");
  for (;;) {
    int size = zmq_recv(socket, identity, sizeof identity, 0);
    zmq_require(size > 0 && zmq_recv(socket, bytes, sizeof bytes, 0) >= 0, "receive");
    zmq_require(zmq_send(socket, identity, (size_t)size, ZMQ_SNDMORE) >= 0, "send");
    zmq_require(zmq_send(socket, bytes, REPLY_BYTES, 0) >= 0, "send");
  }
}
