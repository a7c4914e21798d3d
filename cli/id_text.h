/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bytes as text and back: ids of sections and names of checkpoints, wherever the command prints or takes one.
 *
 *   printable ASCII but " and \     as it is
 *   every other byte                \xNN, two hexadecimal digits
 *
 * So no two ids look the same, and what was printed can be given back. What is given may also stand in quotes, say \\
 * and \", and hold other bytes (UTF-8 that was typed, say) as they are.
 */
#ifndef VESTA_CLI_ID_TEXT_H
#define VESTA_CLI_ID_TEXT_H

#include "core/types.h"

#define ID_TEXT_BYTES(size) (4U * (size) + 1U) /* of the text of so many bytes, its NUL included */

/** @param[out] to   at least ID_TEXT_BYTES(id.size) */
void id_text_format(vesta_bytes_t id, char *to);

/**
 * @param text        one that begins with a quote must end with one
 * @param[out] to     written on success only up to *size
 * @return false when it is no such text, or more than `capacity` bytes
 */
bool id_text_parse(const char *text, uint8_t *to, size_t capacity, size_t *size);

/** Two hexadecimal digits. @return their value, -1 when they are none */
int id_text_hex(const char *digits);

#endif
