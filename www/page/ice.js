// @ts-check
// STUN and TURN servers as the signaller names them: its own, so that no third party learns who visits.

/** Between two tries, where there is no answer. */
const RETRY_MS = 60_000;

export class IceServers {
  /** @type {RTCIceServer[]} */
  #servers;
  #url;
  /** @type {string | undefined} */
  #token;
  #askAt = 0;

  /**
   * @param {RTCIceServer[] | undefined} given By the application: then nobody is asked.
   * @param {string | undefined} signaller Address of its socket.
   */
  constructor(given, signaller) {
    this.#servers = given ?? [];
    this.#url = given || !signaller ? undefined : new URL('/swarmlet/config.json', signaller.replace(/^ws/, 'http')).href;
  }

  /**
   * Asks with this token from now on.
   * @param {string | undefined} token
   */
  bear(token) {
    this.#token = token;
    this.now();
  }

  /** What is known. Asked again, for those to come, when half of the time that credentials are good for is over. */
  now() {
    if (this.#url && performance.now() >= this.#askAt) this.#ask(this.#url);
    return this.#servers;
  }

  /** @param {string} url */
  async #ask(url) {
    this.#askAt = performance.now() + RETRY_MS;
    try {
      const headers = this.#token ? { authorization: `Bearer ${this.#token}` } : undefined;
      const { iceServers, ttl } = await (await fetch(url, { headers, credentials: 'omit' })).json();
      if (Array.isArray(iceServers)) this.#servers = iceServers;
      this.#askAt = performance.now() + (Number(ttl) || 120) * 500;
    } catch {
      // Another server, or none: links are tried without.
    }
  }
}
