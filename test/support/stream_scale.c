/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stream_scale.h.
 */
#include "test/support/stream_scale.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/limits.h"
#include "test/support/application.h"
#include "test/support/bell.h"
#include "test/support/call_again.h"
#include "test/support/child.h"
#include "test/support/daemon_fixture.h"
#include "test/support/raw_link.h"

#define SCALE_NAME "scale"
#define SECTIONS_MAX VESTA_SECTIONS_MAX
#define WRITERS 2U
#define DATA_BYTES 40U       /* of a section under load */
#define DATA_BYTES_MAX 2000U /* of one that shall fill the history */
#define FILL_SECTIONS 1000U  /* of one operation while the checkpoint is filled */
#define BUFFER_BYTES (1 << 20)
#define CALL_NS_MAX (10 * INT64_C(1000000000)) /* with all cores taken by others; it is milliseconds */
#define SCALE_MEMORY_KB (64 * 1024)            /* that a subscriber may take for a snapshot */
#define DEADLINE_NS (300 * INT64_C(1000000000))
#define CROWD_PROCESSES 10U
#define CROWD_EACH_MAX 20U

/* Shared by all processes of a scene. */
typedef struct scale {
  _Atomic bool stop;
  _Atomic uint64_t operations[WRITERS];
  _Atomic int64_t longest_ns[WRITERS]; /* of a call */
  _Atomic uint64_t last_seq;
  _Atomic uint32_t synced, resynced; /* streams that have got so far; resynced: after a LOST */
  _Atomic uint32_t at_end;           /* that have come to last_seq, after stop */
  _Atomic uint64_t awaited;          /* the bell is rung at so many operations; UINT64_MAX: nobody waits */
  bell_t bell;                       /* rung for these, too: synced, resynced, at_end */
  uint32_t sections;
  uint32_t txn_sections;         /* of one operation of the second writer */
  uint64_t values[SECTIONS_MAX]; /* by section, each of one writer alone */
} scale_t;

typedef struct scene {
  daemon_fixture_t daemon;
  scale_t *shared;
  pid_t writers[WRITERS];
  application_t application;
} scene_t;

/* ---- writing ---- */

static void must(bool fine, const char *what, SaAisErrorT error) {
  if (!fine) {
    (void)fprintf(stderr, "process %ld: %s (%d)\n", (long)getpid(), what, (int)error);
    _exit(1);
  }
}

static SaCkptSectionIdT section_of(const uint32_t *section) {
  union {
    const uint32_t *number;
    SaUint8T *bytes;
  } id = {.number = section};
  return (SaCkptSectionIdT){.idLen = sizeof *section, .id = id.bytes};
}

static void scale_open(application_t *application, uint32_t sections) {
  const SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = SA_CKPT_WR_ALL_REPLICAS,
                                                          .retentionDuration = SA_TIME_ONE_MINUTE,
                                                          .maxSections = sections,
                                                          .maxSectionSize = DATA_BYTES_MAX,
                                                          .maxSectionIdSize = sizeof(uint32_t)};
  application_open_as(application, SCALE_NAME, APPLICATION_ALL, &attributes);
}

static void scale_raise(_Atomic int64_t *highest, int64_t value) {
  int64_t now = atomic_load(highest);
  while (now < value && !atomic_compare_exchange_weak(highest, &now, value)) {
  }
}

static uint64_t operations(const scale_t *shared) {
  return atomic_load(&shared->operations[0]) + atomic_load(&shared->operations[1]);
}

/* One operation; the daemon may be restarted meanwhile. */
static void scale_commit(scale_t *shared, vesta_txn_t **txn, uint32_t writer) {
  vesta_position_t position;
  SaAisErrorT error;
  int64_t begin_ns = daemon_fixture_now_ns();
  do {
    error = vesta_txn_commit(txn, NULL, &position);
  } while (call_again(error, begin_ns + DEADLINE_NS));
  must(error == SA_AIS_OK, "committing", error);
  scale_raise(&shared->longest_ns[writer], daemon_fixture_now_ns() - begin_ns);
  uint64_t last = atomic_load(&shared->last_seq);
  while (last < position.seq && !atomic_compare_exchange_weak(&shared->last_seq, &last, position.seq)) {
  }
  atomic_fetch_add(&shared->operations[writer], 1);
  if (operations(shared) >= atomic_load(&shared->awaited)) {
    bell_ring(&shared->bell);
  }
}

static vesta_txn_t *scale_begin(const application_t *application) {
  vesta_txn_t *txn = NULL;
  SaAisErrorT error = vesta_txn_begin(application->checkpoint, &txn);
  must(error == SA_AIS_OK, "beginning", error);
  return txn;
}

static void scale_put(scale_t *shared, vesta_txn_t *txn, uint32_t section, SaSizeT size, bool is_new) {
  uint8_t data[DATA_BYTES_MAX] = {0};
  uint64_t value = shared->values[section] + 1;
  SaCkptSectionIdT id = section_of(&section);
  memcpy(data, &value, sizeof value);
  SaAisErrorT error =
      is_new ? vesta_txn_create(txn, &id, data, size, SA_TIME_END) : vesta_txn_overwrite(txn, &id, data, size);
  must(error == SA_AIS_OK, "adding", error);
  shared->values[section] = value;
}

/* Every section, a thousand at a time. */
static void scale_fill(scale_t *shared, const application_t *application, SaSizeT size, bool is_new) {
  for (uint32_t section = 0; section < shared->sections;) {
    vesta_txn_t *txn = scale_begin(application);
    for (uint32_t i = 0; i < FILL_SECTIONS && section < shared->sections; i++) {
      scale_put(shared, txn, section++, size, is_new);
    }
    scale_commit(shared, &txn, 0);
  }
}

/* Its own sections are those of its number, modulo WRITERS. */
static void writer_run(scale_t *shared, uint32_t number) {
  application_t application;
  unsigned random = number + 1;
  scale_open(&application, shared->sections);
  while (!atomic_load(&shared->stop)) {
    vesta_txn_t *txn = scale_begin(&application);
    for (uint32_t i = 0; i < (number == 0 ? 1 : shared->txn_sections); i++) {
      uint32_t draw = (uint32_t)rand_r(&random) % (shared->sections / WRITERS);
      scale_put(shared, txn, draw * WRITERS + number, DATA_BYTES, false);
    }
    scale_commit(shared, &txn, number);
  }
  _exit(0);
}

static void scene_open(scene_t *scene, uint32_t sections, uint32_t txn_sections) {
  *scene = (scene_t){0};
  void *memory = mmap(NULL, sizeof(scale_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(memory, MAP_FAILED);
  scene->shared = memory;
  scene->shared->sections = sections;
  scene->shared->txn_sections = txn_sections;
  scene->shared->awaited = UINT64_MAX;
  scene->shared->bell = bell_new();
  daemon_fixture_open(&scene->daemon);
}

static void scene_writers_begin(scene_t *scene) {
  for (uint32_t i = 0; i < WRITERS; i++) {
    atomic_store(&scene->shared->operations[i], 0);
    atomic_store(&scene->shared->longest_ns[i], 0);
    scene->writers[i] = child_fork();
    if (scene->writers[i] == 0) {
      writer_run(scene->shared, i);
    }
  }
}

/* Until both have written, and together so much. */
static void scene_writers_wait(const scene_t *scene, uint64_t least) {
  scale_t *shared = scene->shared;
  int64_t until_ns = daemon_fixture_now_ns() + DEADLINE_NS;
  while (operations(shared) < least || atomic_load(&shared->operations[0]) == 0 ||
         atomic_load(&shared->operations[1]) == 0) {
    uint64_t now = operations(shared);
    atomic_store(&shared->awaited, now < least ? least : now + 1);
    if (operations(shared) < atomic_load(&shared->awaited)) {
      assert_true(bell_wait(&shared->bell, scene->writers, WRITERS, until_ns));
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
      assert_int_equal(waitpid(scene->writers[i], NULL, WNOHANG), 0);
    }
  }
  atomic_store(&shared->awaited, UINT64_MAX);
}

static void scene_writers_end(scene_t *scene) {
  atomic_store(&scene->shared->stop, true);
  for (uint32_t i = 0; i < WRITERS; i++) {
    int status;
    assert_int_equal(waitpid(scene->writers[i], &status, 0), scene->writers[i]);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
}

static void scene_close(scene_t *scene) {
  application_close(&scene->application);
  daemon_fixture_close(&scene->daemon);
  bell_destroy(&scene->shared->bell);
  (void)munmap(scene->shared, sizeof *scene->shared);
}

/* What is not in files that processes share. */
static int64_t process_memory_kb(pid_t pid) {
  char path[64];
  char line[256];
  long long kb = -1;
  (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
  FILE *status = fopen(path, "re");
  assert_non_null(status);
  while (kb < 0 && fgets(line, sizeof line, status) != NULL) {
    (void)sscanf(line, "RssAnon: %lld kB", &kb);
  }
  (void)fclose(status);
  assert_true(kb >= 0);
  return kb;
}

/* ---- following ---- */

typedef struct follower {
  uint64_t *values; /* by section, 0: it is not there */
  uint64_t seq;
  uint64_t changes, resync_changes, resyncs, full_resyncs, lost;
  bool synced;
} follower_t;

static void follow(follower_t *follower, uint32_t sections, const vesta_change_t *change) {
  if (change->kind <= VESTA_CHANGE_DELETED) {
    uint32_t section = sections;
    must(change->id.idLen == sizeof section, "an unknown section", SA_AIS_OK);
    memcpy(&section, change->id.id, sizeof section);
    must(section < sections, "an unknown section", SA_AIS_OK);
    uint64_t value = 0;
    if (change->kind != VESTA_CHANGE_DELETED) {
      memcpy(&value, change->data, sizeof value);
    }
    if (follower->values != NULL) {
      follower->values[section] = value;
    }
    follower->changes++;
    follower->resync_changes += change->resync != SA_FALSE;
    must(change->resync != SA_FALSE || change->position.seq == follower->seq + 1, "a gap", SA_AIS_OK);
  }
  follower->resyncs += change->kind == VESTA_CHANGE_RESYNC_BEGIN;
  follower->full_resyncs += change->kind == VESTA_CHANGE_RESYNC_BEGIN && change->full != SA_FALSE;
  follower->lost += change->kind == VESTA_CHANGE_LOST;
  follower->synced = change->kind == VESTA_CHANGE_SYNCED || (follower->synced && change->kind != VESTA_CHANGE_LOST &&
                                                             change->kind != VESTA_CHANGE_RESYNC_BEGIN);
  bool ends = change->index + 1 == change->count || change->kind >= VESTA_CHANGE_SYNCED; /* an operation is whole */
  if (change->resync == SA_FALSE && ends && change->kind != VESTA_CHANGE_LOST &&
      change->kind != VESTA_CHANGE_RESYNC_BEGIN) {
    follower->seq = change->position.seq;
  }
}

/* @return false when nothing came within the time */
static bool follower_take(follower_t *follower, vesta_stream_t *stream, uint32_t sections, SaTimeT timeout) {
  vesta_change_t change;
  SaAisErrorT error = vesta_stream_next(stream, timeout, &change);
  if (error == SA_AIS_OK) {
    follow(follower, sections, &change);
  } else {
    must(error == SA_AIS_ERR_TIMEOUT || error == SA_AIS_ERR_TRY_AGAIN, "taking a change", error);
  }
  return error == SA_AIS_OK;
}

static void follower_until_synced(follower_t *follower, vesta_stream_t *stream, uint32_t sections) {
  int64_t until_ns = daemon_fixture_now_ns() + DEADLINE_NS;
  do {
    assert_true(daemon_fixture_now_ns() < until_ns);
    (void)follower_take(follower, stream, sections, SA_TIME_ONE_SECOND);
  } while (!follower->synced);
}

static void follower_until_seq(follower_t *follower, vesta_stream_t *stream, uint32_t sections, uint64_t seq) {
  int64_t until_ns = daemon_fixture_now_ns() + DEADLINE_NS;
  while (!follower->synced || follower->seq < seq) {
    assert_true(daemon_fixture_now_ns() < until_ns);
    (void)follower_take(follower, stream, sections, SA_TIME_ONE_SECOND);
  }
}

static void assert_same(const follower_t *follower, const scale_t *shared) {
  for (uint32_t i = 0; i < shared->sections; i++) {
    if (follower->values[i] != shared->values[i]) {
      fail_msg("section %u is %llu and should be %llu", i, (unsigned long long)follower->values[i],
               (unsigned long long)shared->values[i]);
    }
  }
}

/* ---- a snapshot under load, and a small resync ---- */

static int64_t longest_ns(const scale_t *shared) {
  int64_t a = atomic_load(&shared->longest_ns[0]);
  int64_t b = atomic_load(&shared->longest_ns[1]);
  return a > b ? a : b;
}

/* How fast both writers are when left alone. */
static uint64_t operations_each_s(const scene_t *scene) {
  enum { SAMPLE = 2000 };
  const scale_t *shared = scene->shared;
  scene_writers_wait(scene, 1);
  int64_t begin_ns = daemon_fixture_now_ns();
  uint64_t begin = operations(shared);
  scene_writers_wait(scene, begin + SAMPLE);
  return (operations(shared) - begin) * UINT64_C(1000000000) / (uint64_t)(daemon_fixture_now_ns() - begin_ns);
}

static void snapshot_take(scene_t *scene, follower_t *follower, vesta_stream_t **stream) {
  const vesta_stream_options_t options = {.buffer_bytes = BUFFER_BYTES};
  scale_t *shared = scene->shared;
  int64_t mine_kb = process_memory_kb(getpid());
  int64_t daemons_kb = process_memory_kb(scene->daemon.pid);
  uint64_t before = operations_each_s(scene);
  int64_t begin_ns = daemon_fixture_now_ns();
  uint64_t begin_operations = operations(shared);
  assert_int_equal(vesta_stream_open(scene->application.checkpoint, &options, stream), SA_AIS_OK);
  follower_until_synced(follower, *stream, shared->sections);
  int64_t took_ms = (daemon_fixture_now_ns() - begin_ns) / 1000000;
  uint64_t meanwhile = operations(shared) - begin_operations;
  mine_kb = process_memory_kb(getpid()) - mine_kb;
  daemons_kb = process_memory_kb(scene->daemon.pid) - daemons_kb;
  print_message("%u sections in %lld ms; operations a second: %llu before, %llu meanwhile, the longest %lld us; "
                "%llu walks; kB more: subscriber %lld, daemon %lld\n",
                shared->sections, (long long)took_ms, (unsigned long long)before,
                (unsigned long long)(meanwhile * 1000 / (uint64_t)(took_ms + 1)),
                (long long)(longest_ns(shared) / 1000), (unsigned long long)follower->resyncs, (long long)mine_kb,
                (long long)daemons_kb);
  assert_true(meanwhile > 0);
  assert_true(longest_ns(shared) < CALL_NS_MAX);
  assert_true(mine_kb < SCALE_MEMORY_KB);
  assert_true(daemons_kb < (int64_t)((VESTA_STREAM_QUEUE_BYTES_MAX + VESTA_STREAM_ANSWER_BYTES_MAX) >> 10));
}

/* Some are changed, one is deleted, and history does not reach back any more: what is sent is what changed. */
static void small_resync(scene_t *scene, follower_t *follower, vesta_stream_t **stream) {
  enum { CHANGED = 10 };
  scale_t *shared = scene->shared;
  vesta_stream_options_t options = {.from = VESTA_FROM_POSITION};
  assert_int_equal(vesta_stream_position(*stream, &options.position), SA_AIS_OK);
  assert_int_equal(vesta_stream_close(stream), SA_AIS_OK);
  int64_t snapshots = raw_counter(scene->daemon.socket, "stream_requests");
  for (uint32_t i = 0; i < 3 * (VESTA_LOG_BYTES_HISTORY / DATA_BYTES_MAX); i++) {
    vesta_txn_t *txn = scale_begin(&scene->application);
    scale_put(shared, txn, i % CHANGED * (shared->sections / CHANGED), DATA_BYTES_MAX, false);
    scale_commit(shared, &txn, 0);
  }
  uint32_t gone = shared->sections - 1;
  SaCkptSectionIdT id = section_of(&gone);
  vesta_txn_t *txn = scale_begin(&scene->application);
  assert_int_equal(vesta_txn_delete(txn, &id), SA_AIS_OK);
  shared->values[gone] = 0;
  scale_commit(shared, &txn, 0);
  follower_t before = *follower;
  follower->synced = false;
  int64_t begin_ns = daemon_fixture_now_ns();
  assert_int_equal(vesta_stream_open(scene->application.checkpoint, &options, stream), SA_AIS_OK);
  follower_until_synced(follower, *stream, shared->sections);
  print_message("%u of them resynced in %lld us\n", CHANGED + 1,
                (long long)((daemon_fixture_now_ns() - begin_ns) / 1000));
  assert_int_equal(follower->lost, before.lost + 1);
  assert_int_equal(follower->full_resyncs, before.full_resyncs);
  assert_int_equal(follower->resync_changes, before.resync_changes + CHANGED + 1);
  assert_int_equal(raw_counter(scene->daemon.socket, "stream_requests"), snapshots + 2); /* history, and one chunk */
  assert_same(follower, shared);
}

void stream_scale_snapshot(uint32_t sections) {
  scene_t scene;
  follower_t follower = {.values = calloc(sections, sizeof *follower.values)};
  vesta_stream_t *stream = NULL;
  assert_non_null(follower.values);
  memset(follower.values, 0xff, sections * sizeof *follower.values); /* so that its pages are there */
  memset(follower.values, 0, sections * sizeof *follower.values);
  scene_open(&scene, sections, 100);
  scale_open(&scene.application, sections);
  scale_fill(scene.shared, &scene.application, DATA_BYTES, true);
  scene_writers_begin(&scene);
  snapshot_take(&scene, &follower, &stream);
  scene_writers_end(&scene);
  follower_until_seq(&follower, stream, sections, atomic_load(&scene.shared->last_seq));
  assert_same(&follower, scene.shared);
  assert_int_equal(follower.full_resyncs, 1);
  small_resync(&scene, &follower, &stream);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  free(follower.values);
  scene_close(&scene);
}

/* ---- a crowd ---- */

typedef struct crowd_member {
  vesta_stream_t *stream;
  follower_t follower;
  bool was_synced, was_resynced, was_at_end;
} crowd_member_t;

/* Each says each thing once. */
static void crowd_tell(const scale_t *shared, bool now, bool *was, _Atomic uint32_t *count) {
  if (now && !*was) {
    *was = true;
    atomic_fetch_add(count, 1);
    bell_ring(&shared->bell);
  }
}

/* Take what is there, and say how far it has got. */
static void crowd_member_take(crowd_member_t *member, scale_t *shared) {
  enum { BURST = 1000 };
  follower_t *follower = &member->follower;
  for (uint32_t i = 0; i < BURST && follower_take(follower, member->stream, shared->sections, 0); i++) {
  }
  crowd_tell(shared, follower->synced, &member->was_synced, &shared->synced);
  crowd_tell(shared, follower->synced && follower->lost != 0, &member->was_resynced, &shared->resynced);
  bool at_end = follower->synced && follower->seq >= atomic_load(&shared->last_seq);
  crowd_tell(shared, atomic_load(&shared->stop) && at_end, &member->was_at_end, &shared->at_end);
}

/* One operation more: whoever had come to the end before it was one looks again. */
static void scale_touch(scene_t *scene) {
  vesta_txn_t *txn = scale_begin(&scene->application);
  scale_put(scene->shared, txn, 0, DATA_BYTES, false);
  scale_commit(scene->shared, &txn, 0);
}

/* One process with several streams: takes whatever comes on any of them. */
static void crowd_run(scale_t *shared, uint32_t streams) {
  static crowd_member_t members[CROWD_EACH_MAX];
  struct pollfd fds[CROWD_EACH_MAX];
  const vesta_stream_options_t options = {.buffer_bytes = BUFFER_BYTES};
  application_t application;
  application_open(&application, SCALE_NAME, SA_CKPT_CHECKPOINT_READ);
  for (uint32_t i = 0; i < streams; i++) {
    SaSelectionObjectT fd = 0;
    SaAisErrorT error = vesta_stream_open(application.checkpoint, &options, &members[i].stream);
    must(error == SA_AIS_OK && vesta_stream_fd(members[i].stream, &fd) == SA_AIS_OK, "opening a stream", error);
    fds[i] = (struct pollfd){.fd = (int)fd, .events = POLLIN};
  }
  for (;;) {
    (void)poll(fds, streams, -1);
    for (uint32_t i = 0; i < streams; i++) {
      crowd_member_take(&members[i], shared);
    }
  }
}

static void crowd_wait(const scale_t *shared, const pid_t *crowd, const _Atomic uint32_t *count, uint32_t wanted,
                       const char *what) {
  int64_t until_ns = daemon_fixture_now_ns() + DEADLINE_NS;
  while (atomic_load(count) < wanted) {
    if (!bell_wait(&shared->bell, crowd, CROWD_PROCESSES, until_ns)) {
      fail_msg("%u of %u %s", atomic_load(count), wanted, what);
    }
    for (uint32_t i = 0; i < CROWD_PROCESSES; i++) {
      assert_int_equal(waitpid(crowd[i], NULL, WNOHANG), 0);
    }
  }
}

static void crowd_signal(const pid_t *crowd, int signal) {
  for (uint32_t i = 0; i < CROWD_PROCESSES; i++) {
    assert_int_equal(kill(crowd[i], signal), 0);
  }
}

static void crowd_resync(scene_t *scene, const pid_t *crowd, uint32_t subscribers) {
  scale_t *shared = scene->shared;
  crowd_signal(crowd, SIGSTOP);
  scale_fill(shared, &scene->application, DATA_BYTES_MAX, false);
  daemon_fixture_kill(&scene->daemon);
  daemon_fixture_start(&scene->daemon);
  scene_writers_begin(scene);
  scene_writers_wait(scene, 1);
  int64_t begin_ns = daemon_fixture_now_ns();
  uint64_t begin_operations = operations(shared);
  atomic_store(&shared->longest_ns[0], 0);
  atomic_store(&shared->longest_ns[1], 0);
  crowd_signal(crowd, SIGCONT);
  crowd_wait(shared, crowd, &shared->resynced, subscribers, "resynced");
  int64_t took_ms = (daemon_fixture_now_ns() - begin_ns) / 1000000;
  uint64_t meanwhile = operations(shared) - begin_operations;
  int64_t walks_max = raw_counter(scene->daemon.socket, "stream_walks_max");
  int64_t waited = raw_counter(scene->daemon.socket, "stream_walks_waited");
  print_message(
      "%u subscribers resynced in %lld ms, %llu operations meanwhile, the longest %lld us; at most %lld walks "
      "at a time, %lld waited\n",
      subscribers, (long long)took_ms, (unsigned long long)meanwhile, (long long)(longest_ns(shared) / 1000),
      (long long)walks_max, (long long)waited);
  assert_true(meanwhile > 0);
  assert_true(longest_ns(shared) < CALL_NS_MAX);
  assert_true(walks_max <= VESTA_STREAM_WALKS_MAX / 2); /* they are all of one user */
  assert_true(waited > 0);
}

void stream_scale_crowd(uint32_t subscribers, uint32_t sections) {
  scene_t scene;
  pid_t crowd[CROWD_PROCESSES];
  scene_open(&scene, sections, 10); /* each operation goes to all of the crowd */
  assert_true(subscribers % CROWD_PROCESSES == 0 && subscribers / CROWD_PROCESSES <= CROWD_EACH_MAX);
  scale_open(&scene.application, sections);
  scale_fill(scene.shared, &scene.application, DATA_BYTES, true);
  for (uint32_t i = 0; i < CROWD_PROCESSES; i++) {
    crowd[i] = child_fork();
    if (crowd[i] == 0) {
      crowd_run(scene.shared, subscribers / CROWD_PROCESSES);
    }
  }
  crowd_wait(scene.shared, crowd, &scene.shared->synced, subscribers, "synced");
  crowd_resync(&scene, crowd, subscribers);
  scene_writers_end(&scene);
  scale_touch(&scene);
  crowd_wait(scene.shared, crowd, &scene.shared->at_end, subscribers, "at the end");
  for (uint32_t i = 0; i < CROWD_PROCESSES; i++) {
    int status;
    assert_int_equal(kill(crowd[i], SIGKILL), 0);
    assert_int_equal(waitpid(crowd[i], &status, 0), crowd[i]);
    assert_false(WIFEXITED(status));
  }
  scene_close(&scene);
}
