/** The general-purpose instructions. Notation: rows.ts. Source: Intel SDM 2, appendix A and chapters 3-5. */

const CONDITIONS = [
  'o',
  'no',
  'b',
  'nb',
  'z',
  'nz',
  'be',
  'nbe',
  's',
  'ns',
  'p',
  'np',
  'l',
  'nl',
  'le',
  'nle',
];

const hex = (n: number): string => n.toString(16).padStart(2, '0');

const ARITHMETIC = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp']
  .map((name, i) => {
    const o = (n: number) => hex(8 * i + n);
    const memory = name === 'cmp' ? 'ro hot' : 'lock hot';
    return `
${o(0)} ${name} Eb,Gb ${memory}
${o(1)} ${name} Ev,Gv ${memory}
${o(2)} ${name} Gb,Eb hot
${o(3)} ${name} Gv,Ev hot
${o(4)} ${name} al,Ib
${o(5)} ${name} rax,Iz
80/${i} ${name} Eb,Ib ${memory}
82/${i} ${name} Eb,Ib ${memory} i64
81/${i} ${name} Ev,Iz ${memory}
83/${i} ${name} Ev,Ib ${memory}`;
  })
  .join('');

const SHIFTS = ['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', 'shl', 'sar']
  .map(
    (name, i) => `
c0/${i} ${name} Eb,Ib
c1/${i} ${name} Ev,Ib
d0/${i} ${name} Eb,1
d1/${i} ${name} Ev,1
d2/${i} ${name} Eb,cl
d3/${i} ${name} Ev,cl`,
  )
  .join('');

const BY_CONDITION = CONDITIONS.map(
  (cc, i) => `
${hex(0x70 + i)} j${cc} Jb f64
0f ${hex(0x80 + i)} j${cc} Jz f64
0f ${hex(0x40 + i)} cmov${cc} Gv,Ev hot feature=cmov
0f ${hex(0x90 + i)} set${cc} Eb`,
).join('');

const BIT_TESTS = ['bt', 'bts', 'btr', 'btc']
  .map((name, i) => {
    const memory = name === 'bt' ? 'ro' : 'lock';
    return `
0f ${hex(0xa3 + 8 * i)} ${name} Ev,Gv ${memory} string nocheck
0f ba/${4 + i} ${name}i Ev,Ib ${memory}`;
  })
  .join('');

export const INTEGER_ROWS = `${ARITHMETIC}${SHIFTS}${BY_CONDITION}${BIT_TESTS}
40+ inc Zv i64
48+ dec Zv i64
fe/0 inc Eb lock hot
fe/1 dec Eb lock hot
ff/0 inc Ev lock hot
ff/1 dec Ev lock hot
f6/0 test Eb,Ib ro hot
f6/1 test Eb,Ib ro hot
f7/0 test Ev,Iz ro hot
f7/1 test Ev,Iz ro hot
84 test Eb,Gb ro hot
85 test Ev,Gv ro hot
a8 test al,Ib
a9 test rax,Iz
f6/2 not Eb lock
f7/2 not Ev lock
f6/3 neg Eb lock
f7/3 neg Ev lock
f6/4 mul Eb ro
f7/4 mul Ev ro
f6/5 imul1 Eb ro
f7/5 imul1 Ev ro
f6/6 div Eb ro
f7/6 div Ev ro
f6/7 idiv Eb ro
f7/7 idiv Ev ro
0f af imul Gv,Ev hot
69 imul3 Gv,Ev,Iz
6b imul3 Gv,Ev,Ib

50+ push Zv d64 stack
58+ pop Zv d64 stack
68 push Iz d64 stack
6a push Ib d64 stack sized
ff/6 push Ev d64 stack ro hot
8f/0 pop Ev d64 stack
60 pusha i64 stack sized
61 popa i64 stack sized
c8 enter Iw,Ib d64 stack sized
c9 leave d64 stack sized
9c pushf d64 stack sized
9d popf d64 stack sized

88 mov Eb,Gb hot
89 mov Ev,Gv hot
8a mov Gb,Eb hot
8b mov Gv,Ev hot
c6/0 mov Eb,Ib hot
c7/0 mov Ev,Iz hot
b0+ mov Zb,Ib
b8+ mov Zv,Lv
a0 mov al,Ob
a1 mov rax,Ov
a2 mov Ob,al
a3 mov Ov,rax
8d lea Gv,Mv nocheck hot
86 xchg Eb,Gb lock locked
87 xchg Ev,Gv lock locked
90 nop
90+ xchg Zv,rax
f3 90 pause ts
98 cbw sized
99 cwd sized
9e sahf i64
9f lahf i64
9e sahf o64 feature=lahf_lm
9f lahf o64 feature=lahf_lm
d7 xlat string
63 movsxd Gv,Ed o64 hot
0f b6 movzxb Gv,Eb hot
0f b7 movzxw Gv,Ew hot
0f be movsxb Gv,Eb hot
0f bf movsxw Gv,Ew hot
0f c8+ bswap Zv
0f c3 movnti My,Gy feature=sse2
0f38 f0 m movbe Gv,Mv feature=movbe
0f38 f1 m movbe Mv,Gv feature=movbe
f2 0f38 f0 crc32b Gy,Eb feature=sse4_2
f2 0f38 f1 crc32 Gv,Ev feature=sse4_2

27 daa i64
2f das i64
37 aaa i64
3f aas i64
d4 aam Ib i64
d5 aad Ib i64
d6 salc i64

f3 0f b8 popcnt Gv,Ev feature=popcnt
f3 0f bc tzcnt Gv,Ev feature=bmi1
f3 0f bd lzcnt Gv,Ev feature=abm
0f bc bsf Gv,Ev
0f bd bsr Gv,Ev
0f a4 shld Ev,Gv,Ib
0f a5 shld Ev,Gv,cl
0f ac shrd Ev,Gv,Ib
0f ad shrd Ev,Gv,cl
0f b0 cmpxchg Eb,Gb lock
0f b1 cmpxchg Ev,Gv lock
0f c0 xadd Eb,Gb lock
0f c1 xadd Ev,Gv lock
0f c7/1 m cmpxchg8b Ms lock memory=8 sized wide=cmpxchg16b

66 0f38 f6 adcx Gy,Ey feature=adx
f3 0f38 f6 adox Gy,Ey feature=adx
vex.l0 np 0f38 f2 andn Gy,By,Ey feature=bmi1
vex.l0 np 0f38 f3/1 blsr By,Ey feature=bmi1
vex.l0 np 0f38 f3/2 blsmsk By,Ey feature=bmi1
vex.l0 np 0f38 f3/3 blsi By,Ey feature=bmi1
vex.l0 np 0f38 f7 bextr Gy,Ey,By feature=bmi1
vex.l0 np 0f38 f5 bzhi Gy,Ey,By feature=bmi2
vex.l0 f2 0f38 f5 pdep Gy,By,Ey feature=bmi2
vex.l0 f3 0f38 f5 pext Gy,By,Ey feature=bmi2
vex.l0 f2 0f38 f6 mulx Gy,By,Ey feature=bmi2
vex.l0 66 0f38 f7 shlx Gy,Ey,By feature=bmi2
vex.l0 f3 0f38 f7 sarx Gy,Ey,By feature=bmi2
vex.l0 f2 0f38 f7 shrx Gy,Ey,By feature=bmi2
vex.l0 f2 0f3a f0 rorx Gy,Ey,Ib feature=bmi2

a4 movs Xb string rep
a5 movs Xv string rep
a6 cmps Xb string rep
a7 cmps Xv string rep
aa stos Xb string rep
ab stos Xv string rep
ac lods Xb string rep
ad lods Xv string rep
ae scas Xb string rep
af scas Xv string rep

e0 loopne Jb f64 string
e1 loope Jb f64 string
e2 loop Jb f64 string
e3 jcxz Jb f64 string
e8 call Jz f64 stack end sized
e9 jmp Jz f64 end
eb jmp Jb f64 end
ff/2 callr Ev f64 stack end ro hot
ff/4 jmpr Ev f64 end ro hot
c2 ret Iw f64 stack end sized
c3 ret f64 stack end sized
f5 cmc
f8 clc
f9 stc
fc cld
fd std
fa cli
fb sti
np 0f 01/ca clac feature=smap
np 0f 01/cb stac feature=smap
np 0f 01/e8 serialize feature=serialize

0f 0b ud end
0f b9 ud1 Gv,Ev nocheck end
0f ff ud1 Gv,Ev nocheck end
0f 0d m nop Mb nocheck
0f 18 nop Ev nocheck
0f 19 nop Ev nocheck
0f 1a nop Ev nocheck
0f 1b nop Ev nocheck
0f 1c nop Ev nocheck
0f 1d nop Ev nocheck
0f 1e nop Ev nocheck hot
0f 1f nop Ev nocheck hot
np 0f ae/5 r nop feature=sse2
np 0f ae/6 r mfence feature=sse2
np 0f ae/7 r nop feature=sse
np 0f ae/7 m clflush Mb ro feature=clflush
66 0f ae/7 m clflush Mb ro feature=clflushopt
66 0f ae/6 m clflush Mb ro feature=clwb
`;
