/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A replica against a model that is too simple to be wrong.
 *
 * The model is an array of sections that is copied as a whole before an operation and kept if every element succeeds.
 * Random operations, good and bad ones, go to both: codes, bad elements and all sections must agree. In between the
 * replica is destroyed and recovered, storage refuses, operations are left in flight and aborted or committed later.
 * A seed that fails is printed.
 */
#include "test/unit/replica_fixture.h"

#define SECTIONS_MAX 10U
#define ID_BYTES_MAX 3U
#define BYTES_MAX 9000U
#define ELEMENTS_IN_OP 6U

typedef struct model_section {
  bool present;
  uint64_t freed_seq; /* in flight: the operation that freed the slot; others have it only when that is committed */
  char id[4];
  uint64_t size;
  int64_t expiry_ns;
  int64_t update_ns;
  uint64_t seq, created_seq;
  uint8_t data[BYTES_MAX];
} model_section_t;

typedef struct model {
  model_section_t sections[SECTIONS_MAX];
  uint64_t seq;
} model_t;

/* One run. */
typedef struct world {
  fixture_t f;
  uint64_t seed; /* of the run */
  uint64_t random;
  uint64_t bytes_max;
  int64_t now_ns;
  model_t model;  /* what is committed */
  model_t flight; /* and what is prepared on top of it */
  model_t scratch;
  char flight_ids[64][4]; /* touched by what is in flight */
  uint32_t flight_count;
  uint32_t accepted, refused;
} world_t;

static uint8_t noise[2 * BYTES_MAX];

static uint64_t draw(world_t *w, uint64_t below) { /* splitmix64 */
  uint64_t z = (w->random += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return (z ^ (z >> 31)) % below;
}

static model_section_t *model_find(model_t *m, vesta_bytes_t id) {
  for (uint32_t i = 0; i < SECTIONS_MAX; i++) {
    if (m->sections[i].present && vesta_bytes_equal(text(m->sections[i].id), id)) {
      return &m->sections[i];
    }
  }
  return NULL;
}

static vesta_err_t model_create(model_t *m, const replica_element_t *e, int64_t now_ns, bool is_first) {
  const model_section_t *there = model_find(m, e->id);
  if (there != NULL) {
    return there->expiry_ns <= now_ns && is_first ? VESTA_ERR_TRY_AGAIN : VESTA_ERR_EXIST;
  }
  model_section_t *place = NULL;
  for (uint32_t i = 0; i < SECTIONS_MAX; i++) {
    model_section_t *s = &m->sections[i];
    if (!s->present && (s->freed_seq == m->seq || (s->freed_seq == 0 && place == NULL))) {
      place = s;
    }
  }
  if (place == NULL) {
    return VESTA_ERR_NO_SPACE;
  }
  *place = (model_section_t){.present = true, .size = e->data.size, .expiry_ns = e->expiry_ns, .created_seq = m->seq};
  memcpy(place->id, e->id.data, e->id.size);
  memcpy(place->data, e->data.data, e->data.size);
  place->update_ns = now_ns;
  place->seq = m->seq;
  return VESTA_OK;
}

static vesta_err_t model_change(const world_t *w, model_t *m, const replica_element_t *e, bool is_first) {
  bool has_data = e->kind <= VESTA_KIND_OVERWRITTEN;
  if (e->id.size > ID_BYTES_MAX || (has_data && e->data.size > w->bytes_max)) {
    return VESTA_ERR_INVALID_PARAM;
  }
  if (e->kind == VESTA_KIND_WRITTEN && e->offset + e->data.size > w->bytes_max) {
    return VESTA_ERR_NO_RESOURCES;
  }
  if (e->kind == VESTA_KIND_CREATED) {
    return model_create(m, e, w->now_ns, is_first);
  }
  model_section_t *s = model_find(m, e->id);
  if (s == NULL || (s->expiry_ns <= w->now_ns && e->kind != VESTA_KIND_EXPIRED)) {
    return VESTA_ERR_NOT_EXIST;
  }
  if (e->kind == VESTA_KIND_DELETED || e->kind == VESTA_KIND_EXPIRED) {
    s->present = false;
    s->freed_seq = m->seq;
    return VESTA_OK;
  }
  if (e->kind == VESTA_KIND_EXPIRY_SET) {
    s->expiry_ns = e->expiry_ns;
  } else if (e->kind == VESTA_KIND_OVERWRITTEN) {
    memcpy(s->data, e->data.data, e->data.size);
    s->size = e->data.size;
  } else if (e->data.size > 0) {
    if (e->offset > s->size) {
      memset(s->data + s->size, 0, e->offset - s->size);
    }
    memcpy(s->data + e->offset, e->data.data, e->data.size);
    s->size = e->offset + e->data.size > s->size ? e->offset + e->data.size : s->size;
  }
  s->update_ns = w->now_ns;
  s->seq = m->seq;
  return VESTA_OK;
}

static bool in_flight(const world_t *w, vesta_bytes_t id) {
  for (uint32_t i = 0; i < w->flight_count; i++) {
    if (vesta_bytes_equal(text(w->flight_ids[i]), id)) {
      return true;
    }
  }
  return false;
}

/* What the model says to an operation on top of what is in flight; scratch is the state after it. */
static vesta_err_t model_judge(world_t *w, const replica_op_t *op, uint32_t *bad) {
  w->scratch = w->flight;
  w->scratch.seq++;
  for (uint32_t i = 0; i < op->element_count; i++) {
    const replica_element_t *e = &op->elements[i];
    bool is_first = true;
    for (uint32_t before = 0; before < i; before++) {
      is_first = is_first && !vesta_bytes_equal(op->elements[before].id, e->id);
    }
    vesta_err_t err = model_change(w, &w->scratch, e, is_first);
    bool is_parameter_error = err == VESTA_ERR_INVALID_PARAM || err == VESTA_ERR_NO_RESOURCES;
    if (!is_parameter_error && (in_flight(w, e->id) || (w->flight_count > 0 && err == VESTA_ERR_NO_SPACE))) {
      err = VESTA_ERR_TRY_AGAIN;
    }
    if (err != VESTA_OK) {
      *bad = i;
      return err;
    }
  }
  return VESTA_OK;
}

static void sections_agree(world_t *w) {
  uint32_t count = 0;
  uint64_t bytes = 0;
  replica_section_t s;
  for (uint32_t i = 0; i < SECTIONS_MAX; i++) {
    const model_section_t *m = &w->model.sections[i];
    if (!m->present) {
      continue;
    }
    count++;
    bytes += m->size;
    assert_int_equal(replica_find(w->f.replica, text(m->id), w->now_ns, &s), m->expiry_ns > w->now_ns);
    assert_true(replica_find(w->f.replica, text(m->id), INT64_MIN, &s));
    assert_int_equal(s.size, m->size);
    assert_memory_equal(s.data, m->data, m->size);
    assert_true(s.expiry_ns == m->expiry_ns && s.last_update_ns == m->update_ns);
    assert_int_equal(s.seq, m->seq);
    assert_int_equal(s.created_seq, m->created_seq);
  }
  replica_status_t status;
  replica_status(w->f.replica, &status);
  assert_int_equal(status.section_count, count);
  assert_int_equal(status.data_bytes, bytes);
  assert_int_equal(status.committed.seq, w->model.seq);
  assert_int_equal(status.prepared_seq, w->flight.seq);
}

static replica_element_t element_draw(world_t *w, char (*id)[5]) {
  static const vesta_kind_t kinds[] = {
      VESTA_KIND_CREATED, VESTA_KIND_CREATED, VESTA_KIND_CREATED,     VESTA_KIND_WRITTEN,     VESTA_KIND_WRITTEN,
      VESTA_KIND_WRITTEN, VESTA_KIND_WRITTEN, VESTA_KIND_OVERWRITTEN, VESTA_KIND_OVERWRITTEN, VESTA_KIND_EXPIRY_SET,
      VESTA_KIND_EXPIRED, VESTA_KIND_DELETED, VESTA_KIND_DELETED};
  uint64_t number = draw(w, 14);
  snprintf(*id, sizeof *id, "%c%s", (char)('a' + number), number % 3 == 0 ? "xy" : "");
  if (draw(w, 300) == 0) {
    memcpy(*id, "long", 5);
  }
  uint64_t scale = draw(w, 3) == 0 ? w->bytes_max : 100;
  uint64_t size = draw(w, scale + 1) + (draw(w, 200) == 0 ? w->bytes_max : 0);
  int64_t expiry_ns = draw(w, 4) != 0 ? VESTA_TIME_END : w->now_ns + (int64_t)draw(w, 2000) - 20;
  return (replica_element_t){
      .kind = kinds[draw(w, sizeof kinds / sizeof kinds[0])],
      .id = text(*id),
      .offset = draw(w, 3) == 0 ? draw(w, w->bytes_max) : draw(w, 50),
      .data = vesta_bytes(noise + draw(w, 200), size),
      .expiry_ns = expiry_ns,
  };
}

/* What was in flight is done. */
static void committed(world_t *w) {
  for (uint32_t i = 0; i < SECTIONS_MAX; i++) {
    w->flight.sections[i].freed_seq = 0;
  }
  w->model = w->flight;
  w->flight_count = 0;
}

/* Sections that have expired go first, as the node does it. Now and then it is late. */
static void expire(world_t *w) {
  replica_section_t s;
  while (draw(w, 20) != 0 && replica_expiry_next(w->f.replica, &s) <= w->now_ns) {
    replica_element_t e = {.kind = VESTA_KIND_EXPIRED, .id = s.id};
    replica_op_t op = {.time_ns = w->now_ns, .elements = &e, .element_count = 1};
    replica_result_t result;
    uint32_t bad = 0;
    assert_int_equal(model_judge(w, &op, &bad), VESTA_OK);
    assert_int_equal(replica_apply(w->f.replica, &op, &result), VESTA_OK);
    w->flight = w->scratch;
    committed(w);
  }
}

static void settle(world_t *w) {
  if (draw(w, 2) == 0) {
    replica_commit(w->f.replica, w->flight.seq);
    committed(w);
  } else {
    replica_abort(w->f.replica, w->model.seq + 1);
    w->flight = w->model;
    w->flight_count = 0;
  }
}

static void one_operation(world_t *w) {
  replica_element_t elements[ELEMENTS_IN_OP];
  char ids[ELEMENTS_IN_OP][5];
  uint32_t count = draw(w, 2) == 0 ? 1 : 1 + (uint32_t)draw(w, ELEMENTS_IN_OP);
  for (uint32_t i = 0; i < count; i++) {
    elements[i] = element_draw(w, &ids[i]);
  }
  replica_op_t op = {.time_ns = w->now_ns, .elements = elements, .element_count = count};
  op.session = (vesta_token_t){.hi = 1, .lo = draw(w, 5)};
  op.request = w->random;
  if (op.session.lo == 0) {
    op.session.hi = 0;
  }
  uint32_t bad = REPLICA_NO_ELEMENT;
  vesta_err_t expected = model_judge(w, &op, &bad);
  bool is_full = draw(w, 10) == 0;
  w->f.pages.fail_at = is_full ? w->f.pages.reserve_calls + 1 + draw(w, 3) : 0;
  replica_result_t result;
  vesta_err_t err = replica_prepare(w->f.replica, &op, &result);
  bool was_full = is_full && err == VESTA_ERR_NO_SPACE && result.element == REPLICA_NO_ELEMENT;
  w->f.pages.fail_at = 0;
  if (was_full) {
    return;
  }
  if (err != expected || result.element != bad) {
    fail_msg("seed %llu: %s at element %u, the model says %s at %u", (unsigned long long)w->seed, vesta_err_name(err),
             result.element, vesta_err_name(expected), bad);
  }
  w->accepted += err == VESTA_OK ? 1 : 0;
  w->refused += err != VESTA_OK ? 1 : 0;
  if (err == VESTA_OK) {
    w->flight = w->scratch;
    assert_int_equal(result.seq, w->flight.seq);
    for (uint32_t i = 0; i < count && w->flight_count < 64; i++) {
      memcpy(w->flight_ids[w->flight_count++], ids[i], 4);
    }
  }
}

static void run(uint64_t seed, uint64_t bytes_max, uint32_t operations) {
  static world_t w;
  memset(&w, 0, sizeof w);
  w.seed = w.random = seed;
  w.bytes_max = bytes_max;
  w.now_ns = NOW;
  fixture_open(&w.f, SECTIONS_MAX, bytes_max, ID_BYTES_MAX);
  for (uint32_t i = 0; i < operations; i++) {
    w.now_ns += (int64_t)draw(&w, 50);
    if (w.flight_count == 0) {
      expire(&w);
    }
    one_operation(&w);
    if (draw(&w, 60) == 0) {
      fixture_restart(&w.f);
    }
    if (draw(&w, 3) != 0 || w.flight_count > 40) {
      settle(&w);
    }
    if (draw(&w, 50) == 0) {
      replica_session_forget(w.f.replica, (vesta_token_t){.hi = 1, .lo = 1 + draw(&w, 4)});
    }
    sections_agree(&w);
    if (i % 8 == 0 && !replica_check(w.f.replica)) {
      fail_msg("seed %llu: replica_check() at operation %u", (unsigned long long)seed, i);
    }
  }
  assert_true(w.accepted > operations / 5 && w.refused > operations / 20);
  fixture_close(&w.f);
}

static void random_operations_on_packed_sections_agree_with_the_model(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 10; seed++) {
    run(seed, 700, 4000);
  }
}

static void random_operations_on_paged_sections_agree_with_the_model(void **state) {
  (void)state;
  for (uint64_t seed = 101; seed <= 110; seed++) {
    run(seed, BYTES_MAX, 2500);
  }
}

static void noise_make(void) {
  for (size_t i = 0; i < sizeof noise; i++) {
    noise[i] = (uint8_t)(i * 131 + i / 251 + 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_operations_on_packed_sections_agree_with_the_model),
      cmocka_unit_test(random_operations_on_paged_sections_agree_with_the_model),
  };
  noise_make();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
