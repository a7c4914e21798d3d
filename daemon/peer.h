/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who is at the other end of an agent's link: the kernel says, nothing the client claims is believed.
 *
 * A pidfd that the client sent of itself lets us see the very process die, whatever its pid is used for later. It is
 * checked against the credentials of the socket, so nobody can have another process watched in its place.
 */
#ifndef VESTA_DAEMON_PEER_H
#define VESTA_DAEMON_PEER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct peer {
  uint32_t uid;
  uint32_t pid; /* 0: in a pid namespace that we can't see */
} peer_t;

/** Who connected. @return false with errno */
bool peer_identify(int socket, peer_t *peer);

/** Is this descriptor a pidfd of that process, and does it live? */
bool peer_owns_pidfd(const peer_t *peer, int pidfd);

/** When a process began, in clock ticks since boot (/proc/PID/stat, field 22); 0 when nobody can say. Tells it from a
 *  later one of the same pid. */
uint64_t peer_process_start(uint32_t pid);

#define PEER_PROGRAM_BYTES 64U
/** The name of a process's program (/proc/PID/comm), which it may change; empty when nobody can say. */
void peer_process_program(uint32_t pid, char program[PEER_PROGRAM_BYTES]);

/** A pidfd of a process that began then. -1 when there is none any more, or no telling. */
int peer_process_open(uint32_t pid, uint64_t start);

#endif
