/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See call_again.h.
 */
#include "test/support/call_again.h"

#include <time.h>

#define PAUSE_NS 1000000

bool call_again(SaAisErrorT error, int64_t until_ns) {
  const struct timespec pause = {.tv_nsec = PAUSE_NS};
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  if (error != SA_AIS_ERR_TRY_AGAIN || (int64_t)now.tv_sec * 1000000000 + now.tv_nsec >= until_ns) {
    return false;
  }
  (void)nanosleep(&pause, NULL);
  return true;
}
