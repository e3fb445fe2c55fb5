; Reset by ACPI: RESET_VALUE to RESET_REG, as the FADT says (ACPI 6.5, 4.8.3.6 and 5.2.9), found through RSDP
; and RSDT (5.2.5.1: the RSDP lies on a 16-byte boundary in 0xE0000 … 0xFFFFF).
%macro reset_machine 0
        call reset_by_fadt
%endmacro
%include "reset.inc"

RSDP_RSDT equ 16
TABLE_LENGTH equ 4
TABLE_ENTRIES equ 36
FADT_FLAGS equ 112
FADT_RESET_REG equ 116                  ; generic address: space, width, offset, access size, address
FADT_RESET_VALUE equ 128
RESET_REG_SUP equ 1 << 10
SYSTEM_IO equ 1

reset_by_fadt:
        mov esi, 0xe0000
.scan:
        cmp dword [esi], 'RSD '
        jne .no
        cmp dword [esi + 4], 'PTR '
        je .found
.no:
        add esi, 16
        cmp esi, 0x100000
        jb .scan
        say "no RSDP"
        finish 2

.found:
        mov esi, [esi + RSDP_RSDT]
        mov ecx, [esi + TABLE_LENGTH]
        sub ecx, TABLE_ENTRIES
        shr ecx, 2
        lea esi, [esi + TABLE_ENTRIES]
.entry:
        mov edi, [esi]
        cmp dword [edi], 'FACP'
        je .fadt
        add esi, 4
        loop .entry
        say "no FADT"
        finish 3

.fadt:
        test dword [edi + FADT_FLAGS], RESET_REG_SUP
        jnz .supported
        say "no reset register"
        finish 4

.supported:
        mov al, [edi + FADT_RESET_VALUE]
        mov edx, [edi + FADT_RESET_REG + 4]
        cmp byte [edi + FADT_RESET_REG], SYSTEM_IO
        jne .memory
        out dx, al
        ret
.memory:
        mov [edx], al
        ret

        end_image
