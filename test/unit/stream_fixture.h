/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the tests of the change stream share: messages in queues, and a replica with its publisher and stream server on
 * one side of a link and a subscriber on the other.
 *
 * The link does nothing by itself: a test moves each message, or drops it.
 */
#ifndef VESTA_TEST_UNIT_STREAM_FIXTURE_H
#define VESTA_TEST_UNIT_STREAM_FIXTURE_H

#include "notify/publisher.h"
#include "notify/subscriber.h"
#include "test/unit/replica_fixture.h"

#define CHECKPOINT UINT64_C(42) /* as in replica_fixture.h */
#define LINEAGE UINT64_C(4711)
#define MS INT64_C(1000000)

/* ---- messages in order ---- */

typedef struct frames {
  struct frames *next;
  uint8_t topic[NOTIFY_TOPIC_BYTES];
  vesta_bytes_t head, payload;
  uint8_t bytes[];
} frames_t;

typedef struct channel {
  frames_t *first, *last;
  uint32_t count;
} channel_t;

static inline frames_t *channel_put(channel_t *channel, vesta_bytes_t head, vesta_bytes_t payload) {
  frames_t *frames = calloc(1, sizeof *frames + head.size + payload.size);
  assert_non_null(frames);
  memcpy(frames->bytes, head.data, head.size);
  if (payload.size != 0) {
    memcpy(frames->bytes + head.size, payload.data, payload.size);
  }
  frames->head = vesta_bytes(frames->bytes, head.size);
  frames->payload = vesta_bytes(frames->bytes + head.size, payload.size);
  *(channel->last != NULL ? &channel->last->next : &channel->first) = frames;
  channel->last = frames;
  channel->count++;
  return frames;
}

/* NULL: empty. Free it. */
static inline frames_t *channel_take(channel_t *channel) {
  frames_t *frames = channel->first;
  if (frames != NULL) {
    channel->first = frames->next;
    channel->last = frames->next == NULL ? NULL : channel->last;
    channel->count--;
  }
  return frames;
}

static inline void channel_clear(channel_t *channel) {
  for (frames_t *frames; (frames = channel_take(channel)) != NULL;) {
    free(frames);
  }
}

/* ---- both sides of a link ---- */

typedef struct rig {
  fixture_t service;
  publisher_t *publisher;
  stream_server_t *server;
  wire_decoder_t *decoder; /* for looking into messages */
  subscriber_t *subscriber;
  channel_t published;
  uint64_t held_bytes; /* what the publisher is told to be held */
  bool young;          /* the service can't know yet which checkpoints there are */
  int64_t now_ns;
} rig_t;

static inline void rig_emit(void *context, const uint8_t topic[NOTIFY_TOPIC_BYTES], vesta_bytes_t head,
                            vesta_bytes_t payload) {
  frames_t *frames = channel_put(&((rig_t *)context)->published, head, payload);
  memcpy(frames->topic, topic, NOTIFY_TOPIC_BYTES);
}

static inline uint64_t rig_held_bytes(void *context) { return ((rig_t *)context)->held_bytes; }

static inline const replica_t *rig_replica(void *context, uint64_t checkpoint_id) {
  return checkpoint_id == CHECKPOINT ? ((rig_t *)context)->service.replica : NULL;
}

static inline const replica_t *rig_find(void *context, uint64_t checkpoint_id, bool *gone) {
  *gone = !((rig_t *)context)->young;
  return rig_replica(context, checkpoint_id);
}

static inline void rig_open_of(rig_t *rig, uint32_t sections_max, uint64_t section_bytes_max, uint32_t id_bytes_max) {
  memset(rig, 0, sizeof *rig);
  fixture_open(&rig->service, sections_max, section_bytes_max, id_bytes_max);
  publisher_output_t output = {
      .context = rig, .emit = rig_emit, .held_bytes = rig_held_bytes, .held_bytes_max = VESTA_STREAM_QUEUE_BYTES_MAX};
  assert_int_equal(publisher_new(&output, 1, &rig->publisher), VESTA_OK);
  rig->server = stream_server_new();
  rig->decoder = wire_decoder_new();
  assert_true(rig->server != NULL && rig->decoder != NULL);
  rig->now_ns = 1000 * MS;
}

static inline void rig_open(rig_t *rig) { rig_open_of(rig, 100, 4096, 32); }

static inline void rig_close(rig_t *rig) {
  subscriber_destroy(&rig->subscriber);
  publisher_destroy(&rig->publisher);
  stream_server_destroy(&rig->server);
  wire_decoder_destroy(&rig->decoder);
  channel_clear(&rig->published);
  fixture_close(&rig->service);
}

static inline void rig_subscription(rig_t *rig, bool begins, uint8_t class_byte, uint64_t checkpoint_id) {
  uint8_t message[1 + NOTIFY_TOPIC_BYTES] = {begins ? 1 : 0};
  notify_topic(message + 1, class_byte, checkpoint_id);
  (void)publisher_subscription(rig->publisher, 0, vesta_bytes(message, sizeof message), rig_find, rig, rig->now_ns);
}

/* Commit an operation and tell the publisher; it goes out with the next flush. */
static inline void rig_commit(rig_t *rig, const replica_element_t *elements, size_t count) {
  replica_result_t result;
  vesta_err_t err = apply(&rig->service, elements, count, &result);
  assert_string_equal(vesta_err_name(err), "OK");
  publisher_committed(rig->publisher, CHECKPOINT, rig->service.replica, result.seq, result.seq);
}

static inline void rig_flush(rig_t *rig) { publisher_flush(rig->publisher, rig->now_ns); }

static inline void rig_write(rig_t *rig, const replica_element_t *elements, size_t count) {
  rig_commit(rig, elements, count);
  rig_flush(rig);
}

static inline vesta_pos_t rig_committed(const rig_t *rig) {
  replica_status_t status;
  replica_status(rig->service.replica, &status);
  return status.committed;
}

/* The next published message, decoded; *frames is to be freed after it was looked at. */
static inline wire_message_t rig_take(rig_t *rig, frames_t **frames) {
  wire_message_t message;
  *frames = channel_take(&rig->published);
  assert_non_null(*frames);
  assert_int_equal(wire_decode(rig->decoder, (*frames)->head.data, (*frames)->head.size, &message), VESTA_OK);
  return message;
}

/* ---- the subscriber's side ---- */

static inline void rig_subscribe(rig_t *rig, const subscriber_config_t *config) {
  subscriber_config_t own = *config;
  own.checkpoint_id = CHECKPOINT;
  own.token = (vesta_token_t){.hi = 1, .lo = 2};
  assert_int_equal(subscriber_new(&own, rig->now_ns, &rig->subscriber), VESTA_OK);
  rig_subscription(rig, true, config->keys_only ? NOTIFY_CLASS_KEYS : NOTIFY_CLASS_DATA, CHECKPOINT);
}

/* Hand over the next published message, or lose it. False: there is none. */
static inline bool rig_hear(rig_t *rig) {
  frames_t *frames = channel_take(&rig->published);
  if (frames == NULL) {
    return false;
  }
  assert_int_equal(subscriber_published(rig->subscriber, frames->head, frames->payload, rig->now_ns), VESTA_OK);
  free(frames);
  return true;
}
static inline void rig_hear_all(rig_t *rig) {
  while (rig_hear(rig)) {
  }
}
static inline void rig_lose(rig_t *rig) { free(channel_take(&rig->published)); }

/* Let the server answer this request, and hand the answer over. */
static inline void rig_answer(rig_t *rig, const wire_message_t *request) {
  vesta_bytes_t head;
  vesta_bytes_t payload;
  stream_server_answer(rig->server, rig->service.replica, request, &head, &payload);
  assert_int_equal(subscriber_answered(rig->subscriber, head, payload, rig->now_ns), VESTA_OK);
}

/* An answer without elements, as a daemon gives for its own reasons. */
static inline void rig_answer_error(rig_t *rig, const wire_message_t *request, vesta_err_t err) {
  wire_message_t answer = {.kind = request->kind == WIRE_SNAPSHOT_GET ? WIRE_SNAPSHOT_CHUNK : WIRE_HISTORY_CHUNK,
                           .number = request->number,
                           .checkpoint = CHECKPOINT,
                           .error = err};
  wire_pos_set(&answer, rig_committed(rig));
  uint8_t head[256];
  size_t size = 0;
  assert_int_equal(wire_encode(&answer, head, sizeof head, &size), VESTA_OK);
  assert_int_equal(subscriber_answered(rig->subscriber, vesta_bytes(head, size), vesta_bytes(NULL, 0), rig->now_ns),
                   VESTA_OK);
}

/* Everything moves until nothing does; changes are left where they are. Returns how many requests there were. */
static inline uint32_t rig_settle(rig_t *rig) {
  uint32_t requests = 0;
  wire_message_t request;
  for (;;) {
    rig_hear_all(rig);
    if (!subscriber_request(rig->subscriber, rig->now_ns, &request)) {
      return requests;
    }
    requests++;
    rig_answer(rig, &request);
  }
}

static inline subscriber_status_t rig_status(const rig_t *rig) {
  subscriber_status_t status;
  subscriber_status(rig->subscriber, &status);
  return status;
}

/* The next change is of this kind. */
static inline notify_change_t rig_next(rig_t *rig, uint32_t kind) {
  notify_change_t change = {0};
  assert_true(subscriber_next(rig->subscriber, &change));
  assert_int_equal(change.kind, kind);
  return change;
}
static inline void rig_next_is(rig_t *rig, uint32_t kind, const char *id, const char *data) {
  notify_change_t change = rig_next(rig, kind);
  assert_true(vesta_bytes_equal(change.id, text(id)));
  assert_true(vesta_bytes_equal(change.data, text(data)));
}
static inline void rig_next_is_none(rig_t *rig) {
  notify_change_t change;
  assert_false(subscriber_next(rig->subscriber, &change));
}

#endif
