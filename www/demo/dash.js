// @ts-check
// The DASH page's own script: plain Shaka Player, and numbers.
'use strict';

(() => {
  const get = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
  const film = /** @type {HTMLVideoElement} */ (get('dash'));
  const { Player } = /** @type {any} */ (globalThis).shaka;
  const player = new Player();
  const failed = (/** @type {any} */ error) => (film.dataset.error = `${error.code ?? error}`);
  player.addEventListener('error', (/** @type {any} */ { detail }) => detail.severity === 2 && failed(detail));
  player.attach(film).then(() => player.load(film.dataset.src)).catch(failed);

  setInterval(() => {
    const { gate, reason, peers = 0, fromPeers = 0, fromOrigin = 0, sent = 0, stalls } = /** @type {any} */ (globalThis).swarmletSite?.stats() ?? {};
    const mb = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
    const rows = {
      State: gate === 'open' ? `sharing with ${peers} viewers` : reason ?? 'no embed',
      'From viewers': mb(fromPeers),
      'From the server': mb(fromOrigin),
      'Given to viewers': mb(sent),
      Stalls: `${stalls?.count ?? 0}, ${((stalls?.ms ?? 0) / 1000).toFixed(1)} s`,
    };
    get('numbers').replaceChildren(...Object.entries(rows).flatMap(([name, value]) => {
      const pair = [document.createElement('dt'), document.createElement('dd')];
      pair[0].textContent = name;
      pair[1].textContent = value;
      return pair;
    }));
  }, 500);
})();
