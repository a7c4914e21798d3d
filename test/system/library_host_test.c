/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What libSaCkpt leaves alone in the process it lives in.
 *
 * The host is a process of its own that takes a library handle through a whole life, daemon restarts and calls without
 * a daemon included. All along nothing is written to its standard output and error, no signal comes, no disposition or
 * mask of a signal changes, no thread and no child appears, directory, umask, limits, timers and environment stay. What
 * descriptors there are meanwhile are closed on exec; at the end there is none more than before. That the host comes to
 * its last line and ends with its own exit code says that nobody exits or aborts for it.
 *
 * The host can't assert as cmocka does, so it says which line went wrong by a message on a pipe. Its daemon is the
 * parent's, who restarts it when asked to.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <saCkpt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/daemon_fixture.h"

#define LIMIT TEST_DEADLINE_NS
#define FDS_MAX 256
#define WORDS_BYTES 512

/* What the host asks of its parent, a byte each. */
enum { ASK_KILL = 'k', ASK_STOP = 't', ASK_START = 's', ASK_DONE = 'd', ASK_WRONG = 'w' };

static daemon_fixture_t vestad;
static int ask_fd, answer_fd; /* the host's ends of two pipes */

/* ---- in the host ---- */

/* Say what went wrong, and end. */
static _Noreturn void host_wrong(int line, const char *what) {
  char words[WORDS_BYTES];
  int size = snprintf(words, sizeof words, "%cline %d: %s", ASK_WRONG, line, what);
  (void)!write(ask_fd, words, (size_t)size);
  _exit(1);
}

#define SURE(condition)                 \
  do {                                  \
    if (!(condition)) {                 \
      host_wrong(__LINE__, #condition); \
    }                                   \
  } while (0)

#define OK(call) SURE((call) == SA_AIS_OK)

static void host_ask(char what) {
  char done;
  SURE(write(ask_fd, &what, 1) == 1 && read(answer_fd, &done, 1) == 1);
}

typedef struct disposition {
  void (*handler)(int signal);
  uint64_t flags, mask;
} disposition_t;

/* All of a process that a library might touch, but its descriptors. */
typedef struct surroundings {
  disposition_t signals[NSIG];
  uint64_t mask, pending;
  int threads;
  mode_t umask;
  char directory[256];
  struct rlimit files, core, memory;
  struct itimerval timers[3];
  int dumpable, death_signal, subreaper;
  pid_t session, group;
  char **environment;
  char *first_variable;
} surroundings_t;

static int entries_of(const char *path) {
  DIR *directory = opendir(path);
  int count = 0;
  SURE(directory != NULL);
  for (const struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
    count += entry->d_name[0] != '.';
  }
  (void)closedir(directory);
  return count;
}

static uint64_t signals_in(const sigset_t *set) {
  uint64_t bits = 0;
  for (int signal = 1; signal < NSIG; signal++) {
    bits |= (uint64_t)(sigismember(set, signal) == 1) << (signal - 1);
  }
  return bits;
}

static void surroundings_look(surroundings_t *s) {
  memset(s, 0, sizeof *s); /* compared as bytes */
  for (int signal = 1; signal < NSIG; signal++) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    if (sigaction(signal, NULL, &action) == 0) {
      s->signals[signal] = (disposition_t){action.sa_handler, (uint64_t)action.sa_flags, signals_in(&action.sa_mask)};
    }
  }
  sigset_t mask;
  sigset_t pending;
  SURE(sigprocmask(SIG_SETMASK, NULL, &mask) == 0 && sigpending(&pending) == 0);
  s->mask = signals_in(&mask);
  s->pending = signals_in(&pending);
  s->threads = entries_of("/proc/self/task");
  s->umask = umask(0);
  (void)umask(s->umask);
  SURE(getcwd(s->directory, sizeof s->directory) != NULL);
  SURE(getrlimit(RLIMIT_NOFILE, &s->files) == 0 && getrlimit(RLIMIT_CORE, &s->core) == 0 &&
       getrlimit(RLIMIT_AS, &s->memory) == 0);
  SURE(getitimer(ITIMER_REAL, &s->timers[0]) == 0 && getitimer(ITIMER_VIRTUAL, &s->timers[1]) == 0 &&
       getitimer(ITIMER_PROF, &s->timers[2]) == 0);
  s->dumpable = prctl(PR_GET_DUMPABLE);
  SURE(prctl(PR_GET_PDEATHSIG, &s->death_signal) == 0 && prctl(PR_GET_CHILD_SUBREAPER, &s->subreaper) == 0);
  s->session = getsid(0);
  s->group = getpgid(0);
  s->environment = environ;
  s->first_variable = environ[0];
}

static surroundings_t surroundings_before;

static void surroundings_are_untouched(int line) {
  surroundings_t now;
  surroundings_look(&now);
  if (memcmp(&now, &surroundings_before, sizeof now) != 0) {
    host_wrong(line, "something around the library has changed");
  }
  if (waitpid(-1, NULL, WNOHANG | __WALL) != -1 || errno != ECHILD) {
    host_wrong(line, "there is a child");
  }
}

#define UNTOUCHED() surroundings_are_untouched(__LINE__)

/* Which descriptors are open, as bits; `inheritable`: only those that an exec leaves open. */
static void descriptors_look(bool open_ones[FDS_MAX], bool inheritable) {
  for (int fd = 0; fd < FDS_MAX; fd++) {
    int flags = fcntl(fd, F_GETFD);
    open_ones[fd] = flags >= 0 && (!inheritable || (flags & FD_CLOEXEC) == 0);
  }
}

static int called;
static void note_opened(SaInvocationT invocation, SaCkptCheckpointHandleT checkpoint, SaAisErrorT error) {
  SURE(invocation == 5 && error == SA_AIS_OK);
  SURE(saCkptCheckpointClose(checkpoint) == SA_AIS_OK);
  called++;
}

static SaCkptHandleT initialize(void) {
  const SaCkptCallbacksT callbacks = {note_opened, NULL};
  SaVersionT version = {'B', 2, 2};
  SaCkptHandleT library = 0;
  OK(saCkptInitialize(&library, &callbacks, &version));
  return library;
}

static SaCkptCheckpointHandleT checkpoint_open(SaCkptHandleT library) {
  const SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = SA_CKPT_WR_ALL_REPLICAS,
                                                          .checkpointSize = 1000,
                                                          .retentionDuration = SA_TIME_ONE_MINUTE,
                                                          .maxSections = 10,
                                                          .maxSectionSize = 1000,
                                                          .maxSectionIdSize = 8};
  SaCkptCheckpointHandleT checkpoint = 0;
  SaNameT name = {.length = 4, .value = "host"};
  OK(saCkptCheckpointOpen(library, &name, &attributes,
                          SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE | SA_CKPT_CHECKPOINT_CREATE, LIMIT,
                          &checkpoint));
  return checkpoint;
}

static uint8_t section_name[] = "s";

static void host_writes_and_reads(SaCkptCheckpointHandleT checkpoint, const char *data) {
  SaCkptSectionIdT id = {1, section_name};
  SaAisErrorT error = saCkptSectionOverwrite(checkpoint, &id, data, strlen(data));
  if (error == SA_AIS_ERR_NOT_EXIST) {
    SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = SA_TIME_END};
    error = saCkptSectionCreate(checkpoint, &section, data, strlen(data));
  }
  OK(error);
  SaCkptIOVectorElementT element = {.sectionId = id};
  OK(saCkptCheckpointRead(checkpoint, &element, 1, NULL));
  SURE(element.readSize == strlen(data) && memcmp(element.dataBuffer, data, strlen(data)) == 0);
  OK(saCkptIOVectorElementDataFree(checkpoint, element.dataBuffer));
  SaCkptSectionIterationHandleT iteration;
  SaCkptSectionDescriptorT descriptor;
  OK(saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, &iteration));
  OK(saCkptSectionIterationNext(iteration, &descriptor));
  OK(saCkptSectionIterationFinalize(iteration));
}

static void host_is_called_back(SaCkptHandleT library) {
  SaNameT name = {.length = 4, .value = "host"};
  SaSelectionObjectT object;
  OK(saCkptSelectionObjectGet(library, &object));
  OK(saCkptCheckpointOpenAsync(library, 5, &name, NULL, SA_CKPT_CHECKPOINT_READ));
  called = 0;
  while (called == 0) {
    struct pollfd ready = {.fd = (int)object, .events = POLLIN};
    SURE(poll(&ready, 1, TEST_DEADLINE_MS) == 1);
    OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  }
}

/* The daemon goes and comes; a call of everything after each. */
static void host_lives(void) {
  SaCkptHandleT library = initialize();
  UNTOUCHED();
  SaCkptCheckpointHandleT checkpoint = checkpoint_open(library);
  host_writes_and_reads(checkpoint, "first");
  host_is_called_back(library);
  UNTOUCHED();
  for (int i = 0; i < 2; i++) {
    host_ask(i == 0 ? ASK_KILL : ASK_STOP);
    SaCkptHandleT none = 0;
    SaVersionT version = {'B', 2, 2};
    SURE(saCkptInitialize(&none, NULL, &version) == SA_AIS_ERR_TRY_AGAIN);
    SaNameT name = {.length = 4, .value = "host"};
    SaCkptCheckpointHandleT handle;
    SURE(saCkptCheckpointOpen(library, &name, NULL, SA_CKPT_CHECKPOINT_READ, SA_TIME_ONE_SECOND / 20, &handle) ==
         SA_AIS_ERR_TRY_AGAIN);
    UNTOUCHED();
    host_ask(ASK_START);
    host_writes_and_reads(checkpoint, "again");
    host_is_called_back(library);
    UNTOUCHED();
  }
  SURE(saCkptFinalize(library + 1) == SA_AIS_ERR_BAD_HANDLE);
  host_ask(ASK_KILL);
  OK(saCkptFinalize(library)); /* with nobody there to be told */
  UNTOUCHED();
  host_ask(ASK_START);
}

static void host_run(bool closed) {
  bool before[FDS_MAX];
  bool inheritable_before[FDS_MAX];
  bool after[FDS_MAX];
  if (closed) {
    for (int fd = 0; fd < 3; fd++) {
      (void)close(fd);
    }
  }
  descriptors_look(before, false);
  descriptors_look(inheritable_before, true);
  surroundings_look(&surroundings_before);
  SaCkptHandleT library = initialize();
  SaCkptCheckpointHandleT checkpoint = checkpoint_open(library);
  host_writes_and_reads(checkpoint, "x");
  descriptors_look(after, true);
  SURE(memcmp(after, inheritable_before, sizeof after) == 0);
  OK(saCkptFinalize(library));
  descriptors_look(after, false);
  SURE(memcmp(after, before, sizeof after) == 0);
  host_lives();
}

/* ---- the parent ---- */

/* A host whose standard descriptors lead into a file. */
static pid_t host_start(bool closed, int output, int asked[2], int answers[2]) {
  assert_int_equal(pipe2(asked, O_CLOEXEC), 0);
  assert_int_equal(pipe2(answers, O_CLOEXEC), 0);
  pid_t host = fork();
  assert_true(host >= 0);
  if (host == 0) {
    /* Pipes on high numbers, whatever the library gets is then comparable. */
    ask_fd = fcntl(asked[1], F_DUPFD_CLOEXEC, 100);
    answer_fd = fcntl(answers[0], F_DUPFD_CLOEXEC, 100);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(output, STDERR_FILENO);
    (void)close_range(STDERR_FILENO + 1, 99, 0);
    host_run(closed);
    const char done = ASK_DONE;
    (void)!write(ask_fd, &done, 1);
    exit(42); /* as a host ends: with destructors and handlers of exit */
  }
  (void)close(asked[1]);
  (void)close(answers[0]);
  return host;
}

/* Do what the host asks until it is done. */
static void host_serve(int ask, int answer) {
  for (;;) {
    char words[WORDS_BYTES] = {0};
    ssize_t size = read(ask, words, sizeof words - 1);
    if (size <= 0) {
      fail_msg("the host ended without a word");
    }
    switch (words[0]) {
      case ASK_KILL: daemon_fixture_kill(&vestad); break;
      case ASK_STOP: assert_int_equal(daemon_fixture_stop(&vestad), 0); break;
      case ASK_START: daemon_fixture_start(&vestad); break;
      case ASK_WRONG: fail_msg("in the host, %s", words + 1); break;
      default: return;
    }
    assert_int_equal(write(answer, "x", 1), 1);
  }
}

static void host_test(bool closed) {
  char path[] = "/tmp/vesta-test-output-XXXXXX";
  int asked[2];
  int answers[2];
  int output = mkostemp(path, O_CLOEXEC);
  assert_true(output >= 0);
  (void)unlink(path);
  pid_t host = host_start(closed, output, asked, answers);
  host_serve(asked[0], answers[1]);
  int status = 0;
  assert_int_equal(waitpid(host, &status, 0), host);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 42);
  assert_int_equal(lseek(output, 0, SEEK_END), 0); /* nothing was printed */
  (void)close(output);
  (void)close(asked[0]);
  (void)close(answers[1]);
}

static void the_library_changes_nothing_in_its_host_and_prints_nothing(void **state) {
  (void)state;
  host_test(false);
}

static void nor_in_a_host_that_has_closed_its_standard_descriptors(void **state) {
  (void)state;
  host_test(true);
}

static int daemon_open(void **state) {
  (void)state;
  daemon_fixture_open(&vestad);
  return 0;
}

static int daemon_close(void **state) {
  (void)state;
  daemon_fixture_close(&vestad);
  return 0;
}

#define WITH_DAEMON(test) cmocka_unit_test_setup_teardown(test, daemon_open, daemon_close)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_DAEMON(the_library_changes_nothing_in_its_host_and_prints_nothing),
      WITH_DAEMON(nor_in_a_host_that_has_closed_its_standard_descriptors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
