/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The hash of a content: what it is made of, and that keeping it up to date piece by piece, while others write, gives
 * what hashing everything from scratch gives.
 */
#include "core/content_sum.h"

#include "test/unit/replica_fixture.h"

#define SECTIONS 24U
#define BYTES_MAX (200U << 10)
#define MEMORY_MAX (64ULL << 20)

static uint8_t noise[BYTES_MAX];

static uint64_t draw(uint64_t *random, uint64_t below) { /* splitmix64 */
  uint64_t z = (*random += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return (z ^ (z >> 31)) % below;
}

static int set_up(void **state) {
  (void)state;
  uint64_t random = 1;
  for (size_t i = 0; i < sizeof noise; i++) {
    noise[i] = (uint8_t)draw(&random, 256);
  }
  return 0;
}

static content_t from_scratch(const replica_t *replica) {
  replica_status_t status;
  replica_status(replica, &status);
  content_t content = {.position = status.committed};
  replica_section_t section;
  for (uint32_t slot = 0; replica_slot_next(replica, slot, replica_slot_end(replica), &section);
       slot = section.slot + 1) {
    vesta_bytes_t data = vesta_bytes(section.data, section.size);
    content.hash = content_hash_add(content.hash, content_hash_section(section.id, data, section.expiry_ns));
    content.section_count++;
  }
  return content;
}

static void assert_content(const replica_t *replica, const content_t *content) {
  content_t expected = from_scratch(replica);
  assert_true(vesta_pos_equal(content->position, expected.position));
  assert_true(content_hash_equal(content->hash, expected.hash));
  assert_int_equal(content->section_count, expected.section_count);
}

/* To the end, nobody writing. Returns the bytes hashed. */
static uint64_t make(content_sum_t *sum, const replica_t *replica) {
  uint64_t before = content_sum_hashed_bytes(sum);
  content_t content;
  vesta_err_t err;
  while ((err = content_sum_step(sum, replica, 1000, MEMORY_MAX, &content)) == VESTA_ERR_TRY_AGAIN) {
  }
  assert_int_equal(err, VESTA_OK);
  assert_content(replica, &content);
  return content_sum_hashed_bytes(sum) - before;
}

/* ---- the hash ---- */

static void assert_hash(content_hash_t hash, uint64_t hi, uint64_t lo) {
  if (hash.hi != hi || hash.lo != lo) {
    print_message("the hash is %016llx %016llx\n", (unsigned long long)hash.hi, (unsigned long long)hash.lo);
  }
  assert_true(hash.hi == hi && hash.lo == lo);
}

static void the_hash_of_a_section_is_what_the_protocol_says(void **state) {
  (void)state;
  uint8_t data[VESTA_CONTENT_BLOCK_BYTES + 1];
  for (size_t i = 0; i < sizeof data; i++) {
    data[i] = (uint8_t)i;
  }
  assert_hash(content_hash_section(text(""), text(""), VESTA_TIME_END), 0x796fa07fcbe27946, 0x63a9602bc9742269);
  assert_hash(content_hash_section(text("a"), text("one"), VESTA_TIME_END), 0x174954530c3af770, 0x1b5dc042f868229f);
  assert_hash(content_hash_section(text("b"), vesta_bytes(data, sizeof data), 1700000000000000000), 0x63405aba6be701fb,
              0x790acd041cbdb4c5);
}

static void whatever_differs_in_a_section_changes_its_hash(void **state) {
  (void)state;
  uint8_t data[3 * VESTA_CONTENT_BLOCK_BYTES] = {0};
  vesta_bytes_t all = vesta_bytes(data, sizeof data);
  data[0] = 1;
  content_hash_t hash = content_hash_section(text("a"), all, 5);
  assert_false(content_hash_equal(hash, content_hash_section(text("b"), all, 5)));
  assert_false(content_hash_equal(hash, content_hash_section(text("a"), all, 6)));
  assert_false(content_hash_equal(hash, content_hash_section(text("a"), vesta_bytes(data, sizeof data - 1), 5)));
  data[0] = 0;
  data[VESTA_CONTENT_BLOCK_BYTES] = 1; /* the same blocks in another order */
  assert_false(content_hash_equal(hash, content_hash_section(text("a"), all, 5)));
}

static void a_hash_is_written_and_read_as_sixteen_bytes(void **state) {
  (void)state;
  content_hash_t hash = {.hi = 0x0102030405060708, .lo = 0x090a0b0c0d0e0f10};
  content_hash_t again = {0};
  uint8_t bytes[VESTA_CONTENT_HASH_BYTES];
  content_hash_write(hash, bytes);
  assert_int_equal(bytes[0], 1);
  assert_int_equal(bytes[15], 16);
  assert_true(content_hash_read(vesta_bytes(bytes, sizeof bytes), &again));
  assert_true(content_hash_equal(hash, again));
  assert_false(content_hash_read(vesta_bytes(bytes, sizeof bytes - 1), &again));
}

static void sums_carry_and_borrow_over_their_128_bits(void **state) {
  (void)state;
  content_hash_t one = {.lo = 1};
  content_hash_t most = {.hi = UINT64_MAX, .lo = UINT64_MAX};
  content_hash_t half = {.lo = UINT64_MAX};
  assert_true(content_hash_equal(content_hash_add(most, one), (content_hash_t){0}));
  assert_true(content_hash_equal(content_hash_add(half, one), (content_hash_t){.hi = 1}));
  assert_true(content_hash_equal(content_hash_subtract((content_hash_t){.hi = 1}, one), half));
}

/* ---- beside the writing ---- */

typedef struct world {
  fixture_t f;
  uint64_t random;
  bool present[SECTIONS];
  content_sum_t *sum;
} world_t;

static void write_something(world_t *w) {
  char id[8];
  uint32_t number = (uint32_t)draw(&w->random, SECTIONS);
  (void)snprintf(id, sizeof id, "s%u", number);
  uint64_t most = number % 3 == 0 ? BYTES_MAX : number % 3 == 1 ? 3 * VESTA_CONTENT_BLOCK_BYTES : 300;
  uint64_t offset = draw(&w->random, most);
  uint64_t size = draw(&w->random, draw(&w->random, 4) == 0 ? most - offset
                                   : 100 < most - offset    ? 100
                                                            : most - offset);
  replica_element_t e = {.id = text(id), .data = vesta_bytes(noise + offset, size), .expiry_ns = VESTA_TIME_END};
  replica_element_t both[2] = {e, e};
  switch (w->present[number] ? draw(&w->random, 12) : 0) {
    case 0: e.kind = w->present[number] ? VESTA_KIND_DELETED : VESTA_KIND_CREATED; break;
    case 1: e.kind = VESTA_KIND_OVERWRITTEN; break;
    case 2:
      e.kind = VESTA_KIND_EXPIRY_SET;
      e.expiry_ns = NOW + 1 + (int64_t)draw(&w->random, 1000);
      break;
    case 3: /* gone and there again, in another slot or the same, in one operation */
      both[0].kind = VESTA_KIND_DELETED;
      both[1].kind = VESTA_KIND_CREATED;
      must_apply(&w->f, both, 2);
      return;
    case 4: /* two places of one section in one operation */
      both[0].kind = VESTA_KIND_WRITTEN;
      both[1].kind = VESTA_KIND_WRITTEN;
      both[1].offset = draw(&w->random, most - size);
      must_apply(&w->f, both, 2);
      return;
    default:
      e.kind = VESTA_KIND_WRITTEN;
      e.offset = offset;
      break;
  }
  must_apply(&w->f, &e, 1);
  w->present[number] = e.kind != VESTA_KIND_DELETED;
}

/* Writes between the steps until the hash is level. */
static void hash_under_load(world_t *w, uint64_t writes_per_step, uint64_t budget_bytes) {
  content_t content;
  vesta_err_t err;
  uint32_t steps = 0;
  while ((err = content_sum_step(w->sum, w->f.replica, budget_bytes, MEMORY_MAX, &content)) == VESTA_ERR_TRY_AGAIN) {
    for (uint64_t i = draw(&w->random, writes_per_step + 1); i > 0 && steps < 400; i--) {
      write_something(w);
    }
    steps++;
  }
  assert_int_equal(err, VESTA_OK);
  assert_content(w->f.replica, &content);
}

static void made_in_pieces_while_others_write_it_is_the_hash_made_from_scratch(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 12; seed++) {
    world_t w = {.random = seed, .sum = content_sum_new()};
    assert_non_null(w.sum);
    fixture_open(&w.f, SECTIONS, BYTES_MAX, 8);
    for (uint32_t round = 0; round < 20; round++) {
      for (uint64_t i = draw(&w.random, round % 5 == 0 ? 400 : 20); i > 0; i--) {
        write_something(&w);
      }
      hash_under_load(&w, draw(&w.random, 6), 1 + draw(&w.random, 40000));
      if (round % 3 == 0) {
        content_sum_scrub(w.sum, w.f.replica, 4);
      }
    }
    content_sum_destroy(&w.sum);
    fixture_close(&w.f);
  }
}

static void a_hash_made_after_a_restart_is_the_one_from_before(void **state) {
  (void)state;
  world_t w = {.random = 77, .sum = content_sum_new()};
  fixture_open(&w.f, SECTIONS, BYTES_MAX, 8);
  for (uint32_t i = 0; i < 300; i++) {
    write_something(&w);
  }
  (void)make(w.sum, w.f.replica);
  content_sum_destroy(&w.sum);
  fixture_restart(&w.f);
  w.sum = content_sum_new();
  (void)make(w.sum, w.f.replica);
  content_sum_destroy(&w.sum);
  fixture_close(&w.f);
}

static void the_second_hash_costs_what_changed(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 10, BYTES_MAX, 8);
  must_apply(&f, ELEMENTS(create("a", "one"), create("b", "")));
  must_apply(&f, ELEMENTS(overwrite_bytes("b", noise, BYTES_MAX)));
  content_sum_t *sum = content_sum_new();
  assert_int_equal(make(sum, f.replica), 3 + BYTES_MAX);
  assert_int_equal(make(sum, f.replica), 0);
  must_apply(&f, ELEMENTS(write_at("b", 3 * VESTA_CONTENT_BLOCK_BYTES + 7, "x")));
  assert_int_equal(make(sum, f.replica), VESTA_CONTENT_BLOCK_BYTES); /* of a section of many blocks one */
  must_apply(&f, ELEMENTS(expiry_set("b", NOW + 9)));
  assert_int_equal(make(sum, f.replica), 0);
  must_apply(&f, ELEMENTS(delete_of("b")));
  assert_int_equal(make(sum, f.replica), 0);
  for (uint32_t i = 0; i < 200; i++) { /* the log forgets how the other one came to be what it is */
    must_apply(&f, ELEMENTS(create("c", "")));
    must_apply(&f, ELEMENTS(overwrite_bytes("c", noise, BYTES_MAX)));
    must_apply(&f, ELEMENTS(delete_of("c")));
  }
  must_apply(&f, ELEMENTS(create("d", "1234")));
  assert_int_equal(make(sum, f.replica), 4);
  content_sum_destroy(&sum);
  fixture_close(&f);
}

static void a_piece_is_no_larger_than_its_budget_and_one_step_of_the_work(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 8U << 20, 8);
  must_apply(&f, ELEMENTS(create("large", "")));
  for (uint64_t at = 0; at < 8U << 20; at += BYTES_MAX / 2) {
    must_apply(&f, ELEMENTS(write_at("large", at, "there are zeros between")));
  }
  content_sum_t *sum = content_sum_new();
  content_t content;
  uint64_t hashed = 0;
  while (content_sum_step(sum, f.replica, 100000, MEMORY_MAX, &content) == VESTA_ERR_TRY_AGAIN) {
    assert_in_range(content_sum_hashed_bytes(sum) - hashed, 90000, 100000 + 16 * VESTA_CONTENT_BLOCK_BYTES);
    hashed = content_sum_hashed_bytes(sum);
  }
  assert_content(f.replica, &content);
  content_sum_destroy(&sum);
  fixture_close(&f);
}

static void more_memory_than_it_may_have_is_refused_and_all_is_forgotten(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 10, BYTES_MAX, 8);
  must_apply(&f, ELEMENTS(create("a", "one"), create("b", "")));
  must_apply(&f, ELEMENTS(overwrite_bytes("b", noise, BYTES_MAX)));
  content_sum_t *sum = content_sum_new();
  content_t content;
  (void)make(sum, f.replica);
  uint64_t needed = content_sum_bytes(sum);
  content_sum_destroy(&sum);
  sum = content_sum_new();
  assert_int_equal(content_sum_step(sum, f.replica, UINT32_MAX, needed - 1, &content), VESTA_ERR_NO_RESOURCES);
  assert_int_equal(content_sum_bytes(sum), 0);
  assert_int_equal(content_sum_step(sum, f.replica, UINT32_MAX, needed, &content), VESTA_OK);
  assert_content(f.replica, &content);
  content_sum_destroy(&sum);
  fixture_close(&f);
}

static void a_byte_that_changed_by_itself_is_found_when_all_parts_were_scrubbed(void **state) {
  (void)state;
  world_t w = {.random = 5, .sum = content_sum_new()};
  fixture_open(&w.f, SECTIONS, BYTES_MAX, 8);
  for (uint32_t i = 0; i < 400; i++) {
    write_something(&w);
  }
  (void)make(w.sum, w.f.replica);
  content_t content;
  content_t before = from_scratch(w.f.replica);
  replica_section_t section;
  assert_true(replica_slot_next(w.f.replica, 7, SECTIONS, &section) && section.size > 0);
  ((uint8_t *)section.data)[section.size / 2] ^= 1; /* a fault of memory */
  for (uint32_t part = 0; part < 9; part++) {       /* eight, and what was begun at the end */
    assert_int_equal(content_sum_step(w.sum, w.f.replica, UINT32_MAX, MEMORY_MAX, &content), VESTA_OK);
    content_sum_scrub(w.sum, w.f.replica, 8);
  }
  assert_false(content_hash_equal(content.hash, before.hash));
  assert_content(w.f.replica, &content);
  content_sum_destroy(&w.sum);
  fixture_close(&w.f);
}

static void another_checkpoint_in_its_place_is_hashed_from_the_start(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 10, 100, 8);
  must_apply(&f, ELEMENTS(create("a", "one")));
  content_sum_t *sum = content_sum_new();
  (void)make(sum, f.replica);
  fixture_close(&f);
  fixture_open(&f, 10, 100, 8); /* of the same lineage, but not as far: a lost history */
  (void)make(sum, f.replica);
  content_sum_destroy(&sum);
  fixture_close(&f);
}

static void the_default_section_is_content(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 1, 100, 8);
  content_sum_t *sum = content_sum_new();
  assert_int_equal(make(sum, f.replica), 0);
  must_apply(&f, ELEMENTS(overwrite("", "data")));
  assert_int_equal(make(sum, f.replica), 4);
  content_sum_destroy(&sum);
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_hash_of_a_section_is_what_the_protocol_says),
      cmocka_unit_test(whatever_differs_in_a_section_changes_its_hash),
      cmocka_unit_test(a_hash_is_written_and_read_as_sixteen_bytes),
      cmocka_unit_test(sums_carry_and_borrow_over_their_128_bits),
      cmocka_unit_test(made_in_pieces_while_others_write_it_is_the_hash_made_from_scratch),
      cmocka_unit_test(a_hash_made_after_a_restart_is_the_one_from_before),
      cmocka_unit_test(the_second_hash_costs_what_changed),
      cmocka_unit_test(a_piece_is_no_larger_than_its_budget_and_one_step_of_the_work),
      cmocka_unit_test(more_memory_than_it_may_have_is_refused_and_all_is_forgotten),
      cmocka_unit_test(a_byte_that_changed_by_itself_is_found_when_all_parts_were_scrubbed),
      cmocka_unit_test(another_checkpoint_in_its_place_is_hashed_from_the_start),
      cmocka_unit_test(the_default_section_is_content),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
