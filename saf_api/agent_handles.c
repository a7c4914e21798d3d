/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The handle table. See agent_handles.h.
 *
 *   handle   generation (40 bits) | place (24 bits)
 *   state    generation (40 bits) | closed (1 bit) | references (23 bits)      one atomic word a place
 *
 * A place's generation rises when its object goes. The first one is drawn at random, so that handles of another
 * process, of an earlier run or from before a fork are not taken for ours.
 */
#include "saf_api/agent_handles.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "core/limits.h"

#define PLACE_BITS 24U
#define CHUNK_PLACES 1024U
#define CHUNKS_MAX (VESTA_PROCESS_HANDLES_MAX / CHUNK_PLACES)
#define REFERENCES_MASK ((1ULL << 23) - 1)
#define CLOSED (1ULL << 23)
#define GENERATION_MASK ((1ULL << 40) - 1)

static_assert(VESTA_PROCESS_HANDLES_MAX <= 1U << PLACE_BITS, "a place fits into a handle");

typedef struct agent_slot {
  _Atomic uint64_t state;
  agent_object_t *object; /* written while nobody can acquire it */
  struct agent_slot *next_free;
  uint32_t place;
} agent_slot_t;

/* All zero is a valid empty root: that is what a forked child finds. */
typedef struct agent_root {
  pthread_mutex_t lock; /* of what follows; a zeroed one is unlocked on Linux */
  _Atomic(agent_slot_t *) chunks[CHUNKS_MAX];
  uint32_t chunk_count;
  agent_slot_t *free;
  uint64_t generation; /* of the first object of each new place; 0: not drawn yet */
  _Atomic uint32_t quota_taken;
} agent_root_t;

static _Atomic(agent_root_t *) agent_root;

static agent_root_t *root_get(void) {
  agent_root_t *root = atomic_load_explicit(&agent_root, memory_order_acquire);
  if (root != NULL) {
    return root;
  }
  root = mmap(NULL, sizeof *root, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (root == MAP_FAILED) {
    return NULL;
  }
  if (madvise(root, sizeof *root, MADV_WIPEONFORK) != 0) {
    (void)munmap(root, sizeof *root);
    return NULL;
  }
  agent_root_t *other = NULL;
  if (!atomic_compare_exchange_strong(&agent_root, &other, root)) {
    (void)munmap(root, sizeof *root); /* another thread was faster */
    root = other;
  }
  return root;
}

static uint64_t generation_draw(void) {
  uint64_t drawn = 0;
  if (getrandom(&drawn, sizeof drawn, GRND_NONBLOCK) != (ssize_t)sizeof drawn) {
    struct timespec now; /* early at boot: as good as it gets */
    (void)clock_gettime(CLOCK_REALTIME, &now);
    drawn = (uint64_t)now.tv_nsec * 1000003U + (uint64_t)now.tv_sec;
  }
  return (drawn & (GENERATION_MASK >> 1)) | 1; /* never 0, and far from wrapping */
}

static vesta_err_t chunk_add(agent_root_t *root) {
  if (root->chunk_count == CHUNKS_MAX) {
    return VESTA_ERR_NO_RESOURCES;
  }
  /* Pages like the root's, kept to the end of the process: to leak checkers, which do not look there, no leak. */
  agent_slot_t *chunk =
      mmap(NULL, CHUNK_PLACES * sizeof *chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (chunk == MAP_FAILED) {
    return VESTA_ERR_NO_MEMORY;
  }
  if (root->generation == 0) {
    root->generation = generation_draw();
  }
  for (uint32_t i = CHUNK_PLACES; i-- > 0;) {
    chunk[i].place = root->chunk_count * CHUNK_PLACES + i;
    chunk[i].next_free = root->free;
    atomic_init(&chunk[i].state, root->generation << PLACE_BITS | CLOSED);
    root->free = &chunk[i];
  }
  atomic_store_explicit(&root->chunks[root->chunk_count], chunk, memory_order_release);
  root->chunk_count++;
  return VESTA_OK;
}

vesta_err_t agent_handle_new(agent_object_t *object) {
  agent_root_t *root = root_get();
  if (root == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  (void)pthread_mutex_lock(&root->lock);
  vesta_err_t err = root->free != NULL ? VESTA_OK : chunk_add(root);
  if (err == VESTA_OK) {
    agent_slot_t *slot = root->free;
    root->free = slot->next_free;
    slot->object = object;
    object->slot = slot;
    uint64_t state = atomic_fetch_add(&slot->state, 1);
    object->handle = (state & ~(CLOSED | REFERENCES_MASK)) | slot->place;
  }
  (void)pthread_mutex_unlock(&root->lock);
  return err;
}

void agent_handle_publish(agent_object_t *object) { (void)atomic_fetch_and(&object->slot->state, ~CLOSED); }

agent_object_t *agent_handle_acquire(uint64_t handle, agent_kind_t kind) {
  agent_root_t *root = atomic_load_explicit(&agent_root, memory_order_acquire);
  uint32_t place = (uint32_t)(handle & ((1U << PLACE_BITS) - 1));
  if (root == NULL || place >= VESTA_PROCESS_HANDLES_MAX) {
    return NULL;
  }
  agent_slot_t *chunk = atomic_load_explicit(&root->chunks[place / CHUNK_PLACES], memory_order_acquire);
  if (chunk == NULL) {
    return NULL;
  }
  agent_slot_t *slot = &chunk[place % CHUNK_PLACES];
  uint64_t state = atomic_load(&slot->state);
  do {
    if (state >> PLACE_BITS != handle >> PLACE_BITS || (state & CLOSED) != 0) {
      return NULL;
    }
    VESTA_ASSERT((state & REFERENCES_MASK) != REFERENCES_MASK);
  } while (!atomic_compare_exchange_weak(&slot->state, &state, state + 1));
  agent_object_t *object = slot->object;
  if (object->kind != kind) {
    agent_handle_release(object);
    return NULL;
  }
  return object;
}

void agent_handle_retain(agent_object_t *object) { (void)atomic_fetch_add(&object->slot->state, 1); }

bool agent_handle_close(agent_object_t *object) {
  return (atomic_fetch_or(&object->slot->state, CLOSED) & CLOSED) == 0;
}

bool agent_handle_is_closed(const agent_object_t *object) { return (atomic_load(&object->slot->state) & CLOSED) != 0; }

void agent_handle_release(agent_object_t *object) {
  if (object == NULL) {
    return;
  }
  agent_slot_t *slot = object->slot;
  uint64_t state = atomic_fetch_sub(&slot->state, 1);
  VESTA_ASSERT((state & REFERENCES_MASK) != 0);
  if ((state & REFERENCES_MASK) != 1 || (state & CLOSED) == 0) {
    return;
  }
  agent_root_t *root = root_get();
  agent_slot_t *chunk = atomic_load(&root->chunks[slot->place / CHUNK_PLACES]);
  if (chunk != slot - slot->place % CHUNK_PLACES) {
    return; /* a forked child came back from a callback: the object is its parent's */
  }
  object->destroy(object);
  (void)pthread_mutex_lock(&root->lock);
  uint64_t generation = ((state >> PLACE_BITS) + 1) & GENERATION_MASK;
  atomic_store(&slot->state, (generation == 0 ? 1 : generation) << PLACE_BITS | CLOSED);
  slot->object = NULL;
  slot->next_free = root->free;
  root->free = slot;
  (void)pthread_mutex_unlock(&root->lock);
}

bool agent_quota_take(uint32_t max) {
  agent_root_t *root = root_get();
  uint32_t taken = atomic_load(&root->quota_taken);
  do {
    if (taken >= max) {
      return false;
    }
  } while (!atomic_compare_exchange_weak(&root->quota_taken, &taken, taken + 1));
  return true;
}

void agent_quota_return(void) { (void)atomic_fetch_sub(&root_get()->quota_taken, 1); }
