; All processors at work without end, each in one of four ways that are hard to stop: calling code that others change
; with interrupts off, accessing a port, stopping all others for an operation across two pages, and changing the code
; that others call.
%include "smp.inc"

SPLIT equ 0x800ffe                      ; a word of 4 bytes on two pages

cases:
        line "storm"
        together storm
        ret                             ; never

; EDI: the processor's number.
storm:
        and edi, 3
        dec edi
        jz .port
        dec edi
        jz .split
        dec edi
        jz .change
.call:
        call changing
        jmp .call
.port:
        out 0x80, al
        jmp .port
.split:
        lock inc dword [SPLIT]
        jmp .split
.change:
        inc byte [changing + 1]
        mov eax, [LAPIC_ID]
        call changing
        jmp .change

        align 64
changing:
        mov al, 0
        ret

        end_smp_image
