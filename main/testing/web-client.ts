/** A client of the browser shell for tests: the contract over a WebSocket, as a browser speaks it. */
import { WebSocket } from 'ws';
import { Client, type ConsoleStream } from '../contract/client.ts';

/** Opens an address as a browser does, and connects.
 * @param address as `serve` prints it */
export async function connectWeb(address: string): Promise<Client> {
  const { cookie, origin } = await enter(address);
  return connectSocket(origin, cookie);
}

/** Takes the token of an address to the server.
 * @returns the cookie it gave for it */
export async function enter(address: string): Promise<{ cookie: string; origin: string }> {
  const response = await fetch(address);
  const [cookie = ''] = (response.headers.get('set-cookie') ?? '').split(';', 1);
  return { cookie, origin: new URL(address).origin };
}

export async function connectSocket(origin: string, cookie: string): Promise<Client> {
  const socket = new WebSocket(`${origin.replace('http', 'ws')}/socket`, { origin, headers: { cookie } });
  const client = new Client({ send: (message) => socket.send(message), close: () => socket.close() });
  socket.on('message', (data: Buffer, isBinary) => {
    client.receive(isBinary ? new Uint8Array(data) : data.toString('utf8'));
  });
  socket.on('close', (_, reason: Buffer) => client.closed(new Error(`closed: ${reason.toString()}`)));
  socket.on('error', (error) => client.closed(error));
  await client.ready;
  return client;
}

/** A console that is read by expectation. */
export class TestConsole {
  /** All output so far, as Latin 1. */
  text = '';
  closed = false;
  /** Position after the last byte. */
  end = 0;
  #taken = 0;
  #stream: ConsoleStream | undefined;
  #wake: () => void = () => {};

  static async attach(client: Client, id: string, from = 0): Promise<TestConsole> {
    const console = new TestConsole();
    const listener = {
      output: (bytes: Uint8Array, position: number) => {
        console.text += Buffer.from(bytes).toString('latin1');
        console.end = position + bytes.length;
        console.#stream?.credit(bytes.length);
        console.#wake();
      },
      closed: () => {
        console.closed = true;
        console.#wake();
      },
    };
    console.#stream = await client.attach(id, listener, from);
    // What came before the stream was known here.
    if (console.text.length > 0) console.#stream.credit(console.text.length);
    return console;
  }

  send(text: string): void {
    this.#stream?.write(Buffer.from(text, 'latin1'));
  }

  async detach(): Promise<void> {
    await this.#stream?.close();
  }

  /** Waits until `wanted` is printed, after what was waited for before. */
  async expect(wanted: string, seconds = 30): Promise<void> {
    const deadline = performance.now() + seconds * 1000;
    for (;;) {
      const at = this.text.indexOf(wanted, this.#taken);
      if (at >= 0) {
        this.#taken = at + wanted.length;
        return;
      }
      const left = deadline - performance.now();
      if (this.closed || left <= 0) {
        throw new Error(
          `not printed: ${JSON.stringify(wanted)} in ${JSON.stringify(this.text.slice(-2000))}`,
        );
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
