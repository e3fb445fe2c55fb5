/** The browser shell: the desktop's interface in a browser, under plain Node. `guesthouse serve`. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Services } from './service/services.ts';
import { nodeLauncher } from './vm/launcher.ts';
import { Assets } from './web/assets.ts';
import { WebServer } from './web/server.ts';

export interface ServeOptions {
  /** 0 for any that is free. */
  readonly port: number;
  /** Opens the address in the user's browser. */
  readonly open: boolean;
}

/** What opens an address in the user's browser, where it is not as on Linux. */
const OPENERS: Partial<Record<NodeJS.Platform, readonly [program: string, ...words: string[]]>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
};

/** Signals that end the shell. */
const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/** Milliseconds that what is under way gets to clean up after itself. */
const GRACE = 3000;

/**
 * Serves until a signal ends it. Machines go on without it, what is under way is cancelled. What does not listen to that
 * is left behind, so whoever calls this ends the process.
 *
 * @param say takes lines for the user, the first of which ends in the address
 * @throws GuesthouseError `file` where the interface has not been built, `resources` where it can't listen
 */
export async function serve({ port, open }: ServeOptions, say: (line: string) => void): Promise<void> {
  // A terminal that has gone, or a program that reads no more, is no reason to fail.
  process.stdout.on('error', () => {});
  const assets = new Assets();
  const services = new Services({ shell: 'browser', launcher: nodeLauncher });
  const server = await WebServer.start(services, assets, port);
  const address = server.address();
  say(`Guesthouse is at ${address}`);
  say('The address is good for one browser. Ctrl-C ends this; machines keep running.');
  if (open) openInBrowser(address);
  const unprompt = offerAddresses(() => say(`Guesthouse is at ${server.address()}`));

  // What the list shows is found out while the browser loads.
  void services.manager
    .watch()
    .catch((error: unknown) => say(error instanceof Error ? error.message : String(error)));

  await new Promise<void>((resolve) => {
    for (const signal of SIGNALS) process.on(signal, () => resolve());
  });
  unprompt();
  say(farewell(services.manager.running));
  services.manager.close();
  await Promise.all([Promise.race([services.manager.operations.settled(), sleep(GRACE)]), server.close()]);
}

/** What becomes of the machines. @param running their names */
function farewell(running: readonly string[]): string {
  if (running.length === 0) return 'Guesthouse ends. No machine is running.';
  const [verb, them] = running.length === 1 ? ['keeps', 'it'] : ['keep', 'them'];
  return `Guesthouse ends. ${running.map((name) => `'${name}'`).join(', ')} ${verb} running; "guesthouse list" shows ${them}.`;
}

/** Gives a new address whenever Enter is typed in a terminal. */
function offerAddresses(offer: () => void): () => void {
  if (!process.stdin.isTTY) return () => {};
  const lines = createInterface({ input: process.stdin });
  lines.on('line', offer);
  return () => lines.close();
}

function openInBrowser(address: string): void {
  const [program, ...words] = OPENERS[process.platform] ?? ['xdg-open'];
  // Where there is no browser, the address has been printed.
  spawn(program, [...words, address], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref();
}
