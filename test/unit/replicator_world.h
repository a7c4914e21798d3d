/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Three replicators with real replicas, and links between them that can be told to do everything a link may do: keep
 * messages back, lose them when they break, deliver some of them late and twice. Storage of a member can be told to be
 * full. Who is primary and who has to follow is said by the test, as the directory would.
 *
 * Watched all the time: whoever commits a number commits the same operation; when a synchronous primary commits, every
 * required copy has it; a client's operation that was refused is never committed, nor the other way round.
 */
#ifndef VESTA_TEST_UNIT_REPLICATOR_WORLD_H
#define VESTA_TEST_UNIT_REPLICATOR_WORLD_H

#include "test/unit/replica_copies.h"

#include "core/replicator.h"

#define MEMBERS 3U
#define SEQS_MAX 65536U
#define SECOND INT64_C(1000000000)

typedef struct letter {
  struct letter *next;
  uint32_t from, to;
  wire_message_t message;
  vesta_bytes_t payload;
  uint8_t memory[];
} letter_t;

typedef struct letters {
  letter_t *first, **last;
  uint64_t bytes, count;
} letters_t;

typedef struct world world_t;

typedef struct member member_t;

/* The pages of one replica, and whose they are. */
typedef struct room {
  pages_t pages;
  member_t *member;
} room_t;

struct member {
  world_t *world;
  uint32_t id; /* from 1 */
  room_t *room, *shadow_room;
  replica_t *replica; /* NULL: none */
  replicator_t *replicator;
  replicator_scratch_t *scratch;
  replicator_config_t config;
  bool full;    /* its storage */
  bool stopped; /* does nothing */
  uint32_t diverged, swaps, caught_up, failed;
  uint64_t committed_seq; /* told last */
};

typedef enum outcome { PENDING, COMMITTED, REFUSED } outcome_t;

struct world {
  member_t members[MEMBERS];
  letters_t links[MEMBERS][MEMBERS]; /* from, to */
  bool kept_back[MEMBERS][MEMBERS];
  letters_t late;
  vesta_attributes_t attributes;
  int64_t now_ns;
  uint64_t random;
  uint64_t request;
  uint8_t outcomes[SEQS_MAX]; /* of requests: an outcome_t */
  uint64_t digests[SEQS_MAX]; /* of what was committed */
  bool judges_history;        /* whoever commits a number commits the same */
  vesta_err_t refused_with;
  uint64_t sent_bytes; /* of payload, by all */
};

static const uint64_t checkpoint_number = 42;

static inline uint64_t draw(world_t *w, uint64_t below) { /* splitmix64 */
  uint64_t z = (w->random += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return (z ^ (z >> 31)) % below;
}

static inline member_t *member_of(world_t *w, uint32_t id) { return &w->members[id - 1]; }

/* ---- letters ---- */

static inline void letter_put(letters_t *to, letter_t *letter) {
  if (to->first == NULL) {
    to->last = &to->first;
  }
  letter->next = NULL;
  *to->last = letter;
  to->last = &letter->next;
  to->bytes += letter->payload.size;
  to->count++;
}

static inline letter_t *letter_take(letters_t *from) {
  letter_t *letter = from->first;
  if (letter != NULL) {
    from->first = letter->next;
    from->bytes -= letter->payload.size;
    from->count--;
  }
  return letter;
}

static inline letter_t *letter_new(uint32_t from, uint32_t to, const wire_message_t *message, vesta_bytes_t payload) {
  letter_t *letter = malloc(sizeof *letter + wire_copy_bytes(message, payload));
  assert_non_null(letter);
  letter->from = from;
  letter->to = to;
  wire_copy_into(letter->memory, message, payload, &letter->message, &letter->payload);
  return letter;
}

static inline void letters_drop(letters_t *letters) {
  for (letter_t *letter; (letter = letter_take(letters)) != NULL;) {
    free(letter);
  }
}

/* ---- what the replicators ask for ---- */

static inline void sink_send(void *context, uint32_t to, const wire_message_t *message, vesta_bytes_t payload) {
  member_t *m = context;
  m->world->sent_bytes += payload.size;
  letter_put(&m->world->links[m->id - 1][to - 1], letter_new(m->id, to, message, payload));
}

static inline vesta_err_t room_reserve(void *context, uint64_t offset, uint64_t size) {
  room_t *room = context;
  return room->member->full ? VESTA_ERR_NO_SPACE : pages_reserve(&room->pages, offset, size);
}

static inline void room_release(void *context, uint64_t offset, uint64_t size) {
  pages_release(&((room_t *)context)->pages, offset, size);
}

static inline replica_storage_t room_storage(room_t *room) {
  return (replica_storage_t){.context = room, .reserve = room_reserve, .release = room_release};
}

static inline void room_open(member_t *m, room_t **out, replica_t **replica) {
  uint64_t size = 0;
  assert_int_equal(replica_region_size(&m->world->attributes, &size), VESTA_OK);
  room_t *room = calloc(1, sizeof *room);
  assert_non_null(room);
  room->member = m;
  pages_open(&room->pages, size, true);
  replica_storage_t storage = room_storage(room);
  replica_identity_t identity = {
      .checkpoint_id = checkpoint_number, .lineage = 4711, .name = text("c"), .attributes = m->world->attributes};
  assert_int_equal(replica_format(room->pages.region, size, &identity, &storage, NOW, replica), VESTA_OK);
  *out = room;
}

static inline void room_close(room_t **room) {
  if (*room != NULL) {
    pages_close(&(*room)->pages);
    free(*room);
    *room = NULL;
  }
}

static inline bool replica_has(const replica_t *replica, uint64_t seq, uint64_t digest_wanted) {
  replica_record_t record;
  replica_status_t status;
  replica_status(replica, &status);
  if (seq <= status.committed.seq) {
    return true;
  }
  return replica_log_record(replica, seq, &record) == VESTA_OK && replica_record_digest(&record) == digest_wanted;
}

static inline void committed_one(member_t *m, uint64_t seq) {
  world_t *w = m->world;
  replica_record_t record;
  assert_true(seq < SEQS_MAX);
  if (replica_record(m->replica, seq, &record) != VESTA_OK) {
    return; /* it was skipped */
  }
  uint64_t value = replica_record_digest(&record);
  if (w->judges_history) {
    assert_true(w->digests[seq] == 0 || w->digests[seq] == value);
  }
  w->digests[seq] = value;
  if (record.request != 0) {
    assert_int_not_equal(w->outcomes[record.request], REFUSED);
    w->outcomes[record.request] = COMMITTED;
  }
  for (uint32_t i = 0; m->config.primary == m->id && m->config.synchronous && i < m->config.member_count; i++) {
    const replicator_member_t *other = &m->config.members[i];
    if (other->required && other->node != m->id) {
      assert_non_null(member_of(w, other->node)->replica);
      assert_true(replica_has(member_of(w, other->node)->replica, seq, value));
    }
  }
}

static inline void sink_committed(void *context, uint64_t first_seq, uint64_t last_seq) {
  member_t *m = context;
  assert_int_equal(first_seq, m->committed_seq + 1);
  for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
    committed_one(m, seq);
  }
  m->committed_seq = last_seq;
}

static inline void sink_refused(void *context, vesta_token_t session, uint64_t request, vesta_err_t err,
                                uint32_t element) {
  member_t *m = context;
  (void)session;
  (void)element;
  if (request != 0) {
    assert_int_equal(m->world->outcomes[request], PENDING);
    m->world->outcomes[request] = REFUSED;
    m->world->refused_with = err;
  }
}

static inline void sink_caught_up(void *context, uint32_t node) {
  (void)node;
  ((member_t *)context)->caught_up++;
}

static inline void sink_failed(void *context, uint32_t node) {
  (void)node;
  ((member_t *)context)->failed++;
}

static inline vesta_err_t sink_shadow_new(void *context, replica_t **out) {
  member_t *m = context;
  if (m->full) {
    return VESTA_ERR_NO_SPACE;
  }
  assert_null(m->shadow_room);
  room_open(m, &m->shadow_room, out);
  return VESTA_OK;
}

static inline void sink_shadow_drop(void *context, replica_t *shadow) {
  member_t *m = context;
  replica_destroy(&shadow);
  room_close(&m->shadow_room);
}

static inline void sink_shadow_swap(void *context, replica_t *shadow, bool diverged) {
  member_t *m = context;
  replica_status_t status;
  assert_true(replica_check(shadow));
  replica_status(shadow, &status);
  m->committed_seq = status.committed.seq;
  m->diverged += diverged ? 1 : 0;
  m->swaps++;
  replica_destroy(&m->replica);
  room_close(&m->room);
  m->room = m->shadow_room;
  m->shadow_room = NULL;
  m->replica = shadow;
}

/* ---- life ---- */

static inline void member_start(member_t *m) {
  replicator_sink_t sink = {.context = m,
                            .send = sink_send,
                            .committed = sink_committed,
                            .refused = sink_refused,
                            .caught_up = sink_caught_up,
                            .failed = sink_failed,
                            .shadow_new = sink_shadow_new,
                            .shadow_swap = sink_shadow_swap,
                            .shadow_drop = sink_shadow_drop};
  m->scratch = replicator_scratch_new();
  assert_non_null(m->scratch);
  assert_int_equal(replicator_new(&sink, m->scratch, m->id, checkpoint_number, m->replica, &m->replicator), VESTA_OK);
  m->config = (replicator_config_t){0};
}

static inline void member_stop(member_t *m) {
  replicator_destroy(&m->replicator);
  replicator_scratch_destroy(&m->scratch);
}

/* As if its process had been killed and started again. */
static inline void member_restart(member_t *m) {
  member_stop(m);
  if (m->replica != NULL) {
    replica_storage_t storage = room_storage(m->room);
    replica_destroy(&m->replica);
    assert_int_equal(replica_recover(m->room->pages.region, m->room->pages.size, &storage, &m->replica), VESTA_OK);
    m->committed_seq = position_of(m->replica).seq;
  }
  member_start(m);
}

/* Members 1 to `with` begin with an empty replica each. */
static inline void world_open(world_t *w, uint32_t sections_max, uint64_t section_bytes_max, uint32_t with) {
  memset(w, 0, sizeof *w);
  w->attributes = attributes_of(sections_max, section_bytes_max, ID_BYTES_MAX);
  w->now_ns = SECOND;
  w->judges_history = true;
  for (uint32_t i = 0; i < MEMBERS; i++) {
    member_t *m = &w->members[i];
    m->world = w;
    m->id = i + 1;
    if (i < with) {
      room_open(m, &m->room, &m->replica);
    }
    member_start(m);
  }
}

static inline void world_close(world_t *w) {
  for (uint32_t i = 0; i < MEMBERS; i++) {
    member_t *m = &w->members[i];
    member_stop(m);
    if (m->replica != NULL) {
      assert_true(replica_check(m->replica));
    }
    replica_destroy(&m->replica);
    room_close(&m->room);
    for (uint32_t to = 0; to < MEMBERS; to++) {
      letters_drop(&w->links[i][to]);
    }
  }
  letters_drop(&w->late);
}

/* ---- what happens ---- */

static inline void member_flush(member_t *m) {
  if (!m->stopped) {
    replicator_flush(m->replicator, m->world->now_ns);
  }
}

static inline void letter_deliver(world_t *w, letter_t *letter) {
  member_t *m = member_of(w, letter->to);
  if (!m->stopped) {
    replicator_receive(m->replicator, letter->from, &letter->message, letter->payload, w->now_ns);
    member_flush(m);
  }
  free(letter);
}

/* Deliver everything that is on its way and not kept back, until nothing is. */
static inline void world_settle(world_t *w) {
  for (bool any = true; any;) {
    any = false;
    for (uint32_t from = 0; from < MEMBERS; from++) {
      for (uint32_t to = 0; to < MEMBERS; to++) {
        letter_t *letter = w->kept_back[from][to] ? NULL : letter_take(&w->links[from][to]);
        if (letter != NULL) {
          letter_deliver(w, letter);
          any = true;
        }
      }
    }
    for (uint32_t i = 0; i < MEMBERS; i++) {
      member_t *m = &w->members[i];
      if (!m->stopped && replicator_wake_ns(m->replicator) <= w->now_ns) {
        replicator_time(m->replicator, w->now_ns);
        member_flush(m);
        any = true;
      }
    }
  }
}

static inline void world_wait(world_t *w, int64_t ns) {
  w->now_ns += ns;
  world_settle(w);
}

static inline void member_configure(member_t *m, const replicator_config_t *config) {
  m->config = *config;
  replicator_configure(m->replicator, config, m->world->now_ns);
  member_flush(m);
}

/* Bits of `required` and `others` are members: 1 is member 1, 2 is member 2, 4 is member 3. */
static inline replicator_config_t config_of(uint64_t epoch, uint32_t primary, bool synchronous, uint32_t required,
                                            uint32_t others) {
  replicator_config_t config = {.epoch = epoch, .primary = primary, .synchronous = synchronous};
  for (uint32_t i = 0; i < MEMBERS; i++) {
    if (((required | others) & 1U << i) != 0) {
      config.members[config.member_count++] =
          (replicator_member_t){.node = i + 1, .required = (required & 1U << i) != 0};
    }
  }
  return config;
}

static inline void world_configure(world_t *w, const replicator_config_t *config) {
  for (uint32_t i = 0; i < MEMBERS; i++) {
    if (!w->members[i].stopped) {
      member_configure(&w->members[i], config);
    }
  }
  world_settle(w);
}

static inline void link_break(world_t *w, uint32_t a, uint32_t b) {
  letters_drop(&w->links[a - 1][b - 1]);
  letters_drop(&w->links[b - 1][a - 1]);
}

static inline void link_up(world_t *w, uint32_t a, uint32_t b) {
  replicator_peer_up(member_of(w, a)->replicator, b, w->now_ns);
  replicator_peer_up(member_of(w, b)->replicator, a, w->now_ns);
  member_flush(member_of(w, a));
  member_flush(member_of(w, b));
}

static inline void keep_back(world_t *w, uint32_t from, uint32_t to, bool kept) {
  w->kept_back[from - 1][to - 1] = kept;
}

/* A client's operation at a member. */
static inline vesta_err_t propose(world_t *w, uint32_t at, const replica_element_t *elements, size_t count,
                                  uint64_t *request) {
  replica_op_t op = op_of(elements, count);
  op.time_ns = NOW + w->now_ns;
  op.request = w->request + 1;
  op.session = session_of(1 + op.request % 8);
  replica_result_t result;
  assert_true(op.request < SEQS_MAX);
  vesta_err_t err = replicator_propose(member_of(w, at)->replicator, &op, &result);
  if (err == VESTA_OK) {
    w->request++;
    *request = op.request;
  }
  return err;
}

static inline uint64_t must_propose(world_t *w, uint32_t at, const replica_element_t *elements, size_t count) {
  uint64_t request = 0;
  assert_int_equal(propose(w, at, elements, count, &request), VESTA_OK);
  member_flush(member_of(w, at));
  return request;
}

/* An operation of the primary itself: the one that begins its epoch. */
static inline vesta_err_t begin_epoch(world_t *w, uint32_t primary, uint64_t epoch) {
  replica_element_t element = epoch_to(epoch, 0);
  replica_op_t op = op_of(&element, 1);
  replica_result_t result;
  vesta_err_t err = replicator_propose(member_of(w, primary)->replicator, &op, &result);
  member_flush(member_of(w, primary));
  return err;
}

/* That member is primary from now on, and serves. */
static inline void must_lead(world_t *w, uint64_t epoch, uint32_t primary, bool synchronous, uint32_t required,
                             uint32_t others) {
  replicator_config_t config = config_of(epoch, primary, synchronous, required, others);
  world_configure(w, &config);
  if (epoch > 1) {
    assert_int_equal(begin_epoch(w, primary, epoch), VESTA_OK);
    world_settle(w);
  }
  assert_true(replicator_serves(member_of(w, primary)->replicator));
}

static inline void members_are_equal(world_t *w, uint32_t a, uint32_t b) {
  assert_non_null(member_of(w, a)->replica);
  assert_non_null(member_of(w, b)->replica);
  are_equal(member_of(w, a)->replica, member_of(w, b)->replica);
}

/* All have what that one has. */
static inline void all_are_equal(world_t *w, uint32_t id) {
  for (uint32_t other = 1; other <= MEMBERS; other++) {
    members_are_equal(w, id, other);
  }
}

#endif
