/**
 * The browser shell as its users have it: `guesthouse serve` on a library of its own, and the system's Chromium
 * looking at it. With `DESKTOP=1` it is Electron instead, where its program is.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from 'playwright-core';
import { Desktop } from './desktop.ts';
import { processesWith } from './processes.ts';

const ROOT = path.dirname(path.dirname(import.meta.dirname));
const COMMAND = path.join(ROOT, 'main', 'cli', 'guesthouse.ts');

/** Pictures of the screens, for people to look at; not in the repository. */
const PICTURES = path.join(ROOT, 'dist', 'interface');

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const IS_DESKTOP = process.env['DESKTOP'] === '1';

/** Milliseconds for something on the page to come. Long, for a host that has other work as well: a test that
 * succeeds waits for none of it. */
const PATIENCE = 45_000;

/** Milliseconds for the server to say its address. */
const START = 60_000;

export interface WindowOptions {
  readonly colorScheme?: 'light' | 'dark';
  readonly width?: number;
  readonly height?: number;
}

/** A browser shell with an empty library. Dispose of it (`await using`) to be sure that it and its machines are
 * gone. */
export class Shell {
  /** Where its library, settings and sockets are. */
  readonly home: string;
  /** None with the desktop, which is one itself. */
  readonly #browser: Browser | undefined;
  readonly #environment: NodeJS.ProcessEnv;
  /** What a browser complained about: errors of scripts and breaches of the security policy. */
  readonly complaints: string[] = [];
  #server: ChildProcess | undefined;
  #desktop: Desktop | undefined;
  #address = '';
  /** The browser that has used the address. */
  #context: BrowserContext | undefined;

  private constructor(home: string, browser: Browser | undefined) {
    this.home = home;
    this.#browser = browser;
    this.#environment = {
      ...process.env,
      // The sample guest is made once for all tests.
      XDG_CACHE_HOME: path.join(ROOT, '.cache'),
      XDG_DATA_HOME: path.join(home, 'data'),
      XDG_CONFIG_HOME: path.join(home, 'config'),
      XDG_STATE_HOME: path.join(home, 'state'),
      XDG_RUNTIME_DIR: path.join(home, 'run'),
    };
  }

  static async start(): Promise<Shell> {
    // Not deep: a socket's path has 108 bytes at most.
    const home = mkdtempSync(path.join(tmpdir(), 'gh-'));
    mkdirSync(path.join(home, 'run'), { mode: 0o700 });
    const shell = new Shell(home, IS_DESKTOP ? undefined : await launchBrowser());
    try {
      await shell.serve();
    } catch (error) {
      await shell[Symbol.asyncDispose]();
      throw error;
    }
    return shell;
  }

  /** Starts the server, again where it was ended; windows opened from now on go there. */
  async serve(): Promise<void> {
    if (this.#browser === undefined) {
      this.#desktop = await Desktop.start(this.#environment);
      return;
    }
    const server = spawn(process.execPath, [COMMAND, 'serve'], {
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#server = server;
    let output = '';
    this.#address = await new Promise<string>((resolve, reject) => {
      const failed = (): void => reject(new Error(`the server did not start: ${output}`));
      const timer = setTimeout(failed, START);
      const read = (chunk: Buffer): void => {
        output += chunk.toString('utf8');
        const address = /http:\/\/\S+/.exec(output)?.[0];
        if (address === undefined) return;
        clearTimeout(timer);
        resolve(address);
      };
      server.stdout.on('data', read);
      server.stderr.on('data', read);
      server.once('close', failed);
    });
  }

  /** Ends the server as a signal does; machines keep running. */
  async endServer(): Promise<void> {
    await this.#desktop?.end();
    this.#desktop = undefined;
    const server = this.#server;
    this.#server = undefined;
    // Another server's address is for another browser.
    this.#context = undefined;
    if (server === undefined || server.exitCode !== null) return;
    const closed = new Promise((resolve) => server.once('close', resolve));
    server.kill('SIGTERM');
    await closed;
  }

  /** The server's process id. */
  get pid(): number {
    if (this.#desktop !== undefined) return this.#desktop.pid;
    if (this.#server?.pid === undefined) throw new Error('the server is not running');
    return this.#server.pid;
  }

  /** Opens the list in a window of its own. The address is good for one browser, which all windows share. */
  async open(options: WindowOptions = {}): Promise<Page> {
    const { colorScheme = 'light', width = 1100, height = 680 } = options;
    const address = this.#context === undefined ? this.#address : new URL('/', this.#address).href;
    if (this.#context === undefined) await this.#enter((this.#context = await this.#makeContext()));
    const page = await (this.#desktop?.open() ?? this.#context.newPage());
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    // Windows that this one opens look the same.
    // One that is closed at once need not.
    page.on('popup', (popup) => void popup.emulateMedia({ colorScheme }).catch(() => undefined));
    if (this.#desktop === undefined) await page.goto(address);
    // So that what its context adds to pages is there.
    else await page.reload();
    await page.getByRole('button', { name: 'New machine…' }).waitFor();
    return page;
  }

  /** Runs a command of guesthouse on this library and returns what it printed. */
  async run(...words: string[]): Promise<string> {
    const child = spawn(process.execPath, [COMMAND, ...words], {
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
    const status = await new Promise((resolve) => child.once('close', resolve));
    if (status !== 0) throw new Error(`guesthouse ${words.join(' ')}: ${output}`);
    return output;
  }

  /** Puts a machine into the library without asking the manager, as an editor of files would. */
  put(id: string, text: string): void {
    const folder = path.join(this.library, id);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'machine.json'), text);
  }

  get library(): string {
    return path.join(this.home, 'data', 'guesthouse', 'machines');
  }

  /** Where the sockets of machines are that run. */
  get runtime(): string {
    const folder = path.join(this.home, 'run', 'guesthouse');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return folder;
  }

  /** Processor time of the browser's processes that run pages, in seconds. */
  async pageSeconds(): Promise<number> {
    if (this.#browser === undefined) throw new Error('only a browser tells what its pages take');
    const session = await this.#browser.newBrowserCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    await session.detach();
    return processInfo
      .filter(({ type }) => type === 'renderer')
      .reduce((sum, { cpuTime }) => sum + cpuTime, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endServer();
    for (const pid of processesWith(this.home)) kill(pid);
    await this.#browser?.close();
    rmSync(this.home, { recursive: true, force: true });
  }

  async #makeContext(): Promise<BrowserContext> {
    if (this.#desktop !== undefined) return this.#desktop.context;
    if (this.#browser === undefined) throw new Error('the shell is not running');
    return this.#browser.newContext();
  }

  /** Readies a context for its pages. */
  async #enter(context: BrowserContext): Promise<void> {
    context.setDefaultTimeout(PATIENCE);
    context.on('page', (page) => this.#watch(page));
    // Also those that a library tried and got over.
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => {
        console.error(`refused by ${effectiveDirective}: ${blockedURI}`);
      });
    });
  }

  #watch(page: Page): void {
    page.on('pageerror', (error) => this.complaints.push(error.stack ?? error.message));
    page.on('console', (message) => {
      // A browser asks for this by itself.
      const isIcon = message.location().url.endsWith('/favicon.ico');
      if (message.type() === 'error' && !isIcon) this.complaints.push(message.text());
    });
  }
}

async function launchBrowser(): Promise<Browser> {
  const executablePath = CHROMIUM.find((file) => existsSync(file));
  if (executablePath === undefined) throw new Error('no Chromium: install the package chromium');
  return chromium.launch({ executablePath, args: FLAGS });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** Waits until nothing on the page fades in or moves any more. */
export async function settle(page: Page): Promise<void> {
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map(({ finished }) => finished)));
}

/** Keeps a picture of a window. */
export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(PICTURES, { recursive: true });
  await settle(page);
  await page.screenshot({ path: path.join(PICTURES, `${name}.png`) });
}

/** A machine's row of the list. */
export function row(page: Page, name: string): Locator {
  return page.getByRole('row').filter({ has: page.getByText(name, { exact: true }) });
}

/** Opens the window of a machine from the list. */
export async function openMachine(page: Page, name: string): Promise<Page> {
  const [window] = await Promise.all([page.waitForEvent('popup'), row(page, name).dblclick()]);
  await window.getByRole('tablist').first().waitFor();
  return window;
}

/** Makes a machine of the sample guest by the wizard, and comes back with its window. */
export async function makeSample(
  page: Page,
  name: string,
  action: 'Create and start' | 'Create',
): Promise<Page> {
  await page.getByRole('button', { name: 'New machine…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Sample guest').check();
  await dialog.getByRole('button', { name: 'Next' }).click();
  await dialog.getByRole('spinbutton', { name: 'Memory' }).fill('256');
  await dialog.getByRole('button', { name: 'Next' }).click();
  await dialog.getByRole('textbox', { name: 'Name' }).fill(name);
  if (action === 'Create') await dialog.getByLabel('Customise before starting').check();
  const [window] = await Promise.all([
    page.waitForEvent('popup'),
    dialog.getByRole('button', { name: action, exact: true }).click(),
  ]);
  await window.getByRole('tablist').first().waitFor();
  return window;
}

/** What the terminal shows. */
export async function screenText(window: Page): Promise<string> {
  // Each row of the terminal ends in blanks up to its width.
  return (await window.locator('.xterm-rows').innerText()).replaceAll('\u00a0', ' ');
}

/** Waits until the terminal shows something.
 * @throws Error with what it shows instead */
export async function expectScreen(window: Page, wanted: RegExp, seconds = 180): Promise<void> {
  const deadline = performance.now() + 1000 * seconds;
  for (;;) {
    const text = await screenText(window);
    if (wanted.test(text)) return;
    if (performance.now() > deadline)
      throw new Error(`not shown in ${seconds} s: ${wanted}\n${text.trimEnd()}`);
    await window.waitForTimeout(200);
  }
}

/** Types a line at the guest's prompt. */
export async function typeLine(window: Page, line: string): Promise<void> {
  await window.getByRole('textbox', { name: 'Serial console' }).focus();
  await window.keyboard.type(line);
  await window.keyboard.press('Enter');
}

/** Waits for the state in a machine window's status line. */
export async function expectState(window: Page, state: string, seconds = 90): Promise<void> {
  await window
    .locator('footer')
    .getByText(state, { exact: true })
    .waitFor({ timeout: 1000 * seconds });
}

/** The sample guest's shell waits for a command: the last line that is not blank is a prompt. */
export const PROMPT = /(?:^|\n)\S*\s?[#$]\s*$/;
