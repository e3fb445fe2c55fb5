/** The renderer's entry: connects to main and shows the view that the window's address names. */
import { createPinia } from 'pinia';
import { createApp } from 'vue';
import App from './app/App.vue';
import { useConnection } from './store/connection.ts';
import { openTransport } from './transport/open.ts';
import './style/tokens.css';
import './style/base.css';

const app = createApp(App);
app.use(createPinia());
app.mount('#app');
useConnection().connect(await openTransport());
