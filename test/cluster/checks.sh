# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# What a test waits for and looks at, to be sourced after nodes.sh. A check that does not hold says in $why what was
# found, and fails. Whoever waits does so with a deadline, and goes on as soon as it is there.
# shellcheck disable=SC2154 # nodes_bin, nodes_count, nodes_dir: of nodes.sh

# shellcheck disable=SC2034 # read by cluster_test.sh
why=
fail() {
  why=$*
  return 1
}

now_ms() { date +%s%3N; }

# The seconds that it may take on a quiet machine, and five times that on one that has much else to do. It asks again and
# again: what `vesta status` says of a whole cluster, and what an emulated network does, has no event of its own.
wait_until() { # seconds command...
  local end=$(($(now_ms) + $1 * 5000))
  shift
  until "$@"; do
    [ "$(now_ms)" -lt $end ] || return 1
    sleep 0.05
  done
}

wait_gone() { # seconds pid
  wait_until "$1" is_gone "$2"
}
is_gone() { ! is_child "$1"; }

# ---- what vestad says ----

vesta() { node "$1" timeout 15 "$nodes_bin/vesta" "${@:2}"; } # node argument...

status_of() { # node key
  vesta "$1" status 2>/dev/null | awk -v key="$2" '$1 == key { print $2 }'
}

status_is() { [ "$(status_of "$1" "$2")" = "$3" ]; }           # node key value
counts_more() { [ "$(status_of "$1" "$2")" -gt "$3" ]; }       # node counter than
status_says() { vesta "$1" status 2>/dev/null | grep -qE "$2"; } # node pattern
standing_is() { status_says "$1" " $3 +safCkpt=$2\$"; }           # node name STATE
waits_for() { # node name awaited: status says for whom, right below the checkpoint's row
  vesta "$1" status 2>/dev/null | grep -A 1 -E " WAITING +safCkpt=$2\$" | grep -q "waits for node $3,"
}
has_logged() { grep -qE "$2" "$nodes_dir/$1/vestad.log"; }     # node pattern

is_active() { # participants node...
  local participants=$1 i
  shift
  for i in "$@"; do
    [ "$(status_of "$i" order) $(status_of "$i" participants)" = "active $participants" ] || return 1
  done
}

all_are_active() { # of all nodes
  local all
  # shellcheck disable=SC2046 # the numbers, as words
  all=$(seq -s, 1 "$nodes_count")
  # shellcheck disable=SC2046
  wait_until 30 is_active "$all" $(seq 1 "$nodes_count") || fail "the nodes do not form: $(state_of_all)"
}

state_of_all() {
  local i key
  for ((i = 1; i <= nodes_count; i++)); do
    printf 'node %d:' "$i"
    for key in corosync ring quorate members order term index stable waiting_for participants; do
      printf ' %s=%s' "$key" "$(status_of "$i" "$key")"
    done
    echo
  done
}

# ---- replicas ----

replicas_of() { # node name: NODE ACTIVE STATE AWAY POSITION, a line each
  vesta "$1" show "safCkpt=$2" 2>/dev/null |
    awk 'NF == 0 { inside = 0 } inside && $1 ~ /^[0-9]+$/ { print $1, $2, $3, $4, $NF } $1 == "NODE" && $3 == "STATE" { inside = 1 }'
}

primary_of() { replicas_of "$1" "$2" | awk '$3 == "primary" { print $1 }'; }                      # node name
copy_of() { replicas_of "$1" "$2" | awk '$3 == "in-sync" { print $1; exit }'; }                   # node name
in_sync_of() { replicas_of "$1" "$2" | awk '$3 ~ /^(primary|in-sync)$/ { print $1 }' | paste -sd,; } # node name
is_in_sync() { [ "$(in_sync_of "$1" "$2")" = "$3" ]; }                                            # node name nodes
has_in_sync() { [ "$(in_sync_of "$1" "$2" | tr , '\n' | grep -c .)" -ge "$3" ]; }                 # node name count
has_primary() { [ -n "$(primary_of "$1" "$2")" ]; }                                               # node name
is_primary() { [ "$(primary_of "$1" "$2")" = "$3" ]; }                                            # node name node

# The text stands in a region of that node: in its log, prepared at least.
has_in_memory() { grep -qaF "$2" "$(node_memory "$1")"/replica-* 2>/dev/null; } # node text

# ---- what was told and what is found ----

# What a node reads is what writers were told: of each section the last number that was acknowledged or a later one, and
# none that was refused.
agrees() { # name node
  local read=$nodes_dir/$1.read-$2
  node "$2" timeout 60 "$client" read "$1" >"$read" 2>>"$nodes_dir/$1.err" ||
    { fail "reading $1 on node $2: $(tail -n 1 "$nodes_dir/$1.err")"; return; }
  awk 'FNR == NR { said[$1] = $2; next }
    $1 == "ok" || $1 == "unknown" || $1 == "failed" { told[$3] = $1 }
    $1 == "ok" && $3 + 0 > last[$2] + 0 { last[$2] = $3 }
    END {
      for (id in last) if (!(id in said) || said[id] + 0 < last[id] + 0) {
        print id ": acknowledged " last[id] ", found " said[id]
        bad = 1
      }
      for (id in said) if (told[said[id]] == "failed") {
        print id ": found " said[id] ", which was refused"
        bad = 1
      }
      exit bad
    }' "$read" "$nodes_dir/$1.told" >"$nodes_dir/$1.bad" ||
    fail "$1 on node $2: $(head -n 3 "$nodes_dir/$1.bad" | tr '\n' ';')"
}

all_agree() { # name
  local i
  for ((i = 1; i <= nodes_count; i++)); do
    agrees "$1" "$i" || return
  done
  all_the_same "$1"
}

all_the_same() { # name
  local i
  for ((i = 2; i <= nodes_count; i++)); do
    diff <(sort "$nodes_dir/$1.read-1") <(sort "$nodes_dir/$1.read-$i") >"$nodes_dir/$1.bad" ||
      { fail "$1 is not the same on nodes 1 and $i: $(head -n 3 "$nodes_dir/$1.bad" | tr '\n' ';')"; return; }
  done
}

# What a judge has seen is what writers were told: whatever was acknowledged came once, one by one, or is covered by a
# resync; nothing came twice; nothing came that was refused. And what it built of it is what a node reads.
judged() { # name node
  awk -v told_by="$nodes_dir/$1.told" -v read_by="$nodes_dir/$1.read-$2" '
    function wrong(text) { print text; bad = 1 }
    FILENAME == told_by {
      if ($1 == "ok" || $1 == "unknown" || $1 == "failed") { said[$3] = $1; of[$3] = $2 }
      next
    }
    FILENAME == read_by { found[$1] = $2; next }
    $1 == "saw" && seen[$3]++ { wrong($3 " came twice") }
    $1 == "state" && $3 + 0 > covered[$2] + 0 { covered[$2] = $3 }
    ($1 == "saw" || $1 == "state") && said[$3] == "failed" { wrong($3 " came, which was refused") }
    $1 == "stream" { stream[$2] = $3 }
    $1 == "mirror" { mirror[$2] = $3 }
    $1 == "ended" { ended = 1 }
    END {
      for (n in said) if (said[n] == "ok" && !(n in seen) && n + 0 > covered[of[n]] + 0)
        wrong(n " was acknowledged and did not come")
      for (id in found) {
        if (stream[id] != found[id]) wrong(id ": read " found[id] ", by the stream " stream[id])
        if (mirror[id] != found[id]) wrong(id ": read " found[id] ", in the mirror " mirror[id])
      }
      for (id in stream) if (!(id in found)) wrong(id " is in the stream only")
      for (id in mirror) if (!(id in found)) wrong(id " is in the mirror only")
      if (!ended) wrong("it did not come to its end")
      exit bad
    }' "$nodes_dir/$1.told" "$nodes_dir/$1.read-$2" "$nodes_dir/$1.judge-$2" >"$nodes_dir/$1.bad" ||
    fail "the judge of $1 on node $2: $(head -n 3 "$nodes_dir/$1.bad" | tr '\n' ';')"
}

# Whoever became active had in its mirror all that members before it were told, when it began.
takeovers_are_whole() { # name
  awk '$1 == "ok" { said[$3] = $2 }
    $1 == "has" { has[$2, $3] = $4 }
    $1 == "ready" { if (ready[$2]++) { print "two became active in epoch " $2; bad = 1 } }
    END {
      for (n in said) for (epoch in ready)
        if (int(n / 10000000) < epoch + 0 && has[epoch, said[n]] + 0 < n + 0) {
          print said[n] ": " n " was acknowledged, and epoch " epoch " began with " has[epoch, said[n]]
          bad = 1
        }
      exit bad
    }' "$nodes_dir/$1.told" >"$nodes_dir/$1.bad" || fail "$(head -n 3 "$nodes_dir/$1.bad" | tr '\n' ';')"
}
