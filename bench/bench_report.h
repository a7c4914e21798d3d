/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the bench found: printed as it comes, kept as JSON, drawn as SVG, and judged against the targets at the end.
 */
#ifndef VESTA_BENCH_REPORT_H
#define VESTA_BENCH_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#define BENCH_PROGRAM "vesta_bench"

typedef struct bench_report {
  const char *output; /* a directory; NULL: nothing is written */
  json_t *root;
} bench_report_t;

/** What the parts of the bench are given. */
typedef struct bench_context {
  bench_report_t report;
  bool on_one; /* processor */
  bool quick;  /* only to see that everything runs: figures mean nothing */
  bool asked;  /* this part was asked for, it is not one of all */
} bench_context_t;

void bench_report_init(bench_report_t *report, const char *output);
/** A heading on the screen. */
void bench_report_title(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** One row of a part's results; owns `row`. */
void bench_report_add(bench_report_t *report, const char *part, json_t *row);
/** A figure that may not be above a limit; is printed with the others at the end. */
void bench_report_target(bench_report_t *report, const char *name, double value, double limit);
/** One that may not be below it. */
void bench_report_target_least(bench_report_t *report, const char *name, double value, double limit);
/** Write JSON and plots, print the targets. */
void bench_report_finish(bench_report_t *report);

/** Where the processes run, in words. */
const char *bench_place_text(const bench_context_t *bench);
/** "100 B", "64 KB", "1 MB" */
const char *bench_size_text(size_t bytes, char text[24]);

/** Draw what there is in the report, with gnuplot if it is installed. In bench_plot.c. */
void bench_plot_all(const bench_report_t *report);

#endif
