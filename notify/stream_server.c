/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The change stream's memory: answers to SNAPSHOT_GET (sections as they are, a range of slots at a time) and
 * HISTORY_GET (operations from the log). Declared in publisher.h.
 *
 * A snapshot's chunk is exact as of the replica's position when it is made; a section that has expired is in it until
 * its removal is committed, since the clock that judges may be set back and the section be written again. A delta is the
 * same walk with the sections left out that did not change after the subscriber's position; what was deleted since then
 * is named by the first chunk, all of it, so that every later delete is an operation that the subscriber meets in the
 * stream. When the tombstones don't reach back that far, or do not fit into one chunk beside a section, or the position
 * is of another history, the chunk says so (WIRE_CHUNK_FULL) and the walk is one of everything. What did not change is
 * passed over by groups of slots, so a small delta of a million sections is one chunk.
 *
 * A subscriber that wants sections by id prefix gets only these, and only their tombstones; operations it gets whole,
 * since it counts them. One that wants keys only gets no data.
 */
#include <stdlib.h>

#include "notify/change_batch.h"
#include "notify/id_prefixes.h"
#include "notify/publisher.h"

#define TOMBSTONES_HEAD_BYTES (VESTA_FRAME_HEAD_BYTES_MAX / 2) /* of the first chunk; the rest is for sections */
#define TOMBSTONES_PER_CHUNK (WIRE_ELEMENTS_MAX - 1U)

struct stream_server {
  change_batch_t batch;
  bool walk_goes_on;
};

stream_server_t *stream_server_new(void) {
  stream_server_t *server = malloc(sizeof *server);
  if (server != NULL && !change_batch_init(&server->batch)) {
    free(server);
    return NULL;
  }
  return server;
}

void stream_server_destroy(stream_server_t **server) {
  if (*server != NULL) {
    change_batch_fini(&(*server)->batch);
    free(*server);
    *server = NULL;
  }
}

/* ---- snapshots ---- */

/* Name what was deleted after `from`. False, and nothing is added, when that can't be told in one chunk. */
static bool tombstones_add(change_batch_t *batch, const replica_t *replica, const wire_message_t *request) {
  wire_element_t tombstone = {.kind = VESTA_KIND_DELETED, .slot = REPLICA_NO_SLOT, .count = 1};
  uint64_t cursor = 0;
  while (replica_tombstone_next(replica, request->from_seq, &cursor, &tombstone.id, &tombstone.epoch, &tombstone.seq)) {
    if (!id_prefixes_match(request->elements, request->element_count, tombstone.id)) {
      continue;
    }
    if (batch->count == TOMBSTONES_PER_CHUNK || batch->head_bytes > TOMBSTONES_HEAD_BYTES ||
        change_batch_add(batch, &tombstone, NULL, 0) != VESTA_OK) {
      change_batch_clear(batch);
      return false;
    }
  }
  return true;
}

/* Is a delta from that position possible? At slot 0 the tombstones are put into the batch. */
static bool delta_begin(change_batch_t *batch, const replica_t *replica, const replica_status_t *status,
                        const wire_message_t *request, uint64_t slot) {
  vesta_pos_t from = wire_pos_from(request);
  if (replica_position_check(replica, from) != VESTA_OK) {
    return false;
  }
  if (slot != 0) {
    return true; /* the first chunk has named them; later deletes come in the stream */
  }
  return status->tombstones_from <= from.seq && tombstones_add(batch, replica, request);
}

/* So much data in one chunk. */
static uint64_t chunk_bytes(const wire_message_t *request) {
  uint64_t wish = request->count < VESTA_STREAM_CHUNK_BYTES ? VESTA_STREAM_CHUNK_BYTES : request->count;
  return wish < VESTA_STREAM_CHUNK_BYTES_MAX ? wish : VESTA_STREAM_CHUNK_BYTES_MAX;
}

/* Which sections a chunk may have. */
typedef struct section_choice {
  bool everything;
  uint64_t after_seq;            /* unless everything: changed after that */
  const wire_message_t *request; /* its prefixes */
  uint64_t bytes;                /* about so much data */
  uint32_t slot_end;             /* none from there on */
  uint32_t looks;                /* unless everything: slots that may be looked at */
} section_choice_t;

/* The first section at `slot` or behind it. False: `section->slot` alone, up to which there is none. */
static bool section_next(const replica_t *replica, uint32_t slot, section_choice_t *choice,
                         replica_section_t *section) {
  if (!choice->everything) {
    return replica_slot_next_changed(replica, slot, choice->slot_end, choice->after_seq, &choice->looks, section);
  }
  bool found = replica_slot_next(replica, slot, choice->slot_end, section);
  section->slot = found ? section->slot : choice->slot_end;
  return found;
}

/* Sections from `slot` on. Returns one past the last slot that the chunk speaks of. */
static uint32_t sections_add(change_batch_t *batch, const replica_t *replica, uint32_t slot, section_choice_t *choice) {
  choice->slot_end = replica_slot_end(replica);
  choice->looks = VESTA_STREAM_CHUNK_SLOTS_MAX;
  if (choice->everything && choice->slot_end - slot > VESTA_STREAM_CHUNK_SLOTS_MAX) {
    choice->slot_end = slot + VESTA_STREAM_CHUNK_SLOTS_MAX;
  }
  replica_section_t section;
  for (; section_next(replica, slot, choice, &section); slot = section.slot + 1) {
    if (!id_prefixes_match(choice->request->elements, choice->request->element_count, section.id)) {
      continue;
    }
    wire_element_t element = {
        .kind = VESTA_KIND_CREATED,
        .id = section.id,
        .size = section.size,
        .expiry_ns = section.expiry_ns,
        .seq = section.seq,
        .epoch = section.epoch,
        .time_ns = section.last_update_ns,
        .slot = section.slot,
        .count = 1,
    };
    if (change_batch_add(batch, &element, section.data, choice->bytes) != VESTA_OK) {
      return section.slot;
    }
  }
  return section.slot;
}

static void snapshot_answer(change_batch_t *batch, const replica_t *replica, const replica_status_t *status,
                            const wire_message_t *request, wire_message_t *answer) {
  vesta_pos_t from = wire_pos_from(request);
  uint32_t last = replica_slot_end(replica);
  uint32_t slot = request->cursor < last ? (uint32_t)request->cursor : last;
  bool delta = from.epoch != 0;
  if (delta && !delta_begin(batch, replica, status, request, slot)) {
    delta = false;
    answer->state |= WIRE_CHUNK_FULL;
  }
  section_choice_t choice = {
      .everything = !delta, .after_seq = from.seq, .request = request, .bytes = chunk_bytes(request)};
  uint32_t slot_end = sections_add(batch, replica, slot, &choice);
  answer->cursor = request->cursor; /* beyond the end: a walk of a history that had more slots */
  answer->cursor_end = slot < request->cursor ? request->cursor : slot_end;
  if (slot_end == last) {
    answer->state |= WIRE_CHUNK_LAST;
  }
}

/* ---- history ---- */

static vesta_err_t history_answer(change_batch_t *batch, const replica_t *replica, const replica_status_t *status,
                                  const wire_message_t *request) {
  vesta_pos_t from = wire_pos_from(request);
  if (from.epoch != 0 && replica_position_check(replica, from) != VESTA_OK) {
    return VESTA_ERR_DIVERGED;
  }
  if (request->cursor < status->history_first && request->cursor <= status->committed.seq) {
    return VESTA_ERR_LOST;
  }
  uint64_t seq_end = status->committed.seq + 1;
  if (request->cursor_end != 0 && request->cursor_end < seq_end) {
    seq_end = request->cursor_end;
  }
  for (uint64_t seq = request->cursor; seq < seq_end; seq++) {
    replica_record_t record;
    vesta_err_t err = replica_record(replica, seq, &record);
    if (err == VESTA_OK) {
      err = change_batch_add_record(batch, replica, &record, VESTA_STREAM_CHUNK_BYTES);
    }
    if (err == VESTA_ERR_TOO_LARGE) {
      return VESTA_OK; /* the subscriber asks on */
    }
    if (err != VESTA_OK) {
      return err;
    }
  }
  return VESTA_OK;
}

void stream_server_answer(stream_server_t *server, const replica_t *replica, const wire_message_t *request,
                          vesta_bytes_t *head, vesta_bytes_t *payload) {
  change_batch_t *batch = &server->batch;
  change_batch_clear(batch);
  replica_status_t status;
  replica_status(replica, &status);
  wire_message_t answer = {.number = request->number, .checkpoint = request->checkpoint};
  wire_pos_set(&answer, status.committed);
  batch->keys_only = (request->flags & WIRE_GET_KEYS) != 0;
  answer.state = batch->keys_only ? WIRE_CHUNK_KEYS : 0;
  answer.kind = request->kind == WIRE_SNAPSHOT_GET ? WIRE_SNAPSHOT_CHUNK : WIRE_HISTORY_CHUNK;
  bool snapshot = request->kind == WIRE_SNAPSHOT_GET && id_prefixes_valid(request->elements, request->element_count);
  if (snapshot && status.corrupted_count == 0) {
    snapshot_answer(batch, replica, &status, request, &answer);
  } else {
    /* What a corrupted section contains is not known here; it is being fetched. */
    vesta_err_t err = snapshot                            ? VESTA_ERR_TRY_AGAIN
                      : request->kind == WIRE_HISTORY_GET ? history_answer(batch, replica, &status, request)
                                                          : VESTA_ERR_INVALID_PARAM;
    if (err != VESTA_OK) {
      change_batch_clear(batch);
      answer.state = 0;
      answer.error = (uint64_t)err;
    }
  }
  *head = change_batch_encode(batch, &answer);
  *payload = change_batch_data(batch);
  server->walk_goes_on =
      answer.kind == WIRE_SNAPSHOT_CHUNK && answer.error == 0 && (answer.state & WIRE_CHUNK_LAST) == 0;
}

bool stream_server_walk_goes_on(const stream_server_t *server) { return server->walk_goes_on; }
