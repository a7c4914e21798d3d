/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stream_endpoint.h.
 */
#include "notify/zmq/stream_endpoint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

uint16_t stream_endpoint_port(const char *endpoint) {
  const char *colon = strrchr(endpoint, ':');
  char *end = NULL;
  bool tcp = strncmp(endpoint, "tcp://", 6) == 0 && colon != NULL && colon > endpoint + 6 && colon[1] >= '1' &&
             colon[1] <= '9';
  unsigned long port = tcp ? strtoul(colon + 1, &end, 10) : 0;
  return tcp && *end == '\0' && port < UINT16_MAX ? (uint16_t)port : 0;
}
