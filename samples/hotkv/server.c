/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sockets and buffers of clients. See server.h.
 */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 64
#define ROOM_BYTES (COMMAND_REPLIES_BYTES_MAX + RESP_ERROR_BYTES_MAX) /* what one more request may need */
#define REPLIES_BYTES (2 * ROOM_BYTES)

typedef struct client {
  int fd;
  size_t index;  /* in the server's list */
  bool ending;   /* no more requests: it goes when its replies are out */
  bool to_write; /* what epoll waits for: room to write, or something to read */
  size_t request_size;
  resp_replies_t replies;
  char requests[RESP_REQUEST_BYTES_MAX];
  char reply_bytes[REPLIES_BYTES];
} client_t;

struct server {
  store_t *store;
  struct sockaddr_in address;
  int epoll;
  int listener;
  bool serving;
  size_t client_count;
  client_t *clients[SERVER_CLIENTS_MAX];
  int event_count; /* found and not yet handled */
  struct epoll_event events[EVENTS_MAX];
};

static void require(bool good, const char *what) {
  if (!good) {
    fprintf(stderr, "hotkv: %s: %s\n", what, strerror(errno));
    exit(1);
  }
}

/* What an event is about: a client, the server itself (its listener), or NULL (the watched descriptor). */
static void watch(server_t *server, int fd, void *about) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = about};
  require(epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void bind_port(server_t *server) {
  const int on = 1;
  server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  require(server->listener >= 0, "socket");
  setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* old connections may still be closing */
  setsockopt(server->listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  require(bind(server->listener, (struct sockaddr *)&server->address, sizeof server->address) == 0, "bind");
}

server_t *server_new(int port, int watched_fd, store_t *store) {
  server_t *server = calloc(1, sizeof *server);
  require(server != NULL, "server");
  server->store = store;
  server->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  server->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK); /* nobody is asked for a password */
  server->epoll = epoll_create1(EPOLL_CLOEXEC);
  require(server->epoll >= 0, "epoll_create1");
  watch(server, watched_fd, NULL);
  bind_port(server);
  return server;
}

bool server_is_serving(const server_t *server) { return server->serving; }

void server_start(server_t *server) {
  require(listen(server->listener, SERVER_CLIENTS_MAX) == 0, "listen");
  watch(server, server->listener, server);
  server->serving = true;
}

static void drop(server_t *server, client_t *client) {
  client_t *last = server->clients[--server->client_count];
  server->clients[client->index] = last;
  last->index = client->index;
  close(client->fd);
  free(client);
}

void server_stop(server_t *server) {
  if (!server->serving) {
    return;
  }
  server->serving = false;
  server->event_count = 0;
  close(server->listener);
  bind_port(server);
  while (server->client_count > 0) {
    drop(server, server->clients[0]);
  }
}

void server_wait(server_t *server, int timeout_ms) {
  server->event_count = epoll_wait(server->epoll, server->events, EVENTS_MAX, timeout_ms);
  require(server->event_count >= 0 || errno == EINTR, "epoll_wait");
}

/* ---- clients ---- */

static void accept_client(server_t *server) {
  static const char full[] = "-ERR max number of clients reached\r\n";
  const int on = 1;
  int fd = accept(server->listener, NULL, NULL);
  client_t *client = fd < 0 || server->client_count == SERVER_CLIENTS_MAX ? NULL : malloc(sizeof *client);
  if (client == NULL) {
    if (fd >= 0) {
      (void)send(fd, full, sizeof full - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
      close(fd);
    }
    return;
  }
  fcntl(fd, F_SETFL, O_NONBLOCK);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  client->fd = fd;
  client->index = server->client_count;
  client->ending = false;
  client->to_write = false;
  client->request_size = 0;
  client->replies = (resp_replies_t){.bytes = client->reply_bytes, .capacity = sizeof client->reply_bytes};
  server->clients[server->client_count++] = client;
  watch(server, fd, client);
}

/* Run the requests that are complete, as long as there is room for replies. */
static command_result_t run_requests(server_t *server, client_t *client) {
  command_batch_t batch = {.count = 0};
  command_result_t result = COMMAND_DONE;
  const char *why = NULL;
  size_t at = 0;
  while (result == COMMAND_DONE && client->replies.capacity - client->replies.size >= ROOM_BYTES) {
    resp_request_t request;
    size_t used = 0;
    resp_verdict_t verdict = resp_parse(client->requests + at, client->request_size - at, &request, &used, &why);
    if (verdict != RESP_WHOLE) {
      break;
    }
    at += used;
    if (request.argument_count > 0) {
      result = command_run(server->store, &batch, &request, &client->replies);
    }
  }
  if (result == COMMAND_DONE) {
    result = command_finish(server->store, &batch, &client->replies);
  }
  if (why != NULL) {
    resp_error(&client->replies, "ERR Protocol error: %s", why);
    result = COMMAND_QUIT;
  }
  client->request_size -= at;
  memmove(client->requests, client->requests + at, client->request_size);
  return result;
}

/* False: the connection is broken. */
static bool write_replies(client_t *client) {
  resp_replies_t *replies = &client->replies;
  size_t at = 0;
  while (at < replies->size) {
    ssize_t sent = send(client->fd, replies->bytes + at, replies->size - at, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      return false;
    }
    if (sent < 0 && errno == EAGAIN) {
      break;
    }
    at += sent > 0 ? (size_t)sent : 0;
  }
  replies->size -= at;
  memmove(replies->bytes, replies->bytes + at, replies->size);
  return true;
}

static bool read_requests(client_t *client) {
  ssize_t received =
      recv(client->fd, client->requests + client->request_size, sizeof client->requests - client->request_size, 0);
  if (received <= 0) {
    return received < 0 && (errno == EAGAIN || errno == EINTR);
  }
  client->request_size += (size_t)received;
  return true;
}

static void serve_client(server_t *server, client_t *client) {
  if (!client->to_write && !read_requests(client)) {
    drop(server, client);
    return;
  }
  size_t left;
  do { /* once more when replies have left and made room for those of further requests */
    left = client->request_size;
    command_result_t result = client->ending ? COMMAND_QUIT : run_requests(server, client);
    if (result == COMMAND_FENCED) {
      server_stop(server);
      return;
    }
    client->ending = result == COMMAND_QUIT;
    if (!write_replies(client) || (client->ending && client->replies.size == 0)) {
      drop(server, client);
      return;
    }
  } while (client->replies.size == 0 && client->request_size > 0 && client->request_size < left);
  bool to_write = client->replies.size > 0;
  if (to_write != client->to_write) {
    struct epoll_event event = {.events = to_write ? EPOLLOUT : EPOLLIN, .data.ptr = client};
    require(epoll_ctl(server->epoll, EPOLL_CTL_MOD, client->fd, &event) == 0, "epoll_ctl");
    client->to_write = to_write;
  }
}

void server_handle(server_t *server) {
  for (int i = 0; i < server->event_count; i++) { /* server_stop() leaves none */
    void *about = server->events[i].data.ptr;
    if (about == server) {
      accept_client(server);
    } else if (about != NULL) {
      serve_client(server, about);
    }
  }
}
