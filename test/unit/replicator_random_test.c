/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Three replicators while everything goes wrong: links break and lose what is on its way, some of that comes late or
 * twice; members are killed and started again, their storage is full for a while; the primary changes, to whoever has
 * the most of those who count, and members that are away are no more required. Clients propose all the time.
 *
 * Synchronous: what replicator_world.h watches holds at every step. Asynchronous: what a lost primary committed alone
 * may go, nothing else. In the end all is well again, and all members must become equal in bounded time.
 */
#include "test/unit/replicator_world.h"

static uint8_t noise[100000];
static world_t w;

typedef struct plan {
  bool synchronous;
  uint64_t epoch;
  uint32_t primary;
  uint32_t required; /* bits */
  uint32_t away;     /* members that get no configuration: bits */
  bool linked[MEMBERS][MEMBERS];
} plan_t;
static plan_t plan;

static uint32_t bit(uint32_t id) { return 1U << (id - 1); }

static void plan_tell(void) {
  replicator_config_t config =
      config_of(plan.epoch, plan.primary, plan.synchronous, plan.required, 7U & ~plan.required);
  for (uint32_t id = 1; id <= MEMBERS; id++) {
    if ((plan.away & bit(id)) == 0) {
      member_configure(member_of(&w, id), &config);
    }
  }
}

/* ---- links ---- */

static void link_fails(uint32_t a, uint32_t b) {
  plan.linked[a - 1][b - 1] = plan.linked[b - 1][a - 1] = false;
  for (uint32_t way = 0; way < 2; way++) {
    letters_t *letters = way == 0 ? &w.links[a - 1][b - 1] : &w.links[b - 1][a - 1];
    for (letter_t *letter; (letter = letter_take(letters)) != NULL;) {
      if (draw(&w, 4) == 0 && w.late.count < 50) {
        letter_put(&w.late, letter);
      } else {
        free(letter);
      }
    }
  }
}

static void links_heal(void) {
  for (uint32_t a = 1; a <= MEMBERS; a++) {
    for (uint32_t b = a + 1; b <= MEMBERS; b++) {
      if (!plan.linked[a - 1][b - 1]) {
        plan.linked[a - 1][b - 1] = plan.linked[b - 1][a - 1] = true;
        letters_drop(&w.links[a - 1][b - 1]); /* said without a link */
        letters_drop(&w.links[b - 1][a - 1]);
        link_up(&w, a, b);
      }
    }
  }
}

static void deliver_one(void) {
  uint32_t from = (uint32_t)draw(&w, MEMBERS) + 1, to = (uint32_t)draw(&w, MEMBERS) + 1;
  if (!plan.linked[from - 1][to - 1]) {
    letters_drop(&w.links[from - 1][to - 1]);
    return;
  }
  letter_t *letter = letter_take(&w.links[from - 1][to - 1]);
  if (letter != NULL && draw(&w, 60) == 0 && w.late.count < 50) {
    letter_put(&w.late, letter_new(from, to, &letter->message, letter->payload)); /* it comes again */
  }
  if (letter != NULL) {
    letter_deliver(&w, letter);
  }
}

static void time_passes(int64_t ns) {
  w.now_ns += ns;
  for (uint32_t i = 0; i < MEMBERS; i++) {
    member_t *m = &w.members[i];
    if (replicator_wake_ns(m->replicator) <= w.now_ns) {
      replicator_time(m->replicator, w.now_ns);
      member_flush(m);
    }
  }
}

/* ---- members ---- */

static void member_dies(uint32_t id) {
  for (uint32_t other = 1; other <= MEMBERS; other++) {
    if (other != id) {
      link_fails(id, other);
    }
  }
  member_t *m = member_of(&w, id);
  bool full = m->full;
  m->full = false;
  member_restart(m);
  m->full = full;
  if ((plan.away & bit(id)) == 0) {
    plan_tell();
  }
}

/* Who counts and is there, with the most: the next primary. */
static uint32_t best_member(uint32_t of) {
  uint32_t best = 0;
  uint64_t best_epoch = 0, best_seq = 0;
  for (uint32_t id = 1; id <= MEMBERS; id++) {
    const replica_t *replica = member_of(&w, id)->replica;
    if ((of & bit(id)) == 0) {
      continue;
    }
    assert_non_null(replica);
    replica_status_t status;
    replica_status(replica, &status);
    uint64_t epoch = replica_epoch_of(replica, status.prepared_seq);
    if (best == 0 || epoch > best_epoch || (epoch == best_epoch && status.prepared_seq > best_seq)) {
      best = id;
      best_epoch = epoch;
      best_seq = status.prepared_seq;
    }
  }
  return best;
}

/* Somebody goes away: what it does from now on nobody hears. It need not have been the primary. */
static void member_goes_away(uint32_t id) {
  plan.away |= bit(id);
  for (uint32_t other = 1; other <= MEMBERS; other++) {
    if (other != id) {
      link_fails(id, other);
    }
  }
  if ((plan.required & bit(id)) == 0) {
    return;
  }
  if (plan.primary == id) {
    plan.primary = 0;
    plan_tell(); /* from now on nobody follows it */
  }
  plan.required &= ~bit(id);
  if (plan.primary == 0) {
    plan.primary = best_member(plan.required);
    plan.epoch++;
  }
  plan_tell();
}

static void member_comes_back(uint32_t id) {
  plan.away &= ~bit(id);
  links_heal();
  plan_tell();
}

/* Followers that have everything count again. */
static void members_count(void) {
  member_t *primary = member_of(&w, plan.primary);
  for (uint32_t id = 1; id <= MEMBERS; id++) {
    if ((plan.required & bit(id)) == 0 && (plan.away & bit(id)) == 0) {
      uint32_t told = primary->caught_up;
      assert_int_equal(replicator_invite(primary->replicator, id, true), VESTA_OK);
      member_flush(primary);
      if (primary->caught_up != told) {
        plan.required |= bit(id);
        plan_tell();
      } else {
        replicator_uninvite(primary->replicator, id);
      }
    }
  }
}

/* ---- clients ---- */

static void client_proposes(void) {
  static const vesta_kind_t kinds[] = {VESTA_KIND_CREATED,     VESTA_KIND_CREATED, VESTA_KIND_WRITTEN,
                                       VESTA_KIND_OVERWRITTEN, VESTA_KIND_DELETED, VESTA_KIND_EXPIRY_SET};
  const replica_t *replica = member_of(&w, plan.primary)->replica;
  vesta_kind_t kind = kinds[draw(&w, 6)];
  char id[ID_BYTES_MAX + 1] = {0};
  snprintf(id, sizeof id, "%u", (unsigned)draw(&w, 25) % 100U);
  replica_section_t section;
  if (kind != VESTA_KIND_CREATED && replica_slot_next(replica, (uint32_t)draw(&w, 30), UINT32_MAX, &section)) {
    memcpy(id, section.id.data, section.id.size); /* one that is there */
    id[section.id.size] = 0;
  }
  uint64_t size = draw(&w, 6) == 0 ? 50000 + draw(&w, 20000) : draw(&w, 200);
  replica_element_t element = {
      .kind = kind,
      .id = text(kind == VESTA_KIND_CREATED && draw(&w, 3) == 0 ? "" : id),
      .data = vesta_bytes(noise + draw(&w, 200), kind <= VESTA_KIND_OVERWRITTEN ? size : 0),
      .expiry_ns = VESTA_TIME_END,
  };
  uint64_t request = 0;
  (void)propose(&w, plan.primary, &element, 1, &request);
  if (draw(&w, 3) == 0) {
    member_flush(member_of(&w, plan.primary));
  }
}

static void primary_serves(void) {
  member_t *m = member_of(&w, plan.primary);
  if (!replicator_serves(m->replicator)) {
    (void)begin_epoch(&w, plan.primary, plan.epoch); /* not yet, or it is under way */
  }
}

/* ---- a run ---- */

static void members_come_back(void) {
  for (uint32_t id = 1; id <= MEMBERS; id++) {
    if ((plan.away & bit(id)) != 0) {
      member_comes_back(id);
    }
    member_of(&w, id)->full = false;
  }
}

static void fault(void) {
  uint32_t id = (uint32_t)draw(&w, MEMBERS) + 1;
  switch (draw(&w, 12)) {
    case 0: link_fails(id, id % MEMBERS + 1); break;
    case 1: member_dies(id); break;
    case 2:
    case 3: member_of(&w, id)->full = true; break;
    case 4:
    case 5:
      id = draw(&w, 2) == 0 ? id : plan.primary;
      if (plan.away == 0 && (plan.required & ~bit(id)) != 0) {
        member_goes_away(id);
      }
      break;
    case 6:
    case 7: members_come_back(); break;
    case 8:
    case 9: links_heal(); break;
    default: members_count(); break;
  }
}

/* A primary that had to skip does not know all contents. They go. */
static void corrupted_go(void) {
  member_t *m = member_of(&w, plan.primary);
  replica_section_t section;
  for (uint32_t slot = 0; replica_corrupted_next(m->replica, &slot, UINT32_MAX, &section);) {
    char id[ID_BYTES_MAX + 1] = {0};
    memcpy(id, section.id.data, section.id.size);
    (void)must_propose(&w, plan.primary, ELEMENTS(delete_of(id)));
    world_settle(&w);
  }
}

static void all_is_well(void) {
  for (uint32_t id = 1; id <= MEMBERS; id++) {
    member_of(&w, id)->full = false;
    plan.away &= ~bit(id);
  }
  plan.required |= bit(plan.primary);
  letters_drop(&w.late);
  links_heal();
  plan_tell();
  for (uint32_t second = 0; second < 20; second++) {
    primary_serves();
    world_wait(&w, SECOND);
  }
  assert_true(replicator_serves(member_of(&w, plan.primary)->replicator));
  corrupted_go();
  world_wait(&w, SECOND);
  for (uint32_t id = 1; id <= MEMBERS; id++) {
    if (id != plan.primary) {
      members_are_equal(&w, plan.primary, id);
    }
  }
}

static uint64_t seed_under_way; /* 0: none */

static int seed_tell(void **state) {
  (void)state;
  if (seed_under_way != 0) {
    print_message("failed with seed %llu\n", (unsigned long long)seed_under_way);
  }
  return 0;
}

static void run(uint64_t seed, bool synchronous) {
  seed_under_way = seed;
  world_open(&w, 30, 70000, 3);
  w.random = seed;
  w.judges_history = synchronous;
  plan = (plan_t){.synchronous = synchronous, .epoch = 1, .primary = 1, .required = 7};
  links_heal();
  plan_tell();
  for (uint32_t step = 0; step < 3000; step++) {
    primary_serves();
    for (uint64_t i = draw(&w, 4); i > 0 && replicator_serves(member_of(&w, plan.primary)->replicator); i--) {
      client_proposes();
    }
    for (uint64_t i = draw(&w, 8); i > 0; i--) {
      deliver_one();
    }
    if (w.late.first != NULL && draw(&w, 10) == 0) {
      letter_deliver(&w, letter_take(&w.late));
    }
    time_passes(draw(&w, 50) == 0 ? SECOND : (int64_t)draw(&w, 1000));
    if (draw(&w, 20) == 0) {
      fault();
    }
  }
  all_is_well();
  world_close(&w);
  seed_under_way = 0;
}

static void synchronous_copies_agree_at_every_step_and_become_equal(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 15; seed++) {
    run(seed, true);
  }
}

static void asynchronous_copies_become_equal(void **state) {
  (void)state;
  for (uint64_t seed = 1001; seed <= 1015; seed++) {
    run(seed, false);
  }
}

int main(void) {
  for (size_t i = 0; i < sizeof noise; i++) {
    noise[i] = (uint8_t)(i * 131 + i / 251 + 1);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(synchronous_copies_agree_at_every_step_and_become_equal, seed_tell),
      cmocka_unit_test_teardown(asynchronous_copies_become_equal, seed_tell),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
