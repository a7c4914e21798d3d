/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A replica, its publisher and stream server, a link that loses, repeats and delays, and a subscriber: every choice
 * from a seed. A model beside them knows every operation that was ever committed. What is checked:
 *
 *   - a live change is the next operation after the one before, element by element as it was committed; between two
 *     that are not neighbours there is a LOST and a whole resync;
 *   - no change is of a section that the consumer does not have, and in a resync neither;
 *   - at each RESYNC_END and SYNCED the consumer's table is the state as of its position;
 *   - when faults cease, everything arrives, whatever happened before.
 *
 * VESTA_STREAM_SEED=n runs that seed alone.
 */
#include "test/unit/stream_fixture.h"

#define SEEDS 400U
#define STEPS 400U
#define IDS 24U
#define SECTION_BYTES 600U
#define OPS_MAX 4000U
#define ELEMENTS_PER_OP 3U

/* ---- chance ---- */

static uint64_t seed_now;
static uint64_t random_state;

static uint64_t random_next(void) {
  random_state += UINT64_C(0x9e3779b97f4a7c15);
  uint64_t z = random_state;
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}
static uint32_t below(uint32_t end) { return (uint32_t)(random_next() % end); }
static bool percent(uint32_t chance) { return below(100) < chance; }

#define CHECK(condition, ...)                                                                \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      print_error("VESTA_STREAM_SEED=%llu: %s\n", (unsigned long long)seed_now, #condition); \
      fail_msg(__VA_ARGS__);                                                                 \
    }                                                                                        \
  } while (0)

/* ---- the model ---- */

typedef struct table {
  bool there[IDS];
  uint32_t size[IDS];
  uint8_t data[IDS][SECTION_BYTES];
} table_t;

typedef struct model_element {
  vesta_kind_t kind;
  uint32_t id, offset, size;
  uint8_t *data;
} model_element_t;

/* Every operation that was ever committed; `before` is the one before it in its history. */
typedef struct model_op {
  uint64_t epoch, seq;
  int32_t before;
  uint32_t count;
  model_element_t elements[ELEMENTS_PER_OP];
} model_op_t;

typedef struct model {
  model_op_t ops[OPS_MAX];
  uint32_t count;
  int32_t last; /* of the history that the service has now; -1: none */
} model_t;

static int32_t model_find(const model_t *model, uint64_t epoch, uint64_t seq) {
  for (int32_t i = (int32_t)model->count - 1; i >= 0; i--) {
    if (model->ops[i].seq == seq && model->ops[i].epoch == epoch) {
      return i;
    }
  }
  return -1;
}

static uint32_t id_number(vesta_bytes_t id) {
  uint32_t number = 0;
  for (size_t i = 1; i < id.size; i++) {
    number = number * 10 + (uint32_t)(id.data[i] - '0');
  }
  CHECK(number < IDS, "an id that was never used");
  return number;
}

static bool kind_deletes(uint32_t kind) { return kind == VESTA_KIND_DELETED || kind == VESTA_KIND_EXPIRED; }

static bool kind_is_of_section(uint32_t kind) { return kind <= VESTA_KIND_EXPIRY_SET; }

static void table_put(table_t *table, uint32_t kind, uint32_t id, uint32_t offset, const uint8_t *data, uint32_t size) {
  if (kind == VESTA_KIND_CREATED || kind == VESTA_KIND_OVERWRITTEN) {
    table->there[id] = true;
    table->size[id] = size;
    memcpy(table->data[id], data, size);
  } else if (kind == VESTA_KIND_WRITTEN && size != 0) { /* writing nothing does not extend */
    if (offset > table->size[id]) {
      memset(table->data[id] + table->size[id], 0, offset - table->size[id]);
    }
    memcpy(table->data[id] + offset, data, size);
    table->size[id] = table->size[id] > offset + size ? table->size[id] : offset + size;
  } else if (kind_deletes(kind)) {
    table->there[id] = false;
  }
}

/* The state after operation `op` of its history. */
static void model_replay(const model_t *model, int32_t op, table_t *table) {
  static int32_t path[OPS_MAX];
  uint32_t length = 0;
  for (; op >= 0; op = model->ops[op].before) {
    path[length++] = op;
  }
  memset(table, 0, sizeof *table);
  while (length > 0) {
    const model_op_t *o = &model->ops[path[--length]];
    for (uint32_t i = 0; i < o->count; i++) {
      const model_element_t *e = &o->elements[i];
      table_put(table, e->kind, e->id, e->offset, e->data, e->size);
    }
  }
}

static void table_check_equal(const table_t *a, const table_t *b, const char *when) {
  for (uint32_t id = 0; id < IDS; id++) {
    CHECK(a->there[id] == b->there[id], "%s: section %u is %s", when, id, a->there[id] ? "extra" : "missing");
    if (a->there[id]) {
      CHECK(a->size[id] == b->size[id] && memcmp(a->data[id], b->data[id], a->size[id]) == 0, "%s: section %u", when,
            id);
    }
  }
}

/* ---- the consumer ---- */

typedef struct consumer {
  table_t table;
  vesta_pos_t position; /* of the last whole operation, as of which the table is */
  bool known;           /* there is a position */
  bool lost, bracket, synced, gone;
  uint32_t next_index; /* within an operation that has been handed out in part */
  uint32_t live, resync, resyncs, full_resyncs, losses;
} consumer_t;

/* ---- the world ---- */

typedef struct world {
  fixture_t service, backup;
  bool has_backup;
  int32_t backup_last;
  uint64_t epoch;
  publisher_t *publisher;
  stream_server_t *server;
  wire_decoder_t *decoder;
  subscriber_t *subscriber;
  subscriber_config_t config;
  model_t model;
  consumer_t consumer;
  channel_t published, requests, answers;
  int64_t now_ns;
  bool calm;      /* no faults any more */
  uint32_t drop;  /* percent of messages */
  uint32_t lose;  /* percent of history requests that the service's log does not reach */
  uint32_t chunk; /* sections or operations in one answer, at most */
  uint64_t held;  /* bytes that the publisher is told to be held */
} world_t;

static void world_emit(void *context, const uint8_t topic[NOTIFY_TOPIC_BYTES], vesta_bytes_t head,
                       vesta_bytes_t payload) {
  world_t *world = context;
  if (topic[0] != NOTIFY_CLASS_DATA || (!world->calm && percent(world->drop))) {
    return;
  }
  (void)channel_put(&world->published, head, payload);
  if (!world->calm && percent(2)) {
    (void)channel_put(&world->published, head, payload);
  }
}

static uint64_t world_held(void *context) { return ((world_t *)context)->held; }

static const replica_t *world_replica(void *context, uint64_t checkpoint_id) {
  return checkpoint_id == CHECKPOINT ? ((world_t *)context)->service.replica : NULL;
}

static void world_subscribe(world_t *world, bool begins) {
  uint8_t message[1 + NOTIFY_TOPIC_BYTES] = {begins ? 1 : 0};
  notify_topic(message + 1, NOTIFY_CLASS_DATA, CHECKPOINT);
  publisher_subscription(world->publisher, vesta_bytes(message, sizeof message), world_replica, world, world->now_ns);
}

/* ---- writing ---- */

static uint8_t op_data[ELEMENTS_PER_OP][SECTION_BYTES];
static char id_texts[IDS][8];

static bool table_has(const world_t *world, uint32_t id) {
  replica_section_t section;
  return replica_find(world->service.replica, text(id_texts[id]), NOW, &section);
}

static replica_element_t random_element(const world_t *world, uint32_t id, uint8_t *data) {
  replica_element_t e = {.id = text(id_texts[id]), .expiry_ns = VESTA_TIME_END};
  uint32_t size = percent(20) ? 0 : 1 + below(SECTION_BYTES);
  for (uint32_t i = 0; i < size; i++) {
    data[i] = (uint8_t)random_next();
  }
  e.data = vesta_bytes(data, size);
  if (!table_has(world, id)) {
    e.kind = VESTA_KIND_CREATED;
    return e;
  }
  uint32_t what = below(100);
  if (what < 30) {
    e.kind = percent(50) ? VESTA_KIND_DELETED : VESTA_KIND_EXPIRED;
    e.data.size = 0;
  } else if (what < 60) {
    e.kind = VESTA_KIND_OVERWRITTEN;
  } else if (what < 95) {
    e.kind = VESTA_KIND_WRITTEN;
    e.offset = below(SECTION_BYTES - size + 1);
  } else {
    e.kind = VESTA_KIND_EXPIRY_SET;
    e.data.size = 0;
  }
  return e;
}

static void model_note(world_t *world, const replica_element_t *elements, uint32_t count, uint64_t seq,
                       const uint32_t *ids) {
  model_t *model = &world->model;
  CHECK(model->count < OPS_MAX, "too many operations for the model");
  model_op_t *op = &model->ops[model->count];
  *op = (model_op_t){.epoch = world->epoch, .seq = seq, .before = model->last, .count = count};
  for (uint32_t i = 0; i < count; i++) {
    const replica_element_t *e = &elements[i];
    op->elements[i] =
        (model_element_t){.kind = e->kind, .id = ids[i], .offset = (uint32_t)e->offset, .size = (uint32_t)e->data.size};
    op->elements[i].data = malloc(e->data.size + 1);
    assert_non_null(op->elements[i].data);
    if (e->data.size != 0) {
      memcpy(op->elements[i].data, e->data.data, e->data.size);
    }
  }
  model->last = (int32_t)model->count++;
}

static void world_apply(world_t *world, const replica_element_t *elements, uint32_t count, const uint32_t *ids) {
  replica_result_t result;
  replica_op_t op = op_of(elements, count);
  vesta_err_t err = replica_apply(world->service.replica, &op, &result);
  CHECK(err == VESTA_OK, "%s", vesta_err_name(err));
  model_note(world, elements, count, result.seq, ids);
  publisher_committed(world->publisher, CHECKPOINT, world->service.replica, result.seq, result.seq);
}

static void world_write(world_t *world) {
  replica_element_t elements[ELEMENTS_PER_OP];
  uint32_t ids[ELEMENTS_PER_OP];
  uint32_t count = percent(80) ? 1 : 2 + below(ELEMENTS_PER_OP - 1);
  uint32_t first = below(IDS);
  for (uint32_t i = 0; i < count; i++) {
    ids[i] = (first + i * 7) % IDS;
    elements[i] = random_element(world, ids[i], op_data[i]);
  }
  world_apply(world, elements, count, ids);
}

static void world_epoch(world_t *world) {
  world->epoch++;
  replica_element_t element = epoch_to(world->epoch, 7);
  uint32_t id = 0;
  world_apply(world, &element, 1, &id);
}

/* The service goes on from an older state, as after the loss of an active in an asynchronous mode. */
static void world_failover(world_t *world) {
  publisher_flush(world->publisher, world->now_ns);
  if (!world->has_backup) {
    pages_copy(&world->service.pages, &world->backup.pages);
    world->backup_last = world->model.last;
    world->has_backup = true;
    return;
  }
  replica_destroy(&world->service.replica);
  pages_copy(&world->backup.pages, &world->service.pages);
  assert_int_equal(replica_recover(world->service.pages.region, world->service.pages.size, &world->service.storage,
                                   &world->service.replica),
                   VESTA_OK);
  world->model.last = world->backup_last;
  world->has_backup = false;
  world_epoch(world);
}

/* ---- serving ---- */

/* A service may answer less at a time than was asked for: cut a chunk to `max` sections, or operations. */
static void answer_cut(wire_message_t *answer, uint64_t *payload_bytes, uint32_t max) {
  uint32_t kept = 0;
  uint32_t pieces = 0;
  uint64_t bytes = 0;
  for (; kept < answer->element_count; kept++) {
    const wire_element_t *e = &answer->elements[kept];
    bool begins = answer->kind == WIRE_SNAPSHOT_CHUNK ? e->kind == VESTA_KIND_CREATED : e->index == 0;
    if (begins && pieces++ == max) {
      break;
    }
    bytes += e->size;
  }
  if (kept == answer->element_count) {
    return;
  }
  if (answer->kind == WIRE_SNAPSHOT_CHUNK) {
    answer->cursor_end = answer->elements[kept].slot;
    answer->state &= ~(uint64_t)WIRE_CHUNK_LAST;
  }
  answer->element_count = kept;
  *payload_bytes = bytes;
}

static void world_serve(world_t *world) {
  frames_t *frames = channel_take(&world->requests);
  if (frames == NULL) {
    return;
  }
  wire_message_t request;
  assert_int_equal(wire_decode(world->decoder, frames->head.data, frames->head.size, &request), VESTA_OK);
  bool forget = request.from_epoch != 0 && request.cursor == 0 && !world->calm && percent(10);
  if (forget) { /* as if tombstones did not reach */
    request.from_lineage = request.from_epoch = request.from_seq = 0;
  }
  vesta_bytes_t head;
  vesta_bytes_t payload;
  stream_server_answer(world->server, world->service.replica, &request, &head, &payload);
  wire_message_t answer;
  assert_int_equal(wire_decode(world->decoder, head.data, head.size, &answer), VESTA_OK);
  uint64_t payload_bytes = payload.size;
  if (answer.kind == WIRE_SNAPSHOT_CHUNK) {
    answer.state |= forget ? WIRE_CHUNK_FULL : 0;
    answer_cut(&answer, &payload_bytes, world->chunk);
  } else if (answer.error == 0 && answer.element_count != 0 && percent(world->calm ? 0 : world->lose)) {
    answer.error = VESTA_ERR_LOST;
    answer.element_count = 0;
    payload_bytes = 0;
  } else {
    answer_cut(&answer, &payload_bytes, world->chunk);
  }
  static uint8_t again[VESTA_FRAME_HEAD_BYTES_MAX];
  size_t size = 0;
  assert_int_equal(wire_encode(&answer, again, sizeof again, &size), VESTA_OK);
  if (world->calm || !percent(world->drop / 2)) {
    (void)channel_put(&world->answers, vesta_bytes(again, size), vesta_bytes(payload.data, payload_bytes));
    if (!world->calm && percent(3)) {
      (void)channel_put(&world->answers, vesta_bytes(again, size), vesta_bytes(payload.data, payload_bytes));
    }
  }
  free(frames);
}

/* ---- consuming ---- */

static void consume_word(world_t *world, const notify_change_t *change) {
  consumer_t *c = &world->consumer;
  table_t expected;
  switch ((notify_word_t)change->kind) {
    case NOTIFY_LOST:
      CHECK(c->next_index == 0, "lost in the middle of an operation");
      c->lost = true;
      c->losses++;
      return;
    case NOTIFY_RESYNC_BEGIN:
      CHECK(!c->bracket || change->full, "a second begin must be full");
      CHECK(change->full || !c->known || vesta_pos_equal(change->from, c->position), "a delta from elsewhere");
      CHECK(c->lost || !c->known, "a resync without a reason");
      if (change->full) {
        memset(&c->table, 0, sizeof c->table);
      }
      c->resyncs++;
      c->full_resyncs += change->full;
      c->bracket = true;
      return;
    case NOTIFY_RESYNC_END:
    case NOTIFY_SYNCED:
      CHECK(change->kind == NOTIFY_SYNCED || c->bracket, "an end without a begin");
      CHECK(change->kind == NOTIFY_RESYNC_END || !c->bracket, "synced within brackets");
      model_replay(&world->model, model_find(&world->model, change->position.epoch, change->position.seq), &expected);
      if (!c->known && world->config.start == SUBSCRIBER_FROM_NOW) {
        c->table = expected;
      }
      table_check_equal(&c->table, &expected, change->kind == NOTIFY_SYNCED ? "SYNCED" : "RESYNC_END");
      c->position = change->position;
      c->known = true;
      c->bracket = false;
      c->lost = false;
      c->synced = change->kind == NOTIFY_SYNCED;
      return;
    case NOTIFY_GONE: c->gone = true; return;
  }
}

static void consume_change(world_t *world, const notify_change_t *change) {
  consumer_t *c = &world->consumer;
  uint32_t id = kind_is_of_section(change->kind) ? id_number(change->id) : 0;
  CHECK(c->bracket == change->resync, "a change on the wrong side of a bracket");
  if (!change->resync) {
    CHECK(c->known && !c->lost, "a live change after a loss");
    CHECK(change->position.seq == c->position.seq + 1, "seq %llu after %llu", (unsigned long long)change->position.seq,
          (unsigned long long)c->position.seq);
    CHECK(change->index == c->next_index, "element %u instead of %u", change->index, c->next_index);
    int32_t op = model_find(&world->model, change->position.epoch, change->position.seq);
    CHECK(op >= 0, "never committed");
    const model_element_t *e = &world->model.ops[op].elements[change->index];
    CHECK(world->model.ops[op].count == change->count && e->kind == (vesta_kind_t)change->kind && e->id == id &&
              e->offset == change->offset && e->size == change->data.size &&
              (e->size == 0 || memcmp(e->data, change->data.data, e->size) == 0),
          "not what was committed");
    c->next_index = change->index + 1 == change->count ? 0 : change->index + 1;
    c->position = c->next_index == 0 ? change->position : c->position;
    c->live++;
  }
  c->resync += change->resync;
  if (kind_is_of_section(change->kind)) {
    bool may_be_absent = change->kind == VESTA_KIND_CREATED || (change->resync && kind_deletes(change->kind));
    CHECK(c->table.there[id] || may_be_absent, "kind %u of section %u that is not there", change->kind, id);
    CHECK(change->resync || change->kind != VESTA_KIND_CREATED || !c->table.there[id], "created twice");
    table_put(&c->table, change->kind, id, (uint32_t)change->offset, change->data.data, (uint32_t)change->data.size);
  }
}

static bool world_consume(world_t *world) {
  notify_change_t change;
  if (!subscriber_next(world->subscriber, &change)) {
    return false;
  }
  if (change.kind >= NOTIFY_SYNCED) {
    consume_word(world, &change);
  } else {
    consume_change(world, &change);
  }
  if (world->consumer.known && world->consumer.next_index == 0 && !world->consumer.bracket) {
    subscriber_status_t status;
    subscriber_status(world->subscriber, &status);
    CHECK(vesta_pos_equal(status.handed_out, world->consumer.position), "handed_out is wrong");
    CHECK(!status.synced || !world->consumer.lost, "synced though it is lost");
  }
  return true;
}

/* ---- moving ---- */

static void world_hear(world_t *world) {
  frames_t *frames = channel_take(&world->published);
  if (frames != NULL) {
    assert_int_equal(subscriber_published(world->subscriber, frames->head, frames->payload, world->now_ns), VESTA_OK);
    free(frames);
  }
}

static void world_answer(world_t *world) {
  frames_t *frames = channel_take(&world->answers);
  if (frames != NULL) {
    assert_int_equal(subscriber_answered(world->subscriber, frames->head, frames->payload, world->now_ns), VESTA_OK);
    free(frames);
  }
}

static void world_ask(world_t *world) {
  wire_message_t request;
  if (!subscriber_request(world->subscriber, world->now_ns, &request)) {
    return;
  }
  uint8_t head[512];
  size_t size = 0;
  assert_int_equal(wire_encode(&request, head, sizeof head, &size), VESTA_OK);
  if (world->calm || !percent(world->drop / 2)) {
    (void)channel_put(&world->requests, vesta_bytes(head, size), (vesta_bytes_t){0});
  }
}

static void world_reconnect(world_t *world) {
  channel_clear(&world->published);
  channel_clear(&world->requests);
  channel_clear(&world->answers);
  world_subscribe(world, false);
  subscriber_resubscribed(world->subscriber, world->config.token, world->now_ns);
  world_subscribe(world, true);
}

static void world_time(world_t *world, int64_t by_ns) {
  world->now_ns += by_ns;
  publisher_time(world->publisher, world->now_ns, world_replica, world);
  if (subscriber_silent(world->subscriber, world->now_ns)) {
    world_reconnect(world);
  }
}

static void world_step(world_t *world) {
  uint32_t what = below(100);
  if (what < 25) {
    for (uint32_t n = 1 + below(world->chunk); n > 0; n--) {
      world_write(world);
    }
    if (percent(70)) { /* otherwise the turn goes on, and a chunk may be of its middle */
      publisher_flush(world->publisher, world->now_ns);
    }
  } else if (what < 45) {
    for (uint32_t n = 1 + below(6); n > 0; n--) {
      world_hear(world);
    }
  } else if (what < 55) {
    world_ask(world);
  } else if (what < 65) {
    world_serve(world);
  } else if (what < 75) {
    world_answer(world);
  } else if (what < 90) {
    for (uint32_t n = below(30); n > 0 && world_consume(world); n--) {
    }
  } else if (what < 97) {
    world_time(world, percent(80) ? below(20) * MS : below(4000) * MS);
  } else if (what < 98) {
    world->held = percent(50) ? 0 : VESTA_STREAM_QUEUE_BYTES_MAX + 1;
  } else if (percent(25)) {
    world_failover(world);
  } else if (percent(50)) {
    world_epoch(world);
    publisher_flush(world->publisher, world->now_ns);
  } else if (percent(30)) {
    world_reconnect(world);
  } else if (percent(20)) { /* ZeroMQ reconnects by itself and tells nobody */
    channel_clear(&world->published);
    world_subscribe(world, false);
    world_subscribe(world, true);
  }
}

/* No faults any more, no writes: everything arrives within a bounded time. */
static void world_settle(world_t *world) {
  world->calm = true;
  world->held = 0;
  publisher_flush(world->publisher, world->now_ns);
  for (uint32_t round = 0; round < 3000; round++) {
    while (world->published.first != NULL) {
      world_hear(world);
    }
    world_ask(world);
    world_serve(world);
    world_answer(world);
    while (world_consume(world)) {
    }
    subscriber_status_t status;
    subscriber_status(world->subscriber, &status);
    replica_status_t replica;
    replica_status(world->service.replica, &replica);
    if (status.synced && vesta_pos_equal(status.handed_out, replica.committed)) {
      return;
    }
    if (world->published.first == NULL && world->requests.first == NULL && world->answers.first == NULL) {
      int64_t wake_ns = subscriber_wake_ns(world->subscriber);
      int64_t beacon_ns = publisher_wake_ns(world->publisher);
      wake_ns = wake_ns < beacon_ns ? wake_ns : beacon_ns;
      CHECK(wake_ns != INT64_MAX, "nothing is due, and it is not settled");
      world_time(world, wake_ns > world->now_ns ? wake_ns - world->now_ns : 0);
    }
  }
  CHECK(false, "it does not settle");
}

/* ---- a run ---- */

static void world_open(world_t *world, uint64_t seed) {
  memset(world, 0, sizeof *world);
  seed_now = seed;
  random_state = seed;
  world->model.last = -1;
  world->epoch = 1;
  world->now_ns = MS;
  world->drop = below(3) * below(30);
  world->lose = below(3) * below(40);
  world->chunk = 1 + below(12);
  fixture_open(&world->service, IDS, SECTION_BYTES, 8);
  pages_open(&world->backup.pages, world->service.pages.size, true);
  publisher_output_t output = {.context = world, .emit = world_emit, .held_bytes = world_held};
  assert_int_equal(publisher_new(&output, &world->publisher), VESTA_OK);
  world->server = stream_server_new();
  world->decoder = wire_decoder_new();
  assert_true(world->server != NULL && world->decoder != NULL);
  for (uint32_t n = below(100); n > 0; n--) {
    world_write(world);
  }
  world->config = (subscriber_config_t){
      .checkpoint_id = CHECKPOINT,
      .token = {.hi = 1, .lo = 2},
      .start = (subscriber_start_t)below(3),
      .buffer_bytes = 1U << (10 + below(9)),
  };
  if (world->config.start == SUBSCRIBER_FROM_POSITION && world->model.count != 0) {
    int32_t op = (int32_t)below(world->model.count);
    world->config.position =
        (vesta_pos_t){.lineage = LINEAGE, .epoch = world->model.ops[op].epoch, .seq = world->model.ops[op].seq};
    world->consumer.position = world->config.position;
    world->consumer.known = true;
    model_replay(&world->model, op, &world->consumer.table);
  }
  assert_int_equal(subscriber_new(&world->config, world->now_ns, &world->subscriber), VESTA_OK);
  world_subscribe(world, true);
}

static void world_close(world_t *world) {
  subscriber_destroy(&world->subscriber);
  publisher_destroy(&world->publisher);
  stream_server_destroy(&world->server);
  wire_decoder_destroy(&world->decoder);
  channel_clear(&world->published);
  channel_clear(&world->requests);
  channel_clear(&world->answers);
  fixture_close(&world->service);
  pages_close(&world->backup.pages);
  for (uint32_t i = 0; i < world->model.count; i++) {
    for (uint32_t j = 0; j < world->model.ops[i].count; j++) {
      free(world->model.ops[i].elements[j].data);
    }
  }
}

/* What the replica itself says is the last word. */
static void world_check_replica(const world_t *world) {
  table_t expected;
  memset(&expected, 0, sizeof expected);
  replica_section_t section;
  for (uint32_t slot = 0; replica_slot_next(world->service.replica, slot, UINT32_MAX, &section);
       slot = section.slot + 1) {
    uint32_t id = id_number(section.id);
    expected.there[id] = true;
    expected.size[id] = (uint32_t)section.size;
    memcpy(expected.data[id], section.data, section.size);
  }
  table_check_equal(&world->consumer.table, &expected, "settled");
}

static subscriber_status_t totals;
static uint64_t total_live, total_resync, total_full;

static void run_seed(uint64_t seed) {
  static world_t world;
  world_open(&world, seed);
  for (uint32_t step = 0; step < STEPS && world.model.count < OPS_MAX - 50; step++) {
    world_step(&world);
  }
  world_settle(&world);
  world_check_replica(&world);
  subscriber_status_t status;
  subscriber_status(world.subscriber, &status);
  CHECK(status.malformed == 0, "%llu malformed", (unsigned long long)status.malformed);
  totals.holes += status.holes;
  totals.repairs += status.repairs;
  totals.resyncs += status.resyncs;
  totals.lost += status.lost;
  totals.duplicates += status.duplicates;
  totals.overflows += status.overflows;
  totals.rebuilt += status.rebuilt;
  total_live += world.consumer.live;
  total_resync += world.consumer.resync;
  total_full += world.consumer.full_resyncs;
  world_close(&world);
}

static void whatever_the_link_does_the_consumer_has_the_committed_order_or_a_declared_loss(void **state) {
  (void)state;
  for (uint32_t id = 0; id < IDS; id++) {
    (void)snprintf(id_texts[id], sizeof id_texts[id], "s%u", id);
  }
  const char *only = getenv("VESTA_STREAM_SEED");
  if (only != NULL) {
    run_seed(strtoull(only, NULL, 10));
    return;
  }
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    run_seed(seed);
  }
  print_message("live=%llu resync=%llu resyncs=%llu full=%llu lost=%llu holes=%llu repairs=%llu duplicates=%llu "
                "overflows=%llu rebuilt=%llu\n",
                (unsigned long long)total_live, (unsigned long long)total_resync, (unsigned long long)totals.resyncs,
                (unsigned long long)total_full, (unsigned long long)totals.lost, (unsigned long long)totals.holes,
                (unsigned long long)totals.repairs, (unsigned long long)totals.duplicates,
                (unsigned long long)totals.overflows, (unsigned long long)totals.rebuilt);
  /* the seeds reach what they are for */
  assert_true(total_live > 1000 && total_resync > 1000 && total_full > 10 && totals.lost > 10 && totals.repairs > 100 &&
              totals.overflows > 100 && totals.duplicates > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whatever_the_link_does_the_consumer_has_the_committed_order_or_a_declared_loss),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
