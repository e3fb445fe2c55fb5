/** The guest of the probe: its tables and machine code, as they lie in 64 KiB of guest memory. */

export const RAM_BYTES = 0x1_0000;

/** Guest-physical addresses. */
export const codeAt = {
  pml4: 0x1000, pdpt: 0x2000, pd: 0x3000, idt: 0x4000, gdt: 0x5000, entry: 0x6000, long: 0x6100, handler: 0x6200,
  stack: 0x9000,
} as const; // prettier-ignore

/** Where the guest's data lies, and what it starts with. */
export const DATA = { addends: 0x8000, sum: 0x8010, pair: 0x8020, addend: 0x1234_5678_9abc_def0n } as const;

/** Ports that the guest writes to: after the exchange of 16 bytes, 1 where it took place; from the interrupt
 * handler, the vector. */
export const PORT = { exchanged: 0x10, interrupted: 0x11 } as const;

const VECTOR = 0x40;

const dword = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

/** Protected mode: PAE, SSE and long mode are switched on, then paging. */
const ENTRY = [
  0xb8, ...dword(0x620), 0x0f, 0x22, 0xe0, // mov eax, PAE | OSFXSR | OSXMMEXCPT; mov cr4, eax
  0xb8, ...dword(codeAt.pml4), 0x0f, 0x22, 0xd8, // mov eax, pml4; mov cr3, eax
  0xb9, ...dword(0xc000_0080), 0x0f, 0x32, // mov ecx, EFER; rdmsr
  0x0d, ...dword(0x100), 0x0f, 0x30, // or eax, LME; wrmsr
  0x0f, 0x20, 0xc0, 0x0d, ...dword(0x8000_0000), 0x0f, 0x22, 0xc0, // mov eax, cr0; or eax, PG; mov cr0, eax
  0xea, ...dword(codeAt.long), 0x08, 0x00, // jmp 8:long
]; // prettier-ignore

const LONG = [
  0xf3, 0x0f, 0x6f, 0x04, 0x25, ...dword(DATA.addends), // movdqu xmm0, [addends]
  0x66, 0x0f, 0xd4, 0xc0, // paddq xmm0, xmm0
  0xf3, 0x0f, 0x7f, 0x04, 0x25, ...dword(DATA.sum), // movdqu [sum], xmm0
  0xb8, ...dword(1), 0xba, ...dword(2), 0xbb, ...dword(3), 0xb9, ...dword(4), // mov eax, 1; edx, 2; ebx, 3; ecx, 4
  0xf0, 0x48, 0x0f, 0xc7, 0x0c, 0x25, ...dword(DATA.pair), // lock cmpxchg16b [pair]
  0x0f, 0x94, 0xc0, // sete al
  0xe6, PORT.exchanged, // out exchanged, al
  0xfb, // sti
  0xf3, 0x90, 0xeb, 0xfc, // again: pause; jmp again
]; // prettier-ignore

const HANDLER = [
  0xb0, VECTOR, 0xe6, PORT.interrupted, // mov al, vector; out interrupted, al
  0xf4, // hlt
]; // prettier-ignore

/** Writes the guest into its memory. */
export function writeGuest(ram: DataView): void {
  const bytes = new Uint8Array(ram.buffer, ram.byteOffset, ram.byteLength);
  bytes.set(ENTRY, codeAt.entry);
  bytes.set(LONG, codeAt.long);
  bytes.set(HANDLER, codeAt.handler);
  const quad = (address: number, value: bigint): void => ram.setBigUint64(address, value, true);
  // Present and writable, the last a page of 2 MiB.
  quad(codeAt.pml4, BigInt(codeAt.pdpt) | 3n);
  quad(codeAt.pdpt, BigInt(codeAt.pd) | 3n);
  quad(codeAt.pd, 0x83n);
  // Null, 64-bit code, data, 32-bit code.
  quad(codeAt.gdt + 8, 0x00af_9b00_0000_ffffn);
  quad(codeAt.gdt + 16, 0x00cf_9300_0000_ffffn);
  quad(codeAt.gdt + 24, 0x00cf_9b00_0000_ffffn);
  // A 64-bit interrupt gate (SDM 3A, 7.14.1); the handler lies below 64 KiB.
  quad(codeAt.idt + 16 * VECTOR, BigInt(codeAt.handler) | (8n << 16n) | (0x8en << 40n));
  quad(DATA.addends, DATA.addend);
  quad(DATA.addends + 8, 0n);
  quad(DATA.pair, 1n);
  quad(DATA.pair + 8, 2n);
}
