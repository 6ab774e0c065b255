// @ts-check
// Clients that join through TLS and say no more, and what each costs the server's memory: one JSON line.
//   node tests/signaller/tls-idle.mjs PORT PID [CONNECTIONS]
import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';

const [port, pid, connections] = process.argv.slice(2).map(Number);
const atOnce = 64;
const joined = JSON.stringify({
  action: 'announce', info_hash: 'x'.repeat(20), peer_id: '-LD0001-000000000000', left: 1, numwant: 0,
});

/** Bytes of the server in memory. */
function resident() {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1]) * 1024;
}

/** A frame as clients send it. The mask is all zeros. @param {string} text */
function frame(text) {
  const payload = Buffer.from(text);
  const head = payload.length < 126
    ? Buffer.from([0x81, 0x80 | payload.length])
    : Buffer.from([0x81, 0x80 | 126, payload.length >> 8, payload.length & 255]);
  return Buffer.concat([head, Buffer.alloc(4), payload]);
}

/** Joins, and resolves with the answer to its announce. @param {number} number */
function join(number) {
  return new Promise((done, failed) => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, session: undefined });
    let heard = '';
    socket.on('error', failed);
    socket.on('close', () => failed(new Error(`closed: ${heard}`)));
    socket.on('secureConnect', () => socket.write(
      `GET /signal HTTP/1.1\r\nHost: localhost:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
      + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'));
    socket.on('data', (bytes) => {
      const before = heard;
      heard += bytes.toString('latin1');
      if (heard.includes('\r\n\r\n') && !before.includes('\r\n\r\n')) {
        socket.write(frame(joined.replace('000000000000', String(number).padStart(12, '0'))));
      }
      if (heard.includes('"interval"')) done(socket);
    });
  });
}

let next = 0;
const worker = async (/** @type {number} */ most) => {
  while (next < most) await join(next++);
};
const crowd = (/** @type {number} */ most) => Promise.all(Array.from({ length: atOnce }, () => worker(most)));
const rest = () => new Promise((done) => setTimeout(done, 2000));

// What is needed once is there after the first ones.
const first = 200;
await crowd(first);
await rest();
const before = resident();
await crowd(first + connections);
await rest();
const after = resident();
console.log(JSON.stringify({
  scene: 'idle-tls', connections, rss_bytes_each: Math.round((after - before) / connections),
  server_rss_kib: { before: before / 1024, after: after / 1024 },
}));
process.exit(0);
