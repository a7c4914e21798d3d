/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The journal: what was appended comes back, whatever a kill left of its end.
 */
#include "daemon/journal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE_MAX_BYTES 4096U

static char directory[64];
static char path[80];
static char why[512];

typedef struct played {
  uint64_t count;
  uint64_t next; /* numbers come in order from this one on */
} played_t;

static int directory_make(void **state) {
  (void)state;
  (void)strcpy(directory, "/tmp/vesta-journal-XXXXXX");
  if (mkdtemp(directory) == NULL) {
    return -1;
  }
  (void)snprintf(path, sizeof path, "%s/journal", directory);
  return 0;
}

static int directory_remove(void **state) {
  (void)state;
  (void)unlink(path);
  return rmdir(directory);
}

static vesta_err_t play(void *context, const wire_message_t *op) {
  played_t *played = context;
  assert_int_equal(op->kind, WIRE_OP_REMOVE);
  assert_int_equal(op->checkpoint, played->next);
  played->next++;
  played->count++;
  return VESTA_OK;
}

static journal_t *open_journal(uint64_t first, uint64_t expected) {
  journal_t *journal = NULL;
  played_t played = {.next = first};
  assert_int_equal(journal_open(directory, SIZE_MAX_BYTES, play, &played, &journal, why, sizeof why), VESTA_OK);
  assert_int_equal(played.count, expected);
  return journal;
}

static void append(journal_t *journal, uint64_t from, uint64_t to) {
  for (uint64_t i = from; i <= to; i++) {
    wire_message_t op = {.kind = WIRE_OP_REMOVE, .checkpoint = i};
    assert_int_equal(journal_append(journal, &op), VESTA_OK);
  }
}

static off_t file_size(void) {
  struct stat status;
  assert_int_equal(stat(path, &status), 0);
  return status.st_size;
}

static void what_was_appended_is_played_in_order(void **state) {
  (void)state;
  journal_t *journal = open_journal(1, 0);
  append(journal, 1, 3);
  journal_close(&journal);
  journal = open_journal(1, 3);
  append(journal, 4, 5);
  journal_close(&journal);
  journal = open_journal(1, 5);
  journal_close(&journal);
}

static void a_tail_torn_at_any_byte_is_dropped_and_the_rest_stays(void **state) {
  (void)state;
  journal_t *journal = open_journal(1, 0);
  append(journal, 1, 2);
  off_t whole = file_size();
  append(journal, 3, 3);
  off_t end = file_size();
  journal_close(&journal);
  for (off_t cut = end - 1; cut > whole; cut--) {
    assert_int_equal(truncate(path, cut), 0);
    journal = open_journal(1, 2);
    journal_counters_t counters;
    journal_counters(journal, &counters);
    assert_int_equal(counters.torn_bytes, cut - whole);
    assert_int_equal(file_size(), whole);
    append(journal, 3, 3); /* it goes on as if nothing had been there */
    journal_close(&journal);
    journal = open_journal(1, 3);
    journal_close(&journal);
  }
}

static void a_file_cut_within_its_first_line_is_begun_anew(void **state) {
  (void)state;
  journal_t *journal = open_journal(1, 0);
  journal_close(&journal);
  assert_int_equal(truncate(path, 3), 0);
  journal = open_journal(1, 0);
  append(journal, 1, 1);
  journal_close(&journal);
  journal = open_journal(1, 1);
  journal_close(&journal);
}

static void a_byte_changed_before_the_tail_is_damage_and_refused(void **state) {
  (void)state;
  journal_t *journal = open_journal(1, 0);
  append(journal, 1, 1);
  off_t first = file_size();
  append(journal, 2, 3);
  journal_close(&journal);
  int file = open(path, O_RDWR);
  for (off_t at = 16; at < first; at++) { /* past the lengths: a wrong length may look like a tail */
    uint8_t byte;
    assert_int_equal(pread(file, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(file, &byte, 1, at), 1);
    played_t played = {.next = 1};
    assert_int_equal(journal_open(directory, SIZE_MAX_BYTES, play, &played, &journal, why, sizeof why),
                     VESTA_ERR_MALFORMED);
    assert_non_null(strstr(why, "damaged"));
    byte ^= 0x10;
    assert_int_equal(pwrite(file, &byte, 1, at), 1);
  }
  (void)close(file);
  journal = open_journal(1, 3);
  journal_close(&journal);
}

static void a_file_that_is_no_journal_is_refused(void **state) {
  (void)state;
  journal_t *journal = NULL;
  played_t played = {.next = 1};
  int file = open(path, O_WRONLY | O_CREAT, 0600);
  assert_int_equal(write(file, "something else", 14), 14);
  (void)close(file);
  assert_int_equal(journal_open(directory, SIZE_MAX_BYTES, play, &played, &journal, why, sizeof why),
                   VESTA_ERR_MALFORMED);
}

/* What can't grow: a limit of the process stands in for a full file system. */
static void an_append_that_finds_no_room_changes_nothing(void **state) {
  (void)state;
  struct rlimit before;
  journal_t *journal = open_journal(1, 0);
  append(journal, 1, 2);
  off_t end = file_size();
  wire_message_t op = {.kind = WIRE_OP_REMOVE, .checkpoint = 3};
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  (void)signal(SIGXFSZ, SIG_IGN);
  struct rlimit limit = {.rlim_cur = (rlim_t)end + 5, .rlim_max = before.rlim_max}; /* room for half a record */
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  vesta_err_t err = journal_append(journal, &op);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(err, VESTA_ERR_NO_SPACE);
  assert_int_equal(file_size(), end);
  append(journal, 3, 3);
  journal_close(&journal);
  journal = open_journal(1, 3);
  journal_close(&journal);
}

static bool snapshot_two(void *context, bool (*emit)(void *emit_context, const wire_message_t *op),
                         void *emit_context) {
  (void)context;
  for (uint64_t i = 100; i < 102; i++) {
    wire_message_t op = {.kind = WIRE_OP_REMOVE, .checkpoint = i};
    if (!emit(emit_context, &op)) {
      return false;
    }
  }
  return true;
}

static bool snapshot_failing(void *context, bool (*emit)(void *emit_context, const wire_message_t *op),
                             void *emit_context) {
  wire_message_t op = {.kind = WIRE_OP_REMOVE, .checkpoint = 1};
  (void)context;
  (void)emit(emit_context, &op);
  return false;
}

static void a_long_one_is_rewritten_as_the_snapshot_and_goes_on_from_there(void **state) {
  (void)state;
  journal_t *journal = open_journal(1, 0);
  uint64_t i = 1;
  while (!journal_wants_rewrite(journal)) {
    append(journal, i, i);
    i++;
    assert_true(i < 10000);
  }
  assert_true(file_size() > (off_t)SIZE_MAX_BYTES);
  assert_int_equal(journal_rewrite(journal, snapshot_two, NULL), VESTA_OK);
  assert_false(journal_wants_rewrite(journal));
  assert_true(file_size() < 100);
  append(journal, 102, 103);
  journal_close(&journal);
  journal = open_journal(100, 4);
  journal_close(&journal);
}

static void a_rewrite_that_fails_leaves_the_old_one(void **state) {
  (void)state;
  journal_t *journal = open_journal(1, 0);
  uint64_t i = 1;
  while (!journal_wants_rewrite(journal)) {
    append(journal, i, i);
    i++;
  }
  assert_int_equal(journal_rewrite(journal, snapshot_failing, NULL), VESTA_ERR_NO_SPACE);
  assert_false(journal_wants_rewrite(journal)); /* not at once again */
  append(journal, i, i);
  journal_close(&journal);
  journal = open_journal(1, i);
  journal_close(&journal);
}

#define journal_case(test) cmocka_unit_test_setup_teardown(test, directory_make, directory_remove)

int main(void) {
  const struct CMUnitTest tests[] = {
      journal_case(what_was_appended_is_played_in_order),
      journal_case(a_tail_torn_at_any_byte_is_dropped_and_the_rest_stays),
      journal_case(a_file_cut_within_its_first_line_is_begun_anew),
      journal_case(a_byte_changed_before_the_tail_is_damage_and_refused),
      journal_case(a_file_that_is_no_journal_is_refused),
      journal_case(an_append_that_finds_no_room_changes_nothing),
      journal_case(a_long_one_is_rewritten_as_the_snapshot_and_goes_on_from_there),
      journal_case(a_rewrite_that_fails_leaves_the_old_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
