/**
 * A machine as a child process: reads what its console prints, types, and collects how it ended.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Command, Environment } from '../guest/engines.ts';

/** How a process ended: its exit status, or the name of the signal that ended it. */
export type Status = number | NodeJS.Signals;

/** How much of the console an error message quotes, in characters. */
const QUOTED = 2000;

export class Console {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<Status>;
  /** Printed and not yet expected. */
  #pending = '';
  /** Everything printed on standard output. */
  output = '';
  /** Everything printed on standard error. */
  errors = '';
  /** How it ended; absent while it runs. */
  #end: Status | undefined;
  #wake: () => void = () => {};

  private constructor([program, ...args]: Command, environment: Environment) {
    this.#child = spawn(program, args, { stdio: 'pipe', env: { ...process.env, ...environment } });
    this.#child.stdout.setEncoding('latin1').on('data', (text: string) => {
      this.output += text;
      this.#pending += text;
      this.#wake();
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.errors += text));
    // What is typed to a machine that has ended is lost, as on a real one.
    this.#child.stdin.on('error', () => {});
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => {
        this.#end = code ?? signal ?? 'SIGKILL';
        this.#wake();
        resolve(this.#end);
      });
    });
    // Whoever asks for the status gets the error; without this, nobody asking would end the test run.
    this.#ended.catch(() => {});
  }

  /** Starts a machine. Dispose of it (`await using`) to be sure that it is gone.
   * @param environment variables to set, besides those of this process */
  static start(command: Command, environment: Environment = {}): Console {
    return new Console(command, environment);
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the machine has not started');
    return this.#child.pid;
  }

  /**
   * Waits until the console has printed `wanted`, and takes everything up to its end.
   *
   * @returns what was taken
   * @throws Error where it has not been printed after `seconds`, or the machine ends without it
   */
  async expect(wanted: string | RegExp, seconds = 30): Promise<string> {
    const deadline = performance.now() + 1000 * seconds;
    for (;;) {
      const end = endOf(this.#pending, wanted);
      if (end >= 0) {
        const taken = this.#pending.slice(0, end);
        this.#pending = this.#pending.slice(end);
        return taken;
      }
      if (this.#end !== undefined) {
        throw this.#error(`the machine ended (${this.#end}) without printing ${wanted}`);
      }
      const left = deadline - performance.now();
      if (left <= 0) throw this.#error(`not printed in ${seconds} s: ${wanted}`);
      await this.#changed(left);
    }
  }

  /** Types. */
  send(text: string): void {
    this.#child.stdin.write(text, 'latin1');
  }

  /** Ends the standard input. */
  endInput(): void {
    this.#child.stdin.end();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits for the machine's end.
   * @throws Error where it still runs after `seconds` */
  async status(seconds = 30): Promise<Status> {
    const timeout = AbortSignal.timeout(1000 * seconds);
    const late = new Promise<never>((_, reject) => {
      timeout.addEventListener('abort', () => reject(this.#error(`still running after ${seconds} s`)));
    });
    return Promise.race([this.#ended, late]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended.catch(() => {});
  }

  /** Resolves at the next output, at the end of the machine, or after `milliseconds`. */
  async #changed(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }

  #error(message: string): Error {
    const console = JSON.stringify(this.output.slice(-QUOTED));
    return new Error(`${message}\nconsole: ${console}\nstandard error: ${this.errors.slice(-QUOTED)}`);
  }
}

/** One past the end of the first occurrence of `wanted` in `text`, -1 where there is none. */
function endOf(text: string, wanted: string | RegExp): number {
  if (typeof wanted === 'string') {
    const at = text.indexOf(wanted);
    return at < 0 ? -1 : at + wanted.length;
  }
  const match = wanted.exec(text);
  return match === null ? -1 : match.index + match[0].length;
}
