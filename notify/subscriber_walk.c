/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The subscriber's walk: how chunks of sections and the operations of the meantime become one state.
 *
 * A chunk is the exact state of a range of slots as of a position C. After each chunk this holds:
 *
 *      the sections in the slots walked so far are exactly as of C of the last chunk
 *
 *   chunk 1      slots [0, a) as of C1                                  (a delta: and what was deleted, as of C1)
 *   operations   C1 < seq <= C2, of slots < a: handed on; of others: left out, chunk 2 or a later one has them
 *   chunk 2      slots [a, b) as of C2
 *   operations   C2 < seq <= C3, of slots < b
 *   ...
 *   last chunk   everything is as of its C: RESYNC_END, SYNCED, and the stream goes on behind it
 *
 * So operations are held back only from one chunk to the next, the state that is handed on never runs backwards, and
 * nothing needs to be remembered per section. Deletes need care because a section that is deleted and created again
 * moves to another slot: a delete is handed on in its order wherever its slot is, except that a full walk leaves it
 * out in slots not walked, where nothing was named yet.
 *
 * Operations that were dropped (no room, or lost on the way) are asked for again from the history. When that no longer
 * has them the walk goes on *blindly*, chunks only, to its end, and what changed since the last exact position is
 * walked next, as a delta within the same brackets. A delta is smaller than the walk before it; one that fits into a
 * single chunk needs no operations and ends it. Such a walk asks for larger chunks each time, and does not ask the
 * history first: that was in vain before, and costs time in which the next delta grows. Should the tombstones not reach
 * back to there, the service answers with everything, and a new RESYNC_BEGIN says that it starts over.
 *
 * A consumer that is slow and wants coalescing gets such a delta as soon as its buffer has overflowed. It is the same
 * walk but for three things: no LOST goes before it, sections are COALESCED, and operations between its chunks are not
 * fetched from the history, since what is wanted is the latest state.
 */
#include "notify/subscriber_state.h"

void subscriber_walk_begin(subscriber_t *subscriber, vesta_pos_t from) {
  VESTA_ASSERT(subscriber->walk.parked == NULL);
  subscriber->mode = SUBSCRIBER_WALKING;
  subscriber->catching_up = false;
  subscriber->outstanding = false;
  subscriber->slow = false;
  subscriber->walk = (subscriber_walk_t){.from = from, .full = from.epoch == 0};
}

void subscriber_walk_coalesce(subscriber_t *subscriber) {
  subscriber_drop_held(subscriber);
  subscriber->counters.coalesced++;
  subscriber->coalesced_from = subscriber->received;
  subscriber_walk_begin(subscriber, subscriber->received);
  subscriber->hole = false;
}

static bool walk_coalesces(const subscriber_t *subscriber) { return subscriber->coalesced_from.epoch != 0; }

/* Said aloud; then nothing needs to be said of coalescing. */
static void walk_say_lost(subscriber_t *subscriber, vesta_pos_t from, vesta_pos_t now, vesta_err_t reason) {
  subscriber->counters.lost++;
  subscriber->coalesced_from = (vesta_pos_t){0};
  subscriber_word(subscriber,
                  &(notify_change_t){.kind = NOTIFY_LOST, .position = now, .from = from, .reason = (uint32_t)reason});
}

static void walk_end(subscriber_t *subscriber) {
  if (subscriber->walk.blind) {
    uint32_t again = subscriber->walk.again + 1;
    subscriber_walk_begin(subscriber, subscriber->received);
    subscriber->walk.again = again;
    return;
  }
  subscriber->mode = SUBSCRIBER_LIVE;
  subscriber->bracket = false;
  subscriber->coalesced_from = (vesta_pos_t){0};
  subscriber_word(subscriber, &(notify_change_t){.kind = NOTIFY_RESYNC_END, .position = subscriber->received});
  subscriber_word(subscriber, &(notify_change_t){.kind = NOTIFY_SYNCED, .position = subscriber->received});
}

static void walk_place(subscriber_t *subscriber, change_block_t *block) {
  bool last = (block->state & WIRE_CHUNK_LAST) != 0;
  block->resync = true;
  block->full = subscriber->walk.full;
  block->slots_walked = UINT64_MAX; /* a chunk's own sections are all named */
  block->from = walk_coalesces(subscriber) ? subscriber->walk.from : (vesta_pos_t){0};
  subscriber->walk.cursor = block->cursor_end;
  change_queue_append(&subscriber->ready, block);
  if (last) {
    walk_end(subscriber);
  }
}

static void walk_first_chunk(subscriber_t *subscriber, change_block_t *block) {
  subscriber_walk_t *walk = &subscriber->walk;
  if ((block->state & WIRE_CHUNK_FULL) != 0) {
    walk->full = true;
    walk->from = (vesta_pos_t){0};
  }
  walk->begun = true;
  if (walk->full && walk_coalesces(subscriber)) {
    walk_say_lost(subscriber, subscriber->coalesced_from, block->position, VESTA_ERR_LOST);
  }
  if (!subscriber->bracket || walk->full) {
    subscriber->bracket = true;
    subscriber->counters.resyncs++;
    subscriber_word(subscriber, &(notify_change_t){.kind = NOTIFY_RESYNC_BEGIN,
                                                   .position = block->position,
                                                   .from = walk->from,
                                                   .full = walk->full,
                                                   .resync = true});
  }
  subscriber->received = block->position;
  walk_place(subscriber, block);
}

/* Chunks that are put together without the operations between them may be of two histories (an active that failed had
 * got further); within one epoch they can't. */
static bool walk_is_patchwork(const subscriber_t *subscriber, vesta_pos_t now) {
  const subscriber_walk_t *walk = &subscriber->walk;
  return (walk->blind || (walk->again != 0 && !walk->begun)) && now.epoch != subscriber->received.epoch;
}

/* The service can't have been where we are: not before, not behind. */
static bool walk_is_elsewhere(const subscriber_t *subscriber, const change_block_t *block) {
  vesta_pos_t now = block->position;
  vesta_pos_t received = subscriber->received;
  return now.lineage != received.lineage || now.epoch < received.epoch || now.seq < received.seq ||
         (now.seq == received.seq && now.epoch != received.epoch) ||
         (!subscriber->walk.full && (block->state & WIRE_CHUNK_FULL) != 0);
}

bool subscriber_walk_chunk(subscriber_t *subscriber, change_block_t *block, int64_t steady_ns) {
  subscriber_walk_t *walk = &subscriber->walk;
  bool last = (block->state & WIRE_CHUNK_LAST) != 0;
  if (block->position.epoch == 0 || (block->cursor_end <= walk->cursor && !last)) {
    return false;
  }
  if (walk->begun && walk_is_elsewhere(subscriber, block)) {
    subscriber_walk_diverged(subscriber, block->position);
    change_block_destroy(&block);
  } else if (walk_is_patchwork(subscriber, block->position)) {
    subscriber_walk_begin(subscriber, (vesta_pos_t){0});
    change_block_destroy(&block);
  } else if (!walk->begun) {
    walk_first_chunk(subscriber, block);
  } else if (walk->blind) {
    walk_place(subscriber, block);
  } else {
    walk->parked = block;
    walk->parked_ns = steady_ns;
  }
  subscriber_advance(subscriber);
  return true;
}

void subscriber_walk_resume(subscriber_t *subscriber) {
  subscriber_walk_t *walk = &subscriber->walk;
  change_block_t *parked = walk->parked;
  if (parked != NULL && (walk->again != 0 || walk_coalesces(subscriber)) && subscriber_has_hole(subscriber)) {
    walk->blind = true;
    subscriber_drop_held(subscriber);
  }
  if (parked == NULL || (!walk->blind && subscriber->received.seq < parked->position.seq)) {
    return;
  }
  if (parked->position.epoch != subscriber->received.epoch) {
    subscriber_walk_unpark(subscriber);
    if (walk->blind) {
      subscriber_walk_begin(subscriber, (vesta_pos_t){0});
    }
    return;
  }
  walk->parked = NULL;
  walk_place(subscriber, parked);
}

void subscriber_walk_unpark(subscriber_t *subscriber) { change_block_destroy(&subscriber->walk.parked); }

void subscriber_walk_lost(subscriber_t *subscriber, vesta_pos_t now) {
  if (subscriber->mode == SUBSCRIBER_WALKING) {
    subscriber->walk.blind = true;
    subscriber_drop_held(subscriber);
  } else if (subscriber->config.coalesce) {
    subscriber_walk_coalesce(subscriber);
  } else {
    walk_say_lost(subscriber, subscriber->received, now, subscriber->hole_reason);
    subscriber_walk_begin(subscriber, subscriber->received);
  }
  subscriber_advance(subscriber);
}

/* What there is counts no more. */
static void walk_from_nothing(subscriber_t *subscriber, vesta_pos_t now, vesta_err_t reason) {
  subscriber_walk_unpark(subscriber);
  subscriber_drop_held(subscriber);
  subscriber->doubt = 0;
  walk_say_lost(subscriber, subscriber->received, now, reason);
  subscriber_walk_begin(subscriber, (vesta_pos_t){0});
}

void subscriber_walk_diverged(subscriber_t *subscriber, vesta_pos_t now) {
  walk_from_nothing(subscriber, now, VESTA_ERR_DIVERGED);
}

void subscriber_resync(subscriber_t *subscriber) {
  if (subscriber->mode != SUBSCRIBER_GONE) {
    walk_from_nothing(subscriber, subscriber->published, VESTA_ERR_MALFORMED);
    subscriber_advance(subscriber);
  }
}
