// The one script of every page. Each page works without it; this only shortens the way.

import { initAll } from "govuk-frontend";
import "./htmx.js";
import { wording } from "./wording.js";
import { startFileDrops } from "./file-drop.js";
import { startQueues } from "./queue.js";
import { startUploads } from "./upload.js";

document.body.classList.add("js-enabled", "govuk-frontend-supported");

initAll(wording(document.documentElement.lang));
startUploads(document);
startFileDrops(document);
startQueues(document);
