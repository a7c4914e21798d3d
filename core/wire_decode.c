/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The reading half of the wire codec: any bytes in, a message or an error out.
 *
 *     bytes --[shape check]--> bytes known to be one msgpack value --[msgpack-c]--> objects --[tables]--> message
 *
 * msgpack-c allocates an array or a map by the count its header claims, before it has seen a single item: five bytes
 * would make it ask for 96 GiB. Therefore the bytes are first walked by a small checker that allocates nothing. It lets
 * pass only what is exactly one value, whose containers claim no more than what is there, are nested no deeper than
 * WIRE_DEPTH_MAX, and hold no more than WIRE_OBJECTS_MAX values in all; msgpack-c then needs at most 24 bytes for
 * each of these.
 *
 * After that the map's keys are looked up in the tables of wire.h. What is unknown is skipped, whatever it holds. A
 * known field that comes twice is an error, as no two readers would agree on its value.
 */
#include <msgpack/object.h>
#include <msgpack/unpack.h>
#include <msgpack/zone.h>
#include <stdlib.h>

#include "core/wire.h"
#include "core/wire_table.h"

#define WIRE_DEPTH_MAX 16U                         /* msgpack-c itself stops at 32; the tables need 3 */
#define WIRE_OBJECTS_MAX (WIRE_ELEMENTS_MAX * 32U) /* values of one message, so that elements may grow to 31 items */
#define WIRE_ZONE_CHUNK_BYTES 16384U               /* enough for the usual message without a further malloc */
#define WIRE_ELEMENTS_FIRST 16U                    /* room for elements when the first ones come; doubled as needed */

static_assert(WIRE_ELEMENTS_MAX * (WIRE_ITEM_COUNT + 1U) + 2U * WIRE_FIELDS_END + 1U <= WIRE_OBJECTS_MAX,
              "the largest message we write may be read");

struct wire_decoder {
  msgpack_zone zone;
  wire_element_t *elements;
  uint32_t elements_capacity;
};

wire_decoder_t *wire_decoder_new(void) {
  wire_decoder_t *decoder = calloc(1, sizeof *decoder);
  if (decoder == NULL) {
    return NULL;
  }
  if (!msgpack_zone_init(&decoder->zone, WIRE_ZONE_CHUNK_BYTES)) {
    free(decoder);
    return NULL;
  }
  return decoder;
}

void wire_decoder_destroy(wire_decoder_t **decoder) {
  if (*decoder != NULL) {
    msgpack_zone_destroy(&(*decoder)->zone);
    free((*decoder)->elements);
    free(*decoder);
    *decoder = NULL;
  }
}

/* ---- the shape check ---- */

typedef enum wire_shape { SHAPE_NEVER, SHAPE_SCALAR, SHAPE_BYTES, SHAPE_ARRAY, SHAPE_MAP } wire_shape_t;

/* What follows a msgpack format byte: a big-endian length of so many bytes, then so many bytes of value (BYTES: and
 * `length` more). */
typedef struct wire_format {
  uint8_t shape; /* wire_shape_t */
  uint8_t length_bytes;
  uint8_t value_bytes;
} wire_format_t;

static const wire_format_t formats[32] = {
    /* by format byte - 0xc0 */
    {SHAPE_SCALAR, 0, 0},                                             /* nil */
    {SHAPE_NEVER, 0, 0},  {SHAPE_SCALAR, 0, 0},                       /* false, true */
    {SHAPE_SCALAR, 0, 0}, {SHAPE_BYTES, 1, 0},                        /* bin 8, 16, 32 */
    {SHAPE_BYTES, 2, 0},  {SHAPE_BYTES, 4, 0},  {SHAPE_BYTES, 1, 1},  /* ext 8, 16, 32: a type byte more */
    {SHAPE_BYTES, 2, 1},  {SHAPE_BYTES, 4, 1},  {SHAPE_SCALAR, 0, 4}, /* float 32, 64 */
    {SHAPE_SCALAR, 0, 8}, {SHAPE_SCALAR, 0, 1},                       /* uint 8, 16, 32, 64 */
    {SHAPE_SCALAR, 0, 2}, {SHAPE_SCALAR, 0, 4}, {SHAPE_SCALAR, 0, 8}, {SHAPE_SCALAR, 0, 1}, /* int 8, 16, 32, 64 */
    {SHAPE_SCALAR, 0, 2}, {SHAPE_SCALAR, 0, 4}, {SHAPE_SCALAR, 0, 8}, {SHAPE_SCALAR, 0, 2}, /* fixext 1, 2, 4, 8, 16 */
    {SHAPE_SCALAR, 0, 3}, {SHAPE_SCALAR, 0, 5}, {SHAPE_SCALAR, 0, 9}, {SHAPE_SCALAR, 0, 17},
    {SHAPE_BYTES, 1, 0},                                             /* str 8, 16, 32 */
    {SHAPE_BYTES, 2, 0},  {SHAPE_BYTES, 4, 0},  {SHAPE_ARRAY, 2, 0}, /* array 16, 32 */
    {SHAPE_ARRAY, 4, 0},  {SHAPE_MAP, 2, 0},                         /* map 16, 32 */
    {SHAPE_MAP, 4, 0},
};

/* Read the head of one value and step over its own bytes, so that *at stands at its first item or behind it.
 * `*items` is how many values follow as parts of it. */
static bool value_step(const uint8_t **at, const uint8_t *end, uint64_t *items) {
  if (*at == end) {
    return false;
  }
  uint8_t head = *(*at)++;
  uint64_t length = 0;
  wire_format_t format = {.shape = SHAPE_SCALAR};
  if (head < 0x80 || head >= 0xe0) {
    *items = 0; /* fixint */
    return true;
  }
  if (head < 0xc0) {
    bool is_str = head >= 0xa0;
    format.shape = is_str ? SHAPE_BYTES : head >= 0x90 ? SHAPE_ARRAY : SHAPE_MAP;
    length = head & (is_str ? 0x1fU : 0x0fU);
  } else {
    format = formats[head - 0xc0];
    if ((size_t)(end - *at) < format.length_bytes) {
      return false;
    }
    for (unsigned i = 0; i < format.length_bytes; i++) {
      length = length << 8 | *(*at)++;
    }
  }
  uint64_t skip = format.value_bytes;
  *items = 0;
  switch ((wire_shape_t)format.shape) {
    case SHAPE_NEVER: return false;
    case SHAPE_SCALAR: break;
    case SHAPE_BYTES: skip += length; break;
    case SHAPE_ARRAY: *items = length; break;
    case SHAPE_MAP: *items = 2 * length; break;
  }
  if (skip > (uint64_t)(end - *at)) {
    return false;
  }
  *at += skip;
  return *items <= (uint64_t)(end - *at); /* every item takes a byte at least */
}

/* Whether the bytes are exactly one msgpack value, within the bounds said on top. */
static bool shape_is_sound(const uint8_t *at, size_t size) {
  const uint8_t *end = at + size;
  uint64_t left[WIRE_DEPTH_MAX + 1] = {1}; /* values still to come at each level */
  unsigned depth = 0;
  for (uint32_t objects = 0; objects <= WIRE_OBJECTS_MAX; objects++) {
    while (left[depth] == 0) {
      if (depth == 0) {
        return at == end;
      }
      depth--;
    }
    left[depth]--;
    uint64_t items;
    if (!value_step(&at, end, &items)) {
      return false;
    }
    if (items != 0) {
      if (depth == WIRE_DEPTH_MAX) {
        return false;
      }
      left[++depth] = items;
    }
  }
  return false;
}

/* ---- objects to a message ---- */

/* Read one value into the structure at `base`, as `slot` says. False when it is of another type or above its bound. */
static bool slot_read(const msgpack_object *object, void *base, const wire_slot_t *slot) {
  uint8_t *at = (uint8_t *)base + slot->offset;
  switch ((wire_type_t)slot->type) {
    case WIRE_TYPE_U:
      if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 > slot->max) {
        return false;
      }
      memcpy(at, &object->via.u64, sizeof object->via.u64);
      return true;
    case WIRE_TYPE_I:
      if (object->type != MSGPACK_OBJECT_NEGATIVE_INTEGER &&
          (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 > slot->max)) {
        return false;
      }
      memcpy(at, &object->via.i64, sizeof object->via.i64);
      return true;
    case WIRE_TYPE_B: {
      bool is_str = object->type == MSGPACK_OBJECT_STR; /* what some languages write for bytes */
      if (!is_str && object->type != MSGPACK_OBJECT_BIN) {
        return false;
      }
      size_t size = is_str ? object->via.str.size : object->via.bin.size;
      const char *data = is_str ? object->via.str.ptr : object->via.bin.ptr;
      if (size > slot->max) {
        return false;
      }
      vesta_bytes_t value = size != 0 ? vesta_bytes(data, size) : vesta_bytes(NULL, 0);
      memcpy(at, &value, sizeof value);
      return true;
    }
    case WIRE_TYPE_NONE: break;
  }
  VESTA_ASSERT(false && "only fields of the table are read");
}

/* Room for `count` elements in the decoder. What is there may be lost: it belonged to the message before. */
static bool elements_reserve(wire_decoder_t *decoder, uint32_t count) {
  if (count <= decoder->elements_capacity) {
    return true;
  }
  uint32_t capacity = WIRE_ELEMENTS_FIRST;
  while (capacity < count) {
    capacity *= 2;
  }
  free(decoder->elements);
  decoder->elements = malloc(capacity * sizeof *decoder->elements);
  decoder->elements_capacity = decoder->elements != NULL ? capacity : 0;
  return decoder->elements != NULL;
}

static vesta_err_t elements_read(wire_decoder_t *decoder, const msgpack_object *object, wire_message_t *message) {
  if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size > WIRE_ELEMENTS_MAX) {
    return VESTA_ERR_MALFORMED;
  }
  uint32_t count = object->via.array.size;
  if (!elements_reserve(decoder, count)) {
    return VESTA_ERR_NO_MEMORY;
  }
  for (uint32_t i = 0; i < count; i++) {
    const msgpack_object *row = &object->via.array.ptr[i];
    if (row->type != MSGPACK_OBJECT_ARRAY) {
      return VESTA_ERR_MALFORMED;
    }
    wire_element_t *element = &decoder->elements[i];
    memset(element, 0, sizeof *element);
    uint32_t items = row->via.array.size < WIRE_ITEM_COUNT ? row->via.array.size : WIRE_ITEM_COUNT;
    for (uint32_t item = 0; item < items; item++) {
      if (!slot_read(&row->via.array.ptr[item], element, &wire_items[item])) {
        return VESTA_ERR_MALFORMED;
      }
    }
  }
  message->elements = count != 0 ? decoder->elements : NULL;
  message->element_count = count;
  return VESTA_OK;
}

/* Version, kind and number keep their places and types in every major version, so that a message of another one can be
 * answered. Everything else is judged only after the version has been found to be ours. */
static vesta_err_t envelope_read(const msgpack_object_map *map, wire_message_t *envelope) {
  for (uint32_t i = 0; i < map->size; i++) {
    const msgpack_object *key = &map->ptr[i].key;
    const msgpack_object *value = &map->ptr[i].val;
    if (key->type != MSGPACK_OBJECT_POSITIVE_INTEGER || value->type != MSGPACK_OBJECT_POSITIVE_INTEGER) {
      continue;
    }
    if (key->via.u64 == WIRE_FIELD_VERSION) {
      envelope->version = value->via.u64;
    } else if (key->via.u64 == WIRE_FIELD_KIND) {
      envelope->kind = value->via.u64;
    } else if (key->via.u64 == WIRE_FIELD_NUMBER) {
      envelope->number = value->via.u64;
    }
  }
  if (envelope->version == 0 || envelope->version > wire_fields[WIRE_FIELD_VERSION].max) {
    return VESTA_ERR_MALFORMED;
  }
  return envelope->version >> 16 == WIRE_MAJOR ? VESTA_OK : VESTA_ERR_VERSION;
}

static vesta_err_t fields_read(wire_decoder_t *decoder, const msgpack_object_map *map, wire_message_t *message) {
  uint64_t seen = 0;
  for (uint32_t i = 0; i < map->size; i++) {
    const msgpack_object *key = &map->ptr[i].key;
    const msgpack_object *value = &map->ptr[i].val;
    if (key->type != MSGPACK_OBJECT_POSITIVE_INTEGER) {
      return VESTA_ERR_MALFORMED;
    }
    uint64_t number = key->via.u64;
    bool is_elements = number == WIRE_FIELD_ELEMENTS;
    if (!is_elements && (number >= WIRE_FIELDS_END || wire_fields[number].type == WIRE_TYPE_NONE)) {
      continue; /* of a newer minor version */
    }
    if ((seen & 1ULL << number) != 0) {
      return VESTA_ERR_MALFORMED;
    }
    seen |= 1ULL << number;
    if (is_elements) {
      vesta_err_t err = elements_read(decoder, value, message);
      if (err != VESTA_OK) {
        return err;
      }
    } else if (!slot_read(value, message, &wire_fields[number])) {
      return VESTA_ERR_MALFORMED;
    }
  }
  if (message->kind != 0 && wire_kinds[message->kind].name == NULL) {
    return VESTA_ERR_VERSION; /* of a newer minor version: it can be told that we don't know it */
  }
  return wire_kind_complete(message->kind, wire_present(message)) ? VESTA_OK : VESTA_ERR_MALFORMED;
}

/* What the whole map says. `message` is worth something on OK, and on VERSION as far as the envelope goes. */
static vesta_err_t message_read(wire_decoder_t *decoder, const msgpack_object *object, wire_message_t *message) {
  if (object->type != MSGPACK_OBJECT_MAP) {
    return VESTA_ERR_MALFORMED;
  }
  vesta_err_t err = envelope_read(&object->via.map, message);
  return err == VESTA_OK ? fields_read(decoder, &object->via.map, message) : err;
}

vesta_err_t wire_decode(wire_decoder_t *decoder, const void *from, size_t size, wire_message_t *out) {
  if (size > VESTA_FRAME_HEAD_BYTES_MAX) {
    return VESTA_ERR_TOO_LARGE;
  }
  if (!shape_is_sound(from, size)) {
    return VESTA_ERR_MALFORMED;
  }
  wire_message_t message = {0};
  vesta_err_t err = VESTA_ERR_MALFORMED;
  size_t offset = 0;
  msgpack_object object;
  switch (msgpack_unpack(from, size, &offset, &decoder->zone, &object)) {
    case MSGPACK_UNPACK_SUCCESS: err = message_read(decoder, &object, &message); break;
    case MSGPACK_UNPACK_NOMEM_ERROR: err = VESTA_ERR_NO_MEMORY; break;
    case MSGPACK_UNPACK_EXTRA_BYTES:
    case MSGPACK_UNPACK_CONTINUE:
    case MSGPACK_UNPACK_PARSE_ERROR: break;
  }
  msgpack_zone_clear(&decoder->zone); /* the message needs none of it: byte fields point into `from` */
  if (err == VESTA_OK || err == VESTA_ERR_VERSION) {
    *out = message;
  }
  return err;
}
