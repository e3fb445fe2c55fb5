/**
 * Random architectural states in every mode the processor has: states that a guest could have brought about,
 * so consistent in what software cannot break (no paging without protection, no 64-bit code outside long
 * mode), and arbitrary in all else.
 *
 * SDM 3A, 2.2 and 2.5 (modes and control registers), 3.4.5 (segment registers).
 */
import type { Random } from '../../engine/base/random.ts';
import { loadSegment, SegAttr, type SegmentRegister } from '../../engine/vcpu/segment.ts';
import { Activity, Flag, Seg, type VcpuState } from '../../engine/vcpu/state.ts';
import { edge32, edge64 } from './guest-code.ts';
import { DESCRIPTORS, type Paging, Place } from './guest-memory.ts';

export const MODES = [
  'real', 'unreal', 'virtual-8086', 'protected 16', 'protected 32', 'long', 'compatibility',
] as const; // prettier-ignore
export type Mode = (typeof MODES)[number];

/** What a case is about, for reports and for the counts. */
export interface Setting {
  readonly mode: Mode;
  readonly paging: Paging;
  readonly privilege: number;
  readonly smm: boolean;
}

/** A mode with the paging and privilege that go with it. */
export function randomSetting(random: Random): Setting {
  const mode = random.pick(MODES);
  const smm = random.oneIn(10);
  switch (mode) {
    case 'real':
    case 'unreal':
      return { mode, paging: 'none', privilege: 0, smm };
    case 'virtual-8086':
      return { mode, paging: random.pick(['none', '32-bit', 'pae']), privilege: 3, smm };
    case 'protected 16':
    case 'protected 32':
      return { mode, paging: random.pick(['none', '32-bit', 'pae']), privilege: random.pick([0, 0, 1, 2, 3, 3]), smm };
    case 'long':
    case 'compatibility':
      return { mode, paging: random.oneIn(4) ? '5-level' : '4-level', privilege: random.pick([0, 0, 3]), smm };
  }
} // prettier-ignore

const CR0 = { PE: 1, MP: 2, EM: 4, TS: 8, ET: 0x10, NE: 0x20, WP: 0x1_0000, AM: 0x4_0000, PG: 0x8000_0000 };
const CR4 = { PSE: 0x10, PAE: 0x20, OSFXSR: 0x200, LA57: 0x1000, PCIDE: 0x2_0000, OSXSAVE: 0x4_0000 };
/** Every bit of CR4 that leaves the paging mode as it is: VME to DE, MCE to OSXMMEXCPT, UMIP, FSGSBASE, OSXSAVE,
 * SMEP, SMAP. */
const CR4_FREE = 0x35_0fdf;
const EFER = { SCE: 1, LME: 0x100, LMA: 0x400, NXE: 0x800 };

/** Loads a state into a vCPU that has been reset. */
export function loadState(random: Random, state: VcpuState, setting: Setting): void {
  const { mode, paging, privilege } = setting;
  const long = mode === 'long' || mode === 'compatibility';
  const isProtected = mode !== 'real' && mode !== 'unreal';

  for (let i = 0; i < 16; i++) state.gpr[i] = edge64(random);
  if (!long) for (let i = 0; i < 16; i++) state.gpr[i] = i < 8 ? BigInt.asUintN(32, state.gpr[i]) : 0n;
  if (!random.oneIn(8)) state.gpr[4] = BigInt(Place.stack + 64 + random.below(0x2e00));
  state.flagsRes = BigInt(random.next());
  state.flagsAux = random.next();
  state.flagsSys = randomFlags(random, mode);

  const maybe = (bit: number, chance: number): number => (random.oneIn(chance) ? bit : 0);
  const cr0 =
    CR0.ET | maybe(CR0.MP, 2) | maybe(CR0.EM, 8) | maybe(CR0.TS, 8) | maybe(CR0.NE, 2) | maybe(CR0.WP, 2) |
    maybe(CR0.AM, 2) | (isProtected ? CR0.PE : 0) | (paging === 'none' ? 0 : CR0.PG); // prettier-ignore
  state.cr0 = BigInt(cr0 >>> 0);
  let cr4 = (random.next() & random.next() & CR4_FREE) | maybe(CR4.OSFXSR, 2) | maybe(CR4.OSXSAVE, 2);
  if (paging === '32-bit') cr4 |= maybe(CR4.PSE, 2);
  if (paging === 'pae' || long) cr4 |= CR4.PAE;
  if (paging === '5-level') cr4 |= CR4.LA57;
  if (long) cr4 |= maybe(CR4.PCIDE, 4);
  state.cr4 = BigInt(cr4);
  state.cr2 = edge64(random);
  state.cr3 = BigInt(Place.tables) | (random.oneIn(16) ? BigInt(random.below(4096)) : 0n);
  state.cr8 = BigInt(random.below(16));
  state.efer = BigInt(maybe(EFER.SCE, 2) | maybe(EFER.NXE, 2) | (long ? EFER.LME | EFER.LMA : 0));
  state.xcr0 = random.oneIn(2) ? 1n : 3n;

  state.cpl = privilege;
  loadSegments(random, state, setting);
  [state.gdtrBase, state.idtrBase] = [BigInt(Place.gdt), isProtected ? BigInt(Place.idt) : 0n];
  state.gdtrLimit = random.oneIn(8) ? random.below(0x1_0000) : DESCRIPTORS * 8 - 1;
  state.idtrLimit = random.oneIn(8) ? random.below(0x1_0000) : 0xfff;
  state.rip = randomStart(random, state);

  if (random.oneIn(8)) {
    for (let i = 0; i < 4; i++) state.dr[i] = edge64(random) & (long ? ~0n : 0xffff_ffffn);
    if (random.oneIn(2)) state.dr[0] = state.rip + state.segBase[Seg.CS];
    state.dr[7] = BigInt((random.next() & 0xffff_03ff) | 0x400) & 0xffff_ffffn;
  }
  loadSyscall(random, state);
  loadFloat(random, state);

  state.smm = setting.smm ? 1 : 0;
  state.smbase = Place.smram;
  state.nmiBlocked = setting.smm || random.oneIn(8) ? 1 : 0;
  state.interruptShadow = random.oneIn(16) ? random.below(3) : 0;
  state.a20 = random.oneIn(16) ? 0 : 1;
  state.activity = Activity.Running;
}

function randomFlags(random: Random, mode: Mode): number {
  const free =
    Flag.IF | Flag.DF | Flag.IOPL | Flag.NT | Flag.AC | Flag.VIF | Flag.VIP | Flag.ID | Flag.RF; // prettier-ignore
  let flags = random.next() & random.next() & free;
  if (random.oneIn(8)) flags |= Flag.TF;
  if (random.oneIn(2)) flags |= Flag.IF;
  if (random.oneIn(4)) flags |= Flag.IOPL;
  return mode === 'virtual-8086' ? flags | Flag.VM : flags;
}

/** An offset in CS at which there is code, mostly near a page's end or start. */
function randomStart(random: Random, state: VcpuState): bigint {
  const linear = random.oneIn(8)
    ? Place.codeEnd - 1 - random.below(64)
    : Place.code + (random.oneIn(4) ? 0x1000 - random.below(16) : random.below(0x1f00));
  const offset = BigInt(linear) - state.segBase[Seg.CS];
  return offset >= 0n ? offset : 0n;
}

function loadSegments(random: Random, state: VcpuState, { mode, privilege }: Setting): void {
  const real = mode === 'real' || mode === 'unreal' || mode === 'virtual-8086';
  for (const segment of [Seg.ES, Seg.CS, Seg.SS, Seg.DS, Seg.FS, Seg.GS]) {
    const register = real ? realSegment(random, mode) : protectedSegment(random, segment, mode, privilege);
    loadSegment(state, segment, register, real);
  }
  const ldt = random.oneIn(4) ? SegAttr.Unusable : SegAttr.Present | 2;
  loadSegment(state, Seg.LDTR, {
    selector: 8,
    base: BigInt(Place.ldt),
    limit: DESCRIPTORS * 8 - 1,
    attr: ldt,
  });
  // A busy task state, of 16 or 32 bits; in long mode always the latter.
  const type = mode === 'long' || mode === 'compatibility' || !random.oneIn(4) ? 11 : 3;
  const limit = random.oneIn(8) ? random.below(0x80) : 0x67 + random.below(0x40);
  loadSegment(state, Seg.TR, { selector: 16, base: BigInt(Place.tss), limit, attr: SegAttr.Present | type });
}

function realSegment(random: Random, mode: Mode): SegmentRegister {
  const selector = random.oneIn(2) ? 0 : random.below(0x800);
  const user = mode === 'virtual-8086' ? 3 << SegAttr.DplShift : 0;
  const attr = SegAttr.Present | SegAttr.CodeOrData | 3 | user;
  const limit = mode === 'unreal' && random.oneIn(2) ? 0xffff_ffff : 0xffff;
  return { selector, base: BigInt(selector << 4), limit, attr };
}

function protectedSegment(random: Random, segment: number, mode: Mode, privilege: number): SegmentRegister {
  const code = segment === Seg.CS;
  const stack = segment === Seg.SS;
  if (!code && !stack && random.oneIn(6)) return { selector: 0, base: 0n, limit: 0, attr: SegAttr.Unusable };
  let attr: number = SegAttr.Present | SegAttr.CodeOrData | (privilege << SegAttr.DplShift);
  if (code) attr |= SegAttr.Code | SegAttr.Accessed | (random.oneIn(4) ? 0 : SegAttr.Readable);
  else attr |= SegAttr.Accessed | (stack || !random.oneIn(4) ? SegAttr.Writable : 0);
  if (!code && random.oneIn(16)) attr |= SegAttr.ExpandDown;
  const small = mode === 'protected 16' || (mode === 'compatibility' && random.oneIn(4));
  if (code && mode === 'long') attr |= SegAttr.Long;
  else if (!small && (code || !random.oneIn(4))) attr |= SegAttr.Big;
  const whole = random.oneIn(8) ? edge32(random) : 0xffff_ffff;
  if (whole > 0xf_ffff) attr |= SegAttr.Granular;
  const limit = whole > 0xf_ffff ? (whole | 0xfff) >>> 0 : whole;
  const based = mode !== 'long' || segment >= Seg.FS;
  const base =
    !based || random.oneIn(2) ? 0n : code ? BigInt(random.below(0x8000)) : BigInt(random.below(0x1_0000));
  return { selector: random.below(DESCRIPTORS) * 8 + privilege, base, limit, attr };
}

/** SYSCALL's, SYSENTER's and SWAPGS's registers; addresses are canonical, as WRMSR would have it. */
function loadSyscall(random: Random, state: VcpuState): void {
  const target = (): bigint => BigInt(Place.code + random.below(0x2000));
  state.star = random.next64();
  [state.lstar, state.cstar] = [target(), target()];
  state.sfmask = BigInt(random.next());
  state.kernelGsBase = BigInt(random.below(0x4_0000));
  state.sysenterCs = BigInt(random.below(DESCRIPTORS) * 8);
  [state.sysenterEsp, state.sysenterEip] = [BigInt(Place.stackTop), target()];
}

function loadFloat(random: Random, state: VcpuState): void {
  for (let i = 0; i < 8; i++) {
    state.fpr[i * 2] = random.oneIn(3) ? random.pick([0n, 1n << 63n, 3n << 62n]) : random.next64();
    state.fpr[i * 2 + 1] = BigInt(
      random.oneIn(3) ? random.pick([0, 0x3fff, 0x7fff, 0xffff]) : random.below(0x1_0000),
    );
  }
  for (let i = 0; i < 64; i++) state.ymm[i] = (i & 3) < 2 ? random.next64() : 0n;
  state.fcw = (random.oneIn(2) ? 0x37f : random.next() & 0x1f7f) | 0x40;
  state.fsw = random.next() & 0x7f7f;
  state.ftw = random.below(256);
  state.mxcsr = random.oneIn(2) ? 0x1f80 : random.next() & 0xffff;
}
