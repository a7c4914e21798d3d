/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What vestad says: one line an event, with an id that stays the same over releases.
 *
 *     level VESTA-JOURNAL-TORN bytes=17 path=/dev/shm/...
 *
 * The table below is the whole vocabulary; doc/OPERATIONS.md says for each id what to do about it, and a test compares
 * the two. ERROR: a person must act. WARN: we coped. INFO: a state changed. DEBUG: for who looks for a fault.
 *
 * A hostile client must not fill a disk: lines above LOG_LINES_PER_SECOND_MAX are dropped and counted.
 * The sink is the one piece of process-wide state in the daemon: faults are reported from everywhere.
 */
#ifndef VESTA_DAEMON_LOG_H
#define VESTA_DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LINES_PER_SECOND_MAX 200U
#define LOG_LINE_BYTES_MAX 4096U

typedef enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG } log_level_t;
typedef enum log_target { LOG_TARGET_AUTO, LOG_TARGET_STDERR, LOG_TARGET_SYSLOG, LOG_TARGET_JOURNAL } log_target_t;

/* name in C, level, id */
#define LOG_EVENTS(X)                                      \
  X(START_FAILED, ERROR, "VESTA-START-FAILED")             \
  X(JOURNAL_DAMAGED, ERROR, "VESTA-JOURNAL-DAMAGED")       \
  X(JOURNAL_FULL, ERROR, "VESTA-JOURNAL-FULL")             \
  X(LOOP_FAILED, ERROR, "VESTA-LOOP-FAILED")               \
  X(REPLICA_DAMAGED, ERROR, "VESTA-REPLICA-DAMAGED")       \
  X(GROUP_REFUSED, ERROR, "VESTA-GROUP-REFUSED")           \
  X(DIVERGED, ERROR, "VESTA-DIVERGED")                     \
  X(GROUP_STILL, WARN, "VESTA-GROUP-STILL")                \
  X(QUORUM, INFO, "VESTA-QUORUM")                          \
  X(NO_QUORUM, WARN, "VESTA-NO-QUORUM")                    \
  X(JOURNAL_TORN, WARN, "VESTA-JOURNAL-TORN")              \
  X(JOURNAL_REWRITE, WARN, "VESTA-JOURNAL-REWRITE-FAILED") \
  X(LINK_MALFORMED, WARN, "VESTA-LINK-MALFORMED")          \
  X(LINK_REFUSED, WARN, "VESTA-LINK-REFUSED")              \
  X(LINK_DENIED, WARN, "VESTA-LINK-DENIED")                \
  X(LINK_SLOW, WARN, "VESTA-LINK-SLOW")                    \
  X(LINK_MUTE, WARN, "VESTA-LINK-MUTE")                    \
  X(ACCEPT_FAILED, WARN, "VESTA-ACCEPT-FAILED")            \
  X(UNWATCHED, WARN, "VESTA-PROCESS-UNWATCHED")            \
  X(REPLICA_FULL, WARN, "VESTA-REPLICA-FULL")              \
  X(REPLICA_OPEN, WARN, "VESTA-REPLICA-OPEN-FAILED")       \
  X(REPLICA_ORPHAN, WARN, "VESTA-REPLICA-ORPHAN")          \
  X(REPLICAS_LOST, WARN, "VESTA-REPLICAS-LOST")            \
  X(STREAM_MALFORMED, WARN, "VESTA-STREAM-MALFORMED")      \
  X(STREAM_BUSY, WARN, "VESTA-STREAM-BUSY")                \
  X(STREAM_CUT, WARN, "VESTA-STREAM-CUT")                  \
  X(FILES_FEW, WARN, "VESTA-FILES-FEW")                    \
  X(GROUP_LOST, WARN, "VESTA-GROUP-LOST")                  \
  X(GROUP_FULL, WARN, "VESTA-GROUP-FULL")                  \
  X(GROUP_MALFORMED, WARN, "VESTA-GROUP-MALFORMED")        \
  X(GROUP_REJOIN, WARN, "VESTA-GROUP-REJOIN")              \
  X(PEER_LOST, WARN, "VESTA-PEER-LOST")                    \
  X(PEER_REFUSED, WARN, "VESTA-PEER-REFUSED")              \
  X(PEER_INSECURE, WARN, "VESTA-PEER-INSECURE")            \
  X(GROUP_TRUST, WARN, "VESTA-GROUP-TRUST")                \
  X(GUEST_REFUSED, WARN, "VESTA-GUEST-REFUSED")            \
  X(KEY_FILE, WARN, "VESTA-KEY-FILE")                      \
  X(GUEST_FULL, WARN, "VESTA-GUEST-FULL")                  \
  X(GUEST_CUT, WARN, "VESTA-GUEST-CUT")                    \
  X(GUEST_INSECURE, WARN, "VESTA-GUEST-INSECURE")          \
  X(FENCE_FAILED, WARN, "VESTA-FENCE-FAILED")              \
  X(SUPPRESSED, WARN, "VESTA-LOG-SUPPRESSED")              \
  X(READY, INFO, "VESTA-READY")                            \
  X(RESTORED, INFO, "VESTA-RESTORED")                      \
  X(GROUP_VIEW, INFO, "VESTA-GROUP-VIEW")                  \
  X(GROUP_QUORUM, INFO, "VESTA-GROUP-QUORUM")              \
  X(PEER_UP, INFO, "VESTA-PEER-UP")                        \
  X(FENCE, INFO, "VESTA-FENCE")                            \
  X(FENCED, INFO, "VESTA-FENCED")                          \
  X(STOPPING, INFO, "VESTA-STOPPING")                      \
  X(IDLE_END, INFO, "VESTA-IDLE-END")                      \
  X(COUNTERS, INFO, "VESTA-COUNTERS")                      \
  X(LINK_OPENED, DEBUG, "VESTA-LINK-OPENED")               \
  X(LINK_CLOSED, DEBUG, "VESTA-LINK-CLOSED")               \
  X(PROCESS_GONE, DEBUG, "VESTA-PROCESS-GONE")

typedef enum log_event {
#define LOG_EVENT_ENUM(name, level, id) LOG_ID_##name,
  LOG_EVENTS(LOG_EVENT_ENUM)
#undef LOG_EVENT_ENUM
} log_event_t;

/* Where lines go, and from which level on. Before this they go to standard error, from INFO on.
 * AUTO is the journal when standard error leads there, else standard error. */
void log_open(log_target_t target, log_level_t level);

/* Say it: key=value pairs, separated by blanks. Free text goes last, as text="...". */
void log_write(log_event_t event, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Lines that were dropped because there were too many. */
uint64_t log_suppressed(void);

#endif
