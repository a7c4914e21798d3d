/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Read, synchronize, and the memory that a read makes (clauses 18, 19, 21.2).
 */
#include "test/conformance/ckpt_fixture.h"

static SaCkptCheckpointHandleT ckpt;

static int ckpt_open(void **state) {
  (void)lib_open(state);
  SaNameT name = name_of("data");
  (void)saCkptCheckpointUnlink(lib, &name); /* of the test before */
  ckpt = checkpoint_usual(lib, "data");
  OK(section_create(ckpt, "s", "0123456789"));
  OK(section_create(ckpt, "empty", ""));
  return 0;
}

#define WITH_CHECKPOINT(test) cmocka_unit_test_setup_teardown(test, ckpt_open, lib_close)

/* clauses 18.1, 18.3, 22.16, 22.17, 22.20 */
static void a_read_gives_what_is_there_and_says_how_much(void **state) {
  (void)state;
  struct {
    SaSizeT size;
    SaOffsetT offset;
    const char *expected;
  } reads[] = {{10, 0, "0123456789"},
               {4, 3, "3456"},
               {1000, 0, "0123456789"},
               {1000, 7, "789"},
               {1, 9, "9"},
               {0, 0, ""},
               {0, 5, ""},
               {5, 10, ""},
               {0, 10, ""}};
  for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++) {
    char buffer[1001] = {0};
    memset(buffer, '#', sizeof buffer);
    SaCkptIOVectorElementT element = element_of("s", buffer, reads[i].size, reads[i].offset);
    SaUint32T index = 4711;
    OK(saCkptCheckpointRead(ckpt, &element, 1, &index));
    size_t length = strlen(reads[i].expected);
    assert_int_equal(element.readSize, length);
    assert_memory_equal(buffer, reads[i].expected, length);
    assert_int_equal(buffer[length], '#'); /* nothing beyond it was touched */
    assert_int_equal(index, 4711);
  }
}

/* clauses 18.1, 22.16 */
static void an_empty_section_reads_as_nothing(void **state) {
  (void)state;
  char buffer[8] = {0};
  SaCkptIOVectorElementT element = element_of("empty", buffer, sizeof buffer, 0);
  OK(saCkptCheckpointRead(ckpt, &element, 1, NULL));
  assert_int_equal(element.readSize, 0);
}

/* clauses 0.14, 18.2, 21.2, 22.19 */
static void a_missing_buffer_is_made_for_all_that_is_there_whatever_size_was_asked(void **state) {
  (void)state;
  SaSizeT sizes[] = {0, 3, 1000, ~0ULL};
  for (size_t i = 0; i < 4; i++) {
    SaCkptIOVectorElementT element = element_of("s", NULL, sizes[i], 4);
    OK(saCkptCheckpointRead(ckpt, &element, 1, NULL));
    assert_int_equal(element.readSize, 6);
    assert_memory_equal(element.dataBuffer, "456789", 6);
    if (i % 2 == 0) {
      OK(saCkptIOVectorElementDataFree(ckpt, element.dataBuffer));
    } else {
      free(element.dataBuffer);
    }
  }
  SaCkptIOVectorElementT nothing[] = {element_of("s", NULL, 5, 10), element_of("empty", NULL, 5, 0)};
  OK(saCkptCheckpointRead(ckpt, nothing, 2, NULL));
  for (size_t i = 0; i < 2; i++) {
    assert_null(nothing[i].dataBuffer);
    assert_int_equal(nothing[i].readSize, 0);
  }
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptIOVectorElementDataFree(ckpt, NULL));
}

/* clauses 18.3, 22.18 */
static void sizes_and_offsets_beyond_what_may_be_are_invalid_params_with_their_index(void **state) {
  (void)state;
  static char buffer[2000];
  SaCkptIOVectorElementT good = element_of("s", buffer, 1000, 0);
  SaCkptIOVectorElementT bad[] = {element_of("s", buffer, 1001, 0), element_of("s", buffer, 1, 1001),
                                  element_of("s", buffer, 1, 11),   element_of("s", buffer, 0, 11),
                                  element_of("s", NULL, 0, 11),     element_of("s", buffer, 1, ~0ULL),
                                  element_of("empty", buffer, 1, 1)};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    SaCkptIOVectorElementT vector[] = {good, good, bad[i], good};
    SaUint32T index = 4711;
    EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointRead(ckpt, vector, 4, &index));
    assert_int_equal(index, 2);
    EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointRead(ckpt, vector, 4, NULL));
  }
}

/* clauses 18.4, 22.14 */
static void reading_needs_read_a_vector_and_sections_that_exist(void **state) {
  (void)state;
  char buffer[10] = {0};
  SaCkptIOVectorElementT vector[] = {element_of("s", buffer, 10, 0), element_of("missing", buffer, 10, 0)};
  SaUint32T index = 4711;
  SaCkptCheckpointHandleT writer = checkpoint_again(lib, "data", SA_CKPT_CHECKPOINT_WRITE);
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointRead(ckpt, NULL, 1, &index));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointRead(ckpt, vector, 0, &index));
  EXPECT(SA_AIS_ERR_ACCESS, saCkptCheckpointRead(writer, vector, 2, &index));
  assert_int_equal(index, 4711);
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointRead(ckpt, vector, 2, &index));
  assert_int_equal(index, 1);
  SaCkptIOVectorElementT no_default = element_of("", buffer, 10, 0);
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointRead(ckpt, &no_default, 1, &index));
  assert_int_equal(index, 0);
  SaCkptIOVectorElementT no_id = vector[0];
  no_id.sectionId.id = NULL;
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointRead(0, &no_id, 1, &index));
}

/* clause 18.5 */
static void buffers_made_for_a_read_that_fails_are_taken_back(void **state) {
  (void)state;
  SaCkptIOVectorElementT vector[] = {element_of("s", NULL, 0, 0), element_of("missing", NULL, 0, 0)};
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointRead(ckpt, vector, 2, NULL));
  assert_null(vector[0].dataBuffer);
  assert_null(vector[1].dataBuffer);
}

/* clauses 18.6, 17.8 */
static void a_reader_sees_what_was_written_through_any_handle_before(void **state) {
  (void)state;
  SaCkptHandleT other = library_b2();
  SaCkptCheckpointHandleT reader = checkpoint_again(other, "data", SA_CKPT_CHECKPOINT_READ);
  char text[16];
  for (int i = 0; i < 1000; i++) {
    (void)snprintf(text, sizeof text, "%d", i);
    OK(section_overwrite(ckpt, "s", text));
    assert_section(reader, "s", text);
  }
  OK(saCkptFinalize(other));
}

/* clause 18.1: more checkpoints than one process maps */
static void reads_are_the_same_whether_they_are_local_or_asked_for(void **state) {
  (void)state;
  enum { COUNT = 300 };
  static SaCkptCheckpointHandleT handles[COUNT];
  for (int i = 0; i < COUNT; i++) {
    handles[i] = checkpoint_again(lib, "data", SA_CKPT_CHECKPOINT_READ);
    assert_section(handles[i], "s", "0123456789");
  }
  SaCkptIOVectorElementT element = element_of("s", NULL, 0, 4);
  OK(saCkptCheckpointRead(handles[COUNT - 1], &element, 1, NULL));
  assert_int_equal(element.readSize, 6);
  free(element.dataBuffer);
  char buffer[4] = {0};
  element = element_of("s", buffer, 4, 3);
  OK(saCkptCheckpointRead(handles[COUNT - 1], &element, 1, NULL));
  assert_int_equal(element.readSize, 4);
  assert_memory_equal(buffer, "3456", 4);
  element = element_of("s", buffer, 0, 3);
  OK(saCkptCheckpointRead(handles[COUNT - 1], &element, 1, NULL));
  assert_int_equal(element.readSize, 0);
  element = element_of("s", buffer, 4, 11);
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointRead(handles[COUNT - 1], &element, 1, NULL));
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_try(handles[COUNT - 1], "missing"));
}

/* ---- synchronize ---- */

static SaCkptCheckpointHandleT checkpoint_asynchronous(SaCkptHandleT library, const char *text) {
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ACTIVE_REPLICA);
  return checkpoint_create(library, text, &attributes);
}

/* clauses 19.1, 19.2, 19.3, 22.4 */
static void synchronize_is_for_asynchronous_checkpoints_and_writers(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_asynchronous(lib, "synchronize");
  OK(saCkptCheckpointSynchronize(checkpoint, SECOND)); /* empty is fine */
  OK(section_create(checkpoint, "s", "x"));
  SaTimeT timeouts[] = {SECOND, 0, -1, SA_TIME_END};
  for (size_t i = 0; i < 4; i++) {
    OK(saCkptCheckpointSynchronize(checkpoint, timeouts[i]));
  }
  EXPECT(SA_AIS_ERR_BAD_OPERATION, saCkptCheckpointSynchronize(ckpt, SECOND));
  EXPECT(SA_AIS_ERR_ACCESS,
         saCkptCheckpointSynchronize(checkpoint_again(lib, "synchronize", SA_CKPT_CHECKPOINT_READ), SECOND));
}

static int synchronized_count;
static SaInvocationT synchronized_invocation;
static SaAisErrorT synchronized_error;
static void note_synchronized(SaInvocationT invocation, SaAisErrorT error) {
  synchronized_count++;
  synchronized_invocation = invocation;
  synchronized_error = error;
}

/* clauses 19.4, 19.5 */
static void synchronize_async_calls_back_once_with_its_invocation(void **state) {
  (void)state;
  SaCkptCallbacksT callbacks = {NULL, note_synchronized};
  SaCkptHandleT library = library_open(2, &callbacks);
  SaSelectionObjectT object;
  OK(saCkptSelectionObjectGet(library, &object));
  SaCkptCheckpointHandleT checkpoint = checkpoint_asynchronous(library, "synchronize-async");
  synchronized_count = 0;
  EXPECT(SA_AIS_ERR_INIT, saCkptCheckpointSynchronizeAsync(checkpoint_asynchronous(lib, "synchronize-init"), 1));
  EXPECT(SA_AIS_ERR_BAD_OPERATION, saCkptCheckpointSynchronizeAsync(checkpoint_again(library, "data", READ_WRITE), 1));
  EXPECT(SA_AIS_ERR_ACCESS,
         saCkptCheckpointSynchronizeAsync(checkpoint_again(library, "synchronize-async", SA_CKPT_CHECKPOINT_READ), 1));
  OK(saCkptCheckpointSynchronizeAsync(checkpoint, 0x123456789abcdefULL));
  assert_true(is_readable(object, TEST_DEADLINE_MS));
  assert_int_equal(synchronized_count, 0);
  OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  assert_int_equal(synchronized_count, 1);
  assert_true(synchronized_invocation == 0x123456789abcdefULL);
  OK(synchronized_error);
  assert_false(is_readable(object, 0));
  OK(saCkptFinalize(library));
}

/* clauses 6.3, 22.27 */
static void closing_a_handle_drops_its_pending_callbacks_and_no_others(void **state) {
  (void)state;
  SaCkptCallbacksT callbacks = {NULL, note_synchronized};
  SaCkptHandleT library = library_open(2, &callbacks);
  SaSelectionObjectT object;
  OK(saCkptSelectionObjectGet(library, &object));
  SaCkptCheckpointHandleT closed = checkpoint_asynchronous(library, "synchronize-close");
  SaCkptCheckpointHandleT stays = checkpoint_asynchronous(library, "synchronize-close");
  synchronized_count = 0;
  OK(saCkptCheckpointSynchronizeAsync(closed, 1));
  OK(saCkptCheckpointSynchronizeAsync(stays, 2));
  OK(saCkptCheckpointClose(closed));
  while (synchronized_count == 0) {
    assert_true(is_readable(object, TEST_DEADLINE_MS));
    OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  }
  assert_int_equal(synchronized_count, 1);
  assert_true(synchronized_invocation == 2);
  OK(saCkptFinalize(library));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_CHECKPOINT(a_read_gives_what_is_there_and_says_how_much),
      WITH_CHECKPOINT(an_empty_section_reads_as_nothing),
      WITH_CHECKPOINT(a_missing_buffer_is_made_for_all_that_is_there_whatever_size_was_asked),
      WITH_CHECKPOINT(sizes_and_offsets_beyond_what_may_be_are_invalid_params_with_their_index),
      WITH_CHECKPOINT(reading_needs_read_a_vector_and_sections_that_exist),
      WITH_CHECKPOINT(buffers_made_for_a_read_that_fails_are_taken_back),
      WITH_CHECKPOINT(a_reader_sees_what_was_written_through_any_handle_before),
      WITH_CHECKPOINT(reads_are_the_same_whether_they_are_local_or_asked_for),
      WITH_CHECKPOINT(synchronize_is_for_asynchronous_checkpoints_and_writers),
      WITH_CHECKPOINT(synchronize_async_calls_back_once_with_its_invocation),
      WITH_CHECKPOINT(closing_a_handle_drops_its_pending_callbacks_and_no_others),
  };
  return cmocka_run_group_tests(tests, group_open, group_close);
}
