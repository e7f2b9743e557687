// A drop zone for one file: what is dropped on it is handed to its file input, whose form is sent.

/** Start every `[data-canting-drop]` below `root`; without this the plain input and button remain. */
export function startFileDrops(root) {
  for (const zone of root.querySelectorAll("[data-canting-drop]")) startFileDrop(zone);
}

function startFileDrop(zone) {
  const input = zone.querySelector("input[type=file]");
  const form = zone.closest("form");
  zone.dataset.enhanced = "true";

  input.addEventListener("change", () => {
    if (input.files.length === 0) return;
    zone.dataset.busy = "true";
    form.requestSubmit();
  });
  for (const name of ["dragenter", "dragover"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      zone.dataset.over = "true";
    });
  }
  for (const name of ["dragleave", "drop"]) {
    zone.addEventListener(name, (event) => {
      if (name === "dragleave" && zone.contains(event.relatedTarget)) return;
      delete zone.dataset.over;
    });
  }
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length === 0) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
  // Coming back through the browser's history must not find the zone still busy.
  addEventListener("pageshow", () => delete zone.dataset.busy);
}
