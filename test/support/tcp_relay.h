/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A network between guests and a service that listens at two neighbouring ports, and what becomes of connections there.
 *
 *   guest ---> ADDRESS:PORT   (requests) ---> relay ---> ADDRESS:7430 ---> vestad
 *         ---> ADDRESS:PORT+1 (changes)  ---> relay ---> ADDRESS:7431 --->
 *
 * Every byte is handed on, both ways, until it is told otherwise. Where nobody listens behind it a connection is let in and
 * ended at once, as a relay in the real world does that.
 *
 * The relay is a thread of the test's process. Processes that are forked while there is one don't keep connections alive.
 */
#ifndef VESTA_TEST_SUPPORT_TCP_RELAY_H
#define VESTA_TEST_SUPPORT_TCP_RELAY_H

#include <stdbool.h>

typedef struct tcp_relay tcp_relay_t;

typedef enum tcp_relay_door { TCP_RELAY_REQUESTS, TCP_RELAY_CHANGES } tcp_relay_door_t;

/** Listen at `port` of an IPv4 address, and the one behind it, for what is at `service_port` there and the one behind that.
 *  Ends the program with a message when that can't be. */
tcp_relay_t *tcp_relay_open(const char *address, unsigned port, unsigned service_port);
/** End, and all connections with it. */
void tcp_relay_close(tcp_relay_t **relay);

/** The connections of that door are ended; new ones are handed on. */
void tcp_relay_cut(tcp_relay_t *relay, tcp_relay_door_t door);
/** What is said on the connections of that door is lost, both ways, and neither end is told; new ones are handed on. */
void tcp_relay_lose(tcp_relay_t *relay, tcp_relay_door_t door);
/** On connections of that door, new ones as well, nothing is handed on and nothing lost until `holds` is false. */
void tcp_relay_hold(tcp_relay_t *relay, tcp_relay_door_t door, bool holds);

/** Wait until so many connections have come at that door, in all. @return false when that takes too long */
bool tcp_relay_wait(tcp_relay_t *relay, tcp_relay_door_t door, unsigned connections);
/** How many have come. */
unsigned tcp_relay_connections(tcp_relay_t *relay, tcp_relay_door_t door);

#endif
