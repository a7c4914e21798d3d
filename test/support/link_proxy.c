/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See link_proxy.h.
 */
#include "test/support/link_proxy.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/wire.h"

#define PROXY_PAIRS_MAX 64U
#define PROXY_CHUNK_BYTES 65536U
#define PROXY_FDS_MAX 4U
#define PROXY_WAIT_S 20

/* An agent's link and the one that was made to the daemon for it. */
typedef struct proxy_pair {
  int agent, daemon;
  bool silent;                       /* answers are thrown away */
  uint8_t prefix[WIRE_PREFIX_BYTES]; /* of the answer that is being lost */
  size_t prefix_bytes;
  uint64_t left; /* of that answer, behind its prefix */
} proxy_pair_t;

struct link_proxy {
  char daemon[sizeof((struct sockaddr_un *)NULL)->sun_path];
  int listener;
  int wake; /* eventfd: look at the wishes */
  pthread_t thread;
  proxy_pair_t pairs[PROXY_PAIRS_MAX];
  size_t pair_count;

  pthread_mutex_t lock; /* of the wishes and of what became of them */
  pthread_cond_t lost_one;
  bool lose, cut_then, lost, cut, end;
};

static void proxy_fail(const char *what) {
  (void)fprintf(stderr, "link_proxy: %s: %s\n", what, strerror(errno));
  exit(1);
}

static struct sockaddr_un proxy_address(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  return address;
}

static void pair_close(proxy_pair_t *pair) {
  (void)close(pair->agent);
  (void)close(pair->daemon);
  pair->agent = pair->daemon = -1;
}

/* A daemon that is not there: the agent's link ends, as it would have without a proxy. */
static void pair_accept(link_proxy_t *proxy) {
  int agent = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
  if (agent < 0) {
    return;
  }
  int daemon = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un address = proxy_address(proxy->daemon);
  if (daemon < 0 || proxy->pair_count == PROXY_PAIRS_MAX ||
      connect(daemon, (struct sockaddr *)&address, sizeof address) != 0) {
    (void)close(daemon);
    (void)close(agent);
    return;
  }
  proxy->pairs[proxy->pair_count++] = (proxy_pair_t){.agent = agent, .daemon = daemon};
}

/* Count whole frames among the bytes that are thrown away. */
static bool answer_is_lost(proxy_pair_t *pair, const uint8_t *bytes, size_t size) {
  bool whole = false;
  while (size > 0) {
    size_t take;
    if (pair->prefix_bytes < WIRE_PREFIX_BYTES) {
      take = WIRE_PREFIX_BYTES - pair->prefix_bytes;
      take = take < size ? take : size;
      memcpy(pair->prefix + pair->prefix_bytes, bytes, take);
      pair->prefix_bytes += take;
      uint32_t head = 0;
      uint32_t payload = 0;
      if (pair->prefix_bytes == WIRE_PREFIX_BYTES && wire_prefix_decode(pair->prefix, &head, &payload) == VESTA_OK) {
        pair->left = (uint64_t)head + payload;
      }
    } else {
      take = pair->left < size ? (size_t)pair->left : size;
      pair->left -= take;
    }
    if (pair->prefix_bytes == WIRE_PREFIX_BYTES && pair->left == 0) {
      pair->prefix_bytes = 0;
      whole = true;
    }
    bytes += take;
    size -= take;
  }
  return whole;
}

typedef enum proxy_fate { FATE_PASS, FATE_LOSE, FATE_CUT } proxy_fate_t;

/* What becomes of what came from the daemon. */
static proxy_fate_t answer_fate(link_proxy_t *proxy, proxy_pair_t *pair, const uint8_t *bytes, size_t size) {
  proxy_fate_t fate = FATE_PASS;
  (void)pthread_mutex_lock(&proxy->lock);
  if (proxy->lose) {
    proxy->lose = false;
    pair->silent = true;
  }
  if (pair->silent) {
    fate = FATE_LOSE;
    if (answer_is_lost(pair, bytes, size)) {
      fate = proxy->cut_then ? FATE_CUT : FATE_LOSE;
      proxy->lost = true;
      (void)pthread_cond_signal(&proxy->lost_one);
    }
  }
  (void)pthread_mutex_unlock(&proxy->lock);
  return fate;
}

static bool chunk_send(int to, uint8_t *bytes, size_t size, struct msghdr *received) {
  struct iovec part = {.iov_base = bytes, .iov_len = size};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = received->msg_controllen > 0 ? received->msg_control : NULL,
                           .msg_controllen = received->msg_controllen};
  while (part.iov_len > 0) {
    ssize_t went = sendmsg(to, &message, MSG_NOSIGNAL);
    if (went <= 0) {
      return false;
    }
    part.iov_base = (uint8_t *)part.iov_base + went;
    part.iov_len -= (size_t)went;
    message.msg_control = NULL;
    message.msg_controllen = 0;
  }
  return true;
}

static void descriptors_close(struct msghdr *message) {
  for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control != NULL; control = CMSG_NXTHDR(message, control)) {
    size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
      (void)close(fd);
    }
  }
}

/* One chunk from one side to the other. @return false when the link is over */
static bool pair_forward(link_proxy_t *proxy, proxy_pair_t *pair, bool from_daemon) {
  static uint8_t chunk[PROXY_CHUNK_BYTES]; /* one thread */
  union {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(PROXY_FDS_MAX * sizeof(int))];
  } control;
  struct iovec space = {.iov_base = chunk, .iov_len = sizeof chunk};
  struct msghdr message = {
      .msg_iov = &space, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t got = recvmsg(from_daemon ? pair->daemon : pair->agent, &message, MSG_CMSG_CLOEXEC);
  if (got <= 0) {
    return false;
  }
  proxy_fate_t fate = from_daemon ? answer_fate(proxy, pair, chunk, (size_t)got) : FATE_PASS;
  bool goes_on = fate == FATE_LOSE;
  if (fate == FATE_PASS) {
    goes_on = chunk_send(from_daemon ? pair->agent : pair->daemon, chunk, (size_t)got, &message);
  }
  descriptors_close(&message);
  return goes_on;
}

static void pairs_serve(link_proxy_t *proxy, const struct pollfd *ready) {
  size_t kept = 0;
  for (size_t i = 0; i < proxy->pair_count; i++) {
    proxy_pair_t *pair = &proxy->pairs[i];
    bool alive = (ready[2 * i].revents == 0 || pair_forward(proxy, pair, false)) &&
                 (ready[2 * i + 1].revents == 0 || pair_forward(proxy, pair, true));
    if (alive) {
      proxy->pairs[kept++] = *pair;
    } else {
      pair_close(pair);
    }
  }
  proxy->pair_count = kept;
}

static void pairs_cut(link_proxy_t *proxy) {
  while (proxy->pair_count > 0) {
    pair_close(&proxy->pairs[--proxy->pair_count]);
  }
}

/* @return false at the end */
static bool wishes_grant(link_proxy_t *proxy) {
  uint64_t count;
  (void)!read(proxy->wake, &count, sizeof count);
  (void)pthread_mutex_lock(&proxy->lock);
  bool end = proxy->end;
  if (proxy->cut || end) {
    pairs_cut(proxy);
    proxy->cut = false;
  }
  (void)pthread_mutex_unlock(&proxy->lock);
  return !end;
}

static void *proxy_run(void *argument) {
  link_proxy_t *proxy = argument;
  bool on = true;
  while (on) {
    struct pollfd ready[2 * PROXY_PAIRS_MAX + 2];
    size_t count = proxy->pair_count;
    for (size_t i = 0; i < count; i++) {
      ready[2 * i] = (struct pollfd){.fd = proxy->pairs[i].agent, .events = POLLIN};
      ready[2 * i + 1] = (struct pollfd){.fd = proxy->pairs[i].daemon, .events = POLLIN};
    }
    ready[2 * count] = (struct pollfd){.fd = proxy->wake, .events = POLLIN};
    ready[2 * count + 1] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
    if (poll(ready, 2 * count + 2, -1) < 0) {
      continue;
    }
    pairs_serve(proxy, ready);
    if (ready[2 * count + 1].revents != 0) {
      pair_accept(proxy);
    }
    on = ready[2 * count].revents == 0 || wishes_grant(proxy);
  }
  return NULL;
}

link_proxy_t *link_proxy_open(const char *path, const char *daemon) {
  link_proxy_t *proxy = calloc(1, sizeof *proxy);
  if (proxy == NULL) {
    proxy_fail("calloc");
  }
  (void)snprintf(proxy->daemon, sizeof proxy->daemon, "%s", daemon);
  struct sockaddr_un address = proxy_address(path);
  proxy->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  proxy->wake = eventfd(0, EFD_CLOEXEC);
  (void)pthread_mutex_init(&proxy->lock, NULL);
  (void)pthread_cond_init(&proxy->lost_one, NULL);
  if (bind(proxy->listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(proxy->listener, 64) != 0 ||
      proxy->wake < 0 || pthread_create(&proxy->thread, NULL, proxy_run, proxy) != 0) {
    proxy_fail(path);
  }
  return proxy;
}

/* One wish more, which the thread looks at. */
static void proxy_wish(link_proxy_t *proxy, bool *wish) {
  const uint64_t one = 1;
  (void)pthread_mutex_lock(&proxy->lock);
  *wish = true;
  (void)pthread_mutex_unlock(&proxy->lock);
  (void)!write(proxy->wake, &one, sizeof one);
}

void link_proxy_close(link_proxy_t **pointer) {
  link_proxy_t *proxy = *pointer;
  if (proxy == NULL) {
    return;
  }
  proxy_wish(proxy, &proxy->end);
  (void)pthread_join(proxy->thread, NULL);
  (void)close(proxy->listener);
  (void)close(proxy->wake);
  (void)pthread_cond_destroy(&proxy->lost_one);
  (void)pthread_mutex_destroy(&proxy->lock);
  free(proxy);
  *pointer = NULL;
}

static void proxy_lose(link_proxy_t *proxy, bool lose, bool cut_then) {
  (void)pthread_mutex_lock(&proxy->lock);
  proxy->lose = lose;
  proxy->cut_then = cut_then;
  proxy->lost = false;
  (void)pthread_mutex_unlock(&proxy->lock);
}

void link_proxy_lose_answer(link_proxy_t *proxy) { proxy_lose(proxy, true, false); }
void link_proxy_cut_at_answer(link_proxy_t *proxy) { proxy_lose(proxy, true, true); }
void link_proxy_spare_answers(link_proxy_t *proxy) { proxy_lose(proxy, false, true); }

bool link_proxy_wait_lost(link_proxy_t *proxy) {
  struct timespec until;
  (void)clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += PROXY_WAIT_S;
  int err = 0;
  (void)pthread_mutex_lock(&proxy->lock);
  while (!proxy->lost && err == 0) {
    err = pthread_cond_clockwait(&proxy->lost_one, &proxy->lock, CLOCK_MONOTONIC, &until);
  }
  bool lost = proxy->lost;
  (void)pthread_mutex_unlock(&proxy->lock);
  return lost;
}

void link_proxy_cut(link_proxy_t *proxy) { proxy_wish(proxy, &proxy->cut); }
