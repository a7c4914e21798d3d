/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A subscriber among hostile services: the input is a script of what they publish and answer. Whatever they say, nothing
 * breaks, no assertion fails, memory stays bounded, and what is handed out as live keeps its order.
 *
 * A step is one byte that chooses, then what it needs. Messages are put together from small numbers, so that by chance
 * many of them fit; raw bytes are wire_fuzz's business. The first byte says what the subscriber asks for.
 */
#include <stdint.h>
#include <stdlib.h>

#include "core/replica.h"
#include "notify/subscriber.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECKPOINT 9U
#define BUFFER_BYTES 2048U
#define ELEMENTS_MAX 4U

typedef struct script {
  const uint8_t *at, *end;
} script_t;

static uint8_t script_byte(script_t *script) { return script->at < script->end ? *script->at++ : 0; }

/* Elements that mostly follow each other. */
static uint32_t elements_read(script_t *script, wire_element_t *elements, uint64_t *payload_bytes) {
  uint32_t count = script_byte(script) % (ELEMENTS_MAX + 1);
  uint64_t seq = script_byte(script) % 16;
  uint64_t epoch = script_byte(script) % 4;
  *payload_bytes = 0;
  for (uint32_t i = 0; i < count; i++) {
    uint8_t how = script_byte(script);
    elements[i] = (wire_element_t){
        .kind = how % 11,
        .id = vesta_bytes("id", how % 3),
        .size = how % 5,
        .seq = seq,
        .epoch = epoch,
        .slot = how % 7 == 6 ? REPLICA_NO_SLOT : how % 7,
        .offset = how % 4,
        .count = 1,
    };
    if (how < 32) {
      elements[i].index = how % 3;
      elements[i].count = how % 4;
    }
    seq += how < 248;
    epoch += elements[i].kind == VESTA_KIND_EPOCH;
    *payload_bytes += elements[i].size;
  }
  return count;
}

static void message_fill(script_t *script, wire_message_t *message, wire_element_t *elements, uint64_t *payload_bytes) {
  message->checkpoint = CHECKPOINT;
  message->lineage = 1 + (script_byte(script) > 240);
  message->epoch = script_byte(script) % 4;
  message->seq = script_byte(script) % 16;
  message->elements = elements;
  message->element_count = elements_read(script, elements, payload_bytes);
}

/* What the subscriber asks for: a bit each, of the first byte's third part. */
enum { FUZZ_KEYS = 1, FUZZ_COALESCE = 2, FUZZ_KINDS = 4, FUZZ_PREFIX = 8 };

static void check_change(const notify_change_t *change, uint32_t options, vesta_pos_t *last) {
  VESTA_ASSERT((options & FUZZ_KEYS) == 0 || change->data.data == NULL);
  VESTA_ASSERT((options & FUZZ_PREFIX) == 0 || change->kind > VESTA_KIND_EXPIRY_SET || change->id.size == 2);
  if (change->kind == NOTIFY_COALESCED) {
    VESTA_ASSERT((options & FUZZ_COALESCE) != 0 && change->resync && change->from.epoch != 0);
    return;
  }
  if (change->kind >= NOTIFY_SYNCED) {
    *last = change->kind == NOTIFY_SYNCED ? change->position : (vesta_pos_t){0};
    return;
  }
  VESTA_ASSERT(change->index < change->count);
  if (change->resync) {
    return;
  }
  VESTA_ASSERT(last->epoch != 0 && change->position.lineage == last->lineage);
  bool part = (options & (FUZZ_KINDS | FUZZ_PREFIX)) != 0;
  VESTA_ASSERT(change->position.seq == last->seq + 1 || (part && change->position.seq > last->seq));
  VESTA_ASSERT(change->position.epoch >= last->epoch);
  if (change->index + 1 == change->count) {
    *last = change->position;
  }
}

/* What the service publishes (what: 0, 1) or answers (2, 3). */
static wire_message_t message_read(script_t *script, uint8_t what, uint32_t options, const wire_message_t *request,
                                   wire_element_t *elements, uint64_t *payload_bytes) {
  static const vesta_err_t errors[] = {VESTA_ERR_LOST, VESTA_ERR_DIVERGED, VESTA_ERR_TRY_AGAIN, VESTA_ERR_ACCESS};
  wire_message_t message = {.kind = what == 0 ? WIRE_BEACON : WIRE_CHANGES};
  message_fill(script, &message, elements, payload_bytes);
  if (what == 0) {
    message.element_count = 0;
    message.state = script_byte(script) > 250;
    *payload_bytes = 0;
  } else if (what == 1 && options != 0) {
    message.state = script_byte(script) % 2;
    *payload_bytes = message.state != 0 ? 0 : *payload_bytes;
  } else if (what >= 2) {
    message.kind = request->kind == WIRE_SNAPSHOT_GET ? WIRE_SNAPSHOT_CHUNK : WIRE_HISTORY_CHUNK;
    message.number = request->number;
    message.cursor = request->kind == WIRE_SNAPSHOT_GET ? request->cursor : 0;
    message.cursor_end = message.cursor + script_byte(script) % 4;
    message.state = script_byte(script) % 8;
    *payload_bytes = (message.state & WIRE_CHUNK_KEYS) != 0 ? 0 : *payload_bytes;
    uint8_t error = script_byte(script);
    message.error = error >= 200 ? (uint64_t)errors[error % 4] : 0;
  }
  return message;
}

static void message_hand_over(subscriber_t *subscriber, uint8_t what, const wire_message_t *message,
                              uint64_t payload_bytes, int64_t now_ns) {
  static const uint8_t payload[ELEMENTS_MAX * 8];
  uint8_t head[1024];
  size_t head_bytes = 0;
  if (wire_encode(message, head, sizeof head, &head_bytes) == VESTA_OK) {
    vesta_bytes_t bytes = vesta_bytes(payload, (size_t)payload_bytes);
    vesta_err_t err = what < 2 ? subscriber_published(subscriber, vesta_bytes(head, head_bytes), bytes, now_ns)
                               : subscriber_answered(subscriber, vesta_bytes(head, head_bytes), bytes, now_ns);
    VESTA_ASSERT(err == VESTA_OK);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  script_t script = {.at = data, .end = data + size};
  const wire_element_t prefix = {.id = vesta_bytes("id", 2)};
  uint8_t first = script_byte(&script);
  uint32_t options = first / 3U % 16U;
  subscriber_config_t config = {
      .checkpoint_id = CHECKPOINT,
      .token = {.hi = 1, .lo = 1},
      .start = (subscriber_start_t)(first % 3),
      .keys_only = (options & FUZZ_KEYS) != 0,
      .coalesce = (options & FUZZ_COALESCE) != 0,
      .kinds = (options & FUZZ_KINDS) != 0 ? 1U << VESTA_KIND_CREATED | 1U << VESTA_KIND_DELETED : 0,
      .prefixes = &prefix,
      .prefix_count = (options & FUZZ_PREFIX) != 0,
      .position = {.lineage = 1, .epoch = 1, .seq = 3},
      .buffer_bytes = BUFFER_BYTES,
  };
  subscriber_t *subscriber = NULL;
  int64_t now_ns = 0;
  vesta_err_t err = subscriber_new(&config, now_ns, &subscriber);
  VESTA_ASSERT(err == VESTA_OK);
  vesta_pos_t last = config.start == SUBSCRIBER_FROM_POSITION ? config.position : (vesta_pos_t){0};
  wire_message_t request = {0};
  while (script.at < script.end) {
    uint8_t what = script_byte(&script) % 8;
    if (what < 4) {
      wire_element_t elements[ELEMENTS_MAX];
      uint64_t payload_bytes = 0;
      wire_message_t message = message_read(&script, what, options, &request, elements, &payload_bytes);
      message_hand_over(subscriber, what, &message, payload_bytes, now_ns);
    } else if (what == 4) {
      (void)subscriber_request(subscriber, now_ns, &request);
    } else if (what == 5) {
      notify_change_t change;
      for (uint8_t n = script_byte(&script) % 8; n > 0 && subscriber_next(subscriber, &change); n--) {
        check_change(&change, options, &last);
      }
    } else if (what == 6) {
      now_ns += (int64_t)script_byte(&script) * 20000000;
    } else if (what == 7 && subscriber_silent(subscriber, now_ns)) {
      subscriber_resubscribed(subscriber, config.token, now_ns);
    }
    subscriber_status_t status;
    subscriber_status(subscriber, &status);
    VESTA_ASSERT(status.held_bytes <= BUFFER_BYTES + 2048); /* and one answer */
  }
  subscriber_destroy(&subscriber);
  return 0;
}
