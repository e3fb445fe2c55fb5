/** The built interface: its files, found once, so that no address can name another. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { GuesthouseError } from '../../engine/base/errors.ts';

/** Where `npm run build` puts the interface. */
export const RENDERER_DIRECTORY = path.join(import.meta.dirname, '../../dist/renderer');

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
};

export interface Asset {
  readonly type: string;
  /** Its name changes with its contents, so it can be kept for good. */
  readonly immutable: boolean;
  read(): Uint8Array;
}

/** What the page may load, and from where: our own files, and a connection to us. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Headers of every answer. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), microphone=(), geolocation=(), usb=(), serial=()',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

export class Assets {
  readonly #files = new Map<string, string>();
  readonly #directory: string;

  /**
   * @param directory of the built interface
   * @throws GuesthouseError `file` where it has not been built
   */
  constructor(directory = RENDERER_DIRECTORY) {
    this.#directory = directory;
    if (!statSync(path.join(directory, 'index.html'), { throwIfNoEntry: false })?.isFile()) {
      throw new GuesthouseError('file', 'the interface has not been built', 'run: npm run build');
    }
    for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const file = path.join(entry.parentPath, entry.name);
      this.#files.set(`/${path.relative(directory, file).split(path.sep).join('/')}`, file);
    }
  }

  /** The file at an address; what is no file but a view of the interface is its page. */
  find(pathname: string): Asset | undefined {
    const isView = pathname === '/' || /^\/machine\/[A-Za-z0-9_-]+\/?$/.test(pathname);
    const file = isView ? path.join(this.#directory, 'index.html') : this.#files.get(pathname);
    if (file === undefined) return undefined;
    return {
      type: TYPES[path.extname(file).toLowerCase()] ?? 'application/octet-stream',
      immutable: pathname.startsWith('/assets/'),
      read: () => readFileSync(file),
    };
  }
}
