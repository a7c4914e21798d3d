/* SPDX-License-Identifier: BSD-2-Clause
 *
 * kill -9 in the middle of writes, again and again: what was answered is there, what is there was sent, and nothing is
 * half written. The client keeps many writes in flight, each of the whole section with its own number in it.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/raw_link.h"
#include "test/support/vestad_process.h"

#define ROUNDS 25
#define SECTION_BYTES 30000U
#define IN_FLIGHT 16
#define WRITES_MAX 300 /* of a round, more or less */

static vestad_place_t place;
static pid_t vestad;
static raw_link_t client;
static vesta_token_t session;
static uint64_t handle;
static uint8_t section[SECTION_BYTES];

static int place_set_up(void **state) {
  (void)state;
  vestad_place_make(&place);
  return 0;
}

static int place_tear_down(void **state) {
  (void)state;
  vestad_place_remove(&place);
  return 0;
}

/* Value n: eight bytes of n, the rest its low byte. */
static vesta_bytes_t value(uint64_t n) {
  memset(section, (int)(uint8_t)n, sizeof section);
  memcpy(section, &n, sizeof n);
  return vesta_bytes(section, sizeof section);
}

static uint64_t value_found(void) {
  vesta_bytes_t data;
  uint64_t n;
  assert_int_equal(raw_link_read(&client, handle, "a", &data), VESTA_OK);
  assert_int_equal(data.size, SECTION_BYTES);
  memcpy(&n, data.data, sizeof n);
  assert_true(vesta_bytes_equal(data, value(n)));
  return n;
}

/* Start vestad, and connect: anew, or as the session that was. Request numbers rise across both. */
static void connect_client(void) {
  uint64_t number = client.number;
  vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(&client, place.socket));
  client.number = number + IN_FLIGHT;
  assert_int_equal(raw_link_hello(&client, &session), VESTA_OK);
}

static wire_message_t overwrite(wire_element_t *element, uint64_t number) {
  *element = (wire_element_t){.kind = VESTA_KIND_OVERWRITTEN, .id = vesta_bytes("a", 1), .size = SECTION_BYTES};
  return (wire_message_t){
      .kind = WIRE_CHANGE, .handle = handle, .elements = element, .element_count = 1, .number = number};
}

/* Values after `first`, the n-th with request number base + n. When it is `last`'s turn the daemon is killed,
 * wherever it is with those before; it goes on until the link breaks.
 * @param[out] answered   the last that was acknowledged  @return the last that was sent, maybe in part */
static uint64_t write_until_killed(uint64_t first, uint64_t last, uint64_t base, uint64_t *answered) {
  uint64_t sent = first;
  *answered = first;
  for (;;) {
    for (int i = 0; i < IN_FLIGHT; i++) {
      wire_element_t element;
      wire_message_t change = overwrite(&element, base + sent + 1 - first);
      sent++;
      if (sent == last) {
        assert_int_equal(kill(vestad, SIGKILL), 0);
      }
      if (!raw_link_send(&client, &change, value(sent), -1)) {
        break; /* answers may be there to be read all the same */
      }
    }
    while (*answered < sent) {
      wire_message_t reply;
      if (!raw_link_receive(&client, &reply, NULL)) {
        return sent;
      }
      assert_int_equal(reply.error, VESTA_OK);
      assert_int_equal(reply.number, base + *answered + 1 - first);
      (*answered)++;
    }
  }
}

static void killed_in_the_middle_of_writes_it_loses_none_that_was_answered(void **state) {
  (void)state;
  uint64_t there = 1;
  uint64_t resent = 0;
  srand(7);
  connect_client();
  assert_int_equal(raw_link_checkpoint(&client, "state", &handle), VESTA_OK);
  assert_int_equal(raw_link_create(&client, handle, "a", value(there)), VESTA_OK);
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t base = client.number;
    uint64_t answered;
    uint64_t sent = write_until_killed(there, there + 1 + (uint64_t)(rand() % WRITES_MAX), base, &answered);
    assert_int_equal(vestad_wait(vestad), -1);
    raw_link_close(&client);
    client.number = base + sent - there;
    connect_client();
    uint64_t found = value_found();
    assert_true(found >= answered && found <= sent);
    if (found > there) { /* sent again under its number, with other data: the stored answer is given, nothing is done */
      wire_element_t element;
      wire_message_t again = overwrite(&element, base + found - there);
      wire_message_t reply;
      assert_int_equal(raw_link_call(&client, &again, value(0), &reply, NULL), VESTA_OK);
      assert_int_equal(value_found(), found);
      assert_int_equal(raw_counter(place.socket, "resent"), 1);
      resent++;
    }
    there = found;
  }
  assert_true(resent > 0);
  raw_link_close(&client);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(killed_in_the_middle_of_writes_it_loses_none_that_was_answered, place_set_up,
                                      place_tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
