/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the demo shows: one moving line while it runs (in a log, a line now and then), a table and the last line.
 */
#ifndef VESTA_BENCH_DEMO_SCREEN_H
#define VESTA_BENCH_DEMO_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/witness.h"

/* One takeover, as measured and judged from outside. */
typedef struct demo_takeover {
  int64_t duration_ns; /* from SIGKILL to ACTIVE; of the plain one: open, iterate, read all */
  uint64_t acknowledged_before;
  uint64_t resyncs; /* how often the standby had lost the stream, before */
  witness_verdict_t verdict;
} demo_takeover_t;

typedef struct demo_screen {
  uint32_t sections;
  bool terminal;
  const char *phase;
  int64_t shown_ns; /* when, and how many writes were acknowledged then */
  uint64_t shown_acknowledged;
} demo_screen_t;

void demo_screen_begin(demo_screen_t *screen, uint32_t sections, uint32_t section_bytes);

/** May be called as often as one likes. `lag`: operations that a standby is behind */
void demo_screen_progress(demo_screen_t *screen, const char *phase, uint64_t created, uint64_t acknowledged,
                          uint64_t lag);

/** The table and the last line. @return whether nothing was lost and everything checked */
bool demo_screen_end(demo_screen_t *screen, const demo_takeover_t *takeovers, uint32_t count,
                     const demo_takeover_t *plain, uint64_t acknowledged);

#endif
