/* SPDX-License-Identifier: BSD-2-Clause
 *
 * State, where the log does not reach.
 *
 * The copy asks, the primary answers from what it has at that moment and remembers nothing. A *pass* goes over all that
 * changed since a base: first everything (or what changed since the copy's old state), then what changed since that
 * pass began, and so on, each smaller. A pass that fits into one step of the primary is the last: its state is that
 * of one position, and from there the log goes on.
 *
 *   pass 0   base: none, or the old state   ....walk over many steps....   meanwhile the primary went on from S0
 *   pass 1   base: S0                       ....shorter................    ... from S1
 *   pass n   base: Sn-1                     one step: END at S             LOG from S on
 *
 * What goes out in one step, in answer to one question, is a *train*. The first pass has many: its first chunk says
 * where each ends, so the copy asks for the next one while this one comes, and nobody waits for anybody. One that is
 * lost is asked for again; of those that come twice, or that nobody waits for any more, no chunk fits.
 *
 *   copy      FETCH 0                 FETCH a                 FETCH b
 *   primary            0..a  0..a  0..a        a..b  a..b  a..b
 *
 * It all goes into a replica of its own (the shadow), so a fetch that breaks off leaves what was there.
 *
 *   cursor   place in a pass: PHASE, then slot and part, or the tombstones' or the results' own cursor; 0: its
 *            beginning
 */
#include "core/replicator_private.h"

#define PHASE_SHIFT 60U
#define SLOT_SHIFT 20U
#define CURSOR_MASK ((UINT64_C(1) << PHASE_SHIFT) - 1)
#define PART_MASK ((UINT64_C(1) << SLOT_SHIFT) - 1)
#define OLD_STEP_BYTES (4U << 20) /* of the old state taken over in one step */
#define CHUNK_LOOKS 65536U        /* slots looked at for one chunk */
#define TRAIN_ELEMENT_BYTES 2048U /* what a section costs besides: no step may take so long that writers notice */

/* Deletes first: they make room. */
enum { PHASE_DELETES = 0, PHASE_SECTIONS = 1, PHASE_RESULTS = 2, PHASE_END = 3 };

static_assert(VESTA_SECTION_BYTES_MAX / REPLICATOR_MESSAGE_BYTES <= PART_MASK, "a part has a number");

static uint64_t cursor_of(uint64_t phase, uint64_t place) { return phase << PHASE_SHIFT | place; }

/* ---- the primary: one chunk after the other ---- */

typedef struct train {
  replicator_t *r;
  uint32_t to;
  uint64_t ticket; /* what it answers */
  vesta_pos_t base, now;
  bool full;
  bool whole; /* it began at the beginning of the pass */
  uint64_t cursor;
  uint64_t bytes, bytes_max;
} train_t;

/* One message of it. Its elements, and where their data is, are in the scratch. */
typedef struct chunk {
  uint64_t cursor, cursor_end;
  uint32_t state, elements;
  uint64_t bytes;
  bool last;
} chunk_t;

/* One section's data goes out from where it is. */
static vesta_bytes_t chunk_payload(const train_t *t, const chunk_t *chunk) {
  replicator_scratch_t *scratch = t->r->scratch;
  if (chunk->bytes == 0) {
    return vesta_bytes(NULL, 0);
  }
  if (chunk->elements == 1) {
    return vesta_bytes(scratch->sources[0], chunk->bytes);
  }
  uint8_t *to = scratch->payload;
  for (uint32_t i = 0; i < chunk->elements; i++) {
    uint64_t size = scratch->elements[i].size;
    if (size > 0) {
      memcpy(to, scratch->sources[i], size);
      to += size;
    }
  }
  return vesta_bytes(scratch->payload, chunk->bytes);
}

/* `next`: where the train that follows this chunk's will begin; 0: it is not to be asked for yet. */
static void chunk_send(const train_t *t, const chunk_t *chunk, uint64_t next) {
  wire_message_t message = replicator_message(t->r, WIRE_PEER_CHUNK);
  message.lineage = t->now.lineage;
  message.seq = t->now.seq;
  message.commit = t->now.epoch; /* `epoch` is the primary's */
  message.number = t->ticket;
  message.cursor = chunk->cursor;
  message.cursor_end = chunk->cursor_end;
  message.state = chunk->state | (t->full ? WIRE_TRANSFER_FULL : 0U);
  message.count = chunk->last ? 1 : 0;
  message.offset = next;
  message.elements = t->r->scratch->elements;
  message.element_count = chunk->elements;
  if ((chunk->state & WIRE_TRANSFER_END) != 0) {
    replica_status_t status;
    replica_status(t->r->replica, &status);
    message.retention_ns = status.retention_ns;
    message.flags = status.unlinked ? 1 : 0;
    message.member = status.granted_member;
    message.offset = replica_generated_last(t->r->replica);
  }
  t->r->sink.send(t->r->sink.context, t->to, &message, chunk_payload(t, chunk));
}

/* The first section of this pass at `slot` or behind it. False: `section->slot` alone, up to which there is none. */
static bool section_next(const train_t *t, uint32_t slot, uint32_t end, uint32_t *looks, replica_section_t *section) {
  if (!t->full) {
    return replica_slot_next_changed(t->r->replica, slot, end, t->base.seq, looks, section);
  }
  bool found = replica_slot_next(t->r->replica, slot, end, section); /* the default one was never changed, maybe */
  section->slot = found ? section->slot : end;
  return found;
}

/* Sections from the cursor on. @return where the next chunk begins */
static uint64_t sections_gather(const train_t *t, uint32_t *elements, uint64_t *bytes) {
  replicator_t *r = t->r;
  uint32_t end = replica_slot_end(r->replica);
  uint32_t slot = (uint32_t)((t->cursor & CURSOR_MASK) >> SLOT_SHIFT);
  uint64_t part = t->cursor & PART_MASK;
  uint32_t looks = t->whole ? UINT32_MAX : CHUNK_LOOKS;
  replica_section_t section;
  *elements = 0;
  *bytes = 0;
  while (*elements < REPLICATOR_CHUNK_ELEMENTS_MAX) {
    if (!section_next(t, slot, end, &looks, &section)) {
      return section.slot >= end ? cursor_of(PHASE_RESULTS, 0)
                                 : cursor_of(PHASE_SECTIONS, (uint64_t)section.slot << SLOT_SHIFT);
    }
    part = section.slot == slot ? part : 0;
    uint64_t offset = part * REPLICATOR_MESSAGE_BYTES;
    offset = offset > section.size ? section.size : offset; /* it shrank: a later pass brings it whole */
    uint64_t left = section.size - offset;
    uint64_t room = REPLICATOR_MESSAGE_BYTES - *bytes;
    if (left > room && *elements > 0) {
      return cursor_of(PHASE_SECTIONS, (uint64_t)section.slot << SLOT_SHIFT | part);
    }
    uint64_t size = left < room ? left : room;
    r->scratch->sources[*elements] = section.data + offset;
    r->scratch->elements[(*elements)++] = (wire_element_t){.kind = VESTA_KIND_CREATED,
                                                           .id = section.id,
                                                           .size = size,
                                                           .offset = offset,
                                                           .expiry_ns = section.expiry_ns,
                                                           .seq = section.seq,
                                                           .epoch = section.epoch,
                                                           .time_ns = section.last_update_ns,
                                                           .slot = section.slot,
                                                           .member = section.created_seq,
                                                           .index = section.corrupted ? 1 : 0,
                                                           .count = section.size};
    *bytes += size;
    slot = section.slot;
    if (left > size) {
      return cursor_of(PHASE_SECTIONS, (uint64_t)slot << SLOT_SHIFT | (part + 1));
    }
    slot++;
    part = 0;
  }
  return cursor_of(PHASE_SECTIONS, (uint64_t)slot << SLOT_SHIFT);
}

static uint64_t deletes_gather(const train_t *t, uint32_t *elements) {
  replicator_t *r = t->r;
  uint64_t cursor = t->cursor & CURSOR_MASK;
  vesta_bytes_t id;
  uint64_t epoch = 0, seq = 0;
  *elements = 0;
  while (*elements < REPLICATOR_CHUNK_ELEMENTS_MAX) {
    if (t->full || !replica_tombstone_next(r->replica, t->base.seq, &cursor, &id, &epoch, &seq)) {
      return cursor_of(PHASE_SECTIONS, 0);
    }
    r->scratch->elements[(*elements)++] =
        (wire_element_t){.kind = VESTA_KIND_DELETED, .id = id, .epoch = epoch, .seq = seq};
  }
  return cursor_of(PHASE_DELETES, cursor);
}

static uint64_t results_gather(const train_t *t, uint32_t *elements) {
  replicator_t *r = t->r;
  uint64_t cursor = t->cursor & CURSOR_MASK;
  *elements = 0;
  while (*elements < REPLICATOR_TOKENS_MAX) {
    vesta_token_t session;
    uint64_t request = 0;
    replica_result_t result;
    if (!replica_result_next(r->replica, &cursor, &session, &request, &result)) {
      return cursor_of(PHASE_END, 0);
    }
    if (!t->full && result.seq <= t->base.seq) {
      continue;
    }
    uint8_t *id = r->scratch->ids[*elements];
    memcpy(id, &session, sizeof session);
    memcpy(id + sizeof session, result.generated_id, result.generated_id_size);
    r->scratch->elements[(*elements)++] =
        (wire_element_t){.id = vesta_bytes(id, sizeof session + result.generated_id_size),
                         .offset = request,
                         .epoch = result.epoch,
                         .seq = result.seq};
  }
  return cursor_of(PHASE_RESULTS, cursor);
}

static uint32_t epochs_gather(const train_t *t) {
  vesta_epoch_row_t rows[VESTA_EPOCHS_MAX];
  uint32_t count = replica_epochs(t->r->replica, rows, VESTA_EPOCHS_MAX);
  for (uint32_t i = 0; i < count; i++) {
    t->r->scratch->elements[i] = (wire_element_t){.epoch = rows[i].epoch, .seq = rows[i].first_seq};
  }
  return count;
}

/* The chunk at the cursor, which moves on. */
static void chunk_gather(train_t *t, chunk_t *chunk) {
  *chunk = (chunk_t){.cursor = t->cursor};
  switch (t->cursor >> PHASE_SHIFT) {
    case PHASE_DELETES:
      chunk->cursor_end = deletes_gather(t, &chunk->elements);
      chunk->state = WIRE_TRANSFER_DELETES;
      break;
    case PHASE_SECTIONS:
      chunk->cursor_end = sections_gather(t, &chunk->elements, &chunk->bytes);
      chunk->state = WIRE_TRANSFER_SECTIONS;
      break;
    case PHASE_RESULTS:
      chunk->cursor_end = results_gather(t, &chunk->elements);
      chunk->state = WIRE_TRANSFER_RESULTS;
      break;
    default:
      chunk->elements = epochs_gather(t);
      chunk->state = WIRE_TRANSFER_EPOCHS | (t->whole ? WIRE_TRANSFER_END : 0U);
      chunk->last = true;
      return;
  }
  chunk->last = t->bytes + chunk->bytes >= t->bytes_max && chunk->cursor_end >> PHASE_SHIFT != PHASE_END;
  t->cursor = chunk->cursor_end;
  t->bytes += chunk->bytes + chunk->elements * TRAIN_ELEMENT_BYTES;
}

/* Where it will end; 0: with the pass. */
static uint64_t train_end(train_t train) {
  chunk_t chunk;
  do {
    chunk_gather(&train, &chunk);
  } while (!chunk.last);
  return chunk.cursor_end;
}

static void train_run(train_t *t, bool paced) {
  chunk_t chunk;
  uint64_t next = paced ? train_end(*t) : 0;
  do {
    chunk_gather(t, &chunk);
    chunk_send(t, &chunk, next);
    next = 0;
  } while (!chunk.last);
}

void replicator_fetch_asked(replicator_t *r, uint32_t from, const wire_message_t *fetch, int64_t now_ns) {
  replicator_peer_t *peer = replicator_peer(r, from);
  if (peer == NULL || !replicator_room(r, REPLICATOR_MESSAGE_BYTES)) {
    return; /* it asks again */
  }
  if (fetch->element_count > 0) {
    replicator_peer_flush(r, peer, now_ns); /* what the log still owes it comes first */
    if (peer->following) {
      replicator_restore_asked(r, from, fetch);
    }
    return;
  }
  replica_status_t status;
  replica_status(r->replica, &status);
  vesta_pos_t base = {.lineage = fetch->from_lineage, .epoch = fetch->from_epoch, .seq = fetch->from_seq};
  bool known =
      base.epoch != 0 && replica_position_check(r->replica, base) == VESTA_OK && status.tombstones_from <= base.seq;
  uint64_t pass = fetch->count < REPLICATOR_FLIGHT_PASSES ? fetch->count : REPLICATOR_FLIGHT_PASSES;
  if (base.epoch != 0 && !known && fetch->cursor != 0) {
    train_t lost = {.r = r, .to = from, .ticket = fetch->number, .now = status.committed};
    chunk_t chunk = {.cursor = fetch->cursor, .last = true};
    chunk_send(&lost, &chunk, 0); /* not from there any more: begin again */
    return;
  }
  train_t train = {.r = r,
                   .to = from,
                   .ticket = fetch->number,
                   .base = known ? base : (vesta_pos_t){0},
                   .now = status.committed,
                   .full = !known,
                   .whole = fetch->cursor == 0,
                   .cursor = fetch->cursor,
                   .bytes_max = (uint64_t)REPLICATOR_TRAIN_BYTES << pass};
  train_run(&train, pass == 0); /* later passes are to end in one train */
}

/* ---- the copy ---- */

static void fetch_ask(replicator_t *r, uint64_t cursor, int64_t now_ns) {
  replicator_fetch_t *f = &r->fetch;
  wire_message_t fetch = replicator_message(r, WIRE_PEER_FETCH);
  fetch.from_lineage = f->base.lineage;
  fetch.from_epoch = f->base.epoch;
  fetch.from_seq = f->base.seq;
  fetch.cursor = cursor;
  fetch.count = f->pass;
  fetch.number = r->ticket;
  f->asked = cursor;
  f->retry_ns = now_ns + REPLICATOR_SILENCE_NS;
  r->sink.send(r->sink.context, r->config.primary, &fetch, vesta_bytes(NULL, 0));
}

static void fetch_drop(replicator_t *r) {
  if (r->fetch.shadow != NULL) {
    r->sink.shadow_drop(r->sink.context, r->fetch.shadow);
    r->fetch.shadow = NULL;
  }
}

void replicator_fetch_end(replicator_t *r) {
  fetch_drop(r);
  r->fetch = (replicator_fetch_t){0};
}

/* What answers an earlier pass is not for this one. */
static void fetch_ticket(replicator_t *r, int64_t now_ns) {
  r->ticket = (uint64_t)now_ns > r->ticket ? (uint64_t)now_ns : r->ticket + 1;
}

/* A shadow to begin with, if there can be one now. */
static void fetch_start(replicator_t *r, int64_t now_ns) {
  replicator_fetch_t *f = &r->fetch;
  fetch_drop(r);
  fetch_ticket(r, now_ns);
  f->pass = 0;
  f->newest_seq = 0;
  f->cursor = 0;
  f->base = (vesta_pos_t){0};
  f->old_cursor = 0;
  if (r->sink.shadow_new(r->sink.context, &f->shadow) != VESTA_OK) {
    f->shadow = NULL;
    f->retry_ns = now_ns + REPLICATOR_SILENCE_NS;
    return;
  }
  if (replica_load_begin(f->shadow) != VESTA_OK) {
    fetch_drop(r);
    f->retry_ns = now_ns + REPLICATOR_SILENCE_NS;
    return;
  }
  f->tombstones_from = 0;
  f->from_old = r->replica != NULL && !f->diverged && !f->anew;
  if (f->from_old) {
    f->retry_ns = now_ns;
  } else {
    fetch_ask(r, r->fetch.cursor, now_ns);
  }
}

void replicator_fetch_begin(replicator_t *r, bool diverged, int64_t now_ns) {
  replicator_fetch_end(r);
  r->fetch.wanted = true;
  r->fetch.diverged = diverged;
  r->following = false;
  r->position_ns = INT64_MAX;
  fetch_start(r, now_ns);
}

/* A piece of what is here already. @return OK: done; TRY_AGAIN: there is more; else it does not go */
static vesta_err_t old_step(replicator_t *r) {
  replicator_fetch_t *f = &r->fetch;
  uint64_t bytes = 0;
  uint32_t slot = (uint32_t)f->old_cursor, end = replica_slot_end(r->replica);
  replica_section_t section;
  for (uint32_t count = 0; slot < end && replica_slot_next(r->replica, slot, end, &section); count++) {
    if (bytes >= OLD_STEP_BYTES || count >= CHUNK_LOOKS / 4) {
      f->old_cursor = slot;
      return VESTA_ERR_TRY_AGAIN;
    }
    vesta_err_t err = replica_load_section(f->shadow, &section, 0, vesta_bytes(section.data, section.size));
    if (err != VESTA_OK) {
      return err;
    }
    bytes += section.size;
    slot = section.slot + 1;
  }
  vesta_token_t session;
  uint64_t request = 0, cursor = 0, epoch = 0, seq = 0;
  vesta_bytes_t id;
  replica_result_t result;
  vesta_err_t err = VESTA_OK;
  while (err == VESTA_OK && replica_result_next(r->replica, &cursor, &session, &request, &result)) {
    err = replica_load_result(f->shadow, session, request, &result);
  }
  cursor = 0;
  replica_status_t status;
  replica_status(r->replica, &status);
  while (err == VESTA_OK && replica_tombstone_next(r->replica, status.tombstones_from, &cursor, &id, &epoch, &seq)) {
    err = replica_load_delete(f->shadow, id, epoch, seq);
  }
  f->base = status.committed;
  f->tombstones_from = status.tombstones_from;
  return err;
}

void replicator_fetch_up(replicator_t *r, int64_t now_ns) {
  if (r->fetch.wanted && r->fetch.shadow != NULL && !r->fetch.from_old) {
    fetch_ask(r, r->fetch.cursor, now_ns);
  }
}

void replicator_fetch_time(replicator_t *r, int64_t now_ns) {
  replicator_fetch_t *f = &r->fetch;
  if (!f->wanted || f->retry_ns > now_ns || r->config.primary == 0) {
    return;
  }
  if (f->shadow == NULL) {
    fetch_start(r, now_ns);
    return;
  }
  if (!f->from_old) {
    fetch_ask(r, r->fetch.cursor, now_ns);
    return;
  }
  vesta_err_t err = old_step(r);
  if (err == VESTA_ERR_TRY_AGAIN) {
    f->retry_ns = now_ns;
    return;
  }
  f->from_old = false;
  if (err != VESTA_OK) { /* it will all come from the primary */
    f->anew = true;
    fetch_start(r, now_ns);
    return;
  }
  fetch_ask(r, r->fetch.cursor, now_ns);
}

static vesta_err_t chunk_sections(replicator_fetch_t *f, const wire_message_t *chunk, vesta_bytes_t payload) {
  uint64_t at = 0;
  for (uint32_t i = 0; i < chunk->element_count; i++) {
    const wire_element_t *e = &chunk->elements[i];
    if (e->size > payload.size - at) {
      return VESTA_ERR_MALFORMED;
    }
    replica_section_t section = {.slot = (uint32_t)e->slot,
                                 .id = e->id,
                                 .size = e->count,
                                 .expiry_ns = e->expiry_ns,
                                 .last_update_ns = e->time_ns,
                                 .epoch = e->epoch,
                                 .seq = e->seq,
                                 .created_seq = e->member,
                                 .corrupted = e->index != 0};
    vesta_err_t err = replica_load_section(f->shadow, &section, e->offset,
                                           vesta_bytes(e->size == 0 ? NULL : payload.data + at, e->size));
    if (err != VESTA_OK) {
      return err;
    }
    at += e->size;
  }
  return VESTA_OK;
}

static vesta_err_t chunk_results(replica_t *shadow, const wire_message_t *chunk) {
  for (uint32_t i = 0; i < chunk->element_count; i++) {
    const wire_element_t *e = &chunk->elements[i];
    vesta_token_t session;
    replica_result_t result = {.epoch = e->epoch, .seq = e->seq, .element = REPLICA_NO_ELEMENT};
    if (e->id.size < sizeof session || e->id.size > sizeof session + REPLICA_GENERATED_ID_BYTES_MAX) {
      return VESTA_ERR_MALFORMED;
    }
    memcpy(&session, e->id.data, sizeof session);
    result.generated_id_size = (uint32_t)(e->id.size - sizeof session);
    memcpy(result.generated_id, e->id.data + sizeof session, result.generated_id_size);
    vesta_err_t err = replica_load_result(shadow, session, e->offset, &result);
    if (err != VESTA_OK) {
      return err;
    }
  }
  return VESTA_OK;
}

static vesta_err_t chunk_load(replicator_fetch_t *f, const wire_message_t *chunk, vesta_bytes_t payload) {
  vesta_err_t err = VESTA_OK;
  switch (chunk->state & 15U) {
    case WIRE_TRANSFER_SECTIONS: return chunk_sections(f, chunk, payload);
    case WIRE_TRANSFER_DELETES:
      for (uint32_t i = 0; err == VESTA_OK && i < chunk->element_count; i++) {
        const wire_element_t *e = &chunk->elements[i];
        err = replica_load_delete(f->shadow, e->id, e->epoch, e->seq);
      }
      return err;
    case WIRE_TRANSFER_RESULTS: return chunk_results(f->shadow, chunk);
    case WIRE_TRANSFER_EPOCHS:
      f->epoch_count = 0;
      for (uint32_t i = 0; i < chunk->element_count && i < VESTA_EPOCHS_MAX; i++) {
        f->epochs[f->epoch_count++] =
            (vesta_epoch_row_t){.epoch = chunk->elements[i].epoch, .first_seq = chunk->elements[i].seq};
      }
      return VESTA_OK;
    default: return VESTA_ERR_LOST;
  }
}

/* The pass is complete. */
static void pass_end(replicator_t *r, const wire_message_t *chunk, vesta_pos_t now, int64_t now_ns) {
  replicator_fetch_t *f = &r->fetch;
  if (f->full) {
    replica_load_sweep(f->shadow);
  }
  /* All of it in one step of the primary, or nothing has changed since the step that began it: parts of two answers to
   * one question may have come. */
  bool end = (chunk->state & WIRE_TRANSFER_END) != 0 && vesta_pos_equal(now, f->first);
  if (!end) {
    f->base = f->first;
    f->cursor = 0;
    f->pass++;
    fetch_ticket(r, now_ns);
    fetch_ask(r, r->fetch.cursor, now_ns);
    return;
  }
  replica_load_rest_t rest = {.tombstones_from = f->tombstones_from,
                              .retention_ns = chunk->retention_ns,
                              .unlinked = chunk->flags != 0,
                              .granted_member = chunk->member,
                              .generated_last = chunk->offset};
  vesta_err_t err = replica_load_end(f->shadow, now, f->epochs, f->epoch_count, &rest);
  if (err != VESTA_OK) {
    fetch_start(r, now_ns);
    return;
  }
  replica_t *shadow = f->shadow;
  bool diverged = f->diverged;
  *f = (replicator_fetch_t){0};
  r->replica = shadow;
  r->sink.shadow_swap(r->sink.context, shadow, diverged);
  replicator_say_position(r, now_ns);
}

void replicator_chunk(replicator_t *r, const wire_message_t *chunk, vesta_bytes_t payload, int64_t now_ns) {
  replicator_fetch_t *f = &r->fetch;
  if (chunk->state == WIRE_TRANSFER_RESTORED) {
    replicator_restored(r, chunk, payload, now_ns);
    return;
  }
  if (!f->wanted || f->shadow == NULL || f->from_old || chunk->number != r->ticket || chunk->cursor != f->cursor ||
      chunk->seq < f->newest_seq) {
    return;
  }
  f->newest_seq = chunk->seq;
  vesta_pos_t now = {.lineage = chunk->lineage, .epoch = chunk->commit, .seq = chunk->seq};
  if (f->cursor == 0) {
    f->first = now;
    f->full = (chunk->state & WIRE_TRANSFER_FULL) != 0;
    if (f->full) {
      replica_load_mark(f->shadow);
      f->tombstones_from = now.seq;
      f->base = (vesta_pos_t){0}; /* the rest of this pass is asked for so */
    }
  }
  vesta_err_t err = chunk_load(f, chunk, payload);
  if (err != VESTA_OK) {
    f->anew = true;
    fetch_drop(r);
    f->retry_ns = now_ns + REPLICATOR_SILENCE_NS; /* storage full, or nonsense: from anew */
    return;
  }
  f->cursor = chunk->cursor_end;
  f->retry_ns = now_ns + REPLICATOR_SILENCE_NS;
  if ((chunk->state & 15U) == WIRE_TRANSFER_EPOCHS) {
    pass_end(r, chunk, now, now_ns);
  } else if (chunk->offset != 0) {
    fetch_ask(r, chunk->offset, now_ns);
  } else if (chunk->count != 0 && f->asked != f->cursor) {
    fetch_ask(r, f->cursor, now_ns);
  }
}
