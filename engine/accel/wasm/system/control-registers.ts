/**
 * Control registers: what may be written to them, and what follows from it.
 *
 * Intel SDM 3A, 2.5 (control registers), 4.1.2 (paging modes), 4.10.4.1 (what is invalidated), 9.8.5
 * (entering long mode); volume 2, MOV CR, LMSW, SMSW, CLTS, XSETBV.
 */
import { Gpr, Seg, type VcpuState } from '../../../vcpu/state.ts';
import { SegAttr } from '../../../vcpu/segment.ts';
import { type Cpu, defineComplex, GuestFault, Outcome, Vector } from './cpu.ts';
import type { CpuModel } from './cpuid.ts';
import { requireUnhidden } from './descriptor-tables.ts';
import {
  gpr32,
  readEdxEax,
  readRegister,
  readRegister64,
  readWord,
  requirePrivilege,
  writeEdxEax,
  writeRegister,
  writeRegister64,
  writeWord,
} from './operands.ts';
import { checkPdptes, usesPae } from './paging.ts';
import { Cr0, cr0, Cr4, cr4, Efer, efer, is64Bit, isLongMode } from './registers.ts';
import { refreshSegments } from './segments.ts';

const fault = (): GuestFault => new GuestFault(Vector.GP, 0);

/** Bits of CR0 that exist; the others read as zero and are ignored (the upper half must be zero). */
const CR0_BITS = 0xe005_003f;

/** Bits of CR4, each with the feature that brings it. */
const CR4_FEATURES: ReadonlyArray<readonly [bit: number, feature: string]> = [
  [Cr4.VME, 'vme'], [Cr4.PVI, 'vme'], [Cr4.TSD, 'tsc'], [Cr4.DE, 'de'], [Cr4.PSE, 'pse'], [Cr4.PAE, 'pae'],
  [Cr4.MCE, 'mce'], [Cr4.PGE, 'pge'], [Cr4.OSFXSR, 'fxsr'], [Cr4.OSXMMEXCPT, 'sse'], [Cr4.UMIP, 'umip'],
  [Cr4.LA57, 'la57'], [Cr4.FSGSBASE, 'fsgsbase'], [Cr4.PCIDE, 'pcid'], [Cr4.OSXSAVE, 'xsave'],
  [Cr4.SMEP, 'smep'], [Cr4.SMAP, 'smap'],
]; // prettier-ignore

/** CR4 bits a model lets be set. CR4.PCE is always among them. */
export function cr4Mask(model: CpuModel): number {
  let mask: number = Cr4.PCE;
  for (const [bit, feature] of CR4_FEATURES) if (model.has(feature)) mask |= bit;
  return mask;
}

/** CR4 bits whose change drops every translation. */
const CR4_PAGING = Cr4.PSE | Cr4.PAE | Cr4.PGE | Cr4.LA57 | Cr4.PCIDE | Cr4.SMEP | Cr4.SMAP;
/** CR4 bits whose change loads the PDPTEs under PAE paging. */
const CR4_PDPTE = Cr4.PAE | Cr4.PGE | Cr4.PSE | Cr4.SMEP;

/** Whether CR0 can hold a value: PG needs PE, NW needs CD. */
export const isValidCr0 = (value: number): boolean =>
  !((value & Cr0.PG) !== 0 && (value & Cr0.PE) === 0) && !((value & Cr0.NW) !== 0 && (value & Cr0.CD) === 0);

/** Turns long mode on or off with paging (SDM 3A, 9.8.5). @throws GuestFault #GP(0) */
function switchLongMode(state: VcpuState, paging: boolean): void {
  if (!paging) {
    state.efer &= ~BigInt(Efer.LMA);
    return;
  }
  if ((efer(state) & Efer.LME) === 0) return;
  const narrowTask = (state.segAttr[Seg.TR] & 8) === 0;
  if ((cr4(state) & Cr4.PAE) === 0 || (state.segAttr[Seg.CS] & SegAttr.Long) !== 0 || narrowTask)
    throw fault();
  state.efer |= BigInt(Efer.LMA);
}

/** Writes CR0. @param value 64 bits @throws GuestFault #GP(0) */
export function writeCr0(cpu: Cpu, value: bigint): void {
  const { state } = cpu;
  if (value > 0xffff_ffffn) throw fault();
  const next = ((Number(value) & CR0_BITS) | Cr0.ET) >>> 0;
  const old = cr0(state);
  if (!isValidCr0(next)) throw fault();
  const changed = old ^ next;
  const paging = (next & Cr0.PG) !== 0;
  if (!paging && (is64Bit(state) || (cr4(state) & Cr4.PCIDE) !== 0)) throw fault();
  if ((changed & Cr0.PG) !== 0) switchLongMode(state, paging);
  if ((changed & (Cr0.PG | Cr0.CD | Cr0.NW)) !== 0) {
    const pae = paging && (cr4(state) & Cr4.PAE) !== 0 && !isLongMode(state);
    if (pae) checkPdptes(cpu, state.cr3);
  }
  state.cr0 = BigInt(next);
  if ((changed & (Cr0.PG | Cr0.WP | Cr0.PE)) !== 0) cpu.flushTlb(true);
  if ((changed & Cr0.PE) !== 0) refreshSegments(state);
}

/** Writes CR3. @param value 64 bits; bit 63 with CR4.PCIDE keeps what is cached of that address space
 * @throws GuestFault #GP(0) for reserved bits */
export function writeCr3(cpu: Cpu, value: bigint): void {
  const { state } = cpu;
  const pcid = (cr4(state) & Cr4.PCIDE) !== 0;
  const next = pcid ? value & ~(1n << 63n) : value;
  if (next >> BigInt(cpu.model.physicalBits) !== 0n) throw fault();
  if (usesPae(state)) checkPdptes(cpu, next);
  state.cr3 = next;
  cpu.enterAddressSpace(pcid ? Number(next & 0xfffn) : 0, next !== value);
}

/** Writes CR4. @throws GuestFault #GP(0) */
export function writeCr4(cpu: Cpu, value: bigint): void {
  const { state } = cpu;
  if (value > 0xffff_ffffn) throw fault();
  const next = Number(value);
  if ((next & ~cr4Mask(cpu.model)) !== 0) throw fault();
  const changed = cr4(state) ^ next;
  const long = isLongMode(state);
  if (long && ((next & Cr4.PAE) === 0 || (changed & Cr4.LA57) !== 0)) throw fault();
  if ((changed & next & Cr4.PCIDE) !== 0 && (!long || (state.cr3 & 0xfffn) !== 0n)) throw fault();
  const pae = (next & Cr4.PAE) !== 0 && (cr0(state) & Cr0.PG) !== 0 && !long;
  if (pae && (changed & CR4_PDPTE) !== 0) checkPdptes(cpu, state.cr3);
  state.cr4 = BigInt(next);
  if ((changed & CR4_PAGING) !== 0) cpu.flushTlb(true);
}

/** CR8: the task priority, 0 … 15. */
function writeCr8(cpu: Cpu, value: bigint): void {
  if (value > 15n) throw fault();
  cpu.state.cr8 = value;
  cpu.interrupts.setTaskPriority(cpu.state.index, Number(value));
}

/** The control registers that there are; #UD for the others. */
function requireControl(number: number): void {
  if (![0, 2, 3, 4, 8].includes(number)) throw new GuestFault(Vector.UD);
}

function readControl(cpu: Cpu, number: number): bigint {
  const { state } = cpu;
  switch (number) {
    case 0:
      return state.cr0;
    case 2:
      return state.cr2;
    case 3:
      return state.cr3;
    case 4:
      return state.cr4;
    default:
      return BigInt(cpu.interrupts.getTaskPriority(state.index));
  }
}

defineComplex('mov_from_cr', (cpu, { a: number, b }) => {
  requireControl(number);
  requirePrivilege(cpu.state);
  const value = readControl(cpu, number);
  writeRegister64(cpu, b, is64Bit(cpu.state) ? value : BigInt.asUintN(32, value));
  return Outcome.Next;
});

defineComplex('mov_to_cr', (cpu, { a: number, b }) => {
  const { state } = cpu;
  requireControl(number);
  requirePrivilege(state);
  const value = is64Bit(state) ? readRegister64(cpu, b) : BigInt(readRegister(cpu, b, 4));
  switch (number) {
    case 0:
      writeCr0(cpu, value);
      break;
    case 2:
      state.cr2 = value;
      break;
    case 3:
      writeCr3(cpu, value);
      break;
    case 4:
      writeCr4(cpu, value);
      break;
    default:
      writeCr8(cpu, value);
  }
  return Outcome.Changed;
});

defineComplex('clts', (cpu) => {
  requirePrivilege(cpu.state);
  cpu.state.cr0 &= ~BigInt(Cr0.TS);
  return Outcome.Changed;
});

/** LMSW: PE, MP, EM and TS of CR0; PE can be set but not cleared. */
defineComplex('lmsw', (cpu, instruction) => {
  const { state } = cpu;
  requirePrivilege(state);
  const word = readWord(cpu, instruction, instruction.a);
  const old = cr0(state);
  const next = (old & ~0xe) | (word & 0xf);
  writeCr0(cpu, BigInt(next >>> 0));
  return Outcome.Changed;
});

/** SMSW: to memory the low 16 bits of CR0, to a register as much as fits. */
defineComplex('smsw', (cpu, instruction) => {
  const { state } = cpu;
  requireUnhidden(state);
  if (instruction.memory) writeWord(cpu, instruction, instruction.a, cr0(state) & 0xffff);
  else writeRegister(cpu, instruction.a, instruction.size, cr0(state));
  return Outcome.Next;
});

/** #UD where XSAVE has not been enabled. */
function requireXsave(state: VcpuState): void {
  if ((cr4(state) & Cr4.OSXSAVE) === 0) throw new GuestFault(Vector.UD);
}

/** XGETBV: XCR0, or with ECX = 1 the part of it that is in use. */
defineComplex('xgetbv', (cpu) => {
  const { state, model } = cpu;
  requireXsave(state);
  const index = gpr32(cpu, Gpr.RCX);
  if (index > (model.has('xgetbv1') ? 1 : 0)) throw fault();
  // Every component is taken to be in use: XINUSE may say so of any (SDM 1, 13.6).
  writeEdxEax(cpu, state.xcr0);
  return Outcome.Next;
});

defineComplex('xsetbv', (cpu) => {
  const { state, model } = cpu;
  requireXsave(state);
  requirePrivilege(state);
  const value = readEdxEax(cpu);
  const outside = (value & ~model.xcr0Mask) !== 0n;
  // x87 can't be turned off; AVX needs SSE.
  const inconsistent = (value & 1n) === 0n || (value & 6n) === 4n;
  if (gpr32(cpu, Gpr.RCX) !== 0 || outside || inconsistent) throw fault();
  state.xcr0 = value;
  return Outcome.Changed;
});
