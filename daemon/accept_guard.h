/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Keeps subscribers from ending vestad.
 *
 * libzmq accepts subscribers' connections by itself, on its own threads, without a bound, and calls abort() when the process
 * is out of descriptors (ipc_listener.cpp; EMFILE is not among the errors it expects). Nothing in its API stands before
 * that: its monitor tells afterwards. So accept4() itself is ours in this program: on any thread but the first a
 * connection whose descriptor is beyond the limit is closed again, and libzmq is told ECONNABORTED, which it does expect.
 * The subscriber's ZeroMQ connects again by itself, later.
 *
 * A TCP port that strangers reach is a *door*: of its connections a number of its own is let in, so that whoever fills it
 * takes no descriptor from local programs. Who comes through is remembered, to be named when it turns out to be a stranger.
 *
 * The dynamic linker takes the program's definition before libc's; a system test holds that it still does.
 */
#ifndef VESTA_DAEMON_ACCEPT_GUARD_H
#define VESTA_DAEMON_ACCEPT_GUARD_H

#include <stdbool.h>
#include <stdint.h>

/** From now on; called on the first thread, before libzmq has one. */
void accept_guard_begin(int files_max);

/** The highest descriptor of a connection that was let in; -1: none was. */
int accept_guard_highest(void);

/** Connections closed for this reason. */
uint64_t accept_guard_refused(void);

#define ACCEPT_GUARD_DOORS_MAX 3U /* two for guests, one for other nodes */
#define ACCEPT_GUARD_ADDRESS_BYTES 80U

/** Before anything listens at that port: at most so many connections at a time, VESTA_GUEST_LINKS_MAX at most. There are
 *  ACCEPT_GUARD_DOORS_MAX doors at most; the same port of two addresses is one, and as wide as the wider. */
void accept_guard_door(uint16_t port, uint32_t links_max);
/** Nothing listens there any more. A port that is no door is taken. */
void accept_guard_door_end(uint16_t port);
/** Connections closed because that door was full; 0: it is none. */
uint64_t accept_guard_door_refused(uint16_t port);
/** Whose a connection is, or was last, that came with this descriptor. @return false: of none that is remembered */
bool accept_guard_address(int fd, char address[ACCEPT_GUARD_ADDRESS_BYTES]);

/** Is this descriptor, now, a connection that was accepted at that TCP port? */
bool accept_guard_is_at(int fd, uint16_t port);

#endif
