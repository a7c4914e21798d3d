/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sending requests, taking replies. See resp_client.h.
 */
#include "bench/resp_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void resp_client_close(resp_client_t *client) {
  if (client->fd >= 0) {
    (void)close(client->fd);
  }
  client->fd = -1;
}

bool resp_client_connect(resp_client_t *client, int port) {
  const int on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  resp_client_close(client);
  client->begin = client->end = 0;
  client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof address) != 0) {
    resp_client_close(client);
    return false;
  }
  (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return true;
}

bool resp_client_connect_path(resp_client_t *client, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  resp_client_close(client);
  client->begin = client->end = 0;
  if (strlen(path) >= sizeof address.sun_path) {
    return false;
  }
  (void)strcpy(address.sun_path, path);
  client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof address) != 0) {
    resp_client_close(client);
  }
  return client->fd >= 0;
}

bool resp_client_send(resp_client_t *client, const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t sent = send(client->fd, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    bytes += sent;
    size -= (size_t)sent;
  }
  return true;
}

/* Have at least `size` bytes, from `begin` on. */
static bool resp_client_have(resp_client_t *client, size_t size) {
  if (size > sizeof client->bytes) {
    return false;
  }
  if (client->begin + size > sizeof client->bytes) {
    client->end -= client->begin;
    memmove(client->bytes, client->bytes + client->begin, client->end);
    client->begin = 0;
  }
  while (client->end - client->begin < size) {
    ssize_t received = recv(client->fd, client->bytes + client->end, sizeof client->bytes - client->end, 0);
    if (received <= 0) {
      return false;
    }
    client->end += (size_t)received;
  }
  return true;
}

/* The size of the line that comes next, its end of two bytes included; 0: there is none. */
static size_t resp_client_line(resp_client_t *client) {
  size_t size = 2;
  while (resp_client_have(client, size)) {
    const char *line = client->bytes + client->begin;
    const char *end = memchr(line + size - 1, '\n', client->end - client->begin - (size - 1));
    if (end != NULL) {
      return (size_t)(end - line) + 1;
    }
    size = client->end - client->begin + 1;
  }
  return 0;
}

bool resp_client_receive(resp_client_t *client, resp_reply_t *reply) {
  size_t line = resp_client_line(client);
  if (line < 3) {
    return false;
  }
  const char *text = client->bytes + client->begin;
  if (text[0] != '$') {
    *reply = (resp_reply_t){.kind = text[0], .text = text + 1, .size = line - 3};
    client->begin += line;
    return true;
  }
  long size = strtol(text + 1, NULL, 10); /* ends at the line's end */
  if (size < 0) {
    *reply = (resp_reply_t){.kind = '$'};
    client->begin += line;
    return true;
  }
  size_t whole = line + (size_t)size + 2;
  if (!resp_client_have(client, whole)) {
    return false;
  }
  *reply = (resp_reply_t){.kind = '$', .text = client->bytes + client->begin + line, .size = (size_t)size};
  client->begin += whole;
  return true;
}
