/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An agent's link without an agent: frames and bytes as the test wishes, good or bad.
 */
#ifndef VESTA_TEST_RAW_LINK_H
#define VESTA_TEST_RAW_LINK_H

#include "core/wire.h"

typedef struct raw_link {
  int fd;
  uint64_t number; /* of the last request */
  uint8_t *frame;  /* the last one received */
  wire_decoder_t *decoder;
  int attached; /* the descriptor that came with it, -1 */
} raw_link_t;

/** @return false when nobody listens */
bool raw_link_open(raw_link_t *link, const char *socket);
void raw_link_close(raw_link_t *link);

/** Bytes as they are, with a descriptor when `attach` is none of -1. @return false when the link broke */
bool raw_link_put(raw_link_t *link, const void *bytes, size_t size, int attach);
/** One message; `number` is filled in when zero. */
bool raw_link_send(raw_link_t *link, wire_message_t *message, vesta_bytes_t payload, int attach);
/** The next message; it lives until the next one. @return false when the link ended, or nothing came in time */
bool raw_link_receive(raw_link_t *link, wire_message_t *message, vesta_bytes_t *payload);
/** Has the other side closed it? Waits for that; what comes before is thrown away. */
bool raw_link_ended(raw_link_t *link);

/** A request and its reply. @return the reply's error; UNAVAILABLE when none came */
vesta_err_t raw_link_call(raw_link_t *link, wire_message_t *request, vesta_bytes_t payload, wire_message_t *reply,
                          vesta_bytes_t *data);

/** HELLO with a pidfd of this process. A token that is not none is resumed. @param[in,out] token */
vesta_err_t raw_link_hello(raw_link_t *link, vesta_token_t *token);

/** Open a checkpoint of small sections, made when it is not there; retained for an hour. @param[out] handle */
vesta_err_t raw_link_checkpoint(raw_link_t *link, const char *name, uint64_t *handle);
/** One section made, or overwritten. */
vesta_err_t raw_link_create(raw_link_t *link, uint64_t handle, const char *id, vesta_bytes_t data);
vesta_err_t raw_link_overwrite(raw_link_t *link, uint64_t handle, const char *id, vesta_bytes_t data);
/** Read one. @param[out] data   until the next message */
vesta_err_t raw_link_read(raw_link_t *link, uint64_t handle, const char *id, vesta_bytes_t *data);

#define RAW_INFO_BYTES 65536

/** The daemon's counters as it tells them, key=value lines. */
bool raw_link_info(raw_link_t *link, char text[RAW_INFO_BYTES]);
/** One of them, -1 when there is none of that name or no answer. */
int64_t raw_link_counter(raw_link_t *link, const char *key);
/** The same over a link of its own. */
int64_t raw_counter(const char *socket, const char *key);
/** Wait until a counter is that, or more. @return false when it never was */
bool raw_counter_reaches(const char *socket, const char *key, int64_t value);
/** Wait until it is that, or less. @return false when it never was */
bool raw_counter_falls_to(const char *socket, const char *key, int64_t value);

#endif
