/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The agent's link, against a daemon that the test plays itself: garbage, half messages, hang-ups, answers late, out of
 * order or never.
 *
 * The application is a thread that calls the standard API; the test's own thread is the daemon and says, step by step,
 * what it expects to be asked and what it answers.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "saf_api/agent_clock.h"
#include "saf_api/agent_endpoint.h"
#include "saf_api/agent_frame.h"
#include "saf_api/saCkpt.h"

#define LIMIT_NS 20000000000LL /* no step of a test takes that long */
#define TOKEN_HI 0x1234567812345678ULL
#define TOKEN_LO 0x8765432187654321ULL
#define REMOTE_HANDLE 99U

/* ---- the daemon that the test plays ---- */

typedef struct server {
  char directory[64];
  char path[96];
  int listener;
} server_t;

/* One connection. */
typedef struct peer {
  int fd;
  agent_receiver_t receiver;
  wire_decoder_t *decoder;
  int received_fd; /* what came with the last frame; -1 */
} peer_t;

static int server_open(void **state) {
  server_t *server = calloc(1, sizeof *server);
  assert_non_null(server);
  (void)snprintf(server->directory, sizeof server->directory, "/tmp/vesta-test-XXXXXX");
  assert_non_null(mkdtemp(server->directory));
  (void)snprintf(server->path, sizeof server->path, "%s/socket", server->directory);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", server->path);
  server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(server->listener, 16), 0);
  (void)setenv("VESTA_SOCKET", server->path, 1);
  *state = server;
  return 0;
}

static int server_close(void **state) {
  server_t *server = *state;
  (void)close(server->listener);
  (void)unlink(server->path);
  (void)rmdir(server->directory);
  free(server);
  return 0;
}

static void wait_readable(int fd) {
  struct pollfd readable = {.fd = fd, .events = POLLIN};
  assert_int_equal(poll(&readable, 1, (int)(LIMIT_NS / 1000000)), 1);
}

static void peer_accept(server_t *server, peer_t *peer) {
  wait_readable(server->listener);
  peer->fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
  assert_true(peer->fd >= 0);
  assert_int_equal(agent_receiver_init(&peer->receiver), VESTA_OK);
  peer->decoder = wire_decoder_new();
  assert_non_null(peer->decoder);
  peer->received_fd = -1;
}

static void peer_close(peer_t *peer) {
  (void)close(peer->fd);
  if (peer->received_fd >= 0) {
    (void)close(peer->received_fd);
  }
  agent_receiver_fini(&peer->receiver);
  wire_decoder_destroy(&peer->decoder);
}

/* The next request, whatever it is. */
static wire_message_t peer_receive(peer_t *peer, vesta_bytes_t *payload) {
  agent_frame_t frame;
  vesta_err_t err;
  while ((err = agent_receiver_next(&peer->receiver, &frame)) == VESTA_ERR_TRY_AGAIN) {
    wait_readable(peer->fd);
    assert_int_equal(agent_receiver_fill(&peer->receiver, peer->fd, 0), VESTA_OK);
  }
  assert_int_equal(err, VESTA_OK);
  wire_message_t message;
  assert_int_equal(wire_decode(peer->decoder, frame.head.data, frame.head.size, &message), VESTA_OK);
  int fd = agent_receiver_fd(&peer->receiver);
  if (fd >= 0) {
    peer->received_fd = fd;
  }
  if (payload != NULL) {
    *payload = frame.payload;
  }
  return message;
}

static wire_message_t peer_expect(peer_t *peer, uint64_t kind) {
  wire_message_t message = peer_receive(peer, NULL);
  assert_string_equal(wire_kind_name(message.kind), wire_kind_name(kind));
  return message;
}

static void peer_send_bytes(const peer_t *peer, const void *bytes, size_t size) {
  assert_int_equal(send(peer->fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

static size_t encode(const wire_message_t *message, uint8_t *buffer, size_t capacity) {
  uint8_t *frame;
  size_t size;
  assert_int_equal(agent_frame_encode(message, 0, buffer, capacity, &frame, &size), VESTA_OK);
  assert_ptr_equal(frame, buffer);
  return size;
}

static void peer_send(const peer_t *peer, const wire_message_t *message) {
  uint8_t buffer[2048];
  peer_send_bytes(peer, buffer, encode(message, buffer, sizeof buffer));
}

static void peer_answer(const peer_t *peer, uint64_t number, vesta_err_t err) {
  wire_message_t reply = {.kind = WIRE_REPLY, .number = number, .error = (uint64_t)err};
  peer_send(peer, &reply);
}

static void answer_hello(const peer_t *peer, const wire_message_t *hello) {
  wire_message_t reply = {.kind = WIRE_REPLY, .number = hello->number, .token_hi = TOKEN_HI, .token_lo = TOKEN_LO};
  peer_send(peer, &reply);
}

static void answer_open(const peer_t *peer, uint64_t number) {
  wire_message_t reply = {.kind = WIRE_REPLY, .number = number, .handle = REMOTE_HANDLE, .checkpoint = 5};
  vesta_attributes_t attributes = {.creation_flags = VESTA_CREATE_ALL_REPLICAS,
                                   .checkpoint_bytes = 100,
                                   .sections_max = 10,
                                   .section_bytes_max = 200000,
                                   .section_id_bytes_max = 16};
  wire_attributes_set(&reply, &attributes);
  peer_send(peer, &reply);
}

/* The agent came again, for the same session. */
static void expect_resume(server_t *server, peer_t *peer) {
  peer_accept(server, peer);
  wire_message_t hello = peer_expect(peer, WIRE_HELLO);
  assert_true(hello.token_hi == TOKEN_HI && hello.token_lo == TOKEN_LO);
  answer_hello(peer, &hello);
}

/* ---- the application ---- */

typedef struct application {
  pthread_t thread;
  SaCkptHandleT library;
  SaCkptCheckpointHandleT checkpoint;
  SaTimeT timeout;
  SaAisErrorT result;
} application_t;

static void *initialize(void *argument) {
  application_t *application = argument;
  SaVersionT version = {'B', 2, 2};
  application->result = saCkptInitialize(&application->library, NULL, &version);
  return NULL;
}

static void *open_checkpoint(void *argument) {
  application_t *application = argument;
  SaNameT name = {.length = 1, .value = {'n'}};
  application->result =
      saCkptCheckpointOpen(application->library, &name, NULL, SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE,
                           application->timeout, &application->checkpoint);
  return NULL;
}

static void *overwrite(void *argument) {
  application_t *application = argument;
  SaUint8T byte = 's';
  SaCkptSectionIdT id = {.idLen = 1, .id = &byte};
  application->result = saCkptSectionOverwrite(application->checkpoint, &id, "data", 4);
  return NULL;
}

static void *delete_section(void *argument) {
  application_t *application = argument;
  SaUint8T byte = 's';
  SaCkptSectionIdT id = {.idLen = 1, .id = &byte};
  application->result = saCkptSectionDelete(application->checkpoint, &id);
  return NULL;
}

static void *status(void *argument) {
  application_t *application = argument;
  SaCkptCheckpointDescriptorT descriptor;
  application->result = saCkptCheckpointStatusGet(application->checkpoint, &descriptor);
  return NULL;
}

static void *read_section(void *argument) {
  application_t *application = argument;
  SaUint8T byte = 's';
  char buffer[16];
  SaCkptIOVectorElementT element = {
      .sectionId = {.idLen = 1, .id = &byte}, .dataBuffer = buffer, .dataSize = sizeof buffer};
  application->result = saCkptCheckpointRead(application->checkpoint, &element, 1, NULL);
  if (application->result == SA_AIS_OK && (element.readSize != 3 || memcmp(buffer, "abc", 3) != 0)) {
    application->result = SA_AIS_ERR_LIBRARY;
  }
  return NULL;
}

static void *finalize(void *argument) {
  application_t *application = argument;
  application->result = saCkptFinalize(application->library);
  return NULL;
}

static void start(application_t *application, void *(*call)(void *)) {
  assert_int_equal(pthread_create(&application->thread, NULL, call, application), 0);
}

static void expect_result(const application_t *application, SaAisErrorT expected) {
  assert_int_equal(pthread_join(application->thread, NULL), 0);
  assert_int_equal(application->result, expected);
}

/* An application with an open checkpoint, and the connection it has. */
static void connect_application(server_t *server, application_t *application, peer_t *peer) {
  *application = (application_t){.result = 0};
  start(application, initialize);
  peer_accept(server, peer);
  wire_message_t hello = peer_expect(peer, WIRE_HELLO);
  answer_hello(peer, &hello);
  expect_result(application, SA_AIS_OK);
  start(application, open_checkpoint);
  wire_message_t open = peer_expect(peer, WIRE_OPEN);
  answer_open(peer, open.number);
  expect_result(application, SA_AIS_OK);
}

static void disconnect_application(application_t *application, peer_t *peer) {
  start(application, finalize);
  wire_message_t message = peer_expect(peer, WIRE_FINALIZE);
  peer_answer(peer, message.number, VESTA_OK);
  expect_result(application, SA_AIS_OK);
  peer_close(peer);
}

/* ---- tests ---- */

static void the_hello_says_who_it_is_and_brings_a_pidfd_of_itself(void **state) {
  server_t *server = *state;
  application_t application = {.result = 0};
  peer_t peer;
  start(&application, initialize);
  peer_accept(server, &peer);
  wire_message_t hello = peer_expect(&peer, WIRE_HELLO);
  assert_int_equal(hello.pid, getpid());
  assert_true(vesta_token_is_none(wire_token(&hello)));
  assert_true(peer.received_fd >= 0);
  char link[64] = {0};
  char name[64];
  (void)snprintf(name, sizeof name, "/proc/self/fd/%d", peer.received_fd);
  assert_true(readlink(name, link, sizeof link - 1) > 0);
  assert_non_null(strstr(link, "pidfd"));
  answer_hello(&peer, &hello);
  expect_result(&application, SA_AIS_OK);
  disconnect_application(&application, &peer);
}

static void what_the_daemon_says_to_the_hello_is_what_initialize_returns(void **state) {
  server_t *server = *state;
  struct {
    vesta_err_t said;
    SaAisErrorT expected;
  } answers[] = {{VESTA_ERR_DENIED, SA_AIS_ERR_ACCESS},
                 {VESTA_ERR_NO_RESOURCES, SA_AIS_ERR_NO_RESOURCES},
                 {VESTA_ERR_NO_MEMORY, SA_AIS_ERR_NO_MEMORY},
                 {VESTA_ERR_VERSION, SA_AIS_ERR_LIBRARY}};
  for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
    application_t application = {.result = 0};
    peer_t peer;
    start(&application, initialize);
    peer_accept(server, &peer);
    peer_answer(&peer, peer_expect(&peer, WIRE_HELLO).number, answers[i].said);
    expect_result(&application, answers[i].expected);
    peer_close(&peer);
  }
}

static void a_daemon_that_hangs_up_on_a_hello_is_asked_again(void **state) {
  server_t *server = *state;
  application_t application = {.result = 0};
  peer_t peer;
  start(&application, initialize);
  for (int i = 0; i < 3; i++) {
    peer_accept(server, &peer);
    (void)peer_expect(&peer, WIRE_HELLO);
    peer_close(&peer);
  }
  peer_accept(server, &peer);
  wire_message_t hello = peer_expect(&peer, WIRE_HELLO);
  answer_hello(&peer, &hello);
  expect_result(&application, SA_AIS_OK);
  disconnect_application(&application, &peer);
}

/* The request comes again on the new connection, the same in everything, its number included. */
static void expect_same_again(server_t *server, peer_t *peer, uint64_t number) {
  expect_resume(server, peer);
  vesta_bytes_t payload;
  wire_message_t message = peer_receive(peer, &payload);
  assert_int_equal(message.kind, WIRE_CHANGE);
  assert_int_equal(message.number, number);
  assert_int_equal(message.handle, REMOTE_HANDLE);
  assert_int_equal(message.element_count, 1);
  assert_int_equal(message.elements[0].kind, VESTA_KIND_OVERWRITTEN);
  assert_int_equal(payload.size, 4);
  assert_memory_equal(payload.data, "data", 4);
}

static void a_request_without_an_answer_is_sent_again_with_its_number_after_a_hang_up(void **state) {
  server_t *server = *state;
  application_t application;
  peer_t peer;
  connect_application(server, &application, &peer);
  start(&application, overwrite);
  uint64_t number = peer_expect(&peer, WIRE_CHANGE).number;
  for (int i = 0; i < 3; i++) {
    peer_close(&peer);
    expect_same_again(server, &peer, number);
  }
  peer_answer(&peer, number, VESTA_OK);
  expect_result(&application, SA_AIS_OK);
  disconnect_application(&application, &peer);
}

static void an_answer_that_is_garbage_ends_the_connection_and_the_request_is_sent_again(void **state) {
  server_t *server = *state;
  application_t application;
  peer_t peer;
  uint8_t reply[1024];
  wire_message_t callback = {.kind = WIRE_CALLBACK, .number = 1};
  size_t callback_bytes = encode(&callback, reply, sizeof reply);
  const struct {
    const void *bytes;
    size_t size;
  } garbage[] = {
      {"\xff\xff\xff\xff\xff\xff\xff\xff", 8},                  /* a message of 8 GiB */
      {"\x00\x00\x00\x00\x00\x00\x00\x00", 8},                  /* one without a head */
      {"\x04\x00\x00\x00\x00\x00\x00\x00\xc1\xc1\xc1\xc1", 12}, /* no msgpack */
      {"\x01\x00\x00\x00\x00\x00\x00\x00\x80", 9},              /* no fields */
      {reply, callback_bytes},                                  /* a message that has no business here */
  };
  connect_application(server, &application, &peer);
  start(&application, overwrite);
  uint64_t number = peer_expect(&peer, WIRE_CHANGE).number;
  for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
    peer_send_bytes(&peer, garbage[i].bytes, garbage[i].size);
    peer_t again;
    expect_same_again(server, &again, number);
    peer_close(&peer);
    peer = again;
  }
  peer_answer(&peer, number, VESTA_OK);
  expect_result(&application, SA_AIS_OK);
  disconnect_application(&application, &peer);
}

static void half_an_answer_and_a_hang_up_is_no_answer(void **state) {
  server_t *server = *state;
  application_t application;
  peer_t peer;
  connect_application(server, &application, &peer);
  start(&application, overwrite);
  uint64_t number = peer_expect(&peer, WIRE_CHANGE).number;
  uint8_t bytes[1024];
  wire_message_t reply = {.kind = WIRE_REPLY, .number = number};
  size_t size = encode(&reply, bytes, sizeof bytes);
  for (size_t cut = 1; cut < size; cut++) {
    peer_send_bytes(&peer, bytes, cut);
    peer_close(&peer);
    expect_same_again(server, &peer, number);
  }
  peer_answer(&peer, number, VESTA_ERR_NO_SPACE);
  expect_result(&application, SA_AIS_ERR_NO_SPACE);
  disconnect_application(&application, &peer);
}

static void an_answer_may_come_byte_by_byte_after_others_that_nobody_waits_for(void **state) {
  server_t *server = *state;
  application_t application;
  peer_t peer;
  connect_application(server, &application, &peer);
  start(&application, overwrite);
  uint64_t number = peer_expect(&peer, WIRE_CHANGE).number;
  peer_answer(&peer, number + 1000, VESTA_ERR_NO_MEMORY);
  uint8_t bytes[1024];
  wire_message_t reply = {.kind = WIRE_REPLY, .number = number, .error = VESTA_ERR_NOT_EXIST};
  size_t size = encode(&reply, bytes, sizeof bytes);
  for (size_t i = 0; i < size; i++) {
    peer_send_bytes(&peer, bytes + i, 1);
  }
  expect_result(&application, SA_AIS_ERR_NOT_EXIST);
  disconnect_application(&application, &peer);
}

static void answers_in_another_order_go_to_those_who_asked(void **state) {
  server_t *server = *state;
  application_t first;
  peer_t peer;
  connect_application(server, &first, &peer);
  application_t second = first;
  application_t third = first;
  start(&first, overwrite);
  uint64_t first_number = peer_expect(&peer, WIRE_CHANGE).number;
  start(&second, delete_section);
  uint64_t second_number = peer_expect(&peer, WIRE_CHANGE).number;
  start(&third, status);
  uint64_t third_number = peer_expect(&peer, WIRE_STATUS).number;
  peer_answer(&peer, third_number, VESTA_ERR_NO_MEMORY);
  expect_result(&third, SA_AIS_ERR_NO_MEMORY);
  peer_answer(&peer, first_number, VESTA_ERR_NO_SPACE); /* it was reading for all: another has to go on */
  expect_result(&first, SA_AIS_ERR_NO_SPACE);
  peer_answer(&peer, second_number, VESTA_ERR_NOT_EXIST);
  expect_result(&second, SA_AIS_ERR_NOT_EXIST);
  disconnect_application(&first, &peer);
}

static void only_what_was_not_answered_is_sent_again(void **state) {
  server_t *server = *state;
  application_t first;
  peer_t peer;
  connect_application(server, &first, &peer);
  application_t second = first;
  start(&first, overwrite);
  uint64_t number = peer_expect(&peer, WIRE_CHANGE).number;
  start(&second, delete_section);
  peer_answer(&peer, peer_expect(&peer, WIRE_CHANGE).number, VESTA_OK);
  expect_result(&second, SA_AIS_OK);
  peer_close(&peer);
  expect_same_again(server, &peer, number);
  peer_answer(&peer, number, VESTA_OK);
  expect_result(&first, SA_AIS_OK);
  disconnect_application(&first, &peer);
}

static void a_session_that_the_daemon_knows_no_more_makes_every_handle_bad(void **state) {
  server_t *server = *state;
  application_t application;
  peer_t peer;
  connect_application(server, &application, &peer);
  start(&application, overwrite);
  (void)peer_expect(&peer, WIRE_CHANGE);
  peer_close(&peer);
  peer_accept(server, &peer);
  peer_answer(&peer, peer_expect(&peer, WIRE_HELLO).number, VESTA_ERR_BAD_HANDLE);
  expect_result(&application, SA_AIS_ERR_BAD_HANDLE);
  start(&application, status);
  expect_result(&application, SA_AIS_ERR_BAD_HANDLE);
  start(&application, finalize);
  expect_result(&application, SA_AIS_ERR_BAD_HANDLE);
  peer_close(&peer);
}

static void an_open_that_is_answered_after_its_time_is_closed_again(void **state) {
  server_t *server = *state;
  application_t application;
  peer_t peer;
  connect_application(server, &application, &peer);
  application_t late = application;
  late.timeout = 50000000;
  start(&late, open_checkpoint);
  uint64_t number = peer_expect(&peer, WIRE_OPEN).number;
  expect_result(&late, SA_AIS_ERR_TIMEOUT);
  answer_open(&peer, number);
  start(&application, status); /* somebody has to read */
  uint64_t status_number = peer_expect(&peer, WIRE_STATUS).number;
  wire_message_t close_it = peer_expect(&peer, WIRE_CLOSE);
  assert_int_equal(close_it.handle, REMOTE_HANDLE);
  peer_answer(&peer, status_number, VESTA_ERR_NO_MEMORY);
  expect_result(&application, SA_AIS_ERR_NO_MEMORY);
  disconnect_application(&application, &peer);
}

static void a_map_without_a_descriptor_means_that_reads_are_asked_for(void **state) {
  server_t *server = *state;
  application_t application;
  peer_t peer;
  connect_application(server, &application, &peer);
  for (int i = 0; i < 2; i++) {
    start(&application, read_section);
    if (i == 0) { /* and it is not asked for again */
      wire_message_t map = {.kind = WIRE_REPLY, .number = peer_expect(&peer, WIRE_MAP).number, .checkpoint = 5};
      peer_send(&peer, &map);
    }
    wire_message_t reply = {.kind = WIRE_REPLY, .number = peer_expect(&peer, WIRE_READ).number, .size = 3};
    uint8_t bytes[1024];
    size_t size = encode(&reply, bytes, sizeof bytes - 3);
    wire_prefix_encode(bytes, (uint32_t)(size - WIRE_PREFIX_BYTES), 3);
    memcpy(bytes + size, "abc", 3);
    peer_send_bytes(&peer, bytes, size + 3);
    expect_result(&application, SA_AIS_OK);
  }
  disconnect_application(&application, &peer);
}

static void no_more_than_a_window_of_changes_is_let_out_past_the_oldest_unanswered_one(void **state) {
  server_t *server = *state;
  application_t first;
  peer_t peer;
  connect_application(server, &first, &peer);
  enum { COUNT = VESTA_SESSION_WINDOW + 1 };
  static application_t applications[COUNT];
  uint64_t numbers[COUNT];
  for (unsigned i = 0; i < COUNT; i++) {
    applications[i] = first;
    start(&applications[i], overwrite);
    if (i < VESTA_SESSION_WINDOW) {
      numbers[i] = peer_expect(&peer, WIRE_CHANGE).number;
    }
  }
  application_t other = first;
  start(&other, status); /* what changes nothing is not held back; the last change is, so this is what comes */
  peer_answer(&peer, peer_expect(&peer, WIRE_STATUS).number, VESTA_ERR_NO_MEMORY);
  expect_result(&other, SA_AIS_ERR_NO_MEMORY);
  for (unsigned i = 1; i < VESTA_SESSION_WINDOW; i++) { /* all but the oldest: that one holds the window */
    peer_answer(&peer, numbers[i], VESTA_OK);
    expect_result(&applications[i], SA_AIS_OK);
  }
  start(&other, status);
  peer_answer(&peer, peer_expect(&peer, WIRE_STATUS).number, VESTA_ERR_NO_MEMORY);
  expect_result(&other, SA_AIS_ERR_NO_MEMORY);
  peer_answer(&peer, numbers[0], VESTA_OK);
  expect_result(&applications[0], SA_AIS_OK);
  peer_answer(&peer, peer_expect(&peer, WIRE_CHANGE).number, VESTA_OK);
  expect_result(&applications[COUNT - 1], SA_AIS_OK);
  disconnect_application(&first, &peer);
}

static void finalize_releases_a_thread_that_waits_for_an_answer(void **state) {
  server_t *server = *state;
  application_t application;
  peer_t peer;
  connect_application(server, &application, &peer);
  application_t waiting = application;
  start(&waiting, overwrite);
  (void)peer_expect(&peer, WIRE_CHANGE);
  start(&application, finalize);
  peer_answer(&peer, peer_expect(&peer, WIRE_FINALIZE).number, VESTA_OK);
  expect_result(&application, SA_AIS_OK);
  expect_result(&waiting, SA_AIS_ERR_BAD_HANDLE);
  peer_close(&peer);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, server_open, server_close)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_SERVER(the_hello_says_who_it_is_and_brings_a_pidfd_of_itself),
      WITH_SERVER(what_the_daemon_says_to_the_hello_is_what_initialize_returns),
      WITH_SERVER(a_daemon_that_hangs_up_on_a_hello_is_asked_again),
      WITH_SERVER(a_request_without_an_answer_is_sent_again_with_its_number_after_a_hang_up),
      WITH_SERVER(an_answer_that_is_garbage_ends_the_connection_and_the_request_is_sent_again),
      WITH_SERVER(half_an_answer_and_a_hang_up_is_no_answer),
      WITH_SERVER(an_answer_may_come_byte_by_byte_after_others_that_nobody_waits_for),
      WITH_SERVER(answers_in_another_order_go_to_those_who_asked),
      WITH_SERVER(only_what_was_not_answered_is_sent_again),
      WITH_SERVER(a_session_that_the_daemon_knows_no_more_makes_every_handle_bad),
      WITH_SERVER(an_open_that_is_answered_after_its_time_is_closed_again),
      WITH_SERVER(a_map_without_a_descriptor_means_that_reads_are_asked_for),
      WITH_SERVER(no_more_than_a_window_of_changes_is_let_out_past_the_oldest_unanswered_one),
      WITH_SERVER(finalize_releases_a_thread_that_waits_for_an_answer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
