; An ELF kernel with a PVH entry (Xen, docs/misc/pvh.pandoc): prints the command line and the boot module, whose
; last byte is taken as its end, and leaves with the number of modules.
%define LOAD_ADDRESS 0x100000

ELF_HEADER_BYTES equ 64
PROGRAM_HEADER_BYTES equ 56
PHYS32_ENTRY equ 18

INFO_MAGIC equ 0x336ec578
INFO_MODULES equ 12
INFO_MODULE_LIST equ 16
INFO_COMMAND_LINE equ 24
INFO_RSDP equ 32
INFO_MEMORY_MAP equ 40
INFO_MEMORY_ENTRIES equ 48

        bits 32
        org LOAD_ADDRESS

; ELF-64 (System V ABI, chapters 4 and 5). The 64-bit entry is one that must not be taken.
image:
        db 0x7f, "ELF", 2, 1, 1
        times 9 db 0
        dw 2, 62                        ; executable, x86-64
        dd 1
        dq wrong, ELF_HEADER_BYTES, 0
        dd 0
        dw ELF_HEADER_BYTES, PROGRAM_HEADER_BYTES, 2, 0, 0, 0

        dd 1, 7                         ; PT_LOAD: all of the file, and the stack behind it
        dq 0, image, image, end_of_file - image, stack_top - image, 4096
        dd 4, 4                         ; PT_NOTE
        dq note - image, note, note, note_end - note, note_end - note, 4

        align 4
note:
        dd 4, 4, PHYS32_ENTRY
        db "Xen", 0
        dd start
note_end:

%include "console.inc"

start:
        mov esp, stack_top
        cmp dword [ebx], INFO_MAGIC
        jne wrong
        mov esi, [ebx + INFO_COMMAND_LINE]
        call print
        say ""

        mov esi, [ebx + INFO_RSDP]
        cmp dword [esi], "RSD "
        jne wrong
        ; The first MiB of RAM above 1 MiB is in the map, as type 1.
        mov ecx, [ebx + INFO_MEMORY_ENTRIES]
        mov esi, [ebx + INFO_MEMORY_MAP]
.entry:
        jecxz wrong
        dec ecx
        add esi, 24
        cmp dword [esi - 24], LOAD_ADDRESS
        jne .entry
        cmp dword [esi - 16], 0x100000
        jb wrong
        cmp dword [esi - 8], 1
        jne wrong

        mov ebp, [ebx + INFO_MODULES]
        test ebp, ebp
        jz .done
        mov ebx, [ebx + INFO_MODULE_LIST]
        mov esi, [ebx]
        mov edi, [ebx + 8]
        mov byte [esi + edi - 1], 0
        call print
        say ""
.done:
        finish ebp
wrong:
        say "not started as PVH says"
        finish 99
halt:
        cli
        hlt
        jmp halt

end_of_file:
stack_top equ end_of_file + 4096
