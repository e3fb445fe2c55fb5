/**
 * A control-flow graph as WebAssembly's structured control: by way of its dominator tree, loops become
 * `loop`, joins become the ends of `block`s, and everything else nests.
 *
 * The method is N. Ramsey's ("Beyond Relooper", ICFP 2022): a node's code is followed by that of the nodes it
 * dominates; those of them that are joined from several places are placed behind a block around the rest.
 */
import type { Code, Label } from '../emit/code.ts';
import type { RegionNode } from './graph.ts';

export interface Structured {
  /** Nodes in reverse postorder. */
  readonly order: readonly RegionNode[];
  /** Whether an edge can be a branch: its target is reached as structure demands. Else it must leave. */
  isInside(from: RegionNode, to: RegionNode): boolean;
  /** Whether an edge goes back to a loop's start. */
  isBack(from: RegionNode, to: RegionNode): boolean;
  /** Whether a node is reached by one edge alone, so that its code stands at that edge. */
  isInline(to: RegionNode): boolean;
  /** The last node that all ways to a node but the first lead through; the last that they share with another's. */
  dominator(of: RegionNode): RegionNode;
  common(a: RegionNode, b: RegionNode): RegionNode;
}

/** Orders the nodes and finds out which edges a structured program can have. */
export function structure(entry: RegionNode): Structured & { emit: Emit } {
  const order = reversePostorder(entry);
  const number = new Map(order.map((node, i) => [node, i]));
  const dominator = immediateDominators(order, number);
  const dominates = (a: RegionNode, b: RegionNode): boolean => {
    for (let n: RegionNode | undefined = b; n !== undefined; n = n === entry ? undefined : dominator.get(n)) {
      if (n === a) return true;
    }
    return false;
  };
  const isBack = (from: RegionNode, to: RegionNode): boolean => number.get(to)! <= number.get(from)!;
  // An edge back into the middle of a loop (an irreducible graph) has no place in the structure.
  const isInside = (from: RegionNode, to: RegionNode): boolean => !isBack(from, to) || dominates(to, from);
  const forwardIn = new Map<RegionNode, number>();
  const loops = new Set<RegionNode>();
  for (const from of order) {
    for (const to of from.ways) {
      if (!isBack(from, to)) forwardIn.set(to, (forwardIn.get(to) ?? 0) + 1);
      else if (isInside(from, to)) loops.add(to);
    }
  }
  const isInline = (to: RegionNode): boolean => to !== entry && forwardIn.get(to) === 1 && !loops.has(to);
  const children = new Map<RegionNode, RegionNode[]>();
  for (const node of order) {
    const parent = dominator.get(node);
    if (node === entry || parent === undefined) continue;
    if ((forwardIn.get(node) ?? 0) < 2) continue;
    children.set(parent, [...(children.get(parent) ?? []), node]);
  }
  const emit: Emit = (c, body) => {
    const labels = new Map<RegionNode, Label>();
    const tree = (node: RegionNode): void => {
      // Joins are placed from the last in order outwards in, so that each can branch forward to the others.
      const joins = (children.get(node) ?? []).toSorted((a, b) => number.get(b)! - number.get(a)!);
      if (!loops.has(node)) {
        within(node, joins);
        return;
      }
      c.loop((again) => {
        labels.set(node, again);
        within(node, joins);
      });
    };
    const within = (node: RegionNode, joins: readonly RegionNode[]): void => {
      const [join, ...rest] = joins;
      if (join === undefined) {
        body(node, (to) => go(node, to));
        return;
      }
      c.block((leave) => {
        labels.set(join, leave);
        within(node, rest);
      });
      tree(join);
    };
    const go = (from: RegionNode, to: RegionNode): void => {
      if (isBack(from, to) || (forwardIn.get(to) ?? 0) > 1) c.br(labels.get(to)!);
      else tree(to);
    };
    tree(entry);
  };
  const common = commonDominator(number, dominator);
  return { order, isInside, isBack, isInline, dominator: (of) => dominator.get(of)!, common, emit };
}

/** Emits all nodes in their places. `body` emits one; `go` continues with a successor and does not return. */
export type Emit = (c: Code, body: (node: RegionNode, go: (to: RegionNode) => void) => void) => void;

function reversePostorder(entry: RegionNode): RegionNode[] {
  const seen = new Set<RegionNode>([entry]);
  const order: RegionNode[] = [];
  // An explicit stack: regions are small, but their depth is the guest's choice.
  const stack: Array<[RegionNode, number]> = [[entry, 0]];
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const next = top[0].ways[top[1]++];
    if (next === undefined) {
      order.push(top[0]);
      stack.pop();
    } else if (!seen.has(next)) {
      seen.add(next);
      stack.push([next, 0]);
    }
  }
  return order.toReversed();
}

/** Finds the last node that two nodes are dominated by. */
function commonDominator(
  number: ReadonlyMap<RegionNode, number>,
  dominator: ReadonlyMap<RegionNode, RegionNode>,
): (a: RegionNode, b: RegionNode) => RegionNode {
  return (a, b) => {
    while (a !== b) {
      while (number.get(a)! > number.get(b)!) a = dominator.get(a)!;
      while (number.get(b)! > number.get(a)!) b = dominator.get(b)!;
    }
    return a;
  };
}

/** K. Cooper, T. Harvey, K. Kennedy, "A Simple, Fast Dominance Algorithm". */
function immediateDominators(
  order: readonly RegionNode[],
  number: ReadonlyMap<RegionNode, number>,
): Map<RegionNode, RegionNode> {
  const entry = order[0]!;
  const predecessors = new Map<RegionNode, RegionNode[]>(order.map((node) => [node, []]));
  for (const node of order) for (const to of node.ways) predecessors.get(to)!.push(node);
  const dominator = new Map<RegionNode, RegionNode>([[entry, entry]]);
  const common = commonDominator(number, dominator);
  for (let changed = true; changed;) {
    changed = false;
    for (const node of order) {
      if (node === entry) continue;
      let found: RegionNode | undefined;
      for (const from of predecessors.get(node)!) {
        if (!dominator.has(from)) continue;
        found = found === undefined ? from : common(found, from);
      }
      if (found !== undefined && dominator.get(node) !== found) {
        dominator.set(node, found);
        changed = true;
      }
    }
  }
  return dominator;
}
