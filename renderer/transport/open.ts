/** Which way to main this window has. */
import { openSocket, type OpenTransport } from './transport.ts';

/** The desktop's bridge, a WebSocket, or while developing and asked for, a manager in memory. */
export async function openTransport(): Promise<OpenTransport> {
  if (import.meta.env.DEV) {
    const count = new URLSearchParams(location.search).get('fake');
    if (count !== null) {
      const { FakeMain } = await import('../fake/main.ts');
      const main = new FakeMain();
      main.populate(Number(count));
      return main.open;
    }
  }
  return openSocket;
}
