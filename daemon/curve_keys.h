/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whose connections are let in over TCP, those of nodes and of subscribers: CURVE keys in files, and ZeroMQ's question
 * whether a key is known.
 *
 *     KEY-FILE           a pair (notify/zmq/curve_files.h): our own
 *     KEYS-DIR/NAME.pub  a public key; NAME is the number of a node, or for a subscriber 1 to CURVE_NAME_BYTES - 1
 *                        letters, digits, '.', '_', '-'
 *
 * ZeroMQ asks about each key that wants in through a socket of its own (ZAP, its RFC 27), which
 * is answered in the loop. The directory is read again when somebody comes, at most once a second: a key that was added
 * is let in, and one that was removed is not any more, without a restart. A stranger is counted, and named
 * (strangers.h).
 */
#ifndef VESTA_DAEMON_CURVE_KEYS_H
#define VESTA_DAEMON_CURVE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/limits.h"
#include "daemon/strangers.h"

#define CURVE_NAME_BYTES 64U
#define CURVE_KEYS_DOMAIN "vesta"

typedef struct curve_keys curve_keys_t;

typedef struct curve_keys_config {
  void *context; /* ZeroMQ's: all its sockets that encrypt ask here; outlives the result */
  const char *key_file, *keys_dir;
  uint32_t keys_max;      /* more are not taken, which is said once */
  bool of_nodes;          /* else of subscribers */
  strangers_t *strangers; /* outlives the result */
} curve_keys_config_t;

/**
 * @param[out] why   in words
 * @return OK; ACCESS: the key file can't be read, or others can read it; NO_RESOURCES: ZeroMQ can't do it; NO_MEMORY
 */
vesta_err_t curve_keys_open(const curve_keys_config_t *config, curve_keys_t **out, char *why, size_t why_size);
void curve_keys_close(curve_keys_t **keys);

/** Before it is bound: only known keys get in, and the metadata "User-Id" of what comes is their NAME. */
bool curve_keys_serve(const curve_keys_t *keys, void *socket);
/** Before it is connected, to who has that name. The directory is read for it. @return false: the name is not known */
bool curve_keys_connect(curve_keys_t *keys, void *socket, const char *name);

/** To be looked at, edge-triggered: curve_keys_turn() when it is ready. */
int curve_keys_fd(const curve_keys_t *keys);
/** Answer ZeroMQ's questions. @return how many were refused */
uint32_t curve_keys_turn(curve_keys_t *keys, int64_t now_ns);

/** Has that name a key, still? */
bool curve_keys_has(curve_keys_t *keys, const char *name, int64_t now_ns);
/** How many keys are known. */
uint32_t curve_keys_count(const curve_keys_t *keys);

#endif
