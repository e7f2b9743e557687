// Uploads with progress. The server answers the same form in the same way as without a script: with
// the page, from which this takes the field's new state.

/** Start every `[data-canting-upload]` below `root`. */
export function startUploads(root) {
  for (const field of root.querySelectorAll("[data-canting-upload]")) startUpload(field);
}

function startUpload(field) {
  const input = field.querySelector("input[type=file]");
  if (input) {
    field.dataset.enhanced = "true";
    input.addEventListener("change", () => input.files.length > 0 && send(field, input.form, input.files[0]));
  }
  for (const form of field.querySelectorAll("form[data-canting-remove]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(field, form, null);
    });
  }
}

function send(field, form, file) {
  if (file && file.size > Number(field.dataset.maxBytes)) {
    say(field, field.dataset.tooLarge, "error");
    form.reset();
    return;
  }
  const request = new XMLHttpRequest();
  const bar = field.querySelector("progress");
  if (file) {
    showPreview(field, file);
    say(field, `${field.dataset.uploading} ${file.name}`, "busy");
  } else {
    say(field, field.dataset.removing, "busy");
  }
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) bar.value = event.loaded / event.total;
  });
  request.addEventListener("load", () => replace(field, request));
  request.addEventListener("error", () => say(field, field.dataset.failed, "error"));
  request.responseType = "document";
  request.open("POST", form.action);
  request.send(new FormData(form));
}

function replace(field, request) {
  const fresh = request.response?.getElementById(field.id);
  if (!fresh) {
    say(field, field.dataset.failed, "error");
    return;
  }
  const next = document.adoptNode(fresh);
  field.replaceWith(next);
  startUpload(next);
  const status = next.querySelector("[role=status]");
  // A live region speaks only when its text changes after it stands in the page.
  requestAnimationFrame(() => (status.textContent = next.dataset.outcome ?? ""));
  (next.querySelector("[data-canting-remove] button") ?? next.querySelector("input[type=file]"))?.focus();
}

function showPreview(field, file) {
  const image = field.querySelector("[data-canting-preview]");
  if (!image || !file.type.startsWith("image/")) return;
  const address = URL.createObjectURL(file);
  image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
  image.src = address;
  image.hidden = false;
}

function say(field, text, state) {
  field.dataset.state = state;
  field.querySelector("progress").value = 0;
  field.querySelector("[role=status]").textContent = text;
}
