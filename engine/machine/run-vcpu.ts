/** One vCPU of a board under an accelerator, from its first instruction to the end of the machine. */
import type { AcceleratedVcpu } from '../accel/contract.ts';
import { tscAt } from '../vcpu/clock.ts';
import { RunLoop, type LoopEnd } from '../vcpu/run-loop.ts';
import { Milestone } from '../vcpu/boot-timeline.ts';
import { Activity } from '../vcpu/state.ts';
import type { Accelerator, CodeWatch, VcpuOptions } from './accelerator.ts';
import type { Board } from './board.ts';

/** How a vCPU's run ended, and what its accelerator counted. */
export interface VcpuRun {
  readonly end: LoopEnd;
  readonly statistics: Readonly<Record<string, number>>;
}

/** Runs vCPU `index` in this thread until the machine ends. @param translator who translates for it */
export function runVcpu(
  board: Board,
  accelerator: Accelerator,
  index: number,
  translator?: VcpuOptions['translator'],
  watch?: CodeWatch,
): VcpuRun {
  const { devices, lapics, clock, runState } = board;
  const state = board.states[index];
  const model = board.options.cpuModel;
  const vcpu: AcceleratedVcpu = accelerator.createVcpu({
    memory: board.memory.memory,
    state,
    stateAddress: board.stateAddresses[index],
    area: board.areas[index],
    vmArea: board.areas[0],
    addressMap: board.map,
    dirtyLog: board.dirty,
    smram: board.smram,
    coherence: board.coherence,
    ramBase: board.memory.ramBase,
    interrupts: lapics,
    cpuModel: model,
    readTsc: () => {
      const now = clock.now();
      loop.timeSeen(now);
      return tscAt(now);
    },
    tscDeadline: {
      read: () => lapics.readTscDeadline(index),
      write: (value) => lapics.writeTscDeadline(index, value),
    },
    isDue: () => loop.isDue(),
    topology: board.topology,
    lockDevices: devices.with,
    translator,
    watch,
    log: (line) => board.log.debug(`vCPU ${index}: ${line}`),
    milestone: (milestone) => board.timeline.mark(milestone),
  });
  const loop: RunLoop = new RunLoop({
    index,
    vcpu,
    signals: board.signals,
    runState,
    counters: board.counters[index],
    clock,
    devices,
    ports: board.ports,
    mmio: board.mmio,
    timers: board.timersOf(index),
    timersTouched: index === 0 ? () => {} : board.wakeForTimers,
    sleeping: index === 0 ? board.noteSleep : () => {},
    halted: () => board.storage.slots.halted(),
    woken: () => board.storage.slots.woken(),
    floatError: board.chipset.numericError.assert,
    startedUp: () => board.timeline.mark(Milestone.Smp),
    initialize: () => {
      board.initialize(index, (at) => accelerator.resetState(at, { index, model }));
      state.activity = index === 0 ? Activity.Running : Activity.WaitForSipi;
    },
    resetMachine: () => board.powerOn(accelerator),
  });
  try {
    return { end: loop.run(), statistics: statisticsOf(vcpu) };
  } catch (error) {
    // A defect in a device or in the accelerator: the machine ends, the process does not.
    runState.fault();
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { end: { kind: 'internal', detail }, statistics: {} };
  } finally {
    vcpu.close?.();
  }
}

/** An accelerator may count more than the contract asks for. */
function statisticsOf(vcpu: AcceleratedVcpu & { statistics?(): Readonly<Record<string, number>> }) {
  return vcpu.statistics?.() ?? {};
}
