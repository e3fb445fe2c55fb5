/**
 * Runs in each page before its own scripts, in a world of its own, and gives it the bridge (contract/bridge.ts):
 * a way to send and receive messages, and nothing of Electron's.
 *
 * A preload script in a sandbox is a lone CommonJS file, so this one imports nothing but types and electron.
 */
import { contextBridge, ipcRenderer, type IpcRendererEvent } from 'electron';
import type { DesktopBridge } from './contract/bridge.ts';

/** As electron/connections.ts has it. */
const CONNECT = 'guesthouse:connect';

const bridge: DesktopBridge = {
  open(events) {
    let port: MessagePort | undefined;
    let closed = false;
    const waiting: Array<string | Uint8Array> = [];
    ipcRenderer.once(CONNECT, ({ ports }: IpcRendererEvent) => {
      const [opened] = ports;
      port = opened;
      opened.addEventListener('message', (event: MessageEvent) => {
        const data: unknown = event.data;
        if (typeof data === 'string' || data instanceof Uint8Array) events.message(data);
      });
      opened.addEventListener('close', () => events.closed(new Error('the connection was lost')));
      opened.start();
      if (closed) opened.close();
      for (const message of waiting.splice(0)) opened.postMessage(message, []);
    });
    ipcRenderer.send(CONNECT);
    return {
      send(message) {
        if (port === undefined) waiting.push(message);
        else port.postMessage(message, []);
      },
      close() {
        closed = true;
        port?.close();
      },
    };
  },
};

contextBridge.exposeInMainWorld('guesthouse', bridge);
