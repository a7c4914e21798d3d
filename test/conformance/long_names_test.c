/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Names in OpenSAF's extended form (saAisNameLend): longer than 256 bytes, for programs that have asked for them in the
 * environment.
 */
#include "test/conformance/ckpt_fixture.h"

#include "core/limits.h"

static char text[VESTA_NAME_BYTES_MAX + 2];

/* A text of so many bytes, lent. The last byte tells it from others. */
static SaNameT long_name(size_t size, char last) {
  SaNameT name;
  memset(text, 'n', sizeof text);
  text[size - 1] = last;
  text[size] = '\0';
  saAisNameLend(text, &name);
  return name;
}

static SaAisErrorT open_long(const SaNameT *name, SaCkptCheckpointOpenFlagsT flags, SaCkptCheckpointHandleT *handle) {
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  return saCkptCheckpointOpen(lib, name, (flags & SA_CKPT_CHECKPOINT_CREATE) != 0 ? &attributes : NULL, flags, SECOND,
                              handle);
}

static int extended_on(void **state) {
  assert_int_equal(setenv("SA_ENABLE_EXTENDED_NAMES", "1", 1), 0);
  return lib_open(state);
}

static int extended_off(void **state) {
  assert_int_equal(unsetenv("SA_ENABLE_EXTENDED_NAMES"), 0);
  return lib_close(state);
}

/* clauses 0.12, 21.5 */
static void a_long_name_is_all_of_its_bytes(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint;
  SaNameT name = long_name(1000, 'a');
  OK(open_long(&name, READ_WRITE_CREATE, &checkpoint));
  OK(section_create(checkpoint, "s", "kept"));
  name = long_name(1000, 'b');
  EXPECT(SA_AIS_ERR_NOT_EXIST, open_long(&name, READ_WRITE, &checkpoint));
  name = long_name(999, 'n');
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointUnlink(lib, &name));
  name = long_name(1000, 'a');
  OK(open_long(&name, READ_WRITE, &checkpoint));
  assert_section(checkpoint, "s", "kept");
  OK(saCkptCheckpointUnlink(lib, &name));
}

/* clauses 21.5, 22.5: at the limit, and one past it */
static void names_of_2048_bytes_are_taken_and_longer_ones_are_not(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint;
  SaNameT name = long_name(VESTA_NAME_BYTES_MAX, 'z');
  OK(open_long(&name, READ_WRITE_CREATE, &checkpoint));
  daemon_fixture_kill(&test_daemon); /* it is in the journal and in the replica */
  daemon_fixture_start(&test_daemon);
  OK(section_create(checkpoint, "s", "x"));
  OK(saCkptCheckpointUnlink(lib, &name));
  name = long_name(VESTA_NAME_BYTES_MAX + 1, 'z');
  EXPECT(SA_AIS_ERR_INVALID_PARAM, open_long(&name, READ_WRITE_CREATE, &checkpoint));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointUnlink(lib, &name));
}

/* clause 21.5 */
static void the_form_of_a_name_makes_no_difference(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint;
  SaNameT lent = long_name(256, 'n'); /* too long for a text in an SaNameT */
  SaNameT plain = {.length = 256};
  memcpy(plain.value, text, 256);
  OK(open_long(&lent, READ_WRITE_CREATE, &checkpoint));
  OK(open_long(&plain, SA_CKPT_CHECKPOINT_READ, &checkpoint));
  OK(saCkptCheckpointUnlink(lib, &plain));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointUnlink(lib, &lent));
}

/* clauses 0.3, 21.5 */
static void a_lent_name_without_a_text_is_an_invalid_param(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint;
  SaNameT name = long_name(300, 'n');
  memset((char *)&name + 8, 0, 8); /* where the address is */
  EXPECT(SA_AIS_ERR_INVALID_PARAM, open_long(&name, READ_WRITE_CREATE, &checkpoint));
  const char *empty = "";
  memcpy((char *)&name + 8, &empty, sizeof empty);
  EXPECT(SA_AIS_ERR_INVALID_PARAM, open_long(&name, READ_WRITE_CREATE, &checkpoint));
}

/* clauses 21.5, 22.5: rubbish for a length must never be followed */
static void without_the_environments_consent_it_is_a_length_and_too_long(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint;
  SaNameT name = long_name(300, 'n');
  memset((char *)&name + 8, 0xee, 8); /* points nowhere */
  const char *values[] = {"0", "", "11", "yes"};
  EXPECT(SA_AIS_ERR_INVALID_PARAM, open_long(&name, READ_WRITE_CREATE, &checkpoint));
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    assert_int_equal(setenv("SA_ENABLE_EXTENDED_NAMES", values[i], 1), 0);
    EXPECT(SA_AIS_ERR_INVALID_PARAM, open_long(&name, READ_WRITE_CREATE, &checkpoint));
    EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptCheckpointUnlink(lib, &name));
  }
}

#define LONG(test) cmocka_unit_test_setup_teardown(test, extended_on, extended_off)

int main(void) {
  const struct CMUnitTest tests[] = {
      LONG(a_long_name_is_all_of_its_bytes),
      LONG(names_of_2048_bytes_are_taken_and_longer_ones_are_not),
      LONG(the_form_of_a_name_makes_no_difference),
      LONG(a_lent_name_without_a_text_is_an_invalid_param),
      cmocka_unit_test_setup_teardown(without_the_environments_consent_it_is_a_length_and_too_long, lib_open,
                                      extended_off),
  };
  return cmocka_run_group_tests(tests, group_open, group_close);
}
