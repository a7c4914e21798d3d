/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A service on another machine: where it is, how one knows it, and how a stream is asked for there.
 *
 *   tcp://ADDRESS:PORT        requests, FOLLOW_GET among them        tcp://ADDRESS:PORT+1     what is published
 *
 * There may be several servers, the nodes of one cluster: who can't be had is passed over for the next one. What a stream
 * has is a position of the checkpoint, so it goes on at another node as at the same.
 *
 * With keys the service has to prove that it is the one whose public key is given, and this side that it has its own
 * pair; nothing else is said before.
 */
#ifndef VESTA_NOTIFY_ZMQ_STREAM_REMOTE_H
#define VESTA_NOTIFY_ZMQ_STREAM_REMOTE_H

#include <stdbool.h>

#include "core/limits.h"
#include "core/types.h"
#include "notify/zmq/curve_files.h"

#define STREAM_REMOTE_ENDPOINTS_BYTES 512U
/* A connection may be lost without a word on either side, and a socket that only asks would never know: it tries it this
 * often, and makes another when nothing came for so long, */
#define STREAM_REMOTE_HEARTBEAT_MS 1000
#define STREAM_REMOTE_HEARTBEAT_LIMIT_MS 3000
#define STREAM_REMOTE_HANDSHAKE_MS 5000 /* or when the beginning takes longer than this */

typedef struct stream_remote stream_remote_t;

/* How a socket proves who it is, and what it wants proved. */
typedef struct stream_curve {
  char server_key[CURVE_KEY_BYTES];
  curve_pair_t own;
} stream_curve_t;

/** A socket that asks notices when its connection is lost. Before it is connected. */
void stream_remote_watch(void *socket);

/** Before the socket is connected. @return false: this ZeroMQ can't encrypt */
bool stream_curve_apply(const stream_curve_t *curve, void *socket);

typedef struct stream_remote_config {
  const char *servers;     /* "tcp://ADDRESS:PORT", up to VESTA_STREAM_SERVERS_MAX of them with spaces between */
  const char *server_keys; /* files of their public keys, as many, or one for all; NULL: nothing is encrypted */
  const char *key;         /* file of this side's pair; NULL exactly if that is */
  vesta_bytes_t name;      /* of the checkpoint */
} stream_remote_config_t;

/** @param config   copied   @return OK; INVALID_PARAM: no such servers, or a file of keys is none; NO_MEMORY */
vesta_err_t stream_remote_open(const stream_remote_config_t *config, stream_remote_t **out);
/** NULL is allowed. @param mine   false: this is a forked child, ZeroMQ's part is left alone */
void stream_remote_close(stream_remote_t **remote, bool mine);

/* What was asked for. */
typedef struct stream_remote_answer {
  vesta_token_t token;
  uint64_t checkpoint, handle, member;
  vesta_bytes_t endpoints;     /* "XPUB-ENDPOINT ROUTER-ENDPOINT"; with: */
  const stream_curve_t *curve; /* NULL: none; both live as long as the remote */
} stream_remote_answer_t;

/**
 * Ask for a stream, or wait on for the answer.
 * @param member     what it was listed by before, 0: it is a new one
 * @param until_ns   steady
 * @return OK
 *         TIMEOUT        no answer yet: call again, it is waited for
 *         UNAVAILABLE    nobody answers at any of the addresses
 *         ACCESS         the service does not know this side's key
 *         DENIED         who answers does not prove to have the server's key: another one, none, or no service at all
 *         NO_RESOURCES   too few descriptors here, or too many streams there;   NO_MEMORY
 *         or what else the service says: NOT_EXIST, there is no such checkpoint; VERSION
 */
vesta_err_t stream_remote_ask(stream_remote_t *remote, uint64_t member, int64_t until_ns,
                              stream_remote_answer_t *answer);

/** Who was asked last has answered, but is of no use: ask the next one, if there are several. */
void stream_remote_pass_over(stream_remote_t *remote);

#endif
