/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a subscriber holds: one received message (its elements and their data, copied), or one word of the stream itself
 * ("lost", "synced"), and queues of these.
 */
#ifndef VESTA_NOTIFY_CHANGE_BLOCK_H
#define VESTA_NOTIFY_CHANGE_BLOCK_H

#include "core/wire.h"
#include "notify/change.h"

typedef struct change_block {
  struct change_block *next;
  size_t bytes;          /* memory that it takes */
  notify_change_t word;  /* kind != 0: a word, nothing else is set */
  vesta_pos_t position;  /* of a message of operations: its last one; of a chunk: what it is as of */
  uint64_t first_seq;    /* of operations: consecutive from here to position.seq */
  uint64_t cursor_end;   /* of a chunk: WIRE field */
  uint64_t state;        /* of a chunk: WIRE_CHUNK_...; of operations: WIRE_CHANGES_... */
  bool resync;           /* handed out as part of a resync; of operations: what follows matters */
  bool full;             /* the resync is one of everything */
  bool without_data;     /* the elements tell the sizes of their data, which is not there */
  vesta_pos_t from;      /* of a chunk whose sections are handed out as COALESCED; epoch 0: it is none */
  uint64_t slots_walked; /* sections from this slot on were not named yet: their changes are left out, see the walk */
  const uint8_t *data;   /* of element `at` */
  uint32_t at, count;
  wire_element_t *elements;
} change_block_t;

/** Memory that a copy of this message takes. */
size_t change_block_bytes(const wire_message_t *message, vesta_bytes_t head, vesta_bytes_t payload);
/** Does this message leave the data of its elements out? Its payload is empty then. */
bool change_block_without_data(const wire_message_t *message);
/** Is the payload what the elements, and that, say? */
bool change_block_payload_check(const wire_message_t *message, vesta_bytes_t payload);
/** Copy a message whose payload has been checked. @return NULL when out of memory */
change_block_t *change_block_new(const wire_message_t *message, vesta_bytes_t head, vesta_bytes_t payload);
void change_block_destroy(change_block_t **block);

/** Are these elements whole operations with consecutive seqs, epochs changing with an EPOCH operation only? */
bool change_block_operations_check(const wire_message_t *message);
/** Are these elements sections, or deleted ids if `delta`? */
bool change_block_sections_check(const wire_message_t *message, bool delta);

/** Go on from element `at` to the next one. */
void change_block_step(change_block_t *block);
/** Leave out operations up to `seq`. */
void change_block_skip(change_block_t *block, uint64_t seq);
/** Cut the block behind `seq`, which is within it. @return the rest; NULL when out of memory, the rest is lost then */
change_block_t *change_block_split(change_block_t *block, uint64_t seq);

typedef struct change_queue {
  change_block_t *first, *last;
  size_t bytes;
} change_queue_t;

void change_queue_append(change_queue_t *queue, change_block_t *block);
void change_queue_prepend(change_queue_t *queue, change_block_t *block);
/** The first block, taken out; the queue isn't empty. */
change_block_t *change_queue_take(change_queue_t *queue);
/** Destroy the first block; the queue isn't empty. */
void change_queue_drop(change_queue_t *queue);

#endif
