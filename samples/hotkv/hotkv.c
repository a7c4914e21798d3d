/* SPDX-License-Identifier: BSD-2-Clause
 *
 * hotkv: a key-value server that speaks the protocol of Redis and does not lose what it acknowledged.
 *
 *   ./hotkv --port 7000 --name one &  ./hotkv --port 7000 --name two &     one is active, two stands by
 *   redis-cli -p 7000 set color blue                                       OK: it is in the checkpoint
 *   kill -9 %1                                                             two is active, at the same port
 *   redis-cli -p 7000 get color                                            "blue"
 *
 * The state is a checkpoint (store.h). Every standby follows it and has all of it in its own memory, so that a takeover
 * takes as long with a million keys as with ten. Only the active listens (server.h). `kill -USR1` makes the active hand
 * over to a standby, for instance to replace the program. With --heartbeat an active that is stopped and not dead is
 * succeeded too; what it is asked to write after it has woken up is refused, so it drops its clients and stands by.
 *
 *   hotkv.c -> server.c (clients) -> resp.c (protocol), commands.c -> store.c (checkpoint) -> table.c (memory)
 *
 * Build it with
 *
 *   cc *.c $(pkg-config --cflags --libs vesta) -o hotkv
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

#define SWEEP_INTERVAL_MS 100

typedef struct options {
  int port;
  const char *name;
  SaTimeT heartbeat;
  store_options_t store;
} options_t;

static volatile sig_atomic_t asked_to_resign;

static void on_signal(int number) {
  (void)number;
  asked_to_resign = 1;
}

/* ---- roles ---- */

/* One event of the pair: the table follows the changes, the server the role. */
static void follow(const options_t *options, vesta_pair_t *pair, store_t *store, server_t *server,
                   const vesta_event_t *event) {
  static const char *const roles[] = {"", "STANDBY", "PROMOTING", "ACTIVE", "FENCED"};
  vesta_mirror_t *mirror = vesta_pair_mirror(pair);
  if (event->kind == VESTA_EVENT_CHANGE) {
    store_follow(store, mirror, &event->change);
    if (event->change.kind == VESTA_CHANGE_SYNCED) {
      printf("%s SYNCED keys=%zu\n", options->name, store_count(store));
    }
    return;
  }
  if (event->role == VESTA_ROLE_ACTIVE) {
    server_start(server); /* all that was ever acknowledged is in the table: there is nothing else to do */
  } else {
    server_stop(server);
  }
  if (event->role == VESTA_ROLE_STANDBY) {
    store_rebuild(store, mirror); /* as active the table went its own way, the mirror stood still */
  }
  printf("%s %s keys=%zu\n", options->name, roles[event->role], store_count(store));
}

static void follow_all(const options_t *options, vesta_pair_t *pair, store_t *store, server_t *server) {
  vesta_event_t event;
  SaAisErrorT error;
  while ((error = vesta_pair_next(pair, 0, &event)) == SA_AIS_OK) {
    follow(options, pair, store, server, &event);
  }
  if (error != SA_AIS_ERR_TIMEOUT) {
    store_check(error, "next event");
  }
}

/* Nobody is there to take over: so be it, the clients stay. */
static void resign(vesta_pair_t *pair) {
  SaAisErrorT error = vesta_pair_resign(pair, 0);
  if (error != SA_AIS_OK) {
    fprintf(stderr, "hotkv: resign: %s\n", saAisStrError(error));
  }
}

static _Noreturn void run(const options_t *options, vesta_pair_t *pair, store_t *store, server_t *server) {
  for (;;) {
    server_wait(server, server_is_serving(server) ? SWEEP_INTERVAL_MS : -1);
    follow_all(options, pair, store, server); /* before clients are answered: are we still active? */
    server_handle(server);
    if (server_is_serving(server)) {
      store_sweep(store);
    }
    if (asked_to_resign) {
      asked_to_resign = 0;
      resign(pair);
    }
  }
}

/* ---- the program ---- */

static _Noreturn void usage(int status) {
  fprintf(status == 0 ? stdout : stderr,
          "usage: hotkv --port P [--name NAME] [--checkpoint C] [--keys N] [--value-bytes N] [--heartbeat MS]\n"
          "  --port P         on 127.0.0.1, the same for all members\n"
          "  --name NAME      of this member, for people to read [hotkv]\n"
          "  --checkpoint C   where the state is, the same for all members [hotkv]\n"
          "  --keys N         at most, 2 to 1000000 [100000]\n"
          "  --value-bytes N  of each value at most, 1 to 65536 [4096]\n"
          "  --heartbeat MS   an active without a sign of life for so long is succeeded, 10 to 60000 [never]\n");
  exit(status);
}

static int64_t number_option(const char *text, int64_t min, int64_t max) {
  int64_t number = 0;
  if (!resp_number((slice_t){text, strlen(text)}, &number) || number < min || number > max) {
    usage(2);
  }
  return number;
}

static options_t read_options(int argc, char **argv) {
  static const struct option table[] = {{"port", required_argument, NULL, 'p'},
                                        {"name", required_argument, NULL, 'n'},
                                        {"checkpoint", required_argument, NULL, 'c'},
                                        {"keys", required_argument, NULL, 'k'},
                                        {"value-bytes", required_argument, NULL, 'v'},
                                        {"heartbeat", required_argument, NULL, 'b'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};
  options_t options = {.name = "hotkv", .store = {.checkpoint = "hotkv", .keys_max = 100000, .value_bytes_max = 4096}};
  int option;
  while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
    switch (option) {
      case 'p': options.port = (int)number_option(optarg, 1, 65535); break;
      case 'n': options.name = optarg; break;
      case 'c': options.store.checkpoint = optarg; break;
      case 'k': options.store.keys_max = (size_t)number_option(optarg, 2, 1000000); break;
      case 'v': options.store.value_bytes_max = (size_t)number_option(optarg, 1, RESP_BULK_BYTES_MAX); break;
      case 'b': options.heartbeat = number_option(optarg, 10, 60000) * SA_TIME_ONE_MILLISECOND; break;
      case 'h': usage(0);
      default: usage(2);
    }
  }
  if (options.port == 0 || optind < argc || strlen(options.store.checkpoint) > 128) {
    usage(2);
  }
  return options;
}

int main(int argc, char **argv) {
  const options_t options = read_options(argc, argv);
  const struct sigaction action = {.sa_handler = on_signal};
  setvbuf(stdout, NULL, _IOLBF, 0);
  sigaction(SIGUSR1, &action, NULL);

  store_t *store = store_open(&options.store);
  const vesta_pair_options_t pair_options = {.name = options.name, .heartbeat = options.heartbeat};
  vesta_pair_t *pair;
  SaSelectionObjectT pair_fd;
  store_check(vesta_pair_join(store_checkpoint(store), &pair_options, &pair), "join");
  store_check(vesta_pair_fd(pair, &pair_fd), "pair descriptor");
  run(&options, pair, store, server_new(options.port, (int)pair_fd, store));
}
