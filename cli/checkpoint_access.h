/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A checkpoint opened as an application opens it, for the commands that read and write sections. No daemon is started.
 */
#ifndef VESTA_CLI_CHECKPOINT_ACCESS_H
#define VESTA_CLI_CHECKPOINT_ACCESS_H

#include <saCkpt.h>

#include "cli/command.h"

typedef struct checkpoint_access {
  const command_line_t *line;
  SaCkptHandleT library;
  SaCkptCheckpointHandleT checkpoint;
} checkpoint_access_t;

/**
 * Open the checkpoint that the command line names.
 * @param attributes   made with these if it is not there; NULL: it must be
 * @return EXIT_SUCCESS; EXIT_FAILURE when it can't be, which has been said then, and nothing is open
 */
int checkpoint_access_open(checkpoint_access_t *access, const command_line_t *line, SaCkptCheckpointOpenFlagsT flags,
                           const SaCkptCheckpointCreationAttributesT *attributes);
void checkpoint_access_close(checkpoint_access_t *access);

/** Say that a call failed and what to do. @return EXIT_FAILURE; EXIT_SUCCESS when `error` is SA_AIS_OK */
int checkpoint_access_result(const command_line_t *line, const char *what, SaAisErrorT error);

#endif
