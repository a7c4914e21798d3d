/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A bell that processes share, so that one can wait for what others note in memory that they share as well, without
 * looking there time and again. Made before the others are forked; they have it then.
 *
 *   who rings: changes what is waited for, and rings
 *   who waits: looks, waits for a ring, looks again, ...
 *
 * A ring that nobody waits for yet is heard by the next wait.
 */
#ifndef VESTA_TEST_SUPPORT_BELL_H
#define VESTA_TEST_SUPPORT_BELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct bell {
  int fd;
} bell_t;

/** Ends the test program when it can't be made. */
bell_t bell_new(void);
void bell_destroy(bell_t *bell);

void bell_ring(const bell_t *bell);

/** Wait for a ring, or for the end of one of `count` children, as long as until_ns (daemon_fixture_now_ns()) at most.
 *  @return false when that time is over */
bool bell_wait(const bell_t *bell, const pid_t *children, size_t count, int64_t until_ns);

#endif
