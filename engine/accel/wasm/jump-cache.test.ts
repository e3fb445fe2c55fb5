/** Where computed jumps lead: the jump cache with its four places, and regions that are gone again. */
import { expect, test } from 'vitest';
import { ExitReason } from '../contract.ts';
import { bareMachine, type BareMachine, CODE, le32, NO_INTERRUPTS } from './bare-machine.ts';
import { GENERATIONS, JumpCache } from './jump-cache.ts';
import { firstJump, JUMP_CACHE_BYTES, privateLayout } from './private.ts';
import { PAGE_FILTER_BYTES } from './system/page-filter.ts';

const HLT = 0xf4;
/** Functions lie from here on. */
const FUNCTIONS = 0x20_0000;
const FUNCTIONS_END = 0x60_0000;
const TABLE = 0x4000;
const TIERS = ['0', '1', 'eager'] as const;

/** Calls the functions of the table one after the other, ecx rounds of all; edx sums up what they return in eax. */
function caller(functions: number): number[] {
  // l: xor esi, esi; n: call [TABLE + rsi * 8]; add edx, eax; inc esi; cmp esi, functions; jb n; dec ecx; jnz l; hlt
  const call = [0xff, 0x14, 0xf5, ...le32(TABLE)];
  return [
    0x31,
    0xf6,
    ...call,
    0x01,
    0xc2,
    0xff,
    0xc6,
    0x83,
    0xfe,
    functions,
    0x72,
    0xf0,
    0xff,
    0xc9,
    0x75,
    0xea,
    HLT,
  ];
}

function run(m: BareMachine, rounds: number): bigint {
  m.state.gpr[1] = BigInt(rounds);
  m.state.gpr[2] = 0n;
  m.state.rip = BigInt(CODE);
  m.state.activity = 0;
  expect(m.run()).toBe(ExitReason.Halt);
  return m.state.gpr[2]!;
}

/** mov eax, value; ret */
const put = (m: BareMachine, at: number, value: number) => {
  for (const [i, byte] of [0xb8, ...le32(value), 0xc3].entries()) m.ram.setUint8(at + i, byte);
};

test.each(TIERS)('addresses that share their first place, tier %s', (tier) => {
  const place = firstJump(FUNCTIONS);
  const found: number[] = [];
  for (let at = FUNCTIONS; at < FUNCTIONS_END; at += 8) if (firstJump(at) === place) found.push(at);
  expect(found.length).toBeGreaterThan(4);
  const m = bareMachine(NO_INTERRUPTS, { tier });
  for (const [i, at] of found.entries()) {
    put(m, at, 1 << i);
    m.ram.setBigUint64(TABLE + 8 * i, BigInt(at), true);
  }
  m.load(caller(found.length));
  expect(run(m, 1000)).toBe(BigInt.asUintN(32, 1000n * ((1n << BigInt(found.length)) - 1n)));
});

test.each(TIERS)('functions that are rewritten each time, tier %s', (tier) => {
  const m = bareMachine(NO_INTERRUPTS, { tier });
  const rounds = tier === 'eager' ? 700 : 3000;
  // The functions write over each other: inc dword [other + 1]; mov eax, value; ret
  const at = [FUNCTIONS, FUNCTIONS + 0x1000, FUNCTIONS + 0x2000];
  for (const [i, place] of at.entries()) {
    const other = at[(i + 1) % at.length]! + 8;
    const code = [0xff, 0x04, 0x25, ...le32(other), 0xb8, ...le32(0), 0xc3];
    for (const [j, byte] of code.entries()) m.ram.setUint8(place + j, byte);
    m.ram.setBigUint64(TABLE + 8 * i, BigInt(place), true);
  }
  m.load(caller(at.length));
  // In round r the first returns r - 1, the second and the third r.
  const sum = (rounds * (rounds - 1)) / 2 + rounds * (rounds + 1);
  expect(run(m, rounds)).toBe(BigInt(sum));
});

test('more functions than regions are kept', () => {
  const m = bareMachine(NO_INTERRUPTS, { tier: 'interrupt' });
  const functions = 120;
  for (let i = 0; i < functions; i++) {
    put(m, FUNCTIONS + 64 * i, i);
    m.ram.setBigUint64(TABLE + 8 * i, BigInt(FUNCTIONS + 64 * i), true);
  }
  m.load(caller(functions));
  m.state.gpr[1] = 40n;
  m.state.gpr[2] = 0n;
  expect(m.run(100_000)).toBe(ExitReason.Halt);
  expect(m.state.gpr[2]).toBe(BigInt((40 * functions * (functions - 1)) / 2));
  expect(m.cpu.statistics()['regions dropped: to make room']).toBeGreaterThan(0);
});

test('a region is dropped to make room while it is about to be run', () => {
  const m = bareMachine(NO_INTERRUPTS, { tier: 'few' });
  // 100 times inc eax; jmp to the next: more than a region is made of, so that there is no room for what it leads to.
  // dec ecx; jnz to the first; hlt
  const steps = 100;
  const code = Array.from({ length: steps }, () => [0xff, 0xc0, 0xeb, 0x00]).flat();
  m.load([...code, 0xff, 0xc9, 0x0f, 0x85, ...le32(-(code.length + 8)), HLT]);
  const rounds = 40_000;
  m.state.gpr[0] = 0n;
  m.state.gpr[1] = BigInt(rounds);
  expect(m.run(100_000)).toBe(ExitReason.Halt);
  expect(m.state.gpr[0]).toBe(BigInt(steps * rounds));
  // Each comes back when it is hot once more.
  expect(m.cpu.statistics()['regions dropped: to make room']).toBeGreaterThan(3);
});

test.each(TIERS)('a return leads elsewhere than it did, tier %s', (tier) => {
  const m = bareMachine(NO_INTERRUPTS, { tier });
  // f: mov eax, 1; ret, called from the loop above, then from another place that halts at once.
  put(m, FUNCTIONS, 1);
  m.ram.setBigUint64(TABLE, BigInt(FUNCTIONS), true);
  m.load(caller(1));
  expect(run(m, 100_000)).toBe(100_000n);
  const elsewhere = CODE + 0x800;
  m.load([0xe8, ...le32(FUNCTIONS - (elsewhere + 5)), 0xff, 0xc0, HLT], elsewhere);
  for (let i = 0; i < 3; i++) {
    m.state.rip = BigInt(elsewhere);
    m.state.activity = 0;
    expect(m.run()).toBe(ExitReason.Halt);
    expect([m.state.gpr[0], m.state.rip]).toEqual([2n, BigInt(elsewhere + 8)]);
  }
});

test('address spaces have entries of their own, and none comes back with its generation', () => {
  const FILTERS_AT = JUMP_CACHE_BYTES + privateLayout.size;
  const buffer = new SharedArrayBuffer(FILTERS_AT + 8 * PAGE_FILTER_BYTES);
  const own = privateLayout.bind(buffer, JUMP_CACHE_BYTES);
  let begunAnew = 0;
  const jumps = new JumpCache({
    memory: buffer,
    ownState: own,
    area: { jumpCache: 0, pageFilters: FILTERS_AT },
    begunAnew: () => begunAnew++,
  });
  const found = () => jumps.recordAt(0x1230, 0, () => 0);
  jumps.localChanged(0);
  jumps.put(0x1230, 0, { record: 0x40, region: 0, global: false });
  const { tagLocal } = own;
  expect(found()).toBe(0x40);
  jumps.enterSpace(1);
  expect(found()).toBe(0);
  jumps.localChanged(1);
  jumps.enterSpace(0);
  expect(found()).toBe(0x40);
  let again = 0;
  for (let i = 0; i < GENERATIONS; i++) {
    jumps.localChanged(0);
    if (own.tagLocal !== tagLocal) continue;
    again++;
    expect([begunAnew, found()]).toEqual([1, 0]);
  }
  expect(again).toBe(1);
});
