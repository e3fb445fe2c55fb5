; Starts all processors, sees that each has an APIC id of its own and finds the others there, and leaves with their
; number.
%include "smp.inc"

cases:
        together note
        mov ecx, [cpus]
        cmp [noted], ecx
        jne .wrong
        xor ebx, ebx
.next:
        mov edx, ebx
.others:
        inc edx
        cmp edx, ecx
        jae .on
        mov eax, [apic_ids + rbx * 4]
        cmp eax, [apic_ids + rdx * 4]
        je .wrong
        jmp .others
.on:
        inc ebx
        cmp ebx, ecx
        jb .next
        line "all there"
        finish [cpus]
.wrong:
        line "not all there"
        finish 0

note:
        lock inc dword [noted]
        ret

        align 64
noted:  dd 0

        end_smp_image
