/** What emitted code finds in its module beside the instructions' own code. */
import type { Func } from '../emit/code.ts';
import type { FloatLibrary } from '../float/library.ts';

/** Functions every module of emitted code can call: see interpreter/handlers.ts. */
export interface Runtime {
  /** (cpu, record, `SlowInfo`) → address to use instead, or 0 to leave. */
  readonly slow: Func;
  /** (cpu, linear, `SlowInfo`) → where the access leads by the TLB's first level, or 0. */
  readonly look: Func;
  /** () → 1, or 0 to leave: carries a store to the bounce buffer through to where it belongs. */
  readonly commit: Func;
  /** (record, id) → 1 where the region there may run: its code is mapped as it was; 0 where it is gone. */
  readonly revalidate: Func;
  /** (cpu, rec, budget) → exit code: leaves with whatever exit code was set. */
  readonly leave: Func;
  /** (cpu, rec, budget, vector, errorCode): leaves with an exception. */
  readonly raise: Func;
  /** (cpu, rip, budget): goes on at `rip` by way of the jump cache. */
  readonly lookup: Func;
  /** (cpu, rip, budget, offset): the same for a region that did not find `rip` in an entry of the jump cache, which is
   * written if it is a link's. Computes late flags. */
  readonly lookupFrom: Func;
  /** (cpu, rip relative to the region's page, budget): leaves from a region with whatever exit code was set. Computes late
   * flags. */
  readonly leaveRegion: Func;
  /** The same, but tier 0 goes on there. */
  readonly interpret: Func;
  /** The same as `lookup`, past the jump cache. */
  readonly refind: Func;
  /** (cpu, rec, budget): goes on at the record's direct target and remembers it. */
  readonly link: Func;
  /** (cpu, rec, budget): leaves before the record, which has been gone to often. */
  readonly hot: Func;
  /** (cpu, rec, budget): leaves behind the record with Leave.Changed. */
  readonly leaveNext: Func;
  /** () → the machine's TSC, before the vCPU's offset, as a whole number. */
  readonly ticks: Func;
  /** (record, number) → result: an instruction done in TypeScript. */
  readonly complex: Func;
  /** (cpu, rec, budget, result): leaves after one, as its result says. */
  readonly leaveComplex: Func;
  /** Exact floating point. */
  readonly float: FloatLibrary;
  /** Functions of the instruction groups, by name. */
  readonly extra: ReadonlyMap<string, Func>;
}
