/** Regions that are made again, larger. */
import { expect, test } from 'vitest';
import { ExitReason } from '../../contract.ts';
import { type BareMachine, bareMachine, CODE, le32, NO_INTERRUPTS, STACK, TABLES } from '../bare-machine.ts';

const FIRST = 0x2_0000;
const LAST = 0x1_0000;
const PIECES = 40;
const ROUNDS = 200_000;

/** A loop of pieces that jump to each other, so far apart: more than a region has at first. */
function load(apart: number, tier?: string): BareMachine {
  const m = bareMachine(NO_INTERRUPTS, { tier });
  const jump = (from: number, to: number) => [0xe9, ...le32(to - (from + 5))];
  for (let i = 0; i < PIECES; i++) {
    const at = FIRST + apart * i;
    // add rax, i; lea rbx, [rbx + rax]; rol rbx, 1; jmp to the next
    const body = [0x48, 0x83, 0xc0, i, 0x48, 0x8d, 0x1c, 0x03, 0x48, 0xd1, 0xc3];
    const next = i + 1 < PIECES ? at + apart : LAST;
    for (const [n, byte] of [...body, ...jump(at + body.length, next)].entries())
      m.ram.setUint8(at + n, byte);
  }
  // dec ecx; jnz to the first; hlt
  const last = [0xff, 0xc9, 0x0f, 0x85, ...le32(FIRST - (LAST + 8)), 0xf4];
  for (const [n, byte] of last.entries()) m.ram.setUint8(LAST + n, byte);
  // mov ecx, ROUNDS
  m.load([0xb9, ...le32(ROUNDS), ...jump(CODE + 5, FIRST)]);
  return m;
}

test.each([
  ['on one page', 0x20],
  ['on many pages', 0x1000],
])('a loop that most is run in, %s', (_where, apart) => {
  const m = load(apart);
  expect(m.run(100_000)).toBe(ExitReason.Halt);
  const plain = load(apart, '0');
  expect(plain.run(100_000)).toBe(ExitReason.Halt);
  expect(m.state.gpr).toEqual(plain.state.gpr);
  expect(m.cpu.statistics()['regions dropped: a larger one there']).toBeGreaterThan(0);
});

test('what has grown is dropped when its code is written', () => {
  const m = load(0x20);
  m.run(100_000);
  expect(m.cpu.statistics()['regions dropped: a larger one there']).toBeGreaterThan(0);
  // The guest itself has the first piece add 100, and goes round once more.
  const store = [0xc6, 0x04, 0x25, ...le32(FIRST + 3), 100, 0x31, 0xc0, 0xb9, ...le32(1)];
  const from = CODE + 0x800;
  m.load([...store, 0xe9, ...le32(FIRST - (from + store.length + 5))], from);
  expect(m.run(100_000)).toBe(ExitReason.Halt);
  const sum = Array.from({ length: PIECES }, (_, i) => i).reduce((a, b) => a + b);
  expect(m.state.gpr[0]).toBe(BigInt(sum + 100));
});

test('a loop that most is run in goes on into what it calls', () => {
  const m = bareMachine(NO_INTERRUPTS);
  // add rax, rcx; ret
  m.load([0x48, 0x01, 0xc8, 0xc3], FIRST);
  // mov esp, LAST; mov ecx, ROUNDS; again: call FIRST; dec ecx; jnz again; hlt
  const before = [0xbc, ...le32(LAST), 0xb9, ...le32(ROUNDS)];
  const again = CODE + before.length;
  m.load([...before, 0xe8, ...le32(FIRST - (again + 5)), 0xff, 0xc9, 0x75, 0xf7, 0xf4]);
  expect(m.run(100_000)).toBe(ExitReason.Halt);
  expect(m.state.gpr[0]).toBe((BigInt(ROUNDS) * BigInt(ROUNDS + 1)) / 2n);
  expect(m.cpu.statistics()['regions compiled']).toBe(1);
});

test('what is called from afar, and lies elsewhere later, leaves the region of its caller as it is', () => {
  const m = bareMachine(NO_INTERRUPTS);
  const tables = 0x3_0000;
  const call = (slot: number): void => {
    // Mapped 512 GiB, or twice that, above, in place of where it was.
    for (const n of [1, 2]) m.ram.setUint32(TABLES + 8 * n, n === slot ? tables | 7 : 0, true);
    m.state.gpr[0] = 0x80_0000_0000n * BigInt(slot);
    m.state.gpr[1] = BigInt(ROUNDS);
    m.state.gpr[2] = 0n;
    m.state.gpr[3] = BigInt(TABLES);
    m.state.gpr[4] = BigInt(STACK);
    m.state.rip = BigInt(CODE);
    m.state.activity = 0;
    expect(m.run(100_000)).toBe(ExitReason.Halt);
    expect(m.state.gpr[2]).toBe((BigInt(ROUNDS) * BigInt(ROUNDS + 1)) / 2n);
  };
  for (const [i, entry] of [tables + 0x1000, tables + 0x2000, FIRST].entries())
    m.ram.setUint32(tables + 0x1000 * i, entry | 7, true);
  // add rdx, rcx; lea rsi, [rdx + rcx]; lea rdi, [rsi + rdx]; ret
  m.load([0x48, 0x01, 0xca, 0x48, 0x8d, 0x34, 0x0a, 0x48, 0x8d, 0x3c, 0x16, 0xc3], FIRST);
  // mov cr3, rbx; again: call rax; dec ecx; lea rsi, [rcx + rcx]; test ecx, ecx; jnz again; hlt
  m.load([0x0f, 0x22, 0xdb, 0xff, 0xd0, 0xff, 0xc9, 0x48, 0x8d, 0x34, 0x09, 0x85, 0xc9, 0x75, 0xf4, 0xf4]);
  call(1);
  call(2);
  expect(m.cpu.statistics()['regions dropped: mapped elsewhere']).toBe(0);
  expect(m.cpu.statistics()['regions compiled']).toBe(2);
});
