/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A node dies, with a writing active and the primary of its checkpoint on it: how long does its standby on another node
 * take to be active, once corosync there has told that the node is gone? The clock starts when a client of corosync, which
 * has nothing to do with Vesta, has heard of it; what corosync itself takes is said beside it.
 *
 *   node 1   the standby, and that client      node 2   nothing      node 3   the active; it dies
 *
 * Dying is losing the network, then vestad, corosync and the application by SIGKILL, and all memory. After that the node
 * comes back, and the next trial begins with members anew.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench_between.h"
#include "bench/bench_cluster.h"
#include "bench/bench_parts.h"
#include "bench/member.h"
#include "bench/witness.h"

#define SECTION_BYTES 200U
#define WRITING_NS (100 * SCENE_MS)
#define LIMIT_NS (120 * SCENE_SECOND)
#define VICTIM 3U

typedef struct takeover_shape {
  uint32_t sections, trials;
} takeover_shape_t;

static const takeover_shape_t takeover_shapes[] = {{1000, 5}, {100000, 3}};
static const takeover_shape_t takeover_quick_shapes[] = {{10, 1}, {100, 1}};
enum { TAKEOVER_GROUPS = sizeof takeover_shapes / sizeof takeover_shapes[0] };

typedef struct takeover_group {
  char path[128];
  witness_t *witness;
  member_t active, standby;
} takeover_group_t;

typedef struct takeover_samples {
  bench_samples_t takeovers, detections; /* nanoseconds */
} takeover_samples_t;

static void takeover_wait(takeover_group_t *group, member_t member, witness_step_t step) {
  int64_t deadline_ns = scene_now_ns() + LIMIT_NS;
  while (group->witness->members[member.index].step < step) {
    if (scene_now_ns() > deadline_ns) {
      scene_fail("a member of the group of %" PRIu32 " sections takes too long", group->witness->sections);
    }
    scene_require_running(member.process, "a member");
    scene_pause(SCENE_MS);
  }
}

static member_t takeover_join(bench_context_t *bench, const bench_nodes_t *nodes, takeover_group_t *group,
                              uint32_t node, uint32_t index) {
  memset(&group->witness->members[index], 0, sizeof group->witness->members[index]);
  bench_nodes_use(nodes, node);
  scene_place_at(bench_cluster_place(bench, node));
  member_t member = member_spawn(group->path, index);
  scene_place_at(0);
  return member;
}

/* A new checkpoint, whose primary is where it was opened first: the active on the node that is to die; and its standby. */
static void takeover_begin(bench_context_t *bench, bench_nodes_t *nodes, takeover_group_t *group, const char *directory,
                           uint32_t sections) {
  static uint32_t count;
  char name[48];
  (void)snprintf(name, sizeof name, "bench-takeover-%" PRIu32 "-%" PRIu32, sections, ++count);
  (void)snprintf(group->path, sizeof group->path, "%s/%s", directory, name);
  group->witness = witness_create(group->path, name, sections, SECTION_BYTES, false);
  group->witness->writer = 0;
  group->active = takeover_join(bench, nodes, group, VICTIM, 0);
  takeover_wait(group, group->active, WITNESS_WRITING);
  group->standby = takeover_join(bench, nodes, group, 1, 1);
  takeover_wait(group, group->standby, WITNESS_SYNCED);
  bench_nodes_wait_in_sync(nodes, name, 2);
}

static void takeover_trial(bench_context_t *bench, bench_nodes_t *nodes, bench_cpg_t *cpg, const char *directory,
                           uint32_t sections, takeover_samples_t *samples) {
  takeover_group_t group = {.witness = NULL};
  takeover_begin(bench, nodes, &group, directory, sections);
  scene_pause(WRITING_NS);
  bench_cpg_wait_members(cpg, VICTIM);
  int64_t kill_ns = scene_now_ns();
  bench_nodes_run(nodes, "node_kill %u", VICTIM);
  scene_kill(group.active.process);
  int64_t seen_ns = bench_cpg_wait_loss(cpg, VICTIM);
  group.witness->writer = WITNESS_NOBODY;
  takeover_wait(&group, group.standby, WITNESS_ACTIVE);
  bench_samples_add(&samples->detections, (double)(seen_ns - kill_ns));
  bench_samples_add(&samples->takeovers, (double)(group.witness->members[1].active_ns - seen_ns));
  scene_kill(group.standby.process);
  witness_close(group.witness);
  bench_nodes_run(nodes, "corosync_start %u; vestad_start %u", VICTIM, VICTIM);
  bench_nodes_wait_formed(nodes);
  bench_nodes_place(nodes, VICTIM, bench_cluster_place(bench, VICTIM));
}

static double takeover_row(bench_context_t *bench, uint32_t sections, takeover_samples_t *samples) {
  double p50_ms = bench_samples_quantile(&samples->takeovers, 0.5) / (double)SCENE_MS;
  double max_ms = bench_samples_quantile(&samples->takeovers, 1) / (double)SCENE_MS;
  double detection_ms = bench_samples_quantile(&samples->detections, 0.5) / (double)SCENE_MS;
  (void)printf("  %8" PRIu32 " %10.2f %10.2f %14.0f\n", sections, p50_ms, max_ms, detection_ms);
  bench_report_add(&bench->report, "cluster_takeover",
                   json_pack("{s:I, s:f, s:f, s:f}", "sections", (json_int_t)sections, "p50_ms", p50_ms, "max_ms",
                             max_ms, "corosync_p50_ms", detection_ms));
  return p50_ms;
}

void bench_cluster_takeover(bench_context_t *bench) {
  const takeover_shape_t *shapes = bench->quick ? takeover_quick_shapes : takeover_shapes;
  double p50_ms[TAKEOVER_GROUPS];
  if (bench_cluster_is_left_out(bench, "a node that dies")) {
    return;
  }
  scene_place_at(0);
  scene_t *scene = scene_open();
  bench_nodes_t *nodes = bench_cluster_nodes(bench, VICTIM, false, "");
  bench_cpg_t *cpg = bench_cpg_new(nodes);
  if (cpg != NULL) {
    bench_report_title(
        "a node dies: its standby on another one is active, after corosync has told\n  %8s %10s %10s %14s", "sections",
        "p50 ms", "max ms", "corosync ms");
  }
  for (int i = 0; cpg != NULL && i < TAKEOVER_GROUPS; i++) {
    takeover_samples_t samples = {.takeovers = {0}};
    for (uint32_t trial = 0; trial < shapes[i].trials; trial++) {
      takeover_trial(bench, nodes, cpg, scene_dir(scene), shapes[i].sections, &samples);
    }
    p50_ms[i] = takeover_row(bench, shapes[i].sections, &samples);
    bench_samples_fini(&samples.takeovers);
    bench_samples_fini(&samples.detections);
  }
  if (cpg != NULL) {
    bench_report_target(&bench->report, "cluster_takeover_p50_ms", p50_ms[TAKEOVER_GROUPS - 1], 10);
    bench_report_target(&bench->report, "cluster_takeover_100000_over_1000_sections",
                        p50_ms[TAKEOVER_GROUPS - 1] / p50_ms[0], 1.5);
  }
  bench_cpg_destroy(&cpg);
  bench_nodes_destroy(&nodes);
  scene_close(&scene);
  scene_place(bench->on_one);
}
