/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_group.h. A ring lives as long as an engine is in it; its entries, until all have delivered them.
 */
#include "test/sim/sim_group.h"

#include <stdlib.h>
#include <string.h>

#define NEVER INT64_MAX
#define OUTBOX_MAX 64U
#define FLICKER_NS_MAX INT64_C(2000000000)

typedef enum entry_kind { ENTRY_MESSAGE, ENTRY_JOIN, ENTRY_LEAVE } entry_kind_t;

typedef struct bytes {
  uint32_t users;
  size_t size;
  uint8_t data[];
} bytes_t;

/* Something an engine wants to be ordered, or that is. */
typedef struct entry {
  struct entry *next;
  entry_kind_t kind;
  uint32_t engine; /* its place */
  uint64_t process;
  bytes_t *bytes;
  int64_t due_ns;                           /* in an outbox: when it is ordered */
  int64_t received_ns[SIM_GROUP_NODES_MAX]; /* in a ring */
  uint32_t to_come;                         /* engines that have not delivered it: a mask */
} entry_t;

typedef struct ring {
  struct ring *next;
  uint64_t seq;
  uint32_t node;
  uint32_t members; /* engines, a mask */
  bool frozen;      /* broken: nothing is ordered any more */
  entry_t *first, **end;
} ring_t;

typedef struct queued {
  struct queued *next;
  int64_t at_ns;
  sim_group_event_t event;
  bytes_t *bytes;
} queued_t;

typedef struct queue {
  queued_t *first, **end;
  int64_t last_ns;
} queue_t;

typedef struct engine {
  bool on;
  uint8_t side;
  ring_t *ring;
  entry_t **at; /* in its ring: where the next entry to be delivered stands */
  uint64_t last_seq;
  uint64_t process;  /* that runs now; 0: none */
  uint64_t in_group; /* process that is a member, as far as this engine has delivered */
  bool listens;      /* the process that runs has joined */
  uint32_t members;  /* of the group: engines, a mask */
  entry_t *outbox, **outbox_end;
  uint32_t outbox_count;
  queue_t views, quorum;
  bool held;
} engine_t;

struct sim_group {
  sim_group_config_t config;
  sim_random_t *random;
  engine_t engines[SIM_GROUP_NODES_MAX];
  ring_t *rings;
  uint64_t processes;
  int64_t reform_ns;
  bool flaps;
  bytes_t *taken; /* of the last event */
};

static void *sure(void *memory) {
  if (memory == NULL) {
    abort();
  }
  return memory;
}

static void bytes_drop(bytes_t *bytes) {
  if (bytes != NULL && --bytes->users == 0) {
    free(bytes);
  }
}

static uint32_t bit(uint32_t engine) { return 1U << engine; }

static int64_t later(sim_group_t *group, int64_t max_ns) {
  return max_ns <= 0 ? 0 : sim_span(group->random, 0, max_ns);
}

/* ---- events for processes ---- */

static void queue_init(queue_t *queue) { *queue = (queue_t){.end = &queue->first}; }

static void queue_put(queue_t *queue, const sim_group_event_t *event, bytes_t *bytes, int64_t at_ns) {
  queued_t *queued = sure(calloc(1, sizeof *queued));
  queue->last_ns = at_ns > queue->last_ns ? at_ns : queue->last_ns;
  queued->at_ns = queue->last_ns;
  queued->event = *event;
  queued->bytes = bytes;
  if (bytes != NULL) {
    bytes->users++;
  }
  *queue->end = queued;
  queue->end = &queued->next;
}

static void queue_clear(queue_t *queue) {
  while (queue->first != NULL) {
    queued_t *queued = queue->first;
    queue->first = queued->next;
    bytes_drop(queued->bytes);
    free(queued);
  }
  queue_init(queue);
}

static sim_group_event_t event_of(const sim_group_t *group, uint32_t at, sim_group_kind_t kind) {
  const engine_t *engine = &group->engines[at];
  return (sim_group_event_t){
      .kind = kind, .node = at + 1, .ring_seq = engine->ring->seq, .ring_node = engine->ring->node};
}

static void tell_view(sim_group_t *group, uint32_t at, int64_t now_ns, int64_t delay_ns) {
  engine_t *engine = &group->engines[at];
  if (!engine->listens) {
    return;
  }
  sim_group_event_t event = event_of(group, at, SIM_GROUP_VIEW);
  for (uint32_t i = 0; i < group->config.nodes; i++) {
    if ((engine->members & bit(i)) != 0) {
      event.members[event.count++] = i + 1;
    }
  }
  queue_put(&engine->views, &event, NULL, now_ns + delay_ns);
}

static void tell_quorum(sim_group_t *group, uint32_t at, int64_t now_ns) {
  engine_t *engine = &group->engines[at];
  if (!engine->listens) {
    return;
  }
  uint32_t here = (uint32_t)__builtin_popcount(engine->ring->members);
  sim_group_event_t event = event_of(group, at, SIM_GROUP_QUORUM);
  event.expected = group->config.nodes;
  event.quorate = group->config.half_is_quorate ? 2 * here >= event.expected : 2 * here > event.expected;
  int64_t at_ns = now_ns + later(group, group->config.news_ns_max);
  queue_put(&engine->quorum, &event, NULL, at_ns);
  if (event.quorate && sim_chance(group->random, group->config.flicker)) {
    event.quorate = false;
    queue_put(&engine->quorum, &event, NULL, at_ns + later(group, FLICKER_NS_MAX));
    event.quorate = true;
    queue_put(&engine->quorum, &event, NULL, engine->quorum.last_ns + later(group, FLICKER_NS_MAX));
  }
}

/* ---- delivery ---- */

static void deliver(sim_group_t *group, uint32_t at, const entry_t *entry, int64_t now_ns) {
  engine_t *engine = &group->engines[at];
  engine_t *sender = &group->engines[entry->engine];
  switch (entry->kind) {
    case ENTRY_MESSAGE:
      if (engine->listens && (engine->members & bit(entry->engine)) != 0) {
        sim_group_event_t event = event_of(group, at, SIM_GROUP_MESSAGE);
        event.from = entry->engine + 1;
        queue_put(&engine->views, &event, entry->bytes, now_ns);
      }
      return;
    case ENTRY_JOIN:
      engine->members |= bit(entry->engine);
      if (entry->engine == at) {
        engine->in_group = entry->process;
        engine->listens = entry->process == sender->process;
        tell_quorum(group, at, now_ns);
      }
      tell_view(group, at, now_ns, 0);
      return;
    case ENTRY_LEAVE:
      engine->members &= ~bit(entry->engine);
      if (entry->engine == at) {
        engine->in_group = 0;
      }
      tell_view(group, at, now_ns, 0);
      return;
  }
}

static void entry_free(entry_t *entry) {
  bytes_drop(entry->bytes);
  free(entry);
}

/* Drop the entries that all have delivered, and the rings that nobody is in. */
static void rings_tidy(sim_group_t *group) {
  for (ring_t **at = &group->rings; *at != NULL;) {
    ring_t *ring = *at;
    while (ring->first != NULL && ring->first->to_come == 0) {
      entry_t *entry = ring->first;
      ring->first = entry->next;
      if (ring->first == NULL) {
        ring->end = &ring->first;
      }
      for (uint32_t i = 0; i < group->config.nodes; i++) {
        if (group->engines[i].at == &entry->next) {
          group->engines[i].at = &ring->first;
        }
      }
      entry_free(entry);
    }
    bool used = false;
    for (uint32_t i = 0; i < group->config.nodes; i++) {
      used = used || group->engines[i].ring == ring;
    }
    if (used) {
      at = &ring->next;
      continue;
    }
    *at = ring->next;
    while (ring->first != NULL) {
      entry_t *entry = ring->first;
      ring->first = entry->next;
      entry_free(entry);
    }
    free(ring);
  }
}

/* The next entry of this engine, and when it has it. */
static entry_t *next_entry(const engine_t *engine, uint32_t at, int64_t *at_ns) {
  entry_t *entry = engine->ring != NULL ? *engine->at : NULL;
  *at_ns = entry != NULL ? entry->received_ns[at] : NEVER;
  return entry;
}

static void deliver_next(sim_group_t *group, uint32_t at, int64_t now_ns) {
  engine_t *engine = &group->engines[at];
  entry_t *entry = *engine->at;
  engine->at = &entry->next;
  entry->to_come &= ~bit(at);
  deliver(group, at, entry, now_ns);
}

/* ---- ordering ---- */

static entry_t *outbox_take(engine_t *engine) {
  entry_t *entry = engine->outbox;
  engine->outbox = entry->next;
  if (engine->outbox == NULL) {
    engine->outbox_end = &engine->outbox;
  }
  engine->outbox_count--;
  entry->next = NULL;
  return entry;
}

static void outbox_put(sim_group_t *group, uint32_t at, entry_kind_t kind, bytes_t *bytes, int64_t now_ns) {
  engine_t *engine = &group->engines[at];
  entry_t *entry = sure(calloc(1, sizeof *entry));
  entry->kind = kind;
  entry->engine = at;
  entry->process = engine->process;
  entry->bytes = bytes;
  entry->due_ns = now_ns + later(group, group->config.delay_ns_max);
  *engine->outbox_end = entry;
  engine->outbox_end = &entry->next;
  engine->outbox_count++;
}

static void put_in_order(sim_group_t *group, uint32_t at, int64_t now_ns) {
  engine_t *engine = &group->engines[at];
  ring_t *ring = engine->ring;
  entry_t *entry = outbox_take(engine);
  entry->to_come = ring->members;
  for (uint32_t i = 0; i < group->config.nodes; i++) {
    entry->received_ns[i] = i == at ? now_ns : now_ns + later(group, group->config.delay_ns_max);
  }
  *ring->end = entry;
  ring->end = &entry->next;
}

static int64_t outbox_due(const engine_t *engine) {
  return engine->ring != NULL && !engine->ring->frozen && engine->outbox != NULL ? engine->outbox->due_ns : NEVER;
}

/* ---- rings ---- */

/* Does one of these have it? */
static bool received_by_one(const entry_t *entry, uint32_t engines, int64_t now_ns) {
  for (uint32_t i = 0; i < SIM_GROUP_NODES_MAX; i++) {
    if ((engines & bit(i)) != 0 && entry->received_ns[i] <= now_ns) {
      return true;
    }
  }
  return false;
}

/* These leave their ring together: they deliver what any of them has, behind a hole only what is from one of them. */
static void leave_together(sim_group_t *group, uint32_t together, int64_t now_ns) {
  for (uint32_t i = 0; i < group->config.nodes; i++) {
    bool hole = false;
    for (int64_t at_ns; (together & bit(i)) != 0 && next_entry(&group->engines[i], i, &at_ns) != NULL;) {
      entry_t *entry = *group->engines[i].at;
      bool has = received_by_one(entry, together, now_ns);
      hole = hole || !has;
      if (has && (!hole || (together & bit(entry->engine)) != 0)) {
        deliver_next(group, i, now_ns);
      } else {
        group->engines[i].at = &entry->next;
        entry->to_come &= ~bit(i);
      }
    }
  }
  for (uint32_t i = 0; i < group->config.nodes; i++) {
    engine_t *sender = &group->engines[i];
    while ((together & bit(i)) != 0 && sender->outbox != NULL && sender->outbox->kind == ENTRY_MESSAGE &&
           sim_chance(group->random, group->config.early)) {
      entry_t *entry = outbox_take(sender);
      for (uint32_t j = 0; j < group->config.nodes; j++) {
        if ((together & bit(j)) != 0) {
          deliver(group, j, entry, now_ns);
        }
      }
      entry_free(entry);
    }
  }
}

/* These engines form a ring. */
static void form(sim_group_t *group, uint32_t engines, int64_t now_ns) {
  ring_t *ring = sure(calloc(1, sizeof *ring));
  ring->members = engines;
  ring->end = &ring->first;
  uint32_t in_group = 0;
  for (uint32_t i = 0; i < group->config.nodes; i++) {
    engine_t *engine = &group->engines[i];
    if ((engines & bit(i)) == 0) {
      continue;
    }
    ring->seq = engine->last_seq > ring->seq ? engine->last_seq : ring->seq;
    ring->node = ring->node == 0 ? i + 1 : ring->node;
    uint32_t together = 0;
    for (uint32_t j = 0; j < group->config.nodes && engine->ring != NULL; j++) {
      together |= (engines & bit(j)) != 0 && group->engines[j].ring == engine->ring ? bit(j) : 0;
    }
    if (together != 0 && (together & (bit(i) - 1)) == 0) { /* once for all of them */
      leave_together(group, together, now_ns);
    }
  }
  ring->seq += 4;
  ring->next = group->rings;
  group->rings = ring;
  for (uint32_t i = 0; i < group->config.nodes; i++) {
    in_group |= (engines & bit(i)) != 0 && group->engines[i].in_group != 0 ? bit(i) : 0;
  }
  for (uint32_t i = 0; i < group->config.nodes; i++) {
    engine_t *engine = &group->engines[i];
    if ((engines & bit(i)) == 0) {
      continue;
    }
    engine->ring = ring;
    engine->at = &ring->first;
    engine->last_seq = ring->seq;
    engine->members = in_group;
    tell_quorum(group, i, now_ns);
    tell_view(group, i, now_ns, later(group, group->config.news_ns_max));
  }
}

static void freeze(sim_group_t *group, ring_t *ring, int64_t now_ns) {
  ring->frozen = true;
  for (entry_t *entry = ring->first; entry != NULL; entry = entry->next) {
    for (uint32_t i = 0; i < group->config.nodes; i++) {
      if (entry->received_ns[i] > now_ns && !sim_group_reach(group, entry->engine + 1, i + 1)) {
        entry->received_ns[i] = NEVER;
      }
    }
  }
}

static void reform_at(sim_group_t *group, int64_t at_ns) {
  group->reform_ns = at_ns < group->reform_ns ? at_ns : group->reform_ns;
}

/* The network has changed: rings that no longer fit break now, and others form later. */
static void network_changed(sim_group_t *group, int64_t now_ns) {
  for (ring_t *ring = group->rings; ring != NULL; ring = ring->next) {
    uint32_t first = (uint32_t)__builtin_ctz(ring->members);
    for (uint32_t i = 0; i < group->config.nodes; i++) {
      if ((ring->members & bit(i)) != 0 && (group->flaps || !sim_group_reach(group, first + 1, i + 1))) {
        freeze(group, ring, now_ns);
      }
    }
  }
  reform_at(group, now_ns + later(group, group->config.detect_ns_max));
}

static void reform(sim_group_t *group, int64_t now_ns) {
  uint32_t done = 0;
  group->reform_ns = NEVER;
  for (uint32_t i = 0; i < group->config.nodes; i++) {
    uint32_t engines = 0;
    for (uint32_t j = 0; j < group->config.nodes; j++) {
      engines |= group->engines[i].on && sim_group_reach(group, i + 1, j + 1) ? bit(j) : 0;
    }
    bool fits = true;
    for (uint32_t j = 0; j < group->config.nodes; j++) {
      const ring_t *ring = group->engines[j].ring;
      fits = fits && ((engines & bit(j)) == 0 || (ring != NULL && ring->members == engines && !ring->frozen));
    }
    if (engines == 0 || (done & bit(i)) != 0 || fits) {
      continue;
    }
    done |= engines;
    if ((engines & (engines - 1)) != 0 && sim_chance(group->random, group->config.alone)) {
      uint32_t loner;
      do {
        loner = (uint32_t)sim_below(group->random, group->config.nodes);
      } while ((engines & bit(loner)) == 0);
      form(group, bit(loner), now_ns);
      for (uint32_t j = 0; j < group->config.nodes; j++) {
        if ((engines & bit(j)) != 0 && j != loner && group->engines[j].ring != NULL) {
          freeze(group, group->engines[j].ring, now_ns);
        }
      }
      reform_at(group, now_ns + later(group, group->config.detect_ns_max));
    } else {
      form(group, engines, now_ns);
    }
  }
  rings_tidy(group);
}

/* ---- outside ---- */

sim_group_t *sim_group_new(const sim_group_config_t *config, sim_random_t *random, int64_t now_ns) {
  sim_group_t *group = sure(calloc(1, sizeof *group));
  group->config = *config;
  group->random = random;
  for (uint32_t i = 0; i < config->nodes; i++) {
    engine_t *engine = &group->engines[i];
    engine->on = true;
    engine->outbox_end = &engine->outbox;
    queue_init(&engine->views);
    queue_init(&engine->quorum);
  }
  form(group, bit(config->nodes) - 1, now_ns);
  group->reform_ns = NEVER;
  return group;
}

static void engine_clear(engine_t *engine) {
  while (engine->outbox != NULL) {
    entry_free(outbox_take(engine));
  }
  queue_clear(&engine->views);
  queue_clear(&engine->quorum);
}

void sim_group_destroy(sim_group_t **out) {
  sim_group_t *group = *out;
  if (group == NULL) {
    return;
  }
  for (uint32_t i = 0; i < group->config.nodes; i++) {
    engine_clear(&group->engines[i]);
    group->engines[i].ring = NULL;
  }
  rings_tidy(group);
  bytes_drop(group->taken);
  free(group);
  *out = NULL;
}

void sim_group_join(sim_group_t *group, uint32_t node, int64_t now_ns) {
  group->engines[node - 1].process = ++group->processes;
  outbox_put(group, node - 1, ENTRY_JOIN, NULL, now_ns);
}

void sim_group_leave(sim_group_t *group, uint32_t node, int64_t now_ns) {
  engine_t *engine = &group->engines[node - 1];
  outbox_put(group, node - 1, ENTRY_LEAVE, NULL, now_ns);
  engine->process = 0;
  engine->listens = false;
  queue_clear(&engine->views);
  queue_clear(&engine->quorum);
}

bool sim_group_joined(const sim_group_t *group, uint32_t node) { return group->engines[node - 1].process != 0; }

bool sim_group_multicast(sim_group_t *group, uint32_t node, const void *data, size_t size, int64_t now_ns) {
  const engine_t *engine = &group->engines[node - 1];
  if (engine->outbox_count >= OUTBOX_MAX || sim_chance(group->random, group->config.busy)) {
    return false;
  }
  bytes_t *bytes = sure(malloc(sizeof *bytes + size));
  bytes->users = 1;
  bytes->size = size;
  memcpy(bytes->data, data, size);
  outbox_put(group, node - 1, ENTRY_MESSAGE, bytes, now_ns);
  return true;
}

void sim_group_power(sim_group_t *group, uint32_t node, bool on, int64_t now_ns) {
  engine_t *engine = &group->engines[node - 1];
  if (engine->on == on) {
    return;
  }
  engine->on = on;
  if (!on) {
    engine_clear(engine);
    if (engine->ring != NULL) {
      for (entry_t *entry = engine->ring->first; entry != NULL; entry = entry->next) {
        entry->to_come &= ~bit(node - 1);
        entry->received_ns[node - 1] = NEVER;
      }
      engine->ring->frozen = true;
    }
    engine->ring = NULL;
    engine->in_group = 0;
    engine->members = 0;
  }
  network_changed(group, now_ns);
}

void sim_group_sides(sim_group_t *group, const uint8_t *sides, int64_t now_ns) {
  for (uint32_t i = 0; i < group->config.nodes; i++) {
    group->engines[i].side = sides[i];
  }
  network_changed(group, now_ns);
}

bool sim_group_reach(const sim_group_t *group, uint32_t a, uint32_t b) {
  const engine_t *from = &group->engines[a - 1], *to = &group->engines[b - 1];
  return from->on && to->on && from->side == to->side;
}

void sim_group_flap(sim_group_t *group, int64_t now_ns) {
  group->flaps = true;
  network_changed(group, now_ns);
  group->flaps = false;
}

void sim_group_hold(sim_group_t *group, uint32_t node, bool held) { group->engines[node - 1].held = held; }

void sim_group_calm(sim_group_t *group) {
  group->config.delay_ns_max = 1000000;
  group->config.detect_ns_max = 10000000;
  group->config.news_ns_max = 1000000;
  group->config.busy = 0;
  group->config.alone = 0;
  group->config.flicker = 0;
}

static int64_t earliest(const queue_t *queue) { return queue->first != NULL ? queue->first->at_ns : NEVER; }

/* What the engines do next. */
static int64_t work_ns(const sim_group_t *group, uint32_t *at, bool *is_order) {
  int64_t best_ns = NEVER;
  *at = 0;
  *is_order = false;
  for (uint32_t i = 0; i < group->config.nodes; i++) {
    const engine_t *engine = &group->engines[i];
    int64_t entry_ns;
    (void)next_entry(engine, i, &entry_ns);
    int64_t due_ns = outbox_due(engine);
    if (entry_ns < best_ns) {
      best_ns = entry_ns;
      *at = i;
      *is_order = false;
    }
    if (due_ns < best_ns) {
      best_ns = due_ns;
      *at = i;
      *is_order = true;
    }
  }
  return best_ns;
}

int64_t sim_group_wake_ns(const sim_group_t *group) {
  uint32_t at;
  bool is_order;
  int64_t wake_ns = work_ns(group, &at, &is_order);
  wake_ns = group->reform_ns < wake_ns ? group->reform_ns : wake_ns;
  for (uint32_t i = 0; i < group->config.nodes; i++) {
    const engine_t *engine = &group->engines[i];
    int64_t view_ns = engine->held ? NEVER : earliest(&engine->views);
    int64_t quorum_ns = engine->held ? NEVER : earliest(&engine->quorum);
    wake_ns = view_ns < wake_ns ? view_ns : wake_ns;
    wake_ns = quorum_ns < wake_ns ? quorum_ns : wake_ns;
  }
  return wake_ns;
}

/* Let the engines do all that is due. */
static void work(sim_group_t *group, int64_t now_ns) {
  for (;;) {
    uint32_t at;
    bool is_order;
    int64_t at_ns = work_ns(group, &at, &is_order);
    if (group->reform_ns <= now_ns && group->reform_ns <= at_ns) {
      reform(group, group->reform_ns);
    } else if (at_ns > now_ns) {
      break;
    } else if (is_order) {
      put_in_order(group, at, at_ns);
    } else {
      deliver_next(group, at, at_ns);
    }
  }
  rings_tidy(group);
}

bool sim_group_take(sim_group_t *group, int64_t now_ns, sim_group_event_t *event) {
  bytes_drop(group->taken);
  group->taken = NULL;
  work(group, now_ns);
  queue_t *best = NULL;
  for (uint32_t i = 0; i < group->config.nodes; i++) {
    engine_t *engine = &group->engines[i];
    queue_t *queues[] = {&engine->views, &engine->quorum};
    for (uint32_t q = 0; q < 2 && !engine->held; q++) {
      if (earliest(queues[q]) <= now_ns && (best == NULL || earliest(queues[q]) < earliest(best))) {
        best = queues[q];
      }
    }
  }
  if (best == NULL) {
    return false;
  }
  queued_t *queued = best->first;
  best->first = queued->next;
  if (best->first == NULL) {
    best->end = &best->first;
  }
  *event = queued->event;
  group->taken = queued->bytes;
  if (queued->bytes != NULL) {
    event->bytes = queued->bytes->data;
    event->size = queued->bytes->size;
  }
  free(queued);
  return true;
}
