/**
 * Draws only the rows in sight of a long list: all rows have one height, so which are in sight follows from the
 * scroll position.
 */
import { computed, type ComputedRef, onBeforeUnmount, onMounted, ref, type Ref } from 'vue';

/** Rows drawn beyond each edge, so that a wheel's step never shows an empty one. */
const BEYOND = 6;

export interface VirtualRows {
  /** The first row drawn. */
  readonly first: ComputedRef<number>;
  /** The row after the last one drawn. */
  readonly end: ComputedRef<number>;
  /** Which of the elements that are there a row is drawn by, for use as its key: one that scrolls out of sight is
   * used for the next that scrolls in, which takes a fraction of the time that a new one does. */
  slot(index: number): number;
  /** Of the viewport, in CSS pixels. */
  readonly width: Readonly<Ref<number>>;
  /** Whether any part of a row is. */
  inSight(index: number): boolean;
  /** Scrolls as little as brings a row into sight. */
  reveal(index: number): void;
  /** Whole rows that fit in sight. */
  pageSize(): number;
}

/**
 * @param viewport the scrolling element
 * @param count how many rows there are
 * @param rowHeight CSS pixels
 */
export function useVirtualRows(
  viewport: Readonly<Ref<HTMLElement | null>>,
  count: () => number,
  rowHeight: number,
): VirtualRows {
  const top = ref(0);
  const height = ref(0);
  const width = ref(0);
  let observer: ResizeObserver | undefined;
  let element: HTMLElement | undefined;

  const measure = (): void => {
    if (element === undefined) return;
    top.value = element.scrollTop;
    height.value = element.clientHeight;
    width.value = element.clientWidth;
  };
  onMounted(() => {
    element = viewport.value ?? undefined;
    if (element === undefined) return;
    element.addEventListener('scroll', measure, { passive: true });
    observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
  });
  onBeforeUnmount(() => {
    element?.removeEventListener('scroll', measure);
    observer?.disconnect();
  });

  const first = computed(() => Math.max(0, Math.min(count(), Math.floor(top.value / rowHeight)) - BEYOND));
  const end = computed(() => Math.min(count(), Math.ceil((top.value + height.value) / rowHeight) + BEYOND));
  /** As many as are ever drawn at a time. */
  const slots = computed(() => Math.ceil(height.value / rowHeight) + 1 + 2 * BEYOND);
  return {
    first,
    end,
    width,
    slot: (index) => index % slots.value,
    inSight: (index) => (index + 1) * rowHeight > top.value && index * rowHeight < top.value + height.value,
    reveal(index) {
      if (element === undefined) return;
      const start = index * rowHeight;
      if (start < element.scrollTop) element.scrollTop = start;
      else if (start + rowHeight > element.scrollTop + element.clientHeight) {
        element.scrollTop = start + rowHeight - element.clientHeight;
      }
    },
    pageSize: () => Math.max(1, Math.floor(height.value / rowHeight) - 1),
  };
}
