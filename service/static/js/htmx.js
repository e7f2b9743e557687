import htmx from "htmx.org/dist/htmx.esm.js";

// The content security policy forbids inline styles and evaluation, so htmx must not try either.
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;
htmx.config.allowScriptTags = false;
htmx.config.selfRequestsOnly = true;
// A page in the back-and-forward cache of the browser may hold personal data: keep no copy of it.
htmx.config.historyCacheSize = 0;
