; Ends the machine through the debug exit port with the value 21.
%include "multiboot.inc"

main:
        say "leaving"
        finish 21

        end_image
