/**
 * What lies behind a base address register: ports, device registers or memory, on the machine's buses, where
 * the guest puts it and while the command register lets it be decoded.
 *
 * PCI Local Bus Specification 3.0, 6.2.5 "Base Addresses".
 */
import { type AddressMap, RangeKind } from '../../memory/address-map.ts';
import type { MmioBus } from '../../memory/mmio-bus.ts';
import type { PortBus } from '../../memory/port-bus.ts';
import type { MmioDevice, PortDevice } from '../device.ts';
import { type BarDescription, ROM_BAR } from './pci-function.ts';

/** A memory BAR below 4 GiB, or one that a guest may put anywhere. */
export interface MemoryBarPlace {
  /** 0 … 5; with `wide`, the next one is taken too. */
  readonly index: number;
  /** Bytes, a power of two, at least 16; at least 4096 for memory itself. */
  readonly size: number;
  /** 64-bit. */
  readonly wide?: boolean;
  readonly prefetchable?: boolean;
}

/**
 * A BAR of I/O ports.
 *
 * @param index 0 … 5
 * @param size ports, a power of two, at least 4
 * @param device answers with offsets from the first port
 */
export function portBar(ports: PortBus, index: number, size: number, device: PortDevice): BarDescription {
  const range = ports.register(device, 0, size, false);
  return { index, kind: 'io', size, place: (start, enabled) => range.change({ start, enabled }) };
}

/** A BAR of registers in memory.
 * @param device answers with offsets from the BAR's address */
export function mmioBar(mmio: MmioBus, at: MemoryBarPlace, device: MmioDevice): BarDescription {
  const { size, ...place } = at;
  const range = mmio.register(device, 0, size, false);
  return {
    ...describe(place),
    size,
    place: (start, enabled) => range.change({ start, enabled }),
  };
}

/** A BAR of memory that vCPUs read and write without anybody noticing, such as a frame buffer.
 * @param address where its first byte lies in the shared memory, 4 KiB aligned */
export function memoryBar(map: AddressMap, at: MemoryBarPlace, address: number): BarDescription {
  const { size, ...place } = at;
  const range = map.define({ kind: RangeKind.Ram, start: 0, size, address, enabled: false });
  return {
    ...describe(place),
    size,
    place: (start, enabled) => range.change({ start, enabled }),
  };
}

/** The expansion ROM (6.2.5.2): read-only memory.
 * @param size bytes, a power of two, at least 4096
 * @param address where its first byte lies in the shared memory, 4 KiB aligned
 * @param enabled told whenever it appears in memory */
export function romBar(map: AddressMap, size: number, address: number, enabled?: () => void): BarDescription {
  const range = map.define({ kind: RangeKind.Rom, start: 0, size, address, enabled: false });
  return {
    index: ROM_BAR,
    kind: 'rom',
    size,
    place: (start, appears) => {
      range.change({ start, enabled: appears });
      if (appears) enabled?.();
    },
  };
}

function describe({ index, wide, prefetchable }: Omit<MemoryBarPlace, 'size'>) {
  return {
    index,
    kind: wide === true ? ('memory64' as const) : ('memory32' as const),
    prefetchable: prefetchable === true,
  };
}
