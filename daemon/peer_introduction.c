/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See peer_introduction.h.
 */
#include "daemon/peer_introduction.h"

#include <string.h>
#include <sys/random.h>

#define INTRODUCTION_CLEAR_BYTES (2U + PEER_TOKEN_BYTES)

static bool introduction_random(uint8_t *to, size_t size) {
  return getrandom(to, size, 0) == (ssize_t)size; /* so few bytes come at once */
}

bool peer_introduction_draw(peer_introduction_t *introduction, uint16_t port, bool sealed) {
  *introduction = (peer_introduction_t){.port = port, .sealed = sealed};
  return introduction_random(introduction->token, sizeof introduction->token) &&
         (!sealed || (introduction_random(introduction->keys[0], PEER_STREAM_KEY_BYTES) &&
                      introduction_random(introduction->keys[1], PEER_STREAM_KEY_BYTES)));
}

size_t peer_introduction_write(const peer_introduction_t *introduction, uint8_t bytes[PEER_INTRODUCTION_BYTES_MAX]) {
  bytes[0] = (uint8_t)introduction->port;
  bytes[1] = (uint8_t)(introduction->port >> 8);
  memcpy(bytes + 2, introduction->token, PEER_TOKEN_BYTES);
  if (!introduction->sealed) {
    return INTRODUCTION_CLEAR_BYTES;
  }
  memcpy(bytes + INTRODUCTION_CLEAR_BYTES, introduction->keys, sizeof introduction->keys);
  return PEER_INTRODUCTION_BYTES_MAX;
}

bool peer_introduction_read(peer_introduction_t *introduction, vesta_bytes_t bytes, bool sealed) {
  if (bytes.size != (sealed ? PEER_INTRODUCTION_BYTES_MAX : INTRODUCTION_CLEAR_BYTES)) {
    return false;
  }
  *introduction = (peer_introduction_t){.port = (uint16_t)(bytes.data[0] | bytes.data[1] << 8), .sealed = sealed};
  memcpy(introduction->token, bytes.data + 2, PEER_TOKEN_BYTES);
  if (sealed) {
    memcpy(introduction->keys, bytes.data + INTRODUCTION_CLEAR_BYTES, sizeof introduction->keys);
  }
  return true;
}

bool peer_introduction_has_token(const peer_introduction_t *introduction, const uint8_t token[PEER_TOKEN_BYTES]) {
  uint8_t difference = 0;
  for (size_t i = 0; i < PEER_TOKEN_BYTES; i++) {
    difference |= introduction->token[i] ^ token[i];
  }
  return difference == 0;
}
