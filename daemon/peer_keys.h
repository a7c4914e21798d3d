/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The keys of nodes, and who may have a link: CURVE keys in files, and ZeroMQ's question whether a key is known.
 *
 *     KEY-FILE           two lines: `public Z85` and `secret Z85`. Of this node, mode 0600 or less
 *     KEYS-DIR/NODE.pub  one line: the public key, Z85, of that node
 *
 * `vesta keygen` makes the pair. ZeroMQ asks about each key that wants in through a socket of its own (ZAP, its RFC
 * 27), which is answered in the loop. The directory is read again when a key comes, at most once a second: a
 * node that was added is let in without a restart, one that was removed is not let in again, and a stranger costs nothing.
 */
#ifndef VESTA_DAEMON_PEER_KEYS_H
#define VESTA_DAEMON_PEER_KEYS_H

#include <czmq.h>

#include "core/error.h"
#include "core/limits.h"
#include "daemon/strangers.h"

#define PEER_KEY_BYTES 41U /* Z85 and its end */
#define PEER_KEYS_DOMAIN "vesta"

typedef struct peer_keys peer_keys_t;

/**
 * @param strangers   who was refused and named; must live as long as the result
 * @return OK; ACCESS: the key file can't be read, or others can read it; NO_RESOURCES: ZeroMQ can't do it; NO_MEMORY
 */
vesta_err_t peer_keys_open(const char *key_file, const char *keys_dir, strangers_t *strangers, peer_keys_t **out,
                           char *why, size_t why_size);
void peer_keys_close(peer_keys_t **keys);

/** Before it is bound: only known keys get in. */
void peer_keys_serve(const peer_keys_t *keys, zsock_t *socket);
/** Before it is connected. @return false: the key of that node is not known */
bool peer_keys_connect(peer_keys_t *keys, zsock_t *socket, uint32_t node);

/** To be looked at, edge-triggered: peer_keys_turn() when it is ready. */
int peer_keys_fd(const peer_keys_t *keys);
/** Answer ZeroMQ's questions. @return how many were refused */
uint32_t peer_keys_turn(peer_keys_t *keys, int64_t now_ns);

/** Has that node a key, still? */
bool peer_keys_has(peer_keys_t *keys, uint32_t node, int64_t now_ns);
/** The node that a message's key belonged to when its connection was made; 0: none. */
uint32_t peer_keys_node(zmq_msg_t *message);

#endif
