import { expect, test } from 'vitest';
import { MAX_CODE, MAX_PATCHES, WINDOWS } from './case.ts';
import { Generator, TEMPLATES } from './generator.ts';
import { parseTemplate } from './generator-template.ts';
import { SETUPS } from './generator-setup.ts';
import { Random } from './generator-values.ts';

test('the same seed gives the same cases, another seed others', () => {
  const bytes = (seed: number): string =>
    new Generator({ seed })
      .batch(200)
      .map((of) => Buffer.from([...of.code, ...of.state.bytes]).toString('hex'))
      .join();
  expect(bytes(3)).toBe(bytes(3));
  expect(bytes(3)).not.toBe(bytes(4));
});

test('every form has its turn before any has a second', () => {
  const generator = new Generator({ seed: 1 });
  const names = new Set(
    generator.batch(generator.templates.length).map((of) => of.name.replace(/^sequence \w+: /, '')),
  );
  expect(names.size).toBe(new Set(generator.templates.map((template) => template.name)).size);
});

test('cases keep to the limits of the protocol, patches to the windows', () => {
  for (const of of new Generator({ seed: 7 }).batch(5000)) {
    expect(of.code.length).toBeLessThanOrEqual(MAX_CODE);
    expect(of.memory.length).toBeLessThanOrEqual(MAX_PATCHES);
    for (const { address, bytes } of of.memory) {
      const inside = WINDOWS.some(
        (window) => address >= window.address && address + bytes.length <= window.address + window.bytes,
      );
      expect(inside).toBe(true);
    }
  }
});

test('features and filters choose the forms', () => {
  const features = (list: string[]): boolean =>
    new Generator({ seed: 1, features: list }).templates.some((template) => template.feature === 'avx');
  expect(features([])).toBe(false);
  expect(features(['avx'])).toBe(true);
  expect(new Generator({ seed: 1, only: /^bts / }).templates).toHaveLength(2);
  expect(new Generator({ seed: 1, mode: 64 }).batch(2000).every((of) => of.mode === 64)).toBe(true);
  expect(() => new Generator({ seed: 1, only: /^no such form$/ })).toThrow(RangeError);
});

test('no VEX prefix of AVX without the switch', () => {
  const vex = new Generator({ seed: 1, features: [] }).templates.filter(
    (template) => template.vex !== undefined,
  );
  expect(vex).toEqual([]);
});

test('templates are read as the SDM writes them', () => {
  expect(parseTemplate('imul Gv,Ev,Ib | 6B /r ib | v', 'integer')).toMatchObject({
    opcode: [0x6b], modrm: { kind: 'r' }, tail: ['ib'], size: 'v',
  }); // prettier-ignore
  expect(parseTemplate('blsr | vex.128.NP.0F38.WIG F3 /1 | y feat=bmi1', 'integer')).toMatchObject({
    vex: { l: 0, pp: 0, map: 2 }, modrm: { kind: 'digit', digit: 1 }, feature: 'bmi1',
  }); // prettier-ignore
  expect(() => parseTemplate('x | 0F ZZ |', 'g')).toThrow(SyntaxError);
  expect(() => parseTemplate('x | 0F 00 | colour=red', 'g')).toThrow(SyntaxError);
});

test('every set-up that a template names exists, and is used', () => {
  const named = new Set(TEMPLATES.flatMap((template) => template.setup ?? []));
  expect([...named].filter((name) => !(name in SETUPS))).toEqual([]);
  expect(Object.keys(SETUPS).filter((name) => !named.has(name))).toEqual([]);
});

test('form names are unique within a mode, but for the x87 stack registers', () => {
  const seen = new Map<string, number>();
  for (const { name, group } of TEMPLATES.filter((template) => !template.group.startsWith('x87'))) {
    seen.set(`${group} ${name}`, (seen.get(`${group} ${name}`) ?? 0) + 1);
  }
  expect([...seen].filter(([, count]) => count > 1)).toEqual([]);
});

test('random numbers: bounds, and no short cycle', () => {
  const random = new Random(0);
  const drawn = new Set(Array.from({ length: 10_000 }, () => random.u32()));
  expect(drawn.size).toBeGreaterThan(9_990);
  expect(Array.from({ length: 1000 }, () => random.below(7)).every((value) => value >= 0 && value < 7)).toBe(
    true,
  );
});
