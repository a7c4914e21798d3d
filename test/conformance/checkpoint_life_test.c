/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Close, unlink, retention, active replica, status (clauses 6 to 10), and what clause 0
 * says of checkpoint handles.
 */
#include "test/conformance/ckpt_fixture.h"

static SaCkptCheckpointHandleT checkpoint_retained(const char *text, SaTimeT retention) {
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  attributes.retentionDuration = retention;
  return checkpoint_create(lib, text, &attributes);
}

/* Until the name is looked up in vain; false: it was found for ten seconds. */
static bool is_gone_soon(const char *text, SaTimeT retention) {
  int64_t deadline_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
  while (daemon_fixture_now_ns() < deadline_ns) {
    SaNameT name = name_of(text);
    SaCkptCheckpointHandleT checkpoint;
    SaAisErrorT result = saCkptCheckpointOpen(lib, &name, NULL, SA_CKPT_CHECKPOINT_READ, 0, &checkpoint);
    if (result == SA_AIS_ERR_NOT_EXIST) {
      return true;
    }
    OK(result);
    OK(saCkptCheckpointClose(checkpoint)); /* starts the retention anew, so give it the time it has */
    struct timespec pause = {.tv_nsec = retention};
    (void)nanosleep(&pause, NULL);
  }
  return false;
}

/* clauses 0.1, 6.1, 19.5, 21.1, 21.2 */
static void bad_checkpoint_handles_are_bad_everywhere(void **state) {
  (void)state;
  SaCkptCheckpointHandleT closed = checkpoint_usual(lib, "bad-handles");
  SaCkptCheckpointHandleT open = checkpoint_usual(lib, "bad-handles");
  OK(saCkptCheckpointClose(closed));
  SaCkptSectionIterationHandleT iteration;
  OK(saCkptSectionIterationInitialize(open, SA_CKPT_SECTIONS_ANY, 0, &iteration));
  SaCkptCheckpointHandleT bad[] = {0, ~0ULL, 4711, closed, open ^ (1ULL << 40), lib, iteration, 0xdeadbeefULL};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_checkpoint_calls(bad[i], SA_AIS_ERR_BAD_HANDLE);
    SaCkptSectionDescriptorT descriptor;
    if (bad[i] != iteration) {
      EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptSectionIterationNext(bad[i], &descriptor));
      EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptSectionIterationFinalize(bad[i]));
    }
  }
  OK(section_create(open, "s", "x")); /* the others stay good */
}

/* clauses 0.2, 6.1 */
static void closing_a_checkpoint_ends_its_iterations_and_no_others(void **state) {
  (void)state;
  SaCkptCheckpointHandleT first = checkpoint_usual(lib, "iterations-closed");
  SaCkptCheckpointHandleT second = checkpoint_usual(lib, "iterations-closed");
  OK(section_create(first, "s", "x"));
  SaCkptSectionIterationHandleT of_first;
  SaCkptSectionIterationHandleT of_second;
  SaCkptSectionDescriptorT descriptor;
  OK(saCkptSectionIterationInitialize(first, SA_CKPT_SECTIONS_ANY, 0, &of_first));
  OK(saCkptSectionIterationInitialize(second, SA_CKPT_SECTIONS_ANY, 0, &of_second));
  OK(saCkptCheckpointClose(first));
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptSectionIterationNext(of_first, &descriptor));
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptSectionIterationFinalize(of_first));
  OK(saCkptSectionIterationNext(of_second, &descriptor));
}

/* clauses 6.2, 8.3, 8.4 */
static void the_last_close_deletes_when_retention_is_shorter_than_a_millisecond(void **state) {
  (void)state;
  SaTimeT durations[] = {0, 1, 100, 1000, 100000, 999999};
  for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
    SaCkptCheckpointHandleT checkpoint = checkpoint_retained("short-retention", durations[i]);
    SaCkptCheckpointHandleT other = checkpoint_again(lib, "short-retention", SA_CKPT_CHECKPOINT_READ);
    OK(saCkptCheckpointClose(checkpoint));
    OK(checkpoint_try(lib, "short-retention")); /* it is still open */
    OK(saCkptCheckpointClose(other));
    EXPECT(SA_AIS_ERR_NOT_EXIST, checkpoint_try(lib, "short-retention"));
  }
}

/* clauses 6.2, 7.5, 8.3, 8.4 */
static void retention_runs_out_after_the_last_close_and_is_compared_at_look_up(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_retained("retention-ends", 50 * SA_TIME_ONE_MILLISECOND);
  OK(section_create(checkpoint, "s", "x"));
  OK(saCkptCheckpointClose(checkpoint));
  assert_true(is_gone_soon("retention-ends", 50 * SA_TIME_ONE_MILLISECOND));
  SaNameT name = name_of("retention-ends");
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointUnlink(lib, &name));
}

/* clauses 8.3, 8.6, 22.7 */
static void a_negative_retention_at_open_is_for_ever(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_retained("for-ever", -1);
  assert_true(status_of(checkpoint).checkpointCreationAttributes.retentionDuration == SA_TIME_END);
  OK(saCkptCheckpointClose(checkpoint));
  OK(checkpoint_try(lib, "for-ever"));
}

/* clauses 7.1, 7.2, 7.5 */
static void unlink_of_a_checkpoint_in_retention_deletes_it_at_once(void **state) {
  (void)state;
  OK(saCkptCheckpointClose(checkpoint_usual(lib, "unlinked-retained")));
  SaCkptHandleT stranger = library_b2();
  SaNameT name = name_of("unlinked-retained");
  OK(saCkptCheckpointUnlink(stranger, &name));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointUnlink(stranger, &name));
  EXPECT(SA_AIS_ERR_NOT_EXIST, checkpoint_try(lib, "unlinked-retained"));
  name = name_of("never-there");
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointUnlink(stranger, &name));
  OK(saCkptFinalize(stranger));
}

/* clauses 7.3, 22.28 */
static void open_handles_of_an_unlinked_checkpoint_keep_full_access(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "unlinked-open");
  SaNameT name = name_of("unlinked-open");
  OK(section_create(checkpoint, "before", "x"));
  OK(saCkptCheckpointUnlink(lib, &name));
  EXPECT(SA_AIS_ERR_NOT_EXIST, checkpoint_try(lib, "unlinked-open"));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointUnlink(lib, &name));
  OK(section_create(checkpoint, "after", "y"));
  OK(section_overwrite(checkpoint, "before", "z"));
  assert_section(checkpoint, "before", "z");
  assert_section(checkpoint, "after", "y");
  assert_int_equal(status_of(checkpoint).numberOfSections, 2);
  OK(saCkptCheckpointClose(checkpoint));
  EXPECT(SA_AIS_ERR_NOT_EXIST, checkpoint_try(lib, "unlinked-open"));
}

/* clause 7.4 */
static void a_name_may_be_used_again_at_once_beside_the_unlinked_instance(void **state) {
  (void)state;
  SaNameT name = name_of("twice");
  SaCkptCheckpointHandleT old = checkpoint_usual(lib, "twice");
  OK(section_create(old, "s", "old"));
  OK(saCkptCheckpointUnlink(lib, &name));
  SaCkptCheckpointHandleT new = checkpoint_usual(lib, "twice");
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_try(new, "s"));
  OK(section_create(new, "s", "new"));
  assert_section(old, "s", "old");
  assert_section(checkpoint_again(lib, "twice", SA_CKPT_CHECKPOINT_READ), "s", "new");
  OK(saCkptCheckpointUnlink(lib, &name));
  EXPECT(SA_AIS_ERR_NOT_EXIST, checkpoint_try(lib, "twice"));
  assert_section(old, "s", "old");
  assert_section(new, "s", "new");
}

/* clauses 8.1, 8.3, 8.5 */
static void the_retention_that_was_set_is_the_one_used_at_the_last_close(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_retained("retention-set", SA_TIME_END);
  OK(saCkptCheckpointRetentionDurationSet(checkpoint, 12345678));
  assert_int_equal(status_of(checkpoint).checkpointCreationAttributes.retentionDuration, 12345678);
  OK(saCkptCheckpointRetentionDurationSet(checkpoint, 0));
  assert_int_equal(status_of(checkpoint).checkpointCreationAttributes.retentionDuration, 0);
  OK(saCkptCheckpointClose(checkpoint));
  EXPECT(SA_AIS_ERR_NOT_EXIST, checkpoint_try(lib, "retention-set"));
  checkpoint = checkpoint_retained("retention-set", 0);
  OK(saCkptCheckpointRetentionDurationSet(checkpoint, SA_TIME_END));
  OK(saCkptCheckpointClose(checkpoint));
  OK(checkpoint_try(lib, "retention-set"));
  checkpoint = checkpoint_again(lib, "retention-set", READ_WRITE);
  OK(saCkptCheckpointRetentionDurationSet(checkpoint, SA_TIME_ONE_MILLISECOND));
  OK(saCkptCheckpointClose(checkpoint));
  assert_true(is_gone_soon("retention-set", SA_TIME_ONE_MILLISECOND));
}

/* clauses 8.1, 1.5 */
static void setting_the_retention_needs_write_in_b_02_and_any_handle_in_b_01(void **state) {
  (void)state;
  (void)checkpoint_usual(lib, "retention-access");
  SaCkptHandleT old = library_b1();
  EXPECT(SA_AIS_ERR_ACCESS, saCkptCheckpointRetentionDurationSet(
                                checkpoint_again(lib, "retention-access", SA_CKPT_CHECKPOINT_READ), SECOND));
  OK(saCkptCheckpointRetentionDurationSet(checkpoint_again(old, "retention-access", SA_CKPT_CHECKPOINT_READ), SECOND));
  OK(saCkptFinalize(old));
}

/* clauses 8.2, 8.6 */
static void the_retention_of_an_unlinked_checkpoint_and_a_negative_one_can_not_be_set(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "retention-unlinked");
  SaNameT name = name_of("retention-unlinked");
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointRetentionDurationSet(checkpoint, -1));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointRetentionDurationSet(checkpoint, SA_TIME_UNKNOWN));
  OK(saCkptCheckpointUnlink(lib, &name));
  EXPECT(SA_AIS_ERR_BAD_OPERATION, saCkptCheckpointRetentionDurationSet(checkpoint, SECOND));
}

/* clauses 9.1, 9.2 */
static void the_active_replica_is_set_for_collocated_asynchronous_checkpoints_by_writers_alone(void **state) {
  (void)state;
  for (SaUint32T mode = 1; mode <= 4; mode *= 2) {
    for (SaUint32T collocated = 0; collocated <= SA_CKPT_CHECKPOINT_COLLOCATED; collocated += 8) {
      SaCkptCheckpointCreationAttributesT attributes = attributes_of(mode | collocated);
      char name[32];
      (void)snprintf(name, sizeof name, "active-%u", mode | collocated);
      SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, name, &attributes);
      EXPECT(collocated && mode != SA_CKPT_WR_ALL_REPLICAS ? SA_AIS_OK : SA_AIS_ERR_BAD_OPERATION,
             saCkptActiveReplicaSet(checkpoint));
      EXPECT(SA_AIS_ERR_ACCESS, saCkptActiveReplicaSet(checkpoint_again(lib, name, SA_CKPT_CHECKPOINT_READ)));
    }
  }
}

/* clauses 9.3, 9.7, 14.3, 19.1 */
static void without_an_active_replica_sections_can_not_be_used_and_with_one_by_every_handle(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes =
      attributes_of(SA_CKPT_WR_ACTIVE_REPLICA | SA_CKPT_CHECKPOINT_COLLOCATED);
  SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, "no-active", &attributes);
  SaCkptCheckpointHandleT other = checkpoint_again(lib, "no-active", READ_WRITE);
  SaCkptSectionIdT id = id_of("s");
  SaCkptIOVectorElementT element = element_of("s", "x", 1, 0);
  SaCkptCheckpointDescriptorT status;
  SaCkptSectionIterationHandleT iteration;
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_create(checkpoint, "s", "x"));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptSectionDelete(checkpoint, &id));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptSectionExpirationTimeSet(checkpoint, &id, SA_TIME_END));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointWrite(checkpoint, &element, 1, NULL));
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_overwrite(checkpoint, "s", "x"));
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_try(checkpoint, "s"));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointStatusGet(checkpoint, &status));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, &iteration));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointSynchronize(checkpoint, SECOND));
  OK(saCkptActiveReplicaSet(checkpoint));
  OK(saCkptActiveReplicaSet(checkpoint)); /* once more is no error */
  OK(section_create(other, "s", "x"));
  assert_section(checkpoint, "s", "x");
  OK(saCkptCheckpointSynchronize(other, SECOND));
}

/* clauses 9.6, 21.4 */
static void a_collocated_checkpoint_with_all_replicas_needs_no_active_one(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes =
      attributes_of(SA_CKPT_WR_ALL_REPLICAS | SA_CKPT_CHECKPOINT_COLLOCATED);
  SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, "collocated-all", &attributes);
  OK(section_create(checkpoint, "s", "x"));
  assert_section(checkpoint, "s", "x");
}

/* clauses 10.1, 10.2 */
static void status_tells_attributes_sections_and_bytes_of_data(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT made = {.creationFlags = SA_CKPT_WR_ACTIVE_REPLICA_WEAK,
                                              .checkpointSize = 5,
                                              .retentionDuration = 987654321,
                                              .maxSections = 7,
                                              .maxSectionSize = 11,
                                              .maxSectionIdSize = 13};
  SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, "status", &made);
  SaCkptCheckpointDescriptorT status = status_of(checkpoint);
  assert_int_equal(status.checkpointCreationAttributes.creationFlags, made.creationFlags);
  assert_int_equal(status.checkpointCreationAttributes.checkpointSize, made.checkpointSize);
  assert_int_equal(status.checkpointCreationAttributes.retentionDuration, made.retentionDuration);
  assert_int_equal(status.checkpointCreationAttributes.maxSections, made.maxSections);
  assert_int_equal(status.checkpointCreationAttributes.maxSectionSize, made.maxSectionSize);
  assert_int_equal(status.checkpointCreationAttributes.maxSectionIdSize, made.maxSectionIdSize);
  assert_int_equal(status.numberOfSections, 0);
  assert_int_equal(status.memoryUsed, 0);
  OK(section_create(checkpoint, "a", "12345"));
  OK(section_create(checkpoint, "b", ""));
  status = status_of(checkpoint);
  assert_int_equal(status.numberOfSections, 2);
  assert_int_equal(status.memoryUsed, 5);
  SaCkptSectionIdT id = id_of("a");
  OK(saCkptSectionDelete(checkpoint, &id));
  status = status_of(checkpoint);
  assert_int_equal(status.numberOfSections, 1);
  assert_int_equal(status.memoryUsed, 0);
}

/* clause 10.2 */
static void the_default_section_counts_in_the_status(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_default_section(lib, "status-default");
  assert_int_equal(status_of(checkpoint).numberOfSections, 1);
  assert_int_equal(status_of(checkpoint).memoryUsed, 0);
}

/* clauses 10.3, 10.4, 1.5 */
static void status_needs_read_in_b_02_and_any_handle_in_b_01(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "status-access");
  SaCkptCheckpointDescriptorT status;
  SaCkptHandleT old = library_b1();
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointStatusGet(checkpoint, NULL));
  EXPECT(SA_AIS_ERR_ACCESS,
         saCkptCheckpointStatusGet(checkpoint_again(lib, "status-access", SA_CKPT_CHECKPOINT_WRITE), &status));
  OK(saCkptCheckpointStatusGet(checkpoint_again(old, "status-access", SA_CKPT_CHECKPOINT_WRITE), &status));
  OK(saCkptFinalize(old));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(bad_checkpoint_handles_are_bad_everywhere),
      CASE(closing_a_checkpoint_ends_its_iterations_and_no_others),
      CASE(the_last_close_deletes_when_retention_is_shorter_than_a_millisecond),
      CASE(retention_runs_out_after_the_last_close_and_is_compared_at_look_up),
      CASE(a_negative_retention_at_open_is_for_ever),
      CASE(unlink_of_a_checkpoint_in_retention_deletes_it_at_once),
      CASE(open_handles_of_an_unlinked_checkpoint_keep_full_access),
      CASE(a_name_may_be_used_again_at_once_beside_the_unlinked_instance),
      CASE(the_retention_that_was_set_is_the_one_used_at_the_last_close),
      CASE(setting_the_retention_needs_write_in_b_02_and_any_handle_in_b_01),
      CASE(the_retention_of_an_unlinked_checkpoint_and_a_negative_one_can_not_be_set),
      CASE(the_active_replica_is_set_for_collocated_asynchronous_checkpoints_by_writers_alone),
      CASE(without_an_active_replica_sections_can_not_be_used_and_with_one_by_every_handle),
      CASE(a_collocated_checkpoint_with_all_replicas_needs_no_active_one),
      CASE(status_tells_attributes_sections_and_bytes_of_data),
      CASE(the_default_section_counts_in_the_status),
      CASE(status_needs_read_in_b_02_and_any_handle_in_b_01),
  };
  return cmocka_run_group_tests(tests, group_open, group_close);
}
