/** Our own protocol: `app://guesthouse/…` is the built interface, and nothing else is. */
import { type Session as ElectronSession, protocol } from 'electron';
import { type Assets, SECURITY_HEADERS } from '../web/assets.ts';
import { SCHEME } from './policy.ts';

/** To be called before the program is ready. */
export function declareProtocol(): void {
  protocol.registerSchemesAsPrivileged([
    { scheme: SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true } },
  ]);
}

/** Answers for the interface, in one session. */
export function serveInterface(session: ElectronSession, assets: Assets): void {
  session.protocol.handle(SCHEME, ({ url, method }) => {
    const { host, pathname } = new URL(url);
    const asset = host === 'guesthouse' && method === 'GET' ? assets.find(pathname) : undefined;
    if (asset === undefined) return new Response('There is nothing here.\n', { status: 404 });
    return new Response(Uint8Array.from(asset.read()), {
      headers: { ...SECURITY_HEADERS, 'Content-Type': asset.type },
    });
  });
}
