// Reads QR codes in browsers that cannot by themselves; loaded when it is first needed.

import jsQR from "jsqr";

/** The text of a QR code in ImageData, or null. */
export function readQr({ data, width, height }) {
  return jsQR(data, width, height, { inversionAttempts: "dontInvert" })?.data ?? null;
}
