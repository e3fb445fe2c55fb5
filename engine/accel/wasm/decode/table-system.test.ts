import { expect, test } from 'vitest';
import '../semantics/index.ts';
import { semantics } from '../semantics/registry.ts';
import { complexInstructions } from '../system/complex.ts';
import { FEATURES } from '../system/features.ts';
import { parseRows } from './rows.ts';
import { SYSTEM_ROWS } from './table-system.ts';
import { rows as everyRow } from './tables.ts';

const rows = parseRows(SYSTEM_ROWS);

test('every row has a function of its name, in TypeScript or emitted', () => {
  for (const { name, attributes } of rows) {
    expect(complexInstructions.has(name), name).toBe(attributes.ts);
    expect(semantics.has(name), name).toBe(!attributes.ts);
  }
});

test('rows name features that exist', () => {
  for (const { name, attributes } of everyRow) {
    for (const feature of [attributes.feature, attributes.wide]) {
      if (feature !== undefined) expect(FEATURES, name).toHaveProperty(feature);
    }
  }
});

test('every function has a row in some table, but those that emitted code falls back to', () => {
  const named = new Set(everyRow.map((row) => row.name));
  const others = [...complexInstructions.keys()].filter((name) => !named.has(name));
  expect(others.filter((name) => !name.endsWith('_slow'))).toEqual([]);
});
