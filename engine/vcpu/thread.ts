/**
 * The entry of a vCPU's thread: attaches to the machine's memory, builds the board over it as every other
 * thread does, and runs the loop until the machine ends.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { HotCode } from '../accel/wasm/region/hot-code.ts';
import type { LogRecord } from '../base/log.ts';
import { acceleratorOf } from '../machine/accelerator.ts';
import { Board, type BoardOptions } from '../machine/board.ts';
import { runVcpu } from '../machine/run-vcpu.ts';
import { linkToTranslator, type TranslatorEnd } from '../machine/translator-link.ts';
import type { LoopEnd } from './run-loop.ts';

/** What a vCPU's thread is started with. */
export interface VcpuThreadData {
  /** All that can be copied of it; the thread adds its own log. */
  readonly board: Omit<BoardOptions, 'log'>;
  readonly index: number;
  /** To the machine's translator thread, where it has one. */
  readonly translator?: TranslatorEnd;
  /** An address whose code is told about when it is translated. */
  readonly watch?: bigint | undefined;
}

/** What it says to the control thread. */
export type VcpuThreadMessage =
  | { readonly kind: 'log'; readonly record: LogRecord }
  | { readonly kind: 'code'; readonly code: HotCode }
  | { readonly kind: 'end'; readonly end: LoopEnd; readonly statistics: Readonly<Record<string, number>> };

async function main(port: NonNullable<typeof parentPort>, data: VcpuThreadData): Promise<void> {
  const { board: options, index, translator } = data;
  const say = (message: VcpuThreadMessage) => port.postMessage(message);
  const accelerator = acceleratorOf(options.accelerator);
  await accelerator.load?.();
  const board = new Board({ ...options, log: (record) => say({ kind: 'log', record }) });
  const link = translator === undefined ? undefined : linkToTranslator(translator);
  const { end, statistics } = runVcpu(
    board,
    accelerator,
    index,
    await accelerator.translatorFor?.(link),
    data.watch === undefined
      ? undefined
      : { address: data.watch, found: (code) => say({ kind: 'code', code }) },
  );
  translator?.port.close();
  say({ kind: 'end', end, statistics });
}

if (parentPort !== null) await main(parentPort, workerData as VcpuThreadData);
