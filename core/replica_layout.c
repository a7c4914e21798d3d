/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From creation attributes to geometry: the only place where the areas of a region are laid out.
 */
#include "core/replica_layout.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Creation flags name exactly one update mode, COLLOCATED or not. */
static bool flags_are_legal(uint32_t flags) {
  uint32_t mode = flags & ~(uint32_t)VESTA_CREATE_COLLOCATED;
  return mode == VESTA_CREATE_ALL_REPLICAS || mode == VESTA_CREATE_ACTIVE_REPLICA ||
         mode == VESTA_CREATE_ACTIVE_REPLICA_WEAK;
}

static vesta_err_t attributes_judge(const vesta_attributes_t *attributes) {
  if (!flags_are_legal(attributes->creation_flags) || attributes->sections_max == 0) {
    return VESTA_ERR_INVALID_PARAM;
  }
  /* checkpoint_bytes > sections_max * section_bytes_max, without the product, which may overflow */
  uint64_t per_section = attributes->checkpoint_bytes / attributes->sections_max;
  uint64_t rest = attributes->checkpoint_bytes % attributes->sections_max;
  if (per_section > attributes->section_bytes_max || (per_section == attributes->section_bytes_max && rest > 0)) {
    return VESTA_ERR_INVALID_PARAM;
  }
  if (attributes->sections_max > VESTA_SECTIONS_MAX || attributes->section_bytes_max > VESTA_SECTION_BYTES_MAX ||
      attributes->section_id_bytes_max > VESTA_SECTION_ID_BYTES_MAX) {
    return VESTA_ERR_NO_RESOURCES;
  }
  return VESTA_OK;
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high) {
  return value < low ? low : value > high ? high : value;
}

static uint64_t page_up(uint64_t value) { return replica_round_up(value, REPLICA_PAGE_BYTES); }

/* A history worth having: a quarter of all the data, or some writes of the largest size, within the two limits. */
static uint64_t log_soft_bytes(const replica_layout_t *layout) {
  uint64_t share = layout->sections_max * layout->slot_stride / 4;
  uint64_t writes = layout->section_bytes_max * 8;
  return clamp(page_up(share > writes ? share : writes), VESTA_LOG_BYTES_MIN, VESTA_LOG_BYTES_HISTORY);
}

static uint64_t record_bytes_max(const replica_layout_t *layout) {
  uint64_t data = VESTA_VECTOR_ELEMENTS_MAX * layout->section_bytes_max;
  if (data > VESTA_OPERATION_BYTES_MAX) {
    data = VESTA_OPERATION_BYTES_MAX;
  }
  uint64_t element = sizeof(replica_log_element_t) + replica_round_up(layout->id_bytes_max, 8) + 7;
  return sizeof(replica_log_record_t) + VESTA_VECTOR_ELEMENTS_MAX * element + data;
}

vesta_err_t replica_layout_make(const vesta_attributes_t *attributes, replica_layout_t *layout) {
  vesta_err_t err = attributes_judge(attributes);
  if (err != VESTA_OK) {
    return err;
  }
  replica_layout_t l = {
      .sections_max = attributes->sections_max,
      .bucket_count = 1,
      .id_bytes_max = attributes->section_id_bytes_max,
      .id_stride = (uint32_t)replica_round_up(attributes->section_id_bytes_max, 8),
      .section_bytes_max = attributes->section_bytes_max,
  };
  while (l.bucket_count < l.sections_max) {
    l.bucket_count *= 2;
  }
  l.slots_paged = l.section_bytes_max >= REPLICA_PAGE_BYTES;
  l.slot_stride = replica_round_up(l.section_bytes_max, l.slots_paged ? REPLICA_PAGE_BYTES : 8);

  l.buckets_at = sizeof(replica_header_t);
  l.descriptors_at = replica_round_up(l.buckets_at + (uint64_t)l.bucket_count * sizeof(uint32_t), 64);
  l.ids_at = l.descriptors_at + (uint64_t)l.sections_max * sizeof(replica_descriptor_t);
  l.index_bytes = page_up(l.ids_at + (uint64_t)l.sections_max * l.id_stride);

  l.sessions_at = l.index_bytes;
  l.tombstones_at = page_up(l.sessions_at + (uint64_t)VESTA_REPLICA_SESSIONS_MAX * sizeof(replica_session_t));
  l.tombstone_stride = sizeof(replica_tombstone_t) + l.id_stride;
  l.log_index_at = page_up(l.tombstones_at + VESTA_TOMBSTONES_MAX * l.tombstone_stride);
  l.log_soft_bytes = log_soft_bytes(&l);
  l.log_hard_bytes = page_up(l.log_soft_bytes + record_bytes_max(&l));
  l.log_index_count = l.log_soft_bytes / 128;
  l.log_at = page_up(l.log_index_at + l.log_index_count * sizeof(uint32_t));
  l.slots_at = l.log_at + l.log_hard_bytes;
  l.region_bytes = page_up(l.slots_at + l.sections_max * l.slot_stride);
  VESTA_ASSERT(l.region_bytes <= VESTA_REGION_BYTES_MAX);
  *layout = l;
  return VESTA_OK;
}

uint32_t replica_layout_hash(uint64_t lineage, vesta_bytes_t id) {
  return (uint32_t)XXH3_64bits_withSeed(id.data, id.size, lineage);
}
