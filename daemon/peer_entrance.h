/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where the connections of other nodes come in that carry their messages (peer_stream.h): a listening TCP socket, and
 * those who have connected and not shown their token yet.
 *
 * Nobody is let in while nobody is expected. Who has no token, or takes too long with it, is turned away; there are never
 * more than VESTA_PEER_ENTRANCE_MAX of them: one more is turned away, unless it comes from where somebody is expected
 * from, then the oldest is. A token is PEER_TOKEN_BYTES drawn at random; which are good is the caller's to say.
 */
#ifndef VESTA_DAEMON_PEER_ENTRANCE_H
#define VESTA_DAEMON_PEER_ENTRANCE_H

#include "core/limits.h"
#include "core/types.h"
#include "daemon/loop.h"

#define PEER_TOKEN_BYTES 16U
#define PEER_ENTRANCE_NS INT64_C(3000000000) /* to show a token within */

typedef struct peer_entrance peer_entrance_t;

/** Of a connection that has shown a token. From within the loop. @return true: it is good, the descriptor is taken */
typedef bool (*peer_entrance_shown_t)(void *context, const uint8_t token[PEER_TOKEN_BYTES], int fd);

/** Is somebody expected from that address (numeric, as ZeroMQ's Peer-Address is)? From within the loop. */
typedef bool (*peer_entrance_expects_t)(void *context, const char *address);

/**
 * Listen beside a ZeroMQ socket: at the same address, at the next port; at any, when that one is taken.
 * @param endpoint  of that socket, numeric: "tcp://ADDRESS:PORT"
 * @return NULL with errno
 */
peer_entrance_t *peer_entrance_open(loop_t *loop, const char *endpoint, peer_entrance_shown_t shown,
                                    peer_entrance_expects_t expects, void *context);
/** NULL is taken. */
void peer_entrance_close(peer_entrance_t **entrance);

uint16_t peer_entrance_port(const peer_entrance_t *entrance);

/** Let them in from now on, or not: whether somebody's token is outstanding. At first nobody is let in. */
void peer_entrance_admit(peer_entrance_t *entrance, bool admits);

/** Who takes too long goes. @return connections turned away since the last time */
uint32_t peer_entrance_turn(peer_entrance_t *entrance, int64_t now_ns);
int64_t peer_entrance_wake_ns(const peer_entrance_t *entrance);

#endif
