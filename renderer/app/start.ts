/** Connects to main and shows the view that the window's address names. */
import { createPinia } from 'pinia';
import { createApp } from 'vue';
import { withoutToken } from '../composable/route.ts';
import { useConnection } from '../store/connection.ts';
import { useMachines } from '../store/machines.ts';
import { openTransport } from '../transport/open.ts';
import '../style/tokens.css';
import '../style/base.css';
import App from './App.vue';

history.replaceState(history.state, '', withoutToken(location.href));

const pinia = createPinia();
// The list is on its way while the window is drawn.
useMachines(pinia);
useConnection(pinia).connect(await openTransport());
createApp(App).use(pinia).mount('#app');
