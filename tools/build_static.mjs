// Builds service/static/built/: one stylesheet, one script for every page and those of the verify pages, the
// ornament, the app's icons, the font and the assets of the API's documentation. Run at set-up by `make static`; the result is never committed.

import { readFileSync, mkdirSync, rmSync, writeFileSync, copyFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildSync } from "esbuild";
import { compile } from "sass";
import { drawIcon } from "./icon.mjs";
import { drawJlamprang } from "./jlamprang.mjs";

const SOURCE = "service/static";
const TARGET = "service/static/built";
const FONTS = "node_modules/@fontsource-variable/plus-jakarta-sans/files";
const API_DOCUMENTATION = "node_modules/swagger-ui-dist";

// The crest, the fonts and the icons of GOV.UK belong to the British government alone.
const FORBIDDEN = [/crest/i, /GDS Transport/i, /govuk-(icon|opengraph)/i, /\/assets\//];

rmSync(TARGET, { recursive: true, force: true });
mkdirSync(TARGET, { recursive: true });

function write(name, text) {
  for (const pattern of FORBIDDEN) {
    if (pattern.test(text)) throw new Error(`${name} would ship what matches ${pattern}`);
  }
  writeFileSync(join(TARGET, name), text);
}

write("canting.css", compile(`${SOURCE}/scss/canting.scss`, {
  style: "compressed",
  loadPaths: ["node_modules/govuk-frontend/dist"],
}).css);

for (const script of ["canting", "api-docs", "verify", "qr-reader", "worker"]) {
  const bundle = buildSync({
    entryPoints: [`${SOURCE}/js/${script}.js`],
    bundle: true,
    minify: true,
    // A service worker is a classic script: not every browser takes a module.
    format: script === "worker" ? "iife" : "esm",
    target: "es2020",
    legalComments: "none",
    write: false,
  });
  writeFileSync(join(TARGET, `${script}.js`), bundle.outputFiles[0].contents);
}

write("jlamprang.svg", drawJlamprang());
writeFileSync(join(TARGET, "icon-192.png"), drawIcon(192));
writeFileSync(join(TARGET, "icon-512.png"), drawIcon(512));
writeFileSync(join(TARGET, "icon-maskable-512.png"), drawIcon(512, 0.12));

for (const subset of ["latin", "latin-ext"]) {
  copyFileSync(`${FONTS}/plus-jakarta-sans-${subset}-wght-normal.woff2`, join(TARGET, `plus-jakarta-sans-${subset}.woff2`));
}
for (const name of ["swagger-ui.css", "swagger-ui-bundle.js"]) {
  copyFileSync(`${API_DOCUMENTATION}/${name}`, join(TARGET, name));
}

for (const name of ["canting.css", "canting.js", "verify.js", "worker.js", "qr-reader.js", "jlamprang.svg", "plus-jakarta-sans-latin.woff2"]) {
  const bytes = readFileSync(join(TARGET, name));
  console.log(`${name.padEnd(32)} ${String(bytes.length).padStart(7)} bytes, ${gzipSync(bytes).length} gzipped`);
}
