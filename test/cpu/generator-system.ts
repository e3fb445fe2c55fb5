/**
 * Templates of stack, control transfer and segment instructions, and of those that CPL 3 must not execute.
 *
 * Not here, since their results depend on the host: CPUID, RDTSC(P), RDRAND, RDSEED, RDPID, XGETBV, RDPMC (may
 * be open to users), SYSCALL, SYSENTER, INT 80h, SGDT, SIDT, SLDT, STR and SMSW (Linux emulates them under UMIP).
 * INT1 is left out since hypervisors on AMD report the wrong RIP for it.
 * Near branches with an operand-size prefix are left out in 64-bit mode: Intel ignores the prefix, AMD truncates
 * RIP (SDM 2, JMP; APM 3, 1.2.7).
 */
import { parseTable, type Template } from './generator-template.ts';

const hex = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0');

const jumps = Array.from({ length: 16 }, (_, code) => [
  `j${hex(code)[1]} rel8 | ${hex(0x70 | code)} rel8 | noprefix`,
  `j${hex(code)[1]} relz | 0F ${hex(0x80 | code)} relz | noprefix`,
]).flat();

const CONTROL = `
  jmp rel8 | EB rel8 | noprefix
  jmp relz | E9 relz | noprefix
  call relz | E8 relz | d64 use=stack noprefix
  call Ev | FF /2 | d64 use=callTarget noprefix
  jmp Ev | FF /4 | d64 use=jumpTarget noprefix
  ret | C3 | use=returnAddress noprefix
  ret Iw | C2 iw | use=returnAddress noprefix
  loopne | E0 rel8 | use=loop noprefix
  loope | E1 rel8 | use=loop noprefix
  loop | E2 rel8 | use=loop noprefix
  jcxz | E3 rel8 | use=loop noprefix
  retf | CB | use=farReturn noprefix
  retf Iw | CA iw | use=farReturn noprefix
  iret | CF | use=interruptReturn noprefix
  retf q | W CB | o64 use=farReturn noprefix
  iret q | W CF | o64 use=interruptReturn noprefix
  call far | 9A far | o32 use=stack noprefix
  jmp far | EA far | o32 noprefix
  call far M | FF /3 | mem m=6 use=farPointerCall noprefix
  jmp far M | FF /5 | mem m=6 use=farPointer noprefix
  int3 | CC | noprefix
  int Ib | CD ib | use=softwareInterrupt noprefix
  into | CE | o32 noprefix
  bound | 62 /r | o32 v mem m=4 use=bound
`;

const STACK = `
  push r | 50 +r | d64 use=stack
  pop r | 58 +r | d64 use=stack
  push Iz | 68 iz | d64 use=stack
  push Ib | 6A ib | d64 use=stack
  push Ev | FF /6 | d64 use=stack
  pop Ev | 8F /0 | d64 use=stack
  pusha | 60 | o32 v use=stack
  popa | 61 | o32 v use=stack
  pushf | 9C | d64 use=stack
  popf | 9D | d64 use=popFlags
  enter | C8 iw ib | d64 use=enter
  leave | C9 | d64 use=leave
  push ES | 06 | o32 v use=stack
  push CS | 0E | o32 v use=stack
  push SS | 16 | o32 v use=stack
  push DS | 1E | o32 v use=stack
  push FS | 0F A0 | d64 use=stack
  push GS | 0F A8 | d64 use=stack
`;

const SEGMENT = `
  pop ES | 07 | o32 v use=popSelector
  pop SS | 17 | o32 v use=popSelector
  pop DS | 1F | o32 v use=popSelector
  pop FS | 0F A1 | d64 use=popSelector
  pop GS | 0F A9 | d64 use=popSelector
  mov Ev,Sw | 8C /r | v m=2 use=segmentRegister
  mov Sw,Ew | 8E /r | m=2 use=loadSelector
  les | C4 /r | o32 v mem m=6 use=farPointer
  lds | C5 /r | o32 v mem m=6 use=farPointer
  lss | 0F B2 /r | mem m=6 use=farPointer
  lfs | 0F B4 /r | mem m=6 use=farPointer
  lgs | 0F B5 /r | mem m=6 use=farPointer
  verr | 0F 00 /4 | m=2 use=selectorOperand
  verw | 0F 00 /5 | m=2 use=selectorOperand
  lar | 0F 02 /r | v m=2 use=selectorOperand
  lsl | 0F 03 /r | v m=2 use=selectorOperand
  rdfsbase | pF3 0F AE /0 | y reg o64 feat=fsgsbase
  rdgsbase | pF3 0F AE /1 | y reg o64 feat=fsgsbase
  wrfsbase | pF3 0F AE /2 | y reg o64 feat=fsgsbase use=baseValue
  wrgsbase | pF3 0F AE /3 | y reg o64 feat=fsgsbase use=baseValue
`;

const PRIVILEGED = `
  hlt | F4 | noprefix
  cli | FA | noprefix
  sti | FB | noprefix
  in AL,Ib | E4 ib | noprefix
  in eAX,Ib | E5 ib | v noprefix
  out Ib,AL | E6 ib | noprefix
  out Ib,eAX | E7 ib | v noprefix
  in AL,DX | EC | noprefix
  in eAX,DX | ED | v noprefix
  out DX,AL | EE | noprefix
  out DX,eAX | EF | v noprefix
  ins b | 6C | b use=port
  ins v | 6D | v use=port
  outs b | 6E | b use=port
  outs v | 6F | v use=port
  lldt | 0F 00 /2 | m=2 use=selectorOperand
  ltr | 0F 00 /3 | m=2 use=selectorOperand
  lgdt | 0F 01 /2 | mem m=10 noprefix
  lidt | 0F 01 /3 | mem m=10 noprefix
  lmsw | 0F 01 /6 | m=2 noprefix
  invlpg | 0F 01 /7 | mem m=0 noprefix
  clts | 0F 06 | noprefix
  invd | 0F 08 | noprefix
  wbinvd | 0F 09 | noprefix
  mov Rd,Cd | 0F 20 /r | reg noprefix use=controlRegister
  mov Cd,Rd | 0F 22 /r | reg noprefix use=controlRegister
  wrmsr | 0F 30 | noprefix
  rdmsr | 0F 32 | noprefix
  swapgs | 0F 01 F8 | o64 noprefix
  xsetbv | 0F 01 D1 | noprefix feat=xsave
`;

const INVALID64 = [
  '06',
  '07',
  '0E',
  '16',
  '17',
  '1E',
  '1F',
  '27',
  '2F',
  '37',
  '3F',
  '60',
  '61',
  '9A',
  'CE',
  'D6',
  'EA',
]
  .concat('D4 0A', 'D5 0A', '82 C0 01')
  .map((opcode) => `ud ${opcode} | ${opcode} | o64`);

const UNDEFINED = `
  ud2 | 0F 0B |
  ud1 | 0F B9 /r | m=4
  ud 0F04 | 0F 04 |
  ud 0F0A | 0F 0A |
  ud 0F0C | 0F 0C |
  ud 0F24 | 0F 24 | noprefix
  ud 0F26 | 0F 26 | noprefix
  ud 0F36 | 0F 36 | noprefix
  ud 0F39 | 0F 39 | noprefix
  ud 0F3B | 0F 3B | noprefix
  ud 0F7A | 0F 7A /r | noprefix
  ud 0F7B | 0F 7B /r | noprefix
  ud 0FA6 | 0F A6 | noprefix
  ud 0FA7 | 0F A7 | noprefix
  ud 0FBA /0 | 0F BA /0 ib | v
  ud 0FBA /3 | 0F BA /3 ib | v
  ud 0FC7 /0 | 0F C7 /0 | mem m=8
  ud FE /2 | FE /2 | b
  ud FE /7 | FE /7 | b
  ud FF /7 | FF /7 | v
  ud C6 /1 | C6 /1 ib | b
  ud C7 /5 | C7 /5 iz | v
  ud 8C /6 | 8C /6 | m=2
  ud 8E /1 | 8E /1 | m=2
  ud 8E /7 | 8E /7 | m=2
  ud lea reg | 8D /r | v reg
  ud les reg | C4 C0 | o64
  ud cmpxchg8b reg | 0F C7 /1 | reg
  ud movnti reg | 0F C3 /r | y reg noprefix
  ud call far reg | FF /3 | reg noprefix
  ud jmp far reg | FF /5 | reg noprefix
  ud lss reg | 0F B2 /r | reg noprefix
  ud fxsave pF3 | pF3 0F AE /0 | mem m=16
`;

export const SYSTEM: readonly Template[] = [
  ...parseTable('control', [CONTROL, ...jumps].join('\n')),
  ...parseTable('stack', STACK),
  ...parseTable('segment', SEGMENT),
  ...parseTable('privileged', PRIVILEGED),
  ...parseTable('undefined', [UNDEFINED, ...INVALID64].join('\n')),
];
