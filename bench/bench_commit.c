/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a transaction costs, and what it costs to wait until standbys have it.
 *
 * Transactions of several overwrites stand beside an echo of as many bytes, and beside the same overwrites one by one.
 * A commit that waits for members (applied_by) costs beyond a plain one at least the way of the change to the member,
 * one message from PUB to SUB, and the way of its word back, half an echo: that sum is the floor. Its members are
 * processes that do nothing but take changes.
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

#define PAYLOAD_BYTES 100U
#define CHANGES_MAX 100U
#define CHECKPOINT "bench-commit"
#define STANDBYS 2U
#define JOIN_LIMIT SA_TIME_ONE_SECOND
#define US 1000.0

typedef struct committer {
  SaCkptCheckpointHandleT checkpoint;
  uint32_t changes;
  vesta_write_options_t options;
  char ids[CHANGES_MAX][8];
  uint8_t payload[PAYLOAD_BYTES];
} committer_t;

static committer_t committer_new(SaCkptCheckpointHandleT checkpoint) {
  committer_t committer = {.checkpoint = checkpoint};
  for (uint32_t i = 0; i < CHANGES_MAX; i++) {
    (void)snprintf(committer.ids[i], sizeof committer.ids[i], "s%03u", i);
  }
  return committer;
}

static SaCkptSectionIdT committer_id(committer_t *committer, uint32_t section) {
  return (SaCkptSectionIdT){.idLen = (SaUint16T)strlen(committer->ids[section]),
                            .id = (SaUint8T *)committer->ids[section]};
}

static void committer_create_sections(committer_t *committer, const opener_t *opener) {
  for (uint32_t i = 0; i < CHANGES_MAX; i++) {
    opener_section_create(opener, committer->ids[i], (uint16_t)strlen(committer->ids[i]), NULL, 0);
  }
}

static void commit_once(committer_t *committer) {
  vesta_txn_t *txn;
  scene_require(vesta_txn_begin(committer->checkpoint, &txn), "vesta_txn_begin");
  for (uint32_t i = 0; i < committer->changes; i++) {
    SaCkptSectionIdT id = committer_id(committer, i);
    scene_require(vesta_txn_overwrite(txn, &id, committer->payload, PAYLOAD_BYTES), "vesta_txn_overwrite");
  }
  scene_require(vesta_txn_commit(&txn, &committer->options, NULL), "vesta_txn_commit");
}

static void overwrite_each(committer_t *committer) {
  for (uint32_t i = 0; i < committer->changes; i++) {
    SaCkptSectionIdT id = committer_id(committer, i);
    scene_require(saCkptSectionOverwrite(committer->checkpoint, &id, committer->payload, PAYLOAD_BYTES),
                  "saCkptSectionOverwrite");
  }
}

static void commit_repeat(committer_t *committer, void (*once)(committer_t *committer), int64_t duration_ns,
                          bench_samples_t *samples) {
  int64_t start_ns = scene_now_ns();
  int64_t now_ns = start_ns;
  while (now_ns < start_ns + duration_ns) {
    int64_t before_ns = now_ns;
    once(committer);
    now_ns = scene_now_ns();
    bench_samples_add(samples, (double)(now_ns - before_ns));
  }
}

static void commit_block(void *committer, int64_t duration_ns, bench_samples_t *samples) {
  commit_repeat(committer, commit_once, duration_ns, samples);
}

static void overwrite_each_block(void *committer, int64_t duration_ns, bench_samples_t *samples) {
  commit_repeat(committer, overwrite_each, duration_ns, samples);
}

/* ---- transactions ---- */

static void txn_row(bench_context_t *bench, bench_echo_t *echo, committer_t *committer) {
  enum { ECHO, SINGLY, COMMIT, SUBJECTS };
  const bench_plan_t plan = bench->quick ? (bench_plan_t){2, 10 * SCENE_MS} : (bench_plan_t){31, 25 * SCENE_MS};
  bench_subject_t subjects[SUBJECTS] = {
      [ECHO] = {.context = echo, .block = bench_echo_block},
      [SINGLY] = {.context = committer, .block = overwrite_each_block},
      [COMMIT] = {.context = committer, .block = commit_block},
  };
  bench_echo_size(echo, (size_t)committer->changes * PAYLOAD_BYTES);
  bench_alternate(plan, subjects, SUBJECTS);
  double p50_us = bench_median(subjects[COMMIT].p50_ns, plan.rounds) / US;
  double p99_us = bench_median(subjects[COMMIT].p99_ns, plan.rounds) / US;
  double singly_us = bench_median(subjects[SINGLY].p50_ns, plan.rounds) / US;
  double over_singly = bench_median_ratio(subjects[COMMIT].p50_ns, subjects[SINGLY].p50_ns, plan.rounds);
  double over_echo = bench_median_ratio(subjects[COMMIT].p50_ns, subjects[ECHO].p50_ns, plan.rounds);
  (void)printf("  %8u %10.2f %10.2f %12.2f %12.2f %12.2f %10.2f\n", committer->changes, p50_us, p99_us,
               p50_us / committer->changes, singly_us, over_singly, over_echo);
  bench_report_add(&bench->report, "transactions",
                   json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "changes", (json_int_t)committer->changes, "p50_us",
                             p50_us, "p99_us", p99_us, "one_by_one_p50_us", singly_us, "over_one_by_one", over_singly,
                             "over_echo", over_echo));
}

void bench_txn_part(bench_context_t *bench) {
  static const uint32_t changes[] = {1, 10, CHANGES_MAX};
  scene_t *scene = scene_open();
  bench_echo_t *echo = bench_echo_new();
  opener_t opener = opener_create(CHECKPOINT, 2 * CHANGES_MAX, 1024, 32);
  committer_t committer = committer_new(opener.checkpoint);
  committer_create_sections(&committer, &opener);
  bench_report_title("transactions of overwrites of %u B, %s\n  %8s %10s %10s %12s %12s %12s %10s", PAYLOAD_BYTES,
                     bench_place_text(bench), "changes", "p50 us", "p99 us", "us a change", "one by one", "over those",
                     "over echo");
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
    committer.changes = changes[i];
    txn_row(bench, echo, &committer);
  }
  opener_close(&opener);
  bench_echo_destroy(&echo);
  scene_close(&scene);
}

/* ---- applied_by ---- */

/* A standby that only takes changes. */
int bench_standby_run(char **arguments) {
  bench_meter_t meter;
  bench_meter_attach(&meter, arguments[0], arguments[1]);
  opener_t opener = opener_create(arguments[2], 2 * CHANGES_MAX, 1024, 32);
  vesta_pair_t *pair;
  scene_require(vesta_pair_join(opener.checkpoint, NULL, &pair), "vesta_pair_join");
  for (;;) {
    vesta_event_t event;
    scene_require(vesta_pair_next(pair, SA_TIME_END, &event), "vesta_pair_next");
    if (event.kind == VESTA_EVENT_CHANGE && event.change.kind == VESTA_CHANGE_SYNCED) {
      meter.shared->ready = true;
    }
  }
}

bench_group_t bench_group_begin(const scene_t *scene) {
  bench_group_t group = {.opener = opener_create(CHECKPOINT, 2 * CHANGES_MAX, 1024, 32)};
  scene_require(vesta_pair_join(group.opener.checkpoint, NULL, &group.pair), "vesta_pair_join");
  vesta_event_t event;
  do {
    scene_require(vesta_pair_next(group.pair, JOIN_LIMIT, &event), "vesta_pair_next");
  } while (event.kind != VESTA_EVENT_ROLE || event.role != VESTA_ROLE_ACTIVE);
  opener_section_create(&group.opener, BENCH_SECTION, sizeof BENCH_SECTION - 1, NULL, 0);
  group.standbys = bench_crowd_new(scene_dir(scene), "standby", STANDBYS, BENCH_STANDBY_ROLE, CHECKPOINT);
  bench_crowd_wait_ready(group.standbys);
  return group;
}

void bench_group_end(bench_group_t *group) {
  bench_crowd_destroy(&group->standbys);
  (void)vesta_pair_leave(&group->pair);
  opener_close(&group->opener);
}

void bench_group_commit_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  const bench_group_commit_t *commit = context;
  committer_t committer = committer_new(commit->group->opener.checkpoint);
  (void)strcpy(committer.ids[0], BENCH_SECTION);
  committer.changes = 1;
  committer.options.applied_by = commit->applied_by;
  committer.options.any_node = SA_TRUE;
  commit_block(&committer, duration_ns, samples);
}

void bench_applied_part(bench_context_t *bench) {
  enum { ECHO, PUBLISH, NONE, ONE, TWO, SUBJECTS };
  const bench_plan_t plan = bench->quick ? (bench_plan_t){2, 10 * SCENE_MS} : (bench_plan_t){31, 30 * SCENE_MS};
  scene_t *scene = scene_open();
  bench_echo_t *echo = bench_echo_new();
  bench_publish_t *publish = bench_publish_new(scene_dir(scene), "publish", 1);
  bench_group_t group = bench_group_begin(scene);
  bench_group_commit_t commits[] = {{&group, 0}, {&group, 1}, {&group, STANDBYS}};
  bench_subject_t subjects[SUBJECTS] = {
      [ECHO] = {.context = echo, .block = bench_echo_block},
      [PUBLISH] = {.context = publish, .block = bench_publish_latency_block},
      [NONE] = {.context = &commits[0], .block = bench_group_commit_block},
      [ONE] = {.context = &commits[1], .block = bench_group_commit_block},
      [TWO] = {.context = &commits[2], .block = bench_group_commit_block},
  };
  bench_echo_size(echo, PAYLOAD_BYTES);
  bench_publish_size(publish, PAYLOAD_BYTES);
  bench_report_title("commit of %u B to a group of an active and %u standbys, %s\n  %12s %10s %10s %10s %8s",
                     PAYLOAD_BYTES, STANDBYS, bench_place_text(bench), "applied_by", "p50 us", "p99 us", "floor us",
                     "ratio");
  bench_alternate(plan, subjects, SUBJECTS);
  for (int i = NONE; i <= TWO; i++) {
    double floor_ns[BENCH_ROUNDS_MAX];
    for (uint32_t round = 0; round < plan.rounds; round++) {
      double echo_ns = subjects[ECHO].p50_ns[round];
      floor_ns[round] = i == NONE ? echo_ns : 1.5 * echo_ns + subjects[PUBLISH].p50_ns[round];
    }
    double p50_us = bench_median(subjects[i].p50_ns, plan.rounds) / US;
    double p99_us = bench_median(subjects[i].p99_ns, plan.rounds) / US;
    double floor_us = bench_median(floor_ns, plan.rounds) / US;
    double ratio = bench_median_ratio(subjects[i].p50_ns, floor_ns, plan.rounds);
    (void)printf("  %12d %10.2f %10.2f %10.2f %8.2f\n", i - NONE, p50_us, p99_us, floor_us, ratio);
    bench_report_add(&bench->report, bench->on_one ? "applied_by" : "applied_by_free",
                     json_pack("{s:i, s:f, s:f, s:f, s:f}", "applied_by", i - NONE, "p50_us", p50_us, "p99_us", p99_us,
                               "floor_us", floor_us, "ratio", ratio));
  }
  bench_group_end(&group);
  bench_publish_destroy(&publish);
  bench_echo_destroy(&echo);
  scene_close(&scene);
}
