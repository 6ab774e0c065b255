// @ts-check
/** Numbers as people read them. */

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];

/**
 * A size: `0 bytes`, `12 kB`, `3.4 MB`. Powers of 1000, as file managers and networks count.
 * @param {number} bytes
 */
export function size(bytes) {
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  if (unit === 0) return value === 1 ? '1 byte' : `${Math.round(value)} bytes`;
  const digits = value < 10 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/**
 * A speed: `3.4 MB/s`.
 * @param {number} perSecond bytes in a second
 */
export function rate(perSecond) {
  return perSecond < 1000 ? `${(perSecond / 1000).toFixed(perSecond >= 50 ? 1 : 0)} kB/s` : `${size(perSecond)}/s`;
}

/**
 * How long: `5 s`, `3 min`, `2 h 10 min`.
 * @param {number} seconds
 */
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} days`;
}

/**
 * A part of a whole: rounded down, so that 100 % means all of it.
 * @param {number} done
 * @param {number} total
 */
export function percent(done, total) {
  if (total <= 0) return '100 %';
  return `${Math.floor((Math.min(done, total) / total) * 100)} %`;
}

/**
 * A count and its noun: `1 file`, `200 files`.
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export function count(count, one, many = `${one}s`) {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** A speed that does not jump: the mean over about three seconds. */
export class Smooth {
  #value = 0;
  #at = 0;

  /**
   * Takes the speed of this moment, returns the smoothed one.
   * @param {number} sample
   * @param {number} now milliseconds
   */
  next(sample, now) {
    const weight = this.#value === 0 ? 1 : 1 - Math.exp(-(now - this.#at) / 3000);
    this.#at = now;
    this.#value += (sample - this.#value) * weight;
    if (this.#value < 1) this.#value = 0;
    return this.#value;
  }
}
