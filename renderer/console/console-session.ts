/**
 * A console over connections that come and go: attaches while its machine runs, goes on where it was after a
 * connection was lost, and begins anew with the machine's next run.
 */
import type { Client, ConsoleStream, Problem } from '../../main/contract/index.ts';

/** What shows the console. */
export interface ConsoleScreen {
  /** Draws output; `drawn` is to be called when that is done. */
  write(bytes: Uint8Array, drawn: () => void): void;
  /** The output that follows is of another run of the machine than what came before. */
  newRun(started: number): void;
  /** So many bytes that came before what follows are no longer kept. */
  dropped(bytes: number): void;
  /** Output is coming that was written earlier: what it asks the terminal has been answered by now. */
  replaying(replaying: boolean): void;
}

export type ConsoleStatus = 'off' | 'connecting' | 'open' | 'failed';

/** Milliseconds without output after which what was kept has come. */
const REPLAY_PAUSE = 200;

export class ConsoleSession {
  readonly #id: string;
  readonly #screen: ConsoleScreen;
  readonly #onStatus: (status: ConsoleStatus, problem: Problem | null) => void;
  /** The run whose output is on the screen, and how much of it. */
  #started: number | undefined;
  #position = 0;
  #stream: ConsoleStream | undefined;
  /** Raised with each attachment, so that what belongs to an earlier one is known. */
  #attempt = 0;
  #replay: ReturnType<typeof setTimeout> | undefined;

  constructor(
    id: string,
    screen: ConsoleScreen,
    onStatus: (status: ConsoleStatus, problem: Problem | null) => void,
  ) {
    this.#id = id;
    this.#screen = screen;
    this.#onStatus = onStatus;
  }

  /**
   * Attaches to a run of the machine.
   *
   * @param started when it was started: of the run that is on the screen, output goes on where it ended
   */
  async attach(client: Client, started: number): Promise<void> {
    const attempt = ++this.#attempt;
    const isCurrent = (): boolean => attempt === this.#attempt;
    const from = started === this.#started ? this.#position : 0;
    this.#onStatus('connecting', null);
    /** Output that comes before it is known where it belongs. */
    const early: Array<() => void> = [];
    let known = false;
    try {
      const stream = await client.attach(
        this.#id,
        {
          output: (bytes, position) => {
            const take = (): void => {
              if (isCurrent()) this.#output(bytes, position);
            };
            if (known) take();
            else early.push(take);
          },
          closed: (problem) => {
            if (isCurrent()) this.#closed(problem);
          },
        },
        from,
      );
      if (!isCurrent()) {
        await stream.close();
        return;
      }
      this.#stream = stream;
      this.#begin(stream);
      known = true;
      for (const take of early.splice(0)) take();
      this.#onStatus('open', null);
    } catch (error) {
      if (!isCurrent()) return;
      const message = error instanceof Error ? error.message : String(error);
      this.#onStatus('failed', { code: 'state', message });
    }
  }

  /** Sends what was typed; lost where nothing is attached. */
  type(bytes: Uint8Array): void {
    this.#stream?.write(bytes);
  }

  /** Leaves the machine; the screen stays as it is. */
  async detach(): Promise<void> {
    this.#attempt++;
    clearTimeout(this.#replay);
    const stream = this.#stream;
    this.#stream = undefined;
    // Where the connection is gone, so is the attachment.
    await stream?.close().catch(() => undefined);
  }

  #begin({ started, position }: ConsoleStream): void {
    if (started !== this.#started) {
      if (this.#started !== undefined) this.#screen.newRun(started);
      this.#started = started;
      this.#position = 0;
    }
    if (position > this.#position) this.#screen.dropped(position - this.#position);
    this.#position = position;
    this.#screen.replaying(true);
    this.#waitForReplay();
  }

  #waitForReplay(): void {
    clearTimeout(this.#replay);
    this.#replay = setTimeout(() => {
      this.#replay = undefined;
      this.#screen.replaying(false);
    }, REPLAY_PAUSE);
  }

  #output(bytes: Uint8Array, position: number): void {
    if (position > this.#position) this.#screen.dropped(position - this.#position);
    this.#position = position + bytes.length;
    const stream = this.#stream;
    if (this.#replay !== undefined) clearTimeout(this.#replay);
    this.#screen.write(bytes, () => {
      stream?.credit(bytes.length);
      if (this.#replay !== undefined && stream === this.#stream) this.#waitForReplay();
    });
  }

  #closed(problem: Problem | null): void {
    this.#stream = undefined;
    this.#onStatus(problem === null ? 'off' : 'failed', problem);
  }
}
