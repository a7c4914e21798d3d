#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The libraries in their hosts under valgrind's memcheck: no error, nothing lost. (usage: valgrind.sh BUILD)
#
# Hosts are some programs of test/conformance and samples in C. None that breaks links: valgrind 3.19 has no
# pidfd_open(2), and without that a session ends with its link. The daemon is not under valgrind.
set -eu
build=${1:?usage: valgrind.sh BUILD}
build=$(cd "$build" && pwd)
place=$(mktemp -d)
pids=
export VESTA_VESTAD="$build/bin/vestad" VESTA_REPLICA_DIR="/dev/shm/vesta-valgrind-$$"
trap 'for pid in $pids; do kill -9 "$pid" 2>/dev/null || true; done; rm -rf "$place" "$VESTA_REPLICA_DIR"' EXIT
export VESTA_TEST_BIN_DIR="$build/bin" VESTA_TEST_SAMPLES_DIR="$build/samples"
VESTA_TEST_SOURCE_DIR=$(cd "$(dirname "$0")/../.." && pwd)
export VESTA_TEST_SOURCE_DIR

memcheck() { # log program...: what memcheck finds goes into the log. Becomes the program: call it in a subshell.
  log=$1
  shift
  exec stdbuf -oL valgrind --quiet --leak-check=full --show-leak-kinds=definite,indirect --log-file="$log" "$@"
}

die() {
  echo "valgrind.sh: $*" >&2
  exit 1
}

# What it said, but for what it does not know itself.
judge() { # name log...
  name=$1
  shift
  if cat "$@" | grep -v -e '^--[0-9]*--' -e 'Process terminating with default action of signal' >"$place/found"; then
    cat "$place/found" >&2
    die "memcheck has found something in $name"
  fi
  echo "$name: nothing"
}

wait_for() { # text file
  for _ in $(seq 2400); do
    grep -q "$1" "$2" 2>/dev/null && return
    sleep 0.1
  done
  cat "$2" >&2
  die "no \"$1\" in four minutes"
}

for program in library_life checkpoint_life data_read data_write section_life section_iteration; do
  (memcheck "$place/$program.%p" "$build/test/${program}_test") >"$place/output" 2>&1 ||
    { cat "$place/output" >&2 && die "${program}_test failed"; }
  judge "$program" "$place/$program".*
done

# The samples, with a daemon: one counts and is killed, another goes on, a third looks on.
VESTA_SOCKET=$place/vestad.sock
export VESTA_SOCKET
"$VESTA_VESTAD" --run-dir "$place" --socket "$VESTA_SOCKET" --log-to stderr >"$place/vestad" 2>&1 &
pids=$!
wait_for VESTA-READY "$place/vestad"

(memcheck "$place/legacy.%p" "$build/samples/legacy") >"$place/output"
judge legacy "$place"/legacy.*

memcheck "$place/pair.one.%p" "$build/samples/pair" one >"$place/one" &
one=$!
pids="$pids $one"
wait_for "one ACTIVE" "$place/one"
memcheck "$place/pair.two.%p" "$build/samples/pair" two >"$place/two" &
two=$!
memcheck "$place/watch.%p" "$build/samples/watch" counters >"$place/watched" &
watch=$!
pids="$pids $two $watch"
wait_for "two STANDBY" "$place/two"
wait_for counter- "$place/watched"
kill -9 "$one"
wait_for "two ACTIVE" "$place/two"
kill "$two" "$watch"
wait "$two" "$watch" 2>/dev/null || true # the shell would tell that they were terminated
judge "pair" "$place"/pair.two.*
judge "watch" "$place"/watch.*
