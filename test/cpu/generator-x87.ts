/**
 * Templates of the x87 instructions: every defined register and memory form, and the reserved ones. The aliases
 * that processors execute without documenting them (SDM 2, A.5 leaves them blank; FFREEP and the like)
 * are in a group of their own.
 */
import { parseTable, type Template } from './generator-template.ts';

const hex = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0');
const ARITHMETIC = ['fadd', 'fmul', 'fcom', 'fcomp', 'fsub', 'fsubr', 'fdiv', 'fdivr'];
const stack = (name: string, first: number, second: number): string[] =>
  Array.from({ length: 8 }, (_, i) => `${name} | ${hex(first)} ${hex(second + i)} | x87 noprefix`);

const arithmetic = ARITHMETIC.flatMap((name, i) => [
  `${name} m32 | D8 /${i} | mem m=4 k=f32 x87`,
  `${name} m64 | DC /${i} | mem m=8 k=f64 x87`,
  `fi${name.slice(1)} m32 | DA /${i} | mem m=4 x87`,
  `fi${name.slice(1)} m16 | DE /${i} | mem m=2 x87`,
  ...stack(`${name} st,st(i)`, 0xd8, 0xc0 + i * 8),
]);

/** DC and DE: the reversed forms change places (SDM 2, FSUBR). DCD0, DCD8 and DED0 are aliases. */
const reversed = ['fadd', 'fmul', '', '', 'fsubr', 'fsub', 'fdivr', 'fdiv'].flatMap((name, i) =>
  name === ''
    ? []
    : [...stack(`${name} st(i),st`, 0xdc, 0xc0 + i * 8), ...stack(`${name}p st(i),st`, 0xde, 0xc0 + i * 8)],
);

const CONSTANT = ['fld1', 'fldl2t', 'fldl2e', 'fldpi', 'fldlg2', 'fldln2', 'fldz'];
const D9F = [
  'f2xm1', 'fyl2x', 'fptan', 'fpatan', 'fxtract', 'fprem1', 'fdecstp', 'fincstp',
  'fprem', 'fyl2xp1', 'fsqrt', 'fsincos', 'frndint', 'fscale', 'fsin', 'fcos',
]; // prettier-ignore
const simple = [
  ...['fchs', 'fabs'].map((name, i) => `${name} | D9 ${hex(0xe0 + i)} | x87 noprefix`),
  ...['ftst', 'fxam'].map((name, i) => `${name} | D9 ${hex(0xe4 + i)} | x87 noprefix`),
  ...CONSTANT.map((name, i) => `${name} | D9 ${hex(0xe8 + i)} | x87 noprefix`),
  ...D9F.map((name, i) => `${name} | D9 ${hex(0xf0 + i)} | x87 noprefix`),
];

const TABLE = [
  'fld m32 | D9 /0 | mem m=4 k=f32 x87',
  'fst m32 | D9 /2 | mem m=4 k=f32 x87',
  'fstp m32 | D9 /3 | mem m=4 k=f32 x87',
  'fldenv | D9 /4 | v mem m=28 x87 use=environment',
  'fldcw | D9 /5 | mem m=2 x87 use=controlWord',
  'fnstenv | D9 /6 | v mem m=28 x87',
  'fnstcw | D9 /7 | mem m=2 x87',
  'fild m32 | DB /0 | mem m=4 x87',
  'fisttp m32 | DB /1 | mem m=4 x87',
  'fist m32 | DB /2 | mem m=4 x87',
  'fistp m32 | DB /3 | mem m=4 x87',
  'fld m80 | DB /5 | mem m=10 k=f80 x87',
  'fstp m80 | DB /7 | mem m=10 x87',
  'fld m64 | DD /0 | mem m=8 k=f64 x87',
  'fisttp m64 | DD /1 | mem m=8 x87',
  'fst m64 | DD /2 | mem m=8 x87',
  'fstp m64 | DD /3 | mem m=8 x87',
  'frstor | DD /4 | v mem m=108 k=f80 x87 use=environment',
  'fnsave | DD /6 | v mem m=108 x87',
  'fnstsw m16 | DD /7 | mem m=2 x87',
  'fild m16 | DF /0 | mem m=2 x87',
  'fisttp m16 | DF /1 | mem m=2 x87',
  'fist m16 | DF /2 | mem m=2 x87',
  'fistp m16 | DF /3 | mem m=2 x87',
  'fbld | DF /4 | mem m=10 k=bcd x87',
  'fild m64 | DF /5 | mem m=8 x87',
  'fbstp | DF /6 | mem m=10 x87',
  'fistp m64 | DF /7 | mem m=8 x87',
  ...stack('fld st(i)', 0xd9, 0xc0),
  ...stack('fxch', 0xd9, 0xc8),
  'fnop | D9 D0 | x87 noprefix',
  ...['fcmovb', 'fcmove', 'fcmovbe', 'fcmovu'].flatMap((name, i) => stack(name, 0xda, 0xc0 + i * 8)),
  ...['fcmovnb', 'fcmovne', 'fcmovnbe', 'fcmovnu'].flatMap((name, i) => stack(name, 0xdb, 0xc0 + i * 8)),
  ...stack('fucomi', 0xdb, 0xe8),
  ...stack('fcomi', 0xdb, 0xf0),
  ...stack('fucomip', 0xdf, 0xe8),
  ...stack('fcomip', 0xdf, 0xf0),
  ...stack('ffree', 0xdd, 0xc0),
  ...stack('fst st(i)', 0xdd, 0xd0),
  ...stack('fstp st(i)', 0xdd, 0xd8),
  ...stack('fucom', 0xdd, 0xe0),
  ...stack('fucomp', 0xdd, 0xe8),
  'fucompp | DA E9 | x87 noprefix',
  'fcompp | DE D9 | x87 noprefix',
  'fnclex | DB E2 | x87 noprefix',
  'fninit | DB E3 | x87 noprefix',
  'fneni | DB E0 | x87 noprefix',
  'fndisi | DB E1 | x87 noprefix',
  'fnsetpm | DB E4 | x87 noprefix',
  'fnstsw AX | DF E0 | x87 noprefix',
  'fwait | 9B | x87 noprefix',
];

const ALIAS = [
  ...stack('fcom2', 0xdc, 0xd0),
  ...stack('fcomp3', 0xdc, 0xd8),
  ...stack('fcomp5', 0xde, 0xd0),
  ...stack('fxch4', 0xdd, 0xc8),
  ...stack('fxch7', 0xdf, 0xc8),
  ...stack('ffreep', 0xdf, 0xc0),
  ...stack('fstp1', 0xd9, 0xd8),
  ...stack('fstp8', 0xdf, 0xd0),
  ...stack('fstp9', 0xdf, 0xd8),
];

const RESERVED = [
  'D9 /1 | mem m=4', 'DB /4 | mem m=4', 'DB /6 | mem m=4', 'DD /5 | mem m=4',
  'D9 D1', 'D9 D7', 'D9 E2', 'D9 E3', 'D9 E6', 'D9 E7', 'D9 EF', 'DA E0', 'DA E8', 'DA EA', 'DA F0', 'DB E5',
  'DB E6', 'DB F8', 'DB FF', 'DD F0', 'DD F8', 'DE D8', 'DE DA', 'DF E1', 'DF E7', 'DF F8',
].map((form) => `ud x87 ${form.split('|')[0]} | ${form.includes('|') ? form : `${form} |`} x87 noprefix`); // prettier-ignore

export const X87: readonly Template[] = [
  ...parseTable('x87', [...arithmetic, ...reversed, ...simple, ...TABLE].join('\n')),
  ...parseTable('x87alias', ALIAS.join('\n')),
  ...parseTable('x87reserved', RESERVED.join('\n')),
];
