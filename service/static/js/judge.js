// What may be said of a paper by its QR code alone. It fails closed: whatever is not known for certain is
// said to be uncertain, and no exception ever ends in a good answer.

import { readStatusList, readToken, Refused } from "./sealed.js";

const CLOCKS_DIFFER = 10 * 60;
const OLDEST_SNAPSHOT = 7 * 24 * 3600;
const OF_STATUS = ["valid", "revoked", "suspended", "superseded"];

/**
 * Judge the token of a QR code at `now` (seconds).
 *
 * `loadKeys()` gives the pinned keys, `loadList(address)` the bytes of the list of statuses; both reject when
 * the device has none. `code` is that of the address the token came with. Gives `{ verdict, facts, snapshot }`:
 * facts only where the signature is good, the snapshot's time in seconds where one was believed.
 */
export async function judgeToken(text, { code, now, loadKeys, loadList }) {
  const found = { verdict: "failed", facts: null, snapshot: null };
  try {
    if (!text) throw new Refused("missing");
    const keys = await loadKeys().catch(() => {
      throw new Refused("no_keys");
    });
    const facts = await readToken(text, keys);
    if (facts.code !== code) throw new Refused("other_permit");
    found.facts = facts;
    if (facts.issuedAt > now + CLOCKS_DIFFER) throw new Refused("clock");
    found.verdict = await judgeFacts(facts, now, keys, loadList, found);
  } catch (error) {
    found.verdict = error instanceof Refused ? error.code : "failed";
  }
  return found;
}

async function judgeFacts(facts, now, keys, loadList, found) {
  const list = await snapshotOf(facts.list.address, now, keys, loadList).catch((error) => error);
  const status = list instanceof Error ? null : OF_STATUS[list.statusOf(facts.list.index)];
  found.snapshot = list.issuedAt ?? null;
  // A revocation once seen stays one, however old the list is that told of it; suspensions may have ended.
  if (status === "revoked" || status === "superseded") return status;
  if (facts.ends !== null && now >= facts.ends) return "expired";
  if (now < facts.begins) return "not_yet_valid";
  if (list instanceof Error) return list instanceof Refused ? list.code : "failed";
  if (now > list.expires || now - list.issuedAt > OLDEST_SNAPSHOT) return "stale_snapshot";
  if (list.issuedAt > now + CLOCKS_DIFFER) return "clock";
  return status;
}

async function snapshotOf(address, now, keys, loadList) {
  const bytes = await loadList(address).catch(() => {
    throw new Refused("no_snapshot");
  });
  return readStatusList(bytes, keys, address).catch(() => {
    throw new Refused("bad_snapshot");
  });
}
