/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Checkpoints between processes and in time: who makes one, who sees what, which replica is active, and when all of it
 * goes.
 */
#include "test/conformance/ckpt_fixture.h"

#include <sys/wait.h>

#include "test/support/raw_link.h"

/* ---- another process ---- */

/* A child that says by its exit status which line of `run` went wrong, 0: none. */
static int in_child(int (*run)(void)) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    _exit(run());
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define CHILD_EXPECT(code, call) \
  if ((call) != (code)) {        \
    return __LINE__ % 200 + 1;   \
  }

/* A child's own handles, to a checkpoint that is there. */
static SaAisErrorT child_open(const char *text, SaCkptCheckpointOpenFlagsT flags, SaCkptCheckpointHandleT *checkpoint) {
  SaVersionT version = {'B', 2, 2};
  SaCkptHandleT library;
  SaNameT name = name_of(text);
  SaAisErrorT result = saCkptInitialize(&library, NULL, &version);
  return result != SA_AIS_OK ? result : saCkptCheckpointOpen(library, &name, NULL, flags, 0, checkpoint);
}

static SaAisErrorT child_section(SaCkptCheckpointHandleT checkpoint, const char *id, const char *expected) {
  char buffer[16] = {0};
  SaCkptIOVectorElementT element = element_of(id, buffer, sizeof buffer, 0);
  SaAisErrorT result = saCkptCheckpointRead(checkpoint, &element, 1, NULL);
  bool same = element.readSize == strlen(expected) && memcmp(buffer, expected, strlen(expected)) == 0;
  return result != SA_AIS_OK || same ? result : SA_AIS_ERR_MESSAGE_ERROR;
}

/* ---- making ---- */

static int create_at_the_same_time(void) {
  SaVersionT version = {'B', 2, 2};
  SaCkptHandleT library;
  CHILD_EXPECT(SA_AIS_OK, saCkptInitialize(&library, NULL, &version));
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  for (int i = 0; i < 20; i++) {
    char text[32];
    (void)snprintf(text, sizeof text, "creators-%d", i);
    SaNameT name = name_of(text);
    SaCkptCheckpointHandleT checkpoint;
    CHILD_EXPECT(SA_AIS_OK, saCkptCheckpointOpen(library, &name, &attributes, READ_WRITE_CREATE, 0, &checkpoint));
    SaCkptSectionIdT id = SA_CKPT_GENERATED_SECTION_ID;
    SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = SA_TIME_END};
    CHILD_EXPECT(SA_AIS_OK, saCkptSectionCreate(checkpoint, &section, "x", 1));
  }
  return 0;
}

/* clauses 5.9, 11.1: one makes it, the others open the same, and no generated id is given twice */
static void of_creators_at_the_same_time_one_makes_the_checkpoint_and_the_others_open_it(void **state) {
  (void)state;
  enum { CREATORS = 4 };
  pid_t children[CREATORS];
  for (int i = 0; i < CREATORS; i++) {
    children[i] = fork();
    assert_true(children[i] >= 0);
    if (children[i] == 0) {
      _exit(create_at_the_same_time());
    }
  }
  for (int i = 0; i < CREATORS; i++) {
    int status = 0;
    assert_int_equal(waitpid(children[i], &status, 0), children[i]);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
  }
  for (int i = 0; i < 20; i++) {
    char text[32];
    (void)snprintf(text, sizeof text, "creators-%d", i);
    assert_int_equal(status_of(checkpoint_again(lib, text, SA_CKPT_CHECKPOINT_READ)).numberOfSections, CREATORS);
  }
}

/* ---- seeing ---- */

static char seen_name[32];
static int see_all_there_is(void) {
  SaCkptCheckpointHandleT checkpoint;
  CHILD_EXPECT(SA_AIS_OK, child_open(seen_name, READ_WRITE, &checkpoint));
  CHILD_EXPECT(SA_AIS_OK, child_section(checkpoint, "made", "first"));
  CHILD_EXPECT(SA_AIS_OK, child_section(checkpoint, "written", "first2"));
  CHILD_EXPECT(SA_AIS_OK, child_section(checkpoint, "overwritten", "2"));
  CHILD_EXPECT(SA_AIS_ERR_NOT_EXIST, child_section(checkpoint, "deleted", ""));
  return section_create(checkpoint, "by the child", "x") == SA_AIS_OK ? 0 : 1;
}

/* clauses 5.15, 11.9, 12.4, 17.8, 18.6, 19.2 */
static void another_process_finds_all_that_was_done_before_in_every_mode(void **state) {
  (void)state;
  for (SaUint32T mode = 1; mode <= 4; mode *= 2) {
    SaCkptCheckpointCreationAttributesT attributes = attributes_of(mode);
    (void)snprintf(seen_name, sizeof seen_name, "seen-%u", mode);
    SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, seen_name, &attributes);
    SaCkptIOVectorElementT element = element_of("written", "2", 1, 5);
    SaCkptSectionIdT deleted = id_of("deleted");
    const char *ids[] = {"made", "written", "overwritten", "deleted"};
    for (size_t i = 0; i < 4; i++) {
      OK(section_create(checkpoint, ids[i], "first"));
    }
    OK(saCkptCheckpointWrite(checkpoint, &element, 1, NULL));
    OK(section_overwrite(checkpoint, "overwritten", "2"));
    OK(saCkptSectionDelete(checkpoint, &deleted));
    assert_int_equal(in_child(see_all_there_is), 0);
    assert_section(checkpoint, "by the child", "x");
    EXPECT(mode == SA_CKPT_WR_ALL_REPLICAS ? SA_AIS_ERR_BAD_OPERATION : SA_AIS_OK,
           saCkptCheckpointSynchronize(checkpoint, SECOND));
    assert_int_equal(in_child(see_all_there_is), 1); /* all as before, so its section is there already */
  }
}

/* clause 17.10 */
static void a_write_sets_last_update_and_size(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "last-update");
  OK(section_create(checkpoint, "s", "12"));
  SaCkptIOVectorElementT element = element_of("s", "345", 3, 2);
  SaCkptSectionIterationHandleT iteration;
  SaCkptSectionDescriptorT descriptor;
  SaTimeT before = wall_now();
  OK(saCkptCheckpointWrite(checkpoint, &element, 1, NULL));
  SaTimeT after = wall_now();
  OK(saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, &iteration));
  OK(saCkptSectionIterationNext(iteration, &descriptor));
  assert_int_equal(descriptor.sectionSize, 5);
  assert_true(descriptor.lastUpdate >= before && descriptor.lastUpdate <= after);
}

/* ---- the active replica ---- */

static int set_active_and_die(void) {
  SaCkptCheckpointHandleT checkpoint;
  CHILD_EXPECT(SA_AIS_OK, child_open("active-by-child", READ_WRITE, &checkpoint));
  CHILD_EXPECT(SA_AIS_ERR_NOT_EXIST, section_create(checkpoint, "s", "x"));
  CHILD_EXPECT(SA_AIS_OK, saCkptActiveReplicaSet(checkpoint));
  CHILD_EXPECT(SA_AIS_OK, section_create(checkpoint, "s", "kept"));
  return 0;
}

/* clauses 9.4, 9.5, 9.7 */
static void an_active_replica_stays_when_the_process_that_set_it_dies(void **state) {
  (void)state;
  SaUint32T modes[] = {SA_CKPT_WR_ACTIVE_REPLICA, SA_CKPT_WR_ACTIVE_REPLICA_WEAK};
  for (size_t i = 0; i < 2; i++) {
    SaNameT name = name_of("active-by-child");
    SaCkptCheckpointCreationAttributesT attributes = attributes_of(modes[i] | SA_CKPT_CHECKPOINT_COLLOCATED);
    SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, "active-by-child", &attributes);
    assert_int_equal(in_child(set_active_and_die), 0);
    assert_section(checkpoint, "s", "kept");
    OK(saCkptActiveReplicaSet(checkpoint));
    assert_section(checkpoint, "s", "kept");
    OK(saCkptCheckpointClose(checkpoint));
    checkpoint = checkpoint_again(lib, "active-by-child", READ_WRITE); /* also when nobody had it open */
    assert_section(checkpoint, "s", "kept");
    OK(saCkptCheckpointUnlink(lib, &name));
  }
}

/* clause 9.5 */
static void the_service_chooses_the_active_replica_of_a_checkpoint_that_is_not_collocated(void **state) {
  (void)state;
  SaUint32T modes[] = {SA_CKPT_WR_ACTIVE_REPLICA, SA_CKPT_WR_ACTIVE_REPLICA_WEAK};
  for (size_t i = 0; i < 2; i++) {
    SaCkptCheckpointCreationAttributesT attributes = attributes_of(modes[i]);
    char text[32];
    (void)snprintf(text, sizeof text, "chosen-%u", modes[i]);
    SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, text, &attributes);
    OK(section_create(checkpoint, "s", "x"));
    assert_int_equal(status_of(checkpoint).numberOfSections, 1);
  }
}

/* ---- going ---- */

static int64_t checkpoints_there(void) { return raw_counter(test_daemon.socket, "checkpoints"); }

/* clauses 4.1, 6.2, 7.3: with its name it lost its retention */
static void an_unlinked_checkpoint_goes_with_its_last_close_whatever_its_retention_is(void **state) {
  (void)state;
  for (int by_finalize = 0; by_finalize < 2; by_finalize++) {
    SaNameT name = name_of("unlinked-forever");
    int64_t before = checkpoints_there();
    assert_true(before >= 0);
    SaCkptHandleT other = library_b2();
    SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
    attributes.retentionDuration = SA_TIME_END;
    SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, "unlinked-forever", &attributes);
    SaCkptCheckpointHandleT of_other = checkpoint_again(other, "unlinked-forever", READ_WRITE);
    OK(saCkptCheckpointUnlink(lib, &name));
    OK(saCkptCheckpointClose(checkpoint));
    assert_int_equal(checkpoints_there(), before + 1);
    if (!by_finalize) {
      OK(saCkptCheckpointClose(of_other));
    }
    OK(saCkptFinalize(other));
    assert_int_equal(checkpoints_there(), before);
  }
}

/* clause 8.3 */
static void each_last_close_begins_the_retention_anew(void **state) {
  (void)state;
  const SaTimeT retention = 200 * SA_TIME_ONE_MILLISECOND;
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  attributes.retentionDuration = retention;
  OK(saCkptCheckpointClose(checkpoint_create(lib, "anew", &attributes)));
  SaNameT name = name_of("anew");
  int64_t began_ns = daemon_fixture_now_ns();
  int64_t closed_ns = began_ns;
  while (closed_ns - began_ns < 2 * retention) {
    struct timespec pause = {.tv_nsec = retention / 10};
    (void)nanosleep(&pause, NULL);
    SaCkptCheckpointHandleT checkpoint;
    SaAisErrorT result = saCkptCheckpointOpen(lib, &name, NULL, READ_WRITE, 0, &checkpoint);
    if (result != SA_AIS_OK) { /* only if this machine stood still for so long */
      EXPECT(SA_AIS_ERR_NOT_EXIST, result);
      assert_true(daemon_fixture_now_ns() - closed_ns >= retention);
      return;
    }
    closed_ns = daemon_fixture_now_ns();
    OK(saCkptCheckpointClose(checkpoint));
  }
}

/* clauses 13.1, 22.21 */
static void a_section_expires_while_nobody_has_its_checkpoint_open(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "expires-closed");
  SaTimeT expiration = wall_now() + 50 * SA_TIME_ONE_MILLISECOND;
  OK(section_create_expiring(checkpoint, "goes", "x", 1, expiration));
  OK(section_create(checkpoint, "stays", "x"));
  OK(saCkptCheckpointClose(checkpoint));
  wall_wait(expiration);
  checkpoint = checkpoint_again(lib, "expires-closed", READ_WRITE);
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_try(checkpoint, "goes"));
  assert_section(checkpoint, "stays", "x");
  assert_int_equal(status_of(checkpoint).numberOfSections, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(of_creators_at_the_same_time_one_makes_the_checkpoint_and_the_others_open_it),
      CASE(another_process_finds_all_that_was_done_before_in_every_mode),
      CASE(a_write_sets_last_update_and_size),
      CASE(an_active_replica_stays_when_the_process_that_set_it_dies),
      CASE(the_service_chooses_the_active_replica_of_a_checkpoint_that_is_not_collocated),
      CASE(an_unlinked_checkpoint_goes_with_its_last_close_whatever_its_retention_is),
      CASE(each_last_close_begins_the_retention_anew),
      CASE(a_section_expires_while_nobody_has_its_checkpoint_open),
  };
  return cmocka_run_group_tests(tests, group_open, group_close);
}
