/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The two clocks of the agent: deadlines go by the steady one, expiry by the wall's.
 */
#ifndef VESTA_SAF_API_AGENT_CLOCK_H
#define VESTA_SAF_API_AGENT_CLOCK_H

#include <stdint.h>
#include <time.h>

#define AGENT_NEVER INT64_MAX

static inline int64_t agent_clock_read(clockid_t clock) {
  struct timespec now;
  (void)clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
static inline int64_t agent_clock_ns(void) { return agent_clock_read(CLOCK_MONOTONIC); }
static inline int64_t agent_wall_ns(void) { return agent_clock_read(CLOCK_REALTIME); }

/** The moment `timeout_ns` from now; 0 or below is no limit. */
static inline int64_t agent_deadline(int64_t timeout_ns) {
  int64_t now_ns = agent_clock_ns();
  return timeout_ns <= 0 || timeout_ns > AGENT_NEVER - now_ns ? AGENT_NEVER : now_ns + timeout_ns;
}

static inline struct timespec agent_timespec(int64_t ns) {
  return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

#endif
