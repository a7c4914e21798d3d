/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stream_context.h.
 */
#include "notify/zmq/stream_context.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>
#include <zmq.h>

#define STREAM_SOCKETS_MAX 4096 /* of one process; two for each subscriber */

static pthread_mutex_t stream_context_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t stream_context_once = PTHREAD_ONCE_INIT;
static void *stream_context;
static unsigned stream_context_users;
static unsigned stream_generation;

/* Runs in the child, which has one thread: what the parent's threads held or were about to change is not looked at. */
static void stream_context_forked(void) {
  stream_generation++;
  stream_context = NULL;
  stream_context_users = 0;
  stream_context_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static void stream_context_watch_fork(void) { (void)pthread_atfork(NULL, NULL, stream_context_forked); }

unsigned stream_context_generation(void) { return stream_generation; }

bool stream_context_headroom(void) {
  int spare[STREAM_DESCRIPTOR_HEADROOM];
  int count = 0;
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null >= 0) {
    spare[count++] = null;
    while (count < STREAM_DESCRIPTOR_HEADROOM && (spare[count] = fcntl(null, F_DUPFD_CLOEXEC, 0)) >= 0) {
      count++;
    }
  }
  for (int i = 0; i < count; i++) {
    (void)close(spare[i]);
  }
  return count == STREAM_DESCRIPTOR_HEADROOM;
}

static vesta_err_t stream_context_make(void) {
  stream_context = zmq_ctx_new();
  if (stream_context == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  VESTA_ASSERT(zmq_ctx_set(stream_context, ZMQ_IO_THREADS, 1) == 0);
  VESTA_ASSERT(zmq_ctx_set(stream_context, ZMQ_MAX_SOCKETS, STREAM_SOCKETS_MAX) == 0);
  VESTA_ASSERT(zmq_ctx_set(stream_context, ZMQ_BLOCKY, 0) == 0); /* closing never waits for a peer */
  return VESTA_OK;
}

vesta_err_t stream_context_acquire(void **context) {
  (void)pthread_once(&stream_context_once, stream_context_watch_fork);
  if (!stream_context_headroom()) {
    return VESTA_ERR_NO_RESOURCES;
  }
  vesta_err_t err = VESTA_OK;
  (void)pthread_mutex_lock(&stream_context_lock);
  if (stream_context == NULL) {
    err = stream_context_make();
  }
  if (err == VESTA_OK) {
    stream_context_users++;
    *context = stream_context;
  }
  (void)pthread_mutex_unlock(&stream_context_lock);
  return err;
}

void stream_context_release(void) {
  void *last = NULL;
  (void)pthread_mutex_lock(&stream_context_lock);
  VESTA_ASSERT(stream_context_users > 0);
  if (--stream_context_users == 0) {
    last = stream_context;
    stream_context = NULL;
  }
  (void)pthread_mutex_unlock(&stream_context_lock);
  if (last != NULL) {
    while (zmq_ctx_term(last) != 0 && errno == EINTR) {
    }
  }
}
