/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of options, and the three readers over it.
 */
#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/limits.h"
#include "notify/zmq/stream_endpoint.h"

typedef enum option_type {
  OPTION_FLAG,
  OPTION_PATH,
  OPTION_WORD,
  OPTION_LEVEL,
  OPTION_TARGET,
  OPTION_ENGINE,
  OPTION_POLICY,
  OPTION_LIST, /* each adds one */
  OPTION_COUNT,
  OPTION_SIZE,
  OPTION_DURATION,
} option_type_t;

typedef struct option_row {
  const char *name;
  option_type_t type;
  size_t field; /* offset in options_t */
  uint64_t min, max;
  const char *argument;
  const char *environment; /* NULL: none */
  bool in_file;
  const char *text;
} option_row_t;

#define FIELD(name) offsetof(options_t, name)
#define MS 1000000ULL
#define OPTIONS_PEER_PORT 7420
#define OPTIONS_BUSY_POLL_NS UINT64_C(100000)

static const option_row_t options_table[] = {
    {"socket", OPTION_PATH, FIELD(socket), 0, 0, "PATH", "VESTA_SOCKET", true,
     "where agents connect [RUN-DIR/vestad.sock]"},
    {"run-dir", OPTION_PATH, FIELD(run_dir), 0, 0, "DIR", "VESTA_RUN_DIR", true,
     "directory of the sockets when --socket says none, 0700 and this\nuser's [$RUNTIME_DIRECTORY; /run/vesta for root; else\n"
     "$XDG_RUNTIME_DIR/vesta or /tmp/vesta-UID]"},
    {"replica-dir", OPTION_PATH, FIELD(replica_dir), 0, 0, "DIR", "VESTA_REPLICA_DIR", true,
     "where replicas live: a tmpfs, 0700 and this user's\n[/dev/shm/vesta-UID/HASH-OF-SOCKET]"},
    {"config", OPTION_PATH, FIELD(config), 0, 0, "FILE", "VESTA_CONFIG", false,
     "options file [" OPTIONS_DEFAULT_FILE " if there, for a daemon of the\nsystem]"},
    {"group", OPTION_WORD, FIELD(group), 0, 0, "NAME", "VESTA_GROUP", true,
     "members of this group may connect too [only this user and root]"},
    {"log-level", OPTION_LEVEL, FIELD(log_level), 0, 0, "LEVEL", "VESTA_LOG_LEVEL", true,
     "error, warn, info or debug [info]"},
    {"log-to", OPTION_TARGET, FIELD(log_to), 0, 0, "WHERE", "VESTA_LOG_TO", true,
     "stderr, syslog, journal or auto [auto]"},
    {"clients-max", OPTION_COUNT, FIELD(clients_max), 1, VESTA_CLIENTS_MAX, "N", "VESTA_CLIENTS_MAX", true,
     "library handles served at once [10240]"},
    {"journal-size", OPTION_SIZE, FIELD(journal_bytes), 4096, 1ULL << 30, "SIZE", "VESTA_JOURNAL_SIZE", true,
     "rewrite the journal shorter above this, e.g. 256K [1M]"},
    {"private", OPTION_FLAG, FIELD(private_daemon), 0, 0, NULL, NULL, false,
     "started on demand for one user: end when nothing is open or retained"},
    {"linger", OPTION_DURATION, FIELD(linger_ns), 0, 3600000 * MS, "TIME", "VESTA_LINGER", true,
     "with --private: end after so long without use, e.g. 500ms or 10s [3s]"},
    {"ready-fd", OPTION_COUNT, FIELD(ready_fd), 0, INT32_MAX, "N", NULL, false,
     "write a byte to this descriptor when ready, and close it"},
    {"cluster", OPTION_ENGINE, FIELD(cluster), 0, 0, "ENGINE", "VESTA_CLUSTER", true,
     "corosync: be one of several nodes; none: be alone [none]"},
    {"node-id", OPTION_COUNT, FIELD(node_id), 1, UINT32_MAX, "N", "VESTA_NODE_ID", true,
     "this node's id, which must be that of corosync's [as corosync says,\nwhich must run then when vestad starts]"},
    {"two-node-policy", OPTION_POLICY, FIELD(two_node_policy), 0, 0, "POLICY", "VESTA_TWO_NODE_POLICY", true,
     "when just half of the nodes are there: stop, unless all\nothers are known to be dead; or trust: go on, which can\n"
     "split the history [stop]"},
    {"fence-command", OPTION_PATH, FIELD(fence_command), 0, 0, "PROGRAM", "VESTA_FENCE_COMMAND", true,
     "run with the id of a node that was lost: exit code 0 says that\nnothing runs there any more"},
    {"replicas", OPTION_COUNT, FIELD(replicas), 1, VESTA_REPLICAS_MAX, "N", "VESTA_REPLICAS", true,
     "replicas of a checkpoint that is not collocated [2]"},
    {"session-grace", OPTION_DURATION, FIELD(session_grace_ns), MS, 86400000 * MS, "TIME", "VESTA_SESSION_GRACE", true,
     "sessions of a node that was lost are kept so long [30s]"},
    {"peer-timeout", OPTION_DURATION, FIELD(peer_timeout_ns), 100 * MS, 3600000 * MS, "TIME", "VESTA_PEER_TIMEOUT",
     true, "a replica that owes an acknowledgement is taken out after that [5s]"},
    {"busy-poll", OPTION_DURATION, FIELD(busy_poll_ns), 0, MS, "TIME", "VESTA_BUSY_POLL", true,
     "other nodes that answer within this are waited for without sleeping,\nwhich takes a processor while they are asked; 0us: never [100us]"},
    {"listen", OPTION_WORD, FIELD(listen), 0, 0, "ENDPOINT", "VESTA_LISTEN", true,
     "where other nodes connect, tcp://ADDRESS:PORT\n[this node's ring0_addr in corosync.conf, and --peer-port]"},
    {"peer", OPTION_LIST, FIELD(peers), 0, 0, "NODE=ENDPOINT", NULL, true,
     "where that node listens; may be given for each [as --listen]"},
    {"peer-port", OPTION_COUNT, FIELD(peer_port), 1, UINT16_MAX, "PORT", "VESTA_PEER_PORT", true,
     "port of the links between nodes [7420]"},
    {"stream-listen", OPTION_WORD, FIELD(stream_listen), 0, 0, "ENDPOINT", "VESTA_STREAM_LISTEN", true,
     "where subscribers on other machines connect, tcp://ADDRESS:PORT;\nthe next port is theirs too [nowhere]"},
    {"stream-keys", OPTION_PATH, FIELD(stream_keys), 0, 0, "DIR", "VESTA_STREAM_KEYS", true,
     "public keys of those who may subscribe there, NAME.pub each"},
    {"guests-max", OPTION_COUNT, FIELD(guests_max), 1, VESTA_GUESTS_MAX, "N", "VESTA_GUESTS_MAX", true,
     "streams served there at once [1024]"},
    {"key", OPTION_PATH, FIELD(key), 0, 0, "FILE", "VESTA_KEY", true,
     "this node's keys, made by `vesta keygen`: links to other machines are\nencrypted"},
    {"peer-keys", OPTION_PATH, FIELD(peer_keys), 0, 0, "DIR", "VESTA_PEER_KEYS", true,
     "public keys of all nodes, NODE.pub each: nobody else gets a link"},
    {"insecure", OPTION_FLAG, FIELD(insecure), 0, 0, NULL, NULL, true,
     "listen to other nodes and to subscribers without keys: whoever\nreaches the ports is believed"},
    {"foreground", OPTION_FLAG, FIELD(foreground), 0, 0, NULL, NULL, false,
     "stay in the foreground: the only mode there is"},
    {"version", OPTION_FLAG, FIELD(version), 0, 0, NULL, NULL, false, "print the version and exit"},
    {"help", OPTION_FLAG, FIELD(help), 0, 0, NULL, NULL, false, "print this and exit"},
};
enum { OPTIONS_ROWS = sizeof options_table / sizeof options_table[0] };

static const char *const options_levels[] = {"error", "warn", "info", "debug"};       /* as log_level_t */
static const char *const options_targets[] = {"auto", "stderr", "syslog", "journal"}; /* as log_target_t */
static const char *const options_engines[] = {"none", "corosync"};                    /* as options_engine_t */
static const char *const options_policies[] = {"stop", "trust"};                      /* as order_policy_t */

/* ---- values ---- */

typedef struct option_unit {
  const char *name;
  uint64_t factor;
} option_unit_t;

/* A decimal number and one of the units, which end with a row without name. */
static bool options_number_parse(const char *text, const option_unit_t *units, uint64_t *out) {
  if (text[0] < '0' || text[0] > '9') {
    return false;
  }
  char *end;
  errno = 0;
  unsigned long long number = strtoull(text, &end, 10);
  if (errno != 0) {
    return false;
  }
  for (const option_unit_t *unit = units; unit->name != NULL; unit++) {
    uint64_t product;
    if (strcasecmp(end, unit->name) == 0) {
      if (__builtin_mul_overflow(number, unit->factor, &product)) {
        return false;
      }
      *out = product;
      return true;
    }
  }
  return false;
}

bool options_size_parse(const char *text, uint64_t *bytes) {
  static const option_unit_t units[] = {{"", 1},
                                        {"K", 1ULL << 10},
                                        {"KiB", 1ULL << 10},
                                        {"M", 1ULL << 20},
                                        {"MiB", 1ULL << 20},
                                        {"G", 1ULL << 30},
                                        {"GiB", 1ULL << 30},
                                        {NULL, 0}};
  return options_number_parse(text, units, bytes);
}

bool options_duration_parse(const char *text, uint64_t *ns) {
  static const option_unit_t units[] = {
      {"us", MS / 1000}, {"ms", MS}, {"s", 1000 * MS}, {"min", 60000 * MS}, {NULL, 0}};
  return options_number_parse(text, units, ns);
}

static bool options_word_find(const char *const *words, size_t count, const char *text, unsigned *index) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(words[i], text) == 0) {
      *index = (unsigned)i;
      return true;
    }
  }
  return false;
}

static bool options_text_set(char *to, size_t capacity, const char *text) {
  size_t size = strlen(text);
  if (size == 0 || size >= capacity) {
    return false;
  }
  memcpy(to, text, size + 1);
  return true;
}

static bool options_list_add(char *list, const char *text) {
  size_t used = strlen(list);
  size_t size = strlen(text);
  if (size == 0 || strchr(text, ' ') != NULL || used + 1 + size >= OPTIONS_LIST_BYTES) {
    return false;
  }
  if (used > 0) {
    list[used++] = ' ';
  }
  memcpy(list + used, text, size + 1);
  return true;
}

bool options_peer_next(const char **at, uint32_t *node, char *endpoint, size_t size) {
  const char *text = *at + strspn(*at, " ");
  size_t length = strcspn(text, " ");
  char *end;
  *at = text;
  if (length == 0) {
    return false;
  }
  unsigned long number = strtoul(text, &end, 10);
  size_t left = length - (size_t)(end - text);
  if (number == 0 || number > UINT32_MAX || end[0] != '=' || left < 2 || left > size) {
    return false;
  }
  *node = (uint32_t)number;
  memcpy(endpoint, end + 1, left - 1);
  endpoint[left - 1] = '\0';
  *at = text + length;
  return true;
}

static bool options_flag_set(bool *to, const char *text) {
  if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0) {
    return false;
  }
  *to = text[0] == 'y';
  return true;
}

/* Set one option from text. False: the text is no value of its type. */
static bool options_set(options_t *options, const option_row_t *row, const char *text) {
  static const option_unit_t counts[] = {{"", 1}, {NULL, 0}};
  char *field = (char *)options + row->field;
  uint64_t number = 0;
  unsigned word;
  switch (row->type) {
    case OPTION_FLAG: return options_flag_set((bool *)(void *)field, text);
    case OPTION_PATH: return options_text_set(field, OPTIONS_PATH_BYTES, text);
    case OPTION_WORD: return options_text_set(field, OPTIONS_WORD_BYTES, text);
    case OPTION_LEVEL:
      if (!options_word_find(options_levels, sizeof options_levels / sizeof options_levels[0], text, &word)) {
        return false;
      }
      *(log_level_t *)(void *)field = (log_level_t)word;
      return true;
    case OPTION_TARGET:
      if (!options_word_find(options_targets, sizeof options_targets / sizeof options_targets[0], text, &word)) {
        return false;
      }
      *(log_target_t *)(void *)field = (log_target_t)word;
      return true;
    case OPTION_ENGINE:
      if (!options_word_find(options_engines, sizeof options_engines / sizeof options_engines[0], text, &word)) {
        return false;
      }
      *(options_engine_t *)(void *)field = (options_engine_t)word;
      return true;
    case OPTION_POLICY:
      if (!options_word_find(options_policies, sizeof options_policies / sizeof options_policies[0], text, &word)) {
        return false;
      }
      *(order_policy_t *)(void *)field = (order_policy_t)word;
      return true;
    case OPTION_LIST: return options_list_add(field, text);
    case OPTION_COUNT:
      if (!options_number_parse(text, counts, &number)) {
        return false;
      }
      break;
    case OPTION_SIZE:
      if (!options_size_parse(text, &number)) {
        return false;
      }
      break;
    case OPTION_DURATION:
      if (!options_duration_parse(text, &number)) {
        return false;
      }
      break;
  }
  if (number < row->min || number > row->max) {
    return false;
  }
  *(uint64_t *)(void *)field = number;
  return true;
}

/* ---- the three places ---- */

typedef struct options_file {
  options_t *options;
  char *why;
  size_t why_size;
} options_file_t;

/* inih calls this for each line `name = value`; 0 makes it stop and tell the line. */
static int options_file_line(void *context, const char *section, const char *name, const char *value) {
  options_file_t *file = context;
  if (strcmp(section, "vestad") != 0) {
    bool none = section[0] == '\0';
    (void)snprintf(file->why, file->why_size, "%s%s%s", none ? "a line above [vestad]" : "unknown section [", section,
                   none ? "" : "], only [vestad] is known");
    return 0;
  }
  for (size_t i = 0; i < OPTIONS_ROWS; i++) {
    if (options_table[i].in_file && strcmp(options_table[i].name, name) == 0) {
      if (options_set(file->options, &options_table[i], value)) {
        return 1;
      }
      (void)snprintf(file->why, file->why_size, "bad value for %s: \"%s\"", name, value);
      return 0;
    }
  }
  (void)snprintf(file->why, file->why_size, "unknown option %s", name);
  return 0;
}

static options_verdict_t options_file_read(options_t *options, const char *path, char *why, size_t why_size) {
  char detail[OPTIONS_PATH_BYTES + 128] = "";
  options_file_t file = {.options = options, .why = detail, .why_size = sizeof detail};
  FILE *stream = fopen(path, "re");
  if (stream == NULL) {
    (void)snprintf(why, why_size, "cannot read %s: %s", path, strerror(errno));
    return OPTIONS_FAILED;
  }
  int line = ini_parse_file(stream, options_file_line, &file);
  (void)fclose(stream);
  if (line != 0) {
    (void)snprintf(why, why_size, "%s:%d: %s", path, line, detail[0] != '\0' ? detail : "not `name = value`");
    return OPTIONS_USAGE;
  }
  return OPTIONS_GOOD;
}

static options_verdict_t options_environment_read(options_t *options, const char *(*environment)(const char *name),
                                                  char *why, size_t why_size) {
  for (size_t i = 0; i < OPTIONS_ROWS; i++) {
    const char *name = options_table[i].environment;
    const char *value = name == NULL ? NULL : environment(name);
    if (value != NULL && value[0] != '\0' && !options_set(options, &options_table[i], value)) {
      (void)snprintf(why, why_size, "bad value for %s: \"%s\"", name, value);
      return OPTIONS_USAGE;
    }
  }
  return OPTIONS_GOOD;
}

static options_verdict_t options_line_read(options_t *options, int argc, char **argv, char *why, size_t why_size) {
  struct option long_options[OPTIONS_ROWS + 1] = {0};
  for (size_t i = 0; i < OPTIONS_ROWS; i++) {
    long_options[i] = (struct option){.name = options_table[i].name,
                                      .has_arg = options_table[i].argument == NULL ? no_argument : required_argument,
                                      .val = (int)i};
  }
  optind = 0; /* glibc: start anew, also in the second reading */
  opterr = 0;
  for (;;) {
    int at = optind > 0 ? optind : 1;
    int row = getopt_long(argc, argv, ":", long_options, NULL);
    if (row == -1) {
      break;
    }
    if (row == '?' || row == ':') {
      (void)snprintf(why, why_size, "%s: %s", row == ':' ? "value missing" : "unknown option", argv[at]);
      return OPTIONS_USAGE;
    }
    const option_row_t *option = &options_table[row];
    if (!options_set(options, option, option->argument == NULL ? "yes" : optarg)) {
      (void)snprintf(why, why_size, "bad value for --%s: \"%s\"", option->name, optarg);
      return OPTIONS_USAGE;
    }
  }
  if (optind < argc) {
    (void)snprintf(why, why_size, "unexpected argument: %s", argv[optind]);
    return OPTIONS_USAGE;
  }
  return OPTIONS_GOOD;
}

/* The system's daemon, not a user's own. */
static bool options_is_system(const char *(*environment)(const char *name)) {
  const char *directory = environment("RUNTIME_DIRECTORY");
  return geteuid() == 0 || (directory != NULL && strncmp(directory, "/run/user/", 10) != 0);
}

options_verdict_t options_read(options_t *options, int argc, char **argv, const char *(*environment)(const char *name),
                               char *why, size_t why_size) {
  const options_t defaults = {.log_level = LOG_LEVEL_INFO,
                              .log_to = LOG_TARGET_AUTO,
                              .linger_ns = 3000 * MS,
                              .clients_max = VESTA_CLIENTS_MAX,
                              .guests_max = VESTA_GUESTS_MAX,
                              .journal_bytes = 1ULL << 20,
                              .ready_fd = OPTIONS_NO_FD,
                              .two_node_policy = ORDER_STOP,
                              .replicas = VESTA_REPLICAS_DEFAULT,
                              .session_grace_ns = VESTA_SESSION_GRACE_MS * MS,
                              .peer_timeout_ns = VESTA_PEER_TIMEOUT_MS * MS,
                              .busy_poll_ns = OPTIONS_BUSY_POLL_NS,
                              .peer_port = OPTIONS_PEER_PORT};
  options_t read = defaults;
  /* The command line stands above the file but names it: it is read twice. */
  options_verdict_t verdict = options_environment_read(&read, environment, why, why_size);
  options_verdict_t line = options_line_read(&read, argc, argv, why, why_size);
  if (line == OPTIONS_GOOD && (read.help || read.version)) {
    *options = read;
    return OPTIONS_GOOD;
  }
  if (verdict != OPTIONS_GOOD || line != OPTIONS_GOOD) {
    return OPTIONS_USAGE;
  }
  char config[OPTIONS_PATH_BYTES];
  memcpy(config, read.config, sizeof config);
  if (config[0] == '\0' && !read.private_daemon && options_is_system(environment) &&
      access(OPTIONS_DEFAULT_FILE, F_OK) == 0) {
    memcpy(config, OPTIONS_DEFAULT_FILE, sizeof OPTIONS_DEFAULT_FILE);
  }
  read = defaults;
  if (config[0] != '\0') {
    verdict = options_file_read(&read, config, why, why_size);
    if (verdict != OPTIONS_GOOD) {
      return verdict;
    }
  }
  (void)options_environment_read(&read, environment, why, why_size); /* were good a moment ago */
  (void)options_line_read(&read, argc, argv, why, why_size);
  *options = read;
  return OPTIONS_GOOD;
}

/* ---- what nobody said ---- */

/* The user's own place: the same rule as the agent's. */
static void options_user_dir(const char *(*environment)(const char *name), char *to, size_t capacity) {
  const char *runtime = environment("XDG_RUNTIME_DIR");
  struct stat status;
  if (runtime != NULL && runtime[0] == '/' && stat(runtime, &status) == 0 && S_ISDIR(status.st_mode) &&
      status.st_uid == geteuid()) {
    (void)snprintf(to, capacity, "%s/vesta", runtime);
  } else {
    (void)snprintf(to, capacity, "/tmp/vesta-%u", geteuid());
  }
}

static void options_run_dir_default(const char *(*environment)(const char *name), char *to, size_t capacity) {
  const char *given = environment("RUNTIME_DIRECTORY");
  if (given != NULL && given[0] == '/') {
    (void)snprintf(to, capacity, "%.*s", (int)strcspn(given, ":"), given);
  } else if (geteuid() == 0) {
    (void)snprintf(to, capacity, "/run/vesta");
  } else {
    options_user_dir(environment, to, capacity);
  }
}

static bool options_make_absolute(char *path) {
  char directory[OPTIONS_PATH_BYTES];
  char whole[2 * OPTIONS_PATH_BYTES + 2];
  if (path[0] == '/') {
    return true;
  }
  if (getcwd(directory, sizeof directory) == NULL) {
    return false;
  }
  (void)snprintf(whole, sizeof whole, "%s/%s", directory, path);
  return options_text_set(path, OPTIONS_PATH_BYTES, whole);
}

/* What a cluster needs. NULL: all is well. */
static const char *options_cluster_lacks(const options_t *options) {
  char endpoint[OPTIONS_PATH_BYTES];
  const char *at = options->peers;
  uint32_t node;
  while (options_peer_next(&at, &node, endpoint, sizeof endpoint)) {
  }
  if (at[0] != '\0') {
    return "a --peer is not NODE=ENDPOINT";
  }
  if (options->cluster == OPTIONS_ALONE) {
    return NULL;
  }
  if (options->private_daemon) {
    return "a private daemon is alone: --private and --cluster don't go together";
  }
  if (options->peer_keys[0] == '\0' && !options->insecure) {
    return "links between nodes need --key and --peer-keys; or --insecure, where nobody else can reach the nodes' port";
  }
  return NULL;
}

/* What streams over TCP need. NULL: all is well. */
static const char *options_stream_lacks(const options_t *options) {
  bool listens = options->stream_listen[0] != '\0';
  if (!listens && options->stream_keys[0] != '\0') {
    return "--stream-keys without --stream-listen: nobody could use them";
  }
  if (!listens) {
    return NULL;
  }
  if (stream_endpoint_port(options->stream_listen) == 0) {
    return "--stream-listen is not tcp://ADDRESS:PORT, with a port from 1 to 65534";
  }
  if (options->private_daemon) {
    return "a private daemon is for one user: --private and --stream-listen don't go together";
  }
  if (options->stream_keys[0] == '\0' && !options->insecure) {
    return "streams over TCP need --key and --stream-keys; or --insecure, where nobody else can reach the ports";
  }
  return NULL;
}

/* Keys of others are of no use without one's own, nor the other way round. NULL: all is well. */
static const char *options_keys_lack(const options_t *options) {
  bool others = options->peer_keys[0] != '\0' || options->stream_keys[0] != '\0';
  if (others && options->key[0] == '\0') {
    return "--peer-keys and --stream-keys need --key";
  }
  if (!others && options->key[0] != '\0') {
    return "--key needs --peer-keys or --stream-keys";
  }
  return NULL;
}

options_verdict_t options_complete(options_t *options, const char *(*environment)(const char *name), char *why,
                                   size_t why_size) {
  const char *lacks = options_keys_lack(options);
  lacks = lacks != NULL ? lacks : options_cluster_lacks(options);
  lacks = lacks != NULL ? lacks : options_stream_lacks(options);
  if (lacks != NULL) {
    (void)snprintf(why, why_size, "%s", lacks);
    return OPTIONS_USAGE;
  }
  if (options->socket[0] == '\0') {
    if (options->run_dir[0] == '\0') {
      options_run_dir_default(environment, options->run_dir, sizeof options->run_dir);
    }
    char whole[OPTIONS_PATH_BYTES + 16];
    (void)snprintf(whole, sizeof whole, "%s/vestad.sock", options->run_dir);
    if (!options_text_set(options->socket, sizeof options->socket, whole)) {
      (void)snprintf(why, why_size, "the path of the run directory is too long");
      return OPTIONS_USAGE;
    }
  }
  if (!options_make_absolute(options->socket) ||
      (options->replica_dir[0] != '\0' && !options_make_absolute(options->replica_dir))) {
    (void)snprintf(why, why_size, "cannot make the paths absolute");
    return OPTIONS_USAGE;
  }
  /* The stream's sockets stand beside the agents' one: the longest suffix must fit too. */
  size_t longest = sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof ".requests";
  if (strlen(options->socket) > longest) {
    (void)snprintf(why, why_size, "socket path of %zu bytes is too long, at most %zu are possible: %s",
                   strlen(options->socket), longest, options->socket);
    return OPTIONS_USAGE;
  }
  size_t directory = (size_t)(strrchr(options->socket, '/') - options->socket);
  directory = directory == 0 ? 1 : directory;
  memcpy(options->run_dir, options->socket, directory);
  options->run_dir[directory] = '\0';
  return OPTIONS_GOOD;
}

/* ---- words ---- */

#define HELP_LEFT 22   /* columns of an option; a longer one has a line of its own */
#define HELP_WIDTH 96U /* as the texts' own lines */

static void options_help_row(const option_row_t *row) {
  char left[64];
  const char *text = row->text;
  int size = snprintf(left, sizeof left, "--%s%s%s", row->name, row->argument == NULL ? "" : " ",
                      row->argument == NULL ? "" : row->argument);
  if (size > HELP_LEFT) {
    (void)printf("  %s\n", left);
    left[0] = '\0';
  }
  for (size_t line; text[line = strcspn(text, "\n")] != '\0'; text += line + 1) {
    (void)printf("  %-*s %.*s\n", HELP_LEFT, left, (int)line, text);
    left[0] = '\0';
  }
  (void)printf("  %-*s %s", HELP_LEFT, left, text);
  if (row->environment != NULL) {
    if (HELP_LEFT + 5 + strlen(text) + strlen(row->environment) > HELP_WIDTH) {
      (void)printf("\n  %-*s", HELP_LEFT, "");
    }
    (void)printf(" $%s", row->environment);
  }
  (void)printf("\n");
}

void options_help(void) {
  (void)printf("Usage: vestad [OPTION]...\n"
               "Keep checkpoints, and tell who stands by of every change.\n\n");
  for (size_t i = 0; i < OPTIONS_ROWS; i++) {
    options_help_row(&options_table[i]);
  }
  (void)printf("\n[...] is the default, $... says the same in the environment. A file has lines `name = value`\n"
               "below [vestad], the names being those above without the dashes; flags are `yes` there. The\n"
               "command line wins over the environment, which wins over the file.\n"
               "SIGTERM and SIGINT end vestad, replicas stay; SIGUSR1 logs the counters.\n"
               "Exit code: 0 after a clean end, 1 on failure, 2 on a mistake in the options.\n");
}
