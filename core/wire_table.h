/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tables of wire.h as data, for the two halves of the codec: where each field lives in the C structure, of which
 * type it is and how large it may be. Private to wire.c and wire_decode.c.
 */
#ifndef VESTA_CORE_WIRE_TABLE_H
#define VESTA_CORE_WIRE_TABLE_H

#include "core/wire.h"

typedef enum wire_type { WIRE_TYPE_NONE, WIRE_TYPE_U, WIRE_TYPE_I, WIRE_TYPE_B } wire_type_t;

/* One field of a message, or one item of an element. */
typedef struct wire_slot {
  uint64_t max;
  uint16_t offset;
  uint8_t type; /* wire_type_t; NONE: no such field */
} wire_slot_t;

typedef struct wire_kind_row {
  const char *name; /* NULL: no such kind */
  uint64_t required;
} wire_kind_row_t;

#define WIRE_ITEM_ONE(name, type, max) +1
enum { WIRE_ITEM_COUNT = 0 WIRE_ELEMENT_ITEMS(WIRE_ITEM_ONE) };
#undef WIRE_ITEM_ONE
enum { WIRE_KIND_COUNT = 256 };

extern const wire_slot_t wire_fields[WIRE_FIELDS_END];    /* by field number */
extern const wire_slot_t wire_items[WIRE_ITEM_COUNT];     /* by place */
extern const wire_kind_row_t wire_kinds[WIRE_KIND_COUNT]; /* by number */

/** The fields of a message that are not zero, as a mask of WIRE_F_... */
uint64_t wire_present(const wire_message_t *message);

/** Whether the kind exists and all that it requires is in the mask. */
static inline bool wire_kind_complete(uint64_t kind, uint64_t present) {
  return kind < WIRE_KIND_COUNT && wire_kinds[kind].name != NULL &&
         (present & wire_kinds[kind].required) == wire_kinds[kind].required;
}

#endif
