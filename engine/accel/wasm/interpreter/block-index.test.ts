import { expect, test } from 'vitest';
import { Random } from '../../../base/random.ts';
import { type Block, BlockIndex, type CodeMode } from './block-index.ts';

const mode = (id: number): CodeMode => ({
  id, code: 64, real: false, features: new Set(), stack: 8, csBase: 0, csLimit: 0, x87: 0, fwait: 0, mmx: 0, sse: 0, avx: 0, ymm: 0,
  step: false,
}); // prettier-ignore
const MODE = mode(1);

let records = 0;
const block = (from: number, low: number, rest: Partial<Block> = {}): Block => ({
  record: ++records, end: 0, mode: MODE, low, high: 0, from, to: from + 4, from2: 0, to2: 0, next: undefined, finds: 0, since: 0, links: undefined,
  ...rest,
}); // prettier-ignore

const noSecondPage = (): number => {
  throw new Error('no second page was to be asked for');
};

/** What an index finds, which it says in two ways. */
function find(
  index: BlockIndex,
  host: number,
  low: number,
  high: number,
  as: CodeMode,
  secondPage = noSecondPage,
) {
  const record = index.find(host, low, high, as, secondPage);
  if (record !== 0) expect(index.found?.record).toBe(record);
  return record === 0 ? undefined : index.found;
}

test('a block is found by its byte, address and mode, and by nothing less', () => {
  const index = new BlockIndex();
  const one = block(0x1000, 0x40_1000);
  const moved = block(0x1000, 0x50_1000);
  index.add(one);
  index.add(moved);
  for (let time = 0; time < 2; time++) {
    expect(find(index, 0x1000, 0x40_1000, 0, MODE)).toBe(one);
    expect(find(index, 0x1000, 0x50_1000, 0, MODE)).toBe(moved);
    expect(find(index, 0x1000, 0x40_1000, 1, MODE)).toBeUndefined();
    expect(find(index, 0x1000, 0x40_1000, 0, mode(2))).toBeUndefined();
    expect(find(index, 0x1001, 0x40_1000, 0, MODE)).toBeUndefined();
  }
});

test('a block that ends on a second page is found while that page is where it was', () => {
  const index = new BlockIndex();
  const here = block(0x1ffe, 0x40_1ffe, { from2: 0x7000, to2: 0x7002 });
  const there = block(0x1ffe, 0x40_1ffe, { from2: 0x9000, to2: 0x9002 });
  index.add(here);
  index.add(there);
  const at = (page: number) => find(index, 0x1ffe, 0x40_1ffe, 0, MODE, () => page);
  expect([at(0x7000), at(0x9000), at(0x7000), at(0x5000)]).toEqual([here, there, here, undefined]);
});

test('what has been removed is not found, its like are', () => {
  const index = new BlockIndex();
  const blocks = [1, 2, 3].map((n) => block(0x1000, n << 12));
  for (const each of blocks) index.add(each);
  const at = (n: number) => find(index, 0x1000, n << 12, 0, MODE);
  expect(at(2)).toBe(blocks[1]);
  index.remove(blocks[1]!);
  expect([at(1), at(2), at(3)]).toEqual([blocks[0], undefined, blocks[2]]);
  index.remove(blocks[2]!);
  index.remove(blocks[0]!);
  expect([at(1), at(3)]).toEqual([undefined, undefined]);
  index.add(blocks[0]!);
  index.clear();
  expect(at(1)).toBeUndefined();
});

test('of many that differ in their address alone the oldest is to go', () => {
  const index = new BlockIndex();
  const blocks: Block[] = [];
  for (let n = 0; n < 40; n++) {
    const added = block(0x1000, n << 12);
    blocks.push(added);
    const dropped = index.add(added);
    if (dropped !== undefined) {
      expect(dropped).toBe(blocks.shift());
      index.remove(dropped);
    }
  }
  expect(blocks.length).toBeLessThan(10);
  for (const each of blocks) expect(find(index, 0x1000, each.low, 0, MODE)).toBe(each);
  // Those of another mode are counted for themselves.
  expect(index.add(block(0x1000, 0, { mode: mode(2) }))).toBeUndefined();
});

test('many come and go, in 64-bit mode and in others, also beyond 2 GiB', () => {
  const index = new BlockIndex();
  const random = new Random(5);
  const short = mode(3);
  /** By what a block is found by. */
  const present = new Map<string, Block>();
  const draw = () => {
    const from = (random.below(2) === 0 ? 0x1_0000 : 0xf000_0000) + random.below(0x8000);
    const as = random.below(3) === 0 ? short : MODE;
    const low = as === MODE ? from & 0xfff : random.below(4) << 12;
    return { from, low, as, key: `${from} ${low} ${as.id}` };
  };
  for (let step = 0; step < 60_000; step++) {
    const { from, low, as, key } = draw();
    const known = present.get(key);
    expect(find(index, from, low, 0, as)).toBe(known);
    if (known === undefined) {
      const added = block(from, low, { mode: as });
      present.set(key, added);
      expect(index.add(added)).toBeUndefined();
    } else if (random.below(3) !== 0) {
      index.remove(known);
      present.delete(key);
    }
  }
  expect(present.size).toBeGreaterThan(10_000);
  index.clear();
  for (const { from, low, mode: as } of present.values())
    expect(find(index, from, low, 0, as)).toBeUndefined();
});
