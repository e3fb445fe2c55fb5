/** The desktop's entry in a shell that stands in for Electron: what it is told to do, and what pages can get of it. */
import { EventEmitter } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Client } from './contract/client.ts';
import { testHome, type TestHome } from './testing/home.ts';

const shell = await vi.hoisted(async () => {
  const { EventEmitter: Emitter } = await import('node:events');
  /** A page's end of a port, and main's. */
  class Port extends Emitter {
    other: Port | undefined;
    start(): void {}
    postMessage(data: unknown): void {
      this.say(data);
    }
    say(data: unknown): void {
      queueMicrotask(() => this.other?.emit('message', { data }));
    }
    close(): void {
      this.other?.emit('close');
    }
  }
  const world = {
    calls: [] as string[],
    handler: undefined as ((request: { url: string; method: string }) => Response) | undefined,
    scheme: undefined as unknown,
    permit: (_: unknown, permission: string, answer: (may: boolean) => void) => answer(permission === ''),
    check: (_: unknown, permission: string) => permission === '',
    windows: [] as Array<{ options: Record<string, unknown>; url: string }>,
    answers: [] as number[],
  };
  const app = Object.assign(new Emitter(), {
    enableSandbox: () => world.calls.push('sandbox'),
    requestSingleInstanceLock: () => true,
    whenReady: async () => {},
    exit: (status: number) => world.calls.push(`exit ${status}`),
    quit() {
      let stays = false;
      app.emit('before-quit', { preventDefault: () => (stays = true) });
      if (stays) return;
      app.emit('will-quit', {});
      world.calls.push('ended');
    },
  });
  const defaultSession = Object.assign(new Emitter(), {
    protocol: { handle: (_: string, handler: typeof world.handler) => (world.handler = handler) },
    setPermissionRequestHandler: (handler: typeof world.permit) => (world.permit = handler),
    setPermissionCheckHandler: (handler: typeof world.check) => (world.check = handler),
  });
  class BrowserWindow extends Emitter {
    readonly seen: { options: Record<string, unknown>; url: string };
    static getAllWindows = (): unknown[] => [];
    static fromWebContents = (): null => null;
    constructor(options: Record<string, unknown>) {
      super();
      this.seen = { options, url: '' };
      world.windows.push(this.seen);
    }
    async loadURL(url: string): Promise<void> {
      this.seen.url = url;
    }
    isMinimized = (): boolean => false;
    show(): void {
      world.calls.push('show');
    }
    focus(): void {}
  }
  const ipcMain = new Emitter();
  const electron = {
    app,
    BrowserWindow,
    ipcMain,
    Menu: { setApplicationMenu: () => {}, buildFromTemplate: (template: unknown) => template },
    MessageChannelMain: class {
      readonly port1 = new Port();
      readonly port2 = new Port();
      constructor() {
        this.port1.other = this.port2;
        this.port2.other = this.port1;
      }
    },
    Tray: class extends Emitter {
      setToolTip(): void {}
      setContextMenu(): void {}
      destroy(): void {
        world.calls.push('tray gone');
      }
    },
    dialog: {
      showErrorBox: (title: string, text: string) => world.calls.push(`${title}: ${text}`),
      showMessageBoxSync: () => world.answers.shift() ?? 1,
    },
    nativeImage: { createFromPath: (file: string) => file },
    protocol: { registerSchemesAsPrivileged: (schemes: unknown) => (world.scheme = schemes) },
    session: { defaultSession },
    utilityProcess: {},
  };
  return { world, electron, Port };
});
vi.mock('electron', () => shell.electron);
// The interface that is built may not be: a page in its place.
vi.mock(import('./web/assets.ts'), async (load) => {
  const original = await load();
  class Assets extends original.Assets {
    constructor() {
      super(path.join(process.env['XDG_DATA_HOME'] ?? '', 'interface'));
    }
  }
  return { ...original, Assets };
});

const { world } = shell;
const { app, ipcMain, session } = shell.electron;
let home: TestHome;

beforeAll(async () => {
  home = testHome();
  const folder = path.join(home.environment['XDG_DATA_HOME'] ?? '', 'interface');
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'index.html'), '<title>interface</title>');
  await import('./index.ts');
  await vi.waitFor(() => expect(world.windows).toHaveLength(1));
});
afterAll(() => home[Symbol.dispose]());

/** A page's contents, as Electron announces each. */
function contents(): EventEmitter & {
  open?: ((details: { url: string }) => unknown) | undefined;
  getTitle(): string;
} {
  const made: ReturnType<typeof contents> = Object.assign(new EventEmitter(), { getTitle: () => 'first' });
  Object.assign(made, { setWindowOpenHandler: (open: typeof made.open) => (made.open = open) });
  app.emit('web-contents-created', {}, made);
  return made;
}

/** Whether an event is prevented. */
function isPrevented(from: EventEmitter, event: string, details: object = {}, ...more: unknown[]): boolean {
  let prevented = false;
  from.emit(event, { ...details, preventDefault: () => (prevented = true) }, ...more);
  return prevented;
}

test('pages are in a sandbox, apart from Node, and come by our protocol alone', () => {
  expect(world.calls[0]).toBe('sandbox');
  const [window] = world.windows;
  expect(window?.url).toBe('app://guesthouse/');
  expect(window?.options).toMatchObject({
    webPreferences: { contextIsolation: true, nodeIntegration: false, sandbox: true, webSecurity: true },
  });
  expect(contents().open?.({ url: '' })).toMatchObject({
    action: 'allow',
    overrideBrowserWindowOptions: { webPreferences: { sandbox: true, nodeIntegration: false } },
  });
  expect(contents().open?.({ url: 'https://example.org/' })).toEqual({ action: 'deny' });
  expect(world.scheme).toMatchObject([{ scheme: 'app' }]);
});

test('the protocol gives the interface with its policy, and nothing else', async () => {
  const get = (url: string, method = 'GET') => world.handler?.({ url, method });
  const page = get('app://guesthouse/');
  expect(await page?.text()).toBe('<title>interface</title>');
  expect(page?.headers.get('content-security-policy')).toContain("default-src 'none'");
  const others = ['app://other/', 'app://guesthouse/../machines', 'app://guesthouse/etc/passwd'];
  expect(others.map((url) => get(url)?.status)).toEqual([404, 404, 404]);
  expect(get('app://guesthouse/', 'POST')?.status).toBe(404);
});

test('pages neither leave, nor embed, nor ask for more than they need', () => {
  const page = contents();
  expect(isPrevented(page, 'will-navigate', { url: 'https://example.org/' })).toBe(true);
  expect(isPrevented(page, 'will-navigate', { url: 'app://guesthouse/machine/a' })).toBe(false);
  expect(isPrevented(page, 'will-attach-webview')).toBe(true);
  const permitted = ['clipboard-read', 'fullscreen', 'geolocation', 'media'].filter((permission) => {
    let may = false;
    world.permit(null, permission, (answer) => (may = answer));
    expect(world.check(null, permission)).toBe(may);
    return may;
  });
  expect(permitted).toEqual(['clipboard-read', 'fullscreen']);
});

test('a picture of the screen is saved, and nothing from elsewhere', () => {
  const save = (url: string) =>
    isPrevented(session.defaultSession, 'will-download', {}, { getURL: () => url });
  expect(save('blob:app://guesthouse/0c5e')).toBe(false);
  expect(save('https://example.org/x.exe')).toBe(true);
});

test('a window with changes that were not applied asks before it closes', () => {
  world.answers.push(1, 0);
  // To prevent the event is to close all the same.
  expect(isPrevented(contents(), 'will-prevent-unload')).toBe(false);
  expect(isPrevented(contents(), 'will-prevent-unload')).toBe(true);
});

test('our pages get the contract, and strangers get nothing', async () => {
  const ask = (url: string, parent: object | null = null) => {
    const ports: InstanceType<typeof shell.Port>[] = [];
    const postMessage = (_: string, __: null, given: typeof ports) => ports.push(...given);
    ipcMain.emit('guesthouse:connect', { senderFrame: { url, parent, postMessage } });
    return ports[0];
  };
  expect(ask('https://example.org/')).toBeUndefined();
  expect(ask('app://guesthouse/', {})).toBeUndefined();
  expect(() => ipcMain.emit('guesthouse:connect', { senderFrame: null })).not.toThrow();

  const port = ask('app://guesthouse/');
  if (port === undefined) throw new Error('no port');
  const client = new Client({
    send: (message) => port.say(message),
    close: () => port.close(),
  });
  port.on('message', ({ data }: { data: string | Uint8Array }) => client.receive(data));
  await client.ready;
  const { machine } = await client.call('machine.define', { document: { name: 'one', sample: true } });
  expect((await client.call('machine.list', {})).machines).toEqual([machine]);

  // What is no message costs a page its own connection.
  const bad = ask('app://guesthouse/');
  let closed = false;
  bad?.on('close', () => (closed = true));
  bad?.say({ neither: 'text nor bytes' });
  await vi.waitFor(() => expect(closed).toBe(true));
  expect((await client.call('machine.list', {})).machines).toHaveLength(1);
});

test('a second instance shows the first one’s window', () => {
  const before = world.calls.length;
  app.emit('second-instance');
  expect(world.calls.slice(before)).toEqual(['show']);
});

test('with no machine running, closing the last window ends it', async () => {
  app.emit('window-all-closed');
  await vi.waitFor(() => expect(world.calls.slice(-2)).toEqual(['tray gone', 'ended']));
});
