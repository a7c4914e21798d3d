/* SPDX-License-Identifier: BSD-2-Clause
 *
 * PUB to SUB with nothing of Vesta in it but the bytes of a head. See bench_publish.h.
 */
#include "bench/bench_publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "bench/bench_floor.h"
#include "bench/scene.h"
#include "core/wire.h"

#define HIGH_WATER 65536 /* messages; the publisher waits there, so none is dropped */
#define HEAD_BYTES_MAX 512U
#define TOPIC_BYTES 9U

struct bench_publish {
  void *zmq;
  void *socket;
  bench_crowd_t *crowd;
  bench_flood_t alone, frames;
  size_t payload_bytes;
  uint8_t *payload;
  uint8_t head[HEAD_BYTES_MAX];
  size_t head_bytes;
};

static void publish_require(int result, const char *call) {
  if (result < 0) {
    scene_fail("%s: %s", call, zmq_strerror(zmq_errno()));
  }
}

static void publish_stamp(bench_publish_t *publish) {
  int64_t now_ns = scene_now_ns();
  memcpy(publish->payload, &now_ns, sizeof now_ns);
}

static void publish_payload(bench_publish_t *publish) {
  publish_require(zmq_send(publish->socket, publish->payload, publish->payload_bytes, 0), "zmq_send");
  publish->crowd->sent++;
}

static void publish_send(void *context) {
  bench_publish_t *publish = context;
  publish_stamp(publish);
  publish_payload(publish);
}

static void publish_send_frames(void *context) {
  bench_publish_t *publish = context;
  publish_stamp(publish);
  publish_require(zmq_send(publish->socket, "D1234567", TOPIC_BYTES, ZMQ_SNDMORE), "zmq_send");
  publish_require(zmq_send(publish->socket, publish->head, publish->head_bytes, ZMQ_SNDMORE), "zmq_send");
  publish_payload(publish);
}

/* What Vesta says of a section that was overwritten: the values are of the size that they have after a while. */
static void publish_head(bench_publish_t *publish) {
  const wire_element_t element = {.kind = VESTA_KIND_OVERWRITTEN,
                                  .id = vesta_bytes("one", 3),
                                  .size = publish->payload_bytes,
                                  .seq = 1000000,
                                  .epoch = 1,
                                  .time_ns = INT64_MAX,
                                  .slot = 1,
                                  .count = 1};
  const wire_message_t message = {
      .kind = WIRE_CHANGES, .checkpoint = 1, .lineage = UINT64_MAX, .elements = &element, .element_count = 1};
  vesta_err_t err = wire_encode(&message, publish->head, sizeof publish->head, &publish->head_bytes);
  if (err != VESTA_OK) {
    scene_fail("wire_encode: %d", (int)err);
  }
}

static void publish_wait_for_subscriptions(bench_publish_t *publish) {
  for (uint32_t i = 0; i < publish->crowd->count; i++) { /* each is a message: from then on nothing is missed */
    publish_require(zmq_recv(publish->socket, publish->payload, BENCH_PAYLOAD_BYTES_MAX, 0), "zmq_recv");
  }
}

bench_publish_t *bench_publish_new(const char *directory, const char *name, uint32_t subscribers) {
  const int one = 1;
  const int high_water = HIGH_WATER;
  const int limit_ms = 10000; /* for a subscription to arrive */
  char endpoint[160];
  bench_publish_t *publish = calloc(1, sizeof *publish);
  if (publish == NULL || (publish->payload = calloc(1, BENCH_PAYLOAD_BYTES_MAX)) == NULL) {
    scene_fail("out of memory");
  }
  (void)snprintf(endpoint, sizeof endpoint, "ipc://%s/%s", directory, name);
  publish->zmq = zmq_ctx_new();
  publish->socket = zmq_socket(publish->zmq, ZMQ_XPUB);
  publish_require(zmq_setsockopt(publish->socket, ZMQ_XPUB_NODROP, &one, sizeof one), "zmq_setsockopt");
  publish_require(zmq_setsockopt(publish->socket, ZMQ_XPUB_VERBOSE, &one, sizeof one), "zmq_setsockopt");
  publish_require(zmq_setsockopt(publish->socket, ZMQ_SNDHWM, &high_water, sizeof high_water), "zmq_setsockopt");
  publish_require(zmq_setsockopt(publish->socket, ZMQ_RCVTIMEO, &limit_ms, sizeof limit_ms), "zmq_setsockopt");
  publish_require(zmq_bind(publish->socket, endpoint), "zmq_bind");
  publish->crowd = bench_crowd_new(directory, name, subscribers, BENCH_SUBSCRIBER_ROLE, endpoint);
  publish_wait_for_subscriptions(publish);
  bench_publish_size(publish, sizeof(int64_t));
  return publish;
}

void bench_publish_destroy(bench_publish_t **publish) {
  const int none = 0;
  bench_crowd_destroy(&(*publish)->crowd);
  (void)zmq_setsockopt((*publish)->socket, ZMQ_LINGER, &none, sizeof none);
  (void)zmq_close((*publish)->socket);
  (void)zmq_ctx_term((*publish)->zmq);
  free((*publish)->payload);
  free(*publish);
  *publish = NULL;
}

void bench_publish_size(bench_publish_t *publish, size_t payload_bytes) {
  publish->payload_bytes = payload_bytes;
  publish->alone = (bench_flood_t){publish->crowd, payload_bytes, publish, publish_send, NULL};
  publish->frames = (bench_flood_t){publish->crowd, payload_bytes, publish, publish_send_frames, NULL};
  publish_head(publish);
}

void bench_publish_latency_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  bench_publish_t *publish = context;
  bench_meter_t *meter = &publish->crowd->meters[0];
  int64_t end_ns = scene_now_ns() + duration_ns;
  meter->shared->paced = true;
  while (scene_now_ns() < end_ns) {
    publish_send(publish);
    bench_samples_add(samples, (double)bench_meter_wait_one(meter));
  }
  meter->shared->paced = false;
}

void bench_publish_flood_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  bench_publish_t *publish = context;
  bench_flood_block(&publish->alone, duration_ns, samples);
}

void bench_publish_frames_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  bench_publish_t *publish = context;
  bench_flood_block(&publish->frames, duration_ns, samples);
}

/* ---- the subscriber ---- */

int bench_subscriber_run(char **arguments) {
  const int high_water = HIGH_WATER;
  bench_meter_t meter;
  bench_meter_attach(&meter, arguments[0], arguments[1]);
  void *zmq = zmq_ctx_new();
  void *socket = zmq_socket(zmq, ZMQ_SUB);
  publish_require(zmq_setsockopt(socket, ZMQ_RCVHWM, &high_water, sizeof high_water), "zmq_setsockopt");
  publish_require(zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0), "zmq_setsockopt");
  publish_require(zmq_connect(socket, arguments[2]), "zmq_connect");
  for (;;) {
    zmq_msg_t message;
    (void)zmq_msg_init(&message);
    publish_require(zmq_msg_recv(&message, socket, 0), "zmq_msg_recv");
    if (zmq_msg_more(&message) == 0) { /* the payload is the last frame */
      bench_meter_note(&meter, zmq_msg_data(&message));
    }
    (void)zmq_msg_close(&message);
  }
}
