; A boot sector that says so on the debug console, and no more.
bits 16
org 0x7c00
    mov si, text
    mov dx, 0x402
next:
    lodsb
    out dx, al
    test al, al
    jnz next
stay:
    hlt
    jmp stay
text: db 'first sector', 10, 0
    times 446 - ($ - $$) db 0
    ; One active partition, as some firmware wants to see one.
    db 0x80, 0, 1, 0, 0x83, 0, 1, 0
    dd 1, 1
    times 510 - ($ - $$) db 0
    dw 0xaa55
