; Nothing: what starting a machine, entering long mode and leaving take.
%include "bench.inc"

kernel:
        xor eax, eax
        ret

        work 0
