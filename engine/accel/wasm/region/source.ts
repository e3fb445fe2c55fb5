/**
 * What a region is translated from: copies of tier 0's records, which say everything about the instructions,
 * and where their jumps lead. It can be sent to another thread, and equal code has equal sources whatever
 * vCPU it was found by, and wherever it is mapped: RIPs are relative to the page of the region's entry.
 */
import { REC, REC_BYTES } from '../private.ts';

export interface RegionSource {
  /** Of each instruction in turn: its address record, or zeros, and its own. Links, ordinals and the handlers
   * of regions are not in them. */
  readonly records: Uint8Array<ArrayBuffer>;
  /** Where on that page it is entered. */
  readonly entry: bigint;
  /** Pairs of RIPs: of a jump or call, and of its target, where that is computed the one it had last. */
  readonly links: BigInt64Array<ArrayBuffer>;
  /** It lies on more than one page, so that whoever enters has to see that all are still mapped there. */
  readonly spread: boolean;
  /** All its pages are global. */
  readonly global: boolean;
  /** Its accesses share looks into the TLB (`page-windows.ts`), which is more to compile. */
  readonly windows: boolean;
}

/** Bytes of an instruction in {@link RegionSource.records}. */
export const PAIR_BYTES = 2 * REC_BYTES;

/** Reads records at byte addresses of a buffer. */
export class RecordReader {
  readonly words: Int32Array;
  readonly halves: Uint16Array;
  readonly bytes: Uint8Array;
  readonly quads: BigInt64Array;
  constructor(buffer: ArrayBufferLike) {
    this.words = new Int32Array(buffer);
    this.halves = new Uint16Array(buffer);
    this.bytes = new Uint8Array(buffer);
    this.quads = new BigInt64Array(buffer);
  }

  /** RIP of a record's instruction, relative to its page. */
  rip(record: number): number {
    return this.words[(record + REC.rip) >> 2]! >>> 0;
  }

  /** How far from its page a record's 64-bit immediate leads: that of what has one relative to RIP. */
  distance(record: number): number {
    const at = (record + REC.imm64) >> 2;
    return this.words[at + 1]! * 2 ** 32 + (this.words[at]! >>> 0);
  }

  /** Writes a number below 2^53 as 64 bits. */
  setQuad(at: number, value: number): void {
    this.words[at >> 2] = value;
    this.words[(at >> 2) + 1] = Math.floor(value / 2 ** 32);
  }
}

/** A question about names or forms, which are few and asked about often: answers are kept. */
export function remembered<K>(ask: (of: K) => boolean): (of: K) => boolean {
  const known = new Map<K, boolean>();
  return (of) => {
    let answer = known.get(of);
    if (answer === undefined) known.set(of, (answer = ask(of)));
    return answer;
  };
}

/** A direct jump or call: its record holds the target, and a link. */
export const isDirect = remembered((name: string) =>
  /^(j(n?[obzspl]|n?be|n?le|mp|cxz)|call|loop(n?e)?)$/.test(name),
);

/** A direct jump after which control may also go on with the next instruction. */
export const isConditional = (name: string): boolean => isDirect(name) && name !== 'jmp' && name !== 'call';
