/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The log's sinks: standard error, syslog, and systemd's journal through its library.
 */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

static struct {
  log_target_t target;
  log_level_t level;
  bool prefixed; /* standard error is read by systemd, which takes the priority from a prefix */
  time_t second; /* the one that `lines` counts */
  unsigned lines;
  uint64_t suppressed, suppressed_told;
} log_sink = {.target = LOG_TARGET_STDERR, .level = LOG_LEVEL_INFO};

static const struct {
  log_level_t level;
  const char *id;
} log_table[] = {
#define LOG_EVENT_ROW(name, level, id) {LOG_LEVEL_##level, id},
    LOG_EVENTS(LOG_EVENT_ROW)
#undef LOG_EVENT_ROW
};

static int log_priority(log_level_t level) {
  switch (level) {
    case LOG_LEVEL_ERROR: return LOG_ERR;
    case LOG_LEVEL_WARN: return LOG_WARNING;
    case LOG_LEVEL_INFO: return LOG_INFO;
    case LOG_LEVEL_DEBUG: return LOG_DEBUG;
  }
  return LOG_ERR;
}

static const char *log_level_name(log_level_t level) {
  switch (level) {
    case LOG_LEVEL_ERROR: return "error";
    case LOG_LEVEL_WARN: return "warn";
    case LOG_LEVEL_INFO: return "info";
    case LOG_LEVEL_DEBUG: return "debug";
  }
  return "error";
}

/* systemd says in JOURNAL_STREAM which file it gave us as standard error. */
static bool log_stderr_is_journal(void) {
  const char *stream = getenv("JOURNAL_STREAM");
  struct stat status;
  unsigned long long device, inode;
  return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &status) == 0 &&
         status.st_dev == device && status.st_ino == inode;
}

void log_open(log_target_t target, log_level_t level) {
  bool journal = log_stderr_is_journal();
  if (target == LOG_TARGET_AUTO) {
    target = journal ? LOG_TARGET_JOURNAL : LOG_TARGET_STDERR;
  }
  if (target == LOG_TARGET_SYSLOG) {
    openlog("vestad", LOG_PID, LOG_DAEMON);
  }
  log_sink.target = target;
  log_sink.level = level;
  log_sink.prefixed = journal;
}

static void log_put(log_level_t level, const char *id, const char *text) {
  int priority = log_priority(level);
  char line[LOG_LINE_BYTES_MAX + 128];
  int size;
  switch (log_sink.target) {
    case LOG_TARGET_JOURNAL:
      (void)sd_journal_send("PRIORITY=%d", priority, "VESTA_ID=%s", id, "MESSAGE=%s %s %s", log_level_name(level), id,
                            text, NULL);
      return;
    case LOG_TARGET_SYSLOG: syslog(priority, "%s %s %s", log_level_name(level), id, text); return;
    case LOG_TARGET_AUTO:
    case LOG_TARGET_STDERR: break;
  }
  if (log_sink.prefixed) {
    size = snprintf(line, sizeof line, "<%d>%s %s %s\n", priority, log_level_name(level), id, text);
  } else {
    size = snprintf(line, sizeof line, "%s %s %s\n", log_level_name(level), id, text);
  }
  ssize_t ignored = write(STDERR_FILENO, line, (size_t)size); /* one write a line: lines of two daemons do not mix */
  (void)ignored;
}

/* May one more line be written in this second? */
static bool log_admit(void) {
  struct timespec now = {0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  if (now.tv_sec != log_sink.second) {
    uint64_t news = log_sink.suppressed - log_sink.suppressed_told;
    log_sink.second = now.tv_sec;
    log_sink.lines = 0;
    if (news > 0) {
      char text[64];
      (void)snprintf(text, sizeof text, "lines=%llu", (unsigned long long)news);
      log_sink.suppressed_told = log_sink.suppressed;
      log_put(LOG_LEVEL_WARN, log_table[LOG_ID_SUPPRESSED].id, text);
    }
  }
  if (log_sink.lines >= LOG_LINES_PER_SECOND_MAX) {
    log_sink.suppressed++;
    return false;
  }
  log_sink.lines++;
  return true;
}

void log_write(log_event_t event, const char *format, ...) {
  log_level_t level = log_table[event].level;
  if (level > log_sink.level || !log_admit()) {
    return;
  }
  char text[LOG_LINE_BYTES_MAX];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  log_put(level, log_table[event].id, text);
}

uint64_t log_suppressed(void) { return log_sink.suppressed; }
