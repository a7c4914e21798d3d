/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The change stream: how long until a standby has a write, and how many changes it can take.
 *
 * Latency: one write is under way at a time. The floor is the least that such a design can cost: half an echo (the
 * request to the daemon) and one message from PUB to SUB. Throughput, each until the last has arrived: single overwrites
 * one after the other by one client, the same by a vesta_writer_t that keeps 64 under way, and vectors of writes; beside
 * raw PUB/SUB, of the payloads alone and of the frames that a change has.
 */
#include <saCkpt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vesta.h>

#include "bench/bench_floor.h"
#include "bench/bench_parts.h"
#include "bench/bench_publish.h"
#include "bench/opener.h"
#include "bench/scene.h"

#define CHECKPOINT "bench-stream"
#define VECTOR_ELEMENTS 100U
#define VECTOR_BYTES_MAX (4U << 20)
#define US 1000.0

static const size_t stream_sizes[] = {100, 1 << 10, 64 << 10, 1 << 20};
enum { STREAM_SIZES = sizeof stream_sizes / sizeof stream_sizes[0] };

typedef struct stream_bench {
  bench_echo_t *echo;
  bench_publish_t *publish;
  opener_t opener;
  vesta_writer_t *writer;
  bench_crowd_t *follower;
  size_t bytes;
  uint8_t *payload;
  SaCkptIOVectorElementT vector[VECTOR_ELEMENTS];
  uint32_t vector_elements;
} stream_bench_t;

/* ---- the standby ---- */

void bench_follow(bench_meter_t *meter, vesta_mirror_t *mirror) {
  for (;;) {
    vesta_change_t change;
    SaAisErrorT error = vesta_mirror_next(mirror, SA_TIME_END, &change);
    scene_require(error, "vesta_mirror_next");
    if (change.kind == VESTA_CHANGE_SYNCED) {
      meter->shared->ready = true;
    } else if (change.kind == VESTA_CHANGE_LOST) {
      scene_fail("the follower lost changes (%d)", (int)change.reason);
    } else if (!change.resync && change.size >= sizeof(int64_t)) {
      bench_meter_note(meter, change.data);
    }
  }
}

int bench_follower_run(char **arguments) {
  bench_meter_t meter;
  vesta_mirror_t *mirror;
  bench_meter_attach(&meter, arguments[0], arguments[1]);
  opener_t opener = opener_read(opener_library(), arguments[2]);
  scene_require(vesta_mirror_open(opener.checkpoint, NULL, &mirror), "vesta_mirror_open");
  bench_follow(&meter, mirror);
}

/* ---- the writer ---- */

static void stream_stamp(stream_bench_t *stream) {
  int64_t now_ns = scene_now_ns();
  memcpy(stream->payload, &now_ns, sizeof now_ns);
}

static const SaCkptSectionIdT stream_id = {.idLen = sizeof BENCH_SECTION - 1, .id = (SaUint8T *)BENCH_SECTION};

static void stream_overwrite(void *context) {
  stream_bench_t *stream = context;
  stream_stamp(stream);
  scene_require(saCkptSectionOverwrite(stream->opener.checkpoint, &stream_id, stream->payload, stream->bytes),
                "saCkptSectionOverwrite");
  stream->follower->sent++;
}

static void stream_vector(void *context) {
  stream_bench_t *stream = context;
  stream_stamp(stream);
  scene_require(saCkptCheckpointWrite(stream->opener.checkpoint, stream->vector, stream->vector_elements, NULL),
                "saCkptCheckpointWrite");
  stream->follower->sent += stream->vector_elements;
}

static void stream_async(void *context) {
  stream_bench_t *stream = context;
  stream_stamp(stream);
  bench_writer_overwrite(stream->writer, stream->payload, stream->bytes);
  stream->follower->sent++;
}

static void stream_async_settle(void *context) {
  const stream_bench_t *stream = context;
  bench_writer_settle(stream->writer);
}

static void stream_latency_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  stream_bench_t *stream = context;
  bench_meter_t *meter = &stream->follower->meters[0];
  int64_t end_ns = scene_now_ns() + duration_ns;
  meter->shared->paced = true;
  while (scene_now_ns() < end_ns) {
    stream_overwrite(stream);
    bench_samples_add(samples, (double)bench_meter_wait_one(meter));
  }
  meter->shared->paced = false;
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
        (SaCkptIOVectorElementT){.sectionId = stream_id, .dataBuffer = stream->payload, .dataSize = bytes};
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
  enum { PUBLISH, FRAMES, OVERWRITE, VECTOR, ASYNC, SUBJECTS };
  const bench_plan_t plan = bench->quick ? (bench_plan_t){1, 20 * SCENE_MS} : (bench_plan_t){9, 150 * SCENE_MS};
  bench_flood_t overwrites = {stream->follower, stream->bytes, stream, stream_overwrite, NULL};
  bench_flood_t vectors = {stream->follower, stream->bytes, stream, stream_vector, NULL};
  bench_flood_t asyncs = {stream->follower, stream->bytes, stream, stream_async, stream_async_settle};
  bench_subject_t subjects[SUBJECTS] = {
      [PUBLISH] = {.context = stream->publish, .block = bench_publish_flood_block},
      [FRAMES] = {.context = stream->publish, .block = bench_publish_frames_block},
      [OVERWRITE] = {.context = &overwrites, .block = bench_flood_block},
      [VECTOR] = {.context = &vectors, .block = bench_flood_block},
      [ASYNC] = {.context = &asyncs, .block = bench_flood_block},
  };
  bench_alternate(plan, subjects, SUBJECTS);
  double per_second[SUBJECTS];
  for (int i = 0; i < SUBJECTS; i++) {
    per_second[i] = (double)SCENE_SECOND / bench_median(subjects[i].p50_ns, plan.rounds);
  }
  double ratio = bench_median_ratio(subjects[FRAMES].p50_ns, subjects[ASYNC].p50_ns, plan.rounds);
  char text[24];
  (void)printf("  %-7s %12.0f %12.0f %12.0f %12.0f %12.0f %8.2f\n", bench_size_text(stream->bytes, text),
               per_second[OVERWRITE], per_second[VECTOR], per_second[ASYNC], per_second[FRAMES], per_second[PUBLISH],
               ratio);
  bench_report_add(&bench->report, "throughput",
                   json_pack("{s:I, s:f, s:f, s:I, s:f, s:f, s:f, s:f}", "bytes", (json_int_t)stream->bytes,
                             "overwrites_per_s", per_second[OVERWRITE], "vector_changes_per_s", per_second[VECTOR],
                             "vector_elements", (json_int_t)stream->vector_elements, "async_per_s", per_second[ASYNC],
                             "publish_frames_per_s", per_second[FRAMES], "publish_per_s", per_second[PUBLISH], "ratio",
                             ratio));
  if (stream->bytes == 100) {
    bench_report_target_least(&bench->report, "async_100B_over_publish", ratio, 0.6);
  } else if (stream->bytes == 64 << 10) {
    bench_report_target_least(&bench->report, "async_64KB_over_publish", ratio, 0.8);
  }
}

/* ---- the parts ---- */

static stream_bench_t stream_begin(const scene_t *scene) {
  stream_bench_t stream = {.echo = bench_echo_new(),
                           .publish = bench_publish_new(scene_dir(scene), "publish", 1),
                           .opener = opener_create(CHECKPOINT, 64, BENCH_PAYLOAD_BYTES_MAX, 32),
                           .payload = calloc(1, BENCH_PAYLOAD_BYTES_MAX)};
  if (stream.payload == NULL) {
    scene_fail("out of memory");
  }
  opener_section_create(&stream.opener, BENCH_SECTION, sizeof BENCH_SECTION - 1, NULL, 0);
  scene_require(vesta_writer_open(stream.opener.checkpoint, &stream.writer), "vesta_writer_open");
  stream.follower = bench_crowd_new(scene_dir(scene), "follower", 1, BENCH_FOLLOWER_ROLE, CHECKPOINT);
  bench_crowd_wait_ready(stream.follower);
  return stream;
}

static void stream_end(stream_bench_t *stream) {
  bench_crowd_destroy(&stream->follower);
  (void)vesta_writer_close(&stream->writer);
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
  bench_report_title("changes taken by a standby, per second, and how many async over raw PUB/SUB of the same frames\n"
                     "  %-7s %12s %12s %12s %12s %12s %8s",
                     "", "overwrites", "vectors", "async", "raw, frames", "raw, payload", "ratio");
  for (size_t i = 0; i < STREAM_SIZES; i++) {
    stream_size(&stream, stream_sizes[i]);
    stream_throughput(bench, &stream);
  }
  stream_end(&stream);
  scene_close(&scene);
}
