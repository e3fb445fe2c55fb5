/**
 * What a region consists of: the decoded instructions reachable from a hot one by the direct jumps that have
 * been taken, cut into nodes of a control-flow graph.
 *
 * It is read off tier 0's records, which already say everything about an instruction; a jump's link tells
 * where it leads, and that it has been taken at all.
 */
import type { Form } from '../interpreter/forms.ts';
import { FIXED_HANDLERS, Fixed } from '../interpreter/forms.ts';
import { REC, REC_BYTES } from '../private.ts';

export interface RegionInstruction {
  readonly form: Form;
  /** Addresses of its record, and of the address record before it, or 0. */
  readonly record: number;
  readonly address: number;
  /** Handler of the address record: a region that begins here may have put its own in its place. */
  readonly addressHandler: number;
  readonly rip: bigint;
  readonly length: number;
}

export interface RegionNode {
  readonly rip: bigint;
  readonly instructions: RegionInstruction[];
  /** The last instruction is a direct jump: the node it leads to when taken; undefined where that is outside. */
  taken: RegionNode | undefined;
  /** What follows where no jump is taken; undefined where nothing does or it is outside. */
  next: RegionNode | undefined;
  /** RIP after the last instruction, where control can get there. */
  nextRip: bigint | undefined;
}

export interface Region {
  readonly entry: RegionNode;
  readonly instructions: number;
  /** RIP of the first byte, and of the one behind the last. */
  readonly first: bigint;
  readonly end: bigint;
}

/** Bounds on a region: instructions, and paths followed. */
const MOST_INSTRUCTIONS = 400;
const MOST_STARTS = 48;

/**
 * Instructions that a region leaves to tier 0: they may end in TypeScript after having done part of their
 * work, run themselves again, or are long and rare.
 */
const LEFT_OUT = new Set([
  'movs', 'stos', 'lods', 'cmps', 'scas', 'cli', 'sti', 'pushf', 'popf', 'enter', 'pusha', 'popa', 'ud', 'ud1', 'pause',
]); // prettier-ignore

/** Reads records from the shared memory. */
export class RecordReader {
  readonly words: Int32Array;
  readonly halves: Uint16Array;
  readonly bytes: Uint8Array;
  readonly quads: BigUint64Array;
  constructor(memory: WebAssembly.Memory) {
    this.words = new Int32Array(memory.buffer);
    this.halves = new Uint16Array(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    this.quads = new BigUint64Array(memory.buffer);
  }
}

const isJump = (form: Form): boolean => DIRECT.has(form.name);
const DIRECT = new Set([
  'jmp', 'call', 'loop', 'loope', 'loopne', 'jcxz',
  ...['o', 'no', 'b', 'nb', 'z', 'nz', 'be', 'nbe', 's', 'ns', 'p', 'np', 'l', 'nl', 'le', 'nle'].map((cc) => `j${cc}`),
]); // prettier-ignore

/** True for direct jumps after which control may also go on with the next instruction. */
export const isConditional = (form: Form): boolean =>
  isJump(form) && form.name !== 'jmp' && form.name !== 'call';

/**
 * Collects the region that begins with a record.
 *
 * @param entry address of the first record of a block of 64-bit code
 * @param forms by handler − FIXED_HANDLERS
 * @param original the handler of a record that a region's function has taken the place of
 * @returns undefined where there is nothing worth translating
 */
export function collectRegion(
  reader: RecordReader,
  entry: number,
  forms: readonly Form[],
  original: (record: number) => number | undefined,
): Region | undefined {
  const instructions = new Map<bigint, RegionInstruction>();
  const leaders = new Set<bigint>();
  const links = new Map<bigint, bigint>();
  const starts = [entry];
  const entryRip = reader.quads[(entry + REC.rip) >> 3]!;
  leaders.add(entryRip);
  for (let n = 0; n < starts.length && n < MOST_STARTS; n++) {
    let at = starts[n]!;
    for (;;) {
      const rip = reader.quads[(at + REC.rip) >> 3]!;
      if (instructions.has(rip) || instructions.size >= MOST_INSTRUCTIONS) break;
      let address = 0;
      let addressHandler = 0;
      let handler = original(at) ?? reader.words[at >> 2]!;
      if (handler >= Fixed.Address && handler < FIXED_HANDLERS) {
        address = at;
        addressHandler = handler;
        at += REC_BYTES;
        handler = reader.words[at >> 2]!;
      }
      const form = handler < FIXED_HANDLERS ? undefined : forms[handler - FIXED_HANDLERS];
      if (form === undefined || LEFT_OUT.has(form.name)) break;
      const length = reader.bytes[at + REC.length]!;
      // The second page of one that crosses is not the region's.
      if (Number(rip & 0xfffn) + length > 4096) break;
      instructions.set(rip, { form, record: at, address, addressHandler, rip, length });
      if (isJump(form)) {
        leaders.add(rip + BigInt(length));
        const chain = form.chained ? reader.words[(at + REC.chain) >> 2]! : 0;
        if (
          chain !== 0 &&
          form.name !== 'call' &&
          (original(chain) ?? reader.words[chain >> 2]) !== Fixed.Stale
        ) {
          const target = reader.quads[(chain + REC.rip) >> 3]!;
          links.set(rip, target);
          leaders.add(target);
          starts.push(chain);
        }
      }
      if (form.end) break;
      at += REC_BYTES;
    }
  }
  if (!instructions.has(entryRip)) return undefined;
  let first = entryRip;
  let end = entryRip;
  for (const { rip, length } of instructions.values()) {
    if (rip < first) first = rip;
    if (rip + BigInt(length) > end) end = rip + BigInt(length);
  }
  const node = buildNodes(entryRip, instructions, leaders, links);
  return { entry: node, instructions: instructions.size, first, end };
}

function buildNodes(
  entry: bigint,
  instructions: ReadonlyMap<bigint, RegionInstruction>,
  leaders: ReadonlySet<bigint>,
  links: ReadonlyMap<bigint, bigint>,
): RegionNode {
  const nodes = new Map<bigint, RegionNode>();
  const node = (rip: bigint): RegionNode | undefined => {
    if (!instructions.has(rip)) return undefined;
    let found = nodes.get(rip);
    if (found === undefined) {
      found = { rip, instructions: [], taken: undefined, next: undefined, nextRip: undefined };
      nodes.set(rip, found);
      pending.push(found);
    }
    return found;
  };
  const pending: RegionNode[] = [];
  const first = node(entry)!;
  for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
    let rip = current.rip;
    for (;;) {
      const instruction = instructions.get(rip);
      if (instruction === undefined || (rip !== current.rip && leaders.has(rip))) {
        current.nextRip = rip;
        current.next = node(rip);
        break;
      }
      current.instructions.push(instruction);
      rip += BigInt(instruction.length);
      const { form } = instruction;
      if (isJump(form)) {
        const target = links.get(instruction.rip);
        if (target !== undefined) current.taken = node(target);
        if (isConditional(form)) {
          current.nextRip = rip;
          current.next = node(rip);
        }
        break;
      }
      if (form.end) break;
    }
  }
  return first;
}
