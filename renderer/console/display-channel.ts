/** A machine's display as noVNC wants to have it: what it uses of a WebSocket, over a stream of the connection. */
import type { RawChannel } from '@novnc/novnc';
import type { Client, ConsoleStream, Problem } from '../../main/contract/index.ts';

type OnMessage = RawChannel['onmessage'];

export class DisplayChannel implements RawChannel {
  binaryType = 'arraybuffer';
  readonly protocol = '';
  readyState: 'open' | 'closed' = 'open';
  onopen: RawChannel['onopen'] = null;
  onclose: RawChannel['onclose'] = null;
  onerror: RawChannel['onerror'] = null;
  /** Why it was closed, where somebody else did it. */
  problem: Problem | null = null;
  #stream: ConsoleStream | undefined;
  #onMessage: OnMessage = null;
  /** What came before anybody listened. */
  #early: Uint8Array[] = [];

  private constructor() {}

  /** Attaches to a machine's display.
   * @throws RequestError where the machine has none, or does not run */
  static async attach(client: Client, machine: string): Promise<DisplayChannel> {
    const channel = new DisplayChannel();
    channel.#stream = await client.attachDisplay(machine, {
      output: (bytes) => channel.#take(bytes),
      closed: (problem) => {
        channel.problem = problem;
        channel.#end();
      },
    });
    return channel;
  }

  get onmessage(): OnMessage {
    return this.#onMessage;
  }

  set onmessage(listener: OnMessage) {
    this.#onMessage = listener;
    // Whoever listens now gets ready for it first.
    queueMicrotask(() => {
      for (const bytes of this.#early.splice(0)) this.#take(bytes);
    });
  }

  send(data: ArrayBuffer | ArrayBufferView): void {
    const bytes = ArrayBuffer.isView(data)
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array(data);
    // noVNC sends from a buffer that it uses again.
    this.#stream?.write(bytes.slice());
  }

  close(): void {
    void this.#stream?.close().catch(() => {});
    this.#end();
  }

  #take(bytes: Uint8Array): void {
    if (this.#onMessage === null) {
      this.#early.push(bytes);
      return;
    }
    this.#onMessage({ data: new Uint8Array(bytes).buffer });
    this.#stream?.credit(bytes.length);
  }

  #end(): void {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    this.#stream = undefined;
    this.onclose?.({});
  }
}
