#!/usr/bin/env node
// SPDX-License-Identifier: BSD-2-Clause
//
// Mirrors a checkpoint without a gap, and prints what happens to it.
//
//     node subscribe.js counters         follow the checkpoint safCkpt=counters of this machine's daemon, or user's
//     node subscribe.js counters done    the same until it has a section "done"; then print the table
//
// On a machine without a daemon, of one that listens at an address (vestad --stream-listen), with keys of `vesta keygen`:
//
//     node subscribe.js --server tcp://10.0.0.1:7430 --server-key their/node.pub --key my/node.key counters
//
// Why each thing is done is in doc/PROTOCOL.md: "step" here is a step of its section 5. Nothing is kept back in this
// program: what is published during a walk or a repair waits in the SUB socket, and what finds no room there is a hole
// like any other.
"use strict";
const { parseArgs } = require("node:util");
const { KINDS, ERRORS, STATES, CHANGE, KIND_NAMES, Lost, Service, RemoteService } = require("./vesta_stream.js");

const NOWHERE = { lineage: 0n, epoch: 0n, seq: 0n };
const position = ({ lineage, epoch, seq }) => ({ lineage, epoch, seq });
const sameEpoch = (a, b) => a.lineage === b.lineage && a.epoch === b.epoch;

// For people: what is no printable ASCII character is \xNN. Bytes are latin1 strings here, so that they can be keys.
const text = (bytes) =>
  `"${bytes.replace(/[^ !#-\[\]-~]/g, (byte) => "\\x" + byte.charCodeAt(0).toString(16).padStart(2, "0"))}"`;

class Mirror {
  table = new Map(); // id -> data
  position = NOWHERE; // all operations up to here are in the table, some later ones perhaps
  wholeSeq = 0n; // but none later than this

  has(id) {
    return this.position.seq >= this.wholeSeq && this.table.has(id);
  }

  apply(element) {
    const id = element.id.toString("latin1");
    const old = this.table.get(id);
    if (element.kind === CHANGE.CREATED || element.kind === CHANGE.OVERWRITTEN) {
      this.table.set(id, Buffer.from(element.data));
    } else if (element.kind === CHANGE.WRITTEN && old !== undefined) { // else it was deleted before the walk came by
      const offset = Number(element.offset);
      const written = Buffer.alloc(Math.max(old.length, offset + element.size));
      old.copy(written);
      element.data.copy(written, offset);
      this.table.set(id, written);
    } else if (element.kind === CHANGE.DELETED || element.kind === CHANGE.EXPIRED) {
      this.table.delete(id);
    }
  }

  take(message) { // operations, without those that we have
    const held = this.position.seq;
    for (const element of message.elements.filter((element) => element.seq > held)) {
      this.apply(element);
      this.position = { lineage: message.lineage, epoch: element.epoch, seq: element.seq };
      console.log(`${element.seq} ${KIND_NAMES[element.kind]} ${text(element.id.toString("latin1"))} ${element.size}`);
    }
  }

  async walk(service, since) { // steps 4, 5 and 7
    let chunk = { state: 0n, cursor_end: 0n };
    let brought = 0;
    let first;
    for (let cursor = 0n; !(chunk.state & STATES.LAST); cursor = chunk.cursor_end) {
      chunk = await service.ask(KINDS.SNAPSHOT_GET, cursor, since);
      if (cursor === 0n) {
        first = position(chunk);
        if (chunk.state & STATES.FULL || since === NOWHERE) {
          this.table.clear();
          this.position = since = NOWHERE;
        }
      } else if (chunk.state & STATES.FULL || chunk.lineage !== first.lineage) {
        return this.walk(service, NOWHERE); // of another history than the first one
      }
      for (const element of chunk.elements) this.apply(element);
      brought += chunk.elements.length;
      this.wholeSeq = chunk.seq;
    }
    this.position = first; // not before: a walk that is cut off did not take place
    console.log(`${this.position.seq} walked: ${brought} sections came or went; whole at ${this.wholeSeq}`);
  }

  async repair(service, seq) { // step 6: what was missed, up to there
    for (;;) {
      const chunk = await service.ask(KINDS.HISTORY_GET, this.position.seq + 1n, this.position);
      if (chunk.error !== 0n) {
        const lost = chunk.error === ERRORS.LOST;
        console.log(`${this.position.seq} ${lost ? "lost" : "diverged"}`);
        return this.walk(service, lost ? this.position : NOWHERE);
      }
      this.take(chunk);
      if (chunk.elements.length === 0 || this.position.seq >= seq) return;
    }
  }

  goesOn(message) { // are the new operations of it those right behind our position?
    const next = message.elements.find((element) => element.seq > this.position.seq);
    if (next === undefined) return true;
    const before = { lineage: message.lineage, epoch: next.kind === CHANGE.EPOCH ? next.offset : next.epoch };
    return sameEpoch(before, this.position) && next.seq === this.position.seq + 1n;
  }

  async follow(service, until) {
    for (let subscribed = false; !this.has(until);) {
      const message = await service.published(); // steps 3 and 8
      if (message.kind === KINDS.BEACON) {
        if (message.state & STATES.GONE) throw new Error("the checkpoint is no more");
        if (this.position === NOWHERE) await this.walk(service, NOWHERE);
        else if (!subscribed || !sameEpoch(message, this.position) || message.seq > this.position.seq) {
          await this.repair(service, message.seq);
        }
        subscribed = true;
      } else if (message.kind === KINDS.CHANGES) {
        if (!subscribed) continue; // before its beacon nothing is certain
        if (!this.goesOn(message)) await this.repair(service, message.elements.at(-1).seq);
        if (this.goesOn(message)) this.take(message);
      } else {
        console.error(`a message of a kind that is not known here: ${message.kind}`);
      }
    }
  }
}

async function main(remote, checkpoint, until) {
  const mirror = new Mirror();
  let said;
  while (!mirror.has(until)) {
    let service;
    try {
      service = await (remote.server ? RemoteService : Service).open(checkpoint, remote);
      await mirror.follow(service, until);
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      if (error.message !== said) console.error(`again: ${error.message}`); // the daemon is being restarted
      said = error.message;
      await new Promise((resolve) => setTimeout(resolve, 100));
    } finally {
      service?.close();
    }
  }
  for (const id of [...mirror.table.keys()].sort()) {
    console.log(`= ${text(id)} ${text(mirror.table.get(id).toString("latin1"))}`);
  }
}

process.stdout.on("error", () => process.exit()); // who reads the output has enough
const string = { type: "string" };
const { values, positionals } = parseArgs({ allowPositionals: true,
  options: { server: string, "server-key": string, key: string } });
main({ ...values, serverKey: values["server-key"] }, ...positionals).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
