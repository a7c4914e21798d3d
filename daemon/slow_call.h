/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A call into a library that may not come back for long, or never, made on a thread of its own: corosync's libraries
 * wait for its answer without a limit, and a corosync that is stopped gives none. Whoever has it made waits a moment, and
 * goes on with other things when that was not enough.
 *
 *   begun --the call comes back--> done: slow_call_end()
 *     '----- nobody wants it any more: slow_call_end(), and what it works on, and got, is let go of on its thread when
 *            it comes back, if ever
 */
#ifndef VESTA_DAEMON_SLOW_CALL_H
#define VESTA_DAEMON_SLOW_CALL_H

#include <stdbool.h>

typedef struct slow_call slow_call_t;

/**
 * @param call       on another thread, which has every signal blocked
 * @param destroy    lets go of the argument when both the call and its owner are done with it, on the thread of whoever
 *                   is last: free(), or also of what the call got and its owner has not taken out
 * @return NULL: no memory, descriptor or thread; the argument is the caller's still
 */
slow_call_t *slow_call_begin(void (*call)(void *argument), void (*destroy)(void *argument), void *argument);

/** Has it come back? Waits so long at most. After that its argument may be looked at. */
bool slow_call_done(const slow_call_t *call, int timeout_ms);
/** Readable when it has come back; lives until slow_call_end(). */
int slow_call_fd(const slow_call_t *call);

/** Done with it, or given up. NULL is allowed. */
void slow_call_end(slow_call_t **call);

#endif
