/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A table of sections, as simple as can be: what a checkpoint must hold (sim_history.h), and what a subscriber made of
 * the changes it was handed. Two tables hold the same when their sums are equal.
 */
#ifndef VESTA_TEST_SIM_TABLE_H
#define VESTA_TEST_SIM_TABLE_H

#include "core/table.h"
#include "core/types.h"

/* A change of one section, from wherever it comes. */
typedef struct sim_change {
  vesta_kind_t kind;
  vesta_bytes_t id;
  uint64_t offset;
  vesta_bytes_t data;
  int64_t expiry_ns;
  uint64_t member;
  int64_t time_ns;
  uint32_t slot; /* of a history's */
} sim_change_t;

/** What was asked for, as one number: what its kind does not mention, and the time, is left out. */
uint64_t sim_change_digest(const sim_change_t *change);

typedef struct sim_section {
  table_link_t link;
  struct sim_section *next, *before; /* in the order of creation */
  uint64_t digest;
  vesta_bytes_t id;
  uint8_t *data;
  uint64_t size;
  int64_t expiry_ns, time_ns;
  uint64_t epoch, seq, created_seq; /* the history's own */
  uint64_t expiry_seq;              /* likewise: when its expiry was set */
  uint32_t slot;                    /* likewise */
} sim_section_t;

typedef struct sim_table {
  table_t by_id;
  sim_section_t *first, *last;
  uint32_t count;
  uint64_t data_bytes;
  uint64_t sum; /* of all sections, whatever their order */
} sim_table_t;

void sim_table_init(sim_table_t *table);
void sim_table_fini(sim_table_t *table);
void sim_table_copy(sim_table_t *table, const sim_table_t *from);

/**
 * Make a change. CREATED puts the section there whatever was before; DELETED and EXPIRED of one that is not there do
 * nothing.
 * @return the section (NULL after a delete, or for kinds of the whole checkpoint) in *section
 * @return false when it can't follow what is there
 */
bool sim_table_apply(sim_table_t *table, const sim_change_t *change, sim_section_t **section);

sim_section_t *sim_table_find(const sim_table_t *table, vesta_bytes_t id);

#endif
