/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See mirror_memory.h. Size classes are multiples of 32 bytes up to 1 KiB, then eight to each doubling: at most an eighth
 * of a block is unused.
 */
#include "ext_api/mirror_memory.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#define MIRROR_STEP_BYTES 32U /* between small classes, and so the alignment of every block */
#define MIRROR_SMALL_BYTES_MAX 1024U
#define MIRROR_SMALL_CLASSES (MIRROR_SMALL_BYTES_MAX / MIRROR_STEP_BYTES)
#define MIRROR_STEPS 8U /* classes in one doubling */
#define MIRROR_BLOCK_BYTES_MAX (64U << 10)
#define MIRROR_CHUNK_BYTES_MIN (128U << 10)
#define MIRROR_CHUNK_BYTES_MAX (2U << 20) /* a huge page */

static_assert(MIRROR_SMALL_CLASSES + 6 * MIRROR_STEPS + 1 == MIRROR_CLASSES, "1 KiB to 64 KiB are six doublings");

struct mirror_block {
  mirror_block_t *next;
};

struct mirror_chunk {
  mirror_chunk_t *next;
};

/* The class of a size, and what its blocks really have. */
static size_t mirror_class(size_t bytes, size_t *class_bytes) {
  if (bytes <= MIRROR_SMALL_BYTES_MAX) {
    size_t steps = bytes == 0 ? 1 : (bytes + MIRROR_STEP_BYTES - 1) / MIRROR_STEP_BYTES;
    *class_bytes = steps * MIRROR_STEP_BYTES;
    return steps;
  }
  size_t from = MIRROR_SMALL_BYTES_MAX;
  size_t class = MIRROR_SMALL_CLASSES;
  while (bytes > 2 * from) {
    from *= 2;
    class += MIRROR_STEPS;
  }
  size_t step = from / MIRROR_STEPS;
  size_t steps = (bytes - from + step - 1) / step;
  *class_bytes = from + steps * step;
  return class + steps;
}

/* What is left of the chunk before is forgotten: less than one block of the largest class. */
static void *mirror_chunk_take(mirror_memory_t *memory, size_t bytes) {
  size_t chunk_bytes = memory->chunk_bytes * 2;
  if (chunk_bytes < MIRROR_CHUNK_BYTES_MIN) {
    chunk_bytes = MIRROR_CHUNK_BYTES_MIN;
  } else if (chunk_bytes > MIRROR_CHUNK_BYTES_MAX) {
    chunk_bytes = MIRROR_CHUNK_BYTES_MAX;
  }
  mirror_chunk_t *chunk = aligned_alloc(chunk_bytes, chunk_bytes);
  if (chunk == NULL) {
    return NULL;
  }
  if (chunk_bytes == MIRROR_CHUNK_BYTES_MAX) {
    (void)madvise(chunk, chunk_bytes, MADV_HUGEPAGE); /* a wish */
  }
  chunk->next = memory->chunks;
  memory->chunks = chunk;
  memory->chunk_bytes = chunk_bytes;
  memory->fresh = (uint8_t *)chunk + MIRROR_STEP_BYTES + bytes;
  memory->fresh_bytes = chunk_bytes - MIRROR_STEP_BYTES - bytes;
  return (uint8_t *)chunk + MIRROR_STEP_BYTES;
}

void *mirror_memory_take(mirror_memory_t *memory, size_t bytes) {
  if (bytes > MIRROR_BLOCK_BYTES_MAX) {
    return malloc(bytes);
  }
  size_t class_bytes;
  size_t class = mirror_class(bytes, &class_bytes);
  mirror_block_t *block = memory->given_back[class];
  if (block != NULL) {
    memory->given_back[class] = block->next;
    return block;
  }
  if (class_bytes > memory->fresh_bytes) {
    return mirror_chunk_take(memory, class_bytes);
  }
  void *fresh = memory->fresh;
  memory->fresh += class_bytes;
  memory->fresh_bytes -= class_bytes;
  return fresh;
}

void mirror_memory_give(mirror_memory_t *memory, void *block, size_t bytes) {
  if (block == NULL) {
    return;
  }
  if (bytes > MIRROR_BLOCK_BYTES_MAX) {
    free(block);
    return;
  }
  size_t class_bytes;
  size_t class = mirror_class(bytes, &class_bytes);
  mirror_block_t *given = block;
  given->next = memory->given_back[class];
  memory->given_back[class] = given;
}

void mirror_memory_fini(mirror_memory_t *memory) {
  while (memory->chunks != NULL) {
    mirror_chunk_t *chunk = memory->chunks;
    memory->chunks = chunk->next;
    free(chunk);
  }
  *memory = (mirror_memory_t){0};
}
