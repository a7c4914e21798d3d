/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Content of single sections that a copy does not know.
 *
 * A copy that could not apply an operation went on without its data (replica_skip()): the sections concerned are
 * corrupted there. It asks its primary for them by id, some at a time, and goes round until none is left; what did not
 * help is asked for again after a time. The primary sends them as they are now, and before them what the log still owes
 * the copy. One that has become primary meanwhile asks the copies that follow it, another one in each round. Content is
 * taken only for the very operation that is known to be the section's last one, so nothing depends on when it comes,
 * from whom, or how often.
 */
#include "core/replicator_private.h"

#define RESTORE_IDS 256U         /* asked for in one message */
#define RESTORE_BYTES (4U << 20) /* of their content, in one step */
#define RESTORE_LOOKS 65536U     /* slots looked at in one step */

/* ---- who lacks it ---- */

/* Who is asked. 0: nobody now. */
static uint32_t restore_whom(const replicator_t *r) {
  if (!replicator_is_primary(r)) {
    return r->following ? r->config.primary : 0;
  }
  uint32_t next = 0, first = 0;
  for (uint32_t i = 0; i < r->peer_count; i++) {
    const replicator_peer_t *peer = &r->peers[i];
    bool asked = r->restore.slot != 0 ? peer->node >= r->restore.whom : peer->node > r->restore.whom;
    next = peer->following && asked && (next == 0 || peer->node < next) ? peer->node : next;
    first = peer->following && (first == 0 || peer->node < first) ? peer->node : first;
  }
  return next != 0 ? next : first;
}

void replicator_restore_begin(replicator_t *r) {
  replica_status_t status;
  replica_status(r->replica, &status);
  r->restore = (replicator_restore_t){.again_ns = status.corrupted_count == 0 ? INT64_MAX : 0};
}

void replicator_restore_time(replicator_t *r, int64_t now_ns) {
  replicator_restore_t *restore = &r->restore;
  if (restore->again_ns > now_ns) {
    return;
  }
  restore->whom = r->replica == NULL ? 0 : restore_whom(r);
  if (restore->whom == 0) {
    restore->again_ns = INT64_MAX; /* it begins anew when it follows, or is followed */
    return;
  }
  uint32_t count = 0, first = restore->slot;
  replica_section_t section;
  while (count < RESTORE_IDS &&
         replica_corrupted_next(r->replica, &restore->slot, first + RESTORE_LOOKS - restore->slot, &section)) {
    r->scratch->elements[count++] = (wire_element_t){.id = section.id, .epoch = section.epoch, .seq = section.seq};
  }
  restore->found = restore->found || count > 0;
  restore->again_ns = count > 0 ? now_ns + REPLICATOR_SILENCE_NS : now_ns;
  if (restore->slot >= replica_slot_end(r->replica)) { /* once round */
    *restore = (replicator_restore_t){.whom = restore->whom,
                                      .again_ns = restore->found ? now_ns + REPLICATOR_SILENCE_NS : INT64_MAX};
  }
  if (count > 0) {
    wire_message_t fetch = replicator_message(r, WIRE_PEER_FETCH);
    fetch.elements = r->scratch->elements;
    fetch.element_count = count;
    r->sink.send(r->sink.context, restore->whom, &fetch, vesta_bytes(NULL, 0));
  }
}

void replicator_restored(replicator_t *r, const wire_message_t *chunk, vesta_bytes_t payload, int64_t now_ns) {
  if (r->replica == NULL || !(r->following || replicator_is_primary(r))) {
    return;
  }
  bool any = false;
  uint64_t at = 0;
  for (uint32_t i = 0; i < chunk->element_count && chunk->elements[i].size <= payload.size - at; i++) {
    const wire_element_t *e = &chunk->elements[i];
    replica_section_t section;
    vesta_bytes_t data = vesta_bytes(e->size == 0 ? NULL : payload.data + at, e->size);
    bool fits = replica_find(r->replica, e->id, INT64_MIN, &section) && section.corrupted &&
                section.epoch == e->epoch && section.seq == e->seq;
    any = (fits && replica_restore_section(r->replica, e->id, data) == VESTA_OK) || any;
    at += e->size;
  }
  replica_status_t status;
  replica_status(r->replica, &status);
  if (status.corrupted_count == 0) {
    r->restore = (replicator_restore_t){.again_ns = INT64_MAX};
  } else if (any && r->restore.slot != 0) {
    r->restore.again_ns = now_ns; /* on with the round */
  }
}

/* ---- who has it ---- */

static void restored_send(replicator_t *r, uint32_t to, const wire_element_t *elements, uint32_t count,
                          vesta_bytes_t payload) {
  wire_message_t chunk = replicator_message(r, WIRE_PEER_CHUNK);
  chunk.state = WIRE_TRANSFER_RESTORED;
  chunk.elements = elements;
  chunk.element_count = count;
  if (count > 0) {
    r->sink.send(r->sink.context, to, &chunk, payload);
  }
}

void replicator_restore_asked(replicator_t *r, uint32_t from, const wire_message_t *fetch) {
  if (!replicator_room(r, REPLICATOR_MESSAGE_BYTES)) {
    return; /* it asks again */
  }
  wire_element_t *elements = r->scratch->elements;
  uint32_t count = 0;
  uint64_t bytes = 0, sent = 0;
  for (uint32_t i = 0; i < fetch->element_count && i < RESTORE_IDS && sent < RESTORE_BYTES; i++) {
    replica_section_t section;
    if (!replica_find(r->replica, fetch->elements[i].id, INT64_MIN, &section) || section.corrupted) {
      continue; /* it is gone, or nobody here knows either */
    }
    wire_element_t element = {.id = section.id, .size = section.size, .epoch = section.epoch, .seq = section.seq};
    sent += section.size;
    if (section.size > REPLICATOR_MESSAGE_BYTES) {
      restored_send(r, from, &element, 1, vesta_bytes(section.data, section.size));
      continue;
    }
    if (bytes + section.size > REPLICATOR_MESSAGE_BYTES) {
      restored_send(r, from, elements, count, vesta_bytes(r->scratch->payload, bytes));
      count = 0;
      bytes = 0;
    }
    elements[count++] = element;
    if (section.size > 0) {
      memcpy(r->scratch->payload + bytes, section.data, section.size);
    }
    bytes += section.size;
  }
  restored_send(r, from, elements, count, vesta_bytes(r->scratch->payload, bytes));
}
