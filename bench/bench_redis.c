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
  (void)execlp(SERVER, SERVER, "--bind", "127.0.0.1", "--port", arguments[1], "--unixsocket", arguments[0], "--dir",
               arguments[2], "--save", "", "--appendonly", "no", "--notify-keyspace-events", "KEA",
               "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--enable-debug-command", "no",
               strcmp(arguments[3], "0") == 0 ? NULL : "--replicaof", "127.0.0.1", arguments[3], NULL);
  return 1;
}

/* One that nobody listens at now. */
static int redis_free_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
    scene_fail("no port is free");
  }
  (void)close(fd);
  return ntohs(address.sin_port);
}

bench_redis_t *bench_redis_new(const char *directory, const char *name, const bench_redis_t *master) {
  bench_redis_t *redis = calloc(1, sizeof *redis);
  char port[16];
  char master_port[16];
  if (redis == NULL) {
    scene_fail("out of memory");
  }
  redis->port = redis_free_port();
  redis->client.fd = -1;
  (void)snprintf(redis->path, sizeof redis->path, "%s/%s", directory, name);
  (void)snprintf(port, sizeof port, "%d", redis->port);
  (void)snprintf(master_port, sizeof master_port, "%d", master == NULL ? 0 : master->port);
  const char *arguments[] = {redis->path, port, directory, master_port, NULL};
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

size_t bench_redis_set(char *request, size_t capacity, const void *value, size_t bytes) {
  int head = snprintf(request, capacity, "*3\r\n$3\r\nSET\r\n$3\r\n" BENCH_REDIS_KEY "\r\n$%zu\r\n", bytes);
  if (head < 0 || (size_t)head + bytes + 2 > capacity) {
    scene_fail("a request to " SERVER " is too long");
  }
  memcpy(request + head, value, bytes);
  memcpy(request + (size_t)head + bytes, "\r\n", 2);
  return (size_t)head + bytes + 2;
}
