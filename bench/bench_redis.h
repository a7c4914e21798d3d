/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Servers of Redis for the bench to measure itself against: started by it, at sockets in its own directory and a port
 * that was free, without persistence, killed with it.
 */
#ifndef VESTA_BENCH_REDIS_H
#define VESTA_BENCH_REDIS_H

#include <stdbool.h>
#include <sys/types.h>

#include "bench/bench_samples.h"
#include "bench/resp_client.h"

typedef struct bench_redis {
  pid_t process;
  char address[16]; /* of TCP, and its port: a replica needs it */
  int port;
  char path[160];
  resp_client_t client; /* at the socket */
} bench_redis_t;

/** Is redis-server installed? */
bool bench_redis_is_there(void);
/** Start one that tells of every key that is set. `master`: it is its replica; NULL: it is none. */
bench_redis_t *bench_redis_new(const char *directory, const char *name, const bench_redis_t *master);
/** The same at that address: who reaches it is believed. */
bench_redis_t *bench_redis_new_at(const char *address, const char *directory, const char *name,
                                  const bench_redis_t *master);
/** SET of 100 B with what else is in `more`, over and over, until the duration is over; at least once. */
void bench_redis_time_sets(bench_redis_t *server, const char *more, unsigned replies, int64_t duration_ns,
                           bench_samples_t *samples);
/** Until a master's replica has all of it: WAIT counts none before. */
void bench_redis_wait_for_replica(bench_redis_t *master);
/** A bench_subject_t's block: SET of 100 B, WAIT 1. Context: a server. */
void bench_redis_wait_block(void *master, int64_t duration_ns, bench_samples_t *samples);
void bench_redis_destroy(bench_redis_t **redis);
/** Send requests and take the last one's reply out of `replies`; fails when that is an error. */
void bench_redis_call(resp_client_t *client, const char *requests, size_t size, unsigned replies, resp_reply_t *last);
/** SET the bench's one key to `bytes` bytes, as a request. @return its size */
size_t bench_redis_set(char *request, size_t capacity, const void *value, size_t bytes);

#define BENCH_REDIS_KEY "one"
#define BENCH_REDIS_ROLE "redis"
int bench_redis_run(char **arguments);

#endif
