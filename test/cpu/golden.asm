; Code for golden.test.ts: each `region` begins on a boundary of 256 bytes and ends with HLT. RSI and RDI point to
; memory, RSP to a stack, RCX is 3, RDX 5, RBX 7.
        bits 64
        org 0x1000

%macro region 1
        times ($$ - $) & 255 nop
%1:
%endmacro

        region move_registers
        mov rax, rbx
        mov ecx, edx
        mov ah, bl
        mov r8w, dx
        hlt

        region add_memory
        add rax, [rsi]
        adc rdx, [rsi + 8]
        hlt

        region modify_memory
        add dword [rdi + rcx * 4 + 16], 5
        hlt

        region flags_overwritten
        add rax, rbx
        sub rcx, rdx
        test rax, rax
        hlt

        region flags_kept
        cmp rax, rbx
        mov rdx, [rsi]
        lea rdi, [rdi + 8]
        jb .below
        mov ebx, 1
.below: hlt

        region carry_through_inc
        add rax, rbx
        inc rcx
        adc rdx, 0
        hlt

        region condition_set
        cmp edx, ebx
        setg al
        cmovl ecx, ebx
        hlt

        region loop_registers
.again: imul rax, rax, 31
        add rax, rcx
        dec rcx
        jnz .again
        hlt

        region loop_memory
.again: mov rax, [rsi]
        add rbx, rax
        mov [rdi], rbx
        add rsi, 8
        dec ecx
        jnz .again
        hlt

        region loop_nested
.outer: mov edx, 2
.inner: add rax, rdx
        dec edx
        jnz .inner
        dec ecx
        jnz .outer
        hlt

        region loop_counted
.again: add rax, rbx
        loop .again
        hlt

        region diamond
        test ecx, 1
        jz .even
        add rax, 3
        jmp .joined
.even:  sub rax, 5
.joined: adc rax, 0
        hlt

        region call_and_return
        call .double
        call .double
        hlt
.double: add rax, rax
        ret

        region push_and_pop
        push rbx
        push 8
        pop rax
        pop rdx
        hlt

        region frame
        push rbp
        mov rbp, rsp
        sub rsp, 32
        mov [rbp - 8], rbx
        leave
        hlt

        region indirect_jump
        lea rax, [rel .there]
        jmp rax
.there: hlt

        region rip_relative
        mov rax, [rel .data]
        lea rbx, [rel .data]
        jmp .end
        align 8
.data:  dq 1
.end:   hlt

        region segment_base
        mov rax, [fs:0x10 + rsi]
        hlt

        region address_of_32_bits
        mov eax, [esi + ecx * 8]
        hlt

        region shifts
        shl rax, 5
        shr ebx, cl
        sar dx, 1
        rol rcx, 7
        hlt

        region double_shift
        shld rax, rbx, 13
        shrd edx, ecx, cl
        hlt

        region multiply
        mul rbx
        imul ecx, edx
        hlt

        region divide
        xor edx, edx
        mov eax, 100
        div rbx
        hlt

        region bit_tests
        bt rax, 5
        bts rbx, rcx
        bsf rdx, rbx
        popcnt rax, rdx
        hlt

        region locked_add
        lock add [rsi], rax
        lock inc dword [rsi + 8]
        hlt

        region compare_exchange
        lock cmpxchg [rsi], rbx
        xchg [rsi], rax
        hlt

        region sign_extension
        movsx rax, byte [rsi]
        movzx ebx, word [rsi + 2]
        movsxd rcx, edx
        cdqe
        cqo
        hlt

        region unaligned_sse
        movups xmm0, [rsi]
        paddd xmm0, xmm1
        movups [rdi], xmm0
        hlt

        region scalar_double
        movsd xmm0, [rsi]
        addsd xmm0, xmm1
        mulsd xmm0, xmm0
        movsd [rdi], xmm0
        hlt

        region convert
        cvtsi2sd xmm2, rax
        cvttsd2si rbx, xmm2
        hlt

        region float_compare
        ucomisd xmm0, xmm1
        ja .above
        mov eax, 1
.above: hlt

        region aligned_access
        movaps xmm3, [rsi]
        pxor xmm3, xmm3
        movaps [rdi], xmm3
        hlt

        region byte_registers
        mov al, [rsi]
        add ah, al
        xor bh, bh
        mov [rdi], ah
        hlt

        region left_to_tier_0
        mov eax, 1
        cpuid
        hlt
