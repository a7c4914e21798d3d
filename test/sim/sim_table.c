/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_table.h.
 */
#include "test/sim/sim_table.h"

#include <stdlib.h>

#include "core/error.h"
#include "test/sim/sim_memory.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t bytes_digest(vesta_bytes_t bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.size == 0 ? "" : (const void *)bytes.data, bytes.size, seed);
}

uint64_t sim_change_digest(const sim_change_t *change) {
  uint64_t facts[4] = {(uint64_t)change->kind};
  uint64_t digest = bytes_digest(change->id, 1);
  switch (change->kind) {
    case VESTA_KIND_CREATED:
      facts[1] = (uint64_t)change->expiry_ns;
      digest = bytes_digest(change->data, digest);
      break;
    case VESTA_KIND_WRITTEN:
      facts[2] = change->offset;
      digest = bytes_digest(change->data, digest);
      break;
    case VESTA_KIND_OVERWRITTEN: digest = bytes_digest(change->data, digest); break;
    case VESTA_KIND_EXPIRY_SET:
    case VESTA_KIND_RETENTION_SET: facts[1] = (uint64_t)change->expiry_ns; break;
    case VESTA_KIND_EPOCH: facts[3] = change->member; break;
    case VESTA_KIND_DELETED:
    case VESTA_KIND_EXPIRED:
    case VESTA_KIND_UNLINKED: break;
  }
  return XXH3_64bits_withSeed(facts, sizeof facts, digest);
}

void sim_table_init(sim_table_t *table) {
  *table = (sim_table_t){0};
  VESTA_ASSERT(table_init(&table->by_id));
}

static void section_take_out(sim_table_t *table, sim_section_t *section) {
  table->sum -= section->digest;
  table->count--;
  table->data_bytes -= section->size;
  *(section->before != NULL ? &section->before->next : &table->first) = section->next;
  *(section->next != NULL ? &section->next->before : &table->last) = section->before;
  table_remove(&table->by_id, &section->link);
  free(section->data);
  free((void *)(uintptr_t)section->id.data);
  free(section);
}

void sim_table_fini(sim_table_t *table) {
  while (table->first != NULL) {
    section_take_out(table, table->first);
  }
  table_fini(&table->by_id);
}

sim_section_t *sim_table_find(const sim_table_t *table, vesta_bytes_t id) {
  for (table_link_t *link = table_find(&table->by_id, table_hash_bytes(id)); link != NULL;
       link = table_find_next(link)) {
    sim_section_t *section = TABLE_ENTRY(link, sim_section_t, link);
    if (vesta_bytes_equal(section->id, id)) {
      return section;
    }
  }
  return NULL;
}

static sim_section_t *section_put(sim_table_t *table, vesta_bytes_t id) {
  sim_section_t *section = sim_memory_get(sizeof *section);
  section->id = vesta_bytes(sim_memory_copy(id.data, id.size), id.size);
  section->before = table->last;
  *(table->last != NULL ? &table->last->next : &table->first) = section;
  table->last = section;
  table->count++;
  table_insert(&table->by_id, &section->link, table_hash_bytes(id));
  return section;
}

static void section_size(sim_table_t *table, sim_section_t *section, uint64_t size) {
  section->data = sim_memory_grow(section->data, size == 0 ? 1 : (size_t)size);
  if (size > section->size) {
    memset(section->data + section->size, 0, (size_t)(size - section->size));
  }
  table->data_bytes += size - section->size;
  section->size = size;
}

static void section_write(sim_section_t *section, uint64_t offset, vesta_bytes_t data) {
  if (data.size > 0) {
    memcpy(section->data + offset, data.data, data.size);
  }
}

static void section_sum(sim_table_t *table, sim_section_t *section) {
  int64_t facts[2] = {section->expiry_ns, section->time_ns};
  table->sum -= section->digest;
  uint64_t digest = bytes_digest(vesta_bytes(section->data, (size_t)section->size), bytes_digest(section->id, 2));
  section->digest = XXH3_64bits_withSeed(facts, sizeof facts, digest);
  table->sum += section->digest;
}

bool sim_table_apply(sim_table_t *table, const sim_change_t *change, sim_section_t **out) {
  sim_section_t *section = sim_table_find(table, change->id);
  uint64_t end = change->offset + change->data.size;
  *out = NULL;
  switch (change->kind) {
    case VESTA_KIND_CREATED:
      section = section == NULL ? section_put(table, change->id) : section;
      section_size(table, section, change->data.size);
      section_write(section, 0, change->data);
      section->expiry_ns = change->expiry_ns;
      break;
    case VESTA_KIND_WRITTEN:
      if (section == NULL) {
        return false;
      }
      section_size(table, section, change->data.size > 0 && end > section->size ? end : section->size);
      section_write(section, change->offset, change->data);
      break;
    case VESTA_KIND_OVERWRITTEN:
      if (section == NULL) {
        return false;
      }
      section_size(table, section, change->data.size);
      section_write(section, 0, change->data);
      break;
    case VESTA_KIND_EXPIRY_SET:
      if (section == NULL) {
        return false;
      }
      section->expiry_ns = change->expiry_ns;
      break;
    case VESTA_KIND_DELETED:
    case VESTA_KIND_EXPIRED:
      if (section != NULL) {
        section_take_out(table, section);
      }
      return true;
    case VESTA_KIND_UNLINKED:
    case VESTA_KIND_RETENTION_SET:
    case VESTA_KIND_EPOCH: return true;
  }
  section->time_ns = change->time_ns;
  section_sum(table, section);
  *out = section;
  return true;
}

void sim_table_copy(sim_table_t *table, const sim_table_t *from) {
  sim_table_fini(table);
  sim_table_init(table);
  for (const sim_section_t *section = from->first; section != NULL; section = section->next) {
    sim_change_t change = {.kind = VESTA_KIND_CREATED,
                           .id = section->id,
                           .data = vesta_bytes(section->data, (size_t)section->size),
                           .expiry_ns = section->expiry_ns,
                           .time_ns = section->time_ns};
    sim_section_t *put = NULL;
    (void)sim_table_apply(table, &change, &put);
    put->epoch = section->epoch;
    put->seq = section->seq;
    put->created_seq = section->created_seq;
    put->expiry_seq = section->expiry_seq;
    put->slot = section->slot;
  }
}
