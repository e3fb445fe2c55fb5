/** What the local APICs ask of the machine around them. */
import type { Clock } from '../device.ts';

/** The vCPUs' event words. */
export interface VcpuSignals {
  /** Sets bits of `VcpuState.events` (see VcpuEvent) and makes the vCPU notice. */
  raise(vcpu: number, mask: number): void;
  lower(vcpu: number, mask: number): void;
}

export interface LocalApicDeps {
  readonly clock: Clock;
  readonly signals: VcpuSignals;
  /** Acknowledges the PIC's request and returns its vector. */
  readonly acknowledgePic: () => number;
  /** A vCPU has taken an interrupt. */
  readonly interruptTaken: () => void;
  /** Tells the I/O APICs of the end of a level-triggered interrupt. */
  readonly endOfInterrupt: (vector: number) => void;
  /** The guest nanosecond at which the vCPU's TSC reaches `tsc` (rounded up), possibly in the past. */
  readonly tscToNs: (vcpu: number, tsc: bigint) => number;
  readonly readTsc: (vcpu: number) => bigint;
  /** The vCPU's APIC id at power-up; 8 bits. */
  readonly initialId: (vcpu: number) => number;
  /** MAXPHYADDR: bits of IA32_APIC_BASE from there on are reserved. */
  readonly physicalAddressBits: number;
}
