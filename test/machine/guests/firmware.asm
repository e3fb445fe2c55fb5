; A firmware image of 64 KiB: begins at the reset vector in real mode, goes on in its copy below 1 MiB, finds that
; it cannot be written, and enters protected mode in the copy below 4 GiB (SDM 3A, 10.1.4).
%define LOW_COPY 0xf0000
%define HIGH_COPY 0xffff0000
%define SCRATCH 0x5aa5

        ; Offsets count from the image's start, as IP and the data segment's offsets do.
        org 0
        bits 32
%include "console.inc"

        bits 16
start:
        mov ax, cs
        mov ds, ax
        xor ax, ax
        mov ss, ax
        mov sp, 0x7000
        mov dx, COM1 + 3                ; line control: 8 data bits
        mov al, 3
        out dx, al
        mov si, real_text
        mov dx, COM1
.next:
        lodsb
        test al, al
        jz .said
        out dx, al
        jmp .next
.said:
        not word [word_of_rom]
        cmp word [word_of_rom], SCRATCH
        jne .wrong
        push word [word_of_rom]
        not word [ss:0x6ffe]
        pop ax
        cmp ax, ~SCRATCH & 0xffff
        jne .wrong
        o32 lgdt [gdt_pointer]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword 8:(flat + HIGH_COPY)
.wrong:
        mov eax, 99
        out DEBUG_EXIT, eax
        hlt

real_text:
        db "real mode", 13, 10, 0
        align 8
gdt:
        dq 0
        dq 0x00cf9b000000ffff
        dq 0x00cf930f0000ffff           ; base LOW_COPY
        dq 0x00cf93000000ffff
gdt_pointer:
        dw 31
        dd gdt + LOW_COPY
word_of_rom:
        dw SCRATCH

        bits 32
flat:
        mov eax, 16
        mov ds, eax
        mov eax, 24
        mov ss, eax
        mov esp, 0x7000
        call .here
.here:
        pop eax
        cmp eax, .here + HIGH_COPY
        jne halt
        say "protected mode"
        finish 0
halt:
        cli
        hlt
        jmp halt

        times 0xfff0 - ($ - $$) db 0xff
        bits 16
        jmp 0xf000:start
        times 0x10000 - ($ - $$) db 0xff
