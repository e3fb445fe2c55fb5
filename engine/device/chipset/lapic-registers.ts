/**
 * The register numbers of a local APIC, and what can be told of a register without knowing its surroundings
 * (Intel SDM 3A, tables 11-1 and 11-6).
 */
import {
  ApicBase,
  arbitrationPriority,
  type LapicState,
  Lvt,
  LVT_COUNT,
  LVT_WRITABLE,
  LvtBit,
  processorPriority,
  Svr,
} from './lapic-state.ts';

/** Register numbers: the offset in the page over 16, and the MSR less 0x800. */
export const Reg = {
  Id: 0x02, Version: 0x03, Tpr: 0x08, Apr: 0x09, Ppr: 0x0a, Eoi: 0x0b, Rrd: 0x0c, Ldr: 0x0d, Dfr: 0x0e,
  Svr: 0x0f, Isr: 0x10, Tmr: 0x18, Irr: 0x20, Esr: 0x28, IcrLow: 0x30, IcrHigh: 0x31, Lvt: 0x32,
  InitialCount: 0x38, CurrentCount: 0x39, Divide: 0x3e, SelfIpi: 0x3f,
} as const; // prettier-ignore

/** Version 0x14, highest LVT entry 5, EOI-broadcast suppression (SDM 3A, 11.4.8). */
const VERSION = 0x0100_0014 | ((LVT_COUNT - 1) << 16);

/** Writable bits of ICR 31-0: all but delivery status (12) and the reserved ones (SDM 3A, 11.6.1). */
export const ICR_WRITABLE = 0xc_cfff;

/** Reads a register whose value lies in the state or follows from it, as 32 bits; -1 where there is none. The
 * id and the current count depend on more, and are the caller's. */
export function readRegister(apic: LapicState, register: number): number {
  switch (register) {
    case Reg.Version:
      return VERSION;
    case Reg.Tpr:
      return apic.tpr;
    case Reg.Apr:
      return arbitrationPriority(apic);
    case Reg.Ppr:
      return processorPriority(apic);
    case Reg.Eoi:
    case Reg.Rrd:
      return 0;
    case Reg.Ldr:
      return apic.ldr;
    case Reg.Dfr:
      return apic.dfr;
    case Reg.Svr:
      return apic.svr;
    case Reg.Esr:
      return apic.esr;
    case Reg.IcrLow:
      return apic.icrLow;
    case Reg.IcrHigh:
      return apic.icrHigh;
    case Reg.InitialCount:
      return apic.initialCount;
    case Reg.Divide:
      return apic.divide;
    default:
      break;
  }
  if (register >= Reg.Isr && register < Reg.Isr + 8) return apic.isr[register - Reg.Isr]!;
  if (register >= Reg.Tmr && register < Reg.Tmr + 8) return apic.tmr[register - Reg.Tmr]!;
  if (register >= Reg.Irr && register < Reg.Irr + 8) return apic.irr[register - Reg.Irr]!;
  if (register >= Reg.Lvt && register < Reg.Lvt + LVT_COUNT) return apic.lvt[register - Reg.Lvt]!;
  return -1;
}

/** Bits of a register that WRMSR may set in x2APIC mode, read-only ones that read back included; -1 where
 * the register cannot be written (SDM 3A, table 11-6). */
export function x2apicWritable(register: number): number {
  switch (register) {
    case Reg.Tpr:
    case Reg.SelfIpi:
      return 0xff;
    case Reg.Eoi:
    case Reg.Esr:
      return 0;
    case Reg.Svr:
      return Svr.Writable;
    case Reg.InitialCount:
      return 0xffff_ffff;
    case Reg.Divide:
      return 0xb;
    default: {
      const index = register - Reg.Lvt;
      if (index < 0 || index >= LVT_COUNT) return -1;
      const lint = index === Lvt.Lint0 || index === Lvt.Lint1;
      return LVT_WRITABLE[index]! | LvtBit.DeliveryStatus | (lint ? LvtBit.RemoteIrr : 0);
    }
  }
}

/** Whether RDMSR finds a register in x2APIC mode: some are gone there, and some are write-only. */
export function x2apicReadable(register: number): boolean {
  switch (register) {
    case Reg.Apr:
    case Reg.Eoi:
    case Reg.Rrd:
    case Reg.Dfr:
    case Reg.IcrHigh:
      return false;
    default:
      return true;
  }
}

/**
 * Whether IA32_APIC_BASE may be written: no reserved bit is set, and the mode may be changed that way. x2APIC
 * mode is entered from xAPIC mode and left by disabling the APIC (SDM 3A, 11.12.5).
 *
 * @param before the present value
 * @param physicalAddressBits MAXPHYADDR
 */
export function apicBaseAcceptable(before: bigint, value: bigint, physicalAddressBits: number): boolean {
  const address = ((1n << BigInt(physicalAddressBits)) - 1n) & ~0xfffn;
  if ((value & ~(address | ApicBase.Bootstrap | ApicBase.X2apic | ApicBase.Enable)) !== 0n) return false;
  const enable = (value & ApicBase.Enable) !== 0n;
  const x2apic = (value & ApicBase.X2apic) !== 0n;
  if (x2apic) return enable && (before & ApicBase.Enable) !== 0n;
  return !enable || (before & ApicBase.X2apic) === 0n;
}
