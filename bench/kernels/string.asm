; Copies and fills memory by string instructions. Measured in bytes.
%include "bench.inc"

BYTES equ 1 << 20
OTHER equ BUFFER + (4 << 20)
ROUNDS equ (SCALE + 4) / 5

kernel:
        mov ebp, ROUNDS
.round:
        mov edi, BUFFER
        mov ecx, BYTES
        mov eax, ebp
        rep stosb
        mov esi, BUFFER
        mov edi, OTHER
        mov ecx, BYTES / 8
        rep movsq
        mov esi, OTHER + 1
        mov edi, BUFFER
        mov ecx, BYTES - 1
        rep movsb
        dec ebp
        jnz .round
        mov rax, [OTHER + BYTES - 8]
        ret

        work ROUNDS * (3 * BYTES - 1)
