// Scanning a permit's QR code in the page: by the camera, or in a photo that was taken before. What reads the
// picture is the browser's own BarcodeDetector or, where there is none, a script that is loaded only then.

const EVERY = 150;
const LARGEST_SIDE = 1600;

/** Start the scanner in `place`: its buttons stay hidden where the browser can do neither. */
export function startScanner(place) {
  const scanner = new Scanner(place);
  place.hidden = false;
  place.querySelector("[data-scan-start]").addEventListener("click", () => scanner.start());
  place.querySelector("[data-scan-stop]").addEventListener("click", () => scanner.stop());
  place.querySelector("[data-scan-torch]").addEventListener("click", () => scanner.switchTorch());
  place.querySelector("[data-scan-photo]").addEventListener("change", (event) => scanner.readPhoto(event.target));
  addEventListener("pagehide", () => scanner.stop());
}

class Scanner {
  constructor(place) {
    this.place = place;
    this.video = place.querySelector("video");
    this.canvas = document.createElement("canvas");
    this.stream = null;
  }

  async start() {
    if (!navigator.mediaDevices?.getUserMedia) return this.say("no_camera");
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } },
      });
    } catch (error) {
      return this.say(error.name === "NotAllowedError" ? "refused" : "no_camera");
    }
    this.video.srcObject = this.stream;
    await this.video.play();
    const [track] = this.stream.getVideoTracks();
    this.place.querySelector("[data-scan-torch]").hidden = !track.getCapabilities?.().torch;
    this.open(true);
    this.say("looking");
    const read = await makeReader(this.place.dataset.cantingScanner);
    while (this.stream) {
      const found = await read(this.picture(this.video, this.video.videoWidth, this.video.videoHeight));
      if (found && this.follow(found)) return this.stop();
      await new Promise((resume) => setTimeout(resume, EVERY));
    }
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.video.srcObject = null;
    this.open(false);
  }

  async switchTorch() {
    const [track] = this.stream.getVideoTracks();
    this.torch = !this.torch;
    await track.applyConstraints({ advanced: [{ torch: this.torch }] });
  }

  async readPhoto(input) {
    const [file] = input.files;
    if (!file) return;
    try {
      const bitmap = await createImageBitmap(file);
      const read = await makeReader(this.place.dataset.cantingScanner);
      const found = await read(this.picture(bitmap, bitmap.width, bitmap.height));
      if (found) this.follow(found);
      else this.say("nothing_found");
    } catch {
      this.say("nothing_found");
    }
    input.value = "";
  }

  /** The picture's pixels, no larger than what is quickly searched. */
  picture(source, width, height) {
    const scale = Math.min(1, LARGEST_SIDE / Math.max(width, height));
    [this.canvas.width, this.canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(source, 0, 0, this.canvas.width, this.canvas.height);
    return context.getImageData(0, 0, this.canvas.width, this.canvas.height);
  }

  /** Open what a code says, if it is a permit's address of this service; tell whether it was. */
  follow(text) {
    const path = permitPath(text, [location.origin, this.place.dataset.baseUrl]);
    if (path === null) {
      this.say("other_code");
      return false;
    }
    location.assign(path);
    return true;
  }

  open(isOpen) {
    for (const part of this.place.querySelectorAll("[data-scan-open]")) part.hidden = !isOpen;
    this.place.querySelector("[data-scan-start]").hidden = isOpen;
  }

  say(name) {
    for (const sentence of this.place.querySelectorAll("[data-scan-says]")) {
      sentence.hidden = sentence.dataset.scanSays !== name;
    }
  }
}

/** The path and token of a permit's address at one of these origins, or null. */
export function permitPath(text, origins) {
  let url;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  const isOurs = origins.some((origin) => url.origin === new URL(origin).origin);
  return isOurs && /^\/v\/[0-9A-Za-z]{26}$/.test(url.pathname) ? url.pathname + url.hash : null;
}

/** A function from pixels to the text of a QR code in them, or null. */
async function makeReader(address) {
  const formats = (await globalThis.BarcodeDetector?.getSupportedFormats?.()) ?? [];
  if (formats.includes("qr_code")) {
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    return async (picture) => (await detector.detect(picture))[0]?.rawValue ?? null;
  }
  const { readQr } = await import(address);
  return async (picture) => readQr(picture);
}
