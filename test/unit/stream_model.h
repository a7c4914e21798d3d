/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What stream_model_test knows beside the parts that it tests: every operation that was ever committed, in whatever
 * history, and the state after each. And the seed from which all choices are made; a check that fails tells it.
 */
#ifndef VESTA_TEST_UNIT_STREAM_MODEL_H
#define VESTA_TEST_UNIT_STREAM_MODEL_H

#include "test/unit/stream_fixture.h"

#define IDS 24U
#define SECTION_BYTES 600U
#define OPS_MAX 4000U
#define ELEMENTS_PER_OP 3U

/* ---- chance ---- */

static uint64_t seed_now;
static uint64_t random_state;

static inline uint64_t random_next(void) {
  random_state += UINT64_C(0x9e3779b97f4a7c15);
  uint64_t z = random_state;
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}
static inline uint32_t below(uint32_t end) { return (uint32_t)(random_next() % end); }
static inline bool percent(uint32_t chance) { return below(100) < chance; }

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

static inline int32_t model_find(const model_t *model, uint64_t epoch, uint64_t seq) {
  for (int32_t i = (int32_t)model->count - 1; i >= 0; i--) {
    if (model->ops[i].seq == seq && model->ops[i].epoch == epoch) {
      return i;
    }
  }
  return -1;
}

static inline uint32_t id_number(vesta_bytes_t id) {
  uint32_t number = 0;
  for (size_t i = 1; i < id.size; i++) {
    number = number * 10 + (uint32_t)(id.data[i] - '0');
  }
  CHECK(number < IDS, "an id that was never used");
  return number;
}

static inline bool kind_deletes(uint32_t kind) { return kind == VESTA_KIND_DELETED || kind == VESTA_KIND_EXPIRED; }

static inline bool kind_is_of_section(uint32_t kind) {
  return kind <= VESTA_KIND_EXPIRY_SET || kind == NOTIFY_COALESCED;
}

static inline void table_put(table_t *table, uint32_t kind, uint32_t id, uint32_t offset, const uint8_t *data,
                             uint32_t size) {
  if (kind == VESTA_KIND_CREATED || kind == VESTA_KIND_OVERWRITTEN || kind == NOTIFY_COALESCED) {
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

static inline void table_put_op(table_t *table, const model_op_t *op) {
  for (uint32_t i = 0; i < op->count; i++) {
    const model_element_t *e = &op->elements[i];
    table_put(table, e->kind, e->id, e->offset, e->data, e->size);
  }
}

/* The state after operation `op` of its history. */
static inline void model_replay(const model_t *model, int32_t op, table_t *table) {
  static int32_t path[OPS_MAX];
  uint32_t length = 0;
  for (; op >= 0; op = model->ops[op].before) {
    path[length++] = op;
  }
  memset(table, 0, sizeof *table);
  while (length > 0) {
    table_put_op(table, &model->ops[path[--length]]);
  }
}

#endif
