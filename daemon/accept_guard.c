/* SPDX-License-Identifier: BSD-2-Clause
 *
 * accept4(2), looked after.
 *
 * A connection's end is not seen here. So a door that seems to be full is swept first: a descriptor that is not a
 * connection of that port any more, from that address, does not count.
 */
#include "daemon/accept_guard.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.h"
#include "core/limits.h"

typedef union guard_address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  struct sockaddr_storage room;
} guard_address_t;

typedef struct guard_link {
  int fd;
  guard_address_t peer;
} guard_link_t;

typedef struct guard_door {
  uint16_t port; /* 0: there is no such door */
  uint32_t links_max;
  uint32_t count;
  uint64_t refused;
  guard_link_t links[VESTA_GUEST_LINKS_MAX];
} guard_door_t;

static atomic_int guard_files_max = INT_MAX;
static atomic_uint_least64_t guard_refused;
static atomic_int guard_highest = -1;
static _Thread_local bool guard_is_first_thread;

/* ZeroMQ's threads enter connections, the first one makes doors and reads. */
static pthread_mutex_t guard_lock = PTHREAD_MUTEX_INITIALIZER;
static guard_door_t guard_doors[ACCEPT_GUARD_DOORS_MAX];

void accept_guard_begin(int files_max) {
  guard_is_first_thread = true;
  atomic_store(&guard_files_max, files_max);
}

uint64_t accept_guard_refused(void) { return atomic_load(&guard_refused); }

int accept_guard_highest(void) { return atomic_load(&guard_highest); }

static void guard_note(int fd) {
  int highest = atomic_load(&guard_highest);
  while (fd > highest && !atomic_compare_exchange_weak(&guard_highest, &highest, fd)) {
  }
}

/* ---- doors ---- */

/* Of that port; of port 0: one that is free. The lock is held. */
static guard_door_t *guard_door_find(uint16_t port) {
  for (uint32_t i = 0; i < ACCEPT_GUARD_DOORS_MAX; i++) {
    if (guard_doors[i].port == port) {
      return &guard_doors[i];
    }
  }
  return NULL;
}

void accept_guard_door(uint16_t port, uint32_t links_max) {
  VESTA_ASSERT(port != 0 && links_max <= VESTA_GUEST_LINKS_MAX);
  (void)pthread_mutex_lock(&guard_lock);
  guard_door_t *door = guard_door_find(port);
  if (door == NULL) {
    door = guard_door_find(0);
    VESTA_ASSERT(door != NULL);
    door->port = port;
    door->links_max = 0;
    door->count = 0;
    door->refused = 0;
  }
  door->links_max = links_max > door->links_max ? links_max : door->links_max;
  (void)pthread_mutex_unlock(&guard_lock);
}

void accept_guard_door_end(uint16_t port) {
  (void)pthread_mutex_lock(&guard_lock);
  guard_door_t *door = guard_door_find(port);
  if (door != NULL) {
    door->port = 0;
    door->count = 0;
  }
  (void)pthread_mutex_unlock(&guard_lock);
}

uint64_t accept_guard_door_refused(uint16_t port) {
  (void)pthread_mutex_lock(&guard_lock);
  const guard_door_t *door = guard_door_find(port);
  uint64_t refused = door == NULL ? 0 : door->refused;
  (void)pthread_mutex_unlock(&guard_lock);
  return refused;
}

/* The TCP port of one end of a socket; 0: it has none. */
static uint16_t guard_port(int fd, int (*end_of)(int fd, __SOCKADDR_ARG address, socklen_t *restrict size),
                           guard_address_t *address) {
  socklen_t size = sizeof *address;
  memset(address, 0, sizeof *address);
  if (end_of(fd, (__SOCKADDR_ARG){.__sockaddr__ = &address->any}, &size) != 0) {
    return 0;
  }
  if (address->any.sa_family == AF_INET) {
    return ntohs(address->v4.sin_port);
  }
  return address->any.sa_family == AF_INET6 ? ntohs(address->v6.sin6_port) : 0;
}

bool accept_guard_is_at(int fd, uint16_t port) {
  guard_address_t address;
  int listens = 1;
  socklen_t size = sizeof listens;
  return guard_port(fd, getsockname, &address) == port &&
         getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens == 0;
}

static bool guard_link_lives(const guard_door_t *door, const guard_link_t *link) {
  guard_address_t peer;
  return accept_guard_is_at(link->fd, door->port) && guard_port(link->fd, getpeername, &peer) != 0 &&
         memcmp(&peer, &link->peer, sizeof peer) == 0;
}

static void guard_door_sweep(guard_door_t *door) {
  for (uint32_t i = 0; i < door->count;) {
    if (guard_link_lives(door, &door->links[i])) {
      i++;
    } else {
      door->links[i] = door->links[--door->count];
    }
  }
}

static void guard_door_forget(guard_door_t *door, int fd) {
  for (uint32_t i = 0; i < door->count; i++) {
    if (door->links[i].fd == fd) {
      door->links[i] = door->links[--door->count];
      return;
    }
  }
}

/* A new connection: is there room? */
static bool guard_door_enter(guard_door_t *door, int fd) {
  if (door->count == door->links_max) {
    guard_door_sweep(door);
  }
  if (door->count == door->links_max) {
    door->refused++;
    return false;
  }
  guard_link_t *link = &door->links[door->count++];
  link->fd = fd;
  (void)guard_port(fd, getpeername, &link->peer);
  return true;
}

static bool guard_doors_enter(int listener, int fd) {
  bool good = true;
  guard_address_t address;
  uint16_t port = guard_port(listener, getsockname, &address);
  (void)pthread_mutex_lock(&guard_lock);
  for (uint32_t i = 0; i < ACCEPT_GUARD_DOORS_MAX; i++) {
    guard_door_forget(&guard_doors[i], fd); /* whoever had that descriptor is gone, through whichever door it came */
  }
  guard_door_t *door = port == 0 ? NULL : guard_door_find(port);
  if (door != NULL) {
    good = guard_door_enter(door, fd);
  }
  (void)pthread_mutex_unlock(&guard_lock);
  return good;
}

bool accept_guard_address(int fd, char address[ACCEPT_GUARD_ADDRESS_BYTES]) {
  guard_address_t peer = {0};
  (void)pthread_mutex_lock(&guard_lock);
  for (uint32_t i = 0; i < ACCEPT_GUARD_DOORS_MAX; i++) {
    for (uint32_t j = 0; j < guard_doors[i].count; j++) {
      peer = guard_doors[i].links[j].fd == fd ? guard_doors[i].links[j].peer : peer;
    }
  }
  (void)pthread_mutex_unlock(&guard_lock);
  socklen_t size = peer.any.sa_family == AF_INET6 ? sizeof peer.v6 : sizeof peer.v4;
  return peer.any.sa_family != 0 &&
         getnameinfo(&peer.any, size, address, ACCEPT_GUARD_ADDRESS_BYTES, NULL, 0, NI_NUMERICHOST) == 0;
}

/* ---- accept4 ---- */

/* glibc declares the address as a union of all kinds of pointers; the definition has to say the same. */
__attribute__((visibility("default"))) int accept4(int listener, __SOCKADDR_ARG address, socklen_t *restrict size,
                                                   int flags) {
  int fd = (int)syscall(SYS_accept4, listener, address.__sockaddr__, size, flags);
  if (guard_is_first_thread) {
    return fd; /* the agents' door looks at the number itself, and says why it refuses */
  }
  if (fd >= atomic_load(&guard_files_max)) {
    (void)close(fd);
    fd = -1;
    errno = EMFILE;
  }
  if (fd < 0 && errno == EMFILE) {
    (void)atomic_fetch_add(&guard_refused, 1);
    errno = ECONNABORTED;
  }
  if (fd >= 0 && !guard_doors_enter(listener, fd)) {
    (void)close(fd);
    fd = -1;
    errno = ECONNABORTED;
  }
  guard_note(fd);
  return fd;
}
