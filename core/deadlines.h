/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which of many deadlines is next: a binary heap of links that live inside the things that wait.
 */
#ifndef VESTA_CORE_DEADLINES_H
#define VESTA_CORE_DEADLINES_H

#include "core/types.h"

#define DEADLINE_NONE INT64_MAX

typedef struct deadline {
  int64_t at_ns;  /* DEADLINE_NONE: not waiting */
  uint32_t place; /* in the heap, from 1; 0: not in it */
} deadline_t;

typedef struct deadlines {
  deadline_t **heap; /* from 1 */
  uint32_t count;
  uint32_t capacity;
} deadlines_t;

/** Room for so many waiting things. @return false when out of memory */
bool deadlines_init(deadlines_t *deadlines, uint32_t capacity);
void deadlines_fini(deadlines_t *deadlines);

/** Set, move or (DEADLINE_NONE) clear a deadline. Never fails: the capacity is the bound of things that may wait. */
void deadlines_set(deadlines_t *deadlines, deadline_t *deadline, int64_t at_ns);
/** The earliest; NULL: none. */
deadline_t *deadlines_first(const deadlines_t *deadlines);

#endif
