// Scanning a permit's QR code in the page: by the camera, or in a photo that was taken before. What reads the
// picture is the browser's own BarcodeDetector or, where there is none, a script that is loaded only then.

const EVERY = 100;
const LARGEST_SIDE = 1600;
/**
 * How the square in the middle is shown to the script, one way after the other: printed codes are read best when
 * the picture is shrunk until a module is some four pixels wide, which takes the grain out of it, and then enlarged.
 * The first way suits a code that fills the square, the second one of two thirds; the last is the picture as it is.
 */
const WAYS = [[420, 900], [600, 1300], [0, 1300]];

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
    for (let way = 0; this.stream; way += 1) {
      const found = await read(this.video, this.video.videoWidth, this.video.videoHeight, way % WAYS.length);
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
      let found = null;
      for (let way = 0; way <= WAYS.length && !found; way += 1) found = await read(bitmap, bitmap.width, bitmap.height, way);
      if (found) this.follow(found);
      else this.say("nothing_found");
    } catch {
      this.say("nothing_found");
    }
    input.value = "";
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

/** A function from a picture, its size and a way of looking at it to the text of a QR code in it, or null. */
async function makeReader(address) {
  const formats = (await globalThis.BarcodeDetector?.getSupportedFormats?.()) ?? [];
  if (formats.includes("qr_code")) {
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    return async (source, width, height) => (await detector.detect(whole(source, width, height)))[0]?.rawValue ?? null;
  }
  const { readQr } = await import(address);
  return async (source, width, height, way) => {
    const canvas = way < WAYS.length ? middle(source, width, height, ...WAYS[way]) : whole(source, width, height);
    return readQr(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height));
  };
}

/** The whole picture, no larger than what is quickly searched. */
function whole(source, width, height) {
  const scale = Math.min(1, LARGEST_SIDE / Math.max(width, height));
  return drawn(source, [0, 0, width, height], Math.round(width * scale), Math.round(height * scale));
}

/** The square in the middle, shrunk to one side (unless 0) and drawn at another. */
function middle(source, width, height, shrunk, size) {
  const side = Math.min(width, height);
  const square = [(width - side) / 2, (height - side) / 2, side, side];
  if (!shrunk) return drawn(source, square, size, size);
  return drawn(drawn(source, square, shrunk, shrunk), [0, 0, shrunk, shrunk], size, size);
}

function drawn(source, part, width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(source, ...part, 0, 0, width, height);
  return canvas;
}
