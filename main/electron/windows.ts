/** The program's windows: only our interface, in a sandbox, without rights. */
import path from 'node:path';
import { app, BrowserWindow, type Session as ElectronSession } from 'electron';
import type { Services } from '../service/services.ts';
import { isInterface, isPermitted, maySave, mayOpen, ORIGIN } from './policy.ts';
import { mayDiscard } from './questions.ts';

const SIZE = { width: 1100, height: 720 } as const;
const LEAST = { minWidth: 480, minHeight: 320 } as const;

const PREFERENCES = {
  preload: path.join(import.meta.dirname, '../preload.cjs'),
  contextIsolation: true,
  nodeIntegration: false,
  sandbox: true,
  webSecurity: true,
  webviewTag: false,
  spellcheck: false,
} as const;

/** Refuses whatever the interface does not need, for every page there may ever be. To be called once. */
export function restrictPages(session: ElectronSession): void {
  session.setPermissionRequestHandler((_, permission, answer) => answer(isPermitted(permission)));
  session.setPermissionCheckHandler((_, permission) => isPermitted(permission));
  session.on('will-download', (event, item) => {
    if (!maySave(item.getURL())) event.preventDefault();
  });
  app.on('web-contents-created', (_, contents) => {
    contents.on('will-navigate', (event) => {
      if (!isInterface(event.url)) event.preventDefault();
    });
    contents.on('will-attach-webview', (event) => event.preventDefault());
    contents.on('will-prevent-unload', (event) => {
      if (mayDiscard(contents)) event.preventDefault();
    });
    contents.setWindowOpenHandler(({ url }) =>
      // Its size is what the interface asks for: the one that it was last given.
      mayOpen(url)
        ? { action: 'allow', overrideBrowserWindowOptions: { ...LEAST, webPreferences: PREFERENCES } }
        : { action: 'deny' },
    );
  });
}

/** The main window: shown again where there is one, else opened where it was closed. */
export class MainWindow {
  readonly #services: Services;
  #window: BrowserWindow | undefined;

  constructor(services: Services) {
    this.#services = services;
  }

  show(): void {
    if (this.#window !== undefined) {
      if (this.#window.isMinimized()) this.#window.restore();
      this.#window.show();
      this.#window.focus();
      return;
    }
    const { window: last } = this.#services.settings;
    const window = new BrowserWindow({
      width: last?.width ?? SIZE.width,
      height: last?.height ?? SIZE.height,
      ...(last === null || last.x === null || last.y === null ? {} : { x: last.x, y: last.y }),
      ...LEAST,
      show: false,
      title: 'Guesthouse',
      webPreferences: PREFERENCES,
    });
    if (last?.maximized === true) window.maximize();
    window.once('ready-to-show', () => window.show());
    window.on('close', () => this.#remember(window));
    window.on('closed', () => (this.#window = undefined));
    this.#window = window;
    void window.loadURL(`${ORIGIN}/`);
  }

  #remember(window: BrowserWindow): void {
    const { x, y, width, height } = window.getNormalBounds();
    try {
      this.#services.setSettings({ window: { x, y, width, height, maximized: window.isMaximized() } });
    } catch {
      // It opens elsewhere next time.
    }
  }
}
