// @ts-check
// Memory of messages, given back at once. Buffers of 64 KiB that come by the hundred each second stand until the browser collects
// garbage: tens of megabytes, and each message is written to memory that is new to the process, which costs half as much as hashing
// it. `AudioData` is the object that takes a buffer's memory over and lets go of it when told to (WebCodecs, 9.2.4: `transfer`, `close`);
// detaching alone does not, since the browser's own view of the buffer still holds it.

/** Smaller ones are not worth the object. */
const LEAST_BYTES = 32 * 1024;

let works = 'AudioData' in globalThis;

/**
 * Frees what a buffer holds, where the browser can; it is empty then.
 * @param {ArrayBuffer} data that nobody reads again
 */
export function release(data) {
  const numberOfFrames = data.byteLength;
  if (!works || numberOfFrames < LEAST_BYTES) return;
  try {
    new AudioData({ format: 'u8', sampleRate: 48_000, numberOfChannels: 1, timestamp: 0, numberOfFrames, data, transfer: [data] }).close();
  } catch {
    // This browser has other rules.
  }
  // One that copies instead would make things worse.
  works = data.byteLength === 0;
}
