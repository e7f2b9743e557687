// The service worker of the verify pages: with a network it stays out of the way, without one it answers with
// the page that checks a QR code's token by itself. It keeps that page in both languages, its scripts and
// styles, the pinned keys and the last lists of statuses: nothing that a signed-in person sees, no answer of
// the API. The server writes `self.CANTING = { version, shells, assets }` before this.

const { version, shells, assets } = self.CANTING;
const SHELL = `canting-verify-${version}`;
const DATA = "canting-verify-data";
const KEYS = "/pki/seal.jwks";
const LISTS = "/status-lists";
const LANGUAGE = "/verify/offline/language";
const PATIENCE = 5000;
const DAY = 24 * 3600 * 1000;

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(Promise.all([keepShell(), keepData()]));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(forgetOthers().then(() => self.clients.claim()));
});

// A page that was opened with a network asks for fresh data, and says in which language it is read.
self.addEventListener("message", (event) => {
  if (event.data?.ask !== "refresh") return;
  event.waitUntil(Promise.all([renewShell(), keepData(), keepLanguage(event.data.language)]));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (request.mode === "navigate") {
    if (url.pathname === "/verify" || url.pathname.startsWith("/v/")) event.respondWith(openPage(request, url));
  } else if (url.pathname === KEYS || url.pathname.startsWith(LISTS)) {
    event.respondWith(readData(url.pathname));
  } else if (assets.includes(url.pathname + url.search)) {
    event.respondWith(caches.match(request).then((kept) => kept ?? fetch(request)));
  }
});

async function openPage(request, url) {
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(PATIENCE) });
    // A gateway that answers for a service which is down is no network either.
    if (answer.status < 502 || answer.status > 504) return answer;
  } catch {
    // Without a network: the page that is kept.
  }
  const kept = await caches.open(SHELL);
  const language = url.searchParams.get("lang") ?? (await readLanguage());
  return (await kept.match(`${shells}?lang=${language}`)) ?? (await kept.match(`${shells}?lang=id`)) ?? Response.error();
}

/** Read the keys or a list: fresh with a network, else as they were last seen. */
async function readData(path) {
  const kept = await caches.open(DATA);
  try {
    return await fetchData(kept, path);
  } catch {
    return (await kept.match(path)) ?? Response.error();
  }
}

async function fetchData(kept, path) {
  const signal = AbortSignal.timeout(PATIENCE);
  const answer = await fetch(path, { credentials: "omit", cache: "no-cache", signal });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  await kept.put(path, answer.clone());
  return answer;
}

async function keepData() {
  const kept = await caches.open(DATA);
  try {
    await fetchData(kept, KEYS);
    const { status_lists: addresses } = await (await fetchData(kept, LISTS)).json();
    await Promise.all(addresses.map((address) => fetchData(kept, new URL(address).pathname)));
  } catch {
    // What was kept stays, and its age is shown.
  }
}

/** Keep the page as a visitor gets it: asked for without cookies, it holds nothing of a signed-in person. */
async function keepShell() {
  const kept = await caches.open(SHELL);
  const pages = ["id", "en"].map((language) => `${shells}?lang=${language}`);
  await kept.addAll([...pages, ...assets].map((address) => new Request(address, { credentials: "omit" })));
}

/** Keep the page anew once a day: its words may have changed where its scripts have not. */
async function renewShell() {
  const kept = await (await caches.open(SHELL)).match(`${shells}?lang=id`);
  const age = Date.now() - Date.parse(kept?.headers.get("date") ?? "");
  if (!(age < DAY)) await keepShell();
}

async function keepLanguage(language) {
  if (language !== "id" && language !== "en") return;
  await (await caches.open(DATA)).put(LANGUAGE, new Response(language));
}

async function readLanguage() {
  const kept = await (await caches.open(DATA)).match(LANGUAGE);
  return kept ? kept.text() : "id";
}

async function forgetOthers() {
  const names = await caches.keys();
  const others = names.filter((name) => name.startsWith("canting-verify-") && name !== SHELL && name !== DATA);
  await Promise.all(others.map((name) => caches.delete(name)));
}
