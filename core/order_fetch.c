/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The state on its way from a view's source to who lacks it.
 *
 *     asker                                          source
 *       PEER_DIRECTORY_GET what I have, cursor ------->  has the history after that?  TAIL: operations, cursor: an index
 *       <------------------------------ PEER_DIRECTORY   else: everything, written out once; cursor: number of a chunk
 *       ... until LAST
 *
 * One part is under way at a time; one that does not come is asked for again. Nothing at the source depends on how far an
 * asker is but the cursor. Everything is what goes to a journal written anew: the directory's rows, an OP_VIEW, the
 * operations after it. It goes into a shadow of the owner; the operations, into a shadow of the history. Own history and
 * directory stay what they are until the view is activated.
 *
 * A new view does not throw away what has come, it only stops asking: if its source tells the same state the rest is
 * fetched. A node that is too late for its view (OUT) goes on, takes the state for its own, and joins again: then only the
 * tail is missing. That is safe because the source had it, whole, of the term that it told: all that was stable up to that
 * term is in it.
 */
#include <stdlib.h>

#include "core/order_state.h"

#define FETCH_TAIL_MAX (ORDER_HISTORY_SLOTS / 4) /* more operations than this are not sent as a tail */
#define FETCH_WRITTEN_NS INT64_C(30000000000)    /* a state written out is kept so long after it was last asked for */

/* ---- the asker ---- */

/* Nothing has come. */
static void fetch_restart(order_t *order) {
  order_fetch_t *fetch = &order->fetch;
  if (fetch->adopting) {
    order->config.sink.adopt_abort(order->config.sink.context);
    fetch->adopting = false;
  }
  if (fetch->history != NULL) {
    order_history_clear(fetch->history);
    free(fetch->history);
    fetch->history = NULL;
  }
  fetch->mode = FETCH_ASKING;
  fetch->cursor = 0;
  fetch->stamp = 0;
  fetch->based = false;
}

void order_fetch_abort(order_t *order) {
  fetch_restart(order);
  order->fetch.mode = FETCH_NONE;
  order->fetch.ask_ns = INT64_MAX;
}

void order_fetch_pause(order_t *order) {
  order->fetch.ask_ns = INT64_MAX;
  if (order->fetch.mode == FETCH_TAIL || order->fetch.mode == FETCH_DONE) {
    order_fetch_abort(order); /* a tail comes fast, and depends on the own history */
  }
}

/* Did this node go on with half of the nodes, without that one? Others only do so too when both are set to trust. */
static bool fetch_is_apart(const order_t *order, uint32_t source) {
  bool was_there = false;
  for (uint32_t i = 0; i < order->participant_count; i++) {
    was_there = was_there || order->participants[i] == source;
  }
  return order->term != 0 && !was_there && 2 * order->participant_count <= order->expected;
}

void order_fetch_begin(order_t *order, const order_member_t *source) {
  order_fetch_t *fetch = &order->fetch;
  bool is_same = fetch->mode == FETCH_WHOLE && fetch->source == source->node && fetch->cluster == source->cluster &&
                 fetch->term == source->term && fetch->index == source->index && fetch->digest == source->digest;
  if (!is_same) {
    order_fetch_abort(order);
    fetch->mode = FETCH_ASKING;
    fetch->source = source->node;
    fetch->cluster = source->cluster;
    fetch->term = source->term;
    fetch->index = source->index;
    fetch->digest = source->digest;
    fetch->apart = fetch_is_apart(order, source->node);
  }
  order_fetch_ask(order);
}

void order_fetch_ask(order_t *order) {
  order_fetch_t *fetch = &order->fetch;
  wire_message_t message = order_message(order, WIRE_PEER_DIRECTORY_GET);
  message.lineage = fetch->cluster;
  message.epoch = fetch->term;
  message.seq = fetch->index;
  message.cursor = fetch->cursor;
  message.from_seq = UINT64_MAX;
  if (order->history->last - order->applied <= ORDER_HISTORY_SLOTS / 2) { /* a tail has room behind it */
    message.from_seq = order->history->last;
    message.offset = order_history_digest_last(order->history);
  }
  fetch->ask_ns = order->now_ns + ORDER_ASK_NS;
  order->config.sink.peer(order->config.sink.context, fetch->source, &message, vesta_bytes(NULL, 0));
}

/* Room for what comes. */
static bool fetch_prepare(order_t *order, bool whole) {
  order_fetch_t *fetch = &order->fetch;
  if (fetch->history == NULL) {
    fetch->history = calloc(1, sizeof *fetch->history);
    if (fetch->history == NULL) {
      return false;
    }
    order_history_begin(fetch->history, order->history->last, order_history_digest_last(order->history));
  }
  if (whole && !fetch->adopting) {
    fetch->adopting = order->config.sink.adopt_begin(order->config.sink.context);
  }
  fetch->mode = whole ? FETCH_WHOLE : FETCH_TAIL;
  return !whole || fetch->adopting;
}

static vesta_err_t fetch_row(order_t *order, const wire_message_t *row) {
  order_fetch_t *fetch = &order->fetch;
  bool is_whole = fetch->mode == FETCH_WHOLE;
  if (row->kind == WIRE_OP_VIEW) {
    if (!is_whole || fetch->based || !order_row_proposers(&fetch->proposers, row)) {
      return VESTA_ERR_MALFORMED;
    }
    fetch->based = true;
    order_history_begin(fetch->history, row->seq, row->offset);
    return VESTA_OK;
  }
  if (row->order_index == 0) {
    return is_whole && !fetch->based ? order->config.sink.adopt_row(order->config.sink.context, row)
                                     : VESTA_ERR_MALFORMED;
  }
  if ((is_whole && !fetch->based) || row->order_index != fetch->history->last + 1 ||
      order_history_full(fetch->history)) {
    return VESTA_ERR_MALFORMED;
  }
  return order_history_append(fetch->history, row) ? VESTA_OK : VESTA_ERR_NO_MEMORY;
}

static vesta_err_t fetch_rows(order_t *order, vesta_bytes_t rows) {
  while (rows.size != 0) {
    uint32_t head_bytes, payload_bytes;
    wire_message_t row;
    if (rows.size < WIRE_PREFIX_BYTES || wire_prefix_decode(rows.data, &head_bytes, &payload_bytes) != VESTA_OK ||
        payload_bytes != 0 || head_bytes > rows.size - WIRE_PREFIX_BYTES) {
      return VESTA_ERR_MALFORMED;
    }
    vesta_err_t err = wire_decode(order->decoder, rows.data + WIRE_PREFIX_BYTES, head_bytes, &row);
    if (err == VESTA_OK) {
      err = fetch_row(order, &row);
    }
    if (err != VESTA_OK) {
      return err;
    }
    rows = vesta_bytes(rows.data + WIRE_PREFIX_BYTES + head_bytes, rows.size - WIRE_PREFIX_BYTES - head_bytes);
  }
  return VESTA_OK;
}

/* Everything has come, it seems: is it what was told? */
static bool fetch_is_right(const order_fetch_t *fetch) {
  return (fetch->mode == FETCH_TAIL || fetch->based) && fetch->history->last == fetch->index &&
         order_history_digest_last(fetch->history) == fetch->digest;
}

static void fetch_failed(order_t *order, vesta_err_t err) {
  order_count(order, err == VESTA_ERR_NO_MEMORY ? ORDER_COUNTER_NO_MEMORY : ORDER_COUNTER_MALFORMED);
  fetch_restart(order);
  order->fetch.ask_ns = order->now_ns + ORDER_RETRY_NS;
}

/* Too late for the view: it becomes this node's own state all the same, and the next view will lack but little. */
static void fetch_take_late(order_t *order) {
  order->cluster = order->fetch.cluster;
  order->term = order->fetch.term;
  order_fetch_take(order);
  order_journal_view(order);
  order_fetch_absorbed(order);
  order->rejoin_ns = order->now_ns;
}

void order_fetch_late(order_t *order) {
  if (order->fetch.mode == FETCH_DONE) {
    fetch_take_late(order);
  }
}

static void fetch_done(order_t *order) {
  order_fetch_t *fetch = &order->fetch;
  if (!fetch_is_right(fetch)) {
    fetch_failed(order, VESTA_ERR_MALFORMED);
    return;
  }
  fetch->whole = fetch->mode == FETCH_WHOLE;
  fetch->mode = FETCH_DONE;
  fetch->ask_ns = INT64_MAX;
  order_count(order, fetch->whole ? ORDER_COUNTER_FETCHED : ORDER_COUNTER_FETCHED_TAIL);
  if (order->state == ORDER_SYNC) {
    order_sync_ready(order);
  } else {
    fetch_take_late(order);
  }
}

void order_fetch_part(order_t *order, uint32_t from, const wire_message_t *message, vesta_bytes_t payload) {
  order_fetch_t *fetch = &order->fetch;
  bool is_tail = (message->state & WIRE_DIRECTORY_TAIL) != 0;
  bool is_asked = fetch->ask_ns != INT64_MAX && fetch->mode != FETCH_NONE && fetch->mode != FETCH_DONE;
  if (!is_asked || from != fetch->source || message->lineage != fetch->cluster || message->epoch != fetch->term ||
      message->seq != fetch->index || message->cursor != fetch->cursor) {
    return;
  }
  if (fetch->mode != FETCH_ASKING && (is_tail != (fetch->mode == FETCH_TAIL) || message->number != fetch->stamp)) {
    fetch_restart(order); /* the source has written it out anew, or has the history no more */
    order_fetch_ask(order);
    return;
  }
  fetch->stamp = message->number;
  vesta_err_t err = fetch_prepare(order, !is_tail) ? fetch_rows(order, payload) : VESTA_ERR_NO_MEMORY;
  if (err != VESTA_OK) {
    fetch_failed(order, err);
    return;
  }
  fetch->cursor = message->cursor_end;
  if (order->state == ORDER_OUT) {
    order->rejoin_ns = order->now_ns + order->rejoin_pause_ns;
  }
  if ((message->state & WIRE_DIRECTORY_LAST) != 0) {
    fetch_done(order);
  } else {
    order_fetch_ask(order);
  }
}

/* ---- what was fetched takes its place ---- */

/* The own operations from `index` on are those of the source and go on behind. */
static void fetch_take_tail(order_t *order) {
  order_history_t *tail = order->fetch.history;
  for (uint64_t index = tail->first; index <= tail->last; index++) {
    order_op_t *from = &tail->slots[index & (ORDER_HISTORY_SLOTS - 1)];
    order_proposer_t *proposer = order_proposer_add(&order->proposers, (uint32_t)from->message->proposer);
    if (proposer != NULL) {
      proposer->incarnation = from->message->incarnation;
      proposer->proposal = from->message->proposal;
    }
    order_history_trim_to(order->history, order->applied, ORDER_HISTORY_SLOTS - 1);
    order_history_move(order->history, from);
    wire_message_t op = *order_history_at(order->history, index)->message;
    order_row_op(order, &op);
    order->config.sink.journal(order->config.sink.context, &op);
  }
  tail->last = tail->first - 1;
}

/* The last own proposal that was applied in what was fetched. */
static uint64_t fetch_absorbed(order_t *order) {
  const order_proposer_t *row = order_proposer(&order->proposers, order->config.node_id);
  if (row == NULL || row->incarnation != order->incarnation) {
    return 0;
  }
  for (uint64_t index = order->applied + 1; index <= order->history->last; index++) {
    const wire_message_t *op = order_history_at(order->history, index)->message;
    if (op->proposer == order->config.node_id && op->incarnation == order->incarnation) {
      return op->proposal - 1;
    }
  }
  return row->proposal;
}

static void fetch_take_whole(order_t *order) {
  order_fetch_t *fetch = &order->fetch;
  order_history_t *before = order->history;
  uint64_t digest = 0;
  if (before->last > order->applied &&
      (!order_history_digest(fetch->history, before->last, &digest) || digest != order_history_digest_last(before))) {
    order_count(order, ORDER_COUNTER_DIVERGED);
  }
  order->history = fetch->history;
  fetch->history = before;
  order->proposers = fetch->proposers;
  order->applied = order->history->first - 1;
  order->stable = order->applied;
  order->absorbed = order->live ? fetch_absorbed(order) : 0;
  fetch->adopting = false;
  order->config.sink.adopt_end(order->config.sink.context, fetch->apart);
}

void order_fetch_absorbed(order_t *order) {
  order_pending_done(order, order->absorbed, true);
  order->absorbed = 0;
}

void order_fetch_take(order_t *order) {
  if (order->fetch.whole) {
    fetch_take_whole(order);
  } else {
    fetch_take_tail(order);
  }
  order_fetch_abort(order);
}

/* ---- the source ---- */

void order_written_drop(order_t *order) {
  free(order->written.bytes);
  free(order->written.ends);
  order->written = (order_written_t){0};
}

static bool written_grow(void **memory, size_t *capacity, size_t needed, size_t unit) {
  if (needed <= *capacity) {
    return true;
  }
  size_t wanted = *capacity < 1024 ? 1024 : *capacity * 2;
  wanted = wanted < needed ? needed : wanted;
  void *grown = realloc(*memory, wanted * unit);
  if (grown == NULL) {
    return false;
  }
  *memory = grown;
  *capacity = wanted;
  return true;
}

/* Begin another chunk when the last one is full. */
static bool written_chunk(order_written_t *written) {
  size_t begin = written->chunks > 1 ? written->ends[written->chunks - 2] : 0;
  if (written->chunks != 0 && written->size - begin < ORDER_CHUNK_BYTES) {
    return true;
  }
  void *memory = written->ends;
  bool grown = written_grow(&memory, &written->chunks_capacity, written->chunks + 1, sizeof *written->ends);
  written->ends = memory;
  written->chunks += grown ? 1 : 0;
  return grown;
}

static bool written_row(void *to, const wire_message_t *row) {
  order_written_t *written = to;
  size_t needed = WIRE_PREFIX_BYTES + wire_encoded_size_max(row);
  void *memory = written->bytes;
  size_t head_bytes;
  bool grown = written->size + needed <= VESTA_DIRECTORY_BYTES_MAX &&
               written_grow(&memory, &written->capacity, written->size + needed, 1);
  written->bytes = memory;
  if (!grown || !written_chunk(written) ||
      wire_encode(row, written->bytes + written->size + WIRE_PREFIX_BYTES, needed - WIRE_PREFIX_BYTES, &head_bytes) !=
          VESTA_OK) {
    written->failed = true;
    return false;
  }
  wire_prefix_encode(written->bytes + written->size, (uint32_t)head_bytes, 0);
  written->size += WIRE_PREFIX_BYTES + head_bytes;
  written->ends[written->chunks - 1] = written->size;
  return true;
}

/* Write the state out, as it is now. */
static bool written_make(order_t *order) {
  order_written_t *written = &order->written;
  order_written_drop(order);
  bool ok = order->config.sink.snapshot(order->config.sink.context, written_row, written) && !written->failed &&
            order_snapshot(order, written_row, written) && !written->failed && written->chunks != 0;
  if (!ok) {
    order_count(order, ORDER_COUNTER_SNAPSHOTS_REFUSED);
    order_written_drop(order);
    return false;
  }
  written->cluster = order->view.cluster;
  written->term = order->term;
  written->index = order->history->last;
  written->stamp = order->incarnation + ++order->written_count;
  return true;
}

static wire_message_t fetch_answer(const order_t *order, const wire_message_t *get) {
  wire_message_t answer = order_message(order, WIRE_PEER_DIRECTORY);
  answer.lineage = get->lineage;
  answer.epoch = get->epoch;
  answer.seq = get->seq;
  answer.cursor = get->cursor;
  return answer;
}

static void fetch_send_tail(order_t *order, uint32_t to, const wire_message_t *get) {
  order_written_t part = {0};
  uint64_t index = get->cursor != 0 ? get->cursor : get->from_seq + 1;
  while (index <= get->seq && part.size < ORDER_CHUNK_BYTES &&
         written_row(&part, order_history_at(order->history, index)->message)) {
    index++;
  }
  wire_message_t answer = fetch_answer(order, get);
  answer.cursor_end = index;
  answer.state = WIRE_DIRECTORY_TAIL | (index > get->seq ? (uint64_t)WIRE_DIRECTORY_LAST : 0);
  if (part.failed) {
    order_count(order, ORDER_COUNTER_SNAPSHOTS_REFUSED);
  } else {
    order->config.sink.peer(order->config.sink.context, to, &answer, vesta_bytes(part.bytes, part.size));
  }
  free(part.bytes);
  free(part.ends);
}

static void fetch_send_chunk(order_t *order, uint32_t to, const wire_message_t *get) {
  const order_written_t *written = &order->written;
  size_t begin = get->cursor == 0 ? 0 : written->ends[get->cursor - 1];
  wire_message_t answer = fetch_answer(order, get);
  answer.number = written->stamp;
  answer.cursor_end = get->cursor + 1;
  answer.state = get->cursor + 1 == written->chunks ? WIRE_DIRECTORY_LAST : 0;
  order->config.sink.peer(order->config.sink.context, to, &answer,
                          vesta_bytes(written->bytes + begin, written->ends[get->cursor] - begin));
}

void order_fetch_get(order_t *order, uint32_t from, const wire_message_t *get) {
  const order_view_t *view = &order->view;
  order_written_t *written = &order->written;
  if (!view->agreed || view->ring.seq != get->ring_seq || view->ring.node != get->ring_node) {
    return;
  }
  uint64_t digest;
  bool is_mine = view->cluster == get->lineage && order->state != ORDER_OUT;
  bool has_tail = is_mine && get->from_seq <= get->seq && get->seq <= order->history->last &&
                  get->seq - get->from_seq <= FETCH_TAIL_MAX && (get->cursor == 0 || get->cursor > get->from_seq) &&
                  order_history_digest(order->history, get->from_seq, &digest) && digest == get->offset;
  if (has_tail) {
    fetch_send_tail(order, from, get);
    return;
  }
  bool is_written = written->stamp != 0 && written->cluster == get->lineage && written->term == get->epoch &&
                    written->index == get->seq;
  bool is_now = is_mine && order->term == get->epoch && order->history->last == get->seq;
  if (!is_written && (!is_now || !written_make(order))) {
    return;
  }
  written->until_ns = order->now_ns + FETCH_WRITTEN_NS;
  if (get->cursor < written->chunks) {
    fetch_send_chunk(order, from, get);
  }
}
