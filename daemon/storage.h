/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where replicas live: one sparse file per checkpoint in the replica directory, mapped whole.
 *
 * The directory is on a tmpfs, so the files are memory that outlives the process: after kill -9 the next vestad maps
 * them again. Pages are reserved with fallocate before anything is stored into them, so a full tmpfs is an error code
 * and never SIGBUS; space is given back by punching holes, which other processes' mappings and pread(2) survive.
 *
 *     lock                       flock: one vestad for one directory
 *     journal                    ordered operations (journal.h)
 *     replica-0000000000000001   regions, named by the checkpoint's id
 *     replica-8...               one that is being filled from another node (NODE_REGION_SHADOW)
 *     replica-4...               what diverged from the cluster (NODE_REGION_DIVERGED), for a person to look at
 *     lost-0000000000000002      what was found damaged at a start
 *
 * Agents get read-only descriptors of a file and can neither write nor grow it.
 */
#ifndef VESTA_DAEMON_STORAGE_H
#define VESTA_DAEMON_STORAGE_H

#include "core/node.h"

typedef struct storage storage_t;

/**
 * Take a directory, which is made when it is not there (its parent must be).
 * @param files_max   descriptors with this number and above are left for others: creating and opening then give
 *                    NO_RESOURCES
 * @param[out] why    says what is wrong, in words
 * @return OK; BUSY another vestad has it; ACCESS it is no tmpfs, not ours or too open; NO_MEMORY
 */
vesta_err_t storage_open(const char *directory, int files_max, storage_t **out, char *why, size_t why_size);
/** Unmap everything; files stay. */
void storage_close(storage_t **storage);

/** What the node is given. Its context is `storage`. */
node_storage_t storage_interface(storage_t *storage);

/** Be told of each region that took another's place, under the id it has now. */
void storage_on_rename(storage_t *storage, void (*renamed)(void *context, uint64_t to), void *context);

/** A new read-only descriptor of a checkpoint's file, for an agent; -1 with errno. */
int storage_descriptor(storage_t *storage, uint64_t checkpoint_id);

/**
 * After the node has taken up what it knows: a file of a checkpoint that is no more is deleted (a crash came between two
 * steps), one that it asked for and found damaged is kept aside as lost-ID, for a person to look at.
 * @param has   is there such a checkpoint, whether or not its region could be taken up?
 */
void storage_sweep(storage_t *storage, bool (*has)(void *context, uint64_t checkpoint_id), void *context);

/** Close, and delete what is in the directory and the directory: nobody needs it any more. */
void storage_discard(storage_t **storage);

/** The directory's path: lives as long as the storage. */
const char *storage_directory(const storage_t *storage);

typedef struct storage_counters {
  uint64_t regions;      /* mapped now */
  uint64_t reserve_full; /* reservations that found no space */
  uint64_t create_failed;
} storage_counters_t;
void storage_counters(const storage_t *storage, storage_counters_t *counters);

#endif
