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
#include "cli/service_session.h"

typedef struct command {
  const char *name;
  int arguments; /* the first is a checkpoint's name; or ARGUMENTS_PATH */
  int (*run)(const command_line_t *line);
  const char *help; /* behind the usage line */
} command_t;

#define ARGUMENTS_PATH 3 /* one, and it is a path */
static const char *const argument_texts[] = {"", " NAME", " NAME SECTION", " DIR"};

static const command_t commands[] = {
    {"status", 0, command_status,
     "What the daemon is and has counted, a key and its value a line. OPERATIONS.md tells what each means.\n"
     "Exit code 1 says that none answers.\n"},
    {"ls", 0, command_ls, "The checkpoints it keeps, one a line.\n"},
    {"top", 0, command_top,
     "The daemon and its checkpoints with what is done to them, the busiest first, each second until interrupted.\n"
     "Once, and without rates, when the output is no terminal or with --json.\n"},
    {"show", 1, command_show,
     "One checkpoint: attributes, position, size; its replicas; who has it open; the members of its group and the\n"
     "streams of it, with how many operations each is behind.\n"},
    {"sections", 1, command_sections, "Its sections, one a line: size, expiry, last change, id.\n"},
    {"get", 2, command_get, "The bytes of a section as they are. SECTION '' is the default section.\n"},
    {"watch", 1, command_watch,
     "Every change of it, as it happens, one a line, until interrupted.\n\n"
     "  --from POSITION      what changed after this position, or after `now`; else all there is first\n"
     "  --prefix ID          only sections whose ids begin so; may be said up to 16 times\n"
     "  --kinds KIND,...     only such changes: created written overwritten deleted expired expiry-set unlinked\n"
     "                       retention-set epoch; what comes in a resync comes all the same\n"
     "  --keys               no data, which is not even fetched\n"
     "  --coalesce           when the output is slow, skip to the latest of each section (`coalesced`)\n"
     "  --server ENDPOINT    of a vestad on another machine, tcp://ADDRESS:PORT as its --stream-listen says; with\n"
     "  --server-key FILE    its public key [$VESTA_STREAM_SERVER_KEY], and\n"
     "  --key FILE           one's own keys, made by keygen [$VESTA_STREAM_KEY]\n"},
    {"dump", 1, command_dump,
     "All of it on standard output, as of one position.\n\n"
     "  --diverged           what this node kept because the cluster went another way, compared with what the\n"
     "                       checkpoint has; for root and the user who runs vestad\n"
     "  --file PATH          of a replica's file, without NAME and without asking a daemon\n"},
    {"load", 1, command_load, "What dump wrote, from standard input. The checkpoint is made if it is not there.\n"},
    {"rm", 1, command_rm, "Unlink it: the name is free, and the checkpoint goes when its last user closes it.\n"},
    {"recover", 1, command_recover,
     "A checkpoint that waits for nodes which won't come back goes on with what another node has of it. What was\n"
     "written since is lost; it is kept where it is, as DIVERGED, when its node comes back after all.\n\n"
     "  --from NODE          the number of that node; `vesta status` and `vesta show` on it tell what it has\n"
     "  --accept-loss        yes\n"},
    {"discard", 1, command_discard,
     "Delete what this node kept of it as DIVERGED: `vesta dump --diverged` shows it. The checkpoint is not touched.\n"},
    {"keygen", ARGUMENTS_PATH, command_keygen,
     "Make the keys of a node, or of a subscriber on another machine, for encrypted links: DIR/node.key and\n"
     "DIR/node.pub. It asks no daemon.\n"},
};

static void print_command_help(const command_t *command) {
  (void)printf("Usage: vesta [OPTION]... %s%s\n\n%s", command->name, argument_texts[command->arguments], command->help);
  bool has_options = command->run == command_watch || command->run == command_recover || command->run == command_dump;
  (void)printf("%s  --json               print JSON instead of text\n"
               "  --socket PATH        the daemon's socket; `vesta --help` tells which it is else\n",
               has_options ? "" : "\n");
}

static void print_help(void) {
  (void)printf(
      "Usage: vesta [OPTION]... COMMAND [NAME [SECTION]]\n"
      "Look at a running vestad and its checkpoints. None is started.\n\n"
      "  status               what the daemon is and has counted\n"
      "  ls                   the checkpoints it keeps\n"
      "  top                  both with rates, each second; once when the output is no terminal\n"
      "  show NAME            one checkpoint: attributes, position, who has it open, members, streams and their lag\n"
      "  sections NAME        its sections\n"
      "  get NAME SECTION     the bytes of one of them\n"
      "  watch NAME           every change of it, as it happens, until interrupted\n"
      "  dump NAME            all of it, on standard output\n"
      "  load NAME            what dump wrote, from standard input; made if it is not there\n"
      "  rm NAME              unlink it: it goes when its last user closes it\n"
      "  recover NAME         in a cluster: go on with what one node has of it, see `vesta recover --help`\n"
      "  discard NAME         in a cluster: delete what this node kept of it as DIVERGED\n"
      "  keygen DIR           make the keys of a node of a cluster, or of a subscriber\n\n"
      "  --json               print JSON instead of text\n"
      "  --from POSITION      watch: what changed after this position, or after `now`; else all there is first\n"
      "  --prefix ID, --kinds KIND,..., --keys, --coalesce\n"
      "                       watch: a part of the changes, see `vesta watch --help`\n"
      "  --server ENDPOINT, --server-key FILE, --key FILE\n"
      "                       watch: of a vestad on another machine\n"
      "  --socket PATH        the daemon's socket [$VESTA_SOCKET; /run/vesta/vestad.sock if there;\n"
      "                       $XDG_RUNTIME_DIR/vesta/vestad.sock or /tmp/vesta-UID/vestad.sock]\n"
      "  --version            print the version and exit\n"
      "  --help               print this, or with a command more about it, and exit\n\n"
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
  bool waits = err == VESTA_ERR_TIMEOUT || err == VESTA_ERR_TRY_AGAIN;
  if (waits && service_session_is_cut_off(line->socket)) {
    (void)fprintf(stderr, "vesta: %s%s%s: this node is without quorum, `vesta status` tells\n", line->command, space,
                  name);
  } else if (err == VESTA_ERR_UNAVAILABLE) {
    (void)fprintf(stderr, "vesta: no vestad answers at %s; start one, or name the socket of another with --socket\n",
                  line->socket);
  } else if (err == VESTA_ERR_TIMEOUT) {
    (void)fprintf(stderr, "vesta: the vestad at %s has not answered for %d s; it is stopped, or has too much to do\n",
                  line->socket, SERVICE_TIMEOUT_MS / 1000);
  } else if (err == VESTA_ERR_VERSION) {
    (void)fprintf(stderr, "vesta: the vestad at %s is of another version, which does not know `%s`\n", line->socket,
                  line->command);
  } else if (err == VESTA_ERR_DENIED) {
    (void)fprintf(stderr, "vesta: the vestad at %s is not for this user; vestad --group lets others in\n",
                  line->socket);
  } else if (err == VESTA_ERR_NOT_EXIST) {
    bool part = name[0] != '\0' && strchr(name, '=') == NULL; /* of a name, it is likely */
    (void)fprintf(stderr, "vesta: %s%s%s: there is no such checkpoint; `vesta ls` tells which there are%s%s\n",
                  line->command, space, name, part ? ", is it safCkpt=" : "", part ? name : "");
  } else if (err != VESTA_OK) {
    (void)fprintf(stderr, "vesta: %s%s%s at %s: %s\n", line->command, space, name, line->socket, vesta_err_text(err));
  }
  return err == VESTA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* @return EXIT_SUCCESS, or the exit code when that is all; *done says which, *help that help is wanted */
static int options_read(int argc, char **argv, command_line_t *line, bool *done, bool *help) {
  static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                          {"from", required_argument, NULL, 'f'},
                                          {"socket", required_argument, NULL, 's'},
                                          {"version", no_argument, NULL, 'v'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"prefix", required_argument, NULL, 'p'},
                                          {"kinds", required_argument, NULL, 'k'},
                                          {"keys", no_argument, NULL, 'd'},
                                          {"coalesce", no_argument, NULL, 'c'},
                                          {"server", required_argument, NULL, 'e'},
                                          {"server-key", required_argument, NULL, 'y'},
                                          {"key", required_argument, NULL, 'o'},
                                          {"accept-loss", no_argument, NULL, 'a'},
                                          {"diverged", no_argument, NULL, 'x'},
                                          {"file", required_argument, NULL, 'i'},
                                          {0}};
  bool found = service_path_find(line->socket);
  opterr = 0;
  *done = true;
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (option) {
      case 'j': line->json = true; break;
      case 'f': line->from = optarg; break;
      case 'a': line->accept_loss = true; break;
      case 'x': line->diverged = true; break;
      case 'i': line->file = optarg; break;
      case 'p':
        if (line->prefix_count == VESTA_STREAM_PREFIXES_MAX) {
          return command_usage("too many prefixes, with ", optarg);
        }
        line->prefixes[line->prefix_count++] = optarg;
        line->watch_only = "--prefix";
        break;
      case 'k':
        line->kinds = optarg;
        line->watch_only = "--kinds";
        break;
      case 'd':
        line->keys = true;
        line->watch_only = "--keys";
        break;
      case 'c':
        line->coalesce = true;
        line->watch_only = "--coalesce";
        break;
      case 'e':
        line->server = optarg;
        line->watch_only = "--server";
        break;
      case 'y':
        line->server_key = optarg;
        line->watch_only = "--server-key";
        break;
      case 'o':
        line->key = optarg;
        line->watch_only = "--key";
        break;
      case 's':
        found = strlen(optarg) < sizeof line->socket;
        (void)snprintf(line->socket, sizeof line->socket, "%s", optarg);
        break;
      case 'v': (void)printf("vesta %s (protocol %u.%u)\n", VESTA_VERSION, WIRE_MAJOR, WIRE_MINOR); return EXIT_SUCCESS;
      case 'h': *help = true; break;
      default: return command_usage("unknown option or missing value: ", argv[optind - 1]);
    }
  }
  if (!found && !*help) {
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

/* What ends up nowhere is a failure, whatever else went well. */
static int output_written(int result) {
  if (fflush(stdout) != 0 || ferror(stdout)) {
    perror("vesta: the output was not written");
    return EXIT_FAILURE;
  }
  return result;
}

static int command_run(const command_t *command, int argc, char **argv, command_line_t *line) {
  line->command = command->name;
  bool path = command->arguments == ARGUMENTS_PATH;
  if ((line->diverged || line->file != NULL) && command->run != command_dump) {
    return command_usage("--diverged and --file are for dump only, not for ", command->name);
  }
  if (line->file != NULL && (argc != 0 || line->diverged)) {
    return command_usage("dump takes either --file PATH, or --diverged and a NAME", "");
  }
  if (argc != (line->file != NULL ? 0 : path ? 1 : command->arguments)) {
    static const char *const wanted[] = {" takes no arguments", " takes the name of a checkpoint",
                                         " takes the name of a checkpoint and the id of a section",
                                         " takes the path of a directory"};
    return command_usage(command->name, wanted[command->arguments]);
  }
  if (line->accept_loss && command->run != command_recover) {
    return command_usage("--accept-loss is for recover only, not for ", command->name);
  }
  if (line->from != NULL && command->run != command_recover) {
    line->watch_only = "--from";
  }
  if (line->watch_only != NULL && command->run != command_watch) {
    (void)fprintf(stderr, "vesta: %s is for watch only, not for %s\nTry `vesta --help`.\n", line->watch_only,
                  command->name);
    return EXIT_USAGE;
  }
  for (int i = 0; i < argc; i++) {
    line->arguments[i] = argv[i];
  }
  if (argc > 0 && !path &&
      (!id_text_parse(argv[0], line->name, sizeof line->name, &line->name_bytes) || line->name_bytes == 0)) {
    return command_usage("no name of a checkpoint: ", argv[0]);
  }
  return output_written(command->run(line));
}

int main(int argc, char **argv) {
  command_line_t line = {0};
  bool done = false;
  bool help = false;
  int result = options_read(argc, argv, &line, &done, &help);
  if (done) {
    return result;
  }
  const command_t *command = optind < argc ? command_find(argv[optind]) : NULL;
  if (optind < argc && command == NULL) {
    return command_usage("unknown command: ", argv[optind]);
  }
  if (help) {
    command == NULL ? print_help() : print_command_help(command);
    return output_written(EXIT_SUCCESS);
  }
  if (command == NULL) {
    return command_usage("a command is needed", "");
  }
  return command_run(command, argc - optind - 1, argv + optind + 1, &line);
}
