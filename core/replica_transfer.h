/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a replica offers for being kept in step with those on other nodes: its log from the sender's side, and being
 * filled from another one's state.
 *
 * A replica that is being filled is *incomplete* until replica_load_end(): nothing but the calls of this file is used
 * on it, and replica_recover() refuses it (MALFORMED), so that a crash in between leaves no half state in use.
 */
#ifndef VESTA_CORE_REPLICA_TRANSFER_H
#define VESTA_CORE_REPLICA_TRANSFER_H

#include "core/replica.h"

/* ---- the log, to be sent ---- */

/** As replica_record(), but also of an operation that is prepared and not committed. */
vesta_err_t replica_log_record(const replica_t *replica, uint64_t seq, replica_record_t *record);

/** The epoch that the operation `seq` belongs to, prepared ones included; 0 when it is not known any more, or seq is
 *  0. */
uint64_t replica_epoch_of(const replica_t *replica, uint64_t seq);

/** Equal if and only if (but for a chance of 2^-64) the operation is: epoch, seq, time, session, request, elements and
 *  the slots that they go to. */
uint64_t replica_record_digest(const replica_record_t *record);

/**
 * For a copy that can't prepare what its primary has: take the operation into the history all the same, without its
 * data; the sections concerned are *corrupted* here (replica_section_t) until they are overwritten, deleted, expired or
 * restored. Committed at once. The log then begins behind it: what it would say is not what happened elsewhere. A
 * process that is killed before it is committed has not skipped it.
 * @return OK; TRY_AGAIN: something is in flight; NO_SPACE, NO_RESOURCES, NO_MEMORY: not even that is possible, nothing
 *         was changed; what replica_prepare() says of an operation that makes no sense here
 */
vesta_err_t replica_skip(replica_t *replica, const replica_op_t *op, replica_result_t *result);

/**
 * Give a corrupted section its content back, as of its last change.
 * @return OK; NOT_EXIST: it is not there, or not corrupted; TRY_AGAIN: something that is in flight touches it;
 *         INVALID_PARAM: larger than a section may be; NO_SPACE
 */
vesta_err_t replica_restore_section(replica_t *replica, vesta_bytes_t id, vesta_bytes_t data);

/** The first corrupted section at or after *slot, looking at no more than `looks` slots; *slot moves on. */
bool replica_corrupted_next(const replica_t *replica, uint32_t *slot, uint32_t looks, replica_section_t *section);

/** Readers that map the region may read it until then (steady clock, CLOCK_BOOTTIME); VESTA_TIME_END: always, as after
 *  replica_format() and replica_recover() of a node that is alone. 0: not. */
void replica_readable_until(replica_t *replica, int64_t steady_ns);

/* ---- state, to be sent: sections by replica_slot_next(_changed), deletes by replica_tombstone_next, and ---- */

/** The stored results of requests, in no order: *cursor 0 at first; false when done. Bounded work a call. */
bool replica_result_next(const replica_t *replica, uint64_t *cursor, vesta_token_t *session, uint64_t *request,
                         replica_result_t *result);

/** Ids that are generated are numbered: the last number that was given. */
uint64_t replica_generated_last(const replica_t *replica);

/* ---- being filled ---- */

/** Of a replica fresh from replica_format(). Nobody may read it. @return OK; NO_MEMORY */
vesta_err_t replica_load_begin(replica_t *replica);

/**
 * A section, whole or a part of it; parts come in the order of their offsets. What was there under its id, or in its
 * slot, is replaced: what comes is newer than what is there.
 * @param section  all of it but data; the size is that of the whole
 * @return OK; INVALID_PARAM: it can't be; NO_SPACE: storage is full
 */
vesta_err_t replica_load_section(replica_t *replica, const replica_section_t *section, uint64_t offset,
                                 vesta_bytes_t part);

/** A section is gone, with the operation that deleted it; they come in the order of their operations, and may come
 *  twice. That it was not there is no error, and one that was created again, by the same operation or later, stays.
 *  @return OK; INVALID_PARAM; NO_SPACE */
vesta_err_t replica_load_delete(replica_t *replica, vesta_bytes_t id, uint64_t epoch, uint64_t seq);

/** What a request was answered with. @return OK; NO_RESOURCES; NO_SPACE; INVALID_PARAM */
vesta_err_t replica_load_result(replica_t *replica, vesta_token_t session, uint64_t request,
                                const replica_result_t *result);

/** What sections are named from now on? Those that are not, until the next sweep, are to go. */
void replica_load_mark(replica_t *replica);
/** Delete those that were not named since the mark. */
void replica_load_sweep(replica_t *replica);

/* What else a replica's state consists of. */
typedef struct replica_load_rest {
  uint64_t tombstones_from; /* deletes after this seq were all loaded */
  int64_t retention_ns;
  bool unlinked;
  uint64_t granted_member;
  uint64_t generated_last; /* number of the last id that was generated (replica_generated_last()) */
} replica_load_rest_t;

/**
 * It is complete: the state at this position. Its log is empty.
 * @return OK; INVALID_PARAM: the epoch table, or what was loaded, is none of this position; NO_SPACE
 */
vesta_err_t replica_load_end(replica_t *replica, vesta_pos_t at, const vesta_epoch_row_t *epochs, uint32_t epoch_count,
                             const replica_load_rest_t *rest);

#endif
