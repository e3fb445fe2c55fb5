/**
 * Numbers of the RFB protocol.
 *
 * RFC 6143, chapter 7; for what it calls pseudo-encodings beyond that the RFB protocol description of the community
 * (rfbproto).
 */

export const Security = { None: 1, VncAuthentication: 2 } as const;

/** Messages of a client (7.5), and their lengths with the first byte; 0 where it depends on more. */
export const ClientMessage = {
  SetPixelFormat: 0,
  SetEncodings: 2,
  UpdateRequest: 3,
  KeyEvent: 4,
  PointerEvent: 5,
  CutText: 6,
  Qemu: 255,
} as const;

/** QEMU's client messages: the second byte. */
export const QemuMessage = { ExtendedKeyEvent: 0 } as const;

export const ServerMessage = { Update: 0, Bell: 2, CutText: 3 } as const;

export const Encoding = {
  Raw: 0,
  CopyRect: 1,
  Hextile: 5,
  Tight: 7,
  Zrle: 16,
  /** Pseudo-encodings: what a client understands beside pixels. */
  DesktopSize: -223,
  LastRect: -224,
  Cursor: -239,
  /** -256 … -247: 0 (fast) to 9 (small). */
  CompressionLevel0: -256,
  QemuPointerMotion: -257,
  QemuExtendedKeyEvent: -258,
  DesktopName: -307,
} as const;

/** Encodings that are written here, the one preferred where a client has no order of its own. */
export const PIXEL_ENCODINGS: readonly number[] = [
  Encoding.Tight,
  Encoding.Zrle,
  Encoding.Hextile,
  Encoding.Raw,
];

/** Longest text that a client may cut, in bytes; and most encodings that it may name. */
export const MOST_CUT_TEXT = 2 ** 20;
