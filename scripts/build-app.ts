/**
 * Makes dist/app: the program as Electron runs it and as installers hold it. Electron's own Node is not
 * counted on to take TypeScript, so types are removed here, file by file: the tree stays as it is, and with it
 * every path that a file finds its neighbours by.
 */
import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import ts from 'typescript';
import { commandLine } from './command-line.ts';

/** What is no part of the program: tests, their helpers, and suites that tests share. */
const LEFT_OUT = /\.test\.ts$|\.d\.ts$|\/conformance\.ts$|\/test-images\.ts$|\/testing\//;

/**
 * Removes types and has relative imports name the files that come of it.
 *
 * @param file its name, for messages
 */
export function transpile(file: string, text: string): string {
  const code = stripTypeScriptTypes(text, { mode: 'strip' });
  const source = ts.createSourceFile(`${file}.js`, code, ts.ScriptTarget.Latest, false);
  const ends: number[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) && /^\.\.?\/.*\.ts$/.test(node.text)) ends.push(node.end - 1);
    ts.forEachChild(node, visit);
  };
  visit(source);
  // As long as before, so that no place moves.
  return ends.reduce((done, end) => `${done.slice(0, end - 3)}.js${done.slice(end)}`, code);
}

/** A preload script as a sandbox takes it: CommonJS. */
export function transpilePreload(text: string): string {
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  });
  return outputText;
}

/**
 * Builds the program.
 *
 * @param root of the checkout
 * @param target emptied first
 * @throws Error where the interface has not been built
 */
export function buildApp(root: string, target: string): void {
  const renderer = path.join(root, 'dist', 'renderer');
  if (!existsSync(path.join(renderer, 'index.html'))) {
    throw new Error('the interface has not been built (run: npm run build)');
  }
  rmSync(target, { recursive: true, force: true });
  for (const name of globSync('{engine,main}/**/*.ts', { cwd: root })) {
    const file = name.split(path.sep).join('/');
    if (LEFT_OUT.test(file)) continue;
    const isPreload = file === 'main/preload.ts';
    const text = readFileSync(path.join(root, file), 'utf8');
    const place = path.join(target, file.replace(/\.ts$/, isPreload ? '.cjs' : '.js'));
    mkdirSync(path.dirname(place), { recursive: true });
    writeFileSync(place, isPreload ? transpilePreload(text) : transpile(file, text));
  }
  cpSync(renderer, path.join(target, 'dist', 'renderer'), { recursive: true });
  cpSync(path.join(root, 'resources'), path.join(target, 'resources'), {
    recursive: true,
    dereference: true,
  });
  copyFileSync(path.join(root, 'LICENSE'), path.join(target, 'LICENSE'));
  const manifest: unknown = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const { name, version, description, license, dependencies } = Object(manifest) as Record<string, unknown>;
  const own = { name, version, description, license, type: 'module', main: 'main/index.js', dependencies };
  writeFileSync(path.join(target, 'package.json'), `${JSON.stringify(own, undefined, 2)}\n`);
}

if (import.meta.main) {
  commandLine(
    'npm run build:app: makes dist/app, the program as Electron runs it (npm run build comes first)',
    {},
  );
  const root = path.dirname(import.meta.dirname);
  try {
    buildApp(root, path.join(root, 'dist', 'app'));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
