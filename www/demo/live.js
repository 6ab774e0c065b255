// @ts-check
// The live page's own script: plain hls.js, and numbers.
'use strict';

(() => {
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
    const { live, gate, reason, peers = 0, fromPeers = 0, fromOrigin = 0, sent = 0, stalls } = /** @type {any} */ (globalThis).swarmletSite?.stats() ?? {};
    const mb = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
    const { segments = {}, accepted = {}, refused = 0, seq = 0 } = live ?? {};
    const rows = {
      State: gate === 'open' ? `sharing with ${peers} viewers` : reason ?? 'no embed',
      Bulletin: `number ${seq}, by the signaller ${accepted.signaller ?? 0}, by viewers ${accepted.peer ?? 0}, by the server ${accepted.site ?? 0}, refused ${refused}`,
      'From viewers': mb(fromPeers),
      'From the server': mb(fromOrigin),
      'Given to viewers': mb(sent),
      Stalls: `${stalls?.count ?? 0}, ${((stalls?.ms ?? 0) / 1000).toFixed(1)} s`,
    };
    get('segments').replaceChildren(...['peers', 'site', 'none'].flatMap((from) => Array.from({ length: segments[from] ?? 0 }, () => {
      const mark = document.createElement('span');
      mark.className = from;
      return mark;
    })));
    get('numbers').replaceChildren(...Object.entries(rows).flatMap(([name, value]) => {
      const pair = [document.createElement('dt'), document.createElement('dd')];
      pair[0].textContent = name;
      pair[1].textContent = value;
      return pair;
    }));
  }, 500);
})();
