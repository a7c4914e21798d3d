/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The stage on which the demo and the bench play: a directory of its own, a daemon of its own, processes in roles.
 *
 * A scene is a fresh directory on a tmpfs with everything in it: the daemon's sockets, its replicas, files that the
 * processes share. Its environment makes the library start its own private daemon there, the vestad that was built
 * beside this program, so neither a daemon of the user's nor one of the system is touched.
 *
 * Processes are this very program executed again with `--role NAME PARENT ARGUMENT...`; they end when it ends. Whatever way the
 * program ends (return, failure, signal, deadline), its processes are killed, its daemons stopped, its directories
 * removed.
 *
 * There is one stage per program: the state is static. One thread.
 */
#ifndef VESTA_BENCH_SCENE_H
#define VESTA_BENCH_SCENE_H

#include <saAis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SCENE_MS 1000000LL
#define SCENE_SECOND 1000000000LL

/* ---- this program ---- */

/** To be called first: `limit_s` is how long the whole program may run. */
void scene_begin(const char *program, unsigned limit_s);
/**
 * The role this process was spawned in, NULL: none, it is the program itself. To be called before scene_begin(). In a
 * role it ends with its parent and leaves signals to it; its arguments begin at argv[SCENE_ROLE_ARGUMENT].
 */
const char *scene_role(const char *program, int argc, char **argv);
#define SCENE_ROLE_ARGUMENT 4

/** Print why, clean up, exit with 1. */
_Noreturn void scene_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Fail unless a call of the standard or the extension API went well. */
void scene_require(SaAisErrorT error, const char *call);

/** CLOCK_MONOTONIC: the same for all processes. */
int64_t scene_now_ns(void);
/** Sleep; fails when the program was interrupted or its time is up. */
void scene_pause(int64_t duration_ns);
/** From now on this process and what it starts (daemons of new scenes too) run on one processor, or on all it may. */
void scene_place(bool on_one);
/** The same on one of them: from 0 on, and round again. */
void scene_place_at(uint32_t place);
/** Its number at the kernel. */
int scene_processor(uint32_t place);

/* ---- scenes ---- */

typedef struct scene scene_t;

/** A new scene, entered. */
scene_t *scene_open(void);
/** From now on this process, and those that it spawns, find the daemon of this scene. */
void scene_enter(const scene_t *scene);
const char *scene_dir(const scene_t *scene);
/** The process id of its daemon; 0: none is running. */
pid_t scene_daemon(const scene_t *scene);
/** Stop its daemon, remove its directory. */
void scene_close(scene_t **scene);

/* ---- processes ---- */

/** Start this program in a role. Arguments end with NULL. */
pid_t scene_spawn(const char *role, const char *const *arguments);
/** Send a signal. */
void scene_signal(pid_t process, int signal);
/** Fail if it has ended. */
void scene_require_running(pid_t process, const char *what);
/** Wait for its end; fails unless its status is 0. */
void scene_await(pid_t process, int64_t limit_ns, const char *what);
/** Kill it for good, if it still runs. */
void scene_kill(pid_t process);

/* ---- memory shared with processes in roles ---- */

/** Make a file of zeros and map it. */
void *scene_share_create(const char *path, size_t size);
/** Map one that was made. @param[out] size  may be NULL */
void *scene_share_open(const char *path, size_t *size);

#endif
