/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_story.h. A fault of ours in the core is an abort (VESTA_ASSERT) or a signal; the story of the run that led
 * there is printed from the handler, because nothing else will know the seed.
 */
#include "test/sim/sim_story.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static sim_story_t *story_now; /* for the handlers */

static void story_print(const sim_story_t *story, const char *rule, const char *why) {
  uint64_t first = story->count > SIM_STORY_LINES ? story->count - SIM_STORY_LINES : 0;
  (void)fflush(stdout);
  (void)fprintf(stderr, "\nThe last lines of the story:\n");
  for (uint64_t line = first; line < story->count; line++) {
    (void)fprintf(stderr, "%s\n", story->lines[line % SIM_STORY_LINES]);
  }
  (void)fprintf(stderr, "\nsim: FAILED seed=%" PRIu64 " step=%" PRIu64 " rule=%s: %s\n", story->seed, story->step, rule,
                why);
  (void)fflush(stderr);
}

static void story_on_signal(int number) {
  if (story_now != NULL) {
    story_print(story_now, "NO-CRASH", number == SIGABRT ? "the code under test aborted" : "memory fault");
  }
  _exit(1);
}

/* AddressSanitizer calls this when it has something to say. */
void __asan_on_error(void);
void __asan_on_error(void) {
  if (story_now != NULL) {
    story_print(story_now, "NO-CRASH", "AddressSanitizer reports");
  }
}

void sim_story_begin(sim_story_t *story, uint64_t seed, const int64_t *now_ns, bool aloud) {
  *story = (sim_story_t){.seed = seed, .now_ns = now_ns, .aloud = aloud};
  if (story_now == NULL) {
    (void)signal(SIGABRT, story_on_signal);
#ifndef __SANITIZE_ADDRESS__
    (void)signal(SIGSEGV, story_on_signal);
    (void)signal(SIGBUS, story_on_signal);
#endif
  }
  story_now = story;
}

void sim_story_say(sim_story_t *story, const char *format, ...) {
  char *line = story->lines[story->count % SIM_STORY_LINES];
  int at = snprintf(line, SIM_STORY_LINE_BYTES, "%6" PRIu64 " %4" PRId64 ".%06" PRId64 "  ", story->step,
                    *story->now_ns / INT64_C(1000000000), *story->now_ns / 1000 % 1000000);
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(line + at, SIM_STORY_LINE_BYTES - (size_t)at, format, arguments);
  va_end(arguments);
  size_t whole = (size_t)(at + size) < SIM_STORY_LINE_BYTES ? (size_t)(at + size) : SIM_STORY_LINE_BYTES - 1;
  story->hash = XXH3_64bits_withSeed(line, whole, story->hash);
  story->count++;
  if (story->aloud) {
    (void)puts(line);
  }
}

void sim_story_fail(sim_story_t *story, const char *rule, const char *format, ...) {
  char why[SIM_STORY_LINE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(why, sizeof why, format, arguments);
  va_end(arguments);
  story_print(story, rule, why);
  exit(1);
}
