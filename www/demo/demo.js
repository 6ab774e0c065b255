// @ts-check
// The demo's own script: an ordinary page that knows nothing of Swarmlet but where its numbers are.

import { megabytes, showNumbers, siteStats } from './numbers.js';

const get = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @type {[number, number][]} */
const history = [];

fetch('pictures/index.json').then((answer) => answer.json()).then((names) => {
  for (const name of names) {
    const picture = new Image();
    picture.loading = 'lazy';
    picture.alt = '';
    picture.src = `pictures/${encodeURIComponent(name)}`;
    get('pictures').append(picture);
  }
}).catch(() => {});

const stream = /** @type {HTMLVideoElement} */ (get('stream'));
const Hls = /** @type {any} */ (globalThis).Hls;
if (Hls?.isSupported()) {
  const player = new Hls({ autoStartLoad: false });
  player.loadSource(stream.dataset.src);
  player.attachMedia(stream);
  stream.addEventListener('play', () => player.startLoad(), { once: true });
} else if (stream.canPlayType('application/vnd.apple.mpegurl')) {
  stream.src = stream.dataset.src ?? '';
}

get('fetch').addEventListener('click', async () => {
  const start = performance.now();
  const reader = (await fetch('files/large.bin')).body?.getReader();
  let bytes = 0;
  for (;;) {
    const part = await reader?.read();
    if (!part?.value) break;
    bytes += part.value.length;
    get('fetched').textContent = megabytes(bytes);
  }
  get('fetched').textContent = `${megabytes(bytes)} in ${((performance.now() - start) / 1000).toFixed(1)} s`;
});

function show() {
  const now = siteStats();
  history.push([now.fromPeers ?? 0, now.fromOrigin ?? 0]);
  if (history.length > 120) history.shift();
  const most = Math.max(1, ...history.flat());
  const plot = get('plot');
  plot.replaceChildren(...['peers', 'origin'].map((name, which) => {
    const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
    line.setAttribute('class', name);
    line.setAttribute('points', history.map((point, at) => `${at * 5},${115 - (point[which] / most) * 110}`).join(' '));
    return line;
  }));
  const all = (now.fromPeers ?? 0) + (now.fromOrigin ?? 0);
  showNumbers({
    State: now.gate === 'open' ? `sharing with ${now.peers} visitors` : `${now.mode ?? 'no embed'}: ${now.reason ?? ''}`,
    'From visitors': megabytes(now.fromPeers),
    'From the server': megabytes(now.fromOrigin),
    'Given to visitors': megabytes(now.sent),
    'Saved': all > 0 ? `${Math.round((100 * (now.fromPeers ?? 0)) / all)} %` : '–',
  });
}
setInterval(show, 500);
show();
