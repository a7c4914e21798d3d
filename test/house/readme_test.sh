#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# C in the documentation is text of the samples, which are compiled and run: each ```c block of README.md must stand in
# one of them, line for line.
set -euo pipefail
cd "$1"

samples=$(cat samples/*/*.c)
blocks=0
block=
inside=no
while IFS= read -r line; do
  case $inside$line in
    'no```c')
      inside=yes
      block=
      ;;
    'yes```')
      inside=no
      blocks=$((blocks + 1))
      [[ $samples == *"$block"* ]] || {
        printf 'README.md: this is not text of a sample:\n%s' "$block"
        exit 1
      }
      ;;
    yes*) block+=$line$'\n' ;;
  esac
done <README.md
[ "$blocks" -gt 0 ] || { echo "README.md has no example" && exit 1; }
