/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A client that loads hotkv. See hotkv_loader.h.
 */
#include "bench/hotkv_loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/hotkv_ledger.h"
#include "bench/resp_client.h"
#include "bench/scene.h"

#define AT_A_TIME 8U

typedef struct loader {
  hotkv_ledger_t *ledger;
  hotkv_loader_t *self;
  uint32_t index;
  uint32_t key_count; /* its keys: index, index + HOTKV_LOADERS, ... */
  uint32_t filled;    /* how many of them were set once */
  uint64_t random;
  int64_t last_ok_ns; /* 0: none yet */
  resp_client_t client;
} loader_t;

pid_t hotkv_loader_spawn(const char *ledger_path, uint32_t index) {
  char text[16];
  (void)snprintf(text, sizeof text, "%u", index);
  const char *arguments[] = {ledger_path, text, NULL};
  return scene_spawn(HOTKV_LOADER_ROLE, arguments);
}

/* First each of its keys, then any. */
static uint32_t loader_next_key(loader_t *loader) {
  uint32_t place = loader->filled;
  if (loader->filled < loader->key_count) {
    loader->filled++;
  } else {
    loader->random = loader->random * 6364136223846793005U + 1442695040888963407U;
    place = (uint32_t)(loader->random >> 33) % loader->key_count;
  }
  return loader->index + place * HOTKV_LOADERS;
}

static uint32_t loader_next_version(const loader_t *loader, uint32_t key) {
  uint32_t least = loader->self->outages << HOTKV_OUTAGE_SHIFT;
  uint32_t last = loader->ledger->notes[key].submitted;
  return (last < least ? least : last) + 1;
}

static size_t loader_set(const char *key, size_t key_size, const char *value, size_t value_size, char *request) {
  int head = sprintf(request, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n", key_size, key, value_size);
  memcpy(request + head, value, value_size);
  memcpy(request + (size_t)head + value_size, "\r\n", 2);
  return (size_t)head + value_size + 2;
}

/* False: the connection is broken. Any other answer than OK is a fault: nobody has hurt the service. */
static bool loader_hear_ok(loader_t *loader) {
  resp_reply_t reply;
  if (!resp_client_receive(&loader->client, &reply)) {
    return false;
  }
  if (reply.kind != '+') {
    scene_fail("a SET was answered with %c%.*s", reply.kind, (int)reply.size, reply.text == NULL ? "" : reply.text);
  }
  return true;
}

/* Some SETs, noted before and after. False: the connection is broken. */
static bool loader_write(loader_t *loader) {
  uint32_t keys[AT_A_TIME];
  uint32_t versions[AT_A_TIME];
  char requests[AT_A_TIME * 256];
  size_t size = 0;
  for (uint32_t i = 0; i < AT_A_TIME; i++) {
    char key[HOTKV_KEY_BYTES];
    char value[HOTKV_VALUE_BYTES];
    keys[i] = loader_next_key(loader);
    versions[i] = loader_next_version(loader, keys[i]);
    loader->ledger->notes[keys[i]].submitted = versions[i];
    hotkv_ledger_value(keys[i], versions[i], value);
    size += loader_set(key, hotkv_ledger_key(keys[i], key), value, sizeof value, requests + size);
  }
  if (!resp_client_send(&loader->client, requests, size)) {
    return false;
  }
  for (uint32_t i = 0; i < AT_A_TIME; i++) {
    if (!loader_hear_ok(loader)) {
      return false;
    }
    loader->last_ok_ns = scene_now_ns();
    loader->ledger->notes[keys[i]].acknowledged = versions[i];
    loader->self->acknowledged++;
  }
  loader->self->filled = loader->filled == loader->key_count;
  return true;
}

/* Connect to whoever serves. The first OK ends the outage. */
static void loader_come_back(loader_t *loader) {
  char request[128];
  char key[HOTKV_KEY_BYTES];
  int key_size = snprintf(key, sizeof key, "outage:%u", loader->index);
  size_t size = loader_set(key, (size_t)key_size, "over", 4, request);
  while (!(resp_client_connect(&loader->client, loader->ledger->port) &&
           resp_client_send(&loader->client, request, size) && loader_hear_ok(loader))) {
    scene_pause(HOTKV_RETRY_NS);
  }
  if (loader->last_ok_ns == 0) {
    return; /* it was the first connection */
  }
  loader->self->outage_ns = scene_now_ns() - loader->last_ok_ns;
  loader->self->outages++;
  while (loader->ledger->hold) {
    scene_pause(HOTKV_RETRY_NS);
  }
}

_Noreturn void hotkv_loader_run(char **arguments) {
  static loader_t loader = {.client = {.fd = -1}};
  loader.ledger = hotkv_ledger_open(arguments[0]);
  loader.index = (uint32_t)strtoul(arguments[1], NULL, 10) % HOTKV_LOADERS;
  loader.self = &loader.ledger->loaders[loader.index];
  loader.key_count = loader.ledger->keys / HOTKV_LOADERS;
  loader.random = (uint64_t)scene_now_ns();
  for (;;) {
    loader_come_back(&loader);
    while (loader_write(&loader)) {
    }
  }
}
