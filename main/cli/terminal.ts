/**
 * Standard input and output as the guest's terminal.
 *
 * A TTY is put into raw mode, so that every key reaches the guest, and put back however the process ends.
 * Input and output may as well be pipes or files; the end of the input does not end the machine.
 */
import type { Sink } from '../../engine/host/output.ts';
import { EscapeKeys, type KeyCommand } from './escape-keys.ts';

/** What the terminal is connected to. */
export interface TerminalGuest {
  /** Takes bytes for the guest; resolves when it is ready for more. */
  receive(bytes: Uint8Array): Promise<void>;
  command(command: KeyCommand): void;
}

export class Terminal implements Sink {
  readonly #keys = new EscapeKeys();
  #guest: TerminalGuest | undefined;
  #raw = false;

  constructor() {
    // A failed write is told to whoever wrote; without a listener it would end the process as well.
    process.stdout.on('error', () => {});
  }

  /** Starts to read what is typed. */
  connect(guest: TerminalGuest): void {
    this.#guest = guest;
    const { stdin } = process;
    if (stdin.isTTY) {
      process.on('exit', this.restore);
      stdin.setRawMode(true);
      this.#raw = true;
    }
    stdin.on('data', this.#typed);
    // An input that fails has ended; the guest lives on.
    stdin.on('error', () => stdin.pause());
  }

  /** True where the terminal shows line feeds only with a carriage return before them. */
  get raw(): boolean {
    return this.#raw;
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      // The bytes are copied: the stream keeps them until they are written, which a pipe may delay.
      process.stdout.write(bytes.slice(), (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Ends reading and puts the terminal back. */
  close(): void {
    process.stdin.off('data', this.#typed);
    process.stdin.pause();
    this.restore();
  }

  /** Puts the terminal into the mode it was found in. Safe at any time, more than once. */
  readonly restore = (): void => {
    if (!this.#raw) return;
    this.#raw = false;
    process.off('exit', this.restore);
    process.stdin.setRawMode(false);
  };

  readonly #typed = (data: Buffer | string): void => {
    const { bytes, commands } = this.#keys.feed(typeof data === 'string' ? Buffer.from(data) : data);
    for (const command of commands) this.#guest?.command(command);
    if (bytes.length === 0 || this.#guest === undefined) return;
    process.stdin.pause();
    this.#guest
      .receive(bytes)
      .then(() => process.stdin.resume())
      .catch(() => process.stdin.pause());
  };
}
