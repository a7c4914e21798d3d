/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Callbacks and who runs them: which thread, which library handle, which selection object; and the handles of B.00.
 */
#include "test/conformance/ckpt_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/select.h>

static atomic_int opened_count;
static pthread_t opened_by;
static void note_opened(SaInvocationT invocation, SaCkptCheckpointHandleT checkpoint, SaAisErrorT error) {
  (void)invocation;
  (void)checkpoint;
  EXPECT(SA_AIS_ERR_NOT_EXIST, error);
  opened_by = pthread_self();
  (void)atomic_fetch_add(&opened_count, 1);
}

static int synchronized_count;
static SaAisErrorT synchronized_error;
static void note_synchronized(SaInvocationT invocation, SaAisErrorT error) {
  (void)invocation;
  synchronized_count++;
  synchronized_error = error;
}

static SaCkptHandleT library_called_back(SaUint8T major, SaSelectionObjectT *object) {
  SaCkptCallbacksT callbacks = {note_opened, note_synchronized};
  SaCkptHandleT library = library_open(major, &callbacks);
  OK(saCkptSelectionObjectGet(library, object));
  atomic_store(&opened_count, 0);
  synchronized_count = 0;
  return library;
}

static void open_async_missing(SaCkptHandleT library) {
  SaNameT name = name_of("not-there");
  OK(saCkptCheckpointOpenAsync(library, 1, &name, NULL, SA_CKPT_CHECKPOINT_READ));
}

/* clauses 2.1, 2.3, 4.1 */
static void the_selection_object_is_the_same_each_time_and_closed_by_finalize(void **state) {
  (void)state;
  for (SaUint8T major = 1; major <= 2; major++) {
    SaSelectionObjectT object;
    SaSelectionObjectT again;
    SaCkptHandleT library = library_called_back(major, &object);
    OK(saCkptCheckpointClose(checkpoint_usual(library, "selection-object")));
    OK(saCkptSelectionObjectGet(library, &again));
    assert_true(again == object);
    assert_true(fcntl((int)object, F_GETFD) >= 0);
    OK(saCkptFinalize(library));
    assert_int_equal(fcntl((int)object, F_GETFD), -1);
    assert_int_equal(errno, EBADF);
  }
}

/* clause 22.33: also where the library has mapped all the replicas that it maps */
static void selection_objects_fit_into_the_sets_of_select(void **state) {
  (void)state;
  for (int i = 0; i < 300; i++) {
    EXPECT(SA_AIS_ERR_NOT_EXIST, section_try(checkpoint_usual(lib, "mapped"), "s"));
  }
  SaSelectionObjectT object;
  SaCkptHandleT library = library_called_back(2, &object);
  assert_true(object < FD_SETSIZE);
  open_async_missing(library);
  fd_set readable;
  FD_ZERO(&readable);
  FD_SET((int)object, &readable);
  struct timeval limit = {.tv_sec = 10};
  assert_int_equal(select((int)object + 1, &readable, NULL, NULL, &limit), 1);
  OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  assert_int_equal(opened_count, 1);
  OK(saCkptFinalize(library));
}

typedef struct dispatcher {
  SaCkptHandleT library;
  SaDispatchFlagsT flags;
  SaAisErrorT result;
} dispatcher_t;

static void *dispatch(void *argument) {
  dispatcher_t *dispatcher = argument;
  dispatcher->result = saCkptDispatch(dispatcher->library, dispatcher->flags);
  return NULL;
}

/* clauses 3.1, 3.2 */
static void a_callback_runs_in_the_thread_that_dispatches(void **state) {
  (void)state;
  SaDispatchFlagsT flags[] = {SA_DISPATCH_ONE, SA_DISPATCH_ALL};
  for (size_t i = 0; i < 2; i++) {
    SaSelectionObjectT object;
    dispatcher_t dispatcher = {.library = library_called_back(2, &object), .flags = flags[i]};
    open_async_missing(dispatcher.library);
    assert_true(is_readable(object, TEST_DEADLINE_MS));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, dispatch, &dispatcher), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    OK(dispatcher.result);
    assert_int_equal(opened_count, 1);
    assert_true(pthread_equal(opened_by, thread));
    OK(saCkptFinalize(dispatcher.library));
  }
}

/* clauses 3.1, 3.3, 22.35 */
static void a_blocking_dispatch_runs_callbacks_as_they_come_until_another_thread_finalizes(void **state) {
  (void)state;
  for (SaUint8T major = 1; major <= 2; major++) {
    SaSelectionObjectT object;
    dispatcher_t dispatcher = {.library = library_called_back(major, &object), .flags = SA_DISPATCH_BLOCKING};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, dispatch, &dispatcher), 0);
    for (int i = 1; i <= 10; i++) {
      open_async_missing(dispatcher.library);
      int64_t deadline_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
      while (atomic_load(&opened_count) < i && daemon_fixture_now_ns() < deadline_ns) {
        (void)sched_yield();
      }
      assert_int_equal(opened_count, i);
      assert_true(pthread_equal(opened_by, thread));
    }
    OK(saCkptFinalize(dispatcher.library));
    assert_int_equal(pthread_join(thread, NULL), 0);
    OK(dispatcher.result);
  }
}

/* clause 19.4 */
static void a_synchronize_callback_comes_to_the_library_handle_that_opened_the_checkpoint(void **state) {
  (void)state;
  SaSelectionObjectT object;
  SaSelectionObjectT object_of_other;
  SaCkptHandleT other = library_called_back(2, &object_of_other);
  SaCkptHandleT library = library_called_back(2, &object);
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ACTIVE_REPLICA);
  SaCkptCheckpointHandleT checkpoint = checkpoint_create(library, "whose-callback", &attributes);
  (void)checkpoint_again(other, "whose-callback", READ_WRITE);
  OK(saCkptCheckpointSynchronizeAsync(checkpoint, 1));
  assert_true(is_readable(object, TEST_DEADLINE_MS));
  assert_false(is_readable(object_of_other, 0));
  OK(saCkptDispatch(other, SA_DISPATCH_ALL));
  assert_int_equal(synchronized_count, 0);
  OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  assert_int_equal(synchronized_count, 1);
  OK(saCkptFinalize(other));
  OK(saCkptFinalize(library));
}

/* clauses 6.4, 7.3 */
static void a_synchronize_callback_comes_although_the_checkpoint_was_unlinked(void **state) {
  (void)state;
  SaSelectionObjectT object;
  SaCkptHandleT library = library_called_back(2, &object);
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ACTIVE_REPLICA);
  SaCkptCheckpointHandleT checkpoint = checkpoint_create(library, "unlinked-callback", &attributes);
  SaNameT name = name_of("unlinked-callback");
  OK(saCkptCheckpointSynchronizeAsync(checkpoint, 1));
  OK(saCkptCheckpointUnlink(library, &name));
  assert_true(is_readable(object, TEST_DEADLINE_MS));
  OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  assert_int_equal(synchronized_count, 1);
  OK(synchronized_error);
  OK(saCkptFinalize(library));
}

/* clause 19.3 */
static void a_synchronize_that_was_given_no_time_is_a_timeout_and_leaves_the_handle_as_it_was(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ACTIVE_REPLICA_WEAK);
  SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, "synchronize-no-time", &attributes);
  EXPECT(SA_AIS_ERR_TIMEOUT, saCkptCheckpointSynchronize(checkpoint, 1));
  OK(section_create(checkpoint, "s", "x"));
  OK(saCkptCheckpointSynchronize(checkpoint, SECOND));
}

/* clauses 1.2, 1.5, 22.1 */
static void handles_of_b_00_behave_as_those_of_b_01(void **state) {
  (void)state;
  SaCkptHandleT old = library_open(0, NULL);
  (void)checkpoint_usual(lib, "b-00");
  SaCkptCheckpointHandleT writer = checkpoint_again(old, "b-00", SA_CKPT_CHECKPOINT_WRITE);
  SaCkptCheckpointHandleT reader = checkpoint_again(old, "b-00", SA_CKPT_CHECKPOINT_READ);
  SaCkptSectionIterationHandleT iteration;
  SaCkptCheckpointDescriptorT status;
  OK(saCkptCheckpointStatusGet(writer, &status));
  OK(saCkptSectionIterationInitialize(writer, SA_CKPT_SECTIONS_ANY, 0, &iteration));
  OK(saCkptCheckpointRetentionDurationSet(reader, SECOND));
  OK(saCkptFinalize(old));
}

/* clauses 1.5, 21.1, 21.2 */
static void what_b_02_has_added_may_be_called_through_a_handle_of_b_01(void **state) {
  (void)state;
  SaCkptHandleT old = library_b1();
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(old, "b-01-frees");
  SaCkptSectionIdT id = SA_CKPT_GENERATED_SECTION_ID;
  SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = SA_TIME_END};
  OK(saCkptSectionCreate(checkpoint, &section, "abc", 3));
  SaCkptIOVectorElementT element = {.sectionId = id};
  OK(saCkptCheckpointRead(checkpoint, &element, 1, NULL));
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptSectionIdFree(old, id.id)); /* and so it is still there */
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptIOVectorElementDataFree(0, element.dataBuffer));
  assert_memory_equal(element.dataBuffer, "abc", 3);
  OK(saCkptIOVectorElementDataFree(checkpoint, element.dataBuffer));
  OK(saCkptSectionIdFree(checkpoint, id.id));
  OK(saCkptFinalize(old));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_selection_object_is_the_same_each_time_and_closed_by_finalize),
      CASE(selection_objects_fit_into_the_sets_of_select),
      cmocka_unit_test(a_callback_runs_in_the_thread_that_dispatches),
      cmocka_unit_test(a_blocking_dispatch_runs_callbacks_as_they_come_until_another_thread_finalizes),
      cmocka_unit_test(a_synchronize_callback_comes_to_the_library_handle_that_opened_the_checkpoint),
      cmocka_unit_test(a_synchronize_callback_comes_although_the_checkpoint_was_unlinked),
      CASE(a_synchronize_that_was_given_no_time_is_a_timeout_and_leaves_the_handle_as_it_was),
      CASE(handles_of_b_00_behave_as_those_of_b_01),
      CASE(what_b_02_has_added_may_be_called_through_a_handle_of_b_01),
  };
  return cmocka_run_group_tests(tests, group_open, group_close);
}
