/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See deadlines.h.
 */
#include "core/deadlines.h"

#include <stdlib.h>

#include "core/error.h"

bool deadlines_init(deadlines_t *deadlines, uint32_t capacity) {
  *deadlines = (deadlines_t){.capacity = capacity};
  deadlines->heap = calloc((size_t)capacity + 1, sizeof *deadlines->heap);
  return deadlines->heap != NULL;
}

void deadlines_fini(deadlines_t *deadlines) {
  free(deadlines->heap);
  *deadlines = (deadlines_t){0};
}

static void deadlines_place(deadlines_t *deadlines, uint32_t place, deadline_t *deadline) {
  deadlines->heap[place] = deadline;
  deadline->place = place;
}

static void deadlines_rise(deadlines_t *deadlines, deadline_t *deadline) {
  uint32_t place = deadline->place;
  while (place > 1 && deadlines->heap[place / 2]->at_ns > deadline->at_ns) {
    deadlines_place(deadlines, place, deadlines->heap[place / 2]);
    place /= 2;
  }
  deadlines_place(deadlines, place, deadline);
}

static void deadlines_sink(deadlines_t *deadlines, deadline_t *deadline) {
  uint32_t place = deadline->place;
  for (;;) {
    uint32_t child = place * 2;
    if (child > deadlines->count) {
      break;
    }
    if (child < deadlines->count && deadlines->heap[child + 1]->at_ns < deadlines->heap[child]->at_ns) {
      child++;
    }
    if (deadlines->heap[child]->at_ns >= deadline->at_ns) {
      break;
    }
    deadlines_place(deadlines, place, deadlines->heap[child]);
    place = child;
  }
  deadlines_place(deadlines, place, deadline);
}

void deadlines_set(deadlines_t *deadlines, deadline_t *deadline, int64_t at_ns) {
  if (deadline->place == 0) {
    deadline->at_ns = at_ns;
    if (at_ns != DEADLINE_NONE) {
      VESTA_ASSERT(deadlines->count < deadlines->capacity);
      deadlines_place(deadlines, ++deadlines->count, deadline);
      deadlines_rise(deadlines, deadline);
    }
    return;
  }
  if (at_ns != DEADLINE_NONE) {
    deadline->at_ns = at_ns;
    deadlines_rise(deadlines, deadline);
    deadlines_sink(deadlines, deadline);
    return;
  }
  deadline_t *last = deadlines->heap[deadlines->count--];
  uint32_t hole = deadline->place;
  *deadline = (deadline_t){.at_ns = DEADLINE_NONE};
  if (last != deadline) {
    deadlines_place(deadlines, hole, last);
    deadlines_rise(deadlines, last);
    deadlines_sink(deadlines, last);
  }
}

deadline_t *deadlines_first(const deadlines_t *deadlines) { return deadlines->count > 0 ? deadlines->heap[1] : NULL; }
