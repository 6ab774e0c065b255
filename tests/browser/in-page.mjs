// @ts-check
// Runs inside every page under test, before the page's own scripts: content made and hashed where it is used, so that
// no byte of it crosses the debugging pipe.

/** @param {{ base: string }} options */
export function installHelpers({ base }) {
  /** xorshift32: the same bytes in the page and in the harness. @param {number} seed @param {number} size */
  const bytes = (seed, size) => {
    const words = new Uint32Array(Math.ceil(size / 4));
    let x = (seed * 2654435761) >>> 0 || 1;
    for (let i = 0; i < words.length; i += 1) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      words[i] = x;
    }
    return new Uint8Array(words.buffer, 0, size);
  };
  /** @param {ArrayBuffer | Uint8Array} data */
  const sha256 = async (data) => {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', /** @type {BufferSource} */ (data)));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  };

  const t = {
    base,
    bytes,
    sha256,
    /** @type {any} */ node: undefined,
    /** @type {Map<string, any>} */ shares: new Map(),
    /** @type {{ type: string, detail: any }[]} */ log: [],

    /** @param {any} options */
    async join(options) {
      const api = await import(`${base}/swarmlet/swarmlet.js`);
      t.node = await api.join({ signaller: `${base.replace('http', 'ws')}/signal`, ...options });
      for (const type of ['peer', 'link', 'ban', 'source', 'signaller', 'share']) {
        t.node.events.addEventListener(type, (/** @type {any} */ event) => {
          const { share: _, ...detail } = event.detail ?? {};
          t.log.push({ type, detail });
        });
      }
      return t.node.peerId;
    },

    /** @param {any} share */
    keep(share) {
      t.shares.set(share.id, share);
      share.done.catch(() => {});
      return { id: share.id, magnet: share.magnet, link: share.link, name: share.name, size: share.size };
    },

    /** @param {{ path: string, size: number, seed: number }[]} files @param {any} options */
    async seed(files, options) {
      const made = files.map(({ path, size, seed }) => ({ path, blob: new Blob([bytes(seed, size)]) }));
      const share = await t.node.seed(made, options);
      await share.ready;
      return t.keep(share);
    },

    /** @param {string | number[]} what @param {any} options */
    async add(what, options) {
      const input = typeof what === 'string' ? what : new Uint8Array(what);
      return t.keep(await t.node.add(input, options));
    },

    /** The SHA-256 of every file, read through the public API. @param {string} id */
    async hashes(id) {
      const found = [];
      for (const file of t.shares.get(id).files) {
        const blob = await file.blob();
        found.push({ path: file.path, size: blob.size, sha256: await sha256(await blob.arrayBuffer()) });
      }
      return found;
    },

    /** Resolves when `test` of the share's progress holds. @param {string} id @param {(p: any) => boolean} test */
    until(id, test) {
      const share = t.shares.get(id);
      return t.condition(() => (test(share.stats()) ? share.stats() : undefined));
    },

    /** Resolves with the first value of `probe` that is not undefined; asked at each event of the node.
     * @param {() => any} probe */
    condition(probe) {
      return new Promise((resolve, reject) => {
        const types = ['peer', 'link', 'ban', 'source', 'signaller', 'share', 'progress'];
        const ask = () => {
          try {
            const value = probe();
            if (value === undefined) return;
            resolve(value);
          } catch (error) {
            reject(error);
          }
          for (const type of types) t.node.events.removeEventListener(type, ask);
        };
        for (const type of types) t.node.events.addEventListener(type, ask);
        ask();
      });
    },
  };
  /** @type {any} */ (globalThis).t = t;
}
