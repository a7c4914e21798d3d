/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Does a client pay for the others' being there? Overwrites at a daemon with 9,999 idle clients and at one with none, in
 * turns.
 */
#include <saCkpt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/bench_meter.h"
#include "bench/bench_parts.h"
#include "bench/opener.h"
#include "bench/scene.h"

#define IDLE_CLIENTS 9999U
#define QUICK_IDLE_CLIENTS 99U
#define CLIENTS_PER_PROCESS 1000U
#define PROCESSES_MAX (IDLE_CLIENTS / CLIENTS_PER_PROCESS + 1U)
#define PAYLOAD_BYTES 100U
#define CONNECT_LIMIT_NS (60 * SCENE_SECOND)
#define US 1000.0

/* A process with many library handles, each a client of its own to the daemon. */
int bench_idle_run(char **arguments) {
  bench_meter_t meter;
  unsigned long count = strtoul(arguments[2], NULL, 10);
  struct rlimit files;
  bench_meter_attach(&meter, arguments[0], arguments[1]);
  (void)getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &files);
  for (unsigned long i = 0; i < count; i++) {
    (void)opener_library();
    meter.shared->count++;
  }
  for (;;) {
    (void)pause();
  }
}

static uint32_t idle_connect(bench_meter_t *meter, uint32_t clients, pid_t processes[PROCESSES_MAX]) {
  uint32_t count = 0;
  for (uint32_t connected = 0; connected < clients; connected += CLIENTS_PER_PROCESS) {
    uint32_t here = clients - connected < CLIENTS_PER_PROCESS ? clients - connected : CLIENTS_PER_PROCESS;
    char fd_text[16];
    char count_text[16];
    (void)snprintf(count_text, sizeof count_text, "%u", here);
    const char *arguments[] = {meter->path, bench_meter_fd_text(meter, fd_text), count_text, NULL};
    processes[count++] = scene_spawn(BENCH_IDLE_ROLE, arguments);
  }
  int64_t deadline_ns = scene_now_ns() + CONNECT_LIMIT_NS;
  while (meter->shared->count < clients) {
    for (uint32_t i = 0; i < count; i++) {
      scene_require_running(processes[i], "a process of idle clients");
    }
    if (scene_now_ns() > deadline_ns) {
      scene_fail("only %llu clients could connect in time", (unsigned long long)meter->shared->count);
    }
    scene_pause(10 * SCENE_MS);
  }
  return count;
}

static opener_t idle_opener(void) {
  opener_t opener = opener_create("bench-idle", 64, 1024, 32);
  opener_section_create(&opener, BENCH_SECTION, sizeof BENCH_SECTION - 1, NULL, 0);
  return opener;
}

static void idle_row(bench_context_t *bench, uint32_t clients, const bench_subject_t *with,
                     const bench_subject_t *without, uint32_t rounds) {
  double with_us = bench_median(with->p50_ns, rounds) / US;
  double without_us = bench_median(without->p50_ns, rounds) / US;
  double ratio = bench_median_ratio(with->p50_ns, without->p50_ns, rounds);
  (void)printf("  %10u %10.2f %10.2f %8.2f\n", clients, with_us, without_us, ratio);
  bench_report_add(&bench->report, "idle_clients",
                   json_pack("{s:I, s:f, s:f, s:f}", "clients", (json_int_t)clients, "p50_us", with_us,
                             "p50_us_without", without_us, "ratio", ratio));
  bench_report_target(&bench->report, "overwrite_p50_9999_idle_over_none", ratio, 1.2);
}

void bench_idle_part(bench_context_t *bench) {
  const bench_plan_t plan = bench->quick ? (bench_plan_t){2, 10 * SCENE_MS} : (bench_plan_t){51, 30 * SCENE_MS};
  uint32_t clients = bench->quick ? QUICK_IDLE_CLIENTS : IDLE_CLIENTS;
  static unsigned char payload[PAYLOAD_BYTES];
  pid_t processes[PROCESSES_MAX];
  bench_meter_t meter;
  bench_report_title("overwrite of %u B beside idle clients\n  %10s %10s %10s %8s", PAYLOAD_BYTES, "clients", "p50 us",
                     "with none", "ratio");
  scene_t *alone = scene_open();
  opener_t alone_opener = idle_opener();
  scene_t *crowd = scene_open();
  opener_t crowd_opener = idle_opener();
  bench_meter_init(&meter, scene_dir(crowd), "idle");
  uint32_t count = idle_connect(&meter, clients, processes);

  bench_writer_t writers[] = {{.checkpoint = crowd_opener.checkpoint, .bytes = PAYLOAD_BYTES, .payload = payload},
                              {.checkpoint = alone_opener.checkpoint, .bytes = PAYLOAD_BYTES, .payload = payload}};
  bench_subject_t subjects[] = {{.context = &writers[0], .block = bench_overwrite_block},
                                {.context = &writers[1], .block = bench_overwrite_block}};
  bench_alternate(plan, subjects, 2);
  idle_row(bench, clients, &subjects[0], &subjects[1], plan.rounds);

  for (uint32_t i = 0; i < count; i++) {
    scene_kill(processes[i]);
  }
  bench_meter_fini(&meter);
  opener_close(&crowd_opener);
  scene_close(&crowd);
  opener_close(&alone_opener);
  scene_close(&alone);
}
