/**
 * The firmware configuration device: numbered items and named files by which a machine tells its firmware what it
 * is made of. Firmware selects an item and reads its bytes one by one, or has them copied by DMA.
 *
 * ```
 * port 0x510  selector (16 bits, written)      port 0x514  DMA address, high half (big-endian)
 * port 0x511  data (a byte at a time)          port 0x518  DMA address, low half; writing it starts
 * ```
 *
 * QEMU documentation, "QEMU Firmware Configuration (fw_cfg) Device" (docs/specs/fw_cfg).
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { AccessSize, Device, PortDevice } from '../device.ts';

export const FW_CFG_PORT = 0x510;
export const FW_CFG_PORTS = 12;

/** Items that are known by number. */
export const FW_CFG_ITEM = {
  Signature: 0x00,
  Interface: 0x01,
  Uuid: 0x02,
  RamSize: 0x03,
  NoGraphic: 0x04,
  Cpus: 0x05,
  BootMenu: 0x0e,
  MaxCpus: 0x0f,
  Files: 0x19,
  /** The first file; the others follow in order. */
  FirstFile: 0x20,
} as const;

/** Bits of the interface item: the port interface, and DMA. */
const INTERFACE = 0x3;

/** What the DMA address register reads as: "QEMU CFG", big-endian. */
const DMA_SIGNATURE = 0x51454d5520434647n;

/** Longest name of a file, with its closing NUL. */
const NAME_BYTES = 56;

const AT = { Selector: 0, Data: 1, Dma: 4, DmaLow: 8 } as const;

/** Control word of a DMA access. */
const DMA = { Error: 1 << 0, Read: 1 << 1, Skip: 1 << 2, Select: 1 << 3, Write: 1 << 4 } as const;

/** Bytes of the structure that describes a DMA access: control, length, address; all big-endian. */
const DMA_BYTES = 16;

/** Bytes copied at a time, so that an absurd length costs no memory. */
const CHUNK = 0x1_0000;

/** What an item holds: bytes, or what makes them when they are first wanted. The same in every thread. */
export type FwCfgContent = Uint8Array | (() => Uint8Array);

/** Guest-physical memory, for DMA. */
export interface DmaMemory {
  read(address: number, length: number): Uint8Array;
  write(address: number, data: Uint8Array): void;
  fill(address: number, length: number, value: number): void;
}

const fwCfgLayout = layout('fw-cfg', 1, {
  /** Where the next byte of the selected item is. */
  offset: 'u32',
  /** The half of the DMA address that is written first. */
  dmaHigh: 'u32',
  selector: 'u16',
});

export class FwCfg implements Device, PortDevice {
  readonly name = 'fw-cfg';
  readonly #at: View<typeof fwCfgLayout.fields>;
  readonly #memory: DmaMemory;
  readonly #items = new Map<number, FwCfgContent>();
  readonly #files: string[] = [];

  constructor(arena: Arena, memory: DmaMemory) {
    this.#at = arena.place(fwCfgLayout);
    this.#memory = memory;
    this.setItem(FW_CFG_ITEM.Signature, Uint8Array.of(0x51, 0x45, 0x4d, 0x55));
    this.setItem(FW_CFG_ITEM.Interface, Uint8Array.of(INTERFACE, 0, 0, 0));
    this.setItem(FW_CFG_ITEM.Files, () => this.#directory());
  }

  /** Gives an item its content; to be called before the machine first runs, alike in every thread. */
  setItem(key: number, content: FwCfgContent): void {
    this.#items.set(key, content);
  }

  /** Adds a file.
   * @throws RangeError for a name that is too long or taken */
  addFile(name: string, content: FwCfgContent): void {
    if (name.length >= NAME_BYTES || this.#files.includes(name)) {
      throw new RangeError(`firmware file name ${name} is too long or taken`);
    }
    this.setItem(FW_CFG_ITEM.FirstFile + this.#files.length, content);
    this.#files.push(name);
  }

  reset(): void {
    this.#at.selector = 0;
    this.#at.offset = 0;
    this.#at.dmaHigh = 0;
  }

  portRead(offset: number, size: AccessSize): number {
    if (offset >= AT.Dma) {
      const shift = 8n * BigInt(8 - size - (offset - AT.Dma));
      return shift < 0n ? 0 : swap(Number(BigInt.asUintN(8 * size, DMA_SIGNATURE >> shift)), size);
    }
    // A wide read of the data port takes as many bytes.
    let value = 0;
    for (let i = 0; i < size; i++) if (offset + i >= AT.Data) value |= this.#next() << (8 * i);
    return value >>> 0;
  }

  portWrite(offset: number, size: AccessSize, value: number): void {
    if (offset === AT.Selector && size >= 2) this.#select(value & 0xffff);
    else if (offset === AT.Dma && size === 4) this.#at.dmaHigh = swap(value, 4);
    else if (offset === AT.DmaLow && size === 4) {
      const address = this.#at.dmaHigh * 2 ** 32 + swap(value, 4);
      this.#at.dmaHigh = 0;
      this.#dma(address);
    }
  }

  #select(key: number): void {
    this.#at.selector = key;
    this.#at.offset = 0;
  }

  /** The selected item's bytes; an item that is not there is empty. */
  #selected(): Uint8Array {
    const content = this.#items.get(this.#at.selector);
    if (typeof content !== 'function') return content ?? new Uint8Array();
    const bytes = content();
    this.#items.set(this.#at.selector, bytes);
    return bytes;
  }

  /** The next byte; zero beyond the end. */
  #next(): number {
    const bytes = this.#selected();
    const { offset } = this.#at;
    if (offset >= bytes.length) return 0;
    this.#at.offset = offset + 1;
    return bytes[offset];
  }

  #dma(address: number): void {
    const described = this.#memory.read(address, DMA_BYTES);
    const access = new DataView(described.buffer);
    const control = access.getUint32(0);
    const length = access.getUint32(4);
    const target = Number(access.getBigUint64(8));
    if ((control & DMA.Select) !== 0) this.#select(control >>> 16);
    // Nothing here can be written; a request for it fails as the specification has it.
    const failed = (control & DMA.Write) !== 0 && (control & DMA.Read) === 0;
    if ((control & DMA.Read) !== 0) this.#copy(target, length);
    else if (!failed && (control & DMA.Skip) !== 0) this.#skip(length);
    this.#memory.write(address, Uint8Array.of(0, 0, 0, failed ? DMA.Error : 0));
  }

  #copy(target: number, length: number): void {
    const bytes = this.#selected();
    const { offset } = this.#at;
    const there = Math.min(length, Math.max(bytes.length - offset, 0));
    this.#memory.write(target, bytes.subarray(offset, offset + there));
    // Beyond the end of the item are zeros, but no guest needs more of them than there is memory below 4 GiB.
    for (let at = there; at < length; at += CHUNK) {
      this.#memory.fill(target + at, Math.min(CHUNK, length - at), 0);
    }
    this.#skip(length);
  }

  #skip(length: number): void {
    this.#at.offset = Math.min(this.#at.offset + length, 0xffff_ffff);
  }

  /** The directory: how many files, then for each its size, its item and its name; numbers big-endian. */
  #directory(): Uint8Array {
    const directory = new Uint8Array(4 + 64 * this.#files.length);
    const view = new DataView(directory.buffer);
    view.setUint32(0, this.#files.length);
    for (const [index, name] of this.#files.entries()) {
      const at = 4 + 64 * index;
      const content = this.#items.get(FW_CFG_ITEM.FirstFile + index);
      const bytes = typeof content === 'function' ? content() : content;
      view.setUint32(at, bytes?.length ?? 0);
      view.setUint16(at + 4, FW_CFG_ITEM.FirstFile + index);
      for (let i = 0; i < name.length; i++) directory[at + 8 + i] = name.charCodeAt(i);
    }
    return directory;
  }
}

function swap(value: number, size: AccessSize): number {
  let swapped = 0;
  for (let i = 0; i < size; i++) swapped = swapped * 256 + ((value >>> (8 * i)) & 0xff);
  return swapped;
}
