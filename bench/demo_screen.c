/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The demo's words. See demo_screen.h.
 */
#include "bench/demo_screen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/scene.h"

#define TERMINAL_INTERVAL_NS (100 * SCENE_MS)
#define LOG_INTERVAL_NS (5 * SCENE_SECOND)
#define NUMBER_BYTES 32

/* 1234567 as "1,234,567". */
static const char *demo_number_text(uint64_t number, char text[NUMBER_BYTES]) {
  char plain[NUMBER_BYTES];
  int digits = snprintf(plain, sizeof plain, "%" PRIu64, number);
  char *to = text;
  for (int i = 0; i < digits; i++) {
    if (i > 0 && (digits - i) % 3 == 0) {
      *to++ = ',';
    }
    *to++ = plain[i];
  }
  *to = '\0';
  return text;
}

void demo_screen_begin(demo_screen_t *screen, uint32_t sections, uint32_t section_bytes) {
  char text[NUMBER_BYTES];
  *screen = (demo_screen_t){
      .sections = sections, .terminal = isatty(STDOUT_FILENO) == 1, .phase = "", .shown_ns = scene_now_ns()};
  (void)printf("One active and two standbys; %s sections of %" PRIu32 " bytes; the active is killed twice.\n",
               demo_number_text(sections, text), section_bytes);
  (void)fflush(stdout);
}

void demo_screen_progress(demo_screen_t *screen, const char *phase, uint64_t created, uint64_t acknowledged,
                          uint64_t lag) {
  int64_t passed_ns = scene_now_ns() - screen->shown_ns;
  bool news = phase != screen->phase && !screen->terminal;
  if (!news && passed_ns < (screen->terminal ? TERMINAL_INTERVAL_NS : LOG_INTERVAL_NS)) {
    return;
  }
  char texts[4][NUMBER_BYTES];
  uint64_t rate = news ? 0 : (acknowledged - screen->shown_acknowledged) * (uint64_t)SCENE_SECOND / (uint64_t)passed_ns;
  (void)printf("%s  %-16s %9s sections %11s writes acknowledged %8s/s  standbys behind by %s%s",
               screen->terminal ? "\r" : "", phase, demo_number_text(created, texts[0]),
               demo_number_text(acknowledged, texts[1]), demo_number_text(rate, texts[2]),
               demo_number_text(lag, texts[3]), screen->terminal ? "\033[K" : "\n");
  (void)fflush(stdout);
  screen->phase = phase;
  screen->shown_ns += passed_ns;
  screen->shown_acknowledged = acknowledged;
}

/* ---- the end ---- */

static int demo_compare(const void *left, const void *right) {
  int64_t a = *(const int64_t *)left;
  int64_t b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

static double demo_median_ms(const demo_takeover_t *takeovers, uint32_t count) {
  int64_t sorted[16];
  for (uint32_t i = 0; i < count; i++) {
    sorted[i] = takeovers[i].duration_ns;
  }
  qsort(sorted, count, sizeof sorted[0], demo_compare);
  return (double)(sorted[(count - 1) / 2] + sorted[count / 2]) / 2 / (double)SCENE_MS;
}

static void demo_row(const char *what, const demo_takeover_t *takeover) {
  char texts[3][NUMBER_BYTES];
  const witness_verdict_t *verdict = &takeover->verdict;
  (void)printf("  %-34s %9.1f ms %13s %11s %6s  %s\n", what, (double)takeover->duration_ns / (double)SCENE_MS,
               demo_number_text(takeover->acknowledged_before, texts[0]), demo_number_text(verdict->checked, texts[1]),
               demo_number_text(witness_lost(verdict), texts[2]),
               verdict->cut_kept > 0      ? "had its effect"
               : verdict->cut_dropped > 0 ? "had none"
                                          : "-");
  if (witness_lost(verdict) > 0) {
    (void)printf("    missing %" PRIu64 ", older than acknowledged %" PRIu64 ", never submitted %" PRIu64
                 ", of another size %" PRIu64 ", extra %" PRIu64 "\n",
                 verdict->missing, verdict->older, verdict->foreign, verdict->size, verdict->extra);
  }
  if (takeover->resyncs > 0) {
    (void)printf("    the standby had lost the stream and was resynced: %" PRIu64 "\n", takeover->resyncs);
  }
}

bool demo_screen_end(demo_screen_t *screen, const demo_takeover_t *takeovers, uint32_t count,
                     const demo_takeover_t *plain, uint64_t acknowledged) {
  uint64_t lost = witness_lost(&plain->verdict);
  bool checked = plain->verdict.checked == screen->sections;
  (void)printf("%s\n  %-34s %12s %13s %11s %6s  %s\n", screen->terminal ? "\r\033[K" : "", "", "took", "acknowledged",
               "found right", "lost", "write cut off");
  for (uint32_t i = 0; i < count; i++) {
    char what[64];
    (void)snprintf(what, sizeof what, "active %" PRIu32 " killed, %" PRIu32 " is active", i + 1, i + 2);
    demo_row(what, &takeovers[i]);
    lost += witness_lost(&takeovers[i].verdict);
    checked = checked && takeovers[i].verdict.checked == screen->sections;
  }
  demo_row("the plain way: iterate, read all", plain);
  bool good = lost == 0 && checked;
  (void)printf("\ndemo: %s sections=%" PRIu32 " takeovers=%" PRIu32 " acknowledged=%" PRIu64 " lost=%" PRIu64
               " failover_ms=%.1f catchup_iterated_ms=%.1f\n",
               good ? "ok" : "failed", screen->sections, count, acknowledged, lost, demo_median_ms(takeovers, count),
               (double)plain->duration_ns / (double)SCENE_MS);
  return good;
}
