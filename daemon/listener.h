/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A listening AF_UNIX socket and its name in the file system.
 */
#ifndef VESTA_DAEMON_LISTENER_H
#define VESTA_DAEMON_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/error.h"

typedef struct listener {
  int fd;
  const char *path;
  bool hidden;
  bool inherited; /* systemd made it and will keep it: its name is not ours to remove */
} listener_t;

/**
 * Bind and listen at `path`, or take the socket that systemd passed. The name of a dead socket is taken over.
 * @param path    lives as long as the listener
 * @param group   may connect as well, PRIVATE_DIR_NO_GROUP: nobody
 * @return OK; BUSY when somebody answers there; ACCESS, also when what is there is no socket
 */
vesta_err_t listener_open(listener_t *listener, const char *path, gid_t group, char *why, size_t why_size);
/** Close it and remove its name. */
void listener_close(listener_t *listener);

/** Take the name away, so that nobody can connect, without closing. @return false when it can't be */
bool listener_hide(listener_t *listener);
/** Put it back. */
void listener_show(listener_t *listener);

#endif
