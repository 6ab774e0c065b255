// @ts-check
// What a bench has found as a part of docs/RESULTS.md: with RECORD=1 it is kept in docs/measured, and `sim report` (or `make measured`, which runs
// nothing) puts all such parts at the end of that file.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';

const docs = resolve(import.meta.dirname, '../../docs');
/** What a bench runs. */
const CODE = ['--', 'core', 'wasm', 'www', 'native-signaller', 'tests/browser', 'tests/net', 'Cargo.lock'];

/** @param {string[]} words */
const git = (words) => execFileSync('git', [...words, ...CODE], { cwd: docs, encoding: 'utf8' }).trim();

/** The last commit of what runs, and whether files differ from it. */
function commit() {
  try {
    const top = ['-C', '..'];
    const named = git([...top, 'log', '-1', '--format=%h of %cs']);
    return named + (git([...top, 'status', '--porcelain']) ? ', with changes' : '');
  } catch {
    return 'unknown';
  }
}

/** Keeps a part, if it is to be kept. @param {{ name: string, title: string, command: string, text: string, plots?: Record<string, string> }} part
 * `plots`: drawings by name, which `text` refers to as `plots/NAME.svg`. */
export function record({ name, title, command, text, plots = {} }) {
  if (process.env.RECORD !== '1') return;
  const where = `${cpus()[0]?.model ?? 'an unknown processor'}, ${cpus().length} threads`;
  for (const folder of ['measured', 'plots']) mkdirSync(join(docs, folder), { recursive: true });
  const head = `### ${title}\n\n\`${command}\`, commit ${commit()}, on ${new Date().toISOString().slice(0, 10)}; ${where}.\n\n`;
  writeFileSync(join(docs, 'measured', `${name}.md`), `${head}${text.trim()}\n`);
  for (const [plot, svg] of Object.entries(plots)) writeFileSync(join(docs, 'plots', `${plot}.svg`), svg);
  console.error(`wrote docs/measured/${name}.md; \`make measured\` puts it into docs/RESULTS.md`);
}

/** A table. @param {string[]} head @param {string[][]} rows */
export const table = (head, rows) => (
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n'));
