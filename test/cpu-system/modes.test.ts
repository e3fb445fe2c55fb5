import { describe, expect, test } from 'vitest';
import { canAssemble, runGuest } from './guest.ts';

describe.skipIf(!canAssemble)('changes of mode', () => {
  test('real to protected to 16-bit protected and back, with a limit kept: unreal mode (SDM 3A, 9.9, 21.1.1)', () => {
    const run = runGuest(`
        PROTECTED
        REPORT 0x32
        jmp 0x38:in16
        bits 16
in16:   REPORT 0x16
        mov eax, cr0
        and al, 0xfe
        mov cr0, eax
        jmp 0:real
real:   xor ax, ax
        mov ds, ax
        mov ss, ax
        ; DS keeps its limit of 4 GiB.
        mov dword [dword 0x200000], 0xabcd
        mov eax, [dword 0x200000]
        out 0xf0, eax
        mov ax, 0x1000
        mov ds, ax
        mov dword [0x10], 0x1234
        mov eax, [cs:0x9000]
        hlt`);
    expect(run.end).toBe('halt');
    expect(run.reports).toEqual([0x32, 0x16, 0xabcd]);
    expect(run.ram.getUint32(0x1_0010, true)).toBe(0x1234);
  });

  test('long mode, compatibility mode, and out again (SDM 3A, 9.8.5)', () => {
    const run = runGuest(`
        LONG
        mov rax, 0x1122334455667788
        shr rax, 32
        out 0xf0, eax
        mov ecx, 0xc0000080
        rdmsr
        out 0xf0, eax
        push 0x08
        push compat
        retfq
        bits 32
compat: mov eax, 1
        dec eax                 ; 48: a REX prefix in 64-bit mode
        out 0xf0, eax
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov ecx, 0xc0000080
        rdmsr
        out 0xf0, eax
        hlt`);
    expect(run.end).toBe('halt');
    expect(run.reports).toEqual([0x11223344, 0xd01, 0, 0x901]);
  });

  test('PAE paging outside long mode (SDM 3A, 4.4)', () => {
    const run = runGuest(`
        PROTECTED
        call build_tables
        ; PDPTEs have no writable and user bits.
        mov dword [PML4 + 0x1000], PML4 + 0x2001
        mov dword [PML4 + 0x2000 + 8 * 2], 0x600083
        mov eax, 1 << 5
        mov cr4, eax
        mov eax, PML4 + 0x1000
        mov cr3, eax
        mov eax, cr0
        or eax, 1 << 31
        mov cr0, eax
        mov dword [0x400123], 0x77
        REPORT [0x600123]
        hlt`);
    expect(run.end).toBe('halt');
    expect(run.reports).toEqual([0x77]);
  });

  test('32-bit paging with a 4 MiB page (SDM 3A, 4.3)', () => {
    const run = runGuest(`
        PROTECTED
        mov dword [0x70000], 0x83
        mov dword [0x70004], 0x800083
        mov eax, 1 << 4
        mov cr4, eax
        mov eax, 0x70000
        mov cr3, eax
        mov eax, cr0
        or eax, 1 << 31
        mov cr0, eax
        mov dword [0x400010], 0x55
        TRY mov eax, [0x800000]
        mov eax, cr2
        out 0xf0, eax
        hlt`);
    expect(run.reports).toEqual([0xe_0000, 0x80_0000]);
    expect(run.ram.getUint32(0x80_0010, true)).toBe(0x55);
  });

  test('5-level paging widens what is canonical (SDM 3A, 4.5, 3.3.7.1)', () => {
    const run = runGuest(`
        LONG
        TRY mov rax, [qword 0x800000000000]
        push 0x08
        push compat
        retfq
        bits 32
compat: mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov dword [0x7f000], PML4 + 7
        mov dword [0x7f004], 0
        mov dword [0x7f008], PML4 + 7
        mov dword [0x7f00c], 0
        mov eax, 0x7f000
        mov cr3, eax
        mov eax, cr4
        or eax, 1 << 12
        mov cr4, eax
        mov eax, cr0
        or eax, 1 << 31
        mov cr0, eax
        jmp 0x40:again
        bits 64
again:  mov rbx, 1 << 48
        mov dword [0x300000], 0x99
        mov eax, [rbx + 0x300000]
        out 0xf0, eax
        TRY mov rax, [qword 0x100000000000000]
        hlt`);
    expect(run.end).toBe('halt');
    expect(run.reports).toEqual([0xd_0000, 0x99, 0xd_0000]);
  });

  test('a triple fault shuts the processor down (SDM 3A, 6.15)', () => {
    const run = runGuest(`
        PROTECTED
        lidt [none]
        ud2
none:   dw 0
        dd 0`);
    expect(run.end).toBe('shutdown');
  });
});
