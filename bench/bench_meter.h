/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How a process that receives tells the one that sends what it saw: counts and the time a message took.
 *
 * A payload begins with the CLOCK_MONOTONIC time at which it was sent. In paced mode one message is under way at a time:
 * the receiver wakes the sender when it has it.
 */
#ifndef VESTA_BENCH_METER_H
#define VESTA_BENCH_METER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct bench_meter_shared {
  _Atomic bool ready;
  _Atomic bool paced;
  _Atomic int64_t sent_ns;    /* of the one under way, where a message can't carry it */
  _Atomic uint64_t count;     /* messages received */
  _Atomic int64_t last_ns;    /* when */
  _Atomic int64_t latency_ns; /* of the last one */
} bench_meter_shared_t;

typedef struct bench_meter {
  bench_meter_shared_t *shared;
  int wake_fd; /* an eventfd, inherited by the receiver */
  char path[128];
} bench_meter_t;

/* ---- the sender's side ---- */

void bench_meter_init(bench_meter_t *meter, const char *directory, const char *name);
void bench_meter_fini(bench_meter_t *meter);
/** Wait until the receiver says that it is there. */
void bench_meter_wait_ready(bench_meter_t *meter, int64_t limit_ns);
/** Wait for the one message that is under way. @return how long it took, in nanoseconds */
int64_t bench_meter_wait_one(bench_meter_t *meter);
/** Wait until so many have come, since the beginning. @return when the last came */
int64_t bench_meter_wait_count(bench_meter_t *meter, uint64_t count);
/** Text of wake_fd, for the receiver's arguments. */
const char *bench_meter_fd_text(const bench_meter_t *meter, char text[16]);

/* ---- the receiver's side ---- */

void bench_meter_attach(bench_meter_t *meter, const char *path, const char *fd_text);
void bench_meter_note(bench_meter_t *meter, const void *payload);
/** The same for a message that was sent at that time. */
void bench_meter_note_sent(bench_meter_t *meter, int64_t sent_ns);

#endif
