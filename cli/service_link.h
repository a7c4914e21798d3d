/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The command's connection to a vestad: one question, one answer. It never starts a daemon: who asks how things are
 * must not change how they are.
 */
#ifndef VESTA_CLI_SERVICE_LINK_H
#define VESTA_CLI_SERVICE_LINK_H

#include "core/wire.h"

typedef struct service_link {
  int fd;
  const char *path; /* of the socket */
  uint64_t number;
  uint8_t *frame;
  wire_decoder_t *decoder;
} service_link_t;

#define SERVICE_PATH_BYTES 108U
#define SERVICE_TIMEOUT_MS 5000 /* for one answer */

/** The socket that libSaCkpt of this user would take. @return false when its path is too long */
bool service_path_find(char path[SERVICE_PATH_BYTES]);

/** @return OK; UNAVAILABLE when nobody listens there; DENIED; NO_MEMORY */
vesta_err_t service_link_open(service_link_t *link, const char *path);
void service_link_close(service_link_t *link);

/**
 * Ask and wait for the answer.
 * @param[out] reply   lives until the next call
 * @return the daemon's error; TIMEOUT, UNAVAILABLE when it went away, MALFORMED when it talks nonsense
 */
vesta_err_t service_link_call(service_link_t *link, wire_message_t *request, wire_message_t *reply);

#endif
