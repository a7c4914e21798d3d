/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The state of hotkv: a checkpoint in which each key is a section (its id the key, its data the value, its expiration
 * time the key's), and a table in this process's memory that says the same.
 *
 *   standby   store_follow() brings each change of the checkpoint into the table: when the time comes it is all there
 *   active    reads are answered from the table. A write goes to the checkpoint first, then to the table, and then the
 *             client hears OK: what was acknowledged is in the checkpoint, whatever happens to this process
 *
 * Values and expiry are set by a transaction: a SET is done or not, never half. Many SETs that arrived together are one
 * transaction, because each takes the time of a call of the service, be it small or large.
 *
 * If the service does not say whether a write was made, this process does not know its own state any more: it ends, and
 * a standby, which knows, goes on.
 */
#ifndef HOTKV_STORE_H
#define HOTKV_STORE_H

#include <saCkpt.h>
#include <vesta.h>

#include "resp.h"

#define STORE_KEY_BYTES_MAX 250
#define STORE_SETS_MAX 128

typedef struct store_options {
  const char *checkpoint;
  size_t keys_max;
  size_t value_bytes_max; /* not above RESP_BULK_BYTES_MAX */
} store_options_t;

typedef struct store store_t;

typedef enum store_result {
  STORE_OK,
  STORE_FULL,   /* keys_max, or memory: nothing was done */
  STORE_AWAY,   /* the service was not there for some seconds, which the call has waited */
  STORE_FENCED, /* another member is active by now: stop serving */
} store_result_t;

/** Say what went wrong and end the process, unless nothing did. */
void store_check(SaAisErrorT error, const char *what);

/** Open the checkpoint, make it if there is none. */
store_t *store_open(const store_options_t *options);
SaCkptCheckpointHandleT store_checkpoint(const store_t *store);
const store_options_t *store_options(const store_t *store);
/** Nanoseconds since 1970, as expiration times are. */
SaTimeT store_now(void);

/* ---- as standby ---- */

/** Take in one change, which the mirror has already. */
void store_follow(store_t *store, vesta_mirror_t *mirror, const vesta_change_t *change);
/** Make the table anew from the mirror. */
void store_rebuild(store_t *store, vesta_mirror_t *mirror);

/* ---- as active ---- */

/** @param[out] value   lives until the next call  @param[out] expiry  may be NULL  @return is the key there? */
bool store_get(const store_t *store, slice_t key, slice_t *value, SaTimeT *expiry);

/* A key of 1 to STORE_KEY_BYTES_MAX bytes shall have a value, of value_bytes_max at most. */
typedef struct store_set {
  slice_t key, value;
  SaTimeT expiry; /* SA_TIME_END: never */
} store_set_t;

/**
 * Make some sets, as one operation: all of them, or as many of the first ones as can be made together.
 *
 * @param count       of `sets`, 1 to STORE_SETS_MAX
 * @param[out] tried  how many the result is about
 */
store_result_t store_set(store_t *store, const store_set_t *sets, size_t count, size_t *tried);
/** Of a key that is there. */
store_result_t store_set_expiry(store_t *store, slice_t key, SaTimeT expiry);
/** Of a key that is there. */
store_result_t store_delete(store_t *store, slice_t key);
size_t store_count(const store_t *store);
/** To be called now and then, ten times a second will do: forget expired keys. Their sections the service deletes. */
void store_sweep(store_t *store);

#endif
