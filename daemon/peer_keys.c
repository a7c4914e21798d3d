/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Keys are few: they are looked for one after the other.
 */
#include "daemon/peer_keys.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/log.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define KEYS_PATH_BYTES 1024U
#define KEYS_LOOK_NS INT64_C(1000000000)
#define KEYS_FRAMES 7U /* of a question: version, number, domain, address, identity, mechanism, key */

typedef struct known_key {
  uint32_t node;
  char text[PEER_KEY_BYTES];
} known_key_t;

struct peer_keys {
  char directory[KEYS_PATH_BYTES];
  char public_key[PEER_KEY_BYTES], secret_key[PEER_KEY_BYTES];
  known_key_t known[VESTA_NODES_MAX];
  uint32_t count;
  int64_t look_ns; /* no look into the directory before */
  zsock_t *questions;
  strangers_t *strangers;
};

/* ---- files ---- */

static bool key_is_good(const char *text) {
  uint8_t key[32];
  return strlen(text) == PEER_KEY_BYTES - 1 && zmq_z85_decode(key, text) != NULL;
}

static bool key_pair_read(peer_keys_t *keys, const char *path, char *why, size_t why_size) {
  struct stat status;
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    (void)snprintf(why, why_size, "cannot read the key %s: %s", path, strerror(errno));
    return false;
  }
  int found = fscanf(file, "public %40s secret %40s", keys->public_key, keys->secret_key);
  int failed = fstat(fileno(file), &status);
  (void)fclose(file);
  if (failed != 0 || (status.st_mode & 077) != 0) {
    (void)snprintf(why, why_size, "the key %s can be read by others: chmod 600", path);
    return false;
  }
  if (found != 2 || !key_is_good(keys->public_key) || !key_is_good(keys->secret_key)) {
    (void)snprintf(why, why_size, "%s is no key: `vesta keygen` makes one", path);
    return false;
  }
  return true;
}

static void keys_read_one(peer_keys_t *keys, const char *name) {
  uint32_t node;
  int end = 0;
  char path[KEYS_PATH_BYTES + 256];
  if (sscanf(name, "%" SCNu32 ".pub%n", &node, &end) != 1 || end == 0 || name[end] != '\0' ||
      keys->count == VESTA_NODES_MAX) {
    return;
  }
  (void)snprintf(path, sizeof path, "%s/%s", keys->directory, name);
  FILE *file = fopen(path, "re");
  known_key_t *known = &keys->known[keys->count];
  if (file != NULL && fscanf(file, "%40s", known->text) == 1 && key_is_good(known->text)) {
    known->node = node;
    keys->count++;
  } else {
    log_write(LOG_ID_PEER_REFUSED, "path=%s text=\"this is no public key\"", path);
  }
  if (file != NULL) {
    (void)fclose(file);
  }
}

/* Those that are known stay so when the directory can't be read. */
static bool keys_read(peer_keys_t *keys) {
  DIR *files = opendir(keys->directory);
  if (files == NULL) {
    return false;
  }
  keys->count = 0;
  for (struct dirent *entry = readdir(files); entry != NULL; entry = readdir(files)) {
    keys_read_one(keys, entry->d_name);
  }
  (void)closedir(files);
  return true;
}

/* ---- life ---- */

vesta_err_t peer_keys_open(const char *key_file, const char *keys_dir, strangers_t *strangers, peer_keys_t **out,
                           char *why, size_t why_size) {
  peer_keys_t *keys = calloc(1, sizeof *keys);
  vesta_err_t err = VESTA_ERR_NO_MEMORY;
  (void)snprintf(why, why_size, "out of memory");
  if (keys == NULL) {
    return err;
  }
  (void)snprintf(keys->directory, sizeof keys->directory, "%s", keys_dir);
  keys->strangers = strangers;
  err = VESTA_ERR_ACCESS;
  if (!key_pair_read(keys, key_file, why, why_size)) {
    goto out;
  }
  if (!keys_read(keys)) {
    (void)snprintf(why, why_size, "cannot read the nodes' keys in %s: %s", keys_dir, strerror(errno));
    goto out;
  }
  err = VESTA_ERR_NO_RESOURCES;
  keys->questions = zsock_new(ZMQ_ROUTER);
  if (!zsys_has_curve() || keys->questions == NULL || zsock_bind(keys->questions, ZAP_ENDPOINT) < 0) {
    (void)snprintf(why, why_size, "this ZeroMQ can't encrypt");
    goto out;
  }
  zsock_set_linger(keys->questions, 0);
  *out = keys;
  return VESTA_OK;
out:
  peer_keys_close(&keys);
  return err;
}

void peer_keys_close(peer_keys_t **keys) {
  if (*keys != NULL) {
    if ((*keys)->questions != NULL) {
      (void)zsock_unbind((*keys)->questions, ZAP_ENDPOINT); /* it is closed some time later */
    }
    zsock_destroy(&(*keys)->questions);
    explicit_bzero(*keys, sizeof **keys);
    free(*keys);
    *keys = NULL;
  }
}

/* ---- sockets ---- */

void peer_keys_serve(const peer_keys_t *keys, zsock_t *socket) {
  zsock_set_zap_domain(socket, PEER_KEYS_DOMAIN);
  zsock_set_curve_server(socket, 1);
  zsock_set_curve_secretkey(socket, keys->secret_key);
}

bool peer_keys_connect(peer_keys_t *keys, zsock_t *socket, uint32_t node) {
  (void)keys_read(keys);
  for (uint32_t i = 0; i < keys->count; i++) {
    if (keys->known[i].node == node) {
      zsock_set_curve_serverkey(socket, keys->known[i].text);
      zsock_set_curve_publickey(socket, keys->public_key);
      zsock_set_curve_secretkey(socket, keys->secret_key);
      return true;
    }
  }
  return false;
}

/* ---- questions ---- */

static void keys_look(peer_keys_t *keys, int64_t now_ns) {
  if (now_ns >= keys->look_ns) {
    (void)keys_read(keys);
    keys->look_ns = now_ns + KEYS_LOOK_NS;
  }
}

/* The directory comes first: a key that was removed from it is known no more. */
static const known_key_t *key_find(peer_keys_t *keys, const char *text, int64_t now_ns) {
  keys_look(keys, now_ns);
  for (uint32_t i = 0; i < keys->count; i++) {
    if (strcmp(keys->known[i].text, text) == 0) {
      return &keys->known[i];
    }
  }
  return NULL;
}

bool peer_keys_has(peer_keys_t *keys, uint32_t node, int64_t now_ns) {
  keys_look(keys, now_ns);
  for (uint32_t i = 0; i < keys->count; i++) {
    if (keys->known[i].node == node) {
      return true;
    }
  }
  return false;
}

/* identity | empty | question  ->  identity | empty | version, number, code, text, user, metadata. False: refused */
static bool key_judge(peer_keys_t *keys, zmsg_t *question, int64_t now_ns) {
  zframe_t *identity = zmsg_pop(question);
  zframe_t *empty = zmsg_pop(question);
  char *frames[KEYS_FRAMES - 1] = {0};
  char text[PEER_KEY_BYTES] = "";
  char node[16] = "";
  for (uint32_t i = 0; i < KEYS_FRAMES - 1; i++) {
    frames[i] = zmsg_popstr(question);
  }
  zframe_t *key = zmsg_pop(question);
  if (key != NULL && zframe_size(key) == 32) {
    (void)zmq_z85_encode(text, zframe_data(key), 32);
  }
  const char *address = frames[3] == NULL ? "" : frames[3];
  const known_key_t *known = key_find(keys, text, now_ns);
  if (known != NULL) {
    (void)snprintf(node, sizeof node, "%" PRIu32, known->node);
  } else if (strangers_name(keys->strangers, address, text, now_ns)) {
    log_write(LOG_ID_PEER_REFUSED, "address=%s key=%s text=\"no node has this key\"", address, text);
  }
  zmsg_t *answer = zmsg_new();
  (void)zmsg_append(answer, &identity);
  (void)zmsg_append(answer, &empty);
  (void)zmsg_addstr(answer, "1.0");
  (void)zmsg_addstr(answer, frames[1] == NULL ? "" : frames[1]);
  (void)zmsg_addstr(answer, known == NULL ? "400" : "200");
  (void)zmsg_addstr(answer, known == NULL ? "unknown key" : "OK");
  (void)zmsg_addstr(answer, node);
  (void)zmsg_addmem(answer, "", 0);
  (void)zmsg_send(&answer, keys->questions);
  zframe_destroy(&key);
  for (uint32_t i = 0; i < KEYS_FRAMES - 1; i++) {
    zstr_free(&frames[i]);
  }
  return known != NULL;
}

int peer_keys_fd(const peer_keys_t *keys) { return zsock_fd(keys->questions); }

uint32_t peer_keys_turn(peer_keys_t *keys, int64_t now_ns) {
  uint32_t refused = 0;
  while ((zsock_events(keys->questions) & ZMQ_POLLIN) != 0) {
    zmsg_t *question = zmsg_recv(keys->questions);
    if (question != NULL) {
      refused += key_judge(keys, question, now_ns) ? 0 : 1;
      zmsg_destroy(&question);
    }
  }
  return refused;
}

uint32_t peer_keys_node(zmq_msg_t *message) {
  const char *user = zmq_msg_gets(message, "User-Id");
  return user == NULL ? 0 : (uint32_t)strtoul(user, NULL, 10);
}
