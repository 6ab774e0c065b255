// @ts-check
// Where to go while the signaller is gone: what the overlay's module decides (core/src/overlay/anchors.rs), carried out. It is
// loaded only where anchors are remembered and the signaller does not answer.

const WASM = new URL('../pkg/swarmlet_overlay_bg.wasm', import.meta.url);
/** How long the signaller may take to let us in before the module is loaded for it. */
const ENTRY_MS = 2000;
/** Between two tries to load it. */
const RETRY_MS = 30_000;
const [SHARES, UP, DOWN, TIME] = [0, 1, 2, 3];
/** Shares that peers are wanted for, or that peers may want. */
const ACTIVE = new Set(['finding', 'checking', 'fetching', 'seeding']);

/**
 * @typedef {object} Around
 * @property {string[]} list addresses that are remembered, newest first
 * @property {string} home the signaller's own
 * @property {(address: string) => void} use has the node open this one from now on; empty: the signaller's own
 * @property {(address: string) => void} forget
 */

export class Anchors {
  #around;
  /** @type {import('../pkg/swarmlet_overlay.js').Anchors | null} */
  #machine = null;
  #isUp = false;
  #since = performance.now();
  #shares = '';
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Around} around */
  constructor(around) {
    this.#around = around;
    this.#timer = setTimeout(() => this.#load(), ENTRY_MS);
  }

  /** The node's own news, as the page gets them. @param {any} message */
  note(message) {
    if (message.t === 'snapshot') return this.#look(message);
    if (message.t !== 'event' || message.name !== 'signaller' || message.state === 'refused') return;
    const isUp = message.state === 'up';
    if (!this.#machine && this.#isUp && !isUp) {
      this.#since = performance.now();
      this.#timer = setTimeout(() => this.#load(), ENTRY_MS);
    }
    this.#isUp = isUp;
    this.#tell(isUp ? UP : DOWN);
  }

  async #load() {
    if (this.#machine || this.#isUp) return;
    try {
      const { default: init, Anchors: Machine } = await import('../pkg/swarmlet_overlay.js');
      await init({ module_or_path: WASM });
      if (this.#isUp) return;
      const { list, home } = this.#around;
      this.#machine = new Machine(list.join('\n'), home, crypto.getRandomValues(new Uint8Array(32)), this.#since);
      this.#tell(SHARES, this.#shares);
    } catch {
      // Where it comes from may be gone, too.
      this.#timer = setTimeout(() => this.#load(), RETRY_MS);
    }
  }

  /** @param {any} snapshot */
  #look({ shares }) {
    const active = shares.filter((/** @type {any} */ share) => ACTIVE.has(share.state)).map((/** @type {any} */ share) => share.id).join('');
    if (active === this.#shares) return;
    this.#shares = active;
    this.#tell(SHARES, active);
  }

  /** @param {number} kind @param {string} [ids] in hexadecimal, one after the other */
  #tell(kind, ids = '') {
    const machine = this.#machine;
    if (!machine) return;
    machine.hear(performance.now(), kind, Uint8Array.from(ids.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)));
    for (let order = machine.poll(); order !== undefined; order = machine.poll()) {
      const address = order.slice(1);
      // The node may be telling us something just now.
      if (order[0] === '+') queueMicrotask(() => this.#around.use(address));
      else this.#around.forget(address);
    }
    clearTimeout(this.#timer);
    const due = machine.due();
    if (due !== undefined) this.#timer = setTimeout(() => this.#tell(TIME), Math.max(1, due - performance.now()));
  }
}
