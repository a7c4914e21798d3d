/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A replica that is mapped and read, left by the daemon, and replaced by another one while threads read.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/replica.h"
#include "core/replica_transfer.h"
#include "saf_api/agent_region.h"

#define DATA_BYTES 2000U

static const vesta_attributes_t attributes = {.creation_flags = VESTA_CREATE_ALL_REPLICAS,
                                              .checkpoint_bytes = DATA_BYTES,
                                              .retention_ns = 1,
                                              .sections_max = 1,
                                              .section_bytes_max = DATA_BYTES,
                                              .section_id_bytes_max = 8};

/* A replica as the daemon has it: all its bytes are `content`. */
typedef struct served {
  int fd;
  uint8_t *region;
  uint64_t size;
  replica_t *replica;
} served_t;

static vesta_err_t reserve(void *context, uint64_t offset, uint64_t size) {
  (void)context;
  (void)offset;
  (void)size;
  return VESTA_OK;
}
static void release(void *context, uint64_t offset, uint64_t size) {
  (void)context;
  (void)offset;
  (void)size;
}

static void served_open(served_t *s, uint64_t checkpoint, uint8_t content) {
  assert_int_equal(replica_region_size(&attributes, &s->size), VESTA_OK);
  s->fd = memfd_create("replica", MFD_CLOEXEC);
  assert_true(s->fd >= 0 && ftruncate(s->fd, (off_t)s->size) == 0);
  s->region = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
  assert_true(s->region != MAP_FAILED);
  replica_identity_t identity = {
      .checkpoint_id = checkpoint, .lineage = 7, .name = vesta_bytes("n", 1), .attributes = attributes};
  replica_storage_t storage = {.reserve = reserve, .release = release};
  assert_int_equal(replica_format(s->region, s->size, &identity, &storage, 1, &s->replica), VESTA_OK);
  uint8_t data[DATA_BYTES];
  memset(data, content, sizeof data);
  replica_element_t element = {.kind = VESTA_KIND_OVERWRITTEN, .data = vesta_bytes(data, sizeof data)};
  replica_op_t op = {.time_ns = 1, .elements = &element, .element_count = 1};
  replica_result_t result;
  assert_int_equal(replica_apply(s->replica, &op, &result), VESTA_OK);
}

static void served_close(served_t *s) {
  replica_destroy(&s->replica);
  (void)munmap(s->region, s->size);
  (void)close(s->fd);
}

/* As it comes from the daemon. */
static int passed(const served_t *s) {
  int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
  assert_true(fd >= 0);
  return fd;
}

/* What the section contains; -1: what was read does not count. */
static int content_read(const agent_region_t *region) {
  uint8_t data[DATA_BYTES];
  size_t size = 0;
  agent_region_read_t read = agent_region_read_begin(region);
  vesta_err_t err = replica_reader_read(&region->reader, vesta_bytes("", 0), 2, 0, data, sizeof data, &size);
  if (!agent_region_read_holds(region, read)) {
    return -1;
  }
  assert_int_equal(err, VESTA_OK);
  assert_int_equal(size, DATA_BYTES);
  for (size_t i = 1; i < size; i++) {
    assert_int_equal(data[i], data[0]);
  }
  return data[0];
}

static void what_is_read_counts_until_the_daemon_says_not(void **state) {
  (void)state;
  served_t s;
  agent_region_t region;
  served_open(&s, 5, 'a');
  assert_true(agent_region_open(&region, passed(&s), 5, &attributes));
  assert_int_equal(content_read(&region), 'a');
  replica_readable_until(s.replica, 1); /* long ago */
  assert_int_equal(content_read(&region), -1);
  assert_false(agent_region_is_left(&region));
  replica_readable_until(s.replica, INT64_MAX - 1);
  assert_int_equal(content_read(&region), 'a');
  replica_readable_until(s.replica, 0);
  assert_int_equal(content_read(&region), -1);
  assert_true(agent_region_is_left(&region));
  agent_region_close(&region);
  agent_region_close(&region);
  served_close(&s);
}

static void another_replica_takes_the_place_of_one_that_was_left(void **state) {
  (void)state;
  served_t s, other;
  agent_region_t region;
  served_open(&s, 5, 'a');
  served_open(&other, 5, 'b');
  assert_true(agent_region_open(&region, passed(&s), 5, &attributes));
  replica_readable_until(s.replica, 0);
  agent_region_read_t read = agent_region_read_begin(&region);
  assert_true(agent_region_replace(&region, passed(&s), 5)); /* it is the same: nothing to do */
  assert_int_equal(agent_region_read_begin(&region), read);
  assert_true(agent_region_replace(&region, passed(&other), 5));
  assert_false(agent_region_read_holds(&region, read)); /* it began before that */
  assert_int_equal(content_read(&region), 'b');
  agent_region_close(&region);
  served_close(&s);
  served_close(&other);
}

static void what_is_no_replica_of_the_checkpoint_changes_nothing(void **state) {
  (void)state;
  served_t s, stranger;
  agent_region_t region;
  served_open(&s, 5, 'a');
  served_open(&stranger, 6, 'b');
  int empty = memfd_create("empty", MFD_CLOEXEC);
  assert_false(agent_region_open(&region, passed(&stranger), 5, &attributes));
  assert_false(agent_region_open(&region, -1, 5, &attributes));
  assert_false(agent_region_open(&region, fcntl(empty, F_DUPFD_CLOEXEC, 0), 5, &attributes));
  assert_true(agent_region_open(&region, passed(&s), 5, &attributes));
  assert_false(agent_region_replace(&region, passed(&stranger), 5));
  assert_false(agent_region_replace(&region, -1, 5));
  assert_false(agent_region_replace(&region, empty, 5));
  assert_int_equal(fcntl(empty, F_GETFD), -1); /* it was closed */
  assert_int_equal(errno, EBADF);
  assert_int_equal(content_read(&region), 'a');
  agent_region_close(&region);
  served_close(&s);
  served_close(&stranger);
}

typedef struct readers {
  agent_region_t region;
  _Atomic bool enough;
  _Atomic uint32_t of_a, of_b;
} readers_t;

static void *reader_run(void *context) {
  readers_t *r = context;
  while (!atomic_load(&r->enough)) {
    int content = content_read(&r->region);
    (void)atomic_fetch_add(&r->of_a, content == 'a' ? 1 : 0);
    (void)atomic_fetch_add(&r->of_b, content == 'b' ? 1 : 0);
  }
  return NULL;
}

static void threads_that_read_meanwhile_see_one_or_the_other(void **state) {
  (void)state;
  static readers_t r;
  served_t a, b;
  pthread_t threads[2];
  served_open(&a, 5, 'a');
  served_open(&b, 5, 'b');
  assert_true(agent_region_open(&r.region, passed(&a), 5, &attributes));
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, reader_run, &r), 0);
  }
  uint32_t rounds = 0;
  while (rounds < 300 || atomic_load(&r.of_a) == 0 || atomic_load(&r.of_b) == 0) {
    assert_true(agent_region_replace(&r.region, passed(rounds % 2 == 0 ? &b : &a), 5));
    rounds++;
  }
  atomic_store(&r.enough, true);
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  }
  agent_region_close(&r.region);
  served_close(&a);
  served_close(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_read_counts_until_the_daemon_says_not),
      cmocka_unit_test(another_replica_takes_the_place_of_one_that_was_left),
      cmocka_unit_test(what_is_no_replica_of_the_checkpoint_changes_nothing),
      cmocka_unit_test(threads_that_read_meanwhile_see_one_or_the_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
