#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034
#
# Would checks.sh see it? Made-up records of what was told and seen: one that is right, and one for each way to be wrong.
# Needs neither root nor nodes.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
nodes_dir=$(mktemp -d /tmp/vesta-checks.XXXXXX)
trap 'rm -rf "$nodes_dir"' EXIT
nodes_bin=none
nodes_count=1
client=none
# shellcheck source=test/cluster/checks.sh
. "$here/checks.sh"
node() { cat "$nodes_dir/found"; } # instead of reading there

wrong=0
expect() { # yes|no what command...
  local wanted=$1 what=$2 held=no
  shift 2
  why=
  "$@" && held=yes
  [ $held = "$wanted" ] || { echo "$what: $held ($why)"; wrong=1; }
}

lines() { printf '%s\n' "$@"; }

# ---- agrees ----

lines "ok s1 1" "ok s2 2" "unknown s1 3" "failed s2 4 5" >"$nodes_dir/t.told"
found() {
  lines "$@" >"$nodes_dir/found"
  agrees t 1
}
expect yes "the last that was acknowledged" found "s1 1" "s2 2"
expect yes "a later one of which nobody knows" found "s1 3" "s2 2"
expect no "an older one" found "s1 1" "s2 0"
expect no "a section is missing" found "s1 1"
expect no "one that was refused" found "s1 1" "s2 4"
expect no "a corrupted one" found "s1 1" "s2 corrupted"

# ---- judged ----

seen() { # found... -- judge...
  : >"$nodes_dir/t.read-1"
  while [ "$1" != -- ]; do
    lines "$1" >>"$nodes_dir/t.read-1"
    shift
  done
  shift
  lines "$@" >"$nodes_dir/t.judge-1"
  judged t 1
}
ends=("stream s1 1" "stream s2 2" "mirror s1 1" "mirror s2 2" ended)
expect yes "all came" seen "s1 1" "s2 2" -- "saw s1 1" "saw s2 2" "${ends[@]}"
expect yes "a resync covers it" seen "s1 1" "s2 2" -- "state s1 1" "state s2 2" "${ends[@]}"
expect no "one did not come" seen "s1 1" "s2 2" -- "saw s1 1" "${ends[@]}"
expect no "one came twice" seen "s1 1" "s2 2" -- "saw s1 1" "saw s2 2" "saw s2 2" "${ends[@]}"
expect no "one came that was refused" seen "s1 1" "s2 2" -- "saw s1 1" "saw s2 2" "saw s2 4" "${ends[@]}"
expect no "the resync is of before" seen "s1 1" "s2 2" -- "saw s1 1" "state s2 1" "${ends[@]}"
expect no "the stream built something else" seen "s1 1" "s2 2" -- "saw s1 1" "saw s2 2" "stream s1 1" "${ends[@]:2}"
expect no "the mirror has something else" seen "s1 1" "s2 2" -- "saw s1 1" "saw s2 2" "${ends[@]:0:2}" "mirror s1 1" ended
expect no "the mirror has more" seen "s1 1" "s2 2" -- "saw s1 1" "saw s2 2" "mirror s3 1" "${ends[@]}"
expect no "it died" seen "s1 1" "s2 2" -- "saw s1 1" "saw s2 2" "${ends[@]:0:4}"

# ---- takeovers ----

took() {
  lines "ok s1 10000001" "ok s2 10000002" "$@" >"$nodes_dir/t.told"
  takeovers_are_whole t
}
expect yes "it has all" took "has 2 s1 10000001" "has 2 s2 10000002" "ready 2" "ok s1 20000001"
expect no "it lacks one" took "has 2 s1 10000001" "has 2 s2 9" "ready 2"
expect no "it lacks a section" took "has 2 s1 10000001" "ready 2"
expect no "the one before was acknowledged a write after that" took "has 2 s1 10000001" "has 2 s2 10000002" "ready 2" \
  "ok s1 10000003"
expect no "two are active in one epoch" took "has 2 s1 10000001" "has 2 s2 10000002" "ready 2" "ready 2"

[ $wrong -eq 0 ]
