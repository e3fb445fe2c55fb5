/** For tools that read TypeScript alone: what a single-file component is. vue-tsc looks into the components
 * themselves. */
declare module '*.vue' {
  import type { DefineComponent } from 'vue';

  const component: DefineComponent;
  export default component;
}

/** Keyboard Lock (WICG), which not every browser has. */
interface Navigator {
  readonly keyboard?: { lock(): Promise<void> };
}
