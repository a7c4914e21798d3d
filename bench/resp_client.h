/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A client of hotkv, or of Redis: one blocking connection that speaks RESP2. What it knows of the protocol is written
 * anew here and shares nothing with the server.
 */
#ifndef VESTA_BENCH_RESP_CLIENT_H
#define VESTA_BENCH_RESP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct resp_client {
  int fd; /* below 0: not connected */
  size_t begin, end;
  char bytes[65536]; /* received and not yet taken: begin to end */
} resp_client_t;

typedef struct resp_reply {
  char kind;        /* '+' '-' ':' '$' '*' */
  const char *text; /* the line, or the bulk string; NULL: nothing ("$-1"). Lives until the next call */
  size_t size;
} resp_reply_t;

/** Connect to a port of this machine. False: nobody listens there. Closes a connection that there was. */
bool resp_client_connect(resp_client_t *client, int port);
/** The same at a socket in the file system. */
bool resp_client_connect_path(resp_client_t *client, const char *path);
/** False: the connection is broken. */
bool resp_client_send(resp_client_t *client, const char *bytes, size_t size);
/** Wait for a reply. False: the connection is broken, or it was no reply. */
bool resp_client_receive(resp_client_t *client, resp_reply_t *reply);
void resp_client_close(resp_client_t *client);

#endif
