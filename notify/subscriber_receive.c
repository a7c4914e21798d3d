/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The subscriber's ears: what is published, and answers. Decides what is new, what is missing and what does not fit.
 */
#include "notify/subscriber_state.h"

/* ---- positions ---- */

/* Can a service that was at `before` be at `after` later? */
static bool position_at_or_after(vesta_pos_t before, vesta_pos_t after) {
  if (before.epoch == 0) {
    return true;
  }
  return after.lineage == before.lineage && after.epoch >= before.epoch && after.seq >= before.seq &&
         (after.epoch == before.epoch || after.seq > before.seq);
}

/* Is `after` of a history that does not contain `before`, as far as one can see? */
static bool position_elsewhere(vesta_pos_t before, vesta_pos_t after) {
  return after.lineage != before.lineage || after.epoch > before.epoch;
}

void subscriber_doubt(subscriber_t *subscriber) {
  subscriber->doubt = subscriber->request.number + 1; /* what is under way may have been answered before */
}

/* ---- handing on ---- */

void subscriber_drop_held(subscriber_t *subscriber) {
  while (subscriber->held.first != NULL) {
    change_queue_drop(&subscriber->held);
  }
}

bool subscriber_has_hole(const subscriber_t *subscriber) {
  bool matters = subscriber->mode == SUBSCRIBER_LIVE || subscriber->walk.parked != NULL;
  if (!matters) {
    return false;
  }
  if (subscriber->held.first != NULL) {
    return subscriber->held.first->first_seq > subscriber->received.seq + 1;
  }
  return subscriber->heard.lineage == subscriber->received.lineage && subscriber->heard.seq > subscriber->received.seq;
}

static void note_hole(subscriber_t *subscriber) {
  bool hole = subscriber_has_hole(subscriber);
  subscriber->counters.holes += hole && !subscriber->hole;
  subscriber->counters.repairs += !hole && subscriber->hole;
  subscriber->hole = hole;
  if (!hole) {
    subscriber->slow = false;
  }
  if (!hole && subscriber->doubt == 0) {
    subscriber->hole_reason = VESTA_ERR_LOST;
  }
}

/* Do these operations go on where we stand? What we have of them is left out. False: they are of another history. An
 * answer is `trusted` to be of ours, the service has looked; what is published has to say from which epoch it goes
 * on. */
static bool block_fits(subscriber_t *subscriber, change_block_t *block, bool trusted) {
  vesta_pos_t received = subscriber->received;
  if (block->position.lineage != received.lineage) {
    return false;
  }
  if (block->position.seq <= received.seq) {
    return block->position.epoch <= received.epoch;
  }
  change_block_skip(block, received.seq);
  const wire_element_t *next = &block->elements[block->at];
  if (next->kind != VESTA_KIND_EPOCH) {
    return next->epoch == received.epoch;
  }
  return next->epoch >= received.epoch && (trusted || next->offset == received.epoch);
}

/* Operations that fit and begin right behind `received`. */
static void deliver(subscriber_t *subscriber, change_block_t *block) {
  block->resync = subscriber->mode == SUBSCRIBER_WALKING;
  block->full = subscriber->walk.full;
  block->slots_walked = subscriber->walk.cursor;
  subscriber->received = block->position;
  change_queue_append(&subscriber->ready, block);
}

/* The first held block, if its turn has come, goes on or away. False: it has to wait. */
static bool advance_block(subscriber_t *subscriber, uint64_t seq_max) {
  change_block_t *block = subscriber->held.first;
  if (block == NULL || subscriber->received.seq >= seq_max ||
      (block->position.lineage == subscriber->received.lineage && block->first_seq > subscriber->received.seq + 1)) {
    return false;
  }
  block = change_queue_take(&subscriber->held);
  if (!block_fits(subscriber, block, false)) {
    subscriber_doubt(subscriber);
    change_block_destroy(&block);
  } else if (block->position.seq <= subscriber->received.seq) {
    change_block_destroy(&block);
  } else {
    if (block->position.seq > seq_max) {
      change_block_t *rest = change_block_split(block, seq_max);
      if (rest != NULL) { /* otherwise out of memory: it is fetched again */
        change_queue_prepend(&subscriber->held, rest);
      }
    }
    deliver(subscriber, block);
  }
  return true;
}

void subscriber_advance(subscriber_t *subscriber) {
  const subscriber_walk_t *walk = &subscriber->walk;
  while (walk->parked != NULL && !walk->blind && advance_block(subscriber, walk->parked->position.seq)) {
  }
  subscriber_walk_resume(subscriber);
  while (subscriber->mode == SUBSCRIBER_LIVE && advance_block(subscriber, UINT64_MAX)) {
  }
  if (subscriber->catching_up && subscriber->doubt == 0 && subscriber->received.seq >= subscriber->heard.seq) {
    subscriber->catching_up = false;
    subscriber_word(subscriber, &(notify_change_t){.kind = NOTIFY_SYNCED, .position = subscriber->received});
  }
  note_hole(subscriber);
}

void subscriber_gone(subscriber_t *subscriber) {
  if (subscriber->mode == SUBSCRIBER_GONE) {
    return;
  }
  subscriber->mode = SUBSCRIBER_GONE;
  subscriber->outstanding = false;
  subscriber_walk_unpark(subscriber);
  subscriber_drop_held(subscriber);
  subscriber_word(subscriber, &(notify_change_t){.kind = NOTIFY_GONE, .position = subscriber->received});
}

/* ---- what is published ---- */

/* What finds no room although nothing waits to be taken is large, and nobody is slow. */
static void note_overflow(subscriber_t *subscriber) {
  bool waiting = subscriber->ready.first != NULL;
  subscriber->counters.overflows++;
  subscriber->slow |= subscriber->config.coalesce && subscriber->mode == SUBSCRIBER_LIVE && waiting;
}

static vesta_err_t hold(subscriber_t *subscriber, const wire_message_t *message, vesta_bytes_t head,
                        vesta_bytes_t payload) {
  size_t bytes = change_block_bytes(message, head, payload);
  while (subscriber->held.first != NULL &&
         subscriber_held_bytes(subscriber) + bytes > subscriber->config.buffer_bytes) {
    change_queue_drop(&subscriber->held);
    note_overflow(subscriber);
  }
  if (subscriber_held_bytes(subscriber) + bytes > subscriber->config.buffer_bytes) {
    note_overflow(subscriber);
    subscriber->hole_reason = VESTA_ERR_TOO_LARGE;
    return VESTA_OK;
  }
  change_block_t *block = change_block_new(message, head, payload);
  if (block == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  const wire_element_t *last = &message->elements[message->element_count - 1];
  block->first_seq = message->elements[0].seq;
  block->position.epoch = last->epoch;
  block->position.seq = last->seq;
  change_queue_append(&subscriber->held, block);
  return VESTA_OK;
}

static void note_published(subscriber_t *subscriber, vesta_pos_t now) {
  if (position_elsewhere(subscriber->published, now) || now.seq > subscriber->published.seq) {
    subscriber->published = now;
  }
}

/* The service published this after what was heard before. What can't be so raises a doubt: the service may have lost
 * history, or only this message was delivered twice. */
static void hear(subscriber_t *subscriber, bool in_order, vesta_pos_t now) {
  bool elsewhere = position_elsewhere(subscriber->heard, now);
  if (!in_order) {
    subscriber_doubt(subscriber);
    if (elsewhere) {
      subscriber_drop_held(subscriber);
    }
  }
  if (in_order || elsewhere) {
    subscriber->heard = now;
    note_published(subscriber, now);
  }
}

/* Is that in what was received? (At the beginning of a walk there is nothing to compare with yet.) */
static bool already_received(const subscriber_t *subscriber, vesta_pos_t end) {
  return end.seq <= subscriber->received.seq && !position_elsewhere(subscriber->received, end) &&
         (subscriber->mode != SUBSCRIBER_WALKING || subscriber->walk.begun);
}

static vesta_err_t changes_published(subscriber_t *subscriber, const wire_message_t *message, vesta_bytes_t head,
                                     vesta_bytes_t payload) {
  const wire_element_t *first = &message->elements[0];
  const wire_element_t *last = &message->elements[message->element_count - 1];
  vesta_pos_t begin = {.lineage = message->lineage, .epoch = first->epoch, .seq = first->seq};
  vesta_pos_t end = {.lineage = message->lineage, .epoch = last->epoch, .seq = last->seq};
  bool in_order = position_at_or_after(subscriber->heard, begin) && begin.seq > subscriber->heard.seq;
  hear(subscriber, in_order, end);
  vesta_err_t err = VESTA_OK;
  if (!in_order || already_received(subscriber, end)) {
    subscriber->counters.duplicates++;
  } else if (change_block_without_data(message) && !subscriber->config.keys_only) {
    subscriber->counters.withheld++; /* it tells how far the service is, as a beacon does: fetched from the history */
  } else if (subscriber->mode != SUBSCRIBER_WALKING || !subscriber->walk.blind) {
    err = hold(subscriber, message, head, payload);
  }
  subscriber_advance(subscriber);
  return err;
}

/* The subscription stands: begin. */
static void started(subscriber_t *subscriber, vesta_pos_t now) {
  const subscriber_config_t *config = &subscriber->config;
  if (config->start == SUBSCRIBER_FROM_NOW) {
    subscriber->mode = SUBSCRIBER_LIVE;
    subscriber->received = now;
    subscriber_word(subscriber, &(notify_change_t){.kind = NOTIFY_SYNCED, .position = now});
  } else if (config->start == SUBSCRIBER_FROM_POSITION && config->position.epoch != 0) {
    subscriber->mode = SUBSCRIBER_LIVE;
    subscriber->received = config->position;
    subscriber->catching_up = true;
    subscriber_doubt(subscriber);
  } else {
    subscriber_walk_begin(subscriber, (vesta_pos_t){0});
  }
}

void subscriber_beacon_state(subscriber_t *subscriber, uint64_t state) {
  subscriber->no_quorum = (state & WIRE_BEACON_NO_QUORUM) != 0;
}

static void beacon_published(subscriber_t *subscriber, const wire_message_t *message) {
  vesta_pos_t now = wire_pos(message);
  subscriber_beacon_state(subscriber, message->state);
  if (!subscriber->subscribed) {
    subscriber->subscribed = true;
    subscriber->heard = subscriber->held.first != NULL ? subscriber->held.last->position : subscriber->received;
  }
  hear(subscriber, position_at_or_after(subscriber->heard, now), now);
  if (subscriber->mode == SUBSCRIBER_STARTING) {
    started(subscriber, now);
  }
  subscriber_advance(subscriber);
  subscriber_hash_heard(subscriber, message);
}

vesta_err_t subscriber_published(subscriber_t *subscriber, vesta_bytes_t head, vesta_bytes_t payload,
                                 int64_t steady_ns) {
  if (subscriber->mode == SUBSCRIBER_GONE) {
    return VESTA_OK;
  }
  wire_message_t message;
  vesta_err_t err = wire_decode(subscriber->decoder, head.data, head.size, &message);
  if (err == VESTA_ERR_NO_MEMORY) {
    return err;
  }
  bool ours = err == VESTA_OK && message.checkpoint == subscriber->config.checkpoint_id &&
              change_block_payload_check(&message, payload);
  bool is_gone = ours && message.kind == WIRE_BEACON && (message.state & WIRE_BEACON_GONE) != 0;
  bool is_beacon = ours && message.kind == WIRE_BEACON && message.epoch != 0;
  bool is_changes = ours && message.kind == WIRE_CHANGES && message.element_count != 0 &&
                    message.elements[0].epoch != 0 && change_block_operations_check(&message);
  if (!is_gone && !is_beacon && !is_changes) {
    subscriber->counters.malformed++;
    return VESTA_OK;
  }
  subscriber->heard_ns = steady_ns;
  if (is_gone) {
    subscriber_gone(subscriber);
  } else if (is_beacon) {
    beacon_published(subscriber, &message);
  } else if (subscriber->subscribed) { /* before its beacon nothing is certain */
    return changes_published(subscriber, &message, head, payload);
  }
  return VESTA_OK;
}

/* ---- answers ---- */

static void history_answered(subscriber_t *subscriber, change_block_t *block, vesta_pos_t now, int64_t steady_ns) {
  uint64_t received_seq = subscriber->received.seq;
  if (subscriber->walk.parked != NULL && !position_at_or_after(subscriber->walk.parked->position, now)) {
    subscriber_walk_unpark(subscriber);
  }
  bool fits = block->count == 0 || block_fits(subscriber, block, true);
  if (!fits) {
    subscriber_doubt(subscriber); /* answered before the service's history changed */
  } else if (subscriber->doubt != 0 && subscriber->request.number >= subscriber->doubt) {
    subscriber->doubt = 0;
  }
  if (fits && block->count != 0 && block->position.seq > received_seq) {
    deliver(subscriber, block);
  } else {
    change_block_destroy(&block);
  }
  subscriber_advance(subscriber);
  if (!fits || (subscriber->hole && subscriber->received.seq == received_seq)) {
    subscriber->retry_ns = steady_ns + SUBSCRIBER_REPEAT_NS; /* it brought nothing: no use to ask again at once */
  }
}

/* An answer that says no. */
static void refused(subscriber_t *subscriber, const wire_message_t *message, int64_t steady_ns) {
  switch (message->error) {
    case VESTA_ERR_NOT_EXIST: subscriber_gone(subscriber); return;
    case VESTA_ERR_ACCESS: subscriber->renew = true; return; /* a restarted service may not know the token */
    case VESTA_ERR_LOST: subscriber_walk_lost(subscriber, wire_pos(message)); return;
    case VESTA_ERR_DIVERGED: subscriber_walk_diverged(subscriber, wire_pos(message)); return;
    default: subscriber->retry_ns = steady_ns + SUBSCRIBER_REPEAT_NS; return;
  }
}

/* Is this a good answer to what was asked? */
static bool answer_check(const subscriber_t *subscriber, const wire_message_t *message) {
  const wire_message_t *request = &subscriber->request;
  if (change_block_without_data(message) && !subscriber->config.keys_only) {
    return false;
  }
  if (message->kind == WIRE_SNAPSHOT_CHUNK) {
    bool delta_begins = request->from_epoch != 0 && request->cursor == 0;
    return request->kind == WIRE_SNAPSHOT_GET && message->cursor == request->cursor &&
           change_block_sections_check(message, delta_begins);
  }
  if (message->kind != WIRE_HISTORY_CHUNK || request->kind != WIRE_HISTORY_GET) {
    return false;
  }
  const wire_element_t *elements = message->elements;
  return message->element_count == 0 ||
         (elements[0].seq == request->cursor && change_block_operations_check(message) &&
          (request->cursor_end == 0 || elements[message->element_count - 1].seq < request->cursor_end));
}

vesta_err_t subscriber_answered(subscriber_t *subscriber, vesta_bytes_t head, vesta_bytes_t payload,
                                int64_t steady_ns) {
  wire_message_t message;
  vesta_err_t err = wire_decode(subscriber->decoder, head.data, head.size, &message);
  if (err == VESTA_ERR_NO_MEMORY) {
    return err; /* asked again when it is overdue */
  }
  if (err != VESTA_OK || !change_block_payload_check(&message, payload) ||
      message.checkpoint != subscriber->config.checkpoint_id) {
    subscriber->counters.malformed++;
    return VESTA_OK;
  }
  if (message.kind == WIRE_HASH_REPLY) {
    if (!subscriber_hash_answered(subscriber, &message)) {
      refused(subscriber, &message, steady_ns);
    }
    return VESTA_OK;
  }
  if (!subscriber->outstanding || message.number != subscriber->request.number) {
    return VESTA_OK; /* of a request that was given up, or answered already */
  }
  if (message.error != 0) {
    subscriber->outstanding = false;
    refused(subscriber, &message, steady_ns);
    return VESTA_OK;
  }
  if (!answer_check(subscriber, &message)) {
    subscriber->counters.malformed++;
    return VESTA_OK;
  }
  change_block_t *block = change_block_new(&message, head, payload);
  if (block == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  subscriber->outstanding = false;
  note_published(subscriber, wire_pos(&message));
  if (message.kind == WIRE_SNAPSHOT_CHUNK) {
    if (!subscriber_walk_chunk(subscriber, block, steady_ns)) {
      subscriber->counters.malformed++;
      change_block_destroy(&block);
      subscriber->retry_ns = steady_ns + SUBSCRIBER_REPEAT_NS;
    }
    return VESTA_OK;
  }
  if (block->count != 0) {
    block->first_seq = block->elements[0].seq;
    block->position.epoch = block->elements[block->count - 1].epoch;
    block->position.seq = block->elements[block->count - 1].seq;
  }
  history_answered(subscriber, block, wire_pos(&message), steady_ns);
  return VESTA_OK;
}
