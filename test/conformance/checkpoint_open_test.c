/* SPDX-License-Identifier: BSD-2-Clause
 *
 * saCkptCheckpointOpen and OpenAsync (clause 5), and what clause 0 says of names.
 */
#include "test/conformance/ckpt_fixture.h"

static SaAisErrorT open_with(const char *text, const SaCkptCheckpointCreationAttributesT *attributes,
                             SaCkptCheckpointOpenFlagsT flags) {
  SaCkptCheckpointHandleT checkpoint = 4711;
  SaNameT name = name_of(text);
  SaAisErrorT result = saCkptCheckpointOpen(lib, &name, attributes, flags, TEST_DEADLINE_NS, &checkpoint);
  if (result == SA_AIS_OK) {
    OK(saCkptCheckpointClose(checkpoint));
  } else {
    assert_int_equal(checkpoint, 4711); /* written on success only */
  }
  return result;
}

/* clauses 5.1, 22.3 */
static void open_flags_other_than_read_write_create_are_bad_flags(void **state) {
  (void)state;
  EXPECT(SA_AIS_ERR_BAD_FLAGS, open_with("flags", NULL, 0));
  EXPECT(SA_AIS_ERR_BAD_FLAGS, open_with("flags", NULL, 8));
  EXPECT(SA_AIS_ERR_BAD_FLAGS, open_with("flags", NULL, 0x80000000U | SA_CKPT_CHECKPOINT_READ));
  EXPECT(SA_AIS_ERR_BAD_FLAGS, open_with("flags", NULL, 0x100U | SA_CKPT_CHECKPOINT_READ));
}

/* clause 5.2 */
static void attributes_go_with_create_and_only_with_it(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  EXPECT(SA_AIS_ERR_INVALID_PARAM, open_with("create-attributes", NULL, READ_WRITE_CREATE));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, open_with("create-attributes", &attributes, READ_WRITE));
}

/* clause 5.3 */
static void create_alone_is_a_legal_open_whose_handle_may_neither_read_nor_write(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  SaCkptCheckpointHandleT checkpoint;
  SaNameT name = name_of("create-alone");
  OK(saCkptCheckpointOpen(lib, &name, &attributes, SA_CKPT_CHECKPOINT_CREATE, SECOND, &checkpoint));
  EXPECT(SA_AIS_ERR_ACCESS, section_create(checkpoint, "s", "x"));
  EXPECT(SA_AIS_ERR_ACCESS, section_try(checkpoint, "s"));
  OK(saCkptCheckpointClose(checkpoint));
}

/* clauses 5.4, 5.5, 22.6 */
static void creation_flags_are_exactly_one_mode_with_or_without_collocated(void **state) {
  (void)state;
  for (SaUint32T flags = 0; flags < 32; flags++) {
    SaUint32T mode = flags & ~(SaUint32T)SA_CKPT_CHECKPOINT_COLLOCATED;
    SaCkptCheckpointCreationAttributesT attributes = attributes_of(flags);
    char name[32];
    (void)snprintf(name, sizeof name, "creation-flags-%u", flags);
    EXPECT(mode == 1 || mode == 2 || mode == 4 ? SA_AIS_OK : SA_AIS_ERR_INVALID_PARAM,
           open_with(name, &attributes, READ_WRITE_CREATE));
  }
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(0x80000001U);
  EXPECT(SA_AIS_ERR_INVALID_PARAM, open_with("creation-flags", &attributes, READ_WRITE_CREATE));
}

/* clause 5.6 */
static void checkpoint_size_may_equal_sections_times_size_but_not_exceed_it(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  attributes.checkpointSize = 100 * 1000;
  OK(open_with("size-equal", &attributes, READ_WRITE_CREATE));
  attributes.checkpointSize++;
  EXPECT(SA_AIS_ERR_INVALID_PARAM, open_with("size-above", &attributes, READ_WRITE_CREATE));
  attributes.maxSections = 0xffffffffU; /* a product that does not fit into 64 bits is not small */
  attributes.maxSectionSize = 1ULL << 40;
  attributes.checkpointSize = ~0ULL;
  EXPECT(SA_AIS_ERR_NO_RESOURCES, open_with("size-overflow", &attributes, READ_WRITE_CREATE));
}

/* clauses 0.12, 5.7, 7.5, 22.5 */
static void names_are_1_to_256_bytes_of_any_value(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  SaCkptCheckpointHandleT checkpoint;
  SaNameT name;
  memset(&name, 0xfe, sizeof name);
  EXPECT(SA_AIS_ERR_INVALID_PARAM,
         saCkptCheckpointOpen(lib, NULL, &attributes, READ_WRITE_CREATE, SECOND, &checkpoint));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointUnlink(lib, NULL));
  SaUint16T bad[] = {0, 257, 0xffff};
  for (size_t i = 0; i < 3; i++) {
    name.length = bad[i];
    EXPECT(SA_AIS_ERR_INVALID_PARAM,
           saCkptCheckpointOpen(lib, &name, &attributes, READ_WRITE_CREATE, SECOND, &checkpoint));
    EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointUnlink(lib, &name));
  }
  name.length = 256;
  OK(saCkptCheckpointOpen(lib, &name, &attributes, READ_WRITE_CREATE, SECOND, &checkpoint));
  name.length = 1;
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointOpen(lib, &name, NULL, SA_CKPT_CHECKPOINT_READ, SECOND, &checkpoint));
  SaNameT with_nul = {.length = 4, .value = {'a', 0, 'b', 0}};
  SaNameT other = {.length = 3, .value = {'a', 0, 'b'}};
  OK(saCkptCheckpointOpen(lib, &with_nul, &attributes, READ_WRITE_CREATE, SECOND, &checkpoint));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointUnlink(lib, &other));
  OK(saCkptCheckpointUnlink(lib, &with_nul));
  OK(open_with("safCkpt=distinguished,safApp=name", &attributes, READ_WRITE_CREATE));
}

/* clause 5.7 */
static void open_without_a_place_for_the_handle_is_an_invalid_param(void **state) {
  (void)state;
  SaNameT name = name_of("no-place");
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointOpen(lib, &name, NULL, SA_CKPT_CHECKPOINT_READ, SECOND, NULL));
}

/* clauses 5.8, 5.9, 5.12, 22.31 */
static void a_checkpoint_is_made_by_create_alone_and_opened_by_anybody_after_that(void **state) {
  (void)state;
  EXPECT(SA_AIS_ERR_NOT_EXIST, checkpoint_try(lib, "made"));
  SaCkptCheckpointHandleT first = checkpoint_usual(lib, "made");
  SaCkptCheckpointHandleT second = checkpoint_usual(lib, "made");
  SaCkptCheckpointHandleT third = checkpoint_again(lib, "made", READ_WRITE);
  assert_true(first != second && second != third && first != third);
  OK(section_create(first, "s", "data"));
  assert_section(second, "s", "data");
  assert_section(third, "s", "data");
}

/* clause 5.10 */
static void create_with_other_attributes_than_the_creators_is_exist(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT made = attributes_of(SA_CKPT_WR_ACTIVE_REPLICA);
  (void)checkpoint_create(lib, "attributes", &made);
  SaCkptCheckpointCreationAttributesT other = made;
  other.creationFlags = SA_CKPT_WR_ALL_REPLICAS;
  EXPECT(SA_AIS_ERR_EXIST, open_with("attributes", &other, READ_WRITE_CREATE));
  other = made;
  other.checkpointSize--;
  EXPECT(SA_AIS_ERR_EXIST, open_with("attributes", &other, READ_WRITE_CREATE));
  other = made;
  other.maxSections++;
  EXPECT(SA_AIS_ERR_EXIST, open_with("attributes", &other, READ_WRITE_CREATE));
  other = made;
  other.maxSectionSize++;
  EXPECT(SA_AIS_ERR_EXIST, open_with("attributes", &other, READ_WRITE_CREATE));
  other = made;
  other.maxSectionIdSize++;
  EXPECT(SA_AIS_ERR_EXIST, open_with("attributes", &other, READ_WRITE_CREATE));
  OK(open_with("attributes", &made, READ_WRITE_CREATE));
}

/* clauses 5.11, 1.5 */
static void retention_is_compared_for_b_01_only_and_stays_the_creators(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, "retention-compared", &attributes);
  SaCkptHandleT old = library_b1();
  SaCkptCheckpointHandleT opened;
  SaNameT name = name_of("retention-compared");
  OK(saCkptCheckpointOpen(old, &name, &attributes, READ_WRITE_CREATE, SECOND, &opened));
  attributes.retentionDuration++;
  EXPECT(SA_AIS_ERR_EXIST, saCkptCheckpointOpen(old, &name, &attributes, READ_WRITE_CREATE, SECOND, &opened));
  OK(saCkptCheckpointOpen(lib, &name, &attributes, READ_WRITE_CREATE, SECOND, &opened));
  assert_int_equal(status_of(checkpoint).checkpointCreationAttributes.retentionDuration, SA_TIME_ONE_MINUTE);
  OK(saCkptFinalize(old));
}

/* clause 5.13 */
static void the_access_mode_is_the_handles(void **state) {
  (void)state;
  (void)checkpoint_usual(lib, "modes");
  SaCkptCheckpointHandleT reader = checkpoint_again(lib, "modes", SA_CKPT_CHECKPOINT_READ);
  SaCkptCheckpointHandleT writer = checkpoint_again(lib, "modes", SA_CKPT_CHECKPOINT_WRITE);
  EXPECT(SA_AIS_ERR_ACCESS, section_create(reader, "s", "x"));
  OK(section_create(writer, "s", "x"));
  assert_section(reader, "s", "x");
  EXPECT(SA_AIS_ERR_ACCESS, section_try(writer, "s"));
}

/* clause 5.14 */
static void a_checkpoint_opened_during_its_retention_has_its_old_content(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "retained");
  OK(section_create(checkpoint, "s", "kept"));
  OK(saCkptCheckpointClose(checkpoint));
  assert_section(checkpoint_again(lib, "retained", SA_CKPT_CHECKPOINT_READ), "s", "kept");
}

/* clauses 5.16, 22.4 */
static void timeouts_of_zero_and_below_and_for_ever_are_no_limit(void **state) {
  (void)state;
  SaTimeT timeouts[] = {0, -1, SA_TIME_END, SA_TIME_UNKNOWN, 1000000000000000000};
  SaNameT name = name_of("timeouts");
  (void)checkpoint_usual(lib, "timeouts");
  for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
    SaCkptCheckpointHandleT checkpoint;
    OK(saCkptCheckpointOpen(lib, &name, NULL, SA_CKPT_CHECKPOINT_READ, timeouts[i], &checkpoint));
  }
}

/* clause 5.16 */
static void an_open_that_was_given_no_time_is_a_timeout(void **state) {
  (void)state;
  SaNameT name = name_of("no-time");
  SaCkptCheckpointHandleT checkpoint;
  (void)checkpoint_usual(lib, "no-time");
  EXPECT(SA_AIS_ERR_TIMEOUT, saCkptCheckpointOpen(lib, &name, NULL, SA_CKPT_CHECKPOINT_READ, 1, &checkpoint));
  assert_int_equal(checkpoint_try(lib, "no-time"), SA_AIS_OK); /* and the handle is as good as before */
}

/* ---- OpenAsync ---- */

typedef struct opened {
  SaInvocationT invocation;
  SaCkptCheckpointHandleT checkpoint;
  SaAisErrorT error;
} opened_t;
static opened_t opened[16];
static int opened_count;

static void note_opened(SaInvocationT invocation, SaCkptCheckpointHandleT checkpoint, SaAisErrorT error) {
  assert_true(opened_count < 16);
  opened[opened_count++] = (opened_t){invocation, checkpoint, error};
}

static SaCkptHandleT library_async(SaUint8T major, SaSelectionObjectT *object) {
  SaCkptCallbacksT callbacks = {note_opened, NULL};
  SaCkptHandleT made = library_open(major, &callbacks);
  OK(saCkptSelectionObjectGet(made, object));
  opened_count = 0;
  return made;
}

static void dispatch_until(SaCkptHandleT handle, SaSelectionObjectT object, int count) {
  while (opened_count < count) {
    assert_true(is_readable(object, TEST_DEADLINE_MS));
    OK(saCkptDispatch(handle, SA_DISPATCH_ALL));
  }
}

/* clauses 5.17, 5.18 */
static void open_async_reports_what_it_can_judge_at_once(void **state) {
  (void)state;
  SaSelectionObjectT object;
  SaCkptHandleT async = library_async(2, &object);
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(3);
  SaNameT name = name_of("async");
  EXPECT(SA_AIS_ERR_INIT, saCkptCheckpointOpenAsync(lib, 1, &name, NULL, SA_CKPT_CHECKPOINT_READ));
  EXPECT(SA_AIS_ERR_BAD_FLAGS, saCkptCheckpointOpenAsync(async, 1, &name, NULL, 16));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointOpenAsync(async, 1, NULL, NULL, SA_CKPT_CHECKPOINT_READ));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointOpenAsync(async, 1, &name, &attributes, READ_WRITE_CREATE));
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptCheckpointOpenAsync(~async, 1, &name, NULL, SA_CKPT_CHECKPOINT_READ));
  OK(saCkptDispatch(async, SA_DISPATCH_ALL));
  assert_int_equal(opened_count, 0);
  OK(saCkptFinalize(async));
}

/* clauses 5.19, 5.20, 5.21 */
static void open_async_answers_each_invocation_once_through_its_callback(void **state) {
  (void)state;
  SaSelectionObjectT object;
  SaCkptHandleT async = library_async(2, &object);
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  SaNameT missing = name_of("async-missing");
  SaNameT made = name_of("async-made");
  OK(saCkptCheckpointOpenAsync(async, 0, &missing, NULL, SA_CKPT_CHECKPOINT_READ));
  OK(saCkptCheckpointOpenAsync(async, ~0ULL, &made, &attributes, READ_WRITE_CREATE));
  attributes.maxSections++;
  OK(saCkptCheckpointOpenAsync(async, 7, &made, &attributes, READ_WRITE_CREATE));
  dispatch_until(async, object, 3);
  assert_false(is_readable(object, 0));
  int seen = 0;
  for (int i = 0; i < 3; i++) {
    if (opened[i].invocation == 0) {
      EXPECT(SA_AIS_ERR_NOT_EXIST, opened[i].error);
      seen |= 1;
    } else if (opened[i].invocation == 7) {
      EXPECT(SA_AIS_ERR_EXIST, opened[i].error);
      seen |= 2;
    } else if (opened[i].invocation == ~0ULL) {
      OK(opened[i].error);
      OK(section_create(opened[i].checkpoint, "s", "x"));
      assert_section(opened[i].checkpoint, "s", "x");
      OK(saCkptCheckpointClose(opened[i].checkpoint));
      seen |= 4;
    }
  }
  assert_int_equal(seen, 7);
  OK(saCkptFinalize(async));
}

/* clauses 5.11, 5.19 */
static void open_async_of_b_01_compares_the_retention_too(void **state) {
  (void)state;
  SaSelectionObjectT object;
  SaCkptHandleT async = library_async(1, &object);
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  (void)checkpoint_create(lib, "async-retention", &attributes);
  attributes.retentionDuration++;
  SaNameT name = name_of("async-retention");
  OK(saCkptCheckpointOpenAsync(async, 5, &name, &attributes, READ_WRITE_CREATE));
  dispatch_until(async, object, 1);
  EXPECT(SA_AIS_ERR_EXIST, opened[0].error);
  OK(saCkptFinalize(async));
}

/* clause 22.27 */
static void open_async_completes_although_other_handles_of_the_checkpoint_are_closed(void **state) {
  (void)state;
  SaSelectionObjectT object;
  SaCkptHandleT async = library_async(2, &object);
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(async, "async-close");
  SaNameT name = name_of("async-close");
  OK(saCkptCheckpointOpenAsync(async, 1, &name, NULL, READ_WRITE));
  OK(saCkptCheckpointClose(checkpoint));
  dispatch_until(async, object, 1);
  OK(opened[0].error);
  OK(section_create(opened[0].checkpoint, "s", "x"));
  OK(saCkptFinalize(async));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(open_flags_other_than_read_write_create_are_bad_flags),
      CASE(attributes_go_with_create_and_only_with_it),
      CASE(create_alone_is_a_legal_open_whose_handle_may_neither_read_nor_write),
      CASE(creation_flags_are_exactly_one_mode_with_or_without_collocated),
      CASE(checkpoint_size_may_equal_sections_times_size_but_not_exceed_it),
      CASE(names_are_1_to_256_bytes_of_any_value),
      CASE(open_without_a_place_for_the_handle_is_an_invalid_param),
      CASE(a_checkpoint_is_made_by_create_alone_and_opened_by_anybody_after_that),
      CASE(create_with_other_attributes_than_the_creators_is_exist),
      CASE(retention_is_compared_for_b_01_only_and_stays_the_creators),
      CASE(the_access_mode_is_the_handles),
      CASE(a_checkpoint_opened_during_its_retention_has_its_old_content),
      CASE(timeouts_of_zero_and_below_and_for_ever_are_no_limit),
      CASE(an_open_that_was_given_no_time_is_a_timeout),
      CASE(open_async_reports_what_it_can_judge_at_once),
      CASE(open_async_answers_each_invocation_once_through_its_callback),
      CASE(open_async_of_b_01_compares_the_retention_too),
      CASE(open_async_completes_although_other_handles_of_the_checkpoint_are_closed),
  };
  return cmocka_run_group_tests(tests, group_open, group_close);
}
