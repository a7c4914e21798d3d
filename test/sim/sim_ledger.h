/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What became of each change that a client asked for, by session and number: committed once, or refused and never seen
 * again.
 */
#ifndef VESTA_TEST_SIM_LEDGER_H
#define VESTA_TEST_SIM_LEDGER_H

#include "core/table.h"
#include "core/types.h"

typedef struct sim_ledger {
  table_t entries;
} sim_ledger_t;

void sim_ledger_init(sim_ledger_t *ledger);
void sim_ledger_fini(sim_ledger_t *ledger);
void sim_ledger_copy(sim_ledger_t *ledger, const sim_ledger_t *from);

/** It is in a history now. @return NULL, or why it must not be */
const char *sim_ledger_commit(sim_ledger_t *ledger, vesta_token_t session, uint64_t number, uint64_t checkpoint,
                              uint64_t seq);
/** The client was told that it was not done. @return NULL, or why that is not true */
const char *sim_ledger_refuse(sim_ledger_t *ledger, vesta_token_t session, uint64_t number);
/** The client was told that it was done. @return NULL, or why that is not true */
const char *sim_ledger_acknowledge(sim_ledger_t *ledger, vesta_token_t session, uint64_t number, uint64_t checkpoint,
                                   uint64_t seq);

/** What another half of the cluster has committed, and this one has not, is lost. What it refused it may have done here. */
void sim_ledger_join(sim_ledger_t *ledger, const sim_ledger_t *other);
/** It was given up with its half, and the cluster goes on with it after all. */
void sim_ledger_resume(sim_ledger_t *ledger, vesta_token_t session, uint64_t number, uint64_t checkpoint, uint64_t seq);
/** It was in a history that the cluster did not go on with. */
void sim_ledger_lose(sim_ledger_t *ledger, vesta_token_t session, uint64_t number);
bool sim_ledger_was_lost(sim_ledger_t *ledger, vesta_token_t session, uint64_t number);

#endif
