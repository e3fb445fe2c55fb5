/** Finds decoded code by RIP, and remembers for emitted code where it was found. */
import { highHalf, lowHalf, ofHalves } from '../../base/halves.ts';
import type { VcpuState } from '../../vcpu/state.ts';
import type { CodeByPlace } from './code-by-place.ts';
import type { CodeModes } from './code-modes.ts';
import type { CodeCache, CodeMode } from './interpreter/code-cache.ts';
import type { JumpCache } from './jump-cache.ts';
import { type privateLayout, S } from './private.ts';
import { type CodePage, RegionMapping } from './region-mapping.ts';
import { GuestFault, Vector } from './system/cpu.ts';
import { Access, type Mmu } from './system/mmu.ts';

export interface CodeFinderParts {
  readonly memory: WebAssembly.Memory;
  readonly state: VcpuState;
  /** Byte address of `state` in the memory. */
  readonly stateAddress: number;
  readonly ownState: ReturnType<typeof privateLayout.bind>;
  readonly code: CodeCache;
  readonly mmu: Mmu;
  readonly modes: CodeModes;
  readonly jumps: JumpCache;
  readonly places: CodeByPlace;
}

export class CodeFinder {
  readonly #state: VcpuState;
  readonly #code: CodeCache;
  readonly #mmu: Mmu;
  readonly #modes: CodeModes;
  readonly #jumps: JumpCache;
  readonly #places: CodeByPlace;
  readonly #mapping: RegionMapping;
  readonly #words: Int32Array;
  /** Indices in words of RIP and CPL. */
  readonly #rip: number;
  readonly #cpl: number;

  constructor(parts: CodeFinderParts) {
    const { memory, code, ownState } = parts;
    this.#state = parts.state;
    this.#code = code;
    this.#mmu = parts.mmu;
    this.#modes = parts.modes;
    this.#jumps = parts.jumps;
    this.#places = parts.places;
    this.#mapping = new RegionMapping({ memory, code, ownState, place: (rip) => this.page(rip) });
    this.#words = new Int32Array(memory.buffer);
    this.#rip = (parts.stateAddress + S.rip) >> 2;
    this.#cpl = (parts.stateAddress + S.cpl) >> 2;
  }

  /** The record of the code at RIP. @throws GuestFault where it cannot be fetched */
  find(mode: CodeMode): number {
    const { generation } = this.#code;
    const record = this.#code.find(this.#words[this.#rip]!, this.#words[this.#rip + 1]!, mode);
    if (generation !== this.#code.generation) this.#jumps.dropAll();
    return record;
  }

  /** The same, for a computed jump of emitted code, which finds it in the jump cache the next time. */
  findComputed(): number {
    const mode = this.#modes.current;
    const long = mode.code === 64;
    const record = this.find(mode);
    const low = this.#words[this.#rip]!;
    const high = this.#words[this.#rip + 1]!;
    let { global } = this.#mmu;
    let region = this.#code.regionAt(record);
    if (region !== undefined && region.ranges.length > 1) {
      // Whoever comes by the jump cache does not look again at whether all its pages are mapped as they were.
      const page = ofHalves(low & ~0xfff, high);
      if (this.#mapping.isAsBefore(region, page)) global &&= region.global;
      else region = undefined;
    }
    const { found } = this.#code;
    if (found?.record === record) this.#places.put(found, region);
    const linear = long ? low : (low + mode.csBase) | 0;
    this.#jumps.put(linear, long ? high : 0, { record, region: region?.direct ?? 0, global });
    return record;
  }

  /** The same, for a direct jump of emitted code, whose record remembers it. */
  findDirect(jump: number): number {
    const { generation } = this.#code;
    const target = this.find(this.#modes.current);
    if (generation === this.#code.generation) this.#code.link(jump, target);
    return target;
  }

  /** Where a region has left the instruction at RIP to tier 0. @returns whether that has code there that is not the
   * beginning of a region; emitted code finds it the next time */
  findForTier0(): boolean {
    try {
      return this.#code.regionAt(this.findComputed()) === undefined;
    } catch (reason) {
      if (!(reason instanceof GuestFault)) throw reason;
      // What is wrong with fetching it is found when it is run.
      return false;
    }
  }

  /** See {@link RegionMapping.revalidate}. */
  revalidate(record: number, id: number): boolean {
    return this.#mapping.revalidate(record, id);
  }

  /** Where a page of 64-bit code (the RIP of its first byte) lies now; undefined where it is not mapped. */
  page(rip: bigint): CodePage | undefined {
    const { cr2 } = this.#state;
    try {
      const host = this.fetch(lowHalf(rip), highHalf(rip));
      return { host, global: this.#mmu.global };
    } catch (reason) {
      if (!(reason instanceof GuestFault)) throw reason;
      // Nobody has jumped there yet.
      this.#state.cr2 = cr2;
      return undefined;
    }
  }

  /**
   * Host address of code at a linear address, given by its halves.
   *
   * @throws GuestFault: what lies beyond CS, or is not canonical, is #GP(0)
   */
  fetch(low: number, high: number): number {
    const mode = this.#modes.current;
    if (mode.code === 64) {
      const top = high >> (this.#modes.wideLinear ? 24 : 15);
      if (top !== 0 && top !== -1) throw new GuestFault(Vector.GP, 0);
    } else if (this.#words[this.#rip]! >>> 0 > mode.csLimit) throw new GuestFault(Vector.GP, 0);
    const host = this.#mmu.translate(low, high, Access.Fetch, this.#words[this.#cpl] === 3);
    this.#jumps.usePage(low, high, this.#mmu.global);
    return host;
  }
}
