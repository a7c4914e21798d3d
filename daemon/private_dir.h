/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Directories that must be ours alone: whoever could write into the run directory could stand in for vestad, whoever
 * could read the replica directory could read every checkpoint.
 */
#ifndef VESTA_DAEMON_PRIVATE_DIR_H
#define VESTA_DAEMON_PRIVATE_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PRIVATE_DIR_NO_GROUP ((gid_t)-1)

/**
 * Make the directory if it is not there (its parent must be), and check that it is one, belongs to this user and is
 * closed to everybody else.
 * @param group   members of this group may look into it as well (0750), PRIVATE_DIR_NO_GROUP: nobody (0700)
 * @param[out] why   says what is wrong, in words
 * @return true when all is well
 */
bool private_dir_make(const char *path, gid_t group, char *why, size_t why_size);

/** Is it a tmpfs? @param[out] why as above */
bool private_dir_is_tmpfs(const char *path, char *why, size_t why_size);

#endif
