/** A region's control-flow graph: its instructions cut into nodes, and the ways between them. */
import { FIXED_HANDLERS, isComputed, type Form } from '../interpreter/forms.ts';
import { REC, REC_BYTES, xmmOffset } from '../private.ts';
import { BY_IMMEDIATE } from '../semantics/avx.ts';
import { isConditional, isDirect, PAIR_BYTES, RecordReader, type RegionSource } from './source.ts';

export interface RegionInstruction {
  readonly form: Form;
  /** Where its record lies in the source, and its address record, or -1. */
  readonly record: number;
  readonly address: number;
  readonly rip: bigint;
  readonly length: number;
}

export interface RegionNode {
  readonly rip: bigint;
  readonly instructions: RegionInstruction[];
  /** The last instruction is a direct jump or call: the node it leads to; undefined where that is outside. */
  taken: RegionNode | undefined;
  /** The last instruction is a computed jump or call: the node it led to last. */
  guess: RegionNode | undefined;
  /** What follows where no jump is taken; undefined where nothing does or it is outside. */
  next: RegionNode | undefined;
  /** RIP after the last instruction, where control can get there. */
  nextRip: bigint | undefined;
  /** The last instruction is a return: where the calls of this region come back to by it. */
  readonly returns: RegionNode[];
  /** All nodes that control can get to from here, inside the region. */
  ways: readonly RegionNode[];
}

/** Return sites that a return is compared with at most. */
const MOST_RETURNS = 6;

/** Offsets within the vCPU's state of the upper halves of vector registers that 256-bit instructions name. */
export function uppersIn(nodes: readonly RegionNode[], reader: RecordReader): ReadonlySet<number> {
  const uppers = new Set<number>();
  for (const { form, record } of nodes.flatMap(({ instructions }) => instructions)) {
    if (form.vex?.bytes !== 32) continue;
    for (const operand of form.operands)
      if (operand.kind === 'reg') uppers.add(reader.halves[(record + REC[operand.slot]) >> 1]! + 16);
    if (BY_IMMEDIATE.has(form.name))
      uppers.add(xmmOffset((reader.words[(record + REC.imm) >> 2]! >> 4) & 15) + 16);
  }
  return uppers;
}

/**
 * Builds the graph.
 *
 * @param forms by handler − FIXED_HANDLERS
 * @returns the node the region is entered at, and what reads the source's records
 */
export function buildGraph(
  source: RegionSource,
  forms: readonly Form[],
): { entry: RegionNode; reader: RecordReader } {
  const reader = new RecordReader(source.records.buffer);
  const instructions = new Map<bigint, RegionInstruction>();
  for (let pair = 0; pair < source.records.length; pair += PAIR_BYTES) {
    const record = pair + REC_BYTES;
    const form = forms[reader.words[record >> 2]! - FIXED_HANDLERS]!;
    const rip = reader.quads[(record + REC.rip) >> 3]!;
    const length = reader.bytes[record + REC.length]!;
    instructions.set(rip, { form, record, address: reader.words[pair >> 2] === 0 ? -1 : pair, rip, length });
  }
  const links = new Map<bigint, bigint>();
  const leaders = new Set<bigint>([source.entry]);
  for (let i = 0; i < source.links.length; i += 2) {
    links.set(source.links[i]!, source.links[i + 1]!);
    leaders.add(source.links[i + 1]!);
  }
  for (const { form, rip, length } of instructions.values()) {
    if (isDirect(form.name) || isComputed(form.name)) leaders.add(rip + BigInt(length));
  }
  return { entry: new Builder(instructions, leaders, links).build(source.entry), reader };
}

class Builder {
  readonly #instructions: ReadonlyMap<bigint, RegionInstruction>;
  readonly #leaders: ReadonlySet<bigint>;
  readonly #links: ReadonlyMap<bigint, bigint>;
  readonly #nodes = new Map<bigint, RegionNode>();
  readonly #pending: RegionNode[] = [];
  /** Calls that stay inside, with the nodes they come back to. */
  readonly #calls = new Map<RegionNode, RegionNode>();

  constructor(
    instructions: ReadonlyMap<bigint, RegionInstruction>,
    leaders: ReadonlySet<bigint>,
    links: ReadonlyMap<bigint, bigint>,
  ) {
    this.#instructions = instructions;
    this.#leaders = leaders;
    this.#links = links;
  }

  build(entry: bigint): RegionNode {
    const first = this.#node(entry)!;
    for (let node = this.#pending.pop(); node !== undefined; node = this.#pending.pop()) this.#fill(node);
    for (const [call, site] of this.#calls) this.#connect((call.taken ?? call.guess)!, site);
    for (const node of this.#nodes.values())
      node.ways = [node.taken, node.guess, node.next, ...node.returns].filter((n) => n !== undefined);
    return first;
  }

  /** The node that begins at an address; undefined where that is outside. */
  #node(rip: bigint): RegionNode | undefined {
    if (!this.#instructions.has(rip)) return undefined;
    let node = this.#nodes.get(rip);
    if (node === undefined) {
      node = {
        rip, instructions: [], taken: undefined, guess: undefined, next: undefined, nextRip: undefined, returns: [],
        ways: [],
      }; // prettier-ignore
      this.#nodes.set(rip, node);
      this.#pending.push(node);
    }
    return node;
  }

  #fill(node: RegionNode): void {
    let { rip } = node;
    for (;;) {
      const instruction = this.#instructions.get(rip);
      if (instruction === undefined || (rip !== node.rip && this.#leaders.has(rip))) {
        node.nextRip = rip;
        node.next = this.#node(rip);
        return;
      }
      node.instructions.push(instruction);
      rip += BigInt(instruction.length);
      const { form } = instruction;
      if (isDirect(form.name)) {
        const target = this.#links.get(instruction.rip);
        if (target !== undefined) node.taken = this.#node(target);
        if (isConditional(form.name)) {
          node.nextRip = rip;
          node.next = this.#node(rip);
        } else if (form.name === 'call' && node.taken !== undefined) {
          this.#call(node, rip);
        }
        return;
      }
      if (isComputed(form.name)) {
        const target = this.#links.get(instruction.rip);
        if (target !== undefined) node.guess = this.#node(target);
        if (form.name === 'callr' && node.guess !== undefined) this.#call(node, rip);
        return;
      }
      if (form.end) return;
    }
  }

  /** Notes a call that stays inside, and where it comes back to. */
  #call(node: RegionNode, rip: bigint): void {
    const site = this.#node(rip);
    if (site !== undefined) this.#calls.set(node, site);
  }

  /** Gives the returns of a function, found by walking it and stepping over its own calls, a site. */
  #connect(entry: RegionNode, site: RegionNode): void {
    const seen = new Set([entry]);
    const queue = [entry];
    for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
      const last = node.instructions.at(-1);
      if (last?.form.name === 'ret' && node.returns.length < MOST_RETURNS && !node.returns.includes(site))
        node.returns.push(site);
      const back = this.#calls.get(node);
      const name = last?.form.name;
      const calls = name === 'call' || name === 'callr';
      const ways = calls ? [back] : [node.taken, node.guess, node.next];
      for (const to of ways) {
        if (to === undefined || seen.has(to)) continue;
        seen.add(to);
        queue.push(to);
      }
    }
  }
}
