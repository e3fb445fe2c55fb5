; What several processors must agree on: atomic operations, memory ordering, interprocessor interrupts, translations
; and code changed by another (Intel SDM volume 3A, chapters 9 and 11.6). Leaves with the number of the first
; case that went wrong, or 0.
%include "smp.inc"

%ifndef LOOPS
%define LOOPS 20000
%endif
; Operations that stop the whole machine for a moment.
%define SPLITS 200
; Cells of a litmus test; each is a cache line, so that some are met while both sides work on them.
%define CELLS 4096

AREA equ 0x800000                       ; cleared before each case
AREA_BYTES equ 0x200000
X equ AREA
Y equ AREA + CELLS * 64
R0 equ AREA + 2 * CELLS * 64
R1 equ AREA + 3 * CELLS * 64
R2 equ AREA + 4 * CELLS * 64
R3 equ AREA + 5 * CELLS * 64
PAGE equ AREA + 0x1f0000                ; a page of its own, and the next

; case NUMBER, WORK, CHECK: has all processors work, then calls CHECK, which leaves RAX 0 where all is well.
%macro case 3
        mov dword [current], %1
        call clear
        together %2
        call %3
        test rax, rax
        jnz failed
%endmacro

; expect VALUE, WANTED: for checks; both may be registers, VALUE may be memory.
%macro expect 2
        cmp %1, %2
        jne wrong
%endmacro

; The sum of what every processor has added, in RCX: [cpus] × %1.
%macro times_cpus 1
        mov ecx, [cpus]
        imul rcx, rcx, %1
%endmacro

cases:
        gate 2, on_nmi
        gate 0x40, on_ipi
        gate 0x41, on_shootdown
        gate 0x42, on_x2apic_ipi
        gate 14, on_page_fault
        case 1, aligned, check_aligned
        case 2, unaligned, check_unaligned
        case 3, overlapping, check_overlapping
        case 4, beside_plain, check_beside_plain
        case 5, pair, check_pair
        case 6, halves, check_halves
        case 7, spin_lock, check_spin_lock
        case 8, store_buffer_mfence, check_store_buffer
        case 9, store_buffer_lock, check_store_buffer
        case 10, store_buffer_xchg, check_store_buffer
        case 11, message_passing, check_message_passing
        case 12, load_buffer, check_load_buffer
        case 13, independent_reads, check_independent_reads
        case 14, interrupts, check_interrupts
        case 15, halted, check_interrupts
        case 16, shootdown, check_zero
        case 17, patched, check_zero
        case 18, patched_by_interrupt, check_zero
        case 19, code_beside_data, check_code_beside_data
        case 20, time, check_zero
        case 21, entry_taken_away, check_zero
        case 22, copied_over, check_zero
        case 23, clusters, check_interrupts
        case 24, x2apic, check_interrupts
        line "all cases"
        finish 0

failed:
        line "a case went wrong"
        finish [current]
wrong:
        mov eax, 1
        ret
check_zero:
        mov rax, [AREA]
        ret

clear:
        mov edi, AREA
        mov ecx, AREA_BYTES / 8
        xor eax, eax
        rep stosq
        ret

        align 64
current: dd 0

; 1: every width, and operations of each kind.
aligned:
        mov ecx, LOOPS
        mov ebx, X
.next:
        lock inc byte [rbx]
        lock add word [rbx + 64], 3
        lock inc dword [rbx + 128]
        lock sub qword [rbx + 192], 1
        mov eax, 1
        lock xadd [rbx + 256], rax
        mov rax, [rbx + 320]
.again:
        lea rdx, [rax + 1]
        lock cmpxchg [rbx + 320], rdx
        jne .again
        dec ecx
        jnz .next
        ret
check_aligned:
        times_cpus LOOPS
        mov ebx, X
        expect [rbx], cl
        lea rax, [rcx + rcx * 2]
        expect [rbx + 64], ax
        expect [rbx + 128], ecx
        expect [rbx + 256], rcx
        expect [rbx + 320], rcx
        neg rcx
        expect [rbx + 192], rcx
        xor eax, eax
        ret

; 2: within eight bytes, across eight, across a cache line, across a page.
unaligned:
        mov ecx, SPLITS
        mov ebx, PAGE
.next:
        lock inc dword [rbx + 1]
        lock inc qword [rbx + 16 + 5]
        lock inc word [rbx + 128 - 1]
        lock inc dword [rbx + 192 - 2]
        lock add qword [rbx + 4096 - 3], 1
        dec ecx
        jnz .next
        ret
check_unaligned:
        times_cpus SPLITS
        mov ebx, PAGE
        expect [rbx + 1], ecx
        expect [rbx + 16 + 5], rcx
        expect [rbx + 128 - 1], cx
        expect [rbx + 192 - 2], ecx
        expect [rbx + 4096 - 3], rcx
        xor eax, eax
        ret

; 3: one processor's operand is not aligned, and half of it is another's aligned one.
overlapping:
        mov ebx, PAGE + 4096
        test edi, edi
        jz .split
        mov ecx, LOOPS
.whole:
        lock inc dword [rbx]
        dec ecx
        jnz .whole
        ret
.split:
        mov ecx, SPLITS
.next:
        lock inc qword [rbx - 4]
        dec ecx
        jnz .next
        ret
check_overlapping:
        mov ebx, PAGE + 4096
        expect dword [rbx - 4], SPLITS
        mov ecx, [cpus]
        dec ecx
        imul ecx, ecx, LOOPS
        expect [rbx], ecx
        xor eax, eax
        ret

; 4: a locked operation does not undo a plain store to the rest of its operand. Processor 1 stores, 0 adds.
beside_plain:
        mov ebx, PAGE + 16
        cmp edi, 1
        ja .out
        jb .add
        xor ecx, ecx
.store:
        inc ecx
        mov [rbx + 4], cx
        cmp [rbx + 4], cx
        jne .lost
        cmp ecx, LOOPS
        jne .store
.out:
        ret
.lost:
        mov dword [X], 1
        ret
.add:
        mov ecx, SPLITS
.next:
        lock add dword [rbx + 2], 1
        dec ecx
        jnz .next
        ret
check_beside_plain:
        cmp dword [cpus], 2
        jb .fine
        expect dword [X], 0
        expect word [PAGE + 16 + 2], SPLITS
        expect word [PAGE + 16 + 4], LOOPS & 0xffff
.fine:
        xor eax, eax
        ret

; 5: 16 bytes change as one. Even processors add to both halves, odd ones look on.
pair:
        mov esi, PAGE + 64
        test edi, 1
        jnz .look
        mov r8d, LOOPS / 4
.add:
        mov rax, [rsi]
        mov rdx, [rsi + 8]
.again:
        lea rbx, [rax + 1]
        lea rcx, [rdx + 1]
        lock cmpxchg16b [rsi]
        jne .again
        dec r8d
        jnz .add
        lock inc dword [X]
        ret
.look:
        mov r8d, [cpus]
        inc r8d
        shr r8d, 1
.watch:
        mov rax, [rsi + 8]              ; the half read first may be older
        mov rdx, [rsi]
        cmp rdx, rax
        jb .torn
        mov rdx, [rsi]
        mov rax, [rsi + 8]
        cmp rax, rdx
        jb .torn
        movdqa xmm0, [rsi]
        movq rax, xmm0
        psrldq xmm0, 8
        movq rdx, xmm0
        cmp rax, rdx
        jne .torn
        inc qword [PAGE + 256 + rdi * 8] ; plain stores to the page are not lost either
        inc qword [R0 + rdi * 8]
        cmp [X], r8d
        jne .watch
        ret
.torn:
        mov dword [Y], 1
        ret
check_pair:
        mov ecx, [cpus]
        inc ecx
        shr ecx, 1
        imul rcx, rcx, LOOPS / 4
        expect [PAGE + 64], rcx
        expect [PAGE + 72], rcx
        expect dword [Y], 0
        xor edi, edi
.next:
        mov rax, [R0 + rdi * 8]
        expect [PAGE + 256 + rdi * 8], rax
        inc edi
        cmp edi, 64
        jne .next
        xor eax, eax
        ret

; 6: processor 0 adds to the low half by 16-byte exchanges, the others to the high half by 8-byte ones.
halves:
        mov esi, PAGE + 64
        mov r8d, LOOPS / 4
        test edi, edi
        jnz .high
.low:
        mov rax, [rsi]
        mov rdx, [rsi + 8]
.again:
        lea rbx, [rax + 1]
        mov rcx, rdx
        lock cmpxchg16b [rsi]
        jne .again
        dec r8d
        jnz .low
        ret
.high:
        lock inc qword [rsi + 8]
        dec r8d
        jnz .high
        ret
check_halves:
        expect qword [PAGE + 64], LOOPS / 4
        mov ecx, [cpus]
        dec ecx
        imul rcx, rcx, LOOPS / 4
        expect [PAGE + 72], rcx
        xor eax, eax
        ret

; 7: plain additions under a spin lock.
spin_lock:
        mov ecx, LOOPS / 4
.next:
        call lock_it
        inc qword [Y]
        mov byte [X], 0
        dec ecx
        jnz .next
        ret
lock_it:
        lock bts dword [X], 0
        jnc .held
.wait:
        pause
        test byte [X], 1
        jnz .wait
        jmp lock_it
.held:
        ret
check_spin_lock:
        times_cpus LOOPS / 4
        expect [Y], rcx
        xor eax, eax
        ret

; 8 … 10, SB: x = 1; barrier; r0 = y | y = 1; barrier; r1 = x. Not both 0.
%macro store_buffer 1
        cmp edi, 1
        ja %%out
        mov esi, X
        mov edx, Y
        mov ebx, R0
        jb %%go
        xchg esi, edx
        mov ebx, R1
%%go:
        call meet
        xor ecx, ecx
%%next:
        %1
        mov eax, [rdx + rcx]
        mov [rbx + rcx], eax
        add ecx, 64
        cmp ecx, CELLS * 64
        jne %%next
%%out:
        ret
%endmacro
%macro store_mfence 0
        mov dword [rsi + rcx], 1
        mfence
%endmacro
%macro store_lock 0
        mov dword [rsi + rcx], 1
        lock add dword [rsp], 0
%endmacro
%macro store_xchg 0
        mov eax, 1
        xchg [rsi + rcx], eax
%endmacro
store_buffer_mfence:
        store_buffer store_mfence
store_buffer_lock:
        store_buffer store_lock
store_buffer_xchg:
        store_buffer store_xchg

; Processors 0 and 1 leave together.
meet:
        lock inc dword [AREA + AREA_BYTES - 64]
.wait:
        cmp dword [cpus], 2
        jb .go
        cmp dword [AREA + AREA_BYTES - 64], 2
        jb .wait
.go:
        ret
check_store_buffer:
        cmp dword [cpus], 2
        jb .fine
        xor ecx, ecx
.next:
        mov eax, [R0 + rcx]
        or eax, [R1 + rcx]
        jz wrong
        add ecx, 64
        cmp ecx, CELLS * 64
        jne .next
.fine:
        xor eax, eax
        ret

; 11, MP: x = 1; y = 1 | r0 = y; r1 = x. r0 implies r1.
message_passing:
        cmp edi, 1
        ja .out
        call meet
        xor ecx, ecx
        test edi, edi
        jnz .read
.write:
        mov dword [X + rcx], 1
        mov dword [Y + rcx], 1
        add ecx, 64
        cmp ecx, CELLS * 64
        jne .write
.out:
        ret
.read:
        mov eax, [Y + rcx]
        mov edx, [X + rcx]
        mov [R0 + rcx], eax
        mov [R1 + rcx], edx
        add ecx, 64
        cmp ecx, CELLS * 64
        jne .read
        ret
check_message_passing:
        xor ecx, ecx
.next:
        mov eax, [R1 + rcx]
        not eax
        test eax, [R0 + rcx]
        jnz wrong
        add ecx, 64
        cmp ecx, CELLS * 64
        jne .next
        xor eax, eax
        ret

; 12, LB: r0 = x; y = 1 | r1 = y; x = 1. Not both 1.
load_buffer:
        cmp edi, 1
        ja .out
        mov esi, X
        mov edx, Y
        mov ebx, R0
        jb .go
        xchg esi, edx
        mov ebx, R1
.go:
        call meet
        xor ecx, ecx
.next:
        mov eax, [rsi + rcx]
        mov dword [rdx + rcx], 1
        mov [rbx + rcx], eax
        add ecx, 64
        cmp ecx, CELLS * 64
        jne .next
.out:
        ret
check_load_buffer:
        xor ecx, ecx
.next:
        mov eax, [R0 + rcx]
        and eax, [R1 + rcx]
        jnz wrong
        add ecx, 64
        cmp ecx, CELLS * 64
        jne .next
        xor eax, eax
        ret

; 13, IRIW: two write, two read in opposite order and must not disagree about which write came first.
independent_reads:
        cmp edi, 3
        ja .out
        xor ecx, ecx
        mov esi, X
        mov edx, Y
        test edi, 1
        jz .side
        xchg esi, edx
.side:
        call meet
        test edi, 2
        jnz .read
.write:
        mov dword [rsi + rcx], 1
        add ecx, 64
        cmp ecx, CELLS * 64
        jne .write
.out:
        ret
.read:
        ; Bit 0: the first was there; bit 1: the second was.
        mov eax, [rsi + rcx]
        mov ebx, [rdx + rcx]
        lea eax, [rax + rbx * 2]
        test edi, 1
        jnz .other
        mov [R2 + rcx], eax
        jmp .read_on
.other:
        mov [R3 + rcx], eax
.read_on:
        add ecx, 64
        cmp ecx, CELLS * 64
        jne .read
        ret
check_independent_reads:
        xor ecx, ecx
.next:
        cmp dword [R2 + rcx], 1
        jne .fine
        cmp dword [R3 + rcx], 1
        je wrong
.fine:
        add ecx, 64
        cmp ecx, CELLS * 64
        jne .next
        xor eax, eax
        ret

; 14: interrupts by every way of naming who is to get them; each is counted by the one who does.
IPI_ROUNDS equ 20
interrupts:
        sti
        test edi, edi
        jz .send
.wait:
        pause
        cmp dword [X], 0
        je .wait
        cli
        ret
.send:
        mov r8d, IPI_ROUNDS
.round:
        ; By id.
        xor ebx, ebx
.each:
        mov eax, [apic_ids + rbx * 4]
        mov [LAPIC_ICR_HIGH], eax
        mov dword [LAPIC_ICR], 0x40
        call taken
        inc ebx
        cmp ebx, [cpus]
        jne .each
        ; By logical id, one and all (of the first eight).
        mov dword [LAPIC_ICR_HIGH], 1 << 24
        mov dword [LAPIC_ICR], ICR_LOGICAL | 0x40
        call taken
        mov dword [LAPIC_ICR_HIGH], 0xff << 24
        mov dword [LAPIC_ICR], ICR_LOGICAL | 0x40
        mov ecx, [cpus]
        cmp ecx, 8
        jbe .logical
        mov ecx, [cpus]                 ; 0xff is the broadcast
.logical:
        call taken_by
        ; By shorthand.
        mov dword [LAPIC_ICR], ICR_SELF | 0x40
        call taken
        mov dword [LAPIC_ICR], ICR_ALL | 0x40
        mov ecx, [cpus]
        call taken_by
        mov dword [LAPIC_ICR], ICR_OTHERS | 0x40
        mov ecx, [cpus]
        dec ecx
        call taken_by
        ; One of all, whoever.
        mov dword [LAPIC_ICR_HIGH], 0xff << 24
        mov dword [LAPIC_ICR], ICR_LOGICAL | ICR_LOWEST | 0x40
        call taken
        ; Those that no flag holds back.
        mov dword [LAPIC_ICR], ICR_OTHERS | ICR_NMI
        mov ecx, [cpus]
        dec ecx
        call taken_by
        dec r8d
        jnz .round
        mov dword [X], 1
        cli
        ret

; Waits until one interrupt, or ECX, have been counted since the last time.
taken:
        mov ecx, 1
taken_by:
        add [Y + 64], ecx
.wait:
        pause
        mov eax, [Y + 64]
        cmp [Y], eax
        jb .wait
        ja .many
        ret
.many:
        mov dword [Y + 128], 1
        ret
on_ipi:
        lock inc dword [Y]
        mov dword [LAPIC_EOI], 0
        iretq
on_nmi:
        lock inc dword [Y]
        iretq
check_interrupts:
        mov eax, [Y]
        expect [Y + 64], eax
        mov eax, [Y + 128]
        ret

; 15: an interrupt ends HLT.
halted:
        test edi, edi
        jz .send
.wait:
        cli
        cmp dword [X], 0
        jne .out
        sti
        hlt
        jmp .wait
.out:
        sti
        nop
        cli
        ret
.send:
        mov r8d, 200
        sti
.next:
        mov dword [LAPIC_ICR], ICR_OTHERS | 0x40
        mov ecx, [cpus]
        dec ecx
        call taken_by
        dec r8d
        jnz .next
        mov dword [X], 1
        mov dword [LAPIC_ICR], ICR_OTHERS | 0x40
        mov ecx, [cpus]
        dec ecx
        call taken_by
        cli
        ret

; 16: a page is mapped elsewhere; when all have dropped the old translation nobody reads or writes through it.
WINDOW equ 0x10000000                   ; linear address of the page: the first of a table of its own
WINDOW_TABLE equ 0x303000
FRAME_A equ 0xa00000
FRAME_B equ 0xa01000
shootdown:
        test edi, edi
        jz .map
        sti
.write:
        cmp dword [R3], 0               ; the test is over
        jne .out
        cmp dword [Y], 0                ; mapped
        je .write
        inc qword [WINDOW + rdi * 8]
        jmp .write
.out:
        cli
        ret
.map:
        mov dword [WINDOW_TABLE], FRAME_A + 7
        mov dword [WINDOW_TABLE + 4], 0
        mov dword [TABLES + 0x2000 + (WINDOW >> 21) * 8], WINDOW_TABLE + 7
        mov rax, cr3
        mov cr3, rax
        mov dword [Y], 1
        mov r8d, 100
        mov ebx, FRAME_A
        mov edx, FRAME_B
.turn:
        xchg ebx, edx                   ; the new frame, and the old
        lea eax, [ebx + 7]
        mov [WINDOW_TABLE], eax
        invlpg [WINDOW]
        mov dword [Y + 64], 1           ; this one has
        mov dword [LAPIC_ICR], ICR_OTHERS | 0x41
.wait:
        pause
        mov eax, [Y + 64]
        cmp eax, [cpus]
        jne .wait
        ; What the old frame holds stays.
        mov ecx, 63
.keep:
        mov rax, [rdx + rcx * 8]
        mov [R0 + rcx * 8], rax
        dec ecx
        jns .keep
        mov ecx, 2000
.time:
        dec ecx
        jnz .time
        mov ecx, 63
.same:
        mov rax, [rdx + rcx * 8]
        cmp [R0 + rcx * 8], rax
        jne .moved
        dec ecx
        jns .same
        dec r8d
        jnz .turn
        jmp .over
.moved:
        mov qword [X], 1
.over:
        mov dword [R3], 1
        ret
on_shootdown:
        invlpg [WINDOW]
        lock inc dword [Y + 64]
        mov dword [LAPIC_EOI], 0
        iretq

; versions FUNCTION, CHANGE: processor 0 calls CHANGE, which has FUNCTION return R8D, once for each version; the others run
; it after they have seen that it is written and serialised.
PATCHES equ 300
%macro versions 2
        test edi, edi
        jz %%write
        mov r8d, 1
%%see:
        pause
        cmp [Y], r8d
        jb %%see
        xor eax, eax
        cpuid
        call %1
        cmp eax, r8d
        je %%right
        mov qword [X], 1
%%right:
        lock inc dword [Y + 64]
        inc r8d
        cmp r8d, PATCHES
        jbe %%see
        ret
%%write:
        mov r8d, 1
%%change:
        call %2
        mov [Y], r8d
%%wait:
        pause
        mov eax, [cpus]
        dec eax
        imul eax, r8d
        cmp [Y + 64], eax
        jne %%wait
        call %1
        cmp eax, r8d
        je %%next
        mov qword [X], 1
%%next:
        inc r8d
        cmp r8d, PATCHES
        jbe %%change
        ret
%endmacro

; 17: by a store into the code.
patched:
        versions constant, patch
patch:
        mov [constant + 1], r8d
        ret

; 18: as 17, where an interrupt and its return serialise.
patched_by_interrupt:
        test edi, edi
        jz .write
        mov ebx, edi
        shl ebx, 6
        sti
.run:
        call constant
        mov [rbx + R0], eax             ; what this one has seen last
        cmp dword [Y + 128], 0
        je .run
        cli
        ret
.write:
        mov r8d, 1
.patch:
        lea eax, [r8d + 0x1000]
        mov [constant + 1], eax
        mov dword [LAPIC_ICR], ICR_OTHERS | 0x40
        mov ecx, [cpus]
        dec ecx
        call taken_by
        ; From here on nobody may run the old code: wait for one more run of each, which must be of the new.
        mov ebx, 1
.each:
        cmp ebx, [cpus]
        je .seen
        mov ecx, ebx
        shl ecx, 6
        lea eax, [r8d + 0x1000]
        mov edx, 100000000
.wait:
        cmp [R0 + rcx], eax
        je .next
        pause
        dec edx
        jnz .wait
        mov qword [X], 1
.next:
        inc ebx
        jmp .each
.seen:
        inc r8d
        cmp r8d, PATCHES / 3
        jbe .patch
        mov dword [Y + 128], 1
        ret

        align 4096
constant:
        mov eax, 0
        ret
        align 64
beside: dq 0
beside_locked: dq 0
        align 2048
inside:
        mov eax, 0
        ret
        align 4096

; 19: data in a page of code that everybody runs: neither plain nor locked writes are lost.
code_beside_data:
        mov r8d, LOOPS / 10
.next:
        call constant
        lock inc qword [beside_locked]
        cmp edi, 1
        jne .on
        inc qword [beside]
.on:
        dec r8d
        jnz .next
        ret
check_code_beside_data:
        times_cpus LOOPS / 10
        expect [beside_locked], rcx
        cmp dword [cpus], 2
        jb .fine
        expect qword [beside], LOOPS / 10
.fine:
        xor eax, eax
        ret

; 20: no processor reads a time stamp that lies before one that another has read before.
time:
        mov ecx, LOOPS / 10
.next:
        lock bts dword [Y], 0
        jc .next
        rdtsc
        shl rdx, 32
        or rax, rdx
        cmp rax, [Y + 64]
        jae .later
        mov qword [X], 1
.later:
        mov [Y + 64], rax
        mov byte [Y], 0
        dec ecx
        jnz .next
        ret

; 21: a page-table entry that one processor clears stays clear, however the others' walks set its bits.
entry_taken_away:
        mov r8d, LOOPS / 10
        test edi, edi
        jz .take
.touch:
        invlpg [WINDOW]
        mov r15d, .faulted
        mov dword [WINDOW + 64], 1
.faulted:
        dec r8d
        jnz .touch
        ret
.take:
        mov dword [WINDOW_TABLE], FRAME_A + 7
        xor eax, eax
        xchg [WINDOW_TABLE], rax
        mov ecx, 20
.look:
        cmp qword [WINDOW_TABLE], 0
        jne .set
        dec ecx
        jnz .look
        dec r8d
        jnz .take
        ret
.set:
        mov qword [X], 1
        ret
on_page_fault:
        ; Goes on at R15.
        add rsp, 8
        mov [rsp], r15
        iretq

; 22: by copying the whole page there and back, with string instructions that do many elements at once.
COPY equ AREA + 0x1e0000
copied_over:
        versions inside, copy_over
copy_over:
        mov esi, constant
        mov edi, COPY
        mov ecx, 4096
        rep movsb
        mov [COPY + inside - constant + 1], r8d
        mov esi, COPY
        mov edi, constant
        mov ecx, 4096 / 8
        rep movsq
        ret

; Says that this processor is ready, with interrupts on. Processor 0 returns with ZF set when all are, the others clear,
; when processor 0 has set [X].
get_ready:
        sti
        lock inc dword [R0]
        test edi, edi
        jz .first
.wait:
        pause
        cmp dword [X], 0
        je .wait
        ret
.first:
        pause
        mov eax, [R0]
        cmp eax, [cpus]
        jne .first
        ret

; 23: as 14, with logical destinations in clusters of four.
clusters:
        mov dword [LAPIC_DFR], 0x0fffffff
        mov ebx, edi
        call cluster_of
        mov [LAPIC_LDR], eax
        call get_ready
        jnz .done
        mov r8d, IPI_ROUNDS
.round:
        xor ebx, ebx
.each:
        call cluster_of
        mov [LAPIC_ICR_HIGH], eax
        mov dword [LAPIC_ICR], ICR_LOGICAL | 0x40
        call taken
        inc ebx
        cmp ebx, [cpus]
        jne .each
        ; The first cluster: all of it, and one of it.
        mov dword [LAPIC_ICR_HIGH], 0x0f << 24
        mov dword [LAPIC_ICR], ICR_LOGICAL | 0x40
        mov ecx, 4
        cmp ecx, [cpus]
        cmova ecx, [cpus]
        call taken_by
        mov dword [LAPIC_ICR], ICR_LOGICAL | ICR_LOWEST | 0x40
        call taken
        dec r8d
        jnz .round
        mov dword [X], 1
.done:
        cli
        jmp enable_apic

; EAX: the logical destination of processor EBX among clusters, in bits 31-24.
cluster_of:
        mov ecx, ebx
        and ecx, 3
        mov eax, 1 << 24
        shl eax, cl
        mov ecx, ebx
        shr ecx, 2
        shl ecx, 28
        or eax, ecx
        ret

; 24: as 14, in x2APIC mode.
MSR_APIC_BASE equ 0x1b
MSR_X2APIC_EOI equ 0x80b
MSR_X2APIC_LDR equ 0x80d
MSR_X2APIC_ICR equ 0x830
MSR_X2APIC_SELF_IPI equ 0x83f

; x2apic_send FLAGS: to EDX.
%macro x2apic_send 1
        mov eax, (%1)
        mov ecx, MSR_X2APIC_ICR
        wrmsr
%endmacro

x2apic:
        mov ecx, MSR_APIC_BASE
        rdmsr
        or eax, 1 << 10
        wrmsr
        mov ecx, MSR_X2APIC_LDR
        rdmsr
        mov [R1 + rdi * 4], eax
        call get_ready
        jnz .done
        mov r8d, IPI_ROUNDS
.round:
        xor ebx, ebx
.each:
        mov edx, [apic_ids + rbx * 4]
        shr edx, 24
        x2apic_send 0x42
        call taken
        mov edx, [R1 + rbx * 4]
        x2apic_send ICR_LOGICAL | 0x42
        call taken
        inc ebx
        cmp ebx, [cpus]
        jne .each
        ; The first cluster, of sixteen: all of it, and one of it.
        mov edx, 0xffff
        x2apic_send ICR_LOGICAL | 0x42
        mov ecx, [cpus]
        call taken_by
        mov edx, 0xffff
        x2apic_send ICR_LOGICAL | ICR_LOWEST | 0x42
        call taken
        ; By register of its own, and by shorthand.
        mov ecx, MSR_X2APIC_SELF_IPI
        mov eax, 0x42
        xor edx, edx
        wrmsr
        call taken
        x2apic_send ICR_SELF | 0x42
        call taken
        x2apic_send ICR_ALL | 0x42
        mov ecx, [cpus]
        call taken_by
        x2apic_send ICR_OTHERS | 0x42
        mov ecx, [cpus]
        dec ecx
        call taken_by
        x2apic_send ICR_OTHERS | ICR_NMI
        mov ecx, [cpus]
        dec ecx
        call taken_by
        dec r8d
        jnz .round
        mov dword [X], 1
.done:
        cli
        ; Back by way of an APIC that is disabled (SDM 3A, figure 11-27).
        mov ecx, MSR_APIC_BASE
        rdmsr
        and eax, ~(3 << 10)
        wrmsr
        or eax, 1 << 11
        wrmsr
        jmp enable_apic

on_x2apic_ipi:
        push rax
        push rcx
        push rdx
        lock inc dword [Y]
        mov ecx, MSR_X2APIC_EOI
        xor eax, eax
        xor edx, edx
        wrmsr
        pop rdx
        pop rcx
        pop rax
        iretq

        end_smp_image
