; Calls and returns: Fibonacci numbers by recursion. fib(30) takes 1346269 calls that return at once and
; one less that call twice.
%include "bench.inc"

N equ 30
LEAVES equ 1346269                      ; fib(31)
ROUNDS equ (SCALE + 9) / 10

kernel:
        mov ebp, ROUNDS
.round:
        mov edi, N
        call fib
        dec ebp
        jnz .round
        ret

; EAX = fib(EDI)
fib:
        cmp edi, 2
        jb .leaf
        push rdi
        dec edi
        call fib
        pop rdi
        push rax
        sub edi, 2
        call fib
        pop rdx
        add rax, rdx
        ret
.leaf:
        mov eax, edi
        ret

        work ROUNDS * (LEAVES * 4 + (LEAVES - 1) * 12 + 4)
