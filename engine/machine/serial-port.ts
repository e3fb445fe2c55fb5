/**
 * A serial port of the board: the UART, and a ring of bytes in each direction between it and the host.
 *
 * The guest's output waits in one ring for the control thread; the host's input waits in the other until
 * the UART has room, and is moved over by whichever thread sees that it has.
 */
import { ByteRing } from '../backend/byte-ring.ts';
import type { Clock, Line } from '../device/device.ts';
import { Uart16550 } from '../device/serial/uart16550.ts';
import type { Arena } from '../memory/layout.ts';

/** Bytes that wait for the host at most; then the transmitter stays full. */
const OUTPUT_BYTES = 65536;

/** Bytes that wait for the guest at most. */
const INPUT_BYTES = 4096;

/** Memory of the machine area that a port takes, at most. */
export const SERIAL_PORT_BYTES = OUTPUT_BYTES + INPUT_BYTES + 1024;

export class SerialPort {
  readonly uart: Uart16550;
  /** What the guest has sent. */
  readonly output: ByteRing;
  /** What the guest is to receive; call {@link pump} after writing. */
  readonly input: ByteRing;
  readonly #chunk = new Uint8Array(64);

  /** @param connected false where nobody takes the output: it is dropped at once */
  constructor(name: string, arena: Arena, connected: boolean, wires: { irq: Line; clock: Clock }) {
    this.output = new ByteRing(arena, OUTPUT_BYTES);
    this.input = new ByteRing(arena, INPUT_BYTES);
    const sink = { write: (byte: number) => !connected || this.output.write(byte) === 1 };
    this.uart = new Uart16550(name, arena, { ...wires, sink, receiverEmptied: () => this.pump() });
  }

  /** Moves input to the UART, as much as it takes. To be called with the device lock held.
   * @returns whether all of it was taken */
  pump(): boolean {
    for (;;) {
      const waiting = this.input.peek(this.#chunk);
      if (waiting === 0) return true;
      const taken = this.uart.receive(this.#chunk.subarray(0, waiting));
      this.input.discard(taken);
      if (taken < waiting) return false;
    }
  }
}
