/**
 * The state of the VGA: its register files, the palette, the latches, and the registers of the Bochs VBE
 * extension.
 *
 * IBM Personal System/2 Hardware Interface Technical Reference, "Video subsystem"; for the extension the Bochs
 * "VBE display API" (vbe_display_api.txt).
 */
import { layout, type View } from '../../memory/layout.ts';

/** Bytes of video memory; enough for 2560 × 1600 at 32 bits. */
export const VIDEO_BYTES = 0x100_0000;

/** Bytes of memory that stands in for odd/even addressing: see `vga-memory.ts`. It follows the video memory. */
export const TEXT_WINDOW_BYTES = 0x1_0000;

/** Planes' bytes of the VGA proper: 64 KiB each. In video memory byte n of plane p is at 4 n + p. */
export const PLANE_BYTES = 0x1_0000;

/** Largest mode of the VBE extension. */
export const VBE_MOST = { width: 2560, height: 1600, depth: 32 } as const;

export const vgaLayout = layout('vga', 1, {
  crtc: ['u8', 32],
  sequencer: ['u8', 8],
  graphics: ['u8', 16],
  attribute: ['u8', 32],
  /** Red, green and blue of each of the 256 colours, 6 bits, or 8 where VBE has been told so. */
  palette: ['u8', 768],
  /** VBE registers by index. */
  vbe: ['u16', 16],
  /** The latches: plane p in byte p. */
  latches: 'u32',
  /** Raised by one with each write that may change the picture. */
  changes: 'u32',
  vbeIndex: 'u16',
  crtcIndex: 'u8',
  sequencerIndex: 'u8',
  graphicsIndex: 'u8',
  attributeIndex: 'u8',
  /** 1 where the next write to port 3C0 is data. */
  attributeData: 'u8',
  miscellaneous: 'u8',
  feature: 'u8',
  enabled: 'u8',
  paletteMask: 'u8',
  paletteRead: 'u8',
  paletteWrite: 'u8',
  /** Which of the three components comes next, and what port 3C7 reads as. */
  paletteComponent: 'u8',
  paletteState: 'u8',
  /** What is behind the window at A0000 or B8000 now: {@link WindowKind}. */
  window: 'u8',
});

export type VgaState = View<typeof vgaLayout.fields>;

/** What the address map has in the legacy window. */
export const WindowKind = {
  /** Nothing: accesses are interpreted one by one. */
  None: 0,
  /** Odd/even addressing of planes 0 and 1, as text modes have it: the text window. */
  Text: 1,
  /** Bytes of video memory one after the other. */
  Linear: 2,
} as const;

/** Registers of the VBE extension. */
export const Vbe = {
  Id: 0,
  Width: 1,
  Height: 2,
  Depth: 3,
  Enable: 4,
  Bank: 5,
  VirtualWidth: 6,
  VirtualHeight: 7,
  OffsetX: 8,
  OffsetY: 9,
  Memory: 10,
} as const;

/** Bits of {@link Vbe.Enable}. */
export const VbeEnable = {
  Enabled: 0x01,
  /** Reading width, height and depth gives the most there can be. */
  Capabilities: 0x02,
  EightBitPalette: 0x20,
  LinearFrameBuffer: 0x40,
  KeepMemory: 0x80,
} as const;

/** Sequencer registers. */
export const Seq = { Clocking: 1, MapMask: 2, CharacterMap: 3, MemoryMode: 4 } as const;

/** Graphics controller registers. */
export const Gfx = {
  SetReset: 0,
  EnableSetReset: 1,
  ColorCompare: 2,
  Rotate: 3,
  ReadMap: 4,
  Mode: 5,
  Miscellaneous: 6,
  ColorDontCare: 7,
  BitMask: 8,
} as const;

/** CRT controller registers. */
export const Crtc = {
  HorizontalDisplayEnd: 0x01,
  Overflow: 0x07,
  PresetRowScan: 0x08,
  MaximumScanLine: 0x09,
  CursorStart: 0x0a,
  CursorEnd: 0x0b,
  StartHigh: 0x0c,
  StartLow: 0x0d,
  CursorHigh: 0x0e,
  CursorLow: 0x0f,
  VerticalRetraceEnd: 0x11,
  VerticalDisplayEnd: 0x12,
  Offset: 0x13,
  UnderlineLocation: 0x14,
  Mode: 0x17,
  LineCompare: 0x18,
} as const;

/** Attribute controller registers after the sixteen palette registers. */
export const Attr = {
  Mode: 0x10,
  Overscan: 0x11,
  PlaneEnable: 0x12,
  Panning: 0x13,
  ColorSelect: 0x14,
} as const;

/** Bit of the attribute index: the palette is the display's, not the processor's. */
export const PALETTE_ADDRESS_SOURCE = 0x20;

/** Whether the VBE extension drives the display. */
export function vbeEnabled(state: VgaState): boolean {
  return (state.vbe[Vbe.Enable] & VbeEnable.Enabled) !== 0;
}

/** Registers as after power-on; the memory is left alone. */
export function resetVga(state: VgaState): void {
  const { crtc, sequencer, graphics, attribute, palette, vbe } = state;
  for (const bytes of [crtc, sequencer, graphics, attribute, palette, vbe]) bytes.fill(0);
  vbe[Vbe.Id] = 0xb0c5;
  vbe[Vbe.Depth] = 8;
  state.latches = 0;
  state.changes = 0;
  state.vbeIndex = 0;
  state.crtcIndex = 0;
  state.sequencerIndex = 0;
  state.graphicsIndex = 0;
  state.attributeIndex = 0;
  state.attributeData = 0;
  state.miscellaneous = 0;
  state.feature = 0;
  state.enabled = 1;
  state.paletteMask = 0xff;
  state.paletteRead = 0;
  state.paletteWrite = 0;
  state.paletteComponent = 0;
  state.paletteState = 0;
  state.window = WindowKind.None;
}
