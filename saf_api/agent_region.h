/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A replica that this process reads by itself: its index mapped, its data by pread(2), until the daemon says otherwise.
 *
 * In a cluster another replica may take the place of the one that is mapped, in a file of its own. The new one is put
 * where the old one is, address and descriptor, while other threads read: what they read then may be of both, so a read
 * counts only when nothing was put there since it began.
 *
 *     agent_region_read_t read = agent_region_read_begin(region);
 *     ... replica_reader_...(&region->reader, ...)
 *     agent_region_read_holds(region, read)      now what was read is true
 */
#ifndef VESTA_SAF_API_AGENT_REGION_H
#define VESTA_SAF_API_AGENT_REGION_H

#include <stdatomic.h>

#include "core/replica_reader.h"

typedef struct agent_region {
  int fd;
  void *index;
  uint64_t index_bytes;
  replica_reader_t reader;
  _Atomic uint32_t moves; /* twice how often it was replaced; odd meanwhile */
} agent_region_t;

typedef uint32_t agent_region_read_t;

/**
 * Map the replica behind `fd`.
 * @param fd  the region's from now on, also when this fails
 * @return false: it is no replica of this checkpoint, or can't be mapped; *region is as agent_region_close() leaves it
 */
bool agent_region_open(agent_region_t *region, int fd, uint64_t checkpoint_id, const vesta_attributes_t *attributes);

/**
 * Put the replica behind `fd` in the place of the one that is mapped, unless it is the same. Other threads may read,
 * one may be here.
 * @param fd  closed, or the region's, in any case
 * @return false: it is no replica of this checkpoint, or can't be mapped; nothing has changed
 */
bool agent_region_replace(agent_region_t *region, int fd, uint64_t checkpoint_id);

/** Nobody reads any more. One that was never opened, or is closed, may be closed. */
void agent_region_close(agent_region_t *region);

static inline agent_region_read_t agent_region_read_begin(const agent_region_t *region) {
  return atomic_load_explicit(&region->moves, memory_order_acquire);
}
/** Was it to be read until now, and always the same? */
bool agent_region_read_holds(const agent_region_t *region, agent_region_read_t read);
/** Is it not to be read, and not merely for longer than the daemon has said? */
static inline bool agent_region_is_left(const agent_region_t *region) {
  return replica_reader_until(&region->reader) == 0;
}

#endif
