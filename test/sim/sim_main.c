/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vesta_sim: the very core that ships, in a world made of faults.
 *
 *     vesta_sim [SEED] [--seeds N] [--steps N] [--nodes N] [--forever] [--aloud]
 *     vesta_sim_planted --planted [--steps N]
 *
 * A seed says how many nodes there are, unless --nodes does. Without a seed: the kept ones (seeds.txt), then 1 to N. With one: N from there on. Some seeds are run twice: the
 * same seed must tell the same story, or a failure could not be looked at again. Exit status 1 when a rule is broken.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/sim/sim_planted.h"
#include "test/sim/sim_world.h"

#define SEEDS 500U
#define STEPS 4000U
#define TWICE_EACH 25U /* one of so many is run twice */

/* What a seed does changes with the simulator, so a kept seed proves less with time. */
static const struct {
  uint64_t seed, nodes; /* nodes 0: as the seed says */
  uint64_t steps;       /* 0: as many as of the others */
} kept[] = {
#include "test/sim/seeds.txt"
};

typedef struct options {
  uint64_t first, count, steps, nodes;
  bool one, aloud, forever, planted;
} options_t;

static int usage(const char *program) {
  (void)fprintf(stderr, "usage: %s [SEED] [--seeds N] [--steps N] [--nodes N] [--forever] [--aloud] [--planted]\n",
                program);
  return 2;
}

static bool number_parse(const char *text, uint64_t *number) {
  char *end = NULL;
  *number = strtoull(text, &end, 10);
  return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static bool options_parse(int count, char **arguments, options_t *options) {
  *options = (options_t){.first = 1, .count = SEEDS, .steps = STEPS};
  bool counted = false;
  for (int i = 1; i < count; i++) {
    uint64_t *to = strcmp(arguments[i], "--seeds") == 0   ? &options->count
                   : strcmp(arguments[i], "--steps") == 0 ? &options->steps
                   : strcmp(arguments[i], "--nodes") == 0 ? &options->nodes
                                                          : NULL;
    if (to != NULL) {
      counted = counted || to == &options->count;
      if (++i == count || !number_parse(arguments[i], to)) {
        return false;
      }
    } else if (strcmp(arguments[i], "--aloud") == 0) {
      options->aloud = true;
    } else if (strcmp(arguments[i], "--forever") == 0) {
      options->forever = true;
    } else if (strcmp(arguments[i], "--planted") == 0) {
      options->planted = true;
    } else if (options->one || !number_parse(arguments[i], &options->first)) {
      return false;
    } else {
      options->one = true;
    }
  }
  if (options->one && !counted) {
    options->count = 1;
  }
  return options->nodes <= SIM_NODES_MAX;
}

/* One in four is alone. */
static uint32_t nodes_of(uint64_t seed) {
  static const uint32_t nodes[] = {1, 3, 2, 3, 1, 4, 3, 5, 1, 2, 3, 5, 1, 3, 2, 4};
  return nodes[seed % (sizeof nodes / sizeof nodes[0])];
}

static uint64_t run(uint64_t seed, uint64_t nodes, uint64_t steps, bool aloud, bool twice) {
  uint32_t count = nodes != 0 ? (uint32_t)nodes : nodes_of(seed);
  sim_result_t result = sim_world_run(seed, count, steps, aloud);
  if (twice) {
    sim_result_t again = sim_world_run(seed, count, steps, false);
    if (again.hash != result.hash) {
      (void)fprintf(stderr, "sim: FAILED seed=%" PRIu64 " rule=SAME-SEED: it told two stories\n", seed);
      exit(1);
    }
  }
  return result.steps;
}

int main(int count, char **arguments) {
  options_t options;
  if (!options_parse(count, arguments, &options)) {
    return usage(arguments[0]);
  }
  if (options.planted) {
    return sim_planted(options.steps) ? 0 : 1;
  }
  uint64_t seeds = 0, steps = 0;
  for (size_t i = 0; i < sizeof kept / sizeof kept[0] && !options.one; i++, seeds++) {
    uint64_t of_kept = kept[i].steps != 0 ? kept[i].steps : options.steps;
    steps += run(kept[i].seed, kept[i].nodes, of_kept, options.aloud, false);
  }
  for (uint64_t i = 0; i < options.count || options.forever; i++, seeds++) {
    bool twice = options.count == 1 || i % TWICE_EACH == 0;
    steps += run(options.first + i, options.nodes, options.steps, options.aloud, twice);
  }
  (void)printf("sim: ok seeds=%" PRIu64 " steps=%" PRIu64 "\n", seeds, steps);
  return 0;
}
