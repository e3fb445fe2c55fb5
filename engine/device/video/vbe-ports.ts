/**
 * The Bochs VBE extension: an index at port 1CE and 16-bit data at 1CF (and 1D0), by which modes beyond the VGA's
 * are set up.
 *
 * Bochs, "VBE display API" (iodev/vbe_display_api.txt), interface id B0C5.
 */
import { allOnes } from '../byte-access.ts';
import type { AccessSize, PortDevice } from '../device.ts';
import { Vbe, VBE_MOST, VbeEnable, vbeEnabled, type VgaState, VIDEO_BYTES } from './vga-state.ts';

export const VBE_PORT = 0x1ce;
export const VBE_PORTS = 3;

const INTERFACE_IDS = { first: 0xb0c0, last: 0xb0c5 } as const;
const DEPTHS = [4, 8, 15, 16, 24, 32];
const REGISTERS = 11;

export class VbePorts implements PortDevice {
  readonly #state: VgaState;
  readonly #changed: () => void;
  readonly #clear: () => void;

  /** @param changed as for {@link import('./vga-ports.ts').VgaPorts}
   * @param clear zeroes the video memory */
  constructor(state: VgaState, changed: () => void, clear: () => void) {
    this.#state = state;
    this.#changed = changed;
    this.#clear = clear;
  }

  portRead(offset: number, size: AccessSize): number {
    if (size !== 2) return allOnes(size);
    return offset === 0 ? this.#state.vbeIndex : this.read(this.#state.vbeIndex);
  }

  portWrite(offset: number, size: AccessSize, value: number): void {
    if (size !== 2) return;
    if (offset === 0) this.#state.vbeIndex = value;
    else this.write(this.#state.vbeIndex, value);
  }

  /** Register `index`; ones where there is none. */
  read(index: number): number {
    const { vbe } = this.#state;
    if (index >= REGISTERS) return 0xffff;
    if (index === Vbe.Memory) return VIDEO_BYTES / 0x1_0000;
    if ((vbe[Vbe.Enable] & VbeEnable.Capabilities) !== 0) {
      if (index === Vbe.Width) return VBE_MOST.width;
      if (index === Vbe.Height) return VBE_MOST.height;
      if (index === Vbe.Depth) return VBE_MOST.depth;
    }
    return vbe[index];
  }

  /** Writes register `index`. Values that make no mode are not taken. */
  write(index: number, value: number): void {
    const { vbe } = this.#state;
    switch (index) {
      case Vbe.Id:
        if (value >= INTERFACE_IDS.first && value <= INTERFACE_IDS.last) vbe[index] = value;
        return;
      case Vbe.Width:
        if (!vbeEnabled(this.#state) && value <= VBE_MOST.width && value % 8 === 0) vbe[index] = value;
        return;
      case Vbe.Height:
        if (!vbeEnabled(this.#state) && value <= VBE_MOST.height) vbe[index] = value;
        return;
      case Vbe.Depth:
        // 0 means 8, for guests from before the depth could be chosen.
        if (!vbeEnabled(this.#state) && (value === 0 || DEPTHS.includes(value))) vbe[index] = value || 8;
        return;
      case Vbe.Enable:
        this.#enable(value);
        break;
      case Vbe.Bank:
        if (value < VIDEO_BYTES / 0x1_0000) vbe[index] = value;
        break;
      case Vbe.VirtualWidth:
        this.#setVirtualWidth(value);
        break;
      case Vbe.OffsetX:
      case Vbe.OffsetY:
        vbe[index] = value;
        break;
      default:
        return;
    }
    this.#state.changes += 1;
    this.#changed();
  }

  #enable(value: number): void {
    const { vbe } = this.#state;
    const before = vbe[Vbe.Enable];
    const fits = vbe[Vbe.Width] > 0 && vbe[Vbe.Height] > 0 && this.#frameBytes() <= VIDEO_BYTES;
    vbe[Vbe.Enable] = fits ? value : value & ~VbeEnable.Enabled;
    const on = vbeEnabled(this.#state);
    if (!on || (before & VbeEnable.Enabled) !== 0) return;
    vbe[Vbe.OffsetX] = 0;
    vbe[Vbe.OffsetY] = 0;
    vbe[Vbe.Bank] = 0;
    this.#setVirtualWidth(vbe[Vbe.Width]);
    if ((value & VbeEnable.KeepMemory) === 0) this.#clear();
  }

  #frameBytes(): number {
    const { vbe } = this.#state;
    return (vbe[Vbe.Width] * vbe[Vbe.Height] * storedBits(vbe[Vbe.Depth])) / 8;
  }

  /** The virtual screen is as high as the memory holds lines of its width, which is never less than is shown. */
  #setVirtualWidth(value: number): void {
    const { vbe } = this.#state;
    const width = Math.max(value, vbe[Vbe.Width], 8);
    const lines = Math.floor(VIDEO_BYTES / ((width * storedBits(vbe[Vbe.Depth])) / 8));
    if (lines < vbe[Vbe.Height]) return;
    vbe[Vbe.VirtualWidth] = width;
    vbe[Vbe.VirtualHeight] = Math.min(lines, 0xffff);
  }
}

/** Bits that a pixel takes in memory. */
export function storedBits(depth: number): number {
  return depth === 15 ? 16 : Math.max(depth, 4);
}
