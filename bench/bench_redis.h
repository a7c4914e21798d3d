/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Servers of Redis for the bench to measure itself against: started by it, at sockets in its own directory and a port
 * that was free, without persistence, killed with it.
 */
#ifndef VESTA_BENCH_REDIS_H
#define VESTA_BENCH_REDIS_H

#include <stdbool.h>
#include <sys/types.h>

#include "bench/resp_client.h"

typedef struct bench_redis {
  pid_t process;
  int port; /* TCP, of this machine only: a replica needs it */
  char path[160];
  resp_client_t client; /* at the socket */
} bench_redis_t;

/** Is redis-server installed? */
bool bench_redis_is_there(void);
/** Start one that tells of every key that is set. `master`: it is its replica; NULL: it is none. */
bench_redis_t *bench_redis_new(const char *directory, const char *name, const bench_redis_t *master);
void bench_redis_destroy(bench_redis_t **redis);
/** Send requests and take the last one's reply out of `replies`; fails when that is an error. */
void bench_redis_call(resp_client_t *client, const char *requests, size_t size, unsigned replies, resp_reply_t *last);
/** SET the bench's one key to `bytes` bytes, as a request. @return its size */
size_t bench_redis_set(char *request, size_t capacity, const void *value, size_t bytes);

#define BENCH_REDIS_KEY "one"
#define BENCH_REDIS_ROLE "redis"
int bench_redis_run(char **arguments);

#endif
