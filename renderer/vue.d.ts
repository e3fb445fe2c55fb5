/** Single-file components, for tools that do not read them; vue-tsc sees what they really are. */
declare module '*.vue' {
  import type { Component } from 'vue';
  const component: Component;
  export default component;
}
