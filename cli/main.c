/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vesta: the operator's command. What the arguments say, and which command does it.
 *
 * Exit codes: 0 done, 1 failed (no daemon, say), 2 a mistake in the arguments.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/id_text.h"

typedef struct command {
  const char *name;
  int arguments; /* the first is a checkpoint's name */
  int (*run)(const command_line_t *line);
} command_t;

static const command_t commands[] = {
    {"status", 0, command_status},     {"ls", 0, command_ls},   {"top", 0, command_top},     {"show", 1, command_show},
    {"sections", 1, command_sections}, {"get", 2, command_get}, {"watch", 1, command_watch}, {"dump", 1, command_dump},
    {"load", 1, command_load},         {"rm", 1, command_rm},
};

static void print_help(void) {
  (void)printf(
      "Usage: vesta [OPTION]... COMMAND [NAME [SECTION]]\n"
      "Look at a running vestad and its checkpoints. None is started.\n\n"
      "  status               what the daemon is and has counted\n"
      "  ls                   the checkpoints it keeps\n"
      "  top                  both, each second; once when the output is no terminal\n"
      "  show NAME            one checkpoint: attributes, how often it is open, position, size\n"
      "  sections NAME        its sections\n"
      "  get NAME SECTION     the bytes of one of them\n"
      "  watch NAME           every change of it, as it happens, until interrupted\n"
      "  dump NAME            all of it, on standard output\n"
      "  load NAME            what dump wrote, from standard input; made if it is not there\n"
      "  rm NAME              unlink it: it goes when its last user closes it\n\n"
      "  --json               print JSON instead of text\n"
      "  --from POSITION      watch: what changed after this position, or after `now`; else all there is first\n"
      "  --socket PATH        the daemon's socket [$VESTA_SOCKET; /run/vesta/vestad.sock if there;\n"
      "                       $XDG_RUNTIME_DIR/vesta/vestad.sock or /tmp/vesta-UID/vestad.sock]\n"
      "  --version            print the version and exit\n"
      "  --help               print this and exit\n\n"
      "In NAME and SECTION, \\xNN is a byte; quotes around them are taken off. SECTION '' is the default section.\n"
      "Exit code: 0 done, 1 failed, 2 a mistake in the arguments.\n");
}

int command_usage(const char *what, const char *which) {
  (void)fprintf(stderr, "vesta: %s%s\nTry `vesta --help`.\n", what, which);
  return EXIT_USAGE;
}

int command_result(const command_line_t *line, vesta_err_t err) {
  const char *name = line->arguments[0] == NULL ? "" : line->arguments[0];
  const char *space = name[0] == '\0' ? "" : " ";
  if (err == VESTA_ERR_UNAVAILABLE) {
    (void)fprintf(stderr, "vesta: no vestad answers at %s; start one, or name the socket of another with --socket\n",
                  line->socket);
  } else if (err == VESTA_ERR_DENIED) {
    (void)fprintf(stderr, "vesta: the vestad at %s is not for this user; vestad --group lets others in\n",
                  line->socket);
  } else if (err == VESTA_ERR_NOT_EXIST) {
    (void)fprintf(stderr, "vesta: %s%s%s: there is no such checkpoint; `vesta ls` tells which there are\n",
                  line->command, space, name);
  } else if (err != VESTA_OK) {
    (void)fprintf(stderr, "vesta: %s%s%s at %s: %s\n", line->command, space, name, line->socket, vesta_err_text(err));
  }
  return err == VESTA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* @return EXIT_SUCCESS, or the exit code when that is all; *done says which */
static int options_read(int argc, char **argv, command_line_t *line, bool *done) {
  static const struct option options[] = {
      {"json", no_argument, NULL, 'j'},         {"from", required_argument, NULL, 'f'},
      {"socket", required_argument, NULL, 's'}, {"version", no_argument, NULL, 'v'},
      {"help", no_argument, NULL, 'h'},         {0}};
  bool found = service_path_find(line->socket);
  opterr = 0;
  *done = true;
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (option) {
      case 'j': line->json = true; break;
      case 'f': line->from = optarg; break;
      case 's':
        found = strlen(optarg) < sizeof line->socket;
        (void)snprintf(line->socket, sizeof line->socket, "%s", optarg);
        break;
      case 'v': (void)printf("vesta %s (protocol %u.%u)\n", VESTA_VERSION, WIRE_MAJOR, WIRE_MINOR); return EXIT_SUCCESS;
      case 'h': print_help(); return EXIT_SUCCESS;
      default: return command_usage("unknown option or missing value: ", argv[optind - 1]);
    }
  }
  if (!found) {
    return command_usage("the path of the socket is too long", "");
  }
  *done = false;
  return EXIT_SUCCESS;
}

static const command_t *command_find(const char *name) {
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (strcmp(commands[i].name, name) == 0) {
      return &commands[i];
    }
  }
  return NULL;
}

static int command_run(const command_t *command, int argc, char **argv, command_line_t *line) {
  line->command = command->name;
  if (argc != command->arguments) {
    static const char *const wanted[] = {" takes no arguments", " takes the name of a checkpoint",
                                         " takes the name of a checkpoint and the id of a section"};
    return command_usage(command->name, wanted[command->arguments]);
  }
  if (line->from != NULL && command->run != command_watch) {
    return command_usage("--from is for watch only, not for ", command->name);
  }
  for (int i = 0; i < argc; i++) {
    line->arguments[i] = argv[i];
  }
  if (argc > 0 &&
      (!id_text_parse(argv[0], line->name, sizeof line->name, &line->name_bytes) || line->name_bytes == 0)) {
    return command_usage("no name of a checkpoint: ", argv[0]);
  }
  int result = command->run(line);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    perror("vesta: the output was not written");
    return EXIT_FAILURE;
  }
  return result;
}

int main(int argc, char **argv) {
  command_line_t line = {0};
  bool done = false;
  int result = options_read(argc, argv, &line, &done);
  if (done) {
    return result;
  }
  if (optind >= argc) {
    return command_usage("a command is needed", "");
  }
  const command_t *command = command_find(argv[optind]);
  if (command == NULL) {
    return command_usage("unknown command: ", argv[optind]);
  }
  return command_run(command, argc - optind - 1, argv + optind + 1, &line);
}
