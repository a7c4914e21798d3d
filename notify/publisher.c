/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See publisher.h.
 *
 * Each checkpoint that somebody listens to has an *audience*: how many listen to which topic. Audiences come with a
 * subscription and go with the last one, so who listens to nothing costs nothing, and a commit that nobody waits for is
 * one look into a table.
 *
 *   committed ----> [batch of one checkpoint] ---- flush, full, or another checkpoint's turn ----> emit, per topic
 *
 * What was committed is copied into the batch at once, so the log may be trimmed before the flush. Only one large piece
 * of data is not copied; it is emitted within the same call.
 *
 * Beacons are due a period after an audience was last told anything; audiences stand in the order of that time.
 */
#include "notify/publisher.h"

#include <stdlib.h>

#include "core/table.h"
#include "notify/change_batch.h"

#define AUDIENCES_MAX (3U * VESTA_CHECKPOINTS_MAX) /* also of checkpoints that do not exist: anybody may subscribe */
#define BEACON_PERIOD_NS ((int64_t)VESTA_BEACON_PERIOD_MS * 1000000)

typedef enum topic_class { CLASS_DATA, CLASS_KEYS, CLASS_ROLES, CLASS_COUNT } topic_class_t;

static const uint8_t class_bytes[CLASS_COUNT] = {
    [CLASS_DATA] = NOTIFY_CLASS_DATA,
    [CLASS_KEYS] = NOTIFY_CLASS_KEYS,
    [CLASS_ROLES] = NOTIFY_CLASS_ROLES,
};

typedef struct audience {
  table_link_t link;
  struct audience *earlier, *later; /* by told_ns */
  uint64_t checkpoint_id;
  int64_t told_ns;      /* everybody here was told something at that time, or later */
  uint64_t awaited_seq; /* somebody waits for operations up to here */
  uint32_t subscriptions[PUBLISHER_DOORS_MAX][CLASS_COUNT];
} audience_t;

struct publisher {
  publisher_output_t outputs[PUBLISHER_DOORS_MAX];
  uint32_t doors;
  uint64_t subscriptions[PUBLISHER_DOORS_MAX];
  table_t audiences;
  audience_t *earliest, *latest;
  int64_t now_ns;
  change_batch_t batch;
  audience_t *batch_of; /* NULL: the batch is empty */
  vesta_pos_t batch_end;
  bool batch_has_epoch;
  bool no_quorum;
  publisher_counters_t counters;
};

void notify_topic(uint8_t topic[NOTIFY_TOPIC_BYTES], uint8_t class_byte, uint64_t checkpoint_id) {
  topic[0] = class_byte;
  for (unsigned i = 0; i < sizeof checkpoint_id; i++) {
    topic[1 + i] = (uint8_t)(checkpoint_id >> (8 * (sizeof checkpoint_id - 1 - i)));
  }
}

vesta_err_t publisher_new(const publisher_output_t *outputs, uint32_t doors, publisher_t **out) {
  publisher_t *publisher = calloc(1, sizeof *publisher);
  if (publisher == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  memcpy(publisher->outputs, outputs, doors * sizeof *outputs);
  publisher->doors = doors;
  if (!table_init(&publisher->audiences) || !change_batch_init(&publisher->batch)) {
    publisher_destroy(&publisher);
    return VESTA_ERR_NO_MEMORY;
  }
  *out = publisher;
  return VESTA_OK;
}

void publisher_destroy(publisher_t **publisher) {
  if (*publisher == NULL) {
    return;
  }
  while ((*publisher)->earliest != NULL) {
    audience_t *audience = (*publisher)->earliest;
    (*publisher)->earliest = audience->later;
    free(audience);
  }
  table_fini(&(*publisher)->audiences);
  change_batch_fini(&(*publisher)->batch);
  free(*publisher);
  *publisher = NULL;
}

/* ---- audiences ---- */

static audience_t *audience_find(const publisher_t *publisher, uint64_t checkpoint_id) {
  table_link_t *link = table_find(&publisher->audiences, table_hash_number(checkpoint_id));
  for (; link != NULL; link = table_find_next(link)) {
    audience_t *audience = TABLE_ENTRY(link, audience_t, link);
    if (audience->checkpoint_id == checkpoint_id) {
      return audience;
    }
  }
  return NULL;
}

static void audience_unlink(publisher_t *publisher, audience_t *audience) {
  *(audience->earlier != NULL ? &audience->earlier->later : &publisher->earliest) = audience->later;
  *(audience->later != NULL ? &audience->later->earlier : &publisher->latest) = audience->earlier;
}

static void audience_append(publisher_t *publisher, audience_t *audience) {
  audience->told_ns = publisher->now_ns;
  audience->earlier = publisher->latest;
  audience->later = NULL;
  *(publisher->latest != NULL ? &publisher->latest->later : &publisher->earliest) = audience;
  publisher->latest = audience;
}

static void audience_told(publisher_t *publisher, audience_t *audience) {
  audience_unlink(publisher, audience);
  audience_append(publisher, audience);
}

/* NULL: out of memory, or as many as may be. */
static audience_t *audience_add(publisher_t *publisher, uint64_t checkpoint_id) {
  if (publisher->audiences.count >= AUDIENCES_MAX) {
    return NULL;
  }
  audience_t *audience = calloc(1, sizeof *audience);
  if (audience == NULL) {
    return NULL;
  }
  audience->checkpoint_id = checkpoint_id;
  table_insert(&publisher->audiences, &audience->link, table_hash_number(checkpoint_id));
  audience_append(publisher, audience);
  return audience;
}

/* Does anybody at any door listen to that topic? */
static bool audience_has(const audience_t *audience, topic_class_t topic) {
  uint32_t subscriptions = 0;
  for (uint32_t door = 0; door < PUBLISHER_DOORS_MAX; door++) {
    subscriptions |= audience->subscriptions[door][topic];
  }
  return subscriptions != 0;
}

static bool audience_empty(const audience_t *audience) {
  return !audience_has(audience, CLASS_DATA) && !audience_has(audience, CLASS_KEYS) &&
         !audience_has(audience, CLASS_ROLES);
}

static void audience_remove(publisher_t *publisher, audience_t *audience) {
  table_remove(&publisher->audiences, &audience->link);
  audience_unlink(publisher, audience);
  free(audience);
}

/* ---- sending ---- */

/* A topic at a door. */
typedef struct place {
  uint32_t door;
  topic_class_t topic;
} place_t;

static void emit(publisher_t *publisher, const audience_t *audience, place_t place, vesta_bytes_t head,
                 vesta_bytes_t payload) {
  uint8_t frame[NOTIFY_TOPIC_BYTES];
  const publisher_output_t *output = &publisher->outputs[place.door];
  notify_topic(frame, class_bytes[place.topic], audience->checkpoint_id);
  output->emit(output->context, frame, head, payload);
  publisher->counters.messages++;
  publisher->counters.bytes += sizeof frame + head.size + payload.size;
}

static void emit_beacon_message(publisher_t *publisher, const audience_t *audience, place_t place,
                                wire_message_t *beacon) {
  beacon->kind = WIRE_BEACON;
  beacon->state |= publisher->no_quorum ? WIRE_BEACON_NO_QUORUM : 0U;
  beacon->checkpoint = audience->checkpoint_id;
  uint8_t head[256];
  size_t size = 0;
  vesta_err_t err = wire_encode(beacon, head, sizeof head, &size);
  VESTA_ASSERT(err == VESTA_OK);
  emit(publisher, audience, place, vesta_bytes(head, size), (vesta_bytes_t){0});
  publisher->counters.beacons++;
}

static void emit_beacon(publisher_t *publisher, const audience_t *audience, place_t place, vesta_pos_t position,
                        uint64_t state) {
  wire_message_t beacon = {.state = state};
  wire_pos_set(&beacon, position);
  emit_beacon_message(publisher, audience, place, &beacon);
}

static void emit_beacons(publisher_t *publisher, audience_t *audience, vesta_pos_t position, uint64_t state) {
  for (uint32_t door = 0; door < publisher->doors; door++) {
    for (topic_class_t topic = 0; topic < CLASS_COUNT; topic++) {
      if (audience->subscriptions[door][topic] != 0) {
        emit_beacon(publisher, audience, (place_t){door, topic}, position, state);
      }
    }
  }
  audience_told(publisher, audience);
}

/* Where the checkpoint stands, to all who listen or to those at one place. */
static void emit_standing(publisher_t *publisher, audience_t *audience, const place_t *only, publisher_find_t *find,
                          void *context) {
  bool gone = false;
  const replica_t *replica = find(context, audience->checkpoint_id, &gone);
  if (replica == NULL && !gone) {
    audience_told(publisher, audience);
    return;
  }
  vesta_pos_t position = replica != NULL ? replica_committed(replica) : (vesta_pos_t){0};
  uint64_t state = replica != NULL ? 0 : WIRE_BEACON_GONE;
  if (only != NULL) {
    emit_beacon(publisher, audience, *only, position, state);
  } else {
    emit_beacons(publisher, audience, position, state);
  }
}

/* To all doors but those where too much waits. */
static void batch_emit_class(publisher_t *publisher, topic_class_t topic, const bool *withheld) {
  const audience_t *audience = publisher->batch_of;
  bool wanted = false;
  for (uint32_t door = 0; door < publisher->doors; door++) {
    bool listened = audience->subscriptions[door][topic] != 0;
    wanted |= listened && !withheld[door];
    if (listened && withheld[door]) {
      emit_beacon(publisher, audience, (place_t){door, topic}, publisher->batch_end, 0);
      publisher->counters.withheld++;
    }
  }
  if (!wanted) {
    return;
  }
  wire_message_t message = {
      .kind = WIRE_CHANGES,
      .checkpoint = audience->checkpoint_id,
      .lineage = publisher->batch_end.lineage,
      .state = topic == CLASS_KEYS ? WIRE_CHANGES_KEYS : 0,
  };
  if (publisher->batch.elements[0].seq <= audience->awaited_seq) {
    message.state |= WIRE_CHANGES_AWAITED;
  }
  vesta_bytes_t head = change_batch_encode(&publisher->batch, &message);
  vesta_bytes_t data = topic == CLASS_KEYS ? (vesta_bytes_t){0} : change_batch_data(&publisher->batch);
  for (uint32_t door = 0; door < publisher->doors; door++) {
    if (audience->subscriptions[door][topic] != 0 && !withheld[door]) {
      emit(publisher, audience, (place_t){door, topic}, head, data);
    }
  }
}

/* Changes of role go out alone, one message each; they are small, few, and never withheld. */
static void batch_emit_roles(publisher_t *publisher) {
  const audience_t *audience = publisher->batch_of;
  const change_batch_t *batch = &publisher->batch;
  for (uint32_t i = 0; i < batch->count && audience_has(audience, CLASS_ROLES); i++) {
    if (batch->elements[i].kind != VESTA_KIND_EPOCH) {
      continue;
    }
    wire_message_t message = {
        .kind = WIRE_CHANGES,
        .checkpoint = audience->checkpoint_id,
        .lineage = publisher->batch_end.lineage,
        .elements = &batch->elements[i],
        .element_count = 1,
    };
    vesta_bytes_t head = change_batch_encode_bare(&publisher->batch, &message);
    for (uint32_t door = 0; door < publisher->doors; door++) {
      if (audience->subscriptions[door][CLASS_ROLES] != 0) {
        emit(publisher, audience, (place_t){door, CLASS_ROLES}, head, (vesta_bytes_t){0});
      }
    }
  }
}

static void batch_emit(publisher_t *publisher) {
  audience_t *audience = publisher->batch_of;
  if (audience == NULL) {
    return;
  }
  bool withheld[PUBLISHER_DOORS_MAX] = {false};
  for (uint32_t door = 0; door < publisher->doors; door++) {
    const publisher_output_t *output = &publisher->outputs[door];
    withheld[door] = output->held_bytes(output->context) > output->held_bytes_max;
  }
  batch_emit_class(publisher, CLASS_DATA, withheld);
  batch_emit_class(publisher, CLASS_KEYS, withheld);
  if (publisher->batch_has_epoch) {
    batch_emit_roles(publisher);
    emit_beacons(publisher, audience, publisher->batch_end, 0);
  } else if (!audience_has(audience, CLASS_ROLES)) {
    audience_told(publisher, audience);
  }
  change_batch_clear(&publisher->batch);
  publisher->batch_of = NULL;
  publisher->batch_has_epoch = false;
}

static vesta_err_t batch_add(publisher_t *publisher, audience_t *audience, const replica_t *replica,
                             const replica_record_t *record) {
  vesta_err_t err = change_batch_add_record(&publisher->batch, replica, record, VESTA_STREAM_BATCH_BYTES);
  if (err == VESTA_ERR_TOO_LARGE) {
    batch_emit(publisher);
    err = change_batch_add_record(&publisher->batch, replica, record, VESTA_STREAM_BATCH_BYTES);
  }
  if (err != VESTA_OK) {
    return err;
  }
  replica_identity_t identity;
  replica_identity(replica, &identity);
  publisher->batch_of = audience;
  publisher->batch_end = (vesta_pos_t){.lineage = identity.lineage, .epoch = record->epoch, .seq = record->seq};
  publisher->counters.operations++;
  return VESTA_OK;
}

static bool record_is_epoch(const replica_record_t *record) {
  replica_record_t walk = *record;
  replica_change_t change;
  return replica_record_next(&walk, &change) && change.element.kind == VESTA_KIND_EPOCH;
}

void publisher_awaited(publisher_t *publisher, uint64_t checkpoint_id, uint64_t seq) {
  audience_t *audience = audience_find(publisher, checkpoint_id);
  if (audience != NULL) {
    audience->awaited_seq = seq;
  }
}

void publisher_committed(publisher_t *publisher, uint64_t checkpoint_id, const replica_t *replica, uint64_t first_seq,
                         uint64_t last_seq) {
  audience_t *audience = audience_find(publisher, checkpoint_id);
  if (audience == NULL) {
    return;
  }
  if (publisher->batch_of != audience) {
    batch_emit(publisher);
  }
  bool roles_only = !audience_has(audience, CLASS_DATA) && !audience_has(audience, CLASS_KEYS);
  for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
    replica_record_t record;
    vesta_err_t err = replica_record(replica, seq, &record);
    bool is_epoch = err == VESTA_OK && record_is_epoch(&record);
    if (err == VESTA_OK && roles_only && !is_epoch) {
      continue;
    }
    if (err == VESTA_OK) {
      err = batch_add(publisher, audience, replica, &record);
    }
    if (err != VESTA_OK) { /* trimmed already, or out of memory: subscribers see by the beacon that they lack it */
      batch_emit(publisher);
      emit_beacons(publisher, audience, replica_committed(replica), 0);
      publisher->counters.withheld++;
      return;
    }
    publisher->batch_has_epoch |= is_epoch;
    if (publisher->batch.borrowed) {
      batch_emit(publisher);
    }
  }
}

void publisher_flush(publisher_t *publisher, int64_t steady_ns) {
  publisher->now_ns = steady_ns;
  batch_emit(publisher);
}

void publisher_content(publisher_t *publisher, uint64_t checkpoint_id, const content_t *content) {
  const audience_t *audience = audience_find(publisher, checkpoint_id);
  if (audience == NULL || !audience_has(audience, CLASS_DATA)) {
    return;
  }
  batch_emit(publisher);
  uint8_t hash[VESTA_CONTENT_HASH_BYTES];
  content_hash_write(content->hash, hash);
  wire_message_t beacon = {.hash = vesta_bytes(hash, sizeof hash), .count = content->section_count};
  wire_pos_set(&beacon, content->position);
  for (uint32_t door = 0; door < publisher->doors; door++) {
    if (audience->subscriptions[door][CLASS_DATA] != 0) {
      emit_beacon_message(publisher, audience, (place_t){door, CLASS_DATA}, &beacon);
    }
  }
}

void publisher_removed(publisher_t *publisher, uint64_t checkpoint_id) {
  audience_t *audience = audience_find(publisher, checkpoint_id);
  if (audience != NULL) {
    batch_emit(publisher);
    emit_beacons(publisher, audience, (vesta_pos_t){0}, WIRE_BEACON_GONE);
  }
}

/* ---- subscriptions ---- */

static bool subscription_parse(vesta_bytes_t message, bool *begins, topic_class_t *topic, uint64_t *checkpoint_id) {
  if (message.size != 1 + NOTIFY_TOPIC_BYTES || message.data[0] > 1) {
    return false;
  }
  *begins = message.data[0] == 1;
  *checkpoint_id = 0;
  for (unsigned i = 0; i < sizeof *checkpoint_id; i++) {
    *checkpoint_id = *checkpoint_id << 8 | message.data[2 + i];
  }
  for (*topic = 0; *topic < CLASS_COUNT; (*topic)++) {
    if (message.data[1] == class_bytes[*topic]) {
      return *checkpoint_id != 0;
    }
  }
  return false;
}

static void subscription_end(publisher_t *publisher, audience_t *audience, place_t place) {
  if (audience == NULL || audience->subscriptions[place.door][place.topic] == 0) {
    return; /* of one that was dropped */
  }
  audience->subscriptions[place.door][place.topic]--;
  publisher->subscriptions[place.door]--;
  publisher->counters.topics -= !audience_has(audience, place.topic);
  if (audience_empty(audience)) {
    audience_remove(publisher, audience);
  }
}

bool publisher_subscription(publisher_t *publisher, uint32_t door, vesta_bytes_t message, publisher_find_t *find,
                            void *context, int64_t steady_ns) {
  publisher->now_ns = steady_ns;
  batch_emit(publisher); /* to those who were there; the new one begins with its beacon */
  bool begins;
  place_t place = {.door = door};
  uint64_t checkpoint_id;
  if (!subscription_parse(message, &begins, &place.topic, &checkpoint_id)) {
    publisher->counters.dropped_input++;
    return false;
  }
  audience_t *audience = audience_find(publisher, checkpoint_id);
  if (!begins) {
    subscription_end(publisher, audience, place);
    return true;
  }
  if (audience == NULL) {
    audience = audience_add(publisher, checkpoint_id);
  }
  if (audience == NULL) {
    publisher->counters.dropped_input++;
    return false;
  }
  publisher->counters.topics += !audience_has(audience, place.topic);
  publisher->subscriptions[door]++;
  audience->subscriptions[door][place.topic]++;
  emit_standing(publisher, audience, &place, find, context);
  return true;
}

uint64_t publisher_subscriptions(const publisher_t *publisher, uint32_t door) { return publisher->subscriptions[door]; }

uint64_t publisher_listeners(const publisher_t *publisher, uint32_t door, uint64_t checkpoint_id) {
  const audience_t *audience = audience_find(publisher, checkpoint_id);
  uint64_t listeners = 0;
  for (topic_class_t topic = 0; audience != NULL && topic < CLASS_COUNT; topic++) {
    listeners += audience->subscriptions[door][topic];
  }
  return listeners;
}

bool publisher_wanted(const publisher_t *publisher, uint64_t checkpoint_id) {
  return audience_find(publisher, checkpoint_id) != NULL;
}

/* ---- time ---- */

void publisher_time(publisher_t *publisher, int64_t steady_ns, publisher_find_t *find, void *context) {
  publisher->now_ns = steady_ns;
  batch_emit(publisher);
  while (publisher_wake_ns(publisher) <= steady_ns) {
    audience_t *audience = publisher->earliest;
    emit_standing(publisher, audience, NULL, find, context);
  }
}

void publisher_quorum(publisher_t *publisher, bool has_quorum, publisher_find_t *find, void *context) {
  batch_emit(publisher);
  publisher->no_quorum = !has_quorum;
  for (size_t left = publisher->audiences.count; left > 0; left--) { /* who was told stands last */
    audience_t *audience = publisher->earliest;
    emit_standing(publisher, audience, NULL, find, context);
  }
}

int64_t publisher_wake_ns(const publisher_t *publisher) {
  return publisher->earliest == NULL ? INT64_MAX : publisher->earliest->told_ns + BEACON_PERIOD_NS;
}

void publisher_counters(const publisher_t *publisher, publisher_counters_t *counters) {
  *counters = publisher->counters;
  for (uint32_t door = 0; door < publisher->doors; door++) {
    counters->subscriptions += publisher->subscriptions[door];
  }
}
