/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writes one number after the other. A write that was answered TRY_AGAIN had no effect, and is repeated with the same
 * number; nothing else is repeated. So each number is in the checkpoint's history once at most.
 */
#include <time.h>

#include "test/cluster/cluster_client.h"

/* Not as fast as it can: several clusters share the machine, and each number is looked for later. */
#define WRITER_PAUSE_NS 500000

static void write_number(SaCkptCheckpointHandleT checkpoint, uint64_t sections, uint64_t number, uint64_t padding) {
  client_patience_begin();
  while (client_write(checkpoint, sections, number, padding) == CLIENT_NOT_YET) {
    if (!client_again(SA_AIS_ERR_TRY_AGAIN)) {
      (void)printf("failed s%llu %llu %d\n", (unsigned long long)(number % sections), (unsigned long long)number,
                   (int)SA_AIS_ERR_TRY_AGAIN);
      (void)fflush(stdout);
      return;
    }
  }
}

void writer_run(SaCkptCheckpointHandleT checkpoint, uint64_t sections, uint64_t from, uint64_t count,
                uint64_t padding) {
  const struct timespec pause = {.tv_nsec = WRITER_PAUSE_NS};
  for (uint64_t i = 0; i < count && !client_ended(); i++) {
    write_number(checkpoint, sections, from + i, padding);
    (void)nanosleep(&pause, NULL);
  }
}
