/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a follower pays that comes back with a position that the history no longer reaches back to: it is told LOST and
 * brought what changed since. That should cost what changed and not what exists; so checkpoints of several sizes stand
 * side by side, with few and with many sections changed, and beside each what a snapshot of all of it takes.
 */
#include <saCkpt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vesta.h>

#include "bench/bench_parts.h"
#include "bench/opener.h"
#include "bench/scene.h"

#define SECTION_BYTES 200U
#define ID_BYTES 16U
#define HISTORY_BYTES (24U << 20) /* of changes: more than any history that such a checkpoint keeps */
#define VECTOR_ELEMENTS 1000U
#define NEXT_LIMIT (30 * SA_TIME_ONE_SECOND)

static const uint32_t resync_sections[] = {1000, 10000, 100000};
static const uint32_t resync_quick_sections[] = {100, 200, 300};
static const uint32_t resync_changed[] = {10, 1000};
static const uint32_t resync_quick_changed[] = {10, 100};
enum { SIZES = sizeof resync_sections / sizeof resync_sections[0] };
enum { CHANGES = sizeof resync_changed / sizeof resync_changed[0] };

typedef struct resync_size {
  opener_t opener;
  uint32_t sections;
} resync_size_t;

/* A subject: `changed` sections of the others were changed; 0: a snapshot. */
typedef struct resync_case {
  resync_size_t *size;
  uint32_t changed;
} resync_case_t;

/* Overwrites, many a call, of `count` sections from `first` on, `step` apart. */
static void resync_overwrite(const resync_size_t *size, uint32_t first, uint32_t count, uint32_t step) {
  static SaCkptIOVectorElementT vector[VECTOR_ELEMENTS];
  static char ids[VECTOR_ELEMENTS][ID_BYTES];
  static uint8_t data[SECTION_BYTES];
  for (uint32_t done = 0; done < count;) {
    uint32_t elements = 0;
    for (; elements < VECTOR_ELEMENTS && done < count; elements++, done++) {
      (void)snprintf(ids[elements], ID_BYTES, "section-%06u", first + done * step);
      vector[elements] = (SaCkptIOVectorElementT){
          .sectionId = {.idLen = (SaUint16T)strlen(ids[elements]), .id = (SaUint8T *)ids[elements]},
          .dataBuffer = data,
          .dataSize = SECTION_BYTES};
    }
    scene_require(saCkptCheckpointWrite(size->opener.checkpoint, vector, elements, NULL), "saCkptCheckpointWrite");
  }
}

static void resync_create(resync_size_t *size, uint32_t sections) {
  static const uint8_t data[SECTION_BYTES];
  char name[32];
  (void)snprintf(name, sizeof name, "bench-resync-%u", sections);
  *size = (resync_size_t){.opener = opener_create(name, sections, SECTION_BYTES, ID_BYTES), .sections = sections};
  for (uint32_t i = 0; i < sections; i++) {
    char id[ID_BYTES];
    (void)snprintf(id, sizeof id, "section-%06u", i % 1000000);
    opener_section_create(&size->opener, id, (uint16_t)strlen(id), data, sizeof data);
  }
}

static void resync_next(vesta_stream_t *stream, vesta_change_t *change) {
  scene_require(vesta_stream_next(stream, NEXT_LIMIT, change), "vesta_stream_next");
}

/* Where the checkpoint stands. */
static vesta_position_t resync_position(const resync_size_t *size) {
  const vesta_stream_options_t options = {.from = VESTA_FROM_NOW};
  vesta_stream_t *stream;
  vesta_change_t change;
  scene_require(vesta_stream_open(size->opener.checkpoint, &options, &stream), "vesta_stream_open");
  do {
    resync_next(stream, &change);
  } while (change.kind != VESTA_CHANGE_SYNCED);
  (void)vesta_stream_close(&stream);
  return change.position;
}

/* Open, and take all until SYNCED. @return nanoseconds */
static int64_t resync_time(const resync_size_t *size, const vesta_stream_options_t *options, uint32_t expected) {
  vesta_stream_t *stream;
  vesta_change_t change;
  uint32_t sections = 0;
  bool lost = false;
  int64_t start_ns = scene_now_ns();
  scene_require(vesta_stream_open(size->opener.checkpoint, options, &stream), "vesta_stream_open");
  do {
    resync_next(stream, &change);
    sections += change.resync && change.kind == VESTA_CHANGE_CREATED;
    lost |= change.kind == VESTA_CHANGE_LOST;
  } while (change.kind != VESTA_CHANGE_SYNCED);
  int64_t time_ns = scene_now_ns() - start_ns;
  (void)vesta_stream_close(&stream);
  if (sections != expected || lost != (options->from == VESTA_FROM_POSITION)) {
    scene_fail("a resync brought %u sections instead of %u", sections, expected);
  }
  return time_ns;
}

/* One trial, however long. The changed sections are spread over all; section 0 takes what makes the history end. */
static void resync_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  const resync_case_t *self = context;
  vesta_stream_options_t options = {.from = VESTA_FROM_SNAPSHOT};
  uint32_t expected = self->size->sections;
  (void)duration_ns;
  if (self->changed > 0) {
    options = (vesta_stream_options_t){.from = VESTA_FROM_POSITION, .position = resync_position(self->size)};
    expected = self->changed;
    resync_overwrite(self->size, 0, self->changed, self->size->sections / self->changed);
    resync_overwrite(self->size, 0, HISTORY_BYTES / SECTION_BYTES, 0);
  }
  bench_samples_add(samples, (double)resync_time(self->size, &options, expected));
}

static void resync_rows(bench_context_t *bench, const resync_case_t *cases, const bench_subject_t *subjects,
                        uint32_t rounds) {
  for (int i = 0; i < SIZES * (CHANGES + 1); i++) {
    const bench_subject_t *snapshot = &subjects[i / (CHANGES + 1) * (CHANGES + 1)];
    if (cases[i].changed == 0) {
      continue;
    }
    double ms = bench_median(subjects[i].p50_ns, rounds) / (double)SCENE_MS;
    double snapshot_ms = bench_median(snapshot->p50_ns, rounds) / (double)SCENE_MS;
    (void)printf("  %10u %10u %10.2f %13.2f\n", cases[i].size->sections, cases[i].changed, ms, snapshot_ms);
    bench_report_add(&bench->report, "resync",
                     json_pack("{s:I, s:I, s:s, s:f, s:f}", "sections", (json_int_t)cases[i].size->sections, "changed",
                               (json_int_t)cases[i].changed, "change", i % (CHANGES + 1) == CHANGES ? "many" : "few",
                               "ms", ms, "snapshot_ms", snapshot_ms));
  }
}

void bench_resync_part(bench_context_t *bench) {
  const bench_plan_t plan = {bench->quick ? 1 : 7, 0};
  const uint32_t *sections = bench->quick ? resync_quick_sections : resync_sections;
  const uint32_t *changed = bench->quick ? resync_quick_changed : resync_changed;
  resync_size_t sizes[SIZES];
  resync_case_t cases[SIZES * (CHANGES + 1)];
  bench_subject_t subjects[SIZES * (CHANGES + 1)];
  scene_t *scene = scene_open();
  bench_report_title("resync of a follower behind the history, sections of %u B\n  %10s %10s %10s %13s", SECTION_BYTES,
                     "sections", "changed", "ms", "snapshot ms");
  for (int i = 0; i < SIZES * (CHANGES + 1); i++) {
    int size = i / (CHANGES + 1);
    int change = i % (CHANGES + 1);
    if (change == 0) {
      resync_create(&sizes[size], sections[size]);
    }
    cases[i] = (resync_case_t){.size = &sizes[size], .changed = change == 0 ? 0 : changed[change - 1]};
    subjects[i] = (bench_subject_t){.context = &cases[i], .block = resync_block};
  }
  bench_alternate(plan, subjects, SIZES * (CHANGES + 1));
  resync_rows(bench, cases, subjects, plan.rounds);
  const bench_subject_t *few = &subjects[CHANGES];
  const bench_subject_t *many = &subjects[(SIZES - 1) * (CHANGES + 1) + CHANGES];
  bench_report_target(&bench->report, "resync_of_1000_changed_100000_over_1000_sections",
                      bench_median_ratio(many->p50_ns, few->p50_ns, plan.rounds), 2);
  for (int i = 0; i < SIZES; i++) {
    opener_close(&sizes[i].opener);
  }
  scene_close(&scene);
}
