/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See content_hash.h.
 */
#include "core/content_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static void number_write(uint64_t number, uint8_t *bytes, bool big_endian) {
  for (unsigned i = 0; i < sizeof number; i++) {
    unsigned place = big_endian ? (unsigned)sizeof number - 1 - i : i;
    bytes[place] = (uint8_t)(number >> (8 * i));
  }
}

static uint64_t number_read(const uint8_t *bytes) {
  uint64_t number = 0;
  for (unsigned i = 0; i < sizeof number; i++) {
    number = number << 8 | bytes[i];
  }
  return number;
}

static content_hash_t hash_bytes(const void *data, size_t size, uint64_t seed) {
  XXH128_hash_t hash = XXH3_128bits_withSeed(data, size, seed);
  return (content_hash_t){.hi = hash.high64, .lo = hash.low64};
}

uint64_t content_key(vesta_bytes_t id) { return XXH3_64bits(id.data, id.size); }

content_hash_t content_hash_about(uint64_t key, uint64_t size_bytes, int64_t expiry_ns) {
  uint8_t about[2 * sizeof(uint64_t)];
  number_write(size_bytes, about, false);
  number_write((uint64_t)expiry_ns, about + sizeof(uint64_t), false);
  return hash_bytes(about, sizeof about, key);
}

content_hash_t content_hash_block(uint64_t key, vesta_bytes_t data, uint64_t block) {
  uint64_t at = block * VESTA_CONTENT_BLOCK_BYTES;
  uint64_t left = data.size - at;
  size_t size = left < VESTA_CONTENT_BLOCK_BYTES ? (size_t)left : VESTA_CONTENT_BLOCK_BYTES;
  return hash_bytes(data.data + at, size, key + (block + 1) * VESTA_CONTENT_SEED_STEP);
}

content_hash_t content_hash_section(vesta_bytes_t id, vesta_bytes_t data, int64_t expiry_ns) {
  uint64_t key = content_key(id);
  content_hash_t hash = content_hash_about(key, data.size, expiry_ns);
  uint64_t blocks = content_blocks(data.size);
  for (uint64_t block = 0; block < blocks; block++) {
    hash = content_hash_add(hash, content_hash_block(key, data, block));
  }
  return hash;
}

void content_hash_write(content_hash_t hash, uint8_t bytes[VESTA_CONTENT_HASH_BYTES]) {
  number_write(hash.hi, bytes, true);
  number_write(hash.lo, bytes + sizeof hash.hi, true);
}

bool content_hash_read(vesta_bytes_t bytes, content_hash_t *hash) {
  if (bytes.size != VESTA_CONTENT_HASH_BYTES) {
    return false;
  }
  *hash = (content_hash_t){.hi = number_read(bytes.data), .lo = number_read(bytes.data + sizeof hash->hi)};
  return true;
}
