/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What survives a node: regions by checkpoint id, and the journal of ordered operations.
 *
 * A region is read-only memory until its pages are reserved, as a hole in a tmpfs file would be SIGBUS when the tmpfs
 * is full: a store into a page that was not reserved ends the run.
 *
 * A crash at a store: sim_disk_freeze() keeps everything as it is at that moment, the step goes on to its end, and
 * sim_disk_thaw() puts everything back as it was. Since a node changes nothing but regions, that is the same as a node
 * that was killed there.
 */
#ifndef VESTA_TEST_SIM_DISK_H
#define VESTA_TEST_SIM_DISK_H

#include "core/node.h"
#include "test/sim/sim_random.h"
#include "test/sim/sim_story.h"

typedef struct sim_region {
  struct sim_region *next;
  struct sim_disk *disk;
  uint64_t id, size;
  uint8_t *memory;
  uint8_t *reserved;   /* a byte for each page */
  uint64_t page_count; /* reserved now */
  bool taken_up;       /* made or opened by the node that runs */
} sim_region_t;

typedef struct sim_journal {
  vesta_bytes_t *ops; /* encoded */
  uint32_t count, capacity;
  uint64_t size_bytes;
} sim_journal_t;

typedef struct sim_disk {
  sim_random_t *random;
  sim_story_t *story;
  sim_region_t *regions;
  sim_region_t *frozen; /* copies, their pages packed */
  bool is_frozen;
  sim_journal_t journal;
  uint32_t fail_chance; /* of one reservation, creation or append, in a million */
  uint32_t page_chance; /* of one reservation, besides */
  bool full;            /* nothing can be reserved */
  bool may_die;         /* the node, where it puts aside what has diverged */
  uint64_t failures;
} sim_disk_t;

void sim_disk_init(sim_disk_t *disk, sim_random_t *random, sim_story_t *story);
void sim_disk_fini(sim_disk_t *disk);

/** For node_config_t. */
node_storage_t sim_disk_storage(sim_disk_t *disk);
/** A node ends: nothing is mapped any more. */
void sim_disk_let_go(sim_disk_t *disk);
/** A node knows all that there is: regions of checkpoints that are none, and what was being filled by an earlier life, are
 *  deleted, as vestad does. */
void sim_disk_sweep(sim_disk_t *disk, bool (*is_known)(void *context, uint64_t checkpoint), void *context);
/** The region of a checkpoint as it is; NULL: there is none. */
const void *sim_disk_look(const sim_disk_t *disk, uint64_t id);
uint32_t sim_disk_region_count(const sim_disk_t *disk);

void sim_disk_freeze(sim_disk_t *disk);
void sim_disk_thaw(sim_disk_t *disk);

/** @return OK; NO_SPACE */
vesta_err_t sim_disk_append(sim_disk_t *disk, const wire_message_t *op);
/** The journal is written anew; what `ops` holds is taken over. */
void sim_disk_rewrite(sim_disk_t *disk, sim_journal_t *ops);
void sim_journal_add(sim_journal_t *journal, const wire_message_t *op);
void sim_journal_fini(sim_journal_t *journal);
/** In an order of their own; so two that hold the same rows are equal. */
void sim_journal_sort(sim_journal_t *journal);
bool sim_journal_equal(const sim_journal_t *a, const sim_journal_t *b);

#endif
