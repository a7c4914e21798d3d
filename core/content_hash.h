/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a checkpoint holds, as one number: so that two who hold it can find out whether they hold the same.
 *
 * The hash of a content is the sum, modulo 2^128, of the hashes of its parts: for each section one of what is said
 * about it (size, expiry), and one for each block of its data. A sum does not depend on the order of its parts, and
 * when a part changes its old hash is taken out and its new one put in: nothing else is looked at. So whoever remembers
 * the parts' hashes pays for what changed, not for what there is.
 *
 *   about(section)    XXH3-128 of (size, expiry), 8 bytes little-endian each, seed K
 *   block i           XXH3-128 of its bytes, seed K + (i + 1) * VESTA_CONTENT_SEED_STEP; the last block may be shorter
 *   K                 XXH3-64 of the section's id, seed 0
 *
 * The seeds tie a block to its section and its place, so that what was swapped or put in the wrong place is seen. This
 * is no cryptographic hash: it finds faults, not forgeries.
 *
 * When a section was changed last is no part of it: that is not content, and not everybody keeps it.
 */
#ifndef VESTA_CORE_CONTENT_HASH_H
#define VESTA_CORE_CONTENT_HASH_H

#include "core/types.h"

#define VESTA_CONTENT_BLOCK_BYTES 4096U
#define VESTA_CONTENT_SEED_STEP 0x9E3779B97F4A7C15ULL

/* All zero: the hash of nothing. */
typedef struct content_hash {
  uint64_t hi, lo;
} content_hash_t;

static inline content_hash_t content_hash_add(content_hash_t a, content_hash_t b) {
  uint64_t lo = a.lo + b.lo;
  return (content_hash_t){.hi = a.hi + b.hi + (lo < a.lo ? 1 : 0), .lo = lo};
}
static inline content_hash_t content_hash_subtract(content_hash_t a, content_hash_t b) {
  return (content_hash_t){.hi = a.hi - b.hi - (a.lo < b.lo ? 1 : 0), .lo = a.lo - b.lo};
}
static inline bool content_hash_equal(content_hash_t a, content_hash_t b) { return a.hi == b.hi && a.lo == b.lo; }

/** How many blocks so many bytes of data are. */
static inline uint64_t content_blocks(uint64_t size_bytes) {
  return (size_bytes + VESTA_CONTENT_BLOCK_BYTES - 1) / VESTA_CONTENT_BLOCK_BYTES;
}

/** The key of a section, K above. */
uint64_t content_key(vesta_bytes_t id);
content_hash_t content_hash_about(uint64_t key, uint64_t size_bytes, int64_t expiry_ns);
/** @param data   all of the section's, of which the block is hashed */
content_hash_t content_hash_block(uint64_t key, vesta_bytes_t data, uint64_t block);
/** All of a section. */
content_hash_t content_hash_section(vesta_bytes_t id, vesta_bytes_t data, int64_t expiry_ns);

/** As bytes, big-endian. */
void content_hash_write(content_hash_t hash, uint8_t bytes[VESTA_CONTENT_HASH_BYTES]);
/** @return false when these are not VESTA_CONTENT_HASH_BYTES bytes */
bool content_hash_read(vesta_bytes_t bytes, content_hash_t *hash);

#endif
