/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stream_subscriber.h.
 *
 * The one rule about ZMQ_FD: after it was waited for, and after every send, both sockets are read until they say
 * EAGAIN before it is waited for again. stream_pump() keeps it: it sends first and reads then, and only a pump that
 * found nothing lets a call return TRY_AGAIN.
 */
#include "notify/zmq/stream_subscriber.h"

#include "notify/publisher.h"
#include "notify/zmq/stream_context.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define STREAM_MESSAGES_MAX 256     /* in ZeroMQ's queue of each socket */
#define STREAM_BURST 16             /* messages read from one socket before the other has its turn */
#define STREAM_RECONNECT_MS 20      /* a daemon that restarts is found again within this ... */
#define STREAM_RECONNECT_MS_MAX 200 /* ... to this */
#define STREAM_PUMPS_MAX 16         /* bursts in one call, if nothing of them is to be handed out */
#define STREAM_ENDPOINT_BYTES_MAX 256
#define STREAM_FRAMES_MAX 3
#define STREAM_REFUSAL_BYTES_MAX 64U
#define STREAM_GOODBYE_MS 100 /* the last word may take so long on its way */
#define STREAM_SILENCE_NS ((int64_t)VESTA_SILENCE_PERIODS * VESTA_BEACON_PERIOD_MS * 1000000)

struct stream_subscriber {
  subscriber_t *subscriber;
  wire_decoder_t *decoder;
  uint64_t checkpoint_id;
  uint64_t buffer_bytes;
  vesta_token_t token;
  unsigned generation;
  void *context;
  void *sub, *dealer; /* NULL while the stream waits to be renewed */
  int sub_fd, dealer_fd;
  int epoll_fd, event_fd, timer_fd;
  bool exposed; /* somebody may poll epoll_fd, so event_fd is kept */
  bool raised;  /* event_fd is readable */
  bool keys_only;
  bool coalesce;
  bool roles_only;
  bool unknown;  /* the service does not know this stream (any more): it is to be asked for again */
  bool unread;   /* messages were left in the sockets: not to be waited for */
  bool unheard;  /* nothing came on the subscription since it was made: it proves nothing yet */
  bool silent;   /* the sockets were closed because nothing had come for so long */
  bool has_word; /* `word` is to be handed out (roles only) */
  notify_change_t word;
  uint64_t epoch_seen; /* of the last EPOCH operation or beacon taken (roles only) */
  int64_t heard_ns;
  int64_t owner_wake_ns;
  int64_t armed_ns; /* what timer_fd is set to; INT64_MAX: not set */
  uint64_t malformed;
  uint8_t request[VESTA_STREAM_REQUEST_BYTES_MAX]; /* room to encode one: not the stack of the application's thread */
};

int64_t stream_steady_ns(void) {
  struct timespec now;
  VESTA_ASSERT(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool stream_subscriber_mine(const stream_subscriber_t *stream) {
  return stream->generation == stream_context_generation();
}

/* ---- sockets ---- */

static bool stream_topic_set(stream_subscriber_t *stream, int option, bool roles_only) {
  uint8_t topic[NOTIFY_TOPIC_BYTES];
  uint8_t of_changes = stream->keys_only ? NOTIFY_CLASS_KEYS : NOTIFY_CLASS_DATA;
  notify_topic(topic, roles_only ? NOTIFY_CLASS_ROLES : of_changes, stream->checkpoint_id);
  return zmq_setsockopt(stream->sub, option, topic, sizeof topic) == 0;
}

static bool stream_watch(stream_subscriber_t *stream, int fd) {
  struct epoll_event event = {.events = EPOLLIN};
  return epoll_ctl(stream->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void stream_socket_close(stream_subscriber_t *stream, void **socket, int *fd) {
  if (*fd >= 0) {
    (void)epoll_ctl(stream->epoll_fd, EPOLL_CTL_DEL, *fd, NULL); /* before ZeroMQ's reaper closes it, some time later */
    *fd = -1;
  }
  if (*socket != NULL) {
    VESTA_ASSERT(zmq_close(*socket) == 0);
    *socket = NULL;
  }
}

static void stream_sockets_close(stream_subscriber_t *stream) {
  stream_socket_close(stream, &stream->sub, &stream->sub_fd);
  stream_socket_close(stream, &stream->dealer, &stream->dealer_fd);
}

static vesta_err_t stream_socket_open(stream_subscriber_t *stream, int type, const char *endpoint,
                                      const stream_curve_t *curve, void **socket, int *fd) {
  static const struct {
    int option, value;
  } options[] = {
      {ZMQ_LINGER, 0}, {ZMQ_RCVHWM, STREAM_MESSAGES_MAX},        {ZMQ_SNDHWM, STREAM_MESSAGES_MAX},
      {ZMQ_IPV6, 1},   {ZMQ_RECONNECT_IVL, STREAM_RECONNECT_MS}, {ZMQ_RECONNECT_IVL_MAX, STREAM_RECONNECT_MS_MAX}};
  *socket = zmq_socket(stream->context, type);
  if (*socket == NULL) {
    return errno == ENOMEM ? VESTA_ERR_NO_MEMORY : VESTA_ERR_NO_RESOURCES;
  }
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
    VESTA_ASSERT(zmq_setsockopt(*socket, options[i].option, &options[i].value, sizeof options[i].value) == 0);
  }
  if (type == ZMQ_DEALER &&
      strncmp(endpoint, "tcp:", 4) == 0) { /* a SUB that is full reads nothing, and silence tells */
    stream_remote_watch(*socket);
  }
  int64_t size_max = VESTA_FRAME_BYTES_MAX;
  VESTA_ASSERT(zmq_setsockopt(*socket, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max) == 0);
  if (curve != NULL && !stream_curve_apply(curve, *socket)) {
    return VESTA_ERR_NO_RESOURCES;
  }
  if (zmq_connect(*socket, endpoint) != 0) {
    return errno == EINVAL || errno == EPROTONOSUPPORT ? VESTA_ERR_MALFORMED : VESTA_ERR_NO_RESOURCES;
  }
  size_t fd_size = sizeof *fd;
  VESTA_ASSERT(zmq_getsockopt(*socket, ZMQ_FD, fd, &fd_size) == 0);
  return stream_watch(stream, *fd) ? VESTA_OK : VESTA_ERR_NO_RESOURCES;
}

static vesta_err_t stream_sockets_open(stream_subscriber_t *stream, vesta_bytes_t endpoints,
                                       const stream_curve_t *curve) {
  char xpub[STREAM_ENDPOINT_BYTES_MAX] = "";
  char router[STREAM_ENDPOINT_BYTES_MAX] = "";
  const uint8_t *space = endpoints.size == 0 ? NULL : memchr(endpoints.data, ' ', endpoints.size);
  size_t xpub_size = space == NULL ? 0 : (size_t)(space - endpoints.data);
  size_t router_size = space == NULL ? 0 : endpoints.size - xpub_size - 1;
  if (xpub_size == 0 || xpub_size >= sizeof xpub || router_size == 0 || router_size >= sizeof router) {
    return VESTA_ERR_MALFORMED;
  }
  memcpy(xpub, endpoints.data, xpub_size);
  memcpy(router, space + 1, router_size);
  if (!stream_context_headroom()) {
    return VESTA_ERR_NO_RESOURCES;
  }
  vesta_err_t err = stream_socket_open(stream, ZMQ_SUB, xpub, curve, &stream->sub, &stream->sub_fd);
  if (err == VESTA_OK) {
    err = stream_socket_open(stream, ZMQ_DEALER, router, curve, &stream->dealer, &stream->dealer_fd);
  }
  if (err == VESTA_OK && !stream_topic_set(stream, ZMQ_SUBSCRIBE, stream->roles_only)) {
    err = VESTA_ERR_NO_RESOURCES;
  }
  if (err != VESTA_OK) {
    stream_sockets_close(stream);
  }
  return err;
}

/* ---- the descriptor ---- */

static void stream_raise(stream_subscriber_t *stream) {
  if (stream->exposed && !stream->raised) {
    VESTA_ASSERT(eventfd_write(stream->event_fd, 1) == 0);
    stream->raised = true;
  }
}

static void stream_lower(stream_subscriber_t *stream) {
  if (stream->raised) {
    eventfd_t value;
    VESTA_ASSERT(eventfd_read(stream->event_fd, &value) == 0);
    stream->raised = false;
  }
}

static int64_t stream_wake_ns(const stream_subscriber_t *stream) {
  int64_t wake_ns = stream->owner_wake_ns;
  if (stream->sub != NULL) {
    int64_t own_ns = stream->roles_only ? stream->heard_ns + STREAM_SILENCE_NS : subscriber_wake_ns(stream->subscriber);
    wake_ns = own_ns < wake_ns ? own_ns : wake_ns;
  }
  return wake_ns;
}

/* Most messages only push the next deadline further away; then the timer is left as it is, wakes up once for nothing,
 * and is set anew. That saves a system call for each message. */
static void stream_arm(stream_subscriber_t *stream) {
  int64_t wake_ns = stream_wake_ns(stream);
  if (wake_ns == stream->armed_ns || (wake_ns > stream->armed_ns && stream->armed_ns > stream_steady_ns())) {
    return;
  }
  struct itimerspec when = {0};
  if (wake_ns != INT64_MAX) {
    int64_t at_ns = wake_ns > 0 ? wake_ns : 1;
    when.it_value = (struct timespec){.tv_sec = at_ns / 1000000000, .tv_nsec = (long)(at_ns % 1000000000)};
  }
  VESTA_ASSERT(timerfd_settime(stream->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0);
  stream->armed_ns = wake_ns;
}

void stream_subscriber_more(stream_subscriber_t *stream) { stream_raise(stream); }

int stream_subscriber_fd(stream_subscriber_t *stream) {
  stream->exposed = true;
  stream_raise(stream); /* what is there already was not counted */
  return stream->epoll_fd;
}

void stream_subscriber_wake_at(stream_subscriber_t *stream, int64_t steady_ns) {
  if (steady_ns != stream->owner_wake_ns) {
    stream->owner_wake_ns = steady_ns;
    stream_arm(stream);
  }
}

void stream_subscriber_wait(stream_subscriber_t *stream, int64_t until_ns) {
  struct pollfd fds[] = {{.fd = stream->timer_fd, .events = POLLIN},
                         {.fd = stream->sub_fd, .events = POLLIN},
                         {.fd = stream->dealer_fd, .events = POLLIN}}; /* poll() skips descriptors that are -1 */
  struct timespec timeout = {0};
  if (stream->unread) {
    return;
  }
  if (until_ns != INT64_MAX) {
    int64_t left_ns = until_ns - stream_steady_ns();
    left_ns = left_ns > 0 ? left_ns : 0;
    timeout = (struct timespec){.tv_sec = left_ns / 1000000000, .tv_nsec = (long)(left_ns % 1000000000)};
  }
  (void)ppoll(fds, sizeof fds / sizeof fds[0], until_ns == INT64_MAX ? NULL : &timeout, NULL);
}

/* ---- what comes in ---- */

/* One whole message. Frames beyond STREAM_FRAMES_MAX are read and dropped; *count says how many there were. */
static bool stream_receive(void *socket, zmq_msg_t frames[STREAM_FRAMES_MAX], size_t *count) {
  size_t got = 0;
  bool more = true;
  for (size_t i = 0; i < STREAM_FRAMES_MAX; i++) {
    VESTA_ASSERT(zmq_msg_init(&frames[i]) == 0);
  }
  while (more) {
    zmq_msg_t *frame = &frames[got < STREAM_FRAMES_MAX ? got : STREAM_FRAMES_MAX - 1];
    if (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0) {
      break; /* only before the first frame: ZeroMQ hands over whole messages. EINTR is taken for nothing there, too */
    }
    more = zmq_msg_more(frame) != 0;
    got++;
  }
  *count = got;
  return got > 0;
}

static void stream_frames_close(zmq_msg_t frames[STREAM_FRAMES_MAX]) {
  for (size_t i = 0; i < STREAM_FRAMES_MAX; i++) {
    VESTA_ASSERT(zmq_msg_close(&frames[i]) == 0);
  }
}

static vesta_bytes_t stream_frame(zmq_msg_t *frame) { return vesta_bytes(zmq_msg_data(frame), zmq_msg_size(frame)); }

static void stream_word(stream_subscriber_t *stream, uint32_t kind, vesta_pos_t position, uint64_t member,
                        int64_t time_ns) {
  stream->word = (notify_change_t){
      .kind = kind, .position = position, .count = 1, .member = member, .expiry_ns = 0, .time_ns = time_ns};
  stream->has_word = true;
}

/* A message of the roles' topic. Of several grants only the last one counts: it is the highest. */
static void stream_roles_published(stream_subscriber_t *stream, vesta_bytes_t head) {
  wire_message_t message;
  if (wire_decode(stream->decoder, head.data, head.size, &message) != VESTA_OK ||
      message.checkpoint != stream->checkpoint_id) {
    stream->malformed++;
    return;
  }
  for (uint32_t i = 0; message.kind == WIRE_CHANGES && i < message.element_count; i++) {
    const wire_element_t *element = &message.elements[i];
    if (element->kind == VESTA_KIND_EPOCH && element->epoch > stream->epoch_seen) {
      vesta_pos_t position = {.lineage = message.lineage, .epoch = element->epoch, .seq = element->seq};
      stream->epoch_seen = element->epoch;
      stream_word(stream, VESTA_KIND_EPOCH, position, element->member, element->time_ns);
    }
  }
  if (message.kind == WIRE_BEACON) {
    subscriber_beacon_state(stream->subscriber, message.state);
  }
  if (message.kind == WIRE_BEACON && (message.state & WIRE_BEACON_GONE) != 0) {
    stream_word(stream, NOTIFY_GONE, wire_pos(&message), 0, 0);
  } else if (message.kind == WIRE_BEACON && (message.epoch > stream->epoch_seen || message.lineage == 0)) {
    stream->epoch_seen = message.epoch;
    stream_word(stream, NOTIFY_LOST, wire_pos(&message), 0, 0);
  }
}

static vesta_err_t stream_published(stream_subscriber_t *stream, zmq_msg_t *frames, size_t count, int64_t now_ns) {
  vesta_bytes_t topic = stream_frame(&frames[0]);
  if (count < 2 || count > 3 || topic.size != NOTIFY_TOPIC_BYTES) {
    stream->malformed++;
    return VESTA_OK;
  }
  bool of_roles = topic.data[0] == NOTIFY_CLASS_ROLES;
  if (of_roles != stream->roles_only) {
    return VESTA_OK; /* a straggler of the topic that was followed before */
  }
  stream->heard_ns = now_ns;
  stream->unheard = false;
  if (of_roles) {
    stream_roles_published(stream, stream_frame(&frames[1]));
    return VESTA_OK;
  }
  return subscriber_published(stream->subscriber, stream_frame(&frames[1]), stream_frame(&frames[2]), now_ns);
}

/* "Who are you?", unasked, over TCP. It is small; answers with data are not decoded twice for it. */
static bool stream_is_unknown(stream_subscriber_t *stream, vesta_bytes_t head) {
  wire_message_t message;
  return head.size < STREAM_REFUSAL_BYTES_MAX &&
         wire_decode(stream->decoder, head.data, head.size, &message) == VESTA_OK &&
         message.kind == WIRE_FOLLOW_REPLY && message.error != 0;
}

static vesta_err_t stream_answered(stream_subscriber_t *stream, zmq_msg_t *frames, size_t count, int64_t now_ns) {
  if (count < 1 || count > 2) {
    stream->malformed++;
    return VESTA_OK;
  }
  if (stream_is_unknown(stream, stream_frame(&frames[0]))) {
    stream->unknown = true;
    return VESTA_OK;
  }
  if (stream->roles_only) {
    return VESTA_OK; /* asked before that */
  }
  stream->heard_ns = now_ns;
  return subscriber_answered(stream->subscriber, stream_frame(&frames[0]), stream_frame(&frames[1]), now_ns);
}

typedef vesta_err_t stream_taker_t(stream_subscriber_t *stream, zmq_msg_t *frames, size_t count, int64_t now_ns);

static vesta_err_t stream_read(stream_subscriber_t *stream, void *socket, stream_taker_t *take, uint32_t burst,
                               bool *progress) {
  vesta_err_t err = VESTA_OK;
  for (uint32_t i = 0; i < burst && err == VESTA_OK; i++) {
    zmq_msg_t frames[STREAM_FRAMES_MAX];
    size_t count;
    bool received = stream_receive(socket, frames, &count);
    if (received) {
      *progress = true;
      err = take(stream, frames, count, stream_steady_ns());
    }
    stream_frames_close(frames);
    if (!received) {
      break;
    }
  }
  return err;
}

static void stream_ask(stream_subscriber_t *stream) {
  wire_message_t request;
  if (!stream->roles_only && subscriber_request(stream->subscriber, stream_steady_ns(), &request)) {
    size_t size;
    VESTA_ASSERT(wire_encode(&request, stream->request, sizeof stream->request, &size) == VESTA_OK);
    /* A queue that is full drops the request; the subscriber asks again after a second without an answer. */
    if (zmq_send(stream->dealer, stream->request, size, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0) {
      (void)zmq_send(stream->dealer, "", 0, ZMQ_DONTWAIT);
    }
  }
}

/* Or refused: the daemon does not know the token (any more), after a restart without our session, say. */
static bool stream_silent(stream_subscriber_t *stream) {
  int64_t now_ns = stream_steady_ns();
  return stream->roles_only ? now_ns - stream->heard_ns >= STREAM_SILENCE_NS
                            : subscriber_silent(stream->subscriber, now_ns);
}

/* Send what is to be asked, take up to `burst` messages of what has come from each socket; with a burst of one, answers
 * only if nothing was published. */
static vesta_err_t stream_pump(stream_subscriber_t *stream, uint32_t burst, bool *progress) {
  *progress = false;
  if (stream->sub == NULL) {
    return VESTA_ERR_ACCESS;
  }
  stream_ask(stream);
  vesta_err_t err = stream_read(stream, stream->sub, stream_published, burst, progress);
  if (err == VESTA_OK && (burst > 1 || !*progress)) {
    err = stream_read(stream, stream->dealer, stream_answered, burst, progress);
  }
  if (err == VESTA_OK && (stream->unknown || (!*progress && stream_silent(stream)))) {
    err = VESTA_ERR_ACCESS;
  }
  if (err == VESTA_ERR_ACCESS) {
    stream->silent = !stream->unknown && stream_steady_ns() - stream->heard_ns >= STREAM_SILENCE_NS;
    stream_sockets_close(stream); /* they would keep the descriptor readable although nobody may read them */
  }
  return err;
}

/* ---- the outside ---- */

static bool stream_take(stream_subscriber_t *stream, notify_change_t *change) {
  if (!stream->roles_only) {
    return subscriber_next(stream->subscriber, change);
  }
  bool has_word = stream->has_word;
  if (has_word) {
    *change = stream->word;
    stream->has_word = false;
  }
  return has_word;
}

/* A call hands out nothing. Is the descriptor readable until the next one? */
static void stream_leave(stream_subscriber_t *stream, vesta_err_t err) {
  if (err == VESTA_ERR_TRY_AGAIN || err == VESTA_ERR_ACCESS) {
    stream_lower(stream);
    stream_arm(stream);
  } else {
    stream_raise(stream);
  }
}

/* Is what comes next a hash? Then it is taken. */
static bool stream_take_hash(stream_subscriber_t *stream, notify_change_t *change) {
  uint32_t kind;
  return !stream->roles_only && subscriber_peek(stream->subscriber, &kind) && kind == NOTIFY_HASH &&
         subscriber_next(stream->subscriber, change);
}

vesta_err_t stream_subscriber_next_hash(stream_subscriber_t *stream, notify_change_t *change) {
  bool progress = true;
  uint32_t kind;
  while (!stream_take_hash(stream, change)) {
    bool waits = subscriber_peek(stream->subscriber, &kind);
    vesta_err_t err = waits ? VESTA_ERR_CHANGED : progress ? stream_pump(stream, 1, &progress) : VESTA_ERR_TRY_AGAIN;
    if (err != VESTA_OK) {
      stream_leave(stream, err);
      return err;
    }
  }
  stream_raise(stream);
  return VESTA_OK;
}

void stream_subscriber_want_hash(stream_subscriber_t *stream) {
  subscriber_want_hash(stream->subscriber, stream_steady_ns());
  stream_raise(stream); /* whoever polls comes by, and it is asked for */
}

vesta_err_t stream_subscriber_hash_refusal(const stream_subscriber_t *stream) {
  return subscriber_hash_refusal(stream->subscriber);
}

void stream_subscriber_resync(stream_subscriber_t *stream) {
  subscriber_resync(stream->subscriber);
  stream_raise(stream);
}

/* Who wants to be spared what it is too slow for must not let it pile up in the sockets, where nobody can tell: it is
 * taken in at each call, and finds no room. What goes wrong here goes wrong again when nothing is left to hand out. */
static void stream_take_in(stream_subscriber_t *stream) {
  bool progress = true;
  for (uint32_t pumps = 0; progress && pumps < STREAM_PUMPS_MAX; pumps++) {
    progress = stream_pump(stream, STREAM_BURST, &progress) == VESTA_OK && progress;
  }
}

vesta_err_t stream_subscriber_next(stream_subscriber_t *stream, notify_change_t *change) {
  bool progress = true;
  uint32_t burst = 1; /* a change that has come is handed out before more are looked for */
  uint32_t pumps = 0;
  stream->unread = false;
  if (stream->coalesce && !stream->roles_only) {
    stream_take_in(stream);
  }
  while (!stream_take(stream, change)) {
    vesta_err_t err = progress ? stream_pump(stream, burst, &progress) : VESTA_ERR_TRY_AGAIN;
    burst = STREAM_BURST;
    if (err == VESTA_OK && progress && ++pumps == STREAM_PUMPS_MAX) {
      stream->unread = true;
      err = VESTA_ERR_BUSY;
    }
    if (err != VESTA_OK) {
      stream_leave(stream, err);
      return err;
    }
  }
  stream_raise(stream); /* there may be more */
  return VESTA_OK;
}

void stream_subscriber_follow_roles(stream_subscriber_t *stream, bool roles_only) {
  if (roles_only == stream->roles_only) {
    return;
  }
  int64_t now_ns = stream_steady_ns();
  stream->roles_only = roles_only;
  stream->has_word = false;
  stream->unheard = true;
  stream->heard_ns = now_ns;
  if (roles_only) {
    subscriber_status_t status;
    subscriber_status(stream->subscriber, &status);
    stream->epoch_seen = status.handed_out.epoch;
  } else {
    subscriber_resubscribed(stream->subscriber, stream->token, now_ns);
  }
  if (stream->sub != NULL && (!stream_topic_set(stream, ZMQ_SUBSCRIBE, roles_only) ||
                              !stream_topic_set(stream, ZMQ_UNSUBSCRIBE, !roles_only))) {
    stream_sockets_close(stream); /* renewed by the next call */
  }
  stream_raise(stream);
}

vesta_err_t stream_subscriber_renew(stream_subscriber_t *stream, vesta_token_t token, vesta_bytes_t endpoints,
                                    const stream_curve_t *curve) {
  stream_sockets_close(stream);
  vesta_err_t err = stream_sockets_open(stream, endpoints, curve);
  if (err == VESTA_OK) {
    stream->unknown = stream->silent = false;
    stream->token = token;
    stream->unheard = true;
    stream->heard_ns = stream_steady_ns();
    if (!stream->roles_only) {
      subscriber_resubscribed(stream->subscriber, token, stream->heard_ns);
    }
    stream_raise(stream);
  }
  return err;
}

bool stream_subscriber_silent(const stream_subscriber_t *stream) { return stream->sub == NULL && stream->silent; }

/* Afterwards both sockets have to be read before they are waited for: the next call does that. */
bool stream_subscriber_post(stream_subscriber_t *stream, const wire_message_t *message) {
  size_t size;
  if (stream->dealer == NULL) {
    return false;
  }
  VESTA_ASSERT(wire_encode(message, stream->request, sizeof stream->request, &size) == VESTA_OK);
  if (message->state == WIRE_PROGRESS_STREAM_END) {
    int linger = STREAM_GOODBYE_MS;
    VESTA_ASSERT(zmq_setsockopt(stream->dealer, ZMQ_LINGER, &linger, sizeof linger) == 0);
  }
  stream->unread = true;
  stream_raise(stream);
  return zmq_send(stream->dealer, stream->request, size, ZMQ_DONTWAIT) >= 0;
}

void stream_subscriber_gone(stream_subscriber_t *stream) {
  subscriber_gone(stream->subscriber);
  stream_raise(stream);
}

void stream_subscriber_status(stream_subscriber_t *stream, bool take_in, subscriber_status_t *status,
                              int64_t *heard_ns) {
  bool progress = take_in, took = false;
  vesta_err_t err = VESTA_OK;
  subscriber_status(stream->subscriber, status);
  while (err == VESTA_OK && progress && status->held_bytes < stream->buffer_bytes / 2 && !stream->has_word) {
    err = stream_pump(stream, STREAM_BURST, &progress);
    took = took || progress;
    subscriber_status(stream->subscriber, status);
  }
  if (took || err != VESTA_OK) {
    stream_raise(stream); /* what was taken in is not in the sockets any more */
  } else if (take_in) {
    stream_arm(stream);
  }
  status->malformed += stream->malformed;
  status->synced = status->synced && stream->sub != NULL && !stream->unheard;
  *heard_ns = stream->heard_ns;
}

vesta_err_t stream_subscriber_open(const subscriber_config_t *config, vesta_bytes_t endpoints,
                                   const stream_curve_t *curve, stream_subscriber_t **out) {
  stream_subscriber_t *stream = calloc(1, sizeof *stream);
  if (stream == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  *stream = (stream_subscriber_t){.checkpoint_id = config->checkpoint_id,
                                  .buffer_bytes =
                                      config->buffer_bytes == 0 ? VESTA_SUBSCRIBER_BUFFER_BYTES : config->buffer_bytes,
                                  .token = config->token,
                                  .keys_only = config->keys_only,
                                  .coalesce = config->coalesce,
                                  .sub_fd = -1,
                                  .dealer_fd = -1,
                                  .epoll_fd = -1,
                                  .event_fd = -1,
                                  .timer_fd = -1,
                                  .unheard = true,
                                  .heard_ns = stream_steady_ns(),
                                  .owner_wake_ns = INT64_MAX,
                                  .armed_ns = INT64_MAX};
  vesta_err_t err = stream_context_acquire(&stream->context);
  stream->generation = stream_context_generation();
  if (err != VESTA_OK) {
    free(stream);
    return err;
  }
  stream->decoder = wire_decoder_new();
  err = stream->decoder == NULL ? VESTA_ERR_NO_MEMORY : subscriber_new(config, stream->heard_ns, &stream->subscriber);
  if (err != VESTA_OK) {
    goto out;
  }
  stream->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  stream->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  stream->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  if (stream->epoll_fd < 0 || stream->event_fd < 0 || stream->timer_fd < 0 || !stream_watch(stream, stream->event_fd) ||
      !stream_watch(stream, stream->timer_fd)) {
    err = VESTA_ERR_NO_RESOURCES;
    goto out;
  }
  err = stream_sockets_open(stream, endpoints, curve);
out:
  if (err == VESTA_OK) {
    *out = stream;
  } else {
    stream_subscriber_close(&stream);
  }
  return err;
}

static void stream_fd_close(int fd) {
  if (fd >= 0) {
    (void)close(fd);
  }
}

void stream_subscriber_close(stream_subscriber_t **stream) {
  stream_subscriber_t *gone = *stream;
  if (gone == NULL) {
    return;
  }
  *stream = NULL;
  if (stream_subscriber_mine(gone)) {
    stream_sockets_close(gone);
    stream_context_release();
  }
  stream_fd_close(gone->epoll_fd);
  stream_fd_close(gone->event_fd);
  stream_fd_close(gone->timer_fd);
  subscriber_destroy(&gone->subscriber);
  wire_decoder_destroy(&gone->decoder);
  free(gone);
}
