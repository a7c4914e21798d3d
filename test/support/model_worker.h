/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A process that makes calls of the standard API as it is told, one at a time (model_command.h).
 *
 * A worker whose link may lose answers has a proxy in its process (link_proxy.h), through which it is connected.
 *
 * TRY_AGAIN says that nothing was done, so the call is made again until a deadline that only a fault meets.
 */
#ifndef VESTA_TEST_SUPPORT_MODEL_WORKER_H
#define VESTA_TEST_SUPPORT_MODEL_WORKER_H

#include <sys/types.h>

#include "test/support/model_command.h"

typedef struct model_worker {
  pid_t pid;
  int link;
} model_worker_t;

/**
 * @param proxy_path   a socket of its own, through which answers may be lost; NULL: it is connected directly
 * @return false when there is no process to be had
 */
bool model_worker_start(model_worker_t *worker, const char *proxy_path);
/** SIGKILL, and wait for its end. */
void model_worker_kill(model_worker_t *worker);
/** @return false when it is gone */
bool model_worker_send(const model_worker_t *worker, const model_command_t *command);
/** Waits. @return false when it is gone, or has not answered in a minute */
bool model_worker_receive(const model_worker_t *worker, model_answer_t *answer);

#endif
