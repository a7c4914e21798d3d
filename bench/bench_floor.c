/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Echo, publish, memcpy: the least that the machine takes. See bench_floor.h.
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
#include <zmq.h>

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
  char text[16];
  bench_echo_t *echo = bench_allocate(sizeof *echo);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || fcntl(ends[0], F_SETFD, FD_CLOEXEC) != 0) {
    scene_fail("socketpair: %s", strerror(errno));
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

/* ---- publish ---- */

#define HIGH_WATER 65536            /* messages; the publisher waits there, so none is dropped */
#define FLOOD_BYTES_MAX (64U << 20) /* under way at most, so that large messages do not fill the memory */

struct bench_publish {
  void *zmq;
  void *socket;
  pid_t process;
  bench_meter_t meter;
  uint64_t sent;
  size_t payload_bytes;
  uint8_t *payload;
};

static void bench_zmq_require(int result, const char *call) {
  if (result < 0) {
    scene_fail("%s: %s", call, zmq_strerror(zmq_errno()));
  }
}

static void publish_send(bench_publish_t *publish) {
  int64_t now_ns = scene_now_ns();
  memcpy(publish->payload, &now_ns, sizeof now_ns);
  bench_zmq_require(zmq_send(publish->socket, publish->payload, publish->payload_bytes, 0), "zmq_send");
  publish->sent++;
}

bench_publish_t *bench_publish_new(const char *directory) {
  const int one = 1;
  const int high_water = HIGH_WATER;
  char endpoint[160];
  char text[16];
  bench_publish_t *publish = bench_allocate(sizeof *publish);
  bench_meter_init(&publish->meter, directory, "publish");
  (void)snprintf(endpoint, sizeof endpoint, "ipc://%s/publish", directory);
  publish->payload = bench_allocate(BENCH_PAYLOAD_BYTES_MAX);
  publish->payload_bytes = sizeof(int64_t);
  publish->zmq = zmq_ctx_new();
  publish->socket = zmq_socket(publish->zmq, ZMQ_XPUB);
  bench_zmq_require(zmq_setsockopt(publish->socket, ZMQ_XPUB_NODROP, &one, sizeof one), "zmq_setsockopt");
  bench_zmq_require(zmq_setsockopt(publish->socket, ZMQ_SNDHWM, &high_water, sizeof high_water), "zmq_setsockopt");
  bench_zmq_require(zmq_bind(publish->socket, endpoint), "zmq_bind");
  const char *arguments[] = {endpoint, publish->meter.path, bench_meter_fd_text(&publish->meter, text), NULL};
  publish->process = scene_spawn(BENCH_SUBSCRIBER_ROLE, arguments);
  /* The subscription itself arrives as a message: from then on nothing is missed. */
  bench_zmq_require(zmq_recv(publish->socket, publish->payload, BENCH_PAYLOAD_BYTES_MAX, 0), "zmq_recv");
  return publish;
}

void bench_publish_destroy(bench_publish_t **publish) {
  const int none = 0;
  scene_kill((*publish)->process);
  (void)zmq_setsockopt((*publish)->socket, ZMQ_LINGER, &none, sizeof none);
  (void)zmq_close((*publish)->socket);
  (void)zmq_ctx_term((*publish)->zmq);
  bench_meter_fini(&(*publish)->meter);
  free((*publish)->payload);
  free(*publish);
  *publish = NULL;
}

void bench_publish_size(bench_publish_t *publish, size_t payload_bytes) { publish->payload_bytes = payload_bytes; }

void bench_publish_latency_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  bench_publish_t *publish = context;
  int64_t end_ns = scene_now_ns() + duration_ns;
  publish->meter.shared->paced = true;
  while (scene_now_ns() < end_ns) {
    publish_send(publish);
    bench_samples_add(samples, (double)bench_meter_wait_one(&publish->meter));
  }
  publish->meter.shared->paced = false;
}

void bench_publish_flood_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  bench_publish_t *publish = context;
  uint64_t ahead_max = FLOOD_BYTES_MAX / publish->payload_bytes;
  uint64_t before = publish->sent;
  int64_t start_ns = scene_now_ns();
  while (scene_now_ns() < start_ns + duration_ns) {
    if (publish->sent - publish->meter.shared->count > ahead_max) {
      scene_pause(SCENE_MS / 10);
    } else {
      publish_send(publish);
    }
  }
  int64_t last_ns = bench_meter_wait_count(&publish->meter, publish->sent);
  bench_samples_add(samples, (double)(last_ns - start_ns) / (double)(publish->sent - before));
}

int bench_subscriber_run(char **arguments) {
  const int high_water = HIGH_WATER;
  bench_meter_t meter;
  bench_meter_attach(&meter, arguments[1], arguments[2]);
  void *zmq = zmq_ctx_new();
  void *socket = zmq_socket(zmq, ZMQ_SUB);
  bench_zmq_require(zmq_setsockopt(socket, ZMQ_RCVHWM, &high_water, sizeof high_water), "zmq_setsockopt");
  bench_zmq_require(zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0), "zmq_setsockopt");
  bench_zmq_require(zmq_connect(socket, arguments[0]), "zmq_connect");
  for (;;) {
    zmq_msg_t message;
    (void)zmq_msg_init(&message);
    bench_zmq_require(zmq_msg_recv(&message, socket, 0), "zmq_msg_recv");
    bench_meter_note(&meter, zmq_msg_data(&message));
    (void)zmq_msg_close(&message);
  }
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
