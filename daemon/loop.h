/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The one loop of vestad: descriptors in, callbacks out.
 *
 * A turn takes what is ready (at most LOOP_EVENTS_PER_TURN), calls each source's callback, and then the end of the turn,
 * where answers have left already and what was committed is published. Its cost grows with what is ready, never with
 * what is merely connected. Level-triggered: a callback does a bounded piece of work and is called again when more is
 * there, so that no source starves the others.
 */
#ifndef VESTA_DAEMON_LOOP_H
#define VESTA_DAEMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#define LOOP_EVENTS_PER_TURN 64

typedef struct loop loop_t;

/* One descriptor in the loop. Lives in its owner, which must remove it before it goes. Fields are set by loop_add(). */
typedef struct loop_source {
  int fd;
  uint32_t events; /* EPOLL... wished for */
  void (*ready)(void *context, uint32_t events);
  void *context;
} loop_source_t;

/* What happens between two waits. */
typedef struct loop_turn {
  void *context;
  void (*end)(void *context); /* after the sources of a turn */
  int64_t (*wake_ns)(
      void *context); /* when the next turn must begin (CLOCK_BOOTTIME), INT64_MAX: when something is ready */
  /* Until when it does not sleep, because something is expected that comes sooner than a processor that sleeps is awake
   * again; in the past: it sleeps. Others who want the processor get it. NULL: it always sleeps */
  int64_t (*awake_ns)(void *context);
} loop_turn_t;

/** @return NULL with errno */
loop_t *loop_new(void);
void loop_destroy(loop_t **loop);

/** Watch a descriptor. @return false with errno (ENOMEM, ENOSPC), and nothing is watched */
bool loop_add(loop_t *loop, loop_source_t *source, int fd, uint32_t events,
              void (*ready)(void *context, uint32_t events), void *context);
/** Watch it for other events. No call to the kernel when they are the same. */
void loop_change(loop_t *loop, loop_source_t *source, uint32_t events);
/** Watch it no more; call it before the descriptor is closed. It is not called again, not even in this turn. */
void loop_remove(loop_t *loop, loop_source_t *source);

/** Turns until loop_stop(). @return false with errno when waiting itself failed */
bool loop_run(loop_t *loop, const loop_turn_t *turn);
/** End after this turn. */
void loop_stop(loop_t *loop);

/** CLOCK_BOOTTIME now. */
int64_t loop_steady_ns(void);
/** CLOCK_REALTIME now. */
int64_t loop_wall_ns(void);

#endif
