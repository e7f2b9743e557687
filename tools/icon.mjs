// Draws the app's icon, a canting on indigo, as PNG: phones want pixels of set sizes where a browser takes
// the SVG. The shapes are those of service/static/images/favicon.svg, on its grid of 40 by 40 units.

import { crc32, deflateSync } from "node:zlib";

const INDIGO = [0x1f, 0x3c, 0x88];
const SOGA = [0xd9, 0xa7, 0x66];
const CREAM = [0xfb, 0xf6, 0xec];
const MENGKUDU = [0xeb, 0x7a, 0x80];
const GRID = 40;
const SAMPLES = 4;

const within = (x, y, cx, cy, radius) => Math.hypot(x - cx, y - cy) <= radius;

/** Whether the point lies on a line of this width with round ends. */
function onLine(x, y, [x1, y1, x2, y2], width) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const along = Math.max(0, Math.min(1, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy)));
  return within(x, y, x1 + along * dx, y1 + along * dy, width / 2);
}

const onCurve = (x, y, points, width) =>
  points.slice(1).some((point, i) => onLine(x, y, [...points[i], ...point], width));

const SPOUT = [[11.5, 24.5], [8.9, 25.6], [7.2, 27], [6.2, 28.6], [5.8, 30.5]];
const SHEEN = [[11.5, 21.5], [11.9, 19.6], [13, 18], [14.6, 17.1], [16.5, 16.8]];
const inDrop = (x, y) => within(x, y, 5.8, 36.2, 2.1) || (y > 32.2 && y < 36.2 && Math.abs(x - 5.8) < (y - 32.2) * 0.52);

/** The shapes from the topmost to the ground. */
const SHAPES = [
  [SOGA, (x, y) => onCurve(x, y, SHEEN, 1.8)],
  [CREAM, (x, y) => within(x, y, 16.5, 22, 7.8)],
  [MENGKUDU, inDrop],
  [CREAM, (x, y) => onCurve(x, y, SPOUT, 3)],
  [SOGA, (x, y) => onLine(x, y, [21, 19, 35, 5], 5)],
  [INDIGO, () => true],
];

/** The icon as a PNG of `size` pixels; `margin` is the share of each side that a phone may cut off. */
export function drawIcon(size, margin = 0) {
  const rows = Buffer.alloc(size * (size * 3 + 1));
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      rows.set(colourOf(x, y, size, margin), y * (size * 3 + 1) + 1 + x * 3);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

function colourOf(px, py, size, margin) {
  const sum = [0, 0, 0];
  for (let i = 0; i < SAMPLES * SAMPLES; i += 1) {
    const [sx, sy] = [px + ((i % SAMPLES) + 0.5) / SAMPLES, py + (Math.floor(i / SAMPLES) + 0.5) / SAMPLES];
    const [x, y] = [sx, sy].map((each) => ((each / size - margin) / (1 - 2 * margin)) * GRID);
    const [colour] = SHAPES.find(([, covers]) => covers(x, y));
    colour.forEach((value, channel) => {
      sum[channel] += value;
    });
  }
  return sum.map((value) => Math.round(value / (SAMPLES * SAMPLES)));
}

/** A chunk of a PNG (ISO/IEC 15948 §5.3): length, type, data, and the checksum of the last two. */
function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}
