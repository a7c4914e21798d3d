/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See answer_turns.h.
 *
 * Each share has two queues: walks that need a place, and the others, among them walks that have one. They are served
 * in turn, so that neither keeps the other waiting.
 */
#include "notify/answer_turns.h"

#include <stdlib.h>

#include "core/table.h"

#define PLACE_KEEP_NS ((int64_t)VESTA_STREAM_PLACE_MS * 1000000)
#define WAIT_NS ((int64_t)VESTA_STREAM_WAIT_MS * 1000000)

/* A waiting request. */
typedef struct waiter {
  table_link_t link; /* by identity */
  struct waiter *before, *behind;
  struct waiter_queue *queue;
  int64_t asked_ns;
  answer_request_t request; /* its bytes are ours: the identity behind this, the request apart */
  uint8_t identity[];
} waiter_t;

typedef struct waiter_queue {
  waiter_t *first, *last;
} waiter_queue_t;

typedef struct share {
  uint32_t user;
  uint32_t waiting, walks;
  bool starts_next;              /* the queue whose turn it is */
  waiter_queue_t starts, others; /* walks without a place; the rest */
} share_t;

/* A place of a walk. */
typedef struct place {
  uint8_t identity[ANSWER_IDENTITY_BYTES_MAX];
  uint32_t identity_size; /* 0: free */
  uint32_t share;
  int64_t answered_ns;
} place_t;

struct answer_turns {
  answer_bytes_t bytes;
  table_t waiters;
  uint32_t waiting;
  uint32_t turn; /* the share that comes first */
  waiter_t *current;
  share_t shares[ANSWER_SHARES];
  place_t places[VESTA_STREAM_WALKS_MAX];
  answer_turns_counters_t counters;
};

answer_turns_t *answer_turns_new(const answer_bytes_t *bytes) {
  answer_turns_t *turns = calloc(1, sizeof *turns);
  if (turns == NULL || !table_init(&turns->waiters)) {
    free(turns);
    return NULL;
  }
  turns->bytes = *bytes;
  return turns;
}

static void waiter_destroy(waiter_t **waiter) {
  if (*waiter != NULL) {
    free((void *)(uintptr_t)(*waiter)->request.request.data);
    free(*waiter);
    *waiter = NULL;
  }
}

static void queue_remove(waiter_t *waiter) {
  waiter_queue_t *queue = waiter->queue;
  *(waiter->before != NULL ? &waiter->before->behind : &queue->first) = waiter->behind;
  *(waiter->behind != NULL ? &waiter->behind->before : &queue->last) = waiter->before;
}

static void queue_append(waiter_queue_t *queue, waiter_t *waiter) {
  waiter->queue = queue;
  waiter->before = queue->last;
  waiter->behind = NULL;
  *(queue->last != NULL ? &queue->last->behind : &queue->first) = waiter;
  queue->last = waiter;
}

void answer_turns_destroy(answer_turns_t **turns) {
  if (*turns == NULL) {
    return;
  }
  waiter_destroy(&(*turns)->current);
  for (uint32_t i = 0; i < ANSWER_SHARES; i++) {
    waiter_queue_t *queues[] = {&(*turns)->shares[i].starts, &(*turns)->shares[i].others};
    for (size_t q = 0; q < sizeof queues / sizeof queues[0]; q++) {
      for (waiter_t *waiter; (waiter = queues[q]->first) != NULL;) {
        queue_remove(waiter);
        waiter_destroy(&waiter);
      }
    }
  }
  table_fini(&(*turns)->waiters);
  free(*turns);
  *turns = NULL;
}

/* ---- shares ---- */

/* The share of a user: its own, or a free one, or by chance one that another user has as well. */
static uint32_t share_find(answer_turns_t *turns, uint32_t user) {
  uint32_t home = (uint32_t)(table_hash_number(user) % ANSWER_SHARES);
  uint32_t found = ANSWER_SHARES;
  for (uint32_t i = 0; i < ANSWER_SHARES; i++) {
    uint32_t at = (home + i) % ANSWER_SHARES;
    const share_t *share = &turns->shares[at];
    bool in_use = share->waiting + share->walks != 0;
    if (in_use && share->user == user) {
      return at;
    }
    found = !in_use && found == ANSWER_SHARES ? at : found;
  }
  found = found == ANSWER_SHARES ? home : found;
  turns->shares[found].user = user;
  return found;
}

/* As much as is free may be taken by one. */
static bool share_may_wait(const answer_turns_t *turns, const share_t *share) {
  return turns->waiting < VESTA_STREAM_WAITING_MAX && share->waiting < VESTA_STREAM_WAITING_MAX - turns->waiting;
}

static bool share_may_walk(const answer_turns_t *turns, const share_t *share) {
  uint32_t taken = (uint32_t)turns->counters.walks;
  return taken < VESTA_STREAM_WALKS_MAX && share->walks < VESTA_STREAM_WALKS_MAX - taken;
}

static bool share_may_hold(const answer_turns_t *turns, uint32_t share) {
  uint64_t held = turns->bytes.held(turns->bytes.context, share);
  uint64_t all = turns->bytes.held_all(turns->bytes.context);
  return held == 0 || (all < VESTA_STREAM_ANSWER_BYTES_MAX && held < VESTA_STREAM_ANSWER_BYTES_MAX - all);
}

/* ---- places ---- */

static place_t *place_find(answer_turns_t *turns, vesta_bytes_t identity) {
  for (uint32_t i = 0; i < VESTA_STREAM_WALKS_MAX; i++) {
    place_t *place = &turns->places[i];
    if (place->identity_size == identity.size && memcmp(place->identity, identity.data, identity.size) == 0) {
      return place;
    }
  }
  return NULL;
}

static void place_free(answer_turns_t *turns, place_t *place) {
  turns->shares[place->share].walks--;
  turns->counters.walks--;
  place->identity_size = 0;
}

/* @param sort   0: any */
static waiter_t *waiter_find(const answer_turns_t *turns, vesta_bytes_t identity, uint32_t sort) {
  table_link_t *link = table_find(&turns->waiters, table_hash_bytes(identity));
  for (; link != NULL; link = table_find_next(link)) {
    waiter_t *waiter = TABLE_ENTRY(link, waiter_t, link);
    if (vesta_bytes_equal(waiter->request.identity, identity) && (sort == 0 || waiter->request.sort == sort)) {
      return waiter;
    }
  }
  return NULL;
}

/* Take the places back of those who don't ask on. */
static void places_evict(answer_turns_t *turns, int64_t steady_ns) {
  for (uint32_t i = 0; i < VESTA_STREAM_WALKS_MAX; i++) {
    place_t *place = &turns->places[i];
    if (place->identity_size != 0 && steady_ns - place->answered_ns >= PLACE_KEEP_NS &&
        waiter_find(turns, vesta_bytes(place->identity, place->identity_size), 0) == NULL) {
      place_free(turns, place);
      turns->counters.evicted++;
    }
  }
}

static void place_take(answer_turns_t *turns, const answer_request_t *request, int64_t steady_ns) {
  place_t *place = turns->places;
  while (place->identity_size != 0) {
    place++;
  }
  VESTA_ASSERT(place < turns->places + VESTA_STREAM_WALKS_MAX); /* answer_turns_next() has seen to it */
  memcpy(place->identity, request->identity.data, request->identity.size);
  place->identity_size = (uint32_t)request->identity.size;
  place->share = request->share;
  place->answered_ns = steady_ns;
  turns->shares[place->share].walks++;
  turns->counters.walks++;
  if (turns->counters.walks > turns->counters.walks_max) {
    turns->counters.walks_max = turns->counters.walks;
  }
}

/* ---- asking ---- */

static uint8_t *bytes_copy(vesta_bytes_t bytes) {
  uint8_t *copy = malloc(bytes.size + 1);
  if (copy != NULL && bytes.size != 0) {
    memcpy(copy, bytes.data, bytes.size);
  }
  return copy;
}

static waiter_t *waiter_new(const answer_request_t *request, uint8_t *copy) {
  waiter_t *waiter = malloc(sizeof *waiter + request->identity.size);
  if (waiter == NULL) {
    return NULL;
  }
  *waiter = (waiter_t){.request = *request};
  memcpy(waiter->identity, request->identity.data, request->identity.size);
  waiter->request.identity = vesta_bytes(waiter->identity, request->identity.size);
  waiter->request.request = vesta_bytes(copy, request->request.size);
  return waiter;
}

static void waiter_enter(answer_turns_t *turns, waiter_t *waiter, uint32_t at) {
  share_t *share = &turns->shares[at];
  bool starts = waiter->request.walk && place_find(turns, waiter->request.identity) == NULL;
  waiter->request.share = at;
  queue_append(starts ? &share->starts : &share->others, waiter);
  table_insert(&turns->waiters, &waiter->link, table_hash_bytes(waiter->request.identity));
  share->waiting++;
  turns->waiting++;
}

static void waiter_leave(answer_turns_t *turns, waiter_t *waiter) {
  queue_remove(waiter);
  table_remove(&turns->waiters, &waiter->link);
  turns->shares[waiter->request.share].waiting--;
  turns->waiting--;
}

vesta_err_t answer_turns_ask(answer_turns_t *turns, const answer_request_t *request, int64_t steady_ns) {
  VESTA_ASSERT(request->identity.size >= 1 && request->identity.size <= ANSWER_IDENTITY_BYTES_MAX);
  waiter_t *waiter = waiter_find(turns, request->identity, request->sort);
  uint32_t at = waiter != NULL ? waiter->request.share : share_find(turns, request->user);
  if (waiter == NULL && !share_may_wait(turns, &turns->shares[at])) {
    turns->counters.refused++;
    return VESTA_ERR_NO_RESOURCES;
  }
  uint8_t *copy = bytes_copy(request->request);
  if (copy == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  if (waiter != NULL) {
    free((void *)(uintptr_t)waiter->request.request.data);
    waiter->request.request = vesta_bytes(copy, request->request.size);
    waiter->asked_ns = steady_ns;
    return VESTA_OK;
  }
  waiter = waiter_new(request, copy);
  if (waiter == NULL) {
    free(copy);
    return VESTA_ERR_NO_MEMORY;
  }
  waiter->asked_ns = steady_ns;
  waiter_enter(turns, waiter, at);
  turns->counters.waited += waiter->queue == &turns->shares[at].starts && !share_may_walk(turns, &turns->shares[at]);
  return VESTA_OK;
}

/* ---- answering ---- */

/* The first of a queue that is still there; those who are gone leave. */
static waiter_t *queue_first(answer_turns_t *turns, waiter_queue_t *queue, int64_t steady_ns) {
  for (waiter_t *waiter; (waiter = queue->first) != NULL;) {
    if (steady_ns - waiter->asked_ns < WAIT_NS) {
      return waiter;
    }
    waiter_leave(turns, waiter);
    waiter_destroy(&waiter);
    turns->counters.stale++;
  }
  return NULL;
}

/* Whose turn it is of one share; NULL: nobody's. */
static waiter_t *share_next(answer_turns_t *turns, uint32_t at, int64_t steady_ns) {
  share_t *share = &turns->shares[at];
  if (share->waiting == 0 || !share_may_hold(turns, at)) {
    return NULL;
  }
  waiter_t *start = queue_first(turns, &share->starts, steady_ns);
  waiter_t *other = queue_first(turns, &share->others, steady_ns);
  if (start != NULL && !share_may_walk(turns, share)) {
    places_evict(turns, steady_ns);
    start = share_may_walk(turns, share) ? start : NULL;
  }
  bool starts = start != NULL && (share->starts_next || other == NULL);
  share->starts_next = !starts;
  return starts ? start : other;
}

bool answer_turns_next(answer_turns_t *turns, int64_t steady_ns, answer_request_t *request) {
  waiter_destroy(&turns->current);
  for (uint32_t i = 0; i < ANSWER_SHARES && turns->waiting != 0; i++) {
    uint32_t at = (turns->turn + i) % ANSWER_SHARES;
    waiter_t *waiter = share_next(turns, at, steady_ns);
    if (waiter != NULL) {
      waiter_leave(turns, waiter);
      turns->current = waiter;
      turns->turn = at + 1;
      *request = waiter->request;
      return true;
    }
  }
  return false;
}

void answer_turns_done(answer_turns_t *turns, const answer_request_t *request, bool goes_on, int64_t steady_ns) {
  place_t *place = place_find(turns, request->identity);
  if (place != NULL && request->walk && !goes_on) {
    place_free(turns, place);
  } else if (place != NULL) {
    place->answered_ns = steady_ns;
  } else if (request->walk && goes_on) {
    place_take(turns, request, steady_ns);
  }
}

uint32_t answer_turns_waiting(const answer_turns_t *turns) { return turns->waiting; }

void answer_turns_counters(const answer_turns_t *turns, answer_turns_counters_t *counters) {
  *counters = turns->counters;
}
