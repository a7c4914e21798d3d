/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The vesta command on one checkpoint: what is in it, what happens to it, all of it out and in again. Each test has a
 * vestad of its own and a checkpoint "name" with a section whose id and data are unpleasant.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pty.h>
#include <cmocka.h>

#include "test/support/raw_link.h"
#include "test/support/vestad_process.h"

#define NAME "na=me, a \\ and \xff"
#define NAME_TYPED "'na=me, a \\\\ and \\xff'"
#define NAME_PRINTED "na=me, a \\x5c and \\xff"
#define ID "\"\\\x01\xff s"
#define ID_TYPED "'\\x22\\\\\\x01\\xff s'"
#define ID_PRINTED "\\x22\\x5c\\x01\\xff s"

static vestad_place_t place;
static pid_t vestad;
static raw_link_t raw;
static uint64_t handle;
static char output[1 << 18];

static FILE *command_start(const char *line) {
  (void)setenv("VESTA_SOCKET", place.socket, 1);
  FILE *stream = popen(line, "re");
  assert_non_null(stream);
  return stream;
}

static int command_wait(FILE *stream) {
  int status = pclose(stream);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A line for the shell, in which `vesta` is ours. @return its exit code; `output` has both of its streams */
static int shell(const char *line) {
  char whole[2048];
  (void)snprintf(whole, sizeof whole, "exec 2>&1; cd %s; PATH=%s:$PATH; %s", place.run_dir,
                 getenv("VESTA_TEST_BIN_DIR"), line);
  FILE *stream = command_start(whole);
  output[fread(output, 1, sizeof output - 1, stream)] = '\0';
  return command_wait(stream);
}

static bool printed(const char *text) { return strstr(output, text) != NULL; }

static void section_create(const void *id, size_t id_bytes, const void *data, size_t bytes, int64_t expiry_ns) {
  const wire_element_t element = {
      .kind = VESTA_KIND_CREATED, .id = vesta_bytes(id, id_bytes), .size = bytes, .expiry_ns = expiry_ns};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1};
  wire_message_t reply;
  assert_int_equal(raw_link_call(&raw, &change, vesta_bytes(data, bytes), &reply, NULL), VESTA_OK);
}

static void show_tells_attributes_openers_position_and_size(void **state) {
  (void)state;
  assert_int_equal(shell("vesta show " NAME_TYPED), 0);
  assert_true(printed("\nname                       " NAME_PRINTED "\n"));
  assert_true(printed("\nsections                   1\n") && printed("\nbytes                      5\n"));
  assert_true(printed("\nopened                     1\n") && printed("\nretention_s                3600.000\n"));
  assert_true(printed("-1-1\n") && printed("\nsection_bytes_max          "));
  assert_int_equal(shell("vesta show --json " NAME_TYPED), 0);
  assert_true(printed("\"opened\": 1") && printed("\"position\": \""));
  assert_int_equal(shell("vesta show nobody"), 1);
  assert_true(printed("there is no such checkpoint") && printed("is it safCkpt=nobody\n"));
  assert_int_equal(shell("vesta watch safCkpt=nobody"), 1);
  assert_true(printed("there is no such checkpoint; `vesta ls` tells which there are\n"));
  assert_int_equal(raw_counter(place.socket, "sessions"), 1); /* it left none of its own */
}

static void sections_are_printed_so_that_get_takes_their_ids(void **state) {
  (void)state;
  section_create("text", 4, "caf\xc3\xa9", 5, 4000000000000000000);
  assert_int_equal(shell("vesta sections " NAME_TYPED), 0);
  assert_true(printed("         5  never                     20") && printed("  \"" ID_PRINTED "\"\n"));
  assert_true(printed("2096-10-02T07:06:40.000Z"));
  assert_int_equal(shell("vesta sections --json " NAME_TYPED), 0);
  assert_true(printed("{\"id\":\"text\",\"bytes\":5,\"expiry_ns\":4000000000000000000,\"last_update_ns\":"));
  assert_true(printed("{\"id\":\"\\\\x22\\\\x5c\\\\x01\\\\xff s\",\"bytes\":5,\"expiry_ns\":null,"));
  assert_int_equal(shell("vesta get " NAME_TYPED " '\"" ID_PRINTED "\"' | od -An -tx1"), 0);
  assert_string_equal(output, " 00 ff 0a 22 00\n");
  assert_int_equal(shell("vesta get --json " NAME_TYPED " " ID_TYPED), 0);
  assert_true(printed("\"bytes\":5,\"data_hex\":\"00ff0a2200\"}\n"));
  assert_int_equal(shell("vesta get --json " NAME_TYPED " text"), 0);
  assert_true(printed("\"data\":\"caf\xc3\xa9\"}\n"));
  assert_int_equal(shell("vesta get " NAME_TYPED " nothing"), 1);
  assert_true(printed("SA_AIS_ERR_NOT_EXIST"));
}

static void the_output_that_can_not_be_written_is_a_failure(void **state) {
  (void)state;
  assert_int_equal(shell("vesta get " NAME_TYPED " " ID_TYPED " >/dev/full"), 1);
  assert_true(printed("the output was not written"));
  assert_int_equal(shell("vesta dump " NAME_TYPED " >/dev/full"), 1);
}

static void rm_unlinks_and_what_is_open_lives_on(void **state) {
  (void)state;
  assert_int_equal(shell("vesta rm " NAME_TYPED), 0);
  assert_string_equal(output, "");
  assert_int_equal(shell("vesta rm " NAME_TYPED), 1);
  assert_int_equal(shell("vesta ls"), 0);
  assert_true(printed(NAME_PRINTED " (unlinked)\n"));
}

static void a_dump_that_is_loaded_is_the_same_whatever_the_bytes(void **state) {
  (void)state;
  uint8_t data[256];
  for (unsigned i = 0; i < 256; i++) {
    uint8_t id[2] = {(uint8_t)i, (uint8_t)(255 - i)};
    data[i] = (uint8_t)i;
    section_create(id, i % 2 + 1, data + i / 2, i - i / 2, i % 3 == 0 ? 4000000000000000000 + i : VESTA_TIME_END);
  }
  assert_int_equal(shell("vesta dump " NAME_TYPED " >one && vesta load copy <one && vesta dump copy >two"), 0);
  assert_string_equal(output, "");
  assert_int_equal(shell("head -qn 1 one two; sed 1d one | sort >1; sed 1d two | sort | cmp - 1"), 0);
  assert_true(printed("\"name\":\"na=me, a \\\\x5c and \\\\xff\"}\n") && printed("\"name\":\"copy\"}\n"));
  assert_int_equal(shell("test $(wc -l <1) = 258 && sed -En '1s/.*attributes\":([^}]*).*/\\1/p' one >1 &&"
                         "sed -En '1s/.*attributes\":([^}]*).*/\\1/p' two | cmp - 1 && test -s 1"),
                   0);
  for (unsigned i = 1; i < 256; i += 85) { /* against what was written, not against itself */
    char line[128];
    (void)snprintf(line, sizeof line, i % 2 == 0 ? "vesta get copy '\\x%02x'" : "vesta get copy '\\x%02x\\x%02x'", i,
                   255 - i);
    assert_int_equal(shell(line), 0);
    assert_memory_equal(output, data + i / 2, i - i / 2);
  }
  assert_int_equal(shell("vesta load copy <one; vesta dump copy | sed 1d | sort >2; sed 1d one | sort | cmp - 2"), 0);
}

static void load_says_when_it_was_given_no_dump_or_half_of_one(void **state) {
  (void)state;
  assert_int_equal(shell("vesta load other </dev/null"), 1);
  assert_int_equal(shell("echo '{\"vesta_dump\":2}' | vesta load other"), 1);
  assert_true(printed("is no dump of version 1"));
  assert_int_equal(shell("vesta dump " NAME_TYPED " >one; head -n 2 one | vesta load other"), 1);
  assert_true(printed("line 3: the dump was cut off here; 1 sections were loaded before it"));
  assert_int_equal(
      shell("(head -n 1 one; echo '{\"id\":\"\\\"\",\"expiry_ns\":null,\"data\":\"\"}') | vesta load other"), 1);
  assert_true(printed("line 2: no section"));
  assert_int_equal(shell("sed '$s/1}/2}/' one | vesta load other"), 1);
  assert_true(printed("another number of sections"));
  assert_int_equal(shell("sed '1s/sections_max\":[0-9]*/sections_max\":7/' one | vesta load other"), 1);
  assert_true(printed("SA_AIS_ERR_EXIST") && printed("other attributes"));
  assert_int_equal(shell("sed '2s/null/5/' one | vesta load other"), 0);
  assert_true(printed("1 sections had expired and were left out"));
}

static void the_default_section_and_the_longest_name_are_like_others(void **state) {
  (void)state;
  static const char dump[] =
      "echo '{\"vesta_dump\":1,\"attributes\":{\"mode\":\"active\",\"collocated\":true,\"checkpoint_bytes\":9,"
      "\"retention_ns\":null,\"sections_max\":1,\"section_bytes_max\":9,\"section_id_bytes_max\":1}}"
      "{\"id\":\"\",\"expiry_ns\":null,\"data\":\"default\"}{\"end\":true,\"sections\":1}' >one;";
  char line[1024];
  (void)snprintf(line, sizeof line,
                 "%s n=$(printf '%%02048d' 0); vesta load $n <one && vesta get $n '' && vesta get $n '\"\"'", dump);
  assert_int_equal(shell(line), 0);
  assert_string_equal(output, "defaultdefault");
  assert_int_equal(
      shell("n=$(printf '%02048d' 0); vesta dump $n | grep -c '\"id\":\"\",' && vesta show $n >1 && vesta rm $n"), 0);
  assert_string_equal(output, "1\n");
  assert_int_equal(shell("n=$(printf '%02049d' 0); vesta show $n"), 2);
  assert_int_equal(shell("vesta load 'a\\x00b' <one; vesta get 'a\\x00b' ''"), 0);
  assert_string_equal(output, "default");
}

/* Read lines until one has this text. */
static void stream_shows(FILE *stream, const char *text) {
  do {
    assert_non_null(fgets(output, sizeof output, stream));
  } while (!printed(text));
}

static FILE *watch_start(const char *arguments, pid_t *pid) {
  char line[1024];
  (void)snprintf(line, sizeof line, "echo $$; exec %s/vesta watch %s 2>&1", getenv("VESTA_TEST_BIN_DIR"), arguments);
  FILE *stream = command_start(line);
  assert_non_null(fgets(output, sizeof output, stream));
  *pid = (pid_t)atoi(output);
  return stream;
}

static void watch_shows_what_is_there_and_what_happens_until_interrupted(void **state) {
  (void)state;
  pid_t pid;
  FILE *stream = watch_start(NAME_TYPED, &pid);
  stream_shows(stream, "resync-begin from=0000000000000000-0-0 full\n");
  stream_shows(stream, "created \"" ID_PRINTED "\" offset=0 bytes=5 expiry_ns=never\n");
  stream_shows(stream, "synced\n");
  section_create("new", 3, "x", 1, VESTA_TIME_END);
  stream_shows(stream, "-1-2 created \"new\" offset=0 bytes=1 expiry_ns=never\n");
  char position[64];
  assert_int_equal(sscanf(output, "%63s", position), 1);
  assert_int_equal(kill(pid, SIGINT), 0);
  assert_int_equal(command_wait(stream), 0);
  assert_int_equal(raw_counter(place.socket, "sessions"), 1);

  assert_int_equal(raw_link_overwrite(&raw, handle, "new", vesta_bytes("\xff", 1)), VESTA_OK);
  char arguments[256];
  (void)snprintf(arguments, sizeof arguments, "%s --json --from %s", NAME_TYPED, position);
  stream = watch_start(arguments, &pid);
  assert_non_null(fgets(output, sizeof output, stream)); /* the first: nothing from before the position */
  assert_true(printed("\"kind\":\"overwritten\"") && printed("\"id\":\"new\"") && printed("\"data_hex\":\"ff\""));
  stream_shows(stream, "\"kind\":\"synced\"");
  assert_int_equal(kill(pid, SIGTERM), 0);
  assert_int_equal(command_wait(stream), 0);
}

static void watch_says_that_changes_were_lost_and_why(void **state) {
  (void)state;
  pid_t pid;
  FILE *stream = watch_start(NAME_TYPED " --from 00000000000000aa-1-1", &pid);
  stream_shows(stream, "lost from=00000000000000aa-1-1 reason=diverged\n");
  stream_shows(stream, "resync-end\n");
  assert_int_equal(kill(pid, SIGINT), 0);
  assert_int_equal(command_wait(stream), 0);
}

static void watch_shows_the_part_that_was_asked_for(void **state) {
  (void)state;
  pid_t pid;
  section_create("\xff.1", 3, "x", 1, VESTA_TIME_END);
  FILE *stream = watch_start(NAME_TYPED " --prefix '\\xff' --prefix new --kinds deleted,created", &pid);
  stream_shows(stream, "resync-begin");
  assert_non_null(fgets(output, sizeof output, stream));
  assert_true(printed(" created \"\\xff.1\" offset=0 bytes=1 expiry_ns=never\n"));
  stream_shows(stream, "synced\n");
  section_create("news", 4, "x", 1, VESTA_TIME_END);
  assert_int_equal(raw_link_overwrite(&raw, handle, "news", vesta_bytes("y", 1)), VESTA_OK);
  section_create("other", 5, "x", 1, VESTA_TIME_END);
  section_create("new", 3, "x", 1, VESTA_TIME_END);
  assert_non_null(fgets(output, sizeof output, stream));
  assert_true(printed(" created \"news\" "));
  assert_non_null(fgets(output, sizeof output, stream));
  assert_true(printed(" created \"new\" "));
  assert_int_equal(kill(pid, SIGINT), 0);
  assert_int_equal(command_wait(stream), 0);

  stream = watch_start(NAME_TYPED " --keys --coalesce --json --prefix new", &pid);
  stream_shows(stream, "\"kind\":\"created\"");
  assert_true(printed("\"bytes\":1") && !printed("\"data"));
  stream_shows(stream, "\"kind\":\"synced\"");
  assert_int_equal(kill(pid, SIGINT), 0);
  assert_int_equal(command_wait(stream), 0);
}

static void top_prints_one_round_when_the_output_is_no_terminal(void **state) {
  (void)state;
  assert_int_equal(shell("vesta top"), 0);
  assert_true(printed("vestad ") && printed("CHANGES/S") && printed(NAME_PRINTED "\n"));
  assert_int_equal(shell("vesta top --json"), 0);
  assert_true(printed("\"status\": {") && printed("\"checkpoints\": ["));
}

static void top_on_a_terminal_goes_on_until_interrupted(void **state) {
  (void)state;
  struct winsize size = {.ws_row = 24, .ws_col = 200};
  char path[512];
  int terminal;
  int status = 0;
  (void)setenv("VESTA_SOCKET", place.socket, 1);
  (void)snprintf(path, sizeof path, "%s/vesta", getenv("VESTA_TEST_BIN_DIR"));
  pid_t pid = forkpty(&terminal, NULL, NULL, &size);
  assert_true(pid >= 0);
  if (pid == 0) {
    (void)execl(path, "vesta", "top", (char *)NULL);
    _exit(127);
  }
  size_t got = 0;
  const char *second = NULL;
  while (second == NULL) { /* the second round has a rate where the first has none */
    ssize_t part = read(terminal, output + got, sizeof output - 1 - got);
    assert_true(part > 0);
    got += (size_t)part;
    output[got] = '\0';
    second = strstr(output, "        0         0         1 ");
  }
  assert_true(printed("        -         -         1 ") && printed("requests/s - "));
  assert_int_equal(write(terminal, "\x03", 1), 1); /* Ctrl-C */
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  (void)close(terminal);
}

/* What bash would offer at the end of these words. */
static int complete(const char *words, int last) {
  char line[1024];
  (void)snprintf(line, sizeof line,
                 "bash -c 'source %s/packaging/vesta.bash-completion; COMP_WORDS=(%s); COMP_CWORD=%d; _vesta;"
                 "printf \"<%%s>\\n\" \"${COMPREPLY[@]}\"'",
                 getenv("VESTA_TEST_SOURCE_DIR"), words, last);
  return shell(line);
}

static void the_shell_completes_commands_names_and_ids(void **state) {
  (void)state;
  assert_int_equal(complete("vesta s", 1), 0);
  assert_string_equal(output, "<status>\n<show>\n<sections>\n");
  assert_int_equal(complete("vesta --json ls --s", 3), 0);
  assert_string_equal(output, "<--socket>\n");
  assert_int_equal(complete("vesta watch n --k", 3), 0);
  assert_string_equal(output, "<--kinds>\n<--keys>\n<--key>\n");
  assert_int_equal(complete("vesta show n --k", 3), 0);
  assert_string_equal(output, "<>\n");
  assert_int_equal(complete("vesta watch n --kinds created,expi", 4), 0);
  assert_string_equal(output, "<created,expired>\n<created,expiry-set>\n");
  assert_int_equal(complete("vesta show n", 2), 0);
  assert_string_equal(output, "<na=me\\,\\ a\\ \\\\x5c\\ and\\ \\\\xff>\n");
  assert_int_equal(complete("vesta show na = m", 4), 0); /* as readline takes it apart */
  assert_string_equal(output, "<me\\,\\ a\\ \\\\x5c\\ and\\ \\\\xff>\n");
  assert_int_equal(complete("vesta show z", 2), 0);
  assert_string_equal(output, "<>\n");
  assert_int_equal(complete("vesta get \"na=me,\\\\ a\\\\ \\\\\\\\x5c\\\\ and\\\\ \\\\\\\\xff\" \"\"", 3), 0);
  assert_string_equal(output, "<\\\\x22\\\\x5c\\\\x01\\\\xff\\ s>\n");
}

static int place_set_up(void **state) {
  (void)state;
  vesta_token_t token = {0};
  vestad_place_make(&place);
  vestad = vestad_start(&place, NULL, NULL);
  if (vestad <= 0 || !raw_link_open(&raw, place.socket) || raw_link_hello(&raw, &token) != VESTA_OK ||
      raw_link_checkpoint(&raw, NAME, &handle) != VESTA_OK) {
    return -1;
  }
  section_create(ID, strlen(ID), "\0\xff\n\"", 5, VESTA_TIME_END);
  return 0;
}

static int place_tear_down(void **state) {
  (void)state;
  raw_link_close(&raw);
  int exit_code = vestad_end(vestad, SIGTERM);
  char line[128];
  (void)snprintf(line, sizeof line, "cd %s && rm -f one two 1 2", place.run_dir);
  FILE *stream = command_start(line);
  (void)command_wait(stream);
  vestad_place_remove(&place);
  return exit_code;
}

#define command_case(test) cmocka_unit_test_setup_teardown(test, place_set_up, place_tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      command_case(show_tells_attributes_openers_position_and_size),
      command_case(sections_are_printed_so_that_get_takes_their_ids),
      command_case(the_output_that_can_not_be_written_is_a_failure),
      command_case(rm_unlinks_and_what_is_open_lives_on),
      command_case(a_dump_that_is_loaded_is_the_same_whatever_the_bytes),
      command_case(the_default_section_and_the_longest_name_are_like_others),
      command_case(load_says_when_it_was_given_no_dump_or_half_of_one),
      command_case(watch_shows_what_is_there_and_what_happens_until_interrupted),
      command_case(watch_says_that_changes_were_lost_and_why),
      command_case(watch_shows_the_part_that_was_asked_for),
      command_case(top_prints_one_round_when_the_output_is_no_terminal),
      command_case(top_on_a_terminal_goes_on_until_interrupted),
      command_case(the_shell_completes_commands_names_and_ids),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
