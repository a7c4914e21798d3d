/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vesta: the operator's command.
 *
 *   vesta status   how is the daemon?       (INFO)
 *   vesta ls       which checkpoints are there?  (HELLO, LIST ..., FINALIZE)
 *
 * Exit codes: 0 done, 1 failed (no daemon, say), 2 a mistake in the arguments.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/report.h"
#include "cli/service_link.h"

#define EXIT_USAGE 2

typedef struct command_line {
  char socket[SERVICE_PATH_BYTES];
  bool json;
} command_line_t;

typedef struct command {
  const char *name;
  vesta_err_t (*run)(service_link_t *link, const command_line_t *line);
} command_t;

static vesta_err_t command_status(service_link_t *link, const command_line_t *line) {
  wire_message_t info = {.kind = WIRE_INFO};
  wire_message_t reply;
  vesta_err_t err = service_link_call(link, &info, &reply);
  if (err == VESTA_OK) {
    report_status(reply.text, line->json);
  }
  return err;
}

static vesta_err_t command_ls_pages(service_link_t *link, report_list_t *list) {
  wire_message_t reply = {0};
  vesta_err_t err = VESTA_OK;
  while (err == VESTA_OK && reply.state == 0) {
    wire_message_t page = {.kind = WIRE_LIST, .cursor = reply.cursor};
    err = service_link_call(link, &page, &reply);
    if (err == VESTA_OK) {
      report_list_add(list, &reply);
    }
  }
  return err;
}

static vesta_err_t command_ls(service_link_t *link, const command_line_t *line) {
  wire_message_t hello = {.kind = WIRE_HELLO, .pid = (uint64_t)getpid()};
  wire_message_t finalize = {.kind = WIRE_FINALIZE};
  wire_message_t reply;
  report_list_t *list = report_list_new();
  vesta_err_t err = list == NULL ? VESTA_ERR_NO_MEMORY : service_link_call(link, &hello, &reply);
  if (err == VESTA_OK) {
    err = command_ls_pages(link, list);
    (void)service_link_call(link, &finalize, &reply);
  }
  if (err == VESTA_OK) {
    report_list_print(list, line->json);
  }
  report_list_destroy(&list);
  return err;
}

static const command_t commands[] = {{"status", command_status}, {"ls", command_ls}};

static void print_help(void) {
  (void)printf("Usage: vesta [OPTION]... COMMAND\n"
               "Look at a running vestad. None is started.\n\n"
               "  status               what the daemon is and has counted\n"
               "  ls                   the checkpoints it keeps\n\n"
               "  --json               print JSON instead of a table\n"
               "  --socket PATH        the daemon's socket [$VESTA_SOCKET; /run/vesta/vestad.sock if there;\n"
               "                       $XDG_RUNTIME_DIR/vesta/vestad.sock or /tmp/vesta-UID/vestad.sock]\n"
               "  --version            print the version and exit\n"
               "  --help               print this and exit\n\n"
               "Exit code: 0 done, 1 failed, 2 a mistake in the arguments.\n");
}

static int usage(const char *what, const char *which) {
  (void)fprintf(stderr, "vesta: %s%s\nTry `vesta --help`.\n", what, which);
  return EXIT_USAGE;
}

static int run(const command_t *command, const command_line_t *line) {
  service_link_t link;
  vesta_err_t err = service_link_open(&link, line->socket);
  if (err == VESTA_OK) {
    err = command->run(&link, line);
    service_link_close(&link);
  }
  if (err == VESTA_ERR_UNAVAILABLE) {
    (void)fprintf(stderr, "vesta: no vestad answers at %s\n", line->socket);
  } else if (err != VESTA_OK) {
    (void)fprintf(stderr, "vesta: %s at %s: %s\n", command->name, line->socket, vesta_err_text(err));
  }
  return err == VESTA_OK && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
  static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                          {"socket", required_argument, NULL, 's'},
                                          {"version", no_argument, NULL, 'v'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  command_line_t line = {0};
  bool found = service_path_find(line.socket);
  opterr = 0;
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (option) {
      case 'j': line.json = true; break;
      case 's':
        found = strlen(optarg) < sizeof line.socket;
        (void)snprintf(line.socket, sizeof line.socket, "%s", optarg);
        break;
      case 'v': (void)printf("vesta %s (protocol %u.%u)\n", VESTA_VERSION, WIRE_MAJOR, WIRE_MINOR); return EXIT_SUCCESS;
      case 'h': print_help(); return EXIT_SUCCESS;
      default: return usage("unknown option or missing value: ", argv[optind - 1]);
    }
  }
  if (!found) {
    return usage("the path of the socket is too long", "");
  }
  if (optind + 1 != argc) {
    return usage("one command is needed", "");
  }
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (strcmp(commands[i].name, argv[optind]) == 0) {
      return run(&commands[i], &line);
    }
  }
  return usage("unknown command: ", argv[optind]);
}
