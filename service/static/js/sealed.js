// What the agency's seal has signed: the token in a QR code, and a list of statuses. Both are CBOR Web
// Tokens (RFC 8392) in a COSE_Sign1 message with ES256 (RFC 9052 §4.2). Their format is in docs/integration.md.

import { readCbor, writeArray } from "./cbor.js";

const [ALGORITHM, KEY_ID, TYPE] = [1, 4, 16];
const ES256 = -7;
const SIGN1 = 18;
const [SUBJECT, EXPIRES, NOT_BEFORE, ISSUED_AT, TOKEN_ID] = [2, 4, 5, 6, 7];
const [STATUS, LISTED] = [65535, 65533];
const [PERMIT_TYPE, HOLDER, PLACE, DATA_SHA256] = [-65537, -65538, -65539, -65540];
const STATUS_LIST = "application/statuslist+cwt";
const LONGEST_TOKEN = 2048;
const BITS = 2;
const LIST_SIZE = 1 << 20;
const LARGEST_LIST = (LIST_SIZE * BITS) / 8;

/** A reason not to believe something, by its stable code. */
export class Refused extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/**
 * Read the token of a QR code and check its signature against `keys` (a JWK Set).
 * Gives the facts on the paper; throws Refused: malformed, oversized, unknown_key, revoked_key, bad_signature.
 */
export async function readToken(text, keys) {
  if (text.length > LONGEST_TOKEN) throw new Refused("oversized");
  const claims = await openMessage(fromBase64url(text), keys, undefined);
  return strictly(() => {
    const listed = claims.get(STATUS).get("status_list");
    return {
      number: aText(claims.get(SUBJECT)),
      type: aText(claims.get(PERMIT_TYPE)),
      holder: aText(claims.get(HOLDER)),
      place: aText(claims.get(PLACE)),
      code: new TextDecoder().decode(aByteString(claims.get(TOKEN_ID))),
      digest: aByteString(claims.get(DATA_SHA256)),
      begins: aNumber(claims.get(NOT_BEFORE)),
      ends: claims.has(EXPIRES) ? aNumber(claims.get(EXPIRES)) : null,
      issuedAt: aNumber(claims.get(ISSUED_AT)),
      list: { address: aText(listed.get("uri")), index: aNumber(listed.get("idx")) },
    };
  });
}

/**
 * Read a list of statuses, check its signature, and give what it says: `{ issuedAt, expires, statusOf(index) }`,
 * with 0 valid, 1 invalid, 2 suspended, 3 superseded. Throws Refused, also when it is another address's.
 */
export async function readStatusList(bytes, keys, address) {
  const claims = await openMessage(bytes, keys, STATUS_LIST);
  if (claims.get(SUBJECT) !== address) throw new Refused("malformed");
  const listed = claims.get(LISTED);
  if (!(listed instanceof Map) || listed.get("bits") !== BITS) throw new Refused("malformed");
  const bits = await inflate(listed.get("lst"));
  return strictly(() => ({
    issuedAt: aNumber(claims.get(ISSUED_AT)),
    expires: aNumber(claims.get(EXPIRES)),
    statusOf(index) {
      if (index >= LIST_SIZE) throw new Refused("malformed");
      return (bits[index >> 2] >> ((index & 3) * BITS)) & 3;
    },
  }));
}

async function openMessage(bytes, keys, mediaType) {
  const { header, protectedHeader, payload, signature } = strictly(() => {
    const { tag, value } = readCbor(bytes);
    const [protectedHeader, unprotected, payload, signature, ...more] = value;
    if (tag !== SIGN1 || unprotected.size !== 0 || signature.length !== 64 || more.length) throw new RangeError();
    const header = readCbor(protectedHeader);
    const expected = mediaType === undefined ? 2 : 3;
    if (header.get(ALGORITHM) !== ES256 || header.get(TYPE) !== mediaType || header.size !== expected) {
      throw new RangeError();
    }
    return { header, protectedHeader, payload, signature };
  });
  const key = await findKey(keys, strictly(() => toBase64url(aByteString(header.get(KEY_ID)))));
  const signed = strictly(() => writeArray(["Signature1", protectedHeader, new Uint8Array(), payload]));
  if (!(await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, signed))) {
    throw new Refused("bad_signature");
  }
  const claims = strictly(() => readCbor(payload));
  if (!(claims instanceof Map)) throw new Refused("malformed");
  return claims;
}

async function findKey(keys, id) {
  const found = keys.keys.find((each) => each.kid === id);
  if (!found) throw new Refused("unknown_key");
  if ("revoked_at" in found) throw new Refused("revoked_key");
  const { kty, crv, x, y } = found;
  return crypto.subtle.importKey("jwk", { kty, crv, x, y }, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
}

/** Decompress a list (RFC 1950), which must have exactly its size: no more of it is ever unpacked. */
async function inflate(bytes) {
  const whole = new Uint8Array(LARGEST_LIST);
  let at = 0;
  try {
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      whole.set(value, at);
      at += value.length;
    }
  } catch {
    throw new Refused("malformed");
  }
  if (at !== LARGEST_LIST) throw new Refused("malformed");
  return whole;
}

/** Run what reads strangers' values: whatever it stumbles over is malformed. */
function strictly(read) {
  try {
    return read();
  } catch (error) {
    throw error instanceof Refused ? error : new Refused("malformed");
  }
}

function aText(value) {
  if (typeof value !== "string") throw new Refused("malformed");
  return value;
}

function aNumber(value) {
  if (!Number.isSafeInteger(value) || value < 0) throw new Refused("malformed");
  return value;
}

function aByteString(value) {
  if (!(value instanceof Uint8Array)) throw new Refused("malformed");
  return value;
}

function fromBase64url(text) {
  return strictly(() => {
    if (!/^[A-Za-z0-9_-]+$/.test(text)) throw new RangeError();
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
    // Bits left over at the end must be nothing: one token has one spelling.
    if (toBase64url(bytes) !== text) throw new RangeError();
    return bytes;
  });
}

function toBase64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
