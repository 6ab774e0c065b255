// @ts-check
// How much a visitor gives: not more than a share of what it took, and not more in a day than its owner set.

// Before it took anything it may give this much, so that a few can begin.
const GRACE_BYTES = 16 * 1024 * 1024;
const DAY_MS = 24 * 3600 * 1000;
const KEY = 'swarmlet given';

/** Whether more may be given. Pure. @param {{ sent: number, taken: number, today: number }} so
 * @param {{ ratio: number, dayBytes: number }} limits */
export function mayGive({ sent, taken, today }, { ratio, dayBytes }) {
  return sent < taken * ratio + GRACE_BYTES && today < dayBytes;
}

export class Governor {
  #limits;
  #sent = 0;
  /** The day, and what was given in it, by all visits. */
  #day = { day: 0, bytes: 0 };

  /** @param {{ ratio: number, dayBytes: number }} limits */
  constructor(limits) {
    this.#limits = limits;
    try {
      this.#day = { ...this.#day, ...JSON.parse(localStorage.getItem(KEY) ?? '{}') };
    } catch {
      // Then the day begins now.
    }
  }

  /** Notes how things are; whether more may be given. @param {number} sent @param {number} taken */
  judge(sent, taken) {
    const day = Math.floor(Date.now() / DAY_MS);
    if (day !== this.#day.day) this.#day = { day, bytes: 0 };
    if (sent > this.#sent) {
      this.#day.bytes += sent - this.#sent;
      this.#sent = sent;
      try {
        localStorage.setItem(KEY, JSON.stringify(this.#day));
      } catch {
        // Counted for this visit only.
      }
    }
    return mayGive({ sent, taken, today: this.#day.bytes }, this.#limits);
  }
}
