/**
 * The registers of a local APIC as they lie in the shared memory, and the names of their bits
 * (Intel SDM 3A, chapter 11).
 */
import { layout, type View } from '../../memory/layout.ts';
import { DeliveryMode } from './apic-message.ts';

/** Local vector table entries, in register order from 0x320. */
export const Lvt = { Timer: 0, Thermal: 1, Performance: 2, Lint0: 3, Lint1: 4, Error: 5 } as const;
export const LVT_COUNT = 6;

/** One per vCPU. */
export const lapicLayout = layout('lapic', 1, {
  /** xAPIC: 8 bits; x2APIC: the initial id. */
  id: 'u32',
  tpr: 'u32',
  /** xAPIC: in bits 31-24. x2APIC: the whole register, derived from the id. */
  ldr: 'u32',
  dfr: 'u32',
  svr: 'u32',
  /** As last latched by a write to the ESR, and what has come since. */
  esr: 'u32',
  esrPending: 'u32',
  icrLow: 'u32',
  icrHigh: 'u32',
  lvt: ['u32', LVT_COUNT],
  /** 256 bits each, vector n at bit n % 32 of word n / 32. */
  irr: ['u32', 8],
  isr: ['u32', 8],
  tmr: ['u32', 8],
  /** Levels of the input pins: bit n for LINTn. */
  lint: 'u32',
  /** 1 where a message in ExtINT mode waits to be acknowledged. */
  extInt: 'u32',

  divide: 'u32',
  initialCount: 'u32',
  /** The running count: its value at `countStart` (guest nanoseconds); 0 is stopped. */
  countFrom: 'u32',
  countStart: 'f64',
  /** IA32_TSC_DEADLINE, 0 is disarmed, and the guest nanosecond at which the TSC gets there. */
  tscDeadline: 'u64',
  tscDeadlineAt: 'f64',
});

export type LapicState = View<typeof lapicLayout.fields>;

/** LVT entry bits (SDM 3A, 11.5.1). */
export const LvtBit = {
  DeliveryStatus: 1 << 12,
  RemoteIrr: 1 << 14,
  Level: 1 << 15,
  Mask: 1 << 16,
} as const;

/** Writable bits of each LVT entry. */
export const LVT_WRITABLE: readonly number[] = [0x7_00ff, 0x1_07ff, 0x1_07ff, 0x1_a7ff, 0x1_a7ff, 0x1_00ff];

/** Spurious-interrupt vector register bits (SDM 3A, 11.9). */
export const Svr = { Enable: 1 << 8, SuppressEoiBroadcast: 1 << 12, Writable: 0x11ff } as const;

/** Error status register bits (SDM 3A, 11.5.3). */
export const Esr = {
  SendIllegalVector: 1 << 5,
  ReceiveIllegalVector: 1 << 6,
  IllegalRegister: 1 << 7,
} as const;

/** IA32_APIC_BASE bits (SDM 3A, 11.4.4 and 11.12.1). */
export const ApicBase = { Bootstrap: 1n << 8n, X2apic: 1n << 10n, Enable: 1n << 11n } as const;

/** Physical address of the register page after reset. */
export const APIC_DEFAULT_BASE = 0xfee0_0000;

/** Sets the bit of a vector in ISR, TMR or IRR: 256 bits in words of 32 (SDM 3A, 11.8.4). */
export function setVector(bits: Uint32Array, vector: number): void {
  bits[vector >> 5] = bits[vector >> 5]! | (1 << (vector & 31));
}

/** Clears the bit of a vector. */
export function clearVector(bits: Uint32Array, vector: number): void {
  bits[vector >> 5] = bits[vector >> 5]! & ~(1 << (vector & 31));
}

/** Whether the bit of a vector is set. */
export function hasVector(bits: Uint32Array, vector: number): boolean {
  return (bits[vector >> 5]! & (1 << (vector & 31))) !== 0;
}

/** The highest vector set, or -1. */
export function highestVector(bits: Uint32Array): number {
  for (let word = 7; word >= 0; word--) {
    const value = bits[word]!;
    if (value !== 0) return word * 32 + 31 - Math.clz32(value);
  }
  return -1;
}

/** Whether an LVT entry is a level-triggered fixed interrupt. */
export function isLevelTriggered(entry: number): boolean {
  return (entry & LvtBit.Level) !== 0 && ((entry >>> 8) & 7) === DeliveryMode.Fixed;
}

/** Processor priority (SDM 3A, 11.8.3.1). */
export function processorPriority(apic: LapicState): number {
  const inService = Math.max(0, highestVector(apic.isr)) & 0xf0;
  return (apic.tpr & 0xf0) >= inService ? apic.tpr : inService;
}

/** Arbitration priority, by which the receiver of a lowest-priority interrupt is chosen (SDM 3A, 11.6.2.4). */
export function arbitrationPriority(apic: LapicState): number {
  const task = apic.tpr & 0xf0;
  const requested = Math.max(0, highestVector(apic.irr)) & 0xf0;
  const inService = Math.max(0, highestVector(apic.isr)) & 0xf0;
  return task >= requested && task > inService ? apic.tpr : Math.max(task & inService, requested, inService);
}

/** Puts the registers into their state after power-up (SDM 3A, 11.4.7.1), but for the id and the pins. */
export function resetRegisters(apic: LapicState): void {
  apic.tpr = 0;
  apic.ldr = 0;
  apic.dfr = 0xffff_ffff;
  apic.svr = 0xff;
  apic.esr = 0;
  apic.esrPending = 0;
  apic.icrLow = 0;
  apic.icrHigh = 0;
  apic.lvt.fill(LvtBit.Mask);
  apic.irr.fill(0);
  apic.isr.fill(0);
  apic.tmr.fill(0);
  apic.extInt = 0;
  apic.divide = 0;
  apic.initialCount = 0;
  apic.countFrom = 0;
  apic.countStart = 0;
  apic.tscDeadline = 0n;
  apic.tscDeadlineAt = 0;
}
