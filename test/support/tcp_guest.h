/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests of streams over TCP: an address that no other test has at the time, and keys in files.
 *
 * All of 127.0.0.0/8 is this machine, so the address is made from the test's pid and the port may be fixed.
 */
#ifndef VESTA_TEST_SUPPORT_TCP_GUEST_H
#define VESTA_TEST_SUPPORT_TCP_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TCP_GUEST_PORT 7430U
#define TCP_GUEST_PATH_BYTES 128

typedef struct tcp_place {
  char endpoint[64];                        /* "tcp://127.x.y.z:PORT" */
  char address[32];                         /* "127.x.y.z" */
  char directory[TCP_GUEST_PATH_BYTES];     /* of all keys, 0700 */
  char known_dir[TCP_GUEST_PATH_BYTES];     /* DIRECTORY/known: those who may subscribe */
  char server_key[TCP_GUEST_PATH_BYTES];    /* DIRECTORY/server.key: the service's pair ... */
  char server_public[TCP_GUEST_PATH_BYTES]; /* ... and public key */
  char guest_key[TCP_GUEST_PATH_BYTES];     /* of one who is known, */
  char stranger_key[TCP_GUEST_PATH_BYTES];  /* and of one who is not, ... */
  char stranger_public[TCP_GUEST_PATH_BYTES];
} tcp_place_t;

/** Make all of it. Whatever goes wrong ends the program with a message. */
void tcp_place_make(tcp_place_t *place);
void tcp_place_remove(const tcp_place_t *place);

/** Let a public key in, under a name; or not any more. */
void tcp_place_admit(const tcp_place_t *place, const char *public_key, const char *name);
void tcp_place_expel(const tcp_place_t *place, const char *name);

/** A ZeroMQ socket that comes with the guest's key, connected to that port. @return NULL with errno */
void *tcp_place_socket(const tcp_place_t *place, void *context, int type, unsigned port);

/** A plain connection to the first port, or the one behind it. @return a descriptor; -1 with errno */
int tcp_place_connect(const tcp_place_t *place, unsigned port);

/** The same, and ZeroMQ's greeting without keys is behind it: as that type ("SUB", "DEALER"), with a property User-Id if
 *  `user` is not NULL. The other end's is read. @return a descriptor; -1 with errno */
int tcp_place_greet(const tcp_place_t *place, unsigned port, const char *type, const char *user);
/** One frame, less than 256 bytes, the last of its message. @return false: the connection is gone */
bool tcp_frame_send(int fd, const void *bytes, size_t size);

#endif
