/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Regions as files, found by their checkpoint's id.
 */
#include "daemon/storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/table.h"
#include "daemon/lock_file.h"
#include "daemon/log.h"
#include "daemon/private_dir.h"

#define STORAGE_PATH_BYTES 1200U
#define STORAGE_NAME_BYTES 32U
#define STORAGE_PREFIX "replica-"
#define STORAGE_LOST "lost-"
#define STORAGE_ENTER_BYTES_MAX (4U << 20)

typedef struct region {
  table_link_t by_checkpoint;
  storage_t *storage;
  uint64_t checkpoint_id;
  int fd;
  void *memory;
  uint64_t size;
} region_t;

struct storage {
  char path[STORAGE_PATH_BYTES];
  int directory;
  int lock;
  int files_max;
  bool full; /* the last reservation found no room */
  uint64_t page_bytes;
  void (*renamed)(void *context, uint64_t to);
  void *renamed_context;
  table_t regions;
  storage_counters_t counters;
};

static region_t *storage_find(const storage_t *storage, uint64_t checkpoint_id) {
  table_link_t *link = table_find(&storage->regions, table_hash_number(checkpoint_id));
  while (link != NULL && TABLE_ENTRY(link, region_t, by_checkpoint)->checkpoint_id != checkpoint_id) {
    link = table_find_next(link);
  }
  return link == NULL ? NULL : TABLE_ENTRY(link, region_t, by_checkpoint);
}

static void storage_name(uint64_t checkpoint_id, char name[STORAGE_NAME_BYTES]) {
  (void)snprintf(name, STORAGE_NAME_BYTES, STORAGE_PREFIX "%016" PRIx64, checkpoint_id);
}

/* ---- pages ---- */

/* Pages of data that are reserved are written soon: to enter them together costs a third less than a fault for each. What
 * is larger is mostly an index, of which little may ever be used. A wish: a kernel before 5.14 does not know it. */
static void storage_enter_pages(const region_t *region, uint64_t offset, uint64_t size) {
#ifdef MADV_POPULATE_WRITE
  uint64_t begin = offset / region->storage->page_bytes * region->storage->page_bytes;
  if (size > region->storage->page_bytes && size <= STORAGE_ENTER_BYTES_MAX) {
    (void)madvise((uint8_t *)region->memory + begin, offset + size - begin, MADV_POPULATE_WRITE);
  }
#else
  (void)region, (void)offset, (void)size;
#endif
}

static vesta_err_t storage_reserve(void *context, uint64_t offset, uint64_t size) {
  region_t *region = context;
  VESTA_ASSERT(offset <= region->size && size <= region->size - offset);
  if (size == 0) {
    return VESTA_OK;
  }
  int failed;
  do {
    failed = fallocate(region->fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size); /* whole pages, by itself */
  } while (failed != 0 && errno == EINTR);
  if (failed != 0) {
    region->storage->counters.reserve_full++;
    if (!region->storage->full) { /* said once, until there is room again */
      log_write(LOG_ID_REPLICA_FULL, "checkpoint=%" PRIu64 " bytes=%" PRIu64 " text=\"%s\"", region->checkpoint_id,
                size, strerror(errno));
    }
  }
  region->storage->full = failed != 0;
  if (failed == 0) {
    storage_enter_pages(region, offset, size);
  }
  return failed != 0 ? VESTA_ERR_NO_SPACE : VESTA_OK;
}

static void storage_release(void *context, uint64_t offset, uint64_t size) {
  region_t *region = context;
  VESTA_ASSERT(offset <= region->size && size <= region->size - offset);
  uint64_t page = region->storage->page_bytes;
  uint64_t begin = (offset + page - 1) / page * page;
  uint64_t end = (offset + size) / page * page;
  if (begin < end) {
    VESTA_ASSERT(
        fallocate(region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)begin, (off_t)(end - begin)) == 0);
  }
}

/* ---- regions ---- */

static vesta_err_t storage_error(int error) {
  switch (error) {
    case ENOENT: return VESTA_ERR_NOT_EXIST;
    case ENOSPC:
    case EDQUOT: return VESTA_ERR_NO_SPACE;
    case ENOMEM: return VESTA_ERR_NO_MEMORY;
    default: /* the kernel's numbers are not ours: no total switch */ return VESTA_ERR_NO_RESOURCES;
  }
}

/* Map an opened file and enter it. Takes `fd` over, also on failure. */
static vesta_err_t storage_enter(storage_t *storage, uint64_t checkpoint_id, int fd, uint64_t size, void **memory,
                                 replica_storage_t *pages) {
  region_t *region = fd >= storage->files_max ? NULL : malloc(sizeof *region);
  if (region == NULL) {
    vesta_err_t err = fd >= storage->files_max ? VESTA_ERR_NO_RESOURCES : VESTA_ERR_NO_MEMORY;
    (void)close(fd);
    return err;
  }
  void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (mapped == MAP_FAILED) {
    vesta_err_t err = errno == ENOMEM ? VESTA_ERR_NO_RESOURCES : storage_error(errno); /* address space, mostly */
    (void)close(fd);
    free(region);
    return err;
  }
  *region = (region_t){.storage = storage, .checkpoint_id = checkpoint_id, .fd = fd, .memory = mapped, .size = size};
  table_insert(&storage->regions, &region->by_checkpoint, table_hash_number(checkpoint_id));
  *memory = mapped;
  *pages = (replica_storage_t){.context = region, .reserve = storage_reserve, .release = storage_release};
  return VESTA_OK;
}

static vesta_err_t storage_create(void *context, uint64_t checkpoint_id, uint64_t size, void **memory,
                                  replica_storage_t *pages) {
  storage_t *storage = context;
  VESTA_ASSERT(storage_find(storage, checkpoint_id) == NULL && size > 0 && size <= VESTA_REGION_BYTES_MAX);
  char name[STORAGE_NAME_BYTES];
  storage_name(checkpoint_id, name);
  (void)unlinkat(storage->directory, name, 0); /* left by a crash before its creation was in the journal */
  int fd = openat(storage->directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    storage->counters.create_failed++;
    return storage_error(errno);
  }
  vesta_err_t err;
  if (ftruncate(fd, (off_t)size) != 0) {
    err = storage_error(errno);
    (void)close(fd);
  } else {
    err = storage_enter(storage, checkpoint_id, fd, size, memory, pages);
  }
  if (err != VESTA_OK) {
    storage->counters.create_failed++;
    (void)unlinkat(storage->directory, name, 0);
  }
  return err;
}

static vesta_err_t storage_take_up(void *context, uint64_t checkpoint_id, void **memory, uint64_t *size,
                                   replica_storage_t *pages) {
  storage_t *storage = context;
  region_t *region = storage_find(storage, checkpoint_id);
  if (region != NULL) { /* there was no memory for what the node has beside it */
    *memory = region->memory;
    *size = region->size;
    *pages = (replica_storage_t){.context = region, .reserve = storage_reserve, .release = storage_release};
    return VESTA_OK;
  }
  char name[STORAGE_NAME_BYTES];
  storage_name(checkpoint_id, name);
  struct stat status;
  int fd = openat(storage->directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    return storage_error(errno);
  }
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0) {
    (void)close(fd);
    return VESTA_ERR_NOT_EXIST;
  }
  vesta_err_t err = storage_enter(storage, checkpoint_id, fd, (uint64_t)status.st_size, memory, pages);
  if (err == VESTA_OK) {
    *size = (uint64_t)status.st_size;
  } else {
    log_write(LOG_ID_REPLICA_OPEN, "checkpoint=%" PRIu64 " error=%s", checkpoint_id, vesta_err_name(err));
  }
  return err;
}

static void storage_unmap(region_t *region) {
  table_remove(&region->storage->regions, &region->by_checkpoint);
  VESTA_ASSERT(munmap(region->memory, region->size) == 0);
  (void)close(region->fd);
  free(region);
}

static void storage_remove(void *context, uint64_t checkpoint_id) {
  storage_t *storage = context;
  region_t *region = storage_find(storage, checkpoint_id);
  char name[STORAGE_NAME_BYTES];
  storage_name(checkpoint_id, name);
  if (region != NULL) {
    storage_unmap(region);
  }
  (void)unlinkat(storage->directory, name, 0);
}

static void storage_rename(void *context, uint64_t from, uint64_t to) {
  storage_t *storage = context;
  region_t *region = storage_find(storage, from);
  char from_name[STORAGE_NAME_BYTES];
  char to_name[STORAGE_NAME_BYTES];
  storage_name(from, from_name);
  storage_name(to, to_name);
  region_t *replaced = storage_find(storage, to);
  if (replaced != NULL) {
    storage_unmap(replaced);
  }
  if (renameat(storage->directory, from_name, storage->directory, to_name) != 0) {
    log_write(LOG_ID_REPLICA_OPEN, "checkpoint=%" PRIu64 " text=\"%s\"", to, strerror(errno));
  }
  if (region != NULL) {
    table_remove(&storage->regions, &region->by_checkpoint);
    region->checkpoint_id = to;
    table_insert(&storage->regions, &region->by_checkpoint, table_hash_number(to));
  }
  if (storage->renamed != NULL) {
    storage->renamed(storage->renamed_context, to);
  }
}

static bool storage_has(void *context, uint64_t checkpoint_id) {
  const storage_t *storage = context;
  char name[STORAGE_NAME_BYTES];
  storage_name(checkpoint_id, name);
  return faccessat(storage->directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void storage_on_rename(storage_t *storage, void (*renamed)(void *context, uint64_t to), void *context) {
  storage->renamed = renamed;
  storage->renamed_context = context;
}

node_storage_t storage_interface(storage_t *storage) {
  return (node_storage_t){.context = storage,
                          .create = storage_create,
                          .open = storage_take_up,
                          .remove = storage_remove,
                          .rename = storage_rename,
                          .has = storage_has};
}

int storage_descriptor(storage_t *storage, uint64_t checkpoint_id) {
  char name[STORAGE_NAME_BYTES];
  storage_name(checkpoint_id, name);
  return openat(storage->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* ---- the directory ---- */

/* Lock it and open it. */
static vesta_err_t storage_take(storage_t *storage, char *why, size_t why_size) {
  char lock_path[STORAGE_PATH_BYTES + 8];
  (void)snprintf(lock_path, sizeof lock_path, "%s/lock", storage->path);
  vesta_err_t err = lock_file_take(lock_path, &storage->lock);
  if (err != VESTA_OK) {
    (void)snprintf(why, why_size, "replica directory %s %s", storage->path,
                   err == VESTA_ERR_BUSY ? "is in use by another vestad" : "cannot be locked");
    return err;
  }
  lock_file_sign(storage->lock);
  storage->directory = open(storage->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (storage->directory < 0) {
    (void)snprintf(why, why_size, "cannot open %s: %s", storage->path, strerror(errno));
    return VESTA_ERR_ACCESS;
  }
  return VESTA_OK;
}

vesta_err_t storage_open(const char *path, int files_max, storage_t **out, char *why, size_t why_size) {
  if (!private_dir_make(path, PRIVATE_DIR_NO_GROUP, why, why_size) || !private_dir_is_tmpfs(path, why, why_size)) {
    return VESTA_ERR_ACCESS;
  }
  storage_t *storage = calloc(1, sizeof *storage);
  if (storage == NULL || !table_init(&storage->regions)) {
    (void)snprintf(why, why_size, "out of memory");
    free(storage);
    return VESTA_ERR_NO_MEMORY;
  }
  (void)snprintf(storage->path, sizeof storage->path, "%s", path);
  storage->lock = -1;
  storage->directory = -1;
  storage->files_max = files_max;
  storage->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
  vesta_err_t err = storage_take(storage, why, why_size);
  if (err != VESTA_OK) {
    storage_close(&storage);
    return err;
  }
  *out = storage;
  return VESTA_OK;
}

void storage_close(storage_t **storage) {
  if (*storage == NULL) {
    return;
  }
  size_t bucket = 0;
  for (table_link_t *link = table_each(&(*storage)->regions, &bucket, NULL); link != NULL;) {
    region_t *region = TABLE_ENTRY(link, region_t, by_checkpoint);
    link = table_each(&(*storage)->regions, &bucket, link);
    storage_unmap(region);
  }
  table_fini(&(*storage)->regions);
  if ((*storage)->directory >= 0) {
    (void)close((*storage)->directory);
  }
  if ((*storage)->lock >= 0) {
    (void)close((*storage)->lock);
  }
  free(*storage);
  *storage = NULL;
}

/* Call `each` for each replica's file. */
static void storage_each_file(storage_t *storage,
                              void (*each)(storage_t *storage, uint64_t checkpoint_id, void *context), void *context) {
  int fd = openat(storage->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *files = fd < 0 ? NULL : fdopendir(fd);
  if (files == NULL) {
    if (fd >= 0) {
      (void)close(fd);
    }
    return;
  }
  for (struct dirent *entry = readdir(files); entry != NULL; entry = readdir(files)) {
    uint64_t checkpoint_id;
    char name[STORAGE_NAME_BYTES];
    if (sscanf(entry->d_name, STORAGE_PREFIX "%16" SCNx64, &checkpoint_id) == 1) {
      storage_name(checkpoint_id, name);
      if (strcmp(name, entry->d_name) == 0) {
        each(storage, checkpoint_id, context);
      }
    }
  }
  (void)closedir(files);
}

typedef struct storage_owner {
  bool (*has)(void *context, uint64_t checkpoint_id);
  void *context;
} storage_owner_t;

/* What diverged is kept for the operator; what was being filled from another node is begun anew; what could not be taken
 * up for want of memory or descriptors is its checkpoint's still. */
static void storage_orphan_drop(storage_t *storage, uint64_t checkpoint_id, void *context) {
  const storage_owner_t *owner = context;
  if ((checkpoint_id & NODE_REGION_DIVERGED) != 0) {
    return;
  }
  if (storage_find(storage, checkpoint_id) != NULL || owner->has(owner->context, checkpoint_id)) {
    return;
  }
  if ((checkpoint_id & NODE_REGION_SHADOW) != 0) {
    storage_remove(storage, checkpoint_id);
  } else {
    log_write(LOG_ID_REPLICA_ORPHAN, "checkpoint=%" PRIu64 " text=\"deleted, no checkpoint has it\"", checkpoint_id);
    storage_remove(storage, checkpoint_id);
  }
}

static void storage_set_aside(region_t *region) {
  storage_t *storage = region->storage;
  char name[STORAGE_NAME_BYTES];
  char aside[STORAGE_NAME_BYTES];
  storage_name(region->checkpoint_id, name);
  (void)snprintf(aside, sizeof aside, STORAGE_LOST "%016" PRIx64, region->checkpoint_id);
  log_write(LOG_ID_REPLICA_DAMAGED, "checkpoint=%" PRIu64 " path=%s/%s", region->checkpoint_id, storage->path, aside);
  storage_unmap(region);
  (void)renameat(storage->directory, name, storage->directory, aside);
}

void storage_sweep(storage_t *storage, bool (*has)(void *context, uint64_t checkpoint_id), void *context) {
  storage_owner_t owner = {.has = has, .context = context};
  storage_each_file(storage, storage_orphan_drop, &owner);
  size_t bucket = 0;
  for (table_link_t *link = table_each(&storage->regions, &bucket, NULL); link != NULL;) {
    region_t *region = TABLE_ENTRY(link, region_t, by_checkpoint);
    link = table_each(&storage->regions, &bucket, link);
    uint64_t beside = NODE_REGION_DIVERGED | NODE_REGION_SHADOW;
    if ((region->checkpoint_id & beside) == 0 && !has(context, region->checkpoint_id)) {
      storage_set_aside(region);
    }
  }
}

static void storage_drop(storage_t *storage, uint64_t checkpoint_id, void *context) {
  (void)context;
  storage_remove(storage, checkpoint_id);
}

void storage_discard(storage_t **storage) {
  storage_each_file(*storage, storage_drop, NULL);
  (void)unlinkat((*storage)->directory, "journal", 0);
  (void)unlinkat((*storage)->directory, "lock", 0); /* last: until here it keeps others out */
  (void)rmdir((*storage)->path);
  storage_close(storage);
}

const char *storage_directory(const storage_t *storage) { return storage->path; }

void storage_counters(const storage_t *storage, storage_counters_t *counters) {
  *counters = storage->counters;
  counters->regions = storage->regions.count;
}
