/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What was committed and what subscribers saw of it, in memory that outlives the processes that write it; and the judge
 * who compares the two. See stream_chaos.h.
 *
 * A section's value is a number that is never used again. A state is known by its hash, which is a sum over the sections,
 * so that the hashes of all positions are made in one pass.
 */
#ifndef VESTA_TEST_SUPPORT_STREAM_LEDGER_H
#define VESTA_TEST_SUPPORT_STREAM_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "test/support/bell.h"

#define LEDGER_SECTIONS 64U
#define LEDGER_READERS 5U
#define LEDGER_OPERATIONS_MAX (2U << 20)
#define LEDGER_WORDS_MAX (3U << 20) /* that one reader saw */
#define LEDGER_ELEMENTS_MAX 2U      /* of one operation */

typedef struct ledger_element {
  uint32_t section;
  uint64_t value; /* 0: deleted */
} ledger_element_t;

typedef struct ledger_operation {
  uint32_t count; /* of its elements; 0: nobody noted it */
  ledger_element_t elements[LEDGER_ELEMENTS_MAX];
} ledger_operation_t;

typedef enum ledger_word_kind {
  LEDGER_START = 1,  /* began at seq with the state of that hash; 0, 0: with nothing */
  LEDGER_LIVE,       /* one element of operation seq */
  LEDGER_STATE,      /* SYNCED: the state of seq is of that hash */
  LEDGER_LOST,       /* from seq on */
  LEDGER_BEGIN,      /* RESYNC_BEGIN */
  LEDGER_RESYNC_END, /* the state of seq is of that hash */
} ledger_word_kind_t;

/* What a reader saw. */
typedef struct ledger_word {
  ledger_word_kind_t kind;
  uint16_t index, count;
  uint32_t section;
  uint64_t seq;
  uint64_t value; /* LIVE: of the section; else the state's hash */
} ledger_word_t;

typedef struct ledger_table {
  uint64_t lineage, epoch, seq; /* epoch 0: nothing */
  uint64_t values[LEDGER_SECTIONS];
} ledger_table_t;

typedef struct ledger_reader {
  _Atomic uint64_t word_count;
  _Atomic uint32_t kept; /* which of the two tables is whole */
  ledger_table_t tables[2];
  _Atomic bool slow, reopen, cut; /* what it is told */
  _Atomic bool at_end;            /* it is synced at the ledger's last operation */
  ledger_word_t words[LEDGER_WORDS_MAX];
} ledger_reader_t;

typedef struct stream_ledger {
  _Atomic uint64_t last_seq;
  _Atomic uint64_t next_value;
  _Atomic bool heavy;                                   /* writers write more than the history holds */
  _Atomic bool stop;                                    /* writers end */
  bell_t bell;                                          /* rung for the first operation, and when a reader is at_end */
  ledger_operation_t operations[LEDGER_OPERATIONS_MAX]; /* by seq */
  ledger_reader_t readers[LEDGER_READERS];
} stream_ledger_t;

stream_ledger_t *stream_ledger_new(void);
void stream_ledger_destroy(stream_ledger_t **ledger);

/** A writer was told that this is operation seq. */
void stream_ledger_commit(stream_ledger_t *ledger, uint64_t seq, const ledger_element_t *elements, uint32_t count);

/** A reader saw this. @return false when there is no more room */
bool stream_ledger_saw(ledger_reader_t *reader, const ledger_word_t *word);
uint64_t stream_ledger_hash(const ledger_table_t *table);
/** What a reader keeps in case that it is killed. */
void stream_ledger_keep(ledger_reader_t *reader, const ledger_table_t *table);

/** What the judge counted, over all readers. */
typedef struct ledger_verdict {
  uint64_t operations, live, starts, lost, resyncs, states;
} ledger_verdict_t;

/** Compare; fails the test where they differ. All processes have ended. */
ledger_verdict_t stream_ledger_judge(const stream_ledger_t *ledger);

#endif
