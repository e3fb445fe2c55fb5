/**
 * Holds the layers: which folder may import from which (ARCHITECTURE.md, "Layers"). Run by `npm run lint`.
 *
 * A rule names a folder and what its files may import. The first rule whose folder holds the file decides,
 * so the more particular folders come first. Imports are read with the TypeScript parser, so strings and
 * comments that look like imports don't count, and type-only imports do: a type is a dependency too.
 */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** What the files under `folder` may import. */
export interface Rule {
  /** Repository path, `/`-separated, without a trailing slash. */
  readonly folder: string;
  /** Folders of this repository, besides the rule's own. */
  readonly repository: readonly string[];
  /** Whether Node's own modules (`node:…`) may be used. */
  readonly node: boolean;
  /** Packages by npm name; `'*'` is any but electron, which must always be named. */
  readonly packages: readonly string[];
  /** Said with a violation. */
  readonly because: string;
}

export const RULES: readonly Rule[] = [
  {
    folder: 'engine/base',
    repository: [],
    node: false,
    packages: [],
    because: 'engine/base imports nothing',
  },
  {
    folder: 'engine/api',
    repository: ['engine/base'],
    node: false,
    packages: ['zod'],
    because: 'engine/api is pure: types and schemas that also run in a browser',
  },
  {
    folder: 'engine/host',
    repository: ['engine', 'resources'],
    node: true,
    packages: ['*'],
    because: 'the engine knows nothing of main/, renderer/ and electron, but where its firmware is',
  },
  {
    folder: 'engine',
    repository: ['engine'],
    node: true,
    packages: ['*'],
    because: 'the engine knows nothing of main/, renderer/ and electron',
  },
  {
    folder: 'main/contract',
    repository: ['engine/api'],
    node: false,
    packages: ['zod'],
    because: 'main/contract is pure: what the renderer may ask',
  },
  {
    folder: 'main/cli',
    repository: ['main', 'engine/api', 'engine/base', 'engine/host'],
    node: true,
    packages: ['*'],
    because: 'the command line reaches the engine through engine/api and its process entry, engine/host',
  },
  {
    folder: 'main/vm',
    repository: ['main', 'engine/api', 'engine/base', 'engine/host', 'resources'],
    node: true,
    packages: ['*'],
    because: 'the supervisor reaches the engine through engine/api and its process entry, engine/host',
  },
  {
    folder: 'main/sample',
    repository: ['engine/api', 'engine/base'],
    node: true,
    packages: [],
    because: 'the sample guest needs the engine for its errors only',
  },
  {
    folder: 'main',
    repository: ['main', 'engine/api', 'engine/base'],
    node: true,
    packages: ['*', 'electron'],
    because: 'main/ reaches the engine only through engine/api',
  },
  {
    folder: 'renderer',
    repository: ['engine/api', 'main/contract'],
    node: false,
    packages: ['*'],
    because: 'the renderer runs in a browser and asks main/ through main/contract',
  },
];

/** A breach of a rule. */
export interface Violation {
  readonly file: string;
  readonly line: number;
  readonly specifier: string;
  readonly because: string;
}

const within = (file: string, folder: string): boolean => file === folder || file.startsWith(`${folder}/`);

/**
 * Every module specifier in a source text, static and dynamic, with its line (from 1).
 *
 * @param file its name, only for the parser's choice of language
 */
export function importsOf(file: string, text: string): Array<{ specifier: string; line: number }> {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, false);
  const found: Array<{ specifier: string; line: number }> = [];
  const add = (node: ts.Node | undefined): void => {
    if (node === undefined || !ts.isStringLiteralLike(node)) return;
    const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
    found.push({ specifier: node.text, line });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0]);
    } else if (ts.isNewExpression(node) && isModuleUrl(node)) add(node.arguments?.[0]);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** `new URL('./x.ts', import.meta.url)`: how a worker's entry is named. */
function isModuleUrl(node: ts.NewExpression): boolean {
  const base = node.arguments?.[1];
  return (
    ts.isIdentifier(node.expression) &&
    node.expression.text === 'URL' &&
    base !== undefined &&
    ts.isPropertyAccessExpression(base) &&
    ts.isMetaProperty(base.expression)
  );
}

function allowed(rule: Rule, file: string, specifier: string): boolean {
  if (specifier.startsWith('.')) {
    const target = path.posix.join(path.posix.dirname(file), specifier);
    return within(target, rule.folder) || rule.repository.some((folder) => within(target, folder));
  }
  // Unit tests and suites that several of them share may use the test runner and the host, but keep to
  // their layer.
  const test = /(\.test|\/conformance)\.ts$/.test(file);
  if (specifier.startsWith('node:')) return rule.node || test;
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  if (name === 'vitest') return test;
  return rule.packages.includes(name) || (name !== 'electron' && rule.packages.includes('*'));
}

/**
 * The violations in one file.
 *
 * @param file repository path, `/`-separated
 */
export function check(file: string, text: string): Violation[] {
  const rule = RULES.find(({ folder }) => within(file, folder));
  if (rule === undefined) return [];
  return importsOf(file, text)
    .filter(({ specifier }) => !allowed(rule, file, specifier))
    .map(({ specifier, line }) => ({ file, line, specifier, because: rule.because }));
}

/** The violations in the whole repository at `root`. */
export function checkAll(root: string): Violation[] {
  const files = globSync('{engine,main,renderer}/**/*.{ts,vue}', { cwd: root }).sort();
  return files.flatMap((file) => check(file.split(path.sep).join('/'), readScript(path.join(root, file))));
}

/** A file's script: all of it, or of a single-file component what its script blocks hold, lines kept. */
function readScript(file: string): string {
  const text = readFileSync(file, 'utf8');
  if (!file.endsWith('.vue')) return text;
  let script = '';
  for (const block of text.matchAll(/<script\b[^>]*>(.*?)<\/script>/gs)) {
    const start = block.index + block[0].indexOf('>') + 1;
    script += text.slice(script.length, start).replace(/[^\n]/g, ' ') + block[1];
  }
  return script;
}

if (import.meta.main) {
  const violations = checkAll(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
  for (const { file, line, specifier, because } of violations) {
    console.error(`${file}:${line}: may not import '${specifier}': ${because}`);
  }
  if (violations.length > 0) process.exitCode = 1;
}
