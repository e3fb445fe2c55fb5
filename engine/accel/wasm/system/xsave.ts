/**
 * XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR and XRSTORS: the state components in the standard and the compacted form.
 *
 * Intel SDM volume 1, chapter 13: 13.4 (area), 13.5 (requested-feature bitmap), 13.6 (tracking), 13.7 … 13.12 (the
 * instructions).
 */
import type { VcpuState } from '../../../vcpu/state.ts';
import {
  halves, halvesAreZero, initX87, isInitX87, loadX87, loadXmm, MXCSR_DEFAULT, readMxcsr, saveMxcsr, saveX87, saveXmm,
  setHalves, type Restored, type StateArea, type StateFormat,
} from './fxstate.ts'; // prettier-ignore

/** Alignment of an XSAVE area; else #GP(0). */
export const XSAVE_ALIGNMENT = 64;

/** Bits of XCR0, XSTATE_BV and XCOMP_BV. */
export const Component = { X87: 1n, SSE: 2n, AVX: 4n } as const;
const COMPACTED = 1n << 63n;

const HEADER = 512;
const HEADER_BYTES = 64;
/** Upper halves of YMM registers. Being the first extended component it is here in both forms. */
const AVX_OFFSET = 576;

/** The header of the area at hand; no two are at a time. */
const header = new Uint8Array(HEADER_BYTES);
const headerWords = new BigUint64Array(header.buffer);

export type SaveInstruction = 'xsave' | 'xsaveopt' | 'xsavec' | 'xsaves';

export interface RestoreOptions {
  /** XRSTORS: components of IA32_XSS too, and the compacted form only. */
  readonly supervisor: boolean;
  /** The processor has XSAVEC: without it a compacted area raises #GP(0). */
  readonly compaction: boolean;
}

/** Components that are not in their initial state (XINUSE), MXCSR left aside. */
function inUse(state: VcpuState): bigint {
  return (
    (isInitX87(state) ? 0n : Component.X87) |
    (halvesAreZero(state, 0, 16) ? 0n : Component.SSE) |
    (halvesAreZero(state, 1, 16) ? 0n : Component.AVX)
  );
}

/**
 * Saves the components of `mask` (EDX:EAX) that are enabled. The area is aligned to {@link XSAVE_ALIGNMENT}.
 * XSAVEOPT, XSAVEC and XSAVES leave out those in their initial state; none leaves out what has not been modified,
 * which the manual allows but does not ask for (13.6).
 */
export function xsave(
  state: VcpuState,
  area: StateArea,
  format: StateFormat,
  mask: bigint,
  instruction: SaveInstruction,
): void {
  const compacted = instruction === 'xsavec' || instruction === 'xsaves';
  const enabled = instruction === 'xsaves' ? state.xcr0 | state.xss : state.xcr0;
  const requested = enabled & mask;
  let used = inUse(state);
  // Where MXCSR belongs to the SSE component, it can keep that in use (13.10).
  if (compacted && state.mxcsr !== MXCSR_DEFAULT) used |= Component.SSE;
  const present = requested & used;
  const saved = instruction === 'xsave' ? requested : present;
  // What there is in the header is read, and may fault, before anything is written.
  const kept = compacted ? 0n : readWord(area, HEADER) & ~requested;

  if ((saved & Component.X87) !== 0n) saveX87(state, area, format);
  const mxcsr = compacted ? saved & Component.SSE : requested & (Component.SSE | Component.AVX);
  if (mxcsr !== 0n) saveMxcsr(state, area);
  if ((saved & Component.SSE) !== 0n) saveXmm(state, area, format);
  if ((saved & Component.AVX) !== 0n) area.write(AVX_OFFSET, halves(state, 1, format.registers));

  headerWords[0] = kept | present;
  headerWords[1] = requested | COMPACTED;
  area.write(HEADER, header.subarray(0, compacted ? 16 : 8));
}

/**
 * Restores the enabled components of `mask` (EDX:EAX): from the area where XSTATE_BV has them, else to their initial
 * state. The area is aligned to {@link XSAVE_ALIGNMENT}.
 *
 * #GP(0) for a malformed header (13.8.1, 13.8.2, 13.12), and for reserved bits of MXCSR.
 */
export function xrstor(
  state: VcpuState,
  area: Pick<StateArea, 'read'>,
  format: StateFormat,
  mask: bigint,
  options: RestoreOptions,
): Restored {
  const enabled = options.supervisor ? state.xcr0 | state.xss : state.xcr0;
  const requested = enabled & mask;
  header.set(area.read(HEADER, HEADER_BYTES));
  const present = headerWords[0]!;
  const compaction = headerWords[1]!;
  const compacted = (compaction & COMPACTED) !== 0n;
  if (compacted ? !options.compaction : options.supervisor) return 'general-protection';
  const components = compacted ? compaction & ~COMPACTED : enabled;
  if ((components & ~enabled) !== 0n || (present & ~components) !== 0n) return 'general-protection';
  // Reserved are the words behind XSTATE_BV and XCOMP_BV; in the standard form XCOMP_BV and the one behind it.
  const end = compacted ? HEADER_BYTES / 8 : 3;
  for (let i = compacted ? 2 : 1; i < end; i++) if (headerWords[i] !== 0n) return 'general-protection';

  const changes: Array<(state: VcpuState) => void> = [];
  const restore = (
    component: bigint,
    load: () => (state: VcpuState) => void,
    init: (state: VcpuState) => void,
  ) => {
    if ((requested & component) !== 0n) changes.push((present & component) !== 0n ? load() : init);
  };
  restore(Component.X87, () => loadX87(area, format), initX87);
  restore(
    Component.SSE,
    () => loadXmm(area, format),
    (to) => setHalves(to, 0, format.registers, undefined),
  );
  restore(
    Component.AVX,
    () => {
      const upper = area.read(AVX_OFFSET, 16 * format.registers);
      return (to) => setHalves(to, 1, format.registers, upper);
    },
    (to) => setHalves(to, 1, format.registers, undefined),
  );
  // The standard form always has MXCSR; in the compacted form it comes and goes with the SSE component.
  const concerned = compacted ? requested & Component.SSE : requested & (Component.SSE | Component.AVX);
  let mxcsr: number | null = state.mxcsr;
  if (concerned !== 0n) {
    mxcsr = compacted && (present & Component.SSE) === 0n ? MXCSR_DEFAULT : readMxcsr(area);
  }
  if (mxcsr === null) return 'general-protection';
  for (const change of changes) change(state);
  state.mxcsr = mxcsr;
  return 'done';
}

const readWord = (area: Pick<StateArea, 'read'>, offset: number): bigint =>
  new DataView(area.read(offset, 8).slice().buffer).getBigUint64(0, true);
