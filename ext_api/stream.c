/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vesta_stream_...: the subscriber of notify/zmq, opened and kept alive over the agent link of a checkpoint handle.
 *
 * The agent link gives three things: the token and endpoints to subscribe with (STREAM); new ones when the
 * service was silent or does not know the token any more; and the session itself. Somebody who only follows makes
 * no calls, so the stream says now and then that it is there, which finds out that the link is broken, and brings it back.
 *
 * On a machine without a service there is no agent link: what it gives is asked of the service itself, over TCP
 * (notify/zmq/stream_remote.h), and so is said how far the stream is.
 */
#include "ext_api/stream.h"

#include "notify/zmq/stream_remote.h"
#include "notify/zmq/stream_subscriber.h"
#include "saf_api/agent_extension.h"

#include <assert.h>
#include <stdlib.h>

#define STREAM_OPEN_TIMEOUT_NS (10 * SA_TIME_ONE_SECOND)
#define STREAM_RENEW_TIMEOUT_NS (50 * SA_TIME_ONE_MILLISECOND) /* for an answer in the middle of ..._next() */
#define STREAM_RENEW_AGAIN_NS (200 * SA_TIME_ONE_MILLISECOND)
#define STREAM_TELL_NS SA_TIME_ONE_SECOND
#define STREAM_TELL_EARLY_NS (100 * SA_TIME_ONE_MILLISECOND) /* while there is no position to tell */
#define STREAM_BUFFER_BYTES_MIN (64U << 10)
#define STREAM_KINDS \
  (VESTA_KIND_BIT(VESTA_CHANGE_EPOCH + 1) - VESTA_KIND_BIT(VESTA_CHANGE_CREATED)) /* all that happens to a checkpoint */
#define STREAM_CHANGES_BETWEEN_CLOCKS 64U

static_assert((int)VESTA_CHANGE_CREATED == (int)VESTA_KIND_CREATED, "one number for a kind of change");
static_assert((int)VESTA_CHANGE_WRITTEN == (int)VESTA_KIND_WRITTEN, "one number for a kind of change");
static_assert((int)VESTA_CHANGE_OVERWRITTEN == (int)VESTA_KIND_OVERWRITTEN, "one number for a kind of change");
static_assert((int)VESTA_CHANGE_DELETED == (int)VESTA_KIND_DELETED, "one number for a kind of change");
static_assert((int)VESTA_CHANGE_EXPIRED == (int)VESTA_KIND_EXPIRED, "one number for a kind of change");
static_assert((int)VESTA_CHANGE_EXPIRY_SET == (int)VESTA_KIND_EXPIRY_SET, "one number for a kind of change");
static_assert((int)VESTA_CHANGE_UNLINKED == (int)VESTA_KIND_UNLINKED, "one number for a kind of change");
static_assert((int)VESTA_CHANGE_RETENTION_SET == (int)VESTA_KIND_RETENTION_SET, "one number for a kind of change");
static_assert((int)VESTA_CHANGE_EPOCH == (int)VESTA_KIND_EPOCH, "one number for a kind of change");
static_assert((int)VESTA_CHANGE_SYNCED == (int)NOTIFY_SYNCED, "one number for a word of the stream");
static_assert((int)VESTA_CHANGE_LOST == (int)NOTIFY_LOST, "one number for a word of the stream");
static_assert((int)VESTA_CHANGE_RESYNC_BEGIN == (int)NOTIFY_RESYNC_BEGIN, "one number for a word of the stream");
static_assert((int)VESTA_CHANGE_RESYNC_END == (int)NOTIFY_RESYNC_END, "one number for a word of the stream");
static_assert((int)VESTA_CHANGE_GONE == (int)NOTIFY_GONE, "one number for a word of the stream");
static_assert((int)VESTA_CHANGE_COALESCED == (int)NOTIFY_COALESCED, "one number for a word of the stream");
static_assert(VESTA_PREFIXES_MAX == VESTA_STREAM_PREFIXES_MAX, "what is promised is what the service takes");
static_assert(VESTA_SERVERS_MAX == VESTA_STREAM_SERVERS_MAX, "what is promised is what is taken");
static_assert(SA_TIME_END == INT64_MAX && SA_TIME_END == VESTA_TIME_END, "never is never");

struct vesta_stream {
  SaCkptCheckpointHandleT checkpoint; /* of no use when there is: */
  stream_remote_t *remote;            /* NULL: the service is here */
  uint64_t handle;                    /* what the stream is known by there */
  uint64_t id;                        /* the checkpoint's */
  stream_subscriber_t *subscriber;
  SaAisErrorT over; /* SA_AIS_OK while it goes on; else what every call returns from now on */
  int64_t renew_ns; /* the service is not asked for the subscription again before that */
  bool renewing;    /* ... and it is to be asked then */
  int64_t owner_wake_ns;
  int64_t drained_ns;
  bool roles_only; /* changes are not taken: how far it is says nothing */
  uint64_t number; /* what the service lists it by; 0: it does not */
  int64_t tell_ns; /* when to say how far it is */
  uint32_t taken;  /* changes since the clock was read */
};

bool reserved_is_zero(const SaUint64T *reserved, size_t count) {
  SaUint64T all = 0;
  for (size_t i = 0; i < count; i++) {
    all |= reserved[i];
  }
  return all == 0;
}

int64_t stream_deadline_ns(SaTimeT timeout) {
  if (timeout == 0 || timeout == SA_TIME_END) {
    return timeout;
  }
  int64_t now_ns = stream_steady_ns();
  return timeout < INT64_MAX - now_ns ? now_ns + timeout : INT64_MAX;
}

bool stream_mine(const vesta_stream_t *stream) { return stream_subscriber_mine(stream->subscriber); }

/* ---- the form of the API ---- */

vesta_position_t stream_public_position(vesta_pos_t from) {
  return (vesta_position_t){.lineage = from.lineage, .epoch = from.epoch, .seq = from.seq};
}

static vesta_lost_reason_t stream_lost_reason(uint32_t reason) {
  return reason == VESTA_ERR_DIVERGED    ? VESTA_LOST_DIVERGED
         : reason == VESTA_ERR_TIMEOUT   ? VESTA_LOST_SILENCE
         : reason == VESTA_ERR_TOO_LARGE ? VESTA_LOST_OVERFLOW
         : reason == VESTA_ERR_MALFORMED ? VESTA_LOST_CORRUPT
                                         : VESTA_LOST_HISTORY;
}

void stream_change(const notify_change_t *from, vesta_change_t *to) {
  memset(to, 0, sizeof *to);
  to->kind = (vesta_change_kind_t)from->kind;
  to->resync = from->resync ? SA_TRUE : SA_FALSE;
  to->full = from->full ? SA_TRUE : SA_FALSE;
  to->position = stream_public_position(from->position);
  if (from->kind == NOTIFY_LOST) {
    to->reason = stream_lost_reason(from->reason);
  }
  if (from->kind == NOTIFY_LOST || from->kind == NOTIFY_RESYNC_BEGIN || from->kind == NOTIFY_COALESCED) {
    to->from = stream_public_position(from->from);
  }
  to->index = from->index;
  to->count = from->count;
  to->id.idLen = (SaUint16T)from->id.size;
  to->id.id = (SaUint8T *)from->id.data; /* the standard's type has no const */
  to->offset = from->offset;
  to->data = from->data.size == 0 ? NULL : from->data.data; /* NULL as well when only keys are wanted */
  to->size = from->data.size;
  to->expiry = from->expiry_ns;
  to->time = from->time_ns;
  to->member = from->member;
}

/* ---- the service ---- */

/* What a stream is begun with. */
typedef struct stream_offer {
  vesta_token_t token;
  uint64_t checkpoint, handle, number;
  vesta_bytes_t endpoints;
  const stream_curve_t *curve;
  vesta_agent_reply_t reply; /* what these point into */
} stream_offer_t;

static SaAisErrorT stream_ask_agent(SaCkptCheckpointHandleT checkpoint, uint64_t number, SaTimeT timeout,
                                    stream_offer_t *offer) {
  wire_message_t request = {.kind = WIRE_STREAM, .member = number};
  vesta_agent_reply_t reply = {0};
  SaAisErrorT error = vesta_agent_call(checkpoint, &request, vesta_bytes(NULL, 0), timeout, &reply, NULL);
  if (error == SA_AIS_OK) {
    *offer = (stream_offer_t){.token = wire_token(&reply.message),
                              .checkpoint = reply.message.checkpoint,
                              .number = reply.message.member,
                              .endpoints = reply.message.text,
                              .reply = reply};
  }
  return error;
}

static SaAisErrorT stream_ask_remote(stream_remote_t *remote, uint64_t number, SaTimeT timeout, stream_offer_t *offer) {
  stream_remote_answer_t answer;
  vesta_err_t err = stream_remote_ask(remote, number, stream_steady_ns() + timeout, &answer);
  switch (err) {
    case VESTA_ERR_OK:
      *offer = (stream_offer_t){.token = answer.token,
                                .checkpoint = answer.checkpoint,
                                .handle = answer.handle,
                                .number = answer.member,
                                .endpoints = answer.endpoints,
                                .curve = answer.curve};
      return SA_AIS_OK;
    case VESTA_ERR_UNAVAILABLE: return SA_AIS_ERR_TRY_AGAIN;
    case VESTA_ERR_DENIED: return SA_AIS_ERR_FAILED_OPERATION;
    default: return vesta_agent_error(err);
  }
}

/* `number` is what it was listed by before; 0: it is a new one. */
static SaAisErrorT stream_ask(SaCkptCheckpointHandleT checkpoint, stream_remote_t *remote, uint64_t number,
                              SaTimeT timeout, stream_offer_t *offer) {
  return remote != NULL ? stream_ask_remote(remote, number, timeout, offer)
                        : stream_ask_agent(checkpoint, number, timeout, offer);
}

/* Something that has no answer. SA_AIS_ERR_TRY_AGAIN: it could not be said. */
static SaAisErrorT stream_post(const vesta_stream_t *stream, const wire_message_t *progress) {
  if (stream->remote == NULL) {
    return vesta_agent_post(stream->checkpoint, progress);
  }
  wire_message_t message = *progress;
  message.handle = stream->handle;
  return stream_subscriber_post(stream->subscriber, &message) ? SA_AIS_OK : SA_AIS_ERR_TRY_AGAIN;
}

static void stream_wake_set(vesta_stream_t *stream) {
  bool sooner = stream->renewing && stream->renew_ns < stream->owner_wake_ns;
  stream_subscriber_wake_at(stream->subscriber, sooner ? stream->renew_ns : stream->owner_wake_ns);
}

void stream_wake_at(vesta_stream_t *stream, int64_t steady_ns) {
  stream->owner_wake_ns = steady_ns;
  stream_wake_set(stream);
}

/* Errors that will not go away by asking again. */
static bool stream_is_over(SaAisErrorT error) {
  return error == SA_AIS_ERR_BAD_HANDLE || error == SA_AIS_ERR_ACCESS || error == SA_AIS_ERR_VERSION ||
         error == SA_AIS_ERR_NOT_EXIST;
}

static SaAisErrorT stream_renew_now(vesta_stream_t *stream) {
  stream_offer_t offer;
  SaAisErrorT error = stream_ask(stream->checkpoint, stream->remote, stream->number, STREAM_RENEW_TIMEOUT_NS, &offer);
  if (stream->remote != NULL && error == SA_AIS_OK &&
      offer.checkpoint != stream->id) { /* another one has its name now */
    error = SA_AIS_ERR_NOT_EXIST;
  }
  if (error == SA_AIS_OK) {
    stream->number = offer.number;
    stream->handle = offer.handle;
    vesta_err_t err = stream_subscriber_renew(stream->subscriber, offer.token, offer.endpoints, offer.curve);
    error = err == VESTA_OK ? SA_AIS_OK : vesta_agent_error(err);
    vesta_agent_reply_free(&offer.reply);
  }
  if (stream->remote != NULL && error == SA_AIS_ERR_NOT_EXIST) { /* nobody had it open here, so it could go */
    stream_subscriber_gone(stream->subscriber);
    return SA_AIS_OK;
  }
  /* Who stands in for the service, without its key, does not end anything. */
  return stream->remote != NULL && error == SA_AIS_ERR_FAILED_OPERATION ? SA_AIS_ERR_TRY_AGAIN : error;
}

/* The subscription must be made anew. SA_AIS_ERR_TIMEOUT: not yet, the stream will wake up for it. */
static SaAisErrorT stream_renew(vesta_stream_t *stream) {
  SaAisErrorT error = SA_AIS_ERR_TIMEOUT;
  if (stream->remote != NULL && !stream->renewing && stream_subscriber_silent(stream->subscriber)) {
    stream_remote_pass_over(stream->remote); /* it may answer, and say nothing */
  }
  if (stream_steady_ns() >= stream->renew_ns) {
    error = stream_renew_now(stream);
    stream->renew_ns = stream_steady_ns() + STREAM_RENEW_AGAIN_NS;
  }
  if (stream_is_over(error)) {
    stream->over = error;
    return error;
  }
  stream->renewing = error != SA_AIS_OK;
  stream_wake_set(stream);
  return error == SA_AIS_ERR_TRY_AGAIN ? SA_AIS_ERR_TIMEOUT : error;
}

bool stream_tell(vesta_stream_t *stream, const wire_message_t *progress) {
  SaAisErrorT error = stream_post(stream, progress);
  if (error == SA_AIS_ERR_TRY_AGAIN && stream->remote == NULL && stream_steady_ns() >= stream->renew_ns) {
    stream_offer_t offer;
    if (stream_ask(stream->checkpoint, NULL, stream->number, STREAM_RENEW_TIMEOUT_NS, &offer) == SA_AIS_OK) {
      stream->number = offer.number;
      vesta_agent_reply_free(&offer.reply);
    } else {
      stream->renew_ns = stream_steady_ns() + STREAM_RENEW_AGAIN_NS;
    }
  }
  return error == SA_AIS_OK;
}

/* That it is there, and how far its application was given changes, for people to see. What a member has applied is
 * another matter: its pair says that. */
static void stream_tell_sometimes(vesta_stream_t *stream, int64_t now_ns) {
  if (now_ns < stream->tell_ns) {
    return;
  }
  stream_standing_t standing;
  stream_standing(stream, false, &standing);
  vesta_pos_t position = stream->roles_only ? (vesta_pos_t){0} : standing.subscriber.handed_out;
  wire_message_t where = {.kind = WIRE_PROGRESS, .state = WIRE_PROGRESS_ALIVE};
  bool early = position.epoch == 0 && !stream->roles_only;
  stream->tell_ns = now_ns + (early ? STREAM_TELL_EARLY_NS : STREAM_TELL_NS);
  if (stream->number != 0) {
    where.state = WIRE_PROGRESS_STREAM;
    where.member = stream->number;
    wire_pos_set(&where, position);
  }
  (void)stream_tell(stream, &where);
}

/* It is not listed any longer. Should the link be broken, it is until its handle is closed. */
static void stream_tell_end(const vesta_stream_t *stream) {
  if (stream_mine(stream) && (stream->number != 0 || stream->remote != NULL)) {
    wire_message_t end = {.kind = WIRE_PROGRESS, .state = WIRE_PROGRESS_STREAM_END, .member = stream->number};
    (void)stream_post(stream, &end);
  }
}

/* ---- taking changes ---- */

static SaAisErrorT stream_taken(vesta_stream_t *stream, const notify_change_t *change) {
  if (change->kind == NOTIFY_GONE) {
    stream->over = SA_AIS_ERR_NOT_EXIST;
  }
  if (++stream->taken >= STREAM_CHANGES_BETWEEN_CLOCKS) {
    stream->taken = 0;
    stream_tell_sometimes(stream, stream_steady_ns());
  }
  return SA_AIS_OK;
}

typedef vesta_err_t stream_taker_t(stream_subscriber_t *subscriber, notify_change_t *change);

static SaAisErrorT stream_take(vesta_stream_t *stream, stream_taker_t *take, notify_change_t *change) {
  if (!stream_mine(stream)) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  if (stream->over != SA_AIS_OK) {
    return stream->over;
  }
  vesta_err_t err;
  while ((err = take(stream->subscriber, change)) == VESTA_ERR_ACCESS) {
    SaAisErrorT error = stream_renew(stream);
    if (error != SA_AIS_OK) {
      return error;
    }
  }
  if (err == VESTA_OK) {
    return stream_taken(stream, change);
  }
  if (err == VESTA_ERR_TRY_AGAIN || err == VESTA_ERR_BUSY) {
    int64_t now_ns = stream_steady_ns();
    stream->drained_ns = err == VESTA_ERR_TRY_AGAIN ? now_ns : stream->drained_ns;
    stream->taken = 0;
    stream_tell_sometimes(stream, now_ns);
    return SA_AIS_ERR_TIMEOUT;
  }
  return err == VESTA_ERR_CHANGED ? SA_AIS_ERR_TRY_AGAIN : vesta_agent_error(err);
}

SaAisErrorT stream_try(vesta_stream_t *stream, notify_change_t *change) {
  return stream_take(stream, stream_subscriber_next, change);
}

SaAisErrorT stream_try_hash(vesta_stream_t *stream, notify_change_t *change) {
  return stream_take(stream, stream_subscriber_next_hash, change);
}

void stream_want_hash(vesta_stream_t *stream) { stream_subscriber_want_hash(stream->subscriber); }

SaAisErrorT stream_hash_refusal(const vesta_stream_t *stream) {
  vesta_err_t err = stream_subscriber_hash_refusal(stream->subscriber);
  return err == VESTA_OK ? SA_AIS_OK : vesta_agent_error(err);
}

void stream_resync(vesta_stream_t *stream) { stream_subscriber_resync(stream->subscriber); }

bool stream_wait(vesta_stream_t *stream, int64_t deadline_ns) {
  if (deadline_ns == 0 || (deadline_ns != INT64_MAX && stream_steady_ns() >= deadline_ns)) {
    return false;
  }
  stream_subscriber_wait(stream->subscriber, deadline_ns);
  return true;
}

void stream_more(vesta_stream_t *stream) { stream_subscriber_more(stream->subscriber); }

void stream_follow_roles(vesta_stream_t *stream, bool roles_only) {
  if (stream->roles_only != roles_only) {
    stream->roles_only = roles_only;
    stream->tell_ns = 0; /* what was told does not hold any longer */
  }
  stream_subscriber_follow_roles(stream->subscriber, roles_only);
}

bool stream_follows_roles(const vesta_stream_t *stream) { return stream->roles_only; }

void stream_standing(vesta_stream_t *stream, bool take_in, stream_standing_t *standing) {
  stream_subscriber_status(stream->subscriber, take_in, &standing->subscriber, &standing->heard_ns);
  standing->drained_ns = stream->drained_ns;
}

/* ---- the API ---- */

static bool stream_prefixes_valid(const vesta_stream_options_t *options) {
  if (options->prefix_count > VESTA_PREFIXES_MAX || (options->prefix_count != 0 && options->prefixes == NULL)) {
    return false;
  }
  for (SaUint32T i = 0; i < options->prefix_count; i++) {
    const SaCkptSectionIdT *prefix = &options->prefixes[i];
    if (prefix->id == NULL || prefix->idLen == 0 || prefix->idLen > VESTA_SECTION_ID_BYTES_MAX) {
      return false;
    }
  }
  return true;
}

static bool stream_options_valid(const vesta_stream_options_t *options) {
  bool from_valid =
      options->from == VESTA_FROM_SNAPSHOT || options->from == VESTA_FROM_NOW || options->from == VESTA_FROM_POSITION;
  bool slow_valid = options->when_slow == VESTA_WHEN_SLOW_RESYNC || options->when_slow == VESTA_WHEN_SLOW_COALESCE;
  bool buffer_valid = options->buffer_bytes == 0 || options->buffer_bytes >= STREAM_BUFFER_BYTES_MIN;
  return from_valid && slow_valid && buffer_valid && (options->kinds & ~STREAM_KINDS) == 0 &&
         (options->keys_only == SA_FALSE || options->keys_only == SA_TRUE) && stream_prefixes_valid(options) &&
         RESERVED_IS_ZERO(options);
}

/* `prefixes` is room for VESTA_PREFIXES_MAX of them. */
static subscriber_config_t stream_config(const vesta_stream_options_t *options, const stream_offer_t *offer,
                                         wire_element_t *prefixes) {
  subscriber_config_t config = {.checkpoint_id = offer->checkpoint,
                                .token = offer->token,
                                .start = SUBSCRIBER_FROM_SNAPSHOT,
                                .buffer_bytes = options->buffer_bytes,
                                .keys_only = options->keys_only == SA_TRUE,
                                .coalesce = options->when_slow == VESTA_WHEN_SLOW_COALESCE,
                                .kinds = options->kinds,
                                .prefixes = prefixes,
                                .prefix_count = options->prefix_count};
  for (SaUint32T i = 0; i < options->prefix_count; i++) {
    prefixes[i] = (wire_element_t){.id = vesta_bytes(options->prefixes[i].id, options->prefixes[i].idLen)};
  }
  if (options->from == VESTA_FROM_NOW) {
    config.start = SUBSCRIBER_FROM_NOW;
  } else if (options->from == VESTA_FROM_POSITION && options->position.lineage != 0) {
    config.start = SUBSCRIBER_FROM_POSITION;
    config.position = (vesta_pos_t){
        .lineage = options->position.lineage, .epoch = options->position.epoch, .seq = options->position.seq};
  }
  return config;
}

/* `remote` is the stream's when this succeeds. */
static SaAisErrorT stream_open(SaCkptCheckpointHandleT checkpoint, stream_remote_t *remote,
                               const vesta_stream_options_t *options, vesta_stream_t **stream) {
  stream_offer_t offer;
  SaAisErrorT error = stream_ask(checkpoint, remote, 0, STREAM_OPEN_TIMEOUT_NS, &offer);
  if (error != SA_AIS_OK) {
    return error;
  }
  vesta_stream_t *made = calloc(1, sizeof *made);
  vesta_err_t err = VESTA_ERR_NO_MEMORY;
  if (made != NULL) {
    int64_t now_ns = stream_steady_ns();
    *made = (vesta_stream_t){.checkpoint = checkpoint,
                             .remote = remote,
                             .handle = offer.handle,
                             .id = offer.checkpoint,
                             .over = SA_AIS_OK,
                             .owner_wake_ns = INT64_MAX,
                             .drained_ns = now_ns,
                             .number = offer.number,
                             .tell_ns = now_ns};
    wire_element_t prefixes[VESTA_PREFIXES_MAX];
    subscriber_config_t config = stream_config(options, &offer, prefixes);
    err = stream_subscriber_open(&config, offer.endpoints, offer.curve, &made->subscriber);
  }
  vesta_agent_reply_free(&offer.reply);
  if (err != VESTA_OK) {
    free(made);
    return vesta_agent_error(err);
  }
  *stream = made;
  return SA_AIS_OK;
}

SaAisErrorT vesta_stream_open(SaCkptCheckpointHandleT checkpoint, const vesta_stream_options_t *options,
                              vesta_stream_t **stream) {
  static const vesta_stream_options_t defaults;
  options = options == NULL ? &defaults : options;
  if (stream == NULL || !stream_options_valid(options)) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  return stream_open(checkpoint, NULL, options, stream);
}

/* ---- another machine's ---- */

static const char *server_text(const char *given, const char *variable) {
  const char *text = given != NULL ? given : secure_getenv(variable);
  return text == NULL || text[0] == '\0' ? NULL : text;
}

/* INVALID_PARAM also when what `server` and the environment say does not make a whole. */
static vesta_err_t server_open(const vesta_server_t *server, const char *checkpoint, stream_remote_t **remote) {
  static const vesta_server_t nothing;
  server = server == NULL ? &nothing : server;
  const char *insecure = server_text(NULL, "VESTA_STREAM_INSECURE");
  stream_remote_config_t config = {.servers = server_text(server->endpoints, "VESTA_STREAM_SERVER"),
                                   .server_keys = server_text(server->server_keys, "VESTA_STREAM_SERVER_KEY"),
                                   .key = server_text(server->key, "VESTA_STREAM_KEY"),
                                   .name = vesta_bytes(checkpoint, strlen(checkpoint))};
  bool open = server->insecure == SA_TRUE || (insecure != NULL && strcmp(insecure, "1") == 0);
  bool keys = config.server_keys != NULL && config.key != NULL;
  bool half = !keys && (config.server_keys != NULL || config.key != NULL);
  if (config.servers == NULL || half || (!keys && !open) || !RESERVED_IS_ZERO(server) ||
      (server->insecure != SA_FALSE && server->insecure != SA_TRUE)) {
    return VESTA_ERR_INVALID_PARAM;
  }
  return stream_remote_open(&config, remote);
}

SaAisErrorT vesta_stream_open_at(const vesta_server_t *server, const char *checkpoint,
                                 const vesta_stream_options_t *options, vesta_stream_t **stream) {
  static const vesta_stream_options_t defaults;
  stream_remote_t *remote = NULL;
  options = options == NULL ? &defaults : options;
  if (stream == NULL || checkpoint == NULL || !stream_options_valid(options)) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  vesta_err_t err = server_open(server, checkpoint, &remote);
  if (err != VESTA_OK) {
    return vesta_agent_error(err);
  }
  SaAisErrorT error = stream_open(0, remote, options, stream);
  if (error != SA_AIS_OK) {
    stream_remote_close(&remote, true);
  }
  return error;
}

SaAisErrorT vesta_stream_fd(vesta_stream_t *stream, SaSelectionObjectT *fd) {
  if (stream == NULL || fd == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (!stream_mine(stream)) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  *fd = (SaSelectionObjectT)stream_subscriber_fd(stream->subscriber);
  return SA_AIS_OK;
}

SaAisErrorT vesta_stream_next(vesta_stream_t *stream, SaTimeT timeout, vesta_change_t *change) {
  if (stream == NULL || change == NULL || timeout < 0) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  int64_t deadline_ns = stream_deadline_ns(timeout);
  notify_change_t taken;
  SaAisErrorT error;
  do {
    error = stream_try(stream, &taken);
  } while (error == SA_AIS_ERR_TIMEOUT && stream_wait(stream, deadline_ns));
  if (error == SA_AIS_OK) {
    stream_change(&taken, change);
  }
  return error;
}

SaAisErrorT vesta_stream_position(vesta_stream_t *stream, vesta_position_t *position) {
  if (stream == NULL || position == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  stream_standing_t standing;
  stream_standing(stream, false, &standing);
  *position = stream_public_position(standing.subscriber.handed_out);
  return SA_AIS_OK;
}

SaAisErrorT vesta_stream_close(vesta_stream_t **stream) {
  if (stream == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (*stream != NULL) {
    stream_tell_end(*stream);
    stream_remote_close(&(*stream)->remote, stream_mine(*stream));
    stream_subscriber_close(&(*stream)->subscriber);
    free(*stream);
    *stream = NULL;
  }
  return SA_AIS_OK;
}
