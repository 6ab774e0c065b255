// @ts-check
// The DASH page's own script: plain Shaka Player, and numbers.

import { filmRows, showNumbers, siteStats } from './numbers.js';

const get = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const film = /** @type {HTMLVideoElement} */ (get('dash'));
const { Player } = /** @type {any} */ (globalThis).shaka;
const player = new Player();
const failed = (/** @type {any} */ error) => (film.dataset.error = `${error.code ?? error}`);
player.addEventListener('error', (/** @type {any} */ { detail }) => detail.severity === 2 && failed(detail));
player.attach(film).then(() => player.load(film.dataset.src)).catch(failed);

setInterval(() => showNumbers(filmRows(siteStats())), 500);
