// LibPDF, used as its documentation shows: signs a page, B-B, whenever a line comes in, and answers with
// how many milliseconds it took. `node libpdf.mjs PAGE.pdf KEY.p12 PASSWORD SIGNED.pdf`; the first signature
// is left in SIGNED.pdf to be judged.

import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { P12Signer, PDF } from "@libpdf/core";

const WARM_UP = 40;

const [pagePath, keyPath, password, signedPath] = process.argv.slice(2);
const page = new Uint8Array(readFileSync(pagePath));
const signer = await P12Signer.create(new Uint8Array(readFileSync(keyPath)), password);

async function sign() {
  const pdf = await PDF.load(page);
  return (await pdf.sign({ signer, level: "B-B" })).bytes;
}

writeFileSync(signedPath, await sign());
for (let round = 0; round < WARM_UP; round++) await sign();
console.log("ready");
for await (const _line of createInterface({ input: process.stdin })) {
  const begin = performance.now();
  await sign();
  console.log(performance.now() - begin);
}
