// @ts-check
// How often, and for how long, films of the page stood still for want of bytes: not at their start, and not after a jump.

export class Stalls {
  #count = 0;
  #ms = 0;
  /** Films that stand still, since when. @type {Map<EventTarget, number>} */
  #since = new Map();

  /** @param {AbortSignal} signal */
  constructor(signal) {
    const options = { capture: true, signal };
    document.addEventListener('waiting', ({ target }) => {
      const film = /** @type {HTMLMediaElement} */ (target);
      if (film.played.length === 0 || film.seeking || film.ended || this.#since.has(film)) return;
      this.#since.set(film, performance.now());
      this.#count += 1;
    }, options);
    // Media events do not bubble, but they are captured.
    for (const over of ['playing', 'seeking', 'pause', 'emptied', 'ended']) {
      document.addEventListener(over, ({ target }) => this.#over(target), options);
    }
  }

  /** @returns {{ count: number, ms: number }} */
  stats() {
    let ms = this.#ms;
    for (const since of this.#since.values()) ms += performance.now() - since;
    return { count: this.#count, ms: Math.round(ms) };
  }

  /** @param {EventTarget | null} film */
  #over(film) {
    const since = film && this.#since.get(film);
    if (!film || since === undefined || since === null) return;
    this.#ms += performance.now() - since;
    this.#since.delete(film);
  }
}
