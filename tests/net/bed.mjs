// @ts-check
// A bed of network namespaces and lines (`src/main.rs`), and programs and browsers in it.
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { chromium } from '../browser/node_modules/playwright-core/index.mjs';
import { binary, within } from '../browser/harness.mjs';

const target = resolve(import.meta.dirname, '../..', process.env.CARGO_TARGET_DIR ?? 'target');
const program = join(target, 'release/swarmlet-net');
export const run = promisify(execFile);

/**
 * One way of a line: bits per second, bytes of queue, microseconds of delay and jitter, losses and overtaken packets
 * in a million.
 * @typedef {{ rate?: number, queue?: number, delay?: number, jitter?: number, loss?: number, reorder?: number }} Shape
 * @typedef {{ name: string, up?: Shape, down?: Shape }} Node
 * @typedef {{ packets: number, bytes: number, overflowed: number, lost: number, overtaken: number }} Tally
 */

/** The same both ways. @param {string} name @param {Shape} shape @returns {Node} */
export const node = (name, shape) => ({ name, up: shape, down: shape });

/** Namespaces cannot be made here. */
export class NotPermitted extends Error {}

export class Bed {
  /** @type {Map<string, { space: string, address: string }>} */ nodes = new Map();
  /** @type {((line: any) => void)[]} */ #asked = [];

  /** @param {import('node:child_process').ChildProcess} child */
  constructor(child) {
    this.child = child;
    this.ended = new Promise((done) => child.once('exit', done));
  }

  /** @param {Node[]} nodes @param {number} [seed] */
  static async make(nodes, seed = 1) {
    if (!existsSync(program)) throw new Error(`no ${program}: run make net-test`);
    const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'pipe'] });
    let complaint = '';
    child.stderr.on('data', (text) => { complaint += text; });
    const bed = new Bed(child);
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => bed.#asked.shift()?.(JSON.parse(line)));
    const ready = bed.#ask({ seed, nodes });
    const first = await within(Promise.race([ready, bed.ended]), 'the bed is made', async () => complaint, 60_000);
    if (!first?.ready) throw new NotPermitted(complaint.trim());
    for (const { name, space, address } of first.ready) bed.nodes.set(name, { space, address });
    return bed;
  }

  /** @param {object} wish @returns {Promise<any>} */
  #ask(wish) {
    const answer = new Promise((answered) => { this.#asked.push(answered); });
    this.child.stdin?.write(`${JSON.stringify(wish)}\n`);
    return answer;
  }

  /** What went through each line, and when. @returns {Promise<{ micros: number, count: Record<string, { up: Tally, down: Tally }> }>} */
  count() {
    return this.#ask({ count: {} });
  }

  /** Packets that the machine itself had no room for there: on the device, or in a socket whose program was too slow.
   * @param {string} name */
  async dropped(name) {
    const counted = await this.run(name, ['cat', '/proc/net/snmp', '/sys/class/net/line0/statistics/tx_dropped']).catch(() => '');
    const udp = counted.split('\n').filter((line) => line.startsWith('Udp:')).map((line) => line.split(' '));
    const errors = udp[0]?.map((field, at) => (/^(RcvbufErrors|SndbufErrors)$/.test(field) ? Number(udp[1][at]) : 0)) ?? [];
    return errors.reduce((sum, count) => sum + count, Number(counted.trim().split('\n').at(-1)));
  }

  /** Nothing goes through these lines for so long. @param {string[]} nodes @param {number} ms */
  cut(nodes, ms) {
    return this.#ask({ cut: { nodes, ms } });
  }

  /** @param {string} name */
  address(name) {
    const found = this.nodes.get(name);
    if (!found) throw new Error(`no node ${name}`);
    return found.address;
  }

  /** What to put before a command, so that it runs there. @param {string} name */
  within(name) {
    const found = this.nodes.get(name);
    if (!found) throw new Error(`no node ${name}`);
    return ['ip', 'netns', 'exec', found.space];
  }

  /** Runs a program there to its end. @param {string} name @param {string[]} command */
  async run(name, command) {
    const [file, ...args] = [...this.within(name), ...command];
    return (await run(file, args)).stdout;
  }

  /** A signaller there. @param {string} name @param {string[]} [more] */
  async signaller(name, more = []) {
    const at = `${this.address(name)}:8787`;
    const www = resolve(import.meta.dirname, '../../www');
    const [file, ...args] = [...this.within(name), binary, 'serve', '--addr', at, '--open', '--www', www, ...more];
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    const base = `http://${at}`;
    const ask = `fetch('${base}/readyz').then((answer) => process.exit(answer.ok ? 0 : 1))`;
    const ready = async () => {
      for (;;) {
        const answer = await this.run(name, [process.execPath, '--eval', ask]).catch(() => undefined);
        if (answer !== undefined || child.exitCode !== null) return child.exitCode;
        await new Promise((next) => setTimeout(next, 50));
      }
    };
    if (await within(ready(), 'the signaller is ready') !== null) throw new Error('the signaller has ended');
    return { base, stop: () => child.kill('SIGKILL') };
  }

  /** A browser there. @param {string} name @param {string} base the server that it is to trust without TLS */
  async browser(name, base) {
    this.folder ??= await mkdtemp(join(tmpdir(), 'swarmlet-bed-'));
    const script = join(this.folder, name);
    const command = [...this.within(name), process.env.CHROMIUM ?? '/usr/bin/chromium'].join(' ');
    await writeFile(script, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
    return chromium.launch({
      executablePath: script,
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking',
        '--disable-component-update', '--disable-default-apps', `--unsafely-treat-insecure-origin-as-secure=${base}`,
        // There is no multicast in a bed to resolve such names with.
        '--disable-features=WebRtcHideLocalIpsWithMdns'],
    });
  }

  async close() {
    this.child.stdin?.end();
    await within(this.ended, 'the bed is gone', undefined, 60_000);
    if (this.folder) await rm(this.folder, { recursive: true, force: true });
  }
}
