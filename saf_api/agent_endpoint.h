/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where the daemon is, and a connected socket to it.
 *
 *   VESTA_SOCKET                      if set
 *   /run/vesta/vestad.sock            the system's, if it exists
 *   $XDG_RUNTIME_DIR/vesta/vestad.sock, else /tmp/vesta-UID/vestad.sock      this user's own
 *
 * The user's own directory must belong to the user alone: otherwise anybody could have put a socket there. A daemon is
 * started on demand (agent_spawn.h) only at the user's own place. The environment counts for nothing in a program that
 * runs with more rights than its user (AT_SECURE).
 */
#ifndef VESTA_SAF_API_AGENT_ENDPOINT_H
#define VESTA_SAF_API_AGENT_ENDPOINT_H

#include <sys/un.h>

#include "core/error.h"
#include "core/types.h"

typedef struct agent_endpoint {
  struct sockaddr_un address;
  bool own; /* the user's own place: a private daemon may be started there */
} agent_endpoint_t;

/**
 * Find it; makes the user's own directory when it is missing.
 * @return OK; TOO_LARGE when the path is too long for a socket; DENIED when the user's directory is not the user's
 *         alone; NO_RESOURCES when it can't be made
 */
vesta_err_t agent_endpoint_find(agent_endpoint_t *endpoint);

/**
 * Connect, without waiting.
 * @param[out] fd   blocking, with VESTA's slice as its timeout for sending and receiving; close-on-exec
 * @return OK; UNAVAILABLE when nobody listens there; TRY_AGAIN when the daemon is too busy; DENIED; NO_RESOURCES when
 *         this process has no descriptors left
 */
vesta_err_t agent_endpoint_connect(const agent_endpoint_t *endpoint, int *fd);

#define AGENT_SLICE_MS 100 /* no wait in the kernel is longer than this without a look at the deadline */

#endif
