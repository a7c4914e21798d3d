/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What OpenSAF adds to the standard's headers is binary compatible too: saCkpt_B_02_03.h, cpsv_papi.h, and saAis.h for
 * programs that define SA_EXTENDED_NAME_SOURCE. Most of it is judged by the compiler, as in saf_layout_test.c.
 */
#define SA_EXTENDED_NAME_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cpsv_papi.h>
#include <saCkpt_B_02_03.h>
#include <cmocka.h>

#define IS(expression, type) _Static_assert(_Generic((expression), type : 1, default : 0), #expression " is " #type)

#ifdef SA_MAX_NAME_LENGTH
#error "SA_MAX_NAME_LENGTH is not for programs with extended names"
#endif
_Static_assert(SA_MAX_UNEXTENDED_NAME_LENGTH == 256, "bytes of a plain name");
_Static_assert(sizeof(SaNameT) == 258 && _Alignof(SaNameT) == 2, "an extended name is where a plain one was");

_Static_assert(sizeof(SaCkptCallbacksT_2) == 24, "size of SaCkptCallbacksT_2");
_Static_assert(offsetof(SaCkptCallbacksT_2, saCkptCheckpointOpenCallback) == 0, "as in SaCkptCallbacksT");
_Static_assert(offsetof(SaCkptCallbacksT_2, saCkptCheckpointSynchronizeCallback) == 8, "as in SaCkptCallbacksT");
_Static_assert(offsetof(SaCkptCallbacksT_2, saCkptCheckpointTrackCallback) == 16, "behind them");

IS((SaCkptCheckpointTrackCallbackT)0, void (*)(SaCkptCheckpointHandleT, SaCkptIOVectorElementT *, SaUint32T));
IS((ncsCkptCkptArrivalCallbackT)0, void (*)(const SaCkptCheckpointHandleT, SaCkptIOVectorElementT *, SaUint32T));
IS(&saCkptInitialize_2, SaAisErrorT (*)(SaCkptHandleT *, const SaCkptCallbacksT_2 *, SaVersionT *));
IS(&saCkptTrack, SaAisErrorT (*)(SaCkptHandleT));
IS(&saCkptTrackStop, SaAisErrorT (*)(SaCkptHandleT));
IS(&saCkptCheckpointTrack, SaAisErrorT (*)(SaCkptCheckpointHandleT));
IS(&saCkptCheckpointTrackStop, SaAisErrorT (*)(SaCkptCheckpointHandleT));
IS(&ncsCkptRegisterCkptArrivalCallback, SaAisErrorT (*)(SaCkptHandleT, ncsCkptCkptArrivalCallbackT));
IS(&saAisNameLend, void (*)(SaConstStringT, SaNameT *));
IS(&saAisNameBorrow, SaConstStringT (*)(const SaNameT *));
IS(&saAisStrError, SaConstStringT (*)(SaAisErrorT));

static char text_255[256], text_256[257];

static int texts_make(void **state) {
  (void)state;
  memset(text_255, 'a', 255);
  memset(text_256, 'b', 256);
  return 0;
}

/* clause 21.5 */
static void a_short_text_is_copied_into_the_plain_form(void **state) {
  (void)state;
  SaNameT name;
  const char *texts[] = {"", "safCkpt=x", text_255};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    memset(&name, 0xee, sizeof name);
    saAisNameLend(texts[i], &name);
    assert_int_equal(name._opaque[0], strlen(texts[i]));
    assert_string_equal((const char *)(name._opaque + 1), texts[i]);
    assert_ptr_equal(saAisNameBorrow(&name), name._opaque + 1);
  }
}

/* clause 21.5 */
static void a_long_text_is_lent_by_its_address_at_byte_8(void **state) {
  (void)state;
  SaNameT name;
  const char *address;
  saAisNameLend(text_256, &name);
  assert_int_equal(name._opaque[0], 0xcd2b);
  memcpy(&address, (const char *)&name + 8, sizeof address);
  assert_ptr_equal(address, text_256);
  assert_ptr_equal(saAisNameBorrow(&name), text_256);
}

/* clause 21.5 */
static void a_plain_name_that_is_no_text_can_not_be_borrowed(void **state) {
  (void)state;
  SaNameT name = {._opaque = {3}};
  memcpy(name._opaque + 1, "abcd", 4);
  assert_null(saAisNameBorrow(&name));
  name._opaque[0] = 256;
  assert_null(saAisNameBorrow(&name));
}

static void codes_have_names(void **state) {
  (void)state;
  assert_string_equal(saAisStrError(SA_AIS_OK), "SA_AIS_OK (1)");
  assert_string_equal(saAisStrError(SA_AIS_ERR_NO_SECTIONS), "SA_AIS_ERR_NO_SECTIONS (27)");
  assert_string_equal(saAisStrError(SA_AIS_ERR_DEPLOYMENT), "SA_AIS_ERR_DEPLOYMENT (40)");
  const int strangers[] = {0, 41, -1, INT32_MAX, INT32_MIN};
  for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
    assert_string_equal(saAisStrError((SaAisErrorT)strangers[i]), "unknown SaAisErrorT");
  }
  for (int error = SA_AIS_OK; error <= SA_AIS_ERR_DEPLOYMENT; error++) {
    assert_int_equal(strncmp(saAisStrError((SaAisErrorT)error), "SA_AIS_", 7), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_short_text_is_copied_into_the_plain_form),
      cmocka_unit_test(a_long_text_is_lent_by_its_address_at_byte_8),
      cmocka_unit_test(a_plain_name_that_is_no_text_can_not_be_borrowed),
      cmocka_unit_test(codes_have_names),
  };
  return cmocka_run_group_tests(tests, texts_make, NULL);
}
