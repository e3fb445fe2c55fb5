; A breakpoint that finds no gate, nor the double fault that follows: the processor shuts down (Intel SDM
; volume 3A, 6.15, "Interrupt 8").
%include "multiboot.inc"

main:
        say "faulting"
        lidt [no_gates]
        int3
        say "still running"
        finish 1

no_gates:
        dw 0
        dd 0

        end_image
