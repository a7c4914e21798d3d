# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# The applications on the nodes (cluster_client.c), to be sourced after checks.sh. What they are told of a checkpoint is
# gathered in $nodes_dir/NAME.told, what a judge sees in NAME.judge-NODE.
#
# Most tests are told so:
#
#   story_begin NODE NAME MODE     all nodes are there, a writer on NODE goes on writing, judges follow on all nodes
#                                  (another node is the primary)
#   ...                            what happens, and story_goes_on NAME SECONDS where writing has to go on
#   story_end NAME                 all nodes are there, and everybody agrees with what writers and judges were told
# shellcheck disable=SC2154 # client, nodes_count, nodes_dir

numbers=0 # those that were given out; each is written by one writer

# ---- writers ----

write_some() { # node name mode count [bytes]: in the foreground
  local ended
  node "$1" timeout 120 "$client" write "$2" "$3" "$sections" $numbers "$4" "${5:-0}" >>"$nodes_dir/$2.told" \
    2>>"$nodes_dir/$2.err" || fail "writing of $2 on node $1 ended: $(tail -n 1 "$nodes_dir/$2.err")"
  ended=$?
  numbers=$((numbers + $4))
  return $ended
}

writer=
write_begin() { # node name mode [count [bytes]]: in the background, until write_end
  local count=${4:-1000000}
  node_spawn "$1" "$client" write "$2" "$3" "$sections" $numbers "$count" "${5:-0}" >>"$nodes_dir/$2.told" \
    2>>"$nodes_dir/$2.err"
  writer=$!
  numbers=$((numbers + count))
}

acknowledged() { grep -c ^ok "$nodes_dir/$1.told"; }
acknowledged_more() { [ "$(acknowledged "$1")" -gt "$2" ]; } # name count
story_goes_on() { # name seconds: something more is acknowledged
  wait_until "$2" acknowledged_more "$1" $(($(acknowledged "$1") + 5)) || fail "writing of $1 does not go on"
}

program_end() { # pid what: it is asked to end, and ends well
  is_gone "$1" || kill -TERM "$1"
  wait_gone 60 "$1" || { fail "$2 does not come to an end"; return; }
  program_wait "$1" || fail "$2 failed"
}

write_end() { # the write that is under way comes to an end
  local pid=$writer
  writer=
  [ -z "$pid" ] || program_end "$pid" "the writer"
}

# By what happens from here on, what was acknowledged in between may be lost: it is not known to be there any more.
forgive() { # name from to: numbers
  awk -v from="$2" -v to="$3" '$1 == "ok" && $3 >= from && $3 < to { $1 = "unknown" } { print }' \
    "$nodes_dir/$1.told" >"$nodes_dir/$1.told.new"
  mv "$nodes_dir/$1.told.new" "$nodes_dir/$1.told"
}

# ---- judges ----

judges=() # of nodes
judge_spawn() { # node name: anew
  : >"$nodes_dir/$2.judge-$1"
  node_spawn "$1" "$client" judge "$2" "$nodes_dir/$2.goal" >>"$nodes_dir/$2.judge-$1" 2>>"$nodes_dir/$2.judge-$1.err"
  judges[$1]=$!
}

judge_synced() { # node name
  wait_until 30 grep -q ^synced "$nodes_dir/$2.judge-$1" ||
    fail "the judge of $2 on node $1 does not get synced: $(tail -n 1 "$nodes_dir/$2.judge-$1.err")"
}

judge_begin() { # node name
  judge_spawn "$1" "$2"
  judge_synced "$1" "$2"
}

judges_begin() { # name
  local i
  for ((i = 1; i <= nodes_count; i++)); do
    judge_begin "$i" "$1" || return
  done
}

goal_is_known() { # name: where the checkpoint is, says its primary
  local primary
  primary=$(primary_of 1 "$1")
  [ -n "$primary" ] && replicas_of "$primary" "$1" | awk '$3 == "primary" { print $NF }' >"$nodes_dir/$1.goal" &&
    grep -q -- '-.*-' "$nodes_dir/$1.goal"
}

judges_end() { # name: what they saw was right, and all of it
  local i
  [ ${#judges[@]} -gt 0 ] || return 0
  wait_until 30 goal_is_known "$1" || { fail "$1 has no primary"; return; }
  for i in "${!judges[@]}"; do
    program_end "${judges[$i]}" "the judge of $1 on node $i" ||
      { why+=": $(tail -n 1 "$nodes_dir/$1.judge-$i.err")"; return 1; }
    unset "judges[$i]"
    judged "$1" "$i" || return
  done
}

# ---- members of a group ----

members=() # of nodes
member_begin() { # node name mode heartbeat_ms
  node_spawn "$1" "$client" member "$2" "$3" "$sections" "on-$1" "$4" >>"$nodes_dir/$2.told" \
    2>>"$nodes_dir/$2.member-$1.err"
  members[$1]=$!
}

role_of() { awk -v member="on-$2" '$1 == "role" && $2 == member { role = $3 } END { print role }' "$nodes_dir/$1.told"; }
role_is() { [ "$(role_of "$1" "$2")" = "$3" ]; } # name node role
becomes() { # name node role seconds
  wait_until "$4" role_is "$1" "$2" "$3" ||
    fail "the member on node $2 is $(role_of "$1" "$2") and not $3: $(tail -n 1 "$nodes_dir/$1.member-$2.err")"
}
roles_count() { grep -c "^role on-$2 $3 " "$nodes_dir/$1.told"; }                 # name node role
was_told() { [ "$(roles_count "$1" "$2" "$3")" -gt "$4" ]; }                      # name node role than

members_end() { # name
  local i
  for i in "${!members[@]}"; do
    program_end "${members[$i]}" "the member on node $i" ||
      { why+=": $(tail -n 1 "$nodes_dir/$1.member-$i.err")"; return 1; }
    unset "members[$i]"
  done
}

# ---- stories ----

story_begin() { # node name mode [creator]: the node where it is created is its first primary
  all_are_active && write_some "${4:-$(($1 % nodes_count + 1))}" "$2" "$3" 20 && judges_begin "$2" || return
  wait_until 10 has_in_sync "$1" "$2" 2 || { fail "there is no second replica"; return; }
  write_begin "$1" "$2" "$3"
  story_goes_on "$2" 10
}

story_end() { # name
  all_are_active && write_end && all_agree "$1" && judges_end "$1"
}

# Nobody of the programs above is left.
programs_end() {
  local i
  for ((i = 1; i <= ${nodes_count:-0}; i++)); do
    programs_kill "$i"
  done
  writer=
  judges=()
  members=()
}
