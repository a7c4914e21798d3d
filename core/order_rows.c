/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the order writes to the journal, and how it reads that at the next start.
 *
 *   OP_VIEW     where the history stands (cluster, term, index, digest), the term promised, the ring and the participants
 *               of the view activated last, and what was taken in last of each proposer. Written when a term is promised,
 *               when a view is activated, and as the first of the order's rows in a journal written anew.
 *   operations  each with its index; `commit` says up to where operations were known to be stable when it was written,
 *               so that no more than VESTA_UNSTABLE_MAX of a journal's are in doubt.
 */
#include "core/order_state.h"

enum { ROW_PROPOSER = 0, ROW_PARTICIPANT = 1 }; /* kind of an OP_VIEW's element */

#define ROW_ELEMENTS_MAX (ORDER_PROPOSERS_MAX + VESTA_NODES_MAX)

bool order_row_view(const order_t *order, uint64_t index, bool (*emit)(void *to, const wire_message_t *row), void *to) {
  order_ring_t ring = order->ring.seq != 0 ? order->ring : order->view.ring;
  wire_element_t elements[ROW_ELEMENTS_MAX];
  uint32_t count = 0;
  for (uint32_t i = 0; i < order->proposers.count; i++) {
    const order_proposer_t *row = &order->proposers.rows[i];
    elements[count++] =
        (wire_element_t){.kind = ROW_PROPOSER, .member = row->node, .epoch = row->incarnation, .seq = row->proposal};
  }
  for (uint32_t i = 0; i < order->participant_count; i++) {
    elements[count++] = (wire_element_t){.kind = ROW_PARTICIPANT, .member = order->participants[i]};
  }
  uint64_t digest = 0;
  VESTA_ASSERT(order_history_digest(order->history, index, &digest));
  wire_message_t row = {.kind = WIRE_OP_VIEW,
                        .ring_seq = ring.seq,
                        .ring_node = ring.node,
                        .lineage = order->cluster,
                        .epoch = order->term,
                        .from_epoch = order->promised,
                        .seq = index,
                        .offset = digest,
                        .acked = order->stable,
                        .version_max = order->version,
                        .elements = elements,
                        .element_count = count};
  return ring.seq == 0 || emit(to, &row);
}

static bool row_to_journal(void *to, const wire_message_t *row) {
  const order_t *order = to;
  order->config.sink.journal(order->config.sink.context, row);
  return true;
}

void order_journal_view(order_t *order) { (void)order_row_view(order, order->history->last, row_to_journal, order); }

bool order_snapshot(const order_t *order, bool (*emit)(void *to, const wire_message_t *row), void *to) {
  if (!order_row_view(order, order->applied, emit, to)) {
    return false;
  }
  for (uint64_t index = order->applied + 1; index <= order->history->last; index++) {
    wire_message_t op = *order_history_at(order->history, index)->message;
    order_row_op(order, &op);
    if (!emit(to, &op)) {
      return false;
    }
  }
  return true;
}

void order_row_op(const order_t *order, wire_message_t *op) {
  op->commit = order->stable < op->order_index ? order->stable : op->order_index - 1;
}

bool order_row_proposers(order_proposers_t *proposers, const wire_message_t *row) {
  proposers->count = 0;
  for (uint32_t i = 0; i < row->element_count; i++) {
    const wire_element_t *element = &row->elements[i];
    if (element->kind != ROW_PROPOSER) {
      continue;
    }
    order_proposer_t *proposer = order_proposer_add(proposers, (uint32_t)element->member);
    if (proposer == NULL) {
      return false;
    }
    proposer->incarnation = element->epoch;
    proposer->proposal = element->seq;
  }
  return true;
}

static bool rows_restore_participants(order_t *order, const wire_message_t *row) {
  order->participant_count = 0;
  for (uint32_t i = 0; i < row->element_count; i++) {
    if (row->elements[i].kind != ROW_PARTICIPANT) {
      continue;
    }
    if (order->participant_count == VESTA_NODES_MAX) {
      return false;
    }
    order->participants[order->participant_count++] = (uint32_t)row->elements[i].member;
  }
  return true;
}

/* A row that tells no more than what was restored is one that was written once more, behind a journal that was written
 * anew within the same step. */
static vesta_err_t rows_restore_view(order_t *order, const wire_message_t *row) {
  uint64_t digest = 0;
  if (!order->restored) {
    order_history_begin(order->history, row->seq, row->offset);
    order->applied = row->seq;
  } else if (!order_history_digest(order->history, row->seq, &digest) || digest != row->offset ||
             (row->seq < order->history->last && row->epoch > order->term)) {
    return VESTA_ERR_MALFORMED;
  }
  order->promised = row->from_epoch > order->promised ? row->from_epoch : order->promised;
  order->stable = row->acked > order->stable ? row->acked : order->stable;
  if (row->seq < order->history->last) {
    return VESTA_OK;
  }
  if (!order_row_proposers(&order->proposers, row) || !rows_restore_participants(order, row)) {
    return VESTA_ERR_MALFORMED;
  }
  order->ring = (order_ring_t){.seq = row->ring_seq, .node = (uint32_t)row->ring_node};
  order->cluster = row->lineage;
  order->term = row->epoch;
  order->version = (uint32_t)row->version_max;
  return VESTA_OK;
}

static vesta_err_t rows_restore_op(order_t *order, const wire_message_t *op) {
  if (order->restored && op->order_index != 0 && op->order_index <= order->history->last) {
    return VESTA_OK;
  }
  order_proposer_t *proposer = order_proposer_add(&order->proposers, (uint32_t)op->proposer);
  if (op->order_index != order->history->last + 1 || proposer == NULL || order_history_full(order->history)) {
    return VESTA_ERR_MALFORMED;
  }
  if (!order_history_append(order->history, op)) {
    return VESTA_ERR_NO_MEMORY;
  }
  if (op->incarnation > proposer->incarnation ||
      (op->incarnation == proposer->incarnation && op->proposal > proposer->proposal)) {
    proposer->incarnation = op->incarnation;
    proposer->proposal = op->proposal;
  }
  order->stable = op->commit > order->stable ? op->commit : order->stable;
  return VESTA_OK;
}

vesta_err_t order_restore(order_t *order, const wire_message_t *row) {
  VESTA_ASSERT(!order->started);
  vesta_err_t err = row->kind == WIRE_OP_VIEW ? rows_restore_view(order, row)
                    : row->order_index != 0   ? rows_restore_op(order, row)
                                              : VESTA_ERR_MALFORMED;
  if (err == VESTA_OK && !order_apply(order)) {
    err = VESTA_ERR_NO_MEMORY;
  }
  order->restored |= err == VESTA_OK;
  return err;
}
