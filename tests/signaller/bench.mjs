// @ts-check
// Our signaller and the trackers of others, one after the other on one core, with the load on another: one JSON line for
// each scene and server. The trackers are those that are installed: bittorrent-tracker from tests/browser/webtorrent,
// aquatic_ws where AQUATIC_WS names its binary, wt-tracker where WT_TRACKER names a module that starts it on the port it is given.
// The scenes of a cluster have so many nodes and one Redis on the server's core; what each thing costs is the sum of all of them.
//   node tests/signaller/bench.mjs [scene ...]     SECONDS=10 REPS=1 IDLE=19000 SERVERS=swarmlet,bittorrent-tracker
// SWARMLET_SIGNALLER names another build of ours (to put an old one beside a new one), SWARMLET_LOAD the one that makes the load.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
const target = resolve(root, process.env.CARGO_TARGET_DIR ?? 'target');
const binary = process.env.SWARMLET_SIGNALLER ?? join(target, 'release/swarmlet-signaller');
const generator = process.env.SWARMLET_LOAD ?? binary;
const seconds = process.env.SECONDS ?? '10';
const repetitions = Number(process.env.REPS ?? 1);
const idle = process.env.IDLE ?? '19000';
const firstPort = Number(process.env.PORT ?? 7801);
/** Each server has its own: not all of them bind to one that still has connections in TIME_WAIT. */
const ports = { swarmlet: firstPort, 'bittorrent-tracker': firstPort + 1, aquatic_ws: firstPort + 2, 'wt-tracker': firstPort + 3 };
const folder = mkdtempSync(join(tmpdir(), 'swarmlet-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true }));

// Everybody comes from one address here and announces without end, so the limits that protect strangers from each other
// are out of the way; every check is still made. The other trackers have no such limits.
const much = '{ per_minute = 100000000, burst = 10000000 }';
const config = `
addr = "127.0.0.1:${ports.swarmlet}"
drain_seconds = 1
[socket]
opens = ${much}
[limits]
messages = ${much}
lists = ${much}
offers = ${much}
introductions = ${much}
knocks = ${much}
details = ${much}
`;
// Among hostile clients every limit counts, and each client seems to come from an address of its own.
const strict = `
addr = "127.0.0.1:${ports.swarmlet}"
drain_seconds = 1
proxies = ["127.0.0.1"]
open = true
`;
// The same through TLS.
const secure = `${config}
[tls]
cert = "cert.pem"
key = "key.pem"
`;
const aquatic = `
[network]
address = "127.0.0.1:${ports.aquatic_ws}"
`;

/** @type {Record<string, { command: string[], path: string, ready: boolean }>} */
const servers = {
  swarmlet: { command: [binary, 'serve', '--config', file('swarmlet.toml', config)], path: '/signal', ready: existsSync(binary) },
  'bittorrent-tracker': {
    command: [process.execPath, join(here, 'bittorrent-tracker.mjs'), String(ports['bittorrent-tracker'])],
    path: '/',
    ready: existsSync(join(root, 'tests/browser/webtorrent/node_modules')),
  },
  'wt-tracker': {
    command: [process.execPath, process.env.WT_TRACKER ?? '', String(ports['wt-tracker'])],
    path: '/',
    ready: existsSync(process.env.WT_TRACKER ?? ''),
  },
  aquatic_ws: {
    command: [process.env.AQUATIC_WS ?? '', '-c', file('aquatic.toml', aquatic)],
    path: '/',
    ready: existsSync(process.env.AQUATIC_WS ?? ''),
  },
};

/** @type {Record<string, { args: string[], ours?: boolean, strict?: boolean, script?: boolean, nodes?: number }>} */
const scenes = {
  announces: { args: ['announces', '--seconds', seconds] },
  latency: { args: ['latency', '--seconds', seconds] },
  joins: { args: ['joins', '--seconds', seconds] },
  'joins-own': { args: ['joins', '--speech', 'swarmlet', '--seconds', seconds], ours: true },
  accepts: { args: ['accepts', '--seconds', seconds] },
  idle: { args: ['idle', '--connections', idle, '--offers', '0', '--seconds', '2', '--swarms', '1000'] },
  storm: { args: ['storm', '--connections', '10000', '--seconds', '5', '--swarms', '1000'] },
  hostile: { args: ['hostile', '--rate', '100', '--networks', '--seconds', seconds], strict: true },
  'idle-own': { args: ['idle', '--speech', 'swarmlet', '--connections', idle, '--seconds', '2', '--swarms', '1000'], ours: true },
  'idle-tls': { args: [join(here, 'tls-idle.mjs')], ours: true, script: true },
  'accepts-own': { args: ['accepts', '--speech', 'swarmlet', '--seconds', seconds], ours: true },
  ...Object.fromEntries([1, 2, 3].flatMap((nodes) => [
    [`announces-${nodes}`, { args: ['announces', '--seconds', seconds], ours: true, nodes }],
    [`joins-own-${nodes}`, { args: ['joins', '--speech', 'swarmlet', '--seconds', seconds], ours: true, nodes }],
  ])),
};

/** @param {string} name @param {string} text */
function file(name, text) {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

/** The server with a certificate of its own. */
function encrypted() {
  spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]);
  return [binary, 'serve', '--config', file('secure.toml', secure)];
}

/** @param {number} core @param {string[]} command */
const pinned = (core, command) => ['taskset', '-c', String(core), ...command];

/** A program on the server's core. @typedef {{ pid: number | undefined, kill(): void, gone: Promise<string> }} Child */

/** Waits until a program listens; fails when it ends instead. @param {number} port @param {Child} child */
async function listening(port, child) {
  /** @type {string | undefined} */
  let end;
  child.gone.then((how) => { end = how; });
  for (let tries = 0; tries < 600; tries += 1) {
    const open = await new Promise((told) => {
      const socket = connect(port, '127.0.0.1', () => told(true)).on('error', () => told(false));
      socket.on('close', () => told(false)).unref();
      setTimeout(() => socket.destroy(), 20);
    });
    if (end !== undefined) throw new Error(end);
    if (open) return;
    await new Promise((next) => setTimeout(next, 50));
  }
  throw new Error(`nobody listens on port ${port}`);
}

/** Everything that was started and has not ended. @type {Set<Child>} */
const running = new Set();
let started = 0;

/** @param {string} program @param {string[]} args @param {NodeJS.ProcessEnv} [env] @returns {Child} */
function start(program, args, env) {
  const [first, ...rest] = pinned(0, [program, ...args]);
  started += 1;
  const log = join(folder, `${started}.log`);
  // Its working folder is empty: no page to hash and to compress.
  const child = spawn(first, rest, { cwd: folder, stdio: ['ignore', 'ignore', openSync(log, 'w')], env: { ...process.env, ...env } });
  const gone = new Promise((told) => {
    child.once('error', (error) => told(`${program} does not start: ${error.message}`));
    child.once('exit', (code, signal) => {
      const last = readFileSync(log, 'utf8').trim().split('\n').slice(-3).join(' / ');
      told(`${program} has ended (${signal ?? code}): ${last || 'it said nothing'}`);
    });
  });
  const self = { pid: child.pid, kill: () => { child.kill('SIGKILL'); }, gone };
  running.add(self);
  gone.then(() => running.delete(self));
  return self;
}

/** Ends what is running. */
async function end() {
  const all = [...running];
  for (const child of all) child.kill();
  await Promise.all(all.map((child) => child.gone));
}

/** Nodes behind a Redis of their own, which is the first of the processes. @param {number} count */
async function cluster(count) {
  const redis = firstPort + 10;
  const children = [start('redis-server', ['--port', String(redis), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'])];
  await listening(redis, children[0]);
  const nodes = Array.from({ length: count }, (_, at) => redis + 1 + at);
  for (const port of nodes) {
    const own = { SWARMLET_ADDR: `127.0.0.1:${port}`, SWARMLET_CLUSTER__URL: `redis://127.0.0.1:${redis}`, SWARMLET_CLUSTER__NODE: String(port) };
    const node = start(binary, ['serve', '--config', file('swarmlet.toml', config)], own);
    children.push(node);
    await listening(port, node);
  }
  // They hear of each other within three seconds.
  await new Promise((next) => setTimeout(next, 4000));
  return { children, targets: nodes.map((port) => `127.0.0.1:${port}`) };
}

/** One scene with one server. @param {string} scene @param {string} name */
async function run(scene, name) {
  const { args, nodes, strict: isStrict, script: isScript } = scenes[scene];
  const limited = [binary, 'serve', '--config', file('strict.toml', strict)];
  const [program, ...rest] = isStrict && name === 'swarmlet' ? limited : isScript ? encrypted() : servers[name].command;
  const port = ports[/** @type {keyof typeof ports} */ (name)];
  const { children, targets } = nodes
    ? await cluster(nodes)
    : { children: [start(program, rest)], targets: [`127.0.0.1:${port}`] };
  if (!nodes) await listening(port, children[0]);
  const pids = children.map((child) => child.pid).join();
  const byScript = [process.execPath, ...args, String(port), pids, process.env.TLS ?? '3000'];
  const [load, ...options] = pinned(1, isScript ? byScript : [generator, 'load', ...args, '--target', targets.join(),
    '--path', servers[name].path, '--pid', pids, ...(name === 'aquatic_ws' ? ['--answers-answers'] : [])]);
  const { status, stdout, stderr } = spawnSync(load, options, { encoding: 'utf8' });
  // Whoever has ended meanwhile says so in the next round of the loop.
  await new Promise((next) => setTimeout(next, 20));
  const alive = children.filter((child) => running.has(child));
  if (alive.length < children.length) throw new Error(await Promise.race(children.map((child) => child.gone)));
  if (status !== 0) throw new Error(stderr.trim() || `the load has ended with ${status}`);
  return { ...(nodes && { nodes }), ...JSON.parse(stdout) };
}

const wanted = process.argv.slice(2);
const chosen = process.env.SERVERS?.split(',') ?? Object.keys(servers);
const unknown = wanted.filter((scene) => !(scene in scenes));
if (unknown.length > 0) throw new Error(`no such scene: ${unknown.join()}; there are ${Object.keys(scenes).join(' ')}`);
for (const [scene, { ours, nodes }] of Object.entries(scenes)) {
  if (wanted.length > 0 ? !wanted.includes(scene) : nodes) continue;
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    for (const [name, { ready }] of Object.entries(servers)) {
      if (!chosen.includes(name) || !ready || (ours && name !== 'swarmlet')) continue;
      const figures = await run(scene, name).catch((error) => {
        process.exitCode = 1;
        return { scene, failed: error.message };
      });
      console.log(JSON.stringify({ server: name, ...figures }));
      await end();
    }
  }
}
