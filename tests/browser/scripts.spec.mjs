// @ts-check
// Scripts are sent without their lines of comments: they say the same, and what is measured (size.mjs) is what is sent.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { freePort, Signaller } from './harness.mjs';
import { served } from './served.mjs';

const www = fileURLToPath(new URL('../../www', import.meta.url));
const scripts = readdirSync(www, { recursive: true }).map(String).filter((path) => path.endsWith('.js'));

/** @type {Signaller} */ let server;
before(async () => {
  server = await new Signaller(await freePort(), []).start();
});
after(() => server?.stop());

test('what is sent is the script without comments, and nothing else is missing', async () => {
  const bare = (/** @type {Buffer} */ script) => ts.transpileModule(script.toString('utf8'), { compilerOptions: { removeComments: true, target: ts.ScriptTarget.ESNext } }).outputText;
  for (const path of scripts) {
    const raw = readFileSync(join(www, path));
    const sent = Buffer.from(await (await fetch(`${server.base}/swarmlet/${path}`)).arrayBuffer());
    assert.ok(sent.equals(served(path, raw)), path);
    assert.equal(bare(sent), bare(raw), path);
  }
  assert.ok(scripts.length > 40);
});
