// @ts-check
// Whether the lines of a bed are as they are told to be, by programs that know nothing of it: ping and iperf3.
import { spawn } from 'node:child_process';
import { Bed, node } from './bed.mjs';

const MBIT = 1_000_000;
const MS = 1_000;
let bad = 0;

/** @param {string} what @param {number} is @param {number} least @param {number} most @param {string} unit */
function row(what, is, least, most, unit) {
  const good = is >= least && is <= most;
  bad += good ? 0 : 1;
  const figures = `${is.toFixed(1)} ${unit} (${least.toFixed(1)} to ${most.toFixed(1)})`;
  console.log(`| ${what.padEnd(64)} | ${figures.padEnd(28)} | ${good ? 'yes' : 'NO'} |`);
}

/** @param {Bed} bed @param {string} from @param {string} to @param {string[]} options */
async function ping(bed, from, to, ...options) {
  const text = await bed.run(from, ['ping', '-q', ...options, bed.address(to)]).catch((error) => error.stdout);
  const lost = Number(/([\d.]+)% packet loss/.exec(text)?.[1]);
  const [least, mean, most] = (/= ([\d./]+) ms/.exec(text)?.[1] ?? '').split('/').map(Number);
  return { lost, least, mean, most };
}

/** @param {Bed} bed @param {string} from @param {string} to @param {string[]} options */
async function iperf(bed, from, to, ...options) {
  const [file, ...args] = [...bed.within(to), 'iperf3', '--server', '--one-off', '--forceflush'];
  const server = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  await new Promise((listening) => server.stdout.once('data', listening));
  const ended = new Promise((done) => server.once('exit', done));
  const text = await bed.run(from, ['iperf3', '--json', '--client', bed.address(to), ...options]);
  await ended;
  return JSON.parse(text).end;
}

const bed = await Bed.make([
  node('a', { rate: 50 * MBIT, delay: 10 * MS, queue: 250_000 }),
  node('b', { rate: 50 * MBIT, delay: 10 * MS, queue: 250_000 }),
  { name: 'slow', up: { rate: 2 * MBIT, delay: 5 * MS, queue: 25_000 }, down: { rate: 20 * MBIT, delay: 5 * MS } },
  node('lossy', { delay: 5 * MS, loss: 50_000 }),
  node('odd', { delay: 20 * MS, jitter: 10 * MS, reorder: 100_000 }),
]);
try {
  console.log(`| ${'what'.padEnd(64)} | ${'is (and should be)'.padEnd(28)} | fits |\n|---|---|---|`);
  const idle = await ping(bed, 'a', 'b', '-c', '20', '-i', '0.1');
  row('ping, 4 × 10 ms: shortest', idle.least, 40, 41, 'ms');
  row('ping, 4 × 10 ms: mean', idle.mean, 40, 43, 'ms');
  const tcp = await iperf(bed, 'a', 'b', '--time', '8', '--omit', '2');
  row('iperf3, TCP over 50 Mbit/s', tcp.sum_received.bits_per_second / MBIT, 43, 50, 'Mbit/s');
  const udp = await iperf(bed, 'a', 'b', '--time', '5', '--udp', '--bitrate', '45M', '--length', '1200');
  row('iperf3, UDP of 45 Mbit/s over 50: lost', udp.sum.lost_percent, 0, 0.5, '%');
  const over = await iperf(bed, 'slow', 'a', '--time', '6', '--udp', '--bitrate', '4M', '--length', '1222');
  row('iperf3, UDP of 4 Mbit/s over 2: passed', over.sum_received?.bits_per_second
    ? over.sum_received.bits_per_second / MBIT : 4 * (1 - over.sum.lost_percent / 100), 1.8, 2.1, 'Mbit/s');
  const full = ping(bed, 'slow', 'a', '-c', '20', '-i', '0.2');
  await iperf(bed, 'slow', 'a', '--time', '6', '--udp', '--bitrate', '3M', '--length', '1222');
  row('ping beside that: longest (30 ms and a queue of 100 ms)', (await full).most, 110, 135, 'ms');
  const lossy = await ping(bed, 'lossy', 'a', '-c', '2000', '-i', '0.002');
  row('ping, 5 % lost each way: lost (9.75 %)', lossy.lost, 7.5, 12, '%');
  const odd = await ping(bed, 'odd', 'a', '-c', '300', '-i', '0.01');
  row('ping, 60 ms, jitter 2 × 10 ms, 10 % overtaken: shortest', odd.least, 60, 64, 'ms');
  row('ping, the same: longest', odd.most, 73, 98, 'ms');
  const { count } = await bed.count();
  row('the bed: overtaken of packets of that line', 100 * count.odd.up.overtaken / count.odd.up.packets, 6, 14, '%');
  const cut = ping(bed, 'a', 'b', '-c', '60', '-i', '0.05');
  await new Promise((next) => setTimeout(next, 1000));
  await bed.cut(['b'], 1000);
  row('ping, 3 s of which 1 s is cut: lost', (await cut).lost, 28, 38, '%');
} finally {
  await bed.close();
}
process.exitCode = bad ? 1 : 0;
