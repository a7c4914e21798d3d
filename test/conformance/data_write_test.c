/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Write and overwrite (clauses 17 and 20).
 */
#include "test/conformance/ckpt_fixture.h"

static SaCkptCheckpointHandleT ckpt;

static int ckpt_open(void **state) {
  (void)lib_open(state);
  SaNameT name = name_of("data");
  (void)saCkptCheckpointUnlink(lib, &name); /* of the test before */
  ckpt = checkpoint_usual(lib, "data");
  OK(section_create(ckpt, "a", "aaaa"));
  OK(section_create(ckpt, "b", "bbbb"));
  return 0;
}

#define WITH_CHECKPOINT(test) cmocka_unit_test_setup_teardown(test, ckpt_open, lib_close)

/* Writes that must fail at this element, with nothing written. */
static void expect_refused(SaAisErrorT expected, SaUint32T at, SaCkptIOVectorElementT *vector, SaUint32T count) {
  SaUint32T index = 4711;
  EXPECT(expected, saCkptCheckpointWrite(ckpt, vector, count, &index));
  assert_int_equal(index, at);
  EXPECT(expected, saCkptCheckpointWrite(ckpt, vector, count, NULL));
  assert_section(ckpt, "a", "aaaa");
  assert_section(ckpt, "b", "bbbb");
}

/* clauses 17.1, 17.3, 22.20 */
static void a_write_grows_a_section_and_leaves_the_bytes_it_does_not_cover(void **state) {
  (void)state;
  SaCkptIOVectorElementT vector[] = {element_of("a", "12", 2, 1), element_of("b", "345", 3, 3),
                                     element_of("a", "6", 1, 2)};
  SaUint32T index = 4711;
  OK(saCkptCheckpointWrite(ckpt, vector, 3, &index));
  assert_int_equal(index, 4711);     /* 22: untouched on success */
  assert_section(ckpt, "a", "a16a"); /* in order, the last one wins */
  assert_section(ckpt, "b", "bbb345");
}

/* clauses 17.2, 17.3, 22.13 */
static void a_vector_with_a_bad_element_writes_nothing_of_itself_in_any_mode(void **state) {
  (void)state;
  for (SaUint32T mode = 1; mode <= 4; mode *= 2) {
    SaCkptCheckpointCreationAttributesT attributes = attributes_of(mode);
    char name[16];
    (void)snprintf(name, sizeof name, "vector-%u", mode);
    SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, name, &attributes);
    OK(section_create(checkpoint, "a", "aaaa"));
    SaCkptIOVectorElementT vector[] = {element_of("a", "1", 1, 0), element_of("missing", "2", 1, 0),
                                       element_of("a", "3", 1, 1)};
    SaUint32T index = 4711;
    EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointWrite(checkpoint, vector, 3, &index));
    assert_int_equal(index, 1);
    assert_section(checkpoint, "a", "aaaa");
  }
}

/* clauses 0.4, 17.4, 17.6, 17.7, 22.2, 22.12, 22.13: the first bad element decides, whatever the reasons are */
static void the_first_bad_element_of_a_write_decides_code_and_index(void **state) {
  (void)state;
  static char big[1001];
  SaCkptIOVectorElementT good = element_of("a", "1", 1, 0);
  SaCkptIOVectorElementT missing = element_of("missing", "1", 1, 0);
  SaCkptIOVectorElementT too_big = element_of("a", big, 1001, 0);
  SaCkptIOVectorElementT too_far = element_of("a", big, 1000, 1);
  SaCkptIOVectorElementT no_buffer = element_of("a", NULL, 1, 0);
  SaCkptIOVectorElementT no_id = good;
  no_id.sectionId.id = NULL;
  SaCkptIOVectorElementT long_id = element_of("an id of 17 bytes", "1", 1, 0);
  SaCkptIOVectorElementT no_default = element_of("", "1", 1, 0);
  struct {
    SaCkptIOVectorElementT element;
    SaAisErrorT code;
  } bad[] = {{missing, SA_AIS_ERR_NOT_EXIST},    {too_big, SA_AIS_ERR_INVALID_PARAM},
             {too_far, SA_AIS_ERR_NO_RESOURCES}, {no_buffer, SA_AIS_ERR_INVALID_PARAM},
             {no_id, SA_AIS_ERR_INVALID_PARAM},  {long_id, SA_AIS_ERR_INVALID_PARAM},
             {no_default, SA_AIS_ERR_NOT_EXIST}};
  size_t count = sizeof bad / sizeof bad[0];
  for (size_t i = 0; i < count; i++) {
    SaCkptIOVectorElementT alone[] = {bad[i].element};
    expect_refused(bad[i].code, 0, alone, 1);
    SaCkptIOVectorElementT last[] = {good, good, bad[i].element};
    expect_refused(bad[i].code, 2, last, 3);
    for (size_t k = 0; k < count; k++) {
      SaCkptIOVectorElementT both[] = {good, bad[i].element, good, bad[k].element, good};
      expect_refused(bad[i].code, 1, both, 5);
    }
  }
}

/* clause 17.4 */
static void a_write_up_to_the_maximum_size_is_accepted(void **state) {
  (void)state;
  char big[1000];
  memset(big, 'x', sizeof big);
  SaCkptIOVectorElementT vector[] = {element_of("a", big, 1000, 0), element_of("b", "y", 1, 999)};
  OK(saCkptCheckpointWrite(ckpt, vector, 2, NULL));
  assert_int_equal(status_of(ckpt).memoryUsed, 2000);
}

/* clauses 17.5, 22.11 */
static void a_hole_that_a_write_leaves_reads_as_zeros_even_where_old_bytes_were(void **state) {
  (void)state;
  OK(section_overwrite(ckpt, "a", "old bytes that were here before"));
  OK(section_overwrite(ckpt, "a", "1"));
  SaCkptIOVectorElementT element = element_of("a", "2", 1, 20);
  OK(saCkptCheckpointWrite(ckpt, &element, 1, NULL));
  char read[1000] = {0};
  char expected[21] = {'1'};
  expected[20] = '2';
  SaCkptIOVectorElementT reading = element_of("a", read, sizeof read, 0);
  OK(saCkptCheckpointRead(ckpt, &reading, 1, NULL));
  assert_int_equal(reading.readSize, 21);
  assert_memory_equal(read, expected, 21);
}

/* clauses 17.6, 22.14 */
static void a_write_without_vector_or_elements_is_an_invalid_param(void **state) {
  (void)state;
  SaCkptIOVectorElementT element = element_of("a", "1", 1, 0);
  SaUint32T index = 4711;
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointWrite(ckpt, NULL, 1, &index));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointWrite(ckpt, &element, 0, &index));
  assert_int_equal(index, 4711);
}

/* clauses 22.15, 22.26 */
static void a_write_of_nothing_is_nothing_wherever_it_is(void **state) {
  (void)state;
  SaOffsetT offsets[] = {0, 2, 4, 500, 1000};
  for (size_t i = 0; i < 5; i++) {
    SaCkptIOVectorElementT element = element_of("a", NULL, 0, offsets[i]);
    OK(saCkptCheckpointWrite(ckpt, &element, 1, NULL));
    assert_section(ckpt, "a", "aaaa");
  }
  SaCkptIOVectorElementT missing = element_of("missing", "", 0, 0);
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointWrite(ckpt, &missing, 1, NULL));
}

/* clauses 17.7, 0.4: parameters, handle, access, in this order */
static void parameters_come_before_the_handle_and_the_handle_before_access(void **state) {
  (void)state;
  SaCkptCheckpointHandleT reader = checkpoint_again(lib, "data", SA_CKPT_CHECKPOINT_READ);
  SaCkptIOVectorElementT good = element_of("a", "1", 1, 0);
  SaCkptIOVectorElementT missing = element_of("missing", "1", 1, 0);
  SaCkptIOVectorElementT vector[] = {good, element_of("a", NULL, 1, 0)};
  SaUint32T index = 4711;
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointWrite(0, vector, 2, &index));
  assert_int_equal(index, 1);
  index = 4711;
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointWrite(reader, vector, 2, &index));
  assert_int_equal(index, 1);
  index = 4711;
  EXPECT(SA_AIS_ERR_ACCESS, saCkptCheckpointWrite(reader, &missing, 1, &index));
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptCheckpointWrite(0, &missing, 1, &index));
  assert_int_equal(index, 4711);
}

/* clauses 17.7, 20.3 */
static void the_default_section_is_written_where_it_is_the_only_one(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_default_section(lib, "write-default");
  SaCkptSectionIdT id = SA_CKPT_DEFAULT_SECTION_ID;
  SaCkptIOVectorElementT element = element_of("", "12345", 5, 0);
  OK(saCkptCheckpointWrite(checkpoint, &element, 1, NULL));
  assert_section(checkpoint, "", "12345");
  OK(saCkptSectionOverwrite(checkpoint, &id, "678", 3));
  assert_section(checkpoint, "", "678");
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_overwrite(checkpoint, "a", "x"));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptSectionOverwrite(ckpt, &id, "x", 1));
}

/* clause 17.9, and the limit of elements with one past it */
static void a_vector_of_a_thousand_elements_is_written_and_one_more_is_refused(void **state) {
  (void)state;
  static SaCkptIOVectorElementT vector[1001];
  char digits[] = "0123456789";
  for (unsigned i = 0; i < 1001; i++) {
    vector[i] = element_of("a", digits + i % 10, 1, i % 1000);
  }
  SaUint32T index = 4711;
  EXPECT(SA_AIS_ERR_NO_RESOURCES, saCkptCheckpointWrite(ckpt, vector, 1001, &index));
  assert_int_equal(index, 1000);
  assert_section(ckpt, "a", "aaaa");
  OK(saCkptCheckpointWrite(ckpt, vector, 1000, &index));
  char read[1000] = {0};
  SaCkptIOVectorElementT reading = element_of("a", read, sizeof read, 0);
  OK(saCkptCheckpointRead(ckpt, &reading, 1, NULL));
  for (unsigned i = 0; i < 1000; i++) {
    assert_int_equal(read[i], '0' + (char)(i % 10));
  }
  vector[999] = element_of("missing", "x", 1, 0);
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointWrite(ckpt, vector, 1000, &index));
  assert_int_equal(index, 999);
}

/* clause 20.1 */
static void an_overwrite_replaces_content_and_size(void **state) {
  (void)state;
  OK(section_overwrite(ckpt, "a", "longer than before"));
  assert_section(ckpt, "a", "longer than before");
  OK(section_overwrite(ckpt, "a", "s"));
  assert_section(ckpt, "a", "s");
}

/* clauses 20.2, 22.15 */
static void an_overwrite_takes_up_to_the_maximum_and_may_empty_the_section(void **state) {
  (void)state;
  char big[1001] = {0};
  SaCkptSectionIdT id = id_of("a");
  OK(saCkptSectionOverwrite(ckpt, &id, big, 1000));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionOverwrite(ckpt, &id, big, 1001));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionOverwrite(ckpt, &id, big, ~0ULL));
  assert_int_equal(status_of(ckpt).memoryUsed, 1004);
  OK(saCkptSectionOverwrite(ckpt, &id, big, 0));
  assert_section(ckpt, "a", "");
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionOverwrite(ckpt, &id, NULL, 1));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionOverwrite(ckpt, &id, NULL, 0));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionOverwrite(ckpt, NULL, big, 1));
}

/* clauses 20.3, 22.32 */
static void an_overwrite_of_an_unknown_section_tells_the_client_to_create_it(void **state) {
  (void)state;
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_overwrite(ckpt, "new", "x"));
  OK(section_create(ckpt, "new", "x"));
  OK(section_overwrite(ckpt, "new", "y"));
  EXPECT(SA_AIS_ERR_ACCESS, section_overwrite(checkpoint_again(lib, "data", SA_CKPT_CHECKPOINT_READ), "missing", "x"));
}

/* clauses 17.4, 20.2: sizes that take more than one packet, and more than the receive buffers */
static void large_sections_are_written_and_read_whole(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  attributes.maxSections = 2;
  attributes.maxSectionSize = 8 << 20;
  SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, "large", &attributes);
  size_t sizes[] = {60000, 65536, 65537, 300000, 1 << 20, 8 << 20};
  OK(section_create(checkpoint, "s", ""));
  SaCkptSectionIdT id = id_of("s");
  uint8_t *data = malloc(8 << 20);
  uint8_t *read = malloc(8 << 20);
  assert_non_null(data);
  assert_non_null(read);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    for (size_t k = 0; k < sizes[i]; k++) {
      data[k] = (uint8_t)(k * 31 + i);
    }
    OK(saCkptSectionOverwrite(checkpoint, &id, data, sizes[i]));
    SaCkptIOVectorElementT element = element_of("s", read, 8 << 20, 0);
    OK(saCkptCheckpointRead(checkpoint, &element, 1, NULL));
    assert_int_equal(element.readSize, sizes[i]);
    assert_memory_equal(read, data, sizes[i]);
  }
  free(data);
  free(read);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_CHECKPOINT(a_write_grows_a_section_and_leaves_the_bytes_it_does_not_cover),
      WITH_CHECKPOINT(a_vector_with_a_bad_element_writes_nothing_of_itself_in_any_mode),
      WITH_CHECKPOINT(the_first_bad_element_of_a_write_decides_code_and_index),
      WITH_CHECKPOINT(a_write_up_to_the_maximum_size_is_accepted),
      WITH_CHECKPOINT(a_hole_that_a_write_leaves_reads_as_zeros_even_where_old_bytes_were),
      WITH_CHECKPOINT(a_write_without_vector_or_elements_is_an_invalid_param),
      WITH_CHECKPOINT(a_write_of_nothing_is_nothing_wherever_it_is),
      WITH_CHECKPOINT(parameters_come_before_the_handle_and_the_handle_before_access),
      WITH_CHECKPOINT(the_default_section_is_written_where_it_is_the_only_one),
      WITH_CHECKPOINT(a_vector_of_a_thousand_elements_is_written_and_one_more_is_refused),
      WITH_CHECKPOINT(an_overwrite_replaces_content_and_size),
      WITH_CHECKPOINT(an_overwrite_takes_up_to_the_maximum_and_may_empty_the_section),
      WITH_CHECKPOINT(an_overwrite_of_an_unknown_section_tells_the_client_to_create_it),
      WITH_CHECKPOINT(large_sections_are_written_and_read_whole),
  };
  return cmocka_run_group_tests(tests, group_open, group_close);
}
