/** `npm start` where there can be no window: it says why in one line, and serves the browser shell. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';

const START = path.join(import.meta.dirname, '../../main/start.ts');

test('without a display the interface is served, and its address printed', async () => {
  const home = mkdtempSync(path.join(tmpdir(), 'gh-'));
  const { DISPLAY: _, WAYLAND_DISPLAY: __, ...others } = process.env;
  const env = { ...others, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home, XDG_RUNTIME_DIR: home };
  const child = spawn(process.execPath, [START], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    await expect.poll(() => output, { timeout: 60_000 }).toMatch(/http:\/\/\S+\s/);
    const [first = ''] = output.split('\n', 1);
    expect(first).toBe('No desktop window: there is no display. The browser shell serves instead.');
    const page = await fetch(/http:\/\/\S+/.exec(output)?.[0] ?? '');
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<title>Guesthouse</title>');
  } finally {
    child.kill('SIGKILL');
    rmSync(home, { recursive: true, force: true });
  }
});
