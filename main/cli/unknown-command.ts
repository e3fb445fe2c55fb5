/** What is said of a command that there is not: where hands are used to another program, what does it here. */

/** Commands of virsh and its companions, and what comes nearest to them. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  create: "'define' makes a machine, and 'start' starts it",
  domblkinfo: "'image info' says how large an image is",
  domdisplay: "'--display vnc=ADDRESS' opens the screen to viewers",
  domifaddr: 'machines have no network yet',
  dommemstat: "'domstats' says what memory is used",
  dumpxml: "'dumpconfig' prints a machine's configuration",
  info: "'dominfo' says what a machine is",
  kill: "'destroy' cuts the power",
  poweroff: "'shutdown' presses the power button",
  reboot: "'reset' presses the reset button",
  rename: "'domrename' gives another name",
  restart: "'reset' presses the reset button",
  rm: "'undefine' deletes a machine",
  delete: "'undefine' deletes a machine",
  setmem: "'edit' changes a machine's memory",
  setmaxmem: "'edit' changes a machine's memory",
  setvcpus: "'edit' changes a machine's processors",
  stop: "'shutdown' presses the power button, 'destroy' cuts the power",
  ttyconsole: "'console' connects the terminal",
  version: "'guesthouse --version' says it",
};

/**
 * The hint for an unknown command: what does the same, or the command that looks most like it.
 *
 * @param known all commands
 */
export function hintFor(name: string, known: readonly string[]): string {
  if (Object.hasOwn(ELSEWHERE, name)) return ELSEWHERE[name];
  // Two mistakes in a word of six letters, and in proportion.
  const most = Math.floor(name.length / 3);
  const near = known
    .map((each) => ({ each, distance: distance(name, each) }))
    .filter((found) => found.distance <= most)
    .toSorted((a, b) => a.distance - b.distance);
  const [nearest] = near;
  return nearest === undefined ? 'see guesthouse --help' : `did you mean '${nearest.each}'?`;
}

/** How many UTF-16 units have to be put in, taken out or exchanged to make one word of another (Levenshtein's distance). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const changed = row[j - 1] + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[to.length];
}
