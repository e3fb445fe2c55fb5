/**
 * System-management mode: entry by SMI, and RSM.
 *
 * The state is saved in the AMD64 layout, at SMBASE + 0xfe00 to 0xffff (AMD64 APM 2, 10.2.3, table 10-1);
 * entry: APM 2, 10.3; RSM and its checks: 10.4 and Intel SDM 3C, 32.15.
 */
import { highHalf, lowHalf, ofHalves } from '../../../base/halves.ts';
import { Activity, Flag, Gpr, Seg, type VcpuState } from '../../../vcpu/state.ts';
import { loadSegment, SegAttr } from '../../../vcpu/segment.ts';
import { cr4Mask, isValidCr0 } from './control-registers.ts';
import { type Cpu, defineComplex, GuestFault, Outcome, Vector } from './cpu.ts';
import { DR6_FIXED, DR7_FIXED } from './debug.ts';
import { readFlags, writeFlags } from './flags.ts';
import { Cr0, Cr4, Efer } from './registers.ts';

/** Offsets from SMBASE. */
const Save = {
  /** ES CS SS DS FS GS, then GDTR LDTR IDTR TR, 16 bytes each: selector, rights, limit, base. */
  Segments: 0xfe00, Gdtr: 0xfe60, Ldtr: 0xfe70, Idtr: 0xfe80, Tr: 0xfe90,
  /** I/O restart, auto-halt restart, NMI mask, interrupt shadow: a byte each. */
  Restart: 0xfec8,
  Efer: 0xfed0, Revision: 0xfefc, Smbase: 0xff00, Cr4: 0xff48, Cr3: 0xff50, Cr0: 0xff58, Dr7: 0xff60, Dr6: 0xff68,
  Rflags: 0xff70, Rip: 0xff78,
  /** RAX; the other registers lie below it, in order. */
  Rax: 0xfff8,
} as const; // prettier-ignore

/** The AMD64 layout; bit 17: SMBASE can be moved. */
const REVISION = 0x0002_0064;

/** Rights of a segment as they are saved: the unusable bit shows as not present. */
const RIGHTS = 0xf0ff;

/** Bytes of the `Restart` word. */
const AUTO_HALT = 0x100;
const NMI_MASK = 0x1_0000;

const SEGMENTS = [Seg.ES, Seg.CS, Seg.SS, Seg.DS, Seg.FS, Seg.GS];

/** The save area of one processor. */
class SaveArea {
  readonly #cpu: Cpu;
  readonly #base: number;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
    this.#base = cpu.state.smbase;
  }

  read32(offset: number): number {
    return this.#cpu.physical.read32(this.#base + offset) >>> 0;
  }

  write32(offset: number, value: number): void {
    this.#cpu.physical.write32(this.#base + offset, value >>> 0);
  }

  read64(offset: number): bigint {
    return ofHalves(this.read32(offset), this.read32(offset + 4));
  }

  write64(offset: number, value: bigint): void {
    this.write32(offset, lowHalf(value) >>> 0);
    this.write32(offset + 4, highHalf(value) >>> 0);
  }

  writeSegment(offset: number, state: VcpuState, segment: number): void {
    const attr = state.segAttr[segment];
    const present = (attr & SegAttr.Unusable) !== 0 ? ~SegAttr.Present : ~0;
    this.write32(offset, state.segSelector[segment] | ((attr & RIGHTS & present) << 16));
    this.write32(offset + 4, state.segLimit[segment]);
    this.write64(offset + 8, state.segBase[segment]);
  }

  readSegment(offset: number, state: VcpuState, segment: number, realMode: boolean): void {
    const word = this.read32(offset);
    const rights = (word >>> 16) & RIGHTS;
    const attr = (rights & SegAttr.Present) === 0 && !realMode ? rights | SegAttr.Unusable : rights;
    const limit = this.read32(offset + 4);
    loadSegment(
      state,
      segment,
      { selector: word & 0xffff, base: this.read64(offset + 8), limit, attr },
      realMode,
    );
  }
}

/** Enters system-management mode: saves the state and goes on at SMBASE + 0x8000. */
export function enterSmm(cpu: Cpu): Outcome {
  const { state } = cpu;
  // From here on the processor sees SMRAM.
  state.smm = 1;
  const area = new SaveArea(cpu);
  for (const segment of SEGMENTS) area.writeSegment(Save.Segments + 16 * segment, state, segment);
  area.write32(Save.Gdtr + 4, state.gdtrLimit);
  area.write64(Save.Gdtr + 8, state.gdtrBase);
  area.writeSegment(Save.Ldtr, state, Seg.LDTR);
  area.write32(Save.Idtr + 4, state.idtrLimit);
  area.write64(Save.Idtr + 8, state.idtrBase);
  area.writeSegment(Save.Tr, state, Seg.TR);
  const halted = state.activity === Activity.Halted ? AUTO_HALT : 0;
  const masked = state.nmiBlocked !== 0 ? NMI_MASK : 0;
  area.write32(Save.Restart, halted | masked | (state.interruptShadow << 24));
  area.write64(Save.Efer, state.efer);
  area.write32(Save.Revision, REVISION);
  area.write32(Save.Smbase, state.smbase);
  area.write64(Save.Cr4, state.cr4);
  area.write64(Save.Cr3, state.cr3);
  area.write64(Save.Cr0, state.cr0);
  area.write64(Save.Dr7, state.dr[7]);
  area.write64(Save.Dr6, state.dr[6]);
  area.write64(Save.Rflags, BigInt(readFlags(state) >>> 0));
  area.write64(Save.Rip, state.rip);
  for (let n: number = Gpr.RAX; n <= Gpr.R15; n++) area.write64(Save.Rax - 8 * n, state.gpr[n]);

  state.cr0 &= ~BigInt(Cr0.PE | Cr0.EM | Cr0.TS) & ~BigInt(Cr0.PG);
  state.cr4 = 0n;
  state.efer = 0n;
  state.dr[6] = BigInt(DR6_FIXED);
  state.dr[7] = BigInt(DR7_FIXED);
  writeFlags(state, 0);
  state.cpl = 0;
  for (const segment of SEGMENTS) {
    const code = segment === Seg.CS;
    const register = {
      selector: code ? (state.smbase >>> 4) & 0xffff : 0,
      base: code ? BigInt(state.smbase) : 0n,
      limit: 0xffff_ffff,
      attr: SegAttr.Granular | 0x93,
    };
    loadSegment(state, segment, register, true);
  }
  state.rip = 0x8000n;
  state.nmiBlocked = 1;
  state.interruptShadow = 0;
  state.activity = Activity.Running;
  cpu.flushTlb(true);
  return Outcome.Changed;
}

/** Whether the control registers found in the save area go together; if not the processor shuts down. */
function isValid(cpu: Cpu, cr0: bigint, cr4: bigint, efer: bigint): boolean {
  if (cr0 > 0xffff_ffffn || cr4 > 0xffff_ffffn || efer > 0xffff_ffffn) return false;
  const c0 = Number(cr0);
  const c4 = Number(cr4);
  const e = Number(efer);
  if (!isValidCr0(c0) || (c4 & ~cr4Mask(cpu.model)) !== 0) return false;
  const known = Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE | Efer.AIBRSE;
  if ((e & ~known) !== 0) return false;
  const active = (e & Efer.LME) !== 0 && (c0 & Cr0.PG) !== 0;
  if (active !== ((e & Efer.LMA) !== 0)) return false;
  if (active && (c4 & Cr4.PAE) === 0) return false;
  return active || (c4 & Cr4.PCIDE) === 0;
}

/** RSM: back to what the save area, which the handler may have changed, says. */
function resume(cpu: Cpu): Outcome {
  const { state } = cpu;
  if (state.smm === 0) throw new GuestFault(Vector.UD);
  const area = new SaveArea(cpu);
  const cr0 = area.read64(Save.Cr0);
  const cr4 = area.read64(Save.Cr4);
  const efer = area.read64(Save.Efer);
  if (!isValid(cpu, cr0, cr4, efer)) {
    state.activity = Activity.Shutdown;
    return Outcome.Shutdown;
  }
  state.cr0 = cr0 | BigInt(Cr0.ET);
  state.cr4 = cr4;
  state.efer = efer;
  state.cr3 = area.read64(Save.Cr3);
  state.dr[6] = BigInt.asUintN(32, area.read64(Save.Dr6)) | BigInt(DR6_FIXED);
  state.dr[7] = BigInt.asUintN(32, area.read64(Save.Dr7)) | BigInt(DR7_FIXED);
  writeFlags(state, area.read32(Save.Rflags));
  for (let n: number = Gpr.RAX; n <= Gpr.R15; n++) state.gpr[n] = area.read64(Save.Rax - 8 * n);
  state.rip = area.read64(Save.Rip);

  const v86 = (state.flagsSys & Flag.VM) !== 0;
  const real = v86 || (Number(cr0) & Cr0.PE) === 0;
  for (const segment of SEGMENTS) area.readSegment(Save.Segments + 16 * segment, state, segment, real);
  area.readSegment(Save.Ldtr, state, Seg.LDTR, false);
  area.readSegment(Save.Tr, state, Seg.TR, false);
  state.gdtrLimit = area.read32(Save.Gdtr + 4) & 0xffff;
  state.gdtrBase = area.read64(Save.Gdtr + 8);
  state.idtrLimit = area.read32(Save.Idtr + 4) & 0xffff;
  state.idtrBase = area.read64(Save.Idtr + 8);
  state.cpl = v86 ? 3 : real ? 0 : (state.segAttr[Seg.SS] >> SegAttr.DplShift) & 3;

  const restart = area.read32(Save.Restart);
  state.nmiBlocked = (restart & NMI_MASK) !== 0 ? 1 : 0;
  state.interruptShadow = Math.min((restart >>> 24) & 3, 2);
  state.smbase = area.read32(Save.Smbase);
  state.smm = 0;
  cpu.flushTlb(true);
  if ((restart & AUTO_HALT) === 0) return Outcome.Changed;
  state.activity = Activity.Halted;
  return Outcome.Halt;
}

defineComplex('rsm', resume);
