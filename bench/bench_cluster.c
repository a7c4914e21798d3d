/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a write costs when its replicas are on several nodes, beside echoes over the same way and others' ways to do it.
 *
 *   floor     an AF_UNIX echo, which is the application and its vestad, and a TCP echo between two nodes: two machines
 *             can't agree on anything with less
 *   two, three nodes     overwrites of 100 B, acknowledged by all; by the active alone; with keys
 *
 * Measured twice: with all processes on one processor, as all other latencies; and with a processor for each node (and
 * round again when there are fewer), as it is in life. The targets are of the second: two nodes are two processors, and
 * what a copy does when the writer has been answered is in nobody's way there. The whole of one node's way to another is
 * then mostly two wake-ups of a processor that sleeps.
 */
#include <saCkpt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench_between.h"
#include "bench/bench_cluster.h"
#include "bench/bench_cpu.h"
#include "bench/bench_floor.h"
#include "bench/bench_nodes.h"
#include "bench/bench_parts.h"
#include "bench/bench_redis.h"

#define US 1000.0
#define PAYLOAD_BYTES 100U

/* A client of node 1, and whose processor time its writes cost. */
typedef struct cluster_writer {
  bench_writer_t writer;
  opener_t opener;
  pid_t processes[1 + BENCH_NODES_MAX];
  uint32_t process_count;
  int64_t cpu_ns;
  uint64_t writes;
} cluster_writer_t;

static uint8_t cluster_payload[PAYLOAD_BYTES];

static int64_t writer_cpu_ns(const cluster_writer_t *writer) {
  int64_t sum_ns = 0;
  for (uint32_t i = 0; i < writer->process_count; i++) {
    sum_ns += bench_cpu_ns(writer->processes[i]);
  }
  return sum_ns;
}

static void cluster_write_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  cluster_writer_t *writer = context;
  size_t count = samples->count;
  int64_t before_ns = writer_cpu_ns(writer);
  bench_overwrite_block(&writer->writer, duration_ns, samples);
  writer->cpu_ns += writer_cpu_ns(writer) - before_ns;
  writer->writes += samples->count - count;
}

/* What the environment names is where it is opened. */
static void writer_open(cluster_writer_t *writer, const char *name, SaCkptCheckpointCreationFlagsT flags) {
  *writer = (cluster_writer_t){.opener = opener_create_as(name, flags, 16, 1024, 32), .processes = {getpid()}};
  opener_section_create(&writer->opener, BENCH_SECTION, sizeof BENCH_SECTION - 1, NULL, 0);
  writer->writer = (bench_writer_t){writer->opener.checkpoint, PAYLOAD_BYTES, cluster_payload};
  writer->process_count = 1;
}

static void writer_open_at(cluster_writer_t *writer, bench_nodes_t *nodes, uint32_t count, const char *name,
                           SaCkptCheckpointCreationFlagsT flags) {
  bench_nodes_use(nodes, 1);
  writer_open(writer, name, flags);
  bench_nodes_wait_in_sync(nodes, name, count);
  for (uint32_t node = 1; node <= count; node++) {
    writer->processes[writer->process_count++] = bench_nodes_vestad(nodes, node);
  }
}

/* ---- everything that is measured in turns ---- */

enum { ECHO, TCP, ZMQ, CPG, REDIS, ONE, ACTIVE, ALL, ALL_KEYS, ALL_THREE, SUBJECTS };

static const char *const cluster_names[SUBJECTS] = {"AF_UNIX echo",
                                                    "TCP echo between nodes",
                                                    "ZeroMQ echo between nodes",
                                                    "corosync, own message",
                                                    "redis SET, WAIT 1",
                                                    "one node",
                                                    "two, the active alone",
                                                    "two, all",
                                                    "two, all, with keys",
                                                    "three, all"};

typedef struct cluster_stage {
  scene_t *scene;
  bench_nodes_t *two, *two_keys, *three;
  bench_echo_t *echo, *tcp;
  bench_zmq_echo_t *zmq;
  bench_cpg_t *cpg;
  bench_redis_t *master, *replica;
  cluster_writer_t one, active, all, all_keys, all_three;
  bench_subject_t subjects[SUBJECTS];
} cluster_stage_t;

uint32_t bench_cluster_place(const bench_context_t *bench, uint32_t node) { return bench->on_one ? 0 : node - 1; }

bench_nodes_t *bench_cluster_nodes(const bench_context_t *bench, uint32_t count, bool keys, const char *options) {
  bench_nodes_t *nodes = bench_nodes_new(count, keys, options);
  for (uint32_t node = 1; node <= count; node++) {
    bench_nodes_place(nodes, node, bench_cluster_place(bench, node));
  }
  return nodes;
}

static void stage_redis(cluster_stage_t *stage, const bench_context_t *bench) {
  char address[16];
  if (!bench_redis_is_there()) {
    return;
  }
  bench_nodes_address(1, address);
  bench_nodes_enter(stage->two, 1);
  stage->master = bench_redis_new_at(address, scene_dir(stage->scene), "redis-master", NULL);
  bench_nodes_address(2, address);
  bench_nodes_enter(stage->two, 2);
  scene_place_at(bench_cluster_place(bench, 2));
  stage->replica = bench_redis_new_at(address, scene_dir(stage->scene), "redis-replica", stage->master);
  scene_place_at(0);
  bench_nodes_leave();
  bench_redis_wait_for_replica(stage->master);
}

static void stage_open(cluster_stage_t *stage, const bench_context_t *bench) {
  int ends[2];
  stage->scene = scene_open();
  stage->two = bench_cluster_nodes(bench, 2, false, "");
  stage->two_keys = bench_cluster_nodes(bench, 2, true, "");
  stage->three = bench_cluster_nodes(bench, 3, false, "--replicas 3");
  stage->echo = bench_echo_new();
  bench_nodes_connect(stage->two, 1, 2, ends);
  scene_place_at(bench_cluster_place(bench, 2));
  stage->tcp = bench_echo_new_over(ends);
  scene_place_at(0);
  bench_echo_size(stage->echo, PAYLOAD_BYTES);
  bench_echo_size(stage->tcp, PAYLOAD_BYTES);
  stage->zmq = bench_zmq_echo_new(stage->two, 0, bench_cluster_place(bench, 2));
  stage->cpg = bench_cpg_new(stage->two);
  stage_redis(stage, bench);
  scene_enter(stage->scene);
  writer_open(&stage->one, "bench-one", SA_CKPT_WR_ACTIVE_REPLICA);
  stage->one.processes[stage->one.process_count++] = scene_daemon(stage->scene);
  writer_open_at(&stage->active, stage->two, 2, "bench-active", SA_CKPT_WR_ACTIVE_REPLICA);
  writer_open_at(&stage->all, stage->two, 2, "bench-all", SA_CKPT_WR_ALL_REPLICAS);
  writer_open_at(&stage->all_keys, stage->two_keys, 2, "bench-all", SA_CKPT_WR_ALL_REPLICAS);
  writer_open_at(&stage->all_three, stage->three, 3, "bench-all", SA_CKPT_WR_ALL_REPLICAS);
}

static void stage_close(cluster_stage_t *stage) {
  opener_close(&stage->one.opener);
  opener_close(&stage->active.opener);
  opener_close(&stage->all.opener);
  opener_close(&stage->all_keys.opener);
  opener_close(&stage->all_three.opener);
  if (stage->master != NULL) {
    bench_redis_destroy(&stage->replica);
    bench_redis_destroy(&stage->master);
  }
  bench_cpg_destroy(&stage->cpg);
  bench_zmq_echo_destroy(&stage->zmq);
  bench_echo_destroy(&stage->tcp);
  bench_echo_destroy(&stage->echo);
  bench_nodes_destroy(&stage->three);
  bench_nodes_destroy(&stage->two_keys);
  bench_nodes_destroy(&stage->two);
  scene_close(&stage->scene);
}

static cluster_writer_t *stage_writer(cluster_stage_t *stage, int subject) {
  cluster_writer_t *writers[SUBJECTS] = {[ONE] = &stage->one,
                                         [ACTIVE] = &stage->active,
                                         [ALL] = &stage->all,
                                         [ALL_KEYS] = &stage->all_keys,
                                         [ALL_THREE] = &stage->all_three};
  return writers[subject];
}

/* What is not there takes no time, and has no row. */
static void stage_nothing_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  (void)context, (void)duration_ns, (void)samples;
}

static void stage_measure(cluster_stage_t *stage, bench_plan_t plan) {
  bench_subject_t *subjects = stage->subjects;
  subjects[ECHO] = (bench_subject_t){.context = stage->echo, .block = bench_echo_block};
  subjects[TCP] = (bench_subject_t){.context = stage->tcp, .block = bench_echo_block};
  subjects[ZMQ] = (bench_subject_t){.context = stage->zmq, .block = bench_zmq_echo_block};
  subjects[CPG] =
      (bench_subject_t){.context = stage->cpg, .block = stage->cpg == NULL ? stage_nothing_block : bench_cpg_block};
  subjects[REDIS] = (bench_subject_t){.context = stage->master,
                                      .block = stage->master == NULL ? stage_nothing_block : bench_redis_wait_block};
  for (int i = ONE; i < SUBJECTS; i++) {
    subjects[i] = (bench_subject_t){.context = stage_writer(stage, i), .block = cluster_write_block};
  }
  bench_alternate(plan, subjects, SUBJECTS);
}

/* ---- what it says ---- */

static void cluster_row(bench_context_t *bench, cluster_stage_t *stage, int subject, const double *floor_ns,
                        uint32_t rounds) {
  const bench_subject_t *self = &stage->subjects[subject];
  const cluster_writer_t *writer = stage_writer(stage, subject);
  double p50_us = bench_median(self->p50_ns, rounds) / US;
  double p99_us = bench_median(self->p99_ns, rounds) / US;
  double ratio = bench_median_ratio(self->p50_ns, floor_ns, rounds);
  double cpu_us = writer == NULL || writer->writes == 0 ? 0 : (double)writer->cpu_ns / (double)writer->writes / US;
  if (p50_us == 0) {
    (void)printf("  %-26s not installed\n", cluster_names[subject]);
    return;
  }
  (void)printf("  %-26s %10.2f %10.2f %8.2f", cluster_names[subject], p50_us, p99_us, ratio);
  if (writer != NULL) {
    (void)printf(" %10.2f", cpu_us);
  }
  (void)printf("\n");
  bench_report_add(&bench->report, bench->on_one ? "cluster" : "cluster_placed",
                   json_pack("{s:s, s:f, s:f, s:f, s:f}", "what", cluster_names[subject], "p50_us", p50_us, "p99_us",
                             p99_us, "over_floor", ratio, "cpu_us", cpu_us));
}

static void cluster_targets(bench_context_t *bench, const cluster_stage_t *stage, const double *floor_ns,
                            uint32_t rounds) {
  const bench_subject_t *subjects = stage->subjects;
  bench_report_target(&bench->report, "cluster_all_2_nodes_over_echoes",
                      bench_median_ratio(subjects[ALL].p50_ns, floor_ns, rounds), 1.5);
  bench_report_target(&bench->report, "cluster_all_3_nodes_over_2",
                      bench_median_ratio(subjects[ALL_THREE].p50_ns, subjects[ALL].p50_ns, rounds), 1.7);
  bench_report_target(&bench->report, "cluster_active_2_nodes_over_1",
                      bench_median_ratio(subjects[ACTIVE].p50_ns, subjects[ONE].p50_ns, rounds), 1.2);
}

static void cluster_latencies(bench_context_t *bench) {
  const bench_plan_t plan = bench->quick ? (bench_plan_t){2, 10 * SCENE_MS} : (bench_plan_t){21, 30 * SCENE_MS};
  static cluster_stage_t stage;
  double floor_ns[BENCH_ROUNDS_MAX];
  scene_place_at(0);
  stage = (cluster_stage_t){0};
  stage_open(&stage, bench);
  stage_measure(&stage, plan);
  for (uint32_t round = 0; round < plan.rounds; round++) {
    floor_ns[round] = stage.subjects[ECHO].p50_ns[round] + stage.subjects[TCP].p50_ns[round];
  }
  bench_report_title("overwrite of %u B with replicas on several nodes, %s\n  %-26s %10s %10s %8s %10s", PAYLOAD_BYTES,
                     bench->on_one ? bench_place_text(bench) : "a processor for each node", "", "p50 us", "p99 us",
                     "/ floor", "cpu us");
  for (int i = 0; i < SUBJECTS; i++) {
    cluster_row(bench, &stage, i, floor_ns, plan.rounds);
  }
  if (!bench->on_one) {
    cluster_targets(bench, &stage, floor_ns, plan.rounds);
  }
  stage_close(&stage);
}

bool bench_cluster_is_left_out(const bench_context_t *bench, const char *what) {
  const char *why_not = bench->quick && !bench->asked ? "it is not quick" : bench_nodes_why_not();
  if (why_not != NULL) {
    bench_report_title("%s: left out, %s", what, why_not);
  }
  return why_not != NULL;
}

void bench_cluster_part(bench_context_t *bench) {
  if (!bench_cluster_is_left_out(bench, "writes on several nodes")) {
    cluster_latencies(bench);
    scene_place(bench->on_one);
  }
}
