; Counts the interrupts of a timer with a period of 4 ms, and compares their number with the time-stamp counter at
; every reading: who has seen the time must have had the interrupts, also after a pause in which the host did not run
; the guest. Ends with status 1 after PAUSES pauses of LEAST to MOST ms, with another where there are fewer or more
; interrupts than there should be.
;
; TIMER: 0 is the PIT, 1 the HPET in its place. Both come through input 2 of the I/O APIC.
%include "smp.inc"

MAPPED equ 0x3fc00000                   ; the large page before the local APICs'
IOAPIC equ MAPPED
HPET equ MAPPED + 0x100000
TICK equ 0x30

MS equ 1000000                          ; in ticks of the time-stamp counter, 1 GHz
PIT_COUNT equ 4773                      ; at 1.193182 MHz
%if TIMER = 0
PERIOD equ PIT_COUNT * 1000000 * 1000 / 1193182
%else
PERIOD equ 4 * MS
%endif
PAUSES equ 8
LEAST equ 15
MOST equ 60                             ; two in a row are not more than can be made up for

cases:
        mov dword [TABLES + 0x2000 + 8 * (MAPPED >> 21)], 0xfec00093
        invlpg [IOAPIC]
        mov al, 0xff                    ; the PIC passes nothing on
        out 0x21, al
        out 0xa1, al
        gate TICK, tick
        mov dword [IOAPIC], 0x10 + 2 * 2
        mov dword [IOAPIC + 0x10], TICK
%if TIMER = 0
        mov al, 0x34                    ; counter 0, mode 2
        out 0x43, al
        mov al, PIT_COUNT & 0xff
        out 0x40, al
        mov al, PIT_COUNT >> 8
        out 0x40, al
%else
        mov dword [HPET + 0x100], 0x14c ; enabled, periodic, comparator and period, 32 bits
        mov dword [HPET + 0x108], PERIOD / 10
        mov dword [HPET + 0x108], PERIOD / 10
        mov dword [HPET + 0x10], 3      ; running, in place of the PIT
%endif
        sti
        call now
        mov r14, r8

; R12: the time at which [ticks] was 0; R14: when it was read last; EBX: pauses seen.
        xor ebx, ebx
.again:
        ; From just after an interrupt: then there is time for what follows.
        mov ecx, [ticks]
.wait:
        call now
        cmp [ticks], ecx
        je .wait
        cli
        mov dword [ticks], 0
        mov r12, r8
        call now
        sti
        mov r14, r8
        sub r8, r12
        cmp r8, MS
        ja .again                       ; held up between reading the time and the number
.next:
        call now
        mov ecx, [ticks]
        mov rsi, r8
        sub rsi, r14
        mov r14, r8
        cmp rsi, MOST * MS
        ja .again
        call periods
        lea edx, [ecx + 1]
        cmp edx, eax
        jb .fewer
        call now
        call periods
        add eax, 2
        cmp ecx, eax
        ja .more
        cmp rsi, LEAST * MS
        jb .next
        inc ebx
        cmp ebx, PAUSES
        jb .next
        line "all ticks"
        finish 0
.fewer:
        line "fewer ticks than there should be"
        finish 1
.more:
        line "more ticks than there should be"
        finish 2

; EAX: periods from R12 to R8.
periods:
        mov rax, r8
        sub rax, r12
        xor edx, edx
        mov edi, PERIOD
        div rdi
        ret

; R8: the time-stamp counter.
now:
        rdtsc
        shl rdx, 32
        lea r8, [rdx + rax]
        ret

tick:
        inc dword [ticks]
        mov dword [LAPIC_EOI], 0
        iretq

        align 64
ticks:  dd 0

        end_smp_image
