/** What a vCPU's thread loads: a machine may have many of them, and the guest waits for the first. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

/** Everything a module loads before it runs: imports of values, not of types, and not what is loaded when wanted. */
function loads(entries: readonly string[]): Set<string> {
  const found = new Set(entries);
  for (const file of found) {
    if (!path.isAbsolute(file)) continue;
    const imports = readFileSync(file, 'utf8').matchAll(
      /^(?:import|export)\s+(?!type\b)(?:[^'";]*?\bfrom\s+)?'([^']+)'/gm,
    );
    for (const [, name] of imports)
      found.add(name!.startsWith('.') ? path.resolve(path.dirname(file), name!) : name!);
  }
  return found;
}

const ENGINE = path.resolve(import.meta.dirname, '..');
/** The accelerator loads the latter when it is told to. */
const loaded = loads([path.join(ENGINE, 'vcpu/thread.ts'), path.join(ENGINE, 'accel/wasm/processor.ts')]);

test('the graph is found', () => {
  for (const file of ['accel/wasm/region/regions.ts', 'machine/board.ts'])
    expect(loaded).toContain(path.join(ENGINE, file));
});

test.each(['interpreter/handlers.ts', 'semantics/index.ts', 'region/translate.ts', 'region/translator.ts'])(
  'what is translated with is left to the translator: %s',
  (file) => {
    expect(loaded).not.toContain(path.join(ENGINE, 'accel/wasm', file));
    expect(loads([path.join(ENGINE, 'accel/wasm/region/translator-thread.ts')])).toContain(
      path.join(ENGINE, 'accel/wasm', file),
    );
  },
);

test('the control thread makes no vCPU', () => {
  const control = loads([path.join(ENGINE, 'host/machine.ts')]);
  expect(control).toContain(path.join(ENGINE, 'accel/wasm/index.ts'));
  expect(control).not.toContain(path.join(ENGINE, 'accel/wasm/processor.ts'));
});

test('configurations are not read there', () => {
  expect(loaded).not.toContain('zod');
});
