/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Quantiles, medians, rounds. See bench_samples.h.
 */
#include "bench/bench_samples.h"

#include <stdlib.h>
#include <string.h>

#include "bench/scene.h"

void bench_samples_add(bench_samples_t *samples, double value) {
  if (samples->count == BENCH_SAMPLES_MAX) {
    return;
  }
  if (samples->count == samples->capacity) {
    size_t capacity = samples->capacity == 0 ? 1024 : 2 * samples->capacity;
    double *values = realloc(samples->values, capacity * sizeof *values);
    if (values == NULL) {
      scene_fail("out of memory");
    }
    samples->values = values;
    samples->capacity = capacity;
  }
  samples->values[samples->count++] = value;
}

void bench_samples_clear(bench_samples_t *samples) { samples->count = 0; }

void bench_samples_fini(bench_samples_t *samples) {
  free(samples->values);
  *samples = (bench_samples_t){0};
}

static int bench_compare(const void *left, const void *right) {
  double a = *(const double *)left;
  double b = *(const double *)right;
  return (a > b) - (a < b);
}

double bench_samples_quantile(bench_samples_t *samples, double quantile) {
  if (samples->count == 0) {
    return 0;
  }
  qsort(samples->values, samples->count, sizeof samples->values[0], bench_compare);
  return samples->values[(size_t)(quantile * (double)(samples->count - 1) + 0.5)];
}

void bench_alternate(bench_plan_t plan, bench_subject_t *subjects, size_t count) {
  bench_samples_t samples = {0};
  for (uint32_t turn = 0; turn <= plan.rounds; turn++) {
    for (size_t i = 0; i < count; i++) {
      scene_pause(0); /* notices ctrl-C */
      bench_samples_clear(&samples);
      subjects[i].block(subjects[i].context, turn == 0 ? plan.block_ns / 4 : plan.block_ns, &samples);
      if (turn > 0) {
        subjects[i].p50_ns[turn - 1] = bench_samples_quantile(&samples, 0.5);
        subjects[i].p99_ns[turn - 1] = bench_samples_quantile(&samples, 0.99);
      }
    }
  }
  bench_samples_fini(&samples);
}

double bench_median(const double *by_round, uint32_t rounds) {
  double sorted[BENCH_ROUNDS_MAX];
  memcpy(sorted, by_round, rounds * sizeof sorted[0]);
  qsort(sorted, rounds, sizeof sorted[0], bench_compare);
  return (sorted[(rounds - 1) / 2] + sorted[rounds / 2]) / 2;
}

double bench_median_ratio(const double *over, const double *under, uint32_t rounds) {
  double ratios[BENCH_ROUNDS_MAX];
  for (uint32_t i = 0; i < rounds; i++) {
    ratios[i] = over[i] / under[i];
  }
  return bench_median(ratios, rounds);
}
