/**
 * The oracle: what the host's own processor makes of a case. Runs a child process (oracle-process.ts), which
 * may die or hang on a case; that case's result then has the vector {@link LOST}.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { CpuState, LOST, type Case, type Result, type Subject } from './case.ts';
import { CASE_BYTES, decodeResults, encodeCase, MAX_BATCH } from './oracle-protocol.ts';

/** Why the oracle cannot run here, or null where it can. */
export function oracleUnavailable(): string | null {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `the oracle needs Linux on x86-64, this is ${process.platform} on ${process.arch}`;
  }
  return existsSync('/proc/cpuinfo') ? null : 'the oracle needs /proc';
}

/** Milliseconds without an answer after which the child is given up. A batch takes some ten. */
const PATIENCE = 20_000;

interface Reply {
  readonly body: Uint8Array;
  readonly stray: boolean;
}

export class Oracle implements Subject {
  #child: ChildProcessByStdio<Writable, Readable, null> | undefined;
  #received: Buffer[] = [];
  #length = 0;
  #settle: ((reply: Reply | null) => void) | undefined;

  /** @returns one result per case, in order
   * @throws Error where the child process cannot start; its standard error says why */
  async run(batch: readonly Case[]): Promise<Result[]> {
    const results: Result[] = [];
    for (let at = 0; at < batch.length; at += MAX_BATCH) {
      results.push(...(await this.#runBatch(batch.slice(at, at + MAX_BATCH))));
    }
    return results;
  }

  /** Ends the child process. */
  close(): void {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }

  async #runBatch(batch: readonly Case[]): Promise<Result[]> {
    if (batch.length === 0) return [];
    await this.#ensureChild();
    const reply = await this.#exchange(batch);
    if (reply !== null && (!reply.stray || batch.length === 1))
      return decodeResults(reply.body, batch.length);
    if (batch.length === 1) {
      return [{ state: new CpuState(), vector: LOST, errorCode: 0, cr2: 0n, memory: [] }];
    }
    // A case killed the child, or wrote where the others may have read: find it by halves.
    const half = batch.length >> 1;
    return [...(await this.#runBatch(batch.slice(0, half))), ...(await this.#runBatch(batch.slice(half)))];
  }

  /** Starts the child if there is none. The addresses it needs may be taken by chance: it gets three attempts. */
  async #ensureChild(): Promise<void> {
    for (let attempt = 0; this.#child === undefined; attempt++) {
      if (attempt === 3) throw new Error('the oracle does not start');
      await this.#start();
    }
  }

  #start(): Promise<Reply | null> {
    const program = fileURLToPath(new URL('./oracle-process.ts', import.meta.url));
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
      stdio: ['pipe', 'pipe', 'inherit'],
      // The kernel would go on writing to the C library's restartable-sequence area, which the bare process unmaps.
      env: { ...process.env, GLIBC_TUNABLES: 'glibc.pthread.rseq=0' },
    });
    this.#received = [];
    this.#length = 0;
    child.stdin.on('error', () => {}); // the exit that caused it is what counts
    child.stdout.on('data', (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#length += chunk.length;
      this.#complete();
    });
    child.on('close', () => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#settle?.(null);
    });
    this.#child = child;
    return this.#reply(child);
  }

  #complete(): void {
    if (this.#length < 8) return;
    if (this.#received[0].length < 8) this.#received = [Buffer.concat(this.#received)];
    if (this.#length < 8 + this.#received[0].readUInt32LE(0)) return;
    const all = Buffer.concat(this.#received);
    this.#received = [];
    this.#length = 0;
    // Not a Buffer: slices of a result must be copies.
    const body = new Uint8Array(all.buffer, all.byteOffset + 8, all.length - 8);
    this.#settle?.({ body, stray: all.readUInt32LE(4) !== 0 });
  }

  #exchange(batch: readonly Case[]): Promise<Reply | null> {
    const child = this.#child;
    if (child === undefined) return Promise.resolve(null);
    const request = new Uint8Array(8 + batch.length * CASE_BYTES);
    new DataView(request.buffer).setUint32(0, batch.length, true);
    batch.forEach((each, i) => encodeCase(each, request, 8 + i * CASE_BYTES));
    child.stdin.write(request);
    return this.#reply(child);
  }

  /** The next reply, or null where the child dies or keeps silent. */
  #reply(child: ChildProcessByStdio<Writable, Readable, null>): Promise<Reply | null> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
      this.#settle = (reply) => {
        clearTimeout(timer);
        this.#settle = undefined;
        resolve(reply);
      };
    });
  }
}
