; Reads and writes 16 MiB from end to end.
%include "bench.inc"

BYTES equ 16 << 20
TURNS equ BYTES / 32
PASSES equ (SCALE + 1) / 2

kernel:
        mov ebp, PASSES
        xor eax, eax
        mov ebx, 3
.pass:
        mov esi, BUFFER
        mov ecx, TURNS
.turn:
        mov rdx, [rsi]
        add rdx, rbx
        mov [rsi], rdx
        add rax, [rsi + 8]
        add rax, rdx
        mov [rsi + 16], rax
        add rsi, 32
        dec ecx
        jnz .turn
        dec ebp
        jnz .pass
        ret

        work PASSES * (TURNS * 9 + 4)
