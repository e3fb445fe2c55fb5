/** Which view a window shows, by its address. */
import { onBeforeUnmount, onMounted, ref, type Ref, watch } from 'vue';

export type Route = { readonly view: 'list' } | { readonly view: 'machine'; readonly id: string };

const MACHINE = /^\/machine\/([A-Za-z0-9][A-Za-z0-9_-]*)\/?$/;

/** @param path the path of the window's address */
export function routeOf(path: string): Route {
  const id = MACHINE.exec(path)?.[1];
  return id === undefined ? { view: 'list' } : { view: 'machine', id };
}

/** The address of a machine's window. `details` opens it at the details. */
export function machineAddress(id: string, tab?: 'details'): string {
  return `/machine/${id}${tab === undefined ? '' : `?tab=${tab}`}`;
}

/** An address without the browser shell's token, which was good once and is of no use to whoever sees or keeps
 * the address. */
export function withoutToken(address: string): string {
  const url = new URL(address);
  url.searchParams.delete('token');
  return url.href;
}

/** Pages of the program's window. */
export type Page = 'machines' | 'storage';

/** The page that is shown: kept in the address, so that the browser's keys for back and reload do what they do. */
export function usePage(): Ref<Page> {
  const read = (): Page => (location.hash === '#storage' ? 'storage' : 'machines');
  const page = ref(read());
  const follow = (): void => {
    page.value = read();
  };
  watch(page, (to) => {
    if (to !== read()) location.hash = to === 'storage' ? 'storage' : '';
  });
  onMounted(() => window.addEventListener('hashchange', follow));
  onBeforeUnmount(() => window.removeEventListener('hashchange', follow));
  return page;
}
