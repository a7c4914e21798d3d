/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The hash of a replica's content (content_hash.h) as of an exact position, made in small pieces beside the writing.
 *
 * Whoever writes knows nothing of it and pays nothing for it: no hash is made in the way of a write. Instead the hash
 * of each section is remembered with the seq of the section's last change, here, in ordinary memory; and when a hash is
 * wanted, what changed since is hashed anew:
 *
 *   SCANNING    all slots in turn; a section whose seq is the remembered one is left as it is. `followed` is where the
 *               replica stood when the scan began.
 *   FOLLOWING   the operations behind `followed`, from the replica's log: the blocks that each one touched are hashed
 *               as they are now. What is hashed too new is hashed once more when its own operation's turn comes. When
 *               the last committed operation is followed, every part is as of now: the sum is that of this position.
 *
 *      SCANNING --all slots--> FOLLOWING --level--> the hash of the position        (next time: FOLLOWING goes on)
 *          ^                       |
 *          +--- the log no longer reaches back to `followed` ---+
 *
 * Following is quicker than writing, so it catches up with writers at full rate: a write costs its block's hash only,
 * and a section that is written again and again is hashed as far as it was written.
 *
 * Memory: 40 bytes a section, and 16 for each VESTA_CONTENT_BLOCK_BYTES of sections larger than one block. Nothing of
 * it outlives the process, and nothing has to: it is made again when it is wanted.
 *
 * What is remembered is not looked at again until it is written. So that memory which was damaged in between is found
 * as well, content_sum_scrub() has a part of it hashed anew, a further part each time.
 */
#ifndef VESTA_CORE_CONTENT_SUM_H
#define VESTA_CORE_CONTENT_SUM_H

#include "core/content_hash.h"
#include "core/replica.h"

typedef struct content_sum content_sum_t;

/* What a position's content is. */
typedef struct content {
  vesta_pos_t position;
  content_hash_t hash;
  uint64_t section_count;
} content_t;

/** @return NULL when out of memory */
content_sum_t *content_sum_new(void);
void content_sum_destroy(content_sum_t **sum);

/**
 * Go on: hash about `budget_bytes`, at most one operation more.
 * @param replica         the same each time, or what was remembered of the other one is forgotten; when a replica goes,
 *                        and another one may get its address, destroy the sum
 * @param bytes_max       the memory it may take
 * @param[out] content    of the replica as it is now
 * @return OK; TRY_AGAIN: there is more to do; NO_RESOURCES: bytes_max is not enough; NO_MEMORY; CORRUPTED: the content
 *         of some sections is not known. After these three what was remembered is forgotten.
 */
vesta_err_t content_sum_step(content_sum_t *sum, const replica_t *replica, uint64_t budget_bytes, uint64_t bytes_max,
                             content_t *content);

/** Is it past the scan, so that only writers keep it from being level? */
bool content_sum_follows(const content_sum_t *sum);

/** How many times since it was made the log did not reach back to where it stood. */
uint64_t content_sum_lost(const content_sum_t *sum);

/** Have a part of what is remembered, one of `parts`, hashed anew by the steps to come; the next part the next time.
 *  To be called after content_sum_step() was OK. */
void content_sum_scrub(content_sum_t *sum, const replica_t *replica, uint32_t parts);

/** Memory it takes. */
uint64_t content_sum_bytes(const content_sum_t *sum);
/** Bytes of data hashed since it was made. */
uint64_t content_sum_hashed_bytes(const content_sum_t *sum);

#endif
