; Reset by the reset control register: bit 1 chooses a hard reset, bit 2 going from 0 to 1 starts it
; (Intel 82371SB data sheet, 2.5.4.4).
%macro reset_machine 0
        mov dx, 0xcf9
        mov al, 1 << 1
        out dx, al
        mov al, 1 << 1 | 1 << 2
        out dx, al
%endmacro
%include "reset.inc"

        end_image
