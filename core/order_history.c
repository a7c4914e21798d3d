/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The operations that the order keeps: those that are not applied yet, and the last ones that are, for nodes that were
 * away for a short time. And the table of who proposed what last.
 *
 * A digest runs over the proposals' names (proposer, incarnation, number), which no two operations share. It is
 * arithmetic on numbers, the same on every machine.
 */
#include <stdlib.h>

#include "core/order_state.h"

static uint64_t history_mix(uint64_t digest, uint64_t number) {
  uint64_t z = (digest ^ number) + UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static order_op_t *history_slot(order_history_t *history, uint64_t index) {
  return &history->slots[index & (ORDER_HISTORY_SLOTS - 1)];
}

static void history_drop_first(order_history_t *history) {
  order_op_t *op = history_slot(history, history->first);
  history->base_digest = op->digest;
  history->bytes -= op->bytes;
  history->first++;
  free(op->message);
  *op = (order_op_t){0};
}

void order_history_begin(order_history_t *history, uint64_t index, uint64_t digest) {
  order_history_clear(history);
  history->first = index + 1;
  history->last = index;
  history->base_digest = digest;
}

void order_history_clear(order_history_t *history) {
  while (history->first <= history->last && history->first != 0) {
    history_drop_first(history);
  }
}

bool order_history_full(const order_history_t *history) {
  return history->last + 1 - history->first == ORDER_HISTORY_SLOTS;
}

static void history_put(order_history_t *history, wire_message_t *message, size_t bytes) {
  VESTA_ASSERT(!order_history_full(history));
  uint64_t digest = order_history_digest_last(history);
  digest = history_mix(digest, message->proposer);
  digest = history_mix(digest, message->incarnation);
  digest = history_mix(digest, message->proposal);
  message->order_index = ++history->last;
  history->bytes += bytes;
  *history_slot(history, history->last) = (order_op_t){.message = message, .bytes = bytes, .digest = digest};
}

bool order_history_append(order_history_t *history, const wire_message_t *op) {
  size_t bytes;
  wire_message_t *message = wire_copy(op, &bytes);
  if (message == NULL) {
    return false;
  }
  history_put(history, message, bytes);
  return true;
}

void order_history_move(order_history_t *history, order_op_t *from) {
  history_put(history, from->message, from->bytes);
  *from = (order_op_t){0};
}

const order_op_t *order_history_at(const order_history_t *history, uint64_t index) {
  VESTA_ASSERT(index >= history->first && index <= history->last);
  return &history->slots[index & (ORDER_HISTORY_SLOTS - 1)];
}

bool order_history_digest(const order_history_t *history, uint64_t index, uint64_t *digest) {
  if (index + 1 < history->first || index > history->last) {
    return false;
  }
  *digest = index + 1 == history->first ? history->base_digest : order_history_at(history, index)->digest;
  return true;
}

uint64_t order_history_digest_last(const order_history_t *history) {
  uint64_t digest = 0;
  VESTA_ASSERT(order_history_digest(history, history->last, &digest));
  return digest;
}

void order_history_trim_to(order_history_t *history, uint64_t applied, uint64_t count) {
  while (history->first <= applied && history->last + 1 - history->first > count) {
    history_drop_first(history);
  }
}

void order_history_trim(order_history_t *history, uint64_t applied) {
  while (history->first <= applied &&
         (applied + 1 - history->first > VESTA_ORDER_HISTORY_MAX || history->bytes > VESTA_ORDER_HISTORY_BYTES_MAX)) {
    history_drop_first(history);
  }
}

/* ---- who has proposed what last ---- */

order_proposer_t *order_proposer(order_proposers_t *proposers, uint32_t node) {
  for (uint32_t i = 0; i < proposers->count; i++) {
    if (proposers->rows[i].node == node) {
      return &proposers->rows[i];
    }
  }
  return NULL;
}

order_proposer_t *order_proposer_add(order_proposers_t *proposers, uint32_t node) {
  order_proposer_t *row = order_proposer(proposers, node);
  if (row == NULL && proposers->count < ORDER_PROPOSERS_MAX) {
    row = &proposers->rows[proposers->count++];
    *row = (order_proposer_t){.node = node};
  }
  return row;
}
