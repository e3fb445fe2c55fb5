/** What pages may do: stay on the interface, open windows of it, and copy and paste. Nothing else. */

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

/** Whether a page is given one of Electron's permissions. */
export function isPermitted(permission: string): boolean {
  return permission === 'clipboard-read' || permission === 'clipboard-sanitized-write';
}
