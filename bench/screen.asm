; A guest with a screen of 1280x800 pixels of 32 bits, by the Bochs VBE interface. Each press of a key inverts the first
; line; F has it draw the whole screen again and again, each time in another colour, until the next key. It says on the
; debug console when the screen is there, and a byte for each time that it was drawn.
%include "multiboot.inc"

%define PCI_ADDRESS 0xcf8
%define PCI_DATA 0xcfc
%define VGA_FUNCTION 0x80001000         ; bus 0, device 2
%define VBE_INDEX 0x1ce
%define VBE_DATA 0x1cf
%define DEBUG_CONSOLE 0xe9
%define KEYBOARD_DATA 0x60
%define KEYBOARD_STATUS 0x64

WIDTH equ 1280
HEIGHT equ 800
PIXELS equ 0xe0000000                   ; where the frame buffer is put
KEY_F equ 0x21                          ; in set 1, to which the controller translates

; config REGISTER, VALUE: writes to the display adapter's configuration space.
%macro config 2
        mov dx, PCI_ADDRESS
        mov eax, VGA_FUNCTION | %1
        out dx, eax
        mov dx, PCI_DATA
        mov eax, %2
        out dx, eax
%endmacro

; vbe INDEX, VALUE
%macro vbe 2
        mov dx, VBE_INDEX
        mov ax, %1
        out dx, ax
        mov dx, VBE_DATA
        mov ax, %2
        out dx, ax
%endmacro

main:
        config 0x10, PIXELS
        config 0x04, 3                  ; I/O and memory
        vbe 4, 0
        vbe 1, WIDTH
        vbe 2, HEIGHT
        vbe 3, 32
        vbe 4, 0x41                     ; on, with the linear frame buffer
        xor ebx, ebx
        call draw
        mov al, 'R'
        out DEBUG_CONSOLE, al
.wait:
        call pressed
        jz .wait
        cmp al, KEY_F
        je .film
        mov edi, PIXELS
        mov ecx, WIDTH
.invert:
        not dword [edi]
        add edi, 4
        dec ecx
        jnz .invert
        jmp .wait
.film:
        add ebx, 0x030507
        call draw
        mov al, '.'
        out DEBUG_CONSOLE, al
        call pressed
        jz .film
        jmp .wait

; Draws the screen in the colour of EBX, a little darker on each line.
draw:
        mov edi, PIXELS
        mov edx, HEIGHT
        mov eax, ebx
.line:
        mov ecx, WIDTH
        rep stosd
        add eax, 0x010101
        dec edx
        jnz .line
        ret

; The code of a key that was pressed in AL, with ZF clear; ZF set where there is none.
pressed:
        pause
        in al, KEYBOARD_STATUS
        test al, 1
        jz .none
        in al, KEYBOARD_DATA
        test al, 0x80                   ; a release
        jnz .nothing
        or al, al
        ret
.nothing:
        xor al, al
.none:
        ret

        end_image
