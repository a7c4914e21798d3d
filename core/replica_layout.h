/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What lies where in a replica's region: shared by the replica, which writes it, and the reader in another process.
 *
 *   header | buckets | descriptors | ids | sessions | tombstones | log index | log ring | slots
 *   `----------- the index -----------'
 *
 * The geometry follows from the creation attributes alone, so both sides compute it and neither trusts an offset it
 * reads. The index is reserved when the replica is formatted; every other area is reserved from its start as far as it
 * was ever needed (`reserved` in the header says how far), except large slots, each of which grows for itself.
 *
 * Numbers are in host order: a region never leaves its machine.
 *
 *   buckets       slot + 1 of the first section of a hash chain, 0: none. A power of two, at least one per section
 *   descriptors   one per slot, a cache line each
 *   ids           one place per slot
 *   sessions      who wrote, and the results of their last changes
 *   tombstones    ring of deleted ids; number n lies in place n % VESTA_TOMBSTONES_MAX
 *   log index     where the record of seq s begins: place s % log_index_count, in units of 8 bytes
 *   log ring      records, each contiguous: one begins below log_soft_bytes and may reach beyond; the next begins at 0
 *   slots         the sections' data; a section is in the same slot in every replica. That of a large section that was written whole stays in its log record, where it
 *                 was copied to once, until the record goes; only then it moves to its slot, if it is still wanted
 */
#ifndef VESTA_CORE_REPLICA_LAYOUT_H
#define VESTA_CORE_REPLICA_LAYOUT_H

#include "core/error.h"
#include "core/limits.h"
#include "core/types.h"

#define REPLICA_MAGIC 0x31617473655672ULL /* "rVesta1" */
#define REPLICA_LAYOUT_VERSION 3U         /* 3: slots are the same in all replicas of a checkpoint */
#define REPLICA_PAGE_BYTES 4096U

/* How far an area's pages are reserved, in bytes from its start. */
typedef struct replica_reserved {
  uint64_t sessions, tombstones, log_index, log, slots; /* slots: only when they are packed, see slots_paged */
} replica_reserved_t;

typedef struct replica_header {
  uint64_t magic; /* stored last: a region without it was never finished */
  uint32_t layout_version;
  uint32_t index_lock; /* odd while chains change, or a process recovers the region */
  uint64_t region_bytes;

  /* identity: never changes */
  uint64_t checkpoint_id, lineage;
  uint64_t checkpoint_bytes;
  int64_t retention_ns_created;
  uint64_t section_bytes_max;
  uint32_t creation_flags, sections_max, section_id_bytes_max, name_size;
  uint8_t name[VESTA_NAME_BYTES_MAX];

  /* the log: first_seq <= applied_seq + 1, applied_seq <= committed_seq <= prepared_seq */
  uint64_t first_seq;
  uint64_t prepared_seq;
  uint64_t committed_seq;
  uint64_t applied_seq;

  replica_reserved_t reserved;
  uint32_t slots_high;      /* no slot at or above was ever used */
  uint32_t sessions_high;   /* no session place at or above was ever used */
  uint64_t tombstone_count; /* ever made */
  uint64_t generated_last;  /* number of the last generated id, 0: none */
  int64_t retention_ns;
  uint64_t granted_member;
  uint32_t unlinked;
  uint32_t incomplete;       /* 1: it is being filled from another node's: not to be used */
  uint64_t tombstones_from;  /* deletes up to this seq may have left no tombstone */
  int64_t readable_until_ns; /* steady clock: readers of other processes look for themselves until then */
  uint64_t epoch_count;      /* rows ever made; row n lies in place n % VESTA_EPOCHS_MAX */
  vesta_epoch_row_t epochs[VESTA_EPOCHS_MAX];
} replica_header_t;
static_assert(sizeof(replica_header_t) <= REPLICA_PAGE_BYTES, "the header is one page");

typedef struct replica_descriptor {
  uint32_t lock;    /* odd while the section is being written */
  uint32_t next;    /* in its hash chain: slot + 1, 0: last */
  uint32_t hash;    /* changes only while the slot is in no chain */
  uint16_t id_mark; /* 0: the slot is free; else 1 + the size of the id. Set before linking, cleared after unlinking */
  uint16_t pages;   /* reserved for the data, when slots are paged */
  uint32_t size;
  uint32_t data_at; /* where in the log ring its data is, in units of 8 bytes; 0: in its slot */
  int64_t expiry_ns;
  int64_t last_update_ns;
  uint64_t epoch, seq, created_seq;
} replica_descriptor_t;
#define REPLICA_EPOCH_CORRUPTED (1ULL << 63) /* in a descriptor's epoch: what the section contains is not known */
static_assert(sizeof(replica_descriptor_t) == 64, "a descriptor is a cache line");
static_assert(VESTA_SECTION_ID_BYTES_MAX + 1 <= UINT16_MAX, "id_mark holds every size");
static_assert(VESTA_SECTION_BYTES_MAX / REPLICA_PAGE_BYTES <= UINT16_MAX, "pages holds the largest section");
static_assert(VESTA_SECTION_BYTES_MAX <= UINT32_MAX, "size holds the largest section");

/* The result of one change of a session. */
typedef struct replica_session_result {
  uint64_t request, seq;
  uint64_t generated; /* number of the id that was generated, 0: none */
} replica_session_result_t;

typedef enum replica_session_state {
  REPLICA_SESSION_FREE = 0,
  REPLICA_SESSION_USED = 1,
  REPLICA_SESSION_FORGOTTEN = 2, /* over, but operations of it are still in flight */
} replica_session_state_t;

typedef struct replica_session {
  uint32_t state; /* a replica_session_state_t */
  uint32_t unused;
  uint64_t token_hi, token_lo;
  uint64_t result_count; /* ever stored; result n lies in place n % VESTA_SESSION_WINDOW */
  replica_session_result_t results[VESTA_SESSION_WINDOW];
} replica_session_t;

typedef struct replica_tombstone {
  uint64_t epoch, seq;
  uint32_t id_size;
  uint32_t index; /* among the tombstones of its operation */
  uint8_t id[];   /* room for section_id_bytes_max, rounded up to 8 */
} replica_tombstone_t;

/* A record of the log: this, then its elements. Complete: applying it needs nothing else. */
typedef struct replica_log_record {
  uint64_t length; /* of the whole record, a multiple of 8 */
  uint64_t seq, epoch;
  int64_t time_ns;
  uint64_t session_hi, session_lo, request;
  uint64_t tombstone_first; /* number of the first tombstone it makes, if it makes any */
  uint64_t generated;       /* number of the id it generates, 0: none */
  uint32_t session_place;   /* REPLICA_NO_SESSION: no result is kept */
  uint32_t element_count;
} replica_log_record_t;

#define REPLICA_NO_SESSION UINT32_MAX

enum {
  REPLICA_ELEMENT_LAST = 1,        /* of its record */
  REPLICA_ELEMENT_GENERATED = 2,   /* CREATED: the id was generated */
  REPLICA_ELEMENT_SLOT_PASSED = 4, /* DELETED, EXPIRED: a later CREATED of the same record takes over the slot */
  REPLICA_ELEMENT_SLOT_TAKEN = 8,  /* CREATED: in a slot passed on so */
  REPLICA_ELEMENT_CORRUPTS = 32,   /* what the section contains is not known after it */
  REPLICA_ELEMENT_STAYS = 16,      /* its data is all of the section and stays here, see data_at of the descriptor */
};

/* Then the id and the data, each padded to 8. */
typedef struct replica_log_element {
  uint16_t kind;
  uint16_t id_size;
  uint32_t slot;
  uint32_t hash;
  uint32_t flags;
  uint64_t data_size;
  uint64_t offset;
  uint64_t old_size, new_size; /* of the section, before and after */
  int64_t expiry_ns;
  uint64_t member;
} replica_log_element_t;
static_assert(sizeof(replica_log_record_t) + sizeof(replica_log_element_t) >= 128,
              "the log index has a place for every record that fits below the soft size");

typedef struct replica_layout {
  uint32_t sections_max, bucket_count;
  uint32_t id_bytes_max, id_stride;
  uint64_t section_bytes_max, slot_stride;
  bool slots_paged; /* each slot begins on a page and has pages of its own, else slots are packed */
  uint64_t buckets_at, descriptors_at, ids_at, index_bytes;
  uint64_t sessions_at, tombstones_at, tombstone_stride;
  uint64_t log_index_at, log_index_count;
  uint64_t log_at, log_soft_bytes, log_hard_bytes;
  uint64_t slots_at, region_bytes;
} replica_layout_t;

/**
 * The geometry that belongs to these attributes.
 * @return OK; INVALID_PARAM when the attributes contradict themselves; NO_RESOURCES when they exceed limits.h
 */
vesta_err_t replica_layout_make(const vesta_attributes_t *attributes, replica_layout_t *layout);

/** The hash of an id; the chain it is in is hash % bucket_count. The lineage seeds it, so chains can't be aimed at. */
uint32_t replica_layout_hash(uint64_t lineage, vesta_bytes_t id);

static inline uint64_t replica_round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

#endif
