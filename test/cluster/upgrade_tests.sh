# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# Live upgrade: one vestad after another is replaced by one of the next minor version of the protocol, which says things
# in every message that the older one does not know (core/wire.h, VESTA_WIRE_NEXT), and back again; writers write and
# judges follow all the while. The group speaks the lower version as long as one of the older ones takes part.

upgrade_nodes=3
upgrade_tests=(
  one_vestad_after_another_is_upgraded
  one_vestad_after_another_goes_back
  a_newer_vestad_may_be_first_in_the_group
)

vestad_next=$(dirname "$client")/vestad_next

speaks() { wait_until 20 status_is "$1" group_protocol "$2" || fail "node $1 speaks $(status_of "$1" group_protocol), not $2"; } # node version

all_speak() { # version
  local i
  for ((i = 1; i <= nodes_count; i++)); do
    speaks "$i" "$1" || return
  done
}

vestad_replace() { # node [program]: as systemctl restart does it, with another package
  local pid
  pid=$(cat "$nodes_dir/$1/vestad.pid")
  vestad_kill "$1" TERM
  wait_gone 20 "$pid" || { fail "vestad of node $1 does not end"; return; }
  nodes_vestad=${2:-}
  vestad_start "$1"
  nodes_vestad=
}

# Before the next one, everything is whole again.
replace_under_load() { # name node version [program]
  vestad_replace "$2" "${4:-}" && all_are_active && all_speak "$3" || return
  wait_until 30 is_whole "$1" || { fail "$1 is not whole again"; return; }
  story_goes_on "$1" 20
}
is_whole() { status_says 1 " whole +safCkpt=$1\$"; }

# A replica that is there for a stream only is not waited for by writers, and may be behind for a while.
upgrade_end() { # name
  local last i
  all_are_active && write_end || return
  last=$(awk '$1 == "ok" { last = $3 } END { print last }' "$nodes_dir/$1.told")
  for ((i = 1; i <= nodes_count; i++)); do
    wait_until 20 has_come "$1" "$i" "$last" || { fail "the last change of $1 does not come on node $i"; return; }
  done
  story_end "$1"
}
has_come() { grep -qE "^(saw|state) s[0-9]+ $3\$" "$nodes_dir/$1.judge-$2"; } # name node number

one_vestad_after_another_is_upgraded() {
  story_begin 2 upgrade all && all_speak 1.0 || return
  replace_under_load upgrade 1 1.0 "$vestad_next" || return
  replace_under_load upgrade 2 1.0 "$vestad_next" || return
  replace_under_load upgrade 3 1.1 "$vestad_next" || return
  upgrade_end upgrade
}

# The nodes are newer now.
one_vestad_after_another_goes_back() {
  story_begin 1 back active && all_speak 1.1 || return
  replace_under_load back 3 1.0 || return
  replace_under_load back 1 1.0 || return
  replace_under_load back 2 1.0 || return
  upgrade_end back
}

a_newer_vestad_may_be_first_in_the_group() {
  local i
  all_are_active || return
  for i in 1 2 3; do vestad_kill "$i"; done
  nodes_vestad=$vestad_next
  vestad_start 1
  nodes_vestad=
  vestad_start 2
  vestad_start 3
  story_begin 3 newfirst all && all_speak 1.0 && upgrade_end newfirst
}
