import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { Library } from '../store/library.ts';
import { testHome, type TestHome } from '../testing/home.ts';
import { nodeLauncher } from '../vm/launcher.ts';
import { Manager } from '../vm/manager.ts';
import { editDocument } from './edit.ts';

let home: TestHome;
let manager: Manager;
let id: string;

beforeEach(async () => {
  home = testHome();
  manager = new Manager(new Library(home.library), nodeLauncher);
  ({ id } = await manager.define({ name: 'one', sample: true, memory: 256 }));
  vi.stubEnv('VISUAL', '');
});
afterEach(() => {
  vi.unstubAllEnvs();
  manager.close();
  home[Symbol.dispose]();
});

/** Has a script be the editor: its text is the body of a function of the document's text. */
function edit(body: string): void {
  const script = path.join(home.directory, 'editor.mjs');
  const lines = [
    "import { readFileSync, writeFileSync } from 'node:fs';",
    `const change = (text) => { ${body} };`,
    'const file = process.argv.at(-1);',
    "writeFileSync(file, change(readFileSync(file, 'utf8')));",
  ];
  writeFileSync(script, lines.join('\n'));
  vi.stubEnv('EDITOR', `${process.execPath} ${script} --wait`);
}
const memory = async (): Promise<unknown> => (await manager.get(id)).document?.memory;
const leftOver = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('guesthouse-edit-'));

test('what the editor makes of a document is stored, and nothing is left over', async () => {
  const before = leftOver();
  edit("return text.replace('256', '300');");
  expect(await editDocument(manager, id)).toBe(true);
  expect(await memory()).toBe(300);
  edit('return text;');
  expect(await editDocument(manager, id)).toBe(false);
  expect(leftOver()).toEqual(before);
});

test('what is wrong is refused, with a line about it, and kept', async () => {
  const wrong = ["return text.replace('256', '0');", "return text.slice(0, 20) + ' oops';"];
  for (const body of wrong) {
    edit(body);
    const error: unknown = await editDocument(manager, id).catch((reason: unknown) => reason);
    if (!(error instanceof GuesthouseError)) throw error;
    expect(error.code).toBe('config');
    const file = /^what you wrote is in (.*)$/.exec(error.hint ?? '')?.[1] ?? '';
    expect(readFileSync(file, 'utf8')).toMatch(/"memory": 0|oops/);
    rmSync(path.dirname(file), { recursive: true });
    expect(await memory()).toBe(256);
  }
});

test('an editor that is missing or fails is said, and changes nothing', async () => {
  vi.stubEnv('EDITOR', path.join(home.directory, 'no-editor'));
  await expect(editDocument(manager, id)).rejects.toMatchObject({ code: 'resources', hint: 'set EDITOR' });
  edit('process.exit(3);');
  await expect(editDocument(manager, id)).rejects.toThrow('ended with status 3');
  expect(await memory()).toBe(256);
  expect(existsSync(path.join(home.library, id))).toBe(true);
});
