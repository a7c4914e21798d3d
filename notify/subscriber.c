/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See subscriber.h; the states are in subscriber_state.h. Here: its life, what it asks for and when, and handing out.
 *
 * Nothing is asked for while more than half of the buffer waits to be handed out. So who takes changes slowly gets
 * them slowly, and what is published meanwhile and finds no room is asked for later, from the history.
 */
#include "notify/subscriber.h"

#include <stdlib.h>

#include "core/replica.h"
#include "notify/id_prefixes.h"
#include "notify/subscriber_state.h"

/* NULL: out of memory, or (count 0) none. */
static wire_element_t *prefixes_copy(const wire_element_t *prefixes, uint32_t count) {
  VESTA_ASSERT(id_prefixes_valid(prefixes, count));
  size_t bytes = 0;
  for (uint32_t i = 0; i < count; i++) {
    bytes += prefixes[i].id.size;
  }
  wire_element_t *copy = count == 0 ? NULL : malloc(count * sizeof *copy + bytes);
  if (copy == NULL) {
    return NULL;
  }
  uint8_t *room = (uint8_t *)(void *)(copy + count);
  for (uint32_t i = 0; i < count; i++) {
    size_t size = prefixes[i].id.size;
    memcpy(room, prefixes[i].id.data, size);
    copy[i] = (wire_element_t){.id = vesta_bytes(room, size)};
    room += size;
  }
  return copy;
}

vesta_err_t subscriber_new(const subscriber_config_t *config, int64_t steady_ns, subscriber_t **out) {
  subscriber_t *subscriber = calloc(1, sizeof *subscriber);
  wire_decoder_t *decoder = wire_decoder_new();
  wire_element_t *prefixes = prefixes_copy(config->prefixes, config->prefix_count);
  if (subscriber == NULL || decoder == NULL || (prefixes == NULL && config->prefix_count != 0)) {
    free(subscriber);
    free(prefixes);
    wire_decoder_destroy(&decoder);
    return VESTA_ERR_NO_MEMORY;
  }
  subscriber->config = *config;
  subscriber->config.prefixes = prefixes;
  subscriber->prefixes = prefixes;
  if (config->buffer_bytes == 0) {
    subscriber->config.buffer_bytes = VESTA_SUBSCRIBER_BUFFER_BYTES;
  }
  subscriber->decoder = decoder;
  subscriber->heard_ns = steady_ns;
  subscriber->retry_ns = INT64_MIN;
  subscriber->hole_reason = VESTA_ERR_LOST;
  if (config->start == SUBSCRIBER_FROM_POSITION) {
    subscriber->handed_out = config->position;
  }
  for (uint32_t i = 0; i < SUBSCRIBER_WORDS; i++) {
    subscriber->words[i].next = subscriber->words_free;
    subscriber->words_free = &subscriber->words[i];
  }
  *out = subscriber;
  return VESTA_OK;
}

/* The first thing to hand out goes away. */
static void ready_drop(subscriber_t *subscriber) {
  change_block_t *block = change_queue_take(&subscriber->ready);
  if (block->word.kind == 0) {
    change_block_destroy(&block);
    return;
  }
  block->next = subscriber->words_free;
  subscriber->words_free = block;
  subscriber->words_used--;
}

void subscriber_destroy(subscriber_t **subscriber) {
  if (*subscriber == NULL) {
    return;
  }
  while ((*subscriber)->ready.first != NULL) {
    ready_drop(*subscriber);
  }
  subscriber_drop_held(*subscriber);
  change_block_destroy(&(*subscriber)->walk.parked);
  wire_decoder_destroy(&(*subscriber)->decoder);
  free((*subscriber)->prefixes);
  free(*subscriber);
  *subscriber = NULL;
}

void subscriber_resubscribed(subscriber_t *subscriber, vesta_token_t token, int64_t steady_ns) {
  subscriber->config.token = token;
  subscriber->subscribed = false;
  subscriber->heard = (vesta_pos_t){0};
  subscriber->heard_ns = steady_ns;
  subscriber->renew = false;
  subscriber->renew_told = false;
  subscriber->outstanding = false;
  subscriber->retry_ns = INT64_MIN;
  subscriber->hole_reason = VESTA_ERR_TIMEOUT;
  subscriber->counters.rebuilt++;
}

size_t subscriber_held_bytes(const subscriber_t *subscriber) {
  const change_block_t *parked = subscriber->walk.parked;
  return subscriber->ready.bytes + subscriber->held.bytes + (parked != NULL ? parked->bytes : 0);
}

/* ---- asking ---- */

/* When the next request may be sent; INT64_MAX: there is none to send. */
static int64_t request_due_ns(const subscriber_t *subscriber) {
  if (!subscriber->subscribed || subscriber->renew || subscriber->renew_told) {
    return INT64_MAX;
  }
  if (subscriber->outstanding) {
    return subscriber->sent_ns + SUBSCRIBER_REPEAT_NS;
  }
  bool busy =
      subscriber->ready.first != NULL && subscriber_held_bytes(subscriber) > subscriber->config.buffer_bytes / 2;
  if (busy || subscriber->words_used > SUBSCRIBER_WORDS_BUSY) {
    return INT64_MAX;
  }
  bool history = subscriber->doubt != 0 || subscriber->hole;
  switch (subscriber->mode) {
    case SUBSCRIBER_STARTING:
    case SUBSCRIBER_GONE: return INT64_MAX;
    case SUBSCRIBER_LIVE: return history ? subscriber->retry_ns : INT64_MAX;
    case SUBSCRIBER_WALKING: break;
  }
  int64_t in_flight_ns = subscriber->walk.parked_ns + SUBSCRIBER_IN_FLIGHT_NS;
  bool waits = subscriber->walk.parked != NULL && !history && in_flight_ns > subscriber->retry_ns;
  return waits ? in_flight_ns : subscriber->retry_ns;
}

/* Operations from `received` on: up to those that are held, or to a parked chunk, or all there are. */
static void request_history(const subscriber_t *subscriber, wire_message_t *request) {
  request->kind = WIRE_HISTORY_GET;
  request->cursor = subscriber->received.seq + 1;
  if (subscriber->held.first != NULL) {
    request->cursor_end = subscriber->held.first->first_seq;
  }
  const change_block_t *parked = subscriber->walk.parked;
  if (parked != NULL && (request->cursor_end == 0 || request->cursor_end > parked->position.seq + 1)) {
    request->cursor_end = parked->position.seq + 1;
  }
}

/* Twice as much after each blind walk. */
static uint64_t chunk_wish_bytes(uint32_t again) {
  uint64_t bytes = VESTA_STREAM_CHUNK_BYTES;
  while (again-- != 0 && bytes < VESTA_STREAM_CHUNK_BYTES_MAX) {
    bytes *= 2;
  }
  return bytes;
}

bool subscriber_request(subscriber_t *subscriber, int64_t steady_ns, wire_message_t *request) {
  if (subscriber_hash_due_ns(subscriber) <= steady_ns) {
    subscriber_hash_request(subscriber, steady_ns, request);
    return true;
  }
  if (request_due_ns(subscriber) > steady_ns) {
    return false;
  }
  if (!subscriber->outstanding && subscriber->mode == SUBSCRIBER_LIVE && subscriber->slow && subscriber->doubt == 0) {
    subscriber_walk_coalesce(subscriber);
  }
  if (!subscriber->outstanding) {
    bool section_walk = subscriber->mode == SUBSCRIBER_WALKING && subscriber->walk.parked == NULL;
    vesta_pos_t from = section_walk ? subscriber->walk.from : subscriber->received;
    wire_message_t fresh = {
        .kind = WIRE_SNAPSHOT_GET,
        .number = subscriber->request.number + 1,
        .checkpoint = subscriber->config.checkpoint_id,
        .cursor = subscriber->walk.cursor,
        .from_lineage = from.lineage,
        .from_epoch = from.epoch,
        .from_seq = from.seq,
        .flags = subscriber->config.keys_only ? WIRE_GET_KEYS : 0,
    };
    if (section_walk) {
      fresh.count = subscriber->walk.again == 0 ? 0 : chunk_wish_bytes(subscriber->walk.again);
      fresh.elements = subscriber->prefixes;
      fresh.element_count = subscriber->config.prefix_count;
    } else {
      request_history(subscriber, &fresh);
    }
    subscriber->request = fresh;
    subscriber->outstanding = true;
  }
  subscriber->request.token_hi = subscriber->config.token.hi;
  subscriber->request.token_lo = subscriber->config.token.lo;
  subscriber->sent_ns = steady_ns;
  *request = subscriber->request;
  return true;
}

bool subscriber_silent(subscriber_t *subscriber, int64_t steady_ns) {
  if (subscriber->mode == SUBSCRIBER_GONE || subscriber->renew_told ||
      (!subscriber->renew && steady_ns < subscriber->heard_ns + SUBSCRIBER_SILENCE_NS)) {
    return false;
  }
  subscriber->renew_told = true;
  return true;
}

int64_t subscriber_wake_ns(const subscriber_t *subscriber) {
  if (subscriber->mode == SUBSCRIBER_GONE || subscriber->renew_told) {
    return INT64_MAX;
  }
  int64_t silence_ns = subscriber->renew ? INT64_MIN : subscriber->heard_ns + SUBSCRIBER_SILENCE_NS;
  int64_t request_ns = request_due_ns(subscriber);
  int64_t hash_ns = subscriber_hash_due_ns(subscriber);
  request_ns = hash_ns < request_ns ? hash_ns : request_ns;
  return silence_ns < request_ns ? silence_ns : request_ns;
}

/* ---- handing out ---- */

void subscriber_word(subscriber_t *subscriber, const notify_change_t *word) {
  change_block_t *block = subscriber->words_free;
  VESTA_ASSERT(block != NULL); /* nothing that leads to words is asked for when few are left */
  subscriber->words_free = block->next;
  subscriber->words_used++;
  block->word = *word;
  change_queue_append(&subscriber->ready, block);
}

static void word_hand_out(subscriber_t *subscriber, const change_block_t *block, notify_change_t *change) {
  *change = block->word;
  change->count = 1;
  if (change->kind == NOTIFY_HASH) {
    return;
  }
  subscriber->consistent = change->kind == NOTIFY_SYNCED;
  if (change->kind == NOTIFY_SYNCED || change->kind == NOTIFY_RESYNC_END) {
    subscriber->handed_out = change->position;
  }
}

/* During a walk: a change of a section that was not named yet (subscriber_walk.c). */
static bool element_left_out(const change_block_t *block, const wire_element_t *element) {
  if (!block->resync || element->slot < block->slots_walked || element->slot == REPLICA_NO_SLOT) {
    return false;
  }
  bool deletes = element->kind == VESTA_KIND_DELETED || element->kind == VESTA_KIND_EXPIRED;
  return !deletes || block->full;
}

/* Is that what the consumer wants to hear of? */
static bool element_wanted(const subscriber_t *subscriber, const change_block_t *block, const wire_element_t *element) {
  const subscriber_config_t *config = &subscriber->config;
  if (element->kind == VESTA_KIND_UNLINKED || element->kind == VESTA_KIND_EPOCH) {
    return true;
  }
  if (!block->resync && config->kinds != 0 && (config->kinds >> element->kind & 1) == 0) {
    return false;
  }
  return element->kind == VESTA_KIND_RETENTION_SET ||
         id_prefixes_match(subscriber->prefixes, config->prefix_count, element->id);
}

/* An operation's first element: how many of them are wanted? */
static void operation_begin(subscriber_t *subscriber, const change_block_t *block, uint32_t first) {
  uint32_t count = (uint32_t)block->elements[first].count;
  subscriber->op_index = 0;
  subscriber->op_count = 0;
  for (uint32_t i = first; i < first + count; i++) {
    subscriber->op_count += element_wanted(subscriber, block, &block->elements[i]);
  }
}

static void element_hand_out(subscriber_t *subscriber, const change_block_t *block, const wire_element_t *element,
                             notify_change_t *change) {
  bool coalesced = block->from.epoch != 0 && element->kind == VESTA_KIND_CREATED;
  *change = (notify_change_t){
      .kind = coalesced ? NOTIFY_COALESCED : (uint32_t)element->kind,
      .position = {.lineage = block->position.lineage, .epoch = element->epoch, .seq = element->seq},
      .from = coalesced ? block->from : (vesta_pos_t){0},
      .resync = block->resync,
      .index = block->resync ? 0 : subscriber->op_index++,
      .count = block->resync ? 1 : subscriber->op_count,
      .id = element->id,
      .offset = element->kind == VESTA_KIND_EPOCH ? 0 : element->offset,
      .data = vesta_bytes(subscriber->config.keys_only ? NULL : block->data, (size_t)element->size),
      .expiry_ns = element->expiry_ns,
      .time_ns = element->time_ns,
      .member = element->member,
  };
}

/* One element of the first block: handed out, or left out. The operation's last one that is handed out ends it; who
 * took that has all of it. */
static bool element_next(subscriber_t *subscriber, change_block_t *block, notify_change_t *change) {
  const wire_element_t *element = &block->elements[block->at];
  bool live = !block->resync;
  if (live && element->index == 0) {
    operation_begin(subscriber, block, block->at);
  }
  bool takes = !element_left_out(block, element) && element_wanted(subscriber, block, element);
  if (takes) {
    element_hand_out(subscriber, block, element, change);
  }
  change_block_step(block);
  if (live && subscriber->op_index == subscriber->op_count) {
    subscriber->handed_out =
        (vesta_pos_t){.lineage = block->position.lineage, .epoch = element->epoch, .seq = element->seq};
    if (takes) {
      change->awaited = block->at == block->count && (block->state & WIRE_CHANGES_AWAITED) != 0;
    }
  }
  return takes;
}

bool subscriber_next(subscriber_t *subscriber, notify_change_t *change) {
  change_block_t *block;
  while ((block = subscriber->ready.first) != NULL) {
    if (block->word.kind != 0) {
      word_hand_out(subscriber, block, change);
      ready_drop(subscriber);
      return true;
    }
    if (block->at == block->count) {
      ready_drop(subscriber);
      continue;
    }
    if (element_next(subscriber, block, change)) {
      return true;
    }
  }
  return false;
}

bool subscriber_peek(const subscriber_t *subscriber, uint32_t *kind) {
  for (const change_block_t *block = subscriber->ready.first; block != NULL; block = block->next) {
    if (block->word.kind != 0 || block->at < block->count) {
      *kind = block->word.kind != 0 ? block->word.kind : (uint32_t)block->elements[block->at].kind;
      return true;
    }
  }
  return false;
}

void subscriber_status(const subscriber_t *subscriber, subscriber_status_t *status) {
  *status = subscriber->counters;
  status->handed_out = subscriber->handed_out;
  status->received = subscriber->received;
  status->published = subscriber->published;
  status->synced = subscriber->consistent && subscriber->mode == SUBSCRIBER_LIVE && !subscriber->hole &&
                   subscriber->doubt == 0 && !subscriber->catching_up;
  status->no_quorum = subscriber->no_quorum;
  status->held_bytes = subscriber_held_bytes(subscriber);
}
