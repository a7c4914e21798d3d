/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory for a mirror's sections: blocks cut from large chunks that the kernel backs with huge pages.
 *
 * Why not malloc(): when an active is killed, the kernel tells nobody before it has torn down the process's memory, page
 * by page. The mirror is most of that memory, and it is what made a takeover take longer the more sections there
 * were. In huge pages there are 512 times fewer to tear down.
 *
 * A block that is given back serves the next one of its size class. Chunks begin small and double, so that a small mirror
 * stays small; all go when the mirror goes. Blocks above MIRROR_BLOCK_BYTES_MAX are malloc()'s.
 */
#ifndef VESTA_EXT_API_MIRROR_MEMORY_H
#define VESTA_EXT_API_MIRROR_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#define MIRROR_CLASSES 81U

typedef struct mirror_block mirror_block_t;
typedef struct mirror_chunk mirror_chunk_t;

/* Zero it before use. */
typedef struct mirror_memory {
  mirror_chunk_t *chunks;
  uint8_t *fresh; /* the part of the newest chunk that was never handed out */
  size_t fresh_bytes;
  size_t chunk_bytes; /* of the newest chunk */
  mirror_block_t *given_back[MIRROR_CLASSES];
} mirror_memory_t;

/** A block of at least `bytes`, aligned as malloc() does. NULL: out of memory. */
void *mirror_memory_take(mirror_memory_t *memory, size_t bytes);
/** Give a block back; `bytes` as it was taken with. NULL is allowed. */
void mirror_memory_give(mirror_memory_t *memory, void *block, size_t bytes);
/** Free all chunks, and with them every block not above the largest class. */
void mirror_memory_fini(mirror_memory_t *memory);

#endif
