// @ts-check
// The live page's own script: plain hls.js, and numbers.

import { filmRows, showNumbers, siteStats } from './numbers.js';

const get = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const film = /** @type {HTMLVideoElement} */ (get('live'));
const Hls = /** @type {any} */ (globalThis).Hls;
if (Hls?.isSupported()) {
  const player = new Hls();
  player.loadSource(film.dataset.src);
  player.attachMedia(film);
  player.on(Hls.Events.ERROR, (/** @type {unknown} */ _, /** @type {any} */ { fatal, details }) => {
    film.dataset.last = details;
    if (fatal) film.dataset.error = details;
  });
} else if (film.canPlayType('application/vnd.apple.mpegurl')) {
  film.src = film.dataset.src ?? '';
}

setInterval(() => {
  const stats = siteStats();
  const { segments = {}, accepted = {}, refused = 0, seq = 0 } = stats.live ?? {};
  get('segments').replaceChildren(...['peers', 'site', 'none'].flatMap((from) => Array.from({ length: segments[from] ?? 0 }, () => {
    const mark = document.createElement('span');
    mark.className = from;
    return mark;
  })));
  showNumbers(filmRows(stats, {
    Bulletin: `number ${seq}, by the signaller ${accepted.signaller ?? 0}, by viewers ${accepted.peer ?? 0}, by the server ${accepted.site ?? 0}, refused ${refused}`,
  }));
}, 500);
