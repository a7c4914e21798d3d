/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A man in the middle of the agent link, who can lose an answer.
 *
 *   libSaCkpt <--- VESTA_SOCKET: the proxy's ---> proxy <--- the daemon's ---> vestad
 *
 * Every byte and every descriptor is handed on, both ways. After link_proxy_lose_answer() the next link on which the
 * daemon says something falls silent towards the agent: requests still go through, answers are thrown away. So "the
 * daemon has done it and was killed before it could say so" is no matter of luck: wait until an answer was lost, kill.
 *
 * The proxy is a thread of the test's process, because the daemon takes the process of a client from the kernel and
 * compares it when a session is resumed. It holds little: one chunk of each direction at a time, so it is for tests
 * whose messages are small.
 */
#ifndef VESTA_TEST_SUPPORT_LINK_PROXY_H
#define VESTA_TEST_SUPPORT_LINK_PROXY_H

#include <stdbool.h>

typedef struct link_proxy link_proxy_t;

/** Listen at `socket` for agents and go on to `daemon`. Ends the program with a message when that can't be. */
link_proxy_t *link_proxy_open(const char *socket, const char *daemon);
/** Cut every link and end. */
void link_proxy_close(link_proxy_t **proxy);

/** The next answer is lost, and all that follow on its link. */
void link_proxy_lose_answer(link_proxy_t *proxy);
/** The same, and its link is cut as soon as it is lost. */
void link_proxy_cut_at_answer(link_proxy_t *proxy);
/** No answer is lost any more, if none was so far. */
void link_proxy_spare_answers(link_proxy_t *proxy);
/** Wait until a whole answer was lost. @return false when none was in 20 s */
bool link_proxy_wait_lost(link_proxy_t *proxy);
/** Cut every link there is; new ones are handed on as before. */
void link_proxy_cut(link_proxy_t *proxy);

#endif
