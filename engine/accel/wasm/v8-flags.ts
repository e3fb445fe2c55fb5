/**
 * How V8 is to compile what is emitted, for the whole process. It is told when a process loads the accelerator, before
 * there are other threads: Node keeps compiled modules in a folder for each set of flags, and all are to use one.
 */
import { setFlagsFromString } from 'node:v8';

// Guest code's loops have a way out to the rare case in every round, so a second copy of a round, or of the first,
// is more to compile and to fetch, and nothing is known in it that was not known before.
setFlagsFromString('--no-wasm-loop-peeling');
setFlagsFromString('--no-wasm-loop-unrolling');
// What V8 has compiled quickly it compiles well once it has been run for so many bytes. By itself it waits for 13 million,
// which is long for handlers and regions of some hundred bytes that are known to be hot.
setFlagsFromString('--wasm-tiering-budget=300000');
