/** Doublewords of guest-physical memory, for what a processor reads and writes there by itself. */
import type { DirtyLog } from '../../../memory/dirty-log.ts';
import type { PhysicalMemory } from './cpu.ts';
import type { GuestAccess } from './access.ts';
import type { PhysicalMap } from './physical-map.ts';

/**
 * What is not memory reads as all ones and takes no writes, nor does ROM.
 *
 * @param ramBase byte address of guest RAM, for the dirty log's page numbers
 */
export function physicalWords(
  words: Int32Array,
  map: PhysicalMap,
  access: GuestAccess,
  dirtyLog: DirtyLog,
  ramBase: number,
): PhysicalMemory {
  return {
    read32: (address) => {
      const page = map.resolve(Math.floor(address / 4096)) & ~1;
      return page === 0 ? 0xffff_ffff : words[((page >>> 0) + (address & 0xffc)) >>> 2]! >>> 0;
    },
    write32: (address, value) => {
      const page = map.resolve(Math.floor(address / 4096));
      if (page === 0 || (page & 1) !== 0) return;
      const host = (page >>> 0) + (address & 0xffc);
      dirtyLog.mark((host - ramBase) >>> 12);
      access.storePhysical(host, value);
    },
  };
}
