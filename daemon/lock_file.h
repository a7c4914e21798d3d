/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A file whose lock says: there is one of us. The kernel lets go of it however the holder dies, so nothing has to be
 * cleaned up after kill -9.
 */
#ifndef VESTA_DAEMON_LOCK_FILE_H
#define VESTA_DAEMON_LOCK_FILE_H

#include "core/error.h"

/**
 * Open (or make, 0600) a file and lock it, without waiting. The file may be deleted by the holder at its end: what is
 * locked is known to be what the path names.
 * @param[out] fd   keeps the lock until it is closed
 * @return OK; BUSY when another process has it; ACCESS with errno otherwise
 */
vesta_err_t lock_file_take(const char *path, int *fd);

/** Write our process id into it, for people. */
void lock_file_sign(int fd);

#endif
