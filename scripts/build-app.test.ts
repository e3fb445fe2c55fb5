import { spawnSync } from 'node:child_process';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { buildApp, transpile } from './build-app.ts';
import { importsOf } from './layers.ts';

const root = path.dirname(import.meta.dirname);
let folder: string;
let app: string;
let files: string[];

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-app-'));
  // The program stands on the interface that was built, or on a page in its place.
  const checkout = path.join(folder, 'checkout');
  mkdirSync(path.join(checkout, 'dist', 'renderer'), { recursive: true });
  writeFileSync(path.join(checkout, 'dist', 'renderer', 'index.html'), '<title>Guesthouse</title>');
  for (const name of ['engine', 'main', 'resources', 'LICENSE', 'package.json', 'node_modules']) {
    symlinkSync(path.join(root, name), path.join(checkout, name));
  }
  app = path.join(checkout, 'dist', 'app');
  buildApp(checkout, app);
  files = globSync('**/*', { cwd: app });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('types go, and relative imports name what comes of it', () => {
  const text = [
    "import { a } from './a.ts';",
    "import type { B } from '../b.ts';",
    "const url = new URL('../c.ts', import.meta.url);",
    "const later = (x: 'ä.ts'): unknown => import('./d.ts');",
    "const not = 'e.ts';",
  ].join('\n');
  const code = transpile('x.ts', text);
  expect(code).toContain("from './a.js'");
  expect(code).toContain("new URL('../c.js', import.meta.url)");
  expect(code).toContain("import('./d.js')");
  expect(code).toContain("'e.ts'");
  expect(code).not.toContain('b.ts');
});

test('every entry and resource is there, and no test', () => {
  const needed = [
    'package.json',
    'LICENSE',
    'main/index.js',
    'main/preload.cjs',
    'main/cli/guesthouse.js',
    'engine/host/process.js',
    'engine/vcpu/thread.js',
    'dist/renderer/index.html',
    'resources/icons/32x32.png',
    'resources/icons/512x512.png',
    'resources/icons/icon.ico',
    'resources/icons/icon.icns',
  ];
  expect(needed.filter((file) => !files.includes(path.normalize(file)))).toEqual([]);
  expect(files.filter((file) => /\.test\.|\.ts$/.test(file))).toEqual([]);
});

test('every import leads to a file of the program, a production package, Node or Electron', () => {
  const { dependencies } = z
    .object({ dependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(readFileSync(path.join(app, 'package.json'), 'utf8')));
  const lost: string[] = [];
  for (const file of files.filter((name) => name.endsWith('.js') && !name.startsWith('dist'))) {
    for (const { specifier } of importsOf(file, readFileSync(path.join(app, file), 'utf8'))) {
      const place = path.join(path.dirname(file), specifier);
      // A folder is packed where it is there: firmware is fetched, and not in every checkout.
      const isFound = specifier.startsWith('.')
        ? existsSync(path.join(app, place)) ||
          (specifier.endsWith('/') && !existsSync(path.join(root, place)))
        : isBuiltin(specifier) || specifier === 'electron' || Object.hasOwn(dependencies, specifier);
      if (!isFound) lost.push(`${file}: ${specifier}`);
    }
  }
  expect(lost).toEqual([]);
});

/** Runs Node in the program's folder. */
const node = (...words: string[]) =>
  spawnSync(process.execPath, words, { cwd: app, encoding: 'utf8', timeout: 60_000 });

test('the entries load', () => {
  expect(node('main/cli/guesthouse.js', '--version').stdout).toMatch(/^guesthouse \d/);
  // Ends at once for want of a socket to listen on, with everything loaded.
  expect(node('engine/host/process.js')).toMatchObject({ status: 64, stderr: '--socket is missing\n' });
  expect(node('--check', 'main/preload.cjs').status).toBe(0);
});

test('the desktop loads, and leaves to an instance that is there already', () => {
  // Electron itself may not be here: what is used of it, doing nothing.
  const names =
    'BrowserWindow Menu MessageChannelMain Tray dialog ipcMain nativeImage protocol session utilityProcess';
  const stub = [
    'const nothing = new Proxy(function () {}, { get: () => nothing, apply: () => nothing });',
    `export const [${names.split(' ').join(', ')}] = Array(20).fill(nothing);`,
    'export const app = { enableSandbox() {}, requestSingleInstanceLock: () => false, quit: () => console.log("left") };',
  ].join('\n');
  const hooks = [
    "import { registerHooks } from 'node:module';",
    `const url = 'data:text/javascript,' + ${JSON.stringify(encodeURIComponent(stub))};`,
    "registerHooks({ resolve: (name, context, next) => name === 'electron' ? { url, shortCircuit: true } : next(name, context) });",
  ].join('\n');
  writeFileSync(path.join(folder, 'hooks.mjs'), hooks);
  const { stdout, stderr } = node('--import', path.join(folder, 'hooks.mjs'), 'main/index.js');
  expect({ stdout, stderr }).toEqual({ stdout: 'left\n', stderr: '' });
});
