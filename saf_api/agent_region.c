/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See agent_region.h.
 */
#include "saf_api/agent_region.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "saf_api/agent_clock.h"

static vesta_err_t region_read(void *context, uint64_t offset, void *to, size_t size) {
  const agent_region_t *region = context;
  uint8_t *at = to;
  while (size > 0) {
    ssize_t got = pread(region->fd, at, size, (off_t)offset);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return VESTA_ERR_TRY_AGAIN;
    }
    at += got;
    offset += (uint64_t)got;
    size -= (size_t)got;
  }
  return VESTA_OK;
}

/* The index of the replica behind `fd`, and whether it is one of this checkpoint; NULL. */
static void *index_map(agent_region_t *region, int fd, uint64_t checkpoint_id, const vesta_attributes_t *attributes,
                       uint64_t size, replica_reader_t *reader) {
  struct stat info;
  if (fstat(fd, &info) != 0 || (uint64_t)info.st_size < size) {
    return NULL;
  }
  void *index = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  if (index == MAP_FAILED) {
    return NULL;
  }
  replica_reader_io_t io = {.context = region, .read = region_read};
  if (replica_reader_init(reader, index, size, checkpoint_id, attributes, &io) != VESTA_OK) {
    (void)munmap(index, size);
    return NULL;
  }
  return index;
}

bool agent_region_open(agent_region_t *region, int fd, uint64_t checkpoint_id, const vesta_attributes_t *attributes) {
  *region = (agent_region_t){.fd = fd};
  if (fd >= 0 && replica_reader_index_size(attributes, &region->index_bytes) == VESTA_OK) {
    region->index = index_map(region, fd, checkpoint_id, attributes, region->index_bytes, &region->reader);
  }
  if (region->index == NULL) {
    agent_region_close(region);
    return false;
  }
  return true;
}

static bool is_same_file(int a, int b) {
  struct stat of_a, of_b;
  return fstat(a, &of_a) == 0 && fstat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

bool agent_region_replace(agent_region_t *region, int fd, uint64_t checkpoint_id) {
  if (fd < 0) {
    return false;
  }
  replica_reader_t reader; /* equal to the one that is there, but for the address */
  void *index = is_same_file(fd, region->fd)
                    ? NULL
                    : index_map(region, fd, checkpoint_id, &region->reader.attributes, region->index_bytes, &reader);
  bool done = false;
  if (index != NULL) {
    (void)atomic_fetch_add(&region->moves, 1);
    done = mremap(index, region->index_bytes, region->index_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, region->index) !=
           MAP_FAILED;
    if (done) {
      (void)dup3(fd, region->fd, O_CLOEXEC);
    } else {
      (void)munmap(index, region->index_bytes);
    }
    (void)atomic_fetch_add(&region->moves, 1);
  } else {
    done = is_same_file(fd, region->fd);
  }
  (void)close(fd);
  return done;
}

void agent_region_close(agent_region_t *region) {
  if (region->index != NULL) {
    (void)munmap(region->index, region->index_bytes);
    region->index = NULL;
  }
  if (region->fd >= 0) {
    (void)close(region->fd);
    region->fd = -1;
  }
}

bool agent_region_read_holds(const agent_region_t *region, agent_region_read_t read) {
  int64_t until_ns = replica_reader_until(&region->reader); /* a fence is before it */
  bool in_time = until_ns == VESTA_TIME_END || agent_clock_read(CLOCK_BOOTTIME) < until_ns;
  return in_time && read % 2 == 0 && atomic_load_explicit(&region->moves, memory_order_acquire) == read;
}
