/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_disk.h.
 */
#include "test/sim/sim_disk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "test/sim/sim_memory.h"

#define PAGE_BYTES 4096U

void sim_disk_init(sim_disk_t *disk, sim_random_t *random, sim_story_t *story) {
  *disk = (sim_disk_t){.random = random, .story = story};
}

/* ---- regions ---- */

static sim_region_t *region_new(sim_disk_t *disk, uint64_t id, uint64_t size) {
  sim_region_t *region = sim_memory_get(sizeof *region);
  *region = (sim_region_t){.disk = disk, .id = id, .size = size};
  region->memory = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  VESTA_ASSERT(region->memory != MAP_FAILED);
  region->reserved = sim_memory_get((size_t)(size / PAGE_BYTES));
  return region;
}

static void region_free(sim_region_t *region) {
  if (region->disk != NULL) {
    (void)munmap(region->memory, (size_t)region->size);
  } else {
    free(region->memory); /* a frozen copy */
  }
  free(region->reserved);
  free(region);
}

static void region_protect(const sim_region_t *region, uint64_t first, uint64_t end, bool writable) {
  if (first < end) {
    int failed = mprotect(region->memory + first * PAGE_BYTES, (size_t)(end - first) * PAGE_BYTES,
                          writable ? PROT_READ | PROT_WRITE : PROT_READ);
    VESTA_ASSERT(failed == 0);
  }
}

/* Pages are asked for. */
static bool disk_fails(sim_disk_t *disk) {
  bool fails = disk->full || sim_chance(disk->random, disk->fail_chance);
  disk->failures += fails;
  return fails;
}

static vesta_err_t region_reserve(void *context, uint64_t offset, uint64_t size) {
  sim_region_t *region = context;
  if (offset + size > region->size || offset + size < offset) {
    sim_story_fail(region->disk->story, "DISK", "reserve outside of region %" PRIu64, region->id);
  }
  if (disk_fails(region->disk) || sim_chance(region->disk->random, region->disk->page_chance)) {
    region->disk->failures++;
    return VESTA_ERR_NO_SPACE;
  }
  uint64_t first = offset / PAGE_BYTES;
  uint64_t end = (offset + size + PAGE_BYTES - 1) / PAGE_BYTES;
  for (uint64_t page = first; page < end; page++) {
    region->page_count += region->reserved[page] == 0;
    region->reserved[page] = 1;
  }
  region_protect(region, first, end, true);
  return VESTA_OK;
}

/* Runs of reserved pages only: most of a large range was never touched. */
static void region_release(void *context, uint64_t offset, uint64_t size) {
  sim_region_t *region = context;
  if (offset + size > region->size || offset + size < offset) {
    sim_story_fail(region->disk->story, "DISK", "release outside of region %" PRIu64, region->id);
  }
  uint64_t end = (offset + size) / PAGE_BYTES;
  for (uint64_t page = (offset + PAGE_BYTES - 1) / PAGE_BYTES; page < end; page++) {
    uint64_t run = page;
    while (run < end && region->reserved[run] != 0) {
      region->reserved[run++] = 0;
    }
    if (run > page) {
      region->page_count -= run - page;
      VESTA_ASSERT(madvise(region->memory + page * PAGE_BYTES, (size_t)(run - page) * PAGE_BYTES, MADV_DONTNEED) == 0);
      region_protect(region, page, run, false);
      page = run - 1;
    }
  }
}

static sim_region_t **region_find(sim_disk_t *disk, uint64_t id) {
  sim_region_t **at = &disk->regions;
  while (*at != NULL && (*at)->id != id) {
    at = &(*at)->next;
  }
  return at;
}

static replica_storage_t region_pages(sim_region_t *region) {
  return (replica_storage_t){.context = region, .reserve = region_reserve, .release = region_release};
}

static vesta_err_t disk_create(void *context, uint64_t id, uint64_t size, void **memory, replica_storage_t *pages) {
  sim_disk_t *disk = context;
  sim_region_t **left = region_find(disk, id);
  if (*left != NULL && (id & NODE_REGION_SHADOW) != 0 && !(*left)->taken_up) { /* an earlier life was filling it */
    sim_region_t *old = *left;
    *left = old->next;
    region_free(old);
  }
  if (*region_find(disk, id) != NULL) {
    sim_story_fail(disk->story, "DISK", "region %" PRIu64 " made twice", id);
  }
  if (disk_fails(disk)) {
    return VESTA_ERR_NO_SPACE;
  }
  sim_region_t *region = region_new(disk, id, size);
  region->taken_up = true;
  region->next = disk->regions;
  disk->regions = region;
  *memory = region->memory;
  *pages = region_pages(region);
  return VESTA_OK;
}

static vesta_err_t disk_open(void *context, uint64_t id, void **memory, uint64_t *size, replica_storage_t *pages) {
  sim_disk_t *disk = context;
  sim_region_t *region = *region_find(disk, id);
  if (region == NULL) {
    return VESTA_ERR_NOT_EXIST;
  }
  if (region->taken_up) {
    sim_story_fail(disk->story, "DISK", "region %" PRIu64 " opened twice", id);
  }
  if (sim_chance(disk->random, disk->fail_chance)) {
    disk->failures++;
    return VESTA_ERR_NO_RESOURCES;
  }
  region->taken_up = true;
  *memory = region->memory;
  *size = region->size;
  *pages = region_pages(region);
  return VESTA_OK;
}

static void disk_remove(void *context, uint64_t id) {
  sim_disk_t *disk = context;
  sim_region_t **at = region_find(disk, id);
  sim_region_t *region = *at;
  if (region == NULL) {
    sim_story_fail(disk->story, "DISK", "region %" PRIu64 " removed and not there", id);
  }
  *at = region->next;
  region_free(region);
}

static void disk_rename(void *context, uint64_t from, uint64_t to) {
  sim_disk_t *disk = context;
  sim_region_t *region = *region_find(disk, from);
  if (region == NULL) {
    sim_story_fail(disk->story, "DISK", "region %" PRIx64 " renamed and not there", from);
  }
  if (*region_find(disk, to) != NULL) {
    disk_remove(disk, to);
  }
  region->id = to;
  if ((to & NODE_REGION_DIVERGED) != 0 && disk->may_die && !disk->is_frozen && sim_percent(disk->random, 30)) {
    sim_disk_freeze(disk);
  }
}

static bool disk_has(void *context, uint64_t id) { return *region_find(context, id) != NULL; }

node_storage_t sim_disk_storage(sim_disk_t *disk) {
  return (node_storage_t){.context = disk,
                          .create = disk_create,
                          .open = disk_open,
                          .remove = disk_remove,
                          .rename = disk_rename,
                          .has = disk_has};
}

void sim_disk_let_go(sim_disk_t *disk) {
  for (sim_region_t *region = disk->regions; region != NULL; region = region->next) {
    region->taken_up = false;
  }
}

void sim_disk_sweep(sim_disk_t *disk, bool (*is_known)(void *context, uint64_t checkpoint), void *context) {
  for (sim_region_t **at = &disk->regions; *at != NULL;) {
    sim_region_t *region = *at;
    bool filled = (region->id & NODE_REGION_SHADOW) != 0;
    if (region->taken_up || (!filled && is_known(context, region->id & ~NODE_REGION_DIVERGED))) {
      at = &region->next;
    } else {
      sim_story_say(disk->story, "region %" PRIu64 " was left behind and is deleted", region->id);
      *at = region->next;
      region_free(region);
    }
  }
}

const void *sim_disk_look(const sim_disk_t *disk, uint64_t id) {
  const sim_region_t *region = disk->regions;
  while (region != NULL && region->id != id) {
    region = region->next;
  }
  return region != NULL ? region->memory : NULL;
}

uint32_t sim_disk_region_count(const sim_disk_t *disk) {
  uint32_t count = 0;
  for (const sim_region_t *region = disk->regions; region != NULL; region = region->next) {
    count++;
  }
  return count;
}

/* ---- a crash at a store ---- */

static void regions_free(sim_region_t **regions) {
  while (*regions != NULL) {
    sim_region_t *region = *regions;
    *regions = region->next;
    region_free(region);
  }
}

void sim_disk_freeze(sim_disk_t *disk) {
  VESTA_ASSERT(!disk->is_frozen);
  disk->is_frozen = true;
  for (sim_region_t *region = disk->regions; region != NULL; region = region->next) {
    sim_region_t *copy = sim_memory_get(sizeof *copy);
    *copy = *region;
    copy->disk = NULL;
    copy->reserved = sim_memory_copy(region->reserved, (size_t)(region->size / PAGE_BYTES));
    copy->memory = sim_memory_get((size_t)region->page_count * PAGE_BYTES);
    uint8_t *to = copy->memory;
    for (uint64_t page = 0; page < region->size / PAGE_BYTES; page++) {
      if (region->reserved[page] != 0) {
        memcpy(to, region->memory + page * PAGE_BYTES, PAGE_BYTES);
        to += PAGE_BYTES;
      }
    }
    copy->next = disk->frozen;
    disk->frozen = copy;
  }
}

void sim_disk_thaw(sim_disk_t *disk) {
  VESTA_ASSERT(disk->is_frozen);
  disk->is_frozen = false;
  regions_free(&disk->regions);
  for (const sim_region_t *copy = disk->frozen; copy != NULL; copy = copy->next) {
    sim_region_t *region = region_new(disk, copy->id, copy->size);
    const uint8_t *from = copy->memory;
    for (uint64_t page = 0; page < region->size / PAGE_BYTES; page++) {
      uint64_t run = page;
      while (run < region->size / PAGE_BYTES && copy->reserved[run] != 0) {
        region->reserved[run++] = 1;
      }
      if (run > page) {
        region_protect(region, page, run, true);
        memcpy(region->memory + page * PAGE_BYTES, from, (size_t)(run - page) * PAGE_BYTES);
        from += (run - page) * PAGE_BYTES;
        page = run - 1;
      }
    }
    region->page_count = copy->page_count;
    region->next = disk->regions;
    disk->regions = region;
  }
  regions_free(&disk->frozen);
}

/* ---- the journal ---- */

void sim_journal_add(sim_journal_t *journal, const wire_message_t *op) {
  size_t capacity = wire_encoded_size_max(op);
  uint8_t *bytes = sim_memory_get(capacity);
  size_t size = 0;
  vesta_err_t err = wire_encode(op, bytes, capacity, &size);
  VESTA_ASSERT(err == VESTA_OK);
  if (journal->count == journal->capacity) {
    journal->capacity = journal->capacity == 0 ? 64 : journal->capacity * 2;
    journal->ops = sim_memory_grow(journal->ops, journal->capacity * sizeof *journal->ops);
  }
  journal->ops[journal->count++] = vesta_bytes(bytes, size);
  journal->size_bytes += size;
}

static int rows_order(const void *a, const void *b) {
  const vesta_bytes_t *x = a, *y = b;
  size_t size = x->size < y->size ? x->size : y->size;
  int order = memcmp(x->data, y->data, size);
  return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

void sim_journal_sort(sim_journal_t *journal) {
  if (journal->count > 0) {
    qsort(journal->ops, journal->count, sizeof *journal->ops, rows_order);
  }
}

bool sim_journal_equal(const sim_journal_t *a, const sim_journal_t *b) {
  bool same = a->count == b->count;
  for (uint32_t i = 0; same && i < a->count; i++) {
    same = vesta_bytes_equal(a->ops[i], b->ops[i]);
  }
  return same;
}

void sim_journal_fini(sim_journal_t *journal) {
  for (uint32_t i = 0; i < journal->count; i++) {
    free((void *)(uintptr_t)journal->ops[i].data);
  }
  free(journal->ops);
  *journal = (sim_journal_t){0};
}

/* On a full disk there is room left in the journal's last page. */
vesta_err_t sim_disk_append(sim_disk_t *disk, const wire_message_t *op) {
  uint64_t end = disk->journal.size_bytes + wire_encoded_size_max(op);
  bool full = disk->full && end / PAGE_BYTES != disk->journal.size_bytes / PAGE_BYTES;
  if (full || sim_chance(disk->random, disk->fail_chance)) {
    disk->failures++;
    return VESTA_ERR_NO_SPACE;
  }
  sim_journal_add(&disk->journal, op);
  return VESTA_OK;
}

void sim_disk_rewrite(sim_disk_t *disk, sim_journal_t *ops) {
  sim_journal_fini(&disk->journal);
  disk->journal = *ops;
  *ops = (sim_journal_t){0};
}

void sim_disk_fini(sim_disk_t *disk) {
  regions_free(&disk->regions);
  regions_free(&disk->frozen);
  sim_journal_fini(&disk->journal);
}
