/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What holds for calls of every kind: pointers that are needed, and which of several checks decides. Each test does it
 * for B.01 and for B.02.
 */
#include "test/conformance/ckpt_fixture.h"

static const SaUint8T majors[] = {1, 2};
#define EACH_VERSION(library) \
  for (size_t version_ = 0; version_ < 2 && ((library) = library_open(majors[version_], NULL)) != 0; version_++)

/* An iteration that some test does not care about. */
static SaCkptSectionIterationHandleT iteration_of(SaCkptCheckpointHandleT checkpoint) {
  SaCkptSectionIterationHandleT iteration = 0;
  OK(saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, &iteration));
  return iteration;
}

static SaCkptCheckpointHandleT collocated_without_active(SaCkptHandleT library, const char *text) {
  SaCkptCheckpointCreationAttributesT attributes =
      attributes_of(SA_CKPT_WR_ACTIVE_REPLICA | SA_CKPT_CHECKPOINT_COLLOCATED);
  return checkpoint_create(library, text, &attributes);
}

/* Every pointer that a call with a library handle needs, missing. */
static void expect_library_calls_to_need_pointers(SaCkptHandleT library) {
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  SaNameT name = name_of("pointers");
  SaCkptCheckpointHandleT opened = 4711;
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSelectionObjectGet(library, NULL));
  EXPECT(SA_AIS_ERR_INVALID_PARAM,
         saCkptCheckpointOpen(library, NULL, &attributes, READ_WRITE_CREATE, SECOND, &opened));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointOpen(library, &name, NULL, READ_WRITE_CREATE, SECOND, &opened));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointOpen(library, &name, &attributes, READ_WRITE_CREATE, SECOND, NULL));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointOpenAsync(library, 1, NULL, &attributes, READ_WRITE_CREATE));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointOpenAsync(library, 1, &name, NULL, READ_WRITE_CREATE));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointUnlink(library, NULL));
  assert_int_equal(opened, 4711);
}

/* The same for calls with a checkpoint handle. */
static void expect_checkpoint_calls_to_need_pointers(SaCkptCheckpointHandleT checkpoint) {
  SaUint8T byte = 'x';
  SaCkptSectionIdT without_bytes = {.idLen = 1, .id = NULL};
  SaCkptSectionIdT id = {.idLen = 1, .id = &byte};
  SaCkptSectionCreationAttributesT no_id = {.sectionId = NULL, .expirationTime = SA_TIME_END};
  SaCkptSectionCreationAttributesT no_bytes = {.sectionId = &without_bytes, .expirationTime = SA_TIME_END};
  SaCkptSectionCreationAttributesT good = {.sectionId = &id, .expirationTime = SA_TIME_END};
  SaCkptIOVectorElementT no_buffer = element_of("s", NULL, 1, 0);
  SaCkptIOVectorElementT no_section = {.sectionId = without_bytes, .dataBuffer = &byte, .dataSize = 1};
  SaUint32T index = 4711;
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointStatusGet(checkpoint, NULL));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionCreate(checkpoint, NULL, "x", 1));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionCreate(checkpoint, &no_id, "x", 1));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionCreate(checkpoint, &no_bytes, "x", 1));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionCreate(checkpoint, &good, NULL, 1));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionDelete(checkpoint, NULL));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionDelete(checkpoint, &without_bytes));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionIdFree(checkpoint, NULL));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionExpirationTimeSet(checkpoint, NULL, SA_TIME_END));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionExpirationTimeSet(checkpoint, &without_bytes, SA_TIME_END));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, NULL));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointWrite(checkpoint, NULL, 1, &index));
  assert_int_equal(index, 4711);
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointWrite(checkpoint, &no_buffer, 1, &index));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointWrite(checkpoint, &no_section, 1, NULL));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionOverwrite(checkpoint, NULL, "x", 1));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionOverwrite(checkpoint, &without_bytes, "x", 1));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionOverwrite(checkpoint, &id, NULL, 1));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointRead(checkpoint, NULL, 1, &index));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointRead(checkpoint, &no_section, 1, NULL));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptIOVectorElementDataFree(checkpoint, NULL));
}

/* clauses 0.3, 0.4, 22.2 */
static void a_pointer_that_is_missing_is_an_invalid_param_of_every_call_whatever_the_handle_is(void **state) {
  (void)state;
  SaCkptHandleT library;
  EACH_VERSION(library) {
    SaCkptCheckpointHandleT checkpoint = checkpoint_usual(library, "pointers");
    SaCkptCheckpointHandleT reader = checkpoint_again(library, "pointers", SA_CKPT_CHECKPOINT_READ);
    SaCkptCheckpointHandleT writer = checkpoint_again(library, "pointers", SA_CKPT_CHECKPOINT_WRITE);
    expect_library_calls_to_need_pointers(library);
    expect_library_calls_to_need_pointers(0);
    expect_checkpoint_calls_to_need_pointers(checkpoint);
    expect_checkpoint_calls_to_need_pointers(reader);
    expect_checkpoint_calls_to_need_pointers(writer);
    expect_checkpoint_calls_to_need_pointers(0);
    EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionIterationNext(iteration_of(checkpoint), NULL));
    EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionIterationNext(0, NULL));
    assert_int_equal(status_of(checkpoint).numberOfSections, 0);
    OK(saCkptFinalize(library));
  }
}

/* clauses 0.4, 5.1, 5.4, 5.18, 22.2 */
static void what_can_be_judged_alone_comes_before_the_handle(void **state) {
  (void)state;
  SaNameT name = name_of("alone");
  SaCkptCheckpointCreationAttributesT bad = attributes_of(0);
  SaCkptCheckpointCreationAttributesT no_sections = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  no_sections.maxSections = 0;
  no_sections.checkpointSize = 0;
  SaCkptSectionIdT id = id_of("s");
  SaCkptCheckpointHandleT opened;
  SaCkptSectionIterationHandleT iteration;
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptDispatch(0, (SaDispatchFlagsT)9));
  EXPECT(SA_AIS_ERR_BAD_FLAGS, saCkptCheckpointOpen(0, &name, NULL, 0, SECOND, &opened));
  EXPECT(SA_AIS_ERR_BAD_FLAGS, saCkptCheckpointOpenAsync(0, 1, &name, NULL, 0));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointOpen(0, &name, &bad, READ_WRITE_CREATE, SECOND, &opened));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointOpenAsync(0, 1, &name, &bad, READ_WRITE_CREATE));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointOpen(0, &name, &no_sections, READ_WRITE_CREATE, SECOND, &opened));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointOpenAsync(0, 1, &name, &no_sections, READ_WRITE_CREATE));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointRetentionDurationSet(0, -1));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, section_create_expiring(0, "s", "x", 1, -1));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionExpirationTimeSet(0, &id, -1));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionIterationInitialize(0, (SaCkptSectionsChosenT)9, 0, &iteration));
}

/* clauses 0.4, 22.2 */
static void the_access_mode_comes_before_the_limits_of_the_checkpoint_and_its_state(void **state) {
  (void)state;
  static char big[1001];
  SaCkptHandleT library;
  EACH_VERSION(library) {
    (void)checkpoint_usual(library, "access-first");
    SaCkptCheckpointHandleT reader = checkpoint_again(library, "access-first", SA_CKPT_CHECKPOINT_READ);
    SaCkptCheckpointHandleT writer = checkpoint_again(library, "access-first", SA_CKPT_CHECKPOINT_WRITE);
    SaCkptSectionIdT id = id_of("s");
    SaCkptSectionIdT long_id = id_of("an id of 17 bytes");
    SaCkptSectionIdT none = SA_CKPT_DEFAULT_SECTION_ID;
    SaCkptIOVectorElementT too_big = element_of("s", big, sizeof big, 0);
    EXPECT(SA_AIS_ERR_ACCESS, section_create(reader, "an id of 17 bytes", "x"));
    EXPECT(SA_AIS_ERR_ACCESS, section_create_expiring(reader, "s", big, sizeof big, SA_TIME_END));
    EXPECT(SA_AIS_ERR_ACCESS, saCkptSectionDelete(reader, &long_id));
    EXPECT(SA_AIS_ERR_ACCESS, saCkptSectionDelete(reader, &none));
    EXPECT(SA_AIS_ERR_ACCESS, saCkptSectionDelete(reader, &id)); /* which is not there */
    EXPECT(SA_AIS_ERR_ACCESS, saCkptSectionExpirationTimeSet(reader, &long_id, SA_TIME_END));
    EXPECT(SA_AIS_ERR_ACCESS, saCkptSectionOverwrite(reader, &long_id, big, sizeof big));
    EXPECT(SA_AIS_ERR_ACCESS, saCkptCheckpointWrite(reader, &too_big, 1, NULL));
    EXPECT(SA_AIS_ERR_ACCESS, saCkptCheckpointRead(writer, &too_big, 1, NULL));
    EXPECT(SA_AIS_ERR_ACCESS, saCkptCheckpointSynchronize(reader, SECOND)); /* which is not for this one */
    EXPECT(SA_AIS_ERR_ACCESS, saCkptActiveReplicaSet(reader));
    SaNameT name = name_of("access-first");
    OK(saCkptCheckpointUnlink(library, &name));
    EXPECT(majors[version_] == 1 ? SA_AIS_ERR_BAD_OPERATION : SA_AIS_ERR_ACCESS,
           saCkptCheckpointRetentionDurationSet(reader, SECOND));
    OK(saCkptFinalize(library));
  }
}

/* clauses 0.4, 9.3, 22.2 */
static void the_limits_of_the_checkpoint_come_before_its_state(void **state) {
  (void)state;
  static char big[1001];
  SaCkptHandleT library;
  EACH_VERSION(library) {
    SaCkptCheckpointHandleT checkpoint = collocated_without_active(library, "limits-first");
    SaCkptSectionIdT long_id = id_of("an id of 17 bytes");
    SaCkptSectionIdT id = id_of("s");
    SaCkptIOVectorElementT too_big = element_of("s", big, sizeof big, 0);
    SaCkptIOVectorElementT too_far = element_of("s", big, 1, 1000);
    SaUint32T index = 4711;
    EXPECT(SA_AIS_ERR_INVALID_PARAM, section_create(checkpoint, "an id of 17 bytes", "x"));
    EXPECT(SA_AIS_ERR_INVALID_PARAM, section_create_expiring(checkpoint, "s", big, sizeof big, SA_TIME_END));
    EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionDelete(checkpoint, &long_id));
    EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionExpirationTimeSet(checkpoint, &long_id, SA_TIME_END));
    EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionOverwrite(checkpoint, &id, big, sizeof big));
    EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointWrite(checkpoint, &too_big, 1, &index));
    assert_int_equal(index, 0);
    EXPECT(SA_AIS_ERR_NO_RESOURCES, saCkptCheckpointWrite(checkpoint, &too_far, 1, NULL));
    EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointRead(checkpoint, &too_big, 1, NULL));
    EXPECT(SA_AIS_ERR_NOT_EXIST, section_overwrite(checkpoint, "s", "x"));
    OK(saCkptFinalize(library));
    SaNameT name = name_of("limits-first");
    OK(saCkptCheckpointUnlink(lib, &name));
  }
}

/* clauses 17.3, 18.5: without an active replica it is the first element that can't be done */
static void the_index_is_told_when_an_error_is_about_an_element_and_left_alone_otherwise(void **state) {
  (void)state;
  static SaCkptIOVectorElementT vector[1001];
  char byte = 'x';
  for (unsigned i = 0; i < 1001; i++) {
    vector[i] = element_of("a", &byte, 1, 0);
  }
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "index");
  SaCkptCheckpointHandleT without_active = collocated_without_active(lib, "index-no-active");
  OK(section_create(checkpoint, "a", "x"));
  SaUint32T index = 4711;
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptCheckpointWrite(0, vector, 2, &index));
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptCheckpointRead(0, vector, 2, &index));
  OK(saCkptCheckpointWrite(checkpoint, vector, 1000, &index));
  OK(saCkptCheckpointRead(checkpoint, vector, 1000, &index));
  assert_int_equal(index, 4711);
  EXPECT(SA_AIS_ERR_NO_RESOURCES, saCkptCheckpointWrite(checkpoint, vector, 1001, &index));
  assert_int_equal(index, 1000);
  index = 4711;
  EXPECT(SA_AIS_ERR_NO_RESOURCES, saCkptCheckpointRead(checkpoint, vector, 1001, &index));
  assert_int_equal(index, 1000);
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointWrite(without_active, vector, 2, &index));
  assert_int_equal(index, 0);
  index = 4711;
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointRead(without_active, vector, 2, &index));
  assert_int_equal(index, 0);
}

/* clauses 0.13, 11.4 */
static void the_same_id_in_two_checkpoints_is_two_sections(void **state) {
  (void)state;
  SaCkptCheckpointHandleT first = checkpoint_usual(lib, "ids-one");
  SaCkptCheckpointHandleT second = checkpoint_usual(lib, "ids-two");
  SaCkptSectionIdT id = id_of("same");
  OK(section_create(first, "same", "1"));
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_try(second, "same"));
  OK(section_create(second, "same", "2"));
  assert_section(first, "same", "1");
  OK(saCkptSectionDelete(second, &id));
  assert_section(first, "same", "1");
}

/* clause 0.15 */
static void the_id_of_a_descriptor_stays_until_the_next_call_for_its_iteration(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "lent-id");
  char text[32];
  for (int i = 0; i < 50; i++) {
    (void)snprintf(text, sizeof text, "section %d", i);
    OK(section_create(checkpoint, text, text));
  }
  SaCkptSectionIterationHandleT iteration = iteration_of(checkpoint);
  SaCkptSectionIterationHandleT other = iteration_of(checkpoint);
  SaCkptSectionDescriptorT descriptor;
  SaCkptSectionDescriptorT of_other;
  OK(saCkptSectionIterationNext(iteration, &descriptor));
  char before[16] = {0};
  assert_true(descriptor.sectionId.idLen < sizeof before);
  memcpy(before, descriptor.sectionId.id, descriptor.sectionId.idLen);
  OK(saCkptSectionDelete(checkpoint, &descriptor.sectionId)); /* may be handed to calls as it is */
  OK(saCkptSectionIterationNext(other, &of_other));
  OK(saCkptSectionIterationFinalize(other));
  assert_memory_equal(descriptor.sectionId.id, before, descriptor.sectionId.idLen);
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_try(checkpoint, before));
}

/* clause 0.11 */
static void points_in_time_are_wall_clock_and_nanoseconds(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "nanoseconds");
  SaTimeT in_an_hour = wall_now() + SA_TIME_ONE_HOUR + 1; /* told to the nanosecond */
  OK(section_create_expiring(checkpoint, "s", "x", 1, in_an_hour));
  SaCkptSectionDescriptorT descriptor;
  SaTimeT before = wall_now();
  OK(section_overwrite(checkpoint, "s", "y"));
  SaTimeT after = wall_now();
  OK(saCkptSectionIterationNext(iteration_of(checkpoint), &descriptor));
  assert_true(descriptor.expirationTime == in_an_hour);
  assert_true(descriptor.lastUpdate >= before && descriptor.lastUpdate <= after);
  assert_int_equal(status_of(checkpoint).checkpointCreationAttributes.retentionDuration, 60000000000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_pointer_that_is_missing_is_an_invalid_param_of_every_call_whatever_the_handle_is),
      cmocka_unit_test(what_can_be_judged_alone_comes_before_the_handle),
      cmocka_unit_test(the_access_mode_comes_before_the_limits_of_the_checkpoint_and_its_state),
      CASE(the_limits_of_the_checkpoint_come_before_its_state),
      CASE(the_index_is_told_when_an_error_is_about_an_element_and_left_alone_otherwise),
      CASE(the_same_id_in_two_checkpoints_is_two_sections),
      CASE(the_id_of_a_descriptor_stays_until_the_next_call_for_its_iteration),
      CASE(points_in_time_are_wall_clock_and_nanoseconds),
  };
  return cmocka_run_group_tests(tests, group_open, group_close);
}
