/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A subscriber in another language, against a real vestad: whatever happens, the table that it mirrors is the one that
 * our own mirror has.
 *
 *   foreign_subscriber_test [--tcp] COMMAND...      e.g. node samples/nodejs/subscribe.js
 *
 * The command gets two more arguments: a checkpoint, and the id of a section that ends it; before them, with --tcp,
 * --server tcp://ADDRESS:PORT --server-key FILE --key FILE. It prints a line for each
 * operation ("SEQ created ..."), for each walk ("SEQ walked: ...") and where history did not reach ("SEQ lost"), and at
 * its end the table, each section as = "id" "data", with \xNN for what is no printable character.
 */
#include <vesta.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/daemon_fixture.h"
#include "test/support/printed.h"
#include "test/support/raw_link.h"
#include "test/support/tcp_guest.h"

#define CHECKPOINT "foreign"
#define IDS 3000U
#define DATA_BYTES_MAX 800U
#define LARGE_BYTES 60000U
#define QUEUE_MESSAGES 85000U /* more than both ends of a connection hold together */
#define WORDS_MAX 16
#define TABLE_LINES_MAX (IDS + 2U) /* one that ends it, and another */

static const char *command[WORDS_MAX + 1];
static int name_word; /* of the checkpoint, in it */
static bool over_tcp;
static tcp_place_t place;
static daemon_fixture_t vestad;
static application_t application;
static uint64_t seed;
static bool there[IDS]; /* sections, as the writer knows them */

/* ---- the subscriber ---- */

typedef struct subscriber_process {
  pid_t pid;
  char path[DAEMON_FIXTURE_PATH_BYTES + 16]; /* what it prints */
} subscriber_process_t;

static void subscriber_start(subscriber_process_t *subscriber) {
  (void)snprintf(subscriber->path, sizeof subscriber->path, "%s/printed", vestad.run_dir);
  FILE *printed = fopen(subscriber->path, "we");
  assert_non_null(printed);
  subscriber->pid = fork();
  assert_true(subscriber->pid >= 0);
  if (subscriber->pid == 0) {
    union {
      const char **given;
      char **as_exec_wants_it;
    } vector = {.given = command};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(fileno(printed), STDOUT_FILENO);
    (void)execvp(command[0], vector.as_exec_wants_it);
    _exit(127);
  }
  (void)fclose(printed);
}

static void subscriber_await(const subscriber_process_t *subscriber, const char *text) {
  assert_true(printed_wait(subscriber->path, text));
}

static void subscriber_stop(const subscriber_process_t *subscriber) {
  int status;
  assert_int_equal(kill(subscriber->pid, SIGSTOP), 0);
  assert_int_equal(waitpid(subscriber->pid, &status, WUNTRACED), subscriber->pid);
  assert_true(WIFSTOPPED(status));
}

static void subscriber_continue(const subscriber_process_t *subscriber) {
  assert_int_equal(kill(subscriber->pid, SIGCONT), 0);
}

/* ---- two tables ---- */

typedef struct table_lines {
  char *lines[TABLE_LINES_MAX];
  size_t count;
} table_lines_t;

static void table_add(table_lines_t *table, char *line) {
  assert_true(table->count < TABLE_LINES_MAX);
  table->lines[table->count++] = line;
}

static int line_compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void bytes_print(FILE *out, const uint8_t *bytes, SaSizeT size) {
  (void)fputc('"', out);
  for (SaSizeT i = 0; i < size; i++) {
    bool plain = bytes[i] >= ' ' && bytes[i] <= '~' && bytes[i] != '"' && bytes[i] != '\\';
    (void)fprintf(out, plain ? "%c" : "\\x%02x", bytes[i]);
  }
  (void)fputc('"', out);
}

static SaBoolT section_print(void *context, const vesta_section_t *section) {
  char *line = NULL;
  size_t size;
  FILE *out = open_memstream(&line, &size);
  (void)fputs("= ", out);
  bytes_print(out, section->id.id, section->id.idLen);
  (void)fputc(' ', out);
  bytes_print(out, section->data, section->size);
  (void)fputc('\n', out);
  (void)fclose(out);
  table_add(context, line);
  return SA_TRUE;
}

static void our_table(table_lines_t *table) {
  vesta_mirror_t *mirror = NULL;
  vesta_change_t change = {0};
  assert_int_equal(vesta_mirror_open(application.checkpoint, NULL, &mirror), SA_AIS_OK);
  while (change.kind != VESTA_CHANGE_SYNCED) {
    assert_int_equal(vesta_mirror_next(mirror, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  }
  assert_int_equal(vesta_mirror_each(mirror, section_print, table), SA_AIS_OK);
  assert_int_equal(vesta_mirror_close(&mirror), SA_AIS_OK);
}

/* What a subscriber said on its way. */
typedef struct subscriber_words {
  unsigned operations, walks, losses;
  unsigned brought; /* sections that the last walk brought or took away */
  bool gapless;     /* each operation was one further than the one before, or one more element of it */
} subscriber_words_t;

static void words_add(subscriber_words_t *words, const char *line, uint64_t *last_seq) {
  char word[16] = "";
  unsigned long long seq;
  assert_int_equal(sscanf(line, "%llu %15s", &seq, word), 2);
  if (strcmp(word, "walked:") == 0) {
    assert_int_equal(sscanf(line, "%*u walked: %u", &words->brought), 1);
    words->walks++;
  } else if (strcmp(word, "lost") == 0) {
    words->losses++;
  } else {
    words->gapless &= seq == *last_seq || seq == *last_seq + 1;
    words->operations++;
  }
  *last_seq = seq;
}

static void their_table(const subscriber_process_t *subscriber, table_lines_t *table, subscriber_words_t *words) {
  FILE *printed = fopen(subscriber->path, "re");
  char *line = NULL;
  size_t size = 0;
  uint64_t last_seq = 0;
  assert_non_null(printed);
  *words = (subscriber_words_t){.gapless = true};
  for (; getline(&line, &size, printed) >= 0; line = NULL, size = 0) {
    if (line[0] == '=') {
      table_add(table, line);
    } else {
      words_add(words, line, &last_seq);
      free(line);
    }
  }
  free(line);
  (void)fclose(printed);
}

/* Tell the subscriber to end, and compare. */
static subscriber_words_t subscriber_finish(const subscriber_process_t *subscriber) {
  static table_lines_t ours;
  static table_lines_t theirs;
  subscriber_words_t words;
  int status;
  ours.count = 0;
  theirs.count = 0;
  assert_int_equal(application_create(&application, "done", "", 0), SA_AIS_OK);
  assert_int_equal(waitpid(subscriber->pid, &status, 0), subscriber->pid); /* ctest's own timeout is the deadline */
  assert_int_equal(status, 0);
  our_table(&ours);
  their_table(subscriber, &theirs, &words);
  qsort(ours.lines, ours.count, sizeof ours.lines[0], line_compare);
  qsort(theirs.lines, theirs.count, sizeof theirs.lines[0], line_compare);
  assert_int_equal(theirs.count, ours.count);
  for (size_t i = 0; i < ours.count; i++) {
    assert_string_equal(theirs.lines[i], ours.lines[i]);
    free(theirs.lines[i]);
    free(ours.lines[i]);
  }
  return words;
}

/* ---- the writer ---- */

static uint32_t random_below(uint32_t bound) {
  seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
  return (uint32_t)(seed >> 33) % bound;
}

/* One operation on one section: create, delete, overwrite, or write a piece that may lie behind its end. */
static void write_one(uint32_t number, bool may_delete) {
  static uint8_t data[DATA_BYTES_MAX];
  char id[16];
  uint32_t size = random_below(DATA_BYTES_MAX / 2);
  uint32_t choice = random_below(4);
  memset(data, (int)(seed & 0xff), size); /* any bytes */
  (void)snprintf(id, sizeof id, "id \xe9 %u", number);
  SaCkptIOVectorElementT piece = {.sectionId = section_id(id),
                                  .dataBuffer = data,
                                  .dataSize = size == 0 ? 1 : size,
                                  .dataOffset = random_below(DATA_BYTES_MAX / 2)};
  SaAisErrorT error;
  if (!there[number]) {
    error = application_create(&application, id, data, size);
    there[number] = true;
  } else if (choice == 0 && may_delete) {
    error = application_delete(&application, id);
    there[number] = false;
  } else if (choice == 1) {
    error = saCkptCheckpointWrite(application.checkpoint, &piece, 1, NULL);
  } else {
    error = application_overwrite(&application, id, data, size);
  }
  assert_int_equal(error, SA_AIS_OK);
}

static void write_many(uint32_t count, uint32_t ids) {
  for (uint32_t i = 0; i < count; i++) {
    write_one(random_below(ids), true);
  }
}

static uint8_t letters[LARGE_BYTES];

static void overwrite(const char *id, SaSizeT size) {
  memset(letters, 'a' + (int)random_below(26), size);
  assert_int_equal(application_overwrite(&application, id, letters, size), SA_AIS_OK);
}

/* Another section. */
static void overwrite_many(const char *id, uint32_t count, SaSizeT size) {
  assert_int_equal(application_create(&application, id, letters, size), SA_AIS_OK);
  for (uint32_t i = 0; i < count; i++) {
    overwrite(id, size);
  }
}

static void fill(void) {
  for (uint32_t i = 0; i < IDS; i++) {
    write_one(i, false);
  }
}

static void restart(void) {
  daemon_fixture_kill(&vestad);
  daemon_fixture_start(&vestad);
}

static int set_up(void **state) {
  (void)state;
  seed = 4;
  memset(there, 0, sizeof there);
  static const char *options[8];
  const char *const tcp[] = {"--stream-listen", place.endpoint,  "--key", place.server_key,
                             "--stream-keys",   place.known_dir, NULL};
  memcpy(options, tcp, sizeof tcp);
  daemon_fixture_open_with(&vestad, over_tcp ? options : NULL);
  application_open(&application, CHECKPOINT, APPLICATION_ALL);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  application_close(&application);
  daemon_fixture_close(&vestad);
  return 0;
}

/* ---- tests ---- */

static void what_is_written_while_it_walks_is_mirrored(void **state) {
  (void)state;
  subscriber_process_t subscriber;
  fill();
  subscriber_start(&subscriber);
  while (!printed_holds(subscriber.path, "walked:")) { /* as fast as it can */
    write_many(100, IDS);
  }
  write_many(1000, IDS);
  subscriber_words_t words = subscriber_finish(&subscriber);
  assert_int_equal(words.walks, 1);
  assert_true(words.gapless);
  assert_true(words.operations > 1000);
}

static void a_walk_that_is_cut_off_begins_again(void **state) {
  (void)state;
  subscriber_process_t subscriber;
  fill();
  for (uint32_t i = 0; i < 300; i++) { /* 18 MB, some 60 chunks */
    char id[16];
    (void)snprintf(id, sizeof id, "id \xe9 %u", i * 10);
    overwrite(id, LARGE_BYTES);
  }
  subscriber_start(&subscriber);
  assert_true(raw_counter_reaches(vestad.socket, over_tcp ? "guest_stream_requests" : "stream_requests", 5));
  restart();
  subscriber_words_t words = subscriber_finish(&subscriber);
  assert_int_equal(words.walks, 1);
  assert_int_equal(words.losses, 0);
  assert_in_range(words.brought, IDS, IDS + 1); /* all of them, and perhaps the one that ends it */
}

/* It says that it is there, and hears that nobody knows it; or its link ends. */
static void who_has_nothing_to_ask_is_known_again_when_the_service_is_back(void **state) {
  (void)state;
  subscriber_process_t subscriber;
  const char *counter = over_tcp ? "guests" : "streams";
  write_many(10, IDS);
  subscriber_start(&subscriber);
  subscriber_await(&subscriber, "walked:");
  assert_true(raw_counter_reaches(vestad.socket, counter, 1));
  restart();
  assert_true(raw_counter_reaches(vestad.socket, counter, 1));
  write_many(10, IDS);
  subscriber_words_t words = subscriber_finish(&subscriber);
  assert_int_equal(words.losses, 0);
}

static void what_it_missed_is_repaired_from_the_history(void **state) {
  (void)state;
  subscriber_process_t subscriber;
  fill();
  subscriber_start(&subscriber);
  subscriber_await(&subscriber, "walked:");
  subscriber_stop(&subscriber);
  restart();
  write_many(1000, IDS);
  subscriber_continue(&subscriber);
  subscriber_words_t words = subscriber_finish(&subscriber);
  assert_int_equal(words.walks, 1);
  assert_int_equal(words.losses, 0);
  assert_true(words.gapless);
  assert_int_equal(words.operations, 1001); /* and the section that ends it */
}

static void what_found_no_room_in_its_queue_is_repaired_from_the_history(void **state) {
  (void)state;
  subscriber_process_t subscriber;
  fill();
  subscriber_start(&subscriber);
  subscriber_await(&subscriber, "walked:");
  subscriber_stop(&subscriber);
  overwrite_many("small", QUEUE_MESSAGES, 5);
  subscriber_continue(&subscriber);
  /* A topic that is written to gets no beacon, which would tell of the hole as well. It is a pace and no wait for the
   * line, as history has to reach over the hole, however slow the subscriber is. */
  const struct timespec pace = {.tv_nsec = 20000000};
  unsigned more = 0;
  while (!printed_holds(subscriber.path, "60000 overwritten")) { /* long after there is room again */
    write_many(1, IDS);
    more++;
    (void)nanosleep(&pace, NULL);
  }
  subscriber_words_t words = subscriber_finish(&subscriber);
  assert_int_equal(words.walks, 1);
  assert_int_equal(words.losses, 0);
  assert_true(words.gapless);
  assert_int_equal(words.operations, QUEUE_MESSAGES + 2 + more); /* two sections were created */
}

static void what_history_no_longer_has_is_declared_lost_and_walked(void **state) {
  (void)state;
  subscriber_process_t subscriber;
  fill();
  subscriber_start(&subscriber);
  subscriber_await(&subscriber, "walked:");
  subscriber_stop(&subscriber);
  restart();
  write_many(2000, 100);
  overwrite_many("large", 300, LARGE_BYTES); /* 18 MB, and the history holds 8 */
  subscriber_continue(&subscriber);
  subscriber_words_t words = subscriber_finish(&subscriber);
  assert_int_equal(words.losses, 1);
  assert_int_equal(words.walks, 2);
  assert_in_range(words.brought, 1, 1000); /* what changed since, and not everything */
}

static void what_deletes_are_no_longer_known_of_is_walked_from_the_start(void **state) {
  (void)state;
  subscriber_process_t subscriber;
  fill();
  subscriber_start(&subscriber);
  subscriber_await(&subscriber, "walked:");
  subscriber_stop(&subscriber);
  restart();
  write_many(30000, 1000); /* some 8000 deletes, and 4096 are remembered */
  overwrite_many("large", 300, LARGE_BYTES);
  subscriber_continue(&subscriber);
  subscriber_words_t words = subscriber_finish(&subscriber);
  assert_int_equal(words.losses, 1);
  assert_int_equal(words.walks, 2);
  assert_true(words.brought > IDS - 1000);
}

static void whatever_happens_the_table_is_the_same_in_the_end(void **state) {
  (void)state;
  subscriber_process_t subscriber;
  fill();
  subscriber_start(&subscriber);
  for (unsigned round = 0; round < 12; round++) {
    write_many(random_below(400), IDS);
    switch (random_below(3)) {
      case 0: subscriber_stop(&subscriber); break;
      case 1: restart(); break;
      case 2: subscriber_await(&subscriber, "walked:"); break;
    }
    write_many(random_below(4000), IDS);
    subscriber_continue(&subscriber);
  }
  (void)subscriber_finish(&subscriber);
}

static void a_checkpoint_that_is_not_there_ends_it(void **state) {
  (void)state;
  subscriber_process_t subscriber;
  int status;
  command[name_word] = "nobody";
  subscriber_start(&subscriber);
  command[name_word] = CHECKPOINT;
  assert_int_equal(waitpid(subscriber.pid, &status, 0), subscriber.pid); /* ctest's own timeout is the deadline */
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 1);
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > WORDS_MAX - 8) {
    (void)fprintf(stderr, "usage: foreign_subscriber_test [--tcp] COMMAND...\n");
    return 2;
  }
  int words = 0;
  over_tcp = strcmp(argv[1], "--tcp") == 0;
  for (int word = over_tcp ? 2 : 1; word < argc; word++) {
    command[words++] = argv[word];
  }
  if (over_tcp) {
    tcp_place_make(&place);
    const char *tcp[] = {"--server", place.endpoint, "--server-key", place.server_public, "--key", place.guest_key};
    for (size_t i = 0; i < sizeof tcp / sizeof tcp[0]; i++) {
      command[words++] = tcp[i];
    }
  }
  name_word = words;
  command[words++] = CHECKPOINT;
  command[words] = "done";
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_is_written_while_it_walks_is_mirrored, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_walk_that_is_cut_off_begins_again, set_up, tear_down),
      cmocka_unit_test_setup_teardown(who_has_nothing_to_ask_is_known_again_when_the_service_is_back, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(what_it_missed_is_repaired_from_the_history, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_found_no_room_in_its_queue_is_repaired_from_the_history, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_history_no_longer_has_is_declared_lost_and_walked, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_deletes_are_no_longer_known_of_is_walked_from_the_start, set_up, tear_down),
      cmocka_unit_test_setup_teardown(whatever_happens_the_table_is_the_same_in_the_end, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_checkpoint_that_is_not_there_ends_it, set_up, tear_down),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (over_tcp) {
    tcp_place_remove(&place);
  }
  return failed;
}
