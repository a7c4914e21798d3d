/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Frames out of a byte stream that arrives in any pieces.
 *
 * Bytes are received into a buffer that all links share. A frame that lies in it whole is delivered in place; only what
 * is left over at its end is kept here, in memory made for exactly that frame. So an idle link holds nothing, a small
 * request costs no allocation, and the rest of a large one is received where it belongs.
 *
 * When there is no memory for a frame its head is still read and delivered, with an error to answer, and its payload is
 * skipped: the link stays usable.
 */
#ifndef VESTA_DAEMON_FRAME_READER_H
#define VESTA_DAEMON_FRAME_READER_H

#include "core/wire.h"
#include "daemon/frame_memory.h"

typedef struct frame_reader {
  frame_memory_t *memory;
  size_t trailer_bytes; /* behind each payload, for the sink to find there; 0 unless set after frame_reader_init() */
  uint8_t *partial;     /* NULL: nothing is left over */
  size_t have;          /* bytes of it */
  size_t want;          /* bytes to have before something can be done */
  bool measured;        /* its prefix was read: `want` is not just the prefix */
  vesta_err_t refused;  /* why its payload is skipped; OK: it is not */
  uint64_t skip;        /* bytes of a refused payload still to come */
} frame_reader_t;

typedef struct frame_sink {
  void *context;
  /* One frame. err: OK, or why its payload is not there. @return false to stop reading */
  bool (*frame)(void *context, vesta_bytes_t head, vesta_bytes_t payload, vesta_err_t err);
} frame_sink_t;

void frame_reader_init(frame_reader_t *reader, frame_memory_t *memory);
void frame_reader_fini(frame_reader_t *reader);

/** Where the next bytes of the stream may be put directly; size 0: nowhere, use the shared buffer. */
void frame_reader_room(const frame_reader_t *reader, uint8_t **to, size_t *size);

/**
 * The stream went on: `direct` bytes were put where frame_reader_room() said, then come `size` bytes elsewhere.
 * @return OK, also when the sink stopped; TOO_LARGE, MALFORMED when the stream is no frames; NO_MEMORY
 */
vesta_err_t frame_reader_take(frame_reader_t *reader, size_t direct, const uint8_t *bytes, size_t size,
                              const frame_sink_t *sink);

#endif
