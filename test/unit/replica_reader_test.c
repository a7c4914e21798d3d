/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading a replica from outside: right when nobody writes, never wrong while somebody does.
 *
 * A reader is tried before every single store of a writer, and before every store of a recovery: what it gets must be
 * the section before or after the operation, or TRY_AGAIN. Then two real processes, one writing, one reading.
 */
#include "test/unit/replica_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/replica_private.h" /* replica_recover_hooked() */
#include "core/replica_reader.h"

/* As pread(2) does it: what is not there reads as zeros. */
static vesta_err_t pages_read(void *context, uint64_t offset, void *to, size_t size) {
  const pages_t *pages = context;
  assert_true(offset + size <= pages->size);
  uint8_t *out = to;
  for (size_t i = 0; i < size; i++) {
    uint64_t at = offset + i;
    out[i] = pages->reserved[at / PAGE_BYTES] != 0 ? pages->region[at] : 0;
  }
  return VESTA_OK;
}

static void reader_open(const fixture_t *f, pages_t *pages, replica_reader_t *reader) {
  uint64_t index_bytes = 0;
  replica_reader_io_t io = {.context = pages, .read = pages_read};
  assert_int_equal(replica_reader_index_size(&f->attributes, &index_bytes), VESTA_OK);
  assert_int_equal(replica_reader_init(reader, pages->region, index_bytes, 42, &f->attributes, &io), VESTA_OK);
}

/* ---- nobody writes ---- */

static void a_reader_reads_what_is_there(void **state) {
  (void)state;
  fixture_t f;
  replica_reader_t reader;
  fixture_open(&f, 8, 20, 8);
  reader_open(&f, &f.pages, &reader);
  must_apply(&f, ELEMENTS(create("a", "0123456789"), create("b", ""), create_until("c", "c", NOW + 1)));
  char buffer[32];
  size_t size = 99;
  assert_int_equal(replica_reader_read(&reader, text("a"), NOW, 0, buffer, 4, &size), VESTA_OK);
  assert_int_equal(size, 4);
  assert_memory_equal(buffer, "0123", 4);
  assert_int_equal(replica_reader_read(&reader, text("a"), NOW, 7, buffer, 32, &size), VESTA_OK);
  assert_int_equal(size, 3);
  assert_memory_equal(buffer, "789", 3);
  assert_int_equal(replica_reader_read(&reader, text("a"), NOW, 10, buffer, 32, &size), VESTA_OK);
  assert_int_equal(size, 0);
  assert_int_equal(replica_reader_read(&reader, text("b"), NOW, 0, buffer, 32, &size), VESTA_OK);
  assert_int_equal(size, 0);
  size = 99;
  assert_int_equal(replica_reader_read(&reader, text("a"), NOW, 11, buffer, 1, &size), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(replica_reader_read(&reader, text("x"), NOW, 0, buffer, 1, &size), VESTA_ERR_NOT_EXIST);
  assert_int_equal(replica_reader_read(&reader, text("too long."), NOW, 0, buffer, 1, &size), VESTA_ERR_NOT_EXIST);
  assert_int_equal(replica_reader_read(&reader, text(""), NOW, 0, buffer, 1, &size), VESTA_ERR_NOT_EXIST);
  assert_int_equal(replica_reader_read(&reader, text("c"), NOW + 1, 0, buffer, 1, &size), VESTA_ERR_NOT_EXIST);
  assert_int_equal(size, 99);
  assert_int_equal(replica_reader_read(&reader, text("c"), NOW, 0, buffer, 1, &size), VESTA_OK);
  uint64_t section_size = 99;
  assert_int_equal(replica_reader_size(&reader, text("c"), NOW + 1, &section_size), VESTA_ERR_NOT_EXIST);
  assert_int_equal(section_size, 99);
  assert_int_equal(replica_reader_size(&reader, text("a"), NOW, &section_size), VESTA_OK);
  assert_int_equal(section_size, 10);
  assert_int_equal(replica_reader_applied(&reader), 1);
  must_apply(&f, ELEMENTS(delete_of("a")));
  assert_int_equal(replica_reader_applied(&reader), 2); /* so that it is not there is news of then, at least */
  assert_int_equal(replica_reader_size(&reader, text("a"), NOW, &section_size), VESTA_ERR_NOT_EXIST);
  fixture_close(&f);
}

static void a_reader_reads_the_default_section(void **state) {
  (void)state;
  fixture_t f;
  replica_reader_t reader;
  fixture_open(&f, 1, 20, 0);
  reader_open(&f, &f.pages, &reader);
  uint64_t section_size = 99;
  assert_int_equal(replica_reader_size(&reader, text(""), NOW, &section_size), VESTA_OK);
  assert_int_equal(section_size, 0);
  must_apply(&f, ELEMENTS(overwrite("", "data")));
  char buffer[8];
  size_t size = 0;
  assert_int_equal(replica_reader_read(&reader, text(""), NOW, 0, buffer, 8, &size), VESTA_OK);
  assert_int_equal(size, 4);
  fixture_close(&f);
}

static void an_index_of_something_else_is_malformed(void **state) {
  (void)state;
  fixture_t f;
  replica_reader_t reader;
  replica_reader_io_t io = {.context = &f.pages, .read = pages_read};
  uint64_t bytes = 0;
  fixture_open(&f, 8, 20, 8);
  assert_int_equal(replica_reader_index_size(&f.attributes, &bytes), VESTA_OK);
  assert_int_equal(replica_reader_init(&reader, f.pages.region, bytes, 43, &f.attributes, &io), VESTA_ERR_MALFORMED);
  assert_int_equal(replica_reader_init(&reader, f.pages.region, bytes - 1, 42, &f.attributes, &io),
                   VESTA_ERR_MALFORMED);
  vesta_attributes_t other = attributes_of(8, 21, 8);
  assert_int_equal(replica_reader_init(&reader, f.pages.region, bytes, 42, &other, &io), VESTA_ERR_MALFORMED);
  fixture_close(&f);
}

static void a_lock_that_stays_taken_means_ask_the_daemon(void **state) {
  (void)state;
  fixture_t f;
  replica_reader_t reader;
  fixture_open(&f, 8, 20, 8);
  reader_open(&f, &f.pages, &reader);
  must_apply(&f, ELEMENTS(create("a", "0123456789"), create("b", "b")));
  char buffer[8];
  size_t size = 99;
  replica_descriptor(f.replica, 0)->lock++;
  assert_int_equal(replica_reader_read(&reader, text("a"), NOW, 0, buffer, 8, &size), VESTA_ERR_TRY_AGAIN);
  assert_int_equal(replica_reader_read(&reader, text("b"), NOW, 0, buffer, 8, &size), VESTA_OK);
  assert_int_equal(replica_reader_read(&reader, text("c"), NOW, 0, buffer, 8, &size), VESTA_ERR_NOT_EXIST);
  f.replica->header->index_lock++;
  assert_int_equal(replica_reader_read(&reader, text("b"), NOW, 0, buffer, 8, &size), VESTA_OK);
  assert_int_equal(replica_reader_read(&reader, text("c"), NOW, 0, buffer, 8, &size), VESTA_ERR_TRY_AGAIN);
  fixture_restart(&f); /* which releases what a killed process held */
  assert_int_equal(replica_reader_read(&reader, text("a"), NOW, 0, buffer, 8, &size), VESTA_OK);
  assert_int_equal(replica_reader_read(&reader, text("c"), NOW, 0, buffer, 8, &size), VESTA_ERR_NOT_EXIST);
  fixture_close(&f);
}

/* Any bytes in the index: an answer or TRY_AGAIN, and no access outside what was announced (pages_read asserts it). */
static void nothing_read_from_the_index_is_trusted(void **state) {
  (void)state;
  fixture_t f;
  replica_reader_t reader;
  fixture_open(&f, 8, 20, 8);
  reader_open(&f, &f.pages, &reader);
  must_apply(&f, ELEMENTS(create("a", "0123456789"), create("b", "b"), create("c", "c")));
  uint8_t *good = malloc(reader.index_bytes);
  assert_non_null(good);
  memcpy(good, f.pages.region, reader.index_bytes);
  uint32_t random = 1;
  for (uint32_t i = 0; i < 20000; i++) {
    memcpy(f.pages.region, good, reader.index_bytes);
    for (uint32_t damage = 0; damage < 1 + i % 8; damage++) {
      random = random * 1664525 + 1013904223;
      f.pages.region[sizeof(replica_header_t) + (random >> 8) % (reader.index_bytes - sizeof(replica_header_t))] =
          (uint8_t)(random >> 3);
    }
    char buffer[64];
    size_t size = 0;
    vesta_err_t err = replica_reader_read(&reader, text("a"), NOW, 0, buffer, sizeof buffer, &size);
    assert_true(err == VESTA_OK || err == VESTA_ERR_NOT_EXIST || err == VESTA_ERR_TRY_AGAIN);
    assert_true(size <= 20);
  }
  memcpy(f.pages.region, good, reader.index_bytes);
  free(good);
  fixture_close(&f);
}

/* ---- somebody writes ---- */

#define WATCHED_COUNT 4U
static const char *const watched[WATCHED_COUNT] = {"a", "b", "c", "d"};

/* What a reader may see of one section. */
typedef struct seen {
  vesta_err_t err;
  size_t size;
  uint8_t data[25 * PAGE_BYTES];
} seen_t;

typedef struct watch {
  replica_reader_t reader;
  pages_t *pages;
  seen_t before[WATCHED_COUNT], after[WATCHED_COUNT];
  bool knows_after;
  uint64_t stores, again, answers;
} watch_t;

static void look(const replica_reader_t *reader, const char *id, seen_t *seen) {
  memset(seen, 0, sizeof *seen);
  seen->err = replica_reader_read(reader, text(id), NOW, 0, seen->data, sizeof seen->data, &seen->size);
}

static bool same(const seen_t *a, const seen_t *b) {
  return a->err == b->err && a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static void watch_store(void *context) {
  watch_t *w = context;
  w->stores++;
  for (uint32_t i = 0; i < WATCHED_COUNT; i++) {
    seen_t now;
    look(&w->reader, watched[i], &now);
    w->again += now.err == VESTA_ERR_TRY_AGAIN ? 1 : 0;
    w->answers += now.err != VESTA_ERR_TRY_AGAIN ? 1 : 0;
    if (now.err != VESTA_ERR_TRY_AGAIN && !same(&now, &w->before[i]) && !same(&now, &w->after[i])) {
      fail_msg("store %llu: section %s is neither as before nor as after", (unsigned long long)w->stores, watched[i]);
    }
  }
}

/* The operation runs on a copy first, to know what is after it. */
static void watched_apply(fixture_t *f, fixture_t *copy, const replica_element_t *elements, size_t count) {
  static watch_t w;
  memset(&w, 0, sizeof w);
  reader_open(f, &f->pages, &w.reader);
  replica_reader_t copy_reader;
  pages_copy(&f->pages, &copy->pages);
  fixture_restart(copy);
  reader_open(copy, &copy->pages, &copy_reader);
  must_apply(copy, elements, count);
  for (uint32_t i = 0; i < WATCHED_COUNT; i++) {
    look(&w.reader, watched[i], &w.before[i]);
    look(&copy_reader, watched[i], &w.after[i]);
  }
  replica_store_hook(f->replica, watch_store, &w);
  must_apply(f, elements, count);
  replica_store_hook(f->replica, NULL, NULL);
  assert_true(w.stores > 10 && w.again > 0 && w.answers > w.stores);
  for (uint32_t i = 0; i < WATCHED_COUNT; i++) {
    seen_t now;
    look(&w.reader, watched[i], &now);
    assert_true(same(&now, &w.after[i]));
  }
}

static void at_any_store_a_section_reads_as_before_or_after(uint64_t section_bytes_max) {
  static uint8_t block[2 * PAGE_BYTES + 77];
  memset(block, 'z', sizeof block);
  size_t size = section_bytes_max < sizeof block ? section_bytes_max : sizeof block;
  fixture_t f;
  fixture_t copy;
  fixture_open(&f, 5, section_bytes_max, 8);
  fixture_open(&copy, 5, section_bytes_max, 8);
  watched_apply(&f, &copy, ELEMENTS(create("a", "aaa"), create("b", "bbb")));
  watched_apply(&f, &copy, ELEMENTS(overwrite_bytes("a", block, size)));
  watched_apply(&f, &copy, ELEMENTS(overwrite("a", "short"), write_at("a", 30, "far"), write_at("b", 1, "x")));
  watched_apply(&f, &copy, ELEMENTS(delete_of("a"), create("c", "in its slot")));
  watched_apply(&f, &copy, ELEMENTS(create("a", "back"), delete_of("b"), create("b", "new"), create("d", "d")));
  watched_apply(&f, &copy, ELEMENTS(delete_of("d"), expiry_set("a", NOW)));
  watched_apply(&f, &copy, ELEMENTS(delete_of("c")));
  fixture_close(&f);
  fixture_close(&copy);
}

/* Data that stays in the log, and goes to its slot when its record is in the way. */
static void at_any_store_a_section_in_the_log_reads_as_before_or_after(void **state) {
  (void)state;
  static uint8_t block[25 * PAGE_BYTES];
  fixture_t f;
  fixture_t copy;
  fixture_open(&f, 3, sizeof block, 8);
  fixture_open(&copy, 3, sizeof block, 8);
  must_apply(&f, ELEMENTS(create("a", "a"), create("b", "b")));
  for (uint8_t value = 1; value < 3; value++) {
    memset(block, value, sizeof block);
    watched_apply(&f, &copy, ELEMENTS(overwrite_bytes("a", block, sizeof block)));
    assert_int_equal(f.replica->staying_count, 1);
  }
  watched_apply(&f, &copy, ELEMENTS(write_at("a", 5000, "in the midst")));
  assert_int_equal(f.replica->staying_count, 0);
  watched_apply(&f, &copy, ELEMENTS(overwrite_bytes("a", block, sizeof block)));
  for (int i = 0; replica_descriptor(f.replica, 0)->data_at != 0; i++) {
    memset(block, 10 + i, sizeof block);
    watched_apply(&f, &copy, ELEMENTS(overwrite_bytes("b", block, sizeof block)));
    assert_true(i < 20);
  }
  fixture_close(&f);
  fixture_close(&copy);
}

static void at_any_store_a_packed_section_reads_as_before_or_after(void **state) {
  (void)state;
  at_any_store_a_section_reads_as_before_or_after(100);
}

static void at_any_store_a_paged_section_reads_as_before_or_after(void **state) {
  (void)state;
  at_any_store_a_section_reads_as_before_or_after(3 * PAGE_BYTES);
}

/* ---- somebody recovers ---- */

typedef struct killed {
  fixture_t *live, *copy;
  watch_t watch;
} killed_t;

static void kill_and_watch_recovery(void *context) {
  killed_t *k = context;
  pages_copy(&k->live->pages, &k->copy->pages);
  replica_t *replica = NULL;
  assert_int_equal(replica_recover_hooked(k->copy->pages.region, k->copy->pages.size, &k->copy->storage, watch_store,
                                          &k->watch, &replica),
                   VESTA_OK);
  replica_destroy(&replica);
}

static void while_a_region_is_taken_up_sections_read_as_before_or_after(void **state) {
  (void)state;
  static killed_t k;
  fixture_t f;
  fixture_t copy;
  const replica_element_t elements[] = {delete_of("a"), create("c", "in its slot"), write_at("b", 5, "far"),
                                        delete_of("d"), create("d", "again")};
  fixture_open(&f, 5, 100, 8);
  fixture_open(&copy, 5, 100, 8);
  must_apply(&f, ELEMENTS(create("a", "aaa"), create("b", "bbb"), create("d", "ddd")));
  k = (killed_t){.live = &f, .copy = &copy};
  pages_copy(&f.pages, &copy.pages);
  fixture_restart(&copy);
  reader_open(&copy, &copy.pages, &k.watch.reader);
  for (uint32_t i = 0; i < WATCHED_COUNT; i++) {
    look(&k.watch.reader, watched[i], &k.watch.before[i]);
  }
  must_apply(&copy, elements, 5);
  for (uint32_t i = 0; i < WATCHED_COUNT; i++) {
    look(&k.watch.reader, watched[i], &k.watch.after[i]);
  }
  replica_store_hook(f.replica, kill_and_watch_recovery, &k);
  must_apply(&f, elements, 5);
  replica_store_hook(f.replica, NULL, NULL);
  assert_true(k.watch.stores > 500);
  fixture_close(&f);
  fixture_close(&copy);
}

/* ---- two processes ---- */

static vesta_err_t region_read(void *context, uint64_t offset, void *to, size_t size) {
  memcpy(to, (const uint8_t *)context + offset, size);
  return VESTA_OK;
}
static vesta_err_t all_reserved(void *context, uint64_t offset, uint64_t size) {
  (void)context;
  (void)offset;
  (void)size;
  return VESTA_OK;
}
static void nothing_released(void *context, uint64_t offset, uint64_t size) {
  (void)context;
  (void)offset;
  (void)size;
}

#define UNIT_MAX 512U

/* Every version of a section is one byte, repeated as often as the byte says, times `unit`. */
static void write_for_ever(replica_t *replica, size_t unit) {
  static uint8_t data[200 * UNIT_MAX];
  for (uint32_t i = 0;; i++) {
    uint8_t value = (uint8_t)(i % 199 + 1);
    memset(data, value, value * unit);
    replica_element_t elements[] = {overwrite_bytes("a", data, value * unit),
                                    i % 2 == 0 ? create("b", "b") : delete_of("b")};
    replica_op_t op = op_of(elements, 2);
    replica_result_t result;
    if (replica_apply(replica, &op, &result) != VESTA_OK) {
      _exit(1);
    }
  }
}

static void read_while_another_process_writes(size_t unit, uint32_t reads) {
  vesta_attributes_t attributes = attributes_of(4, 200 * unit, 8);
  uint64_t size = 0;
  uint64_t index_bytes = 0;
  assert_int_equal(replica_region_size(&attributes, &size), VESTA_OK);
  assert_int_equal(replica_reader_index_size(&attributes, &index_bytes), VESTA_OK);
  void *region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  assert_true(region != MAP_FAILED);
  replica_storage_t storage = {.reserve = all_reserved, .release = nothing_released};
  replica_identity_t identity = {.checkpoint_id = 42, .name = text("n"), .attributes = attributes};
  replica_t *replica = NULL;
  assert_int_equal(replica_format(region, size, &identity, &storage, NOW, &replica), VESTA_OK);
  replica_element_t first = create("a", "\x01");
  replica_op_t op = op_of(&first, 1);
  replica_result_t result;
  assert_int_equal(replica_apply(replica, &op, &result), VESTA_OK);
  pid_t writer = fork();
  if (writer == 0) {
    write_for_ever(replica, unit);
  }
  replica_reader_t reader;
  replica_reader_io_t io = {.context = region, .read = region_read};
  assert_int_equal(replica_reader_init(&reader, region, index_bytes, 42, &attributes, &io), VESTA_OK);
  uint32_t read = 0;
  bool values[256] = {false};
  uint32_t different = 0;
  for (uint64_t tries = 0; tries < 20000000 && (read < reads || different < 20); tries++) {
    static uint8_t data[200 * UNIT_MAX];
    size_t got = 0;
    vesta_err_t err = replica_reader_read(&reader, text("a"), NOW, 0, data, sizeof data, &got);
    if (err == VESTA_ERR_TRY_AGAIN) {
      continue;
    }
    assert_int_equal(err, VESTA_OK);
    assert_true(got > 0);
    uint8_t value = data[0];
    assert_true(got == value * unit || got == 1);
    assert_memory_equal(data, data + 1, got - 1); /* all of them are the first one */
    different += values[value] ? 0 : 1;
    values[value] = true;
    read++;
  }
  int status = 0;
  assert_int_equal(waitpid(writer, &status, WNOHANG), 0); /* it still writes */
  kill(writer, SIGKILL);
  assert_int_equal(waitpid(writer, &status, 0), writer);
  assert_true(read >= reads && different >= 20);
  replica_destroy(&replica);
  assert_int_equal(replica_recover(region, size, &storage, &replica), VESTA_OK);
  assert_true(replica_check(replica));
  replica_destroy(&replica);
  munmap(region, size);
}

static void a_reader_in_another_process_never_sees_half_a_write(void **state) {
  (void)state;
  read_while_another_process_writes(1, 30000);
}

/* Some of them stay in the log, while it goes round every few writes. */
static void a_reader_in_another_process_never_sees_half_of_what_stays_in_the_log(void **state) {
  (void)state;
  read_while_another_process_writes(UNIT_MAX, 3000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_reader_reads_what_is_there),
      cmocka_unit_test(a_reader_reads_the_default_section),
      cmocka_unit_test(an_index_of_something_else_is_malformed),
      cmocka_unit_test(a_lock_that_stays_taken_means_ask_the_daemon),
      cmocka_unit_test(nothing_read_from_the_index_is_trusted),
      cmocka_unit_test(at_any_store_a_section_in_the_log_reads_as_before_or_after),
      cmocka_unit_test(at_any_store_a_packed_section_reads_as_before_or_after),
      cmocka_unit_test(at_any_store_a_paged_section_reads_as_before_or_after),
      cmocka_unit_test(while_a_region_is_taken_up_sections_read_as_before_or_after),
      cmocka_unit_test(a_reader_in_another_process_never_sees_half_a_write),
      cmocka_unit_test(a_reader_in_another_process_never_sees_half_of_what_stays_in_the_log),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
