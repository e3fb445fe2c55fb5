/** Code that is written over: by string instructions, which write a page at a time, and by way of translations that are older
 * than the code. */
import { expect, test } from 'vitest';
import { ExitReason } from '../contract.ts';
import { bareMachine, CODE, le32, NO_INTERRUPTS, TABLES } from './bare-machine.ts';

/** The page that is written over, a function in its middle, and what is copied there. */
const PAGE = 0x2_0000;
const FUNCTION = PAGE + 0x800;
const SOURCE = 0x3_0000;
/** Bytes of an element, and the instruction. */
const FORMS = [
  ['rep stosb', 1, [0xf3, 0xaa]],
  ['rep stosw', 2, [0xf3, 0x66, 0xab]],
  ['rep stosd', 4, [0xf3, 0xab]],
  ['rep stosq', 8, [0xf3, 0x48, 0xab]],
  ['rep movsb', 1, [0xf3, 0xa4]],
  ['rep movsq', 8, [0xf3, 0x48, 0xa5]],
] as const;
/** As far as before the function, and as far as behind it, by what begins in the page before. */
const EXTENTS = [
  [PAGE, 0x800, 1n],
  [PAGE, 0x1000, 7n],
  [PAGE - 0x400, 0x1000, 7n],
  [PAGE - 0x400, 0x2400, 7n],
] as const;

const cases = FORMS.flatMap(([name, bytes, code]) =>
  EXTENTS.flatMap(([from, size, result]) =>
    ['0', '1', 'eager'].map((tier) => ({ name, bytes, code, from, size, result, tier })),
  ),
);

test.each(cases)(
  '$name over $size bytes from $from, tier $tier',
  ({ bytes, code, from, size, result, tier }) => {
    const m = bareMachine(NO_INTERRUPTS, { tier });
    const RET = 0xc3;
    // mov eax, 1; ret
    for (const [i, byte] of [0xb8, ...le32(1), RET].entries()) m.ram.setUint8(FUNCTION + i, byte);
    for (let i = 0; i < 0x3000; i++) m.ram.setUint8(SOURCE + i, RET);
    const program: number[] = [];
    const call = () => program.push(0xe8, ...le32(FUNCTION - (CODE + program.length + 5)));
    call();
    // mov ebx, eax; mov edi, from; mov esi, SOURCE; mov ecx, elements; mov rax, a ret in every byte
    program.push(0x89, 0xc3, 0xbf, ...le32(from), 0xbe, ...le32(SOURCE), 0xb9, ...le32(size / bytes));
    program.push(0x48, 0xb8, ...Array<number>(8).fill(RET), ...code);
    // mov eax, 7
    program.push(0xb8, ...le32(7));
    call();
    program.push(0xf4);
    m.load(program);
    expect(m.run()).toBe(ExitReason.Halt);
    expect(m.state.gpr[3]).toBe(1n);
    expect(m.state.gpr[0]).toBe(result);
  },
);

const ALIAS = 0x2_8000;

test.each(
  ['0', '1', 'eager'].flatMap((tier) =>
    [PAGE, ALIAS].map((page) => [page.toString(16), tier, page] as const),
  ),
)(
  'a page that has been written, by way of %s, is run, written and run again, tier %s',
  (_name, tier, page) => {
    const m = bareMachine(NO_INTERRUPTS, { tier });
    m.ram.setUint32(TABLES + 0x3000 + 8 * (ALIAS >> 12), PAGE | 7, true);
    // mov eax, …; ret
    for (const [i, byte] of [0xb8, ...le32(0), 0xc3].entries()) m.ram.setUint8(FUNCTION + i, byte);
    const program: number[] = [];
    const call = () => program.push(0xe8, ...le32(FUNCTION - (CODE + program.length + 5)));
    // mov dword [its result], value
    const write = (value: number) =>
      program.push(0xc7, 0x04, 0x25, ...le32(page + FUNCTION - PAGE + 1), ...le32(value));
    write(1);
    call();
    // mov ebx, eax
    program.push(0x89, 0xc3);
    write(7);
    call();
    program.push(0xf4);
    m.load(program);
    expect(m.run()).toBe(ExitReason.Halt);
    expect([m.state.gpr[3], m.state.gpr[0]]).toEqual([1n, 7n]);
  },
);
