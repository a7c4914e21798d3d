/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A common bound for what all links together hold of unfinished frames and of answers not yet taken: a single link's
 * bound times thousands of links would be none.
 */
#ifndef VESTA_DAEMON_FRAME_MEMORY_H
#define VESTA_DAEMON_FRAME_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct frame_memory {
  uint64_t held_bytes;
  uint64_t max_bytes;
} frame_memory_t;

static inline bool frame_memory_take(frame_memory_t *memory, uint64_t bytes) {
  if (bytes > memory->max_bytes - memory->held_bytes) {
    return false;
  }
  memory->held_bytes += bytes;
  return true;
}

static inline void frame_memory_give(frame_memory_t *memory, uint64_t bytes) { memory->held_bytes -= bytes; }

#endif
