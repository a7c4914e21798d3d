/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bench: what Vesta costs beside what the machine costs, all from one run. See bench_parts.h for what is measured,
 * bench_floor.h for what it is compared with, bench_samples.h for how.
 *
 * It ends with a line for each target, reached or not: to fall short is a result, not a failure.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_between.h"
#include "bench/bench_cluster.h"
#include "bench/bench_floor.h"
#include "bench/bench_parts.h"
#include "bench/bench_publish.h"
#include "bench/bench_redis.h"
#include "bench/member.h"
#include "bench/plain_takeover.h"
#include "bench/scene.h"

#define BENCH_LIMIT_S 1200U

typedef struct bench_role {
  const char *name;
  int (*run)(char **arguments);
} bench_role_t;

static int bench_run_role(const char *role, char **arguments) {
  static const bench_role_t roles[] = {
      {BENCH_ECHO_ROLE, bench_echo_run},
      {BENCH_SUBSCRIBER_ROLE, bench_subscriber_run},
      {BENCH_FOLLOWER_ROLE, bench_follower_run},
      {BENCH_GUEST_ROLE, bench_guest_run},
      {BENCH_GUEST_SERVICE_ROLE, bench_guest_service_run},
      {BENCH_IDLE_ROLE, bench_idle_run},
      {BENCH_STANDBY_ROLE, bench_standby_run},
      {BENCH_REDIS_ROLE, bench_redis_run},
      {BENCH_ZMQ_ECHO_ROLE, bench_zmq_echo_run},
      {BENCH_SINK_ROLE, bench_sink_run},
      {BENCH_RIVAL_SUBSCRIBER_ROLE, bench_rival_subscriber_run},
      {MEMBER_ROLE, member_run},
      {PLAIN_TAKEOVER_ROLE, plain_takeover_run},
  };
  for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
    if (strcmp(roles[i].name, role) == 0) {
      return roles[i].run(arguments);
    }
  }
  return 2;
}

typedef struct bench_part {
  const char *name;
  void (*run)(bench_context_t *bench);
  bool on_one; /* see bench_samples.h */
} bench_part_t;

static const bench_part_t bench_parts[] = {
    {"calls", bench_call_part, true},
    {"calls", bench_call_part, false},
    {"changes", bench_change_part, true},
    {"changes", bench_change_part, false},
    {"guests", bench_guest_part, true},
    {"guests", bench_guest_part, false},
    {"throughput", bench_throughput_part, false},
    {"subscribers", bench_subscriber_part, false},
    {"transactions", bench_txn_part, true},
    {"applied_by", bench_applied_part, true},
    {"applied_by", bench_applied_part, false},
    {"resync", bench_resync_part, false},
    {"rival", bench_rival_part, true},
    {"rival", bench_rival_part, false},
    {"failover", bench_failover_part, false},
    {"memory", bench_memory_part, false},
    {"idle", bench_idle_part, true},
    {"cluster", bench_cluster_part, true},
    {"cluster", bench_cluster_part, false},
    {"cluster_resync", bench_cluster_resync, false},
    {"cluster_takeover", bench_cluster_takeover, false},
};

enum { BENCH_PARTS = sizeof bench_parts / sizeof bench_parts[0] };

/* "cluster" means "cluster_resync" too. */
static bool bench_part_is(const bench_part_t *part, const char *name) {
  size_t size = strlen(name);
  return strncmp(part->name, name, size) == 0 && (part->name[size] == '\0' || part->name[size] == '_');
}

static bool bench_is_part(const char *name) {
  for (size_t i = 0; i < BENCH_PARTS; i++) {
    if (bench_part_is(&bench_parts[i], name)) {
      return true;
    }
  }
  return false;
}

static _Noreturn void bench_usage(int status) {
  (void)fprintf(
      status == 0 ? stdout : stderr,
      "Usage: " BENCH_PROGRAM " [--quick] [--only PART] [--output DIR]\n"
      "Measure Vesta beside the floors of this machine.\n\n"
      "  --quick         a few seconds, to see that it runs; the figures mean nothing (no nodes, unless asked for)\n"
      "  --only PART     calls, changes, guests, throughput, subscribers, transactions, applied_by, resync,\n"
      "                  rival, failover, memory, idle, cluster (root and corosync are needed),\n"
      "                  cluster_resync or cluster_takeover\n"
      "  --output DIR    write bench.json and, with gnuplot, SVG plots there\n");
  exit(status);
}

int main(int argc, char **argv) {
  static const struct option table[] = {{"quick", no_argument, NULL, 'q'},
                                        {"only", required_argument, NULL, 'p'},
                                        {"output", required_argument, NULL, 'o'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};
  const char *role = scene_role(BENCH_PROGRAM, argc, argv);
  if (role != NULL) {
    return bench_run_role(role, &argv[SCENE_ROLE_ARGUMENT]);
  }
  bench_context_t bench = {.quick = false};
  const char *only = NULL;
  const char *output = NULL;
  int option;
  while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
    switch (option) {
      case 'q': bench.quick = true; break;
      case 'p': only = optarg; break;
      case 'o': output = optarg; break;
      case 'h': bench_usage(0);
      default: bench_usage(2);
    }
  }
  if (optind < argc || (only != NULL && !bench_is_part(only))) {
    bench_usage(2);
  }
  scene_begin(BENCH_PROGRAM, BENCH_LIMIT_S);
  bench_report_init(&bench.report, output);
  for (size_t i = 0; i < BENCH_PARTS; i++) {
    if (only == NULL || bench_part_is(&bench_parts[i], only)) {
      bench.on_one = bench_parts[i].on_one;
      bench.asked = only != NULL;
      scene_place(bench.on_one);
      bench_parts[i].run(&bench);
    }
  }
  bench_report_finish(&bench.report);
  return 0;
}
