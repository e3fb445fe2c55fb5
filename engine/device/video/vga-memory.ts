/**
 * The VGA's memory as the processor sees it between A0000 and BFFFF.
 *
 * Accesses are interpreted one by one where the graphics controller has work to do with them: planes, latches,
 * logic. Where a mode makes plain memory of the window, plain memory is what the address map has there, so that an
 * access costs no more than any other:
 *
 * - chain-4 and VBE modes: the video memory itself, from the bank on;
 * - odd/even addressing, as in text modes: a window of its own, since a plane's bytes lie four apart in video memory.
 *   Its contents go to planes 0 and 1 when the mode ends or somebody looks, and come from there when it begins.
 *
 * IBM Personal System/2 Hardware Interface Technical Reference, "Video subsystem", "Graphics controller".
 */
import type { AccessSize, MmioDevice } from '../device.ts';
import { Gfx, PLANE_BYTES, Seq, Vbe, vbeEnabled, type VgaState, WindowKind } from './vga-state.ts';

/** The legacy addresses. Bytes. */
export const LEGACY_START = 0xa0000;
export const LEGACY_BYTES = 0x20000;

/** Where the window is, by the graphics controller's memory map select. */
const MAPS = [
  { start: 0xa0000, size: 0x20000 },
  { start: 0xa0000, size: 0x10000 },
  { start: 0xb0000, size: 0x8000 },
  { start: 0xb8000, size: 0x8000 },
] as const;

/** Bit of the miscellaneous output register: the processor may access memory. */
const RAM_ENABLE = 0x02;
const CHAIN_4 = 0x08;
const HOST_ODD_EVEN = 0x10;
const READ_COMPARE = 0x08;

/** For each set of planes, ones in their bytes. */
const PLANES = Uint32Array.from({ length: 16 }, (_, planes) =>
  [0, 1, 2, 3].reduce((mask, plane) => ((planes >> plane) & 1) * 0xff * 2 ** (8 * plane) + mask, 0),
);

/** What the address map is to have in the window. */
export interface DirectWindow {
  readonly kind: (typeof WindowKind)[keyof typeof WindowKind];
  /** Guest-physical. */
  readonly start: number;
  readonly size: number;
  /** Offset in the text window or the video memory. */
  readonly offset: number;
}

const INTERPRETED: DirectWindow = { kind: WindowKind.None, start: LEGACY_START, size: 0, offset: 0 };

/** What the registers make of the window. */
export function directWindow(state: VgaState): DirectWindow {
  const { graphics, sequencer } = state;
  const { start, size } = MAPS[(graphics[Gfx.Miscellaneous] >> 2) & 3];
  if ((state.miscellaneous & RAM_ENABLE) === 0) return INTERPRETED;
  if (vbeEnabled(state) && state.vbe[Vbe.Depth] >= 8) {
    const offset = state.vbe[Vbe.Bank] * 0x1_0000;
    return { kind: WindowKind.Linear, start: LEGACY_START, size: 0x1_0000, offset };
  }
  const plain =
    (graphics[Gfx.Mode] & 0x0b) === 0 &&
    (graphics[Gfx.EnableSetReset] & 0x0f) === 0 &&
    graphics[Gfx.Rotate] === 0 &&
    graphics[Gfx.BitMask] === 0xff;
  if (!plain || size > 0x1_0000) return INTERPRETED;
  const planes = sequencer[Seq.MapMask] & 0x0f;
  if ((sequencer[Seq.MemoryMode] & CHAIN_4) !== 0) {
    return planes === 0x0f ? { kind: WindowKind.Linear, start, size, offset: 0 } : INTERPRETED;
  }
  const text =
    (graphics[Gfx.Mode] & HOST_ODD_EVEN) !== 0 && (graphics[Gfx.ReadMap] & 2) === 0 && planes === 3;
  return text ? { kind: WindowKind.Text, start, size, offset: 0 } : INTERPRETED;
}

/** The memory, and accesses to it that are interpreted. */
export class VgaMemory implements MmioDevice {
  readonly #state: VgaState;
  readonly #bytes: Uint8Array;
  readonly #dwords: Uint32Array;
  readonly #text: Uint16Array;
  readonly #written: (offset: number) => void;

  /**
   * @param video the video memory, 4-byte aligned
   * @param text the text window
   * @param written told the offset in video memory of each write
   */
  constructor(
    state: VgaState,
    video: Uint8Array<SharedArrayBuffer>,
    text: Uint8Array<SharedArrayBuffer>,
    written: (offset: number) => void,
  ) {
    this.#state = state;
    this.#bytes = video;
    this.#dwords = new Uint32Array(video.buffer, video.byteOffset, PLANE_BYTES);
    this.#text = new Uint16Array(text.buffer, text.byteOffset, text.length / 2);
    this.#written = written;
  }

  /** Carries `bytes` of the text window to planes 0 and 1. */
  storeText(bytes: number): void {
    for (let i = 0; i < bytes / 2; i++) {
      this.#dwords[i] = ((this.#dwords[i] & 0xffff_0000) | this.#text[i]) >>> 0;
    }
  }

  /** Fills `bytes` of the text window from planes 0 and 1. */
  loadText(bytes: number): void {
    for (let i = 0; i < bytes / 2; i++) this.#text[i] = this.#dwords[i];
  }

  mmioRead(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#read(offset + i) << (8 * i);
    return value >>> 0;
  }

  mmioWrite(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.#write(offset + i, (value >>> (8 * i)) & 0xff);
  }

  /** Offset in the window that is decoded now, -1 outside of it. */
  #place(offset: number): number {
    const { start, size } = MAPS[(this.#state.graphics[Gfx.Miscellaneous] >> 2) & 3];
    if ((this.#state.miscellaneous & RAM_ENABLE) === 0) return -1;
    const at = offset + LEGACY_START - start;
    return at >= 0 && at < size ? at : -1;
  }

  #read(offset: number): number {
    const s = this.#state;
    const at = this.#place(offset);
    if (at < 0) return 0xff;
    if ((s.sequencer[Seq.MemoryMode] & CHAIN_4) !== 0) return this.#bytes[at];
    const mode = s.graphics[Gfx.Mode];
    const oddEven = (mode & HOST_ODD_EVEN) !== 0;
    const plane = oddEven ? (s.graphics[Gfx.ReadMap] & 2) | (at & 1) : s.graphics[Gfx.ReadMap];
    const latches = this.#dwords[(oddEven ? at >> 1 : at) & (PLANE_BYTES - 1)];
    s.latches = latches;
    if ((mode & READ_COMPARE) === 0) return (latches >>> (8 * (plane & 3))) & 0xff;
    // A one for each pixel whose colour is the one compared with, in the planes that matter.
    const wanted = PLANES[s.graphics[Gfx.ColorCompare]];
    const differing = (latches ^ wanted) & PLANES[s.graphics[Gfx.ColorDontCare]];
    return ~(differing | (differing >>> 8) | (differing >>> 16) | (differing >>> 24)) & 0xff;
  }

  #write(offset: number, byte: number): void {
    const s = this.#state;
    const at = this.#place(offset);
    if (at < 0) return;
    const planes = s.sequencer[Seq.MapMask];
    if ((s.sequencer[Seq.MemoryMode] & CHAIN_4) !== 0) {
      if (((planes >> (at & 3)) & 1) === 0) return;
      this.#bytes[at] = byte;
      this.#written(at);
      return;
    }
    const oddEven = (s.graphics[Gfx.Mode] & HOST_ODD_EVEN) !== 0;
    // Even addresses go to planes 0 and 2, odd ones to 1 and 3.
    const reached = oddEven ? planes & (0b0101 << (at & 1)) : planes;
    const index = (oddEven ? at >> 1 : at) & (PLANE_BYTES - 1);
    const mask = PLANES[reached];
    const data = this.#combine(byte);
    this.#dwords[index] = ((this.#dwords[index] & ~mask) | (data & mask)) >>> 0;
    this.#written(4 * index);
  }

  /** What the graphics controller makes of a byte for all four planes, by its write mode. */
  #combine(byte: number): number {
    const { graphics, latches } = this.#state;
    const rotated = ((byte * 0x101) >> (graphics[Gfx.Rotate] & 7)) & 0xff;
    const setReset = PLANES[graphics[Gfx.SetReset]];
    let mask = graphics[Gfx.BitMask];
    let data: number;
    switch (graphics[Gfx.Mode] & 3) {
      case 0: {
        const enabled = PLANES[graphics[Gfx.EnableSetReset]];
        data = (replicated(rotated) & ~enabled) | (setReset & enabled);
        break;
      }
      case 1:
        return latches;
      case 2:
        data = PLANES[byte & 0x0f];
        break;
      default:
        mask &= rotated;
        data = setReset;
    }
    switch ((graphics[Gfx.Rotate] >> 3) & 3) {
      case 1:
        data &= latches;
        break;
      case 2:
        data |= latches;
        break;
      case 3:
        data ^= latches;
    }
    const bits = replicated(mask);
    return (data & bits) | (latches & ~bits);
  }
}

/** A byte in all four planes. */
function replicated(byte: number): number {
  return Math.imul(byte, 0x0101_0101);
}
