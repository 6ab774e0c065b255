// @ts-check
import { correction, generate } from '../vendor/lean-qr.js';

const SVG = 'http://www.w3.org/2000/svg';
/** Light modules around the code: ISO 18004 asks for four. */
const QUIET = 4;

/**
 * Draws a text as a QR code: one SVG path, crisp at each size. `null` when the text is too long for a code.
 * @param {string} text
 * @returns {SVGSVGElement | null}
 */
export function qr(text) {
  let code;
  try {
    code = generate(text, { maxCorrectionLevel: correction.M });
  } catch {
    return null;
  }
  let path = '';
  for (let y = 0; y < code.size; y += 1) {
    for (let x = 0; x < code.size; x += 1) {
      if (!code.get(x, y)) continue;
      let end = x + 1;
      while (end < code.size && code.get(end, y)) end += 1;
      path += `M${x + QUIET} ${y + QUIET}h${end - x}v1h${x - end}z`;
      x = end;
    }
  }
  const side = code.size + 2 * QUIET;
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${side} ${side}`);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', 'QR code of the share link');
  svg.setAttribute('shape-rendering', 'crispEdges');
  const shape = document.createElementNS(SVG, 'path');
  shape.setAttribute('d', path);
  svg.append(shape);
  return svg;
}
