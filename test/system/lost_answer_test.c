/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A call whose effect was reached gets its stored result, and has its effect once, whatever became of its answer: for
 * every call that changes anything.
 *
 * Between the library and the daemon stands a proxy that loses one answer (link_proxy.h). When it is lost, the daemon
 * has done what it was asked; then comes one of three ends:
 *
 *   CUT    the link alone breaks
 *   KILL   the daemon is killed -9 between doing and answering, and started again
 *   STOP   the same with SIGTERM, as in an upgrade
 *
 * The library finds the daemon again by itself and asks again. That it was answered from what was stored is seen from
 * the daemon's counters: one request was `resent`, and nothing was committed or ordered a second time. Where another
 * client may come in between, it does, directly: what it did last must stand.
 */
#include <poll.h>
#include <pthread.h>
#include <saCkpt.h>
#include <saCkpt_B_02_03.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vesta.h>

#include <cmocka.h>

#include "saf_api/agent_extension.h"
#include "test/support/daemon_fixture.h"
#include "test/support/link_proxy.h"
#include "test/support/raw_link.h"

#define EXPECT(code, call) assert_int_equal((call), (code))
#define OK(call) EXPECT(SA_AIS_OK, call)
#define ALL_FLAGS (SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE | SA_CKPT_CHECKPOINT_CREATE)
#define READ_WRITE (SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE)
#define LIMIT TEST_DEADLINE_NS

typedef enum end { CUT, KILL, STOP } end_t;

static daemon_fixture_t vestad;
static link_proxy_t *proxy;
static SaCkptHandleT library; /* through the proxy */
static SaCkptCheckpointHandleT checkpoint;
static SaCkptHandleT direct; /* another client, past the proxy */
static SaCkptCheckpointHandleT other;

/* What was called back. */
static struct {
  int count;
  SaInvocationT invocation;
  SaAisErrorT error;
  SaCkptCheckpointHandleT handle;
} called;

static void note_opened(SaInvocationT invocation, SaCkptCheckpointHandleT handle, SaAisErrorT error) {
  called.count++;
  called.invocation = invocation;
  called.error = error;
  called.handle = handle;
}

static void note_synchronized(SaInvocationT invocation, SaAisErrorT error) { note_opened(invocation, 0, error); }

/* ---- the usual scene ---- */

static SaNameT name_of(const char *text) {
  SaNameT name = {.length = (SaUint16T)strlen(text)};
  memcpy(name.value, text, name.length);
  return name;
}

static SaCkptSectionIdT id_of(const char *text) {
  SaCkptSectionIdT id = {.idLen = (SaUint16T)strlen(text)};
  memcpy(&id.id, &text, sizeof id.id);
  return id;
}

/* Asynchronous and collocated, so that every call is allowed; retained only while it is open. */
static const SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = SA_CKPT_WR_ACTIVE_REPLICA |
                                                                                SA_CKPT_CHECKPOINT_COLLOCATED,
                                                               .checkpointSize = 1000,
                                                               .retentionDuration = 0,
                                                               .maxSections = 10,
                                                               .maxSectionSize = 100,
                                                               .maxSectionIdSize = 8};

static SaCkptCheckpointHandleT open_it(SaCkptHandleT through, const char *text,
                                       const SaCkptCheckpointCreationAttributesT *with) {
  SaCkptCheckpointHandleT handle = 0;
  SaNameT name = name_of(text);
  OK(saCkptCheckpointOpen(through, &name, with, with != NULL ? ALL_FLAGS : READ_WRITE, LIMIT, &handle));
  return handle;
}

static SaAisErrorT try_to_open(const char *text) {
  SaCkptCheckpointHandleT handle = 0;
  SaNameT name = name_of(text);
  SaAisErrorT error = saCkptCheckpointOpen(direct, &name, NULL, SA_CKPT_CHECKPOINT_READ, LIMIT, &handle);
  if (error == SA_AIS_OK) {
    OK(saCkptCheckpointClose(handle));
  }
  return error;
}

static SaAisErrorT create(SaCkptCheckpointHandleT through, const char *text, const char *data) {
  SaCkptSectionIdT id = id_of(text);
  SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = SA_TIME_END};
  return saCkptSectionCreate(through, &section, data, strlen(data));
}

static SaAisErrorT overwrite(SaCkptCheckpointHandleT through, const char *text, const char *data) {
  SaCkptSectionIdT id = id_of(text);
  return saCkptSectionOverwrite(through, &id, data, strlen(data));
}

static SaAisErrorT delete (SaCkptCheckpointHandleT through, const char *text) {
  SaCkptSectionIdT id = id_of(text);
  return saCkptSectionDelete(through, &id);
}

static SaCkptIOVectorElementT element_of(const char *text, const char *data, SaOffsetT offset) {
  SaCkptIOVectorElementT element = {.sectionId = id_of(text), .dataSize = strlen(data), .dataOffset = offset};
  memcpy(&element.dataBuffer, &data, sizeof element.dataBuffer);
  return element;
}

static void assert_holds(const char *text, const char *data) {
  char buffer[100] = {0};
  SaCkptIOVectorElementT element = {.sectionId = id_of(text), .dataBuffer = buffer, .dataSize = sizeof buffer};
  OK(saCkptCheckpointRead(other, &element, 1, NULL));
  assert_int_equal(element.readSize, strlen(data));
  assert_memory_equal(buffer, data, strlen(data));
}

static void assert_sections(SaUint32T count) {
  SaCkptCheckpointDescriptorT status;
  OK(saCkptCheckpointStatusGet(other, &status));
  assert_int_equal(status.numberOfSections, count);
}

static SaCkptHandleT library_at(const char *socket) {
  const SaCkptCallbacksT callbacks = {note_opened, note_synchronized};
  SaCkptHandleT handle = 0;
  SaVersionT version = {'B', 2, 1};
  assert_int_equal(setenv("VESTA_SOCKET", socket, 1), 0);
  OK(saCkptInitialize(&handle, &callbacks, &version));
  return handle;
}

static int scene_open(void **state) {
  (void)state;
  char path[DAEMON_FIXTURE_PATH_BYTES + 8];
  daemon_fixture_open(&vestad);
  (void)snprintf(path, sizeof path, "%s.proxy", vestad.socket);
  proxy = link_proxy_open(path, vestad.socket);
  direct = library_at(vestad.socket);
  library = library_at(path);
  checkpoint = open_it(library, "scene", &attributes);
  other = open_it(direct, "scene", NULL);
  OK(saCkptActiveReplicaSet(checkpoint));
  memset(&called, 0, sizeof called);
  return 0;
}

static int scene_close(void **state) {
  (void)state;
  (void)saCkptFinalize(library);
  (void)saCkptFinalize(direct);
  link_proxy_close(&proxy);
  daemon_fixture_close(&vestad);
  return 0;
}

/* ---- losing an answer ---- */

static struct { int64_t resent, committed, ordered; } before;

static int64_t counter(const char *key) { return raw_counter(vestad.socket, key); }

static void losing_begins(void) {
  before.resent = counter("resent");
  link_proxy_lose_answer(proxy);
}

/* The daemon has done it. What it has done in all is known from now on; then the link ends. */
static void losing_ends(const end_t *end) {
  before.committed = counter("committed");
  before.ordered = counter("journal_appended");
  switch (*end) {
    case CUT: link_proxy_cut(proxy); return;
    case KILL: daemon_fixture_kill(&vestad); break;
    case STOP: assert_int_equal(daemon_fixture_stop(&vestad), 0); break;
  }
  daemon_fixture_start(&vestad);
  before.resent = before.committed = before.ordered = 0; /* they count from the start of the process */
}

static void assert_nothing_was_done_again(int resent) {
  assert_int_equal(counter("resent"), before.resent + resent);
  assert_int_equal(counter("committed"), before.committed);
  assert_int_equal(counter("journal_appended"), before.ordered);
}

typedef struct lost_call {
  SaAisErrorT (*call)(void);
  SaAisErrorT result;
} lost_call_t;

static void *call_in_thread(void *argument) {
  lost_call_t *lost = argument;
  lost->result = lost->call();
  return NULL;
}

/* Make a call, lose its answer, let `meanwhile` (NULL: nothing) happen, end the link. @return the call's result */
static SaAisErrorT lose_answer_of(SaAisErrorT (*call)(void), void (*meanwhile)(void), const end_t *end) {
  lost_call_t lost = {.call = call};
  pthread_t thread;
  losing_begins();
  assert_int_equal(pthread_create(&thread, NULL, call_in_thread, &lost), 0);
  assert_true(link_proxy_wait_lost(proxy));
  if (meanwhile != NULL) {
    meanwhile();
  }
  losing_ends(end);
  assert_int_equal(pthread_join(thread, NULL), 0);
  return lost.result;
}

/* ---- sections ---- */

static SaAisErrorT create_a(void) { return create(checkpoint, "a", "first"); }
static SaAisErrorT overwrite_a(void) { return overwrite(checkpoint, "a", "first"); }
static SaAisErrorT delete_a(void) { return delete (checkpoint, "a"); }

static void delete_a_meanwhile(void) { OK(delete (other, "a")); }
static void overwrite_a_meanwhile(void) { OK(overwrite(other, "a", "last")); }
static void create_a_meanwhile(void) { OK(create(other, "a", "last")); }

static void a_section_is_created_once(void **state) {
  OK(lose_answer_of(create_a, NULL, *state));
  assert_nothing_was_done_again(1);
  assert_holds("a", "first");
  assert_sections(1);
  EXPECT(SA_AIS_ERR_EXIST, create_a());
}

static void a_section_that_was_created_and_deleted_since_is_not_created_again(void **state) {
  OK(lose_answer_of(create_a, delete_a_meanwhile, *state));
  assert_nothing_was_done_again(1);
  assert_sections(0);
}

static void a_refused_create_is_refused_again(void **state) {
  OK(create(other, "a", "there"));
  EXPECT(SA_AIS_ERR_EXIST, lose_answer_of(create_a, NULL, *state));
  assert_nothing_was_done_again(0); /* it changed nothing, so nothing was stored: it is judged anew */
  assert_holds("a", "there");
}

static SaCkptSectionIdT generated;
static SaAisErrorT create_generated(void) {
  generated = (SaCkptSectionIdT){0, NULL};
  SaCkptSectionCreationAttributesT section = {.sectionId = &generated, .expirationTime = SA_TIME_END};
  return saCkptSectionCreate(checkpoint, &section, "named by the service", 20);
}

static void a_section_with_a_generated_id_is_created_once_under_the_id_that_is_told(void **state) {
  OK(lose_answer_of(create_generated, NULL, *state));
  assert_nothing_was_done_again(1);
  assert_sections(1);
  assert_in_range(generated.idLen, 1, attributes.maxSectionIdSize);
  char text[16] = {0};
  memcpy(text, generated.id, generated.idLen);
  assert_holds(text, "named by the service");
  OK(saCkptSectionIdFree(checkpoint, generated.id));
}

static void a_section_is_deleted_once(void **state) {
  OK(create(other, "a", "there"));
  OK(lose_answer_of(delete_a, NULL, *state));
  assert_nothing_was_done_again(1);
  assert_sections(0);
  EXPECT(SA_AIS_ERR_NOT_EXIST, delete_a());
}

static void a_section_that_was_deleted_and_made_anew_since_is_not_deleted_again(void **state) {
  OK(create(other, "a", "there"));
  OK(lose_answer_of(delete_a, create_a_meanwhile, *state));
  assert_nothing_was_done_again(1);
  assert_holds("a", "last");
}

static void an_overwrite_does_not_come_back_over_a_later_one(void **state) {
  OK(create(other, "a", "there"));
  OK(lose_answer_of(overwrite_a, overwrite_a_meanwhile, *state));
  assert_nothing_was_done_again(1);
  assert_holds("a", "last");
  OK(overwrite_a());
  assert_holds("a", "first");
}

static SaAisErrorT write_both(void) {
  SaCkptIOVectorElementT vector[] = {element_of("a", "AA", 1), element_of("b", "BB", 3)};
  return saCkptCheckpointWrite(checkpoint, vector, 2, NULL);
}

static void a_vector_does_not_come_back_over_later_writes(void **state) {
  OK(create(other, "a", "there"));
  OK(create(other, "b", ""));
  OK(lose_answer_of(write_both, overwrite_a_meanwhile, *state));
  assert_nothing_was_done_again(1);
  assert_holds("a", "last");
  char zeros[100] = {0};
  SaCkptIOVectorElementT element = {.sectionId = id_of("b"), .dataBuffer = zeros, .dataSize = sizeof zeros};
  OK(saCkptCheckpointRead(other, &element, 1, NULL));
  assert_int_equal(element.readSize, 5);
  assert_memory_equal(zeros, "\0\0\0BB", 5);
}

static SaAisErrorT expire_a(void) {
  SaCkptSectionIdT id = id_of("a");
  return saCkptSectionExpirationTimeSet(checkpoint, &id, 1);
}

static void an_expiration_time_is_set_once(void **state) {
  OK(create(other, "a", "there"));
  OK(lose_answer_of(expire_a, create_a_meanwhile, *state)); /* it has expired, so another one may be made */
  assert_nothing_was_done_again(1);
  assert_holds("a", "last");
}

/* ---- checkpoints ---- */

static SaCkptCheckpointHandleT opened;
static SaAisErrorT open_new(void) {
  SaNameT name = name_of("new");
  return saCkptCheckpointOpen(library, &name, &attributes, ALL_FLAGS, LIMIT, &opened);
}

static void a_checkpoint_is_created_and_opened_once(void **state) {
  int64_t handles = counter("handles");
  int64_t checkpoints = counter("checkpoints");
  OK(lose_answer_of(open_new, NULL, *state));
  assert_nothing_was_done_again(1);
  assert_int_equal(counter("handles"), handles + 1);
  assert_int_equal(counter("checkpoints"), checkpoints + 1);
  OK(saCkptActiveReplicaSet(opened));
  OK(create(opened, "a", "works"));
  OK(saCkptCheckpointClose(opened)); /* the only handle, and retention is 0 */
  EXPECT(SA_AIS_ERR_NOT_EXIST, try_to_open("new"));
}

static SaAisErrorT open_again(void) {
  SaNameT name = name_of("scene");
  return saCkptCheckpointOpen(library, &name, NULL, SA_CKPT_CHECKPOINT_READ, LIMIT, &opened);
}

static void an_existing_checkpoint_is_opened_once(void **state) {
  int64_t handles = counter("handles");
  OK(lose_answer_of(open_again, NULL, *state));
  assert_nothing_was_done_again(1);
  assert_int_equal(counter("handles"), handles + 1);
  EXPECT(SA_AIS_ERR_ACCESS, create(opened, "a", "read only"));
  OK(saCkptCheckpointClose(opened));
  assert_int_equal(counter("handles"), handles);
}

static SaAisErrorT close_it(void) { return saCkptCheckpointClose(checkpoint); }

static void a_checkpoint_is_closed_once(void **state) {
  int64_t handles = counter("handles");
  OK(lose_answer_of(close_it, NULL, *state));
  assert_nothing_was_done_again(1);
  assert_int_equal(counter("handles"), handles - 1);
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptCheckpointClose(checkpoint));
  OK(try_to_open("scene")); /* the other client has it open */
}

static SaAisErrorT unlink_it(void) {
  SaNameT name = name_of("scene");
  return saCkptCheckpointUnlink(library, &name);
}

static void make_it_anew_meanwhile(void) { opened = open_it(direct, "scene", &attributes); }

static void a_name_that_was_unlinked_and_given_anew_since_is_not_unlinked_again(void **state) {
  OK(lose_answer_of(unlink_it, make_it_anew_meanwhile, *state));
  assert_nothing_was_done_again(1);
  OK(try_to_open("scene"));
  OK(saCkptCheckpointClose(opened));
  EXPECT(SA_AIS_ERR_NOT_EXIST, unlink_it());
}

static SaAisErrorT set_retention(void) { return saCkptCheckpointRetentionDurationSet(checkpoint, SA_TIME_ONE_MINUTE); }
static void set_another_meanwhile(void) { OK(saCkptCheckpointRetentionDurationSet(other, SA_TIME_ONE_HOUR)); }

static void a_retention_duration_does_not_come_back_over_a_later_one(void **state) {
  OK(lose_answer_of(set_retention, set_another_meanwhile, *state));
  assert_nothing_was_done_again(1);
  SaCkptCheckpointDescriptorT status;
  OK(saCkptCheckpointStatusGet(other, &status));
  assert_int_equal(status.checkpointCreationAttributes.retentionDuration, SA_TIME_ONE_HOUR);
}

static SaAisErrorT set_active(void) { return saCkptActiveReplicaSet(checkpoint); }

static void the_active_replica_is_set_once(void **state) {
  OK(lose_answer_of(set_active, NULL, *state));
  assert_nothing_was_done_again(1);
  OK(create_a());
}

static SaAisErrorT synchronize(void) { return saCkptCheckpointSynchronize(checkpoint, LIMIT); }

static void a_synchronize_is_answered_although_its_first_answer_was_lost(void **state) {
  OK(lose_answer_of(synchronize, NULL, *state));
  assert_nothing_was_done_again(0); /* it changes nothing: nothing is stored */
}

static SaAisErrorT finalize(void) { return saCkptFinalize(library); }

static void a_library_handle_is_finalized_once(void **state) {
  int64_t sessions = counter("sessions");
  OK(lose_answer_of(finalize, NULL, *state));
  assert_nothing_was_done_again(0); /* the session is gone, and its stored answers with it */
  assert_int_equal(counter("sessions"), sessions - 1);
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptCheckpointClose(checkpoint));
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptFinalize(library));
}

/* A new session whose answer was lost can't be told from one that was never asked for; another is made. The first
 * goes when the process does. */
static SaCkptHandleT initialized;
static SaAisErrorT initialize(void) {
  SaVersionT version = {'B', 2, 1};
  return saCkptInitialize(&initialized, NULL, &version);
}

static void an_initialize_succeeds_although_its_answer_was_lost(void **state) {
  OK(lose_answer_of(initialize, NULL, *state));
  OK(saCkptFinalize(initialized));
}

/* ---- answers that are callbacks ---- */

static void dispatch_until_called(void) {
  SaSelectionObjectT object;
  int64_t until_ns = daemon_fixture_now_ns() + LIMIT;
  OK(saCkptSelectionObjectGet(library, &object));
  while (called.count == 0 && daemon_fixture_now_ns() < until_ns) {
    struct pollfd ready = {.fd = (int)object, .events = POLLIN};
    (void)poll(&ready, 1, 1000);
    OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  }
  OK(saCkptCheckpointRetentionDurationSet(checkpoint, 0)); /* whatever was on its way is here now */
  OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  assert_int_equal(called.count, 1);
  OK(called.error);
}

static void an_asynchronous_open_opens_once_and_calls_back_once(void **state) {
  SaNameT name = name_of("new");
  int64_t handles = counter("handles");
  losing_begins();
  OK(saCkptCheckpointOpenAsync(library, 7, &name, &attributes, ALL_FLAGS));
  assert_true(link_proxy_wait_lost(proxy));
  losing_ends(*state);
  dispatch_until_called();
  assert_int_equal(called.invocation, 7);
  assert_int_equal(counter("resent"), before.resent + 1);
  assert_int_equal(counter("handles"), handles + 1);
  OK(saCkptActiveReplicaSet(called.handle));
  OK(create(called.handle, "a", "works"));
}

static void an_asynchronous_synchronize_calls_back_once(void **state) {
  losing_begins();
  OK(saCkptCheckpointSynchronizeAsync(checkpoint, 9));
  assert_true(link_proxy_wait_lost(proxy));
  losing_ends(*state);
  dispatch_until_called();
  assert_int_equal(called.invocation, 9);
}

/* ---- transactions, and writes that nobody waits for ---- */

static vesta_txn_t *txn;
static vesta_write_options_t condition;
static vesta_position_t committed_at;
static SaAisErrorT commit_it(void) { return vesta_txn_commit(&txn, &condition, &committed_at); }

/* Delete a, make it anew, make b. */
static void txn_fill(void) {
  SaCkptSectionIdT a = id_of("a");
  SaCkptSectionIdT b = id_of("b");
  OK(vesta_txn_begin(checkpoint, &txn));
  OK(vesta_txn_delete(txn, &a));
  OK(vesta_txn_create(txn, &a, "first", 5, SA_TIME_END));
  OK(vesta_txn_create(txn, &b, "second", 6, SA_TIME_END));
  memset(&condition, 0, sizeof condition);
  memset(&committed_at, 0, sizeof committed_at);
}

static void a_transaction_is_done_once_and_told_where_it_stands(void **state) {
  OK(create(other, "a", "there"));
  txn_fill();
  OK(lose_answer_of(commit_it, overwrite_a_meanwhile, *state));
  assert_nothing_was_done_again(1);
  assert_null(txn);
  assert_true(committed_at.seq > 0);
  assert_holds("a", "last");
  assert_holds("b", "second");
}

/* Judged again it would fail: it has changed itself what it was to find unchanged. */
static void a_conditional_transaction_that_was_done_is_not_judged_again(void **state) {
  OK(create(other, "a", "there"));
  txn_fill();
  OK(commit_it());
  condition.if_unchanged_since = committed_at;
  SaCkptSectionIdT a = id_of("a");
  OK(vesta_txn_begin(checkpoint, &txn));
  OK(vesta_txn_overwrite(txn, &a, "third", 5));
  OK(lose_answer_of(commit_it, NULL, *state));
  assert_nothing_was_done_again(1);
  assert_holds("a", "third");
}

static void writes_that_nobody_waits_for_are_done_once_and_in_order(void **state) {
  vesta_writer_t *writer;
  vesta_completion_t completion;
  SaCkptSectionIdT a = id_of("a");
  OK(create(other, "a", "there"));
  OK(vesta_writer_open(checkpoint, &writer));
  losing_begins();
  OK(vesta_writer_overwrite(writer, &a, "1", 1, 1));
  OK(vesta_writer_overwrite(writer, &a, "2", 1, 2));
  OK(vesta_writer_overwrite(writer, &a, "3", 1, 3));
  assert_true(link_proxy_wait_lost(proxy));
  losing_ends(*state);
  for (SaInvocationT i = 1; i <= 3; i++) {
    OK(vesta_writer_next(writer, LIMIT, &completion));
    assert_int_equal(completion.invocation, i);
    OK(completion.error);
  }
  EXPECT(SA_AIS_ERR_NOT_EXIST, vesta_writer_next(writer, 0, &completion));
  assert_true(counter("resent") > before.resent);
  assert_holds("a", "3");
  vesta_position_t next = {0};
  condition = (vesta_write_options_t){.if_unchanged_since = completion.position};
  OK(vesta_txn_begin(checkpoint, &txn)); /* the third is the last operation there is */
  OK(vesta_txn_overwrite(txn, &a, "4", 1));
  OK(vesta_txn_commit(&txn, &condition, &next));
  assert_int_equal(next.seq, completion.position.seq + 1);
  OK(vesta_writer_close(&writer));
}

/* ---- tracking ---- */

static int tracked;
static void note_tracked(SaCkptCheckpointHandleT handle, SaCkptIOVectorElementT *vector, SaUint32T count) {
  (void)handle;
  (void)vector;
  tracked += (int)count;
}

static SaCkptHandleT tracker;
static SaAisErrorT track(void) { return saCkptTrack(tracker); }
static SaAisErrorT track_no_more(void) { return saCkptTrackStop(tracker); }

static void dispatch_tracked(int count) {
  SaSelectionObjectT object;
  int64_t until_ns = daemon_fixture_now_ns() + LIMIT;
  OK(saCkptSelectionObjectGet(tracker, &object));
  while (tracked < count && daemon_fixture_now_ns() < until_ns) {
    struct pollfd ready = {.fd = (int)object, .events = POLLIN};
    (void)poll(&ready, 1, 1000);
    OK(saCkptDispatch(tracker, SA_DISPATCH_ALL));
  }
  assert_int_equal(tracked, count);
}

static void tracking_begins_and_ends_although_the_answer_was_lost(void **state) {
  const SaCkptCallbacksT_2 callbacks = {.saCkptCheckpointTrackCallback = note_tracked};
  SaVersionT version = {'B', 2, 3};
  tracked = 0;
  OK(saCkptInitialize_2(&tracker, &callbacks, &version)); /* where VESTA_SOCKET leads: through the proxy */
  (void)open_it(tracker, "scene", NULL);
  OK(lose_answer_of(track, NULL, *state));
  OK(create(other, "a", "x"));
  OK(overwrite(other, "a", "y"));
  dispatch_tracked(2);
  OK(lose_answer_of(track_no_more, NULL, *state));
  OK(overwrite(other, "a", "z"));
  OK(saCkptCheckpointStatusGet(checkpoint, &(SaCkptCheckpointDescriptorT){.numberOfSections = 0}));
  OK(saCkptDispatch(tracker, SA_DISPATCH_ALL));
  assert_int_equal(tracked, 2);
  EXPECT(SA_AIS_ERR_NOT_EXIST, track_no_more());
  OK(saCkptFinalize(tracker));
}

/* ---- groups, as libvesta asks for them ---- */

static struct { uint64_t member, epoch, seq, state; } told;

static SaAisErrorT ask(SaCkptCheckpointHandleT through, const wire_message_t *request) {
  vesta_agent_reply_t reply = {0};
  SaAisErrorT error = vesta_agent_call(through, request, vesta_bytes(NULL, 0), LIMIT, &reply, NULL);
  told.member = reply.message.member;
  told.epoch = reply.message.epoch;
  told.seq = reply.message.seq;
  told.state = reply.message.state;
  vesta_agent_reply_free(&reply);
  return error;
}

static SaAisErrorT join_with(SaCkptCheckpointHandleT through, uint64_t flags) {
  wire_message_t join = {.kind = WIRE_JOIN, .text = vesta_bytes("member", 6), .flags = flags};
  return ask(through, &join);
}
static SaAisErrorT join(void) { return join_with(checkpoint, WIRE_JOIN_MANUAL); }
static SaAisErrorT leave(void) { return ask(checkpoint, &(wire_message_t){.kind = WIRE_LEAVE}); }
static SaAisErrorT resign(void) { return ask(checkpoint, &(wire_message_t){.kind = WIRE_RESIGN}); }
static SaAisErrorT confirm(void) {
  return ask(checkpoint, &(wire_message_t){.kind = WIRE_CONFIRM, .epoch = told.epoch, .seq = told.seq});
}

static void a_member_joins_once(void **state) {
  OK(lose_answer_of(join, NULL, *state));
  assert_nothing_was_done_again(1);
  uint64_t member = told.member;
  assert_int_not_equal(member, 0);
  OK(join()); /* it is one already, and is told which */
  assert_int_equal(told.member, member);
}

static void join_again_meanwhile(void) { OK(join_with(other, WIRE_JOIN_MANUAL)); }

static void a_member_leaves_once(void **state) {
  OK(join());
  OK(lose_answer_of(leave, join_again_meanwhile, *state));
  assert_nothing_was_done_again(1);
  EXPECT(SA_AIS_ERR_NOT_EXIST, leave());
}

/* Joining told the epoch and barrier of the grant, once the grant was in the history. */
static void be_granted(void) {
  OK(join_with(checkpoint, 0));
  OK(join_with(checkpoint, 0));
  assert_int_equal(told.state, 1);
}

static void a_promotion_is_confirmed_once(void **state) {
  be_granted();
  OK(lose_answer_of(confirm, NULL, *state));
  assert_nothing_was_done_again(1);
  OK(join());
  assert_int_equal(told.state, 2);
}

static void the_active_resigns_once(void **state) {
  be_granted();
  OK(confirm());
  OK(join_with(other, 0));
  uint64_t next = told.member;
  OK(lose_answer_of(resign, NULL, *state));
  assert_nothing_was_done_again(1);
  OK(join_with(other, 0));
  assert_int_equal(told.member, next);
  assert_int_equal(told.state, 1);
  EXPECT(SA_AIS_ERR_BAD_OPERATION, resign());
}

static SaAisErrorT promote(void) { return ask(checkpoint, &(wire_message_t){.kind = WIRE_PROMOTE}); }
static void promote_another_meanwhile(void) { OK(ask(other, &(wire_message_t){.kind = WIRE_PROMOTE})); }

static void a_promotion_that_was_granted_is_not_granted_again_over_a_later_one(void **state) {
  OK(join());
  OK(join_with(other, WIRE_JOIN_MANUAL));
  OK(lose_answer_of(promote, promote_another_meanwhile, *state));
  assert_nothing_was_done_again(1);
  assert_int_equal(told.state, 0); /* it had the role, and has it no longer */
  OK(join_with(other, WIRE_JOIN_MANUAL));
  assert_int_equal(told.state, 1);
}

/* ---- each with each of the three ends ---- */

static end_t ends[] = {CUT, KILL, STOP};

#define LOST_BY(test, how, index) \
  { #test " (" how ")", test, scene_open, scene_close, &ends[index] }
#define LOST(test) LOST_BY(test, "cut", 0), LOST_BY(test, "kill", 1), LOST_BY(test, "stop", 2)

int main(void) {
  const struct CMUnitTest tests[] = {
      LOST(a_section_is_created_once),
      LOST(a_section_that_was_created_and_deleted_since_is_not_created_again),
      LOST(a_refused_create_is_refused_again),
      LOST(a_section_with_a_generated_id_is_created_once_under_the_id_that_is_told),
      LOST(a_section_is_deleted_once),
      LOST(a_section_that_was_deleted_and_made_anew_since_is_not_deleted_again),
      LOST(an_overwrite_does_not_come_back_over_a_later_one),
      LOST(a_vector_does_not_come_back_over_later_writes),
      LOST(an_expiration_time_is_set_once),
      LOST(a_checkpoint_is_created_and_opened_once),
      LOST(an_existing_checkpoint_is_opened_once),
      LOST(a_checkpoint_is_closed_once),
      LOST(a_name_that_was_unlinked_and_given_anew_since_is_not_unlinked_again),
      LOST(a_retention_duration_does_not_come_back_over_a_later_one),
      LOST(the_active_replica_is_set_once),
      LOST(a_synchronize_is_answered_although_its_first_answer_was_lost),
      LOST(a_library_handle_is_finalized_once),
      LOST(an_initialize_succeeds_although_its_answer_was_lost),
      LOST(an_asynchronous_open_opens_once_and_calls_back_once),
      LOST(an_asynchronous_synchronize_calls_back_once),
      LOST(a_transaction_is_done_once_and_told_where_it_stands),
      LOST(a_conditional_transaction_that_was_done_is_not_judged_again),
      LOST(writes_that_nobody_waits_for_are_done_once_and_in_order),
      LOST(tracking_begins_and_ends_although_the_answer_was_lost),
      LOST(a_member_joins_once),
      LOST(a_member_leaves_once),
      LOST(a_promotion_is_confirmed_once),
      LOST(the_active_resigns_once),
      LOST(a_promotion_that_was_granted_is_not_granted_again_over_a_later_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
