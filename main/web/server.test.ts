import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Services } from '../service/services.ts';
import { testHome, type TestHome } from '../testing/home.ts';
import { connectWeb, enter } from '../testing/web-client.ts';
import { nodeLauncher } from '../vm/launcher.ts';
import { Assets } from './assets.ts';
import { WebServer } from './server.ts';

let home: TestHome;
let services: Services;
let server: WebServer;
let folder: string;

beforeAll(async () => {
  home = testHome();
  folder = path.join(home.directory, 'interface');
  mkdirSync(path.join(folder, 'assets'), { recursive: true });
  writeFileSync(path.join(folder, 'index.html'), '<title>interface</title>');
  writeFileSync(path.join(folder, 'assets', 'a.js'), '1');
  writeFileSync(path.join(home.directory, 'secret'), 'secret');
  services = new Services({ shell: 'browser', launcher: nodeLauncher });
  server = await WebServer.start(services, new Assets(folder), 0);
});
afterAll(async () => {
  services.manager.close();
  await server.close();
  home[Symbol.dispose]();
});

/** Asks as a browser could not: with any path and headers. */
function ask(
  pathname: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<{ status: number; body: string; headers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { port: server.port, host: '127.0.0.1', path: pathname, method, headers },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body, headers: response.headers }),
        );
      },
    );
    asked.on('error', reject).end();
  });
}

/** Whether a WebSocket with these headers is let in. */
function isLetIn(headers: Record<string, string>, pathname = '/socket'): Promise<boolean> {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}${pathname}`, { headers });
  return new Promise((resolve) => {
    socket.on('open', () => {
      socket.close();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

test('a token is good once, for a cookie that scripts and other sites cannot use', async () => {
  const address = new URL(server.address());
  const first = await ask(`${address.pathname}${address.search}`);
  expect(first).toMatchObject({ status: 200, body: '<title>interface</title>' });
  expect(first.headers['cache-control']).toBe('no-store');
  const [cookie] = Array.isArray(first.headers['set-cookie'])
    ? (first.headers['set-cookie'] as string[])
    : [''];
  expect(cookie).toMatch(/HttpOnly; SameSite=Strict; Path=\/$/);
  const page = await ask('/', { cookie: cookie.split(';')[0] });
  expect(page).toMatchObject({ status: 200, body: '<title>interface</title>' });
  expect(page.headers['content-security-policy']).toContain("default-src 'none'");
  expect(String(page.headers['content-security-policy'])).toContain("script-src 'self';");
  expect(String(page.headers['content-security-policy'])).not.toContain('unsafe');
  expect((await ask(`${address.pathname}${address.search}`)).status).toBe(403);
});

test('without the cookie there is nothing', async () => {
  expect((await ask('/')).status).toBe(403);
  expect((await ask('/assets/a.js')).status).toBe(403);
  expect((await ask('/?token=guess')).status).toBe(403);
  expect((await ask('/', { cookie: `guesthouse-${server.port}=guess` })).status).toBe(403);
});

test('who calls us by another name is refused', async () => {
  const { cookie } = await enter(server.address());
  expect((await ask('/', { cookie, host: 'evil.example' })).status).toBe(421);
  expect((await ask('/', { cookie, host: `localhost:${server.port}` })).status).toBe(200);
});

test('no address leads out of the interface', async () => {
  const { cookie } = await enter(server.address());
  const paths = [
    '/../secret',
    '/%2e%2e/secret',
    '/..%2fsecret',
    '/assets/../../secret',
    '//etc/passwd',
    '/\\..\\secret',
  ];
  for (const each of [...paths, '/secret', '/assets', 'http://other/x', '/%00', '/%']) {
    const { status, body } = await ask(each, { cookie });
    expect({ each, status, leaked: body.includes('secret') || body.includes('root:') }).toEqual({
      each,
      status: 404,
      leaked: false,
    });
  }
  expect((await ask('/machine/abc-1', { cookie })).body).toBe('<title>interface</title>');
  expect((await ask('/', { cookie }, 'POST')).status).toBe(405);
});

test('a WebSocket needs the cookie, our name and our page', async () => {
  const { cookie, origin } = await enter(server.address());
  const host = `127.0.0.1:${server.port}`;
  expect(await isLetIn({ cookie, origin })).toBe(true);
  expect(await isLetIn({ origin })).toBe(false);
  expect(await isLetIn({ cookie })).toBe(false);
  expect(await isLetIn({ cookie, origin: 'http://evil.example' })).toBe(false);
  expect(await isLetIn({ cookie, origin: `http://${host}`, host: 'evil.example' })).toBe(false);
  expect(await isLetIn({ cookie, origin }, '/other')).toBe(false);
});

test('the contract runs over it, and a client that speaks nonsense is cut off, alone', async () => {
  const good = await connectWeb(server.address());
  const { cookie, origin } = await enter(server.address());
  const bad = new WebSocket(`ws://127.0.0.1:${server.port}/socket`, { headers: { cookie, origin } });
  const code = await new Promise<number>((resolve) => {
    bad.on('open', () => bad.send('nonsense'));
    bad.on('close', resolve);
  });
  expect(code).toBe(1008);
  expect((await good.call('machine.list', {})).machines).toEqual([]);
  good.close();
});

test('what is not built is said, with the way to build it', () => {
  expect(() => new Assets(path.join(home.directory, 'none'))).toThrow('the interface has not been built');
});

test('a port that is in use is said', async () => {
  await expect(WebServer.start(services, new Assets(folder), server.port)).rejects.toThrow('it is in use');
});
