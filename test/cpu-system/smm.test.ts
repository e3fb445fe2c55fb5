import { describe, expect, test } from 'vitest';
import { canAssemble, fault, runGuest } from './guest.ts';

/** Copies a handler to where SMBASE is after a reset, 0x30000 + 0x8000. */
const INSTALL = String.raw`
        mov esi, handler
        mov edi, 0x38000
        mov ecx, handler_end - handler
        rep movsb
`;

describe.skipIf(!canAssemble)('system-management mode', () => {
  test('SMI from 64-bit mode and back; the save area is the AMD64 one (APM 2, 10.2.3, 10.3)', () => {
    const run = runGuest(`
        LONG
        ${INSTALL}
        mov rbx, 0x1122334455667788
        mov rcx, rsp
        out 0xf4, eax
        nop
        nop
        mov rax, rbx
        shr rax, 32
        out 0xf0, eax
        sub rcx, rsp
        REPORT ecx
        mov eax, cs
        out 0xf0, eax
        TRY rsm
        hlt
        bits 16
handler:
        mov eax, [cs:0xfefc]
        out 0xf0, eax
        mov eax, cs
        out 0xf0, eax
        mov eax, cr0
        and eax, 1
        out 0xf0, eax
        mov eax, [cs:0xffe0]            ; RBX
        out 0xf0, eax
        ; DS reaches 4 GiB.
        mov eax, [dword 0x200000]
        rsm
handler_end:`);
    expect(run.end).toBe('halt');
    expect(run.reports).toEqual([0x2_0064, 0x3000, 0, 0x5566_7788, 0x1122_3344, 0, 0x40, fault(6)]);
  });

  test('SMBASE can be moved (SDM 3C, 32.11)', () => {
    const run = runGuest(`
        LONG
        ${INSTALL}
        mov esi, handler
        mov edi, 0x48000
        mov ecx, handler_end - handler
        rep movsb
        out 0xf4, eax
        nop
        out 0xf4, eax
        nop
        hlt
        bits 16
handler:
        mov eax, cs
        out 0xf0, eax
        mov dword [cs:0xff00], 0x40000
        rsm
handler_end:`);
    expect(run.reports).toEqual([0x3000, 0x4000]);
  });

  test('RSM with an impossible CR0 shuts the processor down (SDM 3C, 32.15)', () => {
    const run = runGuest(`
        LONG
        ${INSTALL}
        out 0xf4, eax
        nop
        hlt
        bits 16
handler:
        and dword [cs:0xff58], ~1       ; PG without PE
        rsm
handler_end:`);
    expect(run.end).toBe('shutdown');
  });
});
