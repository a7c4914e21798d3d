/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Echo, memcpy: the least that the machine takes. See bench_floor.h.
 */
#include "bench/bench_floor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench/scene.h"

/* ---- echo ---- */

#define REQUEST_HEAD_BYTES 48U /* as that of an overwrite, and of its answer */
#define REPLY_HEAD_BYTES 24U
#define BOTH_HEAD_BYTES (REQUEST_HEAD_BYTES - 1U) /* asks for the payload back */
#define RECEIVE_BYTES 65536U

typedef struct echo_prefix {
  uint32_t head_bytes, payload_bytes;
} echo_prefix_t;

struct bench_echo {
  int fd;
  pid_t process;
  size_t payload_bytes;
  uint8_t *payload;
  uint8_t *received; /* as large as the payload: it may come back */
};

static void *bench_allocate(size_t size) {
  void *memory = calloc(1, size);
  if (memory == NULL) {
    scene_fail("out of memory");
  }
  return memory;
}

bench_echo_t *bench_echo_new(void) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    scene_fail("socketpair: %s", strerror(errno));
  }
  return bench_echo_new_over(ends);
}

bench_echo_t *bench_echo_new_over(const int ends[2]) {
  char text[16];
  bench_echo_t *echo = bench_allocate(sizeof *echo);
  if (fcntl(ends[1], F_SETFD, 0) != 0) {
    scene_fail("fcntl: %s", strerror(errno));
  }
  (void)snprintf(text, sizeof text, "%d", ends[1]);
  const char *arguments[] = {text, NULL};
  echo->process = scene_spawn(BENCH_ECHO_ROLE, arguments);
  (void)close(ends[1]);
  echo->fd = ends[0];
  echo->payload = bench_allocate(BENCH_PAYLOAD_BYTES_MAX);
  echo->received = bench_allocate(RECEIVE_BYTES + BENCH_PAYLOAD_BYTES_MAX);
  return echo;
}

void bench_echo_destroy(bench_echo_t **echo) {
  scene_kill((*echo)->process);
  (void)close((*echo)->fd);
  free((*echo)->payload);
  free((*echo)->received);
  free(*echo);
  *echo = NULL;
}

void bench_echo_size(bench_echo_t *echo, size_t payload_bytes) { echo->payload_bytes = payload_bytes; }

static void echo_send(int fd, uint32_t head_bytes, void *payload, size_t payload_bytes) {
  struct {
    echo_prefix_t prefix;
    uint8_t head[REQUEST_HEAD_BYTES];
  } front = {.prefix = {.head_bytes = head_bytes, .payload_bytes = (uint32_t)payload_bytes}};
  struct iovec parts[2] = {{&front, sizeof front.prefix + head_bytes}, {payload, payload_bytes}};
  size_t left = parts[0].iov_len + payload_bytes;
  while (left > 0) {
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = payload_bytes > 0 ? 2 : 1};
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0) {
      scene_fail("echo: %s", strerror(errno));
    }
    left -= (size_t)sent;
    for (size_t i = 0; i < 2; i++) {
      size_t taken = (size_t)sent < parts[i].iov_len ? (size_t)sent : parts[i].iov_len;
      parts[i].iov_base = (uint8_t *)parts[i].iov_base + taken;
      parts[i].iov_len -= taken;
      sent -= (ssize_t)taken;
    }
  }
}

/* Receive one frame, as often as it takes. @return false: the other side is gone */
static bool echo_receive(int fd, uint8_t *buffer, echo_prefix_t *prefix) {
  const size_t capacity = RECEIVE_BYTES + BENCH_PAYLOAD_BYTES_MAX;
  size_t received = 0;
  size_t whole = sizeof(echo_prefix_t);
  while (received < whole) {
    size_t at = received < RECEIVE_BYTES ? received : 0;
    ssize_t got = recv(fd, buffer + at, capacity - at, 0);
    if (got <= 0) {
      return false;
    }
    received += (size_t)got;
    if (received >= sizeof(echo_prefix_t) && whole == sizeof(echo_prefix_t)) {
      memcpy(prefix, buffer, sizeof *prefix);
      whole += prefix->head_bytes + prefix->payload_bytes;
    }
  }
  return true;
}

static void echo_block(bench_echo_t *echo, uint32_t head_bytes, int64_t duration_ns, bench_samples_t *samples) {
  echo_prefix_t prefix;
  int64_t start_ns = scene_now_ns();
  int64_t now_ns = start_ns;
  while (now_ns < start_ns + duration_ns) {
    int64_t before_ns = now_ns;
    echo_send(echo->fd, head_bytes, echo->payload, echo->payload_bytes);
    if (!echo_receive(echo->fd, echo->received, &prefix)) {
      scene_fail("the echo has ended");
    }
    now_ns = scene_now_ns();
    bench_samples_add(samples, (double)(now_ns - before_ns));
  }
}

void bench_echo_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  echo_block(context, REQUEST_HEAD_BYTES, duration_ns, samples);
}

void bench_echo_both_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  echo_block(context, BOTH_HEAD_BYTES, duration_ns, samples);
}

int bench_echo_run(char **arguments) {
  int fd = (int)strtol(arguments[0], NULL, 10);
  uint8_t *buffer = bench_allocate(RECEIVE_BYTES + BENCH_PAYLOAD_BYTES_MAX);
  echo_prefix_t prefix;
  while (echo_receive(fd, buffer, &prefix)) {
    bool both = prefix.head_bytes == BOTH_HEAD_BYTES;
    echo_send(fd, REPLY_HEAD_BYTES, both ? buffer : NULL, both ? prefix.payload_bytes : 0);
  }
  free(buffer);
  return 0;
}

/* ---- memcpy ---- */

#define MEMCPY_BATCH 64 /* one alone is shorter than reading the clock */

void bench_memcpy_block(void *size, int64_t duration_ns, bench_samples_t *samples) {
  size_t bytes = *(const size_t *)size;
  uint8_t *from = bench_allocate(bytes);
  uint8_t *to = bench_allocate(bytes);
  int64_t start_ns = scene_now_ns();
  int64_t now_ns = start_ns;
  while (now_ns < start_ns + duration_ns) {
    int64_t before_ns = now_ns;
    for (int i = 0; i < MEMCPY_BATCH; i++) {
      memcpy(to, from, bytes);
      __asm__ volatile("" : : "r"(to) : "memory"); /* the copy must be made each time */
    }
    now_ns = scene_now_ns();
    bench_samples_add(samples, (double)(now_ns - before_ns) / MEMCPY_BATCH);
  }
  free(from);
  free(to);
}
