import { describe, expect, test } from 'vitest';
import { canAssemble, fault, runGuest } from './guest.ts';

const DB = 1, UD = 6, GP = 13; // prettier-ignore

/** A #DB handler that reports DR6, the offset of the return address from `base`, and goes on there. */
const HANDLER = String.raw`
        mov word [0x4000 + 16], on_debug
        jmp begin
on_debug:
        push rax
        mov rax, dr6
        out 0xf0, eax
        mov eax, [rsp + 8]
        sub eax, base
        out 0xf0, eax
        mov eax, 0xffff0ff0
        mov dr6, rax
        or dword [rsp + 24], 1 << 16    ; RF
        pop rax
        iretq
begin:
`;

describe.skipIf(!canAssemble)('debugging', () => {
  test('single step traps after each instruction, with BS; not after MOV SS (SDM 3B, 18.3.1.4; 3A, 6.8.3)', () => {
    const run = runGuest(`
        LONG
        ${HANDLER}
        mov bx, ss
        pushfq
        or dword [rsp], 0x100
base:   popfq
        nop                     ; +1
        mov ss, bx              ; +2
        nop                     ; +4
        pushfq                  ; +5
        and dword [rsp], ~0x100
        popfq
        hlt`);
    const steps = run.reports.filter((_, i) => i % 2 === 1);
    expect(run.reports.filter((_, i) => i % 2 === 0).every((dr6) => dr6 === 0xffff4ff0)).toBe(true);
    expect(steps.slice(0, 3)).toEqual([2, 5, 6]);
    // AND, and POPF, which has cleared TF but began with it set.
    expect(steps).toHaveLength(5);
  });

  test('instruction breakpoints fault before, and RF lets the instruction go on (SDM 3B, 18.3.1.1)', () => {
    const run = runGuest(`
        LONG
        ${HANDLER}
        mov eax, base
        mov dr0, rax
        mov eax, 2
        mov dr7, rax
        xor ebx, ebx
base:   inc ebx
        cmp ebx, 2
        jb base
        REPORT ebx
        hlt`);
    expect(run.reports).toEqual([0xffff0ff1, 0, 0xffff0ff1, 0, 2]);
  });

  test('data breakpoints trap after the access (SDM 3B, 18.3.1.2)', () => {
    const run = runGuest(`
        LONG
        ${HANDLER}
        mov eax, 0x58004
        mov dr1, rax
        mov eax, (0xd << 20) | (1 << 3)         ; writes, 4 bytes
        mov dr7, rax
base:   mov eax, [0x58004]      ; +0, 7 bytes
        mov [0x58007], al       ; +7, 7 bytes
        mov [0x58008], al
        hlt`);
    expect(run.reports).toEqual([0xffff0ff2, 14]);
  });

  test('I/O breakpoints (SDM 3B, 18.3.1.3)', () => {
    const run = runGuest(`
        LONG
        ${HANDLER}
        mov rax, cr4
        or eax, 8
        mov cr4, rax
        mov eax, 0x60
        mov dr2, rax
        mov eax, (2 << 24) | (1 << 5)
        mov dr7, rax
base:   in al, 0x60
        in al, 0x61
        hlt`);
    expect(run.reports).toEqual([0xffff0ff4, 2]);
  });

  test('general detect, and the aliases of DR6 and DR7 (SDM 3B, 18.2.2, 18.2.4)', () => {
    const run = runGuest(`
        LONG
        mov eax, 0x2400
        mov dr7, rax
        TRY mov rax, dr0
        mov rax, dr6
        out 0xf0, eax
        mov rax, dr5
        out 0xf0, eax
        mov rax, cr4
        or eax, 8
        mov cr4, rax
        TRY mov rax, dr5
        mov rax, 1 << 32
        TRY mov dr7, rax
        USER mov rax, dr7
        hlt`);
    expect(run.reports).toEqual([fault(DB), 0xffff2ff0, 0x400, fault(UD), fault(GP), fault(GP)]);
  });
});
