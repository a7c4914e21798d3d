/* SPDX-License-Identifier: BSD-2-Clause
 *
 * SVG plots of the report, by gnuplot: calls beside their floors, changes beside theirs, throughput, subscribers,
 * transactions, resyncs beside snapshots, failover beside iterating and reading, nodes that die and come back. Without gnuplot there are none, and the
 * JSON has it all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench_report.h"
#include "bench/scene.h"

#define CURVES_MAX 5

/* A curve: the rows whose `filter` key has that value (NULL: all), one column over another. */
typedef struct plot_curve {
  const char *title, *filter, *value, *column;
} plot_curve_t;

typedef struct plot {
  const char *name, *part, *title, *x_column, *x_label, *y_label;
  plot_curve_t curves[CURVES_MAX];
} plot_t;

static const plot_t plots[] = {
    {"calls",
     "calls",
     "Calls of one client, median",
     "bytes",
     "bytes",
     "microseconds",
     {{"overwrite", "call", "overwrite", "p50_us"},
      {"create", "call", "create", "p50_us"},
      {"AF\\_UNIX echo", "call", "overwrite", "floor_p50_us"},
      {"read", "call", "read", "p50_us"},
      {"memcpy", "call", "read", "floor_p50_us"}}},
    {"changes",
     "changes",
     "From a write to its change at a standby",
     "bytes",
     "bytes",
     "microseconds",
     {{"change, p99", NULL, NULL, "p99_us"},
      {"change, median", NULL, NULL, "p50_us"},
      {"raw PUB to SUB, median", NULL, NULL, "publish_p50_us"},
      {"half an AF\\_UNIX echo, median", NULL, NULL, "half_echo_p50_us"}}},
    {"throughput",
     "throughput",
     "Changes taken by a standby",
     "bytes",
     "bytes",
     "per second",
     {{"raw PUB/SUB, payload alone", NULL, NULL, "publish_per_s"},
      {"raw PUB/SUB, frames of a change", NULL, NULL, "publish_frames_per_s"},
      {"vectors of writes", NULL, NULL, "vector_changes_per_s"},
      {"asynchronous overwrites", NULL, NULL, "async_per_s"},
      {"single overwrites, one client", NULL, NULL, "overwrites_per_s"}}},
    {"subscribers",
     "subscribers",
     "One change of 1 KB at all of its subscribers",
     "subscribers",
     "subscribers",
     "microseconds",
     {{"asynchronous overwrites", NULL, NULL, "change_us"}, {"raw PUB/SUB", NULL, NULL, "publish_us"}}},
    {"transactions",
     "transactions",
     "Transactions of overwrites of 100 B, median",
     "changes",
     "changes",
     "microseconds",
     {{"one by one", NULL, NULL, "one_by_one_p50_us"}, {"a transaction", NULL, NULL, "p50_us"}}},
    {"resync",
     "resync",
     "Resync of a follower behind the history",
     "sections",
     "sections",
     "milliseconds",
     {{"snapshot", NULL, NULL, "snapshot_ms"},
      {"many changed", "change", "many", "ms"},
      {"few changed", "change", "few", "ms"}}},
    {"failover",
     "failover",
     "Having everything after SIGKILL of the active",
     "sections",
     "sections",
     "milliseconds",
     {{"iterate and read all", NULL, NULL, "iterate_and_read_p50_ms"},
      {"failover of a pair, largest", NULL, NULL, "max_ms"},
      {"failover of a pair, median", NULL, NULL, "p50_ms"}}},
    {"cluster_takeover",
     "cluster_takeover",
     "A node dies: its standby on another is active",
     "sections",
     "sections",
     "milliseconds",
     {{"until corosync tells", NULL, NULL, "corosync_p50_ms"},
      {"after that, largest", NULL, NULL, "max_ms"},
      {"after that, median", NULL, NULL, "p50_ms"}}},
    {"cluster_resync",
     "cluster_resync",
     "A node comes back empty, 100 to 256 MB",
     "section_bytes",
     "bytes of a section",
     "GB/s",
     {{"raw TCP stream", NULL, NULL, "raw_gb_per_s"}, {"its replica is filled", NULL, NULL, "gb_per_s"}}},
};

static bool plot_has_row(const json_t *row, const plot_curve_t *curve) {
  return curve->filter == NULL || strcmp(json_string_value(json_object_get(row, curve->filter)), curve->value) == 0;
}

static void plot_draw(FILE *gnuplot, const plot_t *plot, const json_t *rows, const char *output) {
  (void)fprintf(gnuplot, "set output '%s/%s.svg'\nset title '%s'\nset xlabel '%s'\nset ylabel '%s'\nplot ", output,
                plot->name, plot->title, plot->x_label, plot->y_label);
  for (size_t i = 0; i < CURVES_MAX && plot->curves[i].title != NULL; i++) {
    (void)fprintf(gnuplot, "%s'-' with linespoints linewidth 2 title '%s'", i == 0 ? "" : ", ", plot->curves[i].title);
  }
  (void)fprintf(gnuplot, "\n");
  for (size_t i = 0; i < CURVES_MAX && plot->curves[i].title != NULL; i++) {
    size_t at;
    json_t *row;
    json_array_foreach((json_t *)rows, at, row) {
      if (plot_has_row(row, &plot->curves[i])) {
        (void)fprintf(gnuplot, "%g %g\n", json_number_value(json_object_get(row, plot->x_column)),
                      json_number_value(json_object_get(row, plot->curves[i].column)));
      }
    }
    (void)fprintf(gnuplot, "e\n");
  }
}

void bench_plot_all(const bench_report_t *report) {
  if (system("command -v gnuplot >/dev/null 2>&1") != 0) { // NOLINT: a constant
    (void)printf("\nno plots: gnuplot is not installed\n");
    return;
  }
  FILE *gnuplot = popen("gnuplot", "we");
  if (gnuplot == NULL) {
    scene_fail("cannot run gnuplot");
  }
  (void)fprintf(gnuplot, "set terminal svg size 800,500 dynamic background 'white'\nset logscale xy\nset grid\n"
                         "set key outside below\nset format y '%%g'\n");
  for (size_t i = 0; i < sizeof plots / sizeof plots[0]; i++) {
    const json_t *rows = json_object_get(report->root, plots[i].part);
    if (rows != NULL) {
      plot_draw(gnuplot, &plots[i], rows, report->output);
    }
  }
  if (pclose(gnuplot) != 0) {
    scene_fail("gnuplot failed");
  }
}
