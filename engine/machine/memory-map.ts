/**
 * Where memory is on the board, and what the host bridge's PAM registers do to the ranges below 1 MiB.
 *
 * ```
 * 0            RAM
 * 0xA0000      left to the bus (video memory); RAM for who is in system-management mode, or for all, as SMRAM says
 * 0xC0000      as PAM says: RAM, or what is on the bus: the last 128 KiB of the firmware from 0xE0000 on
 * 0x100000     RAM, up to 3 GiB
 * 0xC0000000   left to devices; the firmware ends at 4 GiB
 * 0x100000000  the rest of the RAM
 * ```
 */
import type { AccessSize, MmioDevice } from '../device/device.ts';
import type { HostBridge } from '../device/pci/host-bridge.ts';
import { type AddressMap, type MappedRange, RangeKind } from '../memory/address-map.ts';
import type { Arena } from '../memory/layout.ts';
import { loadFirmware } from './boot/firmware.ts';
import { type MachineMemory, PAGE_SIZE } from '../memory/machine-memory.ts';

const VIDEO = 0xa0000;
const PAM_START = 0xc0000;
const PAM_END = 0x100000;

/** End of low RAM: everything above up to 4 GiB is for devices. */
export const LOW_RAM_END = 0xc000_0000;

export const HIGH_RAM_START = 0x1_0000_0000;

/** Machine-area bytes that a firmware image takes.
 * @throws GuesthouseError `file` for an image that cannot be firmware */
export function firmwareArea(firmware: Uint8Array | null): number {
  return firmware === null ? 0 : loadFirmware(firmware, 0).roms[0].bytes.length + PAGE_SIZE;
}

/** The low RAM's length and the high RAM's, in bytes. */
export function splitRam(bytes: number): { readonly low: number; readonly high: number } {
  const low = Math.min(bytes, LOW_RAM_END);
  return { low, high: bytes - low };
}

/**
 * Builds the memory part of the address map, and gives the device that stands behind the PAM ranges.
 */
export class BoardMemory {
  readonly #memory: MachineMemory;
  readonly #firmware: Uint8Array | null;
  readonly #romAddress: number;
  /** The RAM of each PAM range, as it lies over the bus. */
  readonly #pam: MappedRange[] = [];
  /** The RAM under the video memory, as it lies over it while everybody sees it. */
  readonly #smram: MappedRange;
  readonly #bridge: HostBridge;
  readonly #written: (address: number, bytes: number) => void;

  /**
   * @param bridge its PAM ranges and SMRAM control; every call of {@link applyRouting} asks anew
   * @param firmware image, which ends at 4 GiB; null where there is none
   * @param written called after a write to RAM, with its place in the shared memory: code may have been
   *   overwritten
   */
  constructor(
    memory: MachineMemory,
    arena: Arena,
    map: AddressMap,
    firmware: Uint8Array | null,
    bridge: HostBridge,
    written: (address: number, bytes: number) => void,
  ) {
    this.#memory = memory;
    this.#firmware = firmware;
    this.#bridge = bridge;
    this.#written = written;
    const { low, high } = splitRam(memory.ramBytes);
    const ram = (start: number, end: number, offset: number) => {
      if (end <= start) return;
      const address = memory.ramBase + offset;
      map.define({ kind: RangeKind.Ram, start, size: end - start, address, enabled: true });
    };
    ram(0, Math.min(low, VIDEO), 0);
    ram(PAM_END, low, PAM_END);
    ram(HIGH_RAM_START, HIGH_RAM_START + high, low);

    this.#romAddress = arena.reserve(firmware?.length ?? 0, PAGE_SIZE);
    if (firmware !== null) {
      for (const { address, bytes } of loadFirmware(firmware, 0).roms) {
        // Each mapping shows the end of the image.
        const from = this.#romAddress + firmware.length - bytes.length;
        map.define({ kind: RangeKind.Rom, start: address, size: bytes.length, address: from, enabled: true });
      }
    }
    for (const { start, size } of bridge.pamRanges()) {
      const address = memory.ramBase + start;
      // Disabled at first: after a reset PAM gives everything to the bus.
      this.#pam.push(map.define({ kind: RangeKind.Ram, start, size, address, enabled: false }));
    }
    this.#smram = map.define({
      kind: RangeKind.Ram,
      start: VIDEO,
      size: PAM_START - VIDEO,
      address: memory.ramBase + VIDEO,
      enabled: false,
    });
  }

  /** Puts the firmware image into the ROM. Once, before the machine first runs. */
  programRom(): void {
    if (this.#firmware !== null) this.#memory.bytes.set(this.#firmware, this.#romAddress);
  }

  /** Brings the address map in line with PAM and SMRAM control. Ranges that can only be written stay on the bus,
   * where {@link shadow} takes the writes. */
  applyRouting(): void {
    this.#smram.change({ enabled: this.#bridge.smram().open });
    for (const [i, range] of this.#bridge.pamRanges().entries()) {
      const inRam = range.start + range.size <= this.#memory.ramBytes;
      const kind = range.writeRam ? RangeKind.Ram : RangeKind.Rom;
      this.#pam[i].change({ kind, enabled: range.readRam && inRam });
    }
  }

  /** Where SMRAM lies in the shared memory for who is in system-management mode; 0 where it is not enabled, or
   * closed. */
  smramAddress(): number {
    const { enabled, closed } = this.#bridge.smram();
    return enabled && !closed ? this.#memory.ramBase + VIDEO : 0;
  }

  /** To be registered on the MMIO bus at 0xC0000, 256 KiB: writes that PAM sends to RAM although it sends
   * reads to the bus, which is how firmware copies itself into shadow RAM. */
  readonly shadow: MmioDevice = {
    mmioRead: (_offset: number, size: AccessSize) => 2 ** (8 * size) - 1,
    mmioWrite: (offset: number, size: AccessSize, value: number) => {
      for (let i = 0; i < size; i++) {
        const address = PAM_START + offset + i;
        const range = this.#bridge
          .pamRanges()
          .find((each) => address >= each.start && address < each.start + each.size);
        if (range === undefined || !range.writeRam || address >= this.#memory.ramBytes) continue;
        this.#memory.bytes[this.#memory.ramBase + address] = value >>> (8 * i);
        this.#written(this.#memory.ramBase + address, 1);
      }
    },
  };
}
