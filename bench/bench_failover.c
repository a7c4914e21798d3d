/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From SIGKILL on a writing active to the event ACTIVE, its barrier included, in its standby: for checkpoints of few
 * and many sections in turns. Beside it what the plain standard costs then: open, iterate, read all.
 *
 * In each trial a fresh standby joins, takes the snapshot, follows the writer for a while; then the active is killed. The
 * standby is the active of the next trial.
 */
#include <stdio.h>
#include <string.h>

#include "bench/bench_parts.h"
#include "bench/bench_samples.h"
#include "bench/member.h"
#include "bench/plain_takeover.h"
#include "bench/scene.h"
#include "bench/witness.h"

#define SECTION_BYTES 200U
#define TRIALS 11U
#define QUICK_TRIALS 1U
#define PLAIN_TRIALS 3U
#define WRITING_NS (150 * SCENE_MS) /* before each kill */
#define LIMIT_NS (30 * SCENE_SECOND)

static const uint32_t failover_sections[] = {100, 10000, 100000};
static const uint32_t failover_quick_sections[] = {10, 100, 1000};
enum { FAILOVER_GROUPS = sizeof failover_sections / sizeof failover_sections[0] };

typedef struct failover_group {
  char path[128];
  witness_t *witness;
  member_t active;
  /* nanoseconds */
  bench_samples_t failovers;
  bench_samples_t deaths; /* the part of it until the kernel had taken the process down, which is when it tells */
  bench_samples_t plain;
} failover_group_t;

static witness_member_t *failover_member(failover_group_t *group, uint32_t index) {
  return &group->witness->members[index];
}

static void failover_wait(failover_group_t *group, member_t member, witness_step_t step) {
  int64_t deadline_ns = scene_now_ns() + LIMIT_NS;
  while (failover_member(group, member.index)->step < step) {
    if (scene_now_ns() > deadline_ns) {
      scene_fail("a member of the group of %u sections takes too long", group->witness->sections);
    }
    scene_require_running(member.process, "a member");
    scene_pause(SCENE_MS);
  }
}

static void failover_begin(failover_group_t *group, const char *directory, uint32_t sections) {
  char name[32];
  (void)snprintf(name, sizeof name, "bench-failover-%u", sections);
  (void)snprintf(group->path, sizeof group->path, "%s/%s", directory, name);
  group->witness = witness_create(group->path, name, sections, SECTION_BYTES, false);
  group->active = member_spawn(group->path, 0);
  failover_wait(group, group->active, WITNESS_ACTIVE);
}

static void failover_trial(failover_group_t *group) {
  uint32_t index = (group->active.index + 1) % WITNESS_MEMBERS_MAX;
  memset(failover_member(group, index), 0, sizeof(witness_member_t));
  member_t standby = member_spawn(group->path, index);
  failover_wait(group, standby, WITNESS_SYNCED);
  group->witness->writer = group->active.index;
  failover_wait(group, group->active, WITNESS_WRITING);
  scene_pause(WRITING_NS);
  int64_t kill_ns = scene_now_ns();
  scene_kill(group->active.process);
  int64_t gone_ns = scene_now_ns();
  group->witness->writer = WITNESS_NOBODY;
  failover_wait(group, standby, WITNESS_ACTIVE);
  bench_samples_add(&group->deaths, (double)(gone_ns - kill_ns));
  bench_samples_add(&group->failovers, (double)(failover_member(group, index)->active_ns - kill_ns));
  group->active = standby;
}

static double failover_row(bench_context_t *bench, failover_group_t *group) {
  double p50_ms = bench_samples_quantile(&group->failovers, 0.5) / (double)SCENE_MS;
  double max_ms = bench_samples_quantile(&group->failovers, 1) / (double)SCENE_MS;
  double death_ms = bench_samples_quantile(&group->deaths, 0.5) / (double)SCENE_MS;
  double plain_ms = bench_samples_quantile(&group->plain, 0.5) / (double)SCENE_MS;
  (void)printf("  %8u %10.2f %10.2f %13.2f %17.2f %8.1f\n", group->witness->sections, p50_ms, max_ms, death_ms,
               plain_ms, plain_ms / p50_ms);
  bench_report_add(&bench->report, "failover",
                   json_pack("{s:I, s:I, s:f, s:f, s:f, s:f}", "sections", (json_int_t)group->witness->sections,
                             "trials", (json_int_t)group->failovers.count, "p50_ms", p50_ms, "max_ms", max_ms,
                             "process_gone_p50_ms", death_ms, "iterate_and_read_p50_ms", plain_ms));
  return p50_ms;
}

void bench_failover_part(bench_context_t *bench) {
  static failover_group_t groups[FAILOVER_GROUPS];
  const uint32_t *sections = bench->quick ? failover_quick_sections : failover_sections;
  uint32_t trials = bench->quick ? QUICK_TRIALS : TRIALS;
  double p50_ms[FAILOVER_GROUPS];
  scene_t *scene = scene_open();
  bench_report_title("failover, sections of %u B\n  %8s %10s %10s %13s %17s %8s", SECTION_BYTES, "sections", "p50 ms",
                     "max ms", "process gone", "iterate, read ms", "ratio");
  for (int i = 0; i < FAILOVER_GROUPS; i++) {
    failover_begin(&groups[i], scene_dir(scene), sections[i]);
  }
  for (uint32_t trial = 0; trial < trials; trial++) {
    for (int i = 0; i < FAILOVER_GROUPS; i++) {
      failover_trial(&groups[i]);
    }
  }
  for (int i = 0; i < FAILOVER_GROUPS; i++) {
    for (uint32_t trial = 0; trial < PLAIN_TRIALS; trial++) {
      bench_samples_add(&groups[i].plain, (double)plain_takeover_time(groups[i].path, NULL));
    }
    p50_ms[i] = failover_row(bench, &groups[i]);
    scene_kill(groups[i].active.process);
    witness_close(groups[i].witness);
    bench_samples_fini(&groups[i].failovers);
    bench_samples_fini(&groups[i].deaths);
    bench_samples_fini(&groups[i].plain);
  }
  scene_close(&scene);
  bench_report_target(&bench->report, "failover_p50_ms", p50_ms[FAILOVER_GROUPS - 1], 5);
  bench_report_target(&bench->report, "failover_100000_over_100_sections", p50_ms[FAILOVER_GROUPS - 1] / p50_ms[0],
                      1.5);
}
