/**
 * What the guest programs are built from: tables, and macros that change modes and report faults.
 *
 * `PROTECTED` and `LONG` take the processor from real mode to 32-bit protected and to 64-bit mode, with
 * handlers that report every fault (vector << 16 | error code) and go on at `resume`. `TRY` runs an
 * instruction at CPL 0, `USER` at CPL 3; both report 0x410000 where it did not fault. Selectors: 0x08 code,
 * 0x10 data, 0x1b and 0x23 the same of CPL 3, 0x28 TSS, 0x38 16-bit code, 0x40 64-bit code, 0x4b the same of
 * CPL 3, 0x50 16-bit data; 0x58 to 0x78 are free.
 */
export const PRELUDE = String.raw`
        bits 16
        org 0x8000
        jmp 0:program

%define GDT     gdt
%define STACK   0x60000
%define USTACK  0x50000
%define PML4    0x70000
%define PT      0x73000

%macro REPORT 1
        mov eax, %1
        out 0xf0, eax
%endmacro

; Runs one instruction; %1+ because operands have commas.
%macro TRY 1+
        mov dword [resume], %%next
        %1
        int 0x41
%%next:
%endmacro

; RFLAGS at CPL 3 come from user_flags.
%macro USER 1+
        mov dword [resume], %%next
%if __BITS__ == 64
        push 0x23
        push USTACK
        push qword [user_flags]
        push 0x4b
        push %%user
        iretq
%else
        push dword 0x23
        push dword USTACK
        push dword [user_flags]
        push dword 0x1b
        push dword %%user
        iretd
%endif
%%user:
        %1
        int 0x41
%%next:
%endmacro

%macro PROTECTED 0
        cli
        lgdt [gdtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword 0x08:%%in32
        bits 32
%%in32: mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, STACK
        call build_idt32
        lidt [idtr]
        mov ax, 0x28
        ltr ax
%endmacro

%macro LONG 0
        PROTECTED
        call build_tables
        mov eax, cr4
        or eax, 1 << 5
        mov cr4, eax
        mov eax, PML4
        mov cr3, eax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x901
        wrmsr
        mov eax, cr0
        or eax, 1 << 31
        mov cr0, eax
        jmp 0x40:%%in64
        bits 64
%%in64: call build_idt64
        lidt [idtr]
        ; The busy TSS is made available for a second LTR.
        mov byte [tss_descriptor + 5], 0x89
        mov ax, 0x28
        ltr ax
        mov ax, 0x10
        mov ss, ax
        mov rsp, STACK
%endmacro

        align 16
gdt:    dq 0
        dq 0x00cf9a000000ffff
        dq 0x00cf92000000ffff
        dq 0x00cffa000000ffff
        dq 0x00cff2000000ffff
tss_descriptor:
        dw 0x20ff, tss
        db 0, 0x89, 0, 0
        dq 0
        dq 0x00009a000000ffff
        dq 0x00af9a000000ffff
        dq 0x00affa000000ffff
        dq 0x000092000000ffff
free:   times 6 dq 0
gdtr:   dw $ - gdt - 1
        dd gdt, 0
idtr:   dw 0xfff
        dd 0x4000, 0
resume: dq 0
user_flags:
        dq 2
errors: dd 0x27d00

        align 16
; The same bytes serve as 32-bit and 64-bit TSS: RSP0 lies over ESP0 and SS0, so SS0 is set for each.
tss:    dd 0
tss_sp0:
        dd STACK
tss_ss0:
        dd 0x10
        times 22 dd 0
tss_io: dw 0, 0x68
; The permission map; with its base moved to 0x88, the redirection bitmap comes first. All open.
        times 0x80 db 0

        bits 32
build_idt32:
        mov edi, 0x4000
        mov eax, stubs32
.next:  mov [edi], ax
        mov word [edi + 2], 0x08
        mov word [edi + 4], 0x8e00
        mov word [edi + 6], 0
        add eax, 8
        add edi, 8
        cmp edi, 0x4000 + 8 * 0x42
        jb .next
        mov byte [0x4000 + 8 * 0x41 + 5], 0xee
        ret

; 4 KiB pages for the first 2 MiB, large ones for the rest; every page is a user page.
build_tables:
        mov edi, PML4
        mov ecx, 0x4000 / 4
        xor eax, eax
        rep stosd
        mov dword [PML4], PML4 + 0x1007
        mov dword [PML4 + 0x1000], PML4 + 0x2007
        mov dword [PML4 + 0x2000], PT + 7
        mov eax, 0x200087
        mov edi, PML4 + 0x2008
.large: mov [edi], eax
        add eax, 0x200000
        add edi, 8
        cmp edi, PML4 + 0x2000 + 8 * 8
        jb .large
        mov eax, 7
        mov edi, PT
.small: mov [edi], eax
        add eax, 0x1000
        add edi, 8
        cmp edi, PT + 0x1000
        jb .small
        ret

        align 8
stubs32:
%assign n 0
%rep 0x42
        push byte n
        jmp near fault32
        align 8
%assign n n + 1
%endrep
fault32:
        mov ax, 0x10
        mov ds, ax
        mov es, ax
        pop ecx
        xor edx, edx
        cmp ecx, 31
        ja .none
        bt [errors], ecx
        jnc .none
        pop edx
.none:  mov eax, ecx
        shl eax, 16
        or eax, edx
        out 0xf0, eax
        mov ax, 0x10
        mov ss, ax
        mov esp, STACK
        jmp [resume]

        bits 64
build_idt64:
        mov edi, 0x4000
        mov eax, stubs64
        mov dword [tss_ss0], 0
.next:  mov [rdi], ax
        mov word [rdi + 2], 0x40
        mov word [rdi + 4], 0x8e00
        mov word [rdi + 6], 0
        mov qword [rdi + 8], 0
        add eax, 8
        add edi, 16
        cmp edi, 0x4000 + 16 * 0x42
        jb .next
        mov byte [0x4000 + 16 * 0x41 + 5], 0xee
        ret

        align 8
stubs64:
%assign n 0
%rep 0x42
        push byte n
        jmp near fault64
        align 8
%assign n n + 1
%endrep
fault64:
        pop rcx
        xor edx, edx
        cmp ecx, 31
        ja .none
        bt [errors], ecx
        jnc .none
        pop rdx
.none:  mov eax, ecx
        shl eax, 16
        or eax, edx
        out 0xf0, eax
        mov ax, 0x10
        mov ss, ax
        mov esp, STACK
        mov ecx, [resume]
        jmp rcx

        bits 16
program:
`;
