// A strict reader of deterministic CBOR (RFC 8949 §4.2.1): whole numbers, byte and text strings, arrays,
// maps and tags. Whatever a program of ours would not have written is refused, so that two readers never
// differ on what was signed.

const LARGEST = 512 * 1024;
const DEEPEST = 6;
const TEXT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Read `bytes` to their end. Maps become Map, byte strings Uint8Array, tags `{ tag, value }`. Throws RangeError. */
export function readCbor(bytes) {
  if (bytes.length > LARGEST) throw new RangeError("too large");
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) throw new RangeError("something follows");
  return value;
}

/** Encode an array of byte strings and one text, which is all that a signature's input needs. */
export function writeArray(items) {
  const encoder = new TextEncoder();
  const parts = [Uint8Array.of(0x80 | items.length)];
  for (const item of items) {
    const content = typeof item === "string" ? encoder.encode(item) : item;
    parts.push(head(typeof item === "string" ? 3 : 2, content.length), content);
  }
  return join(parts);
}

function head(major, length) {
  const first = major << 5;
  if (length < 24) return Uint8Array.of(first | length);
  if (length < 0x100) return Uint8Array.of(first | 24, length);
  if (length < 0x10000) return Uint8Array.of(first | 25, length >> 8, length & 0xff);
  return Uint8Array.of(first | 26, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff);
}

function join(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  take(length) {
    if (length > this.bytes.length - this.at) throw new RangeError("cut short");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** The argument of a head, in the shortest form that holds it and as a safe whole number. */
  argument(info) {
    if (info < 24) return info;
    if (info > 27) throw new RangeError("neither indefinite lengths nor reserved values are written");
    const size = 1 << (info - 24);
    let number = 0;
    for (const byte of this.take(size)) number = number * 256 + byte;
    const smallest = size === 1 ? 24 : 2 ** (4 * size);
    if (number < smallest || !Number.isSafeInteger(number)) throw new RangeError("not in its shortest form");
    return number;
  }

  value(depth) {
    if (depth > DEEPEST) throw new RangeError("too deep");
    const [first] = this.take(1);
    const [major, argument] = [first >> 5, this.argument(first & 0x1f)];
    switch (major) {
      case 0:
        return argument;
      case 1:
        return -1 - argument;
      case 2:
        return this.take(argument);
      case 3:
        return TEXT.decode(this.take(argument));
      case 4:
        return this.array(argument, depth);
      case 5:
        return this.map(argument, depth);
      case 6:
        return { tag: argument, value: this.value(depth + 1) };
      default:
        throw new RangeError("no floating-point numbers and no simple values are written");
    }
  }

  array(length, depth) {
    const items = [];
    for (let i = 0; i < length; i += 1) items.push(this.value(depth + 1));
    return items;
  }

  /** Keys are numbers or texts, each once, in the order of their encoded bytes. */
  map(length, depth) {
    const found = new Map();
    let before = null;
    for (let i = 0; i < length; i += 1) {
      const begin = this.at;
      const key = this.value(depth + 1);
      const encoded = this.bytes.subarray(begin, this.at);
      if (typeof key === "object" || (before && compare(before, encoded) >= 0)) {
        throw new RangeError("keys are not in order");
      }
      found.set(key, this.value(depth + 1));
      before = encoded;
    }
    return found;
  }
}

function compare(one, other) {
  const length = Math.min(one.length, other.length);
  for (let i = 0; i < length; i += 1) {
    if (one[i] !== other[i]) return one[i] - other[i];
  }
  return one.length - other.length;
}
