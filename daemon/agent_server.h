/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The agents' door: a listening AF_UNIX socket and the links that came in through it.
 *
 * A link is one connected socket. It is numbered (from 1, never reused), its peer is known from the kernel, and what it
 * sends is cut into messages and handed on. It begins NEW:
 *
 *   NEW       nothing came yet; for AGENT_GREETING_NS at most
 *   CALLS     its first message was a HELLO, or anything else that is no HELLO_CALLBACKS
 *   CALLBACKS its first message was HELLO_CALLBACKS
 *   REFUSED   it may not come in: its first message is answered with the reason, then it is closed
 *   CLOSING   nothing is read any more; closed when what is queued was sent
 *
 * At most clients_max links are CALLS and as many are CALLBACKS. Descriptors are numbered from below, so a new one's number says
 * how many are in use: from files_max on links are refused, and what is left above is enough to say so and for the
 * rest of the daemon.
 *
 * A link that is to go is only marked during a turn (doomed); agent_server_reap() closes it and tells of it, so that
 * nobody loses the ground under his feet. Its cost does not grow with links that are idle.
 */
#ifndef VESTA_DAEMON_AGENT_SERVER_H
#define VESTA_DAEMON_AGENT_SERVER_H

#include "core/wire.h"
#include "daemon/loop.h"
#include "daemon/private_dir.h"

#define AGENT_GREETING_NS 10000000000LL /* a link that does not say HELLO for so long is closed */

typedef struct agent_server agent_server_t;

typedef struct agent_request {
  uint64_t link;
  const wire_message_t *message;
  vesta_bytes_t payload; /* like the message, valid during the call */
  uint32_t uid, pid;     /* of a HELLO and HELLO_CALLBACKS: who, as the kernel says */
  uint64_t start;        /* of a HELLO: when that process began; 0 unknown */
  vesta_bytes_t program; /* of a HELLO: that process's name */
  bool watchable;        /* of a HELLO: it sent a pidfd of itself, agent_server_take_pidfd() has it */
} agent_request_t;

typedef struct agent_server_config {
  const char *socket;
  gid_t group; /* its members may connect; PRIVATE_DIR_NO_GROUP: this user and root only */
  uint64_t clients_max;
  int files_max;
  void *context; /* of the two */
  void (*request)(void *context, const agent_request_t *request);
  void (*gone)(void *context, uint64_t link);
} agent_server_config_t;

/**
 * Take the socket's place: what a dead vestad left there is removed, a living one is not disturbed. A socket that systemd
 * passed (LISTEN_FDS) is used instead of making one.
 * @param config     copied; its strings live as long as the server
 * @param[out] why   says what is wrong, in words
 * @return OK; BUSY somebody serves there; ACCESS; NO_MEMORY
 */
vesta_err_t agent_server_open(const agent_server_config_t *config, loop_t *loop, agent_server_t **out, char *why,
                              size_t why_size);
/** Close all links and remove the socket. Nobody is told. */
void agent_server_close(agent_server_t **server);

/** Send a message. A link that is gone, going or too slow is none of the caller's trouble.
 *  @param attach   a descriptor to go with it, -1: none. Taken over. */
void agent_server_send(agent_server_t *server, uint64_t link, const wire_message_t *message, vesta_bytes_t payload,
                       int attach);
/** Close a link when what was sent is on its way. */
void agent_server_close_link(agent_server_t *server, uint64_t link);

/** The pidfd that a link's HELLO brought. It is the caller's now. -1: there is none. */
int agent_server_take_pidfd(agent_server_t *server, uint64_t link, uint32_t *pid, uint64_t *start);

/** Close doomed links, tell config.gone() of each. To be called at the end of a turn, until it returns false. */
bool agent_server_reap(agent_server_t *server);

/** Links that never greeted are closed. */
void agent_server_time(agent_server_t *server, int64_t steady_ns);
int64_t agent_server_wake_ns(const agent_server_t *server);

/** For a daemon that wants to end: nobody can connect to it any more. @return false when that can't be had */
bool agent_server_hide(agent_server_t *server);
/** Has somebody connected before it was hidden? Takes them in. */
bool agent_server_is_called(agent_server_t *server);
/** It shall not end after all. */
void agent_server_show(agent_server_t *server);

/* Counters, for INFO and for tests. name, text */
#define AGENT_COUNTERS(X)                                                     \
  X(LINKS, "links connected now")                                             \
  X(LINKS_ACCEPTED, "links accepted")                                         \
  X(LINKS_DENIED, "links refused, the user may not connect")                  \
  X(LINKS_REFUSED, "links refused, a limit was reached")                      \
  X(LINKS_MALFORMED, "links closed, what they sent was no message")           \
  X(LINKS_SLOW, "links closed, too many answers waited for them")             \
  X(LINKS_MUTE, "links closed, they said nothing")                            \
  X(STAGES, "links that share memory for large payloads now")                 \
  X(STAGES_REFUSED, "refused such memory, a limit was reached")               \
  X(STAGED, "messages whose payload came through it")                         \
  X(MESSAGES, "messages received")                                            \
  X(MESSAGES_UNKNOWN, "messages answered with VERSION")                       \
  X(MESSAGES_TOO_MUCH, "messages answered with an error, no memory for them") \
  X(HELD_BYTES, "bytes of unfinished requests and unread answers now")        \
  X(HELD_BYTES_MAX, "bound of these bytes")

typedef enum agent_counter {
#define AGENT_COUNTER_ENUM(name, text) AGENT_COUNTER_##name,
  AGENT_COUNTERS(AGENT_COUNTER_ENUM)
#undef AGENT_COUNTER_ENUM
      AGENT_COUNTER_COUNT
} agent_counter_t;
uint64_t agent_server_counter(const agent_server_t *server, agent_counter_t counter);

#endif
