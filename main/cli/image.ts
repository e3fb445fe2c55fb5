/** `guesthouse image …`: work on disk images. */
import { GuesthouseError } from '../../engine/base/errors.ts';
import {
  checkImageFile,
  type CheckReport,
  convertImage,
  createImage,
  type ImageFormat,
  type ImageInfo,
  imageInfo,
  resizeImage,
} from '../../engine/host/image-tools.ts';
import { formatBytes, parseBytes } from './bytes.ts';
import { facts, table } from './table.ts';
import { parseWords, usage, type Words } from './words.ts';

type Command = (words: readonly string[]) => number;

const COMMANDS: Readonly<Record<string, Command>> = { create, info, resize, convert, check };

/** Exit statuses of `check`, as qemu-img's: damage, and leaks only. */
const DAMAGED = 2;
const LEAKS = 3;

/**
 * Carries out what follows `guesthouse image`.
 *
 * @returns the exit status
 * @throws GuesthouseError for whatever is wrong
 */
export function imageCommand(words: readonly string[]): number {
  const [name, ...rest] = words;
  const command = name === undefined ? undefined : COMMANDS[name];
  if (command === undefined) throw usage(`image needs one of ${Object.keys(COMMANDS).join(', ')}`);
  return command(rest);
}

function create(given: readonly string[]): number {
  const words = parseWords('image create', given, {
    flags: ['lazy-refcounts'],
    values: ['format', 'backing', 'backing-format', 'cluster-size'],
    operands: ['FILE', 'SIZE?'],
  });
  const [file = '', size] = words.operands;
  const backing = words.value('backing');
  createImage(file, {
    format: formatOf(words, 'format') ?? 'qcow2',
    size: size === undefined ? undefined : parseBytes('SIZE', size),
    backing: backing === undefined ? undefined : { file: backing, format: formatOf(words, 'backing-format') },
    clusterBytes: bytesOf(words, 'cluster-size'),
    lazyRefcounts: words.has('lazy-refcounts'),
  });
  return 0;
}

function info(given: readonly string[]): number {
  const words = parseWords('image info', given, { flags: ['json'], values: ['format'], operands: ['FILE'] });
  const found = imageInfo(words.operands[0] ?? '', formatOf(words, 'format'));
  process.stdout.write(`${words.has('json') ? JSON.stringify(found) : describe(found)}\n`);
  return 0;
}

function describe(image: ImageInfo): string {
  const rows: Array<[string, string | number]> = [
    ['Image', image.file],
    ['Format', image.version === null ? image.format : `${image.format}, version ${image.version}`],
    ['Size', formatBytes(image.size)],
    ['On disk', formatBytes(image.allocated)],
  ];
  if (image.clusterBytes !== null) rows.push(['Cluster size', formatBytes(image.clusterBytes)]);
  if (image.compression !== null && image.compression !== 'zlib')
    rows.push(['Compression', image.compression]);
  if (image.lazyRefcounts) rows.push(['Lazy refcounts', 'yes']);
  if (image.backingFile !== null) {
    const format = image.backingFormat === null ? '' : ` (${image.backingFormat})`;
    rows.push(['Backing file', `${image.backingFile}${format}`]);
  }
  const text = facts(rows);
  if (image.snapshots.length === 0) return text;
  const snapshots = image.snapshots.map(({ id, name, size, taken }) => [
    id,
    name,
    formatBytes(size),
    new Date(taken).toISOString(),
  ]);
  return `${text}\n\n${table(['Id', 'Snapshot', 'Size', 'Taken'], snapshots).trimEnd()}`;
}

function resize(given: readonly string[]): number {
  const words = parseWords('image resize', given, {
    flags: ['shrink'],
    values: ['format'],
    operands: ['FILE', 'SIZE'],
  });
  const [file = '', text = ''] = words.operands;
  const format = formatOf(words, 'format');
  // As qemu-img has it: +SIZE makes it larger by that much.
  const size = text.startsWith('+')
    ? imageInfo(file, format).size + parseBytes('SIZE', text.slice(1))
    : parseBytes('SIZE', text);
  resizeImage(file, size, { format, shrink: words.has('shrink') });
  return 0;
}

function convert(given: readonly string[]): number {
  const words = parseWords('image convert', given, {
    flags: ['progress'],
    values: ['format', 'from-format', 'snapshot', 'cluster-size'],
    operands: ['FILE', 'NEW'],
  });
  const [from = '', to = ''] = words.operands;
  let shown = -1;
  const progress = (done: number, all: number) => {
    const percent = Math.floor((done / all) * 100);
    if (percent > shown) process.stderr.write(`\r${percent} %${percent === 100 ? '\n' : ''}`);
    shown = percent;
  };
  convertImage({
    from,
    fromFormat: formatOf(words, 'from-format'),
    snapshot: words.value('snapshot'),
    to,
    toFormat: formatOf(words, 'format') ?? 'qcow2',
    clusterBytes: bytesOf(words, 'cluster-size'),
    ...(words.has('progress') ? { progress } : {}),
  });
  return 0;
}

function check(given: readonly string[]): number {
  const words = parseWords('image check', given, {
    flags: ['repair', 'json'],
    values: ['format'],
    operands: ['FILE'],
  });
  const file = words.operands[0] ?? '';
  const options = { format: formatOf(words, 'format') };
  let report = checkImageFile(file, { ...options, repair: words.has('repair') });
  if (report === undefined) {
    throw new GuesthouseError('unsupported', `${file} is raw: there is nothing to check`);
  }
  if (!words.has('json')) for (const line of summary(report)) process.stdout.write(`${line}\n`);
  if (words.has('repair') && report.broken === 0) report = checkImageFile(file, options) ?? report;
  if (words.has('json')) process.stdout.write(`${JSON.stringify(report)}\n`);
  else if (words.has('repair') && statusOf(report) === 0) process.stdout.write('Now in order.\n');
  return statusOf(report);
}

function statusOf({ broken, miscounted, leaks }: CheckReport): number {
  return broken + miscounted > 0 ? DAMAGED : leaks > 0 ? LEAKS : 0;
}

function summary(report: CheckReport): string[] {
  const { broken, miscounted, leaks, allocated, compressed, total } = report;
  const percent = total === 0 ? 0 : (allocated / total) * 100;
  return [
    ...report.lines,
    ...(broken > 0 ? [`${broken} references lead nowhere: data is lost`] : []),
    ...(miscounted > 0 ? [`${miscounted} clusters are counted wrong: --repair counts anew`] : []),
    ...(leaks > 0 ? [`${leaks} clusters are lost space: --repair gives it back`] : []),
    ...(broken + miscounted + leaks === 0 ? ['No errors.'] : []),
    `${allocated} of ${total} clusters in use (${percent.toFixed(2)} %), ${compressed} of them compressed.`,
  ];
}

function formatOf(words: Words, option: string): ImageFormat | undefined {
  const text = words.value(option);
  if (text === undefined || text === 'raw' || text === 'qcow2') return text;
  throw usage(`--${option} must be raw or qcow2, not '${text}'`);
}

function bytesOf(words: Words, option: string): number | undefined {
  const text = words.value(option);
  return text === undefined ? undefined : parseBytes(`--${option}`, text);
}
