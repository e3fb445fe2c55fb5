; Writes one line to the debug console and another to the first serial port, then leaves.
%include "multiboot.inc"

main:
        mov esi, text
.next:
        lodsb
        test al, al
        jz .done
        out DEBUG_CONSOLE, al
        jmp .next
.done:
        say "to the serial port"
        finish 0

text:   db "to the debug console", 10, 0

        end_image
