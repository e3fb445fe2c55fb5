; x87 exceptions with CR0.NE clear, as a PC reports them: FERR# raises IRQ 13 before the next x87 instruction that
; waits; a write to port 0xF0 ends it and asserts IGNNE#, until the exception is cleared (Intel SDM 1, 8.7.1).
; Ends with the number of interrupts: two.
%include "multiboot.inc"

%define PIC1 0x20
%define PIC2 0xa0
%define VECTOR (0x28 + 5)               ; IRQ 13

%macro send 2
        mov al, %2
        out %1, al
%endmacro

; Divides one by zero, with that exception unmasked. %1: where the interrupt must find the processor.
%macro divide_by_zero 1
        mov dword [expected], %1
        fninit
        fldcw [zero_divide]
        fld1
        fldz
        fdivp st1
%endmacro

main:
        lgdt [gdtr]
        jmp 8:.flat
.flat:
        mov eax, gate
        mov [idt + 8 * VECTOR], ax
        mov [idt + 8 * VECTOR + 2], cs
        mov word [idt + 8 * VECTOR + 4], 0x8e00
        shr eax, 16
        mov [idt + 8 * VECTOR + 6], ax
        lidt [idtr]
        send PIC1, 0x11                 ; ICW1: edge triggered, cascaded, ICW4 follows
        send PIC1 + 1, 0x20
        send PIC1 + 1, 4
        send PIC1 + 1, 1
        send PIC2, 0x11
        send PIC2 + 1, 0x28
        send PIC2 + 1, 2
        send PIC2 + 1, 1
        send PIC1 + 1, ~4 & 0xff        ; the cascade alone,
        send PIC2 + 1, ~0x20 & 0xff     ; and IRQ 13
        mov eax, cr0
        and eax, ~0x2c                  ; NE, TS, EM
        mov cr0, eax
        sti

        divide_by_zero .first
        nop
.first: fwait
        divide_by_zero .second
        mov eax, [seen]
.second:
        fstp dword [result]
        cmp dword [seen], 2
        jne .wrong
        cmp dword [result], 0x7f800000  ; infinity: the second was stored after the handler had masked it
        jne .wrong
        say "both reported"
        finish 2
.wrong: finish 0x7f

gate:
        push eax
        mov eax, [esp + 4]
        cmp eax, [expected]
        jne main.wrong
        inc dword [seen]
        out 0xf0, al
        fldz                            ; IGNNE#: waiting instructions work although the exception is there
        fstp st0
        fnstsw ax
        test al, 0x80
        jz main.wrong
        fnclex
        fldcw [masked]
        fld1
        fldz
        fdivp st1
        send PIC2, 0x20
        send PIC1, 0x20
        pop eax
        iret

zero_divide: dw 0x37b
masked: dw 0x37f
        align 4
expected: dd 0
seen:   dd 0
result: dd 0
gdtr:   dw 2 * 8 - 1
        dd gdt
idtr:   dw 8 * 0x30 - 1
        dd idt
        align 8
gdt:    dq 0, 0x00cf9a000000ffff        ; flat code; data segments stay as the loader has left them
idt:    times 0x30 dq 0

        end_image
