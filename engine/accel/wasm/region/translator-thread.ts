/**
 * The translator's thread, one for a machine. Each vCPU has a port to it; whatever has come in while one batch
 * was being translated is the next. What each is sent first is tier 0, which so is compiled once for a machine, and
 * built once on a host.
 */
import { getCompileCacheDir } from 'node:module';
import { parentPort, type MessagePort } from 'node:worker_threads';
import { buildTier0, type Tier0 } from '../interpreter/handlers.ts';
import { KeptTier0 } from '../interpreter/kept-tier0.ts';
import { memoryReturner } from '../../../backend/freed-memory.ts';
import { sendTier0, type TranslatorEnd } from '../../../machine/translator-link.ts';
import { Translator, type TranslationRequest } from './translator.ts';

/**
 * How long requests are gathered for one module, in milliseconds: a module of its own for each region would cost
 * more memory than the region.
 */
const GATHERING = 50;
/** How often free memory is given back, in milliseconds: what is given back is soon wanted again. */
const GIVING_BACK = 1000;
/** Once nothing has been asked for so long, in milliseconds, garbage is collected: V8 leaves it until it needs the room. */
const QUIET = 1000;
/** Regions in a module at most: a vCPU is not to wait long for the first of many. */
const MOST_AT_ONCE = 16;

function serve(control: MessagePort): void {
  const giveBack = memoryReturner();
  const kept = new KeptTier0(getCompileCacheDir());
  const found = kept.load();
  let translator: Translator | undefined;
  const build = (): Tier0 => {
    const tier0 = buildTier0(found?.module, (encoded) => kept.save(encoded));
    translator = new Translator(tier0);
    globalThis.gc?.();
    giveBack();
    return tier0;
  };
  // vCPUs wait for it; what else there is of it, translating alone needs.
  const tier0 = found ?? build();
  let giving: NodeJS.Timeout | undefined;
  const tidying = setTimeout(() => {
    globalThis.gc?.();
    giveBack();
  }, QUIET);
  control.on('message', (end: TranslatorEnd) => {
    const { port } = end;
    const requests: TranslationRequest[] = [];
    const translate = (): void => {
      if (translator === undefined) build();
      port.postMessage(translator!.translate(requests.splice(0, MOST_AT_ONCE)));
      if (requests.length > 0) setImmediate(translate);
      tidying.refresh();
      giving ??= setTimeout(() => {
        giving = undefined;
        giveBack();
      }, GIVING_BACK);
    };
    sendTier0(end, tier0);
    port.on('message', (request: TranslationRequest) => {
      requests.push(request);
      if (requests.length === 1) setTimeout(translate, GATHERING);
    });
  });
}

if (parentPort !== null) serve(parentPort);
