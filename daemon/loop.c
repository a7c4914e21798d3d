/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The loop over epoll. A source that is removed during a turn is struck from the rest of that turn's batch, so a callback
 * may close any link, its own too.
 */
#include "daemon/loop.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "core/error.h"

#define LOOP_ALONE_NS INT64_C(4000) /* when a look and a yield take longer, somebody else was let in between */

struct loop {
  int epoll;
  bool stopping;
  struct epoll_event batch[LOOP_EVENTS_PER_TURN];
  int batch_count;
  int batch_next;
};

static int64_t loop_clock_ns(clockid_t clock) {
  struct timespec now;
  VESTA_ASSERT(clock_gettime(clock, &now) == 0);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t loop_steady_ns(void) { return loop_clock_ns(CLOCK_BOOTTIME); }
int64_t loop_wall_ns(void) { return loop_clock_ns(CLOCK_REALTIME); }

loop_t *loop_new(void) {
  loop_t *loop = calloc(1, sizeof *loop);
  if (loop == NULL) {
    return NULL;
  }
  loop->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (loop->epoll < 0) {
    free(loop);
    return NULL;
  }
  return loop;
}

void loop_destroy(loop_t **loop) {
  if (*loop != NULL) {
    (void)close((*loop)->epoll);
    free(*loop);
    *loop = NULL;
  }
}

bool loop_add(loop_t *loop, loop_source_t *source, int fd, uint32_t events,
              void (*ready)(void *context, uint32_t events), void *context) {
  struct epoll_event event = {.events = events, .data.ptr = source};
  if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
    return false;
  }
  *source = (loop_source_t){.fd = fd, .events = events, .ready = ready, .context = context};
  return true;
}

void loop_change(loop_t *loop, loop_source_t *source, uint32_t events) {
  if (source->events != events) {
    struct epoll_event event = {.events = events, .data.ptr = source};
    VESTA_ASSERT(epoll_ctl(loop->epoll, EPOLL_CTL_MOD, source->fd, &event) == 0);
    source->events = events;
  }
}

void loop_remove(loop_t *loop, loop_source_t *source) {
  VESTA_ASSERT(epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL) == 0);
  for (int i = loop->batch_next; i < loop->batch_count; i++) {
    if (loop->batch[i].data.ptr == source) {
      loop->batch[i].data.ptr = NULL;
    }
  }
}

/* Rounded up to the millisecond: a timer that is early would be taken for none and waited for again. */
static int loop_timeout_ms(int64_t wake_ns) {
  if (wake_ns == INT64_MAX) {
    return -1;
  }
  int64_t left_ns = wake_ns - loop_steady_ns();
  if (left_ns <= 0) {
    return 0;
  }
  int64_t left_ms = left_ns / 1000000 + 1;
  return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

/* Take what is ready, or what will be. Awake only while nobody else wants the processor, who would have to wait. */
static int loop_wait(loop_t *loop, const loop_turn_t *turn) {
  int64_t wake_ns = turn->wake_ns(turn->context);
  int64_t awake_ns = turn->awake_ns == NULL ? INT64_MIN : turn->awake_ns(turn->context);
  int64_t now_ns = awake_ns == INT64_MIN ? INT64_MAX : loop_steady_ns();
  awake_ns = awake_ns < wake_ns ? awake_ns : wake_ns;
  while (now_ns < awake_ns) {
    int count = epoll_wait(loop->epoll, loop->batch, LOOP_EVENTS_PER_TURN, 0);
    if (count != 0) {
      return count;
    }
    int64_t before_ns = now_ns;
    (void)sched_yield();
    now_ns = loop_steady_ns();
    if (now_ns - before_ns > LOOP_ALONE_NS) {
      break;
    }
  }
  return epoll_wait(loop->epoll, loop->batch, LOOP_EVENTS_PER_TURN, loop_timeout_ms(wake_ns));
}

bool loop_run(loop_t *loop, const loop_turn_t *turn) {
  while (!loop->stopping) {
    int count = loop_wait(loop, turn);
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return false;
    }
    loop->batch_count = count;
    for (loop->batch_next = 0; loop->batch_next < count;) {
      struct epoll_event event = loop->batch[loop->batch_next++];
      loop_source_t *source = event.data.ptr;
      if (source != NULL) {
        source->ready(source->context, event.events);
      }
    }
    loop->batch_count = 0;
    turn->end(turn->context);
  }
  loop->stopping = false;
  return true;
}

void loop_stop(loop_t *loop) { loop->stopping = true; }
