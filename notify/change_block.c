/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See change_block.h. A block is one allocation: itself, its elements, then the bytes that they point to.
 */
#include "notify/change_block.h"

#include <stdlib.h>

/* A block with room for `count` elements and `bytes` behind them, and where these begin. */
static change_block_t *block_allocate(uint32_t count, size_t bytes, uint8_t **room) {
  size_t fixed = sizeof(change_block_t) + count * sizeof(wire_element_t);
  uint8_t *memory = malloc(fixed + bytes);
  if (memory == NULL) {
    return NULL;
  }
  change_block_t *block = (change_block_t *)(void *)memory;
  *block = (change_block_t){.bytes = fixed + bytes, .count = count};
  block->elements = (wire_element_t *)(void *)(memory + sizeof *block);
  *room = memory + fixed;
  return block;
}

size_t change_block_bytes(const wire_message_t *message, vesta_bytes_t head, vesta_bytes_t payload) {
  return sizeof(change_block_t) + message->element_count * sizeof(wire_element_t) + head.size + payload.size;
}

change_block_t *change_block_new(const wire_message_t *message, vesta_bytes_t head, vesta_bytes_t payload) {
  uint8_t *room = NULL;
  change_block_t *block = block_allocate(message->element_count, head.size + payload.size, &room);
  if (block == NULL) {
    return NULL;
  }
  memcpy(room, head.data, head.size);
  if (payload.size != 0) {
    memcpy(room + head.size, payload.data, payload.size);
  }
  for (uint32_t i = 0; i < block->count; i++) {
    block->elements[i] = message->elements[i];
    if (block->elements[i].id.size != 0) {
      block->elements[i].id.data = room + (message->elements[i].id.data - head.data);
    }
  }
  block->data = room + head.size;
  block->position = wire_pos(message);
  block->cursor_end = message->cursor_end;
  block->state = message->state;
  block->without_data = change_block_without_data(message);
  return block;
}

void change_block_destroy(change_block_t **block) {
  free(*block);
  *block = NULL;
}

/* ---- judging ---- */

bool change_block_without_data(const wire_message_t *message) {
  return (message->state & (message->kind == WIRE_CHANGES ? WIRE_CHANGES_KEYS : WIRE_CHUNK_KEYS)) != 0;
}

bool change_block_payload_check(const wire_message_t *message, vesta_bytes_t payload) {
  return change_block_without_data(message) ? payload.size == 0 : wire_payload_check(message, payload.size) == VESTA_OK;
}

static bool element_kind_known(const wire_element_t *element) {
  return element->kind >= VESTA_KIND_CREATED && element->kind <= VESTA_KIND_EPOCH;
}

/* Does `next` follow `before`, in the same operation or as the first of the next one? */
static bool element_follows(const wire_element_t *before, const wire_element_t *next) {
  if (before->index + 1 < before->count) {
    return next->seq == before->seq && next->epoch == before->epoch && next->count == before->count &&
           next->index == before->index + 1;
  }
  bool epoch_fits = next->kind == VESTA_KIND_EPOCH ? next->epoch >= before->epoch : next->epoch == before->epoch;
  return next->seq == before->seq + 1 && epoch_fits && next->index == 0 && next->count != 0;
}

bool change_block_operations_check(const wire_message_t *message) {
  const wire_element_t *elements = message->elements;
  uint32_t count = message->element_count;
  for (uint32_t i = 0; i < count; i++) {
    bool fits = i == 0 ? elements[0].index == 0 && elements[0].count != 0 && elements[0].seq != 0
                       : element_follows(&elements[i - 1], &elements[i]);
    if (!fits || !element_kind_known(&elements[i]) ||
        (elements[i].kind == VESTA_KIND_EPOCH && elements[i].count != 1)) {
      return false;
    }
  }
  return count == 0 || elements[count - 1].index + 1 == elements[count - 1].count;
}

bool change_block_sections_check(const wire_message_t *message, bool delta) {
  for (uint32_t i = 0; i < message->element_count; i++) {
    uint64_t kind = message->elements[i].kind;
    if (kind != VESTA_KIND_CREATED && !(delta && kind == VESTA_KIND_DELETED)) {
      return false;
    }
  }
  return true;
}

/* ---- parts of a block ---- */

static size_t block_data_bytes(const change_block_t *block, uint32_t at) {
  return block->without_data ? 0 : (size_t)block->elements[at].size;
}

void change_block_step(change_block_t *block) {
  block->data += block_data_bytes(block, block->at);
  block->at++;
}

void change_block_skip(change_block_t *block, uint64_t seq) {
  while (block->at < block->count && block->elements[block->at].seq <= seq) {
    change_block_step(block);
  }
  block->first_seq = seq + 1;
}

change_block_t *change_block_split(change_block_t *block, uint64_t seq) {
  uint32_t at = block->at;
  const uint8_t *data = block->data;
  for (; block->elements[at].seq <= seq; at++) {
    data += block_data_bytes(block, at);
  }
  uint32_t count = block->count - at;
  size_t bytes = 0;
  for (uint32_t i = at; i < block->count; i++) {
    bytes += block->elements[i].id.size + block_data_bytes(block, i);
  }
  uint8_t *room = NULL;
  change_block_t *rest = block_allocate(count, bytes, &room);
  if (rest != NULL) {
    for (uint32_t i = 0; i < count; i++) {
      rest->elements[i] = block->elements[at + i];
      if (rest->elements[i].id.size != 0) {
        memcpy(room, rest->elements[i].id.data, rest->elements[i].id.size);
        rest->elements[i].id.data = room;
        room += rest->elements[i].id.size;
      }
    }
    rest->data = room;
    size_t data_bytes = rest->bytes - (size_t)(room - (uint8_t *)(void *)rest);
    if (data_bytes != 0) {
      memcpy(room, data, data_bytes);
    }
    rest->position = block->position;
    rest->first_seq = seq + 1;
    rest->state = block->state;
    rest->without_data = block->without_data;
  }
  block->count = at;
  block->position.epoch = block->elements[at - 1].epoch;
  block->position.seq = seq;
  return rest;
}

/* ---- queues ---- */

void change_queue_append(change_queue_t *queue, change_block_t *block) {
  block->next = NULL;
  *(queue->last != NULL ? &queue->last->next : &queue->first) = block;
  queue->last = block;
  queue->bytes += block->bytes;
}

void change_queue_prepend(change_queue_t *queue, change_block_t *block) {
  block->next = queue->first;
  queue->first = block;
  if (queue->last == NULL) {
    queue->last = block;
  }
  queue->bytes += block->bytes;
}

change_block_t *change_queue_take(change_queue_t *queue) {
  change_block_t *block = queue->first;
  queue->first = block->next;
  if (queue->first == NULL) {
    queue->last = NULL;
  }
  queue->bytes -= block->bytes;
  block->next = NULL;
  return block;
}

void change_queue_drop(change_queue_t *queue) {
  change_block_t *block = change_queue_take(queue);
  change_block_destroy(&block);
}
