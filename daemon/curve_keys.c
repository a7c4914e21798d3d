/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Keys are looked for one after the other: who comes has a handshake of public-key cryptography before it.
 */
#include "daemon/curve_keys.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "daemon/log.h"
#include "notify/zmq/curve_files.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define KEYS_PATH_BYTES 1024U
#define KEYS_LOOK_NS INT64_C(1000000000)
#define ZAP_TEXT_BYTES 256U

/* Frames of a question. */
enum {
  ZAP_ROUTE,
  ZAP_EMPTY,
  ZAP_VERSION,
  ZAP_NUMBER,
  ZAP_DOMAIN,
  ZAP_ADDRESS,
  ZAP_IDENTITY,
  ZAP_MECHANISM,
  ZAP_KEY,
  ZAP_FRAMES,
};

typedef struct known_key {
  char name[CURVE_NAME_BYTES];
  char text[CURVE_KEY_BYTES];
} known_key_t;

struct curve_keys {
  char directory[KEYS_PATH_BYTES];
  curve_pair_t own;
  known_key_t *known; /* room for max */
  uint32_t count, max;
  bool of_nodes;
  bool too_many;   /* was said */
  int64_t look_ns; /* no look into the directory before */
  void *questions;
  strangers_t *strangers;
};

/* ---- files ---- */

static bool key_pair_read(curve_keys_t *keys, const char *path, char *why, size_t why_size) {
  vesta_err_t err = curve_file_pair(path, &keys->own);
  if (err == VESTA_ERR_NOT_EXIST) {
    (void)snprintf(why, why_size, "cannot read the key %s: %s", path, strerror(errno));
  } else if (err == VESTA_ERR_DENIED) {
    (void)snprintf(why, why_size, "the key %s can be read by others: chmod 600", path);
  } else if (err != VESTA_OK) {
    (void)snprintf(why, why_size, "%s is no key: `vesta keygen` makes one", path);
  }
  return err == VESTA_OK;
}

/* The number of a node, as numbers are written. */
static bool name_is_node(const char *name) {
  char written[24];
  (void)snprintf(written, sizeof written, "%" PRIu32, (uint32_t)strtoul(name, NULL, 10));
  return strcmp(written, name) == 0 && strcmp(name, "0") != 0;
}

/* NAME.pub? */
static bool name_read(const curve_keys_t *keys, const char *file, char name[CURVE_NAME_BYTES]) {
  static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  size_t size = strlen(file);
  if (size <= 4 || size - 4 >= CURVE_NAME_BYTES || strcmp(file + size - 4, ".pub") != 0 || file[0] == '.' ||
      strspn(file, good) != size) {
    return false;
  }
  memcpy(name, file, size - 4);
  name[size - 4] = '\0';
  return !keys->of_nodes || name_is_node(name);
}

static void keys_read_one(curve_keys_t *keys, const char *file) {
  char name[CURVE_NAME_BYTES];
  char path[KEYS_PATH_BYTES + 256];
  if (!name_read(keys, file, name)) {
    return;
  }
  (void)snprintf(path, sizeof path, "%s/%s", keys->directory, file);
  if (keys->count == keys->max) {
    if (!keys->too_many) {
      log_write(LOG_ID_KEY_FILE, "path=%s keys_max=%" PRIu32 " text=\"too many keys: this one is not taken\"", path,
                keys->max);
    }
    keys->too_many = true;
    return;
  }
  known_key_t *known = &keys->known[keys->count];
  if (curve_file_public(path, known->text) == VESTA_OK) {
    memcpy(known->name, name, sizeof name);
    keys->count++;
  } else {
    log_write(LOG_ID_KEY_FILE, "path=%s text=\"this is no public key\"", path);
  }
}

/* Those that are known stay so when the directory can't be read. */
static bool keys_read(curve_keys_t *keys) {
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

vesta_err_t curve_keys_open(const curve_keys_config_t *config, curve_keys_t **out, char *why, size_t why_size) {
  curve_keys_t *keys = calloc(1, sizeof *keys);
  vesta_err_t err = VESTA_ERR_NO_MEMORY;
  (void)snprintf(why, why_size, "out of memory");
  if (keys == NULL) {
    return err;
  }
  (void)snprintf(keys->directory, sizeof keys->directory, "%s", config->keys_dir);
  keys->max = config->keys_max;
  keys->of_nodes = config->of_nodes;
  keys->strangers = config->strangers;
  keys->known = calloc(keys->max, sizeof *keys->known);
  if (keys->known == NULL) {
    goto out;
  }
  err = VESTA_ERR_ACCESS;
  if (!key_pair_read(keys, config->key_file, why, why_size)) {
    goto out;
  }
  if (!keys_read(keys)) {
    (void)snprintf(why, why_size, "cannot read the %s' keys in %s: %s", config->of_nodes ? "nodes" : "subscribers",
                   config->keys_dir, strerror(errno));
    goto out;
  }
  err = VESTA_ERR_NO_RESOURCES;
  int linger = 0;
  keys->questions = zmq_socket(config->context, ZMQ_ROUTER);
  if (zmq_has("curve") != 1 || keys->questions == NULL ||
      zmq_setsockopt(keys->questions, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
      zmq_bind(keys->questions, ZAP_ENDPOINT) != 0) {
    (void)snprintf(why, why_size, "this ZeroMQ can't encrypt");
    goto out;
  }
  *out = keys;
  return VESTA_OK;
out:
  curve_keys_close(&keys);
  return err;
}

void curve_keys_close(curve_keys_t **keys) {
  if (*keys != NULL) {
    if ((*keys)->questions != NULL) {
      (void)zmq_unbind((*keys)->questions, ZAP_ENDPOINT); /* it is closed some time later */
      (void)zmq_close((*keys)->questions);
    }
    free((*keys)->known);
    explicit_bzero(*keys, sizeof **keys);
    free(*keys);
    *keys = NULL;
  }
}

bool curve_keys_serve(const curve_keys_t *keys, void *socket) {
  int server = 1;
  return zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, CURVE_KEYS_DOMAIN, sizeof CURVE_KEYS_DOMAIN - 1) == 0 &&
         zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &server, sizeof server) == 0 &&
         zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->own.secret_key, sizeof keys->own.secret_key) == 0;
}

static const known_key_t *name_find(const curve_keys_t *keys, const char *name) {
  for (uint32_t i = 0; i < keys->count; i++) {
    if (strcmp(keys->known[i].name, name) == 0) {
      return &keys->known[i];
    }
  }
  return NULL;
}

bool curve_keys_connect(curve_keys_t *keys, void *socket, const char *name) {
  (void)keys_read(keys);
  const known_key_t *known = name_find(keys, name);
  return known != NULL && zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, known->text, sizeof known->text) == 0 &&
         zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys->own.public_key, sizeof keys->own.public_key) == 0 &&
         zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->own.secret_key, sizeof keys->own.secret_key) == 0;
}

/* ---- questions ---- */

/* The directory comes first: a key that was removed from it is known no more. */
static void keys_look(curve_keys_t *keys, int64_t now_ns) {
  if (now_ns >= keys->look_ns) {
    (void)keys_read(keys);
    keys->look_ns = now_ns + KEYS_LOOK_NS;
  }
}

bool curve_keys_has(curve_keys_t *keys, const char *name, int64_t now_ns) {
  keys_look(keys, now_ns);
  return name_find(keys, name) != NULL;
}

static const known_key_t *key_find(curve_keys_t *keys, const char *text, int64_t now_ns) {
  keys_look(keys, now_ns);
  for (uint32_t i = 0; i < keys->count; i++) {
    if (strcmp(keys->known[i].text, text) == 0) {
      return &keys->known[i];
    }
  }
  return NULL;
}

static bool zap_frame_send(curve_keys_t *keys, const void *bytes, size_t size, bool more) {
  return zmq_send(keys->questions, bytes, size, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) >= 0;
}

static bool zap_text_send(curve_keys_t *keys, const char *text, bool more) {
  return zap_frame_send(keys, text, strlen(text), more);
}

/* route | empty | version, number, code, text, user, metadata. */
static void zap_answer(curve_keys_t *keys, zmq_msg_t frames[ZAP_FRAMES], const known_key_t *known) {
  zmq_msg_t *route = &frames[ZAP_ROUTE];
  zmq_msg_t *number = &frames[ZAP_NUMBER];
  (void)(zap_frame_send(keys, zmq_msg_data(route), zmq_msg_size(route), true) && zap_text_send(keys, "", true) &&
         zap_text_send(keys, "1.0", true) && zap_frame_send(keys, zmq_msg_data(number), zmq_msg_size(number), true) &&
         zap_text_send(keys, known == NULL ? "400" : "200", true) &&
         zap_text_send(keys, known == NULL ? "unknown key" : "OK", true) &&
         zap_text_send(keys, known == NULL ? "" : known->name, true) && zap_text_send(keys, "", false));
}

/* @return false: refused */
static bool zap_judge(curve_keys_t *keys, zmq_msg_t frames[ZAP_FRAMES], int64_t now_ns) {
  char text[CURVE_KEY_BYTES] = "";
  char address[ZAP_TEXT_BYTES];
  (void)snprintf(address, sizeof address, "%.*s", (int)zmq_msg_size(&frames[ZAP_ADDRESS]),
                 (const char *)zmq_msg_data(&frames[ZAP_ADDRESS]));
  if (zmq_msg_size(&frames[ZAP_KEY]) == 32) {
    (void)zmq_z85_encode(text, zmq_msg_data(&frames[ZAP_KEY]), 32);
  }
  const known_key_t *known = key_find(keys, text, now_ns);
  if (known != NULL) {
    strangers_welcome(keys->strangers, address);
  } else if (strangers_name(keys->strangers, address, text, now_ns)) {
    log_write(keys->of_nodes ? LOG_ID_PEER_REFUSED : LOG_ID_GUEST_REFUSED, "address=%s key=%s text=\"%s\"", address,
              text, keys->of_nodes ? "no node has this key" : "nobody with this key may subscribe");
  }
  zap_answer(keys, frames, known);
  return known != NULL;
}

/* A question has ZAP_FRAMES frames: ZeroMQ asks nothing else, since all its sockets here encrypt. */
static bool zap_take(curve_keys_t *keys, int64_t now_ns, uint32_t *refused) {
  zmq_msg_t frames[ZAP_FRAMES];
  uint32_t count = 0;
  bool more = true;
  for (uint32_t i = 0; i < ZAP_FRAMES; i++) {
    (void)zmq_msg_init(&frames[i]);
  }
  while (more) {
    zmq_msg_t *frame = &frames[count < ZAP_FRAMES ? count : ZAP_FRAMES - 1];
    if (zmq_msg_recv(frame, keys->questions, ZMQ_DONTWAIT) < 0) {
      break;
    }
    more = zmq_msg_more(frame) != 0;
    count++;
  }
  if (count == ZAP_FRAMES) {
    *refused += zap_judge(keys, frames, now_ns) ? 0 : 1;
  }
  for (uint32_t i = 0; i < ZAP_FRAMES; i++) {
    (void)zmq_msg_close(&frames[i]);
  }
  return count != 0;
}

int curve_keys_fd(const curve_keys_t *keys) {
  int fd = -1;
  size_t size = sizeof fd;
  (void)zmq_getsockopt(keys->questions, ZMQ_FD, &fd, &size);
  return fd;
}

uint32_t curve_keys_turn(curve_keys_t *keys, int64_t now_ns) {
  uint32_t refused = 0;
  while (zap_take(keys, now_ns, &refused)) {
  }
  return refused;
}

uint32_t curve_keys_count(const curve_keys_t *keys) { return keys->count; }
