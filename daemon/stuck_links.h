/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Subscribers that take nothing, and what ZeroMQ holds for them.
 *
 * ZeroMQ keeps what is published until every subscriber has it, up to a high-water mark of messages, whatever their
 * size; it does not say for whom. A subscriber that was stopped would fill what may be held for all, and
 * everybody's changes would be withheld on its account. So when much is held, the connections of subscribers are looked
 * at, again and again:
 *
 *   - one that was full at each look and from which nothing was taken in between is *stuck*; it is shut down;
 *   - when very much is held, one that was full at each look is *slow*, since ZeroMQ has more for it all the time; it
 *     is shut down as well.
 *
 * ZeroMQ lets go of what it held for it. The subscriber's own ZeroMQ connects again, and it learns by the next beacon what
 * it has missed. Who keeps up has an empty queue, so its connection has room at one look or another; who is cut
 * off by mistake loses nothing but time.
 *
 * libzmq's API has no way to end one connection. Descriptors that it accepted are known to accept_guard.h; what they
 * are is asked of the kernel each time, on the thread that alone opens every other descriptor. At worst a
 * subscriber that came in this very moment is turned away.
 */
#ifndef VESTA_DAEMON_STUCK_LINKS_H
#define VESTA_DAEMON_STUCK_LINKS_H

#include <stdbool.h>
#include <stdint.h>

#define STUCK_LINKS_LOOKS 15U /* in a row */

/* One connection. */
typedef struct stuck_link {
  uint8_t full;  /* at so many looks in a row */
  uint8_t still; /* at so many of them the same was in it */
  int queued;    /* bytes, at the last one */
} stuck_link_t;

/* By descriptor. All zero at first; free with stuck_links_fini(). */
typedef struct stuck_links {
  stuck_link_t *links;
  int count;
} stuck_links_t;

/* Where connections were accepted. */
typedef struct stuck_place {
  const char *path; /* of a local socket; NULL: */
  uint16_t port;    /* a TCP port */
} stuck_place_t;

/** Look at the connections that were accepted there. @param slow_too   not only those that are stuck
 *  @return how many were shut down */
uint32_t stuck_links_look(stuck_links_t *links, stuck_place_t place, bool slow_too);
/** Not much is held any more. */
void stuck_links_fini(stuck_links_t *links);

#endif
