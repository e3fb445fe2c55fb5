/** Which flags the nodes of a region need on entry: liveness, as far as it pays. */
import type { Form } from '../interpreter/forms.ts';
import { isConditional, remembered } from './source.ts';
import type { RegionNode } from './graph.ts';
import type { FlagsAt } from './region-flags.ts';
import type { Structured } from './structure.ts';

/** Instructions that set all flags before anybody looks at them. */
const SETS = new Set([
  'add', 'sub', 'and', 'or', 'xor', 'cmp', 'test', 'neg', 'mul', 'imul1', 'imul', 'imul3', 'popcnt', 'tzcnt', 'lzcnt',
  'andn', 'blsr', 'blsi', 'blsmsk', 'bextr', 'bzhi', 'xadd', 'comiss', 'comisd', 'ucomiss', 'ucomisd', 'ptest',
]); // prettier-ignore

/** Instructions that neither set nor read any; others count as reading, which is safe. */
const KEEPS = new Set([
  'mov', 'lea', 'movzxb', 'movzxw', 'movsxb', 'movsxw', 'movsxd', 'nop', 'not', 'cbw', 'cwd', 'bswap', 'xchg', 'push', 'pop',
  'jmp', 'jmpr', 'call', 'callr', 'ret', 'leave', 'mulx', 'shlx', 'shrx', 'sarx', 'rorx', 'pdep', 'pext', 'movbe', 'movnti', 'crc32', 'div', 'idiv',
]); // prettier-ignore

/** Those of them that can't fault or leave, given that no operand is in memory. */
const QUIET = new Set([
  'mov', 'lea', 'movzxb', 'movzxw', 'movsxb', 'movsxw', 'movsxd', 'nop', 'not', 'cbw', 'cwd', 'bswap', 'xchg', 'mulx', 'shlx',
  'shrx', 'sarx', 'rorx', 'pdep', 'pext', 'crc32',
]); // prettier-ignore

const mayLeave = remembered(({ name, operands }: Form) => {
  if (name === 'lea' || name === 'nop') return false;
  if (operands.some((o) => o.kind === 'mem')) return true;
  return name.includes('comi') || !(QUIET.has(name) || SETS.has(name));
});

/** Vector instructions, but those above and the tests (PTEST, VTESTPS, PCMPESTRI …), touch no flags. */
const VECTORS = [
  /^(mov(?!s$|be$|_)|cvt|v(?!test)|aes|sha(1|256)|lddqu|mpsadbw|insertps|extractps|(ld|st)mxcsr)/,
  /^(add|sub|mul|div|sqrt|min|max|and|andn|or|xor|addsub|hadd|hsub|round|dp|blend|blendv|rcp|rsqrt|shuf|unpck[hl]|cmp)[ps][sd](_xmm)?$/,
  /^p(add|sub|and|or|xor|cmp(eq|gt)|shuf|unpck|sll|srl|sra|mul|min|max|ack|align|abs|avg|blend|extr|hadd|hsub|hmin|insr|madd|mov|sad|sign|clmul)/,
]; // prettier-ignore

const isVector = remembered((name: string) => VECTORS.some((pattern) => pattern.test(name)));

/** Whether an instruction may change flags. */
export const mayChangeFlags = ({ name }: Form): boolean =>
  !KEEPS.has(name) && !isVector(name) && !isConditional(name);

/** What becomes of the flags in a node: nobody looks; only whoever is left for does; they are read. */
type Need = 0 | 1 | 2;

/** From a node's beginning to what decides, or its end.
 * @param untouched the flags are still in the vCPU's state, for whoever is left for */
function scan(node: RegionNode, untouched: boolean): { need: Need; ends: boolean } {
  let need: Need = 0;
  for (const instruction of node.instructions) {
    const { name } = instruction.form;
    if (!untouched && mayLeave(instruction.form)) need = 1;
    if (SETS.has(name)) return { need, ends: true };
    if (!KEEPS.has(name) && !isVector(name)) return { need: 2, ends: true };
  }
  return { need, ends: false };
}

/** The nodes at whose beginning the flags are as they were when the region was entered, on the one way there is to them. */
export function untouchedNodes({ order, isBack, isInside, isInline }: Structured): ReadonlySet<RegionNode> {
  const [entry] = order;
  const found = new Set<RegionNode>();
  if (entry === undefined || order.some((from) => from.ways.includes(entry) && isInside(from, entry)))
    return found;
  const queue = [entry];
  for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
    found.add(node);
    if (scan(node, true).ends) continue;
    for (const to of node.ways) if (isInline(to) && !isBack(node, to)) queue.push(to);
  }
  return found;
}

/**
 * What each node is to be handed on entry: the flags themselves where it reads them, what they follow from
 * where only somebody outside may look, nothing where they are set first.
 *
 * @param untouched see {@link untouchedNodes}
 */
export function flagNeeds(
  { order, isInside }: Structured,
  untouched: ReadonlySet<RegionNode>,
): Map<RegionNode, FlagsAt> {
  const scans = new Map(order.map((node) => [node, scan(node, untouched.has(node))]));
  const needs = new Map<RegionNode, Need>(order.map((node) => [node, 0]));
  for (let changed = true; changed;) {
    changed = false;
    for (const node of order.toReversed()) {
      const own = scans.get(node)!;
      let need: Need = own.need;
      if (!own.ends) {
        // Every way out of the region, at its end or for an interrupt, is somebody who may look.
        if (!untouched.has(node)) need = Math.max(need, 1) as Need;
        for (const to of node.ways) if (isInside(node, to)) need = Math.max(need, needs.get(to)!) as Need;
      }
      if (need !== needs.get(node)) {
        needs.set(node, need);
        changed = true;
      }
    }
  }
  const AT = ['nothing', 'dynamic', 'settled'] as const;
  return new Map([...needs].map(([node, need]) => [node, AT[need]]));
}
