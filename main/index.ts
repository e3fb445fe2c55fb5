/**
 * Entry of the desktop: Electron's main process. A thin shell, all of whose substance it shares with the browser
 * shell (web.ts): library, supervisor, contract and interface.
 */
import { app, BrowserWindow, dialog, Menu, session } from 'electron';
import { problemOf } from '../engine/api/problem.ts';
import { chooseFile } from './electron/chooser.ts';
import { acceptConnections } from './electron/connections.ts';
import { electronLauncher } from './electron/launcher.ts';
import { declareProtocol, serveInterface } from './electron/protocol.ts';
import { askOnQuit } from './electron/questions.ts';
import { Quit } from './electron/quit.ts';
import { makeTray } from './electron/tray.ts';
import { MainWindow, restrictPages } from './electron/windows.ts';
import { Services } from './service/services.ts';
import { Assets } from './web/assets.ts';

async function start(): Promise<void> {
  const assets = new Assets();
  const services = new Services({ shell: 'desktop', launcher: electronLauncher, chooser: chooseFile });
  await app.whenReady();
  serveInterface(session.defaultSession, assets);
  restrictPages(session.defaultSession);
  acceptConnections(services);
  // The interface has its own; this one would only offer what it does not.
  if (process.platform !== 'darwin') Menu.setApplicationMenu(null);

  const window = new MainWindow(services);
  const tray = makeTray(() => window.show());
  app.on('second-instance', () => window.show());
  app.on('activate', () => window.show());
  const quit = new Quit(services, {
    ask: askOnQuit,
    showWindow: () => window.show(),
    closeWindows() {
      const windows = BrowserWindow.getAllWindows();
      for (const each of windows) each.close();
      return windows.length > 0;
    },
    quit: () => app.quit(),
  });
  // While the tray is there the program is.
  app.on('window-all-closed', () => void quit.windowsClosed());
  app.on('before-quit', (event) => {
    if (!quit.mayEnd()) event.preventDefault();
  });
  app.on('will-quit', () => {
    tray.destroy();
    services.manager.close();
  });
  window.show();
  await services.manager.watch();
}

declareProtocol();
app.enableSandbox();
if (app.requestSingleInstanceLock()) {
  start().catch((error: unknown) => {
    const { message, hint } = problemOf(error);
    dialog.showErrorBox('Guesthouse cannot start', hint === undefined ? message : `${message}\n${hint}`);
    app.exit(1);
  });
} else {
  // The one that runs already shows its window.
  app.quit();
}
