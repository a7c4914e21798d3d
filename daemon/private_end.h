/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How a private daemon ends by itself, without anybody being left with a socket that is about to go.
 *
 * A process that finds no daemon starts one under a lock beside the socket. The daemon that has been idle for its linger
 * time takes the same lock, so nobody can be starting one; takes its socket's name away, so nobody can connect; takes
 * in who connected before that; and only if there is none it ends, with the lock in its hand.
 *
 *   BUSY --idle--> IDLE since t --linger--> lock, hide, look again --nobody--> END
 *     ^                                             |
 *     +---------------------- somebody -------------+
 */
#ifndef VESTA_DAEMON_PRIVATE_END_H
#define VESTA_DAEMON_PRIVATE_END_H

#include "daemon/agent_server.h"

typedef struct private_end {
  const char *socket;
  int64_t linger_ns;
  int64_t idle_since_ns; /* INT64_MAX: it is not idle */
  int lock;              /* -1; kept until the process is gone */
} private_end_t;

void private_end_init(private_end_t *end, const char *socket, int64_t linger_ns);

/** At the end of a turn. @return true: nobody needs us and nobody can come any more; end now */
bool private_end_turn(private_end_t *end, agent_server_t *server, bool idle, int64_t steady_ns);
/** When to look again. */
int64_t private_end_wake_ns(const private_end_t *end);

#endif
