; Halts for good: with interrupts off nothing wakes it.
%include "multiboot.inc"

main:
        say "halting"
        ret

        end_image
