/** The interface's pictures: outlines in a square of 16 units, drawn for this program. */

/** A path in SVG's syntax, stroked, and filled too where `filled`. */
interface Shape {
  readonly d: string;
  readonly filled?: boolean;
}

const line = (d: string): Shape => ({ d });
const solid = (d: string): Shape => ({ d, filled: true });

export const ICONS = {
  add: [line('M8 3v10M3 8h10')],
  back: [line('M9.5 3.5 5 8l4.5 4.5')],
  camera: [line('M2 5h3l1-1.5h4L11 5h3v8H2zM8 7a2 2 0 1 0 0 4 2 2 0 0 0 0-4z')],
  chip: [
    line(
      'M4.5 4.5h7v7h-7zM6.5 2v2.5M9.5 2v2.5M6.5 11.5V14M9.5 11.5V14M2 6.5h2.5M2 9.5h2.5M11.5 6.5H14M11.5 9.5H14',
    ),
  ],
  close: [line('M4 4l8 8M12 4l-8 8')],
  collapse: [line('M4 6l4 4 4-4')],
  configuration: [
    line(
      'M6 3.5H5C4 3.5 4 4 4 5v1.5C4 7.5 3.5 8 2.5 8 3.5 8 4 8.5 4 9.5V11c0 1 0 1.5 1 1.5h1M10 3.5h1c1 0 1 .5 1 1.5v1.5c0 1 .5 1.5 1.5 1.5-1 0-1.5.5-1.5 1.5V11c0 1 0 1.5-1 1.5h-1',
    ),
  ],
  console: [line('M2.5 3h11v10h-11zM5 6l2 2-2 2M8.5 10H11')],
  copy: [line('M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3')],
  details: [
    line(
      'M2 4.5h6.5M12 4.5h2M2 11.5h2M7.5 11.5H14M10.3 2.7a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6zM5.8 9.7a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6z',
    ),
  ],
  disc: [line('M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 6.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z')],
  disk: [line('M2.5 8.5 4.5 3h7l2 5.5v4.5h-11zM2.5 8.5h11M11 11h.01')],
  down: [line('M8 3v10M4 9l4 4 4-4')],
  edit: [line('M3 13l.7-3L11 2.7l2.3 2.3L6 12.3z')],
  error: [line('M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 5v3.5M8 11v.01')],
  events: [line('M3 4h10M3 8h10M3 12h6')],
  expand: [line('M6 4l4 4-4 4')],
  graph: [line('M2.5 2.5v11h11M4.5 10.5l2.5-4 2.5 2.5 3.5-5')],
  grip: [line('M6 4.5v.01M10 4.5v.01M6 8v.01M10 8v.01M6 11.5v.01M10 11.5v.01')],
  grow: [line('M9.5 3H13v3.5M13 3 9 7M6.5 13H3V9.5M3 13l4-4')],
  file: [line('M4 2h5.5L12 4.5V14H4zM9 2v3h3')],
  folder: [line('M2 4h4.5L8 5.5h6V13H2z')],
  fullScreen: [line('M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10')],
  keyboard: [line('M1.5 4.5h13v7.5h-13zM4 7h.01M6.7 7h.01M9.3 7h.01M12 7h.01M4.5 9.5h7')],
  larger: [line('M2 12.5 5.5 4h.5l3.5 8.5M3.2 9.5h5M12 5v5M9.5 7.5h5')],
  memory: [line('M2 5h12v5H2zM4 10v2M6.7 10v2M9.3 10v2M12 10v2M5 7v1M8 7v1M11 7v1')],
  more: [solid('M3 7.6h.8v.8H3zM7.6 7.6h.8v.8h-.8zM12.2 7.6h.8v.8h-.8z')],
  open: [line('M9.5 2.5h4v4M13.5 2.5 8 8M11.5 9v4.5h-9v-9H7')],
  overview: [line('M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 7.5V11M8 5v.01')],
  paste: [line('M5.5 3.5h-2v10h9v-10h-2M5.5 2.5h5v2.5h-5z')],
  pause: [solid('M4.5 3.5h2v9h-2zM9.5 3.5h2v9h-2z')],
  pane: [line('M2 3h12v10H2zM9.5 3v10')],
  port: [line('M2.5 5.5h11l-1.5 5h-8zM5 8h.01M7 8h.01M9 8h.01M11 8h.01')],
  power: [line('M8 2v5.5M5 4a5 5 0 1 0 6 0')],
  remove: [line('M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.5 9h6l.5-9')],
  reset: [line('M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3')],
  boot: [line('M8 2.5l4.5 4.5M8 2.5 3.5 7M8 2.5v8M3 13.5h10')],
  run: [solid('M4.5 3v10l8-5z')],
  screen: [
    line(
      'M2.5 3h11a.5.5 0 0 1 .5.5v7a.5.5 0 0 1-.5.5h-11a.5.5 0 0 1-.5-.5v-7a.5.5 0 0 1 .5-.5zM6 13.5h4M8 11v2.5',
    ),
  ],
  search: [line('M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.3 10.3l3.2 3.2')],
  smaller: [line('M2 12.5 5.5 4h.5l3.5 8.5M3.2 9.5h5M10.5 7.5h4')],
  stop: [solid('M4 4h8v8H4z')],
  tag: [line('M2.5 2.5h5l6 6-5 5-6-6zM5 5v.01')],
  up: [line('M8 13V3M4 7l4-4 4 4')],
  warning: [line('M8 2.5l6 11H2zM8 6.5V10M8 12v.01')],
} as const satisfies Record<string, readonly Shape[]>;

export type IconName = keyof typeof ICONS;
