// Runs the verify pages' own judgement outside a browser: takes a JSON array of cases, prints what became of each.

import { readFileSync } from "node:fs";
import { readCbor } from "../../../service/static/js/cbor.js";
import { judgeToken } from "../../../service/static/js/judge.js";
import { permitPath } from "../../../service/static/js/scan.js";

const keep = (value) => (value === null ? Promise.reject(new Error("none is kept")) : Promise.resolve(value));

async function run(each) {
  if ("scanned" in each) return permitPath(each.scanned, each.origins);
  if ("cbor" in each) {
    try {
      readCbor(Buffer.from(each.cbor, "hex"));
      return "read";
    } catch (error) {
      return error.name;
    }
  }
  const { verdict, facts, snapshot } = await judgeToken(each.token, {
    code: each.code,
    now: each.now,
    loadKeys: () => keep(each.keys),
    loadList: () => keep(each.list === null ? null : new Uint8Array(Buffer.from(each.list, "hex"))),
  });
  return { verdict, holder: facts?.holder ?? null, snapshot };
}

const cases = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(await Promise.all(cases.map(run))));
