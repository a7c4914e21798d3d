/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top: the daemon and its checkpoints, the busiest first, drawn again each second until SIGINT or SIGTERM. Where standard
 * output is no terminal, or JSON is asked for: once.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/service_session.h"

#define TOP_HEAD_LINES 5   /* above the checkpoints, and the cursor's */
#define TOP_NAME_COLUMN 79 /* where names begin */

typedef struct top_round {
  json_t *status;
  report_list_t *list;
  struct timespec taken;
} top_round_t;

static void round_fini(top_round_t *round) {
  json_decref(round->status);
  report_list_destroy(&round->list);
  round->status = NULL;
}

static vesta_err_t round_take(service_link_t *link, top_round_t *round) {
  wire_message_t info = {.kind = WIRE_INFO};
  wire_message_t reply;
  top_round_t made = {0};
  vesta_err_t err = service_session_list(link, &made.list);
  if (err == VESTA_OK) {
    err = service_session_load(link, made.list);
  }
  if (err == VESTA_OK) {
    err = service_link_call(link, &info, &reply);
  }
  if (err != VESTA_OK) {
    round_fini(&made);
    return err;
  }
  made.status = report_info(reply.text);
  (void)clock_gettime(CLOCK_MONOTONIC, &made.taken);
  *round = made;
  return VESTA_OK;
}

/* ---- rates ---- */

/* Rise of a counter since the round before, a second; less than 0: there was none. */
static double top_rate(const json_t *now, const json_t *before, const char *key, double seconds) {
  if (before == NULL || seconds <= 0) {
    return -1;
  }
  json_int_t rise = report_number(now, key) - report_number(before, key);
  return rise > 0 ? (double)rise / seconds : 0;
}

/* In few letters: 12345, 123.4k, 1.2G. */
static const char *top_rate_text(double rate, char text[32]) {
  static const char units[] = {'k', 'M', 'G', 'T'};
  if (rate < 0) {
    return "-";
  }
  if (rate < 99999.5) {
    (void)snprintf(text, 32, "%.0f", rate);
    return text;
  }
  size_t unit = 0;
  for (rate /= 1000; rate >= 1000 && unit + 1 < sizeof units; unit++) {
    rate /= 1000;
  }
  (void)snprintf(text, 32, "%.1f%c", rate, units[unit]);
  return text;
}

typedef struct top_row {
  const json_t *row;
  double changes, bytes; /* a second */
} top_row_t;

static int top_busier(const void *a, const void *b) {
  const top_row_t *left = a;
  const top_row_t *right = b;
  if (left->changes != right->changes) {
    return left->changes > right->changes ? -1 : 1;
  }
  json_int_t left_id = report_number(left->row, "id");
  json_int_t right_id = report_number(right->row, "id");
  return (left_id > right_id) - (left_id < right_id);
}

/* The rows of both rounds are in the order of their ids. NULL: out of memory, or no rows */
static top_row_t *top_rows(const top_round_t *now, const top_round_t *before, double seconds) {
  const json_t *rows = report_list_rows(now->list);
  const json_t *earlier = before->list == NULL ? NULL : report_list_rows(before->list);
  size_t count = json_array_size(rows);
  size_t at = 0;
  top_row_t *made = calloc(count, sizeof *made);
  for (size_t i = 0; made != NULL && i < count; i++) {
    const json_t *row = json_array_get(rows, i);
    while (at < json_array_size(earlier) &&
           report_number(json_array_get(earlier, at), "id") < report_number(row, "id")) {
      at++;
    }
    const json_t *old = json_array_get(earlier, at);
    old = old != NULL && report_number(old, "id") == report_number(row, "id") ? old : NULL;
    made[i] = (top_row_t){.row = row,
                          .changes = top_rate(row, old, "seq", seconds),
                          .bytes = top_rate(row, old, "written_bytes", seconds)};
  }
  if (made != NULL) {
    qsort(made, count, sizeof *made, top_busier);
  }
  return made;
}

/* ---- drawing ---- */

static void top_print_head(const top_round_t *now, const top_round_t *before, double seconds) {
  static const char *const shown[] = {"sessions", "handles", "checkpoints", "streams", "subscriptions", "links"};
  char requests[32], writes[32], bytes[32];
  (void)printf("vestad %s  pid %" JSON_INTEGER_FORMAT "  up %" JSON_INTEGER_FORMAT " s\n",
               json_string_value(json_object_get(now->status, "version")), report_number(now->status, "pid"),
               report_number(now->status, "uptime_s"));
  (void)printf("requests/s %s  writes/s %s  bytes/s %s\n",
               top_rate_text(top_rate(now->status, before->status, "requests", seconds), requests),
               top_rate_text(top_rate(now->status, before->status, "committed", seconds), writes),
               top_rate_text(top_rate(now->status, before->status, "committed_bytes", seconds), bytes));
  for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
    (void)printf("%s%s %" JSON_INTEGER_FORMAT, i == 0 ? "" : "  ", shown[i], report_number(now->status, shown[i]));
  }
  (void)printf("\n%9s %9s %9s %12s %6s %7s %7s %10s  %s\n", "CHANGES/S", "BYTES/S", "SECTIONS", "BYTES", "OPENED",
               "MEMBERS", "STREAMS", "LAG", "NAME");
}

static void top_print_row(const top_row_t *row, int columns) {
  char changes[32], bytes[32], sections[REPORT_NUMBER_BYTES], size[REPORT_NUMBER_BYTES];
  int name_max = columns > TOP_NAME_COLUMN + 8 ? columns - TOP_NAME_COLUMN : 8; /* one line each, whatever the name */
  (void)printf("%9s %9s %9s %12s %6" JSON_INTEGER_FORMAT " %7" JSON_INTEGER_FORMAT " %7" JSON_INTEGER_FORMAT
               " %10" JSON_INTEGER_FORMAT "  %.*s%s\n",
               top_rate_text(row->changes, changes), top_rate_text(row->bytes, bytes),
               report_number_text(row->row, "sections", sections), report_number_text(row->row, "bytes", size),
               report_number(row->row, "opened"), report_number(row->row, "members"),
               report_number(row->row, "streams"), report_number(row->row, "lag"), name_max,
               json_string_value(json_object_get(row->row, "name")),
               json_is_true(json_object_get(row->row, "unlinked")) ? " (unlinked)" : "");
}

/* @return false: out of memory */
static bool top_print(const top_round_t *now, const top_round_t *before, const struct winsize *size) {
  size_t count = json_array_size(report_list_rows(now->list));
  double seconds =
      (double)(now->taken.tv_sec - before->taken.tv_sec) + (double)(now->taken.tv_nsec - before->taken.tv_nsec) / 1e9;
  seconds = before->list == NULL ? 0 : seconds;
  top_row_t *rows = top_rows(now, before, seconds);
  if (rows == NULL && count > 0) {
    return false;
  }
  top_print_head(now, before, seconds);
  size_t rows_max = size->ws_row > TOP_HEAD_LINES ? (size_t)size->ws_row - TOP_HEAD_LINES : 1;
  for (size_t i = 0; i < count && i < rows_max; i++) {
    top_print_row(&rows[i], size->ws_col);
  }
  free(rows);
  (void)fflush(stdout);
  return true;
}

static vesta_err_t top_once(service_link_t *link, bool json) {
  const top_round_t none = {0};
  top_round_t now;
  vesta_err_t err = round_take(link, &now);
  if (err != VESTA_OK) {
    return err;
  }
  if (json) {
    json_t *both = json_pack("{s:O, s:O}", "status", now.status, "checkpoints", report_list_rows(now.list));
    report_object(both, true);
    json_decref(both);
  } else {
    const struct winsize all = {.ws_row = UINT16_MAX, .ws_col = UINT16_MAX};
    err = top_print(&now, &none, &all) ? VESTA_OK : VESTA_ERR_NO_MEMORY;
  }
  round_fini(&now);
  return err;
}

static void top_size(struct winsize *size) {
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, size) != 0 || size->ws_row == 0 || size->ws_col == 0) {
    *size = (struct winsize){.ws_row = 24, .ws_col = 80};
  }
}

static vesta_err_t top_live(service_link_t *link) {
  const struct timespec second = {.tv_sec = 1};
  top_round_t before = {0};
  top_round_t now;
  sigset_t ending;
  (void)sigemptyset(&ending);
  (void)sigaddset(&ending, SIGINT);
  (void)sigaddset(&ending, SIGTERM);
  (void)sigprocmask(SIG_BLOCK, &ending, NULL);
  vesta_err_t err;
  while ((err = round_take(link, &now)) == VESTA_OK) {
    struct winsize size;
    top_size(&size);
    (void)fputs("\x1b[H\x1b[2J", stdout); /* home, clear */
    err = top_print(&now, &before, &size) ? VESTA_OK : VESTA_ERR_NO_MEMORY;
    round_fini(&before);
    before = now;
    if (err != VESTA_OK || ferror(stdout) || sigtimedwait(&ending, NULL, &second) > 0) {
      break;
    }
  }
  round_fini(&before);
  return err;
}

int command_top(const command_line_t *line) {
  service_link_t link;
  vesta_err_t err = service_link_open(&link, line->socket);
  if (err == VESTA_OK) {
    err = line->json || !isatty(STDOUT_FILENO) ? top_once(&link, line->json) : top_live(&link);
    service_link_close(&link);
  }
  return command_result(line, err);
}
