/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vesta_mirror_verify(), against a real vestad: equal while others write, delete and restart the daemon; different as
 * soon as one byte is, on either side, and equal again after the resync.
 */
#include <vesta.h>

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/child.h"
#include "test/support/daemon_fixture.h"
#include "test/support/raw_link.h"

static vesta_status_t status_of(vesta_mirror_t *mirror) {
  vesta_status_t status;
  assert_int_equal(vesta_mirror_status(mirror, &status), SA_AIS_OK);
  return status;
}

/* Verify as an application does that takes changes all the time. */
static SaAisErrorT verify(vesta_mirror_t *mirror) {
  vesta_change_t change;
  int64_t deadline_ns = daemon_fixture_now_ns() + 3 * APPLICATION_DEADLINE;
  SaAisErrorT error;
  while ((error = vesta_mirror_verify(mirror, SA_TIME_ONE_MILLISECOND)) == SA_AIS_ERR_TRY_AGAIN ||
         error == SA_AIS_ERR_TIMEOUT) {
    assert_true(daemon_fixture_now_ns() < deadline_ns);
    for (int taken = 0; taken < 100 && vesta_mirror_next(mirror, 0, &change) == SA_AIS_OK; taken++) {
    }
  }
  return error;
}

/* Creates, deletes, expiry and writes of all sizes, from a seed. */
static void churn(const application_t *application, unsigned *seed, uint32_t count) {
  static uint8_t data[30000];
  for (uint32_t i = 0; i < count; i++) {
    char text[16];
    SaSizeT size = (SaSizeT)rand_r(seed) % (rand_r(seed) % 4 == 0 ? sizeof data : 300);
    (void)snprintf(text, sizeof text, "%d", rand_r(seed) % 500);
    SaCkptSectionIdT id = section_id(text);
    SaCkptIOVectorElementT element = {
        .sectionId = id, .dataBuffer = data, .dataSize = size, .dataOffset = (SaOffsetT)rand_r(seed) % sizeof data};
    SaUint32T erroneous;
    memset(data, rand_r(seed), size);
    SaAisErrorT error = SA_AIS_OK;
    switch (rand_r(seed) % 8) {
      case 0: error = application_delete(application, text); break;
      case 1: error = saCkptSectionExpirationTimeSet(application->checkpoint, &id, SA_TIME_MAX / 2 + i); break;
      case 2:
      case 3: error = application_overwrite(application, text, data, size); break;
      default: error = saCkptCheckpointWrite(application->checkpoint, &element, 1, &erroneous); break;
    }
    if (error == SA_AIS_ERR_NOT_EXIST) {
      error = application_create(application, text, data, size);
    }
    /* EXIST: another one created it in between; the others: the daemon is being restarted */
    assert_true(error == SA_AIS_OK || error == SA_AIS_ERR_EXIST || error == SA_AIS_ERR_NOT_EXIST ||
                error == SA_AIS_ERR_TRY_AGAIN || error == SA_AIS_ERR_TIMEOUT);
  }
}

static pid_t churn_start(const char *name, unsigned seed) {
  pid_t pid = child_fork();
  if (pid == 0) {
    application_t application;
    application_open(&application, name, SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE);
    for (;;) {
      churn(&application, &seed, 1000);
    }
  }
  return pid;
}

static void churn_stop(pid_t pid) {
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_mirror_that_is_level_is_verified_in_one_call(void **state) {
  (void)state;
  application_t application;
  unsigned seed = 1;
  application_open(&application, "level", APPLICATION_ALL);
  vesta_mirror_t *mirror = application_mirror(&application);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  assert_int_equal(status_of(mirror).verified.seq, 0);
  assert_int_equal(vesta_mirror_verify(mirror, APPLICATION_DEADLINE), SA_AIS_OK); /* of nothing */
  churn(&application, &seed, 2000);
  assert_int_equal(verify(mirror), SA_AIS_OK);
  vesta_status_t status = status_of(mirror);
  while (status.lag_operations > 0) {
    vesta_change_t change;
    assert_int_equal(vesta_mirror_next(mirror, APPLICATION_DEADLINE, &change), SA_AIS_OK);
    status = status_of(mirror);
  }
  assert_int_equal(vesta_mirror_verify(mirror, APPLICATION_DEADLINE), SA_AIS_OK);
  status = status_of(mirror);
  assert_int_equal(status.verified.seq, status.applied.seq);
  assert_int_equal(status.verified.lineage, status.applied.lineage);
  assert_int_equal(status.verified.epoch, status.applied.epoch);
  assert_true(status.promotable);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

static void before_the_snapshot_is_taken_there_is_nothing_to_verify(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "early", APPLICATION_ALL);
  assert_int_equal(application_create(&application, "a", "one", 3), SA_AIS_OK);
  vesta_mirror_t *mirror = application_mirror(&application);
  assert_int_equal(vesta_mirror_verify(mirror, APPLICATION_DEADLINE), SA_AIS_ERR_TRY_AGAIN);
  assert_int_equal(verify(mirror), SA_AIS_OK);
  assert_int_equal(status_of(mirror).verified.seq, 1);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

static void what_was_not_taken_yet_comes_before_the_verdict(void **state) {
  (void)state;
  application_t application;
  vesta_change_t change;
  application_open(&application, "order", APPLICATION_ALL);
  vesta_mirror_t *mirror = application_mirror(&application);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  assert_int_equal(application_create(&application, "a", "one", 3), SA_AIS_OK);
  assert_int_equal(vesta_mirror_verify(mirror, APPLICATION_DEADLINE), SA_AIS_ERR_TRY_AGAIN);
  assert_int_equal(vesta_mirror_count(mirror), 0); /* it took nothing */
  assert_int_equal(vesta_mirror_next(mirror, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_CREATED);
  assert_int_equal(vesta_mirror_verify(mirror, APPLICATION_DEADLINE), SA_AIS_OK);
  assert_int_equal(status_of(mirror).verified.seq, 1);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

/* Three writers at full rate; the application takes what comes. */
static void mirrors_are_verified_under_full_load(void **state) {
  (void)state;
  application_t application;
  pid_t writers[3];
  application_open(&application, "load", APPLICATION_ALL);
  unsigned seed = 5;
  churn(&application, &seed, 1000);
  for (unsigned i = 0; i < 3; i++) {
    writers[i] = churn_start("load", 100 + i);
  }
  vesta_mirror_t *mirrors[2] = {application_mirror(&application), application_mirror(&application)};
  uint64_t seq[2] = {0};
  for (int round = 0; round < 40; round++) {
    assert_int_equal(verify(mirrors[round % 2]), SA_AIS_OK);
    vesta_status_t status = status_of(mirrors[round % 2]);
    assert_true(status.verified.seq > 0 && status.verified.seq >= seq[round % 2]);
    seq[round % 2] = status.verified.seq;
  }
  for (unsigned i = 0; i < 3; i++) {
    churn_stop(writers[i]);
  }
  vesta_mirror_close(&mirrors[0]);
  vesta_mirror_close(&mirrors[1]);
  application_close(&application);
}

/* A byte that nobody wrote. It is there before the first verification, so that this one sees it. */
static void a_damaged_byte_of_the_mirror_is_found_and_a_resync_heals_it(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "damage", APPLICATION_ALL);
  assert_int_equal(application_create(&application, "a", "some data", 9), SA_AIS_OK);
  assert_int_equal(application_create(&application, "b", "other data", 10), SA_AIS_OK);
  vesta_mirror_t *mirror = application_mirror(&application);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  SaCkptSectionIdT id = section_id("a");
  const void *data;
  SaSizeT size;
  assert_int_equal(vesta_mirror_get(mirror, &id, &data, &size), SA_AIS_OK);
  ((uint8_t *)data)[3] ^= 1;
  assert_int_equal(verify(mirror), SA_AIS_ERR_FAILED_OPERATION);
  vesta_status_t status = status_of(mirror);
  assert_int_equal(status.promotable, SA_FALSE);
  assert_int_equal(status.reason, VESTA_DIVERGED);
  assert_int_equal(status.verified.seq, 0);
  vesta_change_t change;
  assert_int_equal(vesta_mirror_next(mirror, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_LOST);
  assert_int_equal(change.reason, VESTA_LOST_CORRUPT);
  assert_int_equal(vesta_mirror_next(mirror, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_RESYNC_BEGIN);
  assert_int_equal(change.full, SA_TRUE);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  assert_int_equal(vesta_mirror_get(mirror, &id, &data, &size), SA_AIS_OK);
  assert_memory_equal(data, "some data", 9);
  assert_int_equal(verify(mirror), SA_AIS_OK);
  status = status_of(mirror);
  assert_true(status.promotable);
  assert_int_equal(status.verified.seq, 2);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

/* The first or the last place of the region where `text` stands. Holes are passed over. */
static uint8_t *find_in_region(int fd, uint8_t *region, const char *text, bool want_last) {
  uint8_t *place = NULL;
  for (off_t at = lseek(fd, 0, SEEK_DATA); at >= 0 && (want_last || place == NULL);) {
    off_t end = lseek(fd, at, SEEK_HOLE);
    for (uint8_t *from = region + at; from != NULL && (want_last || place == NULL);) {
      uint8_t *found = memmem(from, (size_t)(region + end - from), text, strlen(text));
      place = found != NULL ? found : place;
      from = found != NULL ? found + 1 : NULL;
    }
    at = lseek(fd, end, SEEK_DATA);
  }
  return place;
}

/* Flip a byte of `text` in a replica's file: a section's id (the ids come first), or data (which come last). */
static void damage_replica(const char *text, bool is_id) {
  DIR *directory = opendir(daemon_of_test.replica_dir);
  assert_non_null(directory);
  uint32_t flipped = 0;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    struct stat about;
    int fd = openat(dirfd(directory), entry->d_name, O_RDWR);
    if (fd < 0 || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode) || about.st_size < 1 << 20) {
      (void)close(fd);
      continue;
    }
    uint8_t *region = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(region != MAP_FAILED);
    uint8_t *place = find_in_region(fd, region, text, !is_id);
    if (place != NULL) {
      place[0] ^= 1;
      flipped++;
    }
    assert_int_equal(munmap(region, (size_t)about.st_size), 0);
    (void)close(fd);
  }
  (void)closedir(directory);
  assert_int_equal(flipped, 1);
}

static void a_damaged_byte_of_the_replica_is_found_and_the_mirror_gets_what_the_service_has(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "replica", APPLICATION_ALL);
  assert_int_equal(application_create(&application, "a", "a needle in it", 14), SA_AIS_OK);
  vesta_mirror_t *mirror = application_mirror(&application);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  damage_replica("a needle in it", false);
  assert_int_equal(verify(mirror), SA_AIS_ERR_FAILED_OPERATION);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  assert_int_equal(verify(mirror), SA_AIS_OK);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

/* Nothing changes, so only the scrubbing can find it. */
static void damage_behind_the_back_of_remembered_hashes_is_found_in_the_course_of_time(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "scrub", APPLICATION_ALL);
  for (int i = 0; i < 200; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "%d", i);
    assert_int_equal(application_create(&application, id, "unique in a way", 15), SA_AIS_OK);
  }
  assert_int_equal(application_overwrite(&application, "77", "a needle in it", 14), SA_AIS_OK);
  vesta_mirror_t *mirror = application_mirror(&application);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  for (int side = 0; side < 2; side++) {
    assert_int_equal(verify(mirror), SA_AIS_OK);
    if (side == 0) {
      SaCkptSectionIdT id = section_id("123");
      const void *data;
      SaSizeT size;
      assert_int_equal(vesta_mirror_get(mirror, &id, &data, &size), SA_AIS_OK);
      ((uint8_t *)data)[0] ^= 1;
    } else {
      damage_replica("a needle in it", false);
    }
    SaAisErrorT error = SA_AIS_OK;
    for (int times = 0; times < 34 && error == SA_AIS_OK; times++) {
      error = verify(mirror);
    }
    assert_int_equal(error, SA_AIS_ERR_FAILED_OPERATION);
    mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  }
  vesta_mirror_close(&mirror);
  application_close(&application);
}

static void a_section_that_turned_into_another_one_is_found(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "id", APPLICATION_ALL);
  assert_int_equal(application_create(&application, "here to stay", "x", 1), SA_AIS_OK);
  assert_int_equal(application_create(&application, "a needle in it", "x", 1), SA_AIS_OK);
  vesta_mirror_t *mirror = application_mirror(&application);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  damage_replica("a needle in it", true);
  assert_int_equal(verify(mirror), SA_AIS_ERR_FAILED_OPERATION);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  assert_int_equal(verify(mirror), SA_AIS_OK);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

static SaBoolT damage_id(void *context, const vesta_section_t *section) {
  (void)context;
  section->id.id[0] ^= 1;
  return SA_TRUE;
}

/* The verdict is in the stream, and a write to a section behind it that the mirror has lost. */
static void changes_that_cannot_follow_damaged_state_do_not_end_the_mirror(void **state) {
  (void)state;
  application_t application;
  vesta_change_t change;
  application_open(&application, "behind", APPLICATION_ALL);
  assert_int_equal(application_create(&application, "lost", "x", 1), SA_AIS_OK);
  vesta_mirror_t *mirror = application_mirror(&application);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  assert_int_equal(vesta_mirror_each(mirror, damage_id, NULL), SA_AIS_OK);
  assert_int_equal(kill(daemon_of_test.pid, SIGSTOP), 0);
  assert_int_equal(vesta_mirror_verify(mirror, 0), SA_AIS_ERR_TIMEOUT); /* it has asked, and nobody answers yet */
  assert_int_equal(kill(daemon_of_test.pid, SIGCONT), 0);
  assert_true(raw_counter_reaches(daemon_of_test.socket, "hashes_made", 1));
  SaCkptIOVectorElementT element = {
      .sectionId = section_id("lost"), .dataBuffer = (char[]){"y"}, .dataSize = 1, .dataOffset = 5};
  SaUint32T erroneous;
  assert_int_equal(saCkptCheckpointWrite(application.checkpoint, &element, 1, &erroneous), SA_AIS_OK);
  while (status_of(mirror).received.seq < 2) {
  }
  assert_int_equal(vesta_mirror_next(mirror, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_WRITTEN);
  assert_int_equal(status_of(mirror).reason, VESTA_DIVERGED);
  assert_int_equal(vesta_mirror_next(mirror, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(change.kind, VESTA_CHANGE_LOST);
  assert_int_equal(vesta_mirror_verify(mirror, 0), SA_AIS_ERR_FAILED_OPERATION); /* made in the meantime */
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  assert_int_equal(verify(mirror), SA_AIS_OK);
  assert_true(status_of(mirror).promotable);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

static void take_past(vesta_mirror_t *mirror, uint64_t seq) {
  vesta_change_t change;
  while (status_of(mirror).applied.seq <= seq) {
    assert_int_equal(vesta_mirror_next(mirror, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  }
}

static void a_verification_lives_through_a_restart_of_the_daemon(void **state) {
  (void)state;
  application_t application;
  unsigned seed = 9;
  application_open(&application, "restart", APPLICATION_ALL);
  churn(&application, &seed, 1000);
  vesta_mirror_t *mirror = application_mirror(&application);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  assert_int_equal(verify(mirror), SA_AIS_OK);
  uint64_t before = status_of(mirror).verified.seq;
  pid_t writer = churn_start("restart", 10);
  for (int round = 0; round < 3; round++) {
    (void)vesta_mirror_verify(mirror, 0); /* one is under way */
    daemon_fixture_kill(&daemon_of_test);
    assert_int_equal(vesta_mirror_verify(mirror, 0) == SA_AIS_ERR_FAILED_OPERATION, 0);
    daemon_fixture_start(&daemon_of_test);
    take_past(mirror, before); /* the writer goes on when it is its turn */
    assert_int_equal(verify(mirror), SA_AIS_OK);
    assert_int_equal(verify(mirror), SA_AIS_OK); /* and one that was begun after it */
    assert_true(status_of(mirror).verified.seq > before);
    before = status_of(mirror).verified.seq;
  }
  churn_stop(writer);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

/* A buffer so small that changes are fetched again and again, and history is lost. */
static void a_mirror_that_resyncs_is_verified_when_it_has(void **state) {
  (void)state;
  application_t application;
  unsigned seed = 12;
  application_open(&application, "resync", APPLICATION_ALL);
  vesta_mirror_options_t options = {.buffer_bytes = 65536};
  vesta_mirror_t *mirror;
  assert_int_equal(vesta_mirror_open(application.checkpoint, &options, &mirror), SA_AIS_OK);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  for (int round = 0; round < 5; round++) {
    (void)vesta_mirror_verify(mirror, 0);
    churn(&application, &seed, 6000);
    assert_int_equal(verify(mirror), SA_AIS_OK);
  }
  vesta_mirror_close(&mirror);
  application_close(&application);
}

static void a_pair_that_stands_by_can_verify_and_the_active_one_does_not_follow(void **state) {
  (void)state;
  application_t first, second;
  application_open(&first, "pair", APPLICATION_ALL);
  application_open(&second, "pair", APPLICATION_ALL);
  vesta_pair_options_t options = {.name = "one"};
  vesta_pair_t *active = NULL, *standby = NULL;
  vesta_event_t event;
  assert_int_equal(vesta_pair_join(first.checkpoint, &options, &active), SA_AIS_OK);
  do {
    assert_int_equal(vesta_pair_next(active, APPLICATION_DEADLINE, &event), SA_AIS_OK);
  } while (event.kind != VESTA_EVENT_ROLE || event.role != VESTA_ROLE_ACTIVE);
  options.name = "two";
  assert_int_equal(vesta_pair_join(second.checkpoint, &options, &standby), SA_AIS_OK);
  assert_int_equal(application_create(&first, "a", "one", 3), SA_AIS_OK);
  SaAisErrorT error;
  while ((error = vesta_mirror_verify(vesta_pair_mirror(standby), SA_TIME_ONE_SECOND)) == SA_AIS_ERR_TRY_AGAIN) {
    while (vesta_pair_next(standby, 0, &event) == SA_AIS_OK) {
    }
  }
  assert_int_equal(error, SA_AIS_OK);
  assert_true(status_of(vesta_pair_mirror(standby)).verified.seq > 0);
  assert_int_equal(vesta_mirror_verify(vesta_pair_mirror(active), 0), SA_AIS_ERR_BAD_OPERATION);
  assert_int_equal(vesta_pair_leave(&standby), SA_AIS_OK);
  assert_int_equal(vesta_pair_leave(&active), SA_AIS_OK);
  application_close(&second);
  application_close(&first);
}

static void what_cannot_be_verified_is_refused(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "refused", APPLICATION_ALL);
  assert_int_equal(vesta_mirror_verify(NULL, 0), SA_AIS_ERR_INVALID_PARAM);
  SaCkptSectionIdT prefix = section_id("some");
  vesta_mirror_options_t options = {.prefixes = &prefix, .prefix_count = 1};
  vesta_mirror_t *mirror = NULL;
  assert_int_equal(vesta_mirror_open(application.checkpoint, &options, &mirror), SA_AIS_OK);
  assert_int_equal(vesta_mirror_verify(mirror, -1), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_verify(mirror, 0), SA_AIS_ERR_NOT_SUPPORTED);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

static void who_waits_without_a_daemon_is_told_in_time(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "away", APPLICATION_ALL);
  vesta_mirror_t *mirror = application_mirror(&application);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  assert_int_equal(kill(daemon_of_test.pid, SIGSTOP), 0);
  assert_int_equal(vesta_mirror_verify(mirror, 20 * SA_TIME_ONE_MILLISECOND), SA_AIS_ERR_TIMEOUT);
  assert_int_equal(vesta_mirror_verify(mirror, 0), SA_AIS_ERR_TIMEOUT);
  assert_int_equal(kill(daemon_of_test.pid, SIGCONT), 0);
  assert_int_equal(verify(mirror), SA_AIS_OK);
  vesta_mirror_close(&mirror);
  application_close(&application);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_of_test_open, daemon_of_test_close)
  const struct CMUnitTest tests[] = {
      TEST(a_mirror_that_is_level_is_verified_in_one_call),
      TEST(before_the_snapshot_is_taken_there_is_nothing_to_verify),
      TEST(what_was_not_taken_yet_comes_before_the_verdict),
      TEST(mirrors_are_verified_under_full_load),
      TEST(a_damaged_byte_of_the_mirror_is_found_and_a_resync_heals_it),
      TEST(a_damaged_byte_of_the_replica_is_found_and_the_mirror_gets_what_the_service_has),
      TEST(damage_behind_the_back_of_remembered_hashes_is_found_in_the_course_of_time),
      TEST(a_section_that_turned_into_another_one_is_found),
      TEST(changes_that_cannot_follow_damaged_state_do_not_end_the_mirror),
      TEST(a_verification_lives_through_a_restart_of_the_daemon),
      TEST(a_mirror_that_resyncs_is_verified_when_it_has),
      TEST(a_pair_that_stands_by_can_verify_and_the_active_one_does_not_follow),
      TEST(what_cannot_be_verified_is_refused),
      TEST(who_waits_without_a_daemon_is_told_in_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
