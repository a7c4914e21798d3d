/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Links are slots of one table, made at the start; a link's number is its slot and a serial number that rises. See
 * agent_server.h for the states of a link.
 */
#include "daemon/agent_server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/frame_reader.h"
#include "daemon/frame_writer.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "daemon/payload_stage.h"
#include "daemon/peer.h"

#define AGENT_SHARED_BYTES (256U << 10) /* what is received at once */
#define AGENT_ANSWERS_BYTES (64U << 10) /* answers that wait to be sent together */
#define AGENT_SLOT_BITS 16U
#define AGENT_REFUSED_MAX 64U /* slots beyond the two limits: links that are waiting to be told no */
#define AGENT_ACCEPTS_PER_TURN 64

typedef enum agent_state {
  AGENT_FREE,
  AGENT_NEW,
  AGENT_CALLS,
  AGENT_CALLBACKS,
  AGENT_REFUSED,
  AGENT_CLOSING
} agent_state_t;

typedef struct agent_link {
  loop_source_t source;
  agent_server_t *server;
  uint64_t number;
  agent_state_t state;
  agent_state_t counted; /* CALLS or CALLBACKS: counts against that limit until it is reaped */
  bool doomed;
  vesta_err_t refusal;
  peer_t peer;
  int pidfd; /* what a HELLO brought; -1 */
  uint64_t start;
  int64_t accepted_ns;
  const uint8_t *stage; /* through which large payloads come; NULL: it asked for none */
  frame_reader_t reader;
  frame_writer_t writer;
  struct agent_link *older, *newer; /* of those who have not greeted yet */
  struct agent_link *next;          /* in the free or the doomed list */
} agent_link_t;

struct agent_server {
  agent_server_config_t config;
  loop_t *loop;
  listener_t listener;
  loop_source_t listening;
  int spare; /* given up for a moment to say no when descriptors are out */
  agent_link_t *links;
  size_t link_count;
  agent_link_t *free;
  agent_link_t *doomed;
  agent_link_t *oldest, *newest; /* not greeted yet */
  uint64_t serial;
  uint64_t calls, callbacks;
  frame_memory_t memory;
  frame_memory_t stages;
  wire_decoder_t *decoder;
  uint8_t *shared;         /* AGENT_SHARED_BYTES, received into */
  uint8_t *head;           /* prefix and head of what is sent */
  agent_link_t *answering; /* what was received of it is being dealt with: its answers go out together, at the end */
  uint8_t *answers;        /* AGENT_ANSWERS_BYTES: whole frames */
  size_t answers_bytes;
  uint64_t counters[AGENT_COUNTER_COUNT];
};

static void agent_count(agent_server_t *server, agent_counter_t counter) { server->counters[counter]++; }

/* ---- links ---- */

static agent_link_t *agent_link_find(const agent_server_t *server, uint64_t number) {
  size_t slot = number & ((1U << AGENT_SLOT_BITS) - 1);
  agent_link_t *link = slot < server->link_count ? &server->links[slot] : NULL;
  return link != NULL && link->number == number && link->state != AGENT_FREE && !link->doomed ? link : NULL;
}

static void agent_ungreeted_remove(agent_server_t *server, agent_link_t *link) {
  *(link->older == NULL ? &server->oldest : &link->older->newer) = link->newer;
  *(link->newer == NULL ? &server->newest : &link->newer->older) = link->older;
  link->older = NULL;
  link->newer = NULL;
}

static void agent_ungreeted_add(agent_server_t *server, agent_link_t *link) {
  link->older = server->newest;
  *(server->newest == NULL ? &server->oldest : &server->newest->newer) = link;
  server->newest = link;
}

static void agent_state_set(agent_link_t *link, agent_state_t state) {
  if (link->state == AGENT_NEW || link->state == AGENT_REFUSED) {
    agent_ungreeted_remove(link->server, link);
  }
  link->state = state;
}

/* It goes at the end of the turn; nothing more is read or sent. */
static void agent_doom(agent_link_t *link) {
  agent_server_t *server = link->server;
  if (!link->doomed) {
    agent_state_set(link, AGENT_CLOSING);
    loop_remove(server->loop, &link->source);
    link->doomed = true;
    link->next = server->doomed;
    server->doomed = link;
  }
}

static void agent_link_free(agent_server_t *server, agent_link_t *link) {
  (void)close(link->source.fd);
  if (link->pidfd >= 0) {
    (void)close(link->pidfd);
  }
  server->counters[AGENT_COUNTER_STAGES] -= link->stage != NULL;
  payload_stage_destroy(&server->stages, &link->stage);
  frame_reader_fini(&link->reader);
  frame_writer_fini(&link->writer);
  server->calls -= link->counted == AGENT_CALLS;
  server->callbacks -= link->counted == AGENT_CALLBACKS;
  server->counters[AGENT_COUNTER_LINKS]--;
  link->state = AGENT_FREE;
  link->next = server->free;
  server->free = link;
}

/* ---- sending ---- */

/* Watch for what matters now: room to send while something waits, and input until it is closing. */
static void agent_watch(agent_link_t *link) {
  bool waits = !frame_writer_is_empty(&link->writer);
  if (link->state == AGENT_CLOSING && !waits) {
    agent_doom(link);
    return;
  }
  loop_change(link->server->loop, &link->source,
              (link->state == AGENT_CLOSING ? 0U : (uint32_t)EPOLLIN) | (waits ? (uint32_t)EPOLLOUT : 0U));
}

/* Prefix and head of a frame. @return their size */
static size_t agent_encode(const wire_message_t *message, size_t payload_bytes, uint8_t *to, size_t capacity) {
  size_t head_bytes = 0;
  vesta_err_t err = wire_encode(message, to + WIRE_PREFIX_BYTES, capacity - WIRE_PREFIX_BYTES, &head_bytes);
  VESTA_ASSERT(err == VESTA_OK && payload_bytes <= VESTA_OPERATION_BYTES_MAX);
  wire_prefix_encode(to, (uint32_t)head_bytes, (uint32_t)payload_bytes);
  return WIRE_PREFIX_BYTES + head_bytes;
}

static void agent_put(agent_link_t *link, vesta_bytes_t head, vesta_bytes_t payload, int attach) {
  agent_server_t *server = link->server;
  vesta_err_t err = frame_writer_send(&link->writer, link->source.fd, head, payload, attach);
  if (err == VESTA_OK) {
    agent_watch(link);
    return;
  }
  if (err != VESTA_ERR_UNAVAILABLE) {
    agent_count(server, AGENT_COUNTER_LINKS_SLOW);
    log_write(LOG_ID_LINK_SLOW, "link=%" PRIu64 " pid=%u uid=%u queued_bytes=%" PRIu64 " error=%s", link->number,
              link->peer.pid, link->peer.uid, link->writer.queued_bytes, vesta_err_name(err));
  }
  agent_doom(link);
}

/* Send the answers that wait, if they are this link's. */
static void agent_answers_flush(agent_link_t *link) {
  agent_server_t *server = link->server;
  size_t bytes = server->answers_bytes;
  if (server->answering == link && bytes > 0) {
    server->answers_bytes = 0;
    if (!link->doomed) {
      agent_put(link, vesta_bytes(server->answers, bytes), vesta_bytes(NULL, 0), -1);
    }
  }
}

/* Many requests of one client come at once when it does not wait for each: then one system call takes all the answers,
 * and the client wakes up once. */
static void agent_send(agent_link_t *link, const wire_message_t *message, vesta_bytes_t payload, int attach) {
  agent_server_t *server = link->server;
  size_t size_max = WIRE_PREFIX_BYTES + wire_encoded_size_max(message);
  bool waits = server->answering == link && attach < 0 && payload.size == 0 && size_max <= AGENT_ANSWERS_BYTES;
  if (!waits || size_max > AGENT_ANSWERS_BYTES - server->answers_bytes) {
    agent_answers_flush(link);
  }
  if (waits) {
    server->answers_bytes +=
        agent_encode(message, 0, server->answers + server->answers_bytes, AGENT_ANSWERS_BYTES - server->answers_bytes);
  } else if (!link->doomed) {
    size_t size = agent_encode(message, payload.size, server->head, WIRE_PREFIX_BYTES + VESTA_FRAME_HEAD_BYTES_MAX);
    agent_put(link, vesta_bytes(server->head, size), payload, attach);
  } else if (attach >= 0) {
    (void)close(attach);
  }
}

void agent_server_send(agent_server_t *server, uint64_t number, const wire_message_t *message, vesta_bytes_t payload,
                       int attach) {
  agent_link_t *link = agent_link_find(server, number);
  if (link != NULL && link->state != AGENT_CLOSING) {
    agent_send(link, message, payload, attach);
  } else if (attach >= 0) {
    (void)close(attach);
  }
}

static void agent_close(agent_link_t *link) {
  agent_answers_flush(link);
  if (!link->doomed) {
    agent_state_set(link, AGENT_CLOSING);
    agent_watch(link);
  }
}

void agent_server_close_link(agent_server_t *server, uint64_t number) {
  agent_link_t *link = agent_link_find(server, number);
  if (link != NULL) {
    agent_close(link);
  }
}

/* ---- receiving ---- */

static void agent_malformed(agent_link_t *link, vesta_err_t err) {
  agent_answers_flush(link);
  agent_count(link->server, AGENT_COUNTER_LINKS_MALFORMED);
  log_write(LOG_ID_LINK_MALFORMED, "link=%" PRIu64 " pid=%u uid=%u error=%s", link->number, link->peer.pid,
            link->peer.uid, vesta_err_name(err));
  agent_doom(link);
}

static void agent_answer_error(agent_link_t *link, uint64_t number, vesta_err_t err) {
  wire_message_t reply = {.kind = WIRE_REPLY, .number = number, .error = (uint64_t)err};
  agent_send(link, &reply, vesta_bytes(NULL, 0), -1);
}

/* The first message says what the link is for, and whether there is room for one more such. */
static void agent_greet(agent_link_t *link, const wire_message_t *message) {
  agent_server_t *server = link->server;
  if (link->state == AGENT_REFUSED) {
    return;
  }
  bool callbacks = message->kind == WIRE_HELLO_CALLBACKS;
  uint64_t *count = callbacks ? &server->callbacks : &server->calls;
  if (*count >= server->config.clients_max) {
    agent_count(server, AGENT_COUNTER_LINKS_REFUSED);
    log_write(LOG_ID_LINK_REFUSED, "pid=%u uid=%u clients_max=%" PRIu64, link->peer.pid, link->peer.uid,
              server->config.clients_max);
    link->refusal = VESTA_ERR_NO_RESOURCES;
    agent_state_set(link, AGENT_REFUSED);
    agent_ungreeted_add(server, link); /* where REFUSED links stand */
    return;
  }
  (*count)++;
  agent_state_set(link, callbacks ? AGENT_CALLBACKS : AGENT_CALLS);
  link->counted = link->state;
  if (link->pidfd >= 0 && (message->kind != WIRE_HELLO || !peer_owns_pidfd(&link->peer, link->pidfd))) {
    (void)close(link->pidfd);
    link->pidfd = -1;
  }
  link->start = message->kind == WIRE_HELLO ? peer_process_start(link->peer.pid) : 0;
  log_write(LOG_ID_LINK_OPENED, "link=%" PRIu64 " pid=%u uid=%u kind=%s watchable=%d", link->number, link->peer.pid,
            link->peer.uid, wire_kind_name(message->kind), link->pidfd >= 0);
}

/* It wants memory for its payloads. */
static void agent_stage_give(agent_link_t *link, uint64_t number) {
  agent_server_t *server = link->server;
  wire_message_t reply = {.kind = WIRE_REPLY, .number = number, .size = VESTA_STAGE_BYTES};
  int fd = -1;
  vesta_err_t err = link->stage != NULL
                        ? VESTA_ERR_EXIST
                        : payload_stage_new(&server->stages, server->config.files_max, &link->stage, &fd);
  if (err == VESTA_OK) {
    agent_count(server, AGENT_COUNTER_STAGES);
    agent_send(link, &reply, vesta_bytes(NULL, 0), fd);
  } else {
    server->counters[AGENT_COUNTER_STAGES_REFUSED] += err == VESTA_ERR_NO_RESOURCES;
    agent_answer_error(link, number, err);
  }
}

/* Where the payload of a CHANGE is, when it is not in the frame. What follows need not know. */
static vesta_err_t agent_stage_look(agent_link_t *link, wire_message_t *message, vesta_bytes_t *payload) {
  if (message->kind != WIRE_CHANGE || message->size == 0) {
    return VESTA_OK;
  }
  vesta_err_t err = payload->size > 0 ? VESTA_ERR_MALFORMED : payload_stage_find(link->stage, message, payload);
  if (err == VESTA_OK) {
    agent_count(link->server, AGENT_COUNTER_STAGED);
    message->offset = 0;
    message->size = 0;
  }
  return err;
}

static bool agent_frame(void *context, vesta_bytes_t head, vesta_bytes_t payload, vesta_err_t dropped) {
  agent_link_t *link = context;
  agent_server_t *server = link->server;
  wire_message_t message;
  vesta_err_t err = wire_decode(server->decoder, head.data, head.size, &message);
  agent_count(server, AGENT_COUNTER_MESSAGES);
  if (err == VESTA_ERR_VERSION) {
    bool strange = message.version >> 16 != WIRE_MAJOR || link->state == AGENT_NEW || link->state == AGENT_REFUSED;
    agent_count(server, AGENT_COUNTER_MESSAGES_UNKNOWN);
    agent_answer_error(link, message.number, err);
    if (strange) { /* else it is only a kind that a newer minor version has: the client may go on without it */
      agent_close(link);
    }
    return !strange && !link->doomed;
  }
  if (err == VESTA_OK && message.kind >= WIRE_REPLY) {
    err = VESTA_ERR_MALFORMED; /* a message, but none that an agent sends */
  }
  if (err != VESTA_OK) {
    agent_malformed(link, err);
    return false;
  }
  if (link->state == AGENT_NEW || link->state == AGENT_REFUSED) {
    agent_greet(link, &message);
    if (link->state == AGENT_REFUSED) {
      agent_answer_error(link, message.number, link->refusal);
      agent_close(link);
      return false;
    }
  }
  if (dropped != VESTA_OK) {
    agent_count(server, AGENT_COUNTER_MESSAGES_TOO_MUCH);
    agent_answer_error(link, message.number, dropped);
    return !link->doomed;
  }
  err = agent_stage_look(link, &message, &payload);
  if (err != VESTA_OK) {
    agent_malformed(link, err);
    return false;
  }
  if (message.kind == WIRE_STAGE) {
    agent_stage_give(link, message.number);
    return !link->doomed;
  }
  char program[PEER_PROGRAM_BYTES] = "";
  if (message.kind == WIRE_HELLO) {
    peer_process_program(link->peer.pid, program);
  }
  agent_request_t request = {.link = link->number,
                             .message = &message,
                             .payload = payload,
                             .uid = link->peer.uid,
                             .pid = link->peer.pid,
                             .start = link->start,
                             .program = vesta_bytes(program, strlen(program)),
                             .watchable = link->pidfd >= 0};
  server->config.request(server->config.context, &request);
  return link->state != AGENT_CLOSING;
}

/* One descriptor at most is taken, before the greeting; the kernel drops what else is sent. */
static void agent_descriptor_take(agent_link_t *link, struct msghdr *received) {
  for (struct cmsghdr *header = CMSG_FIRSTHDR(received); header != NULL; header = CMSG_NXTHDR(received, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
      int fd;
      memcpy(&fd, CMSG_DATA(header), sizeof fd);
      if (link->pidfd < 0 && fd < link->server->config.files_max) {
        link->pidfd = fd;
      } else {
        (void)close(fd);
      }
    }
  }
}

/* Receive: into the room of a frame that has begun, then into the shared buffer; with a descriptor before the greeting.
 * The plain call is for what happens nearly always, and is the faster one. */
static ssize_t agent_take(agent_link_t *link, uint8_t *direct, size_t direct_size) {
  bool greeted = link->state != AGENT_NEW && link->state != AGENT_REFUSED;
  uint8_t *shared = link->server->shared;
  if (greeted && direct_size == 0) {
    return recv(link->source.fd, shared, AGENT_SHARED_BYTES, MSG_DONTWAIT);
  }
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec parts[2] = {{.iov_base = direct, .iov_len = direct_size},
                           {.iov_base = shared, .iov_len = AGENT_SHARED_BYTES}};
  struct msghdr message = {.msg_iov = parts,
                           .msg_iovlen = 2,
                           .msg_control = greeted ? NULL : control.bytes,
                           .msg_controllen = greeted ? 0 : sizeof control.bytes};
  ssize_t size = recvmsg(link->source.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size > 0 && !greeted) {
    agent_descriptor_take(link, &message);
  }
  return size;
}

static void agent_receive(agent_link_t *link) {
  agent_server_t *server = link->server;
  uint8_t *direct;
  size_t direct_size;
  frame_reader_room(&link->reader, &direct, &direct_size);
  ssize_t size = agent_take(link, direct, direct_size);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    return;
  }
  if (size <= 0) {
    agent_doom(link);
    return;
  }
  size_t used = (size_t)size < direct_size ? (size_t)size : direct_size;
  frame_sink_t sink = {.context = link, .frame = agent_frame};
  server->answering = link;
  vesta_err_t err = frame_reader_take(&link->reader, used, server->shared, (size_t)size - used, &sink);
  agent_answers_flush(link);
  server->answering = NULL;
  if (err != VESTA_OK && !link->doomed) {
    agent_malformed(link, err);
  }
}

static void agent_ready(void *context, uint32_t events) {
  agent_link_t *link = context;
  if ((events & EPOLLOUT) != 0) {
    if (frame_writer_flush(&link->writer, link->source.fd) != VESTA_OK) {
      agent_doom(link);
      return;
    }
    agent_watch(link);
  }
  if (link->doomed) {
    return;
  }
  if (link->state == AGENT_CLOSING) {
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
      agent_doom(link);
    }
  } else if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    agent_receive(link);
  }
}

/* ---- coming in ---- */

static bool agent_may_connect(const agent_server_t *server, const peer_t *peer) {
  /* With a group the kernel has checked the file's permissions already. */
  return peer->uid == geteuid() || peer->uid == 0 || server->config.group != PRIVATE_DIR_NO_GROUP;
}

static void agent_admit(agent_server_t *server, int fd) {
  peer_t peer;
  agent_link_t *link = server->free;
  if (link == NULL || !peer_identify(fd, &peer)) {
    agent_count(server, AGENT_COUNTER_LINKS_REFUSED);
    (void)close(fd);
    return;
  }
  server->free = link->next;
  size_t slot = (size_t)(link - server->links);
  *link = (agent_link_t){.server = server,
                         .number = (++server->serial << AGENT_SLOT_BITS) | slot,
                         .state = AGENT_NEW,
                         .peer = peer,
                         .pidfd = -1,
                         .accepted_ns = loop_steady_ns()};
  if (!agent_may_connect(server, &peer)) {
    agent_count(server, AGENT_COUNTER_LINKS_DENIED);
    log_write(LOG_ID_LINK_DENIED, "pid=%u uid=%u", peer.pid, peer.uid);
    link->state = AGENT_REFUSED;
    link->refusal = VESTA_ERR_DENIED;
  } else if (fd >= server->config.files_max) {
    agent_count(server, AGENT_COUNTER_LINKS_REFUSED);
    log_write(LOG_ID_LINK_REFUSED, "pid=%u uid=%u descriptors_max=%d", peer.pid, peer.uid, server->config.files_max);
    link->state = AGENT_REFUSED;
    link->refusal = VESTA_ERR_NO_RESOURCES;
  }
  if (!loop_add(server->loop, &link->source, fd, EPOLLIN, agent_ready, link)) {
    agent_count(server, AGENT_COUNTER_LINKS_REFUSED);
    (void)close(fd);
    link->state = AGENT_FREE;
    link->next = server->free;
    server->free = link;
    return;
  }
  frame_reader_init(&link->reader, &server->memory);
  frame_writer_init(&link->writer, &server->memory, VESTA_LINK_QUEUE_BYTES_MAX);
  agent_ungreeted_add(server, link);
  server->counters[AGENT_COUNTER_LINKS]++;
  agent_count(server, AGENT_COUNTER_LINKS_ACCEPTED);
}

/* Descriptors are out: take the caller in on the spare one, to hang up, or the loop would find him waiting for ever. */
static void agent_hang_up(agent_server_t *server) {
  log_write(LOG_ID_ACCEPT_FAILED, "text=\"%s\"", strerror(errno));
  agent_count(server, AGENT_COUNTER_LINKS_REFUSED);
  (void)close(server->spare);
  int fd = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC);
  if (fd >= 0) {
    (void)close(fd);
  }
  server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void agent_accept(void *context, uint32_t events) {
  agent_server_t *server = context;
  (void)events;
  for (int i = 0; i < AGENT_ACCEPTS_PER_TURN; i++) {
    int fd = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      agent_admit(server, fd);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      agent_hang_up(server);
      return;
    }
  }
}

/* ---- turns and time ---- */

bool agent_server_reap(agent_server_t *server) {
  agent_link_t *doomed = server->doomed;
  if (doomed == NULL) {
    return false;
  }
  server->doomed = NULL;
  while (doomed != NULL) {
    agent_link_t *link = doomed;
    uint64_t number = link->number;
    doomed = link->next;
    log_write(LOG_ID_LINK_CLOSED, "link=%" PRIu64 " pid=%u", number, link->peer.pid);
    agent_link_free(server, link);
    server->config.gone(server->config.context, number);
  }
  return true;
}

void agent_server_time(agent_server_t *server, int64_t steady_ns) {
  while (server->oldest != NULL && server->oldest->accepted_ns + AGENT_GREETING_NS <= steady_ns) {
    agent_count(server, AGENT_COUNTER_LINKS_MUTE);
    log_write(LOG_ID_LINK_MUTE, "link=%" PRIu64 " pid=%u uid=%u", server->oldest->number, server->oldest->peer.pid,
              server->oldest->peer.uid);
    agent_doom(server->oldest);
  }
}

int64_t agent_server_wake_ns(const agent_server_t *server) {
  return server->oldest == NULL ? INT64_MAX : server->oldest->accepted_ns + AGENT_GREETING_NS;
}

int agent_server_take_pidfd(agent_server_t *server, uint64_t number, uint32_t *pid, uint64_t *start) {
  agent_link_t *link = agent_link_find(server, number);
  int pidfd = link == NULL ? -1 : link->pidfd;
  if (pidfd >= 0) {
    link->pidfd = -1;
    *pid = link->peer.pid;
    *start = link->start;
  }
  return pidfd;
}

bool agent_server_hide(agent_server_t *server) { return listener_hide(&server->listener); }

bool agent_server_is_called(agent_server_t *server) {
  agent_accept(server, EPOLLIN);
  return server->counters[AGENT_COUNTER_LINKS] > 0;
}

void agent_server_show(agent_server_t *server) { listener_show(&server->listener); }

uint64_t agent_server_counter(const agent_server_t *server, agent_counter_t counter) {
  switch (counter) {
    case AGENT_COUNTER_HELD_BYTES: return server->memory.held_bytes;
    case AGENT_COUNTER_HELD_BYTES_MAX: return server->memory.max_bytes;
    default: /* those that are counted */ return server->counters[counter];
  }
}

/* ---- life ---- */

static bool agent_server_allocate(agent_server_t *server) {
  server->link_count = 2 * (size_t)server->config.clients_max + AGENT_REFUSED_MAX;
  VESTA_ASSERT(server->link_count <= 1U << AGENT_SLOT_BITS);
  server->links = calloc(server->link_count, sizeof *server->links);
  server->shared = malloc(AGENT_SHARED_BYTES);
  server->head = malloc(WIRE_PREFIX_BYTES + VESTA_FRAME_HEAD_BYTES_MAX);
  server->answers = malloc(AGENT_ANSWERS_BYTES);
  server->decoder = wire_decoder_new();
  if (server->links == NULL || server->shared == NULL || server->head == NULL || server->answers == NULL ||
      server->decoder == NULL) {
    return false;
  }
  for (size_t i = server->link_count; i > 0; i--) {
    server->links[i - 1].next = server->free;
    server->free = &server->links[i - 1];
  }
  return true;
}

vesta_err_t agent_server_open(const agent_server_config_t *config, loop_t *loop, agent_server_t **out, char *why,
                              size_t why_size) {
  agent_server_t *server = calloc(1, sizeof *server);
  vesta_err_t err = VESTA_ERR_NO_MEMORY;
  if (server == NULL) {
    (void)snprintf(why, why_size, "out of memory");
    return err;
  }
  *server = (agent_server_t){.config = *config,
                             .loop = loop,
                             .memory = {.max_bytes = VESTA_LINKS_BYTES_MAX},
                             .stages = {.max_bytes = VESTA_STAGES_BYTES_MAX},
                             .listener = {.fd = -1},
                             .spare = open("/dev/null", O_RDONLY | O_CLOEXEC)};
  if (!agent_server_allocate(server)) {
    (void)snprintf(why, why_size, "out of memory");
    goto out;
  }
  err = listener_open(&server->listener, server->config.socket, server->config.group, why, why_size);
  if (err != VESTA_OK) {
    goto out;
  }
  if (!loop_add(loop, &server->listening, server->listener.fd, EPOLLIN, agent_accept, server)) {
    (void)snprintf(why, why_size, "cannot wait for agents: %s", strerror(errno));
    err = VESTA_ERR_NO_RESOURCES;
    goto out;
  }
  *out = server;
  return VESTA_OK;
out:
  agent_server_close(&server);
  return err;
}

void agent_server_close(agent_server_t **server_pointer) {
  agent_server_t *server = *server_pointer;
  if (server == NULL) {
    return;
  }
  if (server->listening.context != NULL) {
    loop_remove(server->loop, &server->listening);
  }
  listener_close(&server->listener);
  for (size_t i = 0; server->links != NULL && i < server->link_count; i++) {
    agent_link_t *link = &server->links[i];
    if (link->state != AGENT_FREE) {
      if (!link->doomed) {
        loop_remove(server->loop, &link->source);
      }
      agent_link_free(server, link);
    }
  }
  if (server->spare >= 0) {
    (void)close(server->spare);
  }
  wire_decoder_destroy(&server->decoder);
  free(server->links);
  free(server->shared);
  free(server->head);
  free(server->answers);
  free(server);
  *server_pointer = NULL;
}
