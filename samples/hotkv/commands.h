/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The commands of Redis that hotkv knows, and what each does to the store:
 *
 *   PING [text]   ECHO text   QUIT   SELECT 0   INFO   COMMAND ...   CONFIG GET name
 *   GET key   SET key value [EX seconds | PX milliseconds]   DEL key...   EXISTS key...   INCR key   DBSIZE
 *   EXPIRE key seconds   TTL key
 */
#ifndef HOTKV_COMMANDS_H
#define HOTKV_COMMANDS_H

#include "resp.h"
#include "store.h"

/* SETs that come one behind the other are collected and made together; their replies come with the next command that is
 * something else, or with command_finish(). Empty: all zero. It points to the requests it was made of. */
typedef struct command_batch {
  size_t count;
  store_set_t sets[STORE_SETS_MAX];
} command_batch_t;

typedef enum command_result {
  COMMAND_DONE,
  COMMAND_QUIT,   /* close the connection once the reply is out */
  COMMAND_FENCED, /* refused, there is no reply: this process must not serve any more */
} command_result_t;

/* What one call adds to the replies at most. */
#define COMMAND_REPLIES_BYTES_MAX (STORE_SETS_MAX * RESP_ERROR_BYTES_MAX + RESP_REPLY_BYTES_MAX)

/** Run one command. */
command_result_t command_run(store_t *store, command_batch_t *batch, const resp_request_t *request,
                             resp_replies_t *replies);
/** Make the SETs that were collected. To be called before replies are sent. */
command_result_t command_finish(store_t *store, command_batch_t *batch, resp_replies_t *replies);

#endif
