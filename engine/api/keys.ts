/**
 * Keys, whatever is printed on them: by Linux's names, as virsh has them, and by the codes that a PC keyboard sends.
 *
 * A key's code is that of scan code set 1, with 0x80 added where E0 comes before it, as RFB's extended key events
 * have it.
 */

/** Codes of keys that are told apart by more than a prefix. */
export const PAUSE = 0xc6;
export const PRINT = 0xb7;

/** Key names without `KEY_`, in the order of their codes from 1 on; empty where there is none. */
const PLAIN = (
  'ESC 1 2 3 4 5 6 7 8 9 0 MINUS EQUAL BACKSPACE TAB Q W E R T Y U I O P LEFTBRACE RIGHTBRACE ENTER LEFTCTRL ' +
  'A S D F G H J K L SEMICOLON APOSTROPHE GRAVE LEFTSHIFT BACKSLASH Z X C V B N M COMMA DOT SLASH RIGHTSHIFT ' +
  'KPASTERISK LEFTALT SPACE CAPSLOCK F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 NUMLOCK SCROLLLOCK KP7 KP8 KP9 KPMINUS KP4 KP5 ' +
  'KP6 KPPLUS KP1 KP2 KP3 KP0 KPDOT'
).split(' ');

const FURTHER: ReadonlyArray<readonly [name: string, code: number]> = [
  ['102ND', 0x56], ['F11', 0x57], ['F12', 0x58], ['RO', 0x73], ['HENKAN', 0x79], ['MUHENKAN', 0x7b], ['YEN', 0x7d],
  ['KATAKANAHIRAGANA', 0x70], ['KPENTER', 0x9c], ['RIGHTCTRL', 0x9d], ['KPSLASH', 0xb5], ['SYSRQ', PRINT],
  ['RIGHTALT', 0xb8], ['PAUSE', PAUSE], ['HOME', 0xc7], ['UP', 0xc8], ['PAGEUP', 0xc9], ['LEFT', 0xcb],
  ['RIGHT', 0xcd], ['END', 0xcf], ['DOWN', 0xd0], ['PAGEDOWN', 0xd1], ['INSERT', 0xd2], ['DELETE', 0xd3],
  ['LEFTMETA', 0xdb], ['RIGHTMETA', 0xdc], ['COMPOSE', 0xdd], ['POWER', 0xde], ['SLEEP', 0xdf],
]; // prettier-ignore

const CODES = new Map<string, number>([...PLAIN.map((name, i) => [name, i + 1] as const), ...FURTHER]);

/** The code of a key, by Linux's name (`KEY_LEFTCTRL`, with or without `KEY_`, in any case); undefined where there is
 * none of that name. */
export function keyCode(name: string): number | undefined {
  return CODES.get(name.toUpperCase().replace(/^KEY_/, ''));
}

/** All names, with `KEY_`. */
export function keyNames(): string[] {
  return [...CODES.keys()].map((name) => `KEY_${name}`);
}

/** Characters on the keys of an American keyboard: without shift, and with. */
const CHARACTERS: ReadonlyArray<readonly [first: number, plain: string, shifted: string]> = [
  [0x02, '1234567890-=', '!@#$%^&*()_+'],
  [0x10, 'qwertyuiop[]', 'QWERTYUIOP{}'],
  [0x1e, "asdfghjkl;'`", 'ASDFGHJKL:"~'],
  [0x2b, '\\zxcvbnm,./', '|ZXCVBNM<>?'],
  [0x39, ' ', ' '],
];

/** X11 keysyms of keys that make no character. */
const KEYSYMS: ReadonlyArray<readonly [keysym: number, name: string]> = [
  [0xff08, 'BACKSPACE'], [0xff09, 'TAB'], [0xfe20, 'TAB'], [0xff0d, 'ENTER'], [0xff13, 'PAUSE'], [0xff14, 'SCROLLLOCK'],
  [0xff15, 'SYSRQ'], [0xff61, 'SYSRQ'], [0xff1b, 'ESC'], [0xffff, 'DELETE'], [0xff50, 'HOME'], [0xff51, 'LEFT'],
  [0xff52, 'UP'], [0xff53, 'RIGHT'], [0xff54, 'DOWN'], [0xff55, 'PAGEUP'], [0xff56, 'PAGEDOWN'], [0xff57, 'END'],
  [0xff63, 'INSERT'], [0xff67, 'COMPOSE'], [0xff7f, 'NUMLOCK'], [0xff8d, 'KPENTER'], [0xffaa, 'KPASTERISK'],
  [0xffab, 'KPPLUS'], [0xffad, 'KPMINUS'], [0xffae, 'KPDOT'], [0xff9f, 'KPDOT'], [0xffaf, 'KPSLASH'], [0xff95, 'KP7'],
  [0xff96, 'KP4'], [0xff97, 'KP8'], [0xff98, 'KP6'], [0xff99, 'KP2'], [0xff9a, 'KP9'], [0xff9b, 'KP3'], [0xff9c, 'KP1'],
  [0xff9d, 'KP5'], [0xff9e, 'KP0'], [0xffe1, 'LEFTSHIFT'], [0xffe2, 'RIGHTSHIFT'], [0xffe3, 'LEFTCTRL'],
  [0xffe4, 'RIGHTCTRL'], [0xffe5, 'CAPSLOCK'], [0xffe7, 'LEFTMETA'], [0xffe8, 'RIGHTMETA'], [0xffe9, 'LEFTALT'],
  [0xffea, 'RIGHTALT'], [0xfe03, 'RIGHTALT'], [0xffeb, 'LEFTMETA'], [0xffec, 'RIGHTMETA'],
]; // prettier-ignore

const BY_KEYSYM = new Map<number, number>();
for (const [first, plain, shifted] of CHARACTERS) {
  for (let i = 0; i < plain.length; i++) {
    BY_KEYSYM.set(plain.charCodeAt(i), first + i);
    BY_KEYSYM.set(shifted.charCodeAt(i), first + i);
  }
}
for (const [keysym, name] of KEYSYMS) BY_KEYSYM.set(keysym, CODES.get(name) ?? 0);
for (let digit = 0; digit < 10; digit++) BY_KEYSYM.set(0xffb0 + digit, CODES.get(`KP${digit}`) ?? 0);
for (let f = 1; f <= 12; f++) BY_KEYSYM.set(0xffbd + f, CODES.get(`F${f}`) ?? 0);

/** The key of an American keyboard that makes an X11 keysym, with or without shift; undefined for what none makes. */
export function keyOfKeysym(keysym: number): number | undefined {
  return BY_KEYSYM.get(keysym);
}

/** The keys for a character on an American keyboard; undefined where it has none. */
export function keysOfCharacter(
  character: string,
): { readonly code: number; readonly shift: boolean } | undefined {
  if (character === '\n' || character === '\r') return { code: 0x1c, shift: false };
  if (character === '\t') return { code: 0x0f, shift: false };
  for (const [first, plain, shifted] of CHARACTERS) {
    const at = plain.indexOf(character);
    if (at >= 0) return { code: first + at, shift: false };
    const above = shifted.indexOf(character);
    if (above >= 0) return { code: first + above, shift: true };
  }
  return undefined;
}
