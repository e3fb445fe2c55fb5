; Code that a disk writes over code that has run, while other processors run it: sector n of the first IDE disk
; begins with a function that returns FIRST + n. Even ones are read by DMA, odd ones by programmed I/O. Every other
; processor calls the function until it returns the new value, and may find nothing but the old one before; then
; everybody finds the new one. Leaves with the number of the first sector that went wrong, plus one, or 0.
%include "smp.inc"

%define SECTORS 48
%define FIRST 0x01010100
; Calls after each change: enough for code to become hot.
%define CALLS 20000

%define PCI_ADDRESS 0xcf8
%define PCI_DATA 0xcfc
%define IDE_FUNCTION 0x80000900         ; bus 0, device 1, function 1
%define BUS_MASTER 0xc000
%define DATA 0x1f0
%define COUNT 0x1f2
%define LBA_LOW 0x1f3
%define LBA_MID 0x1f4
%define LBA_HIGH 0x1f5
%define DEVICE 0x1f6
%define COMMAND 0x1f7
%define CONTROL 0x3f6

%define READ_SECTORS 0x20
%define READ_DMA 0xc8
%define BUSY 0x80
%define DRQ 0x08
%define ERROR 0x01

CODE equ 0x400000                       ; the page that changes

; config REGISTER, VALUE: writes to the IDE function's configuration space.
%macro config 2
        mov dx, PCI_ADDRESS
        mov eax, IDE_FUNCTION | %1
        out dx, eax
        mov dx, PCI_DATA
        mov eax, %2
        out dx, eax
%endmacro

; port NUMBER, VALUE: writes a byte.
%macro port 2
        mov dx, %1
        mov al, %2
        out dx, al
%endmacro

cases:
        config 0x20, BUS_MASTER
        config 0x04, 5                  ; I/O space, bus master
        port CONTROL, 2                 ; no interrupts
.sector:
        together change
        together check
        cmp dword [wrong], 0
        jne .over
        inc dword [sector]
        cmp dword [sector], SECTORS
        jb .sector
        line "all loaded"
        finish 0
.over:
        line "old code, or none"
        mov eax, [sector]
        inc eax
        out DEBUG_EXIT, eax
        ret

; The bootstrap processor has the disk write; the others call what is being written.
change:
        mov r8d, [sector]
        add r8d, FIRST
        test edi, edi
        jz load
        cmp r8d, FIRST
        je .done                        ; there is nothing yet
.again:
        call called
        cmp eax, r8d
        je .done
        inc eax
        cmp eax, r8d
        je .again
        mov dword [wrong], 1
.done:
        ret

; Everybody calls it often.
check:
        mov r8d, [sector]
        add r8d, FIRST
        call called
        mov r9d, CALLS
        mov r10d, CODE
.again:
        call r10
        cmp eax, r8d
        jne .wrong
        dec r9d
        jnz .again
        ret
.wrong:
        mov dword [wrong], 1
        ret

; Calls it, having serialised.
called:
        xor eax, eax
        cpuid
        mov eax, CODE
        jmp rax

; Reads the sector to CODE.
load:
        port DEVICE, 0xe0
        port COUNT, 1
        mov eax, [sector]
        mov dx, LBA_LOW
        out dx, al
        port LBA_MID, 0
        port LBA_HIGH, 0
        test byte [sector], 1
        jnz .programmed

        mov dx, BUS_MASTER + 4
        mov eax, regions
        out dx, eax
        port BUS_MASTER + 2, 6          ; error and interrupt are cleared
        port COMMAND, READ_DMA
        port BUS_MASTER, 9              ; to memory, start
        call wait_ready
        port BUS_MASTER, 8
        mov dx, BUS_MASTER + 2
        in al, dx
        test al, 2
        jnz failed
        ret

.programmed:
        port COMMAND, READ_SECTORS
        call wait_ready
        test al, DRQ
        jz failed
        mov dx, DATA
        mov edi, CODE
        mov ecx, 512 / 2
        rep insw
        ret

; Waits until the disk is not busy. Its status is in AL.
wait_ready:
        mov dx, COMMAND
.again:
        pause
        in al, dx
        test al, BUSY
        jnz .again
        test al, ERROR
        jnz failed
        ret

failed:
        mov dword [wrong], 1
        ret

        align 64
sector: dd 0
        align 64
wrong:  dd 0

        align 8
regions:
        dd CODE
        dd 512 | 0x80000000             ; the last

        end_smp_image
