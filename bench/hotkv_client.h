/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A client of hotkv, or of Redis: one blocking connection that speaks RESP2. What it knows of the protocol is written
 * anew here and shares nothing with the server.
 */
#ifndef VESTA_BENCH_HOTKV_CLIENT_H
#define VESTA_BENCH_HOTKV_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct hotkv_client {
  int fd; /* below 0: not connected */
  size_t begin, end;
  char bytes[65536]; /* received and not yet taken: begin to end */
} hotkv_client_t;

typedef struct hotkv_reply {
  char kind;        /* '+' '-' ':' '$' '*' */
  const char *text; /* the line, or the bulk string; NULL: nothing ("$-1"). Lives until the next call */
  size_t size;
} hotkv_reply_t;

/** Connect to a port of this machine. False: nobody listens there. Closes a connection that there was. */
bool hotkv_client_connect(hotkv_client_t *client, int port);
/** False: the connection is broken. */
bool hotkv_client_send(hotkv_client_t *client, const char *bytes, size_t size);
/** Wait for a reply. False: the connection is broken, or it was no reply. */
bool hotkv_client_receive(hotkv_client_t *client, hotkv_reply_t *reply);
void hotkv_client_close(hotkv_client_t *client);

#endif
