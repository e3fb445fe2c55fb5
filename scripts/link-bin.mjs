/**
 * Puts `guesthouse` into node_modules/.bin, so that `npx guesthouse` works in a checkout. Run by npm after
 * an install, which links the commands of dependencies, not those of the package itself. (With a `bin`
 * entry in package.json npx would rather install the checkout into a cache of its own first.)
 *
 * It is JavaScript, not TypeScript, because it is the one file that an older Node may come to run: where
 * npm was told not to run install scripts, the Node this project brings along is not there.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const major = Number(process.versions.node.split('.', 1)[0]);
if (major < 26) {
  console.error(
    `guesthouse: Node ${process.versions.node} is too old, and node_modules has none: ` +
      'let npm run the install scripts of "node" (npm install-scripts approve node), or install Node 26',
  );
  process.exit(1);
}

const root = path.dirname(import.meta.dirname);
const bin = path.join(root, 'node_modules', '.bin');
mkdirSync(bin, { recursive: true });

// Scripts rather than links, since they name the Node to use: a system's own may be too old for TypeScript.
const shell = `#!/bin/sh
here=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
node=$here/node
[ -x "$node" ] || node=node
# V8's compilers and its collector are kept small: what they take is the host's memory, and the guest's cores.
exec "$node" --expose-gc --v8-pool-size=1 --max-semi-space-size=2 "$here/../../main/cli/guesthouse.ts" "$@"
`;
const batch = `@echo off\r\nnode --expose-gc --v8-pool-size=1 --max-semi-space-size=2 "%~dp0\\..\\..\\main\\cli\\guesthouse.ts" %*\r\n`;
const command = path.join(bin, 'guesthouse');
writeFileSync(command, shell);
chmodSync(command, 0o755);
if (process.platform === 'win32') writeFileSync(`${command}.cmd`, batch);
