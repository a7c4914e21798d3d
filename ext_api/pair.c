/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vesta_pair_...: a mirror, a membership, and the role that comes of it (member_role.h).
 *
 *   standby     follows the changes and applies them to its mirror; says how far it is (PROGRESS) at most every
 *               PAIR_PROGRESS_NS or PAIR_PROGRESS_CHANGES, and at once when somebody waits for that
 *   promoting   the same, until it has handed out everything up to its barrier; the next call of vesta_pair_next()
 *               says that the application has dealt with it: CONFIRM. The answer makes it active
 *   active      hears of roles only, its mirror stands still. When the role goes to another it follows the changes
 *               again, from where the mirror stands, and the stream resyncs what has changed since
 *
 * After each SYNCED the group is asked (JOIN again, which a member may do at any time) who has the role: a grant that
 * came while a snapshot was running is in the snapshot's position and was never seen as an operation.
 *
 * There is no polling: what is waited for is a change, the stream's own timer, or, when a call to the service
 * failed, PAIR_RETRY_NS.
 */
#include "ext_api/mirror.h"

#include "ext_api/member_role.h"
#include "notify/zmq/stream_subscriber.h"
#include "saf_api/agent_extension.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PAIR_JOIN_TIMEOUT_NS (10 * SA_TIME_ONE_SECOND)
#define PAIR_LEAVE_TIMEOUT_NS (2 * SA_TIME_ONE_SECOND)
#define PAIR_CALL_TIMEOUT_NS SA_TIME_ONE_SECOND
#define PAIR_RETRY_NS (100 * SA_TIME_ONE_MILLISECOND)
#define PAIR_PROGRESS_NS (50 * SA_TIME_ONE_MILLISECOND)
#define PAIR_PROGRESS_CHANGES 1000U
#define PAIR_SAY_AGAIN_NS SA_TIME_ONE_SECOND /* a service that was restarted does not know it any more */
#define PAIR_SAY_RETRY_NS (5 * SA_TIME_ONE_MILLISECOND)

struct vesta_pair {
  vesta_mirror_t *mirror;
  SaCkptCheckpointHandleT checkpoint;
  member_role_t role;
  bool roles_only;  /* what the stream follows; lags behind role.role only within a call */
  bool ask;         /* the group is to be asked who has the role */
  int64_t retry_ns; /* no call to the service before that; 0: at once */
  char name[VESTA_MEMBER_NAME_BYTES_MAX + 1];
  wire_message_t join; /* the request; its text is `name` */
  /* what was said last about progress */
  vesta_pos_t said;
  bool said_synced;
  int64_t said_ns;
  uint32_t unsaid_changes;
  bool awaited; /* somebody waits for what was handed out last */
};

/* ---- calls to the service ---- */

static SaAisErrorT pair_call(const vesta_pair_t *pair, const wire_message_t *request, SaTimeT timeout,
                             vesta_agent_reply_t *reply, vesta_err_t *err) {
  *err = VESTA_OK;
  return vesta_agent_call(pair->checkpoint, request, vesta_bytes(NULL, 0), timeout, reply, err);
}

/* A call failed. What can't be mended is returned; anything else is tried again a little later. */
static SaAisErrorT pair_again(vesta_pair_t *pair, SaAisErrorT error) {
  if (error == SA_AIS_ERR_BAD_HANDLE) {
    return error;
  }
  pair->ask = true;
  pair->retry_ns = stream_steady_ns() + PAIR_RETRY_NS;
  stream_wake_at(mirror_stream(pair->mirror), pair->retry_ns);
  return SA_AIS_OK;
}

static SaAisErrorT pair_ask(vesta_pair_t *pair) {
  vesta_agent_reply_t reply = {0};
  vesta_err_t err;
  SaAisErrorT error = pair_call(pair, &pair->join, PAIR_CALL_TIMEOUT_NS, &reply, &err);
  if (error != SA_AIS_OK) {
    return pair_again(pair, error);
  }
  pair->ask = false;
  member_role_answer(&pair->role, reply.message.member, reply.message.epoch, reply.message.seq, reply.message.state);
  vesta_agent_reply_free(&reply);
  return SA_AIS_OK;
}

static SaAisErrorT pair_confirm(vesta_pair_t *pair, vesta_pos_t applied) {
  wire_message_t request = {.kind = WIRE_CONFIRM, .epoch = pair->role.epoch, .seq = applied.seq};
  vesta_agent_reply_t reply = {0};
  vesta_err_t err;
  SaAisErrorT error = pair_call(pair, &request, PAIR_CALL_TIMEOUT_NS, &reply, &err);
  if (error == SA_AIS_OK) {
    vesta_agent_reply_free(&reply);
    member_role_confirmed(&pair->role);
  } else if (err == VESTA_ERR_FENCED) {
    member_role_refused(&pair->role);
    pair->ask = true;
  } else {
    return pair_again(pair, error);
  }
  return SA_AIS_OK;
}

/* The stream follows the role: an active member hears of roles only. */
static void pair_follow(vesta_pair_t *pair) {
  bool active = pair->role.role == VESTA_ROLE_ACTIVE;
  if (active != pair->roles_only) {
    pair->roles_only = active;
    stream_follow_roles(mirror_stream(pair->mirror), active);
  }
}

/* What is due with the service, all events having been told. */
static SaAisErrorT pair_act(vesta_pair_t *pair) {
  if (!pair->ask && pair->role.role != VESTA_ROLE_PROMOTING) {
    return SA_AIS_OK;
  }
  if (pair->retry_ns != 0) {
    if (stream_steady_ns() < pair->retry_ns) {
      return SA_AIS_OK;
    }
    pair->retry_ns = 0;
    stream_wake_at(mirror_stream(pair->mirror), INT64_MAX);
  }
  SaAisErrorT error = pair->ask ? pair_ask(pair) : SA_AIS_OK;
  stream_standing_t standing;
  stream_standing(mirror_stream(pair->mirror), false, &standing);
  if (error == SA_AIS_OK && pair->retry_ns == 0 && member_role_ready(&pair->role, standing.subscriber.handed_out.seq)) {
    error = pair_confirm(pair, standing.subscriber.handed_out);
  }
  pair_follow(pair);
  return error;
}

/* ---- progress ----
 * What was handed out counts as applied from the next call on, which says that the application has dealt with it. */

static void pair_say(vesta_pair_t *pair, const subscriber_status_t *status, int64_t now_ns) {
  wire_message_t progress = {.kind = WIRE_PROGRESS,
                             .state = status->synced ? WIRE_PROGRESS_SYNCED : WIRE_PROGRESS_NOT_SYNCED};
  wire_pos_set(&progress, status->handed_out);
  pair->said_ns = now_ns;
  if (stream_tell(mirror_stream(pair->mirror), &progress)) {
    pair->said = status->handed_out;
    pair->said_synced = status->synced;
    pair->unsaid_changes = 0;
    pair->awaited = false;
  }
}

static void pair_progress(vesta_pair_t *pair) {
  if (pair->roles_only) {
    return;
  }
  stream_standing_t standing;
  stream_standing(mirror_stream(pair->mirror), false, &standing);
  const subscriber_status_t *status = &standing.subscriber;
  int64_t now_ns = stream_steady_ns();
  bool moved = !vesta_pos_equal(status->handed_out, pair->said);
  bool much = pair->unsaid_changes >= PAIR_PROGRESS_CHANGES || now_ns - pair->said_ns >= PAIR_PROGRESS_NS;
  bool again = now_ns - pair->said_ns >= PAIR_SAY_AGAIN_NS;
  if (status->synced != pair->said_synced || (moved && (much || pair->awaited)) || again) {
    pair_say(pair, status, now_ns);
    moved = !vesta_pos_equal(status->handed_out, pair->said);
  }
  if (pair->retry_ns == 0) {
    int64_t pause_ns = pair->awaited ? PAIR_SAY_RETRY_NS : PAIR_PROGRESS_NS;
    stream_wake_at(mirror_stream(pair->mirror), moved ? pair->said_ns + pause_ns : INT64_MAX);
  }
}

/* ---- events ---- */

/* True: the change is for the application as well. */
static bool pair_observe(vesta_pair_t *pair, const notify_change_t *change) {
  bool in_roles = pair->roles_only;
  if (change->kind == VESTA_KIND_EPOCH) {
    member_role_operation(&pair->role, change->position.epoch, change->member, change->position.seq);
  } else if (change->kind == NOTIFY_SYNCED || (in_roles && change->kind == NOTIFY_LOST)) {
    pair->ask = true;
  }
  pair_follow(pair);
  pair->unsaid_changes++;
  pair->awaited = pair->awaited || change->awaited;
  return !in_roles || change->kind == NOTIFY_GONE;
}

/* The next change that the application is to see. */
static SaAisErrorT pair_try(vesta_pair_t *pair, notify_change_t *change, bool *to_tell) {
  SaAisErrorT error =
      pair->roles_only ? stream_try(mirror_stream(pair->mirror), change) : mirror_try(pair->mirror, change);
  *to_tell = error == SA_AIS_OK && pair_observe(pair, change);
  return error;
}

static bool pair_role_event(vesta_pair_t *pair, vesta_event_t *event) {
  member_role_event_t told;
  if (!member_role_next(&pair->role, &told)) {
    return false;
  }
  memset(event, 0, sizeof *event);
  stream_more(mirror_stream(pair->mirror)); /* what follows a role event is not a message that would wake anybody */
  event->kind = VESTA_EVENT_ROLE;
  event->role = told.role;
  event->reason = told.reason;
  if (told.role == VESTA_ROLE_PROMOTING || told.role == VESTA_ROLE_ACTIVE) {
    event->role_epoch = told.epoch;
  }
  if (told.role == VESTA_ROLE_ACTIVE) {
    event->result = VESTA_PROMOTION_SYNCED;
  }
  return true;
}

SaAisErrorT vesta_pair_next(vesta_pair_t *pair, SaTimeT timeout, vesta_event_t *event) {
  if (pair == NULL || event == NULL || timeout < 0) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (!stream_mine(mirror_stream(pair->mirror))) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  int64_t deadline_ns = stream_deadline_ns(timeout);
  for (;;) {
    if (pair->awaited || pair->unsaid_changes >= PAIR_PROGRESS_CHANGES) {
      pair_progress(pair);
    }
    if (pair_role_event(pair, event)) {
      return SA_AIS_OK;
    }
    vesta_role_t role = pair->role.role;
    notify_change_t change;
    bool to_tell = false;
    SaAisErrorT error = pair_act(pair);
    if (error == SA_AIS_OK && pair->role.event_count == 0) {
      error = pair_try(pair, &change, &to_tell);
    }
    if (to_tell) {
      memset(event, 0, sizeof *event);
      event->kind = VESTA_EVENT_CHANGE;
      event->role = role;
      stream_change(&change, &event->change);
      return SA_AIS_OK;
    }
    if (error == SA_AIS_ERR_TIMEOUT) {
      pair_progress(pair);
      if (!stream_wait(mirror_stream(pair->mirror), deadline_ns)) {
        return SA_AIS_ERR_TIMEOUT;
      }
    } else if (error != SA_AIS_OK) {
      return error;
    }
  }
}

/* ---- life ---- */

static bool pair_options_valid(const vesta_pair_options_t *options) {
  size_t name_size = options->name == NULL ? 1 : strnlen(options->name, VESTA_MEMBER_NAME_BYTES_MAX + 1);
  return name_size > 0 && name_size <= VESTA_MEMBER_NAME_BYTES_MAX && options->promote_timeout >= 0 &&
         (options->unfenced == SA_FALSE || options->unfenced == SA_TRUE) &&
         (options->require_synced == SA_FALSE || options->require_synced == SA_TRUE) && RESERVED_IS_ZERO(options);
}

static void pair_join_fill(vesta_pair_t *pair, const vesta_pair_options_t *options) {
  if (options->name != NULL) {
    (void)snprintf(pair->name, sizeof pair->name, "%s", options->name);
  } else {
    (void)snprintf(pair->name, sizeof pair->name, "%.48s.%ld", program_invocation_short_name, (long)getpid());
  }
  pair->join = (wire_message_t){.kind = WIRE_JOIN,
                                .text = vesta_bytes(pair->name, strlen(pair->name)),
                                .priority = options->priority,
                                .flags = (options->unfenced == SA_TRUE ? 0U : WIRE_JOIN_FENCE) |
                                         (options->require_synced == SA_TRUE ? WIRE_JOIN_REQUIRE_SYNCED : 0U),
                                .timeout_ns = options->promote_timeout};
}

static void pair_leave(const vesta_pair_t *pair) {
  wire_message_t request = {.kind = WIRE_LEAVE};
  vesta_agent_reply_t reply = {0};
  vesta_err_t err;
  if (pair_call(pair, &request, PAIR_LEAVE_TIMEOUT_NS, &reply, &err) == SA_AIS_OK) {
    vesta_agent_reply_free(&reply);
  }
}

SaAisErrorT vesta_pair_join(SaCkptCheckpointHandleT checkpoint, const vesta_pair_options_t *options,
                            vesta_pair_t **pair) {
  static const vesta_pair_options_t defaults;
  options = options == NULL ? &defaults : options;
  if (pair == NULL || !pair_options_valid(options)) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  vesta_pair_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return SA_AIS_ERR_NO_MEMORY;
  }
  made->checkpoint = checkpoint;
  pair_join_fill(made, options);
  vesta_agent_reply_t reply = {0};
  vesta_err_t err;
  SaAisErrorT error = pair_call(made, &made->join, PAIR_JOIN_TIMEOUT_NS, &reply, &err);
  if (error == SA_AIS_OK) {
    member_role_init(&made->role, reply.message.member);
    vesta_agent_reply_free(&reply);
    vesta_mirror_options_t of_mirror = {.buffer_bytes = options->buffer_bytes};
    error = mirror_open_for_pair(checkpoint, &of_mirror, &made->mirror);
    if (error != SA_AIS_OK) {
      pair_leave(made);
    }
  }
  if (error != SA_AIS_OK) {
    free(made);
    return error;
  }
  *pair = made;
  return SA_AIS_OK;
}

SaAisErrorT vesta_pair_fd(vesta_pair_t *pair, SaSelectionObjectT *fd) {
  return pair == NULL ? SA_AIS_ERR_INVALID_PARAM : vesta_stream_fd(mirror_stream(pair->mirror), fd);
}

vesta_mirror_t *vesta_pair_mirror(vesta_pair_t *pair) { return pair == NULL ? NULL : pair->mirror; }

SaAisErrorT vesta_pair_resign(vesta_pair_t *pair, SaTimeT timeout) {
  if (pair == NULL || timeout < 0) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (!stream_mine(mirror_stream(pair->mirror))) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  if (pair->role.role != VESTA_ROLE_ACTIVE) {
    return SA_AIS_ERR_BAD_OPERATION;
  }
  wire_message_t request = {.kind = WIRE_RESIGN};
  vesta_agent_reply_t reply = {0};
  vesta_err_t err;
  SaAisErrorT error = pair_call(pair, &request, timeout == 0 ? PAIR_JOIN_TIMEOUT_NS : timeout, &reply, &err);
  if (error == SA_AIS_OK) {
    vesta_agent_reply_free(&reply);
    member_role_resigned(&pair->role);
    pair_follow(pair);
  } else if (error != SA_AIS_ERR_TRY_AGAIN) {
    pair->role.resigning = error == SA_AIS_ERR_TIMEOUT;
    pair->ask = true;
  }
  return error;
}

SaAisErrorT vesta_pair_leave(vesta_pair_t **pair) {
  if (pair == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (*pair != NULL) {
    if (stream_mine(mirror_stream((*pair)->mirror))) {
      pair_leave(*pair);
    }
    mirror_destroy(&(*pair)->mirror);
    free(*pair);
    *pair = NULL;
  }
  return SA_AIS_OK;
}
