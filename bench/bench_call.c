/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a call costs: overwrite, write and create beside an echo of the same bytes, read beside memcpy.
 */
#include <saCkpt.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench_floor.h"
#include "bench/bench_parts.h"
#include "bench/opener.h"
#include "bench/scene.h"

#define SECTIONS_MAX 64U
#define TRANSIENT "transient"
#define US 1000.0

static const size_t call_sizes[] = {100, 1 << 10, 64 << 10, 1 << 20};
enum { CALL_SIZES = sizeof call_sizes / sizeof call_sizes[0] };

static SaCkptSectionIdT call_id(const char *text, uint16_t size) {
  return (SaCkptSectionIdT){.idLen = size, .id = (SaUint8T *)text};
}

void bench_overwrite_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  bench_writer_t *writer = context;
  const SaCkptSectionIdT id = call_id(BENCH_SECTION, sizeof BENCH_SECTION - 1);
  int64_t start_ns = scene_now_ns();
  int64_t now_ns = start_ns;
  while (now_ns < start_ns + duration_ns) {
    int64_t before_ns = now_ns;
    scene_require(saCkptSectionOverwrite(writer->checkpoint, &id, writer->payload, writer->bytes),
                  "saCkptSectionOverwrite");
    now_ns = scene_now_ns();
    bench_samples_add(samples, (double)(now_ns - before_ns));
  }
}

static void call_write_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  bench_writer_t *writer = context;
  const SaCkptIOVectorElementT element = {.sectionId = call_id(BENCH_SECTION, sizeof BENCH_SECTION - 1),
                                          .dataBuffer = writer->payload,
                                          .dataSize = writer->bytes};
  int64_t start_ns = scene_now_ns();
  int64_t now_ns = start_ns;
  while (now_ns < start_ns + duration_ns) {
    int64_t before_ns = now_ns;
    scene_require(saCkptCheckpointWrite(writer->checkpoint, &element, 1, NULL), "saCkptCheckpointWrite");
    now_ns = scene_now_ns();
    bench_samples_add(samples, (double)(now_ns - before_ns));
  }
}

/* The delete that makes room for the next create is not timed. */
static void call_create_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  bench_writer_t *writer = context;
  SaCkptSectionIdT id = call_id(TRANSIENT, sizeof TRANSIENT - 1);
  SaCkptSectionCreationAttributesT attributes = {.sectionId = &id, .expirationTime = SA_TIME_END};
  int64_t end_ns = scene_now_ns() + duration_ns;
  while (scene_now_ns() < end_ns) {
    int64_t before_ns = scene_now_ns();
    scene_require(saCkptSectionCreate(writer->checkpoint, &attributes, writer->payload, writer->bytes),
                  "saCkptSectionCreate");
    bench_samples_add(samples, (double)(scene_now_ns() - before_ns));
    scene_require(saCkptSectionDelete(writer->checkpoint, &id), "saCkptSectionDelete");
  }
}

static void call_read_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  bench_writer_t *writer = context;
  SaCkptIOVectorElementT element = {.sectionId = call_id(BENCH_SECTION, sizeof BENCH_SECTION - 1),
                                    .dataBuffer = writer->payload,
                                    .dataSize = writer->bytes};
  int64_t start_ns = scene_now_ns();
  int64_t now_ns = start_ns;
  while (now_ns < start_ns + duration_ns) {
    int64_t before_ns = now_ns;
    scene_require(saCkptCheckpointRead(writer->checkpoint, &element, 1, NULL), "saCkptCheckpointRead");
    now_ns = scene_now_ns();
    bench_samples_add(samples, (double)(now_ns - before_ns));
  }
  if (element.readSize != writer->bytes) {
    scene_fail("%llu bytes were read", (unsigned long long)element.readSize);
  }
}

/* Subjects of one size: those at even places are floors, the ones behind them up to the next floor are compared. */
enum { ECHO, OVERWRITE, WRITE, CREATE, MEMCPY, READ, ECHO_BOTH, SUBJECTS };
static const char *const call_names[SUBJECTS] = {"echo", "overwrite",          "write", "create", "memcpy",
                                                 "read", "echo back and forth"};

static void call_row(bench_context_t *bench, const bench_subject_t *subjects, int subject, size_t bytes,
                     uint32_t rounds) {
  const bench_subject_t *self = &subjects[subject];
  int floor = subject < MEMCPY ? ECHO : MEMCPY;
  double p50_us = bench_median(self->p50_ns, rounds) / US;
  double p99_us = bench_median(self->p99_ns, rounds) / US;
  double floor_us = bench_median(subjects[floor].p50_ns, rounds) / US;
  double ratio = bench_median_ratio(self->p50_ns, subjects[floor].p50_ns, rounds);
  char text[24];
  (void)printf("  %-10s %-7s %10.2f %10.2f   %-7s %10.3f %8.2f\n", call_names[subject], bench_size_text(bytes, text),
               p50_us, p99_us, call_names[floor], floor_us, ratio);
  bench_report_add(&bench->report, bench->on_one ? "calls" : "calls_free",
                   json_pack("{s:s, s:I, s:f, s:f, s:s, s:f, s:f}", "call", call_names[subject], "bytes",
                             (json_int_t)bytes, "p50_us", p50_us, "p99_us", p99_us, "floor", call_names[floor],
                             "floor_p50_us", floor_us, "ratio", ratio));
  if (bench->on_one && subject == OVERWRITE && bytes == 100) {
    bench_report_target(&bench->report, "overwrite_100B_p50_over_echo", ratio, 2);
  }
  if (bench->on_one && subject == READ && bytes == 1 << 10) {
    bench_report_target(&bench->report, "read_1KB_p50_us", p50_us, 1);
  }
}

/* A large overwrite moves its payload once; what that is worth beside moving it twice, and beside memcpy. */
static void call_large_row(bench_context_t *bench, const bench_subject_t *subjects, size_t bytes, uint32_t rounds) {
  const double *overwrite = subjects[OVERWRITE].p50_ns;
  double both = bench_median_ratio(overwrite, subjects[ECHO_BOTH].p50_ns, rounds);
  double memcpy_ratio = bench_median_ratio(overwrite, subjects[MEMCPY].p50_ns, rounds);
  double gb_per_s = (double)bytes / bench_median(overwrite, rounds);
  char text[24];
  (void)printf("  overwrite  %-7s %10.2f GB/s; %.2f of an echo both ways (%.2f us); %.1f of a memcpy\n",
               bench_size_text(bytes, text), gb_per_s, both, bench_median(subjects[ECHO_BOTH].p50_ns, rounds) / US,
               memcpy_ratio);
  bench_report_add(&bench->report, bench->on_one ? "large" : "large_free",
                   json_pack("{s:I, s:f, s:f, s:f}", "bytes", (json_int_t)bytes, "gb_per_s", gb_per_s, "over_echo_both",
                             both, "over_memcpy", memcpy_ratio));
  if (bench->on_one) {
    bench_report_target(&bench->report, "overwrite_1MB_p50_over_echo_both_ways", both, 0.8);
  }
}

static void call_measure(bench_context_t *bench, bench_echo_t *echo, bench_writer_t *writer, size_t bytes) {
  const bench_plan_t plan = bench->quick ? (bench_plan_t){2, 10 * SCENE_MS} : (bench_plan_t){41, 25 * SCENE_MS};
  bench_subject_t subjects[SUBJECTS] = {
      [ECHO] = {.context = echo, .block = bench_echo_block},
      [OVERWRITE] = {.context = writer, .block = bench_overwrite_block},
      [WRITE] = {.context = writer, .block = call_write_block},
      [CREATE] = {.context = writer, .block = call_create_block},
      [MEMCPY] = {.context = &bytes, .block = bench_memcpy_block},
      [READ] = {.context = writer, .block = call_read_block},
      [ECHO_BOTH] = {.context = echo, .block = bench_echo_both_block},
  };
  bench_echo_size(echo, bytes);
  writer->bytes = bytes;
  bench_alternate(plan, subjects, SUBJECTS);
  for (int subject = OVERWRITE; subject <= READ; subject++) {
    if (subject != MEMCPY) {
      call_row(bench, subjects, subject, bytes, plan.rounds);
    }
  }
  if (bytes == 1 << 20) {
    call_large_row(bench, subjects, bytes, plan.rounds);
  }
}

void bench_call_part(bench_context_t *bench) {
  bench_report_title("calls of one client, %s\n  %-18s %10s %10s   %-7s %10s %8s", bench_place_text(bench), "",
                     "p50 us", "p99 us", "floor", "p50 us", "ratio");
  scene_t *scene = scene_open();
  bench_echo_t *echo = bench_echo_new();
  opener_t opener = opener_create("bench-calls", SECTIONS_MAX, BENCH_PAYLOAD_BYTES_MAX, 32);
  bench_writer_t writer = {.checkpoint = opener.checkpoint, .payload = calloc(1, BENCH_PAYLOAD_BYTES_MAX)};
  if (writer.payload == NULL) {
    scene_fail("out of memory");
  }
  opener_section_create(&opener, BENCH_SECTION, sizeof BENCH_SECTION - 1, NULL, 0);
  for (size_t i = 0; i < CALL_SIZES; i++) {
    call_measure(bench, echo, &writer, call_sizes[i]);
  }
  free(writer.payload);
  opener_close(&opener);
  bench_echo_destroy(&echo);
  scene_close(&scene);
}
