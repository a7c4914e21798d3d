/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A shared page and an eventfd between sender and receiver. See bench_meter.h.
 */
#include "bench/bench_meter.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/scene.h"

#define LIMIT_MS 10000
#define LIMIT_NS (LIMIT_MS * SCENE_MS)

void bench_meter_init(bench_meter_t *meter, const char *directory, const char *name) {
  (void)snprintf(meter->path, sizeof meter->path, "%s/meter-%s", directory, name);
  meter->shared = scene_share_create(meter->path, sizeof *meter->shared);
  meter->wake_fd = eventfd(0, 0);
  if (meter->wake_fd < 0) {
    scene_fail("eventfd: %s", strerror(errno));
  }
}

void bench_meter_fini(bench_meter_t *meter) {
  (void)munmap(meter->shared, sizeof *meter->shared);
  (void)close(meter->wake_fd);
  (void)remove(meter->path);
}

void bench_meter_wait_ready(bench_meter_t *meter, int64_t limit_ns) {
  int64_t deadline_ns = scene_now_ns() + limit_ns;
  while (!meter->shared->ready) {
    if (scene_now_ns() > deadline_ns) {
      scene_fail("a receiver is not ready in time");
    }
    scene_pause(SCENE_MS);
  }
}

int64_t bench_meter_wait_one(bench_meter_t *meter) {
  struct pollfd wake = {.fd = meter->wake_fd, .events = POLLIN};
  uint64_t value;
  if (poll(&wake, 1, LIMIT_MS) != 1 || read(meter->wake_fd, &value, sizeof value) != sizeof value) {
    scene_fail("a message did not arrive");
  }
  return meter->shared->latency_ns;
}

int64_t bench_meter_wait_count(bench_meter_t *meter, uint64_t count) {
  int64_t deadline_ns = scene_now_ns() + LIMIT_NS;
  while (meter->shared->count < count) {
    if (scene_now_ns() > deadline_ns) {
      scene_fail("of %llu messages %llu have arrived at %s", (unsigned long long)count,
                 (unsigned long long)meter->shared->count, meter->path);
    }
    scene_pause(SCENE_MS / 5);
  }
  return meter->shared->last_ns;
}

const char *bench_meter_fd_text(const bench_meter_t *meter, char text[16]) {
  (void)snprintf(text, 16, "%d", meter->wake_fd);
  return text;
}

void bench_meter_attach(bench_meter_t *meter, const char *path, const char *fd_text) {
  meter->shared = scene_share_open(path, NULL);
  meter->wake_fd = (int)strtol(fd_text, NULL, 10);
}

void bench_meter_note(bench_meter_t *meter, const void *payload) {
  int64_t sent_ns;
  memcpy(&sent_ns, payload, sizeof sent_ns);
  bench_meter_note_sent(meter, sent_ns);
}

void bench_meter_note_sent(bench_meter_t *meter, int64_t sent_ns) {
  const uint64_t one = 1;
  int64_t now_ns = scene_now_ns();
  meter->shared->latency_ns = now_ns - sent_ns;
  meter->shared->last_ns = now_ns;
  meter->shared->count++;
  if (meter->shared->paced && write(meter->wake_fd, &one, sizeof one) != sizeof one) {
    scene_fail("cannot wake the sender");
  }
}
