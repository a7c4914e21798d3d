/* SPDX-License-Identifier: BSD-2-Clause
 *
 * saCkptInitialize, SelectionObjectGet, Dispatch, Finalize (clauses 1 to 4), and what clause 0 says
 * of library handles.
 */
#include "test/conformance/ckpt_fixture.h"

#include <pthread.h>

static void nothing_opened(SaInvocationT invocation, SaCkptCheckpointHandleT checkpoint, SaAisErrorT error) {
  (void)invocation;
  (void)checkpoint;
  (void)error;
}
static void nothing_synchronized(SaInvocationT invocation, SaAisErrorT error) {
  (void)invocation;
  (void)error;
}

/* clause 1.1 */
static void initialize_takes_all_some_or_no_callbacks(void **state) {
  (void)state;
  SaCkptCallbacksT all = {nothing_opened, nothing_synchronized};
  SaCkptCallbacksT some = {NULL, nothing_synchronized};
  SaCkptCallbacksT none = {NULL, NULL};
  const SaCkptCallbacksT *choices[] = {&all, &some, &none, NULL};
  for (size_t i = 0; i < 4; i++) {
    OK(saCkptFinalize(library_open(2, choices[i])));
  }
}

/* clauses 1.2, 1.3, 22.1 */
static void versions_b_0_to_b_2_are_accepted_and_answered_with_the_highest(void **state) {
  (void)state;
  for (SaUint8T major = 0; major <= 2; major++) {
    for (unsigned minor = 0; minor < 256; minor += 51) {
      SaVersionT version = {'B', major, (SaUint8T)minor};
      SaCkptHandleT library;
      OK(saCkptInitialize(&library, NULL, &version));
      assert_int_equal(version.releaseCode, 'B');
      assert_int_equal(version.majorVersion, 2);
      assert_int_equal(version.minorVersion, 3);
      OK(saCkptFinalize(library));
    }
  }
}

/* clause 1.4 */
static void other_versions_are_refused_and_the_supported_one_is_told(void **state) {
  (void)state;
  SaVersionT versions[] = {{'A', 1, 1}, {'C', 1, 1}, {'B', 3, 1}, {'B', 255, 0}, {0, 0, 0}, {255, 2, 3}};
  for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
    SaCkptHandleT library = 4711;
    EXPECT(SA_AIS_ERR_VERSION, saCkptInitialize(&library, NULL, &versions[i]));
    assert_int_equal(versions[i].releaseCode, 'B');
    assert_int_equal(versions[i].majorVersion, 2);
    assert_int_equal(versions[i].minorVersion, 3);
    assert_int_equal(library, 4711);
  }
}

/* clauses 0.3, 0.4 */
static void initialize_without_handle_or_version_is_an_invalid_param(void **state) {
  (void)state;
  SaVersionT version = {'B', 2, 2};
  SaCkptHandleT library;
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptInitialize(NULL, NULL, &version));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptInitialize(&library, NULL, NULL));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptInitialize(NULL, NULL, NULL));
}

/* clause 0.9 */
static void every_initialize_gives_another_handle_with_its_own_selection_object(void **state) {
  (void)state;
  enum { COUNT = 20 };
  SaCkptHandleT libraries[COUNT];
  SaSelectionObjectT objects[COUNT];
  for (int i = 0; i < COUNT; i++) {
    libraries[i] = library_b2();
    OK(saCkptSelectionObjectGet(libraries[i], &objects[i]));
    for (int k = 0; k < i; k++) {
      assert_true(libraries[i] != libraries[k]);
      assert_true(objects[i] != objects[k]);
    }
  }
  for (int i = 0; i < COUNT; i++) {
    OK(saCkptFinalize(libraries[i]));
  }
}

/* clauses 0.1, 2.2, 3.5, 4.3, 7.5: and never blocks */
static void bad_library_handles_are_bad_everywhere(void **state) {
  (void)state;
  SaCkptHandleT finalized = library_b2();
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(finalized, "bad-library-handles");
  OK(saCkptFinalize(finalized));
  SaCkptHandleT bad[] = {0, ~0ULL, 1, 4711, finalized, finalized ^ 1, checkpoint, 0xdeadbeefdeadbeefULL, 1ULL << 63};
  SaNameT name = name_of("x");
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    SaSelectionObjectT object;
    SaCkptCheckpointHandleT opened;
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptSelectionObjectGet(bad[i], &object));
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptDispatch(bad[i], SA_DISPATCH_ONE));
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptDispatch(bad[i], SA_DISPATCH_ALL));
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptDispatch(bad[i], SA_DISPATCH_BLOCKING));
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptCheckpointOpen(bad[i], &name, NULL, SA_CKPT_CHECKPOINT_READ, 0, &opened));
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptCheckpointOpenAsync(bad[i], 1, &name, NULL, SA_CKPT_CHECKPOINT_READ));
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptCheckpointUnlink(bad[i], &name));
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptFinalize(bad[i]));
  }
}

/* clauses 2.2, 0.4 */
static void selection_object_get_without_a_place_for_it_is_an_invalid_param(void **state) {
  (void)state;
  SaCkptHandleT library = library_b2();
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSelectionObjectGet(library, NULL));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSelectionObjectGet(0, NULL));
  OK(saCkptFinalize(library));
}

static int opened_count;
static void count_opened(SaInvocationT invocation, SaCkptCheckpointHandleT checkpoint, SaAisErrorT error) {
  (void)invocation;
  (void)checkpoint;
  (void)error;
  opened_count++;
}

/* clauses 2.1, 3.1, 3.2 */
static void selection_object_is_readable_exactly_while_a_callback_is_pending(void **state) {
  (void)state;
  SaCkptCallbacksT callbacks = {count_opened, NULL};
  SaCkptHandleT library = library_open(2, &callbacks);
  SaSelectionObjectT object;
  OK(saCkptSelectionObjectGet(library, &object));
  assert_false(is_readable(object, 0));
  SaNameT name = name_of("not-there");
  opened_count = 0;
  for (SaInvocationT i = 0; i < 3; i++) {
    OK(saCkptCheckpointOpenAsync(library, i, &name, NULL, SA_CKPT_CHECKPOINT_READ));
  }
  for (int dispatched = 0; dispatched < 3; dispatched++) {
    assert_true(is_readable(object, TEST_DEADLINE_MS));
    assert_int_equal(opened_count, dispatched); /* only inside Dispatch */
    OK(saCkptDispatch(library, SA_DISPATCH_ONE));
    assert_int_equal(opened_count, dispatched + 1); /* one, not more */
  }
  assert_false(is_readable(object, 0));
  OK(saCkptFinalize(library));
}

/* clause 3.2 */
static void dispatch_one_and_all_return_at_once_when_nothing_is_pending(void **state) {
  (void)state;
  SaCkptCallbacksT callbacks = {count_opened, NULL};
  SaCkptHandleT with = library_open(2, &callbacks);
  SaCkptHandleT without = library_b2();
  opened_count = 0;
  OK(saCkptDispatch(with, SA_DISPATCH_ONE));
  OK(saCkptDispatch(with, SA_DISPATCH_ALL));
  OK(saCkptDispatch(without, SA_DISPATCH_ONE));
  OK(saCkptDispatch(without, SA_DISPATCH_ALL));
  assert_int_equal(opened_count, 0);
  OK(saCkptFinalize(with));
  OK(saCkptFinalize(without));
}

/* clause 3.4 */
static void other_dispatch_flags_are_an_invalid_param(void **state) {
  (void)state;
  SaCkptHandleT library = library_b2();
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptDispatch(library, (SaDispatchFlagsT)0));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptDispatch(library, (SaDispatchFlagsT)4));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptDispatch(library, (SaDispatchFlagsT)-1));
  OK(saCkptFinalize(library));
}

static void *dispatch_blocking(void *argument) {
  SaCkptHandleT library = *(SaCkptHandleT *)argument;
  SaAisErrorT result = saCkptDispatch(library, SA_DISPATCH_BLOCKING);
  return result == SA_AIS_OK || result == SA_AIS_ERR_BAD_HANDLE ? argument : NULL; /* BAD_HANDLE: it came too late */
}

/* clauses 3.3, 22.35 */
static void finalize_releases_every_thread_that_blocks_in_dispatch(void **state) {
  (void)state;
  enum { THREADS = 5 };
  for (int with = 0; with < 2; with++) {
    SaCkptCallbacksT callbacks = {nothing_opened, nothing_synchronized};
    SaCkptHandleT library = library_open(2, with ? &callbacks : NULL);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
      assert_int_equal(pthread_create(&threads[i], NULL, dispatch_blocking, &library), 0);
    }
    OK(saCkptFinalize(library));
    for (int i = 0; i < THREADS; i++) {
      void *result = NULL;
      assert_int_equal(pthread_join(threads[i], &result), 0);
      assert_ptr_equal(result, &library);
    }
  }
}

static SaCkptHandleT finalized_by_callback;
static void finalize_in_callback(SaInvocationT invocation, SaCkptCheckpointHandleT checkpoint, SaAisErrorT error) {
  (void)invocation;
  (void)checkpoint;
  (void)error;
  OK(saCkptFinalize(finalized_by_callback));
}

/* clauses 0.8, 3.3 */
static void a_callback_may_finalize_the_handle_that_is_being_dispatched(void **state) {
  (void)state;
  SaDispatchFlagsT flags[] = {SA_DISPATCH_ONE, SA_DISPATCH_ALL, SA_DISPATCH_BLOCKING};
  for (size_t i = 0; i < 3; i++) {
    SaCkptCallbacksT callbacks = {finalize_in_callback, NULL};
    finalized_by_callback = library_open(2, &callbacks);
    SaSelectionObjectT object;
    OK(saCkptSelectionObjectGet(finalized_by_callback, &object));
    SaNameT name = name_of("not-there");
    OK(saCkptCheckpointOpenAsync(finalized_by_callback, 1, &name, NULL, SA_CKPT_CHECKPOINT_READ));
    OK(saCkptCheckpointOpenAsync(finalized_by_callback, 2, &name, NULL, SA_CKPT_CHECKPOINT_READ));
    assert_true(is_readable(object, TEST_DEADLINE_MS));
    OK(saCkptDispatch(finalized_by_callback, flags[i]));
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptDispatch(finalized_by_callback, flags[i]));
  }
}

static SaCkptHandleT dispatched_by_callback;
static int depth;
static int depth_max;
static void dispatch_in_callback(SaInvocationT invocation, SaCkptCheckpointHandleT checkpoint, SaAisErrorT error) {
  (void)invocation;
  (void)checkpoint;
  EXPECT(SA_AIS_ERR_NOT_EXIST, error);
  depth++;
  depth_max = depth > depth_max ? depth : depth_max;
  OK(saCkptDispatch(dispatched_by_callback, SA_DISPATCH_ALL));
  OK(saCkptCheckpointClose(checkpoint_usual(dispatched_by_callback, "made-in-a-callback")));
  depth--;
}

/* clauses 0.8, 22.34 */
static void a_callback_may_call_everything_dispatch_included(void **state) {
  (void)state;
  SaCkptCallbacksT callbacks = {dispatch_in_callback, NULL};
  SaCkptHandleT library = dispatched_by_callback = library_open(2, &callbacks);
  SaSelectionObjectT object;
  OK(saCkptSelectionObjectGet(library, &object));
  SaNameT name = name_of("not-there");
  for (SaInvocationT i = 0; i < 3; i++) {
    OK(saCkptCheckpointOpenAsync(library, i, &name, NULL, SA_CKPT_CHECKPOINT_READ));
  }
  OK(saCkptCheckpointClose(checkpoint_usual(library, "made-before"))); /* answered after the three */
  assert_true(is_readable(object, TEST_DEADLINE_MS));
  OK(saCkptDispatch(library, SA_DISPATCH_ONE));
  assert_int_equal(depth, 0);
  assert_int_equal(depth_max, 3);
  OK(saCkptFinalize(library));
}

/* clauses 4.1, 4.2, 0.2 */
static void finalize_closes_everything_that_was_opened_through_the_handle(void **state) {
  (void)state;
  SaCkptHandleT library = library_b2();
  SaCkptHandleT other = library_b2();
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  attributes.retentionDuration = 0;
  SaCkptCheckpointHandleT checkpoint = checkpoint_create(library, "closed-by-finalize", &attributes);
  OK(section_create(checkpoint, "s", "x"));
  SaCkptSectionIterationHandleT iteration;
  SaCkptSectionDescriptorT descriptor;
  OK(saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, &iteration));
  OK(saCkptFinalize(library));
  assert_checkpoint_calls(checkpoint, SA_AIS_ERR_BAD_HANDLE);
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptSectionIterationNext(iteration, &descriptor));
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptSectionIterationFinalize(iteration));
  EXPECT(SA_AIS_ERR_NOT_EXIST, checkpoint_try(other, "closed-by-finalize")); /* retention 0 has begun, and ended */
  OK(saCkptFinalize(other));
}

/* clause 4.1 */
static void finalize_drops_callbacks_that_are_pending(void **state) {
  (void)state;
  SaCkptCallbacksT callbacks = {count_opened, NULL};
  SaCkptHandleT library = library_open(2, &callbacks);
  SaNameT name = name_of("not-there");
  opened_count = 0;
  OK(saCkptCheckpointOpenAsync(library, 1, &name, NULL, SA_CKPT_CHECKPOINT_READ));
  OK(saCkptFinalize(library));
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptDispatch(library, SA_DISPATCH_ALL));
  assert_int_equal(opened_count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(initialize_takes_all_some_or_no_callbacks),
      cmocka_unit_test(versions_b_0_to_b_2_are_accepted_and_answered_with_the_highest),
      cmocka_unit_test(other_versions_are_refused_and_the_supported_one_is_told),
      cmocka_unit_test(initialize_without_handle_or_version_is_an_invalid_param),
      cmocka_unit_test(every_initialize_gives_another_handle_with_its_own_selection_object),
      cmocka_unit_test(bad_library_handles_are_bad_everywhere),
      cmocka_unit_test(selection_object_get_without_a_place_for_it_is_an_invalid_param),
      cmocka_unit_test(selection_object_is_readable_exactly_while_a_callback_is_pending),
      cmocka_unit_test(dispatch_one_and_all_return_at_once_when_nothing_is_pending),
      cmocka_unit_test(other_dispatch_flags_are_an_invalid_param),
      cmocka_unit_test(finalize_releases_every_thread_that_blocks_in_dispatch),
      cmocka_unit_test(a_callback_may_finalize_the_handle_that_is_being_dispatched),
      cmocka_unit_test(a_callback_may_call_everything_dispatch_included),
      cmocka_unit_test(finalize_closes_everything_that_was_opened_through_the_handle),
      cmocka_unit_test(finalize_drops_callbacks_that_are_pending),
  };
  return cmocka_run_group_tests(tests, group_open, group_close);
}
