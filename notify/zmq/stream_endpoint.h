/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where a service hands out its change stream over TCP: "tcp://ADDRESS:PORT". Requests go to PORT, what is published comes
 * from the port behind it. What vestad takes for an option is what a subscriber takes for a server.
 */
#ifndef VESTA_NOTIFY_ZMQ_STREAM_ENDPOINT_H
#define VESTA_NOTIFY_ZMQ_STREAM_ENDPOINT_H

#include <stdint.h>

/** The port of an endpoint; 0: it is not "tcp://ADDRESS:PORT" with a port from 1 to 65534. */
uint16_t stream_endpoint_port(const char *endpoint);

#endif
