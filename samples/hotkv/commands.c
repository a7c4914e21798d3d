/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The commands, in a table. See commands.h.
 */
#include "commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define NOT_A_NUMBER "ERR value is not an integer or out of range"
#define OVERFLOW "ERR increment or decrement would overflow"

/* What a command is given. */
typedef struct call {
  store_t *store;
  command_batch_t *batch;
  const slice_t *arguments; /* behind its name */
  size_t argument_count;
  resp_replies_t *replies;
} call_t;

typedef struct command {
  const char *name;
  size_t arguments_min, arguments_max;
  command_result_t (*run)(const call_t *call);
} command_t;

/* ---- helpers ---- */

/* A write has been tried: true if it was made, else the client has been told why not. */
static bool written(store_result_t result, resp_replies_t *replies, command_result_t *end) {
  *end = COMMAND_DONE;
  switch (result) {
    case STORE_OK: return true;
    case STORE_FULL: resp_error(replies, "OOM no room for more keys or values, see keys_max in INFO"); return false;
    case STORE_AWAY: resp_error(replies, "TRYAGAIN the checkpoint service is not there"); return false;
    case STORE_FENCED: *end = COMMAND_FENCED; return false;
  }
  return false;
}

/* What is wrong with a key that is to be written; NULL: nothing. */
static const char *key_fault(slice_t key) {
  _Static_assert(STORE_KEY_BYTES_MAX == 250, "the text below says so");
  if (key.size == 0) {
    return "ERR a key can't be empty";
  }
  return key.size > STORE_KEY_BYTES_MAX ? "ERR a key can't be longer than 250 bytes" : NULL;
}

/* The point in time that is so many units from now. What is too far away to be told is never. */
static SaTimeT expiry_after(int64_t count, SaTimeT unit) {
  SaTimeT now = store_now();
  return count > (SA_TIME_END - now) / unit ? SA_TIME_END : now + count * unit;
}

/* ---- of the connection ---- */

static command_result_t run_ping(const call_t *call) {
  if (call->argument_count == 0) {
    resp_ok(call->replies, "PONG");
  } else {
    resp_bulk(call->replies, call->arguments[0]);
  }
  return COMMAND_DONE;
}

static command_result_t run_echo(const call_t *call) {
  resp_bulk(call->replies, call->arguments[0]);
  return COMMAND_DONE;
}

static command_result_t run_quit(const call_t *call) {
  resp_ok(call->replies, "OK");
  return COMMAND_QUIT;
}

static command_result_t run_select(const call_t *call) {
  int64_t database = 0;
  if (resp_number(call->arguments[0], &database) && database == 0) {
    resp_ok(call->replies, "OK");
  } else {
    resp_error(call->replies, "ERR there is database 0 alone");
  }
  return COMMAND_DONE;
}

/* redis-cli asks for help texts, and does without. */
static command_result_t run_command(const call_t *call) {
  resp_array(call->replies, 0);
  return COMMAND_DONE;
}

/* redis-benchmark asks how data is saved. */
static command_result_t run_config(const call_t *call) {
  if (!resp_is(call->arguments[0], "get")) {
    resp_error(call->replies, "ERR nothing can be configured here but by hotkv's options");
    return COMMAND_DONE;
  }
  resp_array(call->replies, 2);
  resp_bulk(call->replies, call->arguments[1]);
  resp_bulk(call->replies, (slice_t){"", 0});
  return COMMAND_DONE;
}

static command_result_t run_info(const call_t *call) {
  char text[512];
  const store_options_t *options = store_options(call->store);
  int size = snprintf(text, sizeof text,
                      "# Server\r\nserver:hotkv\r\nprocess_id:%ld\r\n\r\n# Replication\r\nrole:master\r\n\r\n"
                      "# Keyspace\r\ncheckpoint:%.128s\r\nkeys:%zu\r\nkeys_max:%zu\r\nvalue_bytes_max:%zu\r\n",
                      (long)getpid(), options->checkpoint, store_count(call->store), options->keys_max,
                      options->value_bytes_max);
  resp_bulk(call->replies, (slice_t){text, (size_t)size});
  return COMMAND_DONE;
}

/* ---- of keys ---- */

static command_result_t run_get(const call_t *call) {
  slice_t value;
  if (store_get(call->store, call->arguments[0], &value, NULL)) {
    resp_bulk(call->replies, value);
  } else {
    resp_nothing(call->replies);
  }
  return COMMAND_DONE;
}

/* SET's options. @return what is wrong; NULL: nothing */
static const char *read_expiry(const call_t *call, SaTimeT *expiry) {
  *expiry = SA_TIME_END;
  if (call->argument_count == 2) {
    return NULL;
  }
  bool seconds = resp_is(call->arguments[2], "ex");
  int64_t count = 0;
  if (call->argument_count != 4 || (!seconds && !resp_is(call->arguments[2], "px"))) {
    return "ERR syntax error";
  }
  if (!resp_number(call->arguments[3], &count)) {
    return NOT_A_NUMBER;
  }
  if (count <= 0) {
    return "ERR invalid expire time in 'set' command";
  }
  *expiry = expiry_after(count, seconds ? SA_TIME_ONE_SECOND : SA_TIME_ONE_MILLISECOND);
  return NULL;
}

static command_result_t run_set(const call_t *call) {
  store_set_t set = {.key = call->arguments[0], .value = call->arguments[1]};
  const char *fault = key_fault(set.key);
  if (fault == NULL) {
    fault = read_expiry(call, &set.expiry);
  }
  if (fault == NULL && set.value.size > store_options(call->store)->value_bytes_max) {
    fault = "ERR the value is too long, see value_bytes_max in INFO";
  }
  command_result_t end = COMMAND_DONE;
  if (fault != NULL || call->batch->count == STORE_SETS_MAX) {
    end = command_finish(call->store, call->batch, call->replies);
  }
  if (end != COMMAND_DONE) {
    return end; /* fenced: the batch is as full as it was */
  }
  if (fault == NULL) {
    call->batch->sets[call->batch->count++] = set;
  } else {
    resp_error(call->replies, "%s", fault);
  }
  return end;
}

static command_result_t run_del(const call_t *call) {
  int64_t deleted = 0;
  for (size_t i = 0; i < call->argument_count; i++) {
    slice_t value;
    command_result_t end;
    if (!store_get(call->store, call->arguments[i], &value, NULL)) {
      continue;
    }
    if (!written(store_delete(call->store, call->arguments[i]), call->replies, &end)) {
      return end;
    }
    deleted++;
  }
  resp_integer(call->replies, deleted);
  return COMMAND_DONE;
}

static command_result_t run_exists(const call_t *call) {
  int64_t found = 0;
  for (size_t i = 0; i < call->argument_count; i++) {
    slice_t value;
    found += store_get(call->store, call->arguments[i], &value, NULL);
  }
  resp_integer(call->replies, found);
  return COMMAND_DONE;
}

static command_result_t run_incr(const call_t *call) {
  store_set_t set = {.key = call->arguments[0], .expiry = SA_TIME_END};
  int64_t number = 0;
  const char *fault = key_fault(set.key);
  if (fault == NULL && store_get(call->store, set.key, &set.value, &set.expiry) && !resp_number(set.value, &number)) {
    fault = NOT_A_NUMBER;
  }
  char text[24];
  set.value.bytes = text;
  set.value.size = number == INT64_MAX ? 0 : (size_t)snprintf(text, sizeof text, "%" PRId64, number + 1);
  if (fault == NULL && (set.value.size == 0 || set.value.size > store_options(call->store)->value_bytes_max)) {
    fault = OVERFLOW;
  }
  if (fault != NULL) {
    resp_error(call->replies, "%s", fault);
    return COMMAND_DONE;
  }
  size_t tried;
  command_result_t end;
  if (written(store_set(call->store, &set, 1, &tried), call->replies, &end)) {
    resp_integer(call->replies, number + 1);
  }
  return end;
}

static command_result_t run_expire(const call_t *call) {
  slice_t key = call->arguments[0];
  slice_t value;
  int64_t seconds = 0;
  if (!resp_number(call->arguments[1], &seconds)) {
    resp_error(call->replies, NOT_A_NUMBER);
    return COMMAND_DONE;
  }
  if (!store_get(call->store, key, &value, NULL)) {
    resp_integer(call->replies, 0);
    return COMMAND_DONE;
  }
  command_result_t end;
  store_result_t result = seconds > 0 ? store_set_expiry(call->store, key, expiry_after(seconds, SA_TIME_ONE_SECOND))
                                      : store_delete(call->store, key);
  if (written(result, call->replies, &end)) {
    resp_integer(call->replies, 1);
  }
  return end;
}

/* In seconds, rounded; -1: never, -2: there is no such key. */
static command_result_t run_ttl(const call_t *call) {
  slice_t value;
  SaTimeT expiry = 0;
  int64_t seconds = -2;
  if (store_get(call->store, call->arguments[0], &value, &expiry)) {
    seconds = expiry == SA_TIME_END ? -1 : (expiry - store_now() + SA_TIME_ONE_SECOND / 2) / SA_TIME_ONE_SECOND;
  }
  resp_integer(call->replies, seconds);
  return COMMAND_DONE;
}

static command_result_t run_dbsize(const call_t *call) {
  resp_integer(call->replies, (int64_t)store_count(call->store));
  return COMMAND_DONE;
}

/* ---- which one ---- */

command_result_t command_finish(store_t *store, command_batch_t *batch, resp_replies_t *replies) {
  for (size_t at = 0; at < batch->count;) {
    size_t tried;
    command_result_t end = COMMAND_DONE;
    store_result_t result = store_set(store, batch->sets + at, batch->count - at, &tried);
    for (size_t i = 0; i < tried; i++) {
      if (written(result, replies, &end)) {
        resp_ok(replies, "OK");
      }
    }
    if (end == COMMAND_FENCED) {
      return end;
    }
    at += tried;
  }
  batch->count = 0;
  return COMMAND_DONE;
}

static const command_t *find_command(slice_t name) {
  static const command_t commands[] = {
      {"get", 1, 1, run_get},       {"set", 2, 4, run_set},       {"del", 1, RESP_ARGUMENTS_MAX, run_del},
      {"incr", 1, 1, run_incr},     {"expire", 2, 2, run_expire}, {"exists", 1, RESP_ARGUMENTS_MAX, run_exists},
      {"ttl", 1, 1, run_ttl},       {"dbsize", 0, 0, run_dbsize}, {"command", 0, RESP_ARGUMENTS_MAX, run_command},
      {"ping", 0, 1, run_ping},     {"echo", 1, 1, run_echo},     {"info", 0, RESP_ARGUMENTS_MAX, run_info},
      {"config", 2, 2, run_config}, {"select", 1, 1, run_select}, {"quit", 0, 0, run_quit},
  };
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (resp_is(name, commands[i].name)) {
      return &commands[i];
    }
  }
  return NULL;
}

command_result_t command_run(store_t *store, command_batch_t *batch, const resp_request_t *request,
                             resp_replies_t *replies) {
  slice_t name = request->arguments[0];
  const call_t call = {store, batch, request->arguments + 1, request->argument_count - 1, replies};
  const command_t *command = find_command(name);
  bool fits =
      command != NULL && call.argument_count >= command->arguments_min && call.argument_count <= command->arguments_max;
  if (!fits || command->run != run_set) {
    command_result_t end = command_finish(store, batch, replies);
    if (end != COMMAND_DONE) {
      return end;
    }
  }
  if (fits) {
    return command->run(&call);
  }
  if (command != NULL) {
    resp_error(replies, "ERR wrong number of arguments for '%s' command", command->name);
  } else {
    resp_error(replies, "ERR unknown command '%.*s'", name.size < 64 ? (int)name.size : 64, name.bytes);
  }
  return COMMAND_DONE;
}
