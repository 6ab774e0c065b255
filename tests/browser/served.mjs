// @ts-check
// What the signaller sends of the page's files: scripts of ours without their lines of comments (native-signaller/src/script.rs,
// and scripts.spec.mjs, which holds the two against each other).

/** @param {string} path below www @param {Buffer} raw @returns {Buffer} */
export function served(path, raw) {
  if (!path.endsWith('.js') || path.startsWith('vendor/')) return raw;
  let inside = false;
  const lines = raw.toString('utf8').split('\n').map((line) => {
    const bare = line.trim();
    const begins = !inside && bare.startsWith('/*');
    const ends = (inside || begins) && bare.endsWith('*/');
    const whole = inside || bare.startsWith('//') || (begins && (ends || !bare.includes('*/')));
    inside = (inside || (begins && whole)) && !ends;
    return whole ? '' : line;
  });
  return Buffer.from(lines.join('\n'));
}
