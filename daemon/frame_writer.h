/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Answers into a socket that may not take them all at once.
 *
 * A frame is sent straight from where it lies (a READ's payload: from the replica). Only what the socket does not take is
 * copied and waits. Who does not read finds its link closed when more than so many bytes, past one answer, wait for it:
 * nobody's queue is unbounded.
 */
#ifndef VESTA_DAEMON_FRAME_WRITER_H
#define VESTA_DAEMON_FRAME_WRITER_H

#include "core/error.h"
#include "core/types.h"
#include "daemon/frame_memory.h"

typedef struct frame_chunk frame_chunk_t;

typedef struct frame_writer {
  frame_memory_t *memory;
  frame_chunk_t *first, *last;
  uint64_t queued_bytes, queue_bytes_max;
} frame_writer_t;

void frame_writer_init(frame_writer_t *writer, frame_memory_t *memory, uint64_t queue_bytes_max);
void frame_writer_fini(frame_writer_t *writer);

/**
 * Send a frame, or queue what is left of it.
 * @param attach   a descriptor to go with it, -1: none. Taken over in any case.
 * @return OK; NO_RESOURCES when too much waits already, NO_MEMORY, UNAVAILABLE when the other side is gone: the stream is
 *         broken then and the link has to be closed
 */
vesta_err_t frame_writer_send(frame_writer_t *writer, int socket, vesta_bytes_t head, vesta_bytes_t payload,
                              int attach);

/** The socket takes more. @return OK; UNAVAILABLE */
vesta_err_t frame_writer_flush(frame_writer_t *writer, int socket);

static inline bool frame_writer_is_empty(const frame_writer_t *writer) { return writer->first == NULL; }

#endif
