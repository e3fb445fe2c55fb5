/** Where a display is served: `unix:PATH` or a path, `HOST:PORT`, or `:N` for port 5900 + N of this computer. */
import { GuesthouseError } from '../../base/errors.ts';

export type DisplayAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** Port of display 0. */
const FIRST_PORT = 5900;

const LOOPBACK = /^(localhost|127(\.\d+){3}|::1)$/;

/**
 * Takes an address apart.
 *
 * @param guarded whether a password is asked for; without one, only this computer is served
 * @throws GuesthouseError `config` for what is no address, or one that would serve everybody
 */
export function displayAddress(text: string, guarded: boolean): DisplayAddress {
  if (text.startsWith('unix:') || text.includes('/'))
    return { kind: 'unix', path: text.replace(/^unix:/, '') };
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const wrong = () =>
    new GuesthouseError(
      'config',
      `'${text}' is no address for a display`,
      'give a path of a Unix socket, HOST:PORT, or :N for port 5900 + N of this computer',
    );
  if (match === null) throw wrong();
  const host = match[1] ?? match[2];
  const number = Number(match[3]);
  // As viewers have it: a small number is a display's.
  const port = host === '' && number < 100 ? FIRST_PORT + number : number;
  if (port > 0xffff) throw wrong();
  const address = { kind: 'tcp', host: host === '' ? '127.0.0.1' : host, port } as const;
  if (!guarded && !LOOPBACK.test(address.host)) {
    throw new GuesthouseError(
      'config',
      `the display at ${text} would be open to everybody who can reach it`,
      'give it a password file, or an address of this computer',
    );
  }
  return address;
}
