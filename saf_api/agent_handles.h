/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The handles of this process: 64-bit numbers that stand for objects, safe against anything an application may pass.
 *
 * A handle is a place in a table and the generation of that place, so a stale, foreign or made-up number is recognised
 * in constant time and without touching the object it may once have meant. Who uses an object holds a reference on it:
 * closing a handle makes the number invalid at once, and the object goes when its last user lets go.
 *
 *     agent_handle_new()            number exists, nobody finds it; the maker holds a reference
 *     agent_handle_publish()        it is found from now on
 *     agent_handle_acquire()        number -> object, with a reference          any number of times
 *     agent_handle_close()          it is not found any more; false when it was so already
 *     agent_handle_release()        the last one of a closed handle destroys the object
 *
 * After fork(2) the child has no handles: the table's root is a page that the kernel wipes there (MADV_WIPEONFORK), so
 * the child starts with an empty table and this costs the parent nothing. It may initialise anew; what it inherited is
 * left alone.
 *
 * Constant time, any thread. The only mutable global of the library.
 */
#ifndef VESTA_SAF_API_AGENT_HANDLES_H
#define VESTA_SAF_API_AGENT_HANDLES_H

#include <stdatomic.h>

#include "core/error.h"
#include "core/types.h"

typedef enum agent_kind { AGENT_LIBRARY, AGENT_CHECKPOINT, AGENT_ITERATION } agent_kind_t;

/* What a handle stands for: the first member of each such object. */
typedef struct agent_object {
  agent_kind_t kind;
  uint64_t handle;
  struct agent_slot *slot;                      /* private */
  void (*destroy)(struct agent_object *object); /* called once, by whoever lets go last */
} agent_object_t;

/** Give the object a handle; kind and destroy are set by the caller. @return OK; NO_MEMORY; NO_RESOURCES */
vesta_err_t agent_handle_new(agent_object_t *object);
/** Let others find it; also takes back a close. */
void agent_handle_publish(agent_object_t *object);
/** The object of that kind, with a reference; NULL for a handle that is none. */
agent_object_t *agent_handle_acquire(uint64_t handle, agent_kind_t kind);
/** One more reference on an object that the caller has one on. */
void agent_handle_retain(agent_object_t *object);
bool agent_handle_close(agent_object_t *object);
bool agent_handle_is_closed(const agent_object_t *object);
/** NULL is allowed. */
void agent_handle_release(agent_object_t *object);

/** Take one of `max` places for something that this process may have only so many of; false: all are taken. */
bool agent_quota_take(uint32_t max);
void agent_quota_return(void);

#endif
