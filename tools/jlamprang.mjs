// Draws jlamprang, the geometric batik of Pekalongan: rosettes of eight petals on a grid, between
// them diamonds of four dots. The band under the header repeats this one tile along its width.

const INDIGO = "#1F3C88";
const CREAM = "#FBF6EC";
const SOGA = "#D9A766";
const MENGKUDU = "#C8434A";

const WIDTH = 48;
const HEIGHT = 24;

function round(value) {
  return Math.round(value * 100) / 100;
}

function dot(x, y, radius, fill) {
  return `<circle cx="${round(x)}" cy="${round(y)}" r="${radius}" fill="${fill}"/>`;
}

/** One petal, pointing up from the origin; the rosette turns it around. */
const PETAL = "M0-2.4C1.7-4.4 1.7-6.8 0-8.6C-1.7-6.8-1.7-4.4 0-2.4Z";

function rosette(x, y) {
  const petals = Array.from({ length: 8 }, (_, i) => {
    return `<path d="${PETAL}" transform="rotate(${i * 45})" fill="${i % 2 ? SOGA : CREAM}"/>`;
  });
  return `<g transform="translate(${x} ${y})">${petals.join("")}${dot(0, 0, 1.5, MENGKUDU)}</g>`;
}

function diamond(x, y) {
  const frame = `<path d="M${x} ${y - 6.5}L${x + 6.5} ${y}L${x} ${y + 6.5}L${x - 6.5} ${y}Z" fill="none" stroke="${SOGA}" stroke-width=".9"/>`;
  const dots = [[0, -2.4], [2.4, 0], [0, 2.4], [-2.4, 0]].map(([dx, dy]) => dot(x + dx, y + dy, 1, CREAM));
  return frame + dots.join("");
}

/** The tile as an SVG document, 48 by 24 units, seamless from left to right. */
export function drawJlamprang() {
  const shapes = [
    `<path fill="${INDIGO}" d="M0 0h${WIDTH}v${HEIGHT}H0z"/>`,
    `<path d="M0 .6h${WIDTH}M0 ${HEIGHT - 0.6}h${WIDTH}" stroke="${SOGA}" stroke-width="1.2"/>`,
    rosette(12, 12),
    diamond(36, 12),
    ...[[0, 5], [24, 5], [0, 19], [24, 19], [48, 5], [48, 19]].map(([x, y]) => dot(x, y, 0.9, SOGA)),
    ...[0, 24, 48].map((x) => dot(x, 12, 1.1, MENGKUDU)),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}">${shapes.join("")}</svg>\n`;
}
