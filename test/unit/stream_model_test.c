/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A replica, its publisher and stream server, a link that loses, repeats and delays, and a subscriber: every choice
 * from a seed. A model beside them knows every operation that was ever committed. What is checked:
 *
 *   - a live change is the next operation after the one before, element by element as it was committed; between two
 *     that are not neighbours there is a LOST and a whole resync, or for who wants it so a coalescing one;
 *   - what is left out between two changes is what was to be left out (ids, kinds), and nothing else;
 *   - who wants keys only gets no data, and who does not gets it, also when the service publishes some without;
 *   - no change is of a section that the consumer does not have, and in a resync neither;
 *   - at each RESYNC_END and SYNCED the consumer's table is the state as of its position;
 *   - when faults cease, everything arrives, whatever happened before.
 *
 * VESTA_STREAM_SEED=n runs that seed alone.
 */
#include "notify/id_prefixes.h"
#include "test/unit/stream_fixture.h"
#include "test/unit/stream_model.h"

#define SEEDS 400U
#define STEPS 400U

/* ---- the consumer ---- */

typedef struct consumer {
  table_t table;
  vesta_pos_t position; /* of the last whole operation, as of which the table is */
  bool known;           /* there is a position */
  bool lost, bracket, synced, gone;
  bool coalescing;     /* the resync was begun without a LOST */
  uint32_t next_index; /* within an operation that has been handed out in part */
  uint32_t live, resync, resyncs, full_resyncs, losses, left_out, coalesced;
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
  wire_element_t prefixes[2];
  bool old_service; /* it knows nothing of prefixes, nor of requests without data */
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

/* Changes go out without their data, as a service may do that holds too much for slow subscribers. */
static void world_emit_withheld(world_t *world, vesta_bytes_t head) {
  wire_message_t message;
  assert_int_equal(wire_decode(world->decoder, head.data, head.size, &message), VESTA_OK);
  message.state |= message.kind == WIRE_CHANGES ? WIRE_CHANGES_KEYS : 0;
  static uint8_t again[VESTA_FRAME_HEAD_BYTES_MAX];
  size_t size = 0;
  assert_int_equal(wire_encode(&message, again, sizeof again, &size), VESTA_OK);
  (void)channel_put(&world->published, vesta_bytes(again, size), (vesta_bytes_t){0});
}

static uint8_t world_class(const world_t *world) {
  return world->config.keys_only ? NOTIFY_CLASS_KEYS : NOTIFY_CLASS_DATA;
}

static void world_emit(void *context, const uint8_t topic[NOTIFY_TOPIC_BYTES], vesta_bytes_t head,
                       vesta_bytes_t payload) {
  world_t *world = context;
  if (topic[0] != world_class(world) || (!world->calm && percent(world->drop))) {
    return;
  }
  if (!world->calm && percent(2)) {
    world_emit_withheld(world, head);
    return;
  }
  (void)channel_put(&world->published, head, payload);
  if (!world->calm && percent(2)) {
    (void)channel_put(&world->published, head, payload);
  }
}

static uint64_t world_held(void *context) { return ((world_t *)context)->held; }

static const replica_t *world_replica(void *context, uint64_t checkpoint_id, bool *gone) {
  *gone = true;
  return checkpoint_id == CHECKPOINT ? ((world_t *)context)->service.replica : NULL;
}

static void world_subscribe(world_t *world, bool begins) {
  uint8_t message[1 + NOTIFY_TOPIC_BYTES] = {begins ? 1 : 0};
  notify_topic(message + 1, world_class(world), CHECKPOINT);
  (void)publisher_subscription(world->publisher, 0, vesta_bytes(message, sizeof message), world_replica, world,
                               world->now_ns);
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
    bytes += (answer->state & WIRE_CHUNK_KEYS) != 0 ? 0 : e->size;
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
  if (world->old_service) {
    request.flags = 0;
    request.element_count = 0;
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
    answer.state = 0;
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

static bool id_wanted(const world_t *world, uint32_t id) {
  return id_prefixes_match(world->config.prefixes, world->config.prefix_count, text(id_texts[id]));
}

static bool element_wanted(const world_t *world, const model_element_t *e) {
  bool kind_wanted = world->config.kinds == 0 || (world->config.kinds >> e->kind & 1) != 0;
  return e->kind == VESTA_KIND_EPOCH || (kind_wanted && id_wanted(world, e->id));
}

/* The element of that place among those that are wanted, and how many these are. NULL: there is none of that place. */
static const model_element_t *op_wanted(const world_t *world, const model_op_t *op, uint32_t index, uint32_t *count) {
  const model_element_t *found = NULL;
  *count = 0;
  for (uint32_t i = 0; i < op->count; i++) {
    if (element_wanted(world, &op->elements[i])) {
      found = *count == index ? &op->elements[i] : found;
      ++*count;
    }
  }
  return found;
}

static void check_table(const world_t *world, const table_t *b, const char *when) {
  const table_t *a = &world->consumer.table;
  for (uint32_t id = 0; id < IDS; id++) {
    if (!id_wanted(world, id)) {
      continue;
    }
    CHECK(a->there[id] == b->there[id], "%s: section %u is %s", when, id, a->there[id] ? "extra" : "missing");
    CHECK(!a->there[id] || a->size[id] == b->size[id], "%s: size of section %u", when, id);
    CHECK(!a->there[id] || world->config.keys_only || memcmp(a->data[id], b->data[id], a->size[id]) == 0,
          "%s: section %u", when, id);
  }
}

/* The stream went on to there and handed out nothing: there was nothing to hand out. */
static void consumer_pass(world_t *world, vesta_pos_t to) {
  static int32_t path[OPS_MAX];
  consumer_t *c = &world->consumer;
  uint32_t length = 0;
  int32_t op = model_find(&world->model, to.epoch, to.seq);
  while (op >= 0 && (world->model.ops[op].seq != c->position.seq || world->model.ops[op].epoch != c->position.epoch)) {
    path[length++] = op;
    op = world->model.ops[op].before;
  }
  CHECK(op >= 0 || c->position.seq == 0, "it went on to a position that does not follow the one before");
  while (length > 0) {
    const model_op_t *o = &world->model.ops[path[--length]];
    uint32_t wanted;
    (void)op_wanted(world, o, 0, &wanted);
    CHECK(wanted == 0, "operation %llu was left out", (unsigned long long)o->seq);
    table_put_op(&c->table, o);
    c->left_out++;
  }
  c->position = to;
}

static void consume_word(world_t *world, const notify_change_t *change) {
  consumer_t *c = &world->consumer;
  table_t expected;
  switch ((notify_word_t)change->kind) {
    case NOTIFY_LOST:
      CHECK(c->next_index == 0, "lost in the middle of an operation");
      c->coalescing = false;
      c->lost = true;
      c->losses++;
      return;
    case NOTIFY_RESYNC_BEGIN:
      CHECK(!c->bracket || change->full, "a second begin must be full");
      CHECK(change->full || !c->known || vesta_pos_equal(change->from, c->position), "a delta from elsewhere");
      c->coalescing = c->coalescing || (!c->bracket && c->known && !c->lost);
      CHECK(!c->coalescing || world->config.coalesce, "a resync without a reason");
      CHECK(!change->full || c->lost || !c->known, "everything is sent and nothing said of the loss");
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
      check_table(world, &expected, change->kind == NOTIFY_SYNCED ? "SYNCED" : "RESYNC_END");
      c->position = change->position;
      c->known = true;
      c->bracket = false;
      c->lost = false;
      c->coalescing = false;
      c->synced = change->kind == NOTIFY_SYNCED;
      return;
    case NOTIFY_GONE: c->gone = true; return;
    case NOTIFY_COALESCED:
    case NOTIFY_HASH: break; /* no words */
  }
}

static void consume_live(world_t *world, const notify_change_t *change) {
  consumer_t *c = &world->consumer;
  CHECK(c->known && !c->lost, "a live change after a loss");
  int32_t op = model_find(&world->model, change->position.epoch, change->position.seq);
  CHECK(op >= 0, "never committed");
  const model_op_t *o = &world->model.ops[op];
  if (c->next_index == 0) {
    CHECK(change->position.seq > c->position.seq, "%llu was had before", (unsigned long long)change->position.seq);
    const model_op_t *before = o->before < 0 ? NULL : &world->model.ops[o->before];
    consumer_pass(world, (vesta_pos_t){.lineage = LINEAGE,
                                       .epoch = before == NULL ? c->position.epoch : before->epoch,
                                       .seq = change->position.seq - 1});
  }
  CHECK(change->index == c->next_index, "element %u instead of %u", change->index, c->next_index);
  uint32_t count;
  const model_element_t *e = op_wanted(world, o, change->index, &count);
  CHECK(e != NULL && count == change->count && e->kind == (vesta_kind_t)change->kind && e->size == change->data.size &&
            e->offset == change->offset && (!kind_is_of_section(change->kind) || e->id == id_number(change->id)),
        "not what was committed");
  CHECK(world->config.keys_only || e->size == 0 || memcmp(e->data, change->data.data, e->size) == 0, "other data");
  c->next_index = change->index + 1 == change->count ? 0 : change->index + 1;
  if (c->next_index == 0) {
    table_put_op(&c->table, o);
    c->position = change->position;
  }
  c->live++;
}

static void consume_resync(world_t *world, const notify_change_t *change) {
  static const uint8_t zeros[SECTION_BYTES];
  consumer_t *c = &world->consumer;
  c->resync++;
  if (!kind_is_of_section(change->kind)) {
    return;
  }
  uint32_t id = id_number(change->id);
  bool names = change->kind == VESTA_KIND_CREATED || change->kind == NOTIFY_COALESCED;
  CHECK(id_wanted(world, id), "section %u is not wanted", id);
  CHECK(c->table.there[id] || names || kind_deletes(change->kind), "kind %u of section %u that is not there",
        change->kind, id);
  if (change->kind == NOTIFY_COALESCED) {
    CHECK(c->coalescing && change->from.epoch != 0 && change->from.seq < change->position.seq, "not coalesced");
    c->coalesced++;
  }
  table_put(&c->table, change->kind, id, (uint32_t)change->offset, world->config.keys_only ? zeros : change->data.data,
            (uint32_t)change->data.size);
}

static bool world_consume(world_t *world) {
  consumer_t *c = &world->consumer;
  notify_change_t change;
  bool is_one = subscriber_next(world->subscriber, &change);
  subscriber_status_t status;
  subscriber_status(world->subscriber, &status);
  bool word = is_one && change.kind >= NOTIFY_SYNCED && change.kind != NOTIFY_COALESCED;
  if ((!is_one || word) && c->known && !c->lost && !c->bracket) {
    consumer_pass(world, status.handed_out);
  }
  if (word) {
    consume_word(world, &change);
  } else if (is_one) {
    CHECK(c->bracket == change.resync, "a change on the wrong side of a bracket");
    CHECK(!world->config.keys_only || change.data.data == NULL, "data that nobody wants");
    if (change.resync) {
      consume_resync(world, &change);
    } else {
      consume_live(world, &change);
    }
  }
  if (c->known && c->next_index == 0 && !c->bracket) {
    CHECK(vesta_pos_equal(status.handed_out, c->position), "handed_out is wrong");
    CHECK(!status.synced || !c->lost, "synced though it is lost");
  }
  return is_one;
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

/* What a subscriber may ask for, each by itself and together. */
static void world_options(world_t *world) {
  static const char *const prefixes[] = {"s1", "s2", "s7", "s11", "s"};
  subscriber_config_t *config = &world->config;
  config->keys_only = percent(25);
  config->coalesce = percent(40);
  config->kinds = percent(25) ? (uint32_t)random_next() : 0;
  config->prefixes = world->prefixes;
  config->prefix_count = percent(30) ? 1 + below(2) : 0;
  for (uint32_t i = 0; i < config->prefix_count; i++) {
    world->prefixes[i] = (wire_element_t){.id = text(prefixes[below(sizeof prefixes / sizeof prefixes[0])])};
  }
  world->old_service = percent(20);
}

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
  publisher_output_t output = {
      .context = world, .emit = world_emit, .held_bytes = world_held, .held_bytes_max = VESTA_STREAM_QUEUE_BYTES_MAX};
  assert_int_equal(publisher_new(&output, 1, &world->publisher), VESTA_OK);
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
  world_options(world);
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
  check_table(world, &expected, "settled");
}

static subscriber_status_t totals;
static uint64_t total_live, total_resync, total_full, total_left_out, total_coalesced;

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
  totals.withheld += status.withheld;
  total_live += world.consumer.live;
  total_resync += world.consumer.resync;
  total_full += world.consumer.full_resyncs;
  total_left_out += world.consumer.left_out;
  total_coalesced += world.consumer.coalesced;
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
                "overflows=%llu rebuilt=%llu left_out=%llu coalesced=%llu withheld=%llu\n",
                (unsigned long long)total_live, (unsigned long long)total_resync, (unsigned long long)totals.resyncs,
                (unsigned long long)total_full, (unsigned long long)totals.lost, (unsigned long long)totals.holes,
                (unsigned long long)totals.repairs, (unsigned long long)totals.duplicates,
                (unsigned long long)totals.overflows, (unsigned long long)totals.rebuilt,
                (unsigned long long)total_left_out, (unsigned long long)total_coalesced,
                (unsigned long long)totals.withheld);
  /* the seeds reach what they are for */
  assert_true(total_live > 1000 && total_resync > 1000 && total_full > 10 && totals.lost > 10 && totals.repairs > 100 &&
              totals.overflows > 100 && totals.duplicates > 100 && total_left_out > 1000 && total_coalesced > 100 &&
              totals.withheld > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whatever_the_link_does_the_consumer_has_the_committed_order_or_a_declared_loss),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
