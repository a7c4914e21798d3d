/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Messages and the very bytes they are on the wire.
 *
 * The codec must produce these bytes and read them back, so the wire cannot change by accident: who changes a line here
 * changes the protocol, and has to say so in doc/PROTOCOL.md and the CHANGELOG. Written in hexadecimal, they also serve
 * those who write a codec in another language.
 */
#ifndef VESTA_TEST_WIRE_VECTORS_H
#define VESTA_TEST_WIRE_VECTORS_H

#include "core/wire.h"

typedef struct wire_vector {
  const char *name;
  wire_message_t message;
  const char *hex;
} wire_vector_t;

#define VECTOR_BYTES(text) \
  { .data = (const uint8_t *)(text), .size = sizeof(text) - 1 }

static const wire_element_t vector_overwrite[] = {
    {.kind = VESTA_KIND_OVERWRITTEN, .id = VECTOR_BYTES("a"), .size = 5},
};
static const wire_element_t vector_operations[] = {
    {.kind = VESTA_KIND_CREATED,
     .id = VECTOR_BYTES("s1"),
     .size = 200,
     .expiry_ns = INT64_MAX,
     .seq = 100,
     .epoch = 3,
     .time_ns = 1700000000000000000,
     .slot = 7,
     .count = 2},
    {.kind = VESTA_KIND_WRITTEN,
     .id = VECTOR_BYTES("s2\0\xff"),
     .size = 16,
     .offset = 4096,
     .seq = 100,
     .epoch = 3,
     .time_ns = 1700000000000000000,
     .slot = 8,
     .index = 1,
     .count = 2},
    {.kind = VESTA_KIND_EPOCH,
     .seq = 101,
     .epoch = 4,
     .time_ns = 1700000000000000001,
     .slot = UINT32_MAX,
     .member = 9,
     .count = 1},
};

static const wire_element_t vector_nothing[1] = {{0}};

static const wire_vector_t wire_vectors[] = {
    {"the shortest request", {.kind = WIRE_INFO, .number = 1}, "8301ce0001000002160301"},
    {"a session is resumed",
     {.kind = WIRE_HELLO, .number = 1, .token_hi = 0x0123456789abcdef, .token_lo = 0xfedcba9876543210, .pid = 4242},
     "8601ce000100000201030106cf0123456789abcdef07cffedcba987654321025cd1092"},
    {"a checkpoint is opened, and created if need be; no limit of time",
     {.kind = WIRE_OPEN,
      .number = 2,
      .name = VECTOR_BYTES("safCkpt=demo"),
      .flags = VESTA_OPEN_READ | VESTA_OPEN_WRITE | VESTA_OPEN_CREATE,
      .creation_flags = VESTA_CREATE_ACTIVE_REPLICA,
      .checkpoint_bytes = 1 << 20,
      .retention_ns = 60000000000,
      .sections_max = 1000,
      .section_bytes_max = 1024,
      .section_id_bytes_max = 32,
      .timeout_ns = -1},
     "8c01ce00010000020403020ac40c736166436b70743d64656d6f0b070c020dce001000000ecf0000000df84758000fcd03e810cd0400"
     "112012ff"},
    {"a section is overwritten; its 5 bytes are the payload",
     {.kind = WIRE_CHANGE, .number = 300, .handle = 0x100000001, .elements = vector_overwrite, .element_count = 1},
     "8501ce00010000020b03cd012c08cf000000010000000129919303c4016105"},
    {"the answer: it does not exist",
     {.kind = WIRE_REPLY, .number = 300, .error = VESTA_ERR_NOT_EXIST, .element = UINT32_MAX, .epoch = 3, .seq = 70000},
     "8701ce00010000022003cd012c040305ceffffffff19031ace00011170"},
    {"two operations are published, the first of two sections; 216 bytes of payload",
     {.kind = WIRE_CHANGES,
      .checkpoint = 5,
      .lineage = 0x8000000000000000,
      .elements = vector_operations,
      .element_count = 3},
     "8501ce000100000250090518cf800000000000000029939c01c4027331ccc800cf7fffffffffffffff6403cf17979cfe362a0000070000"
     "029c02c404733200ff10cd1000006403cf17979cfe362a0000080001029c09c4000000006504cf17979cfe362a0001ceffffffff0900"
     "01"},
    {"a checkpoint is gone; its last word",
     {.kind = WIRE_BEACON, .checkpoint = 5, .lineage = 0x8000000000000000, .epoch = 4, .seq = 101, .state = 1},
     "8701ce000100000251090518cf800000000000000019041a652401"},
    {"what changed since a position is asked for",
     {.kind = WIRE_SNAPSHOT_GET,
      .number = 1,
      .token_hi = 1,
      .token_lo = 2,
      .checkpoint = 5,
      .from_lineage = 3,
      .from_epoch = 4,
      .from_seq = 99},
     "8901ce00010000025203010601070209051b031c041d63"},
    {"the whole state of a checkpoint with an empty default section",
     {.kind = WIRE_SNAPSHOT_CHUNK,
      .number = 1,
      .checkpoint = 5,
      .lineage = 3,
      .epoch = 4,
      .seq = 101,
      .cursor_end = 1000,
      .state = WIRE_CHUNK_LAST | WIRE_CHUNK_FULL,
      .elements = vector_nothing,
      .element_count = 1},
     "8a01ce00010000025303010905180319041a651fcd03e82403299190"},
};

#endif
