/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What vestad tells of itself: the answer to INFO, which `vesta status` shows and tests assert on. Lines of key=value;
 * doc/OPERATIONS.md says what each key means.
 */
#ifndef VESTA_DAEMON_INFO_H
#define VESTA_DAEMON_INFO_H

#include "daemon/node_runner.h"

#define INFO_BYTES_MAX 16384U

/** @return bytes written, not counting the final zero */
size_t info_write(const daemon_parts_t *parts, char *text, size_t capacity);

#endif
