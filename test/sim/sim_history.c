/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_history.h.
 */
#include "test/sim/sim_history.h"

#include <stdlib.h>

#include "test/sim/sim_memory.h"

/* ---- all of them ---- */

sim_history_t *sim_histories_find(const sim_histories_t *histories, uint64_t id) {
  for (uint32_t i = histories->count; i > 0; i--) {
    if (histories->items[i - 1]->id == id) {
      return histories->items[i - 1];
    }
  }
  return NULL;
}

/* The default section is there from the beginning: nobody creates it. */
static void default_section_begin(sim_history_t *history, const replica_t *replica) {
  replica_section_t section;
  if (replica_slot_next(replica, 0, replica_slot_end(replica), &section)) {
    sim_change_t change = {.kind = VESTA_KIND_CREATED, .expiry_ns = VESTA_TIME_END, .time_ns = section.last_update_ns};
    sim_section_t *made = NULL;
    (void)sim_table_apply(&history->table, &change, &made);
    made->epoch = section.epoch;
    made->seq = section.seq;
    made->created_seq = section.created_seq;
    history->first_sum = history->table.sum;
  }
}

sim_history_t *sim_histories_add(sim_histories_t *histories, const replica_t *replica) {
  replica_identity_t identity;
  replica_identity(replica, &identity);
  sim_history_t *history = sim_memory_get(sizeof *history);
  history->id = identity.checkpoint_id;
  history->lineage = identity.lineage;
  history->attributes = identity.attributes;
  history->retention_ns = identity.attributes.retention_ns;
  history->epoch = 1;
  sim_table_init(&history->table);
  if (history->attributes.sections_max == 1) {
    default_section_begin(history, replica);
  }
  if (histories->count == histories->capacity) {
    histories->capacity = histories->capacity == 0 ? 16 : histories->capacity * 2;
    histories->items = sim_memory_grow(histories->items, histories->capacity * sizeof(sim_history_t *));
  }
  histories->items[histories->count++] = history;
  return history;
}

void sim_histories_fini(sim_histories_t *histories) {
  for (uint32_t i = 0; i < histories->count; i++) {
    sim_history_t *history = histories->items[i];
    for (uint64_t seq = 1; seq <= history->count; seq++) {
      free(history->records[seq - 1].digests);
    }
    free(history->records);
    sim_table_fini(&history->table);
    free(history);
  }
  free(histories->items);
  *histories = (sim_histories_t){0};
}

/* ---- taking up ---- */

/* Could the sections' state lead to that change? The rules of the standard, told again in short. */
static const char *change_judge(const sim_history_t *history, const sim_change_t *change, int64_t time_ns) {
  const sim_section_t *section = sim_table_find(&history->table, change->id);
  bool dead = section != NULL && section->expiry_ns <= time_ns;
  switch (change->kind) {
    case VESTA_KIND_CREATED:
      if (section != NULL || history->attributes.sections_max == 1) {
        return "a section was created that is there";
      }
      if (change->id.size == 0 || change->id.size > history->attributes.section_id_bytes_max) {
        return "a section was created with an id of a size that is not allowed";
      }
      return history->table.count >= history->attributes.sections_max ? "more sections than sections_max" : NULL;
    case VESTA_KIND_WRITTEN:
    case VESTA_KIND_OVERWRITTEN:
      if (change->offset + change->data.size > history->attributes.section_bytes_max) {
        return "a section grew beyond section_bytes_max";
      }
      return section == NULL || dead ? "a section was written that is not there" : NULL;
    case VESTA_KIND_DELETED:
    case VESTA_KIND_EXPIRY_SET: return section == NULL || dead ? "a section was changed that is not there" : NULL;
    case VESTA_KIND_EXPIRED:
      return section == NULL ? "a section expired that is not there" : !dead ? "a section expired too early" : NULL;
    case VESTA_KIND_UNLINKED:
    case VESTA_KIND_RETENTION_SET:
    case VESTA_KIND_EPOCH: break;
  }
  return NULL;
}

static void change_make(sim_history_t *history, const sim_change_t *change, const replica_record_t *record) {
  sim_section_t *section = NULL;
  (void)sim_table_apply(&history->table, change, &section);
  if (section != NULL) {
    section->epoch = record->epoch;
    section->seq = record->seq;
    section->created_seq = change->kind == VESTA_KIND_CREATED ? record->seq : section->created_seq;
  }
  history->unlinked = history->unlinked || change->kind == VESTA_KIND_UNLINKED;
  if (change->kind == VESTA_KIND_RETENTION_SET) {
    history->retention_ns = change->expiry_ns;
  }
}

static const char *record_judge(const sim_history_t *history, const replica_record_t *record) {
  replica_record_t walk = *record;
  replica_change_t first;
  if (record->seq != history->count + 1 || record->element_count == 0 || !replica_record_next(&walk, &first)) {
    return "a record without its seq or without changes";
  }
  bool is_epoch = first.element.kind == VESTA_KIND_EPOCH;
  if (is_epoch ? record->epoch <= history->epoch : record->epoch != history->epoch) {
    return "the epoch changed other than by an EPOCH operation, or went back";
  }
  bool whole = is_epoch || first.element.kind == VESTA_KIND_UNLINKED || first.element.kind == VESTA_KIND_RETENTION_SET;
  return whole && record->element_count != 1 ? "a change of the whole checkpoint is not alone in its operation" : NULL;
}

static sim_record_t *record_add(sim_history_t *history, const replica_record_t *from) {
  if (history->count == history->capacity) {
    history->capacity = history->capacity == 0 ? 64 : history->capacity * 2;
    history->records = sim_memory_grow(history->records, history->capacity * sizeof *history->records);
  }
  sim_record_t *record = &history->records[history->count++];
  *record = (sim_record_t){.epoch = from->epoch,
                           .session = from->session,
                           .request = from->request,
                           .time_ns = from->time_ns,
                           .count = from->element_count,
                           .digests = sim_memory_get(from->element_count * sizeof(uint64_t))};
  return record;
}

const char *sim_history_take(sim_history_t *history, const replica_t *replica) {
  replica_record_t from;
  if (replica_record(replica, history->count + 1, &from) != VESTA_OK) {
    return "a committed record is not in the log";
  }
  const char *wrong = record_judge(history, &from);
  if (wrong != NULL) {
    return wrong;
  }
  history->epoch = from.epoch;
  sim_record_t *record = record_add(history, &from);
  replica_change_t element;
  uint32_t index = 0;
  for (replica_record_t walk = from; replica_record_next(&walk, &element); index++) {
    sim_change_t change = {.kind = element.element.kind,
                           .id = element.element.id,
                           .offset = element.element.kind == VESTA_KIND_WRITTEN ? element.element.offset : 0,
                           .data = element.element.data,
                           .expiry_ns = element.element.expiry_ns,
                           .member = element.element.member,
                           .time_ns = from.time_ns};
    wrong = index < record->count ? change_judge(history, &change, from.time_ns) : "more changes than it says";
    if (wrong != NULL) {
      return wrong;
    }
    record->digests[index] = sim_change_digest(&change);
    record->kind = index == 0 ? change.kind : record->kind;
    if (change.kind == VESTA_KIND_EPOCH) {
      record->member = change.member;
      history->granted = change.member;
    }
    change_make(history, &change, &from);
  }
  record->sum = history->table.sum;
  return index == record->count ? NULL : "fewer changes than it says";
}

/* ---- comparing ---- */

static const char *section_compare(const sim_section_t *section, const replica_section_t *there) {
  if (section == NULL) {
    return "the replica has a section that must not be there";
  }
  if (section->size != there->size ||
      (there->size > 0 && memcmp(section->data, there->data, (size_t)there->size) != 0)) {
    return "the data of a section differs";
  }
  if (section->expiry_ns != there->expiry_ns || section->time_ns != there->last_update_ns) {
    return "a section's expiry or time of change differs";
  }
  bool same =
      section->epoch == there->epoch && section->seq == there->seq && section->created_seq == there->created_seq;
  return same ? NULL : "a section's epoch or seq differs";
}

const char *sim_history_compare(const sim_history_t *history, const replica_t *replica) {
  replica_status_t status;
  replica_status(replica, &status);
  if (status.committed.seq != history->count || status.committed.lineage != history->lineage ||
      status.committed.epoch != history->epoch) {
    return "the position differs";
  }
  if (status.section_count != history->table.count || status.data_bytes != history->table.data_bytes) {
    return "the number of sections or of their bytes differs";
  }
  if (status.unlinked != history->unlinked || status.retention_ns != history->retention_ns ||
      status.granted_member != history->granted) {
    return "unlinked, retention or grant differs";
  }
  replica_section_t there;
  for (uint32_t slot = 0; replica_slot_next(replica, slot, replica_slot_end(replica), &there); slot = there.slot + 1) {
    const char *differs = section_compare(sim_table_find(&history->table, there.id), &there);
    replica_section_t found;
    if (differs == NULL && (!replica_find(replica, there.id, INT64_MIN, &found) || found.slot != there.slot)) {
      differs = "a section is there and is not found";
    }
    if (differs != NULL) {
      return differs;
    }
  }
  return replica_check(replica) ? NULL : "replica_check() says no";
}

/* ---- positions ---- */

vesta_pos_t sim_history_position(const sim_history_t *history) {
  return (vesta_pos_t){.lineage = history->lineage, .epoch = history->epoch, .seq = history->count};
}

bool sim_history_has(const sim_history_t *history, vesta_pos_t position) {
  if (position.lineage != history->lineage || position.seq > history->count) {
    return false;
  }
  return position.epoch == (position.seq == 0 ? 1 : history->records[position.seq - 1].epoch);
}

uint64_t sim_history_sum(const sim_history_t *history, uint64_t seq) {
  return seq == 0 ? history->first_sum : history->records[seq - 1].sum;
}

uint32_t sim_history_alive(const sim_history_t *history, int64_t wall_ns) {
  uint32_t count = 0;
  for (const sim_section_t *section = history->table.first; section != NULL; section = section->next) {
    count += section->expiry_ns > wall_ns;
  }
  return count;
}

const sim_section_t *sim_history_section(const sim_history_t *history, vesta_bytes_t id, int64_t wall_ns) {
  const sim_section_t *section = sim_table_find(&history->table, id);
  return section != NULL && section->expiry_ns > wall_ns ? section : NULL;
}
