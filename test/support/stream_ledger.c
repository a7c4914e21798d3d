/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stream_ledger.h.
 */
#include "test/support/stream_ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

stream_ledger_t *stream_ledger_new(void) {
  void *memory =
      mmap(NULL, sizeof(stream_ledger_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  assert_ptr_not_equal(memory, MAP_FAILED);
  stream_ledger_t *ledger = memory;
  ledger->bell = bell_new();
  return ledger;
}

void stream_ledger_destroy(stream_ledger_t **ledger) {
  bell_destroy(&(*ledger)->bell);
  (void)munmap(*ledger, sizeof **ledger);
  *ledger = NULL;
}

void stream_ledger_commit(stream_ledger_t *ledger, uint64_t seq, const ledger_element_t *elements, uint32_t count) {
  if (seq >= LEDGER_OPERATIONS_MAX) {
    atomic_store(&ledger->stop, true);
    return;
  }
  for (uint32_t i = 0; i < count; i++) {
    ledger->operations[seq].elements[i] = elements[i];
  }
  ledger->operations[seq].count = count;
  uint64_t last = atomic_load(&ledger->last_seq);
  bool first = last == 0;
  while (last < seq && !atomic_compare_exchange_weak(&ledger->last_seq, &last, seq)) {
  }
  if (first) {
    bell_ring(&ledger->bell);
  }
}

bool stream_ledger_saw(ledger_reader_t *reader, const ledger_word_t *word) {
  uint64_t at = atomic_load(&reader->word_count);
  if (at == LEDGER_WORDS_MAX) {
    return false;
  }
  reader->words[at] = *word;
  atomic_store(&reader->word_count, at + 1);
  return true;
}

/* Of one section; a section that is not there adds nothing. */
static uint64_t section_hash(uint32_t section, uint64_t value) {
  uint64_t x = value * UINT64_C(0x9e3779b97f4a7c15) + section;
  x ^= x >> 31;
  x *= UINT64_C(0xbf58476d1ce4e5b9);
  return value == 0 ? 0 : x ^ (x >> 29);
}

uint64_t stream_ledger_hash(const ledger_table_t *table) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < LEDGER_SECTIONS; i++) {
    sum += section_hash(i, table->values[i]);
  }
  return sum;
}

void stream_ledger_keep(ledger_reader_t *reader, const ledger_table_t *table) {
  uint32_t other = 1 - atomic_load(&reader->kept);
  reader->tables[other] = *table;
  atomic_store(&reader->kept, other);
}

/* ---- the judge ---- */

typedef struct judge {
  const stream_ledger_t *ledger;
  uint64_t last_seq;
  uint64_t *hashes; /* of the state after each seq */
  ledger_verdict_t verdict;
} judge_t;

static void judge_hashes(judge_t *judge) {
  uint64_t values[LEDGER_SECTIONS] = {0};
  for (uint64_t seq = 1; seq <= judge->last_seq; seq++) {
    const ledger_operation_t *operation = &judge->ledger->operations[seq];
    uint64_t hash = judge->hashes[seq - 1];
    if (operation->count == 0) {
      fail_msg("operation %llu was committed by nobody", (unsigned long long)seq);
    }
    for (uint32_t i = 0; i < operation->count; i++) {
      const ledger_element_t *element = &operation->elements[i];
      hash -= section_hash(element->section, values[element->section]);
      hash += section_hash(element->section, element->value);
      values[element->section] = element->value;
    }
    judge->hashes[seq] = hash;
  }
}

/* Where one reader stands. */
typedef struct standing {
  uint64_t seq;   /* all up to here is told */
  uint32_t index; /* and so many elements of the next operation */
  bool knows;     /* it has the state of seq */
  bool resync;    /* within the brackets */
} standing_t;

static void judge_state(const judge_t *judge, const standing_t *now, const ledger_word_t *word) {
  assert_true(!now->resync || word->kind == LEDGER_RESYNC_END);
  assert_int_equal(now->index, 0);
  assert_true(word->seq <= judge->last_seq);
  assert_true(word->value == judge->hashes[word->seq]);
}

static void judge_live(const judge_t *judge, standing_t *now, const ledger_word_t *word) {
  assert_true(now->knows && !now->resync);
  assert_int_equal(word->seq, now->seq + 1);
  assert_true(word->seq <= judge->last_seq);
  const ledger_operation_t *operation = &judge->ledger->operations[word->seq];
  assert_int_equal(word->count, operation->count);
  assert_int_equal(word->index, now->index);
  assert_int_equal(word->section, operation->elements[word->index].section);
  assert_true(word->value == operation->elements[word->index].value);
  now->index++;
  if (now->index == operation->count) {
    now->index = 0;
    now->seq++;
  }
}

static void judge_word(judge_t *judge, standing_t *now, const ledger_word_t *word) {
  switch (word->kind) {
    case LEDGER_START:
      *now = (standing_t){.seq = word->seq, .knows = word->seq != 0};
      judge_state(judge, now, word);
      judge->verdict.starts++;
      break;
    case LEDGER_LIVE:
      judge_live(judge, now, word);
      judge->verdict.live++;
      break;
    case LEDGER_LOST:
      assert_true(now->knows && now->index == 0);
      assert_int_equal(word->seq, now->seq);
      now->knows = false;
      judge->verdict.lost++;
      break;
    case LEDGER_BEGIN:
      assert_false(now->knows); /* nothing, or told so before */
      now->resync = true;
      judge->verdict.resyncs++;
      break;
    case LEDGER_RESYNC_END:
      assert_true(now->resync && word->seq >= now->seq);
      judge_state(judge, now, word);
      *now = (standing_t){.seq = word->seq, .knows = true};
      break;
    case LEDGER_STATE:
      assert_true(now->knows && word->seq == now->seq);
      judge_state(judge, now, word);
      judge->verdict.states++;
      break;
  }
}

ledger_verdict_t stream_ledger_judge(const stream_ledger_t *ledger) {
  judge_t judge = {.ledger = ledger, .last_seq = atomic_load(&ledger->last_seq)};
  judge.hashes = calloc(judge.last_seq + 1, sizeof *judge.hashes);
  assert_non_null(judge.hashes);
  judge_hashes(&judge);
  for (uint32_t i = 0; i < LEDGER_READERS; i++) {
    const ledger_reader_t *reader = &ledger->readers[i];
    standing_t now = {0};
    for (uint64_t word = 0; word < atomic_load(&reader->word_count); word++) {
      judge_word(&judge, &now, &reader->words[word]);
    }
    assert_true(now.knows && !now.resync);
    assert_int_equal(now.seq, judge.last_seq);
  }
  free(judge.hashes);
  judge.verdict.operations = judge.last_seq;
  return judge.verdict;
}
