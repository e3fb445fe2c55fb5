/**
 * Model-specific registers.
 *
 * Intel SDM 4 (architectural MSRs); AMD64 APM 2, appendix A (MSRs by number) and 3.1.7, 3.2 (EFER, SYSCFG,
 * HWCR). A register that is not in the table does not exist: #GP(0) on both accesses.
 */
import { Gpr, Seg, type VcpuState } from '../../../vcpu/state.ts';
import { type Cpu, defineComplex, GuestFault, Outcome, Vector } from './cpu.ts';
import type { Msr } from './msr-register.ts';
import { defineMtrrs } from './mtrr.ts';
import { gpr32, readEdxEax, requirePrivilege, writeEdxEax } from './operands.ts';
import { readTsc } from './processor-instructions.ts';
import { Cr0, cr0, Efer, efer, isCanonical } from './registers.ts';

/** Numbers of those named in other files. */
export const MsrNumber = {
  Tsc: 0x10, ApicBase: 0x1b, TscAdjust: 0x3b, PatchLevel: 0x8b, SysenterCs: 0x174, SysenterEsp: 0x175,
  SysenterEip: 0x176, McgCap: 0x179, McgStatus: 0x17a, Pat: 0x277, TscDeadline: 0x6e0, X2Apic: 0x800, Xss: 0xda0,
  Efer: 0xc000_0080, Star: 0xc000_0081, Lstar: 0xc000_0082, Cstar: 0xc000_0083, Sfmask: 0xc000_0084,
  FsBase: 0xc000_0100, GsBase: 0xc000_0101, KernelGsBase: 0xc000_0102, TscAux: 0xc000_0103, Syscfg: 0xc001_0010,
  Hwcr: 0xc001_0015, TopMem: 0xc001_001a, TopMem2: 0xc001_001d, IntPending: 0xc001_0055, OsvwLength: 0xc001_0140,
  OsvwStatus: 0xc001_0141, DeCfg: 0xc001_1029,
} as const; // prettier-ignore

const table = new Map<number, Msr>();

type StateField = {
  [K in keyof VcpuState]: VcpuState[K] extends bigint ? K : never;
}[keyof VcpuState];

/** A register that is a field of the state, and takes the values that `valid` accepts. */
function field(number: number, name: StateField, valid: (cpu: Cpu, value: bigint) => boolean): void {
  table.set(number, {
    read: ({ state }) => state[name],
    write: (cpu, value) => {
      if (!valid(cpu, value)) return false;
      cpu.state[name] = value;
      return true;
    },
  });
}

/** A register that always reads the same; what is written is dropped. */
function constant(number: number, value: bigint): void {
  table.set(number, { read: () => value, write: () => true });
}

const any = (): boolean => true;
const canonical = ({ state }: Cpu, value: bigint): boolean => isCanonical(state, value);
const narrow = (_: Cpu, value: bigint): boolean => value <= 0xffff_ffffn;

/** The base of FS or GS. */
function base(number: number, segment: number): void {
  table.set(number, {
    read: ({ state }) => state.segBase[segment],
    write: ({ state }, value) => {
      if (!isCanonical(state, value)) return false;
      state.segBase[segment] = value;
      return true;
    },
  });
}
base(MsrNumber.FsBase, Seg.FS);
base(MsrNumber.GsBase, Seg.GS);
field(MsrNumber.KernelGsBase, 'kernelGsBase', canonical);

field(MsrNumber.Star, 'star', any);
field(MsrNumber.Lstar, 'lstar', canonical);
field(MsrNumber.Cstar, 'cstar', canonical);
field(MsrNumber.Sfmask, 'sfmask', narrow);
field(MsrNumber.SysenterCs, 'sysenterCs', narrow);
field(MsrNumber.SysenterEsp, 'sysenterEsp', canonical);
field(MsrNumber.SysenterEip, 'sysenterEip', canonical);

/** Memory types that a PAT entry may hold: UC, WC, WT, WP, WB, UC- (SDM 3A, table 12-10). */
const PAT_TYPES = 0b1111_0011;
field(MsrNumber.Pat, 'pat', (_, value) => {
  for (let entry = 0n; entry < 64n; entry += 8n) {
    const type = Number((value >> entry) & 0xffn);
    if (type > 7 || (PAT_TYPES & (1 << type)) === 0) return false;
  }
  return true;
});

table.set(MsrNumber.Efer, {
  read: ({ state }) => state.efer,
  write: (cpu, value) => {
    const { state, model } = cpu;
    let writable: number = Efer.LMA;
    if (model.has('syscall')) writable |= Efer.SCE;
    if (model.has('lm')) writable |= Efer.LME;
    if (model.has('nx')) writable |= Efer.NXE;
    if (model.has('autoibrs')) writable |= Efer.AIBRSE;
    if ((value & ~BigInt(writable)) !== 0n) return false;
    const old = efer(state);
    // LMA follows LME and CR0.PG; what is written to it is dropped.
    const next = (Number(value) & ~Efer.LMA) | (old & Efer.LMA);
    const changed = old ^ next;
    if ((changed & Efer.LME) !== 0 && (cr0(state) & Cr0.PG) !== 0) return false;
    state.efer = BigInt(next);
    if ((changed & Efer.NXE) !== 0) cpu.flushTlb(true);
    return true;
  },
});

/** After the TSC has moved, a deadline has to be set anew. */
function moveTsc(cpu: Cpu, by: bigint): void {
  const { state } = cpu;
  state.tscOffset = BigInt.asIntN(64, state.tscOffset + by);
  state.tscAdjust = BigInt.asIntN(64, state.tscAdjust + by);
  if (!cpu.model.has('tsc_deadline')) return;
  const deadline = cpu.readTscDeadline();
  if (deadline !== 0n) cpu.writeTscDeadline(deadline);
}
table.set(MsrNumber.Tsc, {
  read: readTsc,
  write: (cpu, value) => {
    moveTsc(cpu, value - readTsc(cpu));
    return true;
  },
});
table.set(MsrNumber.TscAdjust, {
  read: ({ model, state }) => (model.has('tsc_adjust') ? BigInt.asUintN(64, state.tscAdjust) : undefined),
  write: (cpu, value) => {
    if (!cpu.model.has('tsc_adjust')) return false;
    moveTsc(cpu, value - cpu.state.tscAdjust);
    return true;
  },
});
table.set(MsrNumber.TscAux, {
  read: ({ model, state }) => (model.has('rdtscp') || model.has('rdpid') ? state.tscAux : undefined),
  write: ({ model, state }, value) => {
    if (!(model.has('rdtscp') || model.has('rdpid')) || value > 0xffff_ffffn) return false;
    state.tscAux = value;
    return true;
  },
});
table.set(MsrNumber.TscDeadline, {
  read: (cpu) => (cpu.model.has('tsc_deadline') ? cpu.readTscDeadline() : undefined),
  write: (cpu, value) => {
    if (!cpu.model.has('tsc_deadline')) return false;
    cpu.writeTscDeadline(value);
    return true;
  },
});

table.set(MsrNumber.ApicBase, {
  read: ({ interrupts, state }) => interrupts.readMsr(state.index, MsrNumber.ApicBase) ?? undefined,
  write: ({ interrupts, state }, value) => interrupts.writeMsr(state.index, MsrNumber.ApicBase, value),
});

table.set(MsrNumber.Xss, {
  read: ({ model, state }) => (model.has('xsaves') ? state.xss : undefined),
  write: ({ model, state }, value) => {
    if (!model.has('xsaves') || (value & ~model.xssMask) !== 0n) return false;
    state.xss = value;
    return true;
  },
});

// Machine checks: no banks report.
table.set(MsrNumber.McgCap, { read: () => 0n, write: () => false });
field(MsrNumber.McgStatus, 'mcgStatus', (_, value) => value <= 7n);

// AMD's own. The processor has no errata, so the switches that work around them switch nothing.
constant(MsrNumber.PatchLevel, 0n);
constant(MsrNumber.Syscfg, 0n);
constant(MsrNumber.Hwcr, 0n);
constant(MsrNumber.TopMem, 0n);
constant(MsrNumber.TopMem2, 0n);
constant(MsrNumber.IntPending, 0n);
/** LFENCE is dispatch serialising, always. */
constant(MsrNumber.DeCfg, 2n);

/** OS-visible workarounds (APM 2, appendix A; revision guides): errata 298, 400, 415 and 383, of which the processor has
 * none. Without them systems take the family and model to stand for erratum 400, and idle with care for it. */
function defineOsvw(number: number, value: bigint): void {
  table.set(number, {
    read: ({ model }) => (model.has('osvw') ? value : undefined),
    write: ({ model }) => model.has('osvw'),
  });
}
defineOsvw(MsrNumber.OsvwLength, 4n);
defineOsvw(MsrNumber.OsvwStatus, 0n);

defineMtrrs(table);

/** Registers that were asked for and are not there; each is logged once in a thread. */
const missing = new Set<number>();

function refuse(cpu: Cpu, number: number, access: string): GuestFault {
  if (!missing.has(number)) {
    missing.add(number);
    cpu.log(`${access} of MSR 0x${number.toString(16)} refused`);
  }
  return new GuestFault(Vector.GP, 0);
}

const isX2Apic = (number: number): boolean => (number & ~0xff) === MsrNumber.X2Apic;

/** Reads a register. @throws GuestFault #GP(0) */
export function readMsr(cpu: Cpu, number: number): bigint {
  const value = isX2Apic(number)
    ? (cpu.interrupts.readMsr(cpu.state.index, number) ?? undefined)
    : table.get(number)?.read(cpu);
  if (value === undefined) throw refuse(cpu, number, 'read');
  return value;
}

/** Writes a register. @throws GuestFault #GP(0) */
export function writeMsr(cpu: Cpu, number: number, value: bigint): void {
  const accepted = isX2Apic(number)
    ? cpu.interrupts.writeMsr(cpu.state.index, number, value)
    : table.get(number)?.write(cpu, value);
  if (accepted !== true) throw refuse(cpu, number, 'write');
}

defineComplex('rdmsr', (cpu) => {
  requirePrivilege(cpu.state);
  writeEdxEax(cpu, readMsr(cpu, gpr32(cpu, Gpr.RCX)));
  return Outcome.Next;
});

defineComplex('wrmsr', (cpu) => {
  requirePrivilege(cpu.state);
  const number = gpr32(cpu, Gpr.RCX);
  writeMsr(cpu, number, readEdxEax(cpu));
  // Translations know nothing of the bases; of the rest some change the mode or let an interrupt through.
  const plain = number >= MsrNumber.FsBase && number <= MsrNumber.KernelGsBase;
  return plain ? Outcome.Next : Outcome.Changed;
});
