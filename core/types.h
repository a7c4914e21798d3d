/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The few types that every part shares: byte ranges, sessions, positions.
 */
#ifndef VESTA_CORE_TYPES_H
#define VESTA_CORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A range of bytes that somebody else owns. */
typedef struct vesta_bytes {
  const uint8_t *data;
  size_t size;
} vesta_bytes_t;

static inline vesta_bytes_t vesta_bytes(const void *data, size_t size) {
  return (vesta_bytes_t){.data = data, .size = size};
}
static inline bool vesta_bytes_equal(vesta_bytes_t a, vesta_bytes_t b) {
  return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* A session: one library handle of one process. 128 random bits, drawn by the daemon. All zero is no session. */
typedef struct vesta_token {
  uint64_t hi, lo;
} vesta_token_t;

static inline bool vesta_token_equal(vesta_token_t a, vesta_token_t b) { return a.hi == b.hi && a.lo == b.lo; }
static inline bool vesta_token_is_none(vesta_token_t a) { return a.hi == 0 && a.lo == 0; }

/* Where a history stands. `lineage` names the history (drawn at random when the checkpoint is created), `seq` is dense
 * within it: every committed operation has the next one. `epoch` rises each time the active changes hands; an epoch
 * begins with an operation of its own, and the epoch table (epoch -> first seq) says where. */
typedef struct vesta_pos {
  uint64_t lineage;
  uint64_t epoch;
  uint64_t seq;
} vesta_pos_t;

static inline bool vesta_pos_equal(vesta_pos_t a, vesta_pos_t b) {
  return a.lineage == b.lineage && a.epoch == b.epoch && a.seq == b.seq;
}

/* One row of an epoch table: operations from `first_seq` on belong to `epoch`, up to the next row. */
typedef struct vesta_epoch_row {
  uint64_t epoch;
  uint64_t first_seq;
} vesta_epoch_row_t;

/* Creation attributes of a checkpoint (B.02.02 3.3.2.1). Durations in nanoseconds; INT64_MAX is for ever. */
enum {
  VESTA_CREATE_ALL_REPLICAS = 1,
  VESTA_CREATE_ACTIVE_REPLICA = 2,
  VESTA_CREATE_ACTIVE_REPLICA_WEAK = 4,
  VESTA_CREATE_COLLOCATED = 8,
};
enum { VESTA_OPEN_READ = 1, VESTA_OPEN_WRITE = 2, VESTA_OPEN_CREATE = 4 };

typedef struct vesta_attributes {
  uint32_t creation_flags;
  uint64_t checkpoint_bytes; /* as the application said; not a limit (sections_max and section_bytes_max are) */
  int64_t retention_ns;      /* from the last close on; VESTA_TIME_END: for ever */
  uint32_t sections_max;
  uint64_t section_bytes_max;
  uint32_t section_id_bytes_max;
} vesta_attributes_t;

#define VESTA_TIME_END INT64_MAX /* never */

#define VESTA_MEMBER_SAME UINT64_MAX /* in an EPOCH: no role was granted, another replica orders the log from here on */

#define VESTA_CONTENT_HASH_BYTES 16U /* the hash of a content (content_hash.h), as it is written */

/* What happens to a section or a checkpoint; numbers are on the wire. */
typedef enum vesta_kind {
  VESTA_KIND_CREATED = 1,
  VESTA_KIND_WRITTEN = 2,
  VESTA_KIND_OVERWRITTEN = 3,
  VESTA_KIND_DELETED = 4,
  VESTA_KIND_EXPIRED = 5,
  VESTA_KIND_EXPIRY_SET = 6,
  VESTA_KIND_UNLINKED = 7,
  VESTA_KIND_RETENTION_SET = 8,
  VESTA_KIND_EPOCH = 9,
} vesta_kind_t;

#endif
