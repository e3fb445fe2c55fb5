/**
 * A PCI function: its configuration space, base address registers and capabilities. Devices hold one, or
 * extend it, and give it what answers behind its BARs.
 *
 * PCI Local Bus Specification 3.0, chapter 6 "Configuration Space".
 */
import { type Arena, layout, type View } from '../../memory/layout.ts';
import type { AccessSize, Device, Line } from '../device.ts';

/** Offsets in the type 0 header (figure 6-1). */
export const PciRegister = {
  VendorId: 0x00,
  DeviceId: 0x02,
  Command: 0x04,
  Status: 0x06,
  Revision: 0x08,
  ClassCode: 0x09,
  CacheLineSize: 0x0c,
  LatencyTimer: 0x0d,
  HeaderType: 0x0e,
  Bar0: 0x10,
  SubsystemVendorId: 0x2c,
  SubsystemId: 0x2e,
  RomBar: 0x30,
  CapabilityPointer: 0x34,
  InterruptLine: 0x3c,
  InterruptPin: 0x3d,
  DeviceSpecific: 0x40,
} as const;

/** Bits of the command register (table 6-1). */
export const PciCommand = {
  Io: 1 << 0,
  Memory: 1 << 1,
  BusMaster: 1 << 2,
  ParityResponse: 1 << 6,
  SystemError: 1 << 8,
  InterruptDisable: 1 << 10,
} as const;

/** Bits of the status register (table 6-2). The error bits are cleared by writing ones. */
export const PciStatus = { Interrupt: 1 << 3, Capabilities: 1 << 4, Errors: 0xf900 } as const;

/** Index of the expansion ROM among the BARs. */
export const ROM_BAR = 6;

/** Addresses a guest can reach: a BAR beyond is not mapped. */
const PHYSICAL_LIMIT = 2 ** 52;

/** A base address register. */
export interface BarDescription {
  /** 0 … 5, or {@link ROM_BAR}; a 64-bit BAR takes the next index too. */
  readonly index: number;
  readonly kind: 'io' | 'memory32' | 'memory64' | 'rom';
  /** Bytes, a power of two: at least 4 for I/O, 16 for memory, 2048 for a ROM. */
  readonly size: number;
  readonly prefetchable?: boolean;
  /** Puts the range at an address, or takes it away, as the guest programs it. Called with the device lock
   * held, only for changes, and once by reset (not mapped). */
  readonly place: (address: number, enabled: boolean) => void;
}

/** A capability structure (6.7). */
export interface CapabilityDescription {
  readonly id: number;
  /** What follows the two-byte header. */
  readonly body: Uint8Array;
  /** Bits of the body that the guest may write; none where absent. */
  readonly writable?: Uint8Array;
  /** Called after a write that touched the structure, its header included. */
  readonly written?: () => void;
}

/** What a function is. */
export interface PciFunctionDescription {
  readonly name: string;
  readonly vendorId: number;
  readonly deviceId: number;
  /** Base class, subclass and programming interface, 24 bits. */
  readonly classCode: number;
  readonly revision?: number;
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
  /** INTA# … INTD# as 1 … 4; 0 where none is used. */
  readonly interruptPin?: number;
  /** What it decodes beside its BARs (legacy ports, video memory), so that the command register has a bit for
   * it. */
  readonly decodes?: ReadonlyArray<'io' | 'memory'>;
  readonly bars?: readonly BarDescription[];
  readonly capabilities?: readonly CapabilityDescription[];
  /** Further registers: their power-on bytes, and which of their bits the guest may write. */
  readonly registers?: ReadonlyArray<{
    offset: number;
    initial: readonly number[];
    writable: readonly number[];
  }>;
}

const CONFIG_BYTES = 256;

const functionLayout = layout('pci-function', 1, {
  config: ['u8', CONFIG_BYTES],
  /** Where each BAR is in force, -1 where it is not; what `place` was told last. */
  mapped: ['f64', 7],
  /** The function asks for its interrupt (whether or not it is disabled). */
  interrupt: 'u8',
});

/** One function: the 256 bytes, and what writing them means. */
export class PciFunction implements Device {
  readonly name: string;
  readonly #at: View<typeof functionLayout.fields>;
  readonly #initial = new Uint8Array(CONFIG_BYTES);
  readonly #writable = new Uint8Array(CONFIG_BYTES);
  readonly #bars: BarDescription[] = [];
  /** Every capability and its config offset, in the order in which they were added. */
  readonly #capabilities: Array<{ at: number; bytes: number; written: (() => void) | undefined }> = [];
  #intx: Line = () => {};

  /** @throws RangeError for a description that does not fit the 256 bytes */
  constructor(arena: Arena, description: PciFunctionDescription) {
    this.name = description.name;
    this.#at = arena.place(functionLayout);
    this.#describeHeader(description);
    for (const bar of description.bars ?? []) this.addBar(bar);
    for (const { offset, initial, writable } of description.registers ?? []) {
      this.#initial.set(initial, offset);
      this.#writable.set(writable, offset);
    }
    for (const capability of description.capabilities ?? []) this.addCapability(capability);
  }

  /**
   * Gives the function a base address register. To be called by whoever builds the device, in the same order
   * in every thread, before the machine's first reset; see `pci-bars.ts` for ranges that are placed on a bus.
   *
   * @throws RangeError for a size that is no power of two or too small, or an index that is taken
   */
  addBar(bar: BarDescription): void {
    const least = bar.kind === 'io' ? 4 : bar.kind === 'rom' ? 2048 : 16;
    if (bar.size < least || !Number.isInteger(Math.log2(bar.size))) {
      throw new RangeError(`BAR ${bar.index} of ${this.name} has an impossible size of ${bar.size} bytes`);
    }
    const taken = this.#bars.some(
      ({ index, kind }) => index === bar.index || (kind === 'memory64' && index + 1 === bar.index),
    );
    if (taken) throw new RangeError(`BAR ${bar.index} of ${this.name} is taken`);
    this.#bars.push(bar);
    this.#describeBar(bar);
  }

  /**
   * Appends a capability structure to the list (6.7), at the next multiple of four. To be called before the
   * machine's first reset, like {@link addBar}.
   *
   * @returns its offset in configuration space
   * @throws RangeError where it does not fit
   */
  addCapability({ id, body, writable, written }: CapabilityDescription): number {
    const before = this.#capabilities.at(-1);
    const at = before === undefined ? PciRegister.DeviceSpecific : (before.at + before.bytes + 3) & ~3;
    const bytes = 2 + body.length;
    if (at + bytes > CONFIG_BYTES) throw new RangeError(`the capabilities of ${this.name} do not fit`);
    this.#initial[before === undefined ? PciRegister.CapabilityPointer : before.at + 1] = at;
    this.#initial[at] = id;
    this.#initial.set(body, at + 2);
    if (writable !== undefined) this.#writable.set(writable.subarray(0, body.length), at + 2);
    this.#initial[PciRegister.Status] |= PciStatus.Capabilities;
    this.#capabilities.push({ at, bytes, written });
    return at;
  }

  /** Wires the interrupt pin; done by the bus. */
  connectInterrupt(line: Line): void {
    this.#intx = line;
  }

  /** Power-on state (6.1 and PCI reset): nothing decoded, no interrupt. */
  reset(): void {
    this.#at.config.set(this.#initial);
    this.#at.interrupt = 0;
    this.#at.mapped.fill(-1);
    for (const bar of this.#bars) bar.place(0, false);
    this.#intx(false);
  }

  /** Reads 1, 2 or 4 bytes of configuration space, naturally aligned or not; beyond its end all ones. */
  configRead(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#readByte(offset + i) << (8 * i);
    return value >>> 0;
  }

  /** Writes configuration space. Bits that are not writable stay; status errors are cleared by ones. */
  configWrite(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.#writeByte(offset + i, (value >>> (8 * i)) & 0xff);
    this.#apply();
    this.configWritten(offset, size);
    for (const { at, bytes, written } of this.#capabilities) {
      if (offset < at + bytes && offset + size > at) written?.();
    }
  }

  /** Called after each write to configuration space, for functions with registers of their own. */
  protected configWritten(_offset: number, _size: AccessSize): void {}

  /** The configuration bytes; a function that changes its read-only registers writes here. */
  protected get config(): Uint8Array {
    return this.#at.config;
  }

  /** The interrupt pin as the header has it: 1 … 4, 0 where none is used. */
  get interruptPin(): number {
    return this.#initial[PciRegister.InterruptPin];
  }

  /** Offset in configuration space of the capability that was added as number `index`, from 0. */
  capabilityOffset(index: number): number {
    return this.#capabilities[index].at;
  }

  get command(): number {
    return this.#at.config[PciRegister.Command] | (this.#at.config[PciRegister.Command + 1] << 8);
  }

  /** Whether the function may read and write memory of its own accord. */
  get busMaster(): boolean {
    return (this.command & PciCommand.BusMaster) !== 0;
  }

  /** Raises or lowers the interrupt pin, level-triggered. The guest may have disabled it (command bit 10),
   * which the status register does not care about. Harmless for a function without a pin. */
  intx(level: boolean): void {
    this.#at.interrupt = level ? 1 : 0;
    this.#updateInterrupt();
  }

  #describeHeader(description: PciFunctionDescription): void {
    const initial = new DataView(this.#initial.buffer);
    initial.setUint16(PciRegister.VendorId, description.vendorId, true);
    initial.setUint16(PciRegister.DeviceId, description.deviceId, true);
    initial.setUint32(
      PciRegister.Revision,
      ((description.classCode << 8) | (description.revision ?? 0)) >>> 0,
      true,
    );
    initial.setUint16(PciRegister.SubsystemVendorId, description.subsystemVendorId ?? 0, true);
    initial.setUint16(PciRegister.SubsystemId, description.subsystemId ?? 0, true);
    initial.setUint8(PciRegister.InterruptPin, description.interruptPin ?? 0);

    let command = PciCommand.BusMaster | PciCommand.ParityResponse | PciCommand.SystemError;
    if ((description.interruptPin ?? 0) !== 0) command |= PciCommand.InterruptDisable;
    for (const decoder of description.decodes ?? []) {
      command |= decoder === 'io' ? PciCommand.Io : PciCommand.Memory;
    }
    const writable = new DataView(this.#writable.buffer);
    writable.setUint16(PciRegister.Command, command, true);
    writable.setUint8(PciRegister.CacheLineSize, 0xff);
    writable.setUint8(PciRegister.LatencyTimer, 0xff);
    writable.setUint8(PciRegister.InterruptLine, 0xff);
  }

  /** The low bits of a BAR that is an address are hard-wired to zero, which is how its size is found. */
  #describeBar(bar: BarDescription): void {
    const at = barOffset(bar.index);
    // Decoders that a function does not have cannot be turned on.
    this.#writable[PciRegister.Command] |= bar.kind === 'io' ? PciCommand.Io : PciCommand.Memory;
    const initial = new DataView(this.#initial.buffer);
    const writable = new DataView(this.#writable.buffer);
    const mask = ~(BigInt(bar.size) - 1n);
    const prefetch = bar.prefetchable === true ? 1 << 3 : 0;
    switch (bar.kind) {
      case 'io':
        initial.setUint32(at, 1, true);
        break;
      case 'memory32':
        initial.setUint32(at, prefetch, true);
        break;
      case 'memory64':
        initial.setUint32(at, prefetch | (2 << 1), true);
        writable.setUint32(at + 4, Number(BigInt.asUintN(32, mask >> 32n)), true);
        break;
      case 'rom':
        writable.setUint32(at, 1, true);
    }
    writable.setUint32(at, (writable.getUint32(at, true) | Number(BigInt.asUintN(32, mask))) >>> 0, true);
  }

  #readByte(offset: number): number {
    if (offset >= CONFIG_BYTES) return 0xff;
    const byte = this.#at.config[offset];
    return offset === PciRegister.Status && this.#at.interrupt !== 0 ? byte | PciStatus.Interrupt : byte;
  }

  #writeByte(offset: number, byte: number): void {
    if (offset >= CONFIG_BYTES) return;
    const config = this.#at.config;
    if (offset === PciRegister.Status + 1) {
      config[offset] &= ~(byte & (PciStatus.Errors >> 8));
      return;
    }
    const mask = this.#writable[offset];
    config[offset] = (config[offset] & ~mask) | (byte & mask);
  }

  /** Brings the outside in line with what the registers now say. */
  #apply(): void {
    for (const bar of this.#bars) {
      const address = this.#decoded(bar);
      if (address === this.#at.mapped[bar.index]) continue;
      this.#at.mapped[bar.index] = address;
      bar.place(Math.max(address, 0), address !== -1);
    }
    this.#updateInterrupt();
  }

  /** Where a BAR is decoded, -1 where it is not. */
  #decoded(bar: BarDescription): number {
    const { config } = this.#at;
    const at = barOffset(bar.index);
    const word = (from: number) =>
      (config[from] | (config[from + 1] << 8) | (config[from + 2] << 16) | (config[from + 3] << 24)) >>> 0;
    const enable = bar.kind === 'io' ? PciCommand.Io : PciCommand.Memory;
    if ((this.command & enable) === 0) return -1;
    if (bar.kind === 'rom' && (config[at] & 1) === 0) return -1;
    const low = word(at) - (word(at) % bar.size);
    const address = bar.kind === 'memory64' ? word(at + 4) * 2 ** 32 + low : low;
    // All ones while it is being sized, and zero before it is programmed, are not places to decode at.
    const limit = bar.kind === 'io' ? 0x1_0000 : bar.kind === 'memory64' ? PHYSICAL_LIMIT : 2 ** 32 - 1;
    return address === 0 || address + bar.size > limit ? -1 : address;
  }

  #updateInterrupt(): void {
    this.#intx(this.#at.interrupt !== 0 && (this.command & PciCommand.InterruptDisable) === 0);
  }
}

/** Offset of a BAR in configuration space. */
function barOffset(index: number): number {
  return index === ROM_BAR ? PciRegister.RomBar : PciRegister.Bar0 + 4 * index;
}
