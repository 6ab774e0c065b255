// @ts-check
// Medians and ranges of several ways to do the same, as SVG: a row of bars for each case.

/** @typedef {{ name: string, values: number[] }} Bar */
/** @typedef {{ title: string, bars: Bar[] }} Group */

const [WIDTH, LEFT, RIGHT, ROW, GAP, TOP] = [720, 230, 56, 18, 16, 34];
/** Told apart by people who see colours differently, too (Okabe and Ito 2008). */
const COLOURS = ['#999999', '#0072b2', '#d55e00', '#009e73'];

const escaped = (/** @type {string} */ text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
/** @param {number[]} values */
export const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** @param {string} title @param {Group[]} groups @returns {string} */
export function bars(title, groups) {
  const names = [...new Set(groups.flatMap((group) => group.bars.map(({ name }) => name)))];
  const most = Math.max(...groups.flatMap((group) => group.bars.flatMap(({ values }) => values)), Number.MIN_VALUE);
  const across = (/** @type {number} */ value) => ((WIDTH - LEFT - RIGHT) * value) / most;
  let y = TOP;
  const lines = groups.flatMap((group) => {
    const middle = y + (group.bars.length * ROW) / 2 + 4;
    const drawn = [`<text x="${LEFT - 10}" y="${middle}" text-anchor="end">${escaped(group.title)}</text>`];
    for (const { name, values } of group.bars) {
      const [low, mid, high] = [Math.min(...values), median(values), Math.max(...values)].map(across);
      const colour = COLOURS[names.indexOf(name) % COLOURS.length];
      drawn.push(
        `<rect x="${LEFT}" y="${y + 2}" width="${mid.toFixed(1)}" height="${ROW - 4}" fill="${colour}"><title>${escaped(name)}</title></rect>`,
        `<path class="range" d="M${(LEFT + low).toFixed(1)} ${y + ROW / 2}H${(LEFT + high).toFixed(1)}"/>`,
        `<text x="${(LEFT + Math.max(mid, high) + 6).toFixed(1)}" y="${y + ROW / 2 + 4}">${Number(median(values).toFixed(1))}</text>`,
      );
      y += ROW;
    }
    y += GAP;
    return drawn;
  });
  const legend = names.map((name, at) => {
    const x = LEFT + at * 130;
    return `<rect x="${x}" y="12" width="12" height="12" fill="${COLOURS[at % COLOURS.length]}"/><text x="${x + 18}" y="22">${escaped(name)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" role="img" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title>`,
    '<style>text{fill:#333}.range{stroke:#000;stroke-width:2;fill:none}@media(prefers-color-scheme:dark){text{fill:#ddd}.range{stroke:#fff}}</style>',
    ...legend, ...lines, '</svg>', '',
  ].join('\n');
}
