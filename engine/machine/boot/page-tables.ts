/**
 * Identity-mapped page tables for a long-mode entry: the first 4 GiB in pages of 2 MiB.
 *
 * Intel SDM 3A, 4.5 "4-level paging".
 */
import type { GuestMemory } from './guest-memory.ts';

const PAGE = 4096;
const GIBIBYTES = 4;
const ENTRIES = 512;

/** Bytes that {@link writeIdentityTables} needs, page-aligned: PML4, PDPT and four page directories. */
export const IDENTITY_TABLE_BYTES = (2 + GIBIBYTES) * PAGE;

const ENTRY = { Present: 1n << 0n, Writable: 1n << 1n, LargePage: 1n << 7n } as const;

/** Writes the tables at `address`, which is then what CR3 holds. */
export function writeIdentityTables(memory: GuestMemory, address: number): void {
  const tables = new DataView(new ArrayBuffer(IDENTITY_TABLE_BYTES));
  const set = (table: number, index: number, entry: bigint) =>
    tables.setBigUint64(table * PAGE + index * 8, entry | ENTRY.Present | ENTRY.Writable, true);
  set(0, 0, BigInt(address + PAGE));
  for (let gibibyte = 0; gibibyte < GIBIBYTES; gibibyte++) {
    set(1, gibibyte, BigInt(address + (2 + gibibyte) * PAGE));
    for (let i = 0; i < ENTRIES; i++) {
      set(2 + gibibyte, i, (BigInt(gibibyte * ENTRIES + i) << 21n) | ENTRY.LargePage);
    }
  }
  memory.write(address, new Uint8Array(tables.buffer));
}
