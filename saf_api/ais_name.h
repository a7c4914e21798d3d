/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The two forms of an SaNameT.
 *
 *   plain      length (1 to 256) | the bytes
 *   extended   0xcd2b in place of the length | at byte 8: the address of a text that ends with NUL
 *
 * The extended form is OpenSAF's, made by saAisNameLend() in programs compiled with SA_EXTENDED_NAME_SOURCE. As there
 * it counts only when SA_ENABLE_EXTENDED_NAMES=1 is in the environment: otherwise a program that never heard of it and
 * passes rubbish for a length could have us follow a pointer that is none.
 */
#ifndef VESTA_SAF_API_AIS_NAME_H
#define VESTA_SAF_API_AIS_NAME_H

#include "core/types.h"

/**
 * What a name of either form says.
 * @param name         an SaNameT, of whichever kind the caller was compiled with; may be NULL
 * @param[out] bytes   point into the name, or to its text
 * @return false: it is NULL, or no name: empty, or longer than 256 bytes (VESTA_NAME_BYTES_MAX in the extended form)
 */
bool ais_name_bytes(const void *name, vesta_bytes_t *bytes);

#endif
