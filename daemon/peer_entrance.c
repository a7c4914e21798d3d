/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See peer_entrance.h.
 */
#include "daemon/peer_entrance.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ENTRANCE_ADDRESS_BYTES 128U
#define ENTRANCE_BACKLOG ((int)VESTA_PEER_ENTRANCE_MAX)
#define ENTRANCE_TAKES 16                     /* each time */
#define ENTRANCE_PAUSE_NS INT64_C(1000000000) /* no descriptor is left: tried again after this */

typedef struct entrance_guest {
  struct peer_entrance *entrance;
  loop_source_t source;
  int fd; /* -1: none */
  int64_t since_ns;
  uint8_t token[PEER_TOKEN_BYTES];
  size_t have; /* of it */
} entrance_guest_t;

struct peer_entrance {
  loop_t *loop;
  int fd;
  loop_source_t source;
  uint16_t port;
  peer_entrance_shown_t shown;
  peer_entrance_expects_t expects;
  void *context;
  bool admits;
  entrance_guest_t guests[VESTA_PEER_ENTRANCE_MAX];
  uint32_t guest_count;
  uint32_t refused;
  int64_t pause_ns; /* nobody is let in before; 0: now */
};

static void guest_remove(entrance_guest_t *guest) {
  loop_remove(guest->entrance->loop, &guest->source);
  guest->fd = -1;
  guest->entrance->guest_count--;
}

static void guest_refuse(entrance_guest_t *guest) {
  int fd = guest->fd;
  guest_remove(guest);
  (void)close(fd);
  guest->entrance->refused++;
}

/* No more than the token is read: what comes behind it is the stream's. */
static void guest_ready(void *context, uint32_t events) {
  entrance_guest_t *guest = context;
  ssize_t size = recv(guest->fd, guest->token + guest->have, sizeof guest->token - guest->have, MSG_DONTWAIT);
  (void)events;
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (size <= 0) {
    guest_refuse(guest);
    return;
  }
  guest->have += (size_t)size;
  if (guest->have == sizeof guest->token) {
    int fd = guest->fd;
    guest_remove(guest);
    if (!guest->entrance->shown(guest->entrance->context, guest->token, fd)) {
      (void)close(fd);
      guest->entrance->refused++;
    }
  }
}

/* What listens stays ready: it is watched only when somebody may come in. */
static void entrance_watch(peer_entrance_t *entrance) {
  loop_change(entrance->loop, &entrance->source, entrance->admits && entrance->pause_ns == 0 ? EPOLLIN : 0);
}

static bool entrance_expects(const peer_entrance_t *entrance, int fd) {
  struct sockaddr_storage from = {0};
  socklen_t size = sizeof from;
  char address[ENTRANCE_ADDRESS_BYTES];
  return getpeername(fd, (struct sockaddr *)&from, &size) == 0 &&
         getnameinfo((struct sockaddr *)&from, size, address, sizeof address, NULL, 0, NI_NUMERICHOST) == 0 &&
         entrance->expects(entrance->context, address);
}

/* For a connection that came; NULL: there is none for it. */
static entrance_guest_t *entrance_place(peer_entrance_t *entrance, int fd) {
  entrance_guest_t *oldest = &entrance->guests[0];
  for (uint32_t i = 0; i < VESTA_PEER_ENTRANCE_MAX; i++) {
    entrance_guest_t *guest = &entrance->guests[i];
    if (guest->fd < 0) {
      return guest;
    }
    oldest = guest->since_ns < oldest->since_ns ? guest : oldest;
  }
  if (!entrance_expects(entrance, fd)) {
    return NULL;
  }
  guest_refuse(oldest);
  return oldest;
}

static void entrance_ready(void *context, uint32_t events) {
  peer_entrance_t *entrance = context;
  (void)events;
  for (int i = 0; i < ENTRANCE_TAKES; i++) {
    int fd = accept4(entrance->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        entrance->pause_ns = loop_steady_ns() + ENTRANCE_PAUSE_NS;
        entrance_watch(entrance);
      }
      return;
    }
    entrance_guest_t *guest = entrance_place(entrance, fd);
    if (guest == NULL) {
      (void)close(fd);
      entrance->refused++;
      continue;
    }
    *guest = (entrance_guest_t){.entrance = entrance, .fd = fd, .since_ns = loop_steady_ns()};
    if (loop_add(entrance->loop, &guest->source, fd, EPOLLIN, guest_ready, guest)) {
      entrance->guest_count++;
    } else {
      (void)close(fd);
      guest->fd = -1;
    }
  }
}

/* ---- listening ---- */

/* "tcp://ADDRESS:PORT", the address of IPv6 in brackets. */
static bool endpoint_split(const char *endpoint, char address[ENTRANCE_ADDRESS_BYTES], unsigned *port) {
  const char *begin = strstr(endpoint, "://");
  const char *end = strrchr(endpoint, ':');
  if (begin == NULL || end < begin + 3 || sscanf(end, ":%u", port) != 1) {
    return false;
  }
  begin += 3;
  if (*begin == '[' && end[-1] == ']') {
    begin++;
    end--;
  }
  int size = (int)(end - begin);
  return snprintf(address, ENTRANCE_ADDRESS_BYTES, "%.*s", size, begin) < (int)ENTRANCE_ADDRESS_BYTES;
}

static int entrance_listen(const struct addrinfo *at) {
  const int yes = 1;
  const int no = 0;
  int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    return -1;
  }
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (at->ai_family == AF_INET6) {
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
  }
  if (bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, ENTRANCE_BACKLOG) != 0) {
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
  }
  return fd;
}

static int entrance_listen_at(const char *address, unsigned port) {
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
  struct addrinfo *found;
  char service[16];
  (void)snprintf(service, sizeof service, "%u", port);
  if (getaddrinfo(address, service, &hints, &found) != 0) {
    errno = EADDRNOTAVAIL;
    return -1;
  }
  int fd = entrance_listen(found);
  freeaddrinfo(found);
  return fd;
}

static uint16_t socket_port(int fd) {
  struct sockaddr_storage address = {0};
  socklen_t size = sizeof address;
  char service[8] = "0";
  (void)getsockname(fd, (struct sockaddr *)&address, &size);
  (void)getnameinfo((struct sockaddr *)&address, size, NULL, 0, service, sizeof service, NI_NUMERICSERV);
  return (uint16_t)strtoul(service, NULL, 10);
}

peer_entrance_t *peer_entrance_open(loop_t *loop, const char *endpoint, peer_entrance_shown_t shown,
                                    peer_entrance_expects_t expects, void *context) {
  char address[ENTRANCE_ADDRESS_BYTES];
  unsigned port;
  peer_entrance_t *entrance = calloc(1, sizeof *entrance);
  if (entrance == NULL) {
    return NULL;
  }
  *entrance = (peer_entrance_t){.loop = loop, .fd = -1, .shown = shown, .expects = expects, .context = context};
  for (uint32_t i = 0; i < VESTA_PEER_ENTRANCE_MAX; i++) {
    entrance->guests[i].fd = -1;
  }
  errno = EADDRNOTAVAIL;
  if (endpoint_split(endpoint, address, &port)) {
    entrance->fd = port < UINT16_MAX ? entrance_listen_at(address, port + 1) : -1;
    if (entrance->fd < 0) {
      entrance->fd = entrance_listen_at(address, 0);
    }
  }
  if (entrance->fd < 0 || !loop_add(loop, &entrance->source, entrance->fd, 0, entrance_ready, entrance)) {
    peer_entrance_close(&entrance);
    return NULL;
  }
  entrance->port = socket_port(entrance->fd);
  return entrance;
}

void peer_entrance_close(peer_entrance_t **out) {
  peer_entrance_t *entrance = *out;
  if (entrance == NULL) {
    return;
  }
  for (uint32_t i = 0; i < VESTA_PEER_ENTRANCE_MAX; i++) {
    if (entrance->guests[i].fd >= 0) {
      guest_refuse(&entrance->guests[i]);
    }
  }
  if (entrance->source.context != NULL) {
    loop_remove(entrance->loop, &entrance->source);
  }
  if (entrance->fd >= 0) {
    (void)close(entrance->fd);
  }
  free(entrance);
  *out = NULL;
}

uint16_t peer_entrance_port(const peer_entrance_t *entrance) { return entrance->port; }

void peer_entrance_admit(peer_entrance_t *entrance, bool admits) {
  if (entrance->admits != admits) {
    entrance->admits = admits;
    entrance_watch(entrance);
  }
}

uint32_t peer_entrance_turn(peer_entrance_t *entrance, int64_t now_ns) {
  if (entrance->pause_ns != 0 && now_ns >= entrance->pause_ns) {
    entrance->pause_ns = 0;
    entrance_watch(entrance);
  }
  for (uint32_t i = 0; entrance->guest_count > 0 && i < VESTA_PEER_ENTRANCE_MAX; i++) {
    entrance_guest_t *guest = &entrance->guests[i];
    if (guest->fd >= 0 && now_ns >= guest->since_ns + PEER_ENTRANCE_NS) {
      guest_refuse(guest);
    }
  }
  uint32_t refused = entrance->refused;
  entrance->refused = 0;
  return refused;
}

int64_t peer_entrance_wake_ns(const peer_entrance_t *entrance) {
  int64_t wake_ns = entrance->pause_ns == 0 ? INT64_MAX : entrance->pause_ns;
  for (uint32_t i = 0; entrance->guest_count > 0 && i < VESTA_PEER_ENTRANCE_MAX; i++) {
    const entrance_guest_t *guest = &entrance->guests[i];
    if (guest->fd >= 0 && guest->since_ns + PEER_ENTRANCE_NS < wake_ns) {
      wake_ns = guest->since_ns + PEER_ENTRANCE_NS;
    }
  }
  return wake_ns;
}
