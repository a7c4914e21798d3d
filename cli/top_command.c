/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top: the daemon and its checkpoints, drawn again each second until SIGINT or SIGTERM. Where standard output is no
 * terminal, or JSON is asked for: once.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/service_session.h"

#define TOP_HEAD_LINES 4 /* above the checkpoints, and the cursor's */

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

static json_int_t top_number(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}

/* Rise of a counter a second since the round before; rows are in order of their ids, `at` walks along. */
static double top_rate(json_int_t now, json_int_t before, double seconds) {
  return seconds > 0 && now > before ? (double)(now - before) / seconds : 0;
}

static const json_t *top_before(const json_t *rows, size_t *at, json_int_t id) {
  while (*at < json_array_size(rows) && top_number(json_array_get(rows, *at), "id") < id) {
    (*at)++;
  }
  const json_t *row = json_array_get(rows, *at);
  return row != NULL && top_number(row, "id") == id ? row : NULL;
}

static void top_print(const top_round_t *now, const top_round_t *before, size_t rows_max) {
  static const char *const shown[] = {"sessions", "handles", "checkpoints", "links", "subscriptions"};
  const json_t *rows = report_list_rows(now->list);
  const json_t *earlier = before->list == NULL ? NULL : report_list_rows(before->list);
  double seconds =
      (double)(now->taken.tv_sec - before->taken.tv_sec) + (double)(now->taken.tv_nsec - before->taken.tv_nsec) / 1e9;
  seconds = earlier == NULL ? 0 : seconds;
  (void)printf("vestad %s  pid %" JSON_INTEGER_FORMAT "  up %" JSON_INTEGER_FORMAT " s  requests/s %.0f\n",
               json_string_value(json_object_get(now->status, "version")), top_number(now->status, "pid"),
               top_number(now->status, "uptime_s"),
               top_rate(top_number(now->status, "requests"), top_number(before->status, "requests"), seconds));
  for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
    (void)printf("%s%s %" JSON_INTEGER_FORMAT, i == 0 ? "" : "  ", shown[i], top_number(now->status, shown[i]));
  }
  (void)printf("\n%9s %12s %6s %12s %10s  %s\n", "SECTIONS", "BYTES", "OPENED", "SEQ", "CHANGES/S", "NAME");
  size_t at = 0;
  for (size_t i = 0; i < json_array_size(rows) && i < rows_max; i++) {
    const json_t *row = json_array_get(rows, i);
    const json_t *old = top_before(earlier, &at, top_number(row, "id"));
    char rate[32] = "-";
    if (old != NULL) {
      (void)snprintf(rate, sizeof rate, "%.0f", top_rate(top_number(row, "seq"), top_number(old, "seq"), seconds));
    }
    (void)printf("%9" JSON_INTEGER_FORMAT " %12" JSON_INTEGER_FORMAT " %6" JSON_INTEGER_FORMAT
                 " %12" JSON_INTEGER_FORMAT " %10s  %s%s\n",
                 top_number(row, "sections"), top_number(row, "bytes"), top_number(row, "opened"),
                 top_number(row, "seq"), rate, json_string_value(json_object_get(row, "name")),
                 json_is_true(json_object_get(row, "unlinked")) ? " (unlinked)" : "");
  }
  (void)fflush(stdout);
}

static size_t top_rows_max(void) {
  struct winsize size = {0};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) {
    return SIZE_MAX;
  }
  return size.ws_row > TOP_HEAD_LINES ? (size_t)size.ws_row - TOP_HEAD_LINES : 1;
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
    top_print(&now, &none, SIZE_MAX);
  }
  round_fini(&now);
  return VESTA_OK;
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
    (void)fputs("\x1b[H\x1b[2J", stdout); /* home, clear */
    top_print(&now, &before, top_rows_max());
    round_fini(&before);
    before = now;
    if (ferror(stdout) || sigtimedwait(&ending, NULL, &second) > 0) {
      break;
    }
  }
  round_fini(&before);
  return err;
}

int command_top(const command_line_t *line) {
  service_link_t link;
  vesta_err_t err = service_session_begin(&link, line->socket);
  if (err == VESTA_OK) {
    err = line->json || !isatty(STDOUT_FILENO) ? top_once(&link, line->json) : top_live(&link);
    service_session_end(&link);
  }
  return command_result(line, err);
}
