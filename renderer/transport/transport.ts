/** How messages get to main: through the desktop's bridge where there is one, else over a WebSocket. */
import type { Transport } from '../../main/contract/index.ts';

/** What a transport tells its user. */
export interface TransportEvents {
  message(message: string | Uint8Array): void;
  /** The connection has ended; nothing more will come. */
  closed(error: Error): void;
}

/** Opens a connection; it ends by an event, never by an exception. */
export type OpenTransport = (events: TransportEvents) => Transport;

/** Where the browser shell listens for WebSockets. */
const SOCKET_PATH = '/socket';

/** Opens a WebSocket to where this page came from. What is sent before it is open waits. */
export const openSocket: OpenTransport = (events) => {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const socket = new WebSocket(`${scheme}://${location.host}${SOCKET_PATH}`);
  socket.binaryType = 'arraybuffer';
  const waiting: Array<string | Uint8Array<ArrayBuffer>> = [];
  socket.addEventListener('open', () => {
    for (const message of waiting.splice(0)) socket.send(message);
  });
  socket.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    if (typeof data === 'string') events.message(data);
    else if (data instanceof ArrayBuffer) events.message(new Uint8Array(data));
  });
  socket.addEventListener('close', ({ reason }) => {
    events.closed(new Error(reason === '' ? 'the connection was lost' : reason));
  });
  return {
    send(message) {
      // A copy, so that bytes over shared memory, which a WebSocket refuses, can be sent as well.
      const sendable = typeof message === 'string' ? message : new Uint8Array(message);
      if (socket.readyState === WebSocket.OPEN) socket.send(sendable);
      else if (socket.readyState === WebSocket.CONNECTING) waiting.push(sendable);
    },
    close: () => socket.close(),
  };
};
