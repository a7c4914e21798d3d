/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What happened, in words: every line goes into a hash (same seed, same hash) and the last ones are kept, to be printed
 * when a rule is broken.
 */
#ifndef VESTA_TEST_SIM_STORY_H
#define VESTA_TEST_SIM_STORY_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_STORY_LINES 40U
#define SIM_STORY_LINE_BYTES 240U

typedef struct sim_story {
  uint64_t seed, step;
  const int64_t *now_ns;
  uint64_t hash;
  uint64_t count; /* of lines so far; the last SIM_STORY_LINES are kept */
  bool aloud;     /* print each line at once */
  char lines[SIM_STORY_LINES][SIM_STORY_LINE_BYTES];
} sim_story_t;

/** Begin one; from now on a crash of this process prints it. */
void sim_story_begin(sim_story_t *story, uint64_t seed, const int64_t *now_ns, bool aloud);

void sim_story_say(sim_story_t *story, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** A rule is broken: print seed, step, rule, why, and the story's end; exit. */
_Noreturn void sim_story_fail(sim_story_t *story, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
