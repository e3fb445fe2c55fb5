; Reset by the keyboard controller: command 0xFE pulses output line 0, the processor's reset.
%macro reset_machine 0
%%full:
        in al, 0x64
        test al, 1 << 1                 ; input buffer full
        jnz %%full
        mov al, 0xfe
        out 0x64, al
%endmacro
%include "reset.inc"

        end_image
