/**
 * Segment descriptors: finding them in the GDT and LDT, and taking them apart.
 *
 * Intel SDM 3A, 3.4.5 (segment descriptors), 3.5 (system descriptors), 5.8.3 (gates), 6.11 (IDT gates).
 */
import { Seg } from '../../../vcpu/state.ts';
import { SegAttr } from '../../../vcpu/segment.ts';
import { type Cpu, GuestFault, Vector } from './cpu.ts';
import { linearSum } from './registers.ts';

/** Types of system descriptors (SDM 3A, table 3-2). */
export const SystemType = {
  Tss16: 1, Ldt: 2, BusyTss16: 3, CallGate16: 4, TaskGate: 5, InterruptGate16: 6, TrapGate16: 7, Tss32: 9,
  BusyTss32: 11, CallGate32: 12, InterruptGate32: 14, TrapGate32: 15,
} as const; // prettier-ignore

/** Bit of a TSS descriptor's type that says busy. */
export const TSS_BUSY = 2;

/** The eight bytes of a descriptor, and where they were found. */
export interface Descriptor {
  /** Linear address. */
  readonly address: bigint;
  readonly low: number;
  readonly high: number;
}

/** The selector without its RPL: the error code that names it, and its null test. */
export const selectorIndex = (selector: number): number => selector & 0xfffc;
/** A null selector: index 0 of the GDT, whatever its RPL (SDM 3A, 3.4.2). */
export const isNull = (selector: number): boolean => (selector & 0xfffc) === 0;

/** Access rights in the form of `segAttr`. */
export const attrOf = (descriptor: Descriptor): number => (descriptor.high >>> 8) & 0xf0ff;
/** The type field: of a system descriptor {@link SystemType} (SDM 3A, 3.4.5.1, 3.5). */
export const typeOf = (descriptor: Descriptor): number => (descriptor.high >>> 8) & 0xf;
/** Descriptor privilege level, 0 … 3. */
export const dplOf = (descriptor: Descriptor): number => (descriptor.high >>> 13) & 3;
/** The P flag. */
export const isPresent = (descriptor: Descriptor): boolean => (descriptor.high & 0x8000) !== 0;
/** S: a code or data segment. */
export const isSegment = (descriptor: Descriptor): boolean => (descriptor.high & 0x1000) !== 0;
/** S set, and the type is one of code (SDM 3A, table 3-1). */
export const isCode = (descriptor: Descriptor): boolean => (descriptor.high & 0x1800) === 0x1800;
/** Of a code segment. */
export const isConforming = (descriptor: Descriptor): boolean => (descriptor.high & 0x400) !== 0;

/** Base, 32 bits. */
export const baseOf = ({ low, high }: Descriptor): number =>
  ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000)) >>> 0;

/** Limit in bytes, scaled by G. */
export function limitOf({ low, high }: Descriptor): number {
  const limit = (low & 0xffff) | (high & 0xf_0000);
  return (high & 0x80_0000) !== 0 ? ((limit << 12) | 0xfff) >>> 0 : limit;
}

/** A gate's selector and the low 32 bits of its offset. */
export const gateSelector = (gate: Descriptor): number => gate.low >>> 16;
/** Offset in a 16-bit gate (SDM 3A, 5.8.3). */
export const gateOffset16 = (gate: Descriptor): number => gate.low & 0xffff;
/** Offset in a 32-bit gate; of a 64-bit one the low half. */
export const gateOffset32 = (gate: Descriptor): number =>
  ((gate.low & 0xffff) | (gate.high & 0xffff_0000)) >>> 0;

/**
 * Linear address of the `bytes` bytes that a selector names, or null where its table ends before them. The
 * selector must not be null (a null one names entry 0 of the GDT here).
 */
export function descriptorAddress(cpu: Cpu, selector: number, bytes: 8 | 16): bigint | null {
  const { state } = cpu;
  const at = selector & 0xfff8;
  if ((selector & 4) !== 0) {
    if ((state.segAttr[Seg.LDTR] & SegAttr.Unusable) !== 0) return null;
    if (at + bytes - 1 > state.segLimit[Seg.LDTR]) return null;
    return linearSum(state, state.segBase[Seg.LDTR], at);
  }
  if (at + bytes - 1 > state.gdtrLimit) return null;
  return linearSum(state, state.gdtrBase, at);
}

/** Reads eight bytes as a descriptor. */
export function readDescriptorAt(cpu: Cpu, address: bigint): Descriptor {
  const low = cpu.linear.read(address, 4, false) >>> 0;
  const high = cpu.linear.read(linearSum(cpu.state, address, 4), 4, false) >>> 0;
  return { address, low, high };
}

/** The descriptor that a selector names, or null where the table ends before it. */
export function findDescriptor(cpu: Cpu, selector: number): Descriptor | null {
  const address = descriptorAddress(cpu, selector, 8);
  return address === null ? null : readDescriptorAt(cpu, address);
}

/** The descriptor that a selector names.
 * @throws GuestFault `vector` with the selector as error code where its table ends before it */
export function readDescriptor(cpu: Cpu, selector: number, vector: number = Vector.GP): Descriptor {
  const descriptor = findDescriptor(cpu, selector);
  if (descriptor === null) throw new GuestFault(vector, selectorIndex(selector));
  return descriptor;
}

/**
 * Bits 63-32 of the base or offset of a 16-byte system descriptor in long mode (SDM 3A, 3.5.2, figure 5-8).
 * @throws GuestFault #GP(selector) where the table ends within it, or the type bits of its upper half are
 *   not zero
 */
export function readUpperHalf(cpu: Cpu, selector: number, vector: number = Vector.GP): number {
  const address = descriptorAddress(cpu, selector, 16);
  if (address === null) throw new GuestFault(vector, selectorIndex(selector));
  const { low, high } = readDescriptorAt(cpu, linearSum(cpu.state, address, 8));
  if ((high & 0x1f00) !== 0) throw new GuestFault(vector, selectorIndex(selector));
  return low;
}

/** Sets the accessed bit in memory, where it is not set yet (SDM 3A, 3.4.5.1). */
export function markAccessed(cpu: Cpu, descriptor: Descriptor): void {
  if ((descriptor.high & 0x100) !== 0) return;
  const type = ((descriptor.high >>> 8) & 0xff) | SegAttr.Accessed;
  cpu.linear.write(linearSum(cpu.state, descriptor.address, 5), 1, type, false);
}

/** Sets or clears the busy bit of a TSS descriptor in memory. */
export function setBusy(cpu: Cpu, address: bigint, busy: boolean): void {
  const at = linearSum(cpu.state, address, 5);
  const type = cpu.linear.read(at, 1, false);
  cpu.linear.write(at, 1, busy ? type | TSS_BUSY : type & ~TSS_BUSY, false);
}
