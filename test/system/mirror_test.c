/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The mirror, against a real vestad: its table is what the checkpoint holds, and its status is honest about whether
 * it is.
 */
#include <vesta.h>

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/daemon_fixture.h"

/* Everything that the service has committed by now. */
static void catch_up(vesta_mirror_t *mirror, uint64_t seq) {
  vesta_change_t change;
  vesta_position_t position;
  assert_int_equal(vesta_mirror_position(mirror, &position), SA_AIS_OK);
  while (position.seq < seq) {
    assert_int_equal(vesta_mirror_next(mirror, APPLICATION_DEADLINE, &change), SA_AIS_OK);
    assert_int_equal(vesta_mirror_position(mirror, &position), SA_AIS_OK);
  }
  assert_int_equal(position.seq, seq);
}

static void assert_section(vesta_mirror_t *mirror, const char *id, const char *data) {
  SaCkptSectionIdT section = section_id(id);
  const void *found;
  SaSizeT size;
  assert_int_equal(vesta_mirror_get(mirror, &section, &found, &size), SA_AIS_OK);
  assert_int_equal(size, strlen(data));
  assert_true(size == 0 ? found == NULL : memcmp(found, data, size) == 0);
}

/* The plain SAF way: walk over all sections and read each, and find the same in the mirror. */
static void assert_equals_checkpoint(vesta_mirror_t *mirror, const application_t *application) {
  static uint8_t data[APPLICATION_SECTION_BYTES_MAX];
  SaCkptSectionIterationHandleT iteration;
  SaCkptSectionDescriptorT section;
  SaSizeT count = 0;
  assert_int_equal(saCkptSectionIterationInitialize(application->checkpoint, SA_CKPT_SECTIONS_ANY, 0, &iteration),
                   SA_AIS_OK);
  while (saCkptSectionIterationNext(iteration, &section) == SA_AIS_OK) {
    SaCkptIOVectorElementT element = {.sectionId = section.sectionId, .dataBuffer = data, .dataSize = sizeof data};
    SaUint32T erroneous;
    const void *mirrored;
    SaSizeT size;
    assert_int_equal(saCkptCheckpointRead(application->checkpoint, &element, 1, &erroneous), SA_AIS_OK);
    assert_int_equal(vesta_mirror_get(mirror, &section.sectionId, &mirrored, &size), SA_AIS_OK);
    assert_int_equal(size, element.readSize);
    assert_true(size == 0 || memcmp(mirrored, data, size) == 0);
    count++;
  }
  assert_int_equal(saCkptSectionIterationFinalize(iteration), SA_AIS_OK);
  assert_int_equal(vesta_mirror_count(mirror), count);
}

static void the_table_follows_each_kind_of_change(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "table", APPLICATION_ALL);
  assert_int_equal(application_create(&application, "a", "one", 3), SA_AIS_OK);
  vesta_mirror_t *mirror = application_mirror(&application);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  assert_section(mirror, "a", "one");
  assert_int_equal(application_create(&application, "b", "two", 3), SA_AIS_OK);
  assert_int_equal(application_create(&application, "c", "three", 5), SA_AIS_OK);
  assert_int_equal(application_overwrite(&application, "a", "overwritten", 11), SA_AIS_OK);
  SaCkptIOVectorElementT vector[2] = {
      {.sectionId = section_id("b"), .dataBuffer = (char[]){"O"}, .dataSize = 1, .dataOffset = 2},
      {.sectionId = section_id("c"), .dataBuffer = (char[]){" fold"}, .dataSize = 5, .dataOffset = 5}};
  SaUint32T erroneous;
  assert_int_equal(saCkptCheckpointWrite(application.checkpoint, vector, 2, &erroneous), SA_AIS_OK);
  catch_up(mirror, 5);
  assert_section(mirror, "a", "overwritten");
  assert_section(mirror, "b", "twO");
  assert_section(mirror, "c", "three fold");
  assert_int_equal(vesta_mirror_count(mirror), 3);
  assert_int_equal(application_delete(&application, "b"), SA_AIS_OK);
  catch_up(mirror, 6);
  SaCkptSectionIdT gone = section_id("b");
  const void *data;
  SaSizeT size;
  assert_int_equal(vesta_mirror_get(mirror, &gone, &data, &size), SA_AIS_ERR_NOT_EXIST);
  assert_equals_checkpoint(mirror, &application);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

static void the_default_section_is_mirrored(void **state) {
  (void)state;
  static const SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = SA_CKPT_WR_ALL_REPLICAS,
                                                                 .checkpointSize = 64,
                                                                 .maxSections = 1,
                                                                 .maxSectionSize = 64,
                                                                 .maxSectionIdSize = 8};
  application_t application;
  application_open_as(&application, "default", APPLICATION_ALL, &attributes);
  vesta_mirror_t *mirror = application_mirror(&application);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  SaCkptIOVectorElementT element = {
      .sectionId = SA_CKPT_DEFAULT_SECTION_ID, .dataBuffer = (char[]){"state"}, .dataSize = 5};
  SaUint32T erroneous;
  assert_int_equal(saCkptCheckpointWrite(application.checkpoint, &element, 1, &erroneous), SA_AIS_OK);
  catch_up(mirror, 1);
  assert_section(mirror, "", "state");
  assert_int_equal(vesta_mirror_count(mirror), 1);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

static void an_expired_section_leaves_the_table(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "expiry", APPLICATION_ALL);
  vesta_mirror_t *mirror = application_mirror(&application);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  assert_int_equal(application_create(&application, "brief", "x", 1), SA_AIS_OK);
  SaCkptSectionIdT id = section_id("brief");
  assert_int_equal(saCkptSectionExpirationTimeSet(application.checkpoint, &id, 1), SA_AIS_OK);
  mirror_take_until(mirror, VESTA_CHANGE_EXPIRED);
  assert_int_equal(vesta_mirror_count(mirror), 0);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

static SaBoolT add_up(void *context, const vesta_section_t *section) {
  uint64_t *sum = context;
  uint64_t value;
  assert_int_equal(section->size, sizeof value);
  memcpy(&value, section->data, sizeof value);
  *sum += value;
  return SA_TRUE;
}

static SaBoolT stop_at_once(void *context, const vesta_section_t *section) {
  (void)section;
  ++*(uint64_t *)context;
  return SA_FALSE;
}

static void a_visit_sees_every_section_once(void **state) {
  (void)state;
  enum { SECTIONS = 5000 };
  application_t application;
  application_open(&application, "each", APPLICATION_ALL);
  for (uint64_t i = 1; i <= SECTIONS; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)i);
    assert_int_equal(application_create(&application, id, &i, sizeof i), SA_AIS_OK);
  }
  vesta_mirror_t *mirror = application_mirror(&application);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  uint64_t sum = 0;
  assert_int_equal(vesta_mirror_each(mirror, add_up, &sum), SA_AIS_OK);
  assert_int_equal(sum, (uint64_t)SECTIONS * (SECTIONS + 1) / 2);
  uint64_t visits = 0;
  assert_int_equal(vesta_mirror_each(mirror, stop_at_once, &visits), SA_AIS_OK);
  assert_int_equal(visits, 1);
  assert_int_equal(vesta_mirror_count(mirror), SECTIONS);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

static void a_snapshot_appears_with_its_end_and_not_before(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "swap", APPLICATION_ALL);
  for (int i = 0; i < 100; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "%d", i);
    assert_int_equal(application_create(&application, id, "x", 1), SA_AIS_OK);
  }
  vesta_mirror_t *mirror = application_mirror(&application);
  vesta_change_t change;
  do {
    assert_int_equal(vesta_mirror_count(mirror), 0);
    assert_int_equal(vesta_mirror_next(mirror, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  } while (change.kind != VESTA_CHANGE_RESYNC_END);
  assert_int_equal(vesta_mirror_count(mirror), 100);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

static void the_status_says_not_synced_until_it_is_and_how_far_behind_it_lags(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "status", APPLICATION_ALL);
  assert_int_equal(application_create(&application, "a", "one", 3), SA_AIS_OK);
  vesta_mirror_t *mirror = application_mirror(&application);
  vesta_status_t status;
  assert_int_equal(vesta_mirror_status(mirror, &status), SA_AIS_OK);
  assert_int_equal(status.promotable, SA_FALSE);
  assert_int_equal(status.reason, VESTA_NOT_SYNCED);
  assert_int_equal(status.applied.seq, 0);
  mirror_take_until(mirror, VESTA_CHANGE_RESYNC_BEGIN);
  assert_int_equal(vesta_mirror_status(mirror, &status), SA_AIS_OK);
  assert_int_equal(status.reason, VESTA_NOT_SYNCED);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  assert_int_equal(vesta_mirror_status(mirror, &status), SA_AIS_OK);
  assert_int_equal(status.promotable, SA_TRUE);
  assert_int_equal(status.reason, VESTA_PROMOTABLE);
  assert_int_equal(status.lag_operations, 0);
  assert_int_equal(status.lag, 0);
  assert_int_equal(status.applied.seq, 1);
  assert_int_equal(status.committed.seq, 1);
  for (int i = 0; i < 10; i++) {
    assert_int_equal(application_overwrite(&application, "a", "two", 3), SA_AIS_OK);
  }
  do { /* it has been taken in, not applied: nothing was handed out */
    assert_int_equal(vesta_mirror_status(mirror, &status), SA_AIS_OK);
  } while (status.received.seq < 11);
  assert_int_equal(status.applied.seq, 1);
  assert_int_equal(status.lag_operations, 10);
  assert_true(status.lag > 0);
  assert_true(status.lag_bytes > 0);
  assert_section(mirror, "a", "one");
  catch_up(mirror, 11);
  assert_int_equal(vesta_mirror_status(mirror, &status), SA_AIS_OK);
  assert_int_equal(status.lag_operations, 0);
  assert_int_equal(status.lag_bytes, 0);
  assert_section(mirror, "a", "two");
  vesta_mirror_close(&mirror);
  application_close(&application);
}

static void the_status_of_a_mirror_whose_service_is_gone_is_not_promotable_for_long(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "silent", APPLICATION_ALL);
  vesta_mirror_t *mirror = application_mirror(&application);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  daemon_fixture_kill(&daemon_of_test);
  vesta_change_t change;
  vesta_status_t status;
  int64_t since_ns = daemon_fixture_now_ns();
  do {
    assert_int_equal(vesta_mirror_next(mirror, 100 * SA_TIME_ONE_MILLISECOND, &change), SA_AIS_ERR_TIMEOUT);
    assert_int_equal(vesta_mirror_status(mirror, &status), SA_AIS_OK);
    assert_true(daemon_fixture_now_ns() - since_ns < APPLICATION_DEADLINE);
  } while (status.promotable);
  assert_int_equal(status.reason, VESTA_NOT_SYNCED);
  assert_true(status.silence >= 3 * SA_TIME_ONE_SECOND);
  daemon_fixture_start(&daemon_of_test);
  do {
    SaAisErrorT error = vesta_mirror_next(mirror, 100 * SA_TIME_ONE_MILLISECOND, &change);
    assert_true(error == SA_AIS_OK || error == SA_AIS_ERR_TIMEOUT);
    assert_int_equal(vesta_mirror_status(mirror, &status), SA_AIS_OK);
    assert_true(daemon_fixture_now_ns() - since_ns < 2 * APPLICATION_DEADLINE);
  } while (!status.promotable);
  assert_int_equal(application_create(&application, "after", "x", 1), SA_AIS_OK);
  catch_up(mirror, 1);
  assert_equals_checkpoint(mirror, &application);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

/* Who polls, takes what there is and looks at the status each time sleeps all the same when nothing comes. */
static void to_ask_for_the_status_is_no_reason_to_be_woken_up(void **state) {
  (void)state;
  application_t application;
  vesta_change_t change;
  vesta_status_t status;
  SaSelectionObjectT fd;
  application_open(&application, "asked", APPLICATION_ALL);
  vesta_mirror_t *mirror = application_mirror(&application);
  assert_int_equal(vesta_mirror_fd(mirror, &fd), SA_AIS_OK);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  struct pollfd readable = {.fd = (int)fd, .events = POLLIN};
  int rounds = 0;
  do { /* a beacon may come in between, hardly each time */
    assert_true(rounds++ < 100);
    while (vesta_mirror_next(mirror, 0, &change) == SA_AIS_OK) {
    }
    assert_int_equal(vesta_mirror_status(mirror, &status), SA_AIS_OK);
  } while (poll(&readable, 1, 0) != 0);
  assert_int_equal(application_create(&application, "new", "x", 1), SA_AIS_OK);
  catch_up(mirror, 1);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

/* Creates, deletes and writes of all sizes, from a seed. */
static uint64_t churn(const application_t *application, unsigned *seed, uint32_t count) {
  static uint8_t data[3000];
  uint64_t operations = 0;
  for (uint32_t i = 0; i < count; i++) {
    char id[16];
    SaSizeT size = (SaSizeT)rand_r(seed) % sizeof data;
    (void)snprintf(id, sizeof id, "%d", rand_r(seed) % 500);
    memset(data, rand_r(seed), sizeof data);
    SaAisErrorT error = rand_r(seed) % 4 == 0 ? application_delete(application, id)
                                              : application_overwrite(application, id, data, size);
    if (error == SA_AIS_ERR_NOT_EXIST) {
      error = application_create(application, id, data, size);
    }
    assert_int_equal(error, SA_AIS_OK);
    operations++;
  }
  return operations;
}

static void a_mirror_opened_under_load_ends_up_equal_to_the_checkpoint(void **state) {
  (void)state;
  application_t writer, reader;
  unsigned seed = 4711;
  application_open(&writer, "equal", APPLICATION_ALL);
  application_open(&reader, "equal", SA_CKPT_CHECKPOINT_READ);
  uint64_t operations = churn(&writer, &seed, 3000);
  for (int round = 0; round < 5; round++) {
    vesta_mirror_t *mirror = application_mirror(&reader);
    vesta_change_t change;
    for (int i = 0; i < 100; i++) { /* the snapshot is walked while this goes on */
      operations += churn(&writer, &seed, 20);
      for (int taken = 0; taken < 30 && vesta_mirror_next(mirror, 0, &change) == SA_AIS_OK; taken++) {
      }
    }
    catch_up(mirror, operations);
    assert_equals_checkpoint(mirror, &reader);
    vesta_mirror_close(&mirror);
  }
  application_close(&reader);
  application_close(&writer);
}

static void a_mirror_with_a_small_buffer_lags_far_behind_and_still_ends_up_equal(void **state) {
  (void)state;
  application_t application;
  unsigned seed = 815;
  application_open(&application, "small", APPLICATION_ALL);
  vesta_mirror_options_t options = {.buffer_bytes = 65536};
  vesta_mirror_t *mirror;
  assert_int_equal(vesta_mirror_open(application.checkpoint, &options, &mirror), SA_AIS_OK);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  uint64_t operations = churn(&application, &seed, 20000);
  catch_up(mirror, operations);
  assert_equals_checkpoint(mirror, &application);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

static void a_checkpoint_that_goes_leaves_the_last_state_and_says_ended(void **state) {
  (void)state;
  application_t writer, reader;
  application_open(&writer, "ended", APPLICATION_ALL);
  application_open(&reader, "ended", SA_CKPT_CHECKPOINT_READ);
  assert_int_equal(application_create(&writer, "a", "one", 3), SA_AIS_OK);
  vesta_mirror_t *mirror = application_mirror(&reader);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  assert_int_equal(saCkptCheckpointUnlink(writer.library, &writer.name), SA_AIS_OK);
  application_close(&writer);
  assert_int_equal(saCkptCheckpointClose(reader.checkpoint), SA_AIS_OK);
  mirror_take_until(mirror, VESTA_CHANGE_GONE);
  vesta_status_t status;
  assert_int_equal(vesta_mirror_status(mirror, &status), SA_AIS_OK);
  assert_int_equal(status.promotable, SA_FALSE);
  assert_int_equal(status.reason, VESTA_ENDED);
  assert_section(mirror, "a", "one");
  vesta_change_t change;
  assert_int_equal(vesta_mirror_next(mirror, APPLICATION_DEADLINE, &change), SA_AIS_ERR_NOT_EXIST);
  vesta_mirror_close(&mirror);
  application_close(&reader);
}

static void bad_arguments_are_refused(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "arguments", APPLICATION_ALL);
  vesta_mirror_t *mirror = NULL;
  vesta_mirror_options_t options = {.reserved = {1}};
  assert_int_equal(vesta_mirror_open(application.checkpoint, &options, &mirror), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_open(application.checkpoint, NULL, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_open(~0ULL, NULL, &mirror), SA_AIS_ERR_BAD_HANDLE);
  mirror = application_mirror(&application);
  vesta_change_t change;
  vesta_status_t status;
  vesta_position_t position;
  SaSelectionObjectT fd;
  SaCkptSectionIdT id = section_id("a"), bad = {.idLen = 1, .id = NULL};
  const void *data;
  SaSizeT size;
  assert_int_equal(vesta_mirror_next(NULL, 0, &change), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_next(mirror, 0, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_next(mirror, -1, &change), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_get(NULL, &id, &data, &size), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_get(mirror, NULL, &data, &size), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_get(mirror, &bad, &data, &size), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_get(mirror, &id, NULL, &size), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_get(mirror, &id, &data, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_each(NULL, add_up, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_each(mirror, NULL, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_count(NULL), 0);
  assert_int_equal(vesta_mirror_status(NULL, &status), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_status(mirror, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_position(NULL, &position), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_position(mirror, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_fd(NULL, &fd), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_fd(mirror, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_close(NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_close(&mirror), SA_AIS_OK);
  assert_null(mirror);
  assert_int_equal(vesta_mirror_close(&mirror), SA_AIS_OK);
  application_close(&application);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_of_test_open, daemon_of_test_close)
  const struct CMUnitTest tests[] = {
      TEST(the_table_follows_each_kind_of_change),
      TEST(the_default_section_is_mirrored),
      TEST(an_expired_section_leaves_the_table),
      TEST(a_visit_sees_every_section_once),
      TEST(a_snapshot_appears_with_its_end_and_not_before),
      TEST(the_status_says_not_synced_until_it_is_and_how_far_behind_it_lags),
      TEST(the_status_of_a_mirror_whose_service_is_gone_is_not_promotable_for_long),
      TEST(to_ask_for_the_status_is_no_reason_to_be_woken_up),
      TEST(a_mirror_opened_under_load_ends_up_equal_to_the_checkpoint),
      TEST(a_mirror_with_a_small_buffer_lags_far_behind_and_still_ends_up_equal),
      TEST(a_checkpoint_that_goes_leaves_the_last_state_and_says_ended),
      TEST(bad_arguments_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
