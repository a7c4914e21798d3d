/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Beside what people take instead: Redis, in the same run, each in the way that comes next to what Vesta does.
 *
 *   a write               saCkptSectionOverwrite()                 SET
 *   news of it            the change, with its data                a keyspace notification, which has the key only
 *   data of it            the same                                 that, and a GET
 *   64 under way          a vesta_writer_t                         a pipeline of 64; until the follower has heard of all
 *   at a standby          a commit with applied_by 1: the          SET, WAIT 1: the replica's server has it
 *                         standby's application has it
 *
 * Both at sockets in the file system, writing one thing of 100 B, nothing on disk. A follower is there on both sides in
 * the first four, a standby or replica in the last.
 */
#include <saCkpt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vesta.h>

#include "bench/bench_parts.h"
#include "bench/bench_redis.h"

#define PAYLOAD_BYTES 100U
#define PIPELINE 64U
#define REQUEST_BYTES 256U
#define CHECKPOINT "bench-rival"
#define US 1000.0

#define SUBSCRIBE "SUBSCRIBE __keyevent@0__:set\r\n"
#define GET "GET " BENCH_REDIS_KEY "\r\n"

/* One follower of Redis, that gets the value or does not. */
typedef struct rival_redis {
  bench_redis_t *server;
  bench_crowd_t *subscriber;
  bench_flood_t flood;
  char pipeline[PIPELINE * REQUEST_BYTES];
} rival_redis_t;

typedef struct rival {
  uint8_t payload[PAYLOAD_BYTES];
  rival_redis_t keys, values; /* subscribers that take the key, or get the value too */
  bench_redis_t *master, *replica;
  opener_t opener;
  vesta_writer_t *writer;
  bench_crowd_t *follower;
  bench_flood_t flood;
  bench_writer_t overwrite;
} rival_t;

/* ---- Redis ---- */

static void rival_call(bench_redis_t *server, const char *requests, size_t size, unsigned replies) {
  resp_reply_t reply;
  bench_redis_call(&server->client, requests, size, replies, &reply);
}

static void rival_set_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  rival_redis_t *redis = context;
  uint64_t before = samples->count;
  bench_redis_time_sets(redis->server, "", 1, duration_ns, samples);
  redis->subscriber->sent += samples->count - before;
  (void)bench_crowd_wait(redis->subscriber);
}

static void rival_news_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  rival_redis_t *redis = context;
  bench_meter_t *meter = &redis->subscriber->meters[0];
  int64_t end_ns = scene_now_ns() + duration_ns;
  meter->shared->paced = true;
  while (scene_now_ns() < end_ns) {
    meter->shared->sent_ns = scene_now_ns();
    bench_redis_time_sets(redis->server, "", 1, 0, NULL);
    redis->subscriber->sent++;
    bench_samples_add(samples, (double)bench_meter_wait_one(meter));
  }
  meter->shared->paced = false;
}

static void rival_pipeline(void *context) {
  rival_redis_t *redis = context;
  static const uint8_t value[PAYLOAD_BYTES];
  size_t size = 0;
  for (unsigned i = 0; i < PIPELINE; i++) {
    size += bench_redis_set(redis->pipeline + size, sizeof redis->pipeline - size, value, sizeof value);
  }
  rival_call(redis->server, redis->pipeline, size, PIPELINE);
  redis->subscriber->sent += PIPELINE;
}

/* A subscriber's process: "message", the channel, the key; and then maybe the value, by another connection. */
int bench_rival_subscriber_run(char **arguments) {
  static resp_client_t news;
  static resp_client_t values;
  bench_meter_t meter;
  bool gets = arguments[2][0] == '+';
  const char *path = arguments[2] + 1;
  resp_reply_t reply;
  news.fd = values.fd = -1;
  bench_meter_attach(&meter, arguments[0], arguments[1]);
  if (!resp_client_connect_path(&news, path) || !resp_client_connect_path(&values, path)) {
    scene_fail("no Redis at %s", path);
  }
  bench_redis_call(&news, SUBSCRIBE, sizeof SUBSCRIBE - 1, 4, &reply); /* an array of three */
  meter.shared->ready = true;
  for (;;) {
    bench_redis_call(&news, "", 0, 4, &reply);
    if (gets) {
      bench_redis_call(&values, GET, sizeof GET - 1, 1, &reply);
    }
    bench_meter_note_sent(&meter, meter.shared->sent_ns);
  }
}

static void rival_redis_begin(rival_redis_t *redis, const char *directory, const char *name, bool gets) {
  char argument[192];
  char crowd[32];
  redis->server = bench_redis_new(directory, name, NULL);
  (void)snprintf(argument, sizeof argument, "%c%s", gets ? '+' : '-', redis->server->path);
  (void)snprintf(crowd, sizeof crowd, "subscriber-%s", name);
  redis->subscriber = bench_crowd_new(directory, crowd, 1, BENCH_RIVAL_SUBSCRIBER_ROLE, argument);
  bench_crowd_wait_ready(redis->subscriber);
  redis->flood = (bench_flood_t){redis->subscriber, PAYLOAD_BYTES, redis, rival_pipeline, NULL};
}

static void rival_redis_end(rival_redis_t *redis) {
  bench_crowd_destroy(&redis->subscriber);
  bench_redis_destroy(&redis->server);
}

/* ---- Vesta ---- */

static void rival_overwrite_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  rival_t *rival = context;
  uint64_t before = samples->count;
  bench_overwrite_block(&rival->overwrite, duration_ns, samples);
  rival->follower->sent += samples->count - before;
  (void)bench_crowd_wait(rival->follower);
}

static void rival_stamp(rival_t *rival) {
  int64_t now_ns = scene_now_ns();
  memcpy(rival->payload, &now_ns, sizeof now_ns);
  rival->follower->sent++;
}

static void rival_change_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  rival_t *rival = context;
  const SaCkptSectionIdT id = {.idLen = sizeof BENCH_SECTION - 1, .id = (SaUint8T *)BENCH_SECTION};
  bench_meter_t *meter = &rival->follower->meters[0];
  int64_t end_ns = scene_now_ns() + duration_ns;
  meter->shared->paced = true;
  while (scene_now_ns() < end_ns) {
    rival_stamp(rival);
    scene_require(saCkptSectionOverwrite(rival->opener.checkpoint, &id, rival->payload, PAYLOAD_BYTES),
                  "saCkptSectionOverwrite");
    bench_samples_add(samples, (double)bench_meter_wait_one(meter));
  }
  meter->shared->paced = false;
}

static void rival_async(void *context) {
  rival_t *rival = context;
  rival_stamp(rival);
  bench_writer_overwrite(rival->writer, rival->payload, PAYLOAD_BYTES);
}

static void rival_async_settle(void *context) {
  const rival_t *rival = context;
  bench_writer_settle(rival->writer);
}

static void rival_begin(rival_t *rival, const scene_t *scene) {
  rival_redis_begin(&rival->keys, scene_dir(scene), "redis-keys", false);
  rival_redis_begin(&rival->values, scene_dir(scene), "redis-values", true);
  rival->master = bench_redis_new(scene_dir(scene), "redis-master", NULL);
  rival->replica = bench_redis_new(scene_dir(scene), "redis-replica", rival->master);
  bench_redis_wait_for_replica(rival->master);
  rival->opener = opener_create(CHECKPOINT, 64, 1024, 32);
  opener_section_create(&rival->opener, BENCH_SECTION, sizeof BENCH_SECTION - 1, NULL, 0);
  scene_require(vesta_writer_open(rival->opener.checkpoint, &rival->writer), "vesta_writer_open");
  rival->follower = bench_crowd_new(scene_dir(scene), "follower", 1, BENCH_FOLLOWER_ROLE, CHECKPOINT);
  bench_crowd_wait_ready(rival->follower);
  rival->overwrite = (bench_writer_t){rival->opener.checkpoint, PAYLOAD_BYTES, rival->payload};
  rival->flood = (bench_flood_t){rival->follower, PAYLOAD_BYTES, rival, rival_async, rival_async_settle};
}

static void rival_end(rival_t *rival) {
  bench_crowd_destroy(&rival->follower);
  (void)vesta_writer_close(&rival->writer);
  opener_close(&rival->opener);
  bench_redis_destroy(&rival->replica);
  bench_redis_destroy(&rival->master);
  rival_redis_end(&rival->values);
  rival_redis_end(&rival->keys);
}

/* ---- the part ---- */

typedef struct rival_row {
  const char *name;
  bench_subject_t subjects[2]; /* Vesta, Redis */
} rival_row_t;

static void rival_compare(bench_context_t *bench, rival_row_t *row, bench_plan_t plan) {
  double p50_us[2];
  double p99_us[2];
  bench_alternate(plan, row->subjects, 2);
  for (int i = 0; i < 2; i++) {
    p50_us[i] = bench_median(row->subjects[i].p50_ns, plan.rounds) / US;
    p99_us[i] = bench_median(row->subjects[i].p99_ns, plan.rounds) / US;
  }
  double ratio = bench_median_ratio(row->subjects[0].p50_ns, row->subjects[1].p50_ns, plan.rounds);
  (void)printf("  %-22s %10.2f %10.2f %10.2f %10.2f %8.2f\n", row->name, p50_us[0], p99_us[0], p50_us[1], p99_us[1],
               ratio);
  bench_report_add(&bench->report, bench->on_one ? "rival" : "rival_free",
                   json_pack("{s:s, s:f, s:f, s:f, s:f, s:f}", "what", row->name, "p50_us", p50_us[0], "p99_us",
                             p99_us[0], "redis_p50_us", p50_us[1], "redis_p99_us", p99_us[1], "ratio", ratio));
}

void bench_rival_part(bench_context_t *bench) {
  const bench_plan_t plan = bench->quick ? (bench_plan_t){1, 10 * SCENE_MS} : (bench_plan_t){21, 40 * SCENE_MS};
  static rival_t rival;
  if (!bench_redis_is_there()) {
    bench_report_title("beside Redis: left out, redis-server is not installed");
    return;
  }
  scene_t *scene = scene_open();
  rival = (rival_t){0};
  rival_begin(&rival, scene);
  bench_group_t group = bench_group_begin(scene);
  bench_group_commit_t commit = {&group, 1};
  rival_row_t rows[] = {
      {"a write", {{&rival, rival_overwrite_block, {0}, {0}}, {&rival.keys, rival_set_block, {0}, {0}}}},
      {"news at a follower", {{&rival, rival_change_block, {0}, {0}}, {&rival.keys, rival_news_block, {0}, {0}}}},
      {"its data there", {{&rival, rival_change_block, {0}, {0}}, {&rival.values, rival_news_block, {0}, {0}}}},
      {"each of 64 under way",
       {{&rival.flood, bench_flood_block, {0}, {0}}, {&rival.keys.flood, bench_flood_block, {0}, {0}}}},
      {"at a standby",
       {{&commit, bench_group_commit_block, {0}, {0}}, {rival.master, bench_redis_wait_block, {0}, {0}}}},
  };
  bench_report_title("100 B beside Redis, %s\n  %-22s %10s %10s %10s %10s %8s", bench_place_text(bench), "", "p50 us",
                     "p99 us", "Redis p50", "Redis p99", "ratio");
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    rival_compare(bench, &rows[i], plan);
  }
  bench_group_end(&group);
  rival_end(&rival);
  scene_close(&scene);
}
