// @ts-check
// What a page believes of a live stream, without a browser: a list that only grows, signed, and nothing that was before.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { follow, rank, read, torrentOf } from '../../www/embed/live.js';

const START = '0'.repeat(64);
/** @param {number} at @returns {import('../../www/embed/live.js').File} */
const file = (at) => [`s${at}.ts`, 7, String(at % 10).repeat(64), 'video/mp2t'];

/** @param {number} first @param {number} count @param {Record<string, unknown>} [more] @returns {Promise<any>} */
async function list(first, count, more = {}) {
  const all = Array.from({ length: first + count }, (_, at) => file(at));
  const { head } = await follow(null, /** @type {any} */ ({ version: 1, stream: 1, seq: 1, first: 0, before: START, files: all.slice(0, first) }));
  return { version: 1, stream: 1, seq: first + count, first, before: head, files: all.slice(first), ...more };
}

test('the hash of a list is what the publisher makes it', async () => {
  const one = /** @type {any} */ ({ version: 1, stream: 1, seq: 1, first: 0, before: START, files: [['s1.ts', 7, '01'.repeat(32), 'video/mp2t']] });
  // The vector of native-signaller/src/publish/bulletin.rs.
  assert.equal((await follow(null, one)).head, 'fc2eac485858eb6b67a4666ae304a7be73b95f58e7a9b0967cf98ec46940b2af');
});

test('a list is followed where it grows, and from anywhere at first', async () => {
  let seen = await follow(null, await list(5, 4));
  assert.deepEqual([seen.stream, seen.seq, seen.count], [1, 9, 9]);
  for (const [first, count] of [[5, 5], [6, 6], [12, 3], [40, 2]]) seen = await follow(seen, await list(first ?? 0, count ?? 0));
  // A playlist alone has changed.
  seen = await follow(seen, await list(40, 2, { seq: 43 }));
  // The publisher began anew.
  seen = await follow(seen, await list(0, 1, { stream: 2, seq: 1 }));
  assert.deepEqual([seen.stream, seen.count], [2, 1]);
});

test('what was seen before, is older, shorter, or changed is refused', async () => {
  const seen = await follow(null, await list(5, 4));
  const refused = async (/** @type {any} */ made, /** @type {RegExp} */ why) => assert.rejects(follow(seen, await made), why);
  await refused(list(5, 4), /older/);
  await refused(list(5, 3), /older/);
  await refused(list(5, 3, { seq: 99 }), /shorter/);
  await refused(list(0, 1, { stream: 0, seq: 99 }), /older stream/);
  const whole = await list(5, 6);
  for (const at of [0, 3]) {
    for (const part of [0, 1, 2, 3]) {
      const files = structuredClone(whole.files);
      files[at][part] = part === 1 ? 8 : `x${files[at][part].slice(1)}`;
      await refused({ ...whole, files }, /changed/);
    }
  }
  await refused({ ...whole, before: 'a'.repeat(64) }, /changed/);
  await refused({ ...whole, first: 4 }, /changed/);
  for (const odd of [{ version: 2 }, { first: -0.5 }, { seq: '9' }, { files: Array(257).fill(file(1)) }]) await refused({ ...whole, ...odd }, /odd/);
  // Once more is no news, but at the beginning of a visit it is what there is.
  assert.deepEqual(await follow(seen, await list(5, 4), true), seen);
  await assert.rejects(follow(seen, { ...await list(5, 4), before: 'a'.repeat(64) }, true), /changed/);
});

test('only what the key signed is read, and all of it', async () => {
  const { privateKey, publicKey } = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify']));
  const body = JSON.stringify(await list(0, 2));
  const sign = async (/** @type {string} */ purpose) => {
    const seal = await crypto.subtle.sign('Ed25519', privateKey, new TextEncoder().encode(`${purpose}\n${body}`));
    return Buffer.from(seal).toString('hex');
  };
  const seal = await sign('swarmlet site live');
  assert.deepEqual(await read(`${seal}\n${body}`, publicKey), JSON.parse(body));
  const other = await sign('swarmlet site manifest');
  const forged = body.replace('s1.ts', 's9.ts');
  for (const text of [`${other}\n${body}`, `${seal}\n${forged}`, `${seal}\n${body}\n`, `${seal}${body}`, `\n${body}`, '', `${seal}\n${body}${' '.repeat(17_000)}`]) {
    await assert.rejects(read(text, publicKey), undefined, text.slice(0, 40));
  }
});

test('a segment is a torrent without a list of pieces, and one of its viewers is first', async () => {
  const torrent = Buffer.from(await torrentOf(['v/ü.ts', 100_000, 'ab'.repeat(32), 'video/mp2t'], 'https://shop.example/v/%C3%BC.ts'));
  const text = torrent.toString('latin1');
  assert.ok(text.startsWith('d4:infod9:file treed5:\u00c3\u00bc.ts') && text.endsWith('8:url-list32:https://shop.example/v/%C3%BC.tse'), text);
  assert.ok(text.includes('6:lengthi100000e') && text.includes('12:piece lengthi131072e'));
  const peers = Array.from({ length: 8 }, (_, at) => at.toString(16).repeat(64));
  const firsts = Array.from({ length: 400 }, (_, at) => {
    const root = (at * 2654435761 % 2 ** 32).toString(16).padStart(8, '0').repeat(8);
    const ranks = peers.map((me) => rank(root, me, peers.filter((peer) => peer !== me)));
    assert.deepEqual([...ranks].sort(), [0, 1, 2, 3, 4, 5, 6, 7], 'all draw alike');
    return ranks.indexOf(0);
  });
  for (let at = 0; at < 8; at += 1) assert.ok(firsts.filter((first) => first === at).length > 20, `${at} of ${firsts}`);
});
