/**
 * What every accelerator offers: probe, and a vCPU that enters the guest and comes back with an exit.
 * One run loop (engine/vcpu/run-loop.ts) serves the exits of all of them.
 */
import type { VcpuState } from '../vcpu/state.ts';

/** Why {@link AcceleratedVcpu.run} came back. */
export const ExitReason = {
  /** Budget used up or an event noticed: look at events and timers, then enter again. */
  Interrupted: 0,
  /** Port access: see {@link IoExit}. Re-entering completes the instruction. */
  PortIo: 1,
  /** Access to physical memory that is neither RAM nor readable ROM. Re-entering completes it. */
  Mmio: 2,
  /** HLT with nothing pending. */
  Halt: 3,
  /** The guest can take the interrupt that was held back now. */
  InterruptWindow: 4,
  /** Triple fault. */
  Shutdown: 5,
  /** A debug exception that the debugger, not the guest, asked for. */
  Debug: 6,
  /** A defect in the accelerator; `detail` says what. */
  InternalError: 7,
} as const;
export type ExitReason = (typeof ExitReason)[keyof typeof ExitReason];

/** The access behind a PortIo or Mmio exit. For reads the run loop fills in `data` before re-entering. */
export interface IoExit {
  /** Port number, or guest-physical address (exact: below 2^52). */
  address: number;
  /** 1, 2, 4, or for memory also 8. */
  size: number;
  write: boolean;
  /** Little-endian, unsigned. */
  data: bigint;
}

/**
 * More elements of a repeated INS or OUTS, beside the first, which {@link IoExit} has: those that nothing in the
 * guest can tell from elements transferred one after the other. What is left of them, the instruction goes on with.
 */
export interface IoBlock {
  /** The elements, of {@link IoExit.size} bytes each, the first included; empty where there are no more. */
  bytes: Uint8Array;
  /** Filled in by the run loop: how many it has transferred, from the first on; 0 where it has served the first
   * alone, by `data`. */
  done: number;
}

/** Interrupt lines as one vCPU sees them; implemented by the local APIC (with the PIC behind it). */
export interface InterruptSource {
  /** True where a maskable interrupt would be accepted now, TPR considered. */
  pending(vcpu: number): boolean;
  /** Acknowledges the highest and returns its vector, or -1 where it has gone. */
  acknowledge(vcpu: number): number;
  /** Task priority, CR8's view (0 … 15). */
  getTaskPriority(vcpu: number): number;
  setTaskPriority(vcpu: number, priority: number): void;
  /** IA32_APIC_BASE and the x2APIC MSRs 0x800 … 0x8ff; null where the access must raise #GP(0).
   * `readMsr` returns the value, `writeMsr` true where it was accepted. */
  readMsr(vcpu: number, msr: number): bigint | null;
  writeMsr(vcpu: number, msr: number, value: bigint): boolean;
}

export interface AcceleratedVcpu {
  readonly state: VcpuState;
  /** Valid after a PortIo or Mmio exit. */
  readonly io: IoExit;
  /** Valid after a PortIo exit; absent where repeated port accesses leave one at a time. */
  readonly block?: IoBlock;
  /** Enters the guest; returns why it came back. After Halt `state` says whether interrupts, NMI and SMI are
   * let through; what else it says, {@link synchronize} sees to. */
  run(): ExitReason;
  /**
   * Sees to it that `state` holds the vCPU's registers, completing the instruction of an access that has been
   * served. To be called before anybody looks at the state or changes it, from the vCPU's own thread; the
   * next {@link run} starts from the state as it is then. Absent where the state always holds them.
   *
   * @returns null, or an exit that is to be served before the next try: an instruction may make several
   *   accesses
   */
  synchronize?(): ExitReason | null;
  /**
   * Present where the guest is not left by itself from time to time: the next {@link run} comes back with
   * Interrupted at a time, or somewhat earlier.
   *
   * @param deadline guest nanoseconds, Infinity for none
   * @param now the same, at present
   */
  setDeadline?(deadline: number, now: number): void;
  /** One line, after InternalError. */
  detail(): string;
  /** Instructions retired since creation; 0 where they are not counted. */
  instructions(): number;
  /** Gives back what the vCPU holds of the host, from its own thread; nothing else may be called then. */
  close?(): void;
}
