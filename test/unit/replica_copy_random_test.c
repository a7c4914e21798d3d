/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random histories of two replicas: a leader's operations are taken over by a copy one by one, with others in flight on
 * both sides, dropped and made again, and now and then the copy is thrown away and filled from the leader's state while
 * that goes on. Both are taken up anew at times. What the leader refuses, a copy that is level refuses alike. Whenever
 * they are level, everything that can be seen is equal.
 */
#include "test/unit/replica_copies.h"

static uint8_t noise[LARGE_BYTES + 256];

/* ---- random histories ---- */

typedef struct world {
  fixture_t leader, copy;
  uint64_t random;
  int64_t now_ns;
  uint64_t epoch;
  uint64_t request;
  uint64_t leader_had[64]; /* seq % 64: what the leader had committed when it prepared that */
} world_t;

static uint64_t draw(world_t *w, uint64_t below) { /* splitmix64 */
  uint64_t z = (w->random += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return (z ^ (z >> 31)) % below;
}

static uint64_t prepared_seq(const replica_t *replica) {
  replica_status_t status;
  replica_status(replica, &status);
  return status.prepared_seq;
}

#define OP_ELEMENTS 4U

static uint32_t elements_draw(world_t *w, replica_element_t *elements, char (*ids)[4]) {
  static const vesta_kind_t kinds[] = {VESTA_KIND_CREATED,     VESTA_KIND_CREATED, VESTA_KIND_WRITTEN,
                                       VESTA_KIND_WRITTEN,     VESTA_KIND_DELETED, VESTA_KIND_OVERWRITTEN,
                                       VESTA_KIND_OVERWRITTEN, VESTA_KIND_EXPIRED, VESTA_KIND_EXPIRY_SET};
  if (draw(w, 40) == 0) {
    elements[0] = draw(w, 2) == 0 ? epoch_to(w->epoch + 1 + draw(w, 3), draw(w, 5))
                                  : of_kind(VESTA_KIND_RETENTION_SET, (int64_t)draw(w, 1000));
    return 1;
  }
  uint32_t count = draw(w, 2) == 0 ? 1 : 1 + (uint32_t)draw(w, OP_ELEMENTS);
  for (uint32_t i = 0; i < count; i++) {
    vesta_kind_t kind = kinds[draw(w, sizeof kinds / sizeof kinds[0])];
    bool has_data = kind <= VESTA_KIND_OVERWRITTEN;
    uint64_t size = draw(w, 30) == 0 ? LARGE_BYTES : draw(w, 200);
    snprintf(ids[i], sizeof ids[i], "%u", (unsigned)draw(w, 40) + 100);
    bool generates = kind == VESTA_KIND_CREATED && draw(w, 3) == 0;
    elements[i] = (replica_element_t){
        .kind = kind,
        .id = text(generates ? "" : ids[i]),
        .offset = draw(w, 100),
        .data = vesta_bytes(noise + draw(w, 200), has_data ? (kind == VESTA_KIND_WRITTEN ? size / 2 : size) : 0),
        .expiry_ns = draw(w, 4) == 0 ? w->now_ns + (int64_t)draw(w, 300) : VESTA_TIME_END};
  }
  return count;
}

static void copy_commits(world_t *w, uint64_t seq) {
  if (seq > position_of(w->copy.replica).seq) {
    replica_commit(w->copy.replica, seq);
  }
}

/* The copy takes over some of what it lacks. */
static void copy_follows(world_t *w, uint64_t upto) {
  for (uint64_t seq = prepared_seq(w->copy.replica) + 1; seq <= upto; seq++) {
    copy_commits(w, w->leader_had[seq % 64]); /* the leader had, before it made this */
    copy_prepares(w->leader.replica, seq, w->copy.replica);
  }
}

static void leader_proposes(world_t *w) {
  replica_element_t elements[OP_ELEMENTS];
  char ids[OP_ELEMENTS][4];
  uint32_t count = elements_draw(w, elements, ids);
  replica_op_t op = {.time_ns = w->now_ns, .elements = elements, .element_count = count};
  if (draw(w, 3) != 0) {
    op.session = session_of(1 + draw(w, 5));
    op.request = ++w->request;
  }
  replica_result_t result, refusal;
  vesta_err_t err = replica_prepare(w->leader.replica, &op, &result);
  uint64_t committed = position_of(w->leader.replica).seq;
  if (err == VESTA_OK) {
    w->leader_had[result.seq % 64] = committed;
    w->epoch = result.epoch > w->epoch ? result.epoch : w->epoch;
  } else if (prepared_seq(w->copy.replica) == prepared_seq(w->leader.replica) &&
             position_of(w->copy.replica).seq == committed) {
    assert_int_equal(replica_prepare(w->copy.replica, &op, &refusal), err); /* they say the same */
    assert_int_equal(refusal.element, result.element);
  }
}

static void leader_drops(world_t *w) {
  uint64_t committed = position_of(w->leader.replica).seq;
  uint64_t prepared = prepared_seq(w->leader.replica);
  if (prepared == committed) {
    return;
  }
  uint64_t from = committed + 1 + draw(w, prepared - committed);
  replica_abort(w->leader.replica, from);
  if (prepared_seq(w->copy.replica) >= from) {
    replica_abort(w->copy.replica, from);
  }
}

/* In two parts each. */
static void sections_fill(world_t *w, uint64_t base, bool goes_on) {
  replica_section_t section;
  uint32_t looks = UINT32_MAX;
  for (uint32_t slot = 0;
       replica_slot_next_changed(w->leader.replica, slot, replica_slot_end(w->leader.replica), base, &looks, &section);
       slot = section.slot + 1) {
    uint64_t half = draw(w, section.size + 1);
    vesta_err_t err = replica_load_section(w->copy.replica, &section, 0, vesta_bytes(section.data, half));
    assert_int_equal(err, VESTA_OK);
    err = replica_load_section(w->copy.replica, &section, half, vesta_bytes(section.data + half, section.size - half));
    assert_int_equal(err, VESTA_OK);
    if (goes_on && draw(w, 4) == 0) {
      leader_proposes(w);
      replica_commit(w->leader.replica, prepared_seq(w->leader.replica));
    }
  }
}

/* Throw the copy away and fill another one, over several passes, while the leader goes on. */
static void copy_is_filled(world_t *w) {
  fixture_close(&w->copy);
  same_kind_open(&w->copy, &w->leader);
  replica_t *to = w->copy.replica;
  assert_int_equal(replica_load_begin(to), VESTA_OK);
  uint64_t base = 0, tombstones_from = position_of(w->leader.replica).seq;
  for (uint64_t pass = 0, last = draw(w, 4); pass <= last; pass++) {
    uint64_t began = position_of(w->leader.replica).seq;
    if (pass > 0) {
      deletes_load(w->leader.replica, base, to);
    }
    sections_fill(w, base, pass < last);
    results_load(w->leader.replica, base, to);
    base = began;
  }
  assert_int_equal(end_load(w->leader.replica, tombstones_from, to), VESTA_OK);
  assert_true(replica_check(to));
}

static void they_level(world_t *w) {
  uint64_t prepared = prepared_seq(w->leader.replica);
  copy_follows(w, prepared);
  replica_commit(w->leader.replica, prepared);
  copy_commits(w, prepared);
  are_equal(w->leader.replica, w->copy.replica);
}

static uint64_t seed_under_way; /* 0: none */

static int seed_tell(void **state) {
  (void)state;
  if (seed_under_way != 0) {
    print_message("failed with seed %llu\n", (unsigned long long)seed_under_way);
  }
  return 0;
}

static void run(uint64_t seed) {
  seed_under_way = seed;
  static world_t w;
  memset(&w, 0, sizeof w);
  w.random = seed;
  w.now_ns = NOW;
  w.epoch = 1;
  fixture_open(&w.leader, SECTIONS_MAX, LARGE_BYTES, ID_BYTES_MAX);
  same_kind_open(&w.copy, &w.leader);
  for (uint32_t step = 0; step < 1500; step++) {
    w.now_ns += (int64_t)draw(&w, 20);
    uint64_t in_flight = prepared_seq(w.leader.replica) - position_of(w.leader.replica).seq;
    if (in_flight < 20) {
      leader_proposes(&w);
    }
    if (draw(&w, 8) == 0) {
      leader_drops(&w);
    }
    uint64_t lacks = prepared_seq(w.leader.replica) - prepared_seq(w.copy.replica);
    if (lacks > 30 || draw(&w, 3) == 0) {
      copy_follows(&w, prepared_seq(w.leader.replica) - draw(&w, lacks < 30 ? lacks + 1 : 1));
    }
    in_flight = prepared_seq(w.leader.replica) - position_of(w.leader.replica).seq;
    if (in_flight > 0 && draw(&w, 3) == 0) {
      replica_commit(w.leader.replica, position_of(w.leader.replica).seq + draw(&w, in_flight + 1));
    }
    uint64_t committed = position_of(w.leader.replica).seq;
    uint64_t had = prepared_seq(w.copy.replica);
    if (draw(&w, 4) == 0) {
      copy_commits(&w, had < committed ? had : committed);
    }
    if (draw(&w, 100) == 0) {
      fixture_restart(draw(&w, 2) == 0 ? &w.leader : &w.copy);
    }
    if (draw(&w, 40) == 0) {
      they_level(&w);
    }
    if (draw(&w, 80) == 0) {
      copy_is_filled(&w);
      are_equal(w.leader.replica, w.copy.replica);
    }
  }
  they_level(&w);
  fixture_close(&w.leader);
  fixture_close(&w.copy);
  seed_under_way = 0;
}

static void copies_that_follow_or_are_filled_equal_their_leader(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    run(seed);
  }
}

int main(void) {
  for (size_t i = 0; i < sizeof noise; i++) {
    noise[i] = (uint8_t)(i * 131 + i / 251 + 1);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(copies_that_follow_or_are_filled_equal_their_leader, seed_tell),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
