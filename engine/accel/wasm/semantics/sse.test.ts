import { expect, test } from 'vitest';
import { parseRows, type Row } from '../decode/rows.ts';
import { SSE_ROWS } from '../decode/table-sse.ts';
import { gpr, imm, mem, mmx, SimdMachine, xmm, type TestForm } from './simd-harness.ts';

/** The forms of a row: each combination of register or memory operand, operand size, and knowledge of the immediate. */
function forms(row: Row): TestForm[] {
  const all: TestForm[] = [];
  const rm = row.operands.some((o) => 'EWQM'.includes(o.where)) && row.mod !== 'r';
  const memories =
    row.operands.some((o) => o.where === 'M') || row.mod === 'm' ? [true] : rm ? [false, true] : [false];
  for (const memory of memories) {
    const operands = row.operands.map((o, i) => {
      if (o.where === 'I') return imm;
      if (memory && 'EWQM'.includes(o.where)) return mem;
      if ('PQN'.includes(o.where)) return mmx(i);
      return 'EGR'.includes(o.where) ? gpr(i) : xmm(i);
    });
    const sizes =
      row.attributes.sized || row.operands.some((o) => o.size === 'y') ? ([4, 8] as const) : ([4] as const);
    for (const size of sizes) {
      all.push({ name: row.name, operands, size });
      if (operands.includes(imm)) all.push({ name: row.name, operands, size, constant: 0x5b });
    }
  }
  return all;
}

const ROWS = parseRows(SSE_ROWS);

test('every row of the table has a meaning that is valid WebAssembly in all its forms', () => {
  const all = ROWS.flatMap(forms);
  expect(all.length).toBeGreaterThan(500);
  expect(() => new SimdMachine(all)).not.toThrow();
});
