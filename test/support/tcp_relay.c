/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See tcp_relay.h.
 */
#include "test/support/tcp_relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "test/support/deadline.h"

#define RELAY_DOORS 2U
#define RELAY_LINKS_MAX 256U
#define RELAY_CHUNK_BYTES 16384U

/* What was read at one end and is to be written at the other. */
typedef struct relay_way {
  size_t size, sent;
  uint8_t bytes[RELAY_CHUNK_BYTES];
} relay_way_t;

typedef struct relay_link {
  struct relay_link *next;
  tcp_relay_door_t door;
  int fds[2];          /* the guest's, the service's */
  relay_way_t ways[2]; /* from each of them */
  bool lost;           /* whatever is read */
  bool over;
} relay_link_t;

/* What the thread looks at. */
typedef struct relay_look {
  struct pollfd fds[1 + RELAY_DOORS + 2 * RELAY_LINKS_MAX];
  bool holds[RELAY_DOORS];
} relay_look_t;

struct tcp_relay {
  int listeners[RELAY_DOORS];
  struct sockaddr_in services[RELAY_DOORS];
  int wake; /* eventfd: look at the wishes */
  pthread_t thread;
  relay_link_t *links;
  relay_link_t *spare; /* of the pool */
  relay_link_t pool[RELAY_LINKS_MAX];
  relay_look_t look;

  pthread_mutex_t lock; /* of the wishes and of what came */
  pthread_cond_t came_one;
  bool cut[RELAY_DOORS], lose[RELAY_DOORS], holds[RELAY_DOORS], end;
  unsigned came[RELAY_DOORS];
};

static void relay_fail(const char *what) {
  (void)fprintf(stderr, "tcp_relay: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* ---- links ---- */

/* The connection ends, whoever else has the descriptor. */
static void fd_end(int fd) {
  if (fd >= 0) {
    (void)shutdown(fd, SHUT_RDWR);
    (void)close(fd);
  }
}

static void links_sweep(tcp_relay_t *relay) {
  for (relay_link_t **at = &relay->links; *at != NULL;) {
    relay_link_t *link = *at;
    if (!link->over) {
      at = &link->next;
      continue;
    }
    *at = link->next;
    fd_end(link->fds[0]);
    fd_end(link->fds[1]);
    link->next = relay->spare;
    relay->spare = link;
  }
}

/* Without memory of its own: the test may be forking, and a sanitizer's malloc() is not made for that. */
static void link_accept(tcp_relay_t *relay, tcp_relay_door_t door) {
  int guest = accept4(relay->listeners[door], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (guest < 0) {
    return;
  }
  int service = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  relay_link_t *link = relay->spare;
  if (link == NULL || service < 0 ||
      connect(service, (struct sockaddr *)&relay->services[door], sizeof relay->services[door]) != 0) {
    fd_end(guest);
    fd_end(service);
  } else {
    relay->spare = link->next;
    link->next = relay->links;
    link->door = door;
    link->fds[0] = guest;
    link->fds[1] = service;
    link->ways[0].size = link->ways[0].sent = 0;
    link->ways[1].size = link->ways[1].sent = 0;
    link->lost = false;
    link->over = false;
    relay->links = link;
  }
  (void)pthread_mutex_lock(&relay->lock);
  relay->came[door]++;
  (void)pthread_cond_broadcast(&relay->came_one);
  (void)pthread_mutex_unlock(&relay->lock);
}

static bool is_for_later(void) { return errno == EAGAIN || errno == EINTR; }

/* From one end to the other. */
static void link_hand_on(relay_link_t *link, size_t from) {
  relay_way_t *way = &link->ways[from];
  if (way->sent == way->size && link->fds[from] >= 0) {
    ssize_t size = recv(link->fds[from], way->bytes, sizeof way->bytes, MSG_DONTWAIT);
    bool ended = size == 0 || (size < 0 && !is_for_later());
    link->over |= ended && !link->lost; /* else its other end is not told, and this one is ended with it */
    way->size = size > 0 && !link->lost ? (size_t)size : 0;
    way->sent = 0;
    if (ended && link->lost) {
      (void)close(link->fds[from]);
      link->fds[from] = -1;
    }
  }
  if (way->sent < way->size) {
    ssize_t size =
        send(link->fds[1 - from], way->bytes + way->sent, way->size - way->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    link->over |= size < 0 && !is_for_later();
    way->sent += size > 0 ? (size_t)size : 0;
  }
}

/* ---- the thread ---- */

/* What was wished for. @return false: the end */
static bool relay_obey(tcp_relay_t *relay, relay_look_t *look) {
  (void)pthread_mutex_lock(&relay->lock);
  for (relay_link_t *link = relay->links; link != NULL; link = link->next) {
    link->over |= relay->cut[link->door];
    link->lost |= relay->lose[link->door];
  }
  memset(relay->cut, 0, sizeof relay->cut);
  memset(relay->lose, 0, sizeof relay->lose);
  memcpy(look->holds, relay->holds, sizeof look->holds);
  bool goes_on = !relay->end;
  (void)pthread_mutex_unlock(&relay->lock);
  links_sweep(relay);
  return goes_on;
}

/* One end is read when what was read there before is written, else it is waited for until that can be. */
static void link_poll(const relay_link_t *link, bool held, struct pollfd fds[2]) {
  fds[0] = (struct pollfd){.fd = held ? -1 : link->fds[0]};
  fds[1] = (struct pollfd){.fd = held ? -1 : link->fds[1]};
  for (size_t from = 0; from < 2; from++) {
    bool waits = link->ways[from].sent < link->ways[from].size;
    fds[waits ? 1 - from : from].events |= waits ? POLLOUT : POLLIN;
  }
}

static void *relay_run(void *argument) {
  static const short any = POLLIN | POLLOUT | POLLERR | POLLHUP;
  tcp_relay_t *relay = argument;
  relay_look_t *look = &relay->look;
  while (relay_obey(relay, look)) {
    nfds_t count = 0;
    look->fds[count++] = (struct pollfd){.fd = relay->wake, .events = POLLIN};
    for (size_t door = 0; door < RELAY_DOORS; door++) {
      look->fds[count++] = (struct pollfd){.fd = look->holds[door] ? -1 : relay->listeners[door], .events = POLLIN};
    }
    for (const relay_link_t *link = relay->links; link != NULL; link = link->next, count += 2) {
      link_poll(link, look->holds[link->door], &look->fds[count]);
    }
    (void)poll(look->fds, count, -1);
    nfds_t at = 1 + RELAY_DOORS;
    for (relay_link_t *link = relay->links; link != NULL; link = link->next, at += 2) {
      for (size_t from = 0; from < 2 && !link->over && !look->holds[link->door]; from++) {
        if (((look->fds[at].revents | look->fds[at + 1].revents) & any) != 0) {
          link_hand_on(link, from);
        }
      }
    }
    for (size_t door = 0; door < RELAY_DOORS; door++) {
      if ((look->fds[1 + door].revents & POLLIN) != 0) {
        link_accept(relay, (tcp_relay_door_t)door);
      }
    }
    eventfd_t wakes;
    (void)eventfd_read(relay->wake, &wakes);
  }
  return NULL;
}

/* ---- the outside ---- */

static struct sockaddr_in relay_address(const char *address, unsigned port) {
  struct sockaddr_in made = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, address, &made.sin_addr) != 1) {
    relay_fail(address);
  }
  return made;
}

static int relay_listen(const char *address, unsigned port) {
  struct sockaddr_in at = relay_address(address, port);
  int on = 1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, SOMAXCONN) != 0) {
    relay_fail("listening");
  }
  return fd;
}

tcp_relay_t *tcp_relay_open(const char *address, unsigned port, unsigned service_port) {
  tcp_relay_t *relay = calloc(1, sizeof *relay);
  if (relay == NULL) {
    relay_fail("memory");
  }
  for (size_t i = 0; i < RELAY_LINKS_MAX; i++) {
    relay->pool[i].next = relay->spare;
    relay->spare = &relay->pool[i];
  }
  for (unsigned door = 0; door < RELAY_DOORS; door++) {
    relay->listeners[door] = relay_listen(address, port + door);
    relay->services[door] = relay_address(address, service_port + door);
  }
  relay->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  pthread_condattr_t clock;
  (void)pthread_condattr_init(&clock);
  (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  (void)pthread_mutex_init(&relay->lock, NULL);
  (void)pthread_cond_init(&relay->came_one, &clock);
  (void)pthread_condattr_destroy(&clock);
  if (relay->wake < 0 || pthread_create(&relay->thread, NULL, relay_run, relay) != 0) {
    relay_fail("thread");
  }
  return relay;
}

static void relay_wish(tcp_relay_t *relay, bool *wish, bool what) {
  (void)pthread_mutex_lock(&relay->lock);
  *wish = what;
  (void)pthread_mutex_unlock(&relay->lock);
  (void)eventfd_write(relay->wake, 1);
}

void tcp_relay_close(tcp_relay_t **relay_pointer) {
  tcp_relay_t *relay = *relay_pointer;
  if (relay == NULL) {
    return;
  }
  relay_wish(relay, &relay->end, true);
  (void)pthread_join(relay->thread, NULL);
  for (relay_link_t *link = relay->links; link != NULL; link = link->next) {
    link->over = true;
  }
  links_sweep(relay);
  for (unsigned door = 0; door < RELAY_DOORS; door++) {
    fd_end(relay->listeners[door]);
  }
  (void)close(relay->wake);
  (void)pthread_cond_destroy(&relay->came_one);
  (void)pthread_mutex_destroy(&relay->lock);
  free(relay);
  *relay_pointer = NULL;
}

void tcp_relay_cut(tcp_relay_t *relay, tcp_relay_door_t door) { relay_wish(relay, &relay->cut[door], true); }

void tcp_relay_lose(tcp_relay_t *relay, tcp_relay_door_t door) { relay_wish(relay, &relay->lose[door], true); }

void tcp_relay_hold(tcp_relay_t *relay, tcp_relay_door_t door, bool holds) {
  relay_wish(relay, &relay->holds[door], holds);
}

bool tcp_relay_wait(tcp_relay_t *relay, tcp_relay_door_t door, unsigned connections) {
  struct timespec until;
  (void)clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += TEST_DEADLINE_MS / 1000;
  (void)pthread_mutex_lock(&relay->lock);
  int error = 0;
  while (relay->came[door] < connections && error == 0) {
    error = pthread_cond_timedwait(&relay->came_one, &relay->lock, &until);
  }
  bool enough = relay->came[door] >= connections;
  (void)pthread_mutex_unlock(&relay->lock);
  return enough;
}

unsigned tcp_relay_connections(tcp_relay_t *relay, tcp_relay_door_t door) {
  (void)pthread_mutex_lock(&relay->lock);
  unsigned came = relay->came[door];
  (void)pthread_mutex_unlock(&relay->lock);
  return came;
}
