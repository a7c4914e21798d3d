/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Starting receivers, flooding them. See bench_crowd.h.
 */
#include "bench/bench_crowd.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/scene.h"

#define READY_LIMIT_NS (30 * SCENE_SECOND)
#define AHEAD_BYTES_MAX (32U << 20) /* the slowest is let fall behind so far: half of what a stream holds */

bench_crowd_t *bench_crowd_new(const char *directory, const char *name, uint32_t count, const char *role,
                               const char *argument) {
  bench_crowd_t *crowd = calloc(1, sizeof *crowd);
  if (crowd == NULL || count > BENCH_CROWD_MAX) {
    scene_fail("no room for %u processes", count);
  }
  for (; crowd->count < count; crowd->count++) {
    bench_meter_t *meter = &crowd->meters[crowd->count];
    char text[16];
    char path[64];
    (void)snprintf(path, sizeof path, "%s-%u", name, crowd->count);
    bench_meter_init(meter, directory, path);
    const char *arguments[] = {meter->path, bench_meter_fd_text(meter, text), argument, NULL};
    crowd->processes[crowd->count] = scene_spawn(role, arguments);
  }
  return crowd;
}

void bench_crowd_destroy(bench_crowd_t **crowd) {
  for (uint32_t i = 0; i < (*crowd)->count; i++) {
    scene_kill((*crowd)->processes[i]);
    bench_meter_fini(&(*crowd)->meters[i]);
  }
  free(*crowd);
  *crowd = NULL;
}

void bench_crowd_wait_ready(bench_crowd_t *crowd) {
  for (uint32_t i = 0; i < crowd->count; i++) {
    bench_meter_wait_ready(&crowd->meters[i], READY_LIMIT_NS);
  }
}

uint64_t bench_crowd_slowest(bench_crowd_t *crowd) {
  uint64_t slowest = UINT64_MAX;
  for (uint32_t i = 0; i < crowd->count; i++) {
    uint64_t has = crowd->meters[i].shared->count;
    slowest = has < slowest ? has : slowest;
  }
  return slowest;
}

int64_t bench_crowd_wait(bench_crowd_t *crowd) {
  int64_t last_ns = 0;
  for (uint32_t i = 0; i < crowd->count; i++) {
    int64_t at_ns = bench_meter_wait_count(&crowd->meters[i], crowd->sent);
    last_ns = at_ns > last_ns ? at_ns : last_ns;
  }
  return last_ns;
}

void bench_flood_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  const bench_flood_t *flood = context;
  bench_crowd_t *crowd = flood->crowd;
  uint64_t ahead_max = AHEAD_BYTES_MAX / flood->bytes;
  uint64_t before = crowd->sent;
  int64_t start_ns = scene_now_ns();
  while (scene_now_ns() < start_ns + duration_ns) {
    if (crowd->sent - crowd->had > ahead_max) {
      crowd->had = bench_crowd_slowest(crowd);
    }
    if (crowd->sent - crowd->had > ahead_max) {
      scene_pause(SCENE_MS / 10);
    } else {
      flood->send(flood->context);
    }
  }
  if (flood->settle != NULL) {
    flood->settle(flood->context);
  }
  int64_t last_ns = bench_crowd_wait(crowd);
  bench_samples_add(samples, (double)(last_ns - start_ns) / (double)(crowd->sent - before));
}
