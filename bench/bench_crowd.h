/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Processes that all receive the same messages, each with a meter of its own: one subscriber, or a hundred. And sending
 * them as many messages as they take.
 */
#ifndef VESTA_BENCH_CROWD_H
#define VESTA_BENCH_CROWD_H

#include "bench/bench_meter.h"
#include "bench/bench_samples.h"

#define BENCH_CROWD_MAX 128U

typedef struct bench_crowd {
  uint32_t count;
  uint64_t sent; /* messages, so far, to each of them */
  uint64_t had;  /* so many had arrived at the slowest when that was last looked at */
  bench_meter_t meters[BENCH_CROWD_MAX];
  int processes[BENCH_CROWD_MAX];
} bench_crowd_t;

/** Start `count` processes in a role; their arguments are the meter's path, the text of its descriptor, `argument`. */
bench_crowd_t *bench_crowd_new(const char *directory, const char *name, uint32_t count, const char *role,
                               const char *argument);
void bench_crowd_destroy(bench_crowd_t **crowd);
/** Wait until all say that they are there. */
void bench_crowd_wait_ready(bench_crowd_t *crowd);
/** How many messages the slowest has. */
uint64_t bench_crowd_slowest(bench_crowd_t *crowd);
/** Wait until all that was sent has arrived everywhere. @return when the last came */
int64_t bench_crowd_wait(bench_crowd_t *crowd);

/* Sending without waiting for answers. */
typedef struct bench_flood {
  bench_crowd_t *crowd;
  size_t bytes; /* of a message */
  void *context;
  /** Send some, and add their number to the crowd's `sent`. */
  void (*send)(void *context);
  /** NULL, or: see to it that all that was sent is under way. */
  void (*settle)(void *context);
} bench_flood_t;

/** A bench_subject_t's block. One sample: nanoseconds for each message, until the last has arrived everywhere. */
void bench_flood_block(void *flood, int64_t duration_ns, bench_samples_t *samples);

#endif
