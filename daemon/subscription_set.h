/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who is subscribed to what at an XPUB: connections and topics, each pair once.
 *
 * libzmq hands up whatever a connection sends, the same topic five times and the end of a topic that it never had, yet
 * keeps each pair once itself and tells one end when the connection ends. Who only counted would count wrongly for ever.
 * So only what changes the set is told on.
 *
 * The end that an ended connection brings says not whose it was. It is taken for that of a connection of this topic that is
 * gone; a connection is its descriptor and its socket's number in the kernel, for descriptors are used again at once. A
 * message that is read only when its descriptor belongs to another already is put down to that one, so with each message
 * a few pairs are looked at, in turns, and those whose connection is gone are forgotten.
 *
 * Finding a pair walks those of its topic: there are no more than connections.
 */
#ifndef VESTA_DAEMON_SUBSCRIPTION_SET_H
#define VESTA_DAEMON_SUBSCRIPTION_SET_H

#include <stdbool.h>

#include "notify/publisher.h"

#define SUBSCRIPTION_BYTES (1 + NOTIFY_TOPIC_BYTES)

typedef struct subscription_set subscription_set_t;

/** @return NULL when out of memory */
subscription_set_t *subscription_set_new(void);
void subscription_set_destroy(subscription_set_t **set);

typedef enum subscription_news {
  SUBSCRIPTION_TELL, /* it changed the set; or it has not the size of a subscription, and is to be judged by others */
  SUBSCRIPTION_DROP, /* it comes from a connection that is gone: nothing changes */
  SUBSCRIPTION_BAD,  /* a subscription that is there, the end of one that is not, or there is no memory */
} subscription_news_t;

/** A message of an XPUB. @param fd   of the connection; -1: libzmq does not say, as when the connection has ended */
subscription_news_t subscription_set_take(subscription_set_t *set, int fd, vesta_bytes_t message);
/** The message that was just taken, and was to be told, was refused: what began with it is not in the set. */
void subscription_set_refuse(subscription_set_t *set, vesta_bytes_t message);

/** Look at the next pair. @param[out] end   what its connection would have sent   @return true: it is gone, and so is
 *  the pair */
bool subscription_set_look(subscription_set_t *set, uint8_t end[SUBSCRIPTION_BYTES]);

#endif
