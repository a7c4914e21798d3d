/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Starting redis-server, and speaking to it. See bench_redis.h.
 */
#include "bench/bench_redis.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/scene.h"

#define SERVER "redis-server"
#define START_LIMIT_NS (10 * SCENE_SECOND)

bool bench_redis_is_there(void) {
  return system("command -v " SERVER " >/dev/null 2>&1") == 0; // NOLINT: a constant
}

/* The process of a server: this program until it is that one. What it says is of no interest. */
int bench_redis_run(char **arguments) {
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0) {
    return 1;
  }
  (void)execlp(SERVER, SERVER, "--bind", arguments[4], "--protected-mode", "no", "--port", arguments[1], "--unixsocket",
               arguments[0], "--dir", arguments[2], "--save", "", "--appendonly", "no", "--notify-keyspace-events",
               "KEA", "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--enable-debug-command", "no",
               strcmp(arguments[3], "0") == 0 ? NULL : "--replicaof", arguments[5], arguments[3], NULL);
  return 1;
}

/* One that nobody listens at now. */
static int redis_free_port(const char *text) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || inet_pton(AF_INET, text, &address.sin_addr) != 1 ||
      bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
    scene_fail("no port is free");
  }
  (void)close(fd);
  return ntohs(address.sin_port);
}

bench_redis_t *bench_redis_new(const char *directory, const char *name, const bench_redis_t *master) {
  return bench_redis_new_at("127.0.0.1", directory, name, master);
}

bench_redis_t *bench_redis_new_at(const char *address, const char *directory, const char *name,
                                  const bench_redis_t *master) {
  bench_redis_t *redis = calloc(1, sizeof *redis);
  char port[16];
  char master_port[16];
  if (redis == NULL) {
    scene_fail("out of memory");
  }
  (void)snprintf(redis->address, sizeof redis->address, "%s", address);
  redis->port = redis_free_port(address);
  redis->client.fd = -1;
  (void)snprintf(redis->path, sizeof redis->path, "%s/%s", directory, name);
  (void)snprintf(port, sizeof port, "%d", redis->port);
  (void)snprintf(master_port, sizeof master_port, "%d", master == NULL ? 0 : master->port);
  const char *arguments[] = {
      redis->path, port, directory, master_port, redis->address, master == NULL ? "" : master->address, NULL};
  redis->process = scene_spawn(BENCH_REDIS_ROLE, arguments);
  int64_t deadline_ns = scene_now_ns() + START_LIMIT_NS;
  while (!resp_client_connect_path(&redis->client, redis->path)) {
    scene_require_running(redis->process, SERVER);
    if (scene_now_ns() > deadline_ns) {
      scene_fail(SERVER " does not listen");
    }
    scene_pause(SCENE_MS);
  }
  return redis;
}

void bench_redis_destroy(bench_redis_t **redis) {
  scene_kill((*redis)->process);
  resp_client_close(&(*redis)->client);
  free(*redis);
  *redis = NULL;
}

void bench_redis_call(resp_client_t *client, const char *requests, size_t size, unsigned replies, resp_reply_t *last) {
  if (!resp_client_send(client, requests, size)) {
    scene_fail(SERVER " is gone");
  }
  for (unsigned i = 0; i < replies; i++) {
    if (!resp_client_receive(client, last)) {
      scene_fail(SERVER " is gone");
    }
    if (last->kind == '-') {
      scene_fail(SERVER ": %.*s", (int)last->size, last->text);
    }
  }
}

/* ---- SET, over and over ---- */

#define REQUEST_BYTES 256U
#define VALUE_BYTES 100U
#define REPLICA_LIMIT_NS (20 * SCENE_SECOND)
#define WAIT "WAIT 1 1000\r\n"

void bench_redis_time_sets(bench_redis_t *server, const char *more, unsigned replies, int64_t duration_ns,
                           bench_samples_t *samples) {
  static const uint8_t value[VALUE_BYTES];
  char request[REQUEST_BYTES];
  resp_reply_t reply;
  size_t size = bench_redis_set(request, sizeof request, value, sizeof value);
  (void)snprintf(request + size, sizeof request - size, "%s", more);
  size += strlen(more);
  int64_t start_ns = scene_now_ns();
  int64_t now_ns = start_ns;
  do {
    int64_t before_ns = now_ns;
    bench_redis_call(&server->client, request, size, replies, &reply);
    now_ns = scene_now_ns();
    if (samples != NULL) {
      bench_samples_add(samples, (double)(now_ns - before_ns));
    }
  } while (now_ns < start_ns + duration_ns);
}

void bench_redis_wait_for_replica(bench_redis_t *master) {
  resp_reply_t reply;
  int64_t deadline_ns = scene_now_ns() + REPLICA_LIMIT_NS;
  do {
    if (scene_now_ns() > deadline_ns) {
      scene_fail("the replica of Redis is not there in time");
    }
    bench_redis_time_sets(master, "", 1, 0, NULL);
    bench_redis_call(&master->client, WAIT, sizeof WAIT - 1, 1, &reply);
  } while (reply.text[0] != '1');
}

void bench_redis_wait_block(void *master, int64_t duration_ns, bench_samples_t *samples) {
  bench_redis_time_sets(master, WAIT, 2, duration_ns, samples);
}

size_t bench_redis_set(char *request, size_t capacity, const void *value, size_t bytes) {
  int head = snprintf(request, capacity, "*3\r\n$3\r\nSET\r\n$3\r\n" BENCH_REDIS_KEY "\r\n$%zu\r\n", bytes);
  if (head < 0 || (size_t)head + bytes + 2 > capacity) {
    scene_fail("a request to " SERVER " is too long");
  }
  memcpy(request + head, value, bytes);
  memcpy(request + (size_t)head + bytes, "\r\n", 2);
  return (size_t)head + bytes + 2;
}
