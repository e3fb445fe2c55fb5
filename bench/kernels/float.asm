; Scalar double precision, SSE2: a running sum of terms with a division and a square root each.
%include "bench.inc"

TURNS equ 100_000 * SCALE

kernel:
        mov ecx, TURNS
        xor edx, edx
        movsd xmm5, [one]
        xorpd xmm0, xmm0
        xorpd xmm1, xmm1
.turn:
        inc edx
        cvtsi2sd xmm1, edx
        movapd xmm2, xmm1
        mulsd xmm2, xmm1
        addsd xmm2, xmm5
        sqrtsd xmm3, xmm2
        movapd xmm4, xmm5
        divsd xmm4, xmm2
        subsd xmm3, xmm1
        mulsd xmm4, xmm3
        addsd xmm0, xmm4
        dec ecx
        jnz .turn
        movq rax, xmm0
        ret

        align 8
one:    dq 1.0

        work TURNS * 13
