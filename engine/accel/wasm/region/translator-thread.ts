/**
 * The translator's thread, one for a machine. Each vCPU has a port to it; whatever has come in while one batch
 * was being translated is the next.
 */
import { setFlagsFromString } from 'node:v8';
import { parentPort, type MessagePort } from 'node:worker_threads';
import { buildTier0 } from '../interpreter/handlers.ts';
import { memoryReturner } from '../../../backend/freed-memory.ts';
import { Translator, type TranslationRequest } from './translator.ts';

/**
 * How long requests are gathered for one module, in milliseconds: a module of its own for each region would cost
 * more memory than the region.
 */
const GATHERING = 25;
/** After so many milliseconds without work, what the compilers have freed goes back to the system. */
const QUIET = 500;
/** Regions in a module at most: a vCPU is not to wait long for the first of many. */
const MOST_AT_ONCE = 64;

function serve(control: MessagePort): void {
  // Else V8 would compile each region when it is first run, and let the vCPU wait for that.
  setFlagsFromString('--no-wasm-lazy-compilation');
  const giveBack = memoryReturner();
  const quiet = setTimeout(giveBack, QUIET);
  const translator = new Translator(buildTier0());
  control.on('message', (port: MessagePort) => {
    const requests: TranslationRequest[] = [];
    const translate = (): void => {
      port.postMessage(translator.translate(requests.splice(0, MOST_AT_ONCE)));
      if (requests.length > 0) setImmediate(translate);
      quiet.refresh();
    };
    port.on('message', (request: TranslationRequest) => {
      requests.push(request);
      if (requests.length === 1) setTimeout(translate, GATHERING);
    });
  });
}

if (parentPort !== null) serve(parentPort);
