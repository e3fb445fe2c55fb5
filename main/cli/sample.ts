/**
 * Makes the sample guest: the distribution's kernel for virtual machines, and a root file system of BusyBox
 * that gives a shell on the serial console.
 */
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { initramfs, type KernelModule, MODULES, RECIPE } from '../sample/initramfs.ts';
import { readModule } from '../sample/module.ts';
import {
  fetch,
  fetchLists,
  find,
  systemLists,
  unpack,
  unpackAny,
  type Lists,
  type Package,
} from '../sample/packages.ts';

/** The sample guest's files. */
export interface Sample {
  /** A bzImage. */
  readonly kernel: string;
  /** An uncompressed cpio archive. */
  readonly initrd: string;
}

/** What it is made of. */
interface Ingredients {
  readonly kernel: Package;
  readonly busybox: Package;
}

/** Meta packages that stand for the newest kernel with a serial console and virtio built in or as modules:
 * Debian's and Ubuntu's for virtual machines, then Debian's for any machine. */
const KERNELS = ['linux-image-cloud-amd64', 'linux-image-virtual', 'linux-image-amd64'];

/** Kept beside the files: says what they were made of. */
const MANIFEST = 'sample.json';

const manifestSchema = z.object({ recipe: z.literal(RECIPE), packages: z.array(z.string()) });

/**
 * Makes the sample guest's files `vmlinuz` and `initrd.img` in `directory`, from the distribution's packages,
 * without root and without installing them. What is there already is kept while its packages are current.
 *
 * @param directory created where missing
 * @param kernels meta packages that stand for its kernel: the first that there is
 * @param signal ends it, with what it has made so far taken away
 * @throws GuesthouseError `unsupported` where the system has no apt, `resources` where packages can't be
 * fetched or the directory can't be written, `file` where a package lacks what is expected in it
 */
export async function sample(
  directory: string,
  kernels: readonly string[] = KERNELS,
  signal?: AbortSignal,
): Promise<Sample> {
  const made: Sample = {
    kernel: path.join(directory, 'vmlinuz'),
    initrd: path.join(directory, 'initrd.img'),
  };
  const present = readManifest(directory);
  if (present !== undefined && present.time >= listsTime()) return made;
  const system: Lists = signal === undefined ? systemLists : { ...systemLists, signal };
  const current = await findIngredients(system, kernels);
  if (present !== undefined && (current === undefined || present.identity === identity(current))) {
    const now = new Date();
    utimesSync(path.join(directory, MANIFEST), now, now);
    return made;
  }

  const work = makeWorkDirectory(directory);
  try {
    const ingredients = await fetchIngredients(system, current, kernels, work);
    signal?.throwIfAborted();
    const kernel = globSync(path.join(work, 'kernel', 'boot', 'vmlinuz-*'))[0];
    const busybox = globSync(path.join(work, 'busybox', '{usr/,}bin/busybox'))[0];
    if (kernel === undefined) throw new GuesthouseError('file', `no kernel in ${ingredients.kernel.name}`);
    if (busybox === undefined) throw new GuesthouseError('file', `no busybox in ${ingredients.busybox.name}`);
    const initrd = path.join(work, 'initrd.img');
    writeFileSync(initrd, initramfs(readFileSync(busybox), modulesIn(path.join(work, 'modules'))));
    const manifest = path.join(work, MANIFEST);
    writeFileSync(manifest, JSON.stringify({ recipe: RECIPE, packages: identity(ingredients).split('\n') }));

    // The manifest goes first and comes back last, so that an interrupted change is never taken for whole.
    rmSync(path.join(directory, MANIFEST), { force: true });
    renameSync(kernel, made.kernel);
    renameSync(initrd, made.initrd);
    renameSync(manifest, path.join(directory, MANIFEST));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return made;
}

/** A directory of our own inside `directory`, on the same file system, so that results can be renamed. */
function makeWorkDirectory(directory: string): string {
  try {
    makeFolders(path.resolve(directory));
    return mkdtempSync(path.join(path.resolve(directory), '.sample-'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new GuesthouseError('resources', `cannot write in ${directory}: ${reason}`, undefined, {
      cause: error,
    });
  }
}

/** Makes a folder and those above it. Node's own way of it never ends where a folder that exists says that it does not,
 * as those of /proc do. */
function makeFolders(folder: string): void {
  if (existsSync(folder)) return;
  makeFolders(path.dirname(folder));
  mkdirSync(folder);
}

/** Fetches and unpacks kernel and BusyBox into `work`: as the system's lists have them or, where that fails,
 * for instance because they are too old, by fresh private lists. */
async function fetchIngredients(
  system: Lists,
  current: Ingredients | undefined,
  kernels: readonly string[],
  work: string,
): Promise<Ingredients> {
  if (current !== undefined) {
    try {
      await unpackIngredients(system, current, work);
      return current;
    } catch (error) {
      if (!(error instanceof GuesthouseError) || error.code !== 'resources') throw error;
    }
  }
  const lists = await fetchLists(path.join(work, 'apt'), system.signal);
  const ingredients = await findIngredients(lists, kernels);
  if (ingredients === undefined) {
    const hint = 'see that the package sources in /etc/apt can be reached';
    throw new GuesthouseError(
      'resources',
      `apt offers no ${kernels.join(' or ')}, or no busybox-static`,
      hint,
    );
  }
  await unpackIngredients(lists, ingredients, work);
  return ingredients;
}

async function unpackIngredients(
  lists: Lists,
  { kernel, busybox }: Ingredients,
  work: string,
): Promise<void> {
  const debs = path.join(work, 'packages');
  const packed = await fetch(lists, kernel, debs);
  await unpack(packed, 'boot/vmlinuz-*', path.join(work, 'kernel'));
  // Those that are missing are built in: the guest does without.
  const drivers = MODULES.map((name) => `*/${name}.ko*`);
  await unpackAny(packed, drivers, path.join(work, 'modules'));
  await unpack(await fetch(lists, busybox, debs), '*bin/busybox', path.join(work, 'busybox'));
}

async function findIngredients(lists: Lists, kernels: readonly string[]): Promise<Ingredients | undefined> {
  const busybox = await find(lists, 'busybox-static');
  if (busybox === undefined) return undefined;
  for (const name of kernels) {
    const kernel = await find(lists, name, /^linux-image-[0-9]/);
    if (kernel !== undefined) return { kernel, busybox };
  }
  return undefined;
}

/** The drivers among unpacked modules, but for those packed in a way that can't be undone here. */
function modulesIn(directory: string): KernelModule[] {
  return MODULES.flatMap((name) => {
    const [file] = globSync(path.join(directory, '**', `${name}.ko*`));
    const data = file === undefined ? undefined : readModule(file);
    return data === undefined ? [] : [{ name, data }];
  });
}

/** Changes with each package's version. */
function identity({ kernel, busybox }: Ingredients): string {
  return [kernel, busybox].map(({ name, version }) => `${name}=${version}`).join('\n');
}

/** What a whole sample guest of this recipe in `directory` was made of, and when that was last found to be
 * current (milliseconds since 1970); undefined where there is none. */
function readManifest(directory: string): { identity: string; time: number } | undefined {
  try {
    const file = path.join(directory, MANIFEST);
    const manifest = manifestSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    return { identity: manifest.packages.join('\n'), time: statSync(file).mtimeMs };
  } catch {
    return undefined;
  }
}

/** When the system's package lists changed (milliseconds since 1970), 0 where it has none: a guest made
 * after that is current, which saves asking apt. */
function listsTime(): number {
  return statSync('/var/lib/apt/lists', { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
