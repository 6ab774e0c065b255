// @ts-check
// The join token, and the next one before it ends: a page that stays open is let in again, whatever happened to its
// signaller meanwhile.

/** After a call that failed, and the least between two calls. */
const RETRY_MS = 30_000;
/** For a token that does not say when it ends: half of what signallers allow if they are not told otherwise. */
const UNKNOWN_MS = 300_000;
/** Timers count to 2^31 ms. */
const LONGEST_MS = 86_400_000;

/**
 * How long to use a token: until a fifth of its life is left.
 * @param {string} token
 * @param {number} now Milliseconds since 1970.
 */
export function lifeOf(token, now) {
  let end = NaN;
  try {
    const body = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    end = Number(new URLSearchParams(atob(body)).get('exp') || NaN) * 1000;
  } catch {
    // A form of token that is not ours.
  }
  const life = Number.isNaN(end) ? UNKNOWN_MS : (end - now) * 0.8;
  return Math.min(Math.max(life, RETRY_MS), LONGEST_MS);
}

/**
 * Tells the token, and each that follows. `tell` is called at once for a token that is there, and with `undefined` when the
 * first cannot be had.
 * @param {import('../swarmlet.js').JoinOptions['token']} given
 * @param {AbortSignal} signal Ends it.
 * @param {(token: string | undefined) => void} tell
 */
export function keepToken(given, signal, tell) {
  if (typeof given !== 'function') return tell(given);
  const renew = async () => {
    if (signal.aborted) return;
    let token;
    try {
      token = await given();
    } catch {
      // The site is away: its visitors may be let in without it, or later.
    }
    if (signal.aborted) return;
    tell(token);
    setTimeout(renew, token === undefined ? RETRY_MS : lifeOf(token, Date.now()));
  };
  renew();
}
