/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Transactions, against a real vestad: all or nothing, one position, one group of changes; conditions; what is refused,
 * and for which change.
 */
#include <vesta.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/child.h"
#include "test/support/daemon_fixture.h"

static application_t application;

static int set_up(void **state) {
  (void)state;
  daemon_fixture_open(&daemon_of_test);
  return 0;
}

static int set_up_opened(void **state) {
  (void)set_up(state);
  application_open(&application, "txn", APPLICATION_ALL);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  daemon_fixture_close(&daemon_of_test);
  return 0;
}

static int tear_down_opened(void **state) {
  application_close(&application);
  return tear_down(state);
}

/* ---- in one line ---- */

static vesta_txn_t *begin(void) {
  vesta_txn_t *txn = NULL;
  assert_int_equal(vesta_txn_begin(application.checkpoint, &txn), SA_AIS_OK);
  return txn;
}

static SaAisErrorT add_create(vesta_txn_t *txn, const char *id, const char *data) {
  SaCkptSectionIdT section = section_id(id);
  return vesta_txn_create(txn, &section, data, strlen(data), SA_TIME_END);
}

static SaAisErrorT add_overwrite(vesta_txn_t *txn, const char *id, const char *data) {
  SaCkptSectionIdT section = section_id(id);
  return vesta_txn_overwrite(txn, &section, data, strlen(data));
}

static SaAisErrorT add_delete(vesta_txn_t *txn, const char *id) {
  SaCkptSectionIdT section = section_id(id);
  return vesta_txn_delete(txn, &section);
}

static void assert_section(const char *id, const char *data) {
  char read[64] = "";
  SaCkptIOVectorElementT element = {
      .sectionId = section_id(id), .dataBuffer = read, .dataSize = sizeof read, .dataOffset = 0};
  SaUint32T bad;
  SaAisErrorT error = saCkptCheckpointRead(application.checkpoint, &element, 1, &bad);
  if (data == NULL) {
    assert_int_equal(error, SA_AIS_ERR_NOT_EXIST);
    return;
  }
  assert_int_equal(error, SA_AIS_OK);
  assert_int_equal(element.readSize, strlen(data));
  assert_memory_equal(read, data, strlen(data));
}

static void assert_fails(vesta_txn_t **txn, const vesta_write_options_t *options, SaAisErrorT expected, int index) {
  vesta_position_t position = {.seq = 4711};
  SaUint32T failed_at = 4711;
  assert_int_equal(vesta_txn_commit(txn, options, &position), expected);
  assert_non_null(*txn);
  assert_int_equal(position.seq, 4711);
  if (index < 0) {
    assert_int_equal(vesta_txn_failed_at(*txn, &failed_at), SA_AIS_ERR_NOT_EXIST);
  } else {
    assert_int_equal(vesta_txn_failed_at(*txn, &failed_at), SA_AIS_OK);
    assert_int_equal(failed_at, index);
  }
}

static vesta_position_t commit(vesta_txn_t *txn) {
  vesta_position_t position;
  assert_int_equal(vesta_txn_commit(&txn, NULL, &position), SA_AIS_OK);
  assert_null(txn);
  return position;
}

/* ---- the rules ---- */

static void every_kind_of_change_is_done_in_the_order_of_the_calls(void **state) {
  (void)state;
  assert_int_equal(application_create(&application, "gone", "old", 3), SA_AIS_OK);
  assert_int_equal(application_create(&application, "part", "0123456789", 10), SA_AIS_OK);
  vesta_txn_t *txn = begin();
  SaCkptSectionIdT part = section_id("part"), fresh = section_id("new"), late = section_id("late");
  assert_int_equal(add_create(txn, "new", "first"), SA_AIS_OK);
  assert_int_equal(add_overwrite(txn, "new", "second"), SA_AIS_OK); /* of what the change before it made */
  assert_int_equal(vesta_txn_write(txn, &part, 8, "abcd", 4), SA_AIS_OK);
  assert_int_equal(add_delete(txn, "gone"), SA_AIS_OK);
  assert_int_equal(vesta_txn_create(txn, &late, NULL, 0, SA_TIME_END), SA_AIS_OK);
  assert_int_equal(vesta_txn_expiry_set(txn, &fresh, SA_TIME_END), SA_AIS_OK);
  assert_section("new", NULL); /* nothing before the commit */
  vesta_position_t position = commit(txn);
  assert_int_equal(position.seq, 3);
  assert_true(position.lineage != 0 && position.epoch != 0);
  assert_section("new", "second");
  assert_section("part", "01234567abcd");
  assert_section("gone", NULL);
  assert_section("late", "");
}

static void data_is_copied_when_it_is_added(void **state) {
  (void)state;
  char id[] = "a", data[] = "as it was";
  vesta_txn_t *txn = begin();
  assert_int_equal(add_create(txn, id, data), SA_AIS_OK);
  memset(id, 'x', sizeof id - 1);
  memset(data, 'x', sizeof data - 1);
  (void)commit(txn);
  assert_section("a", "as it was");
}

static void what_is_refused_names_the_change_and_nothing_is_done(void **state) {
  (void)state;
  assert_int_equal(application_create(&application, "there", "1", 1), SA_AIS_OK);
  vesta_txn_t *txn = begin();
  assert_int_equal(add_create(txn, "a", "1"), SA_AIS_OK);
  assert_int_equal(add_overwrite(txn, "there", "2"), SA_AIS_OK);
  assert_int_equal(add_delete(txn, "missing"), SA_AIS_OK);
  assert_fails(&txn, NULL, SA_AIS_ERR_NOT_EXIST, 2);
  assert_section("a", NULL);
  assert_section("there", "1");
  assert_int_equal(application_create(&application, "missing", "", 0), SA_AIS_OK);
  (void)commit(txn); /* the same transaction, now that it can be done */
  assert_section("a", "1");
  assert_section("there", "2");
  txn = begin();
  assert_int_equal(add_create(txn, "there", "3"), SA_AIS_OK);
  assert_fails(&txn, NULL, SA_AIS_ERR_EXIST, 0);
  assert_int_equal(vesta_txn_abort(&txn), SA_AIS_OK);
  assert_null(txn);
}

static void a_transaction_that_is_aborted_has_no_effect(void **state) {
  (void)state;
  vesta_txn_t *txn = begin();
  assert_int_equal(add_create(txn, "a", "1"), SA_AIS_OK);
  assert_int_equal(vesta_txn_abort(&txn), SA_AIS_OK);
  assert_section("a", NULL);
}

static void a_thousand_changes_are_accepted_and_one_more_is_not(void **state) {
  (void)state;
  char id[16];
  vesta_txn_t *txn = begin();
  for (unsigned i = 0; i < 1000; i++) {
    (void)snprintf(id, sizeof id, "s%u", i);
    assert_int_equal(add_create(txn, id, id), SA_AIS_OK);
  }
  assert_int_equal(add_create(txn, "more", ""), SA_AIS_ERR_NO_RESOURCES);
  (void)commit(txn);
  assert_section("s999", "s999");
  assert_section("more", NULL);
}

static void what_can_be_judged_at_once_is_and_leaves_the_transaction_as_it_was(void **state) {
  (void)state;
  static char large[APPLICATION_SECTION_BYTES_MAX + 1];
  vesta_txn_t *txn = begin();
  SaCkptSectionIdT id = section_id("a"), none = {0}, half = {.idLen = 1};
  SaCkptSectionIdT longer = section_id("0123456789012345678901234567890123456789");
  assert_int_equal(vesta_txn_overwrite(txn, NULL, "", 0), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_overwrite(NULL, &id, "", 0), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_overwrite(txn, &half, "", 0), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_overwrite(txn, &longer, "", 0), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_overwrite(txn, &id, NULL, 1), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_overwrite(txn, &id, large, sizeof large), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_overwrite(txn, &none, "", 0), SA_AIS_ERR_NOT_EXIST); /* no default section here */
  assert_int_equal(vesta_txn_write(txn, &id, 1, large, sizeof large - 1), SA_AIS_ERR_NO_RESOURCES);
  assert_int_equal(vesta_txn_create(txn, &none, "", 0, SA_TIME_END), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_create(txn, &id, "", 0, -1), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_delete(txn, &none), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_expiry_set(txn, &id, -1), SA_AIS_ERR_INVALID_PARAM);
  assert_fails(&txn, NULL, SA_AIS_ERR_INVALID_PARAM, -1); /* nothing is in it */
  assert_int_equal(vesta_txn_create(txn, &id, large, sizeof large - 1, SA_TIME_END), SA_AIS_OK);
  (void)commit(txn);
}

static void bad_arguments_are_refused(void **state) {
  (void)state;
  vesta_txn_t *txn = NULL;
  vesta_position_t position;
  SaUint32T index;
  assert_int_equal(vesta_txn_begin(application.checkpoint, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_begin(1, &txn), SA_AIS_ERR_BAD_HANDLE);
  assert_int_equal(vesta_txn_commit(NULL, NULL, &position), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_commit(&txn, NULL, &position), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_failed_at(NULL, &index), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_abort(NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_abort(&txn), SA_AIS_OK);
  txn = begin();
  assert_int_equal(vesta_txn_failed_at(txn, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(add_create(txn, "a", "1"), SA_AIS_OK);
  const vesta_write_options_t bad[] = {{.applied_by = 64, .any_node = SA_TRUE},
                                       {.applied_by = 1, .any_node = (SaBoolT)2},
                                       {.timeout = -1},
                                       {.if_unchanged_since = {.seq = 1}},
                                       {.if_unchanged_since = {.lineage = 1}},
                                       {.reserved = {0, 0, 0, 0, 0, 0, 0, 1}}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_fails(&txn, &bad[i], SA_AIS_ERR_INVALID_PARAM, -1);
  }
  SaCkptCheckpointHandleT reader;
  assert_int_equal(saCkptCheckpointOpen(application.library, &application.name, NULL, SA_CKPT_CHECKPOINT_READ,
                                        SA_TIME_ONE_SECOND, &reader),
                   SA_AIS_OK);
  vesta_txn_t *none = NULL;
  assert_int_equal(vesta_txn_begin(reader, &none), SA_AIS_ERR_ACCESS);
  assert_null(none);
  assert_int_equal(saCkptCheckpointClose(application.checkpoint), SA_AIS_OK);
  SaCkptSectionIdT id = section_id("b");
  assert_int_equal(vesta_txn_delete(txn, &id), SA_AIS_ERR_BAD_HANDLE);
  assert_fails(&txn, NULL, SA_AIS_ERR_BAD_HANDLE, -1);
  assert_int_equal(vesta_txn_abort(&txn), SA_AIS_OK);
}

static void a_forked_child_cannot_commit_what_its_parent_began(void **state) {
  (void)state;
  vesta_txn_t *txn = begin();
  assert_int_equal(add_create(txn, "a", "1"), SA_AIS_OK);
  pid_t child = fork();
  if (child == 0) {
    bool refused = vesta_txn_commit(&txn, NULL, NULL) == SA_AIS_ERR_BAD_HANDLE && vesta_txn_abort(&txn) == SA_AIS_OK;
    _exit(refused ? 0 : 1);
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  (void)commit(txn);
  assert_section("a", "1");
}

/* ---- conditions ---- */

static void a_condition_holds_until_one_of_the_sections_is_changed(void **state) {
  (void)state;
  vesta_txn_t *txn = begin();
  assert_int_equal(add_create(txn, "a", "1"), SA_AIS_OK);
  assert_int_equal(add_create(txn, "b", "1"), SA_AIS_OK);
  assert_int_equal(add_create(txn, "c", "1"), SA_AIS_OK);
  vesta_write_options_t options = {.if_unchanged_since = commit(txn)};
  assert_int_equal(application_overwrite(&application, "c", "2", 1), SA_AIS_OK);
  txn = begin();
  assert_int_equal(add_overwrite(txn, "a", "3"), SA_AIS_OK);
  assert_int_equal(add_overwrite(txn, "b", "3"), SA_AIS_OK);
  assert_int_equal(vesta_txn_commit(&txn, &options, NULL), SA_AIS_OK); /* that c has changed is another matter */
  txn = begin();
  assert_int_equal(add_delete(txn, "c"), SA_AIS_OK);
  assert_int_equal(add_overwrite(txn, "a", "4"), SA_AIS_OK);
  assert_fails(&txn, &options, SA_AIS_ERR_FAILED_OPERATION, 0);
  assert_section("a", "3");
  assert_section("c", "2");
  options.if_unchanged_since.seq += 2; /* as of the transaction that set a and b to 3 */
  assert_int_equal(vesta_txn_commit(&txn, &options, NULL), SA_AIS_OK);
  assert_section("a", "4");
  assert_section("c", NULL);
}

static void a_condition_from_another_history_or_the_future_never_holds(void **state) {
  (void)state;
  vesta_txn_t *txn = begin();
  assert_int_equal(add_create(txn, "a", "1"), SA_AIS_OK);
  vesta_position_t position = commit(txn);
  const vesta_position_t others[] = {
      {.lineage = position.lineage + 1, .epoch = position.epoch, .seq = position.seq},
      {.lineage = position.lineage, .epoch = position.epoch + 1, .seq = position.seq},
      {.lineage = position.lineage, .epoch = position.epoch, .seq = position.seq + 1},
  };
  txn = begin();
  assert_int_equal(add_overwrite(txn, "a", "2"), SA_AIS_OK);
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    vesta_write_options_t options = {.if_unchanged_since = others[i]};
    assert_fails(&txn, &options, SA_AIS_ERR_FAILED_OPERATION, -1);
  }
  assert_int_equal(vesta_txn_abort(&txn), SA_AIS_OK);
  assert_section("a", "1");
}

/* Two that count in the same section, each by what its mirror says: not one increment is lost. */
static void increments_by_what_a_mirror_says_are_never_lost(void **state) {
  (void)state;
  assert_int_equal(application_create(&application, "n", "0", 1), SA_AIS_OK);
  vesta_mirror_t *mirrors[2];
  unsigned done[2] = {0, 0}, refused = 0;
  vesta_change_t change;
  for (int i = 0; i < 2; i++) {
    assert_int_equal(vesta_mirror_open(application.checkpoint, NULL, &mirrors[i]), SA_AIS_OK);
    do {
      assert_int_equal(vesta_mirror_next(mirrors[i], APPLICATION_DEADLINE, &change), SA_AIS_OK);
    } while (change.kind != VESTA_CHANGE_SYNCED);
  }
  SaCkptSectionIdT id = section_id("n");
  while (done[0] + done[1] < 200) {
    for (int i = 0; i < 2; i++) {
      const void *data;
      SaSizeT size;
      char text[16] = "";
      vesta_write_options_t options = {0};
      assert_int_equal(vesta_mirror_get(mirrors[i], &id, &data, &size), SA_AIS_OK);
      memcpy(text, data, size);
      (void)snprintf(text, sizeof text, "%d", atoi(text) + 1);
      assert_int_equal(vesta_mirror_position(mirrors[i], &options.if_unchanged_since), SA_AIS_OK);
      vesta_txn_t *txn = begin();
      assert_int_equal(add_overwrite(txn, "n", text), SA_AIS_OK);
      SaAisErrorT error = vesta_txn_commit(&txn, &options, NULL);
      if (error == SA_AIS_OK) {
        done[i]++;
      } else { /* behind: take what there is, and again */
        assert_int_equal(error, SA_AIS_ERR_FAILED_OPERATION);
        refused++;
        assert_int_equal(vesta_txn_abort(&txn), SA_AIS_OK);
        assert_int_equal(vesta_mirror_next(mirrors[i], APPLICATION_DEADLINE, &change), SA_AIS_OK);
      }
    }
  }
  char expected[16];
  (void)snprintf(expected, sizeof expected, "%u", done[0] + done[1]);
  assert_section("n", expected);
  assert_true(refused > 0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(vesta_mirror_close(&mirrors[i]), SA_AIS_OK);
  }
}

/* ---- under kill -9 ---- */

#define SECTIONS 20U
#define KILLS 6

/* Every transaction gives all sections the same number. */
static void writer_process(_Atomic uint64_t *acknowledged) {
  application_open(&application, "txn", APPLICATION_ALL);
  for (uint64_t number = 1;; number++) {
    SaAisErrorT error;
    vesta_txn_t *txn = begin();
    for (unsigned i = 0; i < SECTIONS; i++) {
      char text[16];
      (void)snprintf(text, sizeof text, "s%u", i);
      SaCkptSectionIdT id = section_id(text);
      error = number == 1 ? vesta_txn_create(txn, &id, &number, sizeof number, SA_TIME_END)
                          : vesta_txn_overwrite(txn, &id, &number, sizeof number);
      assert_int_equal(error, SA_AIS_OK);
    }
    do { /* the daemon may be away for longer than a call waits */
      error = vesta_txn_commit(&txn, NULL, NULL);
    } while (error == SA_AIS_ERR_TRY_AGAIN);
    assert_int_equal(error, SA_AIS_OK);
    atomic_store(acknowledged, number);
  }
}

typedef struct judge {
  uint64_t seq, number, whole;
  SaUint32T next_index;
} judge_t;

/* What comes one by one comes in whole groups, each of one number, one more than the one before. */
static void judge_change(judge_t *judge, const vesta_change_t *change) {
  if (change->kind != VESTA_CHANGE_CREATED && change->kind != VESTA_CHANGE_OVERWRITTEN) {
    return;
  }
  uint64_t number;
  assert_int_equal(change->size, sizeof number);
  memcpy(&number, change->data, sizeof number);
  if (change->resync) {
    judge->number = number > judge->number ? number : judge->number;
    return;
  }
  assert_int_equal(change->index, judge->next_index);
  assert_int_equal(change->count, SECTIONS);
  if (change->index == 0) {
    assert_true(number == judge->number + 1);
    judge->number = number;
    judge->seq = change->position.seq;
  }
  assert_true(number == judge->number);
  assert_true(change->position.seq == judge->seq);
  judge->next_index = (change->index + 1) % SECTIONS;
  judge->whole += change->index + 1 == SECTIONS;
}

static void transactions_stay_whole_while_the_daemon_is_killed(void **state) {
  (void)state;
  _Atomic uint64_t *acknowledged =
      mmap(NULL, sizeof *acknowledged, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(acknowledged != MAP_FAILED);
  pid_t writer = child_fork();
  if (writer == 0) {
    writer_process(acknowledged);
  }
  application_open(&application, "txn", APPLICATION_ALL);
  vesta_stream_t *stream = NULL;
  vesta_change_t change;
  judge_t judge = {0};
  assert_int_equal(vesta_stream_open(application.checkpoint, NULL, &stream), SA_AIS_OK);
  for (int kills = 0; kills < KILLS; kills++) {
    uint64_t until = atomic_load(acknowledged) + 200;
    while (judge.number < until) {
      assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
      judge_change(&judge, &change);
    }
    daemon_fixture_kill(&daemon_of_test);
    daemon_fixture_start(&daemon_of_test);
  }
  uint64_t last = atomic_load(acknowledged) + 10;
  while (judge.number < last || judge.next_index != 0) {
    assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
    judge_change(&judge, &change);
  }
  assert_int_equal(kill(writer, SIGKILL), 0); /* perhaps in the middle of handing one in */
  assert_int_equal(waitpid(writer, NULL, 0), writer);
  uint64_t numbers[SECTIONS];
  for (unsigned i = 0; i < SECTIONS; i++) {
    char text[16];
    (void)snprintf(text, sizeof text, "s%u", i);
    SaCkptIOVectorElementT element = {
        .sectionId = section_id(text), .dataBuffer = &numbers[i], .dataSize = sizeof numbers[i]};
    assert_int_equal(saCkptCheckpointRead(application.checkpoint, &element, 1, NULL), SA_AIS_OK);
    assert_true(numbers[i] == numbers[0]);
  }
  assert_true(numbers[0] >= atomic_load(acknowledged));
  assert_true(judge.whole > 0);
  print_message("%llu transactions of %u changes, %llu seen one by one\n", (unsigned long long)numbers[0], SECTIONS,
                (unsigned long long)judge.whole);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  application_close(&application);
  (void)munmap(acknowledged, sizeof *acknowledged);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_opened, tear_down_opened)
  const struct CMUnitTest tests[] = {
      TEST(every_kind_of_change_is_done_in_the_order_of_the_calls),
      TEST(data_is_copied_when_it_is_added),
      TEST(what_is_refused_names_the_change_and_nothing_is_done),
      TEST(a_transaction_that_is_aborted_has_no_effect),
      TEST(a_thousand_changes_are_accepted_and_one_more_is_not),
      TEST(what_can_be_judged_at_once_is_and_leaves_the_transaction_as_it_was),
      TEST(bad_arguments_are_refused),
      TEST(a_forked_child_cannot_commit_what_its_parent_began),
      TEST(a_condition_holds_until_one_of_the_sections_is_changed),
      TEST(a_condition_from_another_history_or_the_future_never_holds),
      TEST(increments_by_what_a_mirror_says_are_never_lost),
      cmocka_unit_test_setup_teardown(transactions_stay_whole_while_the_daemon_is_killed, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
