/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Large payloads through memory that a link shares with the daemon: they arrive, they arrive once, and nothing that a
 * client does with that memory harms anybody.
 *
 * Which way a payload went is told by the counter `staged`.
 */
#include <fcntl.h>
#include <pthread.h>
#include <saCkpt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/daemon_fixture.h"
#include "test/support/raw_link.h"

#define OK(call) assert_int_equal((call), SA_AIS_OK)
#define LIMIT TEST_DEADLINE_NS
#define LEAST (64U << 10) /* smaller payloads go through the socket */
#define LARGE (256U << 10)
#define STAGES (VESTA_STAGES_BYTES_MAX / VESTA_STAGE_BYTES)
#define THREADS 6

static daemon_fixture_t vestad;
static SaCkptHandleT library;
static SaCkptCheckpointHandleT checkpoint;
static uint8_t data[VESTA_STAGE_BYTES + 1];
static uint8_t read_back[VESTA_STAGE_BYTES + 1];

static int64_t counter(const char *key) { return raw_counter(vestad.socket, key); }

static SaCkptSectionIdT id_of(const char *text) {
  SaCkptSectionIdT id = {.idLen = (SaUint16T)strlen(text)};
  memcpy(&id.id, &text, sizeof id.id);
  return id;
}

static int scene_open(void **state) {
  static const SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = SA_CKPT_WR_ALL_REPLICAS,
                                                                 .retentionDuration = SA_TIME_ONE_HOUR,
                                                                 .maxSections = 20,
                                                                 .maxSectionSize = sizeof data,
                                                                 .maxSectionIdSize = 8};
  (void)state;
  SaVersionT version = {.releaseCode = 'B', .majorVersion = 2, .minorVersion = 2};
  SaNameT name = {.length = 5, .value = "stage"};
  daemon_fixture_open(&vestad);
  OK(saCkptInitialize(&library, NULL, &version));
  OK(saCkptCheckpointOpen(library, &name, &attributes,
                          SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE | SA_CKPT_CHECKPOINT_CREATE, LIMIT,
                          &checkpoint));
  return 0;
}

static int scene_close(void **state) {
  (void)state;
  OK(saCkptFinalize(library));
  daemon_fixture_close(&vestad);
  return 0;
}

static void create(const char *text) {
  SaCkptSectionIdT id = id_of(text);
  SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = SA_TIME_END};
  OK(saCkptSectionCreate(checkpoint, &section, NULL, 0));
}

static SaAisErrorT overwrite(const char *text, const void *bytes, size_t size) {
  SaCkptSectionIdT id = id_of(text);
  SaAisErrorT error;
  do {
    error = saCkptSectionOverwrite(checkpoint, &id, bytes, size);
  } while (error == SA_AIS_ERR_TRY_AGAIN);
  return error;
}

static void must_read(const char *text, const void *bytes, size_t size) {
  SaCkptIOVectorElementT element = {.sectionId = id_of(text), .dataBuffer = read_back, .dataSize = sizeof read_back};
  OK(saCkptCheckpointRead(checkpoint, &element, 1, NULL));
  assert_int_equal(element.readSize, size);
  assert_memory_equal(read_back, bytes, size);
}

static void fill(uint8_t value) {
  for (size_t i = 0; i < sizeof data; i++) {
    data[i] = (uint8_t)(value + i / 1000);
  }
}

/* ---- the library ---- */

static void large_payloads_up_to_the_limit_go_through_shared_memory_and_others_through_the_socket(void **state) {
  (void)state;
  static const struct {
    size_t size;
    int64_t staged;
  } cases[] = {{LEAST - 1, 0},         {LEAST, 1},       {LEAST + 1, 2}, {1U << 20, 3},
               {VESTA_STAGE_BYTES, 4}, {sizeof data, 4}, {LEAST, 5}};
  assert_int_equal(sizeof data, VESTA_STAGE_BYTES + 1);
  create("a");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fill((uint8_t)i);
    OK(overwrite("a", data, cases[i].size));
    must_read("a", data, cases[i].size);
    assert_int_equal(counter("staged"), cases[i].staged);
  }
  assert_int_equal(counter("stages"), 1);
  assert_int_equal(counter("stages_refused"), 0);
}

static void a_vector_goes_through_it_as_one(void **state) {
  (void)state;
  create("a");
  create("b");
  fill(1);
  OK(overwrite("a", data, LARGE));
  SaCkptIOVectorElementT elements[] = {
      {.sectionId = id_of("a"), .dataBuffer = data + 5000, .dataSize = 40000, .dataOffset = 7},
      {.sectionId = id_of("b"), .dataBuffer = NULL, .dataSize = 0},
      {.sectionId = id_of("b"), .dataBuffer = data + 9000, .dataSize = 60000},
  };
  OK(saCkptCheckpointWrite(checkpoint, elements, 3, NULL));
  assert_int_equal(counter("staged"), 2);
  must_read("b", data + 9000, 60000);
  memmove(data + 7, data + 5000, 40000);
  must_read("a", data, LARGE);
}

static void after_a_restart_of_the_daemon_it_is_shared_anew(void **state) {
  (void)state;
  create("a");
  fill(1);
  OK(overwrite("a", data, LARGE));
  daemon_fixture_kill(&vestad);
  daemon_fixture_start(&vestad);
  must_read("a", data, LARGE);
  for (uint8_t value = 2; value < 6; value++) { /* the first one finds the link lost, and goes through the socket */
    fill(value);
    OK(overwrite("a", data, LARGE));
    must_read("a", data, LARGE);
  }
  assert_int_equal(counter("stages"), 1);
  assert_true(counter("staged") >= 3);
}

/* Each thread writes its own section, every time something else; what was written last is there in the end. */
typedef struct thread_case {
  pthread_t thread;
  char id[8];
  uint8_t last;
  uint32_t failed;
} thread_case_t;

static atomic_bool enough;

static void *thread_run(void *context) {
  thread_case_t *c = context;
  uint8_t *own = malloc(LARGE);
  for (uint32_t round = 0; own != NULL && !atomic_load(&enough); round++) {
    memset(own, (int)(round + (uint8_t)c->id[0]), LARGE);
    c->failed += overwrite(c->id, own, LARGE) == SA_AIS_OK ? 0 : 1;
    memset(own, 0, LARGE); /* its caller may do so: the daemon must have it, or ask again */
    c->last = (uint8_t)(round + (uint8_t)c->id[0]);
  }
  free(own);
  return NULL;
}

static void threads_share_it_while_the_daemon_is_killed_and_started(void **state) {
  (void)state;
  static thread_case_t cases[THREADS];
  for (size_t i = 0; i < THREADS; i++) {
    cases[i] = (thread_case_t){.id = {(char)('a' + i)}};
    create(cases[i].id);
  }
  for (size_t i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_create(&cases[i].thread, NULL, thread_run, &cases[i]), 0);
  }
  for (int i = 0; i < 3; i++) {
    assert_true(raw_counter_reaches(vestad.socket, "staged", THREADS));
    daemon_fixture_kill(&vestad);
    daemon_fixture_start(&vestad);
  }
  atomic_store(&enough, true);
  for (size_t i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_join(cases[i].thread, NULL), 0);
    assert_int_equal(cases[i].failed, 0);
    memset(data, cases[i].last, LARGE);
    must_read(cases[i].id, data, LARGE);
  }
}

static void a_forked_child_has_nothing_of_it(void **state) {
  (void)state;
  create("a");
  fill(1);
  OK(overwrite("a", data, LARGE));
  pid_t child = fork();
  if (child == 0) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    int found = maps == NULL;
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
      found |= strstr(line, "vesta-payload") != NULL;
    }
    _exit(found);
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  fill(2);
  OK(overwrite("a", data, LARGE));
  must_read("a", data, LARGE);
}

/* ---- a client that does as it likes ---- */

static raw_link_t raw;
static uint64_t handle;

static vesta_err_t stage_ask(raw_link_t *link) {
  wire_message_t request = {.kind = WIRE_STAGE};
  wire_message_t reply;
  vesta_err_t err = raw_link_call(link, &request, vesta_bytes(NULL, 0), &reply, NULL);
  assert_true(err != VESTA_OK || (reply.size == VESTA_STAGE_BYTES && link->attached >= 0));
  return err;
}

static void raw_open(bool with_stage) {
  vesta_token_t token = {0};
  assert_true(raw_link_open(&raw, vestad.socket));
  assert_int_equal(raw_link_hello(&raw, &token), VESTA_OK);
  assert_int_equal(raw_link_checkpoint(&raw, "raw", &handle), VESTA_OK);
  vesta_err_t err = raw_link_create(&raw, handle, "s", vesta_bytes(NULL, 0));
  assert_true(err == VESTA_OK || err == VESTA_ERR_EXIST);
  if (with_stage) {
    assert_int_equal(stage_ask(&raw), VESTA_OK);
  }
}

static wire_message_t staged_change(const wire_element_t *element, uint64_t offset, uint64_t size) {
  return (wire_message_t){
      .kind = WIRE_CHANGE, .handle = handle, .elements = element, .element_count = 1, .offset = offset, .size = size};
}

static wire_element_t element_of(uint64_t size) {
  return (wire_element_t){.kind = VESTA_KIND_OVERWRITTEN, .id = vesta_bytes("s", 1), .size = size};
}

static void what_lies_outside_of_it_ends_the_link(void **state) {
  (void)state;
  static const struct {
    uint64_t offset, size, payload;
    bool with_stage, ends;
  } cases[] = {
      {VESTA_STAGE_BYTES - 1000, 1000, 0, true, false},
      {VESTA_STAGE_BYTES - 999, 1000, 0, true, true},
      {UINT64_MAX, 1000, 0, true, true},
      {0, UINT64_MAX, 0, true, true},
      {0, VESTA_STAGE_BYTES + 1, 0, true, true},
      {0, 1000, 1000, true, true},
      {0, 1000, 0, false, true},
  };
  int64_t malformed = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    wire_element_t element = element_of(1000);
    raw_open(cases[i].with_stage);
    wire_message_t change = staged_change(&element, cases[i].offset, cases[i].size);
    assert_true(raw_link_send(&raw, &change, vesta_bytes(data, cases[i].payload), -1));
    if (cases[i].ends) {
      assert_true(raw_link_ended(&raw));
      malformed++;
    } else {
      wire_message_t reply;
      assert_true(raw_link_receive(&raw, &reply, NULL));
      assert_int_equal(reply.error, VESTA_OK);
    }
    assert_int_equal(counter("links_malformed"), malformed);
    raw_link_close(&raw);
  }
}

static void its_size_can_not_be_changed_and_holes_in_it_are_zeros(void **state) {
  (void)state;
  const uint64_t size = 100000;
  raw_open(true);
  int fd = raw.attached;
  assert_int_equal(ftruncate(fd, 0), -1);
  assert_int_equal(ftruncate(fd, 2 * (off_t)VESTA_STAGE_BYTES), -1);
  assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
  memset(data, 7, size);
  assert_int_equal(pwrite(fd, data, size, 0), size);
  assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 8192), 0);
  memset(data, 0, 8192);
  wire_element_t element = element_of(size);
  wire_message_t change = staged_change(&element, 0, size);
  wire_message_t reply;
  fd = dup(fd);
  assert_int_equal(raw_link_call(&raw, &change, vesta_bytes(NULL, 0), &reply, NULL), VESTA_OK);
  vesta_bytes_t there;
  assert_int_equal(raw_link_read(&raw, handle, "s", &there), VESTA_OK);
  assert_int_equal(there.size, size);
  assert_memory_equal(there.data, data, size);
  /* What is written there later changes nothing. */
  memset(data, 9, size);
  assert_int_equal(pwrite(fd, data, size, 0), size);
  assert_int_equal(raw_link_read(&raw, handle, "s", &there), VESTA_OK);
  assert_int_equal(there.data[8192], 7);
  (void)close(fd);
  raw_link_close(&raw);
}

static void so_many_links_share_memory_and_one_more_uses_the_socket(void **state) {
  (void)state;
  static raw_link_t links[STAGES];
  for (size_t i = 0; i < STAGES; i++) {
    vesta_token_t token = {0};
    assert_true(raw_link_open(&links[i], vestad.socket));
    assert_int_equal(raw_link_hello(&links[i], &token), VESTA_OK);
    assert_int_equal(stage_ask(&links[i]), VESTA_OK);
  }
  assert_int_equal(stage_ask(&links[0]), VESTA_ERR_EXIST);
  assert_int_equal(counter("stages"), STAGES);
  assert_int_equal(counter("stages_refused"), 0);
  create("a");
  fill(3);
  OK(overwrite("a", data, LARGE));
  OK(overwrite("a", data, LARGE));
  must_read("a", data, LARGE);
  assert_int_equal(counter("stages_refused"), 1); /* asked for once */
  assert_int_equal(counter("staged"), 0);
  raw_link_close(&links[0]);
  assert_int_equal(counter("stages"), STAGES - 1); /* its end came before this question */
  raw_open(true);
  raw_link_close(&raw);
  for (size_t i = 1; i < STAGES; i++) {
    raw_link_close(&links[i]);
  }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(large_payloads_up_to_the_limit_go_through_shared_memory_and_others_through_the_socket),
      CASE(a_vector_goes_through_it_as_one),
      CASE(after_a_restart_of_the_daemon_it_is_shared_anew),
      CASE(threads_share_it_while_the_daemon_is_killed_and_started),
      CASE(a_forked_child_has_nothing_of_it),
      CASE(what_lies_outside_of_it_ends_the_link),
      CASE(its_size_can_not_be_changed_and_holes_in_it_are_zeros),
      CASE(so_many_links_share_memory_and_one_more_uses_the_socket),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
