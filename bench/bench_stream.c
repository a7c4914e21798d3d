/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The change stream: how long until a standby has a write, and how many changes it can take.
 *
 * Latency: one write is under way at a time. The floor is the least that such a design can cost: half an echo (the
 * request to the daemon) and one message from PUB to SUB. Throughput: single overwrites one after the other by one
 * client, and vectors of writes, until the last has arrived; beside raw PUB/SUB of the same sizes.
 */
#include <saCkpt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vesta.h>

#include "bench/bench_floor.h"
#include "bench/bench_parts.h"
#include "bench/opener.h"
#include "bench/scene.h"

#define CHECKPOINT "bench-stream"
#define VECTOR_ELEMENTS 100U
#define VECTOR_BYTES_MAX (4U << 20)
#define AHEAD_BYTES_MAX (32U << 20) /* the follower is let fall behind so far: half of what a stream holds */
#define SYNC_LIMIT_NS (10 * SCENE_SECOND)
#define US 1000.0

static const size_t stream_sizes[] = {100, 1 << 10, 64 << 10, 1 << 20};
enum { STREAM_SIZES = sizeof stream_sizes / sizeof stream_sizes[0] };

typedef struct stream_bench {
  bench_echo_t *echo;
  bench_publish_t *publish;
  opener_t opener;
  bench_meter_t meter;
  pid_t follower;
  size_t bytes;
  uint8_t *payload;
  uint64_t sent;
  SaCkptIOVectorElementT vector[VECTOR_ELEMENTS];
  uint32_t vector_elements;
} stream_bench_t;

/* ---- the standby ---- */

int bench_follower_run(char **arguments) {
  bench_meter_t meter;
  vesta_mirror_t *mirror;
  bench_meter_attach(&meter, arguments[0], arguments[1]);
  opener_t opener = opener_read(opener_library(), CHECKPOINT);
  scene_require(vesta_mirror_open(opener.checkpoint, NULL, &mirror), "vesta_mirror_open");
  for (;;) {
    vesta_change_t change;
    SaAisErrorT error = vesta_mirror_next(mirror, SA_TIME_END, &change);
    scene_require(error, "vesta_mirror_next");
    if (change.kind == VESTA_CHANGE_SYNCED) {
      meter.shared->ready = true;
    } else if (change.kind == VESTA_CHANGE_LOST) {
      scene_fail("the follower lost changes (%d)", (int)change.reason);
    } else if (!change.resync && change.size >= sizeof(int64_t)) {
      bench_meter_note(&meter, change.data);
    }
  }
}

/* ---- the writer ---- */

static void stream_stamp(stream_bench_t *stream) {
  int64_t now_ns = scene_now_ns();
  memcpy(stream->payload, &now_ns, sizeof now_ns);
}

static void stream_overwrite(stream_bench_t *stream) {
  const SaCkptSectionIdT id = {.idLen = sizeof BENCH_SECTION - 1, .id = (SaUint8T *)BENCH_SECTION};
  stream_stamp(stream);
  scene_require(saCkptSectionOverwrite(stream->opener.checkpoint, &id, stream->payload, stream->bytes),
                "saCkptSectionOverwrite");
  stream->sent++;
}

static void stream_vector(stream_bench_t *stream) {
  stream_stamp(stream);
  scene_require(saCkptCheckpointWrite(stream->opener.checkpoint, stream->vector, stream->vector_elements, NULL),
                "saCkptCheckpointWrite");
  stream->sent += stream->vector_elements;
}

static void stream_latency_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  stream_bench_t *stream = context;
  int64_t end_ns = scene_now_ns() + duration_ns;
  stream->meter.shared->paced = true;
  while (scene_now_ns() < end_ns) {
    stream_overwrite(stream);
    bench_samples_add(samples, (double)bench_meter_wait_one(&stream->meter));
  }
  stream->meter.shared->paced = false;
}

static void stream_flood(stream_bench_t *stream, void (*send)(stream_bench_t *stream), int64_t duration_ns,
                         bench_samples_t *samples) {
  uint64_t ahead_max = AHEAD_BYTES_MAX / stream->bytes;
  uint64_t before = stream->sent;
  int64_t start_ns = scene_now_ns();
  while (scene_now_ns() < start_ns + duration_ns) {
    if (stream->sent - stream->meter.shared->count > ahead_max) {
      scene_pause(SCENE_MS / 10);
    } else {
      send(stream);
    }
  }
  int64_t last_ns = bench_meter_wait_count(&stream->meter, stream->sent);
  bench_samples_add(samples, (double)(last_ns - start_ns) / (double)(stream->sent - before));
}

static void stream_overwrite_flood_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  stream_flood(context, stream_overwrite, duration_ns, samples);
}

static void stream_vector_flood_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  stream_flood(context, stream_vector, duration_ns, samples);
}

/* ---- a size ---- */

static void stream_size(stream_bench_t *stream, size_t bytes) {
  uint32_t elements = (uint32_t)(VECTOR_BYTES_MAX / bytes);
  bench_echo_size(stream->echo, bytes);
  bench_publish_size(stream->publish, bytes);
  stream->bytes = bytes;
  stream->vector_elements = elements < VECTOR_ELEMENTS ? elements : VECTOR_ELEMENTS;
  for (uint32_t i = 0; i < VECTOR_ELEMENTS; i++) {
    stream->vector[i] =
        (SaCkptIOVectorElementT){.sectionId = {.idLen = sizeof BENCH_SECTION - 1, .id = (SaUint8T *)BENCH_SECTION},
                                 .dataBuffer = stream->payload,
                                 .dataSize = bytes};
  }
}

static void stream_latency(bench_context_t *bench, stream_bench_t *stream) {
  enum { ECHO, PUBLISH, CHANGE, SUBJECTS };
  const bench_plan_t plan = bench->quick ? (bench_plan_t){2, 10 * SCENE_MS} : (bench_plan_t){51, 30 * SCENE_MS};
  bench_subject_t subjects[SUBJECTS] = {
      [ECHO] = {.context = stream->echo, .block = bench_echo_block},
      [PUBLISH] = {.context = stream->publish, .block = bench_publish_latency_block},
      [CHANGE] = {.context = stream, .block = stream_latency_block},
  };
  bench_alternate(plan, subjects, SUBJECTS);
  double floor_ns[BENCH_ROUNDS_MAX];
  for (uint32_t i = 0; i < plan.rounds; i++) {
    floor_ns[i] = subjects[ECHO].p50_ns[i] / 2 + subjects[PUBLISH].p50_ns[i];
  }
  double p50_us = bench_median(subjects[CHANGE].p50_ns, plan.rounds) / US;
  double p99_us = bench_median(subjects[CHANGE].p99_ns, plan.rounds) / US;
  double echo_us = bench_median(subjects[ECHO].p50_ns, plan.rounds) / US;
  double publish_us = bench_median(subjects[PUBLISH].p50_ns, plan.rounds) / US;
  double ratio = bench_median_ratio(subjects[CHANGE].p50_ns, floor_ns, plan.rounds);
  char text[24];
  (void)printf("  %-7s %10.2f %10.2f %12.2f %12.2f %8.2f\n", bench_size_text(stream->bytes, text), p50_us, p99_us,
               echo_us / 2, publish_us, ratio);
  bench_report_add(&bench->report, bench->on_one ? "changes" : "changes_free",
                   json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "bytes", (json_int_t)stream->bytes, "p50_us", p50_us,
                             "p99_us", p99_us, "half_echo_p50_us", echo_us / 2, "publish_p50_us", publish_us, "ratio",
                             ratio));
  if (bench->on_one && stream->bytes == 100) {
    bench_report_target(&bench->report, "change_100B_p50_over_floor", ratio, 1.5);
  }
}

static void stream_throughput(bench_context_t *bench, stream_bench_t *stream) {
  enum { PUBLISH, OVERWRITE, VECTOR, SUBJECTS };
  const bench_plan_t plan = bench->quick ? (bench_plan_t){1, 20 * SCENE_MS} : (bench_plan_t){5, 200 * SCENE_MS};
  bench_subject_t subjects[SUBJECTS] = {
      [PUBLISH] = {.context = stream->publish, .block = bench_publish_flood_block},
      [OVERWRITE] = {.context = stream, .block = stream_overwrite_flood_block},
      [VECTOR] = {.context = stream, .block = stream_vector_flood_block},
  };
  bench_alternate(plan, subjects, SUBJECTS);
  double per_second[SUBJECTS];
  for (int i = 0; i < SUBJECTS; i++) {
    per_second[i] = (double)SCENE_SECOND / bench_median(subjects[i].p50_ns, plan.rounds);
  }
  char text[24];
  (void)printf("  %-7s %12.0f %12.0f %12.0f %10.1f MB/s\n", bench_size_text(stream->bytes, text), per_second[OVERWRITE],
               per_second[VECTOR], per_second[PUBLISH], per_second[VECTOR] * (double)stream->bytes / 1e6);
  bench_report_add(&bench->report, "throughput",
                   json_pack("{s:I, s:f, s:f, s:I, s:f}", "bytes", (json_int_t)stream->bytes, "overwrites_per_s",
                             per_second[OVERWRITE], "vector_changes_per_s", per_second[VECTOR], "vector_elements",
                             (json_int_t)stream->vector_elements, "publish_per_s", per_second[PUBLISH]));
}

/* ---- the parts ---- */

static stream_bench_t stream_begin(const scene_t *scene) {
  char text[16];
  stream_bench_t stream = {.echo = bench_echo_new(),
                           .publish = bench_publish_new(scene_dir(scene)),
                           .opener = opener_create(CHECKPOINT, 64, BENCH_PAYLOAD_BYTES_MAX, 32),
                           .payload = calloc(1, BENCH_PAYLOAD_BYTES_MAX)};
  if (stream.payload == NULL) {
    scene_fail("out of memory");
  }
  opener_section_create(&stream.opener, BENCH_SECTION, sizeof BENCH_SECTION - 1, NULL, 0);
  bench_meter_init(&stream.meter, scene_dir(scene), "follower");
  const char *arguments[] = {stream.meter.path, bench_meter_fd_text(&stream.meter, text), NULL};
  stream.follower = scene_spawn(BENCH_FOLLOWER_ROLE, arguments);
  bench_meter_wait_ready(&stream.meter, SYNC_LIMIT_NS);
  return stream;
}

static void stream_end(stream_bench_t *stream) {
  scene_kill(stream->follower);
  bench_meter_fini(&stream->meter);
  free(stream->payload);
  opener_close(&stream->opener);
  bench_publish_destroy(&stream->publish);
  bench_echo_destroy(&stream->echo);
}

void bench_change_part(bench_context_t *bench) {
  scene_t *scene = scene_open();
  stream_bench_t stream = stream_begin(scene);
  bench_report_title("write to change at a standby, one at a time, %s\n  %-7s %10s %10s %12s %12s %8s",
                     bench_place_text(bench), "", "p50 us", "p99 us", "half echo", "PUB to SUB", "ratio");
  for (size_t i = 0; i < STREAM_SIZES; i++) {
    stream_size(&stream, stream_sizes[i]);
    stream_latency(bench, &stream);
  }
  stream_end(&stream);
  scene_close(&scene);
}

void bench_throughput_part(bench_context_t *bench) {
  scene_t *scene = scene_open();
  stream_bench_t stream = stream_begin(scene);
  bench_report_title("changes taken by a standby, per second\n  %-7s %12s %12s %12s %15s", "", "overwrites", "vectors",
                     "raw PUB/SUB", "vectors");
  for (size_t i = 0; i < STREAM_SIZES; i++) {
    stream_size(&stream, stream_sizes[i]);
    stream_throughput(bench, &stream);
  }
  stream_end(&stream);
  scene_close(&scene);
}
