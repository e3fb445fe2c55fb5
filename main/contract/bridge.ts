/** The desktop's way to main: what its preload script gives to the page, as `window.guesthouse`. */
import type { Transport } from './frame.ts';

/** What a transport tells its user. */
export interface BridgeEvents {
  message(message: string | Uint8Array): void;
  /** The connection has ended; nothing more will come. */
  closed(error: Error): void;
}

export interface DesktopBridge {
  /** Opens a connection to main. */
  open(events: BridgeEvents): Transport;
}

/** The property of `window` that holds the bridge; not there in a browser. */
export const BRIDGE = 'guesthouse';
