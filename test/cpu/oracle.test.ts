/** The oracle must be right before it can judge: results known from the manuals. */
import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import {
  CODE,
  CpuState,
  DATA,
  LOST,
  MIXED,
  PAGE,
  ranToHalt,
  STACK,
  type Case,
  type Patch,
  type Result,
} from './case.ts';
import { Oracle, oracleUnavailable } from './oracle.ts';

const unavailable = oracleUnavailable();
if (unavailable !== null) console.warn(`skipped: ${unavailable}`);
const native = test.skipIf(unavailable !== null);
const oracle = new Oracle();
afterAll(() => oracle.close());

const CF = 0x1n;
const PF = 0x4n;
const AF = 0x10n;
const ZF = 0x40n;
const SF = 0x80n;
const OF = 0x800n;
const ARITHMETIC = CF | PF | AF | ZF | SF | OF;

function make(
  hex: string,
  mode: 32 | 64,
  prepare: (state: CpuState) => void,
  memory: readonly Patch[] = [],
): Case {
  const state = CpuState.initial(mode);
  prepare(state);
  const code = Uint8Array.from(hex.split(' '), (byte) => parseInt(byte, 16));
  return { name: hex, mode, code, state, memory, operandSize: 4 };
}

async function run(
  hex: string,
  prepare: (state: CpuState) => void = () => {},
  { mode = 64, memory = [] }: { mode?: 32 | 64; memory?: readonly Patch[] } = {},
): Promise<Result> {
  const [result] = await oracle.run([make(hex, mode, prepare, memory)]);
  return result;
}

function completed(result: Result, code: string, start = CODE): void {
  expect(result.vector).toBe(13);
  expect(result.state.rip).toBe(BigInt(start + code.split(' ').length));
}

native('ADD sets carry, parity, adjust and zero (SDM 2, ADD)', async () => {
  const result = await run('01 c8', (state) => {
    state.setGpr(0, 0xffff_ffffn);
    state.setGpr(1, 1n);
  });
  completed(result, '01 c8');
  expect(result.state.gpr(0)).toBe(0n);
  expect(result.state.rflags & ARITHMETIC).toBe(CF | PF | AF | ZF);
});

native('SUB of the smallest integer overflows (SDM 2, SUB)', async () => {
  const result = await run('48 29 c8', (state) => {
    state.setGpr(0, 1n << 63n);
    state.setGpr(1, 1n);
    state.rflags |= CF | SF;
  });
  expect(result.state.gpr(0)).toBe((1n << 63n) - 1n);
  expect(result.state.rflags & ARITHMETIC).toBe(PF | AF | OF);
});

native('all sixteen registers, flags and RSP come through unchanged', async () => {
  const result = await run('90', (state) => {
    for (let i = 0; i < 16; i++) if (i !== 4) state.setGpr(i, 0x0101_0101_0101_0101n * BigInt(i + 1));
    state.setGpr(4, 0x1234n);
    state.rflags |= 0xcd5n;
  });
  for (let i = 0; i < 16; i++)
    expect(result.state.gpr(i)).toBe(i === 4 ? 0x1234n : 0x0101_0101_0101_0101n * BigInt(i + 1));
  expect(result.state.rflags & 0xfffn).toBe(0xed7n);
  completed(result, '90');
});

native('a divisor of zero is #DE at the instruction (SDM 2, DIV)', async () => {
  const result = await run('48 f7 f1', (state) => state.setGpr(0, 5n));
  expect(result).toMatchObject({ vector: 0, errorCode: 0 });
  expect(result.state.rip).toBe(BigInt(CODE));
  expect(result.state.gpr(0)).toBe(5n);
});

native('page faults tell address, access and presence (SDM 3A, 4.7)', async () => {
  const at = (address: number) => (state: CpuState) => state.setGpr(0, BigInt(address));
  const read = await run('8b 08', at(DATA + 2 * PAGE + 4));
  expect(read).toMatchObject({ vector: 14, errorCode: 4, cr2: BigInt(DATA + 2 * PAGE + 4) });
  const write = await run('89 08', at(DATA + 2 * PAGE));
  expect(write).toMatchObject({ vector: 14, errorCode: 6 });
  const readOnly = await run('89 08', at(MIXED + PAGE));
  expect(readOnly).toMatchObject({ vector: 14, errorCode: 7, memory: [] });
  const crossing = await run('89 08', at(DATA + 2 * PAGE - 2));
  expect(crossing).toMatchObject({ vector: 14, errorCode: 6, cr2: BigInt(DATA + 2 * PAGE), memory: [] });
  const fetch = await run('ff e0', at(DATA));
  expect(fetch).toMatchObject({ vector: 14, errorCode: 0x15, cr2: BigInt(DATA) });
  const kernel = 0xffff_fffe_1f86_29f4n;
  const jump = await run('ff e0', (state) => state.setGpr(0, kernel));
  expect(jump).toMatchObject({ vector: 14, errorCode: 0x14, cr2: kernel });
});

native('nothing is mapped but what the tests map, wherever the program that runs them lies', async () => {
  const [program] = readFileSync('/proc/self/maps', 'latin1').split('-');
  for (const address of [0x40_0000n, 0x7fff_f7ff_0000n, BigInt(`0x${program}`)]) {
    const read = await run('8b 08', (state) => state.setGpr(0, address));
    expect(read).toMatchObject({ vector: 14, errorCode: 4, cr2: address });
  }
});

native('non-canonical addresses are #GP(0), #SS(0) through RSP (SDM 1, 3.3.7.1)', async () => {
  expect((await run('8b 08', (state) => state.setGpr(0, 1n << 47n))).vector).toBe(13);
  const stack = await run('50', (state) => state.setGpr(4, 1n << 63n));
  expect(stack).toMatchObject({ vector: 12, errorCode: 0 });
});

native('#UD, #BP, INT n without privilege, #GP of HLT', async () => {
  expect((await run('0f 0b')).vector).toBe(6);
  const breakpoint = await run('cc');
  expect(breakpoint.vector).toBe(3);
  expect(breakpoint.state.rip).toBe(BigInt(CODE + 1));
  expect(await run('cd 21')).toMatchObject({ vector: 13, errorCode: 0x21 * 8 + 2 });
  expect((await run('f4')).state.rip).toBe(BigInt(CODE));
});

native('patches are in memory before, changes come back in 8-byte units', async () => {
  const result = await run('48 ff 04 25 00 10 00 61', () => {}, {
    memory: [{ address: DATA + PAGE, bytes: Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0) }],
  });
  expect(result.memory.map((patch) => patch.address)).toEqual([DATA + PAGE]);
  expect([...result.memory[0].bytes]).toEqual([0, 0, 0, 0, 1, 0, 0, 0]);
});

native('x87 registers, status and tags are loaded and stored (SDM 1, 8.1)', async () => {
  // fadd st, st(1); fstp qword [DATA + PAGE]
  const result = await run('d8 c1 dd 1c 25 00 10 00 61', (state) => {
    state.fsw = 3 << 11;
    state.ftw = 0b0001_1000;
    state.st(0).set([0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f]); // 1.0
    state.st(1).set([0, 0, 0, 0, 0, 0, 0, 0xc0, 0x00, 0x40]); // 3.0
  });
  expect(new DataView(result.memory[0].bytes.slice().buffer).getFloat64(0, true)).toBe(4);
  expect((result.state.fsw >> 11) & 7).toBe(4);
  expect(result.state.ftw).toBe(0b0001_0000);
});

native('an unmasked x87 exception arrives at the next waiting instruction (SDM 1, 8.7)', async () => {
  const result = await run('d9 e8 d9 ee de f9 9b', (state) => (state.fcw = 0x37f & ~4)); // 1 / 0, fwait
  expect(result.vector).toBe(16);
  expect(result.state.rip).toBe(BigInt(CODE + 6));
  expect(result.state.fsw & 0x84).toBe(0x84);
});

native('XMM registers and MXCSR are loaded and stored; #XM when unmasked (SDM 1, 11.5)', async () => {
  const divide = (state: CpuState): void => {
    state.xmm(0).set([0, 0, 0x80, 0x3f]);
  };
  const masked = await run('0f 5e c1', divide);
  expect([...masked.state.xmm(0).subarray(0, 4)]).toEqual([0, 0, 0x80, 0x7f]);
  expect(masked.state.mxcsr & 0x3f).toBe(0x5); // 1/0 in one lane, 0/0 in the others
  const unmasked = await run('0f 5e c1', (state) => {
    divide(state);
    state.mxcsr = 0;
  });
  expect(unmasked.vector).toBe(19);
  expect([...unmasked.state.xmm(0).subarray(0, 8)]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0]);
});

native('MOVAPS at an odd address is #GP(0) (SDM 2, MOVAPS)', async () => {
  expect(await run('0f 28 00', (state) => state.setGpr(0, BigInt(DATA + PAGE + 8)))).toMatchObject({
    vector: 13,
    errorCode: 0,
  });
});

native('AC makes unaligned accesses #AC (SDM 3A, 6.15)', async () => {
  const result = await run('8b 08', (state) => {
    state.setGpr(0, BigInt(DATA + PAGE + 1));
    state.rflags |= 0x4_0000n;
  });
  expect(result).toMatchObject({ vector: 17, errorCode: 0 });
});

native('compatibility mode: INC has one byte, addresses have 32 bits', async () => {
  const result = await run('40 a3 00 10 00 61', (state) => state.setGpr(0, 6n), { mode: 32 }); // inc eax; mov [moffs], eax
  completed(result, '40 a3 00 10 00 61');
  expect(result.state.selector(1)).toBe(0x23);
  expect(result.state.gpr(0)).toBe(7n);
  expect(result.memory[0].bytes[0]).toBe(7);
});

native('compatibility mode: faults come back too', async () => {
  const result = await run('89 08', (state) => state.setGpr(0, 0x1234_5678n), { mode: 32 });
  expect(result).toMatchObject({ vector: 14, errorCode: 6, cr2: 0x1234_5678n });
  expect((await run('ce', (state) => (state.rflags |= OF), { mode: 32 })).vector).toBe(4);
});

native('segment bases and selectors: FS override, MOV to DS', async () => {
  const load = await run('64 8b 08', (state) => {
    state.setGpr(0, 0x10n);
    state.view.setBigUint64(160, BigInt(DATA + PAGE), true);
  }, { memory: [{ address: DATA + PAGE + 16, bytes: Uint8Array.of(1, 2, 3, 4) }] }); // prettier-ignore
  expect(load.state.gpr(1)).toBe(0x0403_0201n);
  const move = await run('8e d8', (state) => state.setGpr(0, 0n));
  expect(move.state.selector(3)).toBe(0);
});

native('popping TF traps after the instruction that follows (SDM 3A, 17.3.1.4)', async () => {
  const result = await run('9d 90 90', (state) => state.setGpr(4, BigInt(STACK + 2048)), {
    memory: [{ address: STACK + 2048, bytes: Uint8Array.of(0, 1, 0, 0, 0, 0, 0, 0) }],
  });
  expect(result.vector).toBe(1);
  expect(result.state.rip).toBe(BigInt(CODE + 2));
});

native('a case that never ends is lost, its neighbours are not', async () => {
  const add = make('48 ff c0', 64, () => {});
  const forever = make('eb fe', 64, () => {});
  const results = await oracle.run([add, forever, add]);
  expect(results.map((result) => result.vector)).toEqual([13, LOST, 13]);
  expect(results[2].state.gpr(0)).toBe(1n);
});

native('a write outside the windows is reported, and gone for the next case', async () => {
  const store = make('c6 04 25 08 00 00 61 77', 64, () => {});
  const load = make('8a 04 25 08 00 00 61', 64, () => {});
  const [before] = await oracle.run([load]);
  const [stray, after] = await oracle.run([store, load]);
  expect(stray.memory.map((patch) => patch.address)).toEqual([DATA + 8]);
  expect(after.state.gpr(0)).toBe(before.state.gpr(0));
});

native('code of one case is not seen by the next', async () => {
  const long = make('90 90 90 90 90 90 90 90', 64, () => {});
  const short = make('90', 64, () => {});
  const results = await oracle.run([long, short]);
  expect(results[1].state.rip).toBe(BigInt(CODE + 1));
  expect(ranToHalt(short, results[1])).toBe(true);
});

native('thousands of cases in one call keep their order', async () => {
  const cases = Array.from({ length: 3000 }, (_, i) =>
    make('48 ff c0', 64, (state) => state.setGpr(0, BigInt(i))),
  );
  const results = await oracle.run(cases);
  expect(results.every((result, i) => result.state.gpr(0) === BigInt(i + 1))).toBe(true);
});
