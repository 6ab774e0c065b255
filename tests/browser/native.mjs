// @ts-check
// Peers of the command line, as people run them.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { binary, within } from './harness.mjs';

/** A `seed` or `get` that speaks JSON. */
export class Command {
  /** @type {any[]} */ said = [];
  /** @type {Set<() => void>} */ #waiting = new Set();

  /** @param {string[]} args @param {string[]} [before] what runs it elsewhere */
  constructor(args, before = []) {
    const [file, ...rest] = [...before, binary, ...args, '--json'];
    this.child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.ended = new Promise((done) => this.child.once('exit', (code) => done(code)));
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      this.said.push(JSON.parse(line));
      for (const wake of this.#waiting) wake();
    });
  }

  /** The first line of that kind. @param {string} event @param {number} [ms] @returns {Promise<any>} */
  hears(event, ms) {
    const heard = new Promise((done) => {
      const look = () => {
        const found = this.said.find((line) => line.event === event);
        if (!found) return;
        this.#waiting.delete(look);
        done(found);
      };
      this.#waiting.add(look);
      look();
    });
    return within(heard, `the command says ${event}`, async () => this.said.at(-1), ms);
  }

  async stop() {
    this.child.kill('SIGINT');
    await within(this.ended, 'the command ends');
  }
}

/** A folder that is gone afterwards. @param {(folder: string) => Promise<void>} use */
export async function withFolder(use) {
  const folder = await mkdtemp(join(tmpdir(), 'swarmlet-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The SHA-256 of a file. @param {string} path */
export async function sha256Of(path) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}
