# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# doc/CLUSTER.md, as it is written: the files that it shows are taken from it and put where it says, keys are made as it
# says, corosync and vestad are started with nothing else. vestad is another user's, so that what lets it in is needed.
# Its nodes have folders of their own at /etc, /run, /dev/shm and /var/lib/corosync.

doc_nodes=3
doc_tests=(
  what_the_document_shows_is_enough
  its_section_for_two_nodes_is_a_configuration
)

doc_user=nobody
doc_group=nogroup
doc_file=$here/../../doc/CLUSTER.md

# A block of code that begins with this line, without its indentation.
doc_block() { # first-line
  awk -v first="$1" '
    { line = $0; sub(/^ +/, "", line) }
    line == "```" { if (inside) exit; open = 1; match($0, /^ */); indent = RLENGTH; next }
    open && line == first { inside = 1 }
    { open = 0 }
    inside { print substr($0, indent + 1) }' "$doc_file"
}

doc_options() {
  local i j etc
  doc_programs
  cp "$nodes_bin/vestad" "$nodes_dir/vestad" # which that user can read
  for ((i = 1; i <= nodes_count; i++)); do
    etc=$nodes_dir/$i/etc
    mkdir -p "$etc/corosync/uidgid.d" "$etc/vesta/keys" "$nodes_dir/$i/work" "$nodes_dir/$i/run/vesta"
    chmod 755 "$nodes_dir" "$nodes_dir/$i" "$nodes_dir/$i/run"
    chmod 1777 "$(node_memory "$i")"
    chown "$doc_user:$doc_group" "$nodes_dir/$i/run/vesta"
    chmod 700 "$nodes_dir/$i/run/vesta"
    doc_block 'totem {' >"$etc/corosync/corosync.conf"
    doc_block 'uidgid {' | sed "s/uid: vesta/uid: $doc_user/; s/gid: vesta/gid: $doc_group/" >"$etc/corosync/uidgid.d/vesta"
    doc_block '[vestad]' >"$etc/vesta/vestad.conf"
    "$nodes_bin/vesta" keygen "$nodes_dir/$i/pair" >/dev/null
    cp "$nodes_dir/$i/pair/node.key" "$etc/vesta/node.key"
    chown "$doc_user:$doc_group" "$etc/vesta/node.key"
    [ "$i" -ne 1 ] || corosync-keygen -l -k "$nodes_dir/authkey" >/dev/null
    cp "$nodes_dir/authkey" "$etc/corosync/authkey"
  done
  for ((i = 1; i <= nodes_count; i++)); do
    for ((j = 1; j <= nodes_count; j++)); do
      cp "$nodes_dir/$j/pair/node.pub" "$nodes_dir/$i/etc/vesta/keys/$j.pub"
    done
  done
}

# Of this group only: it runs in a shell of its own.
doc_programs() {
  nodes_in() { # node command...
    local i=$1
    shift
    exec ip netns exec "$nodes_name-$i" unshare -m --propagation private sh -c '
      mount -t overlay -o "lowerdir=/etc,upperdir=$0/etc,workdir=$0/work" overlay /etc &&
      mount --bind "$0/run" /run && mount --bind "$0/lib" /var/lib/corosync && mount --bind "$1" /dev/shm && shift && exec "$@"' \
      "$nodes_dir/$i" "$(node_memory "$i")" "$@"
  }
  corosync_start() { # node
    nodes_in "$1" corosync -f >>"$nodes_dir/$1/corosync.log" 2>&1 </dev/null &
    echo $! >"$nodes_dir/$1/corosync.pid"
  }
  vestad_start() { # node: as systemd does, after corosync
    wait_until 20 corosync_answers "$1"
    nodes_in "$1" env RUNTIME_DIRECTORY=/run/vesta setpriv --reuid "$doc_user" --regid "$doc_group" --clear-groups \
      "$nodes_dir/vestad" --log-to stderr >>"$nodes_dir/$1/vestad.log" 2>&1 </dev/null &
    echo $! >"$nodes_dir/$1/vestad.pid"
  }
  node_exec() { nodes_in "$@"; } # where applications find the service by themselves
}
corosync_answers() { (nodes_in "$1" corosync-cmapctl -g totem.version) >/dev/null 2>&1; } # node

what_the_document_shows_is_enough() {
  all_are_active || return
  write_some 1 doc all 100 && judges_begin doc || return
  status_says 1 "^quorate +yes\$" && status_says 1 "^participants +1,2,3\$" && status_says 1 "^cluster: this node takes part\$" ||
    { fail "status does not say what the document shows"; return; }
  ! has_logged 1 "INSECURE" || { fail "its links have no keys"; return; }
  story_end doc
}

its_section_for_two_nodes_is_a_configuration() {
  local conf=$nodes_dir/1/etc/corosync/two.conf
  awk -v two="$(doc_block 'quorum {' | sed -n '/two_node/p')" '
    /^quorum/ { quorum = 1 } quorum && /^}/ { print two; quorum = 0 }
    /node {/ { n++ } n == 3 && /node {/, /}/ { next } { print }' "$nodes_dir/1/etc/corosync/corosync.conf" >"$conf"
  grep -q two_node "$conf" && [ "$(grep -c nodeid "$conf")" -eq 2 ] || { fail "it is not made right: $(cat "$conf")"; return; }
  (nodes_in 1 corosync -t -c /etc/corosync/two.conf) >"$nodes_dir/out" 2>&1 || fail "corosync says: $(cat "$nodes_dir/out")"
}
