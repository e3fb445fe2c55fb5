/** Templates of the general-purpose instructions that neither use the stack nor transfer control. SDM 2. */
import { parseTable, type Template } from './generator-template.ts';

const ALU = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp'];
const SHIFT = ['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', 'sal', 'sar'];
const hex = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0');
const CONDITIONS = Array.from({ length: 16 }, (_, code) => code);

const alu = ALU.flatMap((name, i) => {
  // CMP does not write its operand: LOCK is invalid.
  const lock = name === 'cmp' ? '' : 'lock';
  return [
    `${name} Eb,Gb | ${hex(i * 8)} /r | b ${lock}`,
    `${name} Ev,Gv | ${hex(i * 8 + 1)} /r | v ${lock}`,
    `${name} Gb,Eb | ${hex(i * 8 + 2)} /r | b`,
    `${name} Gv,Ev | ${hex(i * 8 + 3)} /r | v`,
    `${name} AL,Ib | ${hex(i * 8 + 4)} ib | b`,
    `${name} rAX,Iz | ${hex(i * 8 + 5)} iz | v`,
    `${name} Eb,Ib | 80 /${i} ib | b ${lock}`,
    `${name} Ev,Iz | 81 /${i} iz | v ${lock}`,
    `${name} Eb,Ib (82) | 82 /${i} ib | b o32 ${lock}`,
    `${name} Ev,Ibs | 83 /${i} ib | v ${lock}`,
  ];
});

const shifts = SHIFT.flatMap((name, i) => [
  `${name} Eb,Ib | C0 /${i} ib | b use=shift`,
  `${name} Ev,Ib | C1 /${i} ib | v use=shift`,
  `${name} Eb,1 | D0 /${i} | b`,
  `${name} Ev,1 | D1 /${i} | v`,
  `${name} Eb,CL | D2 /${i} | b use=shift`,
  `${name} Ev,CL | D3 /${i} | v use=shift`,
]);

const conditional = CONDITIONS.flatMap((code) => [
  `cmov${hex(code)[1]} Gv,Ev | 0F ${hex(0x40 | code)} /r | v`,
  `set${hex(code)[1]} Eb | 0F ${hex(0x90 | code)} /r | b`,
]);

const bits = ['bt', 'bts', 'btr', 'btc'].flatMap((name, i) => {
  const lock = name === 'bt' ? '' : 'lock';
  return [
    `${name} Ev,Gv | 0F ${hex(0xa3 + i * 8)} /r | v use=bitOffset ${lock}`,
    `${name} Ev,Ib | 0F BA /${4 + i} ib | v ${lock}`,
  ];
});

const TABLE = `
  inc (4x) | 40 +r | v o32
  dec (4x) | 48 +r | v o32
  inc Eb | FE /0 | b lock
  dec Eb | FE /1 | b lock
  inc Ev | FF /0 | v lock
  dec Ev | FF /1 | v lock
  daa | 27 | o32 noprefix
  das | 2F | o32 noprefix
  aaa | 37 | o32 noprefix
  aas | 3F | o32 noprefix
  aam | D4 ib | o32 use=ascii noprefix
  aad | D5 ib | o32 use=ascii noprefix
  salc | D6 | o32 noprefix
  arpl Ew,Gw | 63 /r | o32 m=2
  movsxd Gv,Ed | 63 /r | v o64 m=4
  imul Gv,Ev,Iz | 69 /r iz | v
  imul Gv,Ev,Ib | 6B /r ib | v
  imul Gv,Ev | 0F AF /r | v
  test Eb,Gb | 84 /r | b
  test Ev,Gv | 85 /r | v
  test AL,Ib | A8 ib | b
  test rAX,Iz | A9 iz | v
  test Eb,Ib | F6 /0 ib | b
  test Eb,Ib (/1) | F6 /1 ib | b
  test Ev,Iz | F7 /0 iz | v
  test Ev,Iz (/1) | F7 /1 iz | v
  not Eb | F6 /2 | b lock
  not Ev | F7 /2 | v lock
  neg Eb | F6 /3 | b lock
  neg Ev | F7 /3 | v lock
  mul Eb | F6 /4 | b
  mul Ev | F7 /4 | v
  imul Eb | F6 /5 | b
  imul Ev | F7 /5 | v
  div Eb | F6 /6 | b use=divide
  div Ev | F7 /6 | v use=divide
  idiv Eb | F6 /7 | b use=divide
  idiv Ev | F7 /7 | v use=divide
  xchg Eb,Gb | 86 /r | b lock
  xchg Ev,Gv | 87 /r | v lock
  xchg rAX | 90 +r | v
  nop | 90 | noprefix
  pause | F3 90 | noprefix
  mov Eb,Gb | 88 /r | b
  mov Ev,Gv | 89 /r | v
  mov Gb,Eb | 8A /r | b
  mov Gv,Ev | 8B /r | v
  mov Eb,Ib | C6 /0 ib | b
  mov Ev,Iz | C7 /0 iz | v
  mov r8,Ib | B0 +r ib | b
  mov rv,Iv | B8 +r iv | v
  mov AL,Ob | A0 moffs | b m=1
  mov rAX,Ov | A1 moffs | v
  mov Ob,AL | A2 moffs | b m=1
  mov Ov,rAX | A3 moffs | v
  lea Gv,M | 8D /r | v mem m=0
  cbw | 98 | v
  cwd | 99 | v
  lahf | 9F | noprefix
  sahf | 9E | noprefix
  xlat | D7 | use=xlat
  cmc | F5 |
  clc | F8 |
  stc | F9 |
  cld | FC |
  std | FD |
  movs b | A4 | b rep use=string k=bytes
  movs v | A5 | v rep use=string k=bytes
  cmps b | A6 | b rep use=string k=bytes
  cmps v | A7 | v rep use=string k=bytes
  stos b | AA | b rep use=string k=bytes
  stos v | AB | v rep use=string k=bytes
  lods b | AC | b rep use=string k=bytes
  lods v | AD | v rep use=string k=bytes
  scas b | AE | b rep use=string k=bytes
  scas v | AF | v rep use=string k=bytes
  prefetchw | 0F 0D /1 | mem m=0
  prefetch | 0F 18 /r | mem m=0
  nop Ev | 0F 1F /0 | v m=0
  hint nop | 0F 19 /r | v m=0
  shld Ev,Gv,Ib | 0F A4 /r ib | v use=doubleShift
  shld Ev,Gv,CL | 0F A5 /r | v use=doubleShift
  shrd Ev,Gv,Ib | 0F AC /r ib | v use=doubleShift
  shrd Ev,Gv,CL | 0F AD /r | v use=doubleShift
  cmpxchg Eb,Gb | 0F B0 /r | b lock use=compare
  cmpxchg Ev,Gv | 0F B1 /r | v lock use=compare
  movzx Gv,Eb | 0F B6 /r | v m=1
  movzx Gv,Ew | 0F B7 /r | v m=2
  movsx Gv,Eb | 0F BE /r | v m=1
  movsx Gv,Ew | 0F BF /r | v m=2
  popcnt Gv,Ev | pF3 0F B8 /r | v
  bsf Gv,Ev | 0F BC /r | v
  bsr Gv,Ev | 0F BD /r | v
  tzcnt Gv,Ev | pF3 0F BC /r | v feat=bmi1
  lzcnt Gv,Ev | pF3 0F BD /r | v feat=lzcnt
  xadd Eb,Gb | 0F C0 /r | b lock
  xadd Ev,Gv | 0F C1 /r | v lock
  movnti My,Gy | 0F C3 /r | y mem
  cmpxchg8b | 0F C7 /1 | mem m=8 lock use=compare8
  cmpxchg16b | W 0F C7 /1 | mem m=16 al=16 lock o64 use=compare16
  bswap | 0F C8 +r | y
  movbe Gv,Mv | 0F 38 F0 /r | v mem feat=movbe
  movbe Mv,Gv | 0F 38 F1 /r | v mem feat=movbe
  crc32 Gd,Eb | pF2 0F 38 F0 /r | y m=1
  crc32 Gd,Ev | pF2 0F 38 F1 /r | v
  adcx | p66 0F 38 F6 /r | y feat=adx
  adox | pF3 0F 38 F6 /r | y feat=adx
  andn | vex.128.NP.0F38.WIG F2 /r | y feat=bmi1
  blsr | vex.128.NP.0F38.WIG F3 /1 | y feat=bmi1
  blsmsk | vex.128.NP.0F38.WIG F3 /2 | y feat=bmi1
  blsi | vex.128.NP.0F38.WIG F3 /3 | y feat=bmi1
  bextr | vex.128.NP.0F38.WIG F7 /r | y feat=bmi1 use=bextr
  bzhi | vex.128.NP.0F38.WIG F5 /r | y feat=bmi2
  pext | vex.128.F3.0F38.WIG F5 /r | y feat=bmi2
  pdep | vex.128.F2.0F38.WIG F5 /r | y feat=bmi2
  mulx | vex.128.F2.0F38.WIG F6 /r | y feat=bmi2
  rorx | vex.128.F2.0F3A.WIG F0 /r ib | y feat=bmi2 use=noVvvv
  sarx | vex.128.F3.0F38.WIG F7 /r | y feat=bmi2
  shlx | vex.128.66.0F38.WIG F7 /r | y feat=bmi2
  shrx | vex.128.F2.0F38.WIG F7 /r | y feat=bmi2
`;

export const INTEGER: readonly Template[] = parseTable(
  'integer',
  [TABLE, ...alu, ...shifts, ...conditional, ...bits].join('\n'),
);
