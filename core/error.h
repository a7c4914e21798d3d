/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What can go wrong: one enum, one table.
 *
 * Faults of the world are codes of this enum. Faults of ours are aborts (VESTA_ASSERT, on in every build). There is
 * no third kind. The agent translates these codes to SaAisErrorT once, at the edge (saf_api/sa_error.c); the numbers
 * travel on the wire (field `error`), so a number is never reused.
 */
#ifndef VESTA_CORE_ERROR_H
#define VESTA_CORE_ERROR_H

/* name, number on the wire, what it means in words */
#define VESTA_ERRORS(X)                                           \
  X(OK, 0, "ok")                                                  \
  X(INVALID_PARAM, 1, "invalid parameter")                        \
  X(BAD_HANDLE, 2, "bad handle")                                  \
  X(NOT_EXIST, 3, "does not exist")                               \
  X(EXIST, 4, "exists already")                                   \
  X(ACCESS, 5, "access mode forbids it")                          \
  X(NO_SPACE, 6, "no space left in the checkpoint or in memory")  \
  X(NO_RESOURCES, 7, "a limit of the service is reached")         \
  X(NO_MEMORY, 8, "out of memory")                                \
  X(TRY_AGAIN, 9, "not now, nothing was done")                    \
  X(TIMEOUT, 10, "timed out, the effect is unknown")              \
  X(BAD_OPERATION, 11, "operation not allowed in this state")     \
  X(BAD_FLAGS, 12, "bad flags")                                   \
  X(INIT, 13, "the callback needed was not given")                \
  X(VERSION, 14, "version not supported")                         \
  X(LIBRARY, 15, "the library failed")                            \
  X(NO_SECTIONS, 16, "no more sections")                          \
  X(UNAVAILABLE, 17, "the service is not available on this node") \
  X(FENCED, 18, "only the active member of the group may write")  \
  X(MALFORMED, 19, "malformed bytes")                             \
  X(TOO_LARGE, 20, "larger than a message may be")                \
  X(LOST, 21, "history no longer reaches that far back")          \
  X(DIVERGED, 22, "the position is of another history")           \
  X(DENIED, 23, "this user may not connect")                      \
  X(BUSY, 24, "in use by another")                                \
  X(CHANGED, 25, "changed since the position that was named")     \
  X(NOT_SUPPORTED, 26, "not possible with what is there")         \
  X(CORRUPTED, 27, "what the section contains is not known here")

typedef enum vesta_err {
#define VESTA_ERROR_ENUM(name, number, text) VESTA_ERR_##name = (number),
  VESTA_ERRORS(VESTA_ERROR_ENUM)
#undef VESTA_ERROR_ENUM
} vesta_err_t;
#define VESTA_OK VESTA_ERR_OK

/** The name of a code ("NO_SPACE"); "UNKNOWN" for a number that is none. Static text. */
const char *vesta_err_name(vesta_err_t err);
/** The same in words, for people. Static text. */
const char *vesta_err_text(vesta_err_t err);

/* A fault of ours. Stays on in every build: a wrong answer costs more than a restart, and a restart loses nothing. */
#define VESTA_ASSERT(condition) ((condition) ? (void)0 : vesta_assert_failed(#condition, __FILE__, __LINE__))
_Noreturn void vesta_assert_failed(const char *condition, const char *file, int line);

#endif
