import htmx from "htmx.org/dist/htmx.esm.js";

// The content security policy forbids inline styles and evaluation, so htmx must not try either.
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;
htmx.config.allowScriptTags = false;
htmx.config.selfRequestsOnly = true;
// A page in the back-and-forward cache of the browser may hold personal data: keep no copy of it.
htmx.config.historyCacheSize = 0;

// A request that was led elsewhere, as to the sign-in page when a session has ended, leads the whole page.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, pathInfo } = event.detail;
  if (!xhr.responseURL || new URL(xhr.responseURL).pathname === pathInfo.requestPath.split("?")[0]) return;
  event.detail.shouldSwap = false;
  location.assign(xhr.responseURL);
});
