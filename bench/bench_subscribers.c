/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What one more subscriber costs: changes that 1, 10 and 100 processes follow, each with a mirror of its own, until the
 * last of them has each; beside raw PUB/SUB to as many processes. On a machine with few processors most of it is the
 * subscribers' own work.
 */
#include <saCkpt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vesta.h>

#include "bench/bench_parts.h"
#include "bench/bench_publish.h"
#include "bench/opener.h"
#include "bench/scene.h"

#define PAYLOAD_BYTES 1024U
#define US 1000.0

static const uint32_t subscriber_counts[] = {1, 10, 100};
static const uint32_t subscriber_quick_counts[] = {1, 2, 3};
enum { CROWDS = sizeof subscriber_counts / sizeof subscriber_counts[0] };

typedef struct subscribed {
  opener_t opener;
  vesta_writer_t *writer;
  bench_crowd_t *followers;
  bench_publish_t *publish;
  bench_flood_t flood;
  uint8_t payload[PAYLOAD_BYTES];
} subscribed_t;

static void subscribed_send(void *context) {
  subscribed_t *subscribed = context;
  int64_t now_ns = scene_now_ns();
  memcpy(subscribed->payload, &now_ns, sizeof now_ns);
  bench_writer_overwrite(subscribed->writer, subscribed->payload, PAYLOAD_BYTES);
  subscribed->followers->sent++;
}

static void subscribed_settle(void *context) {
  const subscribed_t *subscribed = context;
  bench_writer_settle(subscribed->writer);
}

static void subscribed_begin(subscribed_t *subscribed, const scene_t *scene, uint32_t count) {
  char checkpoint[32];
  char name[32];
  (void)snprintf(checkpoint, sizeof checkpoint, "bench-crowd-%u", count);
  (void)snprintf(name, sizeof name, "publish-%u", count);
  subscribed->opener = opener_create(checkpoint, 64, PAYLOAD_BYTES, 32);
  opener_section_create(&subscribed->opener, BENCH_SECTION, sizeof BENCH_SECTION - 1, NULL, 0);
  scene_require(vesta_writer_open(subscribed->opener.checkpoint, &subscribed->writer), "vesta_writer_open");
  subscribed->followers = bench_crowd_new(scene_dir(scene), checkpoint, count, BENCH_FOLLOWER_ROLE, checkpoint);
  bench_crowd_wait_ready(subscribed->followers);
  subscribed->publish = bench_publish_new(scene_dir(scene), name, count);
  bench_publish_size(subscribed->publish, PAYLOAD_BYTES);
  subscribed->flood =
      (bench_flood_t){subscribed->followers, PAYLOAD_BYTES, subscribed, subscribed_send, subscribed_settle};
}

static void subscribed_end(subscribed_t *subscribed) {
  bench_publish_destroy(&subscribed->publish);
  bench_crowd_destroy(&subscribed->followers);
  (void)vesta_writer_close(&subscribed->writer);
  opener_close(&subscribed->opener);
}

/* By how much a change gets dearer with one more subscriber, of those that there are beyond the first. */
static double subscriber_cost(const bench_subject_t *subject, const bench_subject_t *one, uint32_t count,
                              uint32_t rounds) {
  double cost_ns[BENCH_ROUNDS_MAX];
  for (uint32_t i = 0; i < rounds; i++) {
    cost_ns[i] = count == 1 ? subject->p50_ns[i] : (subject->p50_ns[i] - one->p50_ns[i]) / (count - 1);
  }
  return bench_median(cost_ns, rounds) / US;
}

void bench_subscriber_part(bench_context_t *bench) {
  const bench_plan_t plan = bench->quick ? (bench_plan_t){1, 10 * SCENE_MS} : (bench_plan_t){9, 150 * SCENE_MS};
  const uint32_t *counts = bench->quick ? subscriber_quick_counts : subscriber_counts;
  static subscribed_t crowds[CROWDS];
  bench_subject_t subjects[2 * CROWDS]; /* the floor, then Vesta, of each crowd */
  scene_t *scene = scene_open();
  bench_report_title("one change of %u B at all of its subscribers, and what one more of them costs\n"
                     "  %11s %10s %10s %12s %12s %8s",
                     PAYLOAD_BYTES, "subscribers", "us", "raw us", "one more us", "raw, one more", "ratio");
  for (int i = 0; i < CROWDS; i++) {
    subscribed_begin(&crowds[i], scene, counts[i]);
    subjects[2 * i] = (bench_subject_t){.context = crowds[i].publish, .block = bench_publish_frames_block};
    subjects[2 * i + 1] = (bench_subject_t){.context = &crowds[i].flood, .block = bench_flood_block};
  }
  bench_alternate(plan, subjects, 2 * CROWDS);
  for (int i = 0; i < CROWDS; i++) {
    const bench_subject_t *raw = &subjects[2 * i];
    const bench_subject_t *self = &subjects[2 * i + 1];
    double self_us = bench_median(self->p50_ns, plan.rounds) / US;
    double raw_us = bench_median(raw->p50_ns, plan.rounds) / US;
    double more_us = subscriber_cost(self, &subjects[1], counts[i], plan.rounds);
    double raw_more_us = subscriber_cost(raw, &subjects[0], counts[i], plan.rounds);
    double ratio = bench_median_ratio(self->p50_ns, raw->p50_ns, plan.rounds);
    (void)printf("  %11u %10.2f %10.2f %12.2f %13.2f %8.2f\n", counts[i], self_us, raw_us, more_us, raw_more_us, ratio);
    bench_report_add(&bench->report, "subscribers",
                     json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "subscribers", (json_int_t)counts[i], "change_us",
                               self_us, "publish_us", raw_us, "one_more_us", more_us, "publish_one_more_us",
                               raw_more_us, "ratio", ratio));
    subscribed_end(&crowds[i]);
  }
  scene_close(&scene);
}
