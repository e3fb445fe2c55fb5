/** Connects to main and shows the view that the window's address names. */
import { createPinia } from 'pinia';
import { createApp } from 'vue';
import { useConnection } from '../store/connection.ts';
import { openTransport } from '../transport/open.ts';
import '../style/tokens.css';
import '../style/base.css';
import App from './App.vue';

const app = createApp(App);
app.use(createPinia());
app.mount('#app');
useConnection().connect(await openTransport());
