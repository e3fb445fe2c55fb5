; A bzImage without a 64-bit entry, for the 32-bit boot protocol (Linux, arch/x86/boot.rst, "32-bit boot
; protocol"): prints the command line and the initial RAM disk, whose last byte is taken as its end.
%define LOAD_ADDRESS 0x100000

PARAMS_E820_ENTRIES equ 0x1e8
PARAMS_LOADER equ 0x210
PARAMS_RAMDISK equ 0x218
PARAMS_RAMDISK_BYTES equ 0x21c
PARAMS_COMMAND_LINE equ 0x228
BOOT_CS equ 0x10
BOOT_DS equ 0x18

section setup start=0 vstart=0
        times 0x1f1 db 0
        db 1                            ; setup_sects
        dw 0
        dd (kernel_end - kernel_start + 15) / 16 ; syssize
        dw 0, 0, 0
        dw 0xaa55
        jmp short setup_code            ; its target is also the end of the header
        db "HdrS"
        dw 0x0206                       ; version
        dd 0
        dw 0, 0
        db 0
        db 1                            ; loadflags: loaded high
        dw 0
        dd LOAD_ADDRESS                 ; code32_start
        dd 0, 0, 0
        dw 0
        db 0, 0
        dd 0
        dd 0x37ffffff                   ; initrd_addr_max
        dd 0x1000                       ; kernel_alignment
        db 0, 0                         ; not relocatable
        dw 0
        dd 255                          ; cmdline_size
setup_code:
        hlt
        times 1024 - ($ - $$) db 0

section kernel follows=setup vstart=LOAD_ADDRESS
        bits 32
kernel_start:
        jmp start

%include "console.inc"

start:
        mov ax, cs
        cmp ax, BOOT_CS
        jne wrong
        mov ax, ds
        cmp ax, BOOT_DS
        jne wrong
        pushfd
        test dword [esp], 1 << 9
        jnz wrong
        popfd
        mov ebx, esi
        cmp byte [ebx + PARAMS_LOADER], 0
        je wrong
        cmp byte [ebx + PARAMS_E820_ENTRIES], 0
        je wrong
        mov esi, [ebx + PARAMS_COMMAND_LINE]
        call print
        say ""
        mov esi, [ebx + PARAMS_RAMDISK]
        mov ecx, [ebx + PARAMS_RAMDISK_BYTES]
        mov byte [esi + ecx - 1], 0
        call print
        say ""
        finish 0
wrong:
        say "not started as the boot protocol says"
        finish 99
halt:
        cli
        hlt
        jmp halt

kernel_end:
