import { describe, expect, test } from 'vitest';
import { canAssemble, fault, FINE, runGuest } from './guest.ts';

const UD = 6, TS = 10, GP = 13; // prettier-ignore

describe.skipIf(!canAssemble)('privilege', () => {
  test('a call gate: to an inner stack with parameters and back (SDM 3A, 5.8.5)', () => {
    const run = runGuest(`
        PROTECTED
        mov dword [gdt + 0x58], 0x08 << 16
        mov word [gdt + 0x58], inner
        mov dword [gdt + 0x5c], 0xec02  ; a 32-bit gate of DPL 3 with two parameters
        mov dword [user_flags], 0x3002
        mov dword [resume], done
        push dword 0x23
        push dword USTACK
        push dword [user_flags]
        push dword 0x1b
        push dword outer
        iretd
outer:  push dword 0x1111
        push dword 0x2222
        call 0x58:0
        mov eax, cs
        out 0xf0, eax
        REPORT esp
        call 0x5b:0
        hlt
inner:  mov eax, cs
        out 0xf0, eax
        REPORT esp
        REPORT [esp + 8]
        REPORT [esp + 12]
        REPORT [esp + 16]
        retf 8
done:   hlt`);
    expect(run.end).toBe('halt');
    const pass = [0x08, 0x6_0000 - 24];
    const below = 0x5_0000;
    expect(run.reports.slice(0, 7)).toEqual([...pass, 0x2222, 0x1111, below - 8, 0x1b, below]);
    expect(run.reports.slice(7, 9)).toEqual(pass);
    expect(run.reports.at(-1)).toBe(fault(GP));
  });

  test('task switches: call, nested return, and the busy bit (SDM 3A, 8.3, 8.4)', () => {
    const run = runGuest(`
        PROTECTED
        mov word [gdt + 0x58], 0x67
        mov word [gdt + 0x5a], other
        mov dword [gdt + 0x5c], 0x8900
        mov ebx, 0x1234
        call 0x58:0
        REPORT ebx
        str ax
        out 0xf0, eax
        movzx eax, byte [gdt + 0x5d]
        out 0xf0, eax
        call 0x58:0
        mov word [other + 0x54], 0x28   ; DS of the other task is its TSS
        mov dword [other + 0x20], task
        TRY jmp 0x58:0
        str eax
        out 0xf0, eax
        hlt
task:   str eax
        out 0xf0, eax
        pushfd
        pop eax
        and eax, 0x4000
        out 0xf0, eax
        mov ebx, 0x777
        iretd
        jmp task
        align 16
other:  times 8 dd 0
        dd task, 2, 0, 0, 0, 0, 0x58000, 0, 0, 0, 0x10, 0x08, 0x10, 0x10, 0, 0
        dd 0, 0x680000`);
    expect(run.end).toBe('halt');
    expect(run.reports).toEqual([
      0x58, 0x4000, 0x1234, 0x28, 0x89, 0x58, 0x4000,
      // Found in the new task, whose data segment is none.
      fault(TS, 0x28), 0x58,
    ]); // prettier-ignore
  });

  test('repeated string I/O needs its right even where nothing is left to transfer (the processor; SDM 1, 19.5)', () => {
    const run = runGuest(`
        PROTECTED
        mov edx, 0x80
        mov esi, STACK
        mov edi, STACK
        xor ecx, ecx
        USER rep outsb
        mov word [tss + 0x66], 0xffff   ; no permission map
        xor ecx, ecx
        USER rep outsb
        xor ecx, ecx
        USER rep insd
        hlt`);
    expect(run.end).toBe('halt');
    expect(run.reports).toEqual([FINE, fault(GP), fault(GP)]);
  });

  test('virtual-8086 mode: entry, IN by the permission map, INT by IOPL and by VME (SDM 3A, 21.2, 21.3)', () => {
    const run = runGuest(`
%macro V86 2
        mov dword [resume], %%next
        push dword 0            ; GS FS DS ES
        push dword 0
        push dword 0x1000
        push dword 0
        push dword 0            ; SS
        push dword 0xff00
        push dword %2
        push dword 0
        push dword %1
        iretd
%%next:
%endmacro
        PROTECTED
        V86 in86, 0x23002
        V86 cli86, 0x20002
        V86 cli86, 0x23002
        V86 soft86, 0x20002
        mov eax, cr4
        or eax, 1
        mov cr4, eax
        mov dword [0x21 * 4], handler86
        ; The redirection bitmap is what lies before the permission map.
        mov word [tss_io + 2], 0x88
        V86 soft86, 0x20002
        REPORT [0x1fff0]
        V86 pushf86, 0xa0002
        mov eax, [0x1fff0]
        and eax, 0xffff
        out 0xf0, eax
        hlt
        bits 16
in86:   mov dword [0x10], 0x8086        ; DS is 0x1000
        in al, 0x60
        hlt
cli86:  cli
        pushf
        hlt
soft86: int 0x21
        hlt
handler86:
        mov dword [0xfff0], 0x2121
        iret
pushf86:
        pushf
        pop ax
        mov [0xfff0], ax
        hlt`);
    expect(run.end).toBe('halt');
    expect(run.reports).toEqual([
      fault(GP), // HLT: the permission map, of zeros, lets IN through
      fault(GP), // CLI below IOPL 3
      fault(GP), // HLT behind CLI and PUSHF
      fault(GP), // INT below IOPL 3
      fault(GP), // HLT behind INT and IRET
      0x2121,
      fault(GP), // HLT
      0x3202, // VIF shows as IF, and IOPL as 3
    ]);
    expect(run.ram.getUint32(0x1_0010, true)).toBe(0x8086);
  });

  test('SYSCALL and SYSRET in 64-bit mode (APM 3)', () => {
    const run = runGuest(`
        LONG
        mov ecx, 0xc0000081
        xor eax, eax
        mov edx, 0x003b0040     ; SYSCALL: 0x40 and 0x48; SYSRET: 0x4b and 0x43
        wrmsr
        inc ecx
        mov eax, kernel
        xor edx, edx
        wrmsr
        mov ecx, 0xc0000084
        mov eax, 0x200
        wrmsr
        mov dword [user_flags], 0x3202
        push 0x23
        push USTACK
        push qword [user_flags]
        push 0x4b
        push user
        iretq
user:   xor ebx, ebx
        syscall
back:   REPORT ebx
        mov eax, cs
        out 0xf0, eax
        pushfq
        pop rax
        out 0xf0, eax
        mov dword [resume], done
        ud2
kernel: mov eax, cs
        out 0xf0, eax
        pushfq
        pop rax
        out 0xf0, eax
        mov eax, ecx
        sub eax, back
        out 0xf0, eax
        mov ebx, 0x5ca1
        o64 sysret
done:   hlt`);
    expect(run.end).toBe('halt');
    const [cs, flags, offset, value, userCs, userFlags, end] = run.reports;
    expect([cs, flags! & 0x3200, offset]).toEqual([0x40, 0x3000, 0]);
    expect([value, userCs, userFlags! & 0x3200, end]).toEqual([0x5ca1, 0x4b, 0x3200, fault(UD)]);
  });

  test('SYSENTER and SYSEXIT in protected mode (SDM 2)', () => {
    const run = runGuest(`
        PROTECTED
        USER sysenter
        xor edx, edx
        mov ecx, 0x174
        mov eax, 0x08
        wrmsr
        inc ecx
        mov eax, 0x58000
        wrmsr
        inc ecx
        mov eax, kernel
        wrmsr
        USER sysenter
        hlt
kernel: mov eax, cs
        out 0xf0, eax
        REPORT esp
        mov edx, user
        mov ecx, 0x4f000
        sysexit
user:   mov eax, cs
        cmp eax, 0x1b
        jne .bad
        ud2
.bad:   int3`);
    expect(run.reports).toEqual([fault(GP), 0x08, 0x5_8000, fault(UD)]);
  });
});
