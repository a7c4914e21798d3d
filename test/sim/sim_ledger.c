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

static ledger_entry_t *ledger_each(const sim_ledger_t *ledger, size_t *bucket, const ledger_entry_t *entry) {
  table_link_t *link = table_each(&ledger->entries, bucket, entry == NULL ? NULL : &entry->link);
  return link == NULL ? NULL : TABLE_ENTRY(link, ledger_entry_t, link);
}

void sim_ledger_copy(sim_ledger_t *ledger, const sim_ledger_t *from) {
  size_t bucket = 0;
  sim_ledger_init(ledger);
  for (const ledger_entry_t *entry = NULL; (entry = ledger_each(from, &bucket, entry)) != NULL;) {
    ledger_entry_t *copy = ledger_entry(ledger, entry->session, entry->number);
    copy->checkpoint = entry->checkpoint;
    copy->seq = entry->seq;
    copy->refused = entry->refused;
    copy->lost = entry->lost;
  }
}

void sim_ledger_join(sim_ledger_t *ledger, const sim_ledger_t *other) {
  size_t bucket = 0;
  for (const ledger_entry_t *entry = NULL; (entry = ledger_each(other, &bucket, entry)) != NULL;) {
    ledger_entry_t *here = ledger_entry(ledger, entry->session, entry->number);
    bool same = here->seq == entry->seq && here->checkpoint == entry->checkpoint;
    here->lost = here->lost || entry->lost || (entry->seq != 0 && !same);
  }
}

void sim_ledger_resume(sim_ledger_t *ledger, vesta_token_t session, uint64_t number, uint64_t checkpoint,
                       uint64_t seq) {
  ledger_entry_t *entry = ledger_entry(ledger, session, number);
  entry->refused = false;
  entry->checkpoint = checkpoint;
  entry->seq = seq;
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
