/** Which way to main this window has. */
import type { DesktopBridge } from '../../main/contract/index.ts';
import { openSocket, type OpenTransport } from './transport.ts';

declare global {
  interface Window {
    /** The desktop's preload script puts it here; a browser has none. */
    readonly guesthouse?: DesktopBridge;
  }
}

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
  const { guesthouse: bridge } = window;
  return bridge === undefined ? openSocket : (events) => bridge.open(events);
}
