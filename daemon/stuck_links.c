/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stuck_links.h.
 */
#include "daemon/stuck_links.h"

#include <linux/sockios.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon/accept_guard.h"

static bool link_is_local(int fd, const char *path) {
  struct sockaddr_un address = {0};
  socklen_t size = sizeof address;
  int listens = 0;
  socklen_t listens_size = sizeof listens;
  return getsockname(fd, (struct sockaddr *)&address, &size) == 0 && address.sun_family == AF_UNIX &&
         strncmp(address.sun_path, path, sizeof address.sun_path) == 0 &&
         getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) == 0 && listens == 0;
}

static bool link_is_of(int fd, stuck_place_t place) {
  return place.path != NULL ? link_is_local(fd, place.path) : accept_guard_is_at(fd, place.port);
}

static bool link_is_full(int fd) {
  struct pollfd look = {.fd = fd, .events = POLLOUT};
  return poll(&look, 1, 0) == 0;
}

static int link_queued(int fd) {
  int queued = 0;
  return ioctl(fd, SIOCOUTQ, &queued) == 0 ? queued : 0;
}

/* Room for each descriptor; without memory some are not looked at. */
static void links_grow(stuck_links_t *links, int count) {
  stuck_link_t *grown = count > links->count ? realloc(links->links, (size_t)count * sizeof *grown) : NULL;
  if (grown != NULL) {
    memset(grown + links->count, 0, (size_t)(count - links->count) * sizeof *grown);
    links->links = grown;
    links->count = count;
  }
}

/* @return true when it is to be shut down */
static bool link_look(stuck_link_t *link, int fd, bool slow_too) {
  int queued = link_queued(fd);
  if (!link_is_full(fd)) {
    *link = (stuck_link_t){0};
    return false;
  }
  bool still = link->full != 0 && queued == link->queued;
  link->still = (uint8_t)(still ? link->still + 1 : 0);
  link->full = (uint8_t)(link->full < STUCK_LINKS_LOOKS ? link->full + 1 : link->full);
  link->queued = queued;
  return link->still + 1 >= (int)STUCK_LINKS_LOOKS || (slow_too && link->full == STUCK_LINKS_LOOKS);
}

uint32_t stuck_links_look(stuck_links_t *links, stuck_place_t place, bool slow_too) {
  uint32_t cut = 0;
  links_grow(links, accept_guard_highest() + 1);
  for (int fd = 0; fd < links->count; fd++) {
    stuck_link_t *link = &links->links[fd];
    if (!link_is_of(fd, place)) {
      *link = (stuck_link_t){0};
    } else if (link_look(link, fd, slow_too)) {
      (void)shutdown(fd, SHUT_RDWR);
      *link = (stuck_link_t){0};
      cut++;
    }
  }
  return cut;
}

void stuck_links_fini(stuck_links_t *links) {
  free(links->links);
  *links = (stuck_links_t){0};
}
