; Arithmetic in registers, each result needed by the next.
%include "bench.inc"

TURNS equ 300_000 * SCALE

kernel:
        mov rcx, TURNS
        mov rbx, 0x9e3779b97f4a7c15
        mov eax, 1
.turn:
        add rax, rbx
        mov rdx, rax
        shr rdx, 7
        xor rax, rdx
        lea rsi, [rax + rbx * 2 + 5]
        imul rsi, rsi, 31
        rol rsi, 11
        sub rax, rsi
        dec rcx
        jnz .turn
        ret

        work TURNS * 10
