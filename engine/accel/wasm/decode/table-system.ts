/**
 * The system instructions. Notation: rows.ts. Source: Intel SDM 2, appendix A and chapters 3-5.
 *
 * Operands that are registers whatever modrm says stand first, so that they are always the instruction's
 * first register operand. Memory is checked by the instructions themselves.
 */
export const SYSTEM_ROWS = `
# Segment registers.
06 push_es i64 ts
0e push_cs i64 ts
16 push_ss i64 ts
1e push_ds i64 ts
07 pop_es i64 ts
17 pop_ss i64 ts
1f pop_ds i64 ts
0f a0 push_fs d64 ts
0f a8 push_gs d64 ts
0f a1 pop_fs d64 ts
0f a9 pop_gs d64 ts
8c m mov_from_sreg Sw,Ev nocheck ts
8c/0 r mov_from_sreg_r Rv,0
8c/1 r mov_from_sreg_r Rv,1
8c/2 r mov_from_sreg_r Rv,2
8c/3 r mov_from_sreg_r Rv,3
8c/4 r mov_from_sreg_r Rv,4
8c/5 r mov_from_sreg_r Rv,5
8e mov_to_sreg Sw,Ew nocheck ts
c4 les Gv,Mp i64 nocheck ts
c5 lds Gv,Mp i64 nocheck ts
0f b2 lss Gv,Mp nocheck ts
0f b4 lfs Gv,Mp nocheck ts
0f b5 lgs Gv,Mp nocheck ts

# Far transfers.
9a callf Ap i64 end ts
ea jmpf Ap i64 end ts
ff/3 m callf_mem Mp nocheck end ts
ff/5 m jmpf_mem Mp nocheck end ts
ca retf_imm Iw end ts
cb retf end ts
cf iret end ts
cc int3 end ts
cd int Ib end ts
ce into i64 end ts
f1 int1 end ts
62 bound Gv,Ms i64 nocheck ts

# Selectors and descriptor tables.
0f 00/0 sldt Ev nocheck ts
0f 00/1 str Ev nocheck ts
0f 00/2 lldt Ew nocheck ts
0f 00/3 ltr Ew nocheck ts
0f 00/4 verr Ew nocheck ts
0f 00/5 verw Ew nocheck ts
0f 02 lar Gv,Ew nocheck ts
0f 03 lsl Gv,Ew nocheck ts
63 arpl Gw,Ew i64 nocheck ts
0f 01/0 m sgdt Ms nocheck ts
0f 01/1 m sidt Ms nocheck ts
0f 01/2 m lgdt Ms nocheck ts
0f 01/3 m lidt Ms nocheck ts

# Control and debug registers.
0f 01/4 smsw Ev nocheck ts
0f 01/6 lmsw Ew nocheck end ts
0f 06 clts end ts
0f 20 mov_from_cr Cy,Ry f64 ts
0f 22 mov_to_cr Cy,Ry f64 end ts
0f 21 mov_from_dr Dy,Ry f64 ts
0f 23 mov_to_dr Dy,Ry f64 end ts
np 0f 01/d0 xgetbv ts feature=xsave
np 0f 01/d1 xsetbv end ts feature=xsave

# The processor.
f4 hlt end ts
0f 08 invd ts
0f 09 wbinvd ts
0f 01/7 m invlpg Mb nocheck end ts
66 0f38 82 invpcid Gy,Ms nocheck end ts feature=invpcid
0f 01/f8 swapgs o64
0f 01/f9 rdtscp feature=rdtscp
0f 31 rdtsc feature=tsc
0f 33 rdpmc ts
0f 30 wrmsr ts feature=msr
0f 32 rdmsr ts feature=msr
0f a2 cpuid ts
0f c7/6 r rdrand Rv ts feature=rdrand
0f c7/7 r rdseed Rv ts feature=rdseed
f3 0f c7/7 r rdpid Ry ts feature=rdpid
f3 0f ae/0 r rdfsbase Ry o64 feature=fsgsbase
f3 0f ae/1 r rdgsbase Ry o64 feature=fsgsbase
f3 0f ae/2 r wrfsbase Ry o64 feature=fsgsbase
f3 0f ae/3 r wrgsbase Ry o64 feature=fsgsbase
0f aa rsm end ts

# System calls.
0f 05 syscall end feature=syscall
0f 07 sysret end sized feature=syscall
0f 34 sysenter end ts feature=sep
0f 35 sysexit end ts feature=sep

# Ports.
e4 in_byte_imm Ib ts
e5 in_imm Ib ts
e6 out_byte_imm Ib ts
e7 out_imm Ib ts
ec in_byte ts
ed in ts
ee out_byte ts
ef out ts
6c ins_byte string rep ts
6d ins string rep ts
6e outs_byte string rep ts
6f outs string rep ts
`;
