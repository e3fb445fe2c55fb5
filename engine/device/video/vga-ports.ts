/**
 * The VGA's ports, 3B0 … 3DF: CRT controller, sequencer, graphics controller, attribute controller, palette.
 * Writes take effect in the state; `changed` tells those who depend on it.
 *
 * IBM Personal System/2 Hardware Interface Technical Reference, "Video subsystem", "Registers".
 */
import { readBytes, writeBytes } from '../byte-access.ts';
import type { AccessSize, Clock, PortDevice } from '../device.ts';
import { Crtc, Vbe, VbeEnable, type VgaState } from './vga-state.ts';

export const VGA_PORT = 0x3b0;
export const VGA_PORTS = 0x30;

/** Offsets from 3B0. */
const AT = {
  MonoCrtcIndex: 0x04,
  MonoCrtcData: 0x05,
  MonoStatus: 0x0a,
  Attribute: 0x10,
  AttributeRead: 0x11,
  Miscellaneous: 0x12,
  Enable: 0x13,
  SequencerIndex: 0x14,
  SequencerData: 0x15,
  PaletteMask: 0x16,
  PaletteRead: 0x17,
  PaletteWrite: 0x18,
  PaletteData: 0x19,
  FeatureRead: 0x1a,
  MiscellaneousRead: 0x1c,
  GraphicsIndex: 0x1e,
  GraphicsData: 0x1f,
  ColorCrtcIndex: 0x24,
  ColorCrtcData: 0x25,
  ColorStatus: 0x2a,
} as const;

/** Bit of the miscellaneous output register: CRTC and status are at 3Dx, not 3Bx. */
const COLOR_ADDRESSES = 0x01;

/** Input status 1: not displaying, and vertical retrace. */
const STATUS = { NotDisplaying: 0x01, VerticalRetrace: 0x08 } as const;

/** Input status 0: a monitor is sensed. */
const MONITOR = 0x10;

/** Timing of what input status 1 shows: a frame of 60 Hz with 525 lines, of which 480 are shown. */
const FRAME = 1e9 / 60;
const LINES = 525;
const SHOWN_LINES = 480;
const RETRACE_LINES = { start: 490, end: 492 } as const;
const SHOWN_OF_LINE = 0.8;

/** Registers that exist, and their bits that can be written. */
const SEQUENCER_BITS = [0x03, 0x3d, 0x0f, 0x3f, 0x0e];
const GRAPHICS_BITS = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff];
const CRTC_COUNT = 0x19;
const ATTRIBUTE_BITS = [...Array.from({ length: 16 }, () => 0x3f), 0xef, 0xff, 0x3f, 0x0f, 0x0f];

/** Bit of the vertical retrace end register that protects CRTC 0 … 7, and the one bit it spares. */
const PROTECT = 0x80;
const LINE_COMPARE_8 = 0x10;

const VBE_PALETTE = VbeEnable.Enabled | VbeEnable.EightBitPalette;

export class VgaPorts implements PortDevice {
  readonly #state: VgaState;
  readonly #clock: Clock;
  readonly #changed: () => void;

  /** @param changed called after each write that may change the picture or how memory is addressed */
  constructor(state: VgaState, clock: Clock, changed: () => void) {
    this.#state = state;
    this.#clock = clock;
    this.#changed = changed;
  }

  portRead(offset: number, size: AccessSize): number {
    return readBytes(offset, size, (at) => this.#read(at));
  }

  portWrite(offset: number, size: AccessSize, value: number): void {
    writeBytes(offset, size, value, (at, byte) => this.#write(at, byte));
  }

  /** Offset of a CRTC or status port as if it were at 3Dx; -1 where it is not decoded now. */
  #place(offset: number): number {
    const color = (this.#state.miscellaneous & COLOR_ADDRESSES) !== 0;
    const mono = offset < 0x10;
    if (!mono && offset < 0x20) return offset;
    return mono === color ? -1 : mono ? offset + 0x20 : offset;
  }

  #read(at: number): number {
    const s = this.#state;
    switch (this.#place(at)) {
      case AT.Attribute:
        return s.attributeIndex;
      case AT.AttributeRead:
        return s.attribute[s.attributeIndex & 0x1f];
      case AT.Miscellaneous:
        return MONITOR;
      case AT.Enable:
        return s.enabled;
      case AT.SequencerIndex:
        return s.sequencerIndex;
      case AT.SequencerData:
        return s.sequencer[s.sequencerIndex];
      case AT.PaletteMask:
        return s.paletteMask;
      case AT.PaletteRead:
        return s.paletteState;
      case AT.PaletteWrite:
        return s.paletteWrite;
      case AT.PaletteData:
        return this.#readPalette();
      case AT.FeatureRead:
        return s.feature;
      case AT.MiscellaneousRead:
        return s.miscellaneous;
      case AT.GraphicsIndex:
        return s.graphicsIndex;
      case AT.GraphicsData:
        return s.graphics[s.graphicsIndex];
      case AT.ColorCrtcIndex:
        return s.crtcIndex;
      case AT.ColorCrtcData:
        return s.crtcIndex < CRTC_COUNT ? s.crtc[s.crtcIndex] : 0xff;
      case AT.ColorStatus:
        s.attributeData = 0;
        return this.#status();
      default:
        return 0xff;
    }
  }

  #write(at: number, byte: number): void {
    const s = this.#state;
    switch (this.#place(at)) {
      case AT.Attribute:
        this.#writeAttribute(byte);
        return;
      case AT.Miscellaneous:
        s.miscellaneous = byte & ~0x10;
        break;
      case AT.Enable:
        s.enabled = byte & 1;
        return;
      case AT.SequencerIndex:
        s.sequencerIndex = byte & 7;
        return;
      case AT.SequencerData:
        s.sequencer[s.sequencerIndex] = byte & (SEQUENCER_BITS[s.sequencerIndex] ?? 0);
        break;
      case AT.PaletteMask:
        s.paletteMask = byte;
        break;
      case AT.PaletteRead:
        s.paletteRead = byte;
        s.paletteComponent = 0;
        s.paletteState = 3;
        return;
      case AT.PaletteWrite:
        s.paletteWrite = byte;
        s.paletteComponent = 0;
        s.paletteState = 0;
        return;
      case AT.PaletteData:
        this.#writePalette(byte);
        break;
      case AT.GraphicsIndex:
        s.graphicsIndex = byte & 15;
        return;
      case AT.GraphicsData:
        s.graphics[s.graphicsIndex] = byte & (GRAPHICS_BITS[s.graphicsIndex] ?? 0);
        break;
      case AT.ColorCrtcIndex:
        s.crtcIndex = byte & 0x3f;
        return;
      case AT.ColorCrtcData:
        this.#writeCrtc(byte);
        break;
      case AT.ColorStatus:
        s.feature = byte & 0x10;
        return;
      default:
        return;
    }
    this.#note();
  }

  #note(): void {
    this.#state.changes += 1;
    this.#changed();
  }

  #writeAttribute(byte: number): void {
    const s = this.#state;
    if (s.attributeData === 0) {
      const before = s.attributeIndex;
      s.attributeIndex = byte & 0x3f;
      s.attributeData = 1;
      // Bit 5 blanks the screen.
      if (((before ^ byte) & 0x20) !== 0) this.#note();
      return;
    }
    s.attributeData = 0;
    const index = s.attributeIndex & 0x1f;
    const bits = ATTRIBUTE_BITS[index];
    // While the display has the palette registers, they can't be written.
    const shown = index < 16 && (s.attributeIndex & 0x20) !== 0;
    if (bits === undefined || shown) return;
    s.attribute[index] = byte & bits;
    this.#note();
  }

  #writeCrtc(byte: number): void {
    const { crtc, crtcIndex } = this.#state;
    if (crtcIndex >= CRTC_COUNT) return;
    const guarded = crtcIndex <= Crtc.Overflow && (crtc[Crtc.VerticalRetraceEnd] & PROTECT) !== 0;
    if (!guarded) crtc[crtcIndex] = byte;
    else if (crtcIndex === Crtc.Overflow) {
      crtc[crtcIndex] = (crtc[crtcIndex] & ~LINE_COMPARE_8) | (byte & LINE_COMPARE_8);
    }
  }

  #readPalette(): number {
    const s = this.#state;
    const value = s.palette[s.paletteRead * 3 + s.paletteComponent];
    s.paletteComponent = (s.paletteComponent + 1) % 3;
    if (s.paletteComponent === 0) s.paletteRead += 1; // modulo 256, by its type
    return value;
  }

  #writePalette(byte: number): void {
    const s = this.#state;
    const wide = (s.vbe[Vbe.Enable] & VBE_PALETTE) === VBE_PALETTE;
    s.palette[s.paletteWrite * 3 + s.paletteComponent] = wide ? byte : byte & 0x3f;
    s.paletteComponent = (s.paletteComponent + 1) % 3;
    if (s.paletteComponent === 0) s.paletteWrite += 1;
  }

  /** Where the beam is, by the clock. */
  #status(): number {
    const line = ((this.#clock.now() % FRAME) / FRAME) * LINES;
    let status = 0;
    if (line >= SHOWN_LINES || line % 1 >= SHOWN_OF_LINE) status |= STATUS.NotDisplaying;
    if (line >= RETRACE_LINES.start && line < RETRACE_LINES.end) status |= STATUS.VerticalRetrace;
    return status;
  }
}
