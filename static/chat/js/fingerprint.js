// Length and SHA-256 of a text, as `finished` gives them. Pure.

// In code points, as Python counts.
export function lengthOf(text) {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

// Whether `text` is what the frame describes. SHA-256 is there only on https and on this machine; elsewhere the
// length has to do.
export async function agrees(text, frame) {
  if (lengthOf(text) !== frame.length) return false;
  if (!globalThis.crypto?.subtle) return true;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const hex = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex === frame.sha256;
}
