// @ts-check
// What the demo's pages show of `swarmletSite.stats()`.
/** @returns {any} */
export function siteStats() {
  return /** @type {any} */ (globalThis).swarmletSite?.stats() ?? {};
}

/** @param {number} [bytes] */
export function megabytes(bytes = 0) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Of a film, by source. @param {any} stats @param {Record<string, string>} [more] */
export function filmRows({ gate, reason, peers = 0, fromPeers, fromOrigin, sent, stalls }, more) {
  return {
    State: gate === 'open' ? `sharing with ${peers} viewers` : reason ?? 'no embed',
    ...more,
    'From viewers': megabytes(fromPeers),
    'From the server': megabytes(fromOrigin),
    'Given to viewers': megabytes(sent),
    Stalls: `${stalls?.count ?? 0}, ${((stalls?.ms ?? 0) / 1000).toFixed(1)} s`,
  };
}

/** @param {Record<string, string>} rows */
export function showNumbers(rows) {
  document.getElementById('numbers')?.replaceChildren(...Object.entries(rows).flatMap(([name, value]) => {
    const pair = [document.createElement('dt'), document.createElement('dd')];
    pair[0].textContent = name;
    pair[1].textContent = value;
    return pair;
  }));
}
