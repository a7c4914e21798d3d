/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_ledger.h.
 */
#include "test/sim/sim_ledger.h"

#include <stdlib.h>

#include "core/error.h"
#include "test/sim/sim_memory.h"

typedef struct ledger_entry {
  table_link_t link;
  vesta_token_t session;
  uint64_t number;
  uint64_t checkpoint, seq; /* seq 0: not committed */
  bool refused;
  bool lost; /* at some time */
} ledger_entry_t;

void sim_ledger_init(sim_ledger_t *ledger) { VESTA_ASSERT(table_init(&ledger->entries)); }

void sim_ledger_fini(sim_ledger_t *ledger) {
  size_t bucket = 0;
  table_link_t *next = table_each(&ledger->entries, &bucket, NULL);
  for (table_link_t *link = NULL; (link = next) != NULL;) {
    next = table_each(&ledger->entries, &bucket, link);
    free(TABLE_ENTRY(link, ledger_entry_t, link));
  }
  table_fini(&ledger->entries);
}

/* Found, or made. */
static ledger_entry_t *ledger_entry(sim_ledger_t *ledger, vesta_token_t session, uint64_t number) {
  uint64_t hash = table_hash_number(session.lo ^ number);
  for (table_link_t *link = table_find(&ledger->entries, hash); link != NULL; link = table_find_next(link)) {
    ledger_entry_t *entry = TABLE_ENTRY(link, ledger_entry_t, link);
    if (entry->number == number && vesta_token_equal(entry->session, session)) {
      return entry;
    }
  }
  ledger_entry_t *entry = sim_memory_get(sizeof *entry);
  entry->session = session;
  entry->number = number;
  table_insert(&ledger->entries, &entry->link, hash);
  return entry;
}

const char *sim_ledger_commit(sim_ledger_t *ledger, vesta_token_t session, uint64_t number, uint64_t checkpoint,
                              uint64_t seq) {
  ledger_entry_t *entry = ledger_entry(ledger, session, number);
  if (entry->seq != 0) {
    return "a request was applied twice";
  }
  if (entry->refused) {
    return "a request that was answered with an error was applied later";
  }
  entry->checkpoint = checkpoint;
  entry->seq = seq;
  return NULL;
}

const char *sim_ledger_refuse(sim_ledger_t *ledger, vesta_token_t session, uint64_t number) {
  ledger_entry_t *entry = ledger_entry(ledger, session, number);
  entry->refused = true;
  return entry->seq == 0 ? NULL : "a request was answered with an error and is in the history";
}

const char *sim_ledger_acknowledge(sim_ledger_t *ledger, vesta_token_t session, uint64_t number, uint64_t checkpoint,
                                   uint64_t seq) {
  const ledger_entry_t *entry = ledger_entry(ledger, session, number);
  if (entry->lost) {
    return NULL; /* and it may have been done again since */
  }
  if (entry->seq == 0) {
    return "a request was acknowledged and is not in the history";
  }
  bool there = entry->checkpoint == checkpoint && entry->seq == seq;
  return there ? NULL : "a request was acknowledged with a seq that is not its";
}

void sim_ledger_lose(sim_ledger_t *ledger, vesta_token_t session, uint64_t number) {
  ledger_entry_t *entry = ledger_entry(ledger, session, number);
  entry->lost = true;
  entry->seq = 0;
}

bool sim_ledger_was_lost(sim_ledger_t *ledger, vesta_token_t session, uint64_t number) {
  return ledger_entry(ledger, session, number)->lost;
}
