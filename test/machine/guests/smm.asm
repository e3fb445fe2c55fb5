; System-management mode as firmware for this chipset sets it up: an SMI by port 0xB2 moves SMBASE into SMRAM, which
; is then closed and locked (82441FX data sheet, 3.2.21; 82371AB data sheet, 7.1 and 7.3.1; AMD64 APM 2, 10.2). Where
; firmware has done so before, says so and makes an SMI. Leaves with the number of the first step that went wrong, or 0.
%include "multiboot.inc"

%define PCI_ADDRESS 0xcf8
%define PCI_DATA 0xcfc
%define SMRAM 0x80000070                ; of the host bridge: SMRAM control is the byte at 0x72
%define ACTIVITY 0x80000b58             ; of the power-management function: APMC_EN is bit 25
%define APMC 0xb2

SMBASE equ 0x30000                      ; after a reset
VIDEO equ 0xa0000
ENTRY equ 0x8000
COUNTER equ 0x9000                      ; in SMRAM
SEEN equ 0x5000                         ; in memory that everybody sees

; smram VALUE: sets SMRAM control.
%macro smram 1
        mov dx, PCI_ADDRESS
        mov eax, SMRAM
        out dx, eax
        mov dx, PCI_DATA + 2
        mov al, %1
        out dx, al
%endmacro

main:
        mov dx, PCI_ADDRESS
        mov eax, ACTIVITY
        out dx, eax
        mov dx, PCI_DATA
        in eax, dx
        test eax, 1 << 25
        jnz by_firmware
        mov ebx, eax

        smram 0x4a                      ; enabled, open
        mov ebp, 1
        mov esi, relocate
        mov edi, SMBASE + ENTRY
        mov ecx, relocate_end - relocate
        rep movsb
        mov esi, handler
        mov edi, VIDEO + ENTRY
        mov ecx, handler_end - handler
        rep movsb
        mov dword [VIDEO + COUNTER], 0
        mov dword [SEEN], 0
        mov eax, [handler]
        cmp [VIDEO + ENTRY], eax
        jne failed

        ; Nothing happens before APMC_EN is set.
        mov ebp, 2
        out APMC, al
        mov dx, PCI_ADDRESS
        mov eax, ACTIVITY
        out dx, eax
        mov dx, PCI_DATA
        mov eax, ebx
        or eax, 1 << 25
        out dx, eax
        cmp dword [SEEN], 0
        jne failed
        out APMC, al
        cmp dword [SEEN], 0x5eba5e
        jne failed

        mov ebp, 3
        smram 0x0a                      ; enabled, closed to all but the mode
        mov eax, [handler]
        cmp [VIDEO + ENTRY], eax
        je failed
        mov ecx, 3
.again:
        out APMC, al
        loop .again
        cmp dword [SEEN], 3
        jne failed
        cmp dword [VIDEO + COUNTER], 3
        je failed

        mov ebp, 4
        smram 0x1a                      ; locked
        smram 0x4a
        mov eax, [handler]
        cmp [VIDEO + ENTRY], eax
        je failed
        out APMC, al
        cmp dword [SEEN], 4
        jne failed
        say "all managed"
        finish 0

by_firmware:
        mov al, 0x5a
        out APMC, al
        say "managed by the firmware"
        finish 0

failed:
        say "a step went wrong"
        finish ebp

        bits 16
relocate:
        mov dword [cs:0xff00], VIDEO    ; SMBASE in the save area
        mov dword [dword SEEN], 0x5eba5e
        rsm
relocate_end:

handler:
        inc dword [cs:COUNTER]
        mov eax, [cs:COUNTER]
        mov [dword SEEN], eax
        rsm
handler_end:
        bits 32

        end_image
