/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Keeps subscribers from ending vestad.
 *
 * libzmq accepts subscribers' connections by itself, on its own thread, without a bound, and calls abort() when the process
 * is out of descriptors (ipc_listener.cpp; EMFILE is not among the errors it expects). Nothing in its API stands before
 * that: its monitor tells afterwards. So accept4() itself is ours in this program: on any thread but the first a
 * connection whose descriptor is beyond the limit is closed again, and libzmq is told ECONNABORTED, which it does expect.
 * The subscriber's ZeroMQ connects again by itself, later.
 *
 * The dynamic linker takes the program's definition before libc's; a system test holds that it still does.
 */
#ifndef VESTA_DAEMON_ACCEPT_GUARD_H
#define VESTA_DAEMON_ACCEPT_GUARD_H

#include <stdint.h>

/** From now on; called on the first thread, before libzmq has one. */
void accept_guard_begin(int files_max);

/** The highest descriptor of a connection that was let in; -1: none was. */
int accept_guard_highest(void);

/** Connections closed for this reason. */
uint64_t accept_guard_refused(void);

#endif
