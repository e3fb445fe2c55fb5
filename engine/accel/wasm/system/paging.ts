/**
 * What loading CR3 checks.
 *
 * Intel SDM 3A, 4.4.1 (PDPTE registers), table 4-8; 4.5 (CR3).
 */
import { type Cpu, GuestFault, Vector } from './cpu.ts';
import { Cr0, cr0, Cr4, cr4, isLongMode } from './registers.ts';

/** Whether paging is on in the PAE form, with its four page-directory-pointer entries. */
export const usesPae = (state: Cpu['state']): boolean =>
  (cr0(state) & Cr0.PG) !== 0 && (cr4(state) & Cr4.PAE) !== 0 && !isLongMode(state);

/**
 * Checks the four page-directory-pointer entries at a CR3 value, which PAE paging loads with it.
 * @throws GuestFault #GP(0) where a present one has a reserved bit set
 */
export function checkPdptes(cpu: Cpu, cr3: bigint): void {
  const table = Number(cr3 & 0xffff_ffe0n);
  const highReserved = ~((1 << (cpu.model.physicalBits - 32)) - 1);
  for (let entry = 0; entry < 4; entry++) {
    const low = cpu.physical.read32(table + 8 * entry);
    if ((low & 1) === 0) continue;
    const high = cpu.physical.read32(table + 8 * entry + 4);
    // Bits 1, 2, 5-8 and those beyond the physical address width.
    if ((low & 0x1e6) !== 0 || (high & highReserved) !== 0) throw new GuestFault(Vector.GP, 0);
  }
}
