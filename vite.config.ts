import vue from '@vitejs/plugin-vue';
import { defineConfig, type HtmlTagDescriptor, type Plugin } from 'vite';

/** Has a page load what its entry imports later, with all that this imports, from the beginning. */
const preload: Plugin = {
  name: 'preload',
  transformIndexHtml: {
    order: 'post',
    handler(html, { bundle = {}, chunk: entry }) {
      // Nothing is bundled while developing.
      const wanted = new Set(entry?.dynamicImports);
      const tags: HtmlTagDescriptor[] = [];
      for (const file of wanted) {
        const chunk = bundle[file];
        if (chunk?.type !== 'chunk') continue;
        for (const each of chunk.imports) wanted.add(each);
        if (!html.includes(file)) tags.push(link('modulepreload', file));
        for (const style of chunk.viteMetadata?.importedCss ?? []) tags.push(link('stylesheet', style));
      }
      return tags;
    },
  },
};

function link(rel: string, file: string): HtmlTagDescriptor {
  return { tag: 'link', attrs: { rel, crossorigin: true, href: `/${file}` }, injectTo: 'head' };
}

/** Builds the renderer to dist/renderer, which the desktop and the browser shell load. */
export default defineConfig({
  root: 'renderer',
  // Absolute, because a machine's window stands at /machine/…
  base: '/',
  plugins: [vue(), preload],
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
