/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A checkpoint replica: sections, and the log through which every change of them goes, in one memory region.
 *
 * The region survives its process: vestad keeps it in a tmpfs file, the simulator in heap memory. A process that is
 * killed at any store leaves a region that replica_recover() brings to the state before or after the operation, never
 * between. That works because every change is first *prepared* (a complete redo record is appended to the log, and
 * every page that applying it needs is reserved), then *committed* (one store), then *applied* (stores that may be
 * repeated any number of times with the same result).
 *
 *       prepare              commit               apply
 *   [record appended] -> [commit seq moved] -> [sections changed, applied seq moved]
 *       cut: dropped         cut: dropped         cut: applied again
 *       or kept as prepared
 *
 * The same log answers resent requests, feeds the change stream and repairs its gaps.
 *
 * Other processes read the region under sequence locks (replica_reader.h); the layout they share is replica_layout.h.
 *
 * Pure: the only outside world is `struct replica_storage`, through which pages are reserved and given back. One
 * thread. No allocation after format/recover.
 */
#ifndef VESTA_CORE_REPLICA_H
#define VESTA_CORE_REPLICA_H

#include "core/error.h"
#include "core/limits.h"
#include "core/types.h"

typedef struct replica replica_t;

/* How the region's pages come and go. `reserve` makes [offset, offset + size) certain to be writable, or fails with
 * NO_SPACE and changes nothing; `release` gives whole pages inside the range back (they read as zeros then). */
typedef struct replica_storage {
  void *context;
  vesta_err_t (*reserve)(void *context, uint64_t offset, uint64_t size);
  void (*release)(void *context, uint64_t offset, uint64_t size);
} replica_storage_t;

/* Who a replica is. Written once, at format. */
typedef struct replica_identity {
  uint64_t checkpoint_id;
  uint64_t lineage;
  vesta_bytes_t name; /* 1 to VESTA_NAME_BYTES_MAX bytes */
  vesta_attributes_t attributes;
} replica_identity_t;

/* One change of one section. An operation is a list of them, all or nothing, under one seq.
 * CREATED: id (size 0: generate one), data, expiry_ns. WRITTEN: id, offset, data. OVERWRITTEN: id, data.
 * DELETED, EXPIRED: id. EXPIRY_SET: id, expiry_ns.
 * Of the whole checkpoint, alone in their operation: UNLINKED; RETENTION_SET: expiry_ns is the duration;
 * EPOCH: epoch, member (who is granted, 0: nobody).
 * The default section (sections_max 1) has the id of size 0 and is always there: it is never created or deleted. */
typedef struct replica_element {
  vesta_kind_t kind;
  vesta_bytes_t id;
  uint64_t offset;
  vesta_bytes_t data;
  int64_t expiry_ns;
  uint64_t epoch;
  uint64_t member;
  uint32_t slot_given; /* CREATED, from another replica: 1 + the slot that it has there; 0: any that is free */
} replica_element_t;

typedef struct replica_op {
  vesta_token_t session; /* none: not a client's request, no result is kept */
  uint64_t request;      /* its number within the session, from 1 */
  int64_t time_ns;       /* now, wall clock: becomes the sections' time of last change */
  const replica_element_t *elements;
  uint32_t element_count;      /* 1 to VESTA_VECTOR_ELEMENTS_MAX */
  vesta_pos_t unchanged_since; /* the sections it touches were not changed after that; epoch 0: no condition */
  uint32_t generated;          /* from another replica: 1 + the element whose id was generated there; 0: none */
} replica_op_t;

#define REPLICA_NO_ELEMENT UINT32_MAX
#define REPLICA_GENERATED_ID_BYTES_MAX 16U

typedef struct replica_result {
  uint64_t seq, epoch; /* the operation's */
  uint32_t element;    /* on an error: the first bad element, else REPLICA_NO_ELEMENT */
  uint8_t generated_id[REPLICA_GENERATED_ID_BYTES_MAX];
  uint32_t generated_id_size; /* 0: none was generated */
} replica_result_t;

/* ---- life ---- */

/**
 * The size of the region that these attributes need, and whether they are legal at all.
 * @return OK; INVALID_PARAM when the attributes contradict themselves (AIS-CKPT 3.3.2.1: creation flags, sizes);
 *         NO_RESOURCES when they exceed a limit of limits.h
 */
vesta_err_t replica_region_size(const vesta_attributes_t *attributes, uint64_t *size);

/**
 * Make a new, empty replica in `region`, which reads as zeros, is page aligned and `size` bytes long
 * (replica_region_size()). Reserves the whole index at once. Starts at epoch 1, seq 0.
 * @param storage   copied; its context lives as long as the replica
 * @param[out] out  free with replica_destroy(), which leaves the region alone
 * @return OK; NO_SPACE from storage; NO_MEMORY; INVALID_PARAM, NO_RESOURCES as replica_region_size()
 */
vesta_err_t replica_format(void *region, uint64_t size, const replica_identity_t *identity,
                           const replica_storage_t *storage, int64_t now_ns, replica_t **out);

/**
 * Take up a region that another process left, wherever it was stopped: committed records are applied again, incomplete
 * ones dropped, complete but uncommitted ones kept (prepared_seq of replica_status()): commit or abort them.
 * @return OK; MALFORMED when it is no region of ours, of another layout version or size, or damaged; NO_MEMORY;
 *         NO_SPACE
 */
vesta_err_t replica_recover(void *region, uint64_t size, const replica_storage_t *storage, replica_t **out);

/** Free the process-private part. NULL is allowed; *replica becomes NULL. The region stays as it is. */
void replica_destroy(replica_t **replica);

/* ---- change ---- */

/**
 * Judge an operation and append it to the log; nothing is visible yet. On any error nothing is changed.
 * Several operations may be prepared before the first is committed, unless they touch the same section, or one of
 * them is an EPOCH, UNLINKED or RETENTION_SET: that gives TRY_AGAIN.
 * @param[out] result   seq, epoch on OK; element on an error that belongs to one element
 * A CREATED finds its slot also among those that elements before it in the same operation free.
 * @return OK
 *         INVALID_PARAM  an id longer than the attributes allow; data larger than a section may be; the default section
 *                        deleted or its expiry set; no elements or too many; a second id to generate; a kind of the
 *                        whole checkpoint that is not alone; an EPOCH that does not rise
 *         EXIST          CREATED and the id is there (also within one operation; always when sections_max is 1)
 *         NOT_EXIST      any other kind and it is not there (expired by op->time_ns counts as not there)
 *         NO_SPACE       CREATED and there are sections_max sections already; storage is full
 *         NO_RESOURCES   offset + size over the section's maximum; the operation larger than VESTA_OPERATION_BYTES_MAX;
 *                        no more ids to generate; VESTA_REPLICA_SESSIONS_MAX sessions have written
 *         CHANGED        a section was changed after op->unchanged_since, or that is no position of this history
 *         DIVERGED       slot_given is not free here: this is not the state that the operation is of
 *         TRY_AGAIN      as above: an earlier prepared operation must be committed first (also when it is in the way in
 *                        the log, or may yet free a slot); or CREATED, and a section of that id has expired and was not
 *                        removed yet: EXPIRED comes first, as an operation of its own (replica_expiry_next())
 */
vesta_err_t replica_prepare(replica_t *replica, const replica_op_t *op, replica_result_t *result);

/** Commit and apply every prepared operation up to and with `seq`. Cannot fail: all it needs is reserved. */
void replica_commit(replica_t *replica, uint64_t seq);

/** Drop every prepared operation from `seq` on. */
void replica_abort(replica_t *replica, uint64_t seq);

/** prepare and commit in one. TRY_AGAIN also while anything else is prepared. */
vesta_err_t replica_apply(replica_t *replica, const replica_op_t *op, replica_result_t *result);

/**
 * The stored result of a client's change, if it was committed: what a resent request is answered with.
 * The last VESTA_SESSION_WINDOW changes of a session are known.
 * @return OK and *result; NOT_EXIST when no such change was committed
 */
vesta_err_t replica_request_find(const replica_t *replica, vesta_token_t session, uint64_t request,
                                 replica_result_t *result);

/** The session is over: its results are forgotten, its place is free. Unknown sessions are ignored. */
void replica_session_forget(replica_t *replica, vesta_token_t session);

/** The first `max` sessions whose results are kept (for recovery to compare with the directory). Returns how many. */
uint32_t replica_sessions(const replica_t *replica, vesta_token_t *sessions, uint32_t max);

/* ---- look ---- */

typedef struct replica_status {
  vesta_pos_t committed;    /* the last committed operation; seq 0: none yet */
  uint64_t prepared_seq;    /* the last prepared one; equals committed.seq when none is in flight */
  uint64_t history_first;   /* the oldest seq whose record is still in the log; committed.seq + 1 when none */
  uint64_t tombstones_from; /* deletes after this seq are all remembered: a delta from an older seq must be full */
  uint32_t section_count;   /* expired ones that were not removed yet included */
  uint64_t data_bytes;      /* sum of the sections' sizes */
  uint32_t corrupted_count; /* sections whose content is not known here (replica_transfer.h) */
  uint64_t index_bytes, log_bytes, slots_bytes; /* region bytes reserved now, apart by use */
  int64_t retention_ns;
  bool unlinked;
  uint64_t granted_member; /* of the last EPOCH operation */
} replica_status_t;

void replica_status(const replica_t *replica, replica_status_t *status);
/** Of these, what is asked for with every write. */
vesta_pos_t replica_committed(const replica_t *replica);
uint64_t replica_prepared_seq(const replica_t *replica);
/** Pointers into the region: valid as long as the replica. */
void replica_identity(const replica_t *replica, replica_identity_t *identity);

/** The epoch table, oldest first; at most VESTA_EPOCHS_MAX rows (the oldest rows are forgotten). */
uint32_t replica_epochs(const replica_t *replica, vesta_epoch_row_t *rows, uint32_t max);

/**
 * Is this position part of this replica's history?
 * @return OK; DIVERGED when it is of another lineage, beyond the end of its epoch, of an epoch that is not in the table
 *         (newer, or forgotten), or beyond the last committed operation
 */
vesta_err_t replica_position_check(const replica_t *replica, vesta_pos_t position);

/** The last operation that this replica's history shares with one that had got to `seq` in `epoch`; an operation that was
 *  lost with a primary since is not shared. `seq` itself as long as the epoch table does not say otherwise. */
uint64_t replica_shared_seq(const replica_t *replica, uint64_t epoch, uint64_t seq);

#define REPLICA_NO_SLOT UINT32_MAX

/* A section as it is now. Pointers are into the region: valid until the next prepare, commit, abort. */
typedef struct replica_section {
  uint32_t slot;       /* a section keeps its slot all its life; the same in every replica of the checkpoint */
  vesta_bytes_t id;    /* size 0: the default section */
  const uint8_t *data; /* `size` bytes */
  uint64_t size;
  int64_t expiry_ns; /* VESTA_TIME_END: never */
  int64_t last_update_ns;
  uint64_t epoch, seq; /* of the last change */
  uint64_t created_seq;
  bool corrupted; /* what it contains is not known here (replica_transfer.h) */
} replica_section_t;

/** Find by id. Expired sections are not found (@param now_ns). O(1). */
bool replica_find(const replica_t *replica, vesta_bytes_t id, int64_t now_ns, replica_section_t *section);

/** The first used slot at or after `slot` and below `slot_end`; false when there is none. Expired ones are included.
 *  Walk: slot = 0; while (replica_slot_next(r, slot, end, &s)) { ...; slot = s.slot + 1; } */
bool replica_slot_next(const replica_t *replica, uint32_t slot, uint32_t slot_end, replica_section_t *section);
/** The same of sections that changed after `after_seq`. What did not change is passed over by groups of slots, so it
 *  costs what changed rather than what exists.
 *  @param[in,out] looks  slots that may still be looked at one by one
 *  @param[out] section   when false its `slot` alone: where the walk stopped, `slot_end` or less */
bool replica_slot_next_changed(const replica_t *replica, uint32_t slot, uint32_t slot_end, uint64_t after_seq,
                               uint32_t *looks, replica_section_t *section);
/** One past the highest slot that was ever used here; other replicas of the checkpoint may have used more, or less. */
uint32_t replica_slot_end(const replica_t *replica);

/** When the next section expires (VESTA_TIME_END: none does), and which: for the EXPIRED operation. O(1). */
int64_t replica_expiry_next(const replica_t *replica, replica_section_t *section);

/* ---- history ---- */

/* One operation as it stands in the log: pointers into the region, valid until the next prepare. */
typedef struct replica_record {
  uint64_t epoch, seq;
  int64_t time_ns;
  vesta_token_t session;
  uint64_t request;
  uint32_t element_count;
  uint32_t generated; /* 1 + the element whose id was generated; 0: none */
  const void *cursor; /* private */
} replica_record_t;

/* One element of it: what was asked, and the slot it went to. */
typedef struct replica_change {
  replica_element_t element; /* CREATED carries the id also when it was generated */
  uint32_t slot;             /* REPLICA_NO_SLOT for kinds of the whole checkpoint */
} replica_change_t;

/** The record of `seq`. LOST when the log no longer has it, NOT_EXIST when it is not committed yet. O(1). */
vesta_err_t replica_record(const replica_t *replica, uint64_t seq, replica_record_t *record);
/** The record's elements in turn: false after the last. */
bool replica_record_next(replica_record_t *record, replica_change_t *change);

/** Tombstones of deletes with seq > `after_seq`, oldest first, starting at *cursor (0 at first); false when done. */
bool replica_tombstone_next(const replica_t *replica, uint64_t after_seq, uint64_t *cursor, vesta_bytes_t *id,
                            uint64_t *epoch, uint64_t *seq);

/* ---- proof ---- */

/* Called before every single store into the region: tests stop there. Production passes none. */
typedef void (*replica_store_hook_t)(void *context);
void replica_store_hook(replica_t *replica, replica_store_hook_t hook, void *context);

/** Check every invariant of the region; true when all hold. Slow: tests and the simulator only. */
bool replica_check(const replica_t *replica);

#endif
