; Prints the command line and each boot module's contents (Multiboot 0.6.96, 3.3), whose last byte is taken
; as its end, then leaves with the number of modules.
%include "multiboot.inc"

BOOT_MAGIC equ 0x2badb002
INFO_FLAGS equ 0
INFO_CMDLINE equ 16
INFO_MODS_COUNT equ 20
INFO_MODS_ADDR equ 24
HAS_CMDLINE equ 1 << 2
HAS_MODULES equ 1 << 3

main:
        cmp eax, BOOT_MAGIC
        jne .wrong
        test dword [ebx + INFO_FLAGS], HAS_CMDLINE
        jz .wrong
        mov esi, [ebx + INFO_CMDLINE]
        call print
        say ""
        xor ebp, ebp
        test dword [ebx + INFO_FLAGS], HAS_MODULES
        jz .done
        mov ebp, [ebx + INFO_MODS_COUNT]
        mov ebx, [ebx + INFO_MODS_ADDR]
        mov ecx, ebp
        jecxz .done
.module:
        mov edi, [ebx + 4]              ; mod_end: one past the last byte
        mov byte [edi - 1], 0
        mov esi, [ebx]                  ; mod_start
        call print
        say ""
        add ebx, 16
        loop .module
.done:
        finish ebp
.wrong:
        say "not started as Multiboot says"
        finish 99

        end_image
