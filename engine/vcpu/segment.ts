/**
 * Segment registers as the state schema keeps them: what a descriptor means, worked out once, when the
 * register is loaded, so that an access needs only two comparisons.
 *
 * Intel SDM 3A, 3.4.5 (descriptors), 5.3 (limit checking), 5.4 (type checking); volume 3C, 25.4.1 (the
 * access-rights format).
 */
import { Seg, type VcpuState } from './state.ts';

/** Bits of `segAttr` (SDM 3C, 25.4.1). The type field's bits differ in meaning between code and data. */
export const SegAttr = {
  /** The type field. */
  Type: 0xf,
  Accessed: 1 << 0,
  /** Data: may be written. */
  Writable: 1 << 1,
  /** Code: may be read. */
  Readable: 1 << 1,
  /** Data: valid offsets lie above the limit. */
  ExpandDown: 1 << 2,
  /** Code: runs at the caller's privilege. */
  Conforming: 1 << 2,
  Code: 1 << 3,
  /** S: code or data, not a system segment. */
  CodeOrData: 1 << 4,
  DplShift: 5,
  Present: 1 << 7,
  Long: 1 << 13,
  /** D/B: 32-bit operands; for expand-down data, the upper bound is 4 GiB - 1. */
  Big: 1 << 14,
  Granular: 1 << 15,
  Unusable: 1 << 16,
} as const;

/** Offsets that may be read and written, inclusive; none where `hi < lo`. */
export interface SegmentBounds {
  readonly readLo: number;
  readonly readHi: number;
  readonly writeLo: number;
  readonly writeHi: number;
}

/** An empty range, as `lo`, `hi`. */
const NONE_LO = 0xffff_ffff;
const NONE_HI = 0;

/**
 * The offsets that a segment register lets through.
 *
 * @param attr access rights, {@link SegAttr}
 * @param limit in bytes, already scaled by G (unsigned 32 bits)
 * @param realMode in real or virtual-8086 mode, where every usable segment is readable and writable up to
 *   its limit whatever its rights say (SDM 3A, 21.1.1: the descriptor cache keeps its limit, "unreal" mode)
 */
export function deriveSegmentBounds(attr: number, limit: number, realMode = false): SegmentBounds {
  const top = limit >>> 0;
  if (realMode) return { readLo: 0, readHi: top, writeLo: 0, writeHi: top };

  const open = SegAttr.Present | SegAttr.CodeOrData;
  if ((attr & SegAttr.Unusable) !== 0 || (attr & open) !== open) {
    return { readLo: NONE_LO, readHi: NONE_HI, writeLo: NONE_LO, writeHi: NONE_HI };
  }

  const code = (attr & SegAttr.Code) !== 0;
  let lo = 0;
  let hi = top;
  if (!code && (attr & SegAttr.ExpandDown) !== 0) {
    const upper = (attr & SegAttr.Big) !== 0 ? 0xffff_ffff : 0xffff;
    // The limit itself is the highest offset that is out of bounds; one at or above the upper bound
    // leaves nothing.
    lo = top >= upper ? NONE_LO : top + 1;
    hi = top >= upper ? NONE_HI : upper;
  }
  const readable = !code || (attr & SegAttr.Readable) !== 0;
  const writable = !code && (attr & SegAttr.Writable) !== 0;
  return {
    readLo: readable ? lo : NONE_LO,
    readHi: readable ? hi : NONE_HI,
    writeLo: writable ? lo : NONE_LO,
    writeHi: writable ? hi : NONE_HI,
  };
}

/** A segment register's visible and hidden parts. */
export interface SegmentRegister {
  /** Selector, 16 bits. */
  readonly selector: number;
  /** Base, a canonical address as an unsigned 64-bit number. */
  readonly base: bigint;
  /** Limit in bytes, scaled by G. */
  readonly limit: number;
  /** {@link SegAttr}. */
  readonly attr: number;
}

/**
 * Loads a segment register with all that is derived from it.
 *
 * @param index {@link Seg}
 * @param realMode as for {@link deriveSegmentBounds}
 */
export function loadSegment(
  state: VcpuState,
  index: number,
  register: SegmentRegister,
  realMode = false,
): void {
  state.segSelector[index] = register.selector;
  state.segBase[index] = register.base;
  state.segLimit[index] = register.limit;
  state.segAttr[index] = register.attr;
  refreshSegmentBounds(state, index, realMode);
}

/** Derives the bounds of one register again, as after a change of mode. */
export function refreshSegmentBounds(state: VcpuState, index: number, realMode = false): void {
  const bounds = deriveSegmentBounds(state.segAttr[index], state.segLimit[index], realMode);
  state.segReadLo[index] = bounds.readLo;
  state.segReadHi[index] = bounds.readHi;
  state.segWriteLo[index] = bounds.writeLo;
  state.segWriteHi[index] = bounds.writeHi;
}

/** A flat, present, writable data segment of privilege 0. */
const FLAT_DATA: SegmentRegister = { selector: 0, base: 0n, limit: 0xffff_ffff, attr: 0xc093 };

/** Sets up the pseudo-segment of addresses that have none: base 0, everything allowed. */
export function loadNullSegment(state: VcpuState): void {
  loadSegment(state, Seg.None, FLAT_DATA);
}
