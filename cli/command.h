/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What main() makes of the arguments, and the commands that it chooses from. A command prints its own errors and
 * returns the program's exit code.
 */
#ifndef VESTA_CLI_COMMAND_H
#define VESTA_CLI_COMMAND_H

#include "cli/service_link.h"

#define EXIT_USAGE 2
#define COMMAND_ARGUMENTS_MAX 2

typedef struct command_line {
  const char *command;
  char socket[SERVICE_PATH_BYTES];
  bool json;
  const char *watch_only; /* an option that was said and is for watch only; NULL: none */
  const char *from;       /* NULL: not said */
  const char *prefixes[VESTA_STREAM_PREFIXES_MAX];
  uint32_t prefix_count;
  const char *kinds; /* NULL: not said */
  bool keys, coalesce;
  const char *server, *server_key, *key; /* watch: of a service on another machine; NULL: not said */
  bool accept_loss;
  bool diverged;    /* dump: what this node kept as DIVERGED */
  const char *file; /* dump: of this file, and no checkpoint is named; NULL: not said */
  const char *arguments[COMMAND_ARGUMENTS_MAX];
  uint8_t name[VESTA_NAME_BYTES_MAX]; /* the checkpoint's, of those that take one: the first argument, read */
  size_t name_bytes;
} command_line_t;

/* over the service's link (service_commands.c, top_command.c) */
int command_status(const command_line_t *line);
int command_ls(const command_line_t *line);
int command_show(const command_line_t *line);
int command_rm(const command_line_t *line);
/* asks nobody */
int command_keygen(const command_line_t *line);
int command_recover(const command_line_t *line);
int command_discard(const command_line_t *line);
int command_top(const command_line_t *line);
/* through the libraries, as an application */
int command_sections(const command_line_t *line);
int command_get(const command_line_t *line);
int command_watch(const command_line_t *line);
int command_dump(const command_line_t *line);
int command_load(const command_line_t *line);

/** Say what the service answered and what to do. @return EXIT_FAILURE; EXIT_SUCCESS when err is OK */
int command_result(const command_line_t *line, vesta_err_t err);
/** A mistake in the arguments. @return EXIT_USAGE */
int command_usage(const char *what, const char *which);

#endif
