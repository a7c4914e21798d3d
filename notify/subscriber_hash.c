/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The subscriber's wish for the hash of the content: asked for, and heard.
 *
 * The hash is published, in order with the operations (notify/hash_server.h). One that arrives when everything up to
 * its position was received, and nothing is in doubt, is handed out in its place behind these; whoever applies what is
 * handed out is at that very position then, whatever comes behind. Any other one is let go, and another asked for.
 */
#include "notify/subscriber_state.h"

void subscriber_want_hash(subscriber_t *subscriber, int64_t steady_ns) {
  subscriber->hash.wanted = true;
  subscriber->hash.refusal = VESTA_OK;
  subscriber->hash.ask_ns = steady_ns;
}

vesta_err_t subscriber_hash_refusal(const subscriber_t *subscriber) { return subscriber->hash.refusal; }

int64_t subscriber_hash_due_ns(const subscriber_t *subscriber) {
  bool asks = subscriber->hash.wanted && subscriber->mode == SUBSCRIBER_LIVE && subscriber->subscribed &&
              !subscriber->renew && !subscriber->renew_told;
  return asks ? subscriber->hash.ask_ns : INT64_MAX;
}

void subscriber_hash_request(subscriber_t *subscriber, int64_t steady_ns, wire_message_t *request) {
  subscriber->hash.ask_ns = steady_ns + SUBSCRIBER_REPEAT_NS;
  subscriber->hash.number++;
  *request = (wire_message_t){.kind = WIRE_HASH_GET,
                              .number = subscriber->hash.number,
                              .checkpoint = subscriber->config.checkpoint_id,
                              .token_hi = subscriber->config.token.hi,
                              .token_lo = subscriber->config.token.lo};
}

bool subscriber_hash_answered(subscriber_t *subscriber, const wire_message_t *message) {
  subscriber_hash_t *hash = &subscriber->hash;
  if (!hash->wanted || message->number != hash->number) {
    return true; /* of an earlier wish */
  }
  switch (message->error) {
    case VESTA_OK:
    case VESTA_ERR_TRY_AGAIN: return true; /* asked again when it is due */
    case VESTA_ERR_ACCESS: return false;
    default:
      hash->wanted = false;
      hash->refusal = (vesta_err_t)message->error;
      return true;
  }
}

void subscriber_hash_heard(subscriber_t *subscriber, const wire_message_t *message) {
  subscriber_hash_t *hash = &subscriber->hash;
  bool in_place = subscriber->mode == SUBSCRIBER_LIVE && !subscriber->hole && subscriber->doubt == 0 &&
                  !subscriber->catching_up && vesta_pos_equal(subscriber->received, wire_pos(message));
  if (!hash->wanted || !in_place || message->hash.size != sizeof hash->bytes ||
      subscriber->words_used > SUBSCRIBER_WORDS_BUSY) {
    return;
  }
  hash->wanted = false; /* so there is one of them at most, and `bytes` are not written again while it is there */
  memcpy(hash->bytes, message->hash.data, sizeof hash->bytes);
  subscriber_word(subscriber, &(notify_change_t){.kind = NOTIFY_HASH,
                                                 .position = subscriber->received,
                                                 .data = vesta_bytes(hash->bytes, sizeof hash->bytes),
                                                 .offset = message->count});
}
