/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Judging an operation: may it be done, and what exactly does it come to?
 *
 * The elements are judged in their order, each on the state that the ones before it leave. That state is kept in the
 * plan and not in the region, so an operation that is refused at its last element has changed nothing. A plan names
 * slots, sizes before and after, and the generated id; then every page that the record and its application need is
 * reserved; then the record is written, which cannot fail.
 *
 * A slot that one element frees is taken first by a later one that creates: replacing a section in one operation
 * needs no second slot. Else a section goes to any slot that is free, or to the very one that another replica has
 * chosen: so that all replicas of a checkpoint have the same sections in the same slots, and a walk over slots that one
 * has begun can be gone on with by another.
 */
#include "core/replica_private.h"

/* A section as the next element meets it. */
typedef struct section_before {
  bool present;
  bool in_plan; /* an element of this operation touched it */
  bool corrupted;
  bool changed; /* by others, after the position that the operation names */
  uint32_t slot;
  uint64_t size;
  int64_t expiry_ns;
} section_before_t;

static bool something_is_in_flight(const replica_t *replica) {
  return replica->header->prepared_seq > replica->header->committed_seq;
}

/* ---- elements found by id, while there are several ---- */

static void plan_begin(replica_t *replica, const replica_op_t *op) {
  replica_plan_t *plan = &replica->plan;
  plan->op = op;
  plan->freed_last = plan->deletes = 0;
  plan->generated = 0;
  plan->generated_id_size = 0;
  plan->session_place = REPLICA_NO_SESSION;
  plan->record_bytes = sizeof(replica_log_record_t);
  plan->places_mask = 0;
  if (op->element_count > 1) {
    uint32_t places = 4;
    while (places < 2 * op->element_count) {
      places *= 2;
    }
    memset(plan->places, 0, places * sizeof plan->places[0]);
    plan->places_mask = places - 1;
  }
}

/* The place of an id: empty, or of the last element that has it. Linear probing: it is at most half full. */
static uint16_t *plan_place(replica_plan_t *plan, uint32_t hash, vesta_bytes_t id) {
  for (uint32_t at = hash & plan->places_mask;; at = (at + 1) & plan->places_mask) {
    uint16_t *place = &plan->places[at];
    if (*place == 0 ||
        (plan->elements[*place - 1].hash == hash && vesta_bytes_equal(plan->elements[*place - 1].id, id))) {
      return place;
    }
  }
}

static section_before_t section_before(replica_t *replica, uint32_t hash, vesta_bytes_t id) {
  replica_plan_t *plan = &replica->plan;
  uint16_t in_plan = plan->places_mask != 0 ? *plan_place(plan, hash, id) : 0;
  if (in_plan != 0) {
    replica_planned_t *p = &plan->elements[in_plan - 1];
    p->shared = true;
    return (section_before_t){.present = p->present,
                              .in_plan = true,
                              .corrupted = p->corrupted,
                              .slot = p->slot,
                              .size = p->new_size,
                              .expiry_ns = p->expiry_ns};
  }
  uint32_t slot = replica_slot_find(replica, hash, id);
  if (slot == REPLICA_NO_SLOT) {
    return (section_before_t){.slot = REPLICA_NO_SLOT};
  }
  const replica_descriptor_t *d = replica_descriptor(replica, slot);
  const vesta_pos_t *since = &plan->op->unchanged_since;
  return (section_before_t){.present = true,
                            .corrupted = (d->epoch & REPLICA_EPOCH_CORRUPTED) != 0,
                            .changed = since->epoch != 0 && d->seq > since->seq, /* one history: seqs tell */
                            .slot = slot,
                            .size = d->size,
                            .expiry_ns = d->expiry_ns};
}

/* ---- generated ids ---- */

/* How many ids of 1 to `size` digits there are; saturates. */
static uint64_t ids_up_to(uint64_t digits, uint32_t size) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < size && count < UINT64_MAX / 512; i++) {
    count = (count + 1) * digits;
  }
  return count;
}

/* Ids are readable where there is room for twice as many as sections; else every byte value is a digit. */
static uint64_t generated_digits(const replica_layout_t *layout) {
  return ids_up_to(32, layout->id_bytes_max) >= 2 * (uint64_t)layout->sections_max ? 32 : 256;
}

uint32_t replica_generated_id(const replica_layout_t *layout, uint64_t number, uint8_t *id) {
  static const char readable[] = "0123456789abcdefghijklmnopqrstuv";
  uint64_t digits = generated_digits(layout);
  uint8_t reversed[REPLICA_GENERATED_ID_BYTES_MAX];
  uint32_t size = 0;
  /* Digits that count from 1, so that every string of every length is the id of exactly one number. */
  for (uint64_t rest = number; rest > 0; rest = (rest - 1) / digits) {
    VESTA_ASSERT(size < REPLICA_GENERATED_ID_BYTES_MAX);
    uint64_t digit = (rest - 1) % digits;
    reversed[size++] = digits == 32 ? (uint8_t)readable[digit] : (uint8_t)digit;
  }
  for (uint32_t i = 0; i < size; i++) {
    id[i] = reversed[size - 1 - i];
  }
  return size;
}

bool replica_generated_number(const replica_layout_t *layout, vesta_bytes_t id, uint64_t *number) {
  uint64_t digits = generated_digits(layout);
  uint64_t value = 0;
  for (size_t i = 0; i < id.size; i++) {
    uint8_t c = id.data[i];
    uint64_t readable = c >= '0' && c <= '9' ? c - (uint64_t)'0' : c >= 'a' && c <= 'v' ? c - (uint64_t)'a' + 10 : 32;
    uint64_t digit = digits == 256 ? c : readable;
    if (digit >= digits || value > (UINT64_MAX - 256) / digits) {
      return false;
    }
    value = value * digits + digit + 1;
  }
  *number = value;
  return id.size > 0 && id.size <= REPLICA_GENERATED_ID_BYTES_MAX;
}

/* An id that another replica generated. */
static bool id_is_generated(replica_t *replica, replica_planned_t *planned) {
  replica_plan_t *plan = &replica->plan;
  if (!replica_generated_number(&replica->layout, planned->id, &plan->generated)) {
    plan->generated = 0;
    return false;
  }
  memcpy(plan->generated_id, planned->id.data, planned->id.size);
  plan->generated_id_size = (uint32_t)planned->id.size;
  planned->flags |= REPLICA_ELEMENT_GENERATED;
  return true;
}

/* The next number whose id is not there. All ids that are there are in slots, so sections_max + 1 tries are enough. */
static vesta_err_t id_generate(replica_t *replica, replica_planned_t *planned) {
  replica_plan_t *plan = &replica->plan;
  const replica_layout_t *layout = &replica->layout;
  uint64_t ids = ids_up_to(generated_digits(layout), layout->id_bytes_max);
  uint64_t tries = ids < layout->sections_max + 1ULL ? ids : layout->sections_max + 1ULL;
  uint64_t number = replica->generated_last;
  for (uint64_t i = 0; i < tries; i++) {
    number = number % ids + 1;
    uint32_t size = replica_generated_id(layout, number, plan->generated_id);
    vesta_bytes_t id = vesta_bytes(plan->generated_id, size);
    uint32_t hash = replica_hash(replica, id);
    if (!section_before(replica, hash, id).present && !replica_flight_touches(replica, hash, id)) {
      plan->generated = number;
      plan->generated_id_size = size;
      planned->id = id;
      planned->flags |= REPLICA_ELEMENT_GENERATED;
      return VESTA_OK;
    }
  }
  return VESTA_ERR_NO_RESOURCES;
}

/* ---- one element ---- */

/* What can be said without looking at any section. */
static vesta_err_t parameters_judge(const replica_t *replica, const replica_element_t *e) {
  const replica_layout_t *layout = &replica->layout;
  if (e->kind < VESTA_KIND_CREATED || e->kind > VESTA_KIND_EPOCH || e->id.size > layout->id_bytes_max) {
    return VESTA_ERR_INVALID_PARAM;
  }
  if (replica_kind_is_exclusive(e->kind)) {
    bool is_epoch_back = e->kind == VESTA_KIND_EPOCH && e->epoch <= replica_epoch_last(replica)->epoch;
    bool is_alone = replica->plan.op->element_count == 1;
    return is_alone && e->id.size == 0 && !is_epoch_back ? VESTA_OK : VESTA_ERR_INVALID_PARAM;
  }
  if (replica_kind_has_data(e->kind) && e->data.size > layout->section_bytes_max) {
    return VESTA_ERR_INVALID_PARAM;
  }
  if (e->kind == VESTA_KIND_WRITTEN && e->offset > layout->section_bytes_max - e->data.size) {
    return VESTA_ERR_NO_RESOURCES;
  }
  if (layout->sections_max == 1) {
    if (e->kind == VESTA_KIND_CREATED) {
      return VESTA_ERR_EXIST;
    }
    bool touches_data = e->kind == VESTA_KIND_WRITTEN || e->kind == VESTA_KIND_OVERWRITTEN;
    if (e->id.size == 0 && !touches_data) {
      return VESTA_ERR_INVALID_PARAM; /* the default section is always there and never expires */
    }
  }
  return VESTA_OK;
}

static vesta_err_t slot_take(replica_t *replica, replica_planned_t *planned) {
  replica_plan_t *plan = &replica->plan;
  uint32_t given = planned->element->slot_given;
  if (plan->freed_last != 0) {
    replica_planned_t *freed = &plan->elements[plan->freed_last - 1];
    freed->flags |= REPLICA_ELEMENT_SLOT_PASSED;
    plan->freed_last = freed->freed_before;
    planned->slot = freed->slot;
    planned->flags |= REPLICA_ELEMENT_SLOT_TAKEN;
  } else if (given != 0) {
    planned->slot = replica_slot_take(replica, given - 1) ? given - 1 : REPLICA_NO_SLOT;
  } else {
    planned->slot = replica_slot_take_any(replica);
    if (planned->slot == REPLICA_NO_SLOT) {
      /* What is in flight may yet free a slot. */
      return something_is_in_flight(replica) ? VESTA_ERR_TRY_AGAIN : VESTA_ERR_NO_SPACE;
    }
  }
  return given != 0 && planned->slot != given - 1 ? VESTA_ERR_DIVERGED : VESTA_OK;
}

/* Those that the operation took, which is not to be. */
static void slots_untake(replica_t *replica) {
  const replica_plan_t *plan = &replica->plan;
  for (uint32_t i = plan->judged; i > 0; i--) {
    const replica_planned_t *planned = &plan->elements[i - 1];
    bool is_taken = planned->element->kind == VESTA_KIND_CREATED && planned->slot != REPLICA_NO_SLOT &&
                    (planned->flags & REPLICA_ELEMENT_SLOT_TAKEN) == 0;
    if (is_taken) {
      replica_slot_free(replica, planned->slot);
    }
  }
}

static vesta_err_t create_judge(replica_t *replica, const section_before_t *before, replica_planned_t *planned) {
  if (before->present) {
    /* A section that has expired is removed by an operation of its own first (replica_expiry_next()). */
    bool must_be_removed = !before->in_plan && before->expiry_ns <= replica->plan.op->time_ns;
    return must_be_removed ? VESTA_ERR_TRY_AGAIN : VESTA_ERR_EXIST;
  }
  vesta_err_t err = slot_take(replica, planned);
  if (err == VESTA_OK) {
    planned->present = true;
    planned->corrupted = replica->corrupts;
    planned->new_size = planned->element->data.size;
    planned->expiry_ns = planned->element->expiry_ns;
  }
  return err;
}

static vesta_err_t change_judge(replica_t *replica, const section_before_t *before, replica_planned_t *planned) {
  const replica_element_t *e = planned->element;
  if (!before->present || (before->expiry_ns <= replica->plan.op->time_ns && e->kind != VESTA_KIND_EXPIRED)) {
    return VESTA_ERR_NOT_EXIST;
  }
  if (before->changed) {
    return VESTA_ERR_CHANGED;
  }
  if (before->corrupted && !replica->corrupts && (e->kind == VESTA_KIND_WRITTEN || e->kind == VESTA_KIND_EXPIRY_SET)) {
    return VESTA_ERR_CORRUPTED;
  }
  planned->slot = before->slot;
  planned->old_size = before->size;
  planned->new_size = before->size;
  planned->expiry_ns = before->expiry_ns;
  planned->present = true;
  switch (e->kind) {
    case VESTA_KIND_WRITTEN:
      if (e->data.size > 0 && e->offset + e->data.size > before->size) {
        planned->new_size = e->offset + e->data.size;
      }
      break;
    case VESTA_KIND_OVERWRITTEN:
      planned->new_size = e->data.size;
      planned->corrupted = replica->corrupts;
      break;
    case VESTA_KIND_EXPIRY_SET:
      planned->expiry_ns = e->expiry_ns;
      planned->corrupted = before->corrupted;
      break;
    case VESTA_KIND_DELETED:
    case VESTA_KIND_EXPIRED:
      planned->present = false;
      planned->new_size = 0;
      planned->freed_before = replica->plan.freed_last;
      replica->plan.freed_last = (uint32_t)(planned - replica->plan.elements) + 1;
      replica->plan.deletes++;
      break;
    case VESTA_KIND_CREATED:
    case VESTA_KIND_UNLINKED:
    case VESTA_KIND_RETENTION_SET:
    case VESTA_KIND_EPOCH: VESTA_ASSERT(false);
  }
  return VESTA_OK;
}

static vesta_err_t element_judge(replica_t *replica, uint32_t index) {
  replica_plan_t *plan = &replica->plan;
  const replica_element_t *e = &plan->op->elements[index];
  replica_planned_t *planned = &plan->elements[index];
  *planned = (replica_planned_t){.element = e, .id = e->id, .slot = REPLICA_NO_SLOT};
  if (replica_kind_has_data(e->kind)) {
    planned->data = e->data;
  }

  vesta_err_t err = parameters_judge(replica, e);
  if (err != VESTA_OK) {
    return err;
  }
  bool is_exclusive = replica_kind_is_exclusive(e->kind);
  if (something_is_in_flight(replica) && (is_exclusive || replica->exclusive_in_flight)) {
    return VESTA_ERR_TRY_AGAIN;
  }
  if (is_exclusive) {
    return VESTA_OK;
  }
  if (e->kind == VESTA_KIND_CREATED && e->id.size == 0) {
    if (plan->generated != 0) {
      return VESTA_ERR_INVALID_PARAM; /* a result has room for one */
    }
    err = id_generate(replica, planned);
    if (err != VESTA_OK) {
      return err;
    }
  } else if (plan->op->generated == index + 1 &&
             (e->kind != VESTA_KIND_CREATED || !id_is_generated(replica, planned))) {
    return VESTA_ERR_INVALID_PARAM;
  }
  planned->hash = replica_hash(replica, planned->id);
  if (replica_flight_touches(replica, planned->hash, planned->id)) {
    return VESTA_ERR_TRY_AGAIN;
  }
  section_before_t before = section_before(replica, planned->hash, planned->id);
  planned->shared = before.in_plan;
  err =
      e->kind == VESTA_KIND_CREATED ? create_judge(replica, &before, planned) : change_judge(replica, &before, planned);
  if (err == VESTA_OK && plan->places_mask != 0) {
    *plan_place(plan, planned->hash, planned->id) = (uint16_t)(index + 1);
  }
  return err;
}

/* ---- the operation ---- */

static vesta_err_t op_judge(replica_t *replica, const replica_op_t *op) {
  replica_plan_t *plan = &replica->plan;
  plan->bad_element = REPLICA_NO_ELEMENT;
  plan->judged = 0;
  if (op->element_count == 0 || op->element_count > VESTA_VECTOR_ELEMENTS_MAX) {
    return VESTA_ERR_INVALID_PARAM;
  }
  if (op->unchanged_since.epoch != 0 && replica_position_check(replica, op->unchanged_since) != VESTA_OK) {
    return VESTA_ERR_CHANGED;
  }
  plan_begin(replica, op);
  uint64_t data_bytes = 0;
  for (uint32_t i = 0; i < op->element_count; i++) {
    plan->judged = i + 1;
    vesta_err_t err = element_judge(replica, i);
    if (err != VESTA_OK) {
      plan->bad_element = i;
      return err;
    }
    const replica_planned_t *planned = &plan->elements[i];
    data_bytes += planned->data.size;
    plan->record_bytes += replica_log_element_bytes(planned->id.size, planned->data.size);
  }
  return data_bytes <= VESTA_OPERATION_BYTES_MAX ? VESTA_OK : VESTA_ERR_NO_RESOURCES;
}

/* Reserve what the sections will need. A failure gives back what it had reserved before it came to that. */
static vesta_err_t slots_reserve(replica_t *replica) {
  replica_plan_t *plan = &replica->plan;
  for (uint32_t i = 0; i < plan->op->element_count; i++) {
    replica_planned_t *planned = &plan->elements[i];
    if (planned->new_size == 0) {
      continue;
    }
    uint16_t pages_before = replica_descriptor(replica, planned->slot)->pages;
    vesta_err_t err = replica_slot_reserve(replica, planned->slot, planned->new_size);
    if (err != VESTA_OK) {
      return err;
    }
    planned->grown = replica_descriptor(replica, planned->slot)->pages > pages_before;
    planned->pages_before = pages_before;
  }
  return VESTA_OK;
}

static void slots_give_back(replica_t *replica) {
  for (uint32_t i = replica->plan.op->element_count; i > 0; i--) {
    replica_planned_t *planned = &replica->plan.elements[i - 1];
    if (planned->grown) {
      replica_slot_release(replica, planned->slot, planned->pages_before);
    }
  }
}

static vesta_err_t op_reserve(replica_t *replica) {
  replica_plan_t *plan = &replica->plan;
  uint64_t tombstones = replica->tombstones_next + plan->deletes;
  if (tombstones > VESTA_TOMBSTONES_MAX) {
    tombstones = VESTA_TOMBSTONES_MAX;
  }
  vesta_err_t err = VESTA_OK;
  if (plan->deletes > 0) {
    err = replica_area_reserve(replica, replica->layout.tombstones_at, &replica->header->reserved.tombstones,
                               tombstones * replica->layout.tombstone_stride);
  }
  if (err == VESTA_OK && !vesta_token_is_none(plan->op->session)) {
    err = replica_session_choose(replica, plan->op->session, &plan->session_place);
  }
  if (err != VESTA_OK) {
    return err;
  }
  err = slots_reserve(replica);
  if (err == VESTA_OK) {
    err = replica_log_place(replica);
  }
  if (err != VESTA_OK) {
    slots_give_back(replica);
  }
  return err;
}

vesta_err_t replica_prepare(replica_t *replica, const replica_op_t *op, replica_result_t *result) {
  replica_plan_t *plan = &replica->plan;
  vesta_err_t err = op_judge(replica, op);
  if (err == VESTA_OK) {
    err = op_reserve(replica);
  }
  if (err != VESTA_OK) {
    slots_untake(replica);
    *result = (replica_result_t){.element = plan->bad_element};
    return err;
  }
  if (plan->session_place != REPLICA_NO_SESSION) {
    replica_session_hold(replica, plan->session_place, op->session);
  }
  uint64_t seq = replica_log_append(replica);
  replica_flight_enter(replica, replica_log_at(replica, seq));
  *result = (replica_result_t){.seq = seq,
                               .epoch = replica_log_at(replica, seq)->epoch,
                               .element = REPLICA_NO_ELEMENT,
                               .generated_id_size = plan->generated_id_size};
  memcpy(result->generated_id, plan->generated_id, plan->generated_id_size);
  return VESTA_OK;
}

vesta_err_t replica_apply(replica_t *replica, const replica_op_t *op, replica_result_t *result) {
  if (something_is_in_flight(replica)) {
    *result = (replica_result_t){.element = REPLICA_NO_ELEMENT};
    return VESTA_ERR_TRY_AGAIN;
  }
  vesta_err_t err = replica_prepare(replica, op, result);
  if (err == VESTA_OK) {
    replica_commit(replica, result->seq);
  }
  return err;
}
