/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See checkpoint_access.h.
 */
#include "cli/checkpoint_access.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/service_session.h"

#define ACCESS_TIMEOUT (10 * SA_TIME_ONE_SECOND)

static const char *access_advice(const command_line_t *line, SaAisErrorT error) {
  bool waits = error == SA_AIS_ERR_TRY_AGAIN || error == SA_AIS_ERR_TIMEOUT;
  if (waits && service_session_is_cut_off(line->socket)) {
    return "; this node is without quorum, `vesta status` tells";
  }
  switch (error) {
    case SA_AIS_ERR_NOT_EXIST: return "; `vesta sections` tells which there are";
    case SA_AIS_ERR_EXIST: return "; it is there with other attributes, `vesta show` tells which";
    case SA_AIS_ERR_TRY_AGAIN:
    case SA_AIS_ERR_TIMEOUT: return "; is vestad still there? `vesta status` tells";
    case SA_AIS_ERR_BAD_OPERATION: return "; the active member of its pair alone may write it";
    case SA_AIS_ERR_NO_SPACE:
    case SA_AIS_ERR_NO_RESOURCES: return "; a limit is met, see `vesta show` and `vesta status`";
    default: return "";
  }
}

int checkpoint_access_result(const command_line_t *line, const char *what, SaAisErrorT error) {
  if (error != SA_AIS_OK) {
    (void)fprintf(stderr, "vesta: %s %s: %s: %s%s\n", line->command, line->arguments[0], what, saAisStrError(error),
                  access_advice(line, error));
  }
  return error == SA_AIS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* `text` has the name's bytes and a NUL behind them, and lives as long as the name. */
static bool access_name(const command_line_t *line, char text[VESTA_NAME_BYTES_MAX + 1], SaNameT *name) {
  memcpy(text, line->name, line->name_bytes);
  text[line->name_bytes] = '\0';
  if (line->name_bytes > SA_MAX_NAME_LENGTH) {
    saAisNameLend(text, name);
    return strlen(text) == line->name_bytes; /* long names are texts, a NUL would end one */
  }
  name->length = (SaUint16T)line->name_bytes;
  memcpy(name->value, text, line->name_bytes);
  return true;
}

/* To the daemon that was named and no other, with names of any length, and none is started. */
static int access_service(const command_line_t *line) {
  service_link_t link;
  vesta_err_t err = service_link_open(&link, line->socket);
  if (err == VESTA_OK) {
    service_link_close(&link);
  }
  (void)setenv("VESTA_SOCKET", line->socket, 1);
  (void)setenv("VESTA_AUTOSPAWN", "0", 1);
  (void)setenv("SA_ENABLE_EXTENDED_NAMES", "1", 1);
  return command_result(line, err);
}

int checkpoint_access_open(checkpoint_access_t *access, const command_line_t *line, SaCkptCheckpointOpenFlagsT flags,
                           const SaCkptCheckpointCreationAttributesT *attributes) {
  char text[VESTA_NAME_BYTES_MAX + 1];
  SaNameT name = {0};
  SaVersionT version = {'B', 2, 2};
  *access = (checkpoint_access_t){.line = line};
  if (access_service(line) != EXIT_SUCCESS) {
    return EXIT_FAILURE;
  }
  if (!access_name(line, text, &name)) {
    return checkpoint_access_result(line, "a name of more than 256 bytes with a NUL", SA_AIS_ERR_NOT_SUPPORTED);
  }
  SaAisErrorT error = saCkptInitialize(&access->library, NULL, &version);
  if (error != SA_AIS_OK) {
    return checkpoint_access_result(line, "initialize", error);
  }
  error = saCkptCheckpointOpen(access->library, &name, attributes, flags, ACCESS_TIMEOUT, &access->checkpoint);
  if (error != SA_AIS_OK) {
    checkpoint_access_close(access);
  }
  return error == SA_AIS_ERR_NOT_EXIST ? command_result(line, VESTA_ERR_NOT_EXIST)
                                       : checkpoint_access_result(line, "open", error);
}

void checkpoint_access_close(checkpoint_access_t *access) { (void)saCkptFinalize(access->library); }
