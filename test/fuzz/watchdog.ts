/**
 * Runs a fuzzer in a thread of its own and watches that it goes on: code that never returns cannot be seen
 * from within its thread.
 */
import { type MessagePort, Worker } from 'node:worker_threads';

/** What the thread is started with. */
export interface FuzzOrder {
  readonly seed: number;
  /** Cases to run at most. */
  readonly cases: number;
  /** Seconds to run at most. */
  readonly seconds: number;
  /** Two numbers: how often the fuzzer has shown that it lives, and the seed of the case it is at. */
  readonly pulse: Int32Array<SharedArrayBuffer>;
}

/** What it says at the end. */
export interface FuzzResult {
  /** One text for each thing found, with what is needed to see it again. */
  readonly findings: readonly string[];
  /** One line on what was done. */
  readonly summary: string;
  readonly cases: number;
}

/** Findings after which a fuzzer stops. */
export const ENOUGH = 20;

/** How long a single case may take, in seconds; the first also starts the thread. */
const PATIENCE = 20;

/** For the thread: says that it lives, and which case comes next. */
export function beat({ pulse }: FuzzOrder, seed: number): void {
  Atomics.store(pulse, 1, seed | 0);
  Atomics.add(pulse, 0, 1);
}

/** For the thread: hands the result over. */
export function reportTo(port: MessagePort | null, result: FuzzResult): void {
  port?.postMessage(result);
}

/**
 * Runs a fuzzer's thread to its end.
 *
 * @param script the thread's module: it gets a {@link FuzzOrder} as `workerData` and posts one {@link FuzzResult}
 * @param patience how long a single case may take, in seconds
 * @returns its result; where it hangs or breaks, that is a finding
 */
export async function fuzz(
  script: URL,
  order: Omit<FuzzOrder, 'pulse'>,
  patience = PATIENCE,
): Promise<FuzzResult> {
  const pulse = new Int32Array(new SharedArrayBuffer(8));
  const workerData: FuzzOrder = { ...order, pulse };
  const worker = new Worker(script, { workerData });
  const { promise, resolve } = Promise.withResolvers<FuzzResult>();
  const broken = (what: string): void => {
    const seed = Atomics.load(pulse, 1) >>> 0;
    resolve({ findings: [`case ${seed}: ${what}`], summary: 'broken off', cases: Atomics.load(pulse, 0) });
  };
  let seen = 0;
  let since = performance.now();
  const watch = setInterval(() => {
    const now = Atomics.load(pulse, 0);
    if (now !== seen) [seen, since] = [now, performance.now()];
    else if (performance.now() - since > patience * 1000) broken(`does not come back within ${patience} s`);
  }, 500);
  worker.once('message', resolve);
  worker.once('error', (error) => broken(error instanceof Error ? (error.stack ?? '') : String(error)));
  worker.once('exit', (code) => broken(`the thread ended with status ${code}`));
  try {
    return await promise;
  } finally {
    clearInterval(watch);
    await worker.terminate();
  }
}
