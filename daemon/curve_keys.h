/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who may subscribe over TCP: CURVE keys in files, and ZeroMQ's question whether a key is known.
 *
 *     KEY-FILE           a pair (notify/zmq/curve_files.h): the service's own
 *     KEYS-DIR/NAME.pub  a public key; NAME is 1 to CURVE_NAME_BYTES - 1 letters, digits, '.', '_', '-'
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

typedef struct curve_keys curve_keys_t;

/**
 * @param context    ZeroMQ's: all its sockets that encrypt ask here; outlives the result
 * @param strangers  so does that
 * @param[out] why   in words
 * @return OK; ACCESS: the key file can't be read, or others can read it; NO_RESOURCES: ZeroMQ can't do it; NO_MEMORY
 */
vesta_err_t curve_keys_open(void *context, const char *key_file, const char *keys_dir, strangers_t *strangers,
                            curve_keys_t **out, char *why, size_t why_size);
void curve_keys_close(curve_keys_t **keys);

/** Before it is bound: only known keys get in, and the metadata "User-Id" of what comes is their NAME. */
bool curve_keys_serve(const curve_keys_t *keys, void *socket);

/** To be looked at, edge-triggered: curve_keys_turn() when it is ready. */
int curve_keys_fd(const curve_keys_t *keys);
/** Answer ZeroMQ's questions. @return how many were refused */
uint32_t curve_keys_turn(curve_keys_t *keys, int64_t now_ns);

/** How many keys are known. */
uint32_t curve_keys_count(const curve_keys_t *keys);

#endif
