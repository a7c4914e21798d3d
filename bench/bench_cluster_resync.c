/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A node comes back with nothing: how fast is its replica filled, beside a raw TCP stream the same way?
 *
 * Its vestad is killed and its memory taken, then it is started again: everything goes over the network once more. What
 * comes in is counted by the kernel, and the speed is that of the part from a tenth of the data to nine tenths, in
 * which nothing but the data moves. The raw stream is as much data, from a buffer to a process that reads it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bench_cluster.h"
#include "bench/bench_parts.h"

#define CHECKPOINT "bench-resync"
#define TRIALS 3U
#define SINK_BYTES (1U << 20) /* read and written at once */
#define LIMIT_NS (60 * SCENE_SECOND)

typedef struct resync_shape {
  uint32_t sections;
  uint64_t section_bytes;
} resync_shape_t;

static const resync_shape_t resync_shapes[] = {{256, 1 << 20}, {4096, 64 << 10}, {100000, 1 << 10}};
static const resync_shape_t resync_quick_shapes[] = {{4, 1 << 20}, {64, 64 << 10}, {4000, 1 << 10}};
enum { RESYNC_SHAPES = sizeof resync_shapes / sizeof resync_shapes[0] };

/* ---- a raw stream ---- */

/* Read all; one byte says that it is here. */
int bench_sink_run(char **arguments) {
  int fd = (int)strtol(arguments[0], NULL, 10);
  uint64_t left = strtoull(arguments[1], NULL, 10);
  uint8_t *buffer = calloc(1, SINK_BYTES);
  while (buffer != NULL && left > 0) {
    ssize_t size = recv(fd, buffer, SINK_BYTES, 0);
    if (size <= 0) {
      return 1;
    }
    left -= (uint64_t)size < left ? (uint64_t)size : left;
  }
  return buffer != NULL && send(fd, buffer, 1, 0) == 1 ? 0 : 1;
}

static double resync_raw_gb_per_s(bench_context_t *bench, bench_nodes_t *nodes, uint64_t bytes) {
  char fd_text[16];
  char bytes_text[24];
  int ends[2];
  uint8_t *buffer = calloc(1, SINK_BYTES);
  bench_nodes_connect(nodes, 1, 2, ends);
  (void)fcntl(ends[1], F_SETFD, 0);
  (void)snprintf(fd_text, sizeof fd_text, "%d", ends[1]);
  (void)snprintf(bytes_text, sizeof bytes_text, "%" PRIu64, bytes);
  const char *arguments[] = {fd_text, bytes_text, NULL};
  scene_place_at(bench_cluster_place(bench, 2));
  pid_t sink = scene_spawn(BENCH_SINK_ROLE, arguments);
  scene_place_at(0);
  (void)close(ends[1]);
  int64_t begin_ns = scene_now_ns();
  for (uint64_t sent = 0; sent < bytes;) {
    size_t part = bytes - sent < SINK_BYTES ? (size_t)(bytes - sent) : SINK_BYTES;
    ssize_t size = buffer == NULL ? -1 : send(ends[0], buffer, part, MSG_NOSIGNAL);
    if (size < 0) {
      scene_fail("a raw stream: %s", strerror(errno));
    }
    sent += (uint64_t)size;
  }
  if (recv(ends[0], buffer, 1, 0) != 1) {
    scene_fail("a raw stream did not arrive");
  }
  int64_t end_ns = scene_now_ns();
  (void)close(ends[0]);
  free(buffer);
  scene_await(sink, LIMIT_NS, "the end of a raw stream");
  return (double)bytes / (double)(end_ns - begin_ns);
}

/* ---- a node that comes back ---- */

static int64_t resync_wait_received(const bench_nodes_t *nodes, uint64_t bytes) {
  int64_t deadline_ns = scene_now_ns() + LIMIT_NS;
  while (bench_nodes_received_bytes(nodes, 2) < bytes) {
    if (scene_now_ns() > deadline_ns) {
      scene_fail("a node that has come back is not filled");
    }
    scene_pause(SCENE_MS / 4);
  }
  return scene_now_ns();
}

static double resync_gb_per_s(bench_context_t *bench, bench_nodes_t *nodes, uint64_t bytes, double *whole_ms) {
  bench_nodes_run(nodes, "vestad_kill 2; rm -rf \"$(node_memory 2)\"/*");
  uint64_t before = bench_nodes_received_bytes(nodes, 2);
  int64_t start_ns = scene_now_ns();
  bench_nodes_run(nodes, "vestad_start 2");
  bench_nodes_place(nodes, 2, bench_cluster_place(bench, 2));
  int64_t begin_ns = resync_wait_received(nodes, before + bytes / 10);
  int64_t end_ns = resync_wait_received(nodes, before + bytes / 10 * 9);
  bench_nodes_wait_in_sync(nodes, CHECKPOINT, 2);
  *whole_ms = (double)(scene_now_ns() - start_ns) / (double)SCENE_MS;
  return (double)(bytes / 10 * 8) / (double)(end_ns - begin_ns);
}

static void resync_fill(const opener_t *opener, const resync_shape_t *shape) {
  uint8_t *data = malloc(shape->section_bytes);
  char id[16];
  if (data == NULL) {
    scene_fail("out of memory");
  }
  memset(data, 7, shape->section_bytes);
  for (uint32_t i = 0; i < shape->sections; i++) {
    int size = snprintf(id, sizeof id, "%" PRIu32, i);
    opener_section_create(opener, id, (uint16_t)size, data, shape->section_bytes);
  }
  free(data);
}

static double resync_row(bench_context_t *bench, const resync_shape_t *shape) {
  double speed[TRIALS], raw[TRIALS], whole_ms[TRIALS];
  uint32_t trials = bench->quick ? 1 : TRIALS;
  uint64_t bytes = shape->sections * shape->section_bytes;
  char text[24];
  bench_nodes_t *nodes = bench_cluster_nodes(bench, 2, false, "");
  bench_nodes_use(nodes, 1);
  opener_t opener = opener_create(CHECKPOINT, shape->sections, shape->section_bytes, 16);
  bench_nodes_wait_in_sync(nodes, CHECKPOINT, 2);
  resync_fill(&opener, shape);
  for (uint32_t i = 0; i < trials; i++) {
    raw[i] = resync_raw_gb_per_s(bench, nodes, bytes);
    speed[i] = resync_gb_per_s(bench, nodes, bytes, &whole_ms[i]);
  }
  opener_close(&opener);
  bench_nodes_destroy(&nodes);
  double ratio = bench_median_ratio(speed, raw, trials);
  (void)printf("  %8" PRIu32 " x %-7s %8.2f %12.2f %8.2f %12.0f\n", shape->sections,
               bench_size_text(shape->section_bytes, text), bench_median(speed, trials), bench_median(raw, trials),
               ratio, bench_median(whole_ms, trials));
  bench_report_add(&bench->report, "cluster_resync",
                   json_pack("{s:I, s:I, s:f, s:f, s:f, s:f}", "sections", (json_int_t)shape->sections, "section_bytes",
                             (json_int_t)shape->section_bytes, "gb_per_s", bench_median(speed, trials), "raw_gb_per_s",
                             bench_median(raw, trials), "ratio", ratio, "start_to_in_sync_ms",
                             bench_median(whole_ms, trials)));
  return ratio;
}

void bench_cluster_resync(bench_context_t *bench) {
  const resync_shape_t *shapes = bench->quick ? resync_quick_shapes : resync_shapes;
  if (bench_cluster_is_left_out(bench, "a node that comes back")) {
    return;
  }
  scene_place_at(0);
  bench_report_title("a node comes back empty, beside a raw TCP stream\n  %18s %8s %12s %8s %12s", "sections", "GB/s",
                     "raw GB/s", "ratio", "in sync ms");
  for (int i = 0; i < RESYNC_SHAPES; i++) {
    double ratio = resync_row(bench, &shapes[i]);
    if (i == 1) {
      bench_report_target_least(&bench->report, "cluster_resync_over_raw_tcp", ratio, 0.5);
    }
  }
  scene_place(bench->on_one);
}
