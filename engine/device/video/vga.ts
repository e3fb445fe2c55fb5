/**
 * The display adapter: a VGA with the Bochs VBE extension as a PCI function (1234:1111), which the drivers bochs and
 * vesa of guests know.
 *
 * ```
 * BAR 0   the video memory, prefetchable       BAR 2   registers: VGA ports from 0x400, VBE from 0x500
 * ROM     the VGA BIOS                         ports   3B0 … 3DF and 1CE … 1D0, memory A0000 … BFFFF
 * ```
 */
import type { AddressMap, MappedRange } from '../../memory/address-map.ts';
import { RangeKind } from '../../memory/address-map.ts';
import type { Arena } from '../../memory/layout.ts';
import type { MmioBus } from '../../memory/mmio-bus.ts';
import type { PortBus } from '../../memory/port-bus.ts';
import { allOnes } from '../byte-access.ts';
import type { AccessSize, Clock, Device, MmioDevice } from '../device.ts';
import { memoryBar, mmioBar, romBar } from '../pci/pci-bars.ts';
import { PciFunction } from '../pci/pci-function.ts';
import { VBE_PORT, VBE_PORTS, VbePorts } from './vbe-ports.ts';
import { directWindow, LEGACY_BYTES, LEGACY_START, VgaMemory } from './vga-memory.ts';
import { VGA_PORT, VGA_PORTS, VgaPorts } from './vga-ports.ts';
import {
  resetVga,
  TEXT_WINDOW_BYTES,
  vgaLayout,
  type VgaState,
  VIDEO_BYTES,
  WindowKind,
} from './vga-state.ts';

const REGISTER_BYTES = 0x1000;

/** Offsets in BAR 2: VGA ports from 3C0 on, VBE registers two bytes each, and what says how far it goes. */
const AT = { Ports: 0x400, Vbe: 0x500, Extension: 0x600, ByteOrder: 0x604 } as const;
const PORTS_BYTES = 0x20;
const VBE_BYTES = 22;
const EXTENSION_BYTES = 8;
const LITTLE_ENDIAN = 0x1e1e_1e1e;

/** What the adapter is connected to. */
export interface VgaParts {
  readonly ports: PortBus;
  readonly mmio: MmioBus;
  readonly map: AddressMap;
  readonly clock: Clock;
  readonly buffer: SharedArrayBuffer;
  /** Where the video memory lies in the shared memory, followed by the text window; 4 KiB aligned. */
  readonly videoAddress: number;
  /** Bytes of the VGA BIOS: a power of two of at least 4 KiB, or 0; and where they lie, 4 KiB aligned. */
  readonly romBytes: number;
  readonly romAddress: number;
  /** Told when the ROM appears in memory. */
  readonly romEnabled?: (() => void) | undefined;
  /** Told the address in the shared memory of each write that the adapter makes to its memory. */
  readonly written: (address: number) => void;
}

export class Vga implements Device {
  readonly name = 'vga';
  readonly fn: PciFunction;
  readonly state: VgaState;
  readonly vbe: VbePorts;
  readonly memory: VgaMemory;
  readonly #parts: VgaParts;
  readonly #ports: VgaPorts;
  readonly #video: Uint8Array;
  readonly #window: MappedRange;

  constructor(arena: Arena, parts: VgaParts) {
    const { ports, mmio, map, buffer, videoAddress } = parts;
    this.#parts = parts;
    this.state = arena.place(vgaLayout);
    const video = new Uint8Array(buffer, videoAddress, VIDEO_BYTES);
    const text = new Uint8Array(buffer, videoAddress + VIDEO_BYTES, TEXT_WINDOW_BYTES);
    this.#video = video;
    const changed = () => this.#placeWindow();
    this.memory = new VgaMemory(this.state, video, text, (offset) => parts.written(videoAddress + offset));
    this.#ports = new VgaPorts(this.state, parts.clock, changed);
    this.vbe = new VbePorts(this.state, changed, () => this.#clear());
    ports.register(this.#ports, VGA_PORT, VGA_PORTS);
    ports.register(this.vbe, VBE_PORT, VBE_PORTS);
    mmio.register(this.memory, LEGACY_START, LEGACY_BYTES);
    this.#window = map.define({
      kind: RangeKind.Ram,
      start: LEGACY_START,
      size: 0x1_0000,
      address: videoAddress,
      enabled: false,
    });

    this.fn = new PciFunction(arena, {
      name: 'vga-pci',
      vendorId: 0x1234,
      deviceId: 0x1111,
      classCode: 0x03_00_00,
      revision: 2,
      subsystemVendorId: 0x1af4,
      subsystemId: 0x1100,
      decodes: ['io', 'memory'],
      bars: [
        memoryBar(map, { index: 0, size: VIDEO_BYTES, prefetchable: true }, videoAddress),
        mmioBar(mmio, { index: 2, size: REGISTER_BYTES }, this.#registers),
        ...(parts.romBytes === 0 ? [] : [romBar(map, parts.romBytes, parts.romAddress, parts.romEnabled)]),
      ],
    });
  }

  /** The picture's memory and the registers as after power-on. */
  reset(): void {
    resetVga(this.state);
    this.#placeWindow();
  }

  /** Brings planes 0 and 1 up to date, for whoever looks at the memory. */
  settle(): void {
    if (this.state.window === WindowKind.Text) this.memory.storeText(TEXT_WINDOW_BYTES);
  }

  /** BAR 2. */
  readonly #registers: MmioDevice = {
    mmioRead: (offset: number, size: AccessSize) => {
      if (within(offset, size, AT.Ports, PORTS_BYTES)) {
        return this.#ports.portRead(offset - AT.Ports + 0x3c0 - VGA_PORT, size);
      }
      if (within(offset, size, AT.Vbe, VBE_BYTES) && size === 2 && offset % 2 === 0) {
        return this.vbe.read((offset - AT.Vbe) >> 1);
      }
      if (offset === AT.Extension && size === 4) return EXTENSION_BYTES;
      if (offset === AT.ByteOrder && size === 4) return LITTLE_ENDIAN;
      return offset < AT.Ports ? 0 : allOnes(size);
    },
    mmioWrite: (offset: number, size: AccessSize, value: number) => {
      if (within(offset, size, AT.Ports, PORTS_BYTES)) {
        this.#ports.portWrite(offset - AT.Ports + 0x3c0 - VGA_PORT, size, value);
      } else if (within(offset, size, AT.Vbe, VBE_BYTES) && size === 2 && offset % 2 === 0) {
        this.vbe.write((offset - AT.Vbe) >> 1, value);
      }
    },
  };

  #clear(): void {
    this.#video.fill(0);
    for (let at = 0; at < VIDEO_BYTES; at += 4096) this.#parts.written(this.#parts.videoAddress + at);
  }

  /** Has the address map show what the registers make of the legacy window. */
  #placeWindow(): void {
    const { kind, start, size, offset } = directWindow(this.state);
    const before = this.state.window;
    if (before === WindowKind.Text && kind !== WindowKind.Text) this.memory.storeText(TEXT_WINDOW_BYTES);
    if (kind === WindowKind.Text && before !== WindowKind.Text) this.memory.loadText(TEXT_WINDOW_BYTES);
    this.state.window = kind;
    if (kind === WindowKind.None) {
      this.#window.change({ enabled: false });
      return;
    }
    const base = this.#parts.videoAddress + (kind === WindowKind.Text ? VIDEO_BYTES : 0);
    this.#window.change({ start, size, address: base + offset, enabled: true });
  }
}

function within(offset: number, size: number, start: number, bytes: number): boolean {
  return offset >= start && offset + size <= start + bytes;
}
