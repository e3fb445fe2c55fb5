/** The contract over message ports: one for each page that asks, if it is ours. */
import { ipcMain, MessageChannelMain } from 'electron';
import type { Services } from '../service/services.ts';
import { Session } from '../service/session.ts';
import { isInterface } from './policy.ts';

/** The channel on which a page asks for a port, and gets it. */
export const CONNECT = 'guesthouse:connect';

/** Answers every page of ours that asks. */
export function acceptConnections(services: Services): void {
  ipcMain.on(CONNECT, ({ senderFrame }) => {
    // A frame that has gone, or that shows something else, gets nothing.
    if (senderFrame === null || senderFrame.parent !== null || !isInterface(senderFrame.url)) return;
    const { port1, port2 } = new MessageChannelMain();
    const session = new Session(services, {
      send: (message) => port1.postMessage(message),
      close: () => port1.close(),
    });
    port1.on('message', ({ data }: { data: unknown }) => {
      if (typeof data === 'string' || data instanceof Uint8Array) session.receive(data);
      else port1.close();
    });
    port1.on('close', () => session.close());
    port1.start();
    senderFrame.postMessage(CONNECT, null, [port2]);
  });
}
