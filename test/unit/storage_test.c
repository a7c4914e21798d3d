/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Regions as files: what they cost, what is left of them, and which directories are refused.
 */
#include "daemon/storage.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#define TMPFS_TYPE 0x01021994
#define FILES_MANY 100000
#define REGION_BYTES (1ULL << 30)

static char directory[64];
static char why[1024];

static int directory_name(void **state) {
  (void)state;
  (void)strcpy(directory, "/dev/shm/vesta-storage-XXXXXX");
  return mkdtemp(directory) == NULL ? -1 : 0;
}

static int directory_remove(void **state) {
  char command[128];
  (void)state;
  (void)snprintf(command, sizeof command, "rm -rf '%s'", directory);
  return system(command);
}

static storage_t *open_storage(void) {
  storage_t *storage = NULL;
  assert_int_equal(storage_open(directory, FILES_MANY, &storage, why, sizeof why), VESTA_OK);
  return storage;
}

/* As the next vestad finds it. */
static node_storage_t reopen_storage(storage_t **storage) {
  storage_close(storage);
  *storage = open_storage();
  return storage_interface(*storage);
}

static uint64_t blocks(uint64_t checkpoint_id) {
  char path[128];
  struct stat status;
  (void)snprintf(path, sizeof path, "%s/replica-%016llx", directory, (unsigned long long)checkpoint_id);
  return stat(path, &status) == 0 ? (uint64_t)status.st_blocks * 512 : UINT64_MAX;
}

static void a_region_is_sparse_and_only_what_is_reserved_costs(void **state) {
  (void)state;
  storage_t *storage = open_storage();
  node_storage_t interface = storage_interface(storage);
  void *memory = NULL;
  replica_storage_t pages;
  assert_int_equal(interface.create(interface.context, 7, REGION_BYTES, &memory, &pages), VESTA_OK);
  assert_int_equal(blocks(7), 0);
  assert_int_equal(pages.reserve(pages.context, 1, 1), VESTA_OK);
  assert_int_equal(blocks(7), 4096);
  assert_int_equal(pages.reserve(pages.context, 4095, 2), VESTA_OK);
  assert_int_equal(blocks(7), 8192);
  memset(memory, 0x5a, 8192);
  pages.release(pages.context, 1, 8191); /* the first page is not whole */
  assert_int_equal(blocks(7), 4096);
  assert_int_equal(((uint8_t *)memory)[0], 0x5a);
  pages.release(pages.context, 0, 4095);
  assert_int_equal(blocks(7), 4096);
  pages.release(pages.context, 0, REGION_BYTES);
  assert_int_equal(blocks(7), 0);
  assert_int_equal(((uint8_t *)memory)[0], 0);
  storage_close(&storage);
}

static uint64_t faults(void) {
  struct rusage usage;
  assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
  return (uint64_t)usage.ru_minflt;
}

static bool kernel_enters_pages(void) {
#ifdef MADV_POPULATE_WRITE
  return madvise(NULL, 0, MADV_POPULATE_WRITE) == 0;
#else
  return false;
#endif
}

static void pages_of_data_that_are_reserved_together_are_written_without_faults(void **state) {
  (void)state;
  storage_t *storage = open_storage();
  node_storage_t interface = storage_interface(storage);
  void *memory = NULL;
  replica_storage_t pages;
  const uint64_t bytes = 1U << 20; /* 256 pages */
  if (!kernel_enters_pages()) {
    storage_close(&storage);
    skip();
  }
  assert_int_equal(interface.create(interface.context, 1, REGION_BYTES, &memory, &pages), VESTA_OK);
  assert_int_equal(pages.reserve(pages.context, 4096, bytes), VESTA_OK);
  uint64_t before = faults();
  memset((uint8_t *)memory + 4096, 7, bytes);
  assert_true(faults() - before < 128); /* some for a sanitizer's own */
  interface.remove(interface.context, 1);
  storage_close(&storage);
}

static void a_region_is_found_again_as_it_was_left(void **state) {
  (void)state;
  storage_t *storage = open_storage();
  node_storage_t interface = storage_interface(storage);
  void *memory = NULL;
  uint64_t size = 0;
  replica_storage_t pages;
  assert_int_equal(interface.create(interface.context, 1, REGION_BYTES, &memory, &pages), VESTA_OK);
  assert_int_equal(pages.reserve(pages.context, 0, 4096), VESTA_OK);
  (void)strcpy(memory, "still here");
  interface = reopen_storage(&storage);
  assert_int_equal(interface.open(interface.context, 2, &memory, &size, &pages), VESTA_ERR_NOT_EXIST);
  assert_int_equal(interface.open(interface.context, 1, &memory, &size, &pages), VESTA_OK);
  assert_int_equal(size, REGION_BYTES);
  assert_string_equal(memory, "still here");
  interface.remove(interface.context, 1);
  assert_int_equal(blocks(1), UINT64_MAX);
  assert_int_equal(interface.open(interface.context, 1, &memory, &size, &pages), VESTA_ERR_NOT_EXIST);
  storage_close(&storage);
}

static void the_largest_region_can_be_made(void **state) {
  (void)state;
  storage_t *storage = open_storage();
  node_storage_t interface = storage_interface(storage);
  void *memory = NULL;
  replica_storage_t pages;
  vesta_err_t err = interface.create(interface.context, 1, VESTA_REGION_BYTES_MAX, &memory, &pages);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  assert_true(err == VESTA_OK || err == VESTA_ERR_NO_RESOURCES); /* the sanitizer has taken the address space */
#else
  assert_int_equal(err, VESTA_OK);
  assert_int_equal(pages.reserve(pages.context, VESTA_REGION_BYTES_MAX - 1, 1), VESTA_OK);
  assert_int_equal(blocks(1), 4096);
#endif
  storage_close(&storage);
}

static void a_descriptor_for_agents_can_only_read(void **state) {
  (void)state;
  storage_t *storage = open_storage();
  node_storage_t interface = storage_interface(storage);
  void *memory = NULL;
  replica_storage_t pages;
  assert_int_equal(interface.create(interface.context, 1, 4096, &memory, &pages), VESTA_OK);
  int fd = storage_descriptor(storage, 1);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "x", 1), -1);
  assert_int_equal(storage_descriptor(storage, 2), -1);
  (void)close(fd);
  storage_close(&storage);
}

static bool has_none(void *context, uint64_t checkpoint_id) {
  (void)context;
  (void)checkpoint_id;
  return false;
}

static bool has_two(void *context, uint64_t checkpoint_id) {
  (void)context;
  return checkpoint_id == 2;
}

static void a_region_that_the_node_could_not_use_is_kept_aside(void **state) {
  (void)state;
  storage_t *storage = open_storage();
  node_storage_t interface = storage_interface(storage);
  void *memory = NULL;
  uint64_t size = 0;
  replica_storage_t pages;
  char path[128];
  assert_int_equal(interface.create(interface.context, 2, 4096, &memory, &pages), VESTA_OK);
  interface = reopen_storage(&storage);
  assert_int_equal(interface.open(interface.context, 2, &memory, &size, &pages), VESTA_OK);
  storage_sweep(storage, has_none, NULL);
  assert_int_equal(blocks(2), UINT64_MAX);
  (void)snprintf(path, sizeof path, "%s/lost-%016x", directory, 2);
  assert_int_equal(access(path, F_OK), 0);
  storage_close(&storage);
}

static void files_that_nobody_took_up_are_swept_away(void **state) {
  (void)state;
  storage_t *storage = open_storage();
  node_storage_t interface = storage_interface(storage);
  void *memory = NULL;
  uint64_t size = 0;
  replica_storage_t pages;
  for (uint64_t id = 1; id <= 3; id++) {
    assert_int_equal(interface.create(interface.context, id, 4096, &memory, &pages), VESTA_OK);
  }
  interface = reopen_storage(&storage);
  assert_int_equal(interface.open(interface.context, 2, &memory, &size, &pages), VESTA_OK);
  storage_sweep(storage, has_two, NULL);
  assert_int_equal(blocks(1), UINT64_MAX);
  assert_int_equal(blocks(2), 0);
  assert_int_equal(blocks(3), UINT64_MAX);
  storage_discard(&storage);
  assert_int_equal(access(directory, F_OK), -1);
}

static void a_file_that_could_not_be_taken_up_now_stays_as_long_as_its_checkpoint_is_known(void **state) {
  (void)state;
  storage_t *storage = open_storage();
  node_storage_t interface = storage_interface(storage);
  void *memory = NULL;
  uint64_t size = 0;
  replica_storage_t pages;
  assert_int_equal(interface.create(interface.context, 2, 4096, &memory, &pages), VESTA_OK);
  interface = reopen_storage(&storage);
  storage_sweep(storage, has_two, NULL);
  assert_int_equal(interface.open(interface.context, 2, &memory, &size, &pages), VESTA_OK);
  storage_discard(&storage);
}

static uint64_t renamed_to;

static void note_renamed(void *context, uint64_t to) {
  (void)context;
  renamed_to = to;
}

static void a_region_takes_anothers_place_and_stays_where_it_is_mapped(void **state) {
  (void)state;
  storage_t *storage = open_storage();
  node_storage_t interface = storage_interface(storage);
  void *old = NULL;
  void *shadow = NULL;
  replica_storage_t old_pages, pages;
  storage_on_rename(storage, note_renamed, NULL);
  assert_int_equal(interface.create(interface.context, 2, 4096, &old, &old_pages), VESTA_OK);
  assert_int_equal(interface.create(interface.context, 2 | NODE_REGION_SHADOW, 4096, &shadow, &pages), VESTA_OK);
  assert_int_equal(pages.reserve(pages.context, 0, 4096), VESTA_OK);
  memcpy(shadow, "new", 4);
  interface.rename(interface.context, 2 | NODE_REGION_SHADOW, 2);
  assert_int_equal(renamed_to, 2);
  memcpy(shadow, "NEW", 4); /* still there */
  assert_int_equal(pages.reserve(pages.context, 0, 4096), VESTA_OK);
  int fd = storage_descriptor(storage, 2);
  char text[4] = "";
  assert_int_equal(pread(fd, text, 4, 0), 4);
  assert_string_equal(text, "NEW");
  (void)close(fd);
  assert_int_equal(storage_descriptor(storage, 2 | NODE_REGION_SHADOW), -1);
  storage_counters_t counters;
  storage_counters(storage, &counters);
  assert_int_equal(counters.regions, 1); /* what was there is unmapped */
  storage_discard(&storage);
}

static void what_diverged_is_kept_over_a_start_and_what_was_being_filled_is_not(void **state) {
  (void)state;
  storage_t *storage = open_storage();
  node_storage_t interface = storage_interface(storage);
  void *memory = NULL;
  uint64_t size = 0;
  replica_storage_t pages;
  assert_int_equal(interface.create(interface.context, 2, 4096, &memory, &pages), VESTA_OK);
  interface.rename(interface.context, 2, 2 | NODE_REGION_DIVERGED);
  assert_int_equal(interface.create(interface.context, 2 | NODE_REGION_SHADOW, 4096, &memory, &pages), VESTA_OK);
  interface = reopen_storage(&storage);
  storage_sweep(storage, has_two, NULL);
  assert_int_equal(interface.open(interface.context, 2 | NODE_REGION_SHADOW, &memory, &size, &pages),
                   VESTA_ERR_NOT_EXIST);
  assert_int_equal(interface.open(interface.context, 2 | NODE_REGION_DIVERGED, &memory, &size, &pages), VESTA_OK);
  storage_discard(&storage);
}

static void without_descriptors_left_nothing_is_made(void **state) {
  (void)state;
  storage_t *storage = NULL;
  void *memory = NULL;
  replica_storage_t pages;
  assert_int_equal(storage_open(directory, 0, &storage, why, sizeof why), VESTA_OK);
  node_storage_t interface = storage_interface(storage);
  assert_int_equal(interface.create(interface.context, 1, 4096, &memory, &pages), VESTA_ERR_NO_RESOURCES);
  assert_int_equal(blocks(1), UINT64_MAX);
  storage_close(&storage);
}

static void a_directory_is_not_taken_twice(void **state) {
  (void)state;
  storage_t *storage = open_storage();
  storage_t *second = NULL;
  assert_int_equal(storage_open(directory, FILES_MANY, &second, why, sizeof why), VESTA_ERR_BUSY);
  assert_non_null(strstr(why, "in use by another vestad"));
  storage_close(&storage);
  storage = open_storage();
  storage_close(&storage);
}

static void a_directory_that_is_no_tmpfs_is_refused(void **state) {
  (void)state;
  char disk[] = "/var/tmp/vesta-storage-XXXXXX";
  struct statfs status;
  storage_t *storage = NULL;
  assert_non_null(mkdtemp(disk));
  assert_int_equal(statfs(disk, &status), 0);
  if (status.f_type == TMPFS_TYPE) {
    (void)rmdir(disk);
    skip();
  }
  assert_int_equal(storage_open(disk, FILES_MANY, &storage, why, sizeof why), VESTA_ERR_ACCESS);
  assert_non_null(strstr(why, "is not on a tmpfs"));
  assert_int_equal(rmdir(disk), 0);
}

static void a_directory_whose_parent_is_not_there_is_refused(void **state) {
  (void)state;
  storage_t *storage = NULL;
  assert_int_equal(storage_open("/dev/shm/no such/directory", FILES_MANY, &storage, why, sizeof why), VESTA_ERR_ACCESS);
}

#define storage_case(test) cmocka_unit_test_setup_teardown(test, directory_name, directory_remove)

int main(void) {
  const struct CMUnitTest tests[] = {
      storage_case(a_region_is_sparse_and_only_what_is_reserved_costs),
      storage_case(pages_of_data_that_are_reserved_together_are_written_without_faults),
      storage_case(a_region_is_found_again_as_it_was_left),
      storage_case(the_largest_region_can_be_made),
      storage_case(a_descriptor_for_agents_can_only_read),
      storage_case(a_region_that_the_node_could_not_use_is_kept_aside),
      storage_case(files_that_nobody_took_up_are_swept_away),
      storage_case(a_file_that_could_not_be_taken_up_now_stays_as_long_as_its_checkpoint_is_known),
      storage_case(a_region_takes_anothers_place_and_stays_where_it_is_mapped),
      storage_case(what_diverged_is_kept_over_a_start_and_what_was_being_filled_is_not),
      storage_case(without_descriptors_left_nothing_is_made),
      storage_case(a_directory_is_not_taken_twice),
      storage_case(a_directory_that_is_no_tmpfs_is_refused),
      storage_case(a_directory_whose_parent_is_not_there_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
