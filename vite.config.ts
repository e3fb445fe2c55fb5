import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vite';

/** Builds the renderer to dist/renderer, which the desktop and the browser shell load. */
export default defineConfig({
  root: 'renderer',
  // Absolute, because a machine's window stands at /machine/…
  base: '/',
  plugins: [vue()],
  define: {
    // Vue asks for these to be decided; no option API and no devtools in what people get.
    __VUE_OPTIONS_API__: 'false',
    __VUE_PROD_DEVTOOLS__: 'false',
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false',
  },
  build: {
    outDir: '../dist/renderer',
    emptyOutDir: true,
    target: 'chrome130',
    // The content security policy allows no data: URLs.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
});
