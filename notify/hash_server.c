/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See hash_server.h.
 */
#include "notify/hash_server.h"

#include <stdlib.h>

#define SCRUB_PARTS 32U         /* each time one of so many parts is hashed anew although it did not change */
#define TURNS_BEFORE_LARGER 16U /* while following: then the pieces are twice as large */

typedef struct hash_place {
  uint64_t checkpoint_id; /* 0: a free place */
  content_sum_t *sum;
  bool wanted;
  bool gave_up;    /* told to the next who asks */
  uint64_t used;   /* the later, the greater */
  uint64_t turns;  /* that it has been following */
  uint64_t lost;   /* content_sum_lost() when it was wanted */
  uint64_t hashed; /* of the sum's bytes, counted */
} hash_place_t;

struct hash_server {
  hash_place_t places[VESTA_HASHED_CHECKPOINTS_MAX];
  uint32_t next; /* whose turn it is */
  uint32_t wanted_count;
  uint64_t bytes_max;
  uint64_t uses;
  uint64_t counters[HASH_COUNTER_COUNT];
};

hash_server_t *hash_server_new(uint64_t bytes_max) {
  hash_server_t *server = calloc(1, sizeof *server);
  if (server != NULL) {
    server->bytes_max = bytes_max;
  }
  return server;
}

void hash_server_destroy(hash_server_t **server) {
  if (*server != NULL) {
    for (size_t i = 0; i < VESTA_HASHED_CHECKPOINTS_MAX; i++) {
      content_sum_destroy(&(*server)->places[i].sum);
    }
    free(*server);
    *server = NULL;
  }
}

/* ---- places ---- */

static uint64_t held_bytes(const hash_server_t *server) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < VESTA_HASHED_CHECKPOINTS_MAX; i++) {
    bytes += server->places[i].sum == NULL ? 0 : content_sum_bytes(server->places[i].sum);
  }
  return bytes;
}

static hash_place_t *place_find(hash_server_t *server, uint64_t checkpoint_id) {
  for (size_t i = 0; i < VESTA_HASHED_CHECKPOINTS_MAX; i++) {
    if (server->places[i].checkpoint_id == checkpoint_id) {
      return &server->places[i];
    }
  }
  return NULL;
}

static void place_unwant(hash_server_t *server, hash_place_t *place) {
  server->wanted_count -= place->wanted ? 1 : 0;
  place->wanted = false;
  place->turns = 0;
}

static void place_free(hash_server_t *server, hash_place_t *place) {
  place_unwant(server, place);
  content_sum_destroy(&place->sum);
  *place = (hash_place_t){0};
}

/* The one of those nobody wants now that was wanted least recently; NULL: there is none. */
static hash_place_t *place_idle(hash_server_t *server) {
  hash_place_t *idle = NULL;
  for (size_t i = 0; i < VESTA_HASHED_CHECKPOINTS_MAX; i++) {
    hash_place_t *place = &server->places[i];
    if (place->checkpoint_id != 0 && !place->wanted && (idle == NULL || place->used < idle->used)) {
      idle = place;
    }
  }
  return idle;
}

static vesta_err_t place_make(hash_server_t *server, uint64_t checkpoint_id, hash_place_t **out) {
  hash_place_t *place = place_find(server, 0);
  if (place == NULL) {
    place = place_idle(server);
    if (place == NULL) {
      return VESTA_ERR_NO_RESOURCES;
    }
    place_free(server, place);
  }
  place->sum = content_sum_new();
  if (place->sum == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  place->checkpoint_id = checkpoint_id;
  *out = place;
  return VESTA_OK;
}

/* ---- asking ---- */

static vesta_err_t want(hash_server_t *server, uint64_t checkpoint_id) {
  hash_place_t *place = place_find(server, checkpoint_id);
  vesta_err_t err = VESTA_OK;
  if (place == NULL) {
    err = place_make(server, checkpoint_id, &place);
  } else if (place->gave_up) {
    place->gave_up = false;
    err = VESTA_ERR_NO_RESOURCES;
  }
  if (err == VESTA_OK) {
    if (!place->wanted) {
      server->wanted_count++;
      place->lost = content_sum_lost(place->sum);
    }
    place->wanted = true;
    place->used = ++server->uses;
  }
  return err;
}

vesta_err_t hash_server_want(hash_server_t *server, uint64_t checkpoint_id) {
  vesta_err_t err = want(server, checkpoint_id);
  server->counters[HASH_COUNTER_HASHES_WANTED]++;
  server->counters[HASH_COUNTER_HASHES_REFUSED] += err != VESTA_OK ? 1 : 0;
  return err;
}

bool hash_server_busy(const hash_server_t *server) { return server->wanted_count != 0; }

void hash_server_forget(hash_server_t *server, uint64_t checkpoint_id) {
  hash_place_t *place = place_find(server, checkpoint_id);
  if (place != NULL) {
    place_free(server, place);
  }
}

/* ---- turns ---- */

/* Twice as large for every time that the writers kept ahead: for many turns, or by more than the log holds. */
static uint64_t piece_bytes(hash_place_t *place) {
  uint64_t bytes = VESTA_HASH_PIECE_BYTES;
  place->turns += content_sum_follows(place->sum) ? 1 : 0;
  uint64_t ahead = place->turns / TURNS_BEFORE_LARGER + content_sum_lost(place->sum) - place->lost;
  for (; ahead > 0 && bytes < VESTA_HASH_PIECE_BYTES_MAX; ahead--) {
    bytes *= 2;
  }
  return bytes;
}

/* The memory does not suffice: somebody who is not wanted is forgotten, else the wish is. */
static void place_starved(hash_server_t *server, hash_place_t *place) {
  hash_place_t *idle = place_idle(server);
  if (idle != NULL) {
    place_free(server, idle);
    return;
  }
  place_unwant(server, place);
  place->gave_up = true;
  server->counters[HASH_COUNTER_HASHES_REFUSED]++;
}

static void place_turn(hash_server_t *server, hash_place_t *place, publisher_t *publisher, const replica_t *replica) {
  content_t content;
  uint64_t others_bytes = held_bytes(server) - content_sum_bytes(place->sum);
  vesta_err_t err =
      content_sum_step(place->sum, replica, piece_bytes(place), server->bytes_max - others_bytes, &content);
  uint64_t hashed_bytes = content_sum_hashed_bytes(place->sum);
  server->counters[HASH_COUNTER_HASHED_BYTES] += hashed_bytes - place->hashed;
  place->hashed = hashed_bytes;
  if (err == VESTA_OK) {
    publisher_content(publisher, place->checkpoint_id, &content);
    server->counters[HASH_COUNTER_HASHES_MADE]++;
    place_unwant(server, place);
    content_sum_scrub(place->sum, replica, SCRUB_PARTS);
  } else if (err != VESTA_ERR_TRY_AGAIN) {
    place_starved(server, place);
  }
}

void hash_server_turn(hash_server_t *server, publisher_t *publisher,
                      const replica_t *(*replica)(void *context, uint64_t checkpoint_id), void *context) {
  if (server->wanted_count == 0) {
    return;
  }
  while (!server->places[server->next].wanted) {
    server->next = (server->next + 1) % VESTA_HASHED_CHECKPOINTS_MAX;
  }
  hash_place_t *place = &server->places[server->next];
  server->next = (server->next + 1) % VESTA_HASHED_CHECKPOINTS_MAX;
  const replica_t *found = replica(context, place->checkpoint_id);
  if (found == NULL) {
    place_free(server, place);
  } else {
    place_turn(server, place, publisher, found);
  }
}

uint64_t hash_server_counter(const hash_server_t *server, hash_counter_t counter) {
  return counter == HASH_COUNTER_HASHES_HELD_BYTES ? held_bytes(server) : server->counters[counter];
}
