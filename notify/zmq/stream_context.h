/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The one ZeroMQ context of a process, shared by all its subscribers.
 *
 * It is there from the first subscriber to the last and owns ZeroMQ's two threads (one for I/O, one that reaps closed
 * sockets); they have all signals blocked. It is the one mutable global of libvesta, behind a mutex.
 *
 * Two things ZeroMQ does not forgive are kept from it here. It aborts when it is refused a descriptor, so nothing is
 * begun without headroom. And a forked child has the context but not its threads, so a child never touches it: each
 * subscriber remembers the process that it was made in as a generation, which a fork() moves on.
 */
#ifndef VESTA_NOTIFY_ZMQ_STREAM_CONTEXT_H
#define VESTA_NOTIFY_ZMQ_STREAM_CONTEXT_H

#include "core/error.h"

#include <stdbool.h>

/**
 * Take the context, making it if this is the first one. Each OK is paired with one stream_context_release().
 * @return OK; NO_RESOURCES when fewer than STREAM_DESCRIPTOR_HEADROOM descriptors are left; NO_MEMORY
 */
vesta_err_t stream_context_acquire(void **context);
void stream_context_release(void);

#define STREAM_DESCRIPTOR_HEADROOM 32

/** Are STREAM_DESCRIPTOR_HEADROOM descriptors left? Asked before any socket is made. */
bool stream_context_headroom(void);

/** Differs between a process and its forked children. */
unsigned stream_context_generation(void);

#endif
