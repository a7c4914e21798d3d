/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See slow_call.h.
 */
#include "daemon/slow_call.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct slow_call {
  void (*call)(void *argument);
  void (*destroy)(void *argument);
  void *argument;
  int fd;
  atomic_bool done;  /* said before `fd`, so that what the call wrote is seen by who has looked here */
  atomic_int owners; /* who began it, and its thread */
};

static void slow_call_release(slow_call_t *call) {
  if (atomic_fetch_sub(&call->owners, 1) == 1) {
    if (call->fd >= 0) {
      (void)close(call->fd);
    }
    call->destroy(call->argument);
    free(call);
  }
}

static void *slow_call_run(void *context) {
  slow_call_t *call = context;
  const uint64_t done = 1;
  call->call(call->argument);
  atomic_store(&call->done, true);
  ssize_t written = write(call->fd, &done, sizeof done); /* never full: it is written once */
  (void)written;
  slow_call_release(call);
  return NULL;
}

/* A detached thread that no signal is delivered to. */
static bool slow_call_thread(slow_call_t *call) {
  sigset_t all, before;
  pthread_attr_t attributes;
  pthread_t thread;
  if (pthread_attr_init(&attributes) != 0) {
    return false;
  }
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  bool made = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0 &&
              pthread_create(&thread, &attributes, slow_call_run, call) == 0;
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  (void)pthread_attr_destroy(&attributes);
  return made;
}

slow_call_t *slow_call_begin(void (*what)(void *argument), void (*destroy)(void *argument), void *argument) {
  slow_call_t *call = calloc(1, sizeof *call);
  if (call == NULL) {
    return NULL;
  }
  call->call = what;
  call->destroy = destroy;
  call->argument = argument;
  call->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  atomic_init(&call->owners, 2);
  if (call->fd < 0 || !slow_call_thread(call)) {
    if (call->fd >= 0) {
      (void)close(call->fd);
    }
    free(call);
    return NULL;
  }
  return call;
}

bool slow_call_done(const slow_call_t *call, int timeout_ms) {
  struct pollfd wait = {.fd = call->fd, .events = POLLIN};
  return poll(&wait, 1, timeout_ms) == 1 && atomic_load(&call->done);
}

int slow_call_fd(const slow_call_t *call) { return call->fd; }

void slow_call_end(slow_call_t **call) {
  if (*call != NULL) {
    slow_call_release(*call);
    *call = NULL;
  }
}
