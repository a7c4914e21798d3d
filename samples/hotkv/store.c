/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Checkpoint and table. See store.h.
 */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "table.h"

#define OPEN_TIMEOUT (10 * SA_TIME_ONE_SECOND)
#define SET_ATTEMPTS_MAX 4
#define LONG_AGO 1 /* expired */
#define SWEEP_INTERVAL (100 * SA_TIME_ONE_MILLISECOND)

struct store {
  store_options_t options;
  SaCkptCheckpointHandleT checkpoint;
  table_t *table;
  SaTimeT next_sweep;
};

void store_check(SaAisErrorT error, const char *what) {
  if (error != SA_AIS_OK) {
    fprintf(stderr, "hotkv: %s: %s\n", what, saAisStrError(error));
    exit(1);
  }
}

store_t *store_open(const store_options_t *options) {
  static store_t store;
  store = (store_t){.options = *options, .table = table_new(options->keys_max)};

  SaCkptHandleT library;
  SaVersionT version = {'B', 2, 2};
  store_check(saCkptInitialize(&library, NULL, &version), "initialize");

  SaNameT name = {0};
  name.length = (SaUint16T)snprintf((char *)name.value, sizeof name.value, "safCkpt=%s", options->checkpoint);
  const SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = SA_CKPT_WR_ALL_REPLICAS,
                                                          .checkpointSize =
                                                              options->keys_max * options->value_bytes_max,
                                                          .retentionDuration = SA_TIME_END, /* outlives us all */
                                                          .maxSections = (SaUint32T)options->keys_max,
                                                          .maxSectionSize = options->value_bytes_max,
                                                          .maxSectionIdSize = STORE_KEY_BYTES_MAX};
  store_check(saCkptCheckpointOpen(library, &name, &attributes,
                                   SA_CKPT_CHECKPOINT_CREATE | SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE,
                                   OPEN_TIMEOUT, &store.checkpoint),
              "open checkpoint");
  return &store;
}

SaCkptCheckpointHandleT store_checkpoint(const store_t *store) { return store->checkpoint; }

const store_options_t *store_options(const store_t *store) { return &store->options; }

SaTimeT store_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * SA_TIME_ONE_SECOND + now.tv_nsec;
}

/* ---- as standby ---- */

static SaBoolT copy_section(void *context, const vesta_section_t *section) {
  store_t *store = context;
  slice_t key = {(const char *)section->id.id, section->id.idLen};
  table_put(store->table, key, (slice_t){section->data, section->size}, section->expiry);
  return SA_TRUE;
}

void store_rebuild(store_t *store, vesta_mirror_t *mirror) {
  table_clear(store->table);
  store_check(vesta_mirror_each(mirror, copy_section, store), "read mirror");
}

void store_follow(store_t *store, vesta_mirror_t *mirror, const vesta_change_t *change) {
  slice_t key = {(const char *)change->id.id, change->id.idLen};
  if (change->kind == VESTA_CHANGE_RESYNC_END) {
    store_rebuild(store, mirror);
  } else if (change->resync) {
    return; /* the mirror shows a resync when it is complete, and so do we */
  } else if (change->kind == VESTA_CHANGE_CREATED) {
    table_put(store->table, key, (slice_t){change->data, change->size}, change->expiry);
  } else if (change->kind == VESTA_CHANGE_OVERWRITTEN) {
    const entry_t *entry = table_find(store->table, key);
    table_put(store->table, key, (slice_t){change->data, change->size}, entry == NULL ? SA_TIME_END : entry->expiry);
  } else if (change->kind == VESTA_CHANGE_EXPIRY_SET) {
    table_set_expiry(store->table, key, change->expiry);
  } else if (change->kind == VESTA_CHANGE_DELETED || change->kind == VESTA_CHANGE_EXPIRED) {
    table_remove(store->table, key);
  } else if (change->kind == VESTA_CHANGE_GONE) {
    store_check(SA_AIS_ERR_NOT_EXIST, "the checkpoint was deleted");
  } /* WRITTEN, parts of sections, is not among the things that hotkv does */
}

/* ---- as active ---- */

bool store_get(const store_t *store, slice_t key, slice_t *value, SaTimeT *expiry) {
  const entry_t *entry = table_find(store->table, key);
  if (entry == NULL || entry->expiry <= store_now()) {
    return false;
  }
  *value = entry->value;
  if (expiry != NULL) {
    *expiry = entry->expiry;
  }
  return true;
}

size_t store_count(const store_t *store) { return table_count(store->table); }

void store_sweep(store_t *store) {
  SaTimeT now = store_now();
  if (now >= store->next_sweep) {
    store->next_sweep = now + SWEEP_INTERVAL;
    table_sweep(store->table, now);
  }
}

static store_result_t result_of(SaAisErrorT error, const char *what) {
  if (error == SA_AIS_ERR_TRY_AGAIN) {
    return STORE_AWAY;
  }
  if (error == SA_AIS_ERR_BAD_OPERATION) {
    return STORE_FENCED;
  }
  if (error == SA_AIS_ERR_NO_SPACE || error == SA_AIS_ERR_NO_RESOURCES || error == SA_AIS_ERR_NO_MEMORY) {
    return STORE_FULL;
  }
  store_check(error, what);
  return STORE_OK;
}

static SaCkptSectionIdT section_of(slice_t key) {
  return (SaCkptSectionIdT){.idLen = (SaUint16T)key.size, .id = (SaUint8T *)key.bytes};
}

/* Add a set to a transaction: one change of the checkpoint or two. */
static SaAisErrorT add_set(const store_t *store, vesta_txn_t *txn, const store_set_t *set, size_t *change_count) {
  const entry_t *entry = table_find(store->table, set->key);
  SaCkptSectionIdT id = section_of(set->key);
  ++*change_count;
  if (entry == NULL) {
    return vesta_txn_create(txn, &id, set->value.bytes, set->value.size, set->expiry);
  }
  SaAisErrorT error = vesta_txn_overwrite(txn, &id, set->value.bytes, set->value.size);
  if (error == SA_AIS_OK && entry->expiry != set->expiry) {
    ++*change_count;
    error = vesta_txn_expiry_set(txn, &id, set->expiry);
  }
  return error;
}

/* Make some sets, all or none. `failed`: set when it was for one of them that they were not made. */
static SaAisErrorT commit_sets(const store_t *store, const store_set_t *sets, size_t count, size_t *failed) {
  size_t changes_before[STORE_SETS_MAX];
  size_t change_count = 0;
  vesta_txn_t *txn;
  SaAisErrorT error = vesta_txn_begin(store->checkpoint, &txn);
  if (error != SA_AIS_OK) {
    return error;
  }
  for (size_t i = 0; i < count && error == SA_AIS_OK; i++) {
    changes_before[i] = change_count;
    error = add_set(store, txn, &sets[i], &change_count);
  }
  if (error == SA_AIS_OK) {
    error = vesta_txn_commit(&txn, NULL, NULL);
  }
  SaUint32T change;
  if (error != SA_AIS_OK && vesta_txn_failed_at(txn, &change) == SA_AIS_OK) {
    *failed = count - 1;
    while (changes_before[*failed] > change) {
      --*failed;
    }
  }
  vesta_txn_abort(&txn);
  return error;
}

/* When it is one of the sets that can't be made, those before it can. The first one may fail because the table does not
 * know everything: its section may have expired there and not yet here, or here and not yet there. Then the table is
 * told, and it is tried once more. */
store_result_t store_set(store_t *store, const store_set_t *sets, size_t count, size_t *tried) {
  SaAisErrorT error = SA_AIS_OK;
  for (int attempt = 0; attempt < SET_ATTEMPTS_MAX; attempt++) {
    size_t failed = count;
    error = commit_sets(store, sets, count, &failed);
    if (failed == count) {
      break; /* made, or none can be */
    }
    count = failed > 0 ? failed : 1;
    if (failed > 0) {
      continue;
    }
    if (error == SA_AIS_ERR_EXIST) {
      table_put(store->table, sets->key, (slice_t){"", 0}, LONG_AGO);
    } else if (error == SA_AIS_ERR_NOT_EXIST) {
      table_remove(store->table, sets->key);
    } else {
      break;
    }
  }
  for (size_t i = 0; error == SA_AIS_OK && i < count; i++) {
    table_put(store->table, sets[i].key, sets[i].value, sets[i].expiry);
  }
  *tried = count;
  return result_of(error, "set");
}

store_result_t store_set_expiry(store_t *store, slice_t key, SaTimeT expiry) {
  SaCkptSectionIdT id = section_of(key);
  SaAisErrorT error = saCkptSectionExpirationTimeSet(store->checkpoint, &id, expiry);
  if (error == SA_AIS_OK) {
    table_set_expiry(store->table, key, expiry);
  } else if (error == SA_AIS_ERR_NOT_EXIST) { /* its time came just now */
    table_remove(store->table, key);
    error = SA_AIS_OK;
  }
  return result_of(error, "set expiry");
}

store_result_t store_delete(store_t *store, slice_t key) {
  SaCkptSectionIdT id = section_of(key);
  SaAisErrorT error = saCkptSectionDelete(store->checkpoint, &id);
  if (error == SA_AIS_OK || error == SA_AIS_ERR_NOT_EXIST) {
    table_remove(store->table, key);
    error = SA_AIS_OK;
  }
  return result_of(error, "delete");
}
