/** Entries of page tables. Intel SDM 3A, 4.3 to 4.5. */

/** Physical address width: what CPUID leaf 0x80000008 says. */
export const PHYSICAL_BITS = 40;

/** Bits of an entry, in its low half. */
export const PTE = { P: 1, W: 2, U: 4, A: 0x20, D: 0x40, PS: 0x80, G: 0x100 } as const;

/** Of an entry of eight bytes: nothing is run there. Reserved where EFER.NXE is clear. */
export const PTE_XD = 2n ** 63n;

/** Bits 51 to PHYSICAL_BITS of an entry, of eight bytes, which are reserved. */
export const RESERVED_BITS = 2n ** 52n - 2n ** BigInt(PHYSICAL_BITS);
/** Its bits that say where something lies. */
export const FRAME_BITS = 2n ** BigInt(PHYSICAL_BITS) - 4096n;

/** Of the pages of 2 MiB and 1 GiB: log2 of their bytes. */
export const LARGE_PAGE_SHIFT = 21;
export const HUGE_PAGE_SHIFT = 30;
