/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A message that is kept: elements and bytes one behind the other in one piece of memory, so that keeping one succeeds
 * or fails as a whole.
 */
#include <stdlib.h>

#include "core/wire.h"

size_t wire_copy_bytes(const wire_message_t *message, vesta_bytes_t payload) {
  size_t size = message->element_count * sizeof *message->elements + payload.size;
#define WIRE_SIZE_U(value) 0
#define WIRE_SIZE_I(value) 0
#define WIRE_SIZE_B(value) (value).size
#define WIRE_FIELD_SIZE(name, NAME, number, type, max) size += WIRE_SIZE_##type(message->name);
  WIRE_FIELDS(WIRE_FIELD_SIZE)
#undef WIRE_FIELD_SIZE
  for (uint32_t i = 0; i < message->element_count; i++) {
    const wire_element_t *element = &message->elements[i];
#define WIRE_ITEM_SIZE(name, type, max) size += WIRE_SIZE_##type(element->name);
    WIRE_ELEMENT_ITEMS(WIRE_ITEM_SIZE)
#undef WIRE_ITEM_SIZE
  }
  return size;
}

/* Move one byte field's bytes to `*at`. */
static inline vesta_bytes_t copy_bytes(vesta_bytes_t from, uint8_t **at) {
  if (from.size == 0) {
    return vesta_bytes(NULL, 0);
  }
  memcpy(*at, from.data, from.size);
  vesta_bytes_t copy = vesta_bytes(*at, from.size);
  *at += from.size;
  return copy;
}

void wire_copy_into(void *memory, const wire_message_t *message, vesta_bytes_t payload, wire_message_t *copy,
                    vesta_bytes_t *payload_copy) {
  wire_element_t *elements = memory;
  uint8_t *at = (uint8_t *)(elements + message->element_count);
  *copy = *message;
  copy->elements = NULL;
  if (message->element_count != 0) {
    memcpy(elements, message->elements, message->element_count * sizeof *elements);
    copy->elements = elements;
  }
#define WIRE_COPY_U(value) (void)0
#define WIRE_COPY_I(value) (void)0
#define WIRE_COPY_B(value) (value) = copy_bytes((value), &at)
#define WIRE_FIELD_COPY(name, NAME, number, type, max) WIRE_COPY_##type(copy->name);
  WIRE_FIELDS(WIRE_FIELD_COPY)
#undef WIRE_FIELD_COPY
  for (uint32_t i = 0; i < copy->element_count; i++) {
#define WIRE_ITEM_COPY(name, type, max) WIRE_COPY_##type(elements[i].name);
    WIRE_ELEMENT_ITEMS(WIRE_ITEM_COPY)
#undef WIRE_ITEM_COPY
  }
  *payload_copy = copy_bytes(payload, &at);
}

wire_message_t *wire_copy(const wire_message_t *message, size_t *bytes) {
  size_t size = sizeof *message + wire_copy_bytes(message, vesta_bytes(NULL, 0));
  wire_message_t *copy = malloc(size);
  if (copy == NULL) {
    return NULL;
  }
  vesta_bytes_t none;
  wire_copy_into(copy + 1, message, vesta_bytes(NULL, 0), copy, &none);
  if (bytes != NULL) {
    *bytes = size;
  }
  return copy;
}
