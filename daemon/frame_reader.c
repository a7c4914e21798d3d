/* SPDX-License-Identifier: BSD-2-Clause
 *
 *     NOTHING --bytes--> PREFIX --8 bytes--> FRAME --all--> delivered, NOTHING
 *                                  |
 *                                  +- no memory -> HEAD --all--> delivered as refused, SKIP --payload--> NOTHING
 */
#include "daemon/frame_reader.h"

#include <stdlib.h>

void frame_reader_init(frame_reader_t *reader, frame_memory_t *memory) { *reader = (frame_reader_t){.memory = memory}; }

/* Forget what is left over. */
static void frame_reader_drop(frame_reader_t *reader) {
  if (reader->partial != NULL) {
    frame_memory_give(reader->memory, reader->want);
    free(reader->partial);
  }
  reader->partial = NULL;
  reader->have = 0;
  reader->want = 0;
  reader->measured = false;
  reader->refused = VESTA_OK;
}

void frame_reader_fini(frame_reader_t *reader) {
  frame_reader_drop(reader);
  reader->skip = 0;
}

void frame_reader_room(const frame_reader_t *reader, uint8_t **to, size_t *size) {
  *to = reader->partial == NULL ? NULL : reader->partial + reader->have;
  *size = reader->want - reader->have;
}

/* Make room for `want` bytes, keeping those we have. */
static vesta_err_t frame_reader_grow(frame_reader_t *reader, size_t want) {
  size_t more = want - reader->want;
  if (!frame_memory_take(reader->memory, more)) {
    return VESTA_ERR_NO_RESOURCES;
  }
  uint8_t *partial = realloc(reader->partial, want);
  if (partial == NULL) {
    frame_memory_give(reader->memory, more);
    return VESTA_ERR_NO_MEMORY;
  }
  reader->partial = partial;
  reader->want = want;
  return VESTA_OK;
}

/* The prefix is there: make room for the frame, or at least for its head. */
static vesta_err_t frame_reader_measure(frame_reader_t *reader) {
  uint32_t head_bytes = 0;
  uint32_t payload_bytes = 0;
  vesta_err_t err = wire_prefix_decode(reader->partial, &head_bytes, &payload_bytes);
  if (err != VESTA_OK) {
    return err;
  }
  size_t head_end = WIRE_PREFIX_BYTES + (size_t)head_bytes;
  err = frame_reader_grow(reader, head_end + payload_bytes + reader->trailer_bytes);
  if (err != VESTA_OK && payload_bytes > 0) {
    reader->refused = err;
    reader->skip = payload_bytes + reader->trailer_bytes;
    err = frame_reader_grow(reader, head_end);
  }
  reader->measured = err == VESTA_OK;
  return err;
}

/* What was wanted is there. */
static vesta_err_t frame_reader_advance(frame_reader_t *reader, const frame_sink_t *sink, bool *go_on) {
  if (!reader->measured) {
    return frame_reader_measure(reader);
  }
  uint32_t head_bytes = 0;
  uint32_t payload_bytes = 0;
  VESTA_ASSERT(wire_prefix_decode(reader->partial, &head_bytes, &payload_bytes) == VESTA_OK);
  vesta_bytes_t head = vesta_bytes(reader->partial + WIRE_PREFIX_BYTES, head_bytes);
  vesta_bytes_t payload = vesta_bytes(head.data + head.size, reader->refused == VESTA_OK ? payload_bytes : 0);
  *go_on = sink->frame(sink->context, head, payload, reader->refused);
  frame_reader_drop(reader);
  return VESTA_OK;
}

/* Frames that lie in the shared buffer whole. @return bytes used */
static size_t frame_reader_in_place(const frame_reader_t *reader, const uint8_t *bytes, size_t size,
                                    const frame_sink_t *sink, bool *go_on, vesta_err_t *err) {
  size_t used = 0;
  while (*go_on && size - used >= WIRE_PREFIX_BYTES) {
    uint32_t head_bytes = 0;
    uint32_t payload_bytes = 0;
    *err = wire_prefix_decode(bytes + used, &head_bytes, &payload_bytes);
    size_t frame_bytes = WIRE_PREFIX_BYTES + (size_t)head_bytes + payload_bytes + reader->trailer_bytes;
    if (*err != VESTA_OK || frame_bytes > size - used) {
      break;
    }
    const uint8_t *head = bytes + used + WIRE_PREFIX_BYTES;
    *go_on = sink->frame(sink->context, vesta_bytes(head, head_bytes), vesta_bytes(head + head_bytes, payload_bytes),
                         VESTA_OK);
    used += frame_bytes;
  }
  return used;
}

vesta_err_t frame_reader_take(frame_reader_t *reader, size_t direct, const uint8_t *bytes, size_t size,
                              const frame_sink_t *sink) {
  vesta_err_t err = VESTA_OK;
  bool go_on = true;
  reader->have += direct;
  VESTA_ASSERT(reader->have <= reader->want);
  while (err == VESTA_OK && go_on) {
    size_t used = 0;
    if (reader->partial != NULL && reader->have == reader->want) {
      err = frame_reader_advance(reader, sink, &go_on);
    } else if (size == 0) {
      break;
    } else if (reader->partial != NULL) {
      used = reader->want - reader->have < size ? reader->want - reader->have : size;
      memcpy(reader->partial + reader->have, bytes, used);
      reader->have += used;
    } else if (reader->skip > 0) {
      used = reader->skip < size ? (size_t)reader->skip : size;
      reader->skip -= used;
    } else {
      used = frame_reader_in_place(reader, bytes, size, sink, &go_on, &err);
      if (err == VESTA_OK && go_on && used < size) {
        err = frame_reader_grow(reader, WIRE_PREFIX_BYTES); /* a frame that is not whole begins here */
      }
    }
    bytes += used;
    size -= used;
  }
  return err;
}
