/**
 * Physical memory as one processor sees it: the machine's address map, and SMRAM while it is in system-management
 * mode (SDM volume 3C, 32.4).
 */
import type { AddressMap, MemoryStretch } from '../../../memory/address-map.ts';
import type { VcpuState } from '../../../vcpu/state.ts';

/** Pages of the legacy video area, 0xA0000 to 0xBFFFF, over which SMRAM lies (82441FX data sheet, 3.2.21). */
const FIRST = 0xa0;
const COUNT = 0x20;

export class PhysicalMap {
  readonly #map: AddressMap;
  readonly #state: VcpuState;
  readonly #smram: () => number;

  /** @param smram where SMRAM lies in the shared memory, 0 where it is not enabled */
  constructor(map: AddressMap, state: VcpuState, smram: () => number = () => 0) {
    this.#map = map;
    this.#state = state;
    this.#smram = smram;
  }

  /** As {@link AddressMap.generation} and {@link AddressMap.memory}, which know of no SMRAM. */
  get generation(): number {
    return this.#map.generation;
  }
  memory(): MemoryStretch[] {
    return this.#map.memory();
  }

  /** As {@link AddressMap.resolve}. Entering and leaving the mode drops all translations. */
  resolve(page: number): number {
    if (this.#state.smm !== 0 && page >= FIRST && page < FIRST + COUNT) {
      const at = this.#smram();
      if (at !== 0) return at + (page - FIRST) * 4096;
    }
    return this.#map.resolve(page);
  }
}
