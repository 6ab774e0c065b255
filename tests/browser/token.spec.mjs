// @ts-check
// When a page asks its site for the next join token. In Node.js, without a browser.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { keepToken, lifeOf } from '../../www/page/token.js';

/** @param {number} exp Seconds since 1970. */
const token = (exp) => `h1.${Buffer.from(`site=https://shop.example&exp=${exp}`).toString('base64url')}.seal`;
const settled = () => new Promise((done) => setImmediate(done));

test('a token is used until a fifth of its life is left', () => {
  assert.equal(lifeOf(token(600), 0), 480_000);
  assert.equal(lifeOf(token(600), 590_000), 30_000, 'nobody is asked all the time');
  assert.equal(lifeOf(token(0), 1_000_000), 30_000, 'one that is over');
  assert.equal(lifeOf(token(1e12), 0), 86_400_000, 'a timer that fits');
  for (const other of ['', 'x', 'a.b.c', 'h1.!!!.x', 'static']) assert.equal(lifeOf(other, 0), 300_000, other);
});

test('the next token comes before the last one ends, and a site that is away is asked again', async () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 0 });
  const end = new AbortController();
  /** @type {(string | undefined)[]} */
  const told = [];
  let away = true;
  const given = async () => {
    if (away) throw new Error('away');
    return token(Date.now() / 1000 + 600);
  };
  keepToken(given, end.signal, (next) => told.push(next));
  await settled();
  assert.deepEqual(told, [undefined], 'the page starts without it');
  away = false;
  mock.timers.tick(30_000);
  await settled();
  assert.deepEqual(told.slice(1), [token(630)]);
  mock.timers.tick(479_999);
  await settled();
  assert.equal(told.length, 2);
  mock.timers.tick(1);
  await settled();
  assert.deepEqual(told.slice(2), [token(1110)]);
  end.abort();
  mock.timers.tick(10_000_000);
  await settled();
  assert.equal(told.length, 3, 'and no more');
  mock.timers.reset();
});

test('a token that is a text is told at once', () => {
  /** @type {unknown[]} */
  const told = [];
  keepToken('abc', new AbortController().signal, (next) => told.push(next));
  keepToken(undefined, new AbortController().signal, (next) => told.push(next));
  assert.deepEqual(told, ['abc', undefined]);
});
