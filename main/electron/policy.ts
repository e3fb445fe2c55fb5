/** What pages may do: stay on the interface, open windows of it, copy and paste, fill the screen, and have a person
 * save what they made. Nothing else. */

/** Our own protocol. */
export const SCHEME = 'app';

/** Where the interface stands. */
export const ORIGIN = `${SCHEME}://guesthouse`;

/** Whether an address is the interface's. */
export function isInterface(url: string): boolean {
  return url.startsWith(`${ORIGIN}/`);
}

/**
 * Whether a window may be opened. The interface opens a machine's without an address, to find it again where it
 * is open; where such a window goes then is a navigation like others.
 */
export function mayOpen(url: string): boolean {
  return isInterface(url) || url === '' || url === 'about:blank';
}

/** Electron's permissions that a page is given. */
const PERMITTED: ReadonlySet<string> = new Set([
  'clipboard-read',
  'clipboard-sanitized-write',
  // A machine's screen, and the keys that the desktop has for itself elsewhere.
  'fullscreen',
  'keyboardLock',
]);

/** Whether a page is given one of Electron's permissions. */
export function isPermitted(permission: string): boolean {
  return PERMITTED.has(permission);
}

/** Whether what lies at an address may be saved, where the person is asked to: what the interface has made itself, as
 * the picture of a screen. */
export function maySave(url: string): boolean {
  return url.startsWith(`blob:${ORIGIN}/`);
}
