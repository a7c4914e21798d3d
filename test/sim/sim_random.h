/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Chance: one seed, one sequence (splitmix64). Whatever the simulator decides, it decides with this.
 */
#ifndef VESTA_TEST_SIM_RANDOM_H
#define VESTA_TEST_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_MILLION 1000000U

typedef struct sim_random {
  uint64_t state;
} sim_random_t;

static inline uint64_t sim_random(sim_random_t *random) {
  random->state += UINT64_C(0x9e3779b97f4a7c15);
  uint64_t z = random->state;
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/** 0 to end - 1. */
static inline uint64_t sim_below(sim_random_t *random, uint64_t end) { return sim_random(random) % end; }
/** low to high, both included. */
static inline int64_t sim_between(sim_random_t *random, int64_t low, int64_t high) {
  return low + (int64_t)sim_below(random, (uint64_t)(high - low) + 1);
}
/** True so many times in a million. */
static inline bool sim_chance(sim_random_t *random, uint32_t per_million) {
  return per_million != 0 && sim_below(random, SIM_MILLION) < per_million;
}
static inline bool sim_percent(sim_random_t *random, uint32_t percent) { return sim_below(random, 100) < percent; }

/** low to high, each order of magnitude as likely as the others: most are short, some are long. */
static inline int64_t sim_span(sim_random_t *random, int64_t low, int64_t high) {
  int64_t top = high;
  while (top / 2 > low && sim_percent(random, 60)) {
    top /= 2;
  }
  return sim_between(random, low, top);
}

#endif
