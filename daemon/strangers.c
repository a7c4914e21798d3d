/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See strangers.h.
 */
#include "daemon/strangers.h"

#include <string.h>

#include "core/table.h"

#define STRANGERS_PAUSE_NS INT64_C(1000000000)

static uint64_t stranger_hash(const char *address, const char *key) {
  uint64_t hash = table_hash_bytes(vesta_bytes(address, strlen(address)));
  return (hash * 31 + table_hash_bytes(vesta_bytes(key, strlen(key)))) | 1U;
}

static bool hash_is_in(const uint64_t hashes[VESTA_STRANGERS_MAX], uint64_t hash) {
  for (uint32_t i = 0; i < VESTA_STRANGERS_MAX; i++) {
    if (hashes[i] == hash) {
      return true;
    }
  }
  return false;
}

static void hash_remember(uint64_t hashes[VESTA_STRANGERS_MAX], uint32_t *next, uint64_t hash) {
  if (!hash_is_in(hashes, hash)) {
    hashes[*next] = hash;
    *next = (*next + 1) % VESTA_STRANGERS_MAX;
  }
}

bool strangers_name(strangers_t *strangers, const char *address, const char *key, int64_t now_ns) {
  uint64_t hash = stranger_hash(address, key);
  if (now_ns < strangers->pause_ns || hash_is_in(strangers->known, hash)) {
    return false;
  }
  strangers->pause_ns = now_ns + STRANGERS_PAUSE_NS;
  hash_remember(strangers->known, &strangers->next, hash);
  hash_remember(strangers->known, &strangers->next, stranger_hash(address, ""));
  return true;
}

void strangers_welcome(strangers_t *strangers, const char *address) {
  hash_remember(strangers->guests, &strangers->guest_next, stranger_hash(address, ""));
}

bool strangers_welcomed(const strangers_t *strangers, const char *address) {
  return hash_is_in(strangers->guests, stranger_hash(address, ""));
}
