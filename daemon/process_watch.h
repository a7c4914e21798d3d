/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Seeing processes die: one pidfd in the loop for each process, however many sessions it has.
 */
#ifndef VESTA_DAEMON_PROCESS_WATCH_H
#define VESTA_DAEMON_PROCESS_WATCH_H

#include "core/error.h"
#include "core/types.h"
#include "daemon/loop.h"

typedef struct process_watch process_watch_t;

/** @param gone   called once for each session of a process that died; the session is forgotten by then
 *  @return NULL when out of memory */
process_watch_t *process_watch_new(loop_t *loop, void (*gone)(void *context, vesta_token_t session), void *context);
void process_watch_destroy(process_watch_t **watch);

/**
 * This process is the session's. A session that is watched already is left as it is.
 * @param pidfd   of that process; taken over in any case
 * @return OK; NO_MEMORY, NO_RESOURCES: it is not watched
 */
vesta_err_t process_watch_add(process_watch_t *watch, vesta_token_t session, uint32_t pid, uint64_t start, int pidfd);
/** The session is over. Unknown ones are ignored. */
void process_watch_remove(process_watch_t *watch, vesta_token_t session);

/** Processes watched now. */
uint64_t process_watch_count(const process_watch_t *watch);

#endif
