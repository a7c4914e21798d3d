/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vesta_pair_...: a mirror, a membership, and the role that comes of it (member_role.h).
 *
 *   standby     follows the changes and applies them to its mirror; says how far it is (PROGRESS) at most every
 *               PAIR_PROGRESS_NS or PAIR_PROGRESS_CHANGES, and at once when somebody waits for that
 *   promoting   the same, until it has handed out everything up to its barrier; the next call of vesta_pair_next()
 *               says that the application has dealt with it: CONFIRM. The answer makes it active. Who asked for the
 *               role (vesta_pair_promote()) confirms without the rest when its time is up and nothing more is there
 *   cut off     the service's node has no quorum, so nobody knows who has the role: an active is none any more, nobody
 *               asks or confirms. When the node is back it is asked. If the role was not granted to another, it is granted
 *               to the same member anew: with a barrier behind all that it wrote, which its mirror has to have
 *   active      hears of roles only, its mirror stands still. With a heartbeat it says that it lives (PROGRESS, ALIVE).
 *               When the role goes to another it follows the changes again, from where the mirror stands, and the
 *               stream resyncs what has changed since
 *
 * After each SYNCED the group is asked (JOIN again, which a member may do at any time) who has the role: a grant that
 * came while a snapshot was running is in the snapshot's position and was never seen as an operation.
 *
 * There is no polling: what is waited for is a change, the stream's own timer, or one of the times in pair_wake().
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
#define PAIR_PROMOTE_TIMEOUT_NS (10 * SA_TIME_ONE_SECOND)
#define PAIR_PROMOTE_GRACE_NS SA_TIME_ONE_SECOND /* the service no longer does it, and may have to say so */
#define PAIR_BEATS_PER_HEARTBEAT 4
#define PAIR_RETRY_NS (100 * SA_TIME_ONE_MILLISECOND)
#define PAIR_PROGRESS_NS (50 * SA_TIME_ONE_MILLISECOND)
#define PAIR_PROGRESS_CHANGES 1000U
#define PAIR_SAY_AGAIN_NS SA_TIME_ONE_SECOND /* a service that was restarted does not know it any more */
#define PAIR_SAY_RETRY_NS (5 * SA_TIME_ONE_MILLISECOND)

struct vesta_pair {
  vesta_mirror_t *mirror;
  SaCkptCheckpointHandleT checkpoint;
  member_role_t role;
  bool roles_only;   /* what the stream follows; lags behind role.role only within a call */
  bool ask;          /* the group is to be asked who has the role */
  bool cut_off;      /* this node has no quorum: what it would say of roles may be long since wrong */
  uint64_t given_up; /* the grant that it was active by when that came; 0: none */
  int64_t retry_ns;  /* no call to the service before that; 0: at once */
  int64_t say_ns;    /* when to say something again; INT64_MAX: not for time's sake */
  char name[VESTA_MEMBER_NAME_BYTES_MAX + 1];
  wire_message_t join; /* the request; its text is `name` */
  /* what was said last about progress */
  vesta_pos_t said;
  bool said_synced;
  int64_t said_ns;
  uint32_t unsaid_changes;
  bool awaited; /* somebody waits for what was handed out last */
  /* how the promotion went, or goes */
  uint64_t lineage;
  vesta_promotion_t promotion;
  uint64_t asked_epoch;   /* the grant that was asked for here; 0: none */
  int64_t asked_until_ns; /* then it is confirmed without the rest */
};

/* ---- calls to the service ---- */

static SaAisErrorT pair_call(const vesta_pair_t *pair, const wire_message_t *request, SaTimeT timeout,
                             vesta_agent_reply_t *reply, vesta_err_t *err) {
  *err = VESTA_OK;
  return vesta_agent_call(pair->checkpoint, request, vesta_bytes(NULL, 0), timeout, reply, err);
}

/* When vesta_pair_next() is to be called although nothing came. */
static void pair_wake(const vesta_pair_t *pair) {
  int64_t wake_ns = pair->retry_ns != 0 ? pair->retry_ns : pair->say_ns;
  bool asked = pair->role.role == VESTA_ROLE_PROMOTING && pair->role.epoch == pair->asked_epoch;
  if (asked && pair->asked_until_ns < wake_ns && pair->asked_until_ns > stream_steady_ns()) {
    wake_ns = pair->asked_until_ns;
  }
  stream_wake_at(mirror_stream(pair->mirror), wake_ns);
}

/* A call failed. What can't be mended is returned; anything else is tried again a little later. */
static SaAisErrorT pair_again(vesta_pair_t *pair, SaAisErrorT error) {
  if (error == SA_AIS_ERR_BAD_HANDLE) {
    return error;
  }
  pair->ask = true;
  pair->retry_ns = stream_steady_ns() + PAIR_RETRY_NS;
  pair_wake(pair);
  return SA_AIS_OK;
}

/* The service said how this member stands. */
static void pair_answered(vesta_pair_t *pair, const wire_message_t *answer) {
  pair->ask = false;
  pair->lineage = answer->lineage;
  member_role_answer(&pair->role, answer->member, answer->epoch, answer->seq, answer->state);
}

static SaAisErrorT pair_ask(vesta_pair_t *pair) {
  vesta_agent_reply_t reply = {0};
  vesta_err_t err;
  SaAisErrorT error = pair_call(pair, &pair->join, PAIR_CALL_TIMEOUT_NS, &reply, &err);
  bool mine = error == SA_AIS_OK && pair->given_up != 0 && reply.message.member == pair->role.member &&
              reply.message.epoch == pair->given_up && reply.message.state != MEMBER_NOT_GRANTED;
  if (mine) {
    wire_message_t anew = {.kind = WIRE_PROMOTE, .epoch = pair->given_up};
    vesta_agent_reply_free(&reply);
    error = pair_call(pair, &anew, PAIR_CALL_TIMEOUT_NS, &reply, &err);
  }
  if (error != SA_AIS_OK) {
    return pair_again(pair, error);
  }
  pair->given_up = 0;
  pair_answered(pair, &reply.message);
  vesta_agent_reply_free(&reply);
  return SA_AIS_OK;
}

/* What a member that has taken so much lacks. */
static vesta_promotion_t pair_promotion(const vesta_pair_t *pair, vesta_pos_t applied, bool complete) {
  vesta_promotion_t promotion = {.result = VESTA_PROMOTION_SYNCED};
  if (!complete) {
    promotion.result = VESTA_PROMOTION_DIRTY;
    promotion.missing_after = stream_public_position(applied);
    promotion.missing_to =
        (vesta_position_t){.lineage = pair->lineage, .epoch = pair->role.epoch, .seq = pair->role.barrier};
  }
  return promotion;
}

static SaAisErrorT pair_confirm(vesta_pair_t *pair, vesta_pos_t applied) {
  bool complete = member_role_ready(&pair->role, applied.seq);
  wire_message_t request = {
      .kind = WIRE_CONFIRM, .epoch = pair->role.epoch, .seq = applied.seq, .flags = complete ? 0U : WIRE_CONFIRM_DIRTY};
  vesta_agent_reply_t reply = {0};
  vesta_err_t err;
  SaAisErrorT error = pair_call(pair, &request, PAIR_CALL_TIMEOUT_NS, &reply, &err);
  if (error == SA_AIS_OK) {
    vesta_agent_reply_free(&reply);
    pair->promotion = pair_promotion(pair, applied, complete);
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
    pair->say_ns = INT64_MAX;
    pair->said_synced = false; /* who was active is not taken for synced before it says so again */
    pair_wake(pair);           /* for what there was to say, or its time would go on being over */
    stream_follow_roles(mirror_stream(pair->mirror), active);
  }
}

/* Is this node a part of its cluster? Who is active is so no more when it is not, and asks when it is again. */
static void pair_look(vesta_pair_t *pair) {
  stream_standing_t standing;
  stream_standing(mirror_stream(pair->mirror), false, &standing);
  bool cut_off = standing.subscriber.no_quorum;
  if (cut_off && !pair->cut_off) {
    pair->given_up = pair->role.role == VESTA_ROLE_ACTIVE ? pair->role.epoch : pair->given_up;
    member_role_cut_off(&pair->role);
    pair_follow(pair);
  }
  pair->ask = pair->ask || (!cut_off && pair->cut_off);
  pair->cut_off = cut_off;
}

/* What is due with the service, all events having been told. */
static SaAisErrorT pair_act(vesta_pair_t *pair) {
  if (pair->cut_off || (!pair->ask && pair->role.role != VESTA_ROLE_PROMOTING)) {
    return SA_AIS_OK;
  }
  if (pair->retry_ns != 0) {
    if (stream_steady_ns() < pair->retry_ns) {
      return SA_AIS_OK;
    }
    pair->retry_ns = 0;
    pair_wake(pair);
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

/* Nothing more is there to take. Was the role asked for, and is the time for the rest over? */
static bool pair_does_without(const vesta_pair_t *pair) {
  const member_role_t *role = &pair->role;
  return !pair->cut_off && role->role == VESTA_ROLE_PROMOTING && role->epoch == pair->asked_epoch &&
         member_role_known(role) && (pair->join.flags & WIRE_JOIN_REQUIRE_SYNCED) == 0 && pair->retry_ns == 0 &&
         stream_steady_ns() >= pair->asked_until_ns;
}

static SaAisErrorT pair_do_without(vesta_pair_t *pair) {
  stream_standing_t standing;
  stream_standing(mirror_stream(pair->mirror), false, &standing);
  SaAisErrorT error = pair_confirm(pair, standing.subscriber.handed_out);
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

/* An active that is to give signs of life. */
static void pair_beat(vesta_pair_t *pair) {
  if (pair->join.expiry_ns == 0) {
    return;
  }
  int64_t now_ns = stream_steady_ns();
  if (pair->say_ns == INT64_MAX || now_ns >= pair->say_ns) {
    wire_message_t alive = {.kind = WIRE_PROGRESS, .state = WIRE_PROGRESS_ALIVE};
    (void)stream_tell(mirror_stream(pair->mirror), &alive);
    pair->say_ns = now_ns + pair->join.expiry_ns / PAIR_BEATS_PER_HEARTBEAT;
    pair_wake(pair);
  }
}

static void pair_progress(vesta_pair_t *pair) {
  if (pair->roles_only) {
    pair_beat(pair);
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
  int64_t pause_ns = pair->awaited ? PAIR_SAY_RETRY_NS : PAIR_PROGRESS_NS;
  pair->say_ns = moved ? pair->said_ns + pause_ns : INT64_MAX;
  pair_wake(pair);
}

/* ---- events ---- */

/* True: the change is for the application as well. */
static bool pair_observe(vesta_pair_t *pair, const notify_change_t *change) {
  bool in_roles = pair->roles_only;
  if (change->kind == VESTA_KIND_EPOCH) {
    if (change->member != VESTA_MEMBER_SAME) { /* else a replica has moved, and no role with it */
      member_role_operation(&pair->role, change->position.epoch, change->member, change->position.seq);
    }
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
    event->promotion = pair->promotion;
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
    if (error == SA_AIS_ERR_TIMEOUT) { /* all that was heard is taken */
      pair_look(pair);
      error = pair->role.event_count > 0 || (pair->ask && !pair->cut_off && pair->retry_ns == 0) ? SA_AIS_OK : error;
    }
    if (to_tell) {
      memset(event, 0, sizeof *event);
      event->kind = VESTA_EVENT_CHANGE;
      event->role = role;
      stream_change(&change, &event->change);
      return SA_AIS_OK;
    }
    if (error == SA_AIS_ERR_TIMEOUT && pair_does_without(pair)) {
      error = pair_do_without(pair);
    } else if (error == SA_AIS_ERR_TIMEOUT) {
      pair_progress(pair);
      if (!stream_wait(mirror_stream(pair->mirror), deadline_ns)) {
        return SA_AIS_ERR_TIMEOUT;
      }
      error = SA_AIS_OK;
    }
    if (error != SA_AIS_OK) {
      return error;
    }
  }
}

/* ---- life ---- */

static bool pair_options_valid(const vesta_pair_options_t *options) {
  size_t name_size = options->name == NULL ? 1 : strnlen(options->name, VESTA_MEMBER_NAME_BYTES_MAX + 1);
  bool heartbeat_valid =
      options->heartbeat == 0 || options->heartbeat >= VESTA_HEARTBEAT_MS_MIN * SA_TIME_ONE_MILLISECOND;
  return name_size > 0 && name_size <= VESTA_MEMBER_NAME_BYTES_MAX && options->promote_timeout >= 0 &&
         heartbeat_valid && (options->manual == SA_FALSE || options->manual == SA_TRUE) &&
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
                                         (options->manual == SA_TRUE ? WIRE_JOIN_MANUAL : 0U) |
                                         (options->require_synced == SA_TRUE ? WIRE_JOIN_REQUIRE_SYNCED : 0U),
                                .timeout_ns = options->promote_timeout,
                                .expiry_ns = options->heartbeat};
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
  made->say_ns = INT64_MAX;
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

/* The grant, asked for. @return SA_AIS_OK, and the role has heard of it; otherwise as vesta_pair_promote() */
static SaAisErrorT pair_ask_for(vesta_pair_t *pair, int64_t deadline_ns) {
  int64_t now_ns = stream_steady_ns();
  bool limited = deadline_ns != INT64_MAX;
  wire_message_t request = {.kind = WIRE_PROMOTE, .time_ns = limited ? deadline_ns : 0};
  SaTimeT timeout = limited ? deadline_ns - now_ns + PAIR_PROMOTE_GRACE_NS : 0;
  vesta_agent_reply_t reply = {0};
  vesta_err_t err;
  SaAisErrorT error = pair_call(pair, &request, timeout, &reply, &err);
  if (error == SA_AIS_OK) {
    pair->asked_epoch = reply.message.epoch;
    pair->asked_until_ns = deadline_ns;
    pair_answered(pair, &reply.message);
    vesta_agent_reply_free(&reply);
    pair_follow(pair);
    stream_more(mirror_stream(pair->mirror)); /* a role event is waiting */
    return SA_AIS_OK;
  }
  if (error == SA_AIS_ERR_TIMEOUT) {
    pair->ask = true;
    return SA_AIS_ERR_FAILED_OPERATION;
  }
  return error == SA_AIS_ERR_TRY_AGAIN && stream_steady_ns() >= deadline_ns ? SA_AIS_ERR_TIMEOUT : error;
}

SaAisErrorT vesta_pair_promote(vesta_pair_t *pair, SaTimeT timeout, vesta_promotion_t *promotion) {
  if (pair == NULL || promotion == NULL || timeout < 0) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (!stream_mine(mirror_stream(pair->mirror))) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  if (!member_role_has_room(&pair->role)) {
    return SA_AIS_ERR_TRY_AGAIN; /* who asks again and again without looking at what came of it */
  }
  int64_t deadline_ns = stream_deadline_ns(timeout == 0 ? PAIR_PROMOTE_TIMEOUT_NS : timeout);
  stream_standing_t standing;
  if (!pair->roles_only) { /* the service decides by what this member said last */
    stream_standing(mirror_stream(pair->mirror), true, &standing);
    pair_say(pair, &standing.subscriber, stream_steady_ns());
  }
  SaAisErrorT error = pair_ask_for(pair, deadline_ns);
  if (error == SA_AIS_OK && pair->role.role == VESTA_ROLE_ACTIVE) {
    *promotion = pair->promotion;
  } else if (error == SA_AIS_OK) {
    stream_standing(mirror_stream(pair->mirror), true, &standing);
    *promotion = pair_promotion(pair, standing.subscriber.handed_out, standing.subscriber.synced);
  }
  return error;
}

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
