# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# Three machines whose links are encrypted, and a stranger.

key_nodes=3
key_keys=yes
key_tests=(
  links_with_keys_carry_everything
  a_node_with_a_strange_key_gets_no_link
)

links_with_keys_carry_everything() {
  local copy
  story_begin 1 keys all 1 || return
  copy=$(copy_of 1 keys)
  vestad_kill "$copy"
  story_goes_on keys 20 || return
  vestad_start "$copy"
  story_end keys
}

a_node_with_a_strange_key_gets_no_link() {
  local before
  all_are_active || return
  before=$(status_of 1 peer_refused)
  vestad_kill 3
  rm -r "$nodes_dir/3/key"
  "$nodes_bin/vesta" keygen "$nodes_dir/3/key" >/dev/null
  vestad_start 3
  wait_until 10 counts_more 1 peer_refused "$before" || { fail "nobody was refused"; return; }
  wait_until 5 status_is 1 peer_links 1 || { fail "node 1 has $(status_of 1 peer_links) links"; return; }
  cp "$nodes_dir/3/key/node.pub" "$nodes_dir/keys/3.pub"
  all_are_active && write_some 3 stranger all 20 && judges_begin stranger && write_some 3 stranger all 50 && story_end stranger
}
