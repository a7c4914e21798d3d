/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The wire codec keeps what wire.h says: every kind, every field, every bound, and any bytes at all.
 *
 * Messages that our own encoder would refuse to write are put together with msgpack-c here ("crafted"). Bytes are
 * always handed to the decoder in a heap block of exactly their size, so that AddressSanitizer sees every read past
 * them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <msgpack.h>
#include <cmocka.h>

#include "core/wire.h"

#define ONE(...) +1
enum { KIND_COUNT = 0 WIRE_KINDS(ONE), FIELD_COUNT = 0 WIRE_FIELDS(ONE), ITEM_COUNT = 0 WIRE_ELEMENT_ITEMS(ONE) };

typedef enum { TYPE_U, TYPE_I, TYPE_B } field_type_t;
typedef struct {
  const char *name;
  uint64_t number; /* an item's place, for items */
  size_t offset;
  field_type_t type;
  uint64_t max;
} field_t;

static const field_t fields[FIELD_COUNT] = {
#define FIELD(name, NAME, number, type, max) {#name, (number), offsetof(wire_message_t, name), TYPE_##type, (max)},
    WIRE_FIELDS(FIELD)};
static const field_t items[ITEM_COUNT] = {
#define ITEM(name, type, max) {#name, 0, offsetof(wire_element_t, name), TYPE_##type, (max)},
    WIRE_ELEMENT_ITEMS(ITEM)};
static const struct {
  const char *name;
  uint64_t number;
  uint64_t required;
} kinds[KIND_COUNT] = {
#define KIND(name, number, required, text) {#name, (number), (required)},
    WIRE_KINDS(KIND)};

static uint8_t many_bytes[65536 + 1]; /* one more than any byte field may hold */
static wire_decoder_t *decoder;

static int setup(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof many_bytes; i++) {
    many_bytes[i] = (uint8_t)(i * 31);
  }
  decoder = wire_decoder_new();
  return decoder == NULL;
}

static int teardown(void **state) {
  (void)state;
  wire_decoder_destroy(&decoder);
  return decoder != NULL;
}

/* ---- helpers ---- */

/* Set the field of a structure to a value; of bytes, to so many bytes. */
static void field_set(void *base, const field_t *field, uint64_t value) {
  uint8_t *at = (uint8_t *)base + field->offset;
  if (field->type == TYPE_B) {
    assert_true(value <= sizeof many_bytes);
    vesta_bytes_t bytes = vesta_bytes(many_bytes, value);
    memcpy(at, &bytes, sizeof bytes);
  } else {
    memcpy(at, &value, sizeof value);
  }
}

static void fields_assert_equal(const void *a, const void *b, const field_t *table, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const uint8_t *at_a = (const uint8_t *)a + table[i].offset;
    const uint8_t *at_b = (const uint8_t *)b + table[i].offset;
    if (table[i].type == TYPE_B) {
      vesta_bytes_t bytes_a;
      vesta_bytes_t bytes_b;
      memcpy(&bytes_a, at_a, sizeof bytes_a);
      memcpy(&bytes_b, at_b, sizeof bytes_b);
      assert_true(vesta_bytes_equal(bytes_a, bytes_b));
    } else {
      assert_memory_equal(at_a, at_b, sizeof(uint64_t));
    }
  }
}

static void messages_assert_equal(const wire_message_t *a, const wire_message_t *b) {
  fields_assert_equal(a, b, fields, FIELD_COUNT);
  assert_int_equal(a->element_count, b->element_count);
  for (uint32_t i = 0; i < a->element_count; i++) {
    fields_assert_equal(&a->elements[i], &b->elements[i], items, ITEM_COUNT);
  }
}

/* Bytes of exactly their size; freed with free(). */
static uint8_t *bytes_copy(const void *from, size_t size) {
  uint8_t *bytes = malloc(size != 0 ? size : 1);
  assert_non_null(bytes);
  memcpy(bytes, from, size);
  return bytes;
}

static uint8_t *encode(const wire_message_t *message, size_t *size) {
  size_t capacity = wire_encoded_size_max(message);
  uint8_t *to = malloc(capacity);
  assert_non_null(to);
  assert_int_equal(wire_encode(message, to, capacity, size), VESTA_OK);
  uint8_t *exact = bytes_copy(to, *size);
  free(to);
  return exact;
}

static vesta_err_t decode(const void *from, size_t size, wire_message_t *out) {
  uint8_t *exact = bytes_copy(from, size);
  vesta_err_t err = wire_decode(decoder, exact, size, out);
  free(exact);
  return err;
}

static void round_trip(const wire_message_t *message) {
  size_t size;
  uint8_t *bytes = encode(message, &size);
  wire_message_t back;
  assert_int_equal(wire_decode(decoder, bytes, size, &back), VESTA_OK);
  wire_message_t expected = *message;
  expected.version = message->version != 0 ? message->version : WIRE_VERSION;
  messages_assert_equal(&expected, &back);
  free(bytes);
}

/* A message being crafted: a map whose size is put in when it is done. */
typedef struct {
  msgpack_sbuffer buffer;
  msgpack_packer packer;
  uint32_t fields;
} craft_t;

static void craft_field(craft_t *craft, uint64_t number) {
  craft->fields++;
  msgpack_pack_uint64(&craft->packer, number);
}

static void craft_begin(craft_t *craft, uint64_t version, uint64_t kind) {
  msgpack_sbuffer_init(&craft->buffer);
  msgpack_packer_init(&craft->packer, &craft->buffer, msgpack_sbuffer_write);
  craft->fields = 0;
  msgpack_sbuffer_write(&craft->buffer, "\xdf\0\0\0\0", 5);
  craft_field(craft, WIRE_FIELD_VERSION);
  msgpack_pack_uint64(&craft->packer, version);
  craft_field(craft, WIRE_FIELD_KIND);
  msgpack_pack_uint64(&craft->packer, kind);
}

static vesta_err_t craft_decode(craft_t *craft, wire_message_t *out) {
  for (unsigned i = 0; i < 4; i++) {
    craft->buffer.data[1 + i] = (char)(craft->fields >> (24 - 8 * i));
  }
  vesta_err_t err = decode(craft->buffer.data, craft->buffer.size, out);
  msgpack_sbuffer_destroy(&craft->buffer);
  return err;
}

static void craft_value(craft_t *craft, const field_t *field, uint64_t value) {
  if (field->type == TYPE_B) {
    msgpack_pack_bin(&craft->packer, value);
    msgpack_pack_bin_body(&craft->packer, many_bytes, value);
  } else {
    msgpack_pack_uint64(&craft->packer, value);
  }
}

/* A REPLY with one field more. REPLY requires none. */
static vesta_err_t reply_with_field_decode(const field_t *field, uint64_t value, wire_message_t *out) {
  craft_t craft;
  craft_begin(&craft, WIRE_VERSION, WIRE_REPLY);
  craft_field(&craft, field->number);
  craft_value(&craft, field, value);
  return craft_decode(&craft, out);
}

/* A REPLY with one element whose item at `place` has this value, the ones before it zero. */
static vesta_err_t reply_with_item_decode(size_t place, uint64_t value, wire_message_t *out) {
  craft_t craft;
  craft_begin(&craft, WIRE_VERSION, WIRE_REPLY);
  craft_field(&craft, WIRE_FIELD_ELEMENTS);
  msgpack_pack_array(&craft.packer, 1);
  msgpack_pack_array(&craft.packer, place + 1);
  for (size_t i = 0; i < place; i++) {
    craft_value(&craft, &items[i], 0);
  }
  craft_value(&craft, &items[place], value);
  return craft_decode(&craft, out);
}

/* Every field but version and kind at its greatest value (of each type: what `pick` says), and two elements. */
static wire_message_t message_full(uint64_t kind, wire_element_t elements[2], bool smallest) {
  wire_message_t message = {0};
  memset(elements, 0, 2 * sizeof *elements);
  for (size_t i = 0; i < FIELD_COUNT; i++) {
    uint64_t least = fields[i].type == TYPE_I ? (uint64_t)INT64_MIN : 1;
    field_set(&message, &fields[i], smallest ? least : fields[i].max);
  }
  for (size_t i = 0; i < ITEM_COUNT; i++) {
    uint64_t least = items[i].type == TYPE_I ? (uint64_t)INT64_MIN : 1;
    field_set(&elements[1], &items[i], smallest ? least : items[i].max);
  }
  message.version = smallest ? WIRE_VERSION : WIRE_MAJOR << 16 | 0xffff;
  message.kind = kind;
  message.elements = elements;
  message.element_count = 2;
  return message;
}

/* ---- the rules ---- */

static void every_kind_comes_back_with_every_field_at_its_bounds(void **state) {
  (void)state;
  for (size_t i = 0; i < KIND_COUNT; i++) {
    wire_element_t elements[2];
    wire_message_t message = message_full(kinds[i].number, elements, false);
    round_trip(&message);
    message = message_full(kinds[i].number, elements, true);
    round_trip(&message);
  }
}

static void a_field_at_its_bound_is_accepted_and_one_past_is_not(void **state) {
  (void)state;
  for (size_t i = 0; i < FIELD_COUNT; i++) {
    const field_t *field = &fields[i];
    if (field->number == WIRE_FIELD_VERSION || field->number == WIRE_FIELD_KIND) {
      continue; /* tests of their own below */
    }
    wire_message_t out;
    wire_message_t message = {.kind = WIRE_REPLY};
    field_set(&message, field, field->max);
    round_trip(&message);
    assert_int_equal(reply_with_field_decode(field, field->max, &out), VESTA_OK);
    if (field->max == UINT64_MAX) {
      continue;
    }
    assert_int_equal(reply_with_field_decode(field, field->max + 1, &out), VESTA_ERR_MALFORMED);
    if (field->type == TYPE_I) {
      continue; /* the C type holds no more */
    }
    field_set(&message, field, field->max + 1);
    uint8_t *to = malloc(wire_encoded_size_max(&message));
    size_t size = 0;
    assert_int_equal(wire_encode(&message, to, wire_encoded_size_max(&message), &size), VESTA_ERR_TOO_LARGE);
    assert_int_equal(size, 0);
    free(to);
  }
}

static void an_item_at_its_bound_is_accepted_and_one_past_is_not(void **state) {
  (void)state;
  for (size_t i = 0; i < ITEM_COUNT; i++) {
    wire_message_t out;
    wire_element_t element = {0};
    wire_message_t message = {.kind = WIRE_REPLY, .elements = &element, .element_count = 1};
    field_set(&element, &items[i], items[i].max);
    round_trip(&message);
    assert_int_equal(reply_with_item_decode(i, items[i].max, &out), VESTA_OK);
    if (items[i].max == UINT64_MAX) {
      continue;
    }
    assert_int_equal(reply_with_item_decode(i, items[i].max + 1, &out), VESTA_ERR_MALFORMED);
    if (items[i].type == TYPE_I) {
      continue;
    }
    field_set(&element, &items[i], items[i].max + 1);
    uint8_t to[8192];
    size_t size = 0;
    assert_int_equal(wire_encode(&message, to, sizeof to, &size), VESTA_ERR_TOO_LARGE);
  }
}

static void what_is_zero_is_not_written_and_what_is_absent_is_zero(void **state) {
  (void)state;
  wire_element_t element = {.kind = VESTA_KIND_DELETED};
  const wire_message_t message = {.kind = WIRE_REPLY, .elements = &element, .element_count = 1};
  size_t size;
  uint8_t *bytes = encode(&message, &size);
  assert_int_equal(size, 1 + 6 + 2 + 2 + 2); /* map, version, kind, array of one, array of one item */
  wire_message_t out;
  memset(&out, 0xff, sizeof out);
  assert_int_equal(wire_decode(decoder, bytes, size, &out), VESTA_OK);
  const wire_message_t expected = {
      .version = WIRE_VERSION, .kind = WIRE_REPLY, .elements = &element, .element_count = 1};
  messages_assert_equal(&out, &expected);
  free(bytes);

  for (size_t i = 0; i < FIELD_COUNT; i++) { /* a zero that is written all the same is no different */
    if (fields[i].number != WIRE_FIELD_VERSION && fields[i].number != WIRE_FIELD_KIND) {
      assert_int_equal(reply_with_field_decode(&fields[i], 0, &out), VESTA_OK);
      const wire_message_t empty = {.version = WIRE_VERSION, .kind = WIRE_REPLY};
      messages_assert_equal(&out, &empty);
    }
  }
}

static void a_required_field_that_is_missing_or_zero_is_malformed(void **state) {
  (void)state;
  for (size_t i = 0; i < KIND_COUNT; i++) {
    for (uint64_t rest = kinds[i].required; rest != 0; rest &= rest - 1) {
      uint64_t number = (uint64_t)__builtin_ctzll(rest);
      wire_element_t elements[2];
      wire_message_t message = message_full(kinds[i].number, elements, true);
      craft_t craft;
      craft_begin(&craft, WIRE_VERSION, kinds[i].number);
      for (size_t f = 0; f < FIELD_COUNT; f++) {
        if (fields[f].number == number) {
          field_set(&message, &fields[f], 0);
        } else if (fields[f].number != WIRE_FIELD_VERSION && fields[f].number != WIRE_FIELD_KIND) {
          craft_field(&craft, fields[f].number);
          craft_value(&craft, &fields[f], 1);
        }
      }
      if (number == WIRE_FIELD_ELEMENTS) {
        message.element_count = 0;
      } else {
        craft_field(&craft, WIRE_FIELD_ELEMENTS);
        msgpack_pack_array(&craft.packer, 1);
        msgpack_pack_array(&craft.packer, 0);
      }
      uint8_t to[4096];
      size_t size;
      wire_message_t out;
      assert_int_equal(wire_encode(&message, to, sizeof to, &size), VESTA_ERR_MALFORMED);
      assert_int_equal(craft_decode(&craft, &out), VESTA_ERR_MALFORMED);
    }
  }
}

static void an_unknown_kind_is_not_written_and_is_told_with_what_is_needed_to_answer_it(void **state) {
  (void)state;
  for (uint64_t kind = 0; kind <= 300; kind++) {
    bool known = false;
    for (size_t i = 0; i < KIND_COUNT; i++) {
      known |= kinds[i].number == kind;
    }
    assert_int_equal(strcmp(wire_kind_name(kind), "UNKNOWN") != 0, known);
    if (known) {
      continue;
    }
    wire_element_t elements[2];
    wire_message_t out;
    wire_message_t message = message_full(kind, elements, true);
    uint8_t to[4096];
    size_t size;
    assert_int_equal(wire_encode(&message, to, sizeof to, &size), VESTA_ERR_MALFORMED);
    craft_t craft;
    craft_begin(&craft, WIRE_VERSION, kind);
    craft_field(&craft, WIRE_FIELD_NUMBER);
    msgpack_pack_uint64(&craft.packer, 7);
    vesta_err_t err = craft_decode(&craft, &out);
    if (kind == 0 || kind > 255) {
      assert_int_equal(err, VESTA_ERR_MALFORMED);
      continue;
    }
    assert_int_equal(err, VESTA_ERR_VERSION);
    assert_int_equal(out.version, WIRE_VERSION);
    assert_int_equal(out.kind, kind);
    assert_int_equal(out.number, 7);
  }
  assert_string_equal(wire_kind_name(WIRE_SNAPSHOT_CHUNK), "SNAPSHOT_CHUNK");
  assert_string_equal(wire_kind_name(UINT64_MAX), "UNKNOWN");
}

/* Things that a later version might send. The number of them is the return value for none left. */
static bool anything_pack(msgpack_packer *packer, unsigned which) {
  switch (which) {
    case 0: msgpack_pack_nil(packer); return true;
    case 1: msgpack_pack_true(packer); return true;
    case 2: msgpack_pack_double(packer, 1.5); return true;
    case 3: msgpack_pack_float(packer, 1.5F); return true;
    case 4:
      msgpack_pack_ext(packer, 3, 7);
      msgpack_pack_ext_body(packer, "abc", 3);
      return true;
    case 5:
      msgpack_pack_ext(packer, 16, -1);
      msgpack_pack_ext_body(packer, many_bytes, 16);
      return true;
    case 6:
      msgpack_pack_map(packer, 1);
      msgpack_pack_str_with_body(packer, "k", 1);
      msgpack_pack_nil(packer);
      return true;
    case 7:
      msgpack_pack_array(packer, 2);
      msgpack_pack_array(packer, 0);
      msgpack_pack_map(packer, 0);
      return true;
    case 8: msgpack_pack_bin_with_body(packer, many_bytes, sizeof many_bytes); return true;
    case 9: msgpack_pack_str_with_body(packer, many_bytes, 300); return true;
    case 10: msgpack_pack_int64(packer, INT64_MIN); return true;
    case 11: msgpack_pack_uint64(packer, UINT64_MAX); return true;
    default: return false;
  }
}

static void unknown_fields_and_further_items_are_skipped_whatever_they_hold(void **state) {
  (void)state;
  static const uint64_t numbers[] = {
      0,         WIRE_FIELD_ELEMENTS + 2, WIRE_FIELDS_END - 1, WIRE_FIELDS_END, 65, 127, 128, 255, 65536, 1ULL << 40,
      UINT64_MAX};
  craft_t craft;
  craft_begin(&craft, WIRE_VERSION + 1, WIRE_CHANGE);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    craft_field(&craft, numbers[i]);
    assert_true(anything_pack(&craft.packer, (unsigned)i));
    craft_field(&craft, numbers[i]); /* nor do they matter when they come twice */
    msgpack_pack_nil(&craft.packer);
  }
  craft_field(&craft, WIRE_FIELD_ELEMENTS);
  msgpack_pack_array(&craft.packer, 2);
  for (unsigned row = 0; row < 2; row++) {
    unsigned further = 0;
    msgpack_sbuffer tail;
    msgpack_packer packer;
    msgpack_sbuffer_init(&tail);
    msgpack_packer_init(&packer, &tail, msgpack_sbuffer_write);
    while (anything_pack(&packer, further)) {
      further++;
    }
    msgpack_pack_array(&craft.packer, ITEM_COUNT + further);
    for (size_t i = 0; i < ITEM_COUNT; i++) {
      craft_value(&craft, &items[i], row + 1);
    }
    msgpack_sbuffer_write(&craft.buffer, tail.data, tail.size);
    msgpack_sbuffer_destroy(&tail);
  }
  craft_field(&craft, WIRE_FIELD_HANDLE);
  msgpack_pack_uint64(&craft.packer, 77);

  wire_message_t out;
  assert_int_equal(craft_decode(&craft, &out), VESTA_OK);
  assert_int_equal(out.version, WIRE_VERSION + 1);
  assert_int_equal(out.handle, 77);
  assert_int_equal(out.element_count, 2);
  assert_int_equal(out.elements[1].kind, 2);
  assert_int_equal(out.elements[1].id.size, 2);
  assert_int_equal(out.elements[1].count, 2);
}

static void a_known_field_of_another_type_is_malformed(void **state) {
  (void)state;
  wire_message_t out;
  for (size_t i = 0; i <= FIELD_COUNT; i++) {
    uint64_t number = i < FIELD_COUNT ? fields[i].number : WIRE_FIELD_ELEMENTS;
    for (unsigned which = 0; which < 8; which++) {
      craft_t craft;
      craft_begin(&craft, WIRE_VERSION, WIRE_REPLY);
      if (number == WIRE_FIELD_ELEMENTS && which == 7) {
        which++; /* an array is no other type here */
      }
      craft_field(&craft, number);
      assert_true(anything_pack(&craft.packer, which));
      assert_int_equal(craft_decode(&craft, &out), VESTA_ERR_MALFORMED);
    }
    craft_t craft;
    craft_begin(&craft, WIRE_VERSION, WIRE_REPLY);
    craft_field(&craft, number);
    if (i < FIELD_COUNT && fields[i].type != TYPE_B) {
      msgpack_pack_str_with_body(&craft.packer, "1", 1);
    } else {
      msgpack_pack_uint64(&craft.packer, 1);
    }
    assert_int_equal(craft_decode(&craft, &out), VESTA_ERR_MALFORMED);
    if (i < FIELD_COUNT && fields[i].type == TYPE_U) {
      craft_begin(&craft, WIRE_VERSION, WIRE_REPLY);
      craft_field(&craft, number);
      msgpack_pack_int64(&craft.packer, -1);
      assert_int_equal(craft_decode(&craft, &out), VESTA_ERR_MALFORMED);
    }
  }
  craft_t craft; /* an element that is no array */
  craft_begin(&craft, WIRE_VERSION, WIRE_REPLY);
  craft_field(&craft, WIRE_FIELD_ELEMENTS);
  msgpack_pack_array(&craft.packer, 1);
  msgpack_pack_map(&craft.packer, 0);
  assert_int_equal(craft_decode(&craft, &out), VESTA_ERR_MALFORMED);
  craft_begin(&craft, WIRE_VERSION, WIRE_REPLY); /* a field that is no number */
  craft.fields++;
  msgpack_pack_str_with_body(&craft.packer, "handle", 6);
  msgpack_pack_uint64(&craft.packer, 1);
  assert_int_equal(craft_decode(&craft, &out), VESTA_ERR_MALFORMED);
  assert_int_equal(decode("\x2a", 1, &out), VESTA_ERR_MALFORMED); /* a message that is no map */
  assert_int_equal(decode("\x90", 1, &out), VESTA_ERR_MALFORMED);
  assert_int_equal(decode("\x80", 1, &out), VESTA_ERR_MALFORMED);
}

static void a_known_field_that_comes_twice_is_malformed(void **state) {
  (void)state;
  for (size_t i = 0; i <= FIELD_COUNT; i++) {
    wire_message_t out;
    craft_t craft;
    craft_begin(&craft, WIRE_VERSION, WIRE_REPLY);
    for (unsigned twice = 0; twice < 2; twice++) {
      if (i == FIELD_COUNT) {
        craft_field(&craft, WIRE_FIELD_ELEMENTS);
        msgpack_pack_array(&craft.packer, 0);
      } else {
        craft_field(&craft, fields[i].number);
        craft_value(&craft, &fields[i], 1);
      }
    }
    assert_int_not_equal(craft_decode(&craft, &out), VESTA_OK);
  }
}

static void strings_are_taken_where_bytes_are_expected(void **state) {
  (void)state;
  craft_t craft;
  craft_begin(&craft, WIRE_VERSION, WIRE_OPEN);
  craft_field(&craft, WIRE_FIELD_NAME);
  msgpack_pack_str_with_body(&craft.packer, many_bytes, 200);
  uint8_t *bytes = bytes_copy(craft.buffer.data, craft.buffer.size);
  bytes[4] = (uint8_t)craft.fields;
  wire_message_t out;
  assert_int_equal(wire_decode(decoder, bytes, craft.buffer.size, &out), VESTA_OK);
  assert_int_equal(out.name.size, 200);
  assert_memory_equal(out.name.data, many_bytes, 200);
  free(bytes);
  msgpack_sbuffer_destroy(&craft.buffer);
}

static void another_major_version_is_told_with_what_is_needed_to_answer_it(void **state) {
  (void)state;
  static const uint64_t versions[] = {1, 0xffff, (WIRE_MAJOR + 1) << 16, UINT32_MAX};
  for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
    craft_t craft; /* what else there is may be anything: it is another protocol */
    craft_begin(&craft, versions[i], 1000);
    craft_field(&craft, WIRE_FIELD_NAME);
    msgpack_pack_double(&craft.packer, 1);
    craft_field(&craft, WIRE_FIELD_NUMBER);
    msgpack_pack_uint64(&craft.packer, UINT64_MAX - 1);
    wire_message_t out;
    memset(&out, 0xff, sizeof out);
    assert_int_equal(craft_decode(&craft, &out), VESTA_ERR_VERSION);
    const wire_message_t expected = {.version = versions[i], .kind = 1000, .number = UINT64_MAX - 1};
    messages_assert_equal(&out, &expected);
  }
  wire_message_t out;
  craft_t craft;
  craft_begin(&craft, 0, WIRE_REPLY);
  assert_int_equal(craft_decode(&craft, &out), VESTA_ERR_MALFORMED);
  craft_begin(&craft, 1ULL << 32, WIRE_REPLY);
  assert_int_equal(craft_decode(&craft, &out), VESTA_ERR_MALFORMED);
  craft_begin(&craft, WIRE_MAJOR << 16 | 0xffff, WIRE_REPLY);
  assert_int_equal(craft_decode(&craft, &out), VESTA_OK);
}

static void the_version_written_is_ours_unless_another_is_asked_for(void **state) {
  (void)state;
  wire_message_t message = {.kind = WIRE_REPLY};
  size_t size;
  uint8_t *bytes = encode(&message, &size);
  wire_message_t out;
  assert_int_equal(wire_decode(decoder, bytes, size, &out), VESTA_OK);
  assert_int_equal(out.version, WIRE_VERSION);
  free(bytes);
  message.version = 7U << 16;
  bytes = encode(&message, &size);
  assert_int_equal(wire_decode(decoder, bytes, size, &out), VESTA_ERR_VERSION);
  free(bytes);
  uint8_t to[64];
  message.version = 1ULL << 32;
  assert_int_equal(wire_encode(&message, to, sizeof to, &size), VESTA_ERR_TOO_LARGE);
}

static void every_truncation_and_every_byte_more_is_malformed_and_changes_nothing(void **state) {
  (void)state;
  wire_element_t elements[2];
  wire_message_t message = message_full(WIRE_CHANGE, elements, true);
  size_t size;
  uint8_t *bytes = encode(&message, &size);
  wire_message_t out;
  wire_message_t before;
  memset(&out, 0x5a, sizeof out);
  before = out;
  for (size_t cut = 0; cut < size; cut++) {
    assert_int_equal(decode(bytes, cut, &out), VESTA_ERR_MALFORMED);
    assert_memory_equal(&out, &before, sizeof out);
  }
  uint8_t *longer = malloc(size + 1);
  memcpy(longer, bytes, size);
  for (unsigned more = 0; more < 256; more++) {
    longer[size] = (uint8_t)more;
    assert_int_equal(decode(longer, size + 1, &out), VESTA_ERR_MALFORMED);
  }
  assert_memory_equal(&out, &before, sizeof out);
  free(longer);
  free(bytes);
}

static void a_buffer_too_small_is_refused_and_never_overrun(void **state) {
  (void)state;
  wire_element_t elements[2];
  wire_message_t message = message_full(WIRE_CHANGE, elements, true);
  size_t size;
  free(encode(&message, &size));
  for (size_t capacity = 0; capacity < size; capacity++) {
    uint8_t *to = malloc(capacity + 1);
    to[capacity] = 0xa5;
    size_t written = 12345;
    assert_int_equal(wire_encode(&message, to, capacity, &written), VESTA_ERR_TOO_LARGE);
    assert_int_equal(written, 12345);
    assert_int_equal(to[capacity], 0xa5);
    free(to);
  }
  uint8_t *to = malloc(size);
  size_t written;
  assert_int_equal(wire_encode(&message, to, size, &written), VESTA_OK);
  assert_int_equal(written, size);
  free(to);
}

static void the_size_foretold_is_never_less_than_the_size_written(void **state) {
  (void)state;
  wire_element_t elements[2];
  for (unsigned smallest = 0; smallest < 2; smallest++) {
    wire_message_t message = message_full(WIRE_REPLY, elements, smallest != 0);
    message.element_count = 0;
    size_t without;
    free(encode(&message, &without));
    message.element_count = 2;
    size_t with;
    free(encode(&message, &with));
    assert_true(with <= wire_encoded_size_max(&message));
    assert_true(with - without <= wire_element_size_max(&elements[0]) + wire_element_size_max(&elements[1]) + 6);
  }
}

static void elements_up_to_the_maximum_are_accepted_and_one_more_is_not(void **state) {
  (void)state;
  wire_element_t *elements = calloc(WIRE_ELEMENTS_MAX + 1, sizeof *elements);
  for (uint32_t i = 0; i <= WIRE_ELEMENTS_MAX; i++) {
    elements[i] =
        (wire_element_t){.kind = VESTA_KIND_CREATED, .id = vesta_bytes(many_bytes + i, 8), .slot = i, .count = i};
  }
  wire_message_t message = {.kind = WIRE_CHANGES, .checkpoint = 1, .elements = elements};
  static const uint32_t counts[] = {0, 1, 2, 15, 16, 17, 1000, WIRE_ELEMENTS_MAX, 3}; /* the decoder's room grows */
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    message.element_count = counts[i];
    round_trip(&message);
  }
  message.element_count = WIRE_ELEMENTS_MAX + 1;
  size_t capacity = wire_encoded_size_max(&message);
  uint8_t *to = malloc(capacity);
  size_t size;
  assert_int_equal(wire_encode(&message, to, capacity, &size), VESTA_ERR_TOO_LARGE);
  free(to);
  free(elements);

  wire_message_t out;
  craft_t craft;
  craft_begin(&craft, WIRE_VERSION, WIRE_REPLY);
  craft_field(&craft, WIRE_FIELD_ELEMENTS);
  msgpack_pack_array(&craft.packer, WIRE_ELEMENTS_MAX + 1);
  for (uint32_t i = 0; i <= WIRE_ELEMENTS_MAX; i++) {
    msgpack_pack_array(&craft.packer, 0);
  }
  assert_int_equal(craft_decode(&craft, &out), VESTA_ERR_MALFORMED);
}

static void a_head_of_the_greatest_size_is_accepted_and_one_byte_more_is_not(void **state) {
  (void)state;
  for (unsigned more = 0; more < 2; more++) {
    wire_message_t out;
    craft_t craft;
    craft_begin(&craft, WIRE_VERSION, WIRE_REPLY);
    craft_field(&craft, 100);
    size_t filling = VESTA_FRAME_HEAD_BYTES_MAX - craft.buffer.size - 5 + more;
    char *zeros = calloc(filling, 1);
    msgpack_pack_bin_with_body(&craft.packer, zeros, filling);
    free(zeros);
    assert_int_equal(craft.buffer.size, VESTA_FRAME_HEAD_BYTES_MAX + more);
    assert_int_equal(craft_decode(&craft, &out), more == 0 ? VESTA_OK : VESTA_ERR_TOO_LARGE);
  }
  /* Nor does the encoder write more, whatever room there is. */
  wire_element_t *elements = calloc(WIRE_ELEMENTS_MAX, sizeof *elements);
  for (uint32_t i = 0; i < WIRE_ELEMENTS_MAX; i++) {
    elements[i].id = vesta_bytes(many_bytes, 256);
  }
  wire_message_t message = {.kind = WIRE_REPLY, .elements = elements, .element_count = WIRE_ELEMENTS_MAX};
  size_t capacity = wire_encoded_size_max(&message);
  assert_true(capacity > VESTA_FRAME_HEAD_BYTES_MAX);
  uint8_t *to = malloc(capacity);
  size_t size;
  assert_int_equal(wire_encode(&message, to, capacity, &size), VESTA_ERR_TOO_LARGE);
  message.element_count = WIRE_ELEMENTS_MAX / 2;
  assert_int_equal(wire_encode(&message, to, capacity, &size), VESTA_OK);
  free(to);
  free(elements);
}

static void nesting_within_the_bound_is_skipped_and_one_level_more_is_malformed(void **state) {
  (void)state;
  for (unsigned more = 0; more < 2; more++) {
    wire_message_t out;
    craft_t craft;
    craft_begin(&craft, WIRE_VERSION, WIRE_REPLY);
    craft_field(&craft, 100);
    for (unsigned depth = 0; depth < 15 + more; depth++) { /* inside the message's own map: 16 */
      msgpack_pack_array(&craft.packer, 1);
    }
    msgpack_pack_nil(&craft.packer);
    assert_int_equal(craft_decode(&craft, &out), more == 0 ? VESTA_OK : VESTA_ERR_MALFORMED);
  }
}

static void values_up_to_the_maximum_are_skipped_and_one_more_is_malformed(void **state) {
  (void)state;
  const uint32_t objects_max = WIRE_ELEMENTS_MAX * 32;
  for (unsigned more = 0; more < 2; more++) {
    wire_message_t out;
    craft_t craft;
    craft_begin(&craft, WIRE_VERSION, WIRE_REPLY);
    craft_field(&craft, 100);
    uint32_t count = objects_max - 7 + more; /* the map, three keys, two values, the array */
    msgpack_pack_array(&craft.packer, count);
    for (uint32_t i = 0; i < count; i++) {
      msgpack_pack_nil(&craft.packer);
    }
    assert_int_equal(craft_decode(&craft, &out), more == 0 ? VESTA_OK : VESTA_ERR_MALFORMED);
  }
}

static void destroying_no_decoder_is_allowed(void **state) {
  (void)state;
  wire_decoder_t *none = NULL;
  wire_decoder_destroy(&none);
  assert_null(none);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_kind_comes_back_with_every_field_at_its_bounds),
      cmocka_unit_test(a_field_at_its_bound_is_accepted_and_one_past_is_not),
      cmocka_unit_test(an_item_at_its_bound_is_accepted_and_one_past_is_not),
      cmocka_unit_test(what_is_zero_is_not_written_and_what_is_absent_is_zero),
      cmocka_unit_test(a_required_field_that_is_missing_or_zero_is_malformed),
      cmocka_unit_test(an_unknown_kind_is_not_written_and_is_told_with_what_is_needed_to_answer_it),
      cmocka_unit_test(unknown_fields_and_further_items_are_skipped_whatever_they_hold),
      cmocka_unit_test(a_known_field_of_another_type_is_malformed),
      cmocka_unit_test(a_known_field_that_comes_twice_is_malformed),
      cmocka_unit_test(strings_are_taken_where_bytes_are_expected),
      cmocka_unit_test(another_major_version_is_told_with_what_is_needed_to_answer_it),
      cmocka_unit_test(the_version_written_is_ours_unless_another_is_asked_for),
      cmocka_unit_test(every_truncation_and_every_byte_more_is_malformed_and_changes_nothing),
      cmocka_unit_test(a_buffer_too_small_is_refused_and_never_overrun),
      cmocka_unit_test(the_size_foretold_is_never_less_than_the_size_written),
      cmocka_unit_test(elements_up_to_the_maximum_are_accepted_and_one_more_is_not),
      cmocka_unit_test(a_head_of_the_greatest_size_is_accepted_and_one_byte_more_is_not),
      cmocka_unit_test(nesting_within_the_bound_is_skipped_and_one_level_more_is_malformed),
      cmocka_unit_test(values_up_to_the_maximum_are_skipped_and_one_more_is_malformed),
      cmocka_unit_test(destroying_no_decoder_is_allowed),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
