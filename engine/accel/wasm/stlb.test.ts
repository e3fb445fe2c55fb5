/** Pages that share an entry of the TLB's first level, used in turns: the second level has what the first has lost, and
 * nothing that is not true any more. */
import { expect, test } from 'vitest';
import { ExitReason } from '../contract.ts';
import {
  type BareMachine,
  bareMachine,
  CODE,
  DATA,
  le32,
  NO_INTERRUPTS,
  repeat,
  TABLES,
} from './bare-machine.ts';
import { STLB_ENTRIES, stlbPlace, TLB_ENTRIES } from './private.ts';

const PAGE = 0x2_0000;
/** Memory is mapped here as well. */
const BETWEEN = 4096 * TLB_ENTRIES;
const OTHER = PAGE + BETWEEN;
const FRAME = 0x3_0000;
const ENTRY = TABLES + 0x3000 + 8 * (PAGE >> 12);
const HLT = 0xf4;

const TIERS = [
  ['0', 50],
  ['1', 100_000],
  ['eager', 50],
  ['eager', 3000],
] as const;

function machine(tier: string): BareMachine {
  const m = bareMachine(NO_INTERRUPTS, { tier });
  m.ram.setUint32(TABLES + 0x2000 + 8 * (BETWEEN >>> 21), (TABLES + 0x3000) | 7, true);
  return m;
}

/** mov [address], eax */
const store = (address: number): number[] => [0x89, 0x04, 0x25, ...le32(address)];

test('pages that share a place of the first level are spread over the second', () => {
  expect(stlbPlace(PAGE, 0)).not.toBe(stlbPlace(OTHER, 0));
  const places = new Set<number>();
  for (let n = 0; n < 4096; n++) places.add(stlbPlace(Math.imul(n, BETWEEN) + PAGE, n >>> 6));
  for (const place of places) expect(place).toBeLessThan(STLB_ENTRIES);
  // As many as chance would have of them.
  expect(places.size).toBeGreaterThan(2000);
});

test.each(TIERS)('pages that are written in turns are walked for once, tier %s, %i times', (tier, rounds) => {
  const m = machine(tier);
  // Pages written for the first time, those of the tables too.
  let walks = 0;
  m.dirty.mark = () => walks++;
  m.load([...repeat(rounds, [...store(PAGE), ...store(OTHER + 8)]), HLT]);
  m.state.gpr[0] = 0x1234n;
  expect(m.run()).toBe(ExitReason.Halt);
  expect([m.ram.getUint32(PAGE, true), m.ram.getUint32(PAGE + 8, true)]).toEqual([0x1234, 0x1234]);
  expect(walks).toBeLessThan(20);
});

test.each(TIERS)('an instruction needs both, tier %s, %i times', (tier, rounds) => {
  const m = machine(tier);
  m.ram.setUint32(PAGE, 3, true);
  m.state.gpr[4] = BigInt(OTHER + 0x800);
  // push [PAGE]; pop rdx; add ebx, edx
  m.load([...repeat(rounds, [0xff, 0x34, 0x25, ...le32(PAGE), 0x5a, 0x01, 0xd3]), HLT]);
  m.state.gpr[3] = 0n;
  expect(m.run()).toBe(ExitReason.Halt);
  expect(m.state.gpr[3]).toBe(BigInt(3 * rounds));
  expect(m.state.gpr[4]).toBe(BigInt(OTHER + 0x800));
});

/** invlpg [PAGE]; mov rdx, cr3 and back */
const FORGET = {
  invlpg: [0x0f, 0x01, 0x3c, 0x25, ...le32(PAGE)],
  'mov cr3': [0x0f, 0x20, 0xda, 0x0f, 0x22, 0xda],
};

test.each(
  TIERS.flatMap(([tier, rounds]) => Object.entries(FORGET).map((how) => [tier, rounds, ...how] as const)),
)('what is mapped elsewhere is found there, tier %s, %i times, %s', (tier, rounds, _name, forget) => {
  const m = machine(tier);
  const body = [...store(PAGE), ...store(OTHER + 8)];
  // … mov dword [ENTRY], FRAME | 7; mov eax, 2 …
  const change = [0xc7, 0x04, 0x25, ...le32(ENTRY), ...le32(FRAME | 7), 0xb8, ...le32(2)];
  m.load([0xb8, ...le32(1), ...repeat(rounds, body), ...change, ...forget, ...repeat(rounds, body), HLT]);
  expect(m.run()).toBe(ExitReason.Halt);
  expect([m.ram.getUint32(PAGE, true), m.ram.getUint32(FRAME, true)]).toEqual([1, 2]);
  // The other address is not forgotten by INVLPG, and may lead to either.
  expect([m.ram.getUint32(PAGE + 8, true), m.ram.getUint32(FRAME + 8, true)]).toContain(2);
});

test.each(TIERS)('code is noticed to be written over, tier %s, %i times', (tier, rounds) => {
  const m = machine(tier);
  // mov eax, 0; ret
  m.load([0xb8, 0, 0, 0, 0, 0xc3], PAGE);
  // Once nothing decoded is left of the page it can be written freely, until it is decoded again.
  const write = [0x88, 0x0c, 0x25, ...le32(PAGE + 1)]; // mov [PAGE + 1], cl
  const body = [
    ...write,
    ...write,
    0x8b, 0x14, 0x25, ...le32(OTHER + 8), // mov edx, [OTHER + 8]
    0xbf, ...le32(PAGE), 0xff, 0xd7, // mov edi, PAGE; call rdi
    0x8b, 0x14, 0x25, ...le32(OTHER + 8), // mov edx, [OTHER + 8]
    0x01, 0xc3, // add ebx, eax
  ]; // prettier-ignore
  const few = Math.min(rounds, 200);
  m.load([...repeat(few, body), ...store(DATA), HLT], CODE);
  m.state.gpr[3] = 0n;
  expect(m.run(100_000)).toBe(ExitReason.Halt);
  expect(m.state.gpr[3]).toBe(BigInt((few * (few + 1)) / 2));
  expect(m.ram.getUint32(DATA, true)).toBe(1);
});
