import { expect, test } from 'vitest';
import { check, importsOf } from './layers.ts';

/** Whether a file may hold an import. */
const may = (file: string, specifier: string): boolean =>
  check(file, `import { x } from '${specifier}';\n`).length === 0;

test.each([
  ['engine/base/errors.ts', './log.ts', true],
  ['engine/base/errors.ts', '../memory/layout.ts', false],
  ['engine/base/errors.ts', 'zod', false],
  ['engine/base/errors.ts', 'node:fs', false],
  ['engine/base/errors.test.ts', 'node:fs', true],
  ['engine/base/errors.ts', 'vitest', false],
  ['engine/base/errors.test.ts', 'vitest', true],
  ['engine/device/conformance.ts', 'vitest', true],
  ['engine/api/config.ts', '../base/errors.ts', true],
  ['engine/api/config.ts', '../memory/layout.ts', false],
  ['engine/api/config.ts', 'zod', true],
  ['engine/api/config.ts', 'node:os', false],
  ['engine/vcpu/state.ts', '../memory/layout.ts', true],
  ['engine/vcpu/state.ts', '../../main/cli/run.ts', false],
  ['engine/vcpu/state.ts', '../../renderer/app/index.ts', false],
  ['engine/host/process.ts', 'electron', false],
  ['engine/host/process.ts', 'koffi', true],
  ['main/cli/run.ts', '../../engine/api/config.ts', true],
  ['main/cli/run.ts', '../../engine/host/machine.ts', true],
  ['main/cli/run.ts', '../../engine/memory/layout.ts', false],
  ['main/cli/run.ts', 'electron', false],
  ['main/web.ts', '../engine/host/machine.ts', false],
  ['main/index.ts', 'electron', true],
  ['main/contract/index.ts', 'node:fs', false],
  ['renderer/view/list.ts', '../../engine/api/config.ts', true],
  ['renderer/view/list.ts', '../../main/contract/index.ts', true],
  ['renderer/view/list.ts', '../../main/store/library.ts', false],
  ['renderer/view/list.ts', '../../engine/base/errors.ts', false],
  ['renderer/view/list.ts', 'node:fs', false],
  ['renderer/view/list.ts', 'vue', true],
  ['renderer/view/list.ts', 'electron', false],
])('%s importing %s: %s', (file, specifier, expected) => {
  expect(may(file, specifier)).toBe(expected);
});

test('a violation says file, line and reason', () => {
  const text = "import fs from 'node:fs';\n\nexport * from '../../main/index.ts';\n";
  expect(check('engine/host/x.ts', text)).toEqual([
    {
      file: 'engine/host/x.ts',
      line: 3,
      specifier: '../../main/index.ts',
      because: 'the engine knows nothing of main/, renderer/ and electron, but where its firmware is',
    },
  ]);
});

test('every form of import is seen, and nothing that only looks like one', () => {
  const text = [
    "import 'a';",
    "import type { B } from 'b';",
    "export { c } from 'c';",
    "const d = await import('d');",
    "let e: import('e').E;",
    "new Worker(new URL('./f.ts', import.meta.url));",
    "// import 'no';",
    'const s = "import \'no\'";',
  ].join('\n');
  expect(importsOf('x.ts', text).map(({ specifier }) => specifier)).toEqual([
    'a',
    'b',
    'c',
    'd',
    'e',
    './f.ts',
  ]);
});
