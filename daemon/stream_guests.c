/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stream_guests.h.
 *
 * Rows are few and looked for one after the other. A turn asks the node for GUESTS_ASKS_PER_TURN things at most, so that
 * guests who come in a crowd do not keep local programs waiting.
 */
#include "daemon/stream_guests.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"

#define GUESTS_ASKS_PER_TURN 8U
#define GUESTS_ASKED_MAX \
  VESTA_SESSION_WINDOW /* at a time: a node remembers so many answers, should it be away meanwhile */
#define GUESTS_RETRY_NS INT64_C(100000000)
#define GUESTS_LOOK_NS INT64_C(1000000000) /* who is silent is looked for this often */
#define GUESTS_WISH_NS INT64_C(5000000000) /* who wants a stream repeats that, or is gone */
#define GUESTS_LEASE_NS ((int64_t)VESTA_GUEST_LEASE_MS * 1000000)

typedef enum guest_state {
  GUEST_WANTED,
  GUEST_OPENING,
  GUEST_ASKING,
  GUEST_FOLLOWS,
  GUEST_LEAVING, /* as soon as it can be asked for */
  GUEST_CLOSING, /* CLOSE was asked for */
} guest_state_t;

typedef struct guest {
  struct guest *next;
  guest_state_t state;
  uint32_t user;
  bool gone;       /* meanwhile: not to be answered, and its handle is to be closed */
  uint64_t wish;   /* number of its FOLLOW_GET */
  uint64_t number; /* of our request */
  uint64_t handle, checkpoint, member;
  int64_t heard_ns;
  int64_t due_ns; /* when to ask the node */
  uint8_t identity[ANSWER_IDENTITY_BYTES_MAX];
  uint32_t identity_size;
  uint32_t name_size;
  uint8_t name[];
} guest_t;

typedef enum guests_session { SESSION_NONE, SESSION_BEGINS, SESSION_LIVES } guests_session_t;

struct stream_guests {
  stream_guests_config_t config;
  guest_t *rows;
  uint32_t count;
  guests_session_t session;
  uint64_t link;
  uint64_t left; /* the one before, which is to be ended; 0: none */
  vesta_token_t token;
  uint64_t number; /* of the last request on the link */
  int64_t hello_ns;
  int64_t look_ns;
  int64_t wake_ns;
  bool full; /* was said */
  uint64_t counters[STREAM_GUESTS_COUNTER_COUNT];
};

stream_guests_t *stream_guests_new(const stream_guests_config_t *config) {
  stream_guests_t *guests = calloc(1, sizeof *guests);
  if (guests != NULL) {
    guests->config = *config;
    guests->link = STREAM_GUESTS_LINK;
    guests->wake_ns = INT64_MAX;
  }
  return guests;
}

void stream_guests_destroy(stream_guests_t **guests) {
  if (*guests == NULL) {
    return;
  }
  while ((*guests)->rows != NULL) {
    guest_t *row = (*guests)->rows;
    (*guests)->rows = row->next;
    free(row);
  }
  free(*guests);
  *guests = NULL;
}

/* ---- rows ---- */

static void guest_remove(stream_guests_t *guests, guest_t **at) {
  guest_t *row = *at;
  *at = row->next;
  guests->count--;
  guests->full = false;
  free(row);
}

static bool guest_is(const guest_t *row, const stream_guest_t *guest) {
  return vesta_bytes_equal(vesta_bytes(row->identity, row->identity_size), guest->identity);
}

static void guest_identify(guest_t *row, const stream_guest_t *guest, uint64_t wish) {
  memcpy(row->identity, guest->identity.data, guest->identity.size);
  row->identity_size = (uint32_t)guest->identity.size;
  row->wish = wish;
}

static guest_t *guest_add(stream_guests_t *guests, const stream_guest_t *guest, const wire_message_t *wish) {
  guest_t *row = guests->count >= guests->config.guests_max ? NULL : malloc(sizeof *row + wish->name.size);
  if (row == NULL) {
    return NULL;
  }
  *row = (guest_t){.next = guests->rows, .state = GUEST_WANTED, .user = guest->user};
  guest_identify(row, guest, wish->number);
  row->name_size = (uint32_t)wish->name.size;
  memcpy(row->name, wish->name.data, wish->name.size);
  guests->rows = row;
  guests->count++;
  return row;
}

/* ---- to guests ---- */

static void guest_refuse(stream_guests_t *guests, vesta_bytes_t identity, uint64_t wish, vesta_err_t err) {
  wire_message_t reply = {.kind = WIRE_FOLLOW_REPLY, .number = wish, .error = (uint64_t)err};
  guests->config.say(guests->config.context, identity, &reply);
}

static void guest_answer(stream_guests_t *guests, const guest_t *row) {
  wire_message_t reply = {.kind = WIRE_FOLLOW_REPLY,
                          .number = row->wish,
                          .token_hi = guests->token.hi,
                          .token_lo = guests->token.lo,
                          .handle = row->handle,
                          .checkpoint = row->checkpoint,
                          .member = row->member};
  guests->config.say(guests->config.context, vesta_bytes(row->identity, row->identity_size), &reply);
}

/* ---- the session ---- */

/* It is over: so are all streams. Who follows learns of it when it says something next. */
static void session_lost(stream_guests_t *guests) {
  guests->left = guests->link++;
  guests->number = 0;
  guests->session = SESSION_NONE;
  guests->token = (vesta_token_t){0};
  for (guest_t **at = &guests->rows; *at != NULL;) {
    guest_t *row = *at;
    if (row->gone || row->state >= GUEST_FOLLOWS) {
      guest_remove(guests, at);
      continue;
    }
    row->state = GUEST_WANTED;
    row->number = 0;
    row->handle = 0;
    row->due_ns = 0;
    at = &row->next;
  }
}

void stream_guests_link_closed(stream_guests_t *guests, uint64_t link) {
  if (link == guests->link && guests->session != SESSION_NONE) {
    session_lost(guests);
    guests->wake_ns = 0;
  }
}

/* ---- what guests say ---- */

/* The same wish again, or one that goes on with the stream it had. @return NULL: neither */
static guest_t *wish_find(stream_guests_t *guests, const stream_guest_t *guest, const wire_message_t *wish) {
  for (guest_t *row = guests->rows; row != NULL; row = row->next) {
    bool repeated = row->wish == wish->number && guest_is(row, guest);
    bool goes_on = wish->member != 0 && row->member == wish->member && row->user == guest->user;
    bool same = vesta_bytes_equal(vesta_bytes(row->name, row->name_size), wish->name);
    if (same && !row->gone && row->state <= GUEST_FOLLOWS && (repeated || goes_on)) {
      return row;
    }
  }
  return NULL;
}

static void wish_refused(stream_guests_t *guests, const stream_guest_t *guest, const wire_message_t *wish) {
  guests->counters[STREAM_GUESTS_COUNTER_GUESTS_REFUSED]++;
  if (!guests->full) {
    log_write(LOG_ID_GUEST_FULL, "guests=%u guests_max=%u", guests->count, guests->config.guests_max);
    guests->full = true;
  }
  guest_refuse(guests, guest->identity, wish->number, VESTA_ERR_NO_RESOURCES);
}

/* Does it follow still? @return NULL: not any more, and none does */
static guest_t *row_check(stream_guests_t *guests, guest_t *row) {
  switch (guests->config.check(guests->config.context, guests->token, row->checkpoint)) {
    case VESTA_OK: return row;
    case VESTA_ERR_TRY_AGAIN: /* there is no replica here now: it is to be asked for */
      row->state = GUEST_ASKING;
      row->number = 0;
      row->due_ns = 0;
      guests->wake_ns = 0;
      return row;
    default: /* this node was away from the others for so long that they closed what it had open */
      session_lost(guests);
      return NULL;
  }
}

static void follow_came(stream_guests_t *guests, const stream_guest_t *guest, const wire_message_t *wish,
                        int64_t now_ns) {
  guest_t *row = wish_find(guests, guest, wish);
  if (row != NULL && row->state == GUEST_FOLLOWS) {
    row = row_check(guests, row);
  }
  if (row == NULL) {
    row = guest_add(guests, guest, wish);
    guests->wake_ns = 0;
  }
  if (row == NULL) {
    wish_refused(guests, guest, wish);
    return;
  }
  guest_identify(row, guest, wish->number);
  row->heard_ns = now_ns;
  if (row->state == GUEST_FOLLOWS) {
    guest_answer(guests, row);
  }
}

/* Is it of this one? Handles of an earlier life may be others' now; numbers are not. */
static bool progress_is_of(const wire_message_t *progress, const stream_guest_t *guest, const guest_t *row) {
  bool other = progress->member != 0 && row->member != 0 && progress->member != row->member;
  return row->handle == progress->handle && row->user == guest->user && row->state == GUEST_FOLLOWS && !other;
}

static void progress_came(stream_guests_t *guests, const stream_guest_t *guest, const wire_message_t *progress,
                          int64_t now_ns) {
  guest_t *row = guests->rows;
  while (row != NULL && !progress_is_of(progress, guest, row)) {
    row = row->next;
  }
  if (row == NULL) { /* of an earlier life: it shall ask anew */
    guest_refuse(guests, guest->identity, 0, VESTA_ERR_ACCESS);
    return;
  }
  row->heard_ns = now_ns;
  if (progress->state == WIRE_PROGRESS_STREAM_END) {
    row->state = GUEST_LEAVING;
    row->due_ns = 0;
    guests->wake_ns = 0;
  } else if (progress->state == WIRE_PROGRESS_STREAM && row->member != 0) {
    wire_message_t told = {.kind = WIRE_PROGRESS,
                           .state = WIRE_PROGRESS_STREAM,
                           .handle = row->handle,
                           .member = row->member,
                           .lineage = progress->lineage,
                           .epoch = progress->epoch,
                           .seq = progress->seq};
    guests->config.ask(guests->config.context, guests->link, &told);
  }
}

bool stream_guests_came(stream_guests_t *guests, const stream_guest_t *guest, const wire_message_t *message,
                        int64_t now_ns) {
  if (message->kind == WIRE_FOLLOW_GET) {
    follow_came(guests, guest, message, now_ns);
  } else if (message->kind == WIRE_PROGRESS) {
    progress_came(guests, guest, message, now_ns);
  }
  return message->kind == WIRE_FOLLOW_GET || message->kind == WIRE_PROGRESS;
}

/* ---- what the node says ---- */

static bool answer_is_for_later(vesta_err_t err) {
  return err == VESTA_ERR_TRY_AGAIN || err == VESTA_ERR_TIMEOUT || err == VESTA_ERR_NO_MEMORY;
}

static void hello_answered(stream_guests_t *guests, const wire_message_t *reply) {
  if (reply->error != VESTA_OK) {
    guests->session = SESSION_NONE;
    guests->hello_ns = INT64_MIN; /* a while after the turn that comes now */
    return;
  }
  guests->session = SESSION_LIVES;
  guests->token = wire_token(reply);
}

/* It has what it asked for, or has not. */
static void row_answered(stream_guests_t *guests, guest_t **at, const wire_message_t *reply) {
  guest_t *row = *at;
  vesta_err_t err = (vesta_err_t)reply->error;
  row->due_ns = err == VESTA_OK ? 0 : INT64_MIN;
  if (row->state == GUEST_CLOSING) {
    if (answer_is_for_later(err)) {
      row->state = GUEST_LEAVING;
    } else {
      guest_remove(guests, at);
    }
    return;
  }
  if (err == VESTA_OK && row->state == GUEST_OPENING) {
    row->handle = reply->handle;
    row->state = GUEST_ASKING;
    row->number = 0; /* to be asked */
  } else if (err == VESTA_OK) {
    guests->counters[STREAM_GUESTS_COUNTER_GUESTS_FOLLOWED] += row->checkpoint == 0;
    row->checkpoint = reply->checkpoint;
    row->member = reply->member;
    row->state = GUEST_FOLLOWS;
  } else if (answer_is_for_later(err)) {
    row->state = row->state == GUEST_OPENING ? GUEST_WANTED : GUEST_ASKING;
    row->number = 0;
  } else if (err == VESTA_ERR_BAD_HANDLE) { /* closed meanwhile: what there is to say of that OPEN says */
    row->state = GUEST_WANTED;
    row->number = 0;
    row->handle = 0;
  } else {
    if (!row->gone) {
      guest_refuse(guests, vesta_bytes(row->identity, row->identity_size), row->wish, err);
    }
    row->gone = true;
  }
  if (row->gone && row->handle != 0) {
    row->state = GUEST_LEAVING;
    row->due_ns = 0;
  } else if (row->gone) {
    guest_remove(guests, at);
  } else if (row->state == GUEST_FOLLOWS) {
    guest_answer(guests, row);
  }
}

void stream_guests_answered(stream_guests_t *guests, uint64_t link, const wire_message_t *reply) {
  if (link != guests->link || reply->number == 0) {
    return;
  }
  guests->wake_ns = 0;
  if (guests->session == SESSION_BEGINS) {
    hello_answered(guests, reply);
    return;
  }
  for (guest_t **at = &guests->rows; *at != NULL; at = &(*at)->next) {
    if ((*at)->number == reply->number) {
      if (reply->error == VESTA_ERR_BAD_HANDLE && (*at)->state == GUEST_OPENING) {
        session_lost(guests);
      } else {
        row_answered(guests, at, reply);
      }
      return;
    }
  }
}

/* ---- turns ---- */

static void session_begin(stream_guests_t *guests, int64_t now_ns) {
  wire_message_t hello = {.kind = WIRE_HELLO, .number = ++guests->number};
  guests->session = SESSION_BEGINS;
  guests->hello_ns = now_ns + GUESTS_RETRY_NS;
  guests->config.ask(guests->config.context, guests->link, &hello);
}

/* The next thing that the node is to be asked for this row. The answer may come, and the row go, from within. */
static void row_ask(stream_guests_t *guests, guest_t *row, int64_t now_ns) {
  wire_message_t request = {.number = ++guests->number, .handle = row->handle};
  row->number = request.number;
  row->due_ns = now_ns + GUESTS_RETRY_NS;
  if (row->state == GUEST_WANTED) {
    request.kind = WIRE_OPEN;
    request.name = vesta_bytes(row->name, row->name_size);
    request.flags = VESTA_OPEN_READ;
    row->state = GUEST_OPENING;
  } else if (row->state == GUEST_ASKING) {
    request.kind = WIRE_STREAM;
    request.member = row->member;
  } else {
    request.kind = WIRE_CLOSE;
    row->state = GUEST_CLOSING;
  }
  guests->config.ask(guests->config.context, guests->link, &request);
}

/* When the node is to be asked something for it; INT64_MAX: not at all. */
static int64_t row_due_ns(guest_t *row, int64_t now_ns) {
  bool asks =
      row->state == GUEST_WANTED || row->state == GUEST_LEAVING || (row->state == GUEST_ASKING && row->number == 0);
  if (asks && row->due_ns == INT64_MIN) { /* what it asked for can't be had now */
    row->due_ns = now_ns + GUESTS_RETRY_NS;
  }
  return asks ? row->due_ns : INT64_MAX;
}

/* How many rows of that checkpoint there are. */
static uint64_t rows_of(const stream_guests_t *guests, uint64_t checkpoint) {
  uint64_t count = 0;
  for (const guest_t *row = guests->rows; row != NULL; row = row->next) {
    count += row->state == GUEST_FOLLOWS && row->checkpoint == checkpoint ? 1 : 0;
  }
  return count;
}

/* Each stream has a subscription; where there are fewer, somebody is gone: who was not heard. */
static void guests_look(stream_guests_t *guests, int64_t now_ns) {
  for (guest_t **at = &guests->rows; *at != NULL;) {
    guest_t *row = *at;
    int64_t silent_ns = now_ns - row->heard_ns;
    bool follows = row->state == GUEST_FOLLOWS;
    if (follows && silent_ns > GUESTS_LEASE_NS &&
        rows_of(guests, row->checkpoint) > guests->config.listeners(guests->config.context, row->checkpoint)) {
      guests->counters[STREAM_GUESTS_COUNTER_GUESTS_EXPIRED]++;
      row->state = GUEST_LEAVING;
      row->due_ns = 0;
    } else if (row->state < GUEST_FOLLOWS && silent_ns > GUESTS_WISH_NS) {
      row->gone = true;
      if (row->state == GUEST_WANTED) {
        guest_remove(guests, at);
        continue;
      }
      if (row->state == GUEST_ASKING && row->number == 0) {
        row->state = GUEST_LEAVING;
        row->due_ns = 0;
      }
    }
    at = &row->next;
  }
}

/* May the node be asked for one thing more? */
static bool guests_may_ask(const stream_guests_t *guests) {
  uint32_t asked = 0;
  for (const guest_t *row = guests->rows; row != NULL; row = row->next) {
    asked +=
        row->state == GUEST_OPENING || row->state == GUEST_CLOSING || (row->state == GUEST_ASKING && row->number != 0);
  }
  return guests->session == SESSION_LIVES && asked < GUESTS_ASKED_MAX;
}

static void guests_ask(stream_guests_t *guests, int64_t now_ns) {
  for (uint32_t asked = 0; asked < GUESTS_ASKS_PER_TURN && guests_may_ask(guests); asked++) {
    guest_t *due = guests->rows;
    while (due != NULL && row_due_ns(due, now_ns) > now_ns) {
      due = due->next;
    }
    if (due == NULL) {
      return;
    }
    row_ask(guests, due, now_ns);
  }
}

void stream_guests_turn(stream_guests_t *guests, int64_t now_ns) {
  if (guests->left != 0) {
    uint64_t left = guests->left;
    guests->left = 0;
    guests->config.leave(guests->config.context, left);
  }
  if (guests->rows == NULL || now_ns < guests->wake_ns) {
    return;
  }
  if (guests->look_ns <= now_ns) {
    guests->look_ns = now_ns + GUESTS_LOOK_NS;
    guests_look(guests, now_ns);
  }
  if (guests->hello_ns == INT64_MIN) {
    guests->hello_ns = now_ns + GUESTS_RETRY_NS;
  }
  if (guests->session == SESSION_NONE && guests->hello_ns <= now_ns) {
    session_begin(guests, now_ns);
  }
  guests_ask(guests, now_ns);
  guests->wake_ns = guests->rows == NULL ? INT64_MAX : guests->look_ns;
  if (guests->session == SESSION_NONE && guests->hello_ns < guests->wake_ns) {
    guests->wake_ns = guests->hello_ns;
  }
  bool may_ask = guests_may_ask(guests); /* else when there is an answer */
  for (guest_t *row = guests->rows; row != NULL && may_ask; row = row->next) {
    int64_t due_ns = row_due_ns(row, now_ns);
    guests->wake_ns = due_ns < guests->wake_ns ? due_ns : guests->wake_ns;
  }
}

int64_t stream_guests_wake_ns(const stream_guests_t *guests) {
  if (guests->left != 0) {
    return 0;
  }
  return guests->rows == NULL ? INT64_MAX : guests->wake_ns;
}

uint64_t stream_guests_counter(const stream_guests_t *guests, stream_guests_counter_t counter) {
  if (guests == NULL) {
    return 0;
  }
  return counter == STREAM_GUESTS_COUNTER_GUESTS ? guests->count : guests->counters[counter];
}
