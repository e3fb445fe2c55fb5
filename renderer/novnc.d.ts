/** What of noVNC is used here; the package brings no types (its docs/API.md). */
declare module '@novnc/novnc' {
  export interface RfbEventMap {
    connect: CustomEvent<object>;
    disconnect: CustomEvent<{ clean: boolean }>;
  }

  /** The part of a WebSocket that noVNC uses. */
  export interface RawChannel {
    binaryType: string;
    readonly protocol: string;
    readonly readyState: number | string;
    onopen: ((event: object) => void) | null;
    onmessage: ((event: { data: ArrayBuffer }) => void) | null;
    onclose: ((event: object) => void) | null;
    onerror: ((event: object) => void) | null;
    send(data: ArrayBuffer | ArrayBufferView): void;
    close(): void;
  }

  export default class RFB {
    constructor(target: HTMLElement, channel: RawChannel, options?: { shared?: boolean });
    viewOnly: boolean;
    focusOnClick: boolean;
    clipViewport: boolean;
    scaleViewport: boolean;
    showDotCursor: boolean;
    background: string;
    addEventListener<K extends keyof RfbEventMap>(type: K, listener: (event: RfbEventMap[K]) => void): void;
    disconnect(): void;
    focus(): void;
    blur(): void;
    /** @param code as of KeyboardEvent.code; @param down both, where left out */
    sendKey(keysym: number, code: string | null, down?: boolean): void;
    toBlob(callback: (blob: Blob | null) => void, type?: string): void;
  }
}
