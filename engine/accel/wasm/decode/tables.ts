/** The whole opcode table, indexed for the decoder. */
import { parseRows, type Row } from './rows.ts';
import { INTEGER_ROWS } from './table-integer.ts';
import { SSE_ROWS } from './table-sse.ts';
import { STATE_ROWS } from './table-state.ts';
import { SYSTEM_ROWS } from './table-system.ts';
import { VEX_ROWS } from './table-vex.ts';
import { X87_ROWS } from './table-x87.ts';

/** Every row. */
export const rows: readonly Row[] = [
  INTEGER_ROWS,
  SYSTEM_ROWS,
  STATE_ROWS,
  X87_ROWS,
  SSE_ROWS,
  VEX_ROWS,
].flatMap(parseRows);

const RANK = { f3: 0, f2: 0, '66': 1, np: 2, '': 3 };
/** More particular rows come first: a whole modrm byte before an extension, a mandatory prefix before none. */
const rank = (row: Row): number => RANK[row.prefix] * 4 + (row.modrm >= 0 ? 0 : row.mod !== '' ? 1 : 2);

function indexRows(vex: boolean): Row[][] {
  const index: Row[][] = Array.from({ length: 4 * 256 }, () => []);
  for (const row of rows) {
    if (row.vex !== vex) continue;
    for (let i = 0; i < (row.plus ? 8 : 1); i++) index[row.map * 256 + row.opcode + i]!.push(row);
  }
  for (const list of index) list.sort((a, b) => rank(a) - rank(b));
  return index;
}

/** Candidate rows by map × 256 + opcode, in order of preference. */
export const legacyIndex: readonly (readonly Row[])[] = indexRows(false);
export const vexIndex: readonly (readonly Row[])[] = indexRows(true);
