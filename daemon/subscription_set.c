/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See subscription_set.h.
 */
#include "daemon/subscription_set.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/table.h"

typedef struct subscription {
  table_link_t link;                   /* by topic */
  struct subscription *before, *after; /* all of them, in a ring */
  int fd;
  ino_t inode;
  uint8_t topic[NOTIFY_TOPIC_BYTES];
} subscription_t;

struct subscription_set {
  table_t table;
  subscription_t *hand; /* the next to be looked at; NULL: there is none */
};

subscription_set_t *subscription_set_new(void) {
  subscription_set_t *set = calloc(1, sizeof *set);
  if (set != NULL && !table_init(&set->table)) {
    free(set);
    return NULL;
  }
  return set;
}

static void subscription_remove(subscription_set_t *set, subscription_t *pair) {
  table_remove(&set->table, &pair->link);
  pair->before->after = pair->after;
  pair->after->before = pair->before;
  if (set->hand == pair) {
    set->hand = pair->after == pair ? NULL : pair->after;
  }
  free(pair);
}

void subscription_set_destroy(subscription_set_t **set) {
  if (*set == NULL) {
    return;
  }
  while ((*set)->hand != NULL) {
    subscription_remove(*set, (*set)->hand);
  }
  table_fini(&(*set)->table);
  free(*set);
  *set = NULL;
}

/* 0: that descriptor is no socket, not any more. */
static ino_t subscription_inode(int fd) {
  struct stat info;
  return fd >= 0 && fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode) ? info.st_ino : 0;
}

static bool subscription_is_gone(const subscription_t *pair) { return subscription_inode(pair->fd) != pair->inode; }

/* The next of that topic, after `pair` or from the first. */
static subscription_t *subscription_next(const subscription_set_t *set, const subscription_t *pair,
                                         const uint8_t *topic) {
  table_link_t *link = pair == NULL ? table_find(&set->table, table_hash_bytes(vesta_bytes(topic, NOTIFY_TOPIC_BYTES)))
                                    : table_find_next(&pair->link);
  for (; link != NULL; link = table_find_next(link)) {
    subscription_t *next = TABLE_ENTRY(link, subscription_t, link);
    if (memcmp(next->topic, topic, NOTIFY_TOPIC_BYTES) == 0) {
      return next;
    }
  }
  return NULL;
}

static subscription_t *subscription_find(const subscription_set_t *set, int fd, ino_t inode, const uint8_t *topic) {
  subscription_t *pair = subscription_next(set, NULL, topic);
  while (pair != NULL && (pair->fd != fd || pair->inode != inode)) {
    pair = subscription_next(set, pair, topic);
  }
  return pair;
}

/* One whose connection is gone, and had that descriptor; -1: any. */
static subscription_t *subscription_find_gone(const subscription_set_t *set, int fd, const uint8_t *topic) {
  subscription_t *pair = subscription_next(set, NULL, topic);
  while (pair != NULL && ((fd >= 0 && pair->fd != fd) || !subscription_is_gone(pair))) {
    pair = subscription_next(set, pair, topic);
  }
  return pair;
}

static subscription_news_t subscription_begin(subscription_set_t *set, int fd, ino_t inode, const uint8_t *topic) {
  if (inode == 0) {
    return SUBSCRIPTION_DROP;
  }
  subscription_t *pair = subscription_find(set, fd, inode, topic) == NULL ? malloc(sizeof *pair) : NULL;
  if (pair == NULL) {
    return SUBSCRIPTION_BAD;
  }
  pair->fd = fd;
  pair->inode = inode;
  memcpy(pair->topic, topic, NOTIFY_TOPIC_BYTES);
  if (set->hand == NULL) {
    set->hand = pair->before = pair->after = pair;
  } else {
    pair->after = set->hand;
    pair->before = set->hand->before;
    pair->before->after = pair->after->before = pair;
  }
  table_insert(&set->table, &pair->link, table_hash_bytes(vesta_bytes(topic, NOTIFY_TOPIC_BYTES)));
  return SUBSCRIPTION_TELL;
}

static subscription_news_t subscription_end(subscription_set_t *set, int fd, ino_t inode, const uint8_t *topic) {
  subscription_t *pair = inode == 0 ? NULL : subscription_find(set, fd, inode, topic);
  if (pair == NULL) {
    pair = subscription_find_gone(set, fd, topic);
  }
  if (pair != NULL) {
    subscription_remove(set, pair);
    return SUBSCRIPTION_TELL;
  }
  return inode == 0 ? SUBSCRIPTION_DROP : SUBSCRIPTION_BAD;
}

subscription_news_t subscription_set_take(subscription_set_t *set, int fd, vesta_bytes_t message) {
  if (message.size != SUBSCRIPTION_BYTES || message.data[0] > 1) {
    return SUBSCRIPTION_TELL;
  }
  ino_t inode = subscription_inode(fd);
  return message.data[0] == 1 ? subscription_begin(set, fd, inode, message.data + 1)
                              : subscription_end(set, fd, inode, message.data + 1);
}

void subscription_set_refuse(subscription_set_t *set, vesta_bytes_t message) {
  if (message.size == SUBSCRIPTION_BYTES && message.data[0] == 1) {
    subscription_remove(set, set->hand->before); /* the newest */
  }
}

bool subscription_set_look(subscription_set_t *set, uint8_t end[SUBSCRIPTION_BYTES]) {
  subscription_t *pair = set->hand;
  if (pair == NULL) {
    return false;
  }
  set->hand = pair->after;
  if (!subscription_is_gone(pair)) {
    return false;
  }
  end[0] = 0;
  memcpy(end + 1, pair->topic, NOTIFY_TOPIC_BYTES);
  subscription_remove(set, pair);
  return true;
}
