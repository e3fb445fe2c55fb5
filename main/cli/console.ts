/** `guesthouse console`: the terminal as a running machine's console, until Ctrl-] is typed. */
import type { Manager } from '../vm/manager.ts';

/** Ctrl-], as in virsh and telnet. */
const ESCAPE = 0x1d;

/** Bytes of what was printed before that are looked through for the line that stands there now. */
const LOOK_BACK = 4096;

/**
 * Connects the terminal to a machine's console.
 *
 * @param history prints what the console has kept, else only the line that stands there
 * @returns 0, when the user has gone or the machine has ended
 */
export async function attachConsole(
  manager: Manager,
  id: string,
  name: string,
  history: boolean,
): Promise<number> {
  const { stdin, stdout, stderr } = process;
  const done = Promise.withResolvers<void>();
  /** Up to here what comes was printed before. */
  let before = 0;
  let backlog = new Uint8Array(0);
  const print = (bytes: Uint8Array) => {
    if (bytes.length === 0 || stdout.write(bytes)) return;
    client.pause();
    stdout.once('drain', () => client.resume());
  };
  const { client } = await manager.connectConsole(id, {
    output(position, bytes) {
      const old = Math.min(bytes.length, Math.max(0, before - position));
      if (old > 0) {
        backlog = Buffer.concat([backlog, bytes.subarray(0, old)]);
        if (position + old < before) return;
        print(backlog.subarray(backlog.lastIndexOf(0x0a) + 1));
      }
      print(bytes.subarray(old));
    },
    closed: () => done.resolve(),
  });
  stderr.write(`Connected to machine '${name}'\nEscape character is ^] (Ctrl + ])\n`);
  if (!history) before = (await manager.usage(id)).consoleBytes;
  await client.request({ kind: 'attach', from: Math.max(0, before - (history ? before : LOOK_BACK)) });

  const restore = () => {
    if (stdin.isTTY) stdin.setRawMode(false);
  };
  const typed = (data: Buffer | string) => {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    const end = bytes.indexOf(ESCAPE);
    const kept = end < 0 ? bytes : bytes.subarray(0, end);
    if (kept.length > 0 && !client.input(kept)) {
      stdin.pause();
      void client.drained().then(() => stdin.resume());
    }
    if (end >= 0) done.resolve();
  };
  // Nobody reads any more.
  stdout.on('error', () => done.resolve());
  if (stdin.isTTY) stdin.setRawMode(true);
  process.on('exit', restore);
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.once(signal, () => done.resolve());
  stdin.on('data', typed);
  await done.promise;
  stdin.off('data', typed).pause();
  restore();
  process.off('exit', restore);
  client.close();
  stderr.write('\n');
  return 0;
}
