/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The process-private part of a replica, and what its files offer each other.
 *
 *   replica.c           life and looks          replica_prepare.c   judges an operation: the plan
 *   replica_recover.c   takes a region up       replica_log.c       the record it becomes, the ring of records
 *   replica_layout.c    what lies where         replica_flight.c    prepared operations: commit, abort
 *   replica_slots.c     find, link, free slots  replica_apply.c     the stores that a committed record makes
 *   replica_expiry.c    who expires next        replica_sessions.c  results for resent requests
 *   replica_check.c     every invariant         replica_reader.c    the same region from another process
 *
 * Everything here can be computed from the region and is when a process takes it up (replica_recover.c).
 *
 * Every store into the region goes through REPLICA_STORE, replica_copy or replica_zero. A killed process has executed
 * a prefix of its stores, so their order in the program is what recovery relies on: the helpers keep the compiler from
 * changing it, and release order makes it hold for readers on other processors too.
 */
#ifndef VESTA_CORE_REPLICA_PRIVATE_H
#define VESTA_CORE_REPLICA_PRIVATE_H

#include <stdatomic.h>

#include "core/replica.h"
#include "core/replica_layout.h"
#include "core/replica_transfer.h"

/* The id hashes of elements in flight, counted in a table of this many places. */
#define REPLICA_FLIGHT_PLACES 1024U
/* Where elements of the operation that is being judged are found by id: twice their number. */
#define REPLICA_PLAN_PLACES 2048U
static_assert(REPLICA_PLAN_PLACES >= 2 * VESTA_VECTOR_ELEMENTS_MAX, "the table is never more than half full");

/* Data of a section that is written whole stays in the log from this size on: copying it once more would cost more than
 * looking for it when the record goes. */
#define REPLICA_STAYS_BYTES_MIN (64U << 10)
/* Larger data goes into the log past the processor's cache: half of what a usual one holds for a core. */
#define REPLICA_PAST_CACHE_BYTES_MIN (512U << 10)

/* So many slots together remember when one of them changed last. */
#define REPLICA_GROUP_SLOTS 64U

#define REPLICA_SESSION_BUCKETS 16384U

/* One element, judged: what will be written into the log. */
typedef struct replica_planned {
  const replica_element_t *element;
  vesta_bytes_t id;   /* the element's, or the generated one */
  vesta_bytes_t data; /* of kinds that have data */
  uint32_t hash;
  uint32_t slot;
  uint32_t flags;
  uint32_t freed_before; /* index + 1 of the element that freed a slot before this one, when this one frees one */
  uint64_t old_size, new_size;
  /* the section after it, for the elements behind */
  bool present;
  bool corrupted;
  int64_t expiry_ns;
  bool shared; /* another element of the operation touches it too */
  /* what its slot had reserved before this operation, when it needed more */
  bool grown;
  uint16_t pages_before;
} replica_planned_t;

typedef struct replica_plan {
  const replica_op_t *op;
  uint32_t bad_element; /* the one that an error belongs to */
  uint32_t judged;      /* elements that have been, the bad one included */
  uint32_t freed_last;  /* index + 1 of the last element that freed a slot which nobody took over */
  uint32_t deletes;
  uint64_t generated; /* number of the generated id, 0: none */
  uint8_t generated_id[REPLICA_GENERATED_ID_BYTES_MAX];
  uint32_t generated_id_size;
  uint32_t session_place; /* REPLICA_NO_SESSION: none */
  uint64_t record_bytes;
  uint64_t record_at; /* offset in the ring */
  uint64_t first_seq; /* the oldest record that is left when this one is in */
  replica_planned_t elements[VESTA_VECTOR_ELEMENTS_MAX];
  uint32_t places_mask;                 /* of the part of `places` in use */
  uint16_t places[REPLICA_PLAN_PLACES]; /* index + 1 of the last element with that id */
} replica_plan_t;

typedef struct replica_session_place {
  vesta_token_t token;
  uint64_t request_last; /* no request with a greater number has a result: most are new, and need no search */
  uint32_t in_flight;    /* operations prepared and not committed */
  uint16_t next;         /* in its hash chain, or of the free places: place + 1 */
  bool known;            /* in a hash chain */
} replica_session_place_t;
static_assert(VESTA_REPLICA_SESSIONS_MAX < UINT16_MAX, "a place + 1 is 16 bits");

typedef struct replica_expiry_node {
  int64_t expiry_ns;
  uint32_t slot;
} replica_expiry_node_t;

struct replica {
  uint8_t *region;
  replica_header_t *header;
  replica_layout_t layout;
  replica_storage_t storage;
  replica_store_hook_t hook;
  void *hook_context;

  uint32_t section_count;
  uint64_t data_bytes;
  uint64_t slot_pages;      /* reserved for paged slots */
  uint32_t staying_count;   /* sections whose data is in the log */
  uint32_t corrupted_count; /* sections whose content is not known */
  uint32_t *free_slots;     /* a stack of the free ones below slots_high */
  uint32_t *free_at;        /* of each slot: index in the stack + 1, 0: not in it */
  uint32_t free_count;

  uint64_t *newest_seq; /* of each group of slots: no section there changed later */

  replica_expiry_node_t *expiry_heap; /* sections that expire, the next one on top */
  uint32_t *expiry_at;                /* of each slot: index in the heap + 1, 0: not in it */
  uint32_t expiry_count;

  uint64_t log_end;         /* where the last record ends */
  uint64_t log_beyond_seq;  /* of the last record that reached beyond the soft size, 0: none */
  uint64_t tombstones_next; /* numbers given, those in flight included */
  uint64_t generated_last;  /* likewise of generated ids */
  bool exclusive_in_flight; /* an operation on the whole checkpoint */
  uint32_t flight_ids[REPLICA_FLIGHT_PLACES];

  uint16_t session_buckets[REPLICA_SESSION_BUCKETS];
  replica_session_place_t sessions[VESTA_REPLICA_SESSIONS_MAX];
  uint16_t session_free; /* first of the free places below sessions_high: place + 1 */

  bool corrupts;  /* what is being prepared leaves its sections corrupted */
  uint8_t *named; /* while it is being filled, a bit for each slot: named since the mark */

  replica_plan_t plan;
};

/* ---- stores ---- */

static inline void replica_before_store(const replica_t *replica) {
  if (replica->hook != NULL) {
    replica->hook(replica->hook_context);
  }
  atomic_signal_fence(memory_order_seq_cst);
}

/* Store one number into the region. */
#define REPLICA_STORE(replica, place, value)               \
  do {                                                     \
    replica_before_store(replica);                         \
    __atomic_store_n(&(place), (value), __ATOMIC_RELEASE); \
  } while (0)

/** Copy bytes into the region. Tests see it stopped half way as well. */
void replica_copy(replica_t *replica, void *to, const void *from, size_t size);
/** The same for what is not read soon, into the log: past the processor's cache when it is so large that it would push
 *  everything else out, the memory that the next payload comes through among it. */
void replica_copy_large(replica_t *replica, void *to, const void *from, size_t size);
void replica_zero(replica_t *replica, void *to, size_t size);

/* Sequence locks: odd while taken. Taking a taken one and releasing a free one change nothing, so that recovery may
 * begin where a killed process stopped. */
void replica_lock(replica_t *replica, uint32_t *lock);
void replica_unlock(replica_t *replica, uint32_t *lock);

/** Make sure that the first `end` bytes of an area are reserved; *reserved, in the header, says how many are. */
vesta_err_t replica_area_reserve(replica_t *replica, uint64_t area_at, uint64_t *reserved, uint64_t end);

/* ---- places ---- */

static inline replica_descriptor_t *replica_descriptor(const replica_t *replica, uint32_t slot) {
  VESTA_ASSERT(slot < replica->layout.sections_max);
  return (replica_descriptor_t *)(void *)(replica->region + replica->layout.descriptors_at) + slot;
}
static inline uint8_t *replica_id_place(const replica_t *replica, uint32_t slot) {
  return replica->region + replica->layout.ids_at + (uint64_t)slot * replica->layout.id_stride;
}
static inline uint64_t replica_slot_at(const replica_t *replica, uint32_t slot) {
  return replica->layout.slots_at + slot * replica->layout.slot_stride;
}
static inline replica_session_t *replica_session_at(const replica_t *replica, uint32_t place) {
  return (replica_session_t *)(void *)(replica->region + replica->layout.sessions_at) + place;
}
static inline replica_tombstone_t *replica_tombstone_at(const replica_t *replica, uint64_t number) {
  return (replica_tombstone_t *)(void *)(replica->region + replica->layout.tombstones_at +
                                         number % VESTA_TOMBSTONES_MAX * replica->layout.tombstone_stride);
}
static inline const vesta_epoch_row_t *replica_epoch_last(const replica_t *replica) {
  return &replica->header->epochs[(replica->header->epoch_count - 1) % VESTA_EPOCHS_MAX];
}
/** The record of a seq that is in the log. */
const replica_log_record_t *replica_log_at(const replica_t *replica, uint64_t seq);

static inline const replica_log_element_t *replica_log_elements(const replica_log_record_t *record) {
  return (const replica_log_element_t *)(const void *)(record + 1);
}
static inline uint64_t replica_log_element_bytes(uint64_t id_size, uint64_t data_size) {
  return sizeof(replica_log_element_t) + replica_round_up(id_size, 8) + replica_round_up(data_size, 8);
}
/** The element after this one of the same record; NULL after the last. */
static inline const replica_log_element_t *replica_log_element_next(const replica_log_element_t *element) {
  if ((element->flags & REPLICA_ELEMENT_LAST) != 0) {
    return NULL;
  }
  return (const replica_log_element_t *)(const void *)((const uint8_t *)element +
                                                       replica_log_element_bytes(element->id_size, element->data_size));
}
static inline vesta_bytes_t replica_log_element_id(const replica_log_element_t *element) {
  return vesta_bytes(element + 1, element->id_size);
}
static inline vesta_bytes_t replica_log_element_data(const replica_log_element_t *element) {
  return vesta_bytes((const uint8_t *)(element + 1) + replica_round_up(element->id_size, 8), element->data_size);
}
/* Where that data is in the ring, as data_at of a descriptor says it. Never 0: a record begins with its head. */
static inline uint32_t replica_log_element_data_at(const replica_t *replica, const replica_log_element_t *element) {
  const uint8_t *ring = replica->region + replica->layout.log_at;
  return (uint32_t)((uint64_t)(replica_log_element_data(element).data - ring) / 8);
}
/* Of the whole checkpoint, not of a section. */
static inline bool replica_kind_is_exclusive(uint32_t kind) {
  return kind == VESTA_KIND_UNLINKED || kind == VESTA_KIND_RETENTION_SET || kind == VESTA_KIND_EPOCH;
}
static inline bool replica_kind_has_data(uint32_t kind) {
  return kind == VESTA_KIND_CREATED || kind == VESTA_KIND_WRITTEN || kind == VESTA_KIND_OVERWRITTEN;
}
static inline bool replica_kind_deletes(uint32_t kind) {
  return kind == VESTA_KIND_DELETED || kind == VESTA_KIND_EXPIRED;
}

/* ---- replica.c ---- */

/** The private part of a replica, empty; NULL when there is no memory. */
replica_t *replica_new(void *region, const replica_layout_t *layout, const replica_storage_t *storage);

/* ---- replica_recover.c ---- */

/** replica_recover() with the hook in place from its first store on: recovery can be killed as well. */
vesta_err_t replica_recover_hooked(void *region, uint64_t size, const replica_storage_t *storage,
                                   replica_store_hook_t hook, void *hook_context, replica_t **out);

/* ---- replica_slots.c ---- */

uint32_t replica_hash(const replica_t *replica, vesta_bytes_t id);
/** The slot of an id, expired or not; REPLICA_NO_SLOT. */
uint32_t replica_slot_find(const replica_t *replica, uint32_t hash, vesta_bytes_t id);
void replica_slot_link(replica_t *replica, uint32_t slot);
/** Make all chains anew from the descriptors. */
void replica_slots_relink(replica_t *replica);
/** Take a slot out of its chain, if it is in it. */
void replica_slot_unlink(replica_t *replica, uint32_t slot);
/** Where the data of the section in a slot is. */
uint8_t *replica_slot_data(const replica_t *replica, uint32_t slot);
/** The data of the section in a slot is there from now on; 0: in the slot. Its lock is held. */
void replica_slot_data_set(replica_t *replica, uint32_t slot, uint32_t data_at);
/** Bring the section's data home to its slot, if it is in the log; its lock need not be held. */
void replica_slot_settle(replica_t *replica, uint32_t slot);
/** Make sure that a section of `size` bytes may be written in a slot. */
vesta_err_t replica_slot_reserve(replica_t *replica, uint32_t slot, uint64_t size);
/** Give back the pages of a paged slot beyond the first `pages`. */
void replica_slot_release(replica_t *replica, uint32_t slot, uint16_t pages);
/** The section in a slot was changed last in that epoch, and is corrupted or not. */
void replica_slot_epoch_set(replica_t *replica, uint32_t slot, uint64_t epoch, bool corrupted);
void replica_section_fill(const replica_t *replica, uint32_t slot, replica_section_t *section);
/** Take a free slot, the one that became free last, or one that was never used. @return REPLICA_NO_SLOT: there is none */
uint32_t replica_slot_take_any(replica_t *replica);
/** Take that slot. @return false: it is not free, or there is no such slot */
bool replica_slot_take(replica_t *replica, uint32_t slot);
/** It is free from now on: no section is in it, and no record in flight will create one there. */
void replica_slot_free(replica_t *replica, uint32_t slot);

/* ---- replica_expiry.c ---- */

/** This section expires then; VESTA_TIME_END: never, or it is gone. */
void replica_expiry_set(replica_t *replica, uint32_t slot, int64_t expiry_ns);

/* ---- replica_sessions.c ---- */

/** The place for a session's results, known already or to become its own; reserved.
 *  @return OK; NO_RESOURCES when all are taken; NO_SPACE */
vesta_err_t replica_session_choose(replica_t *replica, vesta_token_t token, uint32_t *place);
/** One more operation of it is in flight / one less, committed or not. */
void replica_session_hold(replica_t *replica, uint32_t place, vesta_token_t token);
void replica_session_let_go(replica_t *replica, uint32_t place);
/** Store the result of a record that is being applied. */
void replica_session_store(replica_t *replica, const replica_log_record_t *record);
/** Store a result that another replica has. */
void replica_session_load(replica_t *replica, uint32_t place, vesta_token_t token, replica_session_result_t result);
/** Rebuild what is private; the first part before, the second after replica_session_hold() of all in flight. */
vesta_err_t replica_sessions_recover(replica_t *replica);
void replica_sessions_recover_free(replica_t *replica);

/* ---- replica_prepare.c ---- */

/** The text of generated id `number`. Returns its size, at most REPLICA_GENERATED_ID_BYTES_MAX. */
uint32_t replica_generated_id(const replica_layout_t *layout, uint64_t number, uint8_t *id);
/** Which number has that id? False: none. */
bool replica_generated_number(const replica_layout_t *layout, vesta_bytes_t id, uint64_t *number);

/* ---- replica_log.c ---- */

/** The record of a seq that is in the log, as it is shown. */
void replica_record_fill(const replica_t *replica, uint64_t seq, replica_record_t *record);
/** Find the place for the planned record.
 *  @return OK; TRY_AGAIN when prepared records are in the way; NO_SPACE */
vesta_err_t replica_log_place(replica_t *replica);
/** Write the planned record and publish it as prepared. Returns its seq. */
uint64_t replica_log_append(replica_t *replica);
/** Forget the applied records before `first_seq`: what sections still have in them goes to their slots first. */
void replica_log_forget(replica_t *replica, uint64_t first_seq);
/** Does it leave sections corrupted? Then it does not say what happened elsewhere (replica_skip()). */
bool replica_log_corrupts(const replica_log_record_t *record);
/** Forget the prepared records from `seq` on. */
void replica_log_cut(replica_t *replica, uint64_t seq);
/** Check every record before anything is believed of it. */
vesta_err_t replica_log_recover(replica_t *replica);

/* ---- replica_flight.c ---- */

/** Does an operation in flight touch this id? */
bool replica_flight_touches(const replica_t *replica, uint32_t hash, vesta_bytes_t id);
/** A record was prepared: note what it touches. */
void replica_flight_enter(replica_t *replica, const replica_log_record_t *record);

/* ---- replica_apply.c ---- */

/** Make the stores that a committed record asks for; any number of times, from any point, with the same result. */
void replica_apply_record(replica_t *replica, const replica_log_record_t *record);

#endif
