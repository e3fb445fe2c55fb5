/** SYSCALL and SYSRET as emitted code does them, beside TypeScript, which does them all while there is a breakpoint. */
import { afterEach, expect, test, vi } from 'vitest';
import { Random } from '../../base/random.ts';
import { loadSegment } from '../../vcpu/segment.ts';
import { Flag, Gpr, Seg, type VcpuState } from '../../vcpu/state.ts';
import { ExitReason } from '../contract.ts';
import { bareMachine, type BareMachine, CODE, le32, NO_INTERRUPTS, TABLES } from './bare-machine.ts';
import { type ComplexInstruction, complexInstructions } from './system/cpu.ts';
import { ALL_FLAGS, readFlags, writeFlags } from './system/flags.ts';

const SYSCALL = [0x0f, 0x05];
const SYSRET = [0x48, 0x0f, 0x07];
/** jmp to itself */
const STAY = [0xeb, 0xfe];
const TARGET = 0x5000;
/** DR7: breakpoint 0 is enabled, for instructions. */
const WATCH = 2n;
const FLAGS = ALL_FLAGS & ~(Flag.TF | Flag.VM | Flag.VIP | Flag.VIF);
const SEGMENT_FIELDS = [
  'segBase', 'segSelector', 'segLimit', 'segAttr', 'segReadLo', 'segReadHi', 'segWriteLo', 'segWriteHi',
] as const; // prettier-ignore

afterEach(() => vi.restoreAllMocks());

/** All that the two instructions may change, and what can be seen of it. */
const seen = (state: VcpuState): unknown => [
  Array.from(state.gpr),
  state.rip,
  readFlags(state),
  state.cpl,
  SEGMENT_FIELDS.map((field) => Array.from(state[field] as ArrayLike<number | bigint>)),
];

/** A machine at an instruction of 64-bit code at a privilege; other code jumps to itself at {@link TARGET}. */
function machine(code: readonly number[], privilege: number, random: Random): BareMachine {
  const m = bareMachine(NO_INTERRUPTS, { tier: '0' });
  m.load(STAY, TARGET);
  m.load(code);
  const { state } = m;
  const dpl = privilege << 5;
  loadSegment(state, Seg.CS, { selector: 8 | privilege, base: 0n, limit: 0xffff_ffff, attr: 0xa09b | dpl });
  loadSegment(state, Seg.SS, { selector: 16 | privilege, base: 0n, limit: 0xffff_ffff, attr: 0xc093 | dpl });
  state.cpl = privilege;
  for (let n = 0; n < 16; n++) state.gpr[n] = random.next64();
  state.star = random.next64();
  state.lstar = BigInt(TARGET);
  state.sfmask = BigInt(random.next() & ~(random.oneIn(2) ? Flag.IF : 0));
  state.gpr[Gpr.RCX] = BigInt(TARGET);
  state.gpr[Gpr.R11] = BigInt(random.next() & ~(Flag.TF | (random.oneIn(4) ? 0 : Flag.AC)));
  writeFlags(state, random.next() & FLAGS & ~(random.oneIn(4) ? 0 : Flag.AC));
  return m;
}

/** The ways of the same instruction: from the beginning, once the processor has seen a user, and with a breakpoint. */
function both(code: readonly number[], privilege: number, seed: number): [fast: VcpuState, slow: VcpuState] {
  const run = (prepare: (m: BareMachine) => void): VcpuState => {
    const m = machine(code, privilege, new Random(seed));
    const { cpl } = m.state;
    // So that nobody waits for the first instruction of a user.
    const flags = readFlags(m.state);
    m.state.cpl = 3;
    m.state.flagsSys = 0;
    m.state.rip = BigInt(TARGET);
    m.run(2);
    m.state.cpl = cpl;
    writeFlags(m.state, flags);
    m.state.rip = BigInt(CODE);
    prepare(m);
    expect(m.run(2)).toBe(ExitReason.Interrupted);
    return m.state;
  };
  const fast = run(() => {});
  const slow = run(({ state }) => {
    state.dr[0] = 0x7fff_0000n;
    state.dr[7] = WATCH;
  });
  return [fast, slow];
}

test.each([
  ['SYSCALL', SYSCALL, 3],
  ['SYSCALL from the supervisor', SYSCALL, 0],
  ['SYSRET', SYSRET, 0],
  ['SYSRET to 32-bit code', SYSRET.slice(1), 0],
] as const)('%s: emitted and in TypeScript alike', (_name, code, privilege) => {
  for (let seed = 1; seed <= 60; seed++) {
    const [fast, slow] = both(code, privilege, seed);
    expect(seen(fast), `seed ${seed}`).toEqual(seen(slow));
    expect(fast.rip).toBe(BigInt(TARGET));
  }
});

test.each([
  ['0', 50],
  ['1', 100_000],
  ['eager', 1000],
])('what the supervisor has run is not for the user to jump to, tier %s, %i times', (tier, rounds) => {
  const SUPERVISOR = 0x6000;
  let slow = 0;
  vi.spyOn(complexInstructions, 'get').mockImplementation((name) => {
    const run = Map.prototype.get.call(complexInstructions, name) as ComplexInstruction;
    return /^sys(call|ret)_slow$/.test(name) ? (...all) => (slow++, run(...all)) : run;
  });
  const m = bareMachine(NO_INTERRUPTS, { tier });
  m.ram.setUint32(TABLES + 0x3000 + 8 * (SUPERVISOR >> 12), SUPERVISOR | 3, true);
  m.load(SYSRET, SUPERVISOR);
  // mov ebx, rounds; l: syscall; dec ebx; jnz l; jmp to the supervisor's page
  const code = [0xbb, ...le32(rounds), ...SYSCALL, 0xff, 0xcb, 0x75, 0xfa, 0xe9];
  m.load([...code, ...le32(SUPERVISOR - (CODE + code.length + 4))]);
  m.state.star = 0x0023_0010_0000_0000n;
  m.state.lstar = BigInt(SUPERVISOR);
  m.state.cpl = 3;
  expect(m.run(100_000)).toBe(ExitReason.Shutdown);
  expect([m.state.gpr[Gpr.RBX], m.state.cr2]).toEqual([0n, BigInt(SUPERVISOR)]);
  // Emitted code asks TypeScript until it has been seen that there is a user.
  expect(slow).toBeLessThan(5);
});
