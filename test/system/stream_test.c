/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The stream, against a real vestad: every change in order and without a gap, whatever the subscriber, the writer and
 * the daemon do; where that can't be, LOST says so and a resync brings the state.
 *
 * What a subscriber has taken is judged by a `follower`: it checks that positions never skip a seq unless a LOST or
 * a snapshot said so, and keeps the newest value of each section, to be compared with what was written.
 */
#include <vesta.h>

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/child.h"
#include "test/support/daemon_fixture.h"

/* ---- a follower ---- */

#define VALUES 256U

typedef struct follower {
  uint64_t lineage, seq; /* of the last operation taken */
  bool resyncing, full, synced;
  uint64_t lost, resyncs, full_resyncs, changes;
  vesta_lost_reason_t reason; /* of the last LOST */
  bool there[VALUES], named[VALUES];
  uint64_t values[VALUES];
} follower_t;

static unsigned value_index(const SaCkptSectionIdT *id) {
  char text[16] = "";
  unsigned index = VALUES;
  memcpy(text, id->id, id->idLen < sizeof text ? id->idLen : sizeof text - 1);
  assert_int_equal(sscanf(text, "v%u", &index), 1);
  assert_true(index < VALUES);
  return index;
}

static void follow_section(follower_t *follower, const vesta_change_t *change) {
  unsigned index = value_index(&change->id);
  follower->there[index] = change->kind != VESTA_CHANGE_DELETED;
  follower->named[index] = true;
  if (change->kind == VESTA_CHANGE_CREATED || change->kind == VESTA_CHANGE_OVERWRITTEN) {
    assert_true(change->size >= sizeof follower->values[index]);
    memcpy(&follower->values[index], change->data, sizeof follower->values[index]);
  }
}

static void follow_resync_end(follower_t *follower) {
  assert_true(follower->resyncing);
  for (unsigned i = 0; i < VALUES && follower->full; i++) {
    follower->there[i] = follower->there[i] && follower->named[i];
  }
  follower->resyncing = false;
}

static void follow(follower_t *follower, const vesta_change_t *change) {
  bool live = change->kind <= VESTA_CHANGE_EPOCH && !change->resync;
  if (live) {
    assert_false(follower->resyncing);
    assert_int_equal(change->position.lineage, follower->lineage);
    assert_int_equal(change->position.seq, follower->seq + (change->index == 0 ? 1 : 0));
    follower->changes++;
  }
  if (change->kind <= VESTA_CHANGE_DELETED) {
    follow_section(follower, change);
  } else if (change->kind == VESTA_CHANGE_LOST) {
    follower->lost++;
    follower->reason = change->reason;
    follower->synced = false;
  } else if (change->kind == VESTA_CHANGE_RESYNC_BEGIN) {
    follower->resyncing = true;
    follower->synced = false;
    follower->full = change->full != SA_FALSE;
    follower->resyncs++;
    follower->full_resyncs += follower->full;
    memset(follower->named, 0, sizeof follower->named);
  } else if (change->kind == VESTA_CHANGE_RESYNC_END) {
    follow_resync_end(follower);
  }
  follower->synced = follower->synced || change->kind == VESTA_CHANGE_SYNCED;
  if (live || change->kind == VESTA_CHANGE_RESYNC_END || change->kind == VESTA_CHANGE_SYNCED) {
    follower->lineage = change->position.lineage;
    follower->seq = change->position.seq;
  }
}

static void take(vesta_stream_t *stream, follower_t *follower, vesta_change_t *change) {
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, change), SA_AIS_OK);
  follow(follower, change);
}

static void take_until_synced(vesta_stream_t *stream, follower_t *follower) {
  vesta_change_t change;
  while (!follower->synced) {
    take(stream, follower, &change);
  }
}

static void take_until_seq(vesta_stream_t *stream, follower_t *follower, uint64_t seq) {
  vesta_change_t change;
  while (follower->seq < seq || follower->resyncing) {
    take(stream, follower, &change);
  }
  assert_int_equal(follower->seq, seq);
}

static vesta_stream_t *open_stream(const application_t *application, const vesta_stream_options_t *options) {
  vesta_stream_t *stream = NULL;
  assert_int_equal(vesta_stream_open(application->checkpoint, options, &stream), SA_AIS_OK);
  return stream;
}

/* ---- writing ---- */

/* Sections v0 to v255, each with the number of the write as its value. */
typedef struct writer {
  application_t application;
  uint64_t writes;
  uint64_t values[VALUES];
} writer_t;

static void writer_open(writer_t *writer, const char *name) {
  *writer = (writer_t){0};
  application_open(&writer->application, name, APPLICATION_ALL);
}

static void writer_write(writer_t *writer, unsigned index, SaSizeT size) {
  static uint8_t data[APPLICATION_SECTION_BYTES_MAX];
  char id[16];
  uint64_t value = ++writer->writes;
  (void)snprintf(id, sizeof id, "v%u", index);
  memcpy(data, &value, sizeof value);
  bool is_new = writer->values[index] == 0;
  SaAisErrorT error = is_new ? application_create(&writer->application, id, data, size)
                             : application_overwrite(&writer->application, id, data, size);
  assert_int_equal(error, SA_AIS_OK);
  writer->values[index] = value;
}

static void writer_write_many(writer_t *writer, uint32_t count, SaSizeT size) {
  for (uint32_t i = 0; i < count; i++) {
    writer_write(writer, (unsigned)(writer->writes % VALUES), size);
  }
}

static void assert_same(const follower_t *follower, const writer_t *writer) {
  for (unsigned i = 0; i < VALUES; i++) {
    assert_int_equal(follower->there[i], writer->values[i] != 0);
    assert_true(!follower->there[i] || follower->values[i] == writer->values[i]);
  }
}

/* ---- tests ---- */

static void a_snapshot_comes_first_and_then_every_kind_of_change_in_order(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "kinds", APPLICATION_ALL);
  assert_int_equal(application_create(&application, "v0", "12345678", 8), SA_AIS_OK);
  vesta_stream_t *stream = open_stream(&application, NULL);
  vesta_change_t change;
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_RESYNC_BEGIN);
  assert_int_equal(change.full, SA_TRUE);
  assert_int_equal(change.from.seq, 0);
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_CREATED);
  assert_int_equal(change.resync, SA_TRUE);
  assert_int_equal(change.size, 8);
  assert_memory_equal(change.data, "12345678", 8);
  assert_int_equal(change.expiry, SA_TIME_END);
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_RESYNC_END);
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_SYNCED);
  assert_int_equal(change.position.seq, 1);

  SaCkptSectionIdT v0 = section_id("v0");
  SaCkptIOVectorElementT vector[2] = {{.sectionId = v0, .dataBuffer = (char[]){"AB"}, .dataSize = 2, .dataOffset = 1},
                                      {.sectionId = v0, .dataBuffer = (char[]){"C"}, .dataSize = 1, .dataOffset = 9}};
  SaUint32T erroneous;
  assert_int_equal(saCkptCheckpointWrite(application.checkpoint, vector, 2, &erroneous), SA_AIS_OK);
  assert_int_equal(application_overwrite(&application, "v0", "x", 1), SA_AIS_OK);
  SaTimeT expiry = SA_TIME_END - 1;
  assert_int_equal(saCkptSectionExpirationTimeSet(application.checkpoint, &v0, expiry), SA_AIS_OK);
  assert_int_equal(application_delete(&application, "v0"), SA_AIS_OK);
  assert_int_equal(saCkptCheckpointRetentionDurationSet(application.checkpoint, SA_TIME_ONE_HOUR), SA_AIS_OK);
  assert_int_equal(saCkptCheckpointUnlink(application.library, &application.name), SA_AIS_OK);

  static const struct {
    vesta_change_kind_t kind;
    SaUint64T seq;
    SaUint32T index, count;
    SaSizeT size;
    SaOffsetT offset;
  } expected[] = {{VESTA_CHANGE_WRITTEN, 2, 0, 2, 2, 1},     {VESTA_CHANGE_WRITTEN, 2, 1, 2, 1, 9},
                  {VESTA_CHANGE_OVERWRITTEN, 3, 0, 1, 1, 0}, {VESTA_CHANGE_EXPIRY_SET, 4, 0, 1, 0, 0},
                  {VESTA_CHANGE_DELETED, 5, 0, 1, 0, 0},     {VESTA_CHANGE_RETENTION_SET, 6, 0, 1, 0, 0},
                  {VESTA_CHANGE_UNLINKED, 7, 0, 1, 0, 0}};
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
    assert_int_equal(change.kind, expected[i].kind);
    assert_int_equal(change.position.seq, expected[i].seq);
    assert_int_equal(change.index, expected[i].index);
    assert_int_equal(change.count, expected[i].count);
    assert_int_equal(change.size, expected[i].size);
    assert_int_equal(change.offset, expected[i].offset);
    assert_int_equal(change.resync, SA_FALSE);
    assert_true(change.time > 0);
    if (change.kind == VESTA_CHANGE_EXPIRY_SET || change.kind == VESTA_CHANGE_RETENTION_SET) {
      assert_int_equal(change.expiry, change.kind == VESTA_CHANGE_EXPIRY_SET ? expiry : SA_TIME_ONE_HOUR);
    }
  }
  vesta_stream_close(&stream);
  application_close(&application);
}

static void a_stream_under_load_has_no_gap_and_the_values_that_were_written(void **state) {
  (void)state;
  enum { WRITES = 20000 };
  writer_t writer;
  writer_open(&writer, "load");
  application_t reader;
  application_open(&reader, "load", SA_CKPT_CHECKPOINT_READ);
  static follower_t follower;
  follower = (follower_t){0};
  vesta_stream_t *stream = open_stream(&reader, NULL);
  writer_write_many(&writer, 1000, 8);
  take_until_synced(stream, &follower);
  vesta_change_t change;
  while (writer.writes < WRITES) { /* this process both writes and follows, neither waits for the other */
    writer_write_many(&writer, 50, 200);
    while (vesta_stream_next(stream, 0, &change) == SA_AIS_OK) {
      follow(&follower, &change);
    }
  }
  take_until_seq(stream, &follower, WRITES);
  assert_same(&follower, &writer);
  assert_int_equal(follower.lost, 0);
  assert_int_equal(follower.resyncs, 1);
  vesta_stream_close(&stream);
  application_close(&reader);
  application_close(&writer.application);
}

/* A process that writes until it is told to stop, so that what the test does happens under load. */
typedef struct load {
  pid_t pid;
  int done; /* the number of writes comes from here when it stops */
} load_t;

static volatile sig_atomic_t load_stop;
static void load_stopped(int signal) {
  (void)signal;
  load_stop = 1;
}

static void load_run(const char *name, int done) {
  (void)signal(SIGTERM, load_stopped);
  writer_t *writer = calloc(1, sizeof *writer);
  writer_open(writer, name);
  while (load_stop == 0) {
    writer_write_many(writer, 20, 300);
  }
  ssize_t written = write(done, writer->values, sizeof writer->values);
  _exit(written == (ssize_t)sizeof writer->values ? 0 : 1);
}

static load_t load_start(const char *name) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  load_t load = {.pid = child_fork(), .done = ends[0]};
  if (load.pid == 0) {
    (void)close(ends[0]);
    load_run(name, ends[1]);
  }
  (void)close(ends[1]);
  return load;
}

static void load_end(const load_t *load, writer_t *writer) {
  int status;
  assert_int_equal(kill(load->pid, SIGTERM), 0);
  assert_int_equal(read(load->done, writer->values, sizeof writer->values), (ssize_t)sizeof writer->values);
  assert_int_equal(waitpid(load->pid, &status, 0), load->pid);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  (void)close(load->done);
  writer->writes = 0;
  for (unsigned i = 0; i < VALUES; i++) {
    writer->writes = writer->values[i] > writer->writes ? writer->values[i] : writer->writes;
  }
}

static void a_daemon_that_is_killed_and_restarted_under_load_leaves_no_silent_gap(void **state) {
  (void)state;
  static writer_t writer;
  static follower_t follower;
  follower = (follower_t){0};
  application_t reader;
  application_open(&reader, "restart", APPLICATION_ALL);
  vesta_stream_t *stream = open_stream(&reader, NULL);
  take_until_synced(stream, &follower);
  load_t load = load_start("restart");
  for (uint64_t round = 1; round <= 3; round++) {
    vesta_change_t change;
    for (uint64_t until = follower.changes + 2000; follower.changes < until;) {
      take(stream, &follower, &change);
    }
    daemon_fixture_kill(&daemon_of_test);
    daemon_fixture_start(&daemon_of_test);
  }
  vesta_change_t change;
  for (uint64_t until = follower.changes + 2000; follower.changes < until;) {
    take(stream, &follower, &change);
  }
  load_end(&load, &writer);
  take_until_seq(stream, &follower, writer.writes);
  assert_same(&follower, &writer);
  vesta_stream_close(&stream);
  application_close(&reader);
}

static void a_subscriber_that_does_not_read_neither_stops_the_writer_nor_misses_the_end(void **state) {
  (void)state;
  writer_t writer;
  writer_open(&writer, "slow");
  static follower_t follower;
  follower = (follower_t){0};
  vesta_stream_options_t options = {.buffer_bytes = 1 << 20};
  vesta_stream_t *stream = open_stream(&writer.application, &options);
  take_until_synced(stream, &follower);
  writer_write_many(&writer, 8000, 60000); /* 480 MB, far beyond every buffer on the way */
  take_until_seq(stream, &follower, 8000);
  assert_same(&follower, &writer);
  assert_true(follower.lost > 0); /* and it was told */
  vesta_stream_close(&stream);
  application_close(&writer.application);
}

static void a_stream_from_a_position_goes_on_where_another_ended(void **state) {
  (void)state;
  writer_t writer;
  writer_open(&writer, "resume");
  static follower_t follower;
  follower = (follower_t){0};
  vesta_stream_t *stream = open_stream(&writer.application, NULL);
  writer_write_many(&writer, 100, 8);
  take_until_synced(stream, &follower);
  take_until_seq(stream, &follower, 100);
  vesta_stream_options_t options = {.from = VESTA_FROM_POSITION};
  char text[VESTA_POSITION_TEXT_BYTES];
  assert_int_equal(vesta_stream_position(stream, &options.position), SA_AIS_OK);
  assert_int_equal(vesta_position_format(&options.position, text), SA_AIS_OK);
  vesta_stream_close(&stream);
  writer_write_many(&writer, 500, 8);
  assert_int_equal(vesta_position_parse(text, &options.position), SA_AIS_OK);
  stream = open_stream(&writer.application, &options);
  take_until_seq(stream, &follower, 600);
  assert_same(&follower, &writer);
  assert_int_equal(follower.lost, 0);
  assert_int_equal(follower.resyncs, 1);
  vesta_stream_close(&stream);
  application_close(&writer.application);
}

static void a_position_that_the_history_does_not_reach_is_lost_and_what_changed_is_resynced(void **state) {
  (void)state;
  writer_t writer;
  writer_open(&writer, "old");
  static follower_t follower;
  follower = (follower_t){0};
  vesta_stream_t *stream = open_stream(&writer.application, NULL);
  writer_write_many(&writer, VALUES, 8);
  take_until_synced(stream, &follower);
  take_until_seq(stream, &follower, VALUES);
  vesta_stream_options_t options = {.from = VESTA_FROM_POSITION};
  assert_int_equal(vesta_stream_position(stream, &options.position), SA_AIS_OK);
  vesta_stream_close(&stream);
  for (unsigned i = 0; i < 1000; i++) { /* 60 MB, all in eight sections */
    writer_write(&writer, i % 8, 60000);
  }
  assert_int_equal(application_delete(&writer.application, "v200"), SA_AIS_OK);
  writer.values[200] = 0;
  stream = open_stream(&writer.application, &options);
  vesta_change_t change;
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_LOST);
  assert_int_equal(change.reason, VESTA_LOST_HISTORY);
  assert_memory_equal(&change.from, &options.position, sizeof change.from);
  uint64_t named = 0;
  do {
    take(stream, &follower, &change);
    named += change.resync && change.kind <= VESTA_CHANGE_DELETED;
  } while (change.kind != VESTA_CHANGE_SYNCED);
  assert_same(&follower, &writer);
  assert_int_equal(named, 9);
  assert_int_equal(follower.full_resyncs, 1); /* the first one */
  vesta_stream_close(&stream);
  application_close(&writer.application);
}

static void a_position_of_another_history_is_diverged_and_everything_is_resynced(void **state) {
  (void)state;
  writer_t writer;
  writer_open(&writer, "diverged");
  writer_write_many(&writer, 10, 8);
  static follower_t follower;
  follower = (follower_t){.there = {[77] = true}}; /* of the other history */
  vesta_stream_options_t options = {.from = VESTA_FROM_POSITION, .position = {12345, 1, 5}};
  vesta_stream_t *stream = open_stream(&writer.application, &options);
  take_until_synced(stream, &follower);
  assert_int_equal(follower.lost, 1);
  assert_int_equal(follower.reason, VESTA_LOST_DIVERGED);
  assert_int_equal(follower.full_resyncs, 1);
  assert_same(&follower, &writer);
  vesta_stream_close(&stream);
  application_close(&writer.application);
}

static void a_stream_from_now_brings_nothing_that_was_before(void **state) {
  (void)state;
  writer_t writer;
  writer_open(&writer, "now");
  writer_write_many(&writer, 10, 8);
  vesta_stream_options_t options = {.from = VESTA_FROM_NOW};
  vesta_stream_t *stream = open_stream(&writer.application, &options);
  vesta_change_t change;
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_SYNCED);
  assert_int_equal(change.position.seq, 10);
  writer_write_many(&writer, 1, 8);
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.position.seq, 11);
  vesta_stream_close(&stream);
  application_close(&writer.application);
}

static bool readable(SaSelectionObjectT fd, int timeout_ms) {
  struct pollfd one = {.fd = (int)fd, .events = POLLIN};
  return poll(&one, 1, timeout_ms) == 1;
}

static void the_descriptor_stays_readable_while_there_is_something_to_take(void **state) {
  (void)state;
  writer_t writer;
  writer_open(&writer, "level");
  vesta_stream_options_t options = {.from = VESTA_FROM_NOW};
  vesta_stream_t *stream = open_stream(&writer.application, &options);
  SaSelectionObjectT fd, again;
  assert_int_equal(vesta_stream_fd(stream, &fd), SA_AIS_OK);
  assert_int_equal(vesta_stream_fd(stream, &again), SA_AIS_OK);
  assert_int_equal(fd, again);
  vesta_change_t change;
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK); /* SYNCED */
  enum { WRITES = 200 };
  writer_write_many(&writer, WRITES, 8);
  int taken = 0;
  while (taken < WRITES) {
    assert_true(readable(fd, TEST_DEADLINE_MS)); /* asked before each one: an edge would be gone after the first */
    SaAisErrorT error = vesta_stream_next(stream, 0, &change);
    assert_true(error == SA_AIS_OK || error == SA_AIS_ERR_TIMEOUT);
    taken += error == SA_AIS_OK;
  }
  assert_int_equal(vesta_stream_next(stream, 0, &change), SA_AIS_ERR_TIMEOUT);
  assert_false(readable(fd, 0));
  writer_write_many(&writer, 1, 8);
  assert_true(readable(fd, TEST_DEADLINE_MS));
  vesta_stream_close(&stream);
  application_close(&writer.application);
}

static void a_checkpoint_that_goes_ends_its_stream(void **state) {
  (void)state;
  writer_t writer;
  writer_open(&writer, "gone");
  writer_write_many(&writer, 1, 8);
  application_t reader;
  application_open(&reader, "gone", SA_CKPT_CHECKPOINT_READ);
  vesta_stream_t *stream = open_stream(&reader, NULL);
  static follower_t follower;
  follower = (follower_t){0};
  take_until_synced(stream, &follower);
  assert_int_equal(saCkptCheckpointUnlink(writer.application.library, &writer.application.name), SA_AIS_OK);
  application_close(&writer.application);
  assert_int_equal(saCkptCheckpointClose(reader.checkpoint), SA_AIS_OK);
  vesta_change_t change;
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_UNLINKED);
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_GONE);
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_ERR_NOT_EXIST);
  vesta_stream_close(&stream);
  application_close(&reader);
}

static void bad_arguments_are_refused_and_change_nothing(void **state) {
  (void)state;
  application_t application, writer;
  application_open(&application, "arguments", APPLICATION_ALL);
  application_open(&writer, "arguments", SA_CKPT_CHECKPOINT_WRITE);
  vesta_stream_t *stream = NULL;
  vesta_change_t change;
  vesta_position_t position;
  SaSelectionObjectT fd;
  assert_int_equal(vesta_stream_open(application.checkpoint, NULL, NULL), SA_AIS_ERR_INVALID_PARAM);
  vesta_stream_options_t options = {.reserved = {0, 0, 1}};
  assert_int_equal(vesta_stream_open(application.checkpoint, &options, &stream), SA_AIS_ERR_INVALID_PARAM);
  options = (vesta_stream_options_t){.buffer_bytes = 65535};
  assert_int_equal(vesta_stream_open(application.checkpoint, &options, &stream), SA_AIS_ERR_INVALID_PARAM);
  options = (vesta_stream_options_t){.from = (vesta_from_t)3};
  assert_int_equal(vesta_stream_open(application.checkpoint, &options, &stream), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_stream_open(0, NULL, &stream), SA_AIS_ERR_BAD_HANDLE);
  assert_int_equal(vesta_stream_open(writer.checkpoint, NULL, &stream), SA_AIS_ERR_ACCESS);
  assert_null(stream);
  assert_int_equal(vesta_stream_open(application.checkpoint, NULL, &stream), SA_AIS_OK);
  assert_int_equal(vesta_stream_next(NULL, 0, &change), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_stream_next(stream, 0, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_stream_next(stream, -1, &change), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_stream_fd(NULL, &fd), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_stream_fd(stream, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_stream_position(NULL, &position), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_stream_position(stream, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_stream_close(NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  assert_null(stream);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  application_close(&writer);
  application_close(&application);
}

static void a_forked_child_gets_bad_handle_and_its_parent_goes_on(void **state) {
  (void)state;
  writer_t writer;
  writer_open(&writer, "fork");
  vesta_stream_t *stream = open_stream(&writer.application, NULL);
  static follower_t follower;
  follower = (follower_t){0};
  take_until_synced(stream, &follower);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    vesta_change_t change;
    SaSelectionObjectT fd;
    bool ok = vesta_stream_next(stream, 0, &change) == SA_AIS_ERR_BAD_HANDLE &&
              vesta_stream_fd(stream, &fd) == SA_AIS_ERR_BAD_HANDLE && vesta_stream_close(&stream) == SA_AIS_OK;
    _exit(ok ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  writer_write_many(&writer, 100, 8);
  take_until_seq(stream, &follower, 100);
  vesta_stream_close(&stream);
  application_close(&writer.application);
}

static void too_few_descriptors_refuse_a_stream_and_nothing_worse(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "descriptors", APPLICATION_ALL);
  struct rlimit before;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  int probe = dup(0);
  assert_true(probe >= 0);
  (void)close(probe);
  struct rlimit few = {.rlim_cur = (rlim_t)probe + 20, .rlim_max = before.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
  vesta_stream_t *stream = NULL;
  SaAisErrorT error = vesta_stream_open(application.checkpoint, NULL, &stream);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(error, SA_AIS_ERR_NO_RESOURCES);
  assert_null(stream);
  assert_int_equal(vesta_stream_open(application.checkpoint, NULL, &stream), SA_AIS_OK);
  vesta_stream_close(&stream);
  application_close(&application);
}

static void a_closed_handle_or_a_lost_session_ends_with_bad_handle(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "closed", APPLICATION_ALL);
  vesta_stream_t *stream = open_stream(&application, NULL);
  assert_int_equal(saCkptCheckpointClose(application.checkpoint), SA_AIS_OK);
  vesta_change_t change;
  SaAisErrorT error;
  do { /* what had come already is handed out first */
    error = vesta_stream_next(stream, APPLICATION_DEADLINE, &change);
  } while (error == SA_AIS_OK && change.kind != VESTA_CHANGE_GONE);
  assert_true(error == SA_AIS_ERR_BAD_HANDLE || change.kind == VESTA_CHANGE_GONE);
  vesta_stream_close(&stream);
  application_close(&application);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_of_test_open, daemon_of_test_close)
  const struct CMUnitTest tests[] = {
      TEST(a_snapshot_comes_first_and_then_every_kind_of_change_in_order),
      TEST(a_stream_under_load_has_no_gap_and_the_values_that_were_written),
      TEST(a_daemon_that_is_killed_and_restarted_under_load_leaves_no_silent_gap),
      TEST(a_subscriber_that_does_not_read_neither_stops_the_writer_nor_misses_the_end),
      TEST(a_stream_from_a_position_goes_on_where_another_ended),
      TEST(a_position_that_the_history_does_not_reach_is_lost_and_what_changed_is_resynced),
      TEST(a_position_of_another_history_is_diverged_and_everything_is_resynced),
      TEST(a_stream_from_now_brings_nothing_that_was_before),
      TEST(the_descriptor_stays_readable_while_there_is_something_to_take),
      TEST(a_checkpoint_that_goes_ends_its_stream),
      TEST(bad_arguments_are_refused_and_change_nothing),
      TEST(a_forked_child_gets_bad_handle_and_its_parent_goes_on),
      TEST(too_few_descriptors_refuse_a_stream_and_nothing_worse),
      TEST(a_closed_handle_or_a_lost_session_ends_with_bad_handle),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
