/** A thread that runs the guest of a conformance test's machine, and answers kicks. */
import { parentPort, workerData } from 'node:worker_threads';
import { acceleratorOf, type AcceleratorName } from '../machine/accelerator.ts';
import { VcpuEvent } from '../vcpu/state.ts';
import { type SharedMachine, TestMachine } from './conformance-machine.ts';

export interface ConformanceThreadData {
  readonly accelerator: AcceleratorName;
  readonly shared: SharedMachine;
}

/** Words of the machine by which test and thread speak. */
export const Word = {
  /** How many kicks the thread has answered; -1 before it is about to enter for the first time. */
  Answered: 0,
  /** 1 where the thread is to end. */
  Stop: 1,
} as const;

function main({ accelerator, shared }: ConformanceThreadData): void {
  const machine = new TestMachine(acceleratorOf(accelerator), shared);
  const { vcpu, words, signals } = machine;
  Atomics.store(words, Word.Answered, 0);
  Atomics.notify(words, Word.Answered);
  while (Atomics.load(words, Word.Stop) === 0) {
    vcpu.run();
    if (signals.clear(0, VcpuEvent.Kick) === 0) continue;
    Atomics.add(words, Word.Answered, 1);
    Atomics.notify(words, Word.Answered);
  }
  machine.closeVcpu();
}

if (parentPort !== null) main(workerData as ConformanceThreadData);
