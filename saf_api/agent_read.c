/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading sections without a call to the daemon: the replica's index is mapped, its data is copied with pread(2).
 *
 * A checkpoint is mapped at its first read, as long as this process has fewer than VESTA_MAPPED_CHECKPOINTS_MAX; beyond
 * that, and whenever the local answer is not certain, the daemon is asked. The daemon passes the descriptor, read-only,
 * and says the geometry; core/replica_reader.h checks whatever the region itself says. In a cluster the replica may be
 * left for another one: then it is asked for again, at once, and in vain ever more rarely.
 */
#include <stdlib.h>

#include "saf_api/agent_checkpoint.h"
#include "saf_api/agent_clock.h"

#define GROWTH_RETRIES_MAX 8U
#define PATIENCE_MAX 1024U /* reads that go to the daemon between two attempts to map, at most */

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
    if (agent_region_open(&checkpoint->region, reply.fd, reply.message.checkpoint, &checkpoint->attributes)) {
      state = AGENT_MAP_READY;
    }
    reply.fd = -1;
  } else if (err == VESTA_ERR_NOT_EXIST || err == VESTA_ERR_TRY_AGAIN || err == VESTA_ERR_TIMEOUT) {
    state = AGENT_MAP_NOT_YET; /* no active replica so far, or no daemon */
  }
  agent_reply_fini(&reply);
  if (state != AGENT_MAP_READY) {
    agent_quota_return();
  }
  return state;
}

/* The replica that is mapped was left: another one may be in its place. */
static void region_get_again(agent_checkpoint_t *checkpoint) {
  wire_message_t message = {.kind = WIRE_MAP};
  agent_reply_t reply;
  if (agent_checkpoint_call(checkpoint, &message, NULL, 0, &reply) == VESTA_OK) {
    (void)agent_region_replace(&checkpoint->region, reply.fd, reply.message.checkpoint);
    reply.fd = -1;
  }
  agent_reply_fini(&reply);
}

/* Is it time to ask for the region? Twice as many reads pass before each time, so that asking in vain costs little. */
static bool region_is_due(agent_checkpoint_t *checkpoint) {
  uint32_t misses = atomic_fetch_add_explicit(&checkpoint->map_misses, 1, memory_order_relaxed);
  return misses >= atomic_load_explicit(&checkpoint->map_patience, memory_order_relaxed);
}

static void region_asked(agent_checkpoint_t *checkpoint) {
  uint32_t patience = atomic_load_explicit(&checkpoint->map_patience, memory_order_relaxed);
  patience = patience == 0 ? 1 : patience * 2;
  atomic_store_explicit(&checkpoint->map_patience, patience < PATIENCE_MAX ? patience : PATIENCE_MAX,
                        memory_order_relaxed);
  atomic_store_explicit(&checkpoint->map_misses, 0, memory_order_relaxed);
}

static bool region_ready(agent_checkpoint_t *checkpoint) {
  agent_map_state_t state = atomic_load_explicit(&checkpoint->map_state, memory_order_acquire);
  bool is_left = state == AGENT_MAP_READY && agent_region_is_left(&checkpoint->region);
  bool is_wanted = state == AGENT_MAP_NOT_YET && (checkpoint->flags & VESTA_OPEN_READ) != 0;
  if (!is_left && !is_wanted) {
    return state == AGENT_MAP_READY;
  }
  if (!region_is_due(checkpoint)) {
    return false;
  }
  (void)pthread_mutex_lock(&checkpoint->map_lock);
  state = atomic_load(&checkpoint->map_state);
  if (state == AGENT_MAP_NOT_YET) {
    state = region_get(checkpoint);
    atomic_store_explicit(&checkpoint->map_state, state, memory_order_release);
    region_asked(checkpoint);
  } else if (state == AGENT_MAP_READY && agent_region_is_left(&checkpoint->region)) {
    region_get_again(checkpoint);
    region_asked(checkpoint);
  }
  (void)pthread_mutex_unlock(&checkpoint->map_lock);
  return state == AGENT_MAP_READY;
}

void agent_checkpoint_map_soon(agent_checkpoint_t *checkpoint) {
  atomic_store_explicit(&checkpoint->map_patience, 0, memory_order_relaxed);
}

/* What was read is true; and when the region is left next, it is asked for at once. */
static bool region_holds(agent_checkpoint_t *checkpoint, agent_region_read_t read) {
  bool holds = agent_region_read_holds(&checkpoint->region, read);
  if (holds && atomic_load_explicit(&checkpoint->map_patience, memory_order_relaxed) != 0) {
    atomic_store_explicit(&checkpoint->map_patience, 0, memory_order_relaxed);
  }
  return holds;
}

void agent_checkpoint_unmap(agent_checkpoint_t *checkpoint) {
  if (atomic_load(&checkpoint->map_state) == AGENT_MAP_READY) {
    agent_region_close(&checkpoint->region);
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
    agent_region_read_t read = agent_region_read_begin(&checkpoint->region);
    err = replica_reader_read(&checkpoint->region.reader, id, agent_wall_ns(), offset, to, size, read_size);
    err = region_holds(checkpoint, read) ? err : VESTA_ERR_TRY_AGAIN;
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
  agent_region_read_t read = agent_region_read_begin(&checkpoint->region);
  vesta_err_t err = replica_reader_size(&checkpoint->region.reader, id, now_ns, &size);
  if (!region_holds(checkpoint, read)) {
    err = VESTA_ERR_TRY_AGAIN;
  }
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
  err = replica_reader_read(&checkpoint->region.reader, id, now_ns, offset, memory, room, &got);
  if (!region_holds(checkpoint, read) || (err == VESTA_OK && got == room)) {
    err = VESTA_ERR_TRY_AGAIN; /* it grew meanwhile, or it is not ours to read any more */
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

vesta_err_t agent_checkpoint_section_size(agent_checkpoint_t *checkpoint, vesta_bytes_t id, uint64_t seq,
                                          uint64_t *size) {
  if (!region_ready(checkpoint)) {
    return VESTA_ERR_TRY_AGAIN;
  }
  agent_region_read_t read = agent_region_read_begin(&checkpoint->region);
  if (replica_reader_applied(&checkpoint->region.reader) < seq) { /* before it is looked at */
    return VESTA_ERR_TRY_AGAIN;
  }
  vesta_err_t err = replica_reader_size(&checkpoint->region.reader, id, agent_wall_ns(), size);
  return region_holds(checkpoint, read) ? err : VESTA_ERR_TRY_AGAIN;
}
