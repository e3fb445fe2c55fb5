/**
 * The translator's thread, one for a machine. Each vCPU has a port to it; whatever has come in while one batch
 * was being translated is the next. What each is sent first is tier 0, which so is compiled once for a machine, and
 * built once on a host.
 */
import { getCompileCacheDir } from 'node:module';
import { constants, getPriority, platform, setPriority } from 'node:os';
import { parentPort, type MessagePort } from 'node:worker_threads';
import { buildTier0 } from '../interpreter/handlers.ts';
import { KeptTier0 } from '../interpreter/kept-tier0.ts';
import type { Tier0 } from '../interpreter/tier0.ts';
import { memoryReturner } from '../../../backend/freed-memory.ts';
import { announce, sendTier0, type TranslatorEnd } from '../../../machine/translator-link.ts';
import { TranslationQueue } from './translation-queue.ts';
import { Translator, type TranslatorMessage } from './translator.ts';

/** How long a vCPU's thread takes from then to its first instructions, in milliseconds: hosts with few cores have none to
 * spare meanwhile. Some tenths of a second later there is something to translate. */
const STARTING = 200;
/** How often free memory is given back, in milliseconds: what is given back is soon wanted again. */
const GIVING_BACK = 1000;
/** Once nothing has been asked for so long, in milliseconds, garbage is collected: V8 leaves it until it needs the room. An
 * idle guest has something translated every few seconds, which is not to collect garbage each time. */
const QUIET = 5000;

/** Where cores are scarce, vCPUs come first. Linux alone has priorities for threads: elsewhere the whole process would have
 * this one (setpriority(2), "C library/kernel differences"). */
function giveWay(): void {
  if (platform() !== 'linux') return;
  setPriority(Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL));
}

function serve(control: MessagePort): void {
  const giveBack = memoryReturner();
  const kept = new KeptTier0(getCompileCacheDir());
  const found = kept.load();
  let built: { tier0: Tier0; translator: Translator } | undefined;
  const build = (): { tier0: Tier0; translator: Translator } => {
    if (built !== undefined) return built;
    const tier0 = buildTier0(found?.module, (encoded) => kept.save(encoded));
    built = { tier0, translator: new Translator(tier0) };
    globalThis.gc?.();
    giveBack();
    return built;
  };
  // vCPUs wait for it; what else there is of it, translating alone needs.
  const tier0 = found ?? build().tier0;
  let giving: NodeJS.Timeout | undefined;
  const tidying = setTimeout(() => {
    globalThis.gc?.();
    giveBack();
  }, QUIET);
  control.on('message', (end: TranslatorEnd) => {
    const { port } = end;
    const queue = new TranslationQueue((requests) => {
      port.postMessage(build().translator.translate(requests));
      announce(end.word);
      tidying.refresh();
      giving ??= setTimeout(() => {
        giving = undefined;
        giveBack();
      }, GIVING_BACK);
    });
    sendTier0(end, tier0);
    setTimeout(build, STARTING);
    port.on('message', (message: TranslatorMessage) => {
      if ('hurry' in message) queue.hurry(message.hurry);
      else queue.add(message);
    });
  });
}

if (parentPort !== null) {
  giveWay();
  serve(parentPort);
}
