/**
 * The state in which a processor begins: plain data, handed from the loader to the thread of the vCPU.
 *
 * Intel SDM 3A, table 10-1 (state after reset), 2.5 (control registers).
 */
import { loadNullSegment, loadSegment, type SegmentRegister } from '../../vcpu/segment.ts';
import { Activity, Gpr, Seg, type VcpuState } from '../../vcpu/state.ts';
import { le } from '../acpi/bytes.ts';
import type { GuestMemory } from './guest-memory.ts';

/** A descriptor table register: address, and limit in bytes. */
export interface TableRegister {
  readonly base: bigint;
  readonly limit: number;
}

export interface EntryState {
  /** Real mode as after reset, protected mode without paging, or long mode with paging. */
  readonly mode: 'real' | 'protected32' | 'long64';
  readonly rip: bigint;
  /** Registers that are not zero: number as in `Gpr`, and value. */
  readonly gpr: ReadonlyArray<readonly [register: number, value: bigint]>;
  readonly cs: SegmentRegister;
  /** DS, ES, FS, GS and SS. */
  readonly data: SegmentRegister;
  readonly gdtr: TableRegister;
  readonly idtr: TableRegister;
  /** Address of the top page table; only used in long mode. */
  readonly cr3: bigint;
}

const CR0 = { ProtectionEnable: 1n << 0n, ExtensionType: 1n << 4n, NotWriteThrough: 1n << 29n, CacheDisable: 1n << 30n, Paging: 1n << 31n } as const; // prettier-ignore
const CR4_PAE = 1n << 5n;
const EFER = { LongModeEnable: 1n << 8n, LongModeActive: 1n << 10n } as const;

const RFLAGS_CLEAR = 0x2;

/** Access rights in the format of `segAttr`. */
const RIGHTS = {
  Code32: 0xc09b,
  Code64: 0xa09b,
  Data: 0xc093,
  RealMode: 0x93,
  Tss: 0x8b,
  Ldt: 0x82,
  Unusable: 0x1_0000,
} as const;

/** Selectors of the loaders' descriptor table: what Linux calls __BOOT_CS and __BOOT_DS. */
const BOOT_CS = 0x10;
const BOOT_DS = 0x18;
const GDT_BYTES = 0x20;

/**
 * Puts the general-purpose registers, RIP, RFLAGS, the segments with all that is derived from them, the
 * descriptor tables, control and debug registers of `state` as `entry` says, and lets the processor run.
 * MSRs other than EFER, and the FPU, stay as reset has left them.
 */
export function applyEntry(state: VcpuState, entry: EntryState): void {
  const real = entry.mode === 'real';
  const long = entry.mode === 'long64';

  state.gpr.fill(0n);
  for (const [register, value] of entry.gpr) state.gpr[register] = value;
  state.zero = 0n;
  state.rip = entry.rip;
  // All arithmetic flags clear: a result that is positive, not zero, and of odd parity.
  state.flagsRes = 1n;
  state.flagsAux = 0;
  state.flagsSys = RFLAGS_CLEAR;

  loadSegment(state, Seg.CS, entry.cs, real);
  for (const index of [Seg.DS, Seg.ES, Seg.FS, Seg.GS, Seg.SS]) loadSegment(state, index, entry.data, real);
  loadSegment(state, Seg.LDTR, systemSegment(real ? RIGHTS.Ldt : RIGHTS.Unusable, real ? 0xffff : 0));
  loadSegment(state, Seg.TR, systemSegment(RIGHTS.Tss, real ? 0xffff : 0x67));
  loadNullSegment(state);
  state.gdtrBase = entry.gdtr.base;
  state.gdtrLimit = entry.gdtr.limit;
  state.idtrBase = entry.idtr.base;
  state.idtrLimit = entry.idtr.limit;

  const base = CR0.ExtensionType;
  if (real) state.cr0 = base | CR0.NotWriteThrough | CR0.CacheDisable;
  else state.cr0 = base | CR0.ProtectionEnable | (long ? CR0.Paging : 0n);
  state.cr2 = 0n;
  state.cr3 = long ? entry.cr3 : 0n;
  state.cr4 = long ? CR4_PAE : 0n;
  state.cr8 = 0n;
  state.efer = long ? EFER.LongModeEnable | EFER.LongModeActive : 0n;
  state.dr.fill(0n);
  state.dr[6] = 0xffff_0ff0n;
  state.dr[7] = 0x400n;

  state.cpl = 0;
  state.smm = 0;
  state.interruptShadow = 0;
  state.nmiBlocked = 0;
  state.activity = Activity.Running;
}

function systemSegment(attr: number, limit: number): SegmentRegister {
  return { selector: 0, base: 0n, limit, attr };
}

/** The reset state.
 * @param signature what CPUID leaf 1 gives in EAX; RDX holds it after reset */
export function resetEntry(signature: number): EntryState {
  return {
    mode: 'real',
    rip: 0xfff0n,
    gpr: [[Gpr.RDX, BigInt(signature >>> 0)]],
    cs: { selector: 0xf000, base: 0xffff_0000n, limit: 0xffff, attr: RIGHTS.RealMode },
    data: { selector: 0, base: 0n, limit: 0xffff, attr: RIGHTS.RealMode },
    gdtr: { base: 0n, limit: 0xffff },
    idtr: { base: 0n, limit: 0xffff },
    cr3: 0n,
  };
}

/** What differs between flat entries. Addresses are guest-physical. */
export interface FlatEntry {
  readonly mode: 'protected32' | 'long64';
  readonly rip: number;
  readonly gpr: EntryState['gpr'];
  /** Where {@link writeGdt} put its table. */
  readonly gdt: number;
  readonly cr3?: number;
}

/** An entry with flat 4 GiB segments and interrupts off. */
export function flatEntry({ mode, rip, gpr, gdt, cr3 }: FlatEntry): EntryState {
  const flat = { base: 0n, limit: 0xffff_ffff };
  return {
    mode,
    rip: BigInt(rip),
    gpr,
    cs: { ...flat, selector: BOOT_CS, attr: mode === 'long64' ? RIGHTS.Code64 : RIGHTS.Code32 },
    data: { ...flat, selector: BOOT_DS, attr: RIGHTS.Data },
    gdtr: { base: BigInt(gdt), limit: GDT_BYTES - 1 },
    idtr: { base: 0n, limit: 0 },
    cr3: BigInt(cr3 ?? 0),
  };
}

/** Bytes that {@link writeGdt} needs, 16-byte aligned. */
export { GDT_BYTES };

/** Writes a descriptor table with the flat code segment at 0x10 and the flat data segment at 0x18. */
export function writeGdt(memory: GuestMemory, address: number, mode: FlatEntry['mode']): void {
  const table = new Uint8Array(GDT_BYTES);
  table.set(flatDescriptor(mode === 'long64' ? RIGHTS.Code64 : RIGHTS.Code32), BOOT_CS);
  table.set(flatDescriptor(RIGHTS.Data), BOOT_DS);
  memory.write(address, table);
}

/** A descriptor (SDM 3A, 3.4.5) of base 0 and limit 4 GiB - 1. */
function flatDescriptor(attr: number): Uint8Array {
  const limit = 0xf_ffffn;
  const rights = BigInt(attr & 0xf0ff);
  return le((limit & 0xffffn) | (rights << 40n) | ((limit >> 16n) << 48n), 8);
}
