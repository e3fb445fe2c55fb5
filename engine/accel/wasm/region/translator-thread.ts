/**
 * The translator's thread, one for a machine. Each vCPU has a port to it; whatever has come in while one batch
 * was being translated is the next.
 */
import { setFlagsFromString } from 'node:v8';
import { parentPort, receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import { buildTier0 } from '../interpreter/handlers.ts';
import { Translator, type TranslationRequest } from './translator.ts';

/** Regions translated at a time: a vCPU is not to wait long for the first of many. */
const MOST_AT_ONCE = 16;

function serve(control: MessagePort): void {
  // Else V8 would compile each region when it is first run, and let the vCPU wait for that.
  setFlagsFromString('--no-wasm-lazy-compilation');
  const translator = new Translator(buildTier0());
  control.on('message', (port: MessagePort) => {
    port.on('message', (first: TranslationRequest) => {
      const requests = [first];
      while (requests.length < MOST_AT_ONCE) {
        const more = receiveMessageOnPort(port) as { message: TranslationRequest } | undefined;
        if (more === undefined) break;
        requests.push(more.message);
      }
      port.postMessage(translator.translate(requests));
    });
  });
}

if (parentPort !== null) serve(parentPort);
