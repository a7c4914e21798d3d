#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A cluster to play with on this machine (./dev cluster N): N nodes with real corosync and vestad, and a shell.
# Everything is removed when the shell ends, also by Ctrl-C.
#
#   cluster.sh BIN-DIR N
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
nodes_bin=$1
count=$2
# shellcheck source=test/cluster/nodes.sh
. "$here/nodes.sh"
# shellcheck source=test/cluster/checks.sh
. "$here/checks.sh"

[[ "$count" =~ ^([1-9]|[12][0-9]|3[0-2])$ ]] || { echo "cluster.sh: 1 to 32 nodes, not $count" >&2; exit 2; }
[ "$(id -u)" -eq 0 ] || { echo "cluster.sh: network namespaces need root" >&2; exit 1; }

trap nodes_end EXIT
trap 'exit 1' HUP TERM
nodes_begin "$count"
for ((i = 1; i <= count; i++)); do
  corosync_start "$i"
  vestad_start "$i"
done

nodes_say "waiting for $count nodes"
for ((i = 1; i <= count; i++)); do
  wait_until 6 status_is "$i" order active || nodes_say "node $i does not join"
done

status_all() {
  local i
  for ((i = 1; i <= nodes_count; i++)); do
    printf 'node %d  ' "$i"
    node "$i" "$nodes_bin/vesta" status 2>/dev/null |
      awk '/^(corosync|ring|quorate|members|order|term|stable|waiting_for|participants|checkpoints|peer_links) / {
        printf "%s=%s ", $1, $2 }'
    echo
  done
}
status_all

cat >"$nodes_dir/rc" <<END
nodes_bin=$nodes_bin nodes_count=$nodes_count nodes_dir=$nodes_dir nodes_name=$nodes_name
. "$here/nodes.sh"
$(declare -f status_all)
PATH=$nodes_bin:\$PATH
PS1='cluster\$ '
END
cat <<END

  status_all                            how it is
  node 1 vesta ls                       any command on node 1; its programs find its vestad
  vestad_kill 1    vestad_start 1       kill -9, and start; with a second argument another signal
  corosync_kill 1  corosync_start 1
  node_kill 1                           the whole node, its memory too; then start both
  link_cut 1 [2]   link_heal 1 [2]      nothing gets to and from node 1; or nothing from 1 to 2
  tail $nodes_dir/1/vestad.log
  exit                                  everything is removed

END
bash --rcfile "$nodes_dir/rc" -i
