/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the node that listens tells the one that connects, through ZeroMQ, of the connection that is to carry their
 * messages: where it is, what it begins with, and with keys what it is sealed with.
 *
 *     payload of the HELLO = port, u16 LE | token | [ key of who connects | key of who listens ]
 *
 * All but the port is drawn anew for each link. With keys the HELLO went through CURVE: nobody else knows it, and who
 * knows it is the node that it was told. So the connection needs no handshake of its own.
 */
#ifndef VESTA_DAEMON_PEER_INTRODUCTION_H
#define VESTA_DAEMON_PEER_INTRODUCTION_H

#include "core/types.h"
#include "daemon/peer_entrance.h"
#include "daemon/peer_stream.h"

#define PEER_INTRODUCTION_BYTES_MAX (2U + PEER_TOKEN_BYTES + 2U * PEER_STREAM_KEY_BYTES)

typedef struct peer_introduction {
  uint16_t port;
  bool sealed;
  uint8_t token[PEER_TOKEN_BYTES];
  uint8_t keys[2][PEER_STREAM_KEY_BYTES]; /* of what who connects says, of what who listens says */
} peer_introduction_t;

/** A new one. @return false: there is no randomness */
bool peer_introduction_draw(peer_introduction_t *introduction, uint16_t port, bool sealed);
/** @return its size */
size_t peer_introduction_write(const peer_introduction_t *introduction, uint8_t bytes[PEER_INTRODUCTION_BYTES_MAX]);
/** @param sealed  as it has to be  @return false: it is none, or not so */
bool peer_introduction_read(peer_introduction_t *introduction, vesta_bytes_t bytes, bool sealed);
/** In a time that says nothing of the token. */
bool peer_introduction_has_token(const peer_introduction_t *introduction, const uint8_t token[PEER_TOKEN_BYTES]);

#endif
