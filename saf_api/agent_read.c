/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading sections without a call to the daemon: the replica's index is mapped, its data is copied with pread(2).
 *
 * A checkpoint is mapped at its first read, as long as this process has fewer than VESTA_MAPPED_CHECKPOINTS_MAX; beyond
 * that, and whenever the local answer is not certain, the daemon is asked. The daemon passes the descriptor, read-only,
 * and says the geometry; core/replica_reader.h checks whatever the region itself says.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "saf_api/agent_checkpoint.h"
#include "saf_api/agent_clock.h"

#define GROWTH_RETRIES_MAX 8U

static vesta_err_t region_read(void *context, uint64_t offset, void *to, size_t size) {
  const agent_checkpoint_t *checkpoint = context;
  uint8_t *at = to;
  while (size > 0) {
    ssize_t got = pread(checkpoint->region_fd, at, size, (off_t)offset);
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

static bool index_map(agent_checkpoint_t *checkpoint, uint64_t checkpoint_id) {
  uint64_t size;
  struct stat info;
  if (replica_reader_index_size(&checkpoint->attributes, &size) != VESTA_OK ||
      fstat(checkpoint->region_fd, &info) != 0 || (uint64_t)info.st_size < size) {
    return false;
  }
  void *index = mmap(NULL, size, PROT_READ, MAP_SHARED, checkpoint->region_fd, 0);
  if (index == MAP_FAILED) {
    return false;
  }
  checkpoint->index = index;
  checkpoint->index_bytes = size;
  replica_reader_io_t io = {.context = checkpoint, .read = region_read};
  return replica_reader_init(&checkpoint->reader, index, size, checkpoint_id, &checkpoint->attributes, &io) == VESTA_OK;
}

static void region_drop(agent_checkpoint_t *checkpoint) {
  if (checkpoint->index != NULL) {
    (void)munmap(checkpoint->index, checkpoint->index_bytes);
    checkpoint->index = NULL;
  }
  if (checkpoint->region_fd >= 0) {
    (void)close(checkpoint->region_fd);
    checkpoint->region_fd = -1;
  }
}

/* Ask for the region. What comes of it is for good, unless the daemon could not tell now. */
static agent_map_state_t region_get(agent_checkpoint_t *checkpoint) {
  if (!agent_quota_take(VESTA_MAPPED_CHECKPOINTS_MAX)) {
    return AGENT_MAP_NEVER;
  }
  wire_message_t message = {.kind = WIRE_MAP};
  agent_reply_t reply;
  vesta_err_t err = agent_checkpoint_call(checkpoint, &message, NULL, 0, &reply);
  agent_map_state_t state = AGENT_MAP_NEVER;
  if (err == VESTA_OK) {
    checkpoint->region_fd = reply.fd;
    reply.fd = -1;
    if (checkpoint->region_fd >= 0 && index_map(checkpoint, reply.message.checkpoint)) {
      state = AGENT_MAP_READY;
    }
  } else if (err == VESTA_ERR_NOT_EXIST || err == VESTA_ERR_TRY_AGAIN || err == VESTA_ERR_TIMEOUT) {
    state = AGENT_MAP_NOT_YET; /* no active replica so far, or no daemon */
  }
  agent_reply_fini(&reply);
  if (state != AGENT_MAP_READY) {
    region_drop(checkpoint);
    agent_quota_return();
  }
  return state;
}

static bool region_ready(agent_checkpoint_t *checkpoint) {
  agent_map_state_t state = atomic_load_explicit(&checkpoint->map_state, memory_order_acquire);
  if (state == AGENT_MAP_NOT_YET && (checkpoint->flags & VESTA_OPEN_READ) != 0) {
    (void)pthread_mutex_lock(&checkpoint->map_lock);
    state = atomic_load(&checkpoint->map_state);
    if (state == AGENT_MAP_NOT_YET) {
      state = region_get(checkpoint);
      atomic_store_explicit(&checkpoint->map_state, state, memory_order_release);
    }
    (void)pthread_mutex_unlock(&checkpoint->map_lock);
  }
  return state == AGENT_MAP_READY;
}

void agent_checkpoint_unmap(agent_checkpoint_t *checkpoint) {
  if (atomic_load(&checkpoint->map_state) == AGENT_MAP_READY) {
    region_drop(checkpoint);
    agent_quota_return();
  }
}

/* Ask the daemon. The answer is the caller's. */
static vesta_err_t read_ask(agent_checkpoint_t *checkpoint, vesta_bytes_t id, uint64_t offset, uint64_t size,
                            agent_reply_t *reply) {
  wire_message_t message = {.kind = WIRE_READ, .id = id, .offset = offset, .size = size};
  return agent_checkpoint_call(checkpoint, &message, NULL, 0, reply);
}

vesta_err_t agent_checkpoint_read(agent_checkpoint_t *checkpoint, vesta_bytes_t id, uint64_t offset, void *to,
                                  size_t size, size_t *read_size) {
  vesta_err_t err = VESTA_ERR_TRY_AGAIN;
  if (region_ready(checkpoint)) {
    err = replica_reader_read(&checkpoint->reader, id, agent_wall_ns(), offset, to, size, read_size);
  }
  if (err != VESTA_ERR_TRY_AGAIN) {
    return err;
  }
  agent_reply_t reply;
  err = read_ask(checkpoint, id, offset, size, &reply);
  if (err == VESTA_OK) {
    *read_size = reply.payload.size < size ? reply.payload.size : size;
    if (*read_size > 0) {
      memcpy(to, reply.payload.data, *read_size);
    }
  }
  agent_reply_fini(&reply);
  return err;
}

/* Copy out of a reply into memory that can be freed with free(). */
static vesta_err_t rest_copy(vesta_bytes_t rest, void **to, size_t *read_size) {
  void *memory = NULL;
  if (rest.size > 0) {
    memory = malloc(rest.size);
    if (memory == NULL) {
      return VESTA_ERR_NO_MEMORY;
    }
    memcpy(memory, rest.data, rest.size);
  }
  *to = memory;
  *read_size = rest.size;
  return VESTA_OK;
}

/* One byte more than is there shows whether it is still all when it is copied. TRY_AGAIN: it was not, or can't be
 * told. */
static vesta_err_t rest_local(agent_checkpoint_t *checkpoint, vesta_bytes_t id, uint64_t offset, void **to,
                              size_t *read_size) {
  int64_t now_ns = agent_wall_ns();
  uint64_t size;
  vesta_err_t err = replica_reader_size(&checkpoint->reader, id, now_ns, &size);
  if (err != VESTA_OK) {
    return err;
  }
  if (offset > size) {
    return VESTA_ERR_INVALID_PARAM;
  }
  size_t room = (size_t)(size - offset) + 1;
  uint8_t *memory = malloc(room);
  if (memory == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  size_t got = 0;
  err = replica_reader_read(&checkpoint->reader, id, now_ns, offset, memory, room, &got);
  if (err == VESTA_OK && got == room) {
    err = VESTA_ERR_TRY_AGAIN; /* it grew meanwhile */
  }
  if (err != VESTA_OK || got == 0) {
    free(memory);
    memory = NULL;
  }
  if (err == VESTA_OK) {
    *to = memory;
    *read_size = got;
  }
  return err;
}

vesta_err_t agent_checkpoint_read_rest(agent_checkpoint_t *checkpoint, vesta_bytes_t id, uint64_t offset, void **to,
                                       size_t *read_size) {
  if (region_ready(checkpoint)) {
    for (uint32_t i = 0; i < GROWTH_RETRIES_MAX; i++) {
      vesta_err_t err = rest_local(checkpoint, id, offset, to, read_size);
      if (err != VESTA_ERR_TRY_AGAIN) {
        return err;
      }
    }
  }
  agent_reply_t reply;
  vesta_err_t err = read_ask(checkpoint, id, offset, UINT64_MAX, &reply);
  if (err == VESTA_OK) {
    err = rest_copy(reply.payload, to, read_size);
  }
  agent_reply_fini(&reply);
  return err;
}

vesta_err_t agent_checkpoint_section_size(agent_checkpoint_t *checkpoint, vesta_bytes_t id, uint64_t *size) {
  if (!region_ready(checkpoint)) {
    return VESTA_ERR_TRY_AGAIN;
  }
  return replica_reader_size(&checkpoint->reader, id, agent_wall_ns(), size);
}
