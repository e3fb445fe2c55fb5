import { describe, expect, test } from 'vitest';
import { canAssemble, fault, FINE, runGuest } from './guest.ts';

const GP = 13, PF = 14; // prettier-ignore
/** Error-code bits of #PF (SDM 3A, 4.7). */
const P = 1, W = 2, U = 4, RSVD = 8, I = 16; // prettier-ignore

/** Sets the entry of a 4 KiB page, here page 0x100000 and up, and drops its translation. */
const MACROS = String.raw`
%macro MAP 2
        mov rax, %2
        mov [PT + 8 * (%1 >> 12)], rax
        invlpg [%1]
%endmacro
`;

/** A second set of tables, which differs in what 0x100000 is mapped to: 0x110000 in the first, 0x120000 in it. */
const SPACES = String.raw`
%define PML4B   0x78000
%macro TWO_SPACES 0
        mov esi, PML4
        mov edi, PML4B
        mov ecx, 0x4000 / 8
        rep movsq
        mov dword [PML4B], PML4B + 0x1007
        mov dword [PML4B + 0x1000], PML4B + 0x2007
        mov dword [PML4B + 0x2000], PML4B + 0x3007
        mov dword [PT + 8 * 0x100], 0x110007
        mov dword [PML4B + 0x3000 + 8 * 0x100], 0x120007
        mov rax, cr3
        mov cr3, rax
        mov rax, cr4
        or eax, 1 << 17
        mov cr4, rax
%endmacro
`;

describe.skipIf(!canAssemble)('paging', () => {
  test('accessed and dirty bits (SDM 3A, 4.8)', () => {
    const run = runGuest(`${MACROS}
        LONG
        MAP 0x100000, 0x100007
        REPORT [PT + 8 * 0x100]
        mov eax, [0x100000]
        REPORT [PT + 8 * 0x100]
        mov [0x100000], eax
        REPORT [PT + 8 * 0x100]
        hlt`);
    expect(run.reports).toEqual([0x10_0007, 0x10_0027, 0x10_0067]);
  });

  test('rights by CPL, CR0.WP and the error code (SDM 3A, 4.6, 4.7)', () => {
    const run = runGuest(`${MACROS}
        LONG
        MAP 0x100000, 0
        TRY mov eax, [0x100000]
        TRY mov [0x100000], eax
        USER mov eax, [0x100000]
        MAP 0x100000, 0x100003
        USER mov eax, [0x100000]
        USER mov [0x100000], eax
        MAP 0x100000, 0x100005
        USER mov [0x100000], eax
        USER mov eax, [0x100000]
        TRY mov [0x100000], eax
        mov rax, cr0
        or eax, 1 << 16
        mov cr0, rax
        TRY mov [0x100000], eax
        MAP 0x100000, (1 << 51) | 0x100007
        TRY mov eax, [0x100000]
        hlt`);
    expect(run.reports).toEqual([
      fault(PF),
      fault(PF, W),
      fault(PF, U),
      fault(PF, U | P),
      fault(PF, U | P | W),
      fault(PF, U | P | W),
      FINE,
      FINE,
      fault(PF, P | W),
      fault(PF, P | RSVD),
    ]);
  });

  test('no-execute needs EFER.NXE, without it the bit is reserved (SDM 3A, 4.6)', () => {
    const run = runGuest(`${MACROS}
        LONG
        mov byte [0x100000], 0xc3
        MAP 0x100000, (1 << 63) | 0x100007
        TRY mov eax, [0x100000]
        mov ecx, 0x100000
        TRY call rcx
        mov ecx, 0xc0000080
        rdmsr
        and eax, ~0x800
        wrmsr
        TRY mov eax, [0x100000]
        hlt`);
    expect(run.reports).toEqual([FINE, fault(PF, P | I), fault(PF, P | RSVD)]);
  });

  test('SMEP and SMAP keep the supervisor from user pages, AC lets data through (SDM 3A, 4.6)', () => {
    const run = runGuest(`${MACROS}
        LONG
        mov byte [0x100000], 0xc3
        ; Everything the kernel uses becomes a supervisor page.
        mov edi, PT
        mov ecx, 512
.next:  and byte [rdi], ~4
        add edi, 8
        loop .next
        mov rax, cr3
        mov cr3, rax
        MAP 0x100000, 0x100007
        mov ecx, 0x100000
        TRY call rcx
        mov rax, cr4
        or eax, 1 << 20
        mov cr4, rax
        mov ecx, 0x100000
        TRY call rcx
        mov rax, cr4
        or eax, 1 << 21
        mov cr4, rax
        TRY mov eax, [0x100000]
        stac
        TRY mov eax, [0x100000]
        clac
        TRY mov [0x100000], eax
        hlt`);
    // The first call returns, and falls into the INT of TRY.
    expect(run.reports).toEqual([FINE, fault(PF, P | I), fault(PF, P), FINE, fault(PF, P | W)]);
  });

  test('code that the supervisor has just run is not run by the user without the right (SDM 3A, 4.6)', () => {
    const run = runGuest(`${MACROS}
        LONG
        mov byte [0x100000], 0xc3
        MAP 0x100000, 0x100003
        mov ebx, 0x100000
        mov edi, 100
.run:   call rbx
        dec edi
        jnz .run
        USER call rbx
        TRY call rbx
        hlt`);
    expect(run.reports).toEqual([fault(PF, P | U | I), FINE]);
  });

  test('translations stay until they are dropped; global ones survive a load of CR3 (SDM 3A, 4.10)', () => {
    const run = runGuest(`${MACROS}
        LONG
        mov dword [0x110000], 0x11
        mov dword [0x120000], 0x22
        mov rax, cr4
        or eax, 1 << 7
        mov cr4, rax
        MAP 0x100000, 0x110107
        MAP 0x101000, 0x110007
        mov eax, [0x100000]
        mov eax, [0x101000]
        mov dword [PT + 8 * 0x100], 0x120107
        mov dword [PT + 8 * 0x101], 0x120007
        mov rax, cr3
        mov cr3, rax
        REPORT [0x100000]
        REPORT [0x101000]
        invlpg [0x100000]
        REPORT [0x100000]
        mov dword [PT + 8 * 0x100], 0x110107
        mov rax, cr4
        and eax, ~(1 << 7)
        mov cr4, rax
        REPORT [0x100000]
        hlt`);
    expect(run.reports).toEqual([0x11, 0x22, 0x22, 0x11]);
  });

  test('process-context identifiers: bit 63 of CR3, INVPCID (SDM 3A, 4.10.1; 2, INVPCID)', () => {
    const run = runGuest(`${MACROS}
        LONG
        mov rax, cr4
        or eax, 1 << 17
        mov cr4, rax
        mov rbx, 1 << 63
        mov rax, PML4 + 1
        or rax, rbx
        mov cr3, rax
        mov rax, cr3
        out 0xf0, eax
        mov dword [0x110000], 0x11
        mov dword [0x120000], 0x22
        MAP 0x100000, 0x110007
        mov eax, [0x100000]
        mov dword [PT + 8 * 0x100], 0x120007
        mov eax, 1
        invpcid rax, [context]
        REPORT [0x100000]
        mov eax, 4
        TRY invpcid rax, [context]
        hlt
        align 16
context: dq 1, 0`);
    expect(run.reports).toEqual([0x7_0001, 0x22, fault(GP)]);
  });

  test.each([
    ['two', 2],
    ['more than are kept', 11],
  ])('each address space has its own pages and code, %s (SDM 3A, 4.10.1)', (_, spaces) => {
    const rounds = 30_000;
    const run = runGuest(`${MACROS}${SPACES}
        LONG
        TWO_SPACES
        ; mov eax, 1 or 0x100; ret
        mov rax, 0xc300000001b8
        mov [0x110000], rax
        mov rax, 0xc300000100b8
        mov [0x120000], rax
        mov dword [0x110800], 0x10000
        mov dword [0x120800], 0x1000000
        mov esi, ${rounds}
        xor ebx, ebx
        mov edi, 1
.round: mov rcx, 1 << 63
        or rcx, rdi
        lea rax, [rcx + PML4]
        test edi, 1
        jz .enter
        lea rax, [rcx + PML4B]
.enter: mov cr3, rax
        mov ecx, 0x100000
        call rcx
        add rbx, rax
        mov eax, [0x100800]
        add rbx, rax
        inc edi
        cmp edi, ${spaces}
        jbe .next
        mov edi, 1
.next:  dec esi
        jnz .round
        REPORT ebx
        shr rbx, 32
        REPORT ebx
        hlt`);
    let odd = 0;
    for (let i = 0; i < rounds; i++) if ((1 + (i % spaces)) % 2 === 1) odd++;
    const sum = odd * 0x100_0100 + (rounds - odd) * 0x1_0001;
    expect(run.reports).toEqual([sum % 2 ** 32, Math.floor(sum / 2 ** 32)]);
  });

  test('what is kept of an address space, and what drops it (SDM 3A, 4.10.1, 4.10.4.1; 2, INVPCID)', () => {
    const run = runGuest(`${MACROS}${SPACES}
        %macro TO 1
        mov rax, %1
        mov cr3, rax
        %endmacro
        %define KEEP (1 << 63)
        ; Caches 0x110000 for address space 1, global where bit 8 is set, and has it mapped to 0x120000 then.
        %macro CACHE 1
        TO PML4 + 1
        MAP 0x100000, 0x110007 | %1
        mov eax, [0x100000]
        mov dword [PT + 8 * 0x100], 0x120007 | %1
        TO PML4B + 2
        %endmacro
        %macro SHOW 0
        TO KEEP | PML4 + 1
        REPORT [0x100000]
        %endmacro
        LONG
        TWO_SPACES
        mov rax, cr4
        or eax, 1 << 7
        mov cr4, rax
        mov dword [0x110000], 0x11
        mov dword [0x120000], 0x22
        CACHE 0
        SHOW
        CACHE 0
        TO PML4 + 1
        REPORT [0x100000]
        CACHE 0
        invlpg [0x100000]
        TO PML4B + 2
        mov ebx, 0
        invpcid rbx, [other]
        SHOW
        CACHE 0
        invpcid rbx, [one]
        SHOW
        mov ebx, 1
        CACHE 0
        invpcid rbx, [one]
        SHOW
        CACHE 0x100
        invpcid rbx, [one]
        SHOW
        mov ebx, 3
        CACHE 0
        invpcid rbx, [other]
        SHOW
        CACHE 0x100
        invpcid rbx, [other]
        SHOW
        mov ebx, 2
        invpcid rbx, [other]
        SHOW
        CACHE 0
        mov rax, cr4
        xor eax, 1 << 7
        mov cr4, rax
        SHOW
        hlt
        align 16
one:    dq 1, 0x100000
other:  dq 3, 0x101000`);
    expect(run.reports.slice(0, 2)).toEqual([0x11, 0x22]);
    // After INVLPG elsewhere an implementation may have dropped more than it must.
    expect(run.reports.slice(3)).toEqual([0x22, 0x22, 0x11, 0x22, 0x11, 0x22, 0x22]);
  });

  test('a store over a page boundary faults whole (SDM 3A, 6.5: faults leave no trace)', () => {
    const run = runGuest(`${MACROS}
        LONG
        MAP 0x101000, 0
        mov dword [0x100ffc], 0x11111111
        mov eax, 0x22222222
        TRY mov [0x100ffe], eax
        REPORT [0x100ffc]
        mov rax, cr2
        out 0xf0, eax
        hlt`);
    expect(run.reports).toEqual([fault(PF, W), 0x1111_1111, 0x10_1000]);
  });

  test('1 GiB pages (SDM 3A, 4.5)', () => {
    const run = runGuest(`
        LONG
        mov dword [PML4 + 0x1008], 0x87
        mov dword [0x300000], 0x5a
        mov ebx, 0x40000000
        REPORT [rbx + 0x300000]
        mov dword [PML4 + 0x1010], 0x2087
        mov ebx, 0x80000000
        TRY mov eax, [rbx]
        hlt`);
    expect(run.reports).toEqual([0x5a, fault(PF, P | RSVD)]);
  });
});
