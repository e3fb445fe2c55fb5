/** Pools and images as main knows them: asked for when the storage page is shown, and after what is done there. */
import { defineStore } from 'pinia';
import { shallowRef } from 'vue';
import type { MethodName, Params, Pool, Problem, Volume } from '../../main/contract/index.ts';
import { problemOfError, useConnection } from './connection.ts';

type StorageMethod = Exclude<Extract<MethodName, `storage.${string}`>, 'storage.list'>;

export const useStorage = defineStore('storage', () => {
  const connection = useConnection();
  const pools = shallowRef<readonly Pool[]>([]);
  /** Images of machines that are in no pool. */
  const others = shallowRef<readonly Volume[]>([]);
  const loaded = shallowRef(false);
  const problem = shallowRef<Problem>();

  async function load(): Promise<void> {
    try {
      const listed = await connection.call('storage.list', {});
      pools.value = listed.pools;
      others.value = listed.others;
      loaded.value = true;
      problem.value = undefined;
    } catch (error) {
      problem.value = problemOfError(error);
    }
  }

  /** Asks for a change, and looks again.
   * @returns what is wrong; undefined where it was done */
  async function change<M extends StorageMethod>(method: M, params: Params<M>): Promise<Problem | undefined> {
    try {
      await connection.call(method, params);
      return undefined;
    } catch (error) {
      return problemOfError(error);
    } finally {
      await load();
    }
  }

  return { pools, others, loaded, problem, load, change };
});
