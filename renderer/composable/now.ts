/** The time, for texts as `Running for 5 s`. */
import { onBeforeUnmount, readonly, type Ref, ref } from 'vue';

/** Milliseconds since 1970, renewed each second while the component is shown. */
export function useNow(): Readonly<Ref<number>> {
  const now = ref(Date.now());
  const timer = setInterval(() => (now.value = Date.now()), 1000);
  onBeforeUnmount(() => clearInterval(timer));
  return readonly(now);
}
