// @ts-check
// Tabs of one origin find each other without a signaller: the codes that people would carry go over a BroadcastChannel.
//
//   seek(content) → here → ask → offer(code) → answer(code)

const NAME = 'swarmlet-tabs';
/** How often a share that nobody is linked for is sought. */
const SEEK_MS = 5000;
/** … and a new one for the first time: a signaller that is there has answered by then. */
const FIRST_SEEK_MS = 300;

/** @typedef {{ peerId: string, shares: readonly import('./share.js').Share[], stats: () => { signaller: boolean }, meet: (code: string) => Promise<string | null> }} Node */

export class Tabs {
  #node;
  #channel = new BroadcastChannel(NAME);
  /** The share that was sought last, until a tab says that it has it. */
  #sought = '';
  #timer;
  #closed = false;

  /** @param {Node} node */
  constructor(node) {
    this.#node = node;
    this.#channel.onmessage = ({ data }) => void this.#hear(data).catch(() => undefined);
    this.#timer = setInterval(() => this.#seek(), SEEK_MS);
    this.#seek();
  }

  /** A share is new here. */
  added() {
    setTimeout(() => this.#seek(), FIRST_SEEK_MS);
  }

  close() {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#channel.close();
  }

  #seek() {
    if (this.#closed || this.#node.stats().signaller) return;
    const alone = this.#node.shares.find((share) => share.stats().peers === 0 && LACKING.has(share.state));
    this.#sought = alone?.id ?? '';
    if (alone) this.#say('seek', '', alone.id);
  }

  /** @param {string} t @param {string} to @param {string} content @param {string} [code] */
  #say(t, to, content, code) {
    this.#channel.postMessage({ t, to, content, code, from: this.#node.peerId });
  }

  /** @param {any} message */
  async #hear({ t, to, from, content, code }) {
    const node = this.#node;
    const share = node.shares.find(({ id }) => id === content);
    if (!share || (to !== node.peerId && t !== 'seek')) return;
    if (t === 'seek') this.#say('here', from, content);
    else if (t === 'here' && this.#sought === content) {
      // The first will do: it leads to the others.
      this.#sought = '';
      this.#say('ask', from, content);
    } else if (t === 'ask') this.#say('offer', from, content, (await share.offer()).code);
    else if (t === 'offer') this.#say('answer', from, content, (await node.meet(code)) ?? undefined);
    else if (t === 'answer') await node.meet(code);
  }
}

const LACKING = new Set(['finding', 'fetching']);
