/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See region_file.h.
 */
#include "cli/region_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static vesta_err_t pages_reserve(void *context, uint64_t offset, uint64_t size) {
  (void)context;
  (void)offset;
  (void)size;
  return VESTA_OK;
}

static void pages_release(void *context, uint64_t offset, uint64_t size) {
  (void)context;
  (void)offset;
  (void)size;
}

/* @return false: it was cut off, or can't be read */
static bool copy_range(int fd, uint8_t *to, off_t from, off_t end) {
  while (from < end) {
    ssize_t got = pread(fd, to + from, (size_t)(end - from), from);
    if (got <= 0) {
      return false;
    }
    from += got;
  }
  return true;
}

static bool copy_file(int fd, uint8_t *to, off_t size) {
  off_t at = 0;
  while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && at < size) {
    off_t end = lseek(fd, at, SEEK_HOLE);
    end = end < 0 || end > size ? size : end;
    if (!copy_range(fd, to, at, end)) {
      return false;
    }
    at = end;
  }
  return at >= 0 || errno == ENXIO; /* nothing but a hole is left */
}

static vesta_err_t region_take_in(int fd, region_file_t *file) {
  struct stat status;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0) {
    return VESTA_ERR_MALFORMED;
  }
  region_file_t made = {.size = (size_t)status.st_size};
  made.memory = mmap(NULL, made.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (made.memory == MAP_FAILED) {
    return VESTA_ERR_NO_MEMORY;
  }
  const replica_storage_t pages = {.reserve = pages_reserve, .release = pages_release};
  vesta_err_t err = copy_file(fd, made.memory, status.st_size) ? VESTA_OK : VESTA_ERR_MALFORMED;
  if (err == VESTA_OK) {
    err = replica_recover(made.memory, made.size, &pages, &made.replica);
  }
  if (err != VESTA_OK) {
    (void)munmap(made.memory, made.size);
    return err;
  }
  *file = made;
  return VESTA_OK;
}

vesta_err_t region_file_open(const char *path, region_file_t *file) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return errno == ENOENT || errno == ENOTDIR ? VESTA_ERR_NOT_EXIST : VESTA_ERR_DENIED;
  }
  vesta_err_t err = region_take_in(fd, file);
  (void)close(fd);
  return err;
}

void region_file_close(region_file_t *file) {
  replica_destroy(&file->replica);
  if (file->memory != NULL) {
    (void)munmap(file->memory, file->size);
    file->memory = NULL;
  }
}
