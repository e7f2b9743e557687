// The script of the verify pages: it keeps them for use without a network, checks the token that a QR code
// carries behind its address, and starts the camera. Its sentences stand in the page, as templates.

import { judgeToken } from "./judge.js";
import { startScanner } from "./scan.js";

const DAY = { day: "numeric", month: "long", year: "numeric" };
const SPANS = [["day", 86400], ["hour", 3600], ["minute", 60]];

const language = document.documentElement.lang;

keepForOffline();
keepTokenAcrossLanguages();
for (const place of document.querySelectorAll("[data-canting-token]")) showJudgement(place);
for (const place of document.querySelectorAll("[data-canting-scanner]")) startScanner(place);
// Another code scanned into the same page changes the address's fragment alone.
addEventListener("hashchange", () => location.reload());

async function keepForOffline() {
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register("/verify/worker.js", { scope: "/v" });
    const { active } = await navigator.serviceWorker.ready;
    active.postMessage({ ask: "refresh", language });
    for (const told of document.querySelectorAll("[data-canting-kept]")) told.hidden = false;
  } catch {
    // A private window, or a browser that keeps nothing: the page works with a network alone.
  }
}

function keepTokenAcrossLanguages() {
  for (const link of document.querySelectorAll("a[hreflang]")) link.hash = location.hash;
}

/** Judge the address's token and fill `place` with the template of the verdict, where it has one. */
async function showJudgement(place) {
  const code = decodeURIComponent(location.pathname.split("/")[2] ?? "").toUpperCase();
  const now = Math.floor(Date.now() / 1000);
  const judgement = code
    ? await judgeToken(location.hash.slice(1), { code, now, loadKeys, loadList })
    : { verdict: "no_code" };
  const chosen = place.querySelector(`template[data-verdict~="${judgement.verdict}"]`);
  if (!chosen) return;
  const shown = chosen.content.cloneNode(true);
  fillFacts(shown, judgement.facts, place.dataset.timeZone);
  fillAge(shown, judgement.snapshot, now);
  // Only a forged code speaks louder than the register's answer on the page.
  if (shown.querySelector("h1")) document.querySelector("[data-canting-answer]")?.remove();
  place.replaceChildren(shown, ...place.querySelectorAll("template"));
  place.hidden = false;
  const title = place.querySelector("h1");
  if (title) document.title = `${title.textContent} – ${document.title}`;
}

async function loadKeys() {
  return (await load("/pki/seal.jwks")).json();
}

async function loadList(address) {
  return new Uint8Array(await (await load(new URL(address).pathname)).arrayBuffer());
}

async function load(path) {
  const answer = await fetch(path, { credentials: "omit" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

function fillFacts(shown, facts, timeZone) {
  const list = shown.querySelector("[data-facts]");
  if (!list) return;
  if (!facts) {
    list.remove();
    return;
  }
  const day = (seconds) => new Intl.DateTimeFormat(language, { ...DAY, timeZone }).format(seconds * 1000);
  const written = {
    number: facts.number,
    type: facts.type,
    holder: facts.holder,
    place: facts.place,
    begins: day(facts.begins),
    // The token's end is the first moment after the last day.
    ends: facts.ends === null ? null : day(facts.ends - 1),
  };
  for (const value of list.querySelectorAll("[data-fact]")) {
    const text = written[value.dataset.fact];
    // Where a fact is missing, the words in the page stand for it, or its row goes.
    if (text) value.textContent = text;
    else if (!value.textContent.trim()) value.closest("div").remove();
  }
}

function fillAge(shown, snapshot, now) {
  const line = shown.querySelector("[data-age]");
  if (!line) return;
  if (snapshot === null) {
    line.remove();
    return;
  }
  const age = Math.max(0, now - snapshot);
  // What is younger than a minute was updated now.
  const [unit, seconds] = SPANS.find(([, each]) => age >= each) ?? ["second", Infinity];
  const told = new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(-Math.floor(age / seconds), unit);
  line.querySelector("[data-age-words]").textContent = told;
}
