; Branches on pseudo-random bits (xorshift). Both ways round a branch take two instructions, so how many are
; retired does not depend on the bits.
%include "bench.inc"

TURNS equ 100_000 * SCALE

%macro choose 1
        test al, 1 << %1
        jz %%clear
        add rbx, 3
        jmp %%join
%%clear:
        nop
        sub rbx, rdx
%%join:
%endmacro

kernel:
        mov rcx, TURNS
        mov eax, 88172645
        xor ebx, ebx
.turn:
        mov rdx, rax
        shl rdx, 13
        xor rax, rdx
        mov rdx, rax
        shr rdx, 7
        xor rax, rdx
        mov rdx, rax
        shl rdx, 17
        xor rax, rdx
        choose 0
        choose 2
        choose 4
        choose 6
        dec rcx
        jnz .turn
        mov rax, rbx
        ret

        work TURNS * (9 + 4 * 4 + 2)
