/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading a replica from another process, without a call to the one that writes it.
 *
 * The agent maps the index (header, hash, descriptors, ids: fully reserved at format, so a read never allocates a page
 * and never meets SIGBUS) read-only, and copies payload with pread(2), which reads a hole as zeros where a mapped read
 * would allocate. A sequence lock per section and one of the index tell whether what was read is one state; a lock that
 * stays taken (its writer was killed, say) gives TRY_AGAIN and means: ask the daemon instead.
 *
 * Nothing read from the region is trusted: every offset and count is checked against the geometry that the daemon
 * announced over the socket before it is used.
 */
#ifndef VESTA_CORE_REPLICA_READER_H
#define VESTA_CORE_REPLICA_READER_H

#include "core/error.h"
#include "core/types.h"

/* Copies region bytes: pread in the agent, memcpy in tests. Short only at a fault. */
typedef struct replica_reader_io {
  void *context;
  vesta_err_t (*read)(void *context, uint64_t offset, void *to, size_t size);
} replica_reader_io_t;

typedef struct replica_reader {
  const uint8_t *index; /* mapped, read-only */
  uint64_t index_bytes;
  vesta_attributes_t attributes;
  replica_reader_io_t io;
} replica_reader_t;

/** How many bytes at the start of a region of these attributes are index, to be mapped. */
vesta_err_t replica_reader_index_size(const vesta_attributes_t *attributes, uint64_t *size);

/**
 * Check that the mapped index belongs to `checkpoint_id` with these attributes.
 * @return OK; MALFORMED
 */
vesta_err_t replica_reader_init(replica_reader_t *reader, const void *index, uint64_t index_bytes,
                                uint64_t checkpoint_id, const vesta_attributes_t *attributes,
                                const replica_reader_io_t *io);

/** Until when the region may be read, steady clock (CLOCK_BOOTTIME); VESTA_TIME_END: always. What is read is good if
 *  this is in the future still when it has been copied; else ask the daemon. */
int64_t replica_reader_until(const replica_reader_t *reader);

/** The last operation that what is read from now on is of, or of a later one. */
uint64_t replica_reader_applied(const replica_reader_t *reader);

/**
 * Copy up to `size` bytes of a section from `offset` on.
 * @param[out] read_size bytes copied
 * @return OK; NOT_EXIST when there is none or it has expired by now_ns; INVALID_PARAM when offset is beyond the
 * section's size; TRY_AGAIN when the lock stays taken or the answer is not certain: ask the daemon
 */
vesta_err_t replica_reader_read(const replica_reader_t *reader, vesta_bytes_t id, int64_t now_ns, uint64_t offset,
                                void *to, size_t size, size_t *read_size);
/** The size of a section, for a buffer to be made: same errors. */
vesta_err_t replica_reader_size(const replica_reader_t *reader, vesta_bytes_t id, int64_t now_ns, uint64_t *size);

#endif
