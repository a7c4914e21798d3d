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
    if (histories->items[i - 1]->id == id && histories->items[i - 1]->half == 0) {
      return histories->items[i - 1];
    }
  }
  return NULL;
}

sim_history_t *sim_histories_of(const sim_histories_t *histories, uint64_t id, uint64_t lineage) {
  for (uint32_t i = histories->count; i > 0; i--) {
    if (histories->items[i - 1]->id == id && histories->items[i - 1]->lineage == lineage) {
      return histories->items[i - 1];
    }
  }
  return NULL;
}

static void histories_grow(sim_histories_t *histories) {
  if (histories->count == histories->capacity) {
    histories->capacity = histories->capacity == 0 ? 16 : histories->capacity * 2;
    histories->items = sim_memory_grow(histories->items, histories->capacity * sizeof(sim_history_t *));
  }
}

void sim_histories_keep(sim_histories_t *histories, sim_history_t *history) {
  histories_grow(histories);
  memmove(histories->items + 1, histories->items, histories->count * sizeof(sim_history_t *));
  histories->items[0] = history;
  histories->count++;
}

void sim_histories_copy(sim_histories_t *histories, const sim_histories_t *from) {
  for (uint32_t i = 0; i < from->count; i++) {
    histories_grow(histories);
    histories->items[histories->count++] = sim_history_copy(from->items[i]);
  }
}

/* The default section is there from the beginning: nobody creates it. */
static void default_section_begin(sim_history_t *history, const replica_t *replica) {
  replica_section_t section;
  if (replica_slot_next(replica, 0, replica_slot_end(replica), &section)) {
    sim_change_t change = {.kind = VESTA_KIND_CREATED, .expiry_ns = VESTA_TIME_END, .time_ns = section.last_update_ns};
    sim_section_t *made = NULL;
    (void)sim_table_apply(&history->table, &change, &made);
    made->epoch = section.epoch;
    history->first_epoch = section.epoch;
    history->first_time_ns = section.last_update_ns;
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
  history->fenced_since_ns = INT64_MAX;
  history->synchronous = (identity.attributes.creation_flags & VESTA_CREATE_ALL_REPLICAS) != 0;
  sim_table_init(&history->table);
  if (history->attributes.sections_max == 1) {
    default_section_begin(history, replica);
  }
  histories_grow(histories);
  histories->items[histories->count++] = history;
  return history;
}

static void records_free(sim_record_t *records, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    for (uint32_t j = 0; j < records[i].count; j++) {
      free((void *)(uintptr_t)records[i].changes[j].id.data);
      free((void *)(uintptr_t)records[i].changes[j].data.data);
    }
    free(records[i].changes);
    free(records[i].digests);
  }
  free(records);
}

void sim_histories_fini(sim_histories_t *histories) {
  for (uint32_t i = 0; i < histories->count; i++) {
    sim_history_t *history = histories->items[i];
    records_free(history->records, history->count);
    while (history->tails != NULL) {
      sim_tail_t *tail = history->tails;
      history->tails = tail->next;
      records_free(tail->records, tail->count);
      free(tail);
    }
    free(history->primaries);
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

static void change_make(sim_history_t *history, const sim_change_t *change, uint64_t epoch, uint64_t seq) {
  sim_section_t *section = NULL;
  (void)sim_table_apply(&history->table, change, &section);
  if (section != NULL) {
    section->epoch = epoch;
    section->seq = seq;
    section->created_seq = change->kind == VESTA_KIND_CREATED ? seq : section->created_seq;
    section->slot = change->kind == VESTA_KIND_CREATED ? change->slot : section->slot;
    bool expires = change->kind == VESTA_KIND_CREATED || change->kind == VESTA_KIND_EXPIRY_SET;
    section->expiry_seq = expires ? seq : section->expiry_seq;
  }
  history->unlinked = history->unlinked || change->kind == VESTA_KIND_UNLINKED;
  if (change->kind == VESTA_KIND_RETENTION_SET) {
    history->retention_ns = change->expiry_ns;
  }
  if (change->kind == VESTA_KIND_EPOCH && change->member != VESTA_MEMBER_SAME) {
    history->granted = change->member;
    history->granted_epoch = epoch;
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

/* Room for one more. */
static sim_record_t *record_put(sim_record_t **records, uint64_t *count, uint64_t *capacity) {
  if (*count == *capacity) {
    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    *records = sim_memory_grow(*records, *capacity * sizeof **records);
  }
  return &(*records)[(*count)++];
}

static void record_make(sim_record_t *record, const replica_record_t *from) {
  *record = (sim_record_t){.epoch = from->epoch,
                           .session = from->session,
                           .request = from->request,
                           .time_ns = from->time_ns,
                           .count = from->element_count,
                           .changes = sim_memory_get(from->element_count * sizeof(sim_change_t)),
                           .digests = sim_memory_get(from->element_count * sizeof(uint64_t))};
}

static sim_change_t change_of(const replica_change_t *element, int64_t time_ns) {
  return (sim_change_t){.kind = element->element.kind,
                        .id = element->element.id,
                        .offset = element->element.kind == VESTA_KIND_WRITTEN ? element->element.offset : 0,
                        .data = element->element.data,
                        .expiry_ns = element->element.expiry_ns,
                        .member = element->element.member,
                        .time_ns = time_ns,
                        .slot = element->slot};
}

static void record_note(sim_record_t *record, uint32_t index, const sim_change_t *change) {
  record->digests[index] = sim_change_digest(change);
  record->changes[index] = *change;
  record->changes[index].id = vesta_bytes(sim_memory_copy(change->id.data, change->id.size), change->id.size);
  record->changes[index].data = vesta_bytes(sim_memory_copy(change->data.data, change->data.size), change->data.size);
  record->kind = index == 0 ? change->kind : record->kind;
  record->member = change->kind == VESTA_KIND_EPOCH ? change->member : record->member;
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
  uint64_t epoch_before = history->epoch;
  history->epoch = from.epoch;
  sim_record_t *record = record_put(&history->records, &history->count, &history->capacity);
  record_make(record, &from);
  record->epoch_before = epoch_before;
  replica_change_t element;
  uint32_t index = 0;
  for (replica_record_t walk = from; replica_record_next(&walk, &element); index++) {
    sim_change_t change = change_of(&element, from.time_ns);
    wrong = index < record->count ? change_judge(history, &change, from.time_ns) : "more changes than it says";
    if (wrong != NULL) {
      return wrong;
    }
    record_note(record, index, &change);
    change_make(history, &change, record->epoch, history->count);
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
  if (section->slot != there->slot) {
    return "a section is in another slot";
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
  return position.lineage == history->lineage &&
         (position.seq == 0 ? position.epoch == 1 : sim_history_record(history, position.epoch, position.seq) != NULL);
}

const sim_record_t *sim_history_record(const sim_history_t *history, uint64_t epoch, uint64_t seq) {
  if (seq >= 1 && seq <= history->count && history->records[seq - 1].epoch == epoch) {
    return &history->records[seq - 1];
  }
  for (const sim_tail_t *tail = history->tails; tail != NULL; tail = tail->next) {
    if (seq >= tail->first_seq && seq < tail->first_seq + tail->count &&
        tail->records[seq - tail->first_seq].epoch == epoch) {
      return &tail->records[seq - tail->first_seq];
    }
  }
  return NULL;
}

bool sim_history_has_still(const sim_history_t *history, vesta_pos_t position) {
  return position.lineage == history->lineage && position.seq <= history->count &&
         position.epoch == (position.seq == 0 ? 1 : history->records[position.seq - 1].epoch);
}

uint64_t sim_history_sum(const sim_history_t *history, vesta_pos_t position) {
  return position.seq == 0 ? history->first_sum : sim_history_record(history, position.epoch, position.seq)->sum;
}

uint64_t sim_history_sum_of(const replica_t *replica) {
  sim_table_t table;
  replica_section_t there;
  sim_table_init(&table);
  for (uint32_t slot = 0; replica_slot_next(replica, slot, replica_slot_end(replica), &there); slot = there.slot + 1) {
    sim_section_t *section = NULL;
    sim_change_t change = {.kind = VESTA_KIND_CREATED,
                           .id = there.id,
                           .data = vesta_bytes(there.data, (size_t)there.size),
                           .expiry_ns = there.expiry_ns,
                           .time_ns = there.last_update_ns};
    (void)sim_table_apply(&table, &change, &section);
  }
  uint64_t sum = table.sum;
  sim_table_fini(&table);
  return sum;
}

/* ---- primaries ---- */

uint32_t sim_history_primary(const sim_history_t *history, uint64_t epoch) {
  for (uint64_t i = history->primary_count; i > 0; i--) {
    if (history->primaries[i - 1].epoch == epoch) {
      return history->primaries[i - 1].node;
    }
  }
  return 0;
}

void sim_history_primary_set(sim_history_t *history, uint64_t epoch, uint32_t node) {
  uint64_t count = history->primary_count + 1;
  history->primaries = sim_memory_grow(history->primaries, count * sizeof *history->primaries);
  history->primaries[history->primary_count++] = (sim_primary_t){.epoch = epoch, .node = node};
}

/* ---- ways that were left ---- */

/* The state as of the records that are left: made anew from them. */
static void history_replay(sim_history_t *history) {
  sim_change_t begin = {.kind = VESTA_KIND_CREATED, .expiry_ns = VESTA_TIME_END, .time_ns = history->first_time_ns};
  sim_table_fini(&history->table);
  sim_table_init(&history->table);
  history->unlinked = false;
  history->retention_ns = history->attributes.retention_ns;
  history->granted = 0;
  history->granted_epoch = 0;
  history->epoch = 1;
  if (history->attributes.sections_max == 1) {
    change_make(history, &begin, history->first_epoch, 0);
  }
  for (uint64_t seq = 1; seq <= history->count; seq++) {
    const sim_record_t *record = &history->records[seq - 1];
    history->epoch = record->epoch;
    for (uint32_t i = 0; i < record->count; i++) {
      change_make(history, &record->changes[i], record->epoch, seq);
    }
  }
}

static sim_tail_t *tail_add(sim_history_t *history, uint64_t first_seq, int64_t now_ns) {
  sim_tail_t *tail = sim_memory_get(sizeof *tail);
  tail->lost_ns = now_ns;
  tail->first_seq = first_seq;
  tail->next = history->tails;
  history->tails = tail;
  return tail;
}

void sim_history_cut(sim_history_t *history, uint64_t seq, int64_t now_ns) {
  sim_tail_t *tail = tail_add(history, seq + 1, now_ns);
  history->cuts++;
  for (uint64_t at = seq; at < history->count; at++) {
    sim_record_t *record = record_put(&tail->records, &tail->count, &tail->capacity);
    *record = history->records[at];
  }
  history->count = seq;
  history_replay(history);
}

void sim_history_stray(sim_history_t *history, const replica_record_t *from, uint64_t epoch_before, int64_t now_ns) {
  sim_tail_t *tail = history->tails;
  while (tail != NULL &&
         (tail->first_seq + tail->count != from->seq || tail->records[tail->count - 1].epoch > from->epoch)) {
    tail = tail->next;
  }
  tail = tail != NULL ? tail : tail_add(history, from->seq, now_ns);
  sim_record_t *record = record_put(&tail->records, &tail->count, &tail->capacity);
  record_make(record, from);
  replica_record_t walk = *from;
  replica_change_t element;
  for (uint32_t i = 0; i < record->count && replica_record_next(&walk, &element); i++) {
    sim_change_t change = change_of(&element, from->time_ns);
    record_note(record, i, &change);
  }
  record->epoch_before = epoch_before;
  record->sum_unknown = true;
}

/* ---- two halves of a cluster ---- */

static sim_record_t record_copy(const sim_record_t *from) {
  sim_record_t record = *from;
  record.digests = sim_memory_copy(from->digests, from->count * sizeof *from->digests);
  record.changes = sim_memory_copy(from->changes, from->count * sizeof *from->changes);
  for (uint32_t i = 0; i < from->count; i++) {
    sim_change_t *change = &record.changes[i];
    change->id = vesta_bytes(sim_memory_copy(change->id.data, change->id.size), change->id.size);
    change->data = vesta_bytes(sim_memory_copy(change->data.data, change->data.size), change->data.size);
  }
  return record;
}

static void tails_copy(sim_history_t *history, const sim_tail_t *tails) {
  sim_tail_t **end = &history->tails;
  history->tails = NULL;
  for (const sim_tail_t *from = tails; from != NULL; from = from->next) {
    sim_tail_t *tail = sim_memory_get(sizeof *tail);
    *tail = *from;
    tail->next = NULL;
    tail->records = NULL;
    tail->count = 0;
    tail->capacity = 0;
    for (uint64_t i = 0; i < from->count; i++) {
      *record_put(&tail->records, &tail->count, &tail->capacity) = record_copy(&from->records[i]);
    }
    *end = tail;
    end = &tail->next;
  }
}

sim_history_t *sim_history_copy(const sim_history_t *from) {
  sim_history_t *history = sim_memory_get(sizeof *history);
  *history = *from;
  history->records = NULL;
  history->count = 0;
  history->capacity = 0;
  for (uint64_t i = 0; i < from->count; i++) {
    *record_put(&history->records, &history->count, &history->capacity) = record_copy(&from->records[i]);
  }
  history->primaries = sim_memory_copy(from->primaries, from->primary_count * sizeof *from->primaries);
  history->table = (sim_table_t){0};
  sim_table_init(&history->table);
  sim_table_copy(&history->table, &from->table);
  tails_copy(history, from->tails);
  return history;
}

uint64_t sim_history_common(const sim_history_t *history, const sim_history_t *other) {
  uint64_t common = 0;
  while (common < history->count && common < other->count &&
         history->records[common].epoch == other->records[common].epoch) {
    common++;
  }
  return common;
}

static bool records_same(const sim_record_t *a, const sim_record_t *b) {
  return a->count == b->count && a->request == b->request && vesta_token_equal(a->session, b->session) &&
         memcmp(a->digests, b->digests, a->count * sizeof *a->digests) == 0;
}

/* Records that go on from each other become one tail. False: there is another one under the epoch and seq of one. */
static bool join_records(sim_history_t *history, const sim_record_t *records, uint64_t count, const sim_tail_t *like) {
  bool same = true;
  sim_tail_t *tail = NULL;
  for (uint64_t i = 0; i < count; i++) {
    uint64_t seq = like->first_seq + i;
    const sim_record_t *known = sim_history_record(history, records[i].epoch, seq);
    if (known != NULL) {
      same = same && (known->sum_unknown || records[i].sum_unknown || records_same(known, &records[i]));
      tail = NULL;
      continue;
    }
    if (tail == NULL) {
      tail = tail_add(history, seq, like->lost_ns);
      tail->half = like->half;
      tail->shared_seq = like->shared_seq;
    }
    *record_put(&tail->records, &tail->count, &tail->capacity) = record_copy(&records[i]);
  }
  return same;
}

const char *sim_history_join(sim_history_t *history, const sim_history_t *other, uint32_t half, int64_t now_ns) {
  sim_tail_t own = {.first_seq = 1, .lost_ns = now_ns, .half = half, .shared_seq = other->shared_seq};
  bool same = join_records(history, other->records, other->count, &own);
  for (const sim_tail_t *from = other->tails; from != NULL; from = from->next) {
    same = join_records(history, from->records, from->count, from) && same;
  }
  for (uint64_t i = 0; i < other->primary_count; i++) {
    const sim_primary_t *primary = &other->primaries[i];
    uint32_t node = sim_history_primary(history, primary->epoch);
    if (node == 0) {
      sim_history_primary_set(history, primary->epoch, primary->node);
    }
    same = same && (node == 0 || node == primary->node);
  }
  return same ? NULL : "another operation was committed there, or by another primary, in the other half";
}

uint32_t sim_history_half(const sim_history_t *history, vesta_pos_t position) {
  const sim_tail_t *tail = sim_history_has_still(history, position) ? NULL : history->tails;
  while (tail != NULL && (position.seq < tail->first_seq || position.seq >= tail->first_seq + tail->count ||
                          tail->records[position.seq - tail->first_seq].epoch != position.epoch)) {
    tail = tail->next;
  }
  return tail != NULL ? tail->half : 0;
}

bool sim_history_may_resume(const sim_history_t *history, const sim_tail_t *tail) {
  return tail->half != 0 && tail->first_seq == history->count + 1 && tail->records[0].epoch_before == history->epoch;
}

bool sim_history_resume(sim_history_t *history, uint64_t epoch, uint64_t seq) {
  const sim_record_t *record = seq == history->count + 1 ? sim_history_record(history, epoch, seq) : NULL;
  if (record == NULL || record->epoch_before != history->epoch || record->sum_unknown) {
    return false;
  }
  sim_record_t again = record_copy(record);
  *record_put(&history->records, &history->count, &history->capacity) = again;
  history->epoch = epoch;
  history->resumed_epoch = epoch;
  for (uint32_t i = 0; i < again.count; i++) {
    change_make(history, &again.changes[i], epoch, seq);
  }
  return true;
}

/* ---- ways ---- */

const sim_record_t **sim_history_way(const sim_history_t *history, uint64_t epoch, uint64_t seq) {
  const sim_record_t **way = sim_memory_get((size_t)(seq + 1) * sizeof(sim_record_t *));
  for (uint64_t at = seq; at > 0; at--) {
    way[at - 1] = sim_history_record(history, epoch, at);
    if (way[at - 1] == NULL) {
      free(way);
      return NULL;
    }
    epoch = way[at - 1]->epoch_before;
  }
  return way;
}

bool sim_history_same(const sim_record_t *record, const replica_record_t *from) {
  replica_record_t walk = *from;
  replica_change_t element;
  bool same = record->count == from->element_count && record->time_ns == from->time_ns &&
              record->request == from->request && vesta_token_equal(record->session, from->session);
  for (uint32_t i = 0; same && i < record->count; i++) {
    same = replica_record_next(&walk, &element);
    sim_change_t change = change_of(&element, from->time_ns);
    same = same && sim_change_digest(&change) == record->digests[i] && change.slot == record->changes[i].slot;
  }
  return same;
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
