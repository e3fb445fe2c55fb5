import { describe, expect, test } from 'vitest';
import { canAssemble, fault, FINE, runGuest } from './guest.ts';

const DE = 0, BP = 3, OF = 4, BR = 5, UD = 6, NM = 7, NP = 11, SS = 12, GP = 13, PF = 14; // prettier-ignore

describe.skipIf(!canAssemble)('exceptions', () => {
  test('vectors and error codes in protected mode (SDM 3A, 6.15)', () => {
    const run = runGuest(`
        PROTECTED
        xor ecx, ecx
        xor edx, edx
        TRY div ecx
        TRY ud2
        TRY mov [cs:0], eax
        TRY mov eax, [0xfffffffe + ebp * 0 + 0]
        mov word [free], 0xffff
        mov word [free + 4], 0x1200     ; not present, writable data
        mov ax, 0x58
        TRY mov ds, ax
        mov ax, 0x58
        TRY mov ss, ax
        mov ax, 0xff8
        TRY mov es, ax
        TRY jmp 0x10:0
        TRY int 0x80
        TRY int3
        mov eax, 5
        TRY bound eax, [limits]
        mov eax, cr0
        or eax, 8
        mov cr0, eax
        TRY fninit
        hlt
limits: dd 0, 4`);
    expect(run.end).toBe('halt');
    expect(run.reports).toEqual([
      fault(DE),
      fault(UD),
      fault(GP, 0),
      // Four bytes that begin two below the limit of 4 GiB - 1.
      fault(GP, 0),
      fault(NP, 0x58),
      fault(SS, 0x58),
      fault(GP, 0xff8),
      fault(GP, 0x10),
      // The IDT holds 0x200 entries' worth of limit, but entry 0x80 is empty: not a gate.
      fault(GP, 0x80 * 8 + 2),
      fault(BP),
      fault(BR),
      fault(NM),
    ]);
  });

  test('string instructions do all that lies within a segment, and wrap as addresses do (SDM 2, REP)', () => {
    const run = runGuest(`
        PROTECTED
        ; 110h bytes at 2 MiB.
        mov dword [free], 0x0000010f
        mov dword [free + 4], 0x00409220
        mov edi, 0x300000
        mov ecx, 0x200
.next:  mov [edi], cl
        inc edi
        loop .next
        mov ax, 0x58
        mov es, ax
        mov esi, 0x300000
        mov edi, 0x80
        mov ecx, 0x180
        TRY rep movsb
        REPORT esi
        REPORT edi
        REPORT [0x20010c]
        REPORT [0x200110]
        mov ax, 0x58
        mov es, ax
        mov eax, 0x12345678
        mov edi, 2
        mov ecx, 0x80
        TRY rep stosd
        REPORT edi
        REPORT [0x20010c]
        REPORT [0x200110]
        mov ax, 0x58
        mov fs, ax
        mov esi, 0x101
        mov edi, 0x400000
        mov ecx, 0x10
        TRY rep fs movsw
        REPORT esi
        REPORT edi
        REPORT [0x40000c]
        ; Sixteen bits of an index: the rest of the register stays, and what is beyond is not touched.
        mov al, 0x99
        mov edi, 0x7fff8
        mov ecx, 0x70010
        a16 rep stosb
        REPORT edi
        REPORT ecx
        REPORT [0xfffc]
        REPORT [0x10000]
        REPORT [4]
        REPORT [8]
        ; An element that lies across the end of the addresses has its second half at their beginning.
        mov word [0xfffe], 0
        mov edi, 0xffff
        mov ecx, 2
        mov eax, 0xbbaa
        a16 rep stosw
        REPORT edi
        hlt`);
    expect(run.end).toBe('halt');
    const gp = fault(GP, 0);
    expect(run.reports.map((value) => value >>> 0)).toEqual(
      [gp, 0x300090, 0x110, 0x71727374, 0, gp, 0x10e, 0x71721234, 0, gp, 0x10f, 0x40000e, 0x7212, 0x70008, 0x70000,
        0x99999999, 0, 0x99999999, 0, 0x3],
    ); // prettier-ignore
  });

  test('at CPL 3 (SDM 3A, 5.9): privileged instructions, gates, INTO', () => {
    const run = runGuest(`
        PROTECTED
        USER hlt
        USER cli
        USER mov eax, cr0
        mov byte [tss + 0x68 + 0x60 / 8], 1
        USER in al, 0x60
        USER in al, 0x61
        USER int 0x30
        USER invlpg [0]
        USER nop
        mov byte [0x4000 + 8 * 4 + 5], 0xee
        mov dword [user_flags], 0x802
        USER into
        mov dword [user_flags], 0x3002
        USER cli
        USER in al, 0x60
        hlt`);
    expect(run.end).toBe('halt');
    expect(run.reports).toEqual([
      fault(GP),
      fault(GP),
      fault(GP),
      fault(GP),
      FINE,
      fault(GP, 0x30 * 8 + 2),
      fault(GP),
      FINE,
      fault(OF),
      FINE,
      FINE,
    ]);
  });

  test('at CPL 3 with CR0.AM and RFLAGS.AC, operands are aligned as their kind demands (SDM 3A, table 6-7)', () => {
    const run = runGuest(`
        PROTECTED
        mov eax, cr0
        or eax, 1 << 18
        mov cr0, eax
        mov eax, cr4
        or eax, 1 << 18 | 1 << 10 | 1 << 9
        mov cr4, eax
        mov eax, 7
        xor ecx, ecx
        xor edx, edx
        xsetbv
        mov dword [user_flags], 0x40002
        mov word [data + 2], 0
        mov dword [data + 4], 3         ; the bounds of BOUND; a null selector for LFS
        mov ebx, 3
        mov ebp, data           ; through SS, the one data segment that is left at CPL 3
        USER bound ebx, [ebp + 1]
        USER bound ebx, [ebp]
        USER bound bx, [ebp + 2]
        USER o16 lfs ax, [ebp + 2]
        USER lfs eax, [ebp + 2]
        USER verr [ebp + 1]
        USER verr [ebp + 2]
        USER sgdt [ebp + 2]
        USER sgdt [ebp + 4]
        USER fnstenv [ebp + 2]
        USER o16 fnstenv [ebp + 2]
        USER fnsave [ebp + 4]
        USER fxsave [ebp + 8]
        USER vmovups xmm0, [ebp + 8]
        USER vmovups xmm0, [ebp + 16]
        USER vmovups ymm0, [ebp + 16]
        USER vmovups ymm0, [ebp + 32]
        USER o16 push fs
        USER db 0x66, 0x0f, 0xa0, 0x0f, 0xa8        ; o16 push fs; push gs
        USER db 0x66, 0x0f, 0xa0, 0x60        ; o16 push fs; pusha
        USER db 0x66, 0x0f, 0xa0, 0xc8, 8, 0, 0        ; o16 push fs; enter 8, 0
        USER db 0x66, 0x0f, 0xa0, 0xcb        ; o16 push fs; retf
        hlt
        align 32
data:   times 160 dd 0`);
    expect(run.end).toBe('halt');
    const AC = 17;
    expect(run.reports).toEqual([
      fault(AC), FINE, FINE, FINE, fault(AC), fault(AC), FINE, fault(AC), FINE, fault(AC), FINE, FINE,
      // Its 16-byte alignment is demanded of everybody.
      fault(GP),
      fault(AC), FINE, fault(AC), FINE,
      FINE, fault(AC), fault(AC), fault(AC), fault(AC),
    ]); // prettier-ignore
  });

  test('in 64-bit mode: canonical addresses, and what no longer exists (SDM 1, 3.3.7.1; 2, appendix A)', () => {
    const run = runGuest(`
        LONG
        mov rax, 1 << 60
        TRY mov [rax], ecx
        mov rbp, 1 << 60
        TRY mov [rbp], ecx
        TRY push qword [rbp]
        TRY db 0x06             ; PUSH ES
        TRY db 0xea             ; JMP far, direct
        TRY db 0x0f, 0x34       ; SYSENTER, in long mode of an AMD processor
        mov ecx, 0xc0000100
        xor eax, eax
        mov edx, 0x80000
        TRY wrmsr
        mov ecx, 0x12345678
        TRY rdmsr
        mov rcx, 0x800000000000
        TRY jmp rcx
        mov dword [0x100ffc], 0x90909090
        mov dword [PT + 8 * 0x101], 0
        mov eax, 0x100fff
        TRY jmp rax
        mov rax, cr2
        out 0xf0, eax
        hlt`);
    expect(run.end).toBe('halt');
    expect(run.reports).toEqual([
      fault(GP),
      fault(SS),
      fault(SS),
      fault(UD),
      fault(UD),
      fault(UD),
      fault(GP),
      fault(GP),
      fault(GP),
      // The NOP runs; the fetch behind it faults, and with EFER.NXE says that it was one.
      fault(PF, 0x10),
      0x10_1000,
    ]);
  });

  test('the frame in 64-bit mode, by IST, with RF and the address of the fault (SDM 3A, 6.14)', () => {
    const run = runGuest(`
        LONG
        mov qword [tss + 0x24], 0x55008
        mov byte [0x4000 + 16 * 6 + 4], 1
        mov word [0x4000 + 16 * 6], handler
        mov rsp, 0x5fff3
site:   ud2
handler:
        REPORT esp
        REPORT [rsp]
        REPORT [rsp + 16]
        REPORT [rsp + 24]
        REPORT [rsp + 32]
        REPORT site
        hlt`);
    const [esp, rip, flags, rsp, ss, at] = run.reports;
    expect([esp, flags! & 0x1_0000, rsp, ss]).toEqual([0x55000 - 40, 0x1_0000, 0x5fff3, 0x10]);
    expect(rip).toBe(at);
  });

  test('a fault in a fault: a double fault with error code 0, on its own stack (SDM 3A, table 6-5)', () => {
    const run = runGuest(`
        LONG
        mov qword [tss + 0x24], 0x55000
        mov byte [0x4000 + 16 * 8 + 4], 1
        mov dword [PT + 8 * 0x100], 0
        mov rsp, 0x100800
        TRY push rax
        hlt`);
    expect(run.reports).toEqual([fault(8, 0)]);
  });

  test('interrupts: STI and MOV SS hold them back for an instruction, NMIs wait for IRET (SDM 3A, 6.7, 6.8)', () => {
    const run = runGuest(`
        LONG
        mov word [0x4000 + 16 * 0x30], external
        mov word [0x4000 + 16 * 2], nmi
        mov eax, 0x30
        xor ebx, ebx
        out 0xf2, eax
        sti
        inc ebx
        inc ebx
        cli
        out 0xf6, eax
        nop
        nop
        REPORT 0xe0d
        hlt
external:
        REPORT ebx
        iretq
nmi:    REPORT 0x222
        out 0xf6, eax
        nop
        REPORT 0x223
        inc dword [count]
        cmp dword [count], 2
        jae .stop
        iretq
.stop:  hlt
count:  dd 0`);
    expect(run.end).toBe('halt');
    expect(run.reports).toEqual([1, 0x222, 0x223, 0x222, 0x223]);
  });
});
