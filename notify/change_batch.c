/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See change_batch.h.
 */
#include "notify/change_batch.h"

#include <stdlib.h>

#define BATCH_COPIES_BYTES VESTA_STREAM_BATCH_BYTES /* room for copies that is always there */
#define BATCH_COPIES_KEEP (1U << 20)                /* a larger one is given back after use */
#define BATCH_BORROW_BYTES (64U << 10) /* from here on copying an operation costs more than sending it alone */
#define BATCH_FIXED_HEAD_BYTES 1024U   /* fields of the message itself: numbers only, no bytes */

static_assert(VESTA_STREAM_CHUNK_BYTES <= BATCH_COPIES_BYTES, "an ordinary chunk is made without an allocation");
static_assert(BATCH_FIXED_HEAD_BYTES + VESTA_VECTOR_ELEMENTS_MAX * (VESTA_SECTION_ID_BYTES_MAX + 128U) <=
                  VESTA_FRAME_HEAD_BYTES_MAX,
              "any operation fits into an empty batch");
static_assert(VESTA_VECTOR_ELEMENTS_MAX <= WIRE_ELEMENTS_MAX, "any operation fits into an empty batch");

bool change_batch_init(change_batch_t *batch) {
  *batch = (change_batch_t){
      .elements = malloc(WIRE_ELEMENTS_MAX * sizeof *batch->elements),
      .copies = malloc(BATCH_COPIES_BYTES),
      .copies_size = BATCH_COPIES_BYTES,
      .ids = malloc(VESTA_FRAME_HEAD_BYTES_MAX),
      .head = malloc(VESTA_FRAME_HEAD_BYTES_MAX),
  };
  if (batch->elements == NULL || batch->copies == NULL || batch->ids == NULL || batch->head == NULL) {
    change_batch_fini(batch);
    return false;
  }
  change_batch_clear(batch);
  return true;
}

void change_batch_fini(change_batch_t *batch) {
  free(batch->elements);
  free(batch->copies);
  free(batch->ids);
  free(batch->head);
  *batch = (change_batch_t){0};
}

void change_batch_clear(change_batch_t *batch) {
  batch->count = 0;
  batch->data_bytes = 0;
  batch->borrowed = false;
  batch->data = batch->copies;
  batch->head_bytes = BATCH_FIXED_HEAD_BYTES;
  batch->ids_bytes = 0;
  if (batch->copies_size > BATCH_COPIES_KEEP) {
    uint8_t *smaller = realloc(batch->copies, BATCH_COPIES_BYTES);
    if (smaller != NULL) {
      batch->copies = smaller;
      batch->copies_size = BATCH_COPIES_BYTES;
      batch->data = smaller;
    }
  }
}

/* What is about to be added, all of it or nothing. */
typedef struct batch_need {
  uint32_t elements;
  size_t head_bytes;
  uint64_t data_bytes;
  uint64_t data_soft_max; /* more in all only if there is none yet */
  uint64_t alone_bytes;   /* so much goes alone */
} batch_need_t;

/* May it be added beside what is there? */
static bool batch_fits(const change_batch_t *batch, const batch_need_t *need) {
  if (batch->borrowed || batch->count + need->elements > WIRE_ELEMENTS_MAX ||
      batch->head_bytes + need->head_bytes > VESTA_FRAME_HEAD_BYTES_MAX) {
    return false;
  }
  return batch->data_bytes == 0 ||
         (need->data_bytes < need->alone_bytes && batch->data_bytes + need->data_bytes <= need->data_soft_max);
}

/* Room for copies of the data; what is copied already stays. */
static vesta_err_t batch_reserve(change_batch_t *batch, uint64_t data_bytes) {
  uint64_t wanted = batch->data_bytes + data_bytes;
  if (wanted <= batch->copies_size) {
    return VESTA_OK;
  }
  uint8_t *larger = realloc(batch->copies, (size_t)wanted);
  if (larger == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  batch->copies = larger;
  batch->copies_size = (size_t)wanted;
  batch->data = larger;
  return VESTA_OK;
}

/* Room is there. */
static void batch_put(change_batch_t *batch, const wire_element_t *element, const uint8_t *data) {
  wire_element_t *put = &batch->elements[batch->count++];
  *put = *element;
  if (element->id.size != 0) {
    memcpy(batch->ids + batch->ids_bytes, element->id.data, element->id.size);
    put->id.data = batch->ids + batch->ids_bytes;
    batch->ids_bytes += element->id.size;
  }
  if (!batch->keys_only) {
    if (element->size != 0 && !batch->borrowed) {
      memcpy(batch->copies + batch->data_bytes, data, (size_t)element->size);
    }
    batch->data_bytes += element->size;
  }
  batch->head_bytes += wire_element_size_max(put);
}

static vesta_err_t batch_make_room(change_batch_t *batch, const batch_need_t *need, const uint8_t *only_data) {
  if (!batch_fits(batch, need)) {
    return VESTA_ERR_TOO_LARGE;
  }
  if (only_data != NULL && batch->data_bytes == 0 && need->data_bytes >= need->alone_bytes) {
    batch->borrowed = true;
    batch->data = only_data;
    return VESTA_OK;
  }
  return batch_reserve(batch, need->data_bytes);
}

vesta_err_t change_batch_add(change_batch_t *batch, const wire_element_t *element, const uint8_t *data,
                             uint64_t data_soft_max) {
  batch_need_t need = {
      .elements = 1,
      .head_bytes = wire_element_size_max(element),
      .data_bytes = batch->keys_only ? 0 : element->size,
      .data_soft_max = data_soft_max,
      .alone_bytes = data_soft_max,
  };
  vesta_err_t err = batch_make_room(batch, &need, data);
  if (err == VESTA_OK) {
    batch_put(batch, element, data);
  }
  return err;
}

/* The epoch that ended when `epoch` began; 0: forgotten. */
static uint64_t epoch_before(const replica_t *replica, uint64_t epoch) {
  vesta_epoch_row_t rows[VESTA_EPOCHS_MAX];
  uint32_t count = replica_epochs(replica, rows, VESTA_EPOCHS_MAX);
  for (uint32_t i = 1; i < count; i++) {
    if (rows[i].epoch == epoch) {
      return rows[i - 1].epoch;
    }
  }
  return 0;
}

static wire_element_t batch_element(const replica_record_t *record, const replica_change_t *change, uint32_t index) {
  const replica_element_t *element = &change->element;
  return (wire_element_t){
      .kind = element->kind,
      .id = element->id,
      .size = element->data.size,
      .offset = element->offset,
      .expiry_ns = element->expiry_ns,
      .seq = record->seq,
      .epoch = record->epoch,
      .time_ns = record->time_ns,
      .slot = change->slot,
      .member = element->member,
      .index = index,
      .count = record->element_count,
  };
}

vesta_err_t change_batch_add_record(change_batch_t *batch, const replica_t *replica, const replica_record_t *record,
                                    uint64_t data_soft_max) {
  batch_need_t need = {
      .elements = record->element_count, .data_soft_max = data_soft_max, .alone_bytes = BATCH_BORROW_BYTES};
  const uint8_t *data = NULL;
  replica_change_t change;
  for (replica_record_t walk = *record; replica_record_next(&walk, &change);) {
    wire_element_t element = batch_element(record, &change, 0);
    need.head_bytes += wire_element_size_max(&element);
    need.data_bytes += batch->keys_only ? 0 : element.size;
    data = change.element.data.data;
  }
  vesta_err_t err = batch_make_room(batch, &need, record->element_count == 1 ? data : NULL);
  if (err != VESTA_OK) {
    return err;
  }
  uint32_t index = 0;
  for (replica_record_t walk = *record; replica_record_next(&walk, &change);) {
    wire_element_t element = batch_element(record, &change, index++);
    if (element.kind == VESTA_KIND_EPOCH) {
      element.offset = epoch_before(replica, record->epoch);
    }
    batch_put(batch, &element, change.element.data.data);
  }
  VESTA_ASSERT(index == record->element_count);
  return VESTA_OK;
}

vesta_bytes_t change_batch_encode_bare(change_batch_t *batch, const wire_message_t *message) {
  size_t size = 0;
  vesta_err_t err = wire_encode(message, batch->head, VESTA_FRAME_HEAD_BYTES_MAX, &size);
  VESTA_ASSERT(err == VESTA_OK); /* the bounds were kept */
  return vesta_bytes(batch->head, size);
}

vesta_bytes_t change_batch_encode(change_batch_t *batch, wire_message_t *message) {
  message->elements = batch->elements;
  message->element_count = batch->count;
  return change_batch_encode_bare(batch, message);
}
