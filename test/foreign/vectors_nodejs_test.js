// SPDX-License-Identifier: BSD-2-Clause
//
// The decoder of samples/nodejs and the protocol's test vectors (vectors_nodejs_test.js TREE).
"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const tree = path.resolve(process.argv[2]);
const { decode, FIELDS, ITEMS } = require(path.join(tree, "samples/nodejs/vesta_stream.js"));

const value = (text) => (text.startsWith("x") ? Buffer.from(text.slice(1), "hex") : BigInt(text));
const number = (read) => (typeof read === "number" ? BigInt(read) : read);

function readVectors(file) {
  const vectors = [];
  for (const line of fs.readFileSync(file, "latin1").split("\n")) {
    const [word, ...rest] = line.split(" ");
    const vector = vectors.at(-1);
    if (word === "vector") {
      const none = Buffer.alloc(0);
      vectors.push({ name: rest.join(" "), fields: {}, elements: [], head: none, payload: none, error: null });
    } else if (word === "field") vector.fields[rest[0]] = value(rest[2]);
    else if (word === "element") vector.elements.push(rest.map(value));
    else if (word === "head" || word === "payload") vector[word] = Buffer.from(rest[0], "hex");
    else if (word === "error") vector.error = rest[0];
  }
  return vectors;
}

function check(vector) {
  const message = decode(vector.head, vector.payload);
  for (const name in FIELDS) assert.deepEqual(number(message[name]), vector.fields[FIELDS[name]] ?? 0n, name);
  assert.equal(message.elements.length, vector.elements.length, "elements");
  message.elements.forEach((element, i) => {
    ITEMS.forEach((name, place) => {
      const absent = name === "id" ? Buffer.alloc(0) : 0n;
      assert.deepEqual(number(element[name]), vector.elements[i][place] ?? absent, name);
    });
  });
  assert.deepEqual(Buffer.concat(message.elements.map((element) => element.data)), vector.payload, "payload");
}

let checked = 0;
let refused = 0;
for (const vector of readVectors(path.join(tree, "test/vectors/wire.txt"))) {
  try {
    if (vector.error === null) {
      check(vector);
      checked++;
    } else if (vector.error === "VERSION" && vector.fields[1] >> 16n !== 1n) {
      assert.throws(() => decode(vector.head), /speaks version/);
      refused++;
    } else if (vector.error === "VERSION") {
      assert.equal(decode(vector.head).kind, Number(vector.fields[2]), "a kind that is not known");
      checked++;
    }
  } catch (error) {
    console.error(`${vector.name}: ${error.message}`);
    process.exit(1);
  }
}
assert.ok(checked > 20 && refused > 0);
console.log(`${checked} read, ${refused} refused`);
