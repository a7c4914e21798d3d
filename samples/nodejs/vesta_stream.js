// SPDX-License-Identifier: BSD-2-Clause
//
// Vesta's protocol in JavaScript, as far as a subscriber needs it: messages, a session, the two sockets of the stream.
// Needs zeromq and @msgpack/msgpack from npm, nothing of Vesta. doc/PROTOCOL.md defines what is done here. Numbers of
// messages are 64 bits wide, so all of them are BigInt here; what counts bytes is a plain number.
"use strict";
const fs = require("node:fs");
const net = require("node:net");
const zmq = require("zeromq");
const msgpack = require("@msgpack/msgpack");

const VERSION = 1n << 16n;
const KINDS = { HELLO: 1, OPEN: 4, STREAM: 15, CHANGES: 80, BEACON: 81, SNAPSHOT_GET: 82, HISTORY_GET: 84,
  PROGRESS: 20, FOLLOW_GET: 88, FOLLOW_REPLY: 89 }; // of the last three, what there is over TCP only
const ERRORS = { NOT_EXIST: 3n, ACCESS: 5n, LOST: 21n, DIVERGED: 22n };
const ALIVE = 2; // a state of PROGRESS
const READ = 1; // a flag of OPEN
const STATES = { LAST: 1n, FULL: 2n, GONE: 1n }; // of a SNAPSHOT_CHUNK, and GONE of a BEACON
const CHANGE = { CREATED: 1, WRITTEN: 2, OVERWRITTEN: 3, DELETED: 4, EXPIRED: 5, EPOCH: 9 }; // kinds of elements ...
const KIND_NAMES = // ... and the names of all
  "- created written overwritten deleted expired expiry-set unlinked retention-set epoch".split(" ");
const FIELDS = {
  version: 1, kind: 2, number: 3, error: 4, token_hi: 6, token_lo: 7, handle: 8, checkpoint: 9, name: 10, flags: 11,
  lineage: 24, epoch: 25, seq: 26, from_lineage: 27, from_epoch: 28, from_seq: 29, cursor: 30, cursor_end: 31, text: 35,
  state: 36,
};
const ELEMENTS = 41;
const ITEMS = "kind id size offset expiry_ns seq epoch time_ns slot member index count".split(" ");

// A map whose keys are numbers, which the library does not write. It has fewer than 16 fields.
function encode(fields) {
  const entries = Object.entries({ version: VERSION, ...fields });
  const pack = (value) => msgpack.encode(value, { useBigInt64: true });
  return Buffer.concat([Buffer.of(0x80 | entries.length),
    ...entries.flatMap(([name, value]) => [pack(FIELDS[name]), pack(value)])]);
}

function value(read, otherwise) {
  if (read === undefined) return otherwise;
  return typeof read === "number" ? BigInt(read) : typeof read === "bigint" ? read : Buffer.from(read);
}

// A message: what is not there is zero, what is not known is left out; each element gets its data.
function decode(head, payload = Buffer.alloc(0)) {
  const fields = msgpack.decode(head, { useBigInt64: true, rawStrings: true, mapKeyConverter: String });
  const major = value(fields[FIELDS.version], 0n) >> 16n;
  if (major !== VERSION >> 16n) {
    throw new Error(`the service speaks version ${major} of the protocol, not ${VERSION >> 16n}`);
  }
  const message = { elements: [] };
  for (const name in FIELDS) message[name] = value(fields[FIELDS[name]], 0n);
  message.kind = Number(message.kind);
  for (const items of fields[ELEMENTS] ?? []) {
    const element = {};
    ITEMS.forEach((name, place) => { element[name] = value(items[place], name === "id" ? Buffer.alloc(0) : 0n); });
    for (const name of ["kind", "size"]) element[name] = Number(element[name]);
    element.data = payload.subarray(0, element.size);
    payload = payload.subarray(element.size);
    message.elements.push(element);
  }
  return message;
}

class Lost extends Error {} // the connection: begin again with a new Service

// Where the daemon of this machine listens, as section 3 says.
function socketPath() {
  const system = "/run/vesta/vestad.sock";
  const { VESTA_SOCKET: chosen, XDG_RUNTIME_DIR: runtime = "" } = process.env;
  const look = (directory) => fs.lstatSync(directory, { throwIfNoEntry: false });
  const mine = (stat) => stat?.isDirectory() && stat.uid === process.geteuid() && !(stat.mode & 0o77);
  if (chosen || fs.existsSync(system)) return chosen || system;
  const directory = mine(look(runtime)) ? `${runtime}/vesta` : `/tmp/vesta-${process.geteuid()}`;
  if (look(directory) && !mine(look(directory))) throw new Error(`${directory} is not this user's alone`);
  return `${directory}/vestad.sock`;
}

const checkpointName = (name) => Buffer.from(name.includes("=") ? name : `safCkpt=${name}`);
const refusal = ({ error }) =>
  new Error(error === ERRORS.NOT_EXIST ? "there is no such checkpoint" : `the service says error ${error}`);

// A session, which ends with its link, and the two sockets.
class Service {
  silence = "no answer";

  static async open(checkpoint) {
    const service = new Service();
    service.number = 0;
    service.answered = [];
    service.incoming = Buffer.alloc(0);
    const path = socketPath();
    service.link = net.connect(path);
    service.link.on("data", (data) => service.received(data));
    service.link.on("error", ({ code }) => { // "close" follows
      service.why = ["ENOENT", "ECONNREFUSED"].includes(code) ? `no vestad answers at ${path}` : code;
    });
    service.link.on("close", () => service.close());
    try {
      await service.call({ kind: KINDS.HELLO });
      const opened = await service.call({ kind: KINDS.OPEN, name: checkpointName(checkpoint), flags: READ });
      service.stream = await service.call({ kind: KINDS.STREAM, handle: opened.handle });
      const [changes, requests] = service.stream.text.toString().split(" ");
      service.connect(requests);
      service.subscribe(changes);
    } catch (error) {
      service.close(); // an open link would keep the program running
      throw error;
    }
    return service;
  }

  connect(endpoint, keys = {}) {
    this.dealer = new zmq.Dealer({ linger: 0, ...keys });
    this.dealer.connect(endpoint);
    this.listen().catch((error) => { this.failed = error; }).finally(() => this.close());
  }

  // What comes on the DEALER: the answer to what was asked, or that the service does not know us any more.
  async listen() {
    for await (const frames of this.dealer) {
      const answer = decode(...frames);
      if (answer.error === ERRORS.ACCESS) throw new Lost("the session is no more");
      if (answer.number === this.asked?.number) this.asked.take(answer);
    }
  }

  subscribe(endpoint, keys = {}) {
    this.sub = new zmq.Subscriber({ linger: 0, receiveTimeout: 3000, ...keys });
    this.sub.connect(endpoint);
    const topic = Buffer.alloc(9, "D");
    topic.writeBigUInt64BE(this.stream.checkpoint, 1);
    this.sub.subscribe(topic);
  }

  close() {
    this.closed = true;
    this.link?.destroy();
    this.sub?.close();
    this.dealer?.close();
    this.asked?.take();
    for (const { reject } of this.answered?.splice(0) ?? []) reject(new Lost(this.why ?? "the link ended"));
  }

  received(data) {
    this.incoming = Buffer.concat([this.incoming, data]);
    while (this.incoming.length >= 8) {
      const head = 8 + this.incoming.readUInt32LE(0);
      const end = head + this.incoming.readUInt32LE(4);
      if (this.incoming.length < end) return;
      this.answered.shift()?.resolve(decode(this.incoming.subarray(8, head), this.incoming.subarray(head, end)));
      this.incoming = this.incoming.subarray(end);
    }
  }

  // One request on the agent link, and its answer.
  async call(fields) {
    if (this.closed) throw new Lost("the link ended");
    const head = encode({ number: ++this.number, ...fields });
    const prefix = Buffer.alloc(8);
    prefix.writeUInt32LE(head.length, 0);
    this.link.write(Buffer.concat([prefix, head]));
    const reply = await new Promise((resolve, reject) => this.answered.push({ resolve, reject }));
    if (reply.error !== 0n) throw refusal(reply);
    return reply;
  }

  // One request to the ROUTER, again after a second without an answer; the answer.
  async request(fields) {
    const number = ++this.number;
    const request = encode({ number, ...fields });
    for (let again = 0; again < 3 && !this.closed; again++) {
      await this.dealer.send(request);
      const answer = await this.answer(BigInt(number));
      if (answer?.kind === KINDS.FOLLOW_REPLY && answer.error !== 0n) throw refusal(answer);
      if (answer !== undefined) return answer;
    }
    throw this.lost(this.silence); // or only refusals
  }

  // What it is answered within a second, if it is. Other refusals than these mean: ask again.
  answer(number) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 1000);
      this.asked = { number, take: (answer) => {
        const told = [0n, ERRORS.LOST, ERRORS.DIVERGED].includes(answer?.error ?? 0n);
        if (!told && answer.kind !== KINDS.FOLLOW_REPLY) return;
        clearTimeout(timer);
        resolve(answer);
      } };
    });
  }

  // Why nothing more comes.
  lost(otherwise) {
    return this.failed ?? new Lost(this.closed ? "the link ended" : otherwise);
  }

  ask(kind, cursor, since) {
    const { token_hi, token_lo, checkpoint } = this.stream;
    return this.request({ kind, token_hi, token_lo, checkpoint, cursor,
      from_lineage: since.lineage, from_epoch: since.epoch, from_seq: since.seq });
  }

  // The next message of the topic.
  async published() {
    try {
      const [, ...frames] = await this.sub.receive();
      return decode(...frames);
    } catch (error) {
      if (!error.code) throw error;
      throw this.lost("the topic was silent for three periods");
    }
  }
}

// The same over TCP: no session of one's own, and each second a word that one is there. `server` is tcp://ADDRESS:PORT;
// `serverKey` and `key` are files of `vesta keygen`: its public key, one's own pair. Without them nothing is encrypted,
// which a service has to allow.
class RemoteService extends Service {
  silence = "no answer: nobody listens there, or this key is not known there, or the service has another one";

  static async open(checkpoint, { server, serverKey, key }) {
    const service = new RemoteService();
    const words = (path) => fs.readFileSync(path, "latin1").split("\n").map((line) => line.split(" ").at(-1));
    const [publicKey, secretKey] = key ? words(key) : [];
    const keys = key ? { curvePublicKey: publicKey, curveSecretKey: secretKey, curveServerKey: words(serverKey)[0] } : {};
    const [, address, port] = /^(.*):(\d+)$/.exec(server);
    service.number = 0;
    try {
      service.connect(server, keys);
      service.stream = await service.request({ kind: KINDS.FOLLOW_GET, name: checkpointName(checkpoint) });
      service.subscribe(`${address}:${Number(port) + 1}`, keys);
      service.alive = setInterval(() => service.tell(), 1000);
    } catch (error) {
      service.close();
      throw error;
    }
    return service;
  }

  // A send that waits for another is left out: there will be one a second later.
  tell() {
    this.dealer.send(encode({ kind: KINDS.PROGRESS, handle: this.stream.handle, state: ALIVE })).catch(() => {});
  }

  close() {
    clearInterval(this.alive);
    super.close();
  }
}

module.exports = { KINDS, ERRORS, STATES, CHANGE, KIND_NAMES, FIELDS, ELEMENTS, ITEMS, decode, Lost, Service,
  RemoteService };
