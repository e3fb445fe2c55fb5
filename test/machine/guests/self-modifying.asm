; Code that changes itself, in the ways a processor that keeps decoded code has to notice (Intel SDM volume
; 3A, 8.1.3; all of it is seen without serialising, since the writes use the code's own linear addresses).
; Leaves with the number of the first case that went wrong, or 0.
%include "multiboot.inc"

%define CALLS 1000

main:
        ; 1: a function that is hot, then changed from outside, then called again.
        mov ebp, 1
        mov ecx, CALLS
.warm:
        call constant
        loop .warm
        cmp eax, 0x11111111
        jne failed
        mov dword [constant + 1], 0x22222222
        call constant
        cmp eax, 0x22222222
        jne failed

        ; 2: changed on every turn of the loop that runs it.
        mov ebp, 2
        mov ecx, CALLS
        xor edx, edx
.turn:
        mov [constant + 1], ecx
        call constant
        add edx, eax
        loop .turn
        cmp edx, CALLS * (CALLS + 1) / 2
        jne failed

        ; 3: an instruction changes the very next one.
        mov ebp, 3
        mov ecx, CALLS
.next:
        xor eax, eax
        mov byte [.changed], 0x40       ; inc eax
.changed:
        nop
        cmp eax, 1
        jne failed
        mov byte [.changed], 0x90       ; nop
        loop .next

        ; 4: a string instruction overwrites code ahead of itself.
        mov ebp, 4
        mov ecx, CALLS
.copy:
        push ecx
        mov esi, increments
        test ecx, 1
        jz .go
        mov esi, decrements
.go:
        mov edi, .target
        mov ecx, 8
        xor eax, eax
        rep movsb
.target:
        times 8 nop
        pop ecx
        mov edx, 8
        test ecx, 1
        jz .even
        neg edx
.even:
        cmp eax, edx
        jne failed
        loop .copy

        ; 5: an instruction that crosses a page, changed in its second page only, then in its first only.
        mov ebp, 5
        call crossing
        cmp eax, 0x44332211
        jne failed
        mov byte [crossing + 4], 0x55
        call crossing
        cmp eax, 0x55332211
        jne failed
        mov byte [crossing + 1], 0x66
        call crossing
        cmp eax, 0x55332266
        jne failed

        ; 6: data beside code: the code runs on unharmed, however often the data changes.
        mov ebp, 6
        mov ecx, CALLS
.beside:
        inc dword [beside_data]
        call beside
        loop .beside
        cmp eax, CALLS
        jne failed

        say "all seen"
        finish 0

failed:
        say "a change was missed"
        finish ebp

constant:
        mov eax, 0x11111111
        ret

beside:
        mov eax, [beside_data]
        ret
beside_data:
        dd 0

increments:
        times 8 inc eax
decrements:
        times 8 dec eax

        align 4096
        times 4096 - 4 nop
crossing:                               ; opcode and three bytes here, the last byte in the next page
        mov eax, 0x44332211
        ret

        end_image
