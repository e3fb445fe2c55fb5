; Writes records to the first IDE disk without end: record n, from 1 on, is two sectors full of the number n at a
; place that depends on n. After each it flushes, and only then prints n, in hexadecimal, to the debug console.
%include "multiboot.inc"

%define DATA 0x1f0
%define COUNT 0x1f2
%define LBA_LOW 0x1f3
%define LBA_MID 0x1f4
%define LBA_HIGH 0x1f5
%define DEVICE 0x1f6
%define COMMAND 0x1f7
%define CONTROL 0x3f6

%define WRITE_SECTORS 0x30
%define FLUSH_CACHE 0xe7

%define BUSY 0x80
%define DRQ 0x08
%define ERROR 0x01

; Places on the disk: 2 ** PLACES_LOG of them.
%define PLACES_LOG 14

main:
        mov dx, CONTROL                 ; no interrupts
        mov al, 2
        out dx, al
        xor ebp, ebp                    ; n
.record:
        inc ebp
        mov edi, buffer
        mov eax, ebp
        mov ecx, 1024 / 4
        rep stosd

        imul ebx, ebp, 0x9e3779b1       ; the place is the upper bits of a product
        shr ebx, 32 - PLACES_LOG
        shl ebx, 1                      ; the sector
        mov dx, DEVICE
        mov al, 0xe0
        out dx, al
        mov dx, COUNT
        mov al, 2
        out dx, al
        mov eax, ebx
        mov dx, LBA_LOW
        out dx, al
        shr eax, 8
        mov dx, LBA_MID
        out dx, al
        shr eax, 8
        mov dx, LBA_HIGH
        out dx, al
        mov dx, COMMAND
        mov al, WRITE_SECTORS
        out dx, al
        mov esi, buffer
        mov ebx, 2
.sector:
        call wait_ready
        test al, DRQ
        jz failed
        mov dx, DATA
        mov ecx, 256
        rep outsw
        dec ebx
        jnz .sector
        call wait_ready

        mov dx, COMMAND
        mov al, FLUSH_CACHE
        out dx, al
        call wait_ready

        mov ebx, ebp
        mov ecx, 8
.digit:
        rol ebx, 4
        mov al, bl
        and al, 15
        cmp al, 10
        sbb al, 0x69                    ; 0-9, A-F, by decimal adjustment
        das
        out DEBUG_CONSOLE, al
        loop .digit
        mov al, 10
        out DEBUG_CONSOLE, al
        jmp .record

; Waits until the disk is not busy. Its status is in AL; an error ends the guest.
wait_ready:
        mov dx, COMMAND
.again:
        in al, dx
        test al, BUSY
        jnz .again
        test al, ERROR
        jnz failed
        ret

failed:
        finish 7

        align 4
buffer: times 1024 db 0

        end_image
