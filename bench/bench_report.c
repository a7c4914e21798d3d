/* SPDX-License-Identifier: BSD-2-Clause
 *
 * JSON, the table's headings, the targets. See bench_report.h.
 */
#include "bench/bench_report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/scene.h"

void bench_report_init(bench_report_t *report, const char *output) {
  struct utsname system;
  (void)uname(&system);
  if (output != NULL && mkdir(output, 0777) != 0 && errno != EEXIST) {
    scene_fail("cannot make %s: %s", output, strerror(errno));
  }
  *report = (bench_report_t){.output = output, .root = json_object()};
  (void)json_object_set_new(report->root, "version", json_string(VESTA_VERSION));
  (void)json_object_set_new(report->root, "machine",
                            json_pack("{s:s, s:s, s:I}", "kernel", system.release, "architecture", system.machine,
                                      "processors", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN)));
}

void bench_report_title(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)printf("\n");
  (void)vprintf(format, arguments);
  (void)printf("\n");
  (void)fflush(stdout);
  va_end(arguments);
}

void bench_report_add(bench_report_t *report, const char *part, json_t *row) {
  json_t *rows = json_object_get(report->root, part);
  if (rows == NULL) {
    rows = json_array();
    (void)json_object_set_new(report->root, part, rows);
  }
  if (row == NULL || json_array_append_new(rows, row) != 0) {
    scene_fail("out of memory");
  }
  (void)fflush(stdout);
}

static void report_target(bench_report_t *report, const char *name, double value, double limit, bool ok) {
  bench_report_add(report, "targets",
                   json_pack("{s:s, s:f, s:f, s:b}", "name", name, "value", value, "limit", limit, "ok", ok));
}

void bench_report_target(bench_report_t *report, const char *name, double value, double limit) {
  report_target(report, name, value, limit, value <= limit);
}

void bench_report_target_least(bench_report_t *report, const char *name, double value, double limit) {
  report_target(report, name, value, limit, value >= limit);
}

void bench_report_finish(bench_report_t *report) {
  if (report->output != NULL) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/bench.json", report->output);
    if (json_dump_file(report->root, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) != 0) {
      scene_fail("cannot write %s", path);
    }
    bench_plot_all(report);
    (void)printf("\nwritten: %s\n", path);
  }
  (void)printf("\n");
  size_t i;
  json_t *target;
  json_array_foreach(json_object_get(report->root, "targets"), i, target) {
    const char *name;
    double value;
    double limit;
    int ok;
    (void)json_unpack(target, "{s:s, s:f, s:f, s:b}", "name", &name, "value", &value, "limit", &limit, "ok", &ok);
    (void)printf("target %s value=%.4g limit=%g %s\n", name, value, limit, ok != 0 ? "ok" : "short");
  }
  json_decref(report->root);
}

const char *bench_place_text(const bench_context_t *bench) {
  return bench->on_one ? "all processes on one processor" : "processes left to the scheduler";
}

const char *bench_size_text(size_t bytes, char text[24]) {
  if (bytes >= 1 << 20) {
    (void)snprintf(text, 24, "%zu MB", bytes >> 20);
  } else if (bytes >= 1 << 10) {
    (void)snprintf(text, 24, "%zu KB", bytes >> 10);
  } else {
    (void)snprintf(text, 24, "%zu B", bytes);
  }
  return text;
}
