/**
 * The password of RFB's VNC authentication: a challenge that the client encrypts with it.
 *
 * RFC 6143, 7.2.2 "VNC Authentication". It keeps out who does not know the password, and nobody who listens: the
 * server offers it beyond this computer only because there are networks behind other locks.
 */
import { createCipheriv, timingSafeEqual } from 'node:crypto';

export const CHALLENGE_BYTES = 16;

/** Characters of a password that count. */
const KEY_BYTES = 8;

/**
 * What the right answer to a challenge is.
 *
 * @param challenge 16 bytes
 */
export function vncResponse(password: string, challenge: Uint8Array): Uint8Array {
  const key = Buffer.alloc(KEY_BYTES);
  Buffer.from(password, 'latin1').copy(key);
  // The protocol has the bits of each byte the other way round than DES.
  for (const [i, byte] of key.entries()) key[i] = mirrored(byte);
  // Three times the same key makes triple DES plain DES, which OpenSSL no longer offers by itself.
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(challenge), cipher.final()]);
}

/** Whether `response` answers the challenge. */
export function answersChallenge(password: string, challenge: Uint8Array, response: Uint8Array): boolean {
  return timingSafeEqual(vncResponse(password, challenge), response);
}

function mirrored(byte: number): number {
  let result = 0;
  for (let bit = 0; bit < 8; bit++) result |= ((byte >> bit) & 1) << (7 - bit);
  return result;
}
