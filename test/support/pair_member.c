/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See pair_member.h.
 */
#include "test/support/pair_member.h"

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

#include "test/support/application.h"
#include "test/support/child.h"
#include "test/support/daemon_fixture.h"

#define MEMBER_WRITES_PER_TURN 16

/* ---- the ledger ---- */

pair_ledger_t *pair_ledger_new(void) {
  void *memory = mmap(NULL, sizeof(pair_ledger_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(memory, MAP_FAILED);
  pair_ledger_t *ledger = memory;
  ledger->awaited = UINT64_MAX;
  ledger->bell = bell_new();
  return ledger;
}

void pair_ledger_destroy(pair_ledger_t **ledger) {
  bell_destroy(&(*ledger)->bell);
  (void)munmap(*ledger, sizeof **ledger);
  *ledger = NULL;
}

uint64_t pair_ledger_acknowledged(const pair_ledger_t *ledger) {
  uint64_t most = 0;
  for (unsigned i = 0; i < PAIR_SECTIONS; i++) {
    uint64_t value = atomic_load(&ledger->acknowledged[i]);
    most = value > most ? value : most;
  }
  return most;
}

void pair_ledger_wait_more(pair_ledger_t *ledger, uint64_t count) {
  uint64_t until = pair_ledger_acknowledged(ledger) + count;
  int64_t deadline_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
  atomic_store(&ledger->awaited, until);
  while (pair_ledger_acknowledged(ledger) < until) {
    assert_true(bell_wait(&ledger->bell, NULL, 0, deadline_ns));
  }
  atomic_store(&ledger->awaited, UINT64_MAX);
}

static void ledger_raise(_Atomic uint64_t *entry, uint64_t value) {
  uint64_t now = atomic_load(entry);
  while (now < value && !atomic_compare_exchange_weak(entry, &now, value)) {
  }
}

static void ledger_acknowledge(pair_ledger_t *ledger, unsigned section, uint64_t value) {
  ledger_raise(&ledger->acknowledged[section], value);
  if (value >= atomic_load(&ledger->awaited)) {
    bell_ring(&ledger->bell);
  }
}

/* ---- in the member's process; what must not fail ends it, which the test sees as an end of its reports ---- */

typedef struct member {
  application_t application;
  vesta_pair_t *pair;
  pair_ledger_t *ledger;
  int commands, answers, reports;
  vesta_role_t role;
  bool writing;
  uint64_t writes;
  bool synced_told;
} member_t;

static void member_must(bool fine, const char *what) {
  if (!fine) {
    (void)fprintf(stderr, "member %ld: %s\n", (long)getpid(), what);
    _exit(1);
  }
}

static void member_tell(const member_t *member, pair_report_t report) {
  report.time_ns = daemon_fixture_now_ns();
  member_must(write(member->reports, &report, sizeof report) == (ssize_t)sizeof report, "report");
}

static void member_answer(const member_t *member, pair_answer_t answer) {
  member_must(write(member->answers, &answer, sizeof answer) == (ssize_t)sizeof answer, "answer");
}

static SaCkptSectionIdT member_section(unsigned index, char text[16]) {
  (void)snprintf(text, 16, "s%u", index);
  return section_id(text);
}

/* A section's value in the mirror; 0: it is not there or is no value. Values fill their whole section, all bytes of the
 * second half being the low byte of the first, so that half a write would show. */
#define MEMBER_VALUE_BYTES 200U
static void member_value_fill(uint8_t data[MEMBER_VALUE_BYTES], uint64_t value) {
  memcpy(data, &value, sizeof value);
  memset(data + sizeof value, (int)(value & 0xff), MEMBER_VALUE_BYTES - sizeof value);
}

static uint64_t member_value(const void *data, SaSizeT size) {
  uint8_t expected[MEMBER_VALUE_BYTES];
  uint64_t value;
  if (size != MEMBER_VALUE_BYTES) {
    return 0;
  }
  memcpy(&value, data, sizeof value);
  member_value_fill(expected, value);
  return memcmp(expected, data, size) == 0 ? value : 0;
}

/* Each section holds a value that was submitted and not refused, and is at least the newest acknowledged one; there is
 * none else. */
static uint64_t member_judge(const member_t *member) {
  vesta_mirror_t *mirror = vesta_pair_mirror(member->pair);
  uint64_t wrong = 0, there = 0;
  for (unsigned i = 0; i < PAIR_SECTIONS; i++) {
    char text[16];
    SaCkptSectionIdT id = member_section(i, text);
    const void *data;
    SaSizeT size;
    uint64_t acknowledged = atomic_load(&member->ledger->acknowledged[i]);
    uint64_t submitted = atomic_load(&member->ledger->submitted[i]);
    if (vesta_mirror_get(mirror, &id, &data, &size) != SA_AIS_OK) {
      wrong += acknowledged != 0;
      continue;
    }
    uint64_t value = member_value(data, size);
    there++;
    wrong +=
        value == 0 || value < acknowledged || value > submitted || atomic_load(&member->ledger->refused[value]) != 0;
  }
  return wrong + (vesta_mirror_count(mirror) - there);
}

/* The ledger is looked at after the event, which takes its time here. Who was succeeded meanwhile finds what its
 * successor has written there: that is no fault of its mirror. */
static bool member_still_active(const member_t *member) {
  return application_overwrite(&member->application, "missing", "", 0) == SA_AIS_ERR_NOT_EXIST;
}

/* A successor takes over what was submitted and is there as its own. */
static void member_take_over(const member_t *member) {
  for (unsigned i = 0; i < PAIR_SECTIONS; i++) {
    char text[16];
    SaCkptSectionIdT id = member_section(i, text);
    const void *data;
    SaSizeT size;
    if (vesta_mirror_get(vesta_pair_mirror(member->pair), &id, &data, &size) == SA_AIS_OK) {
      ledger_acknowledge(member->ledger, i, member_value(data, size));
    }
  }
}

static SaAisErrorT member_write(member_t *member) {
  uint8_t data[MEMBER_VALUE_BYTES];
  char text[16];
  uint64_t value = atomic_fetch_add(&member->ledger->next, 1) + 1;
  unsigned index = (unsigned)(value % PAIR_SECTIONS);
  member_must(value < PAIR_WRITES_MAX, "writes too much");
  (void)member_section(index, text);
  member_value_fill(data, value);
  ledger_raise(&member->ledger->submitted[index], value);
  SaAisErrorT error = application_overwrite(&member->application, text, data, sizeof data);
  if (error == SA_AIS_ERR_NOT_EXIST) {
    error = application_create(&member->application, text, data, sizeof data);
  }
  if (error == SA_AIS_OK) {
    ledger_acknowledge(member->ledger, index, value);
    member->writes++;
  } else if (error == SA_AIS_ERR_BAD_OPERATION) {
    atomic_store(&member->ledger->refused[value], 1);
  }
  return error;
}

static void member_event(member_t *member, const vesta_event_t *event) {
  if (event->kind == VESTA_EVENT_CHANGE) {
    if (event->change.kind == VESTA_CHANGE_SYNCED) {
      member->synced_told = false;
    }
    return;
  }
  pair_report_t report = {
      .kind = PAIR_REPORT_ROLE, .role = event->role, .reason = event->reason, .epoch = event->role_epoch};
  report.promotion = event->promotion;
  member->role = event->role;
  member->synced_told = member->synced_told && event->role != VESTA_ROLE_STANDBY;
  if (event->role == VESTA_ROLE_ACTIVE && event->promotion.result == VESTA_PROMOTION_SYNCED) {
    uint64_t wrong = member_judge(member);
    report.value = wrong != 0 && member_still_active(member) ? wrong : 0;
    member_take_over(member);
  }
  member_tell(member, report);
}

static void member_events(member_t *member) {
  vesta_event_t event;
  SaAisErrorT error;
  while ((error = vesta_pair_next(member->pair, 0, &event)) == SA_AIS_OK) {
    member_event(member, &event);
  }
  member_must(error == SA_AIS_ERR_TIMEOUT, "next event");
  vesta_status_t status;
  member_must(vesta_mirror_status(vesta_pair_mirror(member->pair), &status) == SA_AIS_OK, "status");
  if (status.promotable && !member->synced_told && member->role == VESTA_ROLE_STANDBY) {
    member->synced_told = true;
    member_tell(member, (pair_report_t){.kind = PAIR_REPORT_SYNCED});
  }
}

/* The plain way, for comparison: read every section. */
static uint64_t member_compare(member_t *member) {
  SaCkptSectionIterationHandleT iteration;
  SaCkptSectionDescriptorT section;
  uint64_t count = 0, differences = 0;
  member_must(saCkptSectionIterationInitialize(member->application.checkpoint, SA_CKPT_SECTIONS_ANY, 0, &iteration) ==
                  SA_AIS_OK,
              "iterate");
  while (saCkptSectionIterationNext(iteration, &section) == SA_AIS_OK) {
    uint8_t data[MEMBER_VALUE_BYTES];
    SaCkptIOVectorElementT element = {.sectionId = section.sectionId, .dataBuffer = data, .dataSize = sizeof data};
    SaUint32T erroneous;
    const void *mirrored = NULL;
    SaSizeT size = 0;
    member_must(saCkptCheckpointRead(member->application.checkpoint, &element, 1, &erroneous) == SA_AIS_OK, "read");
    bool same = vesta_mirror_get(vesta_pair_mirror(member->pair), &section.sectionId, &mirrored, &size) == SA_AIS_OK &&
                size == element.readSize && memcmp(mirrored, data, size) == 0;
    differences += !same;
    count++;
  }
  (void)saCkptSectionIterationFinalize(iteration);
  SaSizeT mirrored_count = vesta_mirror_count(vesta_pair_mirror(member->pair));
  return differences + (mirrored_count > count ? mirrored_count - count : count - mirrored_count);
}

static void member_command(member_t *member) {
  char command;
  if (read(member->commands, &command, 1) != 1) {
    _exit(0); /* the test is over */
  }
  pair_answer_t done = {0};
  switch ((pair_command_t)command) {
    case PAIR_WRITE: member->writing = true; return;
    case PAIR_WRITE_ONE: done.value = member_write(member); break;
    case PAIR_PAUSE:
      member->writing = false;
      done.value = member->writes;
      break;
    case PAIR_RESIGN: done.value = vesta_pair_resign(member->pair, SA_TIME_ONE_SECOND); break;
    case PAIR_PROMOTE: done.value = vesta_pair_promote(member->pair, SA_TIME_ONE_SECOND, &done.promotion); break;
    case PAIR_COMPARE:
      member_events(member);
      done.value = member_compare(member);
      break;
    case PAIR_LEAVE:
      done.value = vesta_pair_leave(&member->pair);
      member_answer(member, done);
      _exit(0);
  }
  member_answer(member, done);
}

static void member_turn(member_t *member, int pair_fd) {
  bool writes = member->writing && member->role == VESTA_ROLE_ACTIVE;
  struct pollfd fds[] = {{.fd = pair_fd, .events = POLLIN}, {.fd = member->commands, .events = POLLIN}};
  (void)poll(fds, 2, writes ? 0 : -1);
  if (fds[0].revents != 0) {
    member_events(member);
  }
  if (fds[1].revents != 0) {
    member_command(member);
  }
  for (int i = 0; writes && i < MEMBER_WRITES_PER_TURN; i++) {
    SaAisErrorT error = member_write(member);
    member_must(error == SA_AIS_OK || error == SA_AIS_ERR_BAD_OPERATION, "write");
    writes = error == SA_AIS_OK;
  }
}

static _Noreturn void member_run(const char *checkpoint, const vesta_pair_options_t *options, member_t *member) {
  SaSelectionObjectT fd;
  application_open(&member->application, checkpoint, APPLICATION_ALL);
  member_must(vesta_pair_join(member->application.checkpoint, options, &member->pair) == SA_AIS_OK, "join");
  member_must(vesta_pair_fd(member->pair, &fd) == SA_AIS_OK, "fd");
  for (;;) {
    member_turn(member, (int)fd);
  }
}

/* ---- in the test's process ---- */

pair_member_t pair_member_start(const char *checkpoint, const vesta_pair_options_t *options, pair_ledger_t *ledger) {
  int commands[2], answers[2], reports[2];
  assert_int_equal(pipe(commands), 0);
  assert_int_equal(pipe(answers), 0);
  assert_int_equal(pipe(reports), 0);
  pid_t pid = child_fork();
  if (pid == 0) {
    (void)close(commands[1]);
    (void)close(answers[0]);
    (void)close(reports[0]);
    member_t *member = calloc(1, sizeof *member);
    member_must(member != NULL, "memory");
    *member = (member_t){.ledger = ledger, .commands = commands[0], .answers = answers[1], .reports = reports[1]};
    member_run(checkpoint, options, member);
  }
  (void)close(commands[0]);
  (void)close(answers[1]);
  (void)close(reports[1]);
  return (pair_member_t){.pid = pid, .commands = commands[1], .answers = answers[0], .reports = reports[0]};
}

void pair_member_end(pair_member_t *member) {
  if (member->pid != 0) {
    (void)kill(member->pid, SIGKILL);
    (void)waitpid(member->pid, NULL, 0);
    (void)close(member->commands);
    (void)close(member->answers);
    (void)close(member->reports);
    *member = (pair_member_t){0};
  }
}

void pair_member_command(const pair_member_t *member, pair_command_t command) {
  char byte = (char)command;
  assert_int_equal(write(member->commands, &byte, 1), 1);
}

static bool readable(int fd, int timeout_ms) {
  struct pollfd one = {.fd = fd, .events = POLLIN};
  return poll(&one, 1, timeout_ms) == 1;
}

pair_report_t pair_member_report(const pair_member_t *member) {
  pair_report_t report;
  assert_true(readable(member->reports, TEST_DEADLINE_MS));
  assert_int_equal(read(member->reports, &report, sizeof report), (ssize_t)sizeof report);
  assert_false(report.kind == PAIR_REPORT_ROLE && report.role == VESTA_ROLE_ACTIVE && report.value != 0);
  return report;
}

pair_report_t pair_member_wait_role(const pair_member_t *member, vesta_role_t role) {
  pair_report_t report;
  do {
    report = pair_member_report(member);
  } while (report.kind != PAIR_REPORT_ROLE || report.role != role);
  return report;
}

void pair_member_wait_synced(const pair_member_t *member) {
  while (pair_member_report(member).kind != PAIR_REPORT_SYNCED) {
  }
}

bool pair_member_keeps_role(const pair_member_t *member, int duration_ms) {
  int64_t until_ns = daemon_fixture_now_ns() + duration_ms * INT64_C(1000000);
  int left_ms = duration_ms;
  while (readable(member->reports, left_ms)) {
    if (pair_member_report(member).kind == PAIR_REPORT_ROLE) {
      return false;
    }
    int64_t left_ns = until_ns - daemon_fixture_now_ns();
    left_ms = left_ns > 0 ? (int)(left_ns / 1000000) : 0;
  }
  return true;
}

pair_answer_t pair_member_answer(const pair_member_t *member, pair_command_t command) {
  pair_answer_t answer;
  pair_member_command(member, command);
  assert_true(readable(member->answers, TEST_DEADLINE_MS));
  assert_int_equal(read(member->answers, &answer, sizeof answer), (ssize_t)sizeof answer);
  return answer;
}

uint64_t pair_member_ask(const pair_member_t *member, pair_command_t command) {
  return pair_member_answer(member, command).value;
}
