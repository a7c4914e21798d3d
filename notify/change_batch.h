/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Elements and their data on the way into one message: what the publisher sends, and what the stream server answers.
 *
 * A batch copies what it is given, so that the log may be trimmed and the sections may change before it is encoded. One
 * large piece of data alone is not copied: the batch then points at it (`borrowed`), and has to be sent before the
 * replica is touched again.
 *
 * With `keys_only` elements are added as they are, their data is left out and the payload is empty.
 *
 * Bounds: WIRE_ELEMENTS_MAX elements, VESTA_FRAME_HEAD_BYTES_MAX of head, and a soft limit of data that is passed by
 * one item (an operation, a section) at most, since an item is never split. All memory but that of a very large vector
 * is taken when the batch is made.
 */
#ifndef VESTA_NOTIFY_CHANGE_BATCH_H
#define VESTA_NOTIFY_CHANGE_BATCH_H

#include "core/replica.h"
#include "core/wire.h"

typedef struct change_batch {
  wire_element_t *elements;
  uint32_t count;
  uint64_t data_bytes; /* of all elements together */
  bool borrowed;       /* the data is where it was */
  bool keys_only;      /* while it is set no data is taken, elements only tell its size; change it when empty */
  const uint8_t *data; /* `data_bytes` bytes */
  size_t head_bytes;   /* an upper bound */
  uint8_t *copies;     /* data, copied */
  size_t copies_size;  /* room there */
  uint8_t *ids;        /* the elements' ids, copied */
  size_t ids_bytes;
  uint8_t *head; /* room for the encoded head */
} change_batch_t;

/** @return false when out of memory */
bool change_batch_init(change_batch_t *batch);
void change_batch_fini(change_batch_t *batch);

/** Empty it. */
void change_batch_clear(change_batch_t *batch);

/**
 * Add one element and its data (element->size bytes).
 * @param data_soft_max  more data than that only if there is no data in the batch yet
 * @return OK; TOO_LARGE when it does not fit beside what is in the batch (into an empty one it always fits); NO_MEMORY.
 *         Nothing is added then.
 */
vesta_err_t change_batch_add(change_batch_t *batch, const wire_element_t *element, const uint8_t *data,
                             uint64_t data_soft_max);

/** Add one operation of the replica's log, all its elements or none. Same results. */
vesta_err_t change_batch_add_record(change_batch_t *batch, const replica_t *replica, const replica_record_t *record,
                                    uint64_t data_soft_max);

/** Encode a message with the batch's elements. The head lives until the next encoding. */
vesta_bytes_t change_batch_encode(change_batch_t *batch, wire_message_t *message);

/** A message without elements, encoded into the same place. */
vesta_bytes_t change_batch_encode_bare(change_batch_t *batch, const wire_message_t *message);

/** The data of all elements, for the payload. */
static inline vesta_bytes_t change_batch_data(const change_batch_t *batch) {
  return vesta_bytes(batch->data, (size_t)batch->data_bytes);
}

#endif
