/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Durations that were measured, and measuring in alternating blocks.
 *
 * A machine's speed drifts while one measures: a floor taken at the beginning says little about a figure taken at the
 * end. So everything that is to be compared is measured in turns, in short blocks; a comparison is made within a round,
 * and the figure is the median of the rounds.
 *
 * What drifts most is where the scheduler puts two processes that talk: on one processor a round trip takes 3 us, on two
 * 20 us, as waking the other costs more than all the rest. Left to itself it is a toss for each pair and block, and the
 * ratio tells the toss. So latencies are measured with all processes on one processor, where every instruction counts
 * and ratios are the same in every run; and once more left free, for who wants to know.
 */
#ifndef VESTA_BENCH_SAMPLES_H
#define VESTA_BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_ROUNDS_MAX 64U
#define BENCH_SAMPLES_MAX (1U << 18) /* of one block */

typedef struct bench_samples {
  double *values;
  size_t count, capacity;
} bench_samples_t;

/** Beyond BENCH_SAMPLES_MAX since the last bench_samples_clear() values are dropped. */
void bench_samples_add(bench_samples_t *samples, double value);
void bench_samples_clear(bench_samples_t *samples);
void bench_samples_fini(bench_samples_t *samples);
/** Sorts them. 0 when there are none. */
double bench_samples_quantile(bench_samples_t *samples, double quantile);

/** Something to be measured in turns with others. */
typedef struct bench_subject {
  void *context;
  /** Measure for so long; add a duration in nanoseconds for each time. */
  void (*block)(void *context, int64_t duration_ns, bench_samples_t *samples);
  double p50_ns[BENCH_ROUNDS_MAX], p99_ns[BENCH_ROUNDS_MAX]; /* of each round */
} bench_subject_t;

typedef struct bench_plan {
  uint32_t rounds;
  int64_t block_ns;
} bench_plan_t;

/** Measure all in turns; one round before the first is thrown away. */
void bench_alternate(bench_plan_t plan, bench_subject_t *subjects, size_t count);

/** The median of a figure that each round has. */
double bench_median(const double *by_round, uint32_t rounds);
/** The median of the rounds' ratios. */
double bench_median_ratio(const double *over, const double *under, uint32_t rounds);

#endif
