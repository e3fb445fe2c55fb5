; Follows pointers through 512 KiB in an order that no cache foresees: node i points to node 5 i + 12345 modulo
; their number, a full-period generator, so one cycle goes through all of them; their places are multiplied by
; an odd number once more, so neighbours in the cycle lie far apart. 128 pages: more would measure how many
; entries an engine's TLB has, and nothing else.
%include "bench.inc"

NODES equ 8192
NODE_BYTES equ 64
SPREAD equ 40503
TURNS equ 50_000 * SCALE
HOPS equ 8

kernel:
        xor ecx, ecx
.node:
        imul eax, ecx, SPREAD
        and eax, NODES - 1
        shl eax, 6
        imul edx, ecx, 5
        add edx, 12345
        imul edx, edx, SPREAD
        and edx, NODES - 1
        shl edx, 6
        lea rdx, [BUFFER + rdx]
        mov [BUFFER + rax], rdx
        inc ecx
        cmp ecx, NODES
        jb .node

        mov esi, BUFFER
        mov ecx, TURNS
.turn:
        times HOPS mov rsi, [rsi]
        dec ecx
        jnz .turn
        mov rax, rsi
        ret

        work NODES * 13 + TURNS * (HOPS + 2)
