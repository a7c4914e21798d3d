/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The writing half of the wire codec, and the small helpers around messages. Reading is in wire_decode.c.
 *
 * Nothing here knows a single kind or field: the tables of wire.h are expanded into data, and one loop writes whatever
 * they say. The encoding is canonical: fields in order of their numbers, integers as short as msgpack allows, byte
 * fields as bin, zero fields left out, zero items at the end of an element left out. So a message has one encoding,
 * which test/unit/wire_vectors.h pins down.
 *
 * msgpack-c writes through a callback into the caller's buffer; nothing is allocated.
 */
#include "core/wire.h"

#include <msgpack/pack.h>

#include "core/wire_table.h"

static_assert(WIRE_FIELDS_END <= 64, "a mask of fields fits into 64 bits");
static_assert(WIRE_ITEM_COUNT < 16, "an element's array header is one byte");
static_assert(sizeof(size_t) == sizeof(uint64_t), "sizes and counts are 64 bits wide");

/* ---- the tables ---- */

const wire_slot_t wire_fields[WIRE_FIELDS_END] = {
#define WIRE_FIELD_SLOT(name_, NAME, number, type_, max_) \
  [number] = {.max = (max_), .offset = offsetof(wire_message_t, name_), .type = WIRE_TYPE_##type_},
    WIRE_FIELDS(WIRE_FIELD_SLOT)
#undef WIRE_FIELD_SLOT
};

const wire_slot_t wire_items[WIRE_ITEM_COUNT] = {
#define WIRE_ITEM_SLOT(name_, type_, max_) \
  {.max = (max_), .offset = offsetof(wire_element_t, name_), .type = WIRE_TYPE_##type_},
    WIRE_ELEMENT_ITEMS(WIRE_ITEM_SLOT)
#undef WIRE_ITEM_SLOT
};

const wire_kind_row_t wire_kinds[WIRE_KIND_COUNT] = {
#define WIRE_KIND_ROW(name_, number, required_, text) [number] = {.name = #name_, .required = (required_)},
    WIRE_KINDS(WIRE_KIND_ROW)
#undef WIRE_KIND_ROW
};

#define WIRE_NONZERO_U(value) ((value) != 0)
#define WIRE_NONZERO_I(value) ((value) != 0)
#define WIRE_NONZERO_B(value) ((value).size != 0)

uint64_t wire_present(const wire_message_t *message) {
  uint64_t present = message->element_count != 0 ? WIRE_F(ELEMENTS) : 0;
#define WIRE_FIELD_PRESENT(name, NAME, number, type, max) \
  present |= (uint64_t)WIRE_NONZERO_##type(message->name) << (number);
  WIRE_FIELDS(WIRE_FIELD_PRESENT)
#undef WIRE_FIELD_PRESENT
  return present;
}

/* How many items an element is written with: up to its last one that is not zero. */
static uint32_t element_items(const wire_element_t *element) {
  uint32_t place = 0;
  uint32_t items = 0;
#define WIRE_ITEM_PRESENT(name, type, max)  \
  place++;                                  \
  if (WIRE_NONZERO_##type(element->name)) { \
    items = place;                          \
  }
  WIRE_ELEMENT_ITEMS(WIRE_ITEM_PRESENT)
#undef WIRE_ITEM_PRESENT
#ifdef VESTA_WIRE_NEXT
  items = place; /* all of them, also the one that only that version knows */
#endif
  return items;
}

/* ---- writing ---- */

/* The caller's buffer, filling up. Once something did not fit nothing more is written. */
typedef struct wire_sink {
  uint8_t *to;
  size_t capacity;
  size_t used;
  bool too_large;
} wire_sink_t;

static int sink_write(void *context, const char *bytes, size_t size) {
  wire_sink_t *sink = context;
  if (sink->too_large || size > sink->capacity - sink->used) {
    sink->too_large = true;
    return -1;
  }
  memcpy(sink->to + sink->used, bytes, size);
  sink->used += size;
  return 0;
}

/* Write what `slot` says of the structure at `base`. A value above its bound counts as too large. */
static void slot_write(msgpack_packer *packer, wire_sink_t *sink, const void *base, const wire_slot_t *slot) {
  const uint8_t *at = (const uint8_t *)base + slot->offset;
  switch ((wire_type_t)slot->type) {
    case WIRE_TYPE_U: {
      uint64_t value;
      memcpy(&value, at, sizeof value);
      sink->too_large |= value > slot->max;
      (void)msgpack_pack_uint64(packer, value);
      return;
    }
    case WIRE_TYPE_I: {
      int64_t value;
      memcpy(&value, at, sizeof value);
      sink->too_large |= value > (int64_t)slot->max;
      (void)msgpack_pack_int64(packer, value);
      return;
    }
    case WIRE_TYPE_B: {
      vesta_bytes_t value;
      memcpy(&value, at, sizeof value);
      if (value.size > slot->max) {
        sink->too_large = true;
        return;
      }
      (void)msgpack_pack_bin(packer, value.size);
      if (value.size != 0) {
        (void)msgpack_pack_bin_body(packer, value.data, value.size);
      }
      return;
    }
    case WIRE_TYPE_NONE: break;
  }
  VESTA_ASSERT(false && "only fields of the table are written");
}

static void elements_write(msgpack_packer *packer, wire_sink_t *sink, const wire_message_t *message) {
  (void)msgpack_pack_array(packer, message->element_count);
  for (uint32_t i = 0; i < message->element_count && !sink->too_large; i++) {
    uint32_t items = element_items(&message->elements[i]);
    (void)msgpack_pack_array(packer, items);
    for (uint32_t item = 0; item < items; item++) {
      slot_write(packer, sink, &message->elements[i], &wire_items[item]);
    }
  }
}

vesta_err_t wire_encode(const wire_message_t *message, void *to, size_t capacity, size_t *size) {
  uint64_t present = wire_present(message);
  if (!wire_kind_complete(message->kind, present)) {
    return VESTA_ERR_MALFORMED;
  }
  if (message->element_count > WIRE_ELEMENTS_MAX) {
    return VESTA_ERR_TOO_LARGE;
  }
  if (capacity > VESTA_FRAME_HEAD_BYTES_MAX) {
    capacity = VESTA_FRAME_HEAD_BYTES_MAX;
  }
  wire_sink_t sink = {.to = to, .capacity = capacity};
  msgpack_packer packer;
  msgpack_packer_init(&packer, &sink, sink_write);

  present |= WIRE_F(VERSION);
#ifdef VESTA_WIRE_NEXT
  present |= WIRE_F(NEXT);
#endif
  (void)msgpack_pack_map(&packer, (size_t)__builtin_popcountll(present));
  (void)msgpack_pack_uint8(&packer, WIRE_FIELD_VERSION);
  (void)msgpack_pack_uint64(&packer, message->version != 0 ? message->version : WIRE_VERSION);
  sink.too_large |= message->version > wire_fields[WIRE_FIELD_VERSION].max;
  for (uint64_t rest = present & ~WIRE_F(VERSION); rest != 0; rest &= rest - 1) {
    unsigned number = (unsigned)__builtin_ctzll(rest);
    (void)msgpack_pack_uint8(&packer, (uint8_t)number);
    if (number == WIRE_FIELD_ELEMENTS) {
      elements_write(&packer, &sink, message);
    } else {
      slot_write(&packer, &sink, message, &wire_fields[number]);
    }
  }
  if (sink.too_large) {
    return VESTA_ERR_TOO_LARGE;
  }
  *size = sink.used;
  return VESTA_OK;
}

#define WIRE_INTEGER_BYTES_MAX 9U
#define WIRE_HEADER_BYTES_MAX 5U /* of an array, a map or a range of bytes */
#define WIRE_SIZE_U(value) WIRE_INTEGER_BYTES_MAX
#define WIRE_SIZE_I(value) WIRE_INTEGER_BYTES_MAX
#define WIRE_SIZE_B(value) (WIRE_HEADER_BYTES_MAX + (value).size)

size_t wire_element_size_max(const wire_element_t *element) {
  size_t size = 1;
#define WIRE_ITEM_SIZE(name, type, max) size += WIRE_SIZE_##type(element->name);
  WIRE_ELEMENT_ITEMS(WIRE_ITEM_SIZE)
#undef WIRE_ITEM_SIZE
  return size;
}

size_t wire_encoded_size_max(const wire_message_t *message) {
  size_t size = WIRE_HEADER_BYTES_MAX;
#define WIRE_FIELD_SIZE(name, NAME, number, type, max) size += 1 + WIRE_SIZE_##type(message->name);
  WIRE_FIELDS(WIRE_FIELD_SIZE)
#undef WIRE_FIELD_SIZE
  size += 1 + WIRE_HEADER_BYTES_MAX;
  for (uint32_t i = 0; i < message->element_count; i++) {
    size += wire_element_size_max(&message->elements[i]);
  }
  return size;
}

/* ---- framing ---- */

static void u32_write(uint8_t *to, uint32_t value) {
  for (unsigned i = 0; i < sizeof value; i++) {
    to[i] = (uint8_t)(value >> (8 * i));
  }
}

static uint32_t u32_read(const uint8_t *from) {
  return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

void wire_prefix_encode(uint8_t prefix[WIRE_PREFIX_BYTES], uint32_t head_bytes, uint32_t payload_bytes) {
  u32_write(prefix, head_bytes);
  u32_write(prefix + 4, payload_bytes);
}

vesta_err_t wire_prefix_decode(const uint8_t prefix[WIRE_PREFIX_BYTES], uint32_t *head_bytes, uint32_t *payload_bytes) {
  uint32_t head = u32_read(prefix);
  uint32_t payload = u32_read(prefix + 4);
  if (head == 0) {
    return VESTA_ERR_MALFORMED;
  }
  if (head > VESTA_FRAME_HEAD_BYTES_MAX || payload > VESTA_OPERATION_BYTES_MAX) {
    return VESTA_ERR_TOO_LARGE;
  }
  *head_bytes = head;
  *payload_bytes = payload;
  return VESTA_OK;
}

/* ---- helpers ---- */

const char *wire_kind_name(uint64_t kind) {
  return kind < WIRE_KIND_COUNT && wire_kinds[kind].name != NULL ? wire_kinds[kind].name : "UNKNOWN";
}

vesta_attributes_t wire_attributes(const wire_message_t *message) {
  return (vesta_attributes_t){
      .creation_flags = (uint32_t)message->creation_flags,
      .checkpoint_bytes = message->checkpoint_bytes,
      .retention_ns = message->retention_ns,
      .sections_max = (uint32_t)message->sections_max,
      .section_bytes_max = message->section_bytes_max,
      .section_id_bytes_max = (uint32_t)message->section_id_bytes_max,
  };
}

void wire_attributes_set(wire_message_t *message, const vesta_attributes_t *attributes) {
  message->creation_flags = attributes->creation_flags;
  message->checkpoint_bytes = attributes->checkpoint_bytes;
  message->retention_ns = attributes->retention_ns;
  message->sections_max = attributes->sections_max;
  message->section_bytes_max = attributes->section_bytes_max;
  message->section_id_bytes_max = attributes->section_id_bytes_max;
}

vesta_err_t wire_payload_check(const wire_message_t *message, uint64_t payload_bytes) {
  for (uint32_t i = 0; i < message->element_count; i++) {
    uint64_t size = message->elements[i].size;
    if (size > payload_bytes) {
      return VESTA_ERR_MALFORMED;
    }
    payload_bytes -= size;
  }
  return payload_bytes == 0 ? VESTA_OK : VESTA_ERR_MALFORMED;
}
